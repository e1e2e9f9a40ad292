-- The score, 0 to 100:
--   up to 50  GuardDuty's own severity, times 5
--   20  about mining, a stolen credential or an attack sequence
--   15  counted ten times or more
--   15  three times min_age_hours old or more
WITH deliveries AS (
  SELECT
    guardduty.*,
    COALESCE(id, arn, _source) AS finding_id,
    ROW_NUMBER() OVER (
      PARTITION BY COALESCE(id, arn, _source)
      ORDER BY updated_epoch DESC NULLS LAST, count DESC NULLS LAST, _source
    ) AS newest,
    MIN(COALESCE(first_epoch, created_epoch)) OVER (PARTITION BY COALESCE(id, arn, _source))
      AS begin_epoch,
    MAX(COALESCE(last_epoch, updated_epoch)) OVER (PARTITION BY COALESCE(id, arn, _source))
      AS until_epoch,
    MIN(COALESCE(first_seen, created_at)) OVER (PARTITION BY COALESCE(id, arn, _source))
      AS begin_at,
    MAX(COALESCE(last_seen, updated_at)) OVER (PARTITION BY COALESCE(id, arn, _source))
      AS until_at,
    MAX(COALESCE(last_epoch, updated_epoch)) OVER () AS log_end
  FROM guardduty
),
findings AS (
  SELECT deliveries.*
  FROM deliveries
  WHERE newest = 1
    AND COALESCE(sample, FALSE) = FALSE
    AND COALESCE(archived, FALSE) = FALSE
    AND log_end - begin_epoch >= $min_age_hours * 3600
    AND log_end - until_epoch <= $counting_within_hours * 3600
    AND (COALESCE(count, 1) > 1 OR until_epoch > begin_epoch)
)
SELECT
  ROUND(
    5 * COALESCE(severity, CAST(0 AS DOUBLE))
      + CASE
          WHEN COALESCE(is_mining, FALSE) = TRUE THEN 20
          WHEN behaviour IN ('stolen-credential', 'attack-sequence') THEN 20
          ELSE 0
        END
      + CASE WHEN count >= 10 THEN 15 ELSE 0 END
      + CASE WHEN log_end - begin_epoch >= 3 * $min_age_hours * 3600 THEN 15 ELSE 0 END,
    1
  ) AS score,
  begin_at AS first_seen,
  until_at AS last_seen,
  account_id,
  region,
  type,
  instance_id,
  workload,
  function,
  access_key_id,
  finding_id,
  severity,
  count,
  ROUND(CAST(log_end - begin_epoch AS DOUBLE) / 3600, 1) AS age_hours,
  ROUND(CAST(until_epoch - begin_epoch AS DOUBLE) / 3600, 1) AS hours_counting,
  behaviour,
  title
FROM findings
ORDER BY score DESC, account_id, region, type, instance_id, workload, function, access_key_id, finding_id
