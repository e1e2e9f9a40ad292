-- Each public address of a credential against the credential's own history. A long-term key stands
-- for itself; temporary keys are taken by identity, because they live for hours.
--
-- Score, up to 100:
--   20  the address is new to a credential with a history
--   20  the program is new as well
--   20  launches from there, or tries
--   15  keys, users or policies changed from there, or tries
--   15  three or more calls from there were denied
--   10  the old place was at work in the same hour
--   10  a long-term key, which no expiry ends
WITH seen AS (
  SELECT
    _source, account_id, region, principal, access_key_id, key_kind, event_time, event_epoch,
    event_name, COALESCE(error_kind, 'none') AS failure, source_ip_address, source_is_public,
    event_source, read_only,
    CASE WHEN key_kind = 'long-term' THEN access_key_id ELSE COALESCE(identity_arn, principal) END AS who,
    -- The program without its version: an upgrade is no new program.
    CASE
      WHEN user_agent IS NULL THEN 'an unknown program'
      WHEN user_agent LIKE '%aws-cli/%' THEN 'aws-cli'
      WHEN user_agent LIKE '%Terraform%' THEN 'Terraform'
      WHEN user_agent LIKE '%Boto3/%' THEN 'Boto3'
      WHEN user_agent LIKE '%Botocore/%' THEN 'Botocore'
      WHEN user_agent LIKE 'Mozilla/%' OR user_agent LIKE '%console.amazonaws.com%' THEN 'a browser'
      WHEN user_agent LIKE 'aws-sdk-go%' THEN 'aws-sdk-go'
      WHEN user_agent LIKE 'aws-sdk-%' THEN SUBSTR(user_agent, 1, 12)
      ELSE SUBSTR(user_agent, 1, 12) END AS agent,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(event_id, _source) ORDER BY _source) AS copy
  FROM cloudtrail
  WHERE source_is_address = TRUE
    AND COALESCE(access_key_id, identity_arn) IS NOT NULL
    AND event_name <> 'AssumeRole'
),
dated AS (
  SELECT *,
    MIN(event_epoch) OVER (PARTITION BY account_id, who) AS who_since,
    MIN(event_epoch) OVER (PARTITION BY account_id, who, source_ip_address) AS place_since,
    MIN(event_epoch) OVER (PARTITION BY account_id, who, agent) AS agent_since
  FROM seen
  WHERE copy = 1
),
facts AS (
  SELECT
    account_id, who, source_ip_address, place_since, who_since,
    MIN(event_time) AS first_seen,
    MAX(event_time) AS last_seen,
    MAX(event_epoch) AS place_until,
    CASE WHEN MIN(principal) = MAX(principal) THEN MIN(principal) ELSE who END AS principal,
    CASE WHEN MIN(access_key_id) = MAX(access_key_id) THEN MIN(access_key_id) END AS key_id,
    COALESCE(MIN(CASE WHEN agent_since >= place_since THEN agent END), MIN(agent)) AS agent,
    MAX(CASE WHEN agent_since >= place_since THEN 1 ELSE 0 END) AS agent_is_new,
    COUNT(*) AS calls,
    COUNT(CASE WHEN event_name IN ('RunInstances', 'RequestSpotInstances', 'RequestSpotFleet', 'CreateFleet', 'CreateAutoScalingGroup', 'CreateLaunchTemplate', 'RunTask', 'CreateCluster', 'CreateNotebookInstance', 'CreateTrainingJob', 'CreateInstances') OR event_name LIKE 'CreateFunction%' THEN 1 END) AS launches,
    COUNT(CASE WHEN event_source = 'iam.amazonaws.com' AND COALESCE(read_only, FALSE) = FALSE
      AND event_name NOT LIKE 'Get%' AND event_name NOT LIKE 'List%' THEN 1 END) AS identity_acts,
    COUNT(CASE WHEN failure = 'denied' THEN 1 END) AS denied,
    COUNT(DISTINCT region) AS regions,
    MAX(CASE WHEN key_kind = 'long-term' THEN 1 ELSE 0 END) AS long_term
  FROM dated
  WHERE source_is_public = TRUE
    AND place_since - who_since >= $history * 60
  GROUP BY account_id, who, source_ip_address, place_since, who_since
),
-- A new address alone is a train or a hotel: a new program or an act must join.
suspect AS (
  SELECT * FROM facts
  WHERE agent_is_new = 1 OR launches > 0 OR identity_acts > 0 OR denied >= 3
),
places AS (
  SELECT account_id, who, source_ip_address, place_since
  FROM dated
  GROUP BY account_id, who, source_ip_address, place_since
),
known AS (
  SELECT f.account_id, f.who, f.source_ip_address, COUNT(*) AS known_addresses
  FROM suspect f
  JOIN places p
    ON COALESCE(p.account_id, '') = COALESCE(f.account_id, '') AND p.who = f.who
    AND p.place_since < f.place_since
  GROUP BY f.account_id, f.who, f.source_ip_address
),
around AS (
  SELECT f.account_id, f.who, f.source_ip_address, 1 AS home_active
  FROM suspect f
  JOIN dated d
    ON COALESCE(d.account_id, '') = COALESCE(f.account_id, '') AND d.who = f.who
    AND d.place_since < f.place_since
    AND d.event_epoch BETWEEN f.place_since - $overlap * 60 AND f.place_until + $overlap * 60
  GROUP BY f.account_id, f.who, f.source_ip_address
),
scored AS (
  SELECT f.*, COALESCE(k.known_addresses, 0) AS known_addresses, COALESCE(a.home_active, 0) AS home_active,
    20
    + CASE WHEN f.agent_is_new = 1 THEN 20 ELSE 0 END
    + CASE WHEN f.launches > 0 THEN 20 ELSE 0 END
    + CASE WHEN f.identity_acts > 0 THEN 15 ELSE 0 END
    + CASE WHEN f.denied >= 3 THEN 15 ELSE 0 END
    + CASE WHEN a.home_active = 1 THEN 10 ELSE 0 END
    + CASE WHEN f.long_term = 1 THEN 10 ELSE 0 END AS points
  FROM suspect f
  LEFT JOIN known k
    ON COALESCE(k.account_id, '') = COALESCE(f.account_id, '') AND k.who = f.who
    AND k.source_ip_address = f.source_ip_address
  LEFT JOIN around a
    ON COALESCE(a.account_id, '') = COALESCE(f.account_id, '') AND a.who = f.who
    AND a.source_ip_address = f.source_ip_address
)
SELECT
  CAST(CASE WHEN points > 100 THEN 100 ELSE points END AS DOUBLE) AS score,
  first_seen, last_seen,
  account_id, principal, key_id, source_ip_address AS address,
  who, agent, agent_is_new, known_addresses,
  ROUND(CAST(place_since - who_since AS DOUBLE) / 360, 0) / 10 AS history_hours,
  calls, launches, identity_acts, denied, regions, home_active
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id NULLS LAST, principal NULLS LAST, key_id NULLS LAST,
  address NULLS LAST, first_seen
