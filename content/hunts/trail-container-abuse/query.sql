-- First uses of other compute services, one row for a caller and service.
--
-- Score, up to 100, halved where the logs hold less history than the baseline:
--   15  a caller's first use of the service
--   10  the caller was active before (it changed its habits)
--   15  the account never used the service before
--   10  for each further kind of step of the chain, up to 20
--   15  two or more regions
--   15  a quota was hit or a call denied
--   15  accelerators asked for
--   15  an image from outside the account's registries
--   40  words of miners in the request
WITH seen AS (
  SELECT
    _source, account_id, region, principal, access_key_id, event_time, event_epoch, event_name,
    event_source, COALESCE(error_kind, 'none') AS failure, gpu, source_ip_address, source_is_address,
    LOWER(COALESCE(request_parameters, '')) AS request,
    CASE WHEN key_kind = 'long-term' THEN access_key_id
      ELSE COALESCE(session_issuer_arn, identity_arn, principal, 'an unknown caller') END AS who,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(event_id, _source) ORDER BY _source) AS copy
  FROM cloudtrail
  WHERE (
      (event_source = 'ecs.amazonaws.com' AND event_name IN ('CreateCluster', 'RegisterTaskDefinition', 'RunTask', 'StartTask', 'CreateService', 'UpdateService'))
      OR (event_source = 'eks.amazonaws.com' AND event_name IN ('CreateCluster', 'CreateNodegroup', 'UpdateNodegroupConfig', 'CreateFargateProfile'))
      OR (event_source = 'lambda.amazonaws.com' AND (event_name LIKE 'CreateFunction%' OR event_name LIKE 'UpdateFunctionCode%' OR event_name LIKE 'AddPermission%'))
      OR (event_source = 'sagemaker.amazonaws.com' AND event_name IN ('CreateNotebookInstance', 'StartNotebookInstance', 'CreateNotebookInstanceLifecycleConfig', 'CreateTrainingJob', 'CreateProcessingJob', 'CreateHyperParameterTuningJob', 'CreateDomain', 'CreateSpace', 'CreateApp', 'CreateEndpoint'))
      OR (event_source = 'batch.amazonaws.com' AND event_name IN ('CreateComputeEnvironment', 'CreateJobQueue', 'RegisterJobDefinition', 'SubmitJob'))
      OR (event_source = 'lightsail.amazonaws.com' AND event_name IN ('CreateInstances', 'CreateInstancesFromSnapshot', 'CreateContainerService', 'CreateContainerServiceDeployment'))
      OR (event_source = 'codebuild.amazonaws.com' AND event_name IN ('CreateProject', 'StartBuild', 'StartBuildBatch'))
      OR (event_source = 'amplify.amazonaws.com' AND event_name IN ('CreateApp', 'CreateBranch', 'StartJob'))
      OR (event_source = 'apprunner.amazonaws.com' AND event_name = 'CreateService')
      OR (event_source = 'elasticmapreduce.amazonaws.com' AND event_name IN ('RunJobFlow', 'AddInstanceGroups'))
    )
    AND (COALESCE(source_ip_address, '') NOT LIKE '%.amazonaws.com' OR source_ip_address = 'cloudformation.amazonaws.com')
),
-- Callers and accounts since when; the least of all times needs no count of copies.
callers AS (
  SELECT COALESCE(account_id, '') AS account,
    CASE WHEN key_kind = 'long-term' THEN access_key_id
      ELSE COALESCE(session_issuer_arn, identity_arn, principal, 'an unknown caller') END AS who,
    MIN(event_epoch) AS who_since
  FROM cloudtrail
  GROUP BY COALESCE(account_id, ''), CASE WHEN key_kind = 'long-term' THEN access_key_id
      ELSE COALESCE(session_issuer_arn, identity_arn, principal, 'an unknown caller') END
),
begins AS (
  SELECT account, MIN(who_since) AS log_begins FROM callers GROUP BY account
),
dated AS (
  SELECT *,
    MIN(event_epoch) OVER (PARTITION BY account_id, who, event_source) AS first_use,
    MIN(CASE WHEN failure = 'none' THEN event_epoch END) OVER (PARTITION BY account_id, who, event_source) AS first_made,
    MIN(event_epoch) OVER (PARTITION BY account_id, event_source) AS service_since
  FROM seen
  WHERE copy = 1
),
facts AS (
  SELECT
    d.account_id, d.who, d.event_source, d.first_use,
    MIN(d.event_time) AS first_seen,
    MAX(d.event_time) AS last_seen,
    CASE WHEN MIN(d.region) = MAX(d.region) THEN MIN(d.region) END AS region,
    CASE WHEN MIN(d.principal) = MAX(d.principal) THEN MIN(d.principal) ELSE d.who END AS principal,
    CASE WHEN MIN(d.access_key_id) = MAX(d.access_key_id) THEN MIN(d.access_key_id) END AS key_id,
    CASE WHEN MIN(CASE WHEN d.source_is_address = TRUE THEN d.source_ip_address END)
        = MAX(CASE WHEN d.source_is_address = TRUE THEN d.source_ip_address END)
      THEN MIN(CASE WHEN d.source_is_address = TRUE THEN d.source_ip_address END) END AS address,
    COUNT(*) AS calls,
    COUNT(DISTINCT d.event_name) AS steps,
    COUNT(DISTINCT d.region) AS regions,
    COUNT(CASE WHEN d.failure <> 'none' THEN 1 END) AS failed,
    COUNT(CASE WHEN d.failure = 'quota' THEN 1 END) AS quota,
    COUNT(CASE WHEN d.failure = 'denied' THEN 1 END) AS denied,
    MAX(CASE WHEN d.gpu = TRUE OR d.request LIKE '%"ml.p%' OR d.request LIKE '%"ml.g%' OR d.request LIKE '%"type":"gpu"%' THEN 1 ELSE 0 END) AS accelerated,
    MAX(CASE WHEN d.request LIKE '%"image%' AND d.request NOT LIKE '%.dkr.ecr.%' AND d.request NOT LIKE '%amazonaws.com/%' AND d.request NOT LIKE '%"aws/%' THEN 1 ELSE 0 END) AS foreign_image,
    MAX(CASE WHEN d.request LIKE '%xmrig%' OR d.request LIKE '%stratum+%' OR d.request LIKE '%minerd%' OR d.request LIKE '%cpuminer%' OR d.request LIKE '%cryptonight%' OR d.request LIKE '%randomx%' OR d.request LIKE '%srbminer%' OR d.request LIKE '%nbminer%' OR d.request LIKE '%donate-level%' THEN 1 ELSE 0 END) AS mining_words,
    MAX(CASE WHEN d.first_use - c.who_since >= $baseline * 60 THEN 1 ELSE 0 END) AS caller_is_old,
    MAX(CASE WHEN d.service_since >= d.first_use THEN 1 ELSE 0 END) AS service_is_new,
    MAX(d.first_use - b.log_begins) AS history
  FROM dated d
  JOIN begins b ON b.account = COALESCE(d.account_id, '')
  JOIN callers c ON c.account = COALESCE(d.account_id, '') AND c.who = d.who
  WHERE d.event_epoch <= COALESCE(d.first_made, d.event_epoch) + $window * 60
  GROUP BY d.account_id, d.who, d.event_source, d.first_use
),
scored AS (
  SELECT *,
    (15
    + CASE WHEN caller_is_old = 1 THEN 10 ELSE 0 END
    + CASE WHEN service_is_new = 1 THEN 15 ELSE 0 END
    + CASE WHEN steps >= 3 THEN 20 ELSE 10 * (steps - 1) END
    + CASE WHEN regions >= 2 THEN 15 ELSE 0 END
    + CASE WHEN quota > 0 OR denied > 0 THEN 15 ELSE 0 END
    + CASE WHEN accelerated = 1 THEN 15 ELSE 0 END
    + CASE WHEN foreign_image = 1 THEN 15 ELSE 0 END
    + CASE WHEN mining_words = 1 THEN 40 ELSE 0 END)
    * CASE WHEN history >= $baseline * 60 THEN 2 ELSE 1 END AS doubled
  FROM facts
)
SELECT
  CAST(CASE WHEN doubled > 200 THEN 200 ELSE doubled END AS DOUBLE) / 2 AS score,
  first_seen, last_seen,
  account_id, region, principal, key_id, address,
  who, event_source AS service, calls, steps, regions, failed, quota, denied, accelerated,
  foreign_image, mining_words, caller_is_old, service_is_new,
  ROUND(CAST(history AS DOUBLE) / 360, 0) / 10 AS baseline_hours
FROM scored
WHERE CAST(doubled AS DOUBLE) / 2 >= $min_score
ORDER BY score DESC, account_id NULLS LAST, region NULLS LAST, principal NULLS LAST,
  key_id NULLS LAST, address NULLS LAST, first_seen, service
