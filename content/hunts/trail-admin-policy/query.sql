-- Acts that give rights of an administrator, one row each, and what AWS does about leaked keys.
--
-- Score, up to 100:
--   95  AWS's quarantine policy taken off (tries too); 90 put on: a key of this user is public
--   50  every action allowed to a user or group; 40 to a role; 35 joined a group of administrators
--   35  a launch policy or rights over identities to a user or group; 25 to a role
--   20  to itself
--   20  the target was made by the same giver within the window
--  -15  the call failed
--  -20  called by a service on somebody's behalf (CloudFormation)
WITH seen AS (
  SELECT
    _source, account_id, principal, access_key_id, user_name, session_issuer_arn, identity_arn,
    event_time, event_epoch, event_name, invoked_by, source_ip_address, source_is_address,
    target_user, target_role, policy_arn, COALESCE(error_kind, 'none') AS failure,
    LOWER(COALESCE(request_parameters, '')) AS request,
    COALESCE(user_name, session_issuer_arn, identity_arn, principal, 'an unknown caller') AS giver,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(event_id, _source) ORDER BY _source) AS copy
  FROM cloudtrail
  WHERE event_name IN (
      'AttachUserPolicy', 'AttachRolePolicy', 'AttachGroupPolicy', 'PutUserPolicy', 'PutRolePolicy',
      'PutGroupPolicy', 'CreatePolicy', 'CreatePolicyVersion', 'AddUserToGroup', 'DetachUserPolicy',
      'DeleteUserPermissionsBoundary', 'DeleteRolePermissionsBoundary', 'CreateUser', 'CreateRole')
),
acts AS (
  SELECT *,
    -- A document stands in the request as text in text, so its quotes are escaped: each of the
    -- marks below may be one character or two.
    CASE
      WHEN COALESCE(policy_arn, '') LIKE '%AWSCompromisedKeyQuarantine%' THEN
        CASE WHEN event_name = 'DetachUserPolicy' THEN 'quarantine lifted' ELSE 'quarantined by AWS' END
      WHEN event_name = 'DetachUserPolicy' THEN 'none'
      WHEN COALESCE(policy_arn, '') = 'arn:aws:iam::aws:policy/AdministratorAccess' THEN 'every action'
      WHEN COALESCE(policy_arn, '') IN ($admin_policies) THEN 'strong rights'
      WHEN event_name LIKE 'Put%Policy' OR event_name LIKE 'CreatePolicy%' THEN
        CASE
          WHEN request NOT LIKE '%allow%' THEN 'none'
          WHEN request LIKE '%action__:__*__%' OR request LIKE '%action__: __*__%' OR request LIKE '%action__ : __*__%'
            OR request LIKE '%action__:[__*__%' OR request LIKE '%action__: [__*__%'
            OR request LIKE '%action_:_*_%' OR request LIKE '%action_: _*_%' OR request LIKE '%action_:[_*_%' OR request LIKE '%action_: [_*_%'
            OR request LIKE '%*:*%' THEN 'every action'
          WHEN request LIKE '%notaction%' THEN 'every action'
          WHEN request LIKE '%iam:*%' OR request LIKE '%ec2:*%' OR request LIKE '%ec2:runinstances%' OR request LIKE '%iam:passrole%' THEN 'strong rights'
          ELSE 'none' END
      WHEN event_name = 'AddUserToGroup' AND request LIKE '%admin%' THEN 'a group of administrators'
      WHEN event_name LIKE 'Delete%PermissionsBoundary' THEN 'strong rights'
      ELSE 'none' END AS what,
    COALESCE(target_user, target_role) AS target_id
  FROM seen
  WHERE copy = 1
),
made AS (
  SELECT COALESCE(account_id, '') AS account, giver, COALESCE(target_user, target_role) AS target_id, MIN(event_epoch) AS created
  FROM acts
  WHERE event_name IN ('CreateUser', 'CreateRole') AND failure = 'none'
  GROUP BY COALESCE(account_id, ''), giver, COALESCE(target_user, target_role)
),
facts AS (
  SELECT
    a.event_time, a.account_id, a.principal, a.access_key_id,
    CASE WHEN a.source_is_address = TRUE THEN a.source_ip_address END AS address,
    a.event_name, a.what, a.giver, COALESCE(a.target_id, 'a policy or group') AS target,
    CASE WHEN a.target_user = a.user_name THEN 1 ELSE 0 END AS to_itself,
    CASE WHEN a.event_epoch BETWEEN m.created AND m.created + $window * 60 THEN 1 ELSE 0 END AS target_made_here,
    CASE WHEN COALESCE(a.invoked_by, '') LIKE '%.amazonaws.com' OR COALESCE(a.source_ip_address, '') LIKE '%.amazonaws.com' THEN 1 ELSE 0 END AS by_service,
    CASE WHEN a.failure <> 'none' THEN 1 ELSE 0 END AS failed,
    CASE WHEN a.event_name LIKE '%Role%' THEN 1 ELSE 0 END AS to_role,
    COALESCE(a.policy_arn, 'an own document') AS policy
  FROM acts a
  LEFT JOIN made m ON m.account = COALESCE(a.account_id, '') AND m.giver = a.giver AND m.target_id = a.target_id
  WHERE a.what <> 'none'
),
scored AS (
  SELECT *,
    CASE
      WHEN what = 'quarantine lifted' THEN 95
      WHEN what = 'quarantined by AWS' THEN 90
      ELSE
        CASE
          WHEN what = 'every action' THEN CASE WHEN to_role = 1 THEN 40 ELSE 50 END
          WHEN what = 'a group of administrators' THEN 35
          ELSE CASE WHEN to_role = 1 THEN 25 ELSE 35 END END
        + CASE WHEN to_itself = 1 THEN 20 ELSE 0 END
        + CASE WHEN target_made_here = 1 THEN 20 ELSE 0 END
        - CASE WHEN failed = 1 THEN 15 ELSE 0 END
        - CASE WHEN by_service = 1 THEN 20 ELSE 0 END
      END AS points
  FROM facts
)
SELECT
  CAST(CASE WHEN points > 100 THEN 100 ELSE points END AS DOUBLE) AS score,
  event_time AS first_seen, event_time AS last_seen,
  account_id, principal, access_key_id AS key_id, address,
  event_name AS act, what, giver, target, to_itself, target_made_here, by_service, failed, policy
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id NULLS LAST, principal NULLS LAST, key_id NULLS LAST,
  address NULLS LAST, first_seen, act, target
