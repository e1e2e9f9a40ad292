-- Sessions of instance roles (named after the instance) by address. The first address of a session
-- is its home; an address at which any instance began is a way out of the network and no elsewhere.
--
-- Score, up to 100:
--   35  a second address that is nobody's home
--   20  the home was at work at the same time
--   15  another program than at home
--   20  launches from there, or tries
--   15  keys, users or policies changed from there, or tries
--   10  three or more calls from there were denied
--   10  more than one instance's session was used from there
--   10  calls to two or more regions from there
WITH seen AS (
  SELECT
    _source, account_id, region, COALESCE(identity_arn, principal) AS principal, access_key_id, session_name, session_issuer_arn,
    event_time, event_epoch, event_name, event_source, read_only, source_ip_address,
    source_is_public, COALESCE(error_kind, 'none') AS failure,
    CASE
      WHEN user_agent IS NULL THEN ''
      WHEN user_agent LIKE '%aws-cli/%' THEN 'aws-cli'
      WHEN user_agent LIKE '%Boto3/%' THEN 'Boto3'
      WHEN user_agent LIKE '%Botocore/%' THEN 'Botocore'
      ELSE SUBSTR(user_agent, 1, 12) END AS agent,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(event_id, _source) ORDER BY _source) AS copy
  FROM cloudtrail
  WHERE session_name LIKE 'i-%'
    AND source_is_address = TRUE
    AND source_ip_address NOT IN ($own_addresses)
),
homed AS (
  SELECT *,
    FIRST_VALUE(source_ip_address) OVER (PARTITION BY account_id, session_name ORDER BY event_epoch, _source) AS home,
    MIN(event_epoch) OVER (PARTITION BY account_id, session_name, source_ip_address) AS place_since,
    MIN(event_epoch) OVER (PARTITION BY account_id, session_name, agent) AS agent_since
  FROM seen
  WHERE copy = 1
),
calls AS (
  SELECT *,
    MAX(CASE WHEN source_ip_address = home AND source_is_public = TRUE THEN 1 ELSE 0 END)
      OVER (PARTITION BY account_id, source_ip_address) AS way_out,
    MIN(CASE WHEN COALESCE(source_is_public, FALSE) = FALSE THEN place_since END)
      OVER (PARTITION BY account_id, session_name) AS private_since,
    -- The next call from home: the least of those that follow, read backwards.
    MIN(CASE WHEN source_ip_address = home THEN event_epoch END) OVER (
      PARTITION BY account_id, session_name ORDER BY event_epoch DESC NULLS LAST, _source DESC NULLS LAST
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS home_next
  FROM homed
),
-- An instance has a public and a private side: the first private address is its own, a second
-- one is not, and neither is a public address at which no instance began.
elsewhere AS (
  SELECT *
  FROM calls
  WHERE source_ip_address <> home
    AND way_out = 0
    AND (source_is_public = TRUE OR place_since > COALESCE(private_since, place_since))
),
facts AS (
  SELECT
    account_id, session_name, source_ip_address, home, place_since,
    MIN(event_time) AS first_seen,
    MAX(event_time) AS last_seen,
    CASE WHEN MIN(principal) = MAX(principal) THEN MIN(principal) END AS principal,
    CASE WHEN MIN(access_key_id) = MAX(access_key_id) THEN MIN(access_key_id) END AS key_id,
    MIN(session_issuer_arn) AS role,
    MAX(CASE WHEN agent_since >= place_since THEN 1 ELSE 0 END) AS agent_is_new,
    COUNT(*) AS calls,
    COUNT(CASE WHEN event_name IN ('RunInstances', 'RequestSpotInstances', 'RequestSpotFleet', 'CreateFleet', 'CreateAutoScalingGroup', 'RunTask', 'CreateCluster', 'CreateNotebookInstance', 'CreateTrainingJob', 'CreateInstances') OR event_name LIKE 'CreateFunction%' THEN 1 END) AS launches,
    COUNT(CASE WHEN event_source = 'iam.amazonaws.com' AND COALESCE(read_only, FALSE) = FALSE
      AND event_name NOT LIKE 'Get%' AND event_name NOT LIKE 'List%' THEN 1 END) AS identity_acts,
    COUNT(CASE WHEN failure = 'denied' THEN 1 END) AS denied,
    COUNT(DISTINCT region) AS regions,
    MAX(CASE WHEN event_epoch = place_since AND home_next - place_since <= $overlap * 60 THEN 1 ELSE 0 END) AS home_active
  FROM elsewhere
  GROUP BY account_id, session_name, source_ip_address, home, place_since
),
-- One row of the facts is one session at one address, so rows of an address are its sessions.
counted AS (
  SELECT *, COUNT(*) OVER (PARTITION BY account_id, source_ip_address) AS sessions_there FROM facts
),
scored AS (
  SELECT *,
    35
    + CASE WHEN home_active = 1 THEN 20 ELSE 0 END
    + CASE WHEN agent_is_new = 1 THEN 15 ELSE 0 END
    + CASE WHEN launches > 0 THEN 20 ELSE 0 END
    + CASE WHEN identity_acts > 0 THEN 15 ELSE 0 END
    + CASE WHEN denied >= 3 THEN 10 ELSE 0 END
    + CASE WHEN sessions_there > 1 THEN 10 ELSE 0 END
    + CASE WHEN regions > 1 THEN 10 ELSE 0 END AS points
  FROM counted
)
SELECT
  CAST(CASE WHEN points > 100 THEN 100 ELSE points END AS DOUBLE) AS score,
  first_seen, last_seen,
  account_id, session_name AS instance_id, principal, key_id, source_ip_address AS address,
  home, role, agent_is_new, home_active, calls, launches, identity_acts, denied, regions,
  sessions_there
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id NULLS LAST, instance_id NULLS LAST, principal NULLS LAST,
  key_id NULLS LAST, address NULLS LAST, first_seen
