-- Starts with a public address and rules open to the world, by caller and region, cut wherever the
-- caller paused longer than the gap.
--
-- Score, up to 100:
--   25  a machine started with a public address, or given one (tries too)
--   10  a rule opened to the world
--   25  all ports or protocols; else 20 for remote shells or desktops (22, 3389, 5900)
--   15  machine and rule together
--   15  accelerators among the machines
--   10  three or more machines
--  -10  every call failed
WITH seen AS (
  SELECT
    _source, account_id, region, principal, access_key_id, event_time, event_epoch, event_name,
    source_ip_address, source_is_address, COALESCE(error_kind, 'none') AS failure, instance_ids,
    instance_count, gpu, LOWER(COALESCE(request_parameters, '')) AS request,
    COALESCE(principal, 'an unknown caller') AS who,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(event_id, _source) ORDER BY _source) AS copy
  FROM cloudtrail
  WHERE opens_public = TRUE
),
steps AS (
  SELECT *,
    CASE WHEN event_name LIKE '%SecurityGroup%' THEN 'rule' WHEN event_name = 'RunInstances' THEN 'start' ELSE 'association' END AS kind,
    CASE WHEN event_epoch - LAG(event_epoch) OVER (
        PARTITION BY account_id, region, who ORDER BY event_epoch, _source) <= $gap * 60
      THEN 0 ELSE 1 END AS begins
  FROM seen
  WHERE copy = 1
),
parts AS (
  SELECT *,
    -- The request is JSON text, with or without a blank after the colon.
    CASE WHEN kind = 'rule' AND (request LIKE '%"ipprotocol":"-1"%' OR request LIKE '%"ipprotocol": "-1"%'
      OR ((request LIKE '%"fromport":0,%' OR request LIKE '%"fromport": 0,%' OR request LIKE '%"fromport":1,%' OR request LIKE '%"fromport": 1,%') AND request LIKE '%65535%')) THEN 1 ELSE 0 END AS all_port,
    CASE WHEN kind = 'rule' AND (request LIKE '%"fromport":22,%' OR request LIKE '%"fromport": 22,%' OR request LIKE '%"fromport":22}%'
      OR request LIKE '%"fromport":3389,%' OR request LIKE '%"fromport": 3389,%' OR request LIKE '%"fromport":3389}%'
      OR request LIKE '%"fromport":5900,%' OR request LIKE '%"fromport": 5900,%' OR request LIKE '%"fromport":5900}%') THEN 1 ELSE 0 END AS remote_port,
    SUM(begins) OVER (
      PARTITION BY account_id, region, who ORDER BY event_epoch, _source
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS part
  FROM steps
),
facts AS (
  SELECT
    account_id, region, who, part,
    MIN(event_time) AS first_seen,
    MAX(event_time) AS last_seen,
    CASE WHEN MIN(instance_ids) = MAX(instance_ids) AND MIN(instance_ids) NOT LIKE '%,%' THEN MIN(instance_ids) END AS instance_id,
    MIN(principal) AS principal,
    CASE WHEN MIN(access_key_id) = MAX(access_key_id) THEN MIN(access_key_id) END AS key_id,
    CASE WHEN MIN(CASE WHEN source_is_address = TRUE THEN source_ip_address END)
        = MAX(CASE WHEN source_is_address = TRUE THEN source_ip_address END)
      THEN MIN(CASE WHEN source_is_address = TRUE THEN source_ip_address END) END AS address,
    COUNT(*) AS calls,
    COUNT(CASE WHEN kind = 'start' THEN 1 END) AS starts,
    COUNT(CASE WHEN kind = 'rule' THEN 1 END) AS rules,
    COUNT(CASE WHEN kind = 'association' THEN 1 END) AS associations,
    COUNT(CASE WHEN all_port = 1 THEN 1 END) AS all_ports,
    COUNT(CASE WHEN remote_port = 1 THEN 1 END) AS remote_ports,
    CAST(COALESCE(SUM(CASE WHEN kind = 'start' THEN COALESCE(instance_count, 1) END), 0) AS BIGINT) AS machines,
    COUNT(CASE WHEN gpu = TRUE THEN 1 END) AS accelerated,
    COUNT(CASE WHEN failure <> 'none' THEN 1 END) AS failed,
    MAX(event_epoch) - MIN(event_epoch) AS seconds
  FROM parts
  GROUP BY account_id, region, who, part
),
scored AS (
  SELECT *,
    CASE WHEN starts > 0 OR associations > 0 THEN 25 ELSE 0 END
    + CASE WHEN rules > 0 THEN 10 ELSE 0 END
    + CASE WHEN all_ports > 0 THEN 25 WHEN remote_ports > 0 THEN 20 ELSE 0 END
    + CASE WHEN rules > 0 AND (starts > 0 OR associations > 0) THEN 15 ELSE 0 END
    + CASE WHEN accelerated > 0 THEN 15 ELSE 0 END
    + CASE WHEN machines >= 3 THEN 10 ELSE 0 END
    - CASE WHEN failed = calls THEN 10 ELSE 0 END AS points
  FROM facts
)
SELECT
  CAST(CASE WHEN points > 100 THEN 100 WHEN points < 0 THEN 0 ELSE points END AS DOUBLE) AS score,
  first_seen, last_seen,
  account_id, region, instance_id, principal, key_id, address,
  who, starts, rules, associations, all_ports, remote_ports, machines, accelerated, failed, seconds
FROM scored
WHERE points >= $min_score OR (starts > 0 AND failed = calls)
ORDER BY score DESC, account_id NULLS LAST, region NULLS LAST, instance_id NULLS LAST,
  principal NULLS LAST, key_id NULLS LAST, address NULLS LAST, first_seen
