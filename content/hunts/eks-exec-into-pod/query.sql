-- Requests that put a command into a pod, one row for a user of a cluster.
--
-- Score, up to 100:
--   20  any exec, attach or ephemeral container
--   40  words of miners in a command
--   25  downloads, encoded text or device sockets in a command
--   20  the user is a service account: software does not debug
--   50  the user is anonymous
--   15  many pods
--   10  a pod of kube-system
--   10  denied tries
WITH seen AS (
  SELECT
    _source, account_id, region, "cluster", "user" AS who, namespace, name, subresource, source_ips,
    response_code, decision, is_anonymous, received_at, received_epoch, command,
    LOWER(COALESCE(command, '') || ' ' || COALESCE(request_object, '')) AS words,
    -- The last stage of a request knows its answer.
    ROW_NUMBER() OVER (
      PARTITION BY COALESCE(audit_id, _source)
      ORDER BY CASE stage WHEN 'ResponseComplete' THEN 0 WHEN 'ResponseStarted' THEN 1 ELSE 2 END, _source) AS copy
  FROM eks_audit
  WHERE resource = 'pods'
    AND (subresource IN ('exec', 'attach')
      OR (subresource = 'ephemeralcontainers' AND verb IN ('patch', 'update')))
    AND COALESCE("user", '') NOT IN ($known_users)
),
marked AS (
  SELECT *,
    CASE WHEN words LIKE '%xmrig%' OR words LIKE '%stratum+%' OR words LIKE '%minerd%' OR words LIKE '%cpuminer%' OR words LIKE '%donate-level%' OR words LIKE '%randomx%' OR words LIKE '%cryptonight%' THEN 1 ELSE 0 END AS mining,
    CASE WHEN words LIKE '%curl %' OR words LIKE '%wget %' OR words LIKE '%base64%' OR words LIKE '%/dev/tcp/%' OR words LIKE '%chmod +x%' OR words LIKE '%chmod 7%' OR words LIKE '%/dev/shm%' OR words LIKE '%python% -c %' THEN 1 ELSE 0 END AS download,
    CASE WHEN response_code >= 400 OR decision = 'forbid' THEN 1 ELSE 0 END AS refused
  FROM seen
  WHERE copy = 1
),
facts AS (
  SELECT
    account_id, region, "cluster", who,
    MIN(received_at) AS first_seen,
    MAX(received_at) AS last_seen,
    CASE WHEN MIN(COALESCE(namespace, '') || '/pod/' || COALESCE(name, '')) = MAX(COALESCE(namespace, '') || '/pod/' || COALESCE(name, ''))
      THEN MIN(COALESCE(namespace, '') || '/pod/' || COALESCE(name, '')) END AS workload,
    COUNT(*) AS execs,
    COUNT(DISTINCT COALESCE(namespace, '') || '/' || COALESCE(name, '')) AS pods,
    COUNT(DISTINCT namespace) AS namespaces,
    COUNT(CASE WHEN refused = 1 THEN 1 END) AS denied,
    COUNT(CASE WHEN download = 1 THEN 1 END) AS downloads,
    COUNT(CASE WHEN mining = 1 THEN 1 END) AS mining_words,
    COUNT(CASE WHEN words LIKE 'sh %' OR words LIKE 'bash %' OR words LIKE '/bin/sh %' OR words LIKE '/bin/bash %' THEN 1 END) AS shells,
    COALESCE(MIN(CASE WHEN mining = 1 THEN command END), MIN(CASE WHEN download = 1 THEN command END), MIN(command), 'no command logged') AS a_command,
    COUNT(DISTINCT source_ips) AS addresses,
    MAX(CASE WHEN is_anonymous = TRUE THEN 1 ELSE 0 END) AS anonymous,
    MAX(CASE WHEN namespace = 'kube-system' THEN 1 ELSE 0 END) AS system_pod
  FROM marked
  GROUP BY account_id, region, "cluster", who
),
scored AS (
  SELECT *,
    20
    + CASE WHEN mining_words > 0 THEN 40 ELSE 0 END
    + CASE WHEN downloads > 0 THEN 25 ELSE 0 END
    + CASE WHEN who LIKE 'system:serviceaccount:%' THEN 20 ELSE 0 END
    + CASE WHEN anonymous = 1 THEN 50 ELSE 0 END
    + CASE WHEN pods >= $many_pods THEN 15 ELSE 0 END
    + CASE WHEN system_pod = 1 THEN 10 ELSE 0 END
    + CASE WHEN denied > 0 THEN 10 ELSE 0 END AS points
  FROM facts
)
SELECT
  CAST(CASE WHEN points > 100 THEN 100 ELSE points END AS DOUBLE) AS score,
  first_seen, last_seen,
  account_id, region, "cluster", COALESCE(who, 'an unknown user') AS who, workload,
  execs, pods, namespaces, denied, downloads, mining_words, shells, a_command, addresses
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id NULLS LAST, region NULLS LAST, "cluster" NULLS LAST, who NULLS LAST,
  workload NULLS LAST, first_seen
