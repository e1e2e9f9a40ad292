-- The score, 0 to 100:
--   30   min_hosts or more hosts. Without it there is no row
--   25   the destination is new: absent for the first minutes of the log, as `baseline` says
--   20   thin: each host exchanges max_packets_per_minute or fewer, over more than one five-minute window
--   10   the remote port is one that pools use
--   15   the remote address is known as a pool's
--   -20  the address belongs to an AWS service other than EC2
WITH flows AS (
  SELECT
    account_id,
    interface_id,
    local_addr,
    remote_addr,
    remote_port,
    window_epoch,
    start_epoch,
    end_epoch,
    "start" AS started,
    "end" AS ended,
    COALESCE(packets, 0) AS packets,
    CASE WHEN direction = 'egress' THEN pkt_dst_aws_service ELSE pkt_src_aws_service END AS service,
    CASE WHEN remote_port_is_pool = TRUE THEN 1 ELSE 0 END AS pool_port,
    CASE WHEN remote_indicator_id IS NOT NULL THEN 1 ELSE 0 END AS pool_address
  FROM vpc_flow
  WHERE remote_addr IS NOT NULL
    AND remote_addr NOT IN ($ignore)
    AND COALESCE(action, 'ACCEPT') = 'ACCEPT'
    -- Below 1024 it is we who serve.
    AND COALESCE(local_port, 65535) >= 1024
),
bounds AS (
  SELECT MIN(start_epoch) AS log_start FROM vpc_flow
),
-- First by host: sets of hosts for each destination would take more memory than all else.
hosts AS (
  SELECT
    account_id,
    remote_addr,
    remote_port,
    local_addr,
    MIN(started) AS first_seen,
    MAX(ended) AS last_seen,
    MIN(start_epoch) AS first_epoch,
    MAX(end_epoch) AS last_epoch,
    MIN(window_epoch) AS first_window,
    MAX(window_epoch) AS last_window,
    SUM(packets) AS packets,
    MAX(service) AS service,
    MAX(pool_port) AS pool_port,
    MAX(pool_address) AS pool_address
  FROM flows
  GROUP BY account_id, remote_addr, remote_port, interface_id, local_addr
),
destinations AS (
  SELECT
    account_id,
    remote_addr,
    remote_port,
    MIN(first_seen) AS first_seen,
    MAX(last_seen) AS last_seen,
    MIN(first_epoch) AS first_epoch,
    COUNT(*) AS hosts,
    MIN(local_addr) AS first_host,
    MAX(local_addr) AS last_host,
    MAX(last_window) - MIN(first_window) AS span,
    CAST(SUM(packets) AS DOUBLE) * 60
      / NULLIF((MAX(last_epoch) - MIN(first_epoch)) * COUNT(*), 0)
      AS packets_per_host_minute,
    MAX(service) AS aws_service,
    MAX(pool_port) AS pool_port,
    MAX(pool_address) AS pool_address
  FROM hosts
  GROUP BY account_id, remote_addr, remote_port
),
judged AS (
  SELECT
    destinations.*,
    CASE WHEN first_epoch - log_start >= $baseline * 60 THEN 1 ELSE 0 END AS is_new
  FROM destinations
  CROSS JOIN bounds
  WHERE hosts >= $min_hosts
),
scored AS (
  SELECT
    judged.*,
    30
      + 25 * is_new
      + CASE
          WHEN span > 0 AND packets_per_host_minute <= $max_packets_per_minute THEN 20
          ELSE 0
        END
      + 10 * pool_port
      + 15 * pool_address
      - CASE WHEN COALESCE(aws_service, 'EC2') <> 'EC2' THEN 20 ELSE 0 END AS points
  FROM judged
)
SELECT
  CAST(points AS DOUBLE) AS score,
  first_seen,
  last_seen,
  account_id,
  remote_addr,
  remote_port,
  hosts,
  first_host,
  last_host,
  is_new,
  span AS seconds,
  ROUND(packets_per_host_minute, 1) AS packets_per_host_minute,
  pool_port,
  pool_address,
  aws_service
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id, remote_addr, remote_port
