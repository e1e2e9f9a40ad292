-- Keys and passwords made, joined with their later use and with where their owner was before.
-- A key is followed by its id, a password by sign-ins of its user.
--
-- Score, up to 100:
--   30  made for another identity
--   30  used from the maker's own address: one hand holds both (only where it was for another)
--   30  made for oneself and used from an address new to the owner (15 if for another)
--   20  used to launch something, or met denials
--   15  the first such act of this maker, with a day of logs before it
--   10  the user was created by the same maker as well
--  -10  the call failed: intent without effect
WITH seen AS (
  SELECT
    _source, account_id, principal, event_time, event_epoch, event_name, user_name, identity_arn,
    source_ip_address, source_is_address, new_key_id, target_user,
    COALESCE(error_kind, 'none') AS failure,
    COALESCE(user_name, session_issuer_arn, identity_arn, principal, 'an unknown caller') AS maker,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(event_id, _source) ORDER BY _source) AS copy
  FROM cloudtrail
  WHERE event_name IN ('CreateAccessKey', 'CreateLoginProfile', 'UpdateLoginProfile', 'CreateUser')
),
acts AS (
  SELECT *,
    CASE WHEN target_user IS NULL AND user_name IS NULL THEN 0
      WHEN target_user IS NULL OR target_user = user_name THEN 0 ELSE 1 END AS other,
    COALESCE(target_user, user_name) AS owner,
    MIN(event_epoch) OVER (PARTITION BY account_id, maker) AS maker_first
  FROM seen
  WHERE copy = 1
),
made AS (SELECT * FROM acts WHERE event_name <> 'CreateUser'),
users AS (
  SELECT COALESCE(account_id, '') AS account, maker, owner, MIN(event_epoch) AS created
  FROM acts
  WHERE event_name = 'CreateUser' AND failure = 'none'
  GROUP BY COALESCE(account_id, ''), maker, owner
),
begins AS (
  SELECT COALESCE(account_id, '') AS account, MIN(event_epoch) AS log_begins
  FROM cloudtrail
  GROUP BY COALESCE(account_id, '')
),
-- Where each user was, and since when; the least time needs no count of copies.
places AS (
  SELECT *, MIN(since) OVER (PARTITION BY account, user_name) AS known_since
  FROM (
    SELECT COALESCE(account_id, '') AS account, user_name, source_ip_address, MIN(event_epoch) AS since
    FROM cloudtrail
    WHERE source_is_address = TRUE AND user_name IN (SELECT owner FROM made)
    GROUP BY COALESCE(account_id, ''), user_name, source_ip_address
  ) firsts
),
use_rows AS (
  SELECT
    COALESCE(account_id, '') AS account, access_key_id, user_name, event_name, event_epoch, event_time,
    source_ip_address, source_is_address, COALESCE(error_kind, 'none') AS failure,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(event_id, _source) ORDER BY _source) AS copy
  FROM cloudtrail
  WHERE access_key_id IN (SELECT new_key_id FROM made)
    OR (event_name = 'ConsoleLogin' AND user_name IN (SELECT owner FROM made))
),
joined AS (
  SELECT
    m._source AS act_source,
    u.event_epoch, u.event_time, u.event_name, u.failure, u.source_is_address,
    CASE WHEN u.source_is_address = TRUE AND u.source_ip_address = m.source_ip_address THEN 1 ELSE 0 END AS at_maker,
    -- New: the owner came to this address at most the fresh time before the act, and was elsewhere
    -- before. An owner without a history tells nothing.
    CASE WHEN p.since >= m.event_epoch - $fresh * 60 AND p.known_since < p.since THEN 1 ELSE 0 END AS at_new_place
  FROM made m
  JOIN use_rows u
    ON u.copy = 1
    AND u.account = COALESCE(m.account_id, '')
    AND u.event_epoch BETWEEN m.event_epoch AND m.event_epoch + $follow * 60
    AND ((m.event_name = 'CreateAccessKey' AND u.access_key_id = m.new_key_id)
      OR (m.event_name <> 'CreateAccessKey' AND u.event_name = 'ConsoleLogin' AND u.user_name = m.owner))
  LEFT JOIN places p
    ON p.account = COALESCE(m.account_id, '') AND p.user_name = m.owner
    AND p.source_ip_address = u.source_ip_address
),
used AS (
  SELECT
    act_source,
    MAX(event_time) AS last_use,
    COUNT(*) AS uses,
    COUNT(CASE WHEN at_maker = 1 THEN 1 END) AS uses_at_maker,
    COUNT(CASE WHEN at_new_place = 1 THEN 1 END) AS uses_at_new_place,
    COUNT(CASE WHEN event_name IN ('RunInstances', 'RequestSpotInstances', 'RequestSpotFleet', 'CreateFleet', 'CreateAutoScalingGroup', 'RunTask', 'CreateCluster', 'CreateNotebookInstance', 'CreateTrainingJob') THEN 1 END) AS launches_with_it,
    COUNT(CASE WHEN failure = 'denied' THEN 1 END) AS denied_with_it
  FROM joined
  GROUP BY act_source
),
facts AS (
  SELECT
    m.event_time AS first_seen,
    COALESCE(u.last_use, m.event_time) AS last_seen,
    m.account_id, m.principal, m.new_key_id AS made_key,
    CASE WHEN m.source_is_address = TRUE THEN m.source_ip_address END AS address,
    m.event_name AS act, m.maker, COALESCE(m.owner, 'an unknown user') AS target, m.other,
    CASE WHEN m.other = 1 THEN 'another identity' ELSE 'itself' END AS for_another,
    CASE WHEN m.failure <> 'none' THEN 1 ELSE 0 END AS failed,
    COALESCE(u.uses, 0) AS uses,
    COALESCE(u.uses_at_maker, 0) AS uses_at_maker,
    COALESCE(u.uses_at_new_place, 0) AS uses_at_new_place,
    COALESCE(u.launches_with_it, 0) AS launches_with_it,
    COALESCE(u.denied_with_it, 0) AS denied_with_it,
    CASE WHEN c.created <= m.event_epoch THEN 1 ELSE 0 END AS target_made_here,
    CASE WHEN m.maker_first - b.log_begins >= 86400 AND m.event_epoch - m.maker_first <= 86400 THEN 1 ELSE 0 END AS first_such_act
  FROM made m
  JOIN begins b ON b.account = COALESCE(m.account_id, '')
  LEFT JOIN used u ON u.act_source = m._source
  LEFT JOIN users c ON c.account = COALESCE(m.account_id, '') AND c.maker = m.maker AND c.owner = m.owner
),
scored AS (
  SELECT *,
    CASE WHEN other = 1 THEN 30 ELSE 0 END
    + CASE WHEN other = 1 AND uses_at_maker > 0 THEN 30 ELSE 0 END
    + CASE WHEN uses_at_new_place = 0 THEN 0 WHEN other = 1 THEN 15 ELSE 30 END
    + CASE WHEN launches_with_it > 0 OR denied_with_it > 0 THEN 20 ELSE 0 END
    + CASE WHEN first_such_act = 1 THEN 15 ELSE 0 END
    + CASE WHEN target_made_here = 1 AND other = 1 THEN 10 ELSE 0 END
    - CASE WHEN failed = 1 THEN 10 ELSE 0 END AS points
  FROM facts
)
SELECT
  CAST(CASE WHEN points > 100 THEN 100 WHEN points < 0 THEN 0 ELSE points END AS DOUBLE) AS score,
  first_seen, last_seen,
  account_id, principal, made_key, address,
  act, maker, target, for_another, failed, uses, uses_at_maker, uses_at_new_place,
  launches_with_it, denied_with_it, target_made_here, first_such_act
FROM scored
WHERE (points >= $min_score OR failed = 1) AND (other = 1 OR uses_at_new_place > 0)
ORDER BY score DESC, account_id NULLS LAST, principal NULLS LAST, made_key NULLS LAST,
  address NULLS LAST, first_seen, act, target
