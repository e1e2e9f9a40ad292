-- Launch calls of one credential, cut into bursts wherever it paused longer than the gap.
-- A long-term key stands for itself; temporary keys of one identity stand together, so that a
-- fresh session for each region does not hide the burst.
--
-- Score, up to 100:
--   10  enough calls, or enough machines asked for
--   25  four regions or more (10 for two or three)
--   15  a quota was hit: whoever owns the account knows his quotas
--   10  calls were denied
--   10  dry runs: somebody tests what a key may do
--   20  accelerators asked for
--   15  more virtual processors than an ordinary run needs
--   10  a long-term key signed, not a role
--   10  launch templates and auto scaling groups beside the launches
WITH seen AS (
  SELECT
    _source, account_id, region, principal, access_key_id, identity_arn, key_kind, event_time,
    event_epoch, event_name, error_kind, instance_types, instance_count, vcpus, gpu, price_per_hour,
    source_ip_address, source_is_address,
    CASE WHEN key_kind = 'long-term' THEN access_key_id
      ELSE COALESCE(identity_arn, principal, 'an unknown caller') END AS who,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(event_id, _source) ORDER BY _source) AS copy
  FROM cloudtrail
  WHERE event_name IN (
      'RunInstances', 'RequestSpotInstances', 'RequestSpotFleet', 'CreateFleet',
      'CreateLaunchTemplate', 'CreateLaunchTemplateVersion', 'CreateLaunchConfiguration',
      'CreateAutoScalingGroup', 'UpdateAutoScalingGroup', 'SetDesiredCapacity')
    AND COALESCE(invoked_by, '') NOT IN ($scalers)
    AND COALESCE(source_ip_address, '') NOT IN ($scalers)
),
steps AS (
  SELECT *,
    CASE WHEN event_epoch - LAG(event_epoch) OVER (
        PARTITION BY account_id, who ORDER BY event_epoch, _source) <= $gap * 60
      THEN 0 ELSE 1 END AS begins
  FROM seen
  WHERE copy = 1
),
bursts AS (
  SELECT *,
    SUM(begins) OVER (
      PARTITION BY account_id, who ORDER BY event_epoch, _source
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS burst
  FROM steps
),
-- Small bursts are most of them and are dropped before anything is counted apart.
large_bursts AS (
  SELECT * FROM (
    SELECT *,
      COUNT(*) OVER (PARTITION BY account_id, who, burst) AS burst_calls,
      SUM(COALESCE(instance_count, 1)) OVER (PARTITION BY account_id, who, burst) AS burst_asked
    FROM bursts
  ) sized
  WHERE burst_calls >= $min_calls OR burst_asked >= $min_asked
),
facts AS (
  SELECT
    account_id, who, burst,
    MIN(event_time) AS first_seen,
    MAX(event_time) AS last_seen,
    CASE WHEN MIN(region) = MAX(region) THEN MIN(region) END AS region,
    CASE WHEN MIN(COALESCE(identity_arn, principal)) = MAX(COALESCE(identity_arn, principal))
      THEN MIN(COALESCE(identity_arn, principal)) ELSE who END AS principal,
    CASE WHEN MIN(access_key_id) = MAX(access_key_id) THEN MIN(access_key_id) END AS key_id,
    CASE WHEN MIN(CASE WHEN source_is_address = TRUE THEN source_ip_address END)
        = MAX(CASE WHEN source_is_address = TRUE THEN source_ip_address END)
      THEN MIN(CASE WHEN source_is_address = TRUE THEN source_ip_address END) END AS address,
    COUNT(*) AS calls,
    COUNT(DISTINCT region) AS regions,
    COUNT(DISTINCT instance_types) AS types,
    COALESCE(MIN(instance_types), 'unknown type') AS one_type,
    CAST(COALESCE(SUM(CASE
      WHEN event_name IN ('CreateLaunchTemplate', 'CreateLaunchTemplateVersion', 'CreateLaunchConfiguration') THEN 0
      ELSE COALESCE(instance_count, 1) END), 0) AS BIGINT) AS asked,
    CAST(COALESCE(SUM(vcpus), 0) AS BIGINT) AS vcpus,
    COUNT(CASE WHEN COALESCE(error_kind, 'none') = 'none' THEN 1 END) AS launched_calls,
    COUNT(CASE WHEN error_kind = 'quota' THEN 1 END) AS quota,
    COUNT(CASE WHEN error_kind = 'denied' THEN 1 END) AS denied,
    COUNT(CASE WHEN error_kind = 'dry-run' THEN 1 END) AS dry_runs,
    COUNT(CASE WHEN gpu = TRUE THEN 1 END) AS accelerated,
    COUNT(CASE WHEN key_kind = 'long-term' THEN 1 END) AS long_term,
    COUNT(CASE WHEN event_name NOT IN ('RunInstances', 'RequestSpotInstances', 'RequestSpotFleet', 'CreateFleet') THEN 1 END) AS templates,
    COUNT(DISTINCT CASE WHEN source_is_address = TRUE THEN source_ip_address END) AS addresses,
    MAX(event_epoch) - MIN(event_epoch) AS seconds,
    -- Millionths of a dollar add up alike in any order, and whole numbers round alike everywhere.
    ROUND(CAST(COALESCE(SUM(CASE WHEN COALESCE(error_kind, 'none') = 'none' THEN ROUND(CAST(price_per_hour AS DOUBLE) * 1000000, 0) END), 0) AS DOUBLE) / 10000, 0) / 100 AS usd_per_hour
  FROM large_bursts
  GROUP BY account_id, who, burst
),
scored AS (
  SELECT *,
    10
    + CASE WHEN regions >= 4 THEN 25 WHEN regions >= 2 THEN 10 ELSE 0 END
    + CASE WHEN quota > 0 THEN 15 ELSE 0 END
    + CASE WHEN denied > 0 THEN 10 ELSE 0 END
    + CASE WHEN dry_runs > 0 THEN 10 ELSE 0 END
    + CASE WHEN accelerated > 0 THEN 20 ELSE 0 END
    + CASE WHEN vcpus >= $large_vcpus THEN 15 ELSE 0 END
    + CASE WHEN long_term > 0 THEN 10 ELSE 0 END
    + CASE WHEN templates > 0 AND templates < calls THEN 10 ELSE 0 END AS points
  FROM facts
  WHERE calls >= $min_calls OR asked >= $min_asked
)
SELECT
  CAST(CASE WHEN points > 100 THEN 100 ELSE points END AS DOUBLE) AS score,
  first_seen, last_seen,
  account_id, region, principal, key_id, address, one_type,
  who, calls, regions, types, asked, vcpus, launched_calls, quota, denied, dry_runs, seconds,
  addresses, usd_per_hour
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id NULLS LAST, region NULLS LAST, principal NULLS LAST,
  key_id NULLS LAST, address NULLS LAST, one_type NULLS LAST, first_seen
