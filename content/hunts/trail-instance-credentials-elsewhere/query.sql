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
    _source, account_id, region, principal, access_key_id, session_name, session_issuer_arn,
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
calls AS (
  SELECT *,
    ROW_NUMBER() OVER (PARTITION BY account_id, session_name ORDER BY event_epoch, _source) AS nth,
    MIN(event_epoch) OVER (PARTITION BY account_id, session_name, source_ip_address) AS place_since,
    MIN(event_epoch) OVER (PARTITION BY account_id, session_name, agent) AS agent_since
  FROM seen
  WHERE copy = 1
),
homes AS (
  SELECT COALESCE(account_id, '') AS account, session_name, source_ip_address AS home, source_is_public AS home_is_public
  FROM calls
  WHERE nth = 1
),
ways_out AS (
  SELECT DISTINCT account, home FROM homes WHERE home_is_public = TRUE
),
away AS (
  SELECT c.*, h.home
  FROM calls c
  JOIN homes h ON h.account = COALESCE(c.account_id, '') AND h.session_name = c.session_name
  LEFT JOIN ways_out w ON w.account = COALESCE(c.account_id, '') AND w.home = c.source_ip_address
  -- An instance has a public and a private side: the first address of the other kind is no
  -- elsewhere by itself if it is private; a second private address is.
  WHERE c.source_ip_address <> h.home
    AND w.home IS NULL
),
sides AS (
  SELECT COALESCE(account_id, '') AS account, session_name, MIN(place_since) AS private_since
  FROM calls
  WHERE COALESCE(source_is_public, FALSE) = FALSE
  GROUP BY COALESCE(account_id, ''), session_name
),
elsewhere AS (
  SELECT a.*
  FROM away a
  LEFT JOIN sides s ON s.account = COALESCE(a.account_id, '') AND s.session_name = a.session_name
  WHERE a.source_is_public = TRUE OR a.place_since > COALESCE(s.private_since, a.place_since)
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
    COUNT(DISTINCT region) AS regions
  FROM elsewhere
  GROUP BY account_id, session_name, source_ip_address, home, place_since
),
both_sides AS (
  SELECT f.account_id, f.session_name, f.source_ip_address, 1 AS home_active
  FROM facts f
  JOIN calls c
    ON COALESCE(c.account_id, '') = COALESCE(f.account_id, '') AND c.session_name = f.session_name
    AND c.source_ip_address = f.home
    AND c.event_epoch BETWEEN f.place_since AND f.place_since + $overlap * 60
  GROUP BY f.account_id, f.session_name, f.source_ip_address
),
-- One row of the facts is one session at one address, so rows of an address are its sessions.
counted AS (
  SELECT *, COUNT(*) OVER (PARTITION BY account_id, source_ip_address) AS sessions_there FROM facts
),
scored AS (
  SELECT f.*, COALESCE(b.home_active, 0) AS home_active,
    35
    + CASE WHEN b.home_active = 1 THEN 20 ELSE 0 END
    + CASE WHEN f.agent_is_new = 1 THEN 15 ELSE 0 END
    + CASE WHEN f.launches > 0 THEN 20 ELSE 0 END
    + CASE WHEN f.identity_acts > 0 THEN 15 ELSE 0 END
    + CASE WHEN f.denied >= 3 THEN 10 ELSE 0 END
    + CASE WHEN f.sessions_there > 1 THEN 10 ELSE 0 END
    + CASE WHEN f.regions > 1 THEN 10 ELSE 0 END AS points
  FROM counted f
  LEFT JOIN both_sides b
    ON COALESCE(b.account_id, '') = COALESCE(f.account_id, '') AND b.session_name = f.session_name
    AND b.source_ip_address = f.source_ip_address
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
