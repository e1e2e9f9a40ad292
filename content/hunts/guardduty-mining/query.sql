-- The score, 0 to 100:
--   up to 70  GuardDuty's own severity, times 7
--   10  counted more than once
--   10  last seen within `recent` minutes of the newest finding
--   10  not archived
WITH deliveries AS (
  SELECT
    guardduty.*,
    COALESCE(id, arn, _source) AS finding_id,
    ROW_NUMBER() OVER (
      PARTITION BY COALESCE(id, arn, _source)
      ORDER BY updated_epoch DESC NULLS LAST, count DESC NULLS LAST, _source
    ) AS newest,
    MIN(first_seen) OVER (PARTITION BY COALESCE(id, arn, _source)) AS earliest_seen,
    MAX(last_seen) OVER (PARTITION BY COALESCE(id, arn, _source)) AS latest_seen,
    MAX(last_epoch) OVER (PARTITION BY COALESCE(id, arn, _source)) AS latest_epoch,
    MAX(COALESCE(last_epoch, updated_epoch)) OVER () AS log_end
  FROM guardduty
),
findings AS (
  SELECT deliveries.*
  FROM deliveries
  WHERE newest = 1
    AND COALESCE(sample, FALSE) = FALSE
    AND (COALESCE(is_mining, FALSE) = TRUE OR COALESCE(behaviour, '') IN ($also_behaviours))
)
SELECT
  ROUND(
    7 * COALESCE(severity, CAST(0 AS DOUBLE))
      + CASE WHEN count > 1 THEN 10 ELSE 0 END
      + CASE WHEN log_end - latest_epoch <= $recent * 60 THEN 10 ELSE 0 END
      + CASE WHEN COALESCE(archived, FALSE) = FALSE THEN 10 ELSE 0 END,
    1
  ) AS score,
  COALESCE(earliest_seen, created_at) AS first_seen,
  COALESCE(latest_seen, updated_at) AS last_seen,
  account_id,
  region,
  type,
  instance_id,
  "cluster",
  workload,
  function,
  access_key_id,
  user_name,
  finding_id,
  severity,
  count,
  archived,
  instance_ids,
  pod,
  task_arn,
  domains,
  remote_addresses,
  process_path
FROM findings
ORDER BY score DESC, account_id, region, type, instance_id, "cluster", workload, function, access_key_id,
  user_name, finding_id
