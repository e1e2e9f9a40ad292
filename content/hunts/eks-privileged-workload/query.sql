-- Workloads that were created or changed with rights on their node, one row for a user and workload.
--
-- Score, up to 100:
--   30  privileged
--   25  the host's processes
--   20  host paths, and 20 more for the root of the disk or a container runtime's socket
--   5   the host's network
--   15  a service account, 20 a node, 50 an anonymous user made it
--   10  the image is new to the cluster, with a day of logs before it
--   40  words of miners
--  -25  in a namespace of node agents
--  -10  every call failed
WITH seen AS (
  SELECT
    _source, account_id, region, "cluster", "user" AS who, resource, namespace, name, subresource,
    response_code, decision, is_anonymous, received_at, received_epoch, images, privileged,
    host_path, host_network, host_pid,
    LOWER(COALESCE(request_object, '') || ' ' || COALESCE(response_object, '')) AS words,
    -- The last stage of a request knows its answer.
    ROW_NUMBER() OVER (
      PARTITION BY COALESCE(audit_id, _source)
      ORDER BY CASE stage WHEN 'ResponseComplete' THEN 0 WHEN 'ResponseStarted' THEN 1 ELSE 2 END, _source) AS copy
  FROM eks_audit
  WHERE verb IN ('create', 'update', 'patch')
    AND resource IN ('pods', 'deployments', 'daemonsets', 'statefulsets', 'replicasets', 'jobs', 'cronjobs', 'replicationcontrollers')
    AND COALESCE(subresource, '') IN ('', 'ephemeralcontainers')
),
dated AS (
  SELECT *,
    MIN(received_epoch) OVER (PARTITION BY account_id, region, "cluster", images) AS image_since,
    MIN(received_epoch) OVER (PARTITION BY account_id, region, "cluster") AS log_begins
  FROM seen
  WHERE copy = 1
),
marked AS (
  SELECT *,
    CASE WHEN words LIKE '%"path":"/"%' OR words LIKE '%"path": "/"%' OR words LIKE '%docker.sock%' OR words LIKE '%containerd.sock%' OR words LIKE '%crio.sock%' OR words LIKE '%"path":"/etc"%' OR words LIKE '%"path":"/root%' THEN 1 ELSE 0 END AS root_path,
    CASE WHEN words LIKE '%xmrig%' OR words LIKE '%stratum+%' OR words LIKE '%minerd%' OR words LIKE '%cpuminer%' OR words LIKE '%donate-level%' OR words LIKE '%randomx%' OR words LIKE '%cryptonight%' THEN 1 ELSE 0 END AS mining,
    CASE WHEN response_code >= 400 OR decision = 'forbid' THEN 1 ELSE 0 END AS refused
  FROM dated
  WHERE (privileged = TRUE OR host_path = TRUE OR host_pid = TRUE OR host_network = TRUE)
    AND COALESCE(who, '') NOT IN ($controllers)
    -- A node mirrors the pods of its own disk; it can make no other workload of this kind unseen.
    AND NOT (COALESCE(who, '') LIKE 'system:node:%' AND words LIKE '%kubernetes.io/config.mirror%')
),
facts AS (
  SELECT
    account_id, region, "cluster", who, namespace, resource, name,
    MIN(received_at) AS first_seen,
    MAX(received_at) AS last_seen,
    COUNT(*) AS calls,
    COUNT(CASE WHEN refused = 1 THEN 1 END) AS failed,
    COUNT(CASE WHEN privileged = TRUE THEN 1 END) AS privileged_calls,
    COUNT(CASE WHEN host_pid = TRUE THEN 1 END) AS host_pid_calls,
    COUNT(CASE WHEN host_path = TRUE THEN 1 END) AS host_path_calls,
    COUNT(CASE WHEN host_network = TRUE THEN 1 END) AS host_network_calls,
    MAX(root_path) AS node_root,
    COALESCE(MIN(images), 'an unknown image') AS image,
    MAX(CASE WHEN images IS NOT NULL AND image_since >= received_epoch AND image_since - log_begins >= 86400 THEN 1 ELSE 0 END) AS image_is_new,
    MAX(mining) AS mining_words,
    MAX(CASE WHEN is_anonymous = TRUE THEN 1 ELSE 0 END) AS anonymous,
    MAX(CASE WHEN namespace IN ($agent_namespaces) THEN 1 ELSE 0 END) AS agent_place
  FROM marked
  GROUP BY account_id, region, "cluster", who, namespace, resource, name
),
scored AS (
  SELECT *,
    CASE WHEN privileged_calls > 0 THEN 30 ELSE 0 END
    + CASE WHEN host_pid_calls > 0 THEN 25 ELSE 0 END
    + CASE WHEN host_path_calls > 0 THEN 20 ELSE 0 END
    + CASE WHEN host_path_calls > 0 AND node_root = 1 THEN 20 ELSE 0 END
    + CASE WHEN host_network_calls > 0 THEN 5 ELSE 0 END
    + CASE WHEN anonymous = 1 THEN 50 WHEN who LIKE 'system:node:%' THEN 20 WHEN who LIKE 'system:serviceaccount:%' THEN 15 ELSE 0 END
    + CASE WHEN image_is_new = 1 THEN 10 ELSE 0 END
    + CASE WHEN mining_words = 1 THEN 40 ELSE 0 END
    - CASE WHEN agent_place = 1 THEN 25 ELSE 0 END
    - CASE WHEN failed = calls THEN 10 ELSE 0 END AS points
  FROM facts
)
SELECT
  CAST(CASE WHEN points > 100 THEN 100 WHEN points < 0 THEN 0 ELSE points END AS DOUBLE) AS score,
  first_seen, last_seen,
  account_id, region, "cluster", COALESCE(who, 'an unknown user') AS who,
  -- The kind as finding and guard name it: the resource without its plural.
  COALESCE(namespace, 'default') || '/' || SUBSTR(resource, 1, LENGTH(resource) - 1) || '/' || COALESCE(name, 'unnamed') AS workload,
  SUBSTR(resource, 1, LENGTH(resource) - 1) AS kind,
  calls, failed, privileged_calls, host_pid_calls, host_path_calls, host_network_calls, node_root,
  image, image_is_new, mining_words, agent_place
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id NULLS LAST, region NULLS LAST, "cluster" NULLS LAST, who NULLS LAST,
  workload NULLS LAST, first_seen
