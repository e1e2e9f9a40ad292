-- Hours and dollars of every machine from its launch (or start) to its stop or end.
--
-- Score, up to 100:
--   up to 60  the dollars, as a share of usd_full
--   20        machines are still running
--   20        accelerators
--   10 for a row without any price, so that it is seen
--
-- The ids of a call stand in one text, comma-joined. All ids of one kind of call have one length
-- (i- and 17 digits, or 8 in old accounts), so the n-th id is cut out by its place; a list that
-- mixes both lengths would be cut wrongly, and no launch answers with such a list.
WITH digits AS (
  SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4
  UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9
),
seen AS (
  SELECT
    _source, account_id, region, principal, event_time, event_epoch, event_name, instance_ids,
    instance_types, instance_count, gpu, price_per_hour,
    COALESCE(principal, 'an unknown caller') AS who,
    CASE WHEN event_name IN ('RunInstances', 'StartInstances') THEN 1 ELSE 0 END AS runs,
    CASE WHEN LENGTH(instance_ids) = 10 OR SUBSTR(instance_ids, 11, 1) = ',' THEN 11 ELSE 20 END AS stride,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(event_id, _source) ORDER BY _source) AS copy
  FROM cloudtrail
  WHERE event_name IN ('RunInstances', 'StartInstances', 'StopInstances', 'TerminateInstances', 'BidEvictedEvent')
    AND COALESCE(error_kind, 'none') = 'none'
    AND instance_ids IS NOT NULL
),
-- The last event of an account is the end of what is known; no count of copies is needed.
ends AS (
  SELECT COALESCE(account_id, '') AS account, MAX(event_epoch) AS log_end, MAX(event_time) AS log_end_time
  FROM cloudtrail
  GROUP BY COALESCE(account_id, '')
),
-- One call starts or ends at most a thousand machines: hundreds, tens and ones of their numbers. Most
-- have one, so that each join keeps few rows.
machines AS (
  SELECT s.*,
    SUBSTR(s.instance_ids, (100 * h.d + 10 * t.d + o.d) * s.stride + 1, s.stride - 1) AS machine
  FROM seen s
  JOIN digits h ON 100 * h.d * s.stride < LENGTH(s.instance_ids)
  JOIN digits t ON (100 * h.d + 10 * t.d) * s.stride < LENGTH(s.instance_ids)
  JOIN digits o ON (100 * h.d + 10 * t.d + o.d) * s.stride < LENGTH(s.instance_ids)
  WHERE s.copy = 1
),
-- A machine that is started again keeps the type, price and launcher of its launch.
known AS (
  SELECT *,
    MAX(CASE WHEN event_name = 'RunInstances' THEN instance_types END) OVER (PARTITION BY account_id, region, machine) AS type_known,
    MAX(CASE WHEN event_name = 'RunInstances' THEN CAST(price_per_hour AS DOUBLE) / NULLIF(COALESCE(NULLIF(instance_count, 0), 1), 0) END) OVER (PARTITION BY account_id, region, machine) AS price,
    MAX(CASE WHEN event_name = 'RunInstances' AND gpu = TRUE THEN 1 ELSE 0 END) OVER (PARTITION BY account_id, region, machine) AS accelerator,
    MAX(CASE WHEN event_name = 'RunInstances' THEN principal END) OVER (PARTITION BY account_id, region, machine) AS launcher,
    MAX(CASE WHEN event_name = 'RunInstances' THEN 1 ELSE 0 END) OVER (PARTITION BY account_id, region, machine) AS launch_known,
    LEAD(event_epoch) OVER (PARTITION BY account_id, region, machine ORDER BY event_epoch, runs, _source) AS next_epoch,
    LEAD(event_time) OVER (PARTITION BY account_id, region, machine ORDER BY event_epoch, runs, _source) AS next_time
  FROM machines
),
spans AS (
  SELECT
    k.account_id, k.region, k.machine, k.type_known, k.price, k.accelerator,
    CASE WHEN k.launch_known = 1 THEN k.launcher ELSE k.principal END AS principal,
    k.event_time AS begun,
    COALESCE(k.next_time, e.log_end_time) AS ended,
    COALESCE(k.next_epoch, e.log_end) - k.event_epoch AS seconds,
    CASE WHEN k.next_epoch IS NULL THEN 1 ELSE 0 END AS running
  FROM known k
  JOIN ends e ON e.account = COALESCE(k.account_id, '')
  WHERE k.runs = 1
),
-- Money is added in whole millionths of a dollar, which add up alike in any order, and only whole
-- numbers are rounded, which every engine rounds alike.
by_machine AS (
  SELECT
    account_id, region, principal, type_known, machine,
    MIN(begun) AS begun,
    MAX(ended) AS ended,
    MAX(running) AS running,
    MAX(accelerator) AS accelerator,
    MAX(price) AS price,
    CAST(SUM(seconds) AS BIGINT) AS seconds,
    SUM(ROUND(CAST(seconds AS DOUBLE) * ROUND(CAST(price AS DOUBLE) * 1000000, 0) / 3600, 0)) AS micros,
    MAX(CASE WHEN running = 1 THEN ROUND(CAST(price AS DOUBLE) * 1000000, 0) END) AS micros_per_hour
  FROM spans
  GROUP BY account_id, region, principal, type_known, machine
),
facts AS (
  SELECT
    account_id, region, principal, type_known AS instance_type,
    MIN(begun) AS first_seen,
    MAX(ended) AS last_seen,
    COUNT(*) AS machines,
    COUNT(CASE WHEN running = 1 THEN 1 END) AS still_running,
    COUNT(CASE WHEN price IS NULL THEN 1 END) AS unpriced,
    ROUND(CAST(SUM(seconds) AS DOUBLE) / 36, 0) / 100 AS hours,
    ROUND(CAST(SUM(micros) AS DOUBLE) / 10000, 0) / 100 AS usd,
    ROUND(CAST(COALESCE(SUM(micros_per_hour), 0) AS DOUBLE) / 10000, 0) / 100 AS usd_per_hour_now,
    MAX(accelerator) AS accelerated
  FROM by_machine
  GROUP BY account_id, region, principal, type_known
),
scored AS (
  SELECT *,
    CASE WHEN usd IS NULL THEN CAST(10 AS DOUBLE)
      WHEN usd >= CAST($usd_full AS DOUBLE) THEN CAST(60 AS DOUBLE)
      ELSE CAST(usd AS DOUBLE) / NULLIF(CAST($usd_full AS DOUBLE), 0) * 60 END
    + CASE WHEN still_running > 0 THEN 20 ELSE 0 END
    + CASE WHEN accelerated = 1 THEN 20 ELSE 0 END AS points
  FROM facts
)
SELECT
  ROUND(CAST(points AS DOUBLE) * 10, 0) / 10 AS score,
  first_seen, last_seen,
  account_id, region, principal, instance_type,
  COALESCE(principal, 'an unknown caller') AS who,
  COALESCE(instance_type, 'machines of unknown type') AS type_name,
  COALESCE(region, 'an unknown region') AS region_text,
  machines, still_running, unpriced, hours, usd, usd_per_hour_now, accelerated
FROM scored
WHERE usd IS NULL OR usd >= CAST($min_usd AS DOUBLE) OR still_running > 0
ORDER BY score DESC, account_id NULLS LAST, region NULLS LAST, principal NULLS LAST,
  instance_type NULLS LAST, first_seen
