-- Each public address of a credential against the credential's own history. A long-term key stands
-- for itself; temporary keys are taken by identity, because they live for hours.
--
-- Score, up to 100:
--   20  the address is new to a credential with a history
--   20  the program is new as well
--   20  launches from there, or tries
--   15  keys, users or policies changed from there, or tries
--   15  three or more calls from there were denied
--   10  another place was at work in the same hour
--   10  a long-term key, which no expiry ends
-- Each event once: S3 delivers some twice, alike in all that is asked here.
WITH calls AS (
  SELECT
    COALESCE(event_id, _source) AS id,
    account_id,
    region,
    principal,
    identity_arn,
    access_key_id,
    source_ip_address,
    user_agent,
    window_epoch,
    MAX(CASE WHEN source_is_public = TRUE THEN 1 ELSE 0 END) AS public_place,
    MAX(CASE WHEN key_kind = 'long-term' THEN 1 ELSE 0 END) AS long_term,
    MIN(event_time) AS event_time,
    MIN(event_epoch) AS event_epoch,
    MAX(CASE WHEN event_name IN ('RunInstances', 'RequestSpotInstances', 'RequestSpotFleet', 'CreateFleet', 'CreateAutoScalingGroup', 'CreateLaunchTemplate', 'RunTask', 'CreateCluster', 'CreateNotebookInstance', 'CreateTrainingJob', 'CreateInstances') OR event_name LIKE 'CreateFunction%' THEN 1 ELSE 0 END) AS launch,
    MAX(CASE WHEN event_source = 'iam.amazonaws.com' AND COALESCE(read_only, FALSE) = FALSE
      AND event_name NOT LIKE 'Get%' AND event_name NOT LIKE 'List%' THEN 1 ELSE 0 END) AS identity_act,
    MAX(CASE WHEN error_kind = 'denied' THEN 1 ELSE 0 END) AS denial
  FROM cloudtrail
  WHERE source_is_address = TRUE
    AND COALESCE(access_key_id, identity_arn) IS NOT NULL
    AND event_name <> 'AssumeRole'
  GROUP BY COALESCE(event_id, _source), account_id, region, principal, identity_arn, access_key_id,
    source_ip_address, user_agent, window_epoch
),
events AS (
  SELECT
    account_id, region, COALESCE(identity_arn, principal) AS principal, source_ip_address, window_epoch, public_place, long_term, event_time,
    event_epoch, launch, identity_act, denial,
    access_key_id AS key_id,
    CASE WHEN long_term = 1 THEN access_key_id ELSE COALESCE(identity_arn, principal) END AS who,
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
      ELSE SUBSTR(user_agent, 1, 12) END AS agent
  FROM calls
),
-- What a credential did from a place with a program within an hour.
spells AS (
  SELECT
    account_id, region, who, source_ip_address, agent,
    MIN(principal) AS first_principal,
    MAX(principal) AS last_principal,
    MIN(key_id) AS first_key,
    MAX(key_id) AS last_key,
    MAX(public_place) AS public_place,
    MAX(long_term) AS long_term,
    MIN(event_time) AS first_seen,
    MAX(event_time) AS last_seen,
    MIN(event_epoch) AS first_epoch,
    MAX(event_epoch) AS last_epoch,
    COUNT(*) AS calls,
    SUM(launch) AS launches,
    SUM(identity_act) AS identity_acts,
    SUM(denial) AS denied
  FROM events
  GROUP BY account_id, region, who, source_ip_address, agent, window_epoch - window_epoch % 3600
),
-- The spells before and after in the credential's own time. No window here looks further than its
-- rows so far, so that none is held whole, however many places a credential has.
turns AS (
  SELECT *,
    MIN(first_epoch) OVER (PARTITION BY account_id, who ORDER BY first_epoch, source_ip_address, agent, region
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS who_since,
    LAG(source_ip_address) OVER (PARTITION BY account_id, who ORDER BY first_epoch, source_ip_address, agent, region) AS prev_address,
    first_epoch - LAG(last_epoch) OVER (PARTITION BY account_id, who ORDER BY first_epoch, source_ip_address, agent, region) AS prev_gap,
    LEAD(source_ip_address) OVER (PARTITION BY account_id, who ORDER BY first_epoch, source_ip_address, agent, region) AS next_address,
    LEAD(first_epoch) OVER (PARTITION BY account_id, who ORDER BY first_epoch, source_ip_address, agent, region) - last_epoch AS next_gap
  FROM spells
),
-- A credential with a program at a place.
pairs AS (
  SELECT
    account_id, region, who, source_ip_address, agent, who_since,
    MIN(first_principal) AS first_principal,
    MAX(last_principal) AS last_principal,
    MIN(first_key) AS first_key,
    MAX(last_key) AS last_key,
    MAX(public_place) AS public_place,
    MAX(long_term) AS long_term,
    MIN(first_seen) AS first_seen,
    MAX(last_seen) AS last_seen,
    MIN(first_epoch) AS first_epoch,
    SUM(calls) AS calls,
    SUM(launches) AS launches,
    SUM(identity_acts) AS identity_acts,
    SUM(denied) AS denied,
    -- Whatever came before a place's first call came from an older place.
    MIN(CASE WHEN prev_address <> source_ip_address AND prev_gap <= $overlap * 60 THEN first_epoch END) AS near_epoch,
    MAX(CASE WHEN prev_address <> source_ip_address AND next_address = prev_address
      AND next_gap <= $overlap * 60 THEN 1 ELSE 0 END) AS came_back
  FROM turns
  GROUP BY account_id, region, who, source_ip_address, agent, who_since
),
dated AS (
  SELECT *,
    MIN(first_epoch) OVER (PARTITION BY account_id, who, source_ip_address ORDER BY first_epoch, agent, region
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS place_since,
    MIN(first_epoch) OVER (PARTITION BY account_id, who, agent ORDER BY first_epoch, source_ip_address, region
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS agent_since
  FROM pairs
),
places AS (
  SELECT
    account_id, who, source_ip_address, place_since, who_since,
    MIN(first_seen) AS first_seen,
    MAX(last_seen) AS last_seen,
    CASE WHEN MIN(first_principal) = MAX(last_principal) THEN MIN(first_principal) ELSE who END AS principal,
    CASE WHEN MIN(first_key) = MAX(last_key) THEN MIN(first_key) END AS key_id,
    COALESCE(MIN(CASE WHEN agent_since >= place_since THEN agent END), MIN(agent)) AS agent,
    MAX(CASE WHEN agent_since >= place_since THEN 1 ELSE 0 END) AS agent_is_new,
    CAST(SUM(calls) AS BIGINT) AS calls,
    CAST(SUM(launches) AS BIGINT) AS launches,
    CAST(SUM(identity_acts) AS BIGINT) AS identity_acts,
    CAST(SUM(denied) AS BIGINT) AS denied,
    COUNT(DISTINCT region) AS regions,
    MAX(public_place) AS public_place,
    MAX(long_term) AS long_term,
    MAX(CASE WHEN near_epoch = place_since OR came_back = 1 THEN 1 ELSE 0 END) AS home_active
  FROM dated
  GROUP BY account_id, who, source_ip_address, place_since, who_since
),
counted AS (
  SELECT *,
    ROW_NUMBER() OVER (PARTITION BY account_id, who ORDER BY place_since, source_ip_address) - 1 AS known_addresses
  FROM places
),
facts AS (
  SELECT * FROM counted
  WHERE public_place = 1
    AND place_since - who_since >= $history * 60
),
scored AS (
  SELECT *,
    20
    + CASE WHEN agent_is_new = 1 THEN 20 ELSE 0 END
    + CASE WHEN launches > 0 THEN 20 ELSE 0 END
    + CASE WHEN identity_acts > 0 THEN 15 ELSE 0 END
    + CASE WHEN denied >= 3 THEN 15 ELSE 0 END
    + CASE WHEN home_active = 1 THEN 10 ELSE 0 END
    + CASE WHEN long_term = 1 THEN 10 ELSE 0 END AS points
  FROM facts
  -- A new address alone is a train or a hotel: a new program or an act must join.
  WHERE agent_is_new = 1 OR launches > 0 OR identity_acts > 0 OR denied >= 3
)
SELECT
  CAST(CASE WHEN points > 100 THEN 100 ELSE points END AS DOUBLE) AS score,
  first_seen, last_seen,
  account_id, principal, key_id, source_ip_address AS address,
  who, agent, agent_is_new, CAST(known_addresses AS BIGINT) AS known_addresses,
  ROUND(CAST(place_since - who_since AS DOUBLE) / 360, 0) / 10 AS history_hours,
  calls, launches, identity_acts, denied, regions, home_active
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id NULLS LAST, principal NULLS LAST, key_id NULLS LAST,
  address NULLS LAST, first_seen
