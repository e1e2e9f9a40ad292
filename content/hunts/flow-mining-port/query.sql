-- The score, 0 to 30, never more: a port is a number that everybody may use.
--   10  egress to a port that pools use
--   10  something came back
--   10  min_windows or more five-minute windows, tries that were rejected among them
WITH flows AS (
  SELECT
    account_id,
    region,
    interface_id,
    instance_id,
    local_addr,
    remote_addr,
    remote_port,
    direction,
    window_epoch,
    "start" AS started,
    "end" AS ended,
    COALESCE(packets, 0) AS packets,
    CASE WHEN action = 'REJECT' THEN 1 ELSE 0 END AS rejected
  FROM vpc_flow
  WHERE remote_port_is_pool = TRUE
    AND remote_addr IS NOT NULL
    AND COALESCE(protocol, 6) = 6
    -- Below 1024 it is we who serve, and the remote port was chosen at random.
    AND COALESCE(local_port, 65535) >= 1024
),
connections AS (
  SELECT
    account_id,
    region,
    interface_id,
    MAX(instance_id) AS instance_id,
    local_addr,
    remote_addr,
    remote_port,
    MIN(started) AS first_seen,
    MAX(ended) AS last_seen,
    CAST(SUM(packets) AS BIGINT) AS packets,
    COUNT(DISTINCT window_epoch) AS windows,
    MAX(CASE WHEN direction = 'ingress' AND rejected = 0 THEN 1 ELSE 0 END) AS answered,
    CAST(SUM(rejected) AS BIGINT) AS rejected
  FROM flows
  GROUP BY account_id, region, interface_id, local_addr, remote_addr, remote_port
),
scored AS (
  SELECT
    connections.*,
    10 + 10 * answered + CASE WHEN windows >= $min_windows THEN 10 ELSE 0 END AS points
  FROM connections
)
SELECT
  CAST(points AS DOUBLE) AS score,
  first_seen,
  last_seen,
  account_id,
  region,
  interface_id,
  instance_id,
  local_addr,
  remote_addr,
  remote_port,
  packets,
  windows,
  answered,
  rejected
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id, region, interface_id, instance_id, local_addr, remote_addr, remote_port
