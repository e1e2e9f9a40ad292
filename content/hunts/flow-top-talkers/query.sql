-- The score, 0 to 100:
--   up to 40  packets, as a share of the most that any connection here has
--   20        seen in min_windows five-minute windows or more
--   15        bytes up to bytes down between 0.5 and 1.3, as miners have
--   10        the remote port is one that pools use
--   15        the remote address is known as a pool's
WITH flows AS (
  SELECT
    account_id,
    region,
    interface_id,
    instance_id,
    local_addr,
    remote_addr,
    -- The port of the service: ours where we serve on a privileged port, else the remote one.
    CASE WHEN local_port < 1024 AND remote_port >= 1024 THEN local_port ELSE remote_port END AS port,
    COALESCE(packets, 0) AS packets,
    COALESCE(bytes, 0) AS bytes,
    CASE WHEN direction = 'egress' THEN COALESCE(bytes, 0) ELSE 0 END AS up,
    CASE WHEN direction = 'ingress' THEN COALESCE(bytes, 0) ELSE 0 END AS down,
    window_epoch,
    "start" AS started,
    "end" AS ended,
    CASE WHEN remote_port_is_pool = TRUE THEN 1 ELSE 0 END AS pool_port,
    CASE WHEN remote_indicator_id IS NOT NULL THEN 1 ELSE 0 END AS pool_address
  FROM vpc_flow
  WHERE remote_addr IS NOT NULL
    AND COALESCE(action, 'ACCEPT') = 'ACCEPT'
),
-- Who is at the top is known by two sums; the rest would need memory for each of all the others.
heaviest AS (
  SELECT
    account_id AS heavy_account,
    region AS heavy_region,
    interface_id AS heavy_interface,
    local_addr AS heavy_local,
    remote_addr AS heavy_remote,
    port AS heavy_port,
    SUM(packets) AS heavy_packets,
    SUM(bytes) AS heavy_bytes
  FROM flows
  GROUP BY account_id, region, interface_id, local_addr, remote_addr, port
  HAVING SUM(packets) > 0
  ORDER BY heavy_packets DESC NULLS LAST, heavy_bytes DESC NULLS LAST, heavy_local, heavy_remote, heavy_port,
    heavy_interface, heavy_account, heavy_region
  LIMIT $top
),
talkers AS (
  SELECT
    account_id,
    region,
    interface_id,
    MAX(instance_id) AS instance_id,
    local_addr,
    remote_addr,
    port,
    CAST(SUM(packets) AS BIGINT) AS packets,
    CAST(SUM(bytes) AS BIGINT) AS bytes,
    CAST(SUM(up) AS BIGINT) AS bytes_up,
    CAST(SUM(down) AS BIGINT) AS bytes_down,
    COUNT(DISTINCT window_epoch) AS windows,
    MIN(started) AS first_seen,
    MAX(ended) AS last_seen,
    MAX(pool_port) AS pool_port,
    MAX(pool_address) AS pool_address
  FROM heaviest
  JOIN flows
    ON COALESCE(account_id, '') = COALESCE(heavy_account, '')
    AND COALESCE(region, '') = COALESCE(heavy_region, '')
    AND COALESCE(interface_id, '') = COALESCE(heavy_interface, '')
    AND local_addr = heavy_local
    AND remote_addr = heavy_remote
    AND COALESCE(port, -1) = COALESCE(heavy_port, -1)
  GROUP BY account_id, region, interface_id, local_addr, remote_addr, port
),
ranked AS (
  SELECT
    talkers.*,
    CAST(bytes_up AS DOUBLE) / NULLIF(bytes_down, 0) AS up_to_down,
    MAX(packets) OVER () AS most_packets,
    ROW_NUMBER() OVER (
      ORDER BY packets DESC NULLS LAST, bytes DESC NULLS LAST, local_addr, remote_addr, port,
        interface_id, account_id, region
    ) AS rank_by_packets
  FROM talkers
)
SELECT
  ROUND(
    40 * CAST(packets AS DOUBLE) / NULLIF(most_packets, 0)
      + CASE WHEN windows >= $min_windows THEN 20 ELSE 0 END
      + CASE WHEN up_to_down BETWEEN 0.5 AND 1.3 THEN 15 ELSE 0 END
      + 10 * pool_port
      + 15 * pool_address,
    1
  ) AS score,
  first_seen,
  last_seen,
  account_id,
  region,
  interface_id,
  instance_id,
  local_addr,
  remote_addr,
  port,
  packets,
  bytes,
  bytes_up,
  bytes_down,
  windows,
  rank_by_packets
FROM ranked
ORDER BY score DESC, account_id, region, interface_id, instance_id, local_addr, remote_addr, port
