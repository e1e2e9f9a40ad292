-- The first calls for a large or accelerated type in an account, against the types it launched
-- before in the same logs. A list of types (a fleet's choice) is taken as it stands.
--
-- Score, up to 100, halved where the logs hold less history than the baseline:
--   30  the type is large or has accelerators, and new
--   20  it has accelerators
--   15  a quota was hit or a call denied
--   15  the same caller asked for two or more such new types
--   10  ten machines or more asked for
--   10  the account had launched other types before: it has habits to break
WITH seen AS (
  SELECT
    _source, account_id, region, principal, access_key_id, event_time, event_epoch,
    COALESCE(error_kind, 'none') AS failure, instance_types, instance_ids, instance_count, vcpus,
    gpu, price_per_hour,
    COALESCE(principal, 'an unknown caller') AS who,
    CASE
      WHEN gpu = TRUE THEN 1
      WHEN vcpus >= $large_vcpus * COALESCE(NULLIF(instance_count, 0), 1) THEN 1
      -- A type that is not in the table: two figures before xlarge (12xlarge, 48xlarge) or bare metal.
      WHEN vcpus IS NULL AND (instance_types LIKE '%.metal%' OR instance_types LIKE '%.__xlarge%' OR instance_types LIKE '%.___xlarge%') THEN 1
      ELSE 0 END AS large,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(event_id, _source) ORDER BY _source) AS copy
  FROM cloudtrail
  WHERE event_name IN (
      'RunInstances', 'RequestSpotInstances', 'RequestSpotFleet', 'CreateFleet',
      'CreateLaunchTemplate', 'CreateLaunchConfiguration')
    AND instance_types IS NOT NULL
),
-- The least of all times needs no count of copies, so the whole log may be read as it lies.
begins AS (
  SELECT COALESCE(account_id, '') AS account, MIN(event_epoch) AS log_begins
  FROM cloudtrail
  GROUP BY COALESCE(account_id, '')
),
histories AS (
  SELECT *,
    MIN(event_epoch) OVER (PARTITION BY account_id, instance_types) AS type_first,
    MIN(CASE WHEN failure = 'none' THEN event_epoch END) OVER (PARTITION BY account_id, instance_types) AS type_launched
  FROM seen
  WHERE copy = 1
),
news AS (
  SELECT h.*, b.log_begins, h.type_first - b.log_begins AS history
  FROM histories h
  JOIN begins b ON b.account = COALESCE(h.account_id, '')
  WHERE h.large = 1
    AND h.event_epoch <= COALESCE(h.type_launched, h.event_epoch) + $window * 60
),
earlier AS (
  SELECT n.account_id, n.instance_types, COUNT(DISTINCT h.instance_types) AS earlier_types
  FROM (SELECT DISTINCT account_id, instance_types, type_first FROM news) n
  JOIN histories h
    ON COALESCE(h.account_id, '') = COALESCE(n.account_id, '')
    AND h.type_launched < n.type_first
  GROUP BY n.account_id, n.instance_types
),
facts AS (
  SELECT
    n.account_id, n.who, n.instance_types,
    MIN(n.event_time) AS first_seen,
    MAX(n.event_time) AS last_seen,
    CASE WHEN MIN(n.region) = MAX(n.region) THEN MIN(n.region) END AS region,
    MIN(n.principal) AS principal,
    MIN(n.access_key_id) AS key_id,
    CASE WHEN MIN(n.instance_ids) = MAX(n.instance_ids) AND MIN(n.instance_ids) NOT LIKE '%,%' THEN MIN(n.instance_ids) END AS instance_id,
    COUNT(*) AS calls,
    COUNT(CASE WHEN n.failure <> 'none' THEN 1 END) AS failed,
    COUNT(CASE WHEN n.failure = 'quota' THEN 1 END) AS quota,
    COUNT(CASE WHEN n.failure = 'denied' THEN 1 END) AS denied,
    CAST(COALESCE(SUM(COALESCE(n.instance_count, 1)), 0) AS BIGINT) AS asked,
    CAST(COALESCE(SUM(n.vcpus), 0) AS BIGINT) AS vcpus,
    MAX(CASE WHEN n.gpu = TRUE THEN 1 ELSE 0 END) AS accelerated,
    COALESCE(MAX(e.earlier_types), 0) AS earlier_types,
    MIN(n.history) AS history,
    -- Millionths of a dollar add up alike in any order, and whole numbers round alike everywhere.
    ROUND(CAST(COALESCE(SUM(CASE WHEN n.failure = 'none' THEN ROUND(CAST(n.price_per_hour AS DOUBLE) * 1000000, 0) END), 0) AS DOUBLE) / 10000, 0) / 100 AS usd_per_hour
  FROM news n
  LEFT JOIN earlier e
    ON COALESCE(e.account_id, '') = COALESCE(n.account_id, '') AND e.instance_types = n.instance_types
  GROUP BY n.account_id, n.who, n.instance_types
),
counted AS (
  SELECT *, COUNT(*) OVER (PARTITION BY account_id, who) AS new_types
  FROM facts
),
scored AS (
  SELECT *,
    (30
    + CASE WHEN accelerated = 1 THEN 20 ELSE 0 END
    + CASE WHEN quota > 0 OR denied > 0 THEN 15 ELSE 0 END
    + CASE WHEN new_types >= 2 THEN 15 ELSE 0 END
    + CASE WHEN asked >= 10 THEN 10 ELSE 0 END
    + CASE WHEN earlier_types > 0 THEN 10 ELSE 0 END)
    * CASE WHEN history >= $baseline * 60 THEN 2 ELSE 1 END AS doubled
  FROM counted
)
SELECT
  CAST(doubled AS DOUBLE) / 2 AS score,
  first_seen, last_seen,
  account_id, region, principal, key_id, instance_types AS one_type, instance_id,
  who, calls, failed, quota, denied, asked, vcpus, accelerated, new_types, earlier_types,
  ROUND(CAST(history AS DOUBLE) / 360, 0) / 10 AS baseline_hours, usd_per_hour
FROM scored
WHERE CAST(doubled AS DOUBLE) / 2 >= $min_score
ORDER BY score DESC, account_id NULLS LAST, region NULLS LAST, principal NULLS LAST,
  key_id NULLS LAST, one_type NULLS LAST, instance_id NULLS LAST, first_seen
