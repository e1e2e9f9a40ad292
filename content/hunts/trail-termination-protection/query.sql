-- Calls that set termination protection, one row for a caller and region, joined with who launched
-- the machines. A machine whose launch is not in the logs counts neither as own nor as another's.
--
-- Score, up to 100:
--   20  protection set, or tried
--   25  on a machine the same caller launched within the fresh time
--   25  on a machine another caller launched
--   20  in the launch call itself
--   20  many machines
--   15  accelerators or a large type, where the launch is known
--   10  calls failed
WITH seen AS (
  SELECT
    _source, account_id, region, principal, access_key_id, event_time, event_epoch, event_name,
    source_ip_address, source_is_address, COALESCE(error_kind, 'none') AS failure, instance_ids,
    instance_count, instance_types, vcpus, gpu, disables_termination,
    COALESCE(principal, 'an unknown caller') AS who,
    -- Sessions of one role or user are one launcher.
    COALESCE(session_issuer_arn, identity_arn, principal, 'an unknown caller') AS hand,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(event_id, _source) ORDER BY _source) AS copy
  FROM cloudtrail
  WHERE disables_termination = TRUE OR event_name = 'RunInstances'
),
calls AS (
  SELECT *,
    CASE WHEN gpu = TRUE THEN 1 ELSE 0 END AS accelerated,
    CASE WHEN vcpus >= $large_vcpus * COALESCE(NULLIF(instance_count, 0), 1) THEN 1 ELSE 0 END AS large
  FROM seen
  WHERE copy = 1
),
marks AS (
  SELECT c.*, ROW_NUMBER() OVER (ORDER BY c._source) AS mark
  FROM calls c
  WHERE c.disables_termination = TRUE
),
launched AS (
  SELECT
    m.mark,
    MAX(CASE WHEN l.hand = m.hand AND m.event_epoch - l.event_epoch BETWEEN 0 AND $fresh * 60 THEN 1 ELSE 0 END) AS own_fresh,
    MAX(CASE WHEN l.hand <> m.hand THEN 1 ELSE 0 END) AS of_others,
    MAX(l.accelerated) AS accelerated,
    MAX(l.large) AS large
  FROM marks m
  JOIN calls l
    ON l.event_name = 'RunInstances' AND l.failure = 'none' AND m.event_name <> 'RunInstances'
    AND COALESCE(l.account_id, '') = COALESCE(m.account_id, '')
    AND ',' || l.instance_ids || ',' LIKE '%,' || m.instance_ids || ',%'
  GROUP BY m.mark
),
facts AS (
  SELECT
    m.account_id, m.region, m.who,
    MIN(m.event_time) AS first_seen,
    MAX(m.event_time) AS last_seen,
    CASE WHEN MIN(m.instance_ids) = MAX(m.instance_ids) AND MIN(m.instance_ids) NOT LIKE '%,%' THEN MIN(m.instance_ids) END AS instance_id,
    MIN(m.principal) AS principal,
    CASE WHEN MIN(m.access_key_id) = MAX(m.access_key_id) THEN MIN(m.access_key_id) END AS key_id,
    CASE WHEN MIN(CASE WHEN m.source_is_address = TRUE THEN m.source_ip_address END)
        = MAX(CASE WHEN m.source_is_address = TRUE THEN m.source_ip_address END)
      THEN MIN(CASE WHEN m.source_is_address = TRUE THEN m.source_ip_address END) END AS address,
    COUNT(*) AS acts,
    CAST(COUNT(DISTINCT CASE WHEN m.event_name <> 'RunInstances' THEN m.instance_ids END)
      + COALESCE(SUM(CASE WHEN m.event_name = 'RunInstances' THEN COALESCE(m.instance_count, 1) END), 0) AS BIGINT) AS machines,
    COUNT(CASE WHEN m.failure <> 'none' THEN 1 END) AS failed,
    COUNT(CASE WHEN l.own_fresh = 1 THEN 1 END) AS own_fresh,
    COUNT(CASE WHEN l.of_others = 1 THEN 1 END) AS of_others,
    COUNT(CASE WHEN m.event_name = 'RunInstances' THEN 1 END) AS in_launch,
    MAX(CASE WHEN l.accelerated = 1 OR m.accelerated = 1 THEN 1 ELSE 0 END) AS accelerated,
    MAX(CASE WHEN l.large = 1 OR m.large = 1 THEN 1 ELSE 0 END) AS large
  FROM marks m
  LEFT JOIN launched l ON l.mark = m.mark
  GROUP BY m.account_id, m.region, m.who
),
scored AS (
  SELECT *,
    20
    + CASE WHEN own_fresh > 0 THEN 25 ELSE 0 END
    + CASE WHEN of_others > 0 THEN 25 ELSE 0 END
    + CASE WHEN in_launch > 0 THEN 20 ELSE 0 END
    + CASE WHEN machines >= $many THEN 20 ELSE 0 END
    + CASE WHEN accelerated = 1 OR large = 1 THEN 15 ELSE 0 END
    + CASE WHEN failed > 0 THEN 10 ELSE 0 END AS points
  FROM facts
)
SELECT
  CAST(CASE WHEN points > 100 THEN 100 ELSE points END AS DOUBLE) AS score,
  first_seen, last_seen,
  account_id, region, instance_id, principal, key_id, address,
  who, acts, machines, failed, own_fresh, of_others, in_launch, accelerated, large
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id NULLS LAST, region NULLS LAST, instance_id NULLS LAST,
  principal NULLS LAST, key_id NULLS LAST, address NULLS LAST, first_seen
