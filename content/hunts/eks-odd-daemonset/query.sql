-- Daemonsets and cronjobs by identities that made none before, one row for a user and workload.
--
-- Score, up to 100, halved where the logs hold less history than the baseline:
--   25  a daemonset; 20 a cronjob
--   20  a service account, 30 a node, 50 an anonymous user made it
--   15  in kube-system, or under a name borrowed from the system elsewhere
--   15  the image is new to the cluster
--   15  rights on the node
--   40  words of miners
--  -5   every call failed
WITH seen AS (
  SELECT
    _source, account_id, region, "cluster", "user" AS who, verb, resource, namespace, name,
    response_code, decision, is_anonymous, received_at, received_epoch, images,
    CASE WHEN privileged = TRUE OR host_path = TRUE OR host_pid = TRUE OR host_network = TRUE THEN 1 ELSE 0 END AS on_node,
    LOWER(COALESCE(request_object, '') || ' ' || COALESCE(response_object, '')) AS words,
    -- The last stage of a request knows its answer.
    ROW_NUMBER() OVER (
      PARTITION BY COALESCE(audit_id, _source)
      ORDER BY CASE stage WHEN 'ResponseComplete' THEN 0 WHEN 'ResponseStarted' THEN 1 ELSE 2 END, _source) AS copy
  FROM eks_audit
  WHERE verb IN ('create', 'update', 'patch')
    AND resource IN ('pods', 'deployments', 'daemonsets', 'statefulsets', 'jobs', 'cronjobs')
    AND subresource IS NULL
),
-- The least of all times needs no count of copies.
begins AS (
  SELECT COALESCE("cluster", '') AS place, COALESCE(account_id, '') AS account, MIN(received_epoch) AS log_begins
  FROM eks_audit
  GROUP BY COALESCE("cluster", ''), COALESCE(account_id, '')
),
dated AS (
  SELECT s.*, b.log_begins,
    -- Only what was allowed makes a habit.
    MIN(CASE WHEN s.resource IN ('daemonsets', 'cronjobs') AND COALESCE(s.response_code, 200) < 400 THEN s.received_epoch END)
      OVER (PARTITION BY s.account_id, s."cluster", s.who) AS usual_since,
    MIN(s.received_epoch) OVER (PARTITION BY s.account_id, s."cluster", s.images) AS image_since
  FROM seen s
  JOIN begins b ON b.place = COALESCE(s."cluster", '') AND b.account = COALESCE(s.account_id, '')
  WHERE s.copy = 1
),
odd AS (
  SELECT *,
    received_epoch - log_begins AS history,
    CASE WHEN response_code >= 400 OR decision = 'forbid' THEN 1 ELSE 0 END AS refused
  FROM dated
  WHERE resource IN ('daemonsets', 'cronjobs')
    AND COALESCE(who, '') NOT IN ($deployers)
    AND (usual_since IS NULL OR received_epoch - usual_since < $baseline * 60)
    -- Whoever made such workloads when the logs began had perhaps always done so.
    AND NOT (COALESCE(usual_since, received_epoch) - log_begins < $baseline * 60 AND received_epoch - log_begins >= $baseline * 60)
),
facts AS (
  SELECT
    account_id, region, "cluster", who, namespace, resource, name,
    MIN(received_at) AS first_seen,
    MAX(received_at) AS last_seen,
    COUNT(*) AS calls,
    COUNT(CASE WHEN refused = 1 THEN 1 END) AS failed,
    COALESCE(MIN(images), 'an unknown image') AS image,
    MAX(CASE WHEN images IS NOT NULL AND image_since >= received_epoch AND history >= $baseline * 60 THEN 1 ELSE 0 END) AS image_is_new,
    MAX(CASE WHEN namespace = 'kube-system' OR name LIKE 'kube-%' OR name LIKE 'aws-%' OR name LIKE 'eks-%' OR name LIKE 'coredns%' OR name LIKE 'proxy-api%' OR name LIKE 'pause%' OR name LIKE 'node-%' THEN 1 ELSE 0 END) AS borrowed_name,
    MAX(on_node) AS node_rights,
    MAX(CASE WHEN words LIKE '%xmrig%' OR words LIKE '%stratum+%' OR words LIKE '%minerd%' OR words LIKE '%cpuminer%' OR words LIKE '%donate-level%' OR words LIKE '%randomx%' OR words LIKE '%cryptonight%' THEN 1 ELSE 0 END) AS mining_words,
    MAX(CASE WHEN is_anonymous = TRUE THEN 1 ELSE 0 END) AS anonymous,
    MIN(history) AS history
  FROM odd
  GROUP BY account_id, region, "cluster", who, namespace, resource, name
),
scored AS (
  SELECT *,
    (CASE WHEN resource = 'daemonsets' THEN 25 ELSE 20 END
    + CASE WHEN anonymous = 1 THEN 50 WHEN who LIKE 'system:node:%' THEN 30 WHEN who LIKE 'system:serviceaccount:%' THEN 20 ELSE 0 END
    + CASE WHEN borrowed_name = 1 THEN 15 ELSE 0 END
    + CASE WHEN image_is_new = 1 THEN 15 ELSE 0 END
    + CASE WHEN node_rights = 1 THEN 15 ELSE 0 END
    + CASE WHEN mining_words = 1 THEN 40 ELSE 0 END
    - CASE WHEN failed = calls THEN 5 ELSE 0 END)
    * CASE WHEN history >= $baseline * 60 THEN 2 ELSE 1 END AS doubled
  FROM facts
)
SELECT
  CAST(CASE WHEN doubled > 200 THEN 200 ELSE doubled END AS DOUBLE) / 2 AS score,
  first_seen, last_seen,
  account_id, region, "cluster", COALESCE(who, 'an unknown user') AS who,
  COALESCE(namespace, 'default') || '/' || SUBSTR(resource, 1, LENGTH(resource) - 1) || '/' || COALESCE(name, 'unnamed') AS workload,
  SUBSTR(resource, 1, LENGTH(resource) - 1) AS kind,
  calls, failed, image, image_is_new, borrowed_name, node_rights, mining_words,
  ROUND(CAST(history AS DOUBLE) / 360, 0) / 10 AS history_hours
FROM scored
WHERE CAST(doubled AS DOUBLE) / 2 >= $min_score
ORDER BY score DESC, account_id NULLS LAST, region NULLS LAST, "cluster" NULLS LAST, who NULLS LAST,
  workload NULLS LAST, first_seen
