-- Successful console sign-ins without a proven second factor, one row for an identity and address.
--
-- Score, up to 100:
--   60  the root user; 30 a user; 10 a federated session, whose factor the provider asks for
--  -10  the event does not say whether a factor was used
--   15  failures from the same address before
--   15  the password was made or changed within the time before
--   25  a federation token was made by a key of the same user or session before
--   10  the identity had signed in before, from other addresses only
--   20  launches afterwards, or tries
--   10  keys, users or policies changed afterwards, or tries
WITH seen AS (
  SELECT
    _source, account_id, principal, identity_type, identity_arn, user_name, event_time, event_epoch,
    event_name, event_source, source_ip_address, source_is_address, console_mfa, target_user,
    COALESCE(identity_arn, principal, 'an unknown caller') AS who,
    CASE WHEN COALESCE(error_kind, 'none') = 'none' AND COALESCE(error_message, '') = ''
      AND LOWER(COALESCE(response_elements, '')) NOT LIKE '%failure%' THEN 1 ELSE 0 END AS succeeded,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(event_id, _source) ORDER BY _source) AS copy
  FROM cloudtrail
  WHERE event_name IN (
      'ConsoleLogin', 'CreateLoginProfile', 'UpdateLoginProfile', 'ChangePassword',
      'GetSigninToken', 'GetFederationToken', 'RunInstances', 'RequestSpotInstances',
      'RequestSpotFleet', 'CreateFleet', 'CreateAutoScalingGroup', 'RunTask', 'CreateCluster',
      'CreateNotebookInstance', 'CreateTrainingJob', 'CreateAccessKey', 'CreateUser',
      'AttachUserPolicy', 'PutUserPolicy', 'AttachRolePolicy', 'UpdateAssumeRolePolicy', 'CreateRole')
),
acts AS (SELECT * FROM seen WHERE copy = 1),
-- The place may be NULL: such sign-ins stand together and are shown without an address.
signs AS (
  SELECT *, COALESCE(source_ip_address, '') AS place,
    MIN(event_epoch) OVER (PARTITION BY account_id, who) AS who_since,
    MIN(event_epoch) OVER (PARTITION BY account_id, who, source_ip_address) AS place_since
  FROM acts
  WHERE event_name = 'ConsoleLogin' AND succeeded = 1
),
bare AS (
  SELECT * FROM signs WHERE COALESCE(console_mfa, 'unknown') <> 'Yes'
),
around AS (
  SELECT
    b._source AS sign,
    COUNT(CASE WHEN a.event_name = 'ConsoleLogin' AND a.succeeded = 0 AND a.event_epoch <= b.event_epoch
      AND COALESCE(a.source_ip_address, '') = b.place THEN 1 END) AS failures_before,
    MAX(CASE WHEN a.event_name IN ('CreateLoginProfile', 'UpdateLoginProfile', 'ChangePassword') AND a.succeeded = 1
      AND a.event_epoch <= b.event_epoch AND COALESCE(a.target_user, a.user_name) = b.user_name THEN 1 ELSE 0 END) AS password_changed,
    MAX(CASE WHEN a.event_name IN ('GetSigninToken', 'GetFederationToken') AND a.event_epoch <= b.event_epoch
      AND (COALESCE(a.source_ip_address, '') = b.place OR a.who = b.who) THEN 1 ELSE 0 END) AS token_before,
    COUNT(CASE WHEN a.who = b.who AND a.event_epoch >= b.event_epoch AND a.event_epoch <= b.event_epoch + $after * 60
      AND a.event_name IN ('RunInstances', 'RequestSpotInstances', 'RequestSpotFleet', 'CreateFleet', 'CreateAutoScalingGroup', 'RunTask', 'CreateCluster', 'CreateNotebookInstance', 'CreateTrainingJob') THEN 1 END) AS launches,
    COUNT(CASE WHEN a.who = b.who AND a.event_epoch >= b.event_epoch AND a.event_epoch <= b.event_epoch + $after * 60
      AND a.event_source = 'iam.amazonaws.com' THEN 1 END) AS identity_acts
  FROM bare b
  JOIN acts a
    ON COALESCE(a.account_id, '') = COALESCE(b.account_id, '')
    AND a.event_epoch BETWEEN b.event_epoch - $before * 60 AND b.event_epoch + $after * 60
  GROUP BY b._source
),
facts AS (
  SELECT
    b.account_id, b.who, b.place,
    MIN(b.event_time) AS first_seen,
    MAX(b.event_time) AS last_seen,
    MIN(b.principal) AS principal,
    MIN(CASE WHEN b.source_is_address = TRUE THEN b.source_ip_address END) AS address,
    MIN(COALESCE(b.console_mfa, 'unknown')) AS second_factor,
    MAX(CASE WHEN b.identity_type = 'Root' THEN 60 WHEN b.identity_type IN ('AssumedRole', 'SAMLUser', 'WebIdentityUser', 'FederatedUser') THEN 10 ELSE 30 END) AS base,
    COUNT(*) AS sign_ins,
    MAX(a.failures_before) AS failures_before,
    MAX(a.password_changed) AS password_changed,
    MAX(a.token_before) AS token_before,
    MAX(CASE WHEN b.place_since > b.who_since THEN 1 ELSE 0 END) AS new_address,
    MAX(a.launches) AS launches,
    MAX(a.identity_acts) AS identity_acts
  FROM bare b
  JOIN around a ON a.sign = b._source
  GROUP BY b.account_id, b.who, b.place
),
scored AS (
  SELECT *,
    base
    - CASE WHEN second_factor = 'unknown' THEN 10 ELSE 0 END
    + CASE WHEN failures_before >= $failures THEN 15 ELSE 0 END
    + CASE WHEN password_changed = 1 THEN 15 ELSE 0 END
    + CASE WHEN token_before = 1 THEN 25 ELSE 0 END
    + CASE WHEN new_address = 1 THEN 10 ELSE 0 END
    + CASE WHEN launches > 0 THEN 20 ELSE 0 END
    + CASE WHEN identity_acts > 0 THEN 10 ELSE 0 END AS points
  FROM facts
)
SELECT
  CAST(CASE WHEN points > 100 THEN 100 ELSE points END AS DOUBLE) AS score,
  first_seen, last_seen,
  account_id, principal, address,
  who, place, second_factor, sign_ins, failures_before, password_changed, token_before, new_address,
  launches, identity_acts
FROM scored
WHERE points >= $min_score OR second_factor = 'unknown'
ORDER BY score DESC, account_id NULLS LAST, principal NULLS LAST, address NULLS LAST, first_seen, who
