-- Probing calls and launches of one credential, cut into sessions wherever it paused longer than
-- the gap. Temporary keys of one identity stand together. Launches count only after the first probe.
--
-- Score, up to 100:
--   8   for each kind of probe, up to 32
--   15  quotas asked in many regions
--   20  dry runs: launches that were never meant to launch
--   15  a quota increase asked for
--   10  probes were denied: somebody does not know what the key may do
--   25  launches followed
--   5   mail quotas as well: keys are sold for mining and for spam
WITH seen AS (
  SELECT
    _source, account_id, region, COALESCE(identity_arn, principal) AS principal, access_key_id, event_time, event_epoch, event_name,
    COALESCE(error_kind, 'none') AS failure, source_ip_address, source_is_address, user_agent,
    CASE WHEN key_kind = 'long-term' THEN access_key_id
      ELSE COALESCE(identity_arn, principal, 'an unknown caller') END AS who,
    CASE
      WHEN error_kind = 'dry-run' THEN 'dry-run'
      WHEN event_name IN ('GetServiceQuota', 'ListServiceQuotas', 'GetAWSDefaultServiceQuota', 'ListAWSDefaultServiceQuotas') THEN 'quota'
      WHEN event_name = 'RequestServiceQuotaIncrease' THEN 'increase'
      WHEN event_name IN ('DescribeRegions', 'ListRegions') THEN 'regions'
      WHEN event_name = 'GetCallerIdentity' THEN 'identity'
      WHEN event_name IN ('GetSendQuota', 'GetAccount', 'ListIdentities') AND event_source = 'ses.amazonaws.com' THEN 'mail'
      WHEN event_name IN ('DescribeAccountAttributes', 'GetAccountSummary', 'ListUsers', 'ListAccessKeys', 'GetAccountAuthorizationDetails') THEN 'account'
      WHEN event_name IN ('DescribeInstanceTypes', 'DescribeInstanceTypeOfferings', 'DescribeSpotPriceHistory', 'GetSpotPlacementScores') THEN 'machines'
      ELSE 'launch' END AS kind,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(event_id, _source) ORDER BY _source) AS copy
  FROM cloudtrail
  WHERE (error_kind = 'dry-run'
      OR event_name IN (
        'GetServiceQuota', 'ListServiceQuotas', 'GetAWSDefaultServiceQuota',
        'ListAWSDefaultServiceQuotas', 'RequestServiceQuotaIncrease', 'DescribeRegions',
        'ListRegions', 'GetCallerIdentity', 'DescribeAccountAttributes', 'GetAccountSummary',
        'ListUsers', 'ListAccessKeys', 'GetAccountAuthorizationDetails', 'DescribeInstanceTypes',
        'DescribeInstanceTypeOfferings', 'DescribeSpotPriceHistory', 'GetSpotPlacementScores',
        'RunInstances', 'RequestSpotInstances', 'RequestSpotFleet', 'CreateFleet',
        'CreateLaunchTemplate', 'CreateAutoScalingGroup', 'RunTask', 'CreateNotebookInstance',
        'CreateTrainingJob', 'CreateFunction20150331')
      OR (event_source = 'ses.amazonaws.com' AND event_name IN ('GetSendQuota', 'GetAccount', 'ListIdentities')))
    AND COALESCE(source_ip_address, '') NOT LIKE '%.amazonaws.com'
    AND COALESCE(invoked_by, '') NOT LIKE '%.amazonaws.com'
),
steps AS (
  SELECT *,
    CASE WHEN event_epoch - LAG(event_epoch) OVER (
        PARTITION BY account_id, who ORDER BY event_epoch, _source) <= $gap * 60
      THEN 0 ELSE 1 END AS begins
  FROM seen
  WHERE copy = 1
),
sessions AS (
  SELECT *,
    SUM(begins) OVER (
      PARTITION BY account_id, who ORDER BY event_epoch, _source
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS part
  FROM steps
),
-- A session of one call, or without a probe, cannot be a survey; most are, so they are dropped
-- before anything is counted apart.
probed AS (
  SELECT * FROM (
    SELECT *,
      COUNT(*) OVER (PARTITION BY account_id, who, part) AS size,
      MIN(CASE WHEN kind <> 'launch' THEN event_epoch END) OVER (PARTITION BY account_id, who, part) AS first_probe
    FROM sessions
  ) sized
  WHERE size > 1 AND first_probe IS NOT NULL
),
facts AS (
  SELECT
    account_id, who, part,
    MIN(event_time) AS first_seen,
    MAX(event_time) AS last_seen,
    CASE WHEN MIN(region) = MAX(region) THEN MIN(region) END AS region,
    CASE WHEN MIN(principal) = MAX(principal) THEN MIN(principal) ELSE who END AS principal,
    CASE WHEN MIN(access_key_id) = MAX(access_key_id) THEN MIN(access_key_id) END AS key_id,
    CASE WHEN MIN(CASE WHEN source_is_address = TRUE THEN source_ip_address END)
        = MAX(CASE WHEN source_is_address = TRUE THEN source_ip_address END)
      THEN MIN(CASE WHEN source_is_address = TRUE THEN source_ip_address END) END AS address,
    MAX(CASE WHEN kind = 'dry-run' THEN 1 ELSE 0 END) + MAX(CASE WHEN kind = 'quota' THEN 1 ELSE 0 END)
      + MAX(CASE WHEN kind = 'increase' THEN 1 ELSE 0 END) + MAX(CASE WHEN kind = 'regions' THEN 1 ELSE 0 END)
      + MAX(CASE WHEN kind = 'identity' THEN 1 ELSE 0 END) + MAX(CASE WHEN kind = 'mail' THEN 1 ELSE 0 END)
      + MAX(CASE WHEN kind = 'account' THEN 1 ELSE 0 END) + MAX(CASE WHEN kind = 'machines' THEN 1 ELSE 0 END) AS kinds,
    COUNT(CASE WHEN kind <> 'launch' THEN 1 END) AS probes,
    COUNT(DISTINCT region) AS regions,
    COUNT(DISTINCT CASE WHEN kind = 'quota' THEN region END) AS quota_regions,
    COUNT(CASE WHEN kind = 'dry-run' THEN 1 END) AS dry_runs,
    COUNT(CASE WHEN kind = 'increase' THEN 1 END) AS increases,
    COUNT(CASE WHEN kind = 'mail' THEN 1 END) AS mail_probes,
    COUNT(CASE WHEN kind <> 'launch' AND failure = 'denied' THEN 1 END) AS denied,
    COUNT(CASE WHEN kind = 'launch' AND event_epoch >= first_probe THEN 1 END) AS launches_after,
    COUNT(CASE WHEN kind = 'launch' AND event_epoch >= first_probe AND failure <> 'none' THEN 1 END) AS launches_failed,
    MAX(event_epoch) - MIN(event_epoch) AS seconds,
    COALESCE(MIN(CASE WHEN kind <> 'launch' THEN user_agent END), 'an unknown program') AS agent
  FROM probed
  GROUP BY account_id, who, part
),
scored AS (
  SELECT *,
    CASE WHEN kinds >= 4 THEN 32 ELSE 8 * kinds END
    + CASE WHEN quota_regions >= $min_quota_regions THEN 15 ELSE 0 END
    + CASE WHEN dry_runs > 0 THEN 20 ELSE 0 END
    + CASE WHEN increases > 0 THEN 15 ELSE 0 END
    + CASE WHEN denied > 0 THEN 10 ELSE 0 END
    + CASE WHEN launches_after > 0 THEN 25 ELSE 0 END
    + CASE WHEN mail_probes > 0 THEN 5 ELSE 0 END AS points
  FROM facts
  WHERE kinds >= $min_kinds OR quota_regions >= $min_quota_regions
    OR (dry_runs > 0 AND launches_after > 0)
)
SELECT
  CAST(CASE WHEN points > 100 THEN 100 ELSE points END AS DOUBLE) AS score,
  first_seen, last_seen,
  account_id, region, principal, key_id, address,
  who, kinds, probes, regions, quota_regions, dry_runs, increases, mail_probes, denied,
  launches_after, launches_failed, seconds, agent
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id NULLS LAST, region NULLS LAST, principal NULLS LAST,
  key_id NULLS LAST, address NULLS LAST, first_seen
