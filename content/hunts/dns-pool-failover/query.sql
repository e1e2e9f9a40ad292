-- The score, 0 to 100:
--   30  min_pools or more different pools. Without it there is no row
--   30  min_changes or more changes from one to another
--   25  min_pools of them are on a list; 10 where only one is
--   15  three or more five-minute windows
WITH named AS (
  SELECT
    account_id,
    region,
    instance_id,
    srcaddr,
    srcport,
    _source,
    query_timestamp,
    query_epoch,
    window_epoch,
    indicator_domain,
    CASE
      WHEN indicator_domain IS NOT NULL THEN indicator_domain
      WHEN name LIKE '%.ntp.org' OR name LIKE 'ntp.%' THEN NULL
      WHEN name LIKE 'pool.%'
        OR name LIKE '%.pool.%'
        OR name LIKE '%-pool.%'
        OR name LIKE '%xmr%'
        OR name LIKE '%monero%'
        OR name LIKE '%stratum%' THEN name
    END AS pool
  FROM dns_query
),
turns AS (
  SELECT
    named.*,
    LAG(pool) OVER (
      PARTITION BY account_id, region, instance_id, srcaddr
      ORDER BY query_epoch, _source
    ) AS pool_before
  FROM named
  WHERE pool IS NOT NULL
),
sources AS (
  SELECT
    account_id,
    region,
    instance_id,
    srcaddr,
    MIN(query_timestamp) AS first_seen,
    MAX(query_timestamp) AS last_seen,
    COUNT(DISTINCT pool) AS pools,
    COUNT(DISTINCT indicator_domain) AS known_pools,
    CAST(SUM(CASE WHEN pool <> pool_before THEN 1 ELSE 0 END) AS BIGINT) AS changes,
    COUNT(DISTINCT window_epoch) AS windows,
    COUNT(*) AS queries,
    MIN(pool) AS first_pool,
    MAX(pool) AS last_pool
  FROM turns
  GROUP BY account_id, region, instance_id, srcaddr
),
scored AS (
  SELECT
    sources.*,
    30
      + CASE WHEN changes >= $min_changes THEN 30 ELSE 0 END
      + CASE
          WHEN known_pools >= $min_pools THEN 25
          WHEN known_pools >= 1 THEN 10
          ELSE 0
        END
      + CASE WHEN windows >= 3 THEN 15 ELSE 0 END AS points
  FROM sources
  WHERE pools >= $min_pools
)
SELECT
  CAST(points AS DOUBLE) AS score,
  first_seen,
  last_seen,
  account_id,
  region,
  instance_id,
  srcaddr,
  pools,
  known_pools,
  changes,
  windows,
  queries,
  first_pool,
  last_pool
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id, region, instance_id, srcaddr
