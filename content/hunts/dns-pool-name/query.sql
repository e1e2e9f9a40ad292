-- The score, 0 to 100:
--   50  the name, or a name that the answer leads through, is a pool's
--   15  the pool was reached through a name of somebody's own (CNAME)
--   20  at least one question was answered with an address
--   15  min_windows or more five-minute windows
--   -20 Resolver's firewall blocked every question
WITH asked AS (
  SELECT
    account_id,
    region,
    instance_id,
    srcaddr,
    indicator_domain,
    indicator_id,
    name,
    query_timestamp,
    window_epoch,
    CASE WHEN indicator_via = 'cname' THEN 1 ELSE 0 END AS is_alias,
    CASE WHEN LENGTH(COALESCE(addresses, '')) > 0 THEN 1 ELSE 0 END AS answered,
    CASE WHEN firewall_rule_action = 'BLOCK' THEN 1 ELSE 0 END AS blocked
  FROM dns_query
  WHERE indicator_id IS NOT NULL
),
sources AS (
  SELECT
    account_id,
    region,
    instance_id,
    srcaddr,
    indicator_domain,
    MIN(indicator_id) AS indicator_id,
    MIN(name) AS name,
    MIN(query_timestamp) AS first_seen,
    MAX(query_timestamp) AS last_seen,
    COUNT(*) AS queries,
    COUNT(DISTINCT window_epoch) AS windows,
    MAX(is_alias) AS is_alias,
    CAST(SUM(answered) AS BIGINT) AS answered,
    CAST(SUM(blocked) AS BIGINT) AS blocked
  FROM asked
  GROUP BY account_id, region, instance_id, srcaddr, indicator_domain
)
SELECT
  CAST(
    50
      + 15 * is_alias
      + CASE WHEN answered > 0 THEN 20 ELSE 0 END
      + CASE WHEN windows >= $min_windows THEN 15 ELSE 0 END
      - CASE WHEN blocked = queries THEN 20 ELSE 0 END AS DOUBLE
  ) AS score,
  first_seen,
  last_seen,
  account_id,
  region,
  instance_id,
  srcaddr,
  indicator_domain,
  name,
  CASE WHEN is_alias = 1 THEN 'cname' ELSE 'name' END AS via,
  queries,
  windows,
  answered,
  blocked,
  indicator_id
FROM sources
ORDER BY score DESC, account_id, region, instance_id, srcaddr, indicator_domain
