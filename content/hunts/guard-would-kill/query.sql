-- Processes that matched while the guard only observed, one row for a user, pod and image.
--
-- Score, up to 100:
--   30  something matched
--   30  a command line that names a pool or a wallet's switches
--   15  as many processes as a script makes
--   15  more than one string matched
--   10  more than one node
--  -20  every line only reads (grep, editors, pagers, package tools, searches)
WITH seen AS (
  SELECT
    _source, account_id, region, hub_user, pod, namespace, container, node, image, matched, pid,
    cmdline, LOWER(COALESCE(cmdline, '')) AS words, "timestamp" AS seen_at,
    ROW_NUMBER() OVER (
      PARTITION BY node, pid, epoch, matched, cmdline ORDER BY _source) AS copy
  FROM guard
  WHERE action = 'would-kill'
),
marked AS (
  SELECT *,
    CASE WHEN words LIKE '%stratum+%' OR words LIKE '%stratum2+%' OR words LIKE '%donate-level%' OR words LIKE '% __algo%' OR words LIKE '% -o %:%' OR words LIKE '% __url%:%' OR words LIKE '% __coin%' THEN 1 ELSE 0 END AS pool,
    CASE WHEN words LIKE 'grep %' OR words LIKE 'rg %' OR words LIKE 'egrep %' OR words LIKE 'vim %' OR words LIKE 'vi %' OR words LIKE 'nano %' OR words LIKE 'less %' OR words LIKE 'cat %' OR words LIKE 'man %' OR words LIKE 'ls %' OR words LIKE 'find %' OR words LIKE 'pip search %' OR words LIKE 'apt search %' OR words LIKE 'apt-cache %' OR words LIKE 'git log %' OR words LIKE 'git grep %' THEN 1 ELSE 0 END AS only_reads
  FROM seen
  WHERE copy = 1
),
facts AS (
  SELECT
    account_id, region, hub_user, namespace, pod, image,
    MIN(seen_at) AS first_seen,
    MAX(seen_at) AS last_seen,
    COUNT(DISTINCT COALESCE(node, '') || '/' || COALESCE(CAST(pid AS VARCHAR), _source)) AS processes,
    COUNT(DISTINCT matched) AS strings,
    COALESCE(MIN(matched), 'an unknown string') AS one_string,
    COUNT(DISTINCT pod) AS pods,
    COUNT(DISTINCT node) AS nodes,
    COUNT(CASE WHEN pool = 1 AND only_reads = 0 THEN 1 END) AS pool_arguments,
    COUNT(CASE WHEN only_reads = 1 THEN 1 END) AS reading,
    COUNT(*) AS lines,
    COALESCE(MIN(CASE WHEN pool = 1 THEN cmdline END), MIN(cmdline), 'no command line') AS a_cmdline
  FROM marked
  GROUP BY account_id, region, hub_user, namespace, pod, image
),
scored AS (
  SELECT *,
    30
    + CASE WHEN pool_arguments > 0 THEN 30 ELSE 0 END
    + CASE WHEN processes >= $many THEN 15 ELSE 0 END
    + CASE WHEN strings > 1 THEN 15 ELSE 0 END
    + CASE WHEN nodes > 1 THEN 10 ELSE 0 END
    - CASE WHEN reading = lines THEN 20 ELSE 0 END AS points
  FROM facts
)
SELECT
  CAST(CASE WHEN points > 100 THEN 100 ELSE points END AS DOUBLE) AS score,
  first_seen, last_seen,
  account_id, region, hub_user,
  CASE WHEN pod IS NOT NULL THEN COALESCE(namespace, 'default') || '/pod/' || pod END AS workload,
  COALESCE(hub_user, 'an unknown user') AS user_text,
  COALESCE(pod, 'no pod') AS pod_text,
  COALESCE(image, 'no image') AS container_image,
  processes, strings, one_string, pods, nodes, pool_arguments, reading, a_cmdline
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id NULLS LAST, region NULLS LAST, hub_user NULLS LAST,
  workload NULLS LAST, first_seen, container_image
