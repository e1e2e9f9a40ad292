-- The score, 0 to 100:
--   30   the rhythm: min_windows or more five-minute windows, four of five at most max_gap apart,
--        and few packets a minute. Without it there is no row
--   20   bytes up to bytes down between 0.5 and 1.3; 10 where only one way was logged
--   15   even bytes: the windows' bytes deviate by less than half of their mean
--   10   four times min_windows or more
--   10   the remote port is one that pools use
--   15   the remote address is known as a pool's
--   -30  the address belongs to an AWS service other than EC2, where anybody could run a pool
WITH flows AS (
  SELECT
    account_id,
    region,
    interface_id,
    instance_id,
    local_addr,
    remote_addr,
    remote_port,
    window_epoch,
    COALESCE(packets, 0) AS packets,
    COALESCE(bytes, 0) AS bytes,
    CASE WHEN direction = 'egress' THEN COALESCE(bytes, 0) ELSE 0 END AS up,
    CASE WHEN direction = 'ingress' THEN COALESCE(bytes, 0) ELSE 0 END AS down,
    "start" AS started,
    "end" AS ended,
    start_epoch,
    end_epoch,
    CASE WHEN direction = 'egress' THEN pkt_dst_aws_service ELSE pkt_src_aws_service END AS service,
    CASE WHEN remote_port_is_pool = TRUE THEN 1 ELSE 0 END AS pool_port,
    CASE WHEN remote_indicator_id IS NOT NULL THEN 1 ELSE 0 END AS pool_address
  FROM vpc_flow
  WHERE remote_addr IS NOT NULL
    AND remote_addr NOT IN ($ignore)
    AND COALESCE(protocol, 6) = 6
    AND COALESCE(action, 'ACCEPT') = 'ACCEPT'
    -- Below 1024 it is we who serve.
    AND COALESCE(local_port, 65535) >= 1024
),
-- Most connections are over before they could have a rhythm. What follows needs memory and time for
-- each, so they go first, by what costs little; what counts is counted below.
busy AS (
  SELECT
    COALESCE(interface_id, '') AS busy_interface,
    local_addr AS busy_local,
    remote_addr AS busy_remote,
    COALESCE(remote_port, -1) AS busy_port
  FROM flows
  GROUP BY COALESCE(interface_id, ''), local_addr, remote_addr, COALESCE(remote_port, -1)
  HAVING COUNT(*) >= $min_windows
    AND MAX(window_epoch) - MIN(window_epoch) >= 300 * ($min_windows - 1)
),
windows AS (
  SELECT
    account_id,
    region,
    interface_id,
    local_addr,
    remote_addr,
    remote_port,
    window_epoch,
    MAX(instance_id) AS instance_id,
    CAST(SUM(packets) AS BIGINT) AS packets,
    CAST(SUM(bytes) AS BIGINT) AS bytes,
    CAST(SUM(up) AS BIGINT) AS up,
    CAST(SUM(down) AS BIGINT) AS down,
    MIN(started) AS started,
    MAX(ended) AS ended,
    MIN(start_epoch) AS start_epoch,
    MAX(end_epoch) AS end_epoch,
    MAX(service) AS service,
    MAX(pool_port) AS pool_port,
    MAX(pool_address) AS pool_address
  FROM busy
  JOIN flows
    ON COALESCE(interface_id, '') = busy_interface
    AND local_addr = busy_local
    AND remote_addr = busy_remote
    AND COALESCE(remote_port, -1) = busy_port
  GROUP BY account_id, region, interface_id, local_addr, remote_addr, remote_port, window_epoch
),
gaps AS (
  SELECT
    windows.*,
    window_epoch - LAG(window_epoch) OVER (
      PARTITION BY account_id, region, interface_id, local_addr, remote_addr, remote_port
      ORDER BY window_epoch
    ) AS gap
  FROM windows
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
    COUNT(*) AS windows,
    CAST(SUM(CASE WHEN gap <= $max_gap * 60 THEN 1 ELSE 0 END) AS DOUBLE)
      / NULLIF(COUNT(gap), 0) AS rhythm,
    CAST(SUM(packets) AS DOUBLE) * 60 / NULLIF(MAX(end_epoch) - MIN(start_epoch), 0)
      AS packets_per_minute,
    SUM(up) AS up,
    SUM(down) AS down,
    CAST(SUM(up) AS DOUBLE) / NULLIF(SUM(down), 0) AS up_to_down,
    STDDEV_POP(CAST(bytes AS DOUBLE)) / NULLIF(AVG(CAST(bytes AS DOUBLE)), 0) AS bytes_variation,
    MAX(service) AS aws_service,
    MAX(pool_port) AS pool_port,
    MAX(pool_address) AS pool_address
  FROM gaps
  GROUP BY account_id, region, interface_id, local_addr, remote_addr, remote_port
),
scored AS (
  SELECT
    connections.*,
    30
      + CASE
          WHEN up = 0 OR down = 0 THEN 10
          WHEN up_to_down BETWEEN 0.5 AND 1.3 THEN 20
          ELSE 0
        END
      + CASE WHEN bytes_variation < 0.5 THEN 15 ELSE 0 END
      + CASE WHEN windows >= 4 * $min_windows THEN 10 ELSE 0 END
      + 10 * pool_port
      + 15 * pool_address
      - CASE WHEN COALESCE(aws_service, 'EC2') <> 'EC2' THEN 30 ELSE 0 END AS points
  FROM connections
  WHERE windows >= $min_windows
    AND rhythm >= 0.8
    AND packets_per_minute BETWEEN $min_packets_per_minute AND $max_packets_per_minute
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
  windows,
  ROUND(rhythm, 2) AS rhythm,
  ROUND(packets_per_minute, 1) AS packets_per_minute,
  ROUND(up_to_down, 2) AS up_to_down,
  ROUND(bytes_variation, 2) AS bytes_variation,
  pool_port,
  pool_address,
  aws_service
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id, region, interface_id, instance_id, local_addr, remote_addr, remote_port
