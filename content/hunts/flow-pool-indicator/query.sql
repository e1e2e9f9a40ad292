-- The score, 0 to 100:
--   15  the address is known as a pool's
--   25  the remote port is one that pools use
--   20  something came back
--   20  min_windows or more five-minute windows
--   20  thin, and over at least two windows: max_packets_per_minute or fewer
WITH flows AS (
  SELECT
    account_id,
    region,
    interface_id,
    instance_id,
    local_addr,
    remote_addr,
    remote_port,
    remote_indicator_id,
    remote_indicator_kind,
    window_epoch,
    start_epoch,
    end_epoch,
    "start" AS started,
    "end" AS ended,
    CASE WHEN COALESCE(action, 'ACCEPT') = 'ACCEPT' THEN COALESCE(packets, 0) ELSE 0 END AS packets,
    CASE WHEN action = 'REJECT' THEN 1 ELSE 0 END AS rejected,
    CASE
      WHEN direction = 'ingress' AND COALESCE(action, 'ACCEPT') = 'ACCEPT' THEN 1
      ELSE 0
    END AS answered,
    CASE WHEN remote_port_is_pool = TRUE THEN 1 ELSE 0 END AS pool_port
  FROM vpc_flow
  WHERE remote_indicator_id IS NOT NULL
    -- Below 1024 it is we who serve: a pool's machine may read our web page.
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
    MIN(remote_indicator_id) AS indicator_id,
    MIN(remote_indicator_kind) AS indicator_kind,
    MIN(started) AS first_seen,
    MAX(ended) AS last_seen,
    MAX(pool_port) AS pool_port,
    MAX(answered) AS answered,
    COUNT(DISTINCT CASE WHEN packets > 0 THEN window_epoch END) AS windows,
    CAST(SUM(packets) AS DOUBLE) * 60 / NULLIF(MAX(end_epoch) - MIN(start_epoch), 0)
      AS packets_per_minute,
    CAST(SUM(rejected) AS BIGINT) AS rejected
  FROM flows
  GROUP BY account_id, region, interface_id, local_addr, remote_addr, remote_port
),
scored AS (
  SELECT
    connections.*,
    15
      + 25 * pool_port
      + 20 * answered
      + CASE WHEN windows >= $min_windows THEN 20 ELSE 0 END
      + CASE
          WHEN windows >= 2 AND packets_per_minute <= $max_packets_per_minute THEN 20
          ELSE 0
        END AS points
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
  indicator_id,
  indicator_kind,
  pool_port,
  answered,
  windows,
  ROUND(packets_per_minute, 1) AS packets_per_minute,
  rejected
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id, region, interface_id, instance_id, local_addr, remote_addr, remote_port
