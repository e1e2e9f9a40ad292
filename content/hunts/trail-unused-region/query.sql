-- The first changing call in each region of an account, and what each caller did around it.
--
-- Score, up to 100:
--   40  machines launched, or tried
--   30  other compute (clusters, functions, notebooks, jobs), or tried
--   15  preparations: key pairs, security groups, networks, templates
--   10  any other change
--   15  a quota was hit or a call denied
--   10  accelerators asked for
--   20  the caller opened three or more new regions
--   10  the logs hold ten times the baseline: the region was unused for long
WITH changes AS (
  SELECT COALESCE(account_id, '') AS account, region AS new_region, MIN(event_epoch) AS first_change
  FROM cloudtrail
  WHERE region IS NOT NULL
    AND COALESCE(event_source, '') NOT IN ($global_services)
    AND COALESCE(source_ip_address, '') NOT LIKE '%.amazonaws.com'
    AND COALESCE(identity_type, '') <> 'AWSService'
    AND COALESCE(event_type, '') <> 'AwsServiceEvent'
    AND CASE WHEN read_only = TRUE THEN 1
      WHEN read_only IS NULL AND (event_name LIKE 'Describe%' OR event_name LIKE 'Get%' OR event_name LIKE 'List%' OR event_name LIKE 'Lookup%') THEN 1
      ELSE 0 END = 0
  GROUP BY COALESCE(account_id, ''), region
),
-- The least of all times needs no count of copies, here and above.
begins AS (
  SELECT COALESCE(account_id, '') AS begun_account, MIN(event_epoch) AS log_begins
  FROM cloudtrail
  GROUP BY COALESCE(account_id, '')
),
opened AS (
  SELECT account, new_region, first_change, first_change - log_begins AS history
  FROM changes
  JOIN begins ON begun_account = account
  WHERE first_change - log_begins >= $baseline * 60
),
-- Copies are looked for only around the first changes, where few rows are left.
seen AS (
  SELECT
    account_id, region, principal, access_key_id, event_time, gpu, history,
    COALESCE(error_kind, 'none') AS failure,
    COALESCE(principal, 'an unknown caller') AS who,
    CASE
      WHEN read_only = TRUE THEN 'read'
      WHEN read_only IS NULL AND (event_name LIKE 'Describe%' OR event_name LIKE 'Get%' OR event_name LIKE 'List%' OR event_name LIKE 'Lookup%') THEN 'read'
      WHEN event_name IN ('RunInstances', 'RequestSpotInstances', 'RequestSpotFleet', 'CreateFleet', 'CreateAutoScalingGroup') THEN 'launch'
      WHEN event_name IN ('CreateCluster', 'RegisterTaskDefinition', 'RunTask', 'CreateService', 'CreateNodegroup', 'CreateNotebookInstance', 'CreateTrainingJob', 'CreateProcessingJob', 'CreateComputeEnvironment', 'SubmitJob', 'CreateInstances', 'CreateContainerService', 'RunJobFlow', 'StartBuild') OR event_name LIKE 'CreateFunction%' THEN 'compute'
      WHEN event_name IN ('CreateKeyPair', 'ImportKeyPair', 'CreateSecurityGroup', 'AuthorizeSecurityGroupIngress', 'CreateVpc', 'CreateDefaultVpc', 'CreateSubnet', 'CreateInternetGateway', 'CreateLaunchTemplate', 'CreateLaunchConfiguration', 'CopyImage', 'RequestServiceQuotaIncrease') THEN 'preparation'
      ELSE 'change' END AS kind,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(event_id, _source) ORDER BY _source) AS copy
  FROM opened
  JOIN cloudtrail
    ON COALESCE(account_id, '') = account
    AND region = new_region
    AND event_epoch BETWEEN first_change - $window * 60 AND first_change + $window * 60
  WHERE COALESCE(event_source, '') NOT IN ($global_services)
    AND COALESCE(source_ip_address, '') NOT LIKE '%.amazonaws.com'
    AND COALESCE(identity_type, '') <> 'AWSService'
    AND COALESCE(event_type, '') <> 'AwsServiceEvent'
),
facts AS (
  SELECT
    account_id, region, who,
    MIN(event_time) AS first_seen,
    MAX(event_time) AS last_seen,
    MIN(principal) AS principal,
    MIN(access_key_id) AS key_id,
    COUNT(CASE WHEN kind <> 'read' THEN 1 END) AS writes,
    COUNT(CASE WHEN kind = 'read' THEN 1 END) AS reads,
    COUNT(CASE WHEN kind = 'launch' THEN 1 END) AS launches,
    COUNT(CASE WHEN kind = 'compute' THEN 1 END) AS other_compute,
    COUNT(CASE WHEN kind = 'preparation' THEN 1 END) AS preparations,
    COUNT(CASE WHEN kind = 'change' THEN 1 END) AS changes,
    COUNT(CASE WHEN kind <> 'read' AND failure <> 'none' THEN 1 END) AS failed,
    COUNT(CASE WHEN failure = 'quota' THEN 1 END) AS quota,
    COUNT(CASE WHEN kind <> 'read' AND failure = 'denied' THEN 1 END) AS denied,
    COUNT(CASE WHEN gpu = TRUE THEN 1 END) AS accelerated,
    MIN(history) AS history
  FROM seen
  WHERE copy = 1
  GROUP BY account_id, region, who
),
counted AS (
  SELECT *, COUNT(*) OVER (PARTITION BY account_id, who) AS new_regions
  FROM facts
  WHERE writes > 0
),
scored AS (
  SELECT *,
    CASE WHEN launches > 0 THEN 40 ELSE 0 END
    + CASE WHEN other_compute > 0 THEN 30 ELSE 0 END
    + CASE WHEN preparations > 0 THEN 15 ELSE 0 END
    + CASE WHEN changes > 0 THEN 10 ELSE 0 END
    + CASE WHEN quota > 0 OR denied > 0 THEN 15 ELSE 0 END
    + CASE WHEN accelerated > 0 THEN 10 ELSE 0 END
    + CASE WHEN new_regions >= 3 THEN 20 ELSE 0 END
    + CASE WHEN history >= $baseline * 600 THEN 10 ELSE 0 END AS points
  FROM counted
)
SELECT
  CAST(CASE WHEN points > 100 THEN 100 ELSE points END AS DOUBLE) AS score,
  first_seen, last_seen,
  account_id, region, principal, key_id,
  who, writes, reads, launches, other_compute, preparations, failed, quota, denied, accelerated,
  new_regions, ROUND(CAST(history AS DOUBLE) / 360, 0) / 10 AS baseline_hours
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id NULLS LAST, region NULLS LAST, principal NULLS LAST,
  key_id NULLS LAST, first_seen
