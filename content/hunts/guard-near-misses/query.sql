-- Processes that matched and lived, gathered by user; where the log knows no user, by pod.
--
-- Score, up to 100:
--   20  enough near misses; 10 more for three times as many
--   10  for each further string, up to 20: somebody tries words
--   20  something got away
--   15  the guard only observed it
--   20  processes of the same user were killed
--   10  on more than one day
-- A process is its node, its pid and the string that matched; pids come round again, so a day of
-- the log is part of it.
WITH lines AS (
  SELECT
    account_id, region, hub_user, namespace, pod, node, pid, matched, action, cmdline, why,
    "timestamp" AS seen_at, epoch, DATE_TRUNC('day', "timestamp") AS day,
    COALESCE(CAST(pid AS VARCHAR), _source) AS process
  FROM guard
  WHERE action IN ('spared', 'held', 'would-kill', 'missed', 'killed')
),
processes AS (
  SELECT
    account_id, region, hub_user, namespace, pod, node, process, matched, day,
    MIN(seen_at) AS first_at,
    MAX(seen_at) AS last_at,
    MAX(CASE WHEN action = 'spared' THEN 1 ELSE 0 END) AS spared,
    MAX(CASE WHEN action = 'held' THEN 1 ELSE 0 END) AS held,
    MAX(CASE WHEN action = 'would-kill' THEN 1 ELSE 0 END) AS would_kill,
    MAX(CASE WHEN action = 'missed' THEN 1 ELSE 0 END) AS missed,
    MAX(CASE WHEN action = 'killed' THEN 1 ELSE 0 END) AS killed,
    MIN(cmdline) AS cmdline,
    MIN(CASE WHEN action <> 'killed' THEN why END) AS reason
  FROM lines
  GROUP BY account_id, region, hub_user, namespace, pod, node, process, matched, day
),
facts AS (
  SELECT
    account_id, region, hub_user,
    CASE WHEN hub_user IS NULL THEN namespace END AS namespace,
    CASE WHEN hub_user IS NULL THEN pod END AS pod,
    MIN(CASE WHEN killed = 0 THEN first_at END) AS first_seen,
    MAX(CASE WHEN killed = 0 THEN last_at END) AS last_seen,
    COUNT(CASE WHEN killed = 0 THEN 1 END) AS near_misses,
    COUNT(CASE WHEN killed = 0 AND spared = 1 AND held = 0 THEN 1 END) AS spared,
    COUNT(CASE WHEN killed = 0 AND spared = 1 AND held = 1 THEN 1 END) AS released,
    COUNT(CASE WHEN killed = 0 AND spared = 0 AND held = 1 THEN 1 END) AS held_only,
    COUNT(CASE WHEN killed = 0 AND would_kill = 1 THEN 1 END) AS would_kill,
    COUNT(CASE WHEN killed = 0 AND missed = 1 THEN 1 END) AS missed,
    COUNT(CASE WHEN killed = 1 THEN 1 END) AS killed,
    COUNT(DISTINCT CASE WHEN killed = 0 THEN matched END) AS strings,
    COUNT(DISTINCT pod) AS pods,
    COUNT(DISTINCT CASE WHEN killed = 0 THEN day END) AS days,
    COALESCE(MIN(CASE WHEN killed = 0 AND missed = 1 THEN cmdline END), MIN(CASE WHEN killed = 0 THEN cmdline END), 'no command line') AS a_cmdline,
    COALESCE(MIN(CASE WHEN killed = 0 THEN reason END), 'no reason logged') AS a_reason
  FROM processes
  GROUP BY account_id, region, hub_user,
    CASE WHEN hub_user IS NULL THEN namespace END,
    CASE WHEN hub_user IS NULL THEN pod END
),
scored AS (
  SELECT *,
    20
    + CASE WHEN near_misses >= 3 * $min_near THEN 10 ELSE 0 END
    + CASE WHEN strings >= 3 THEN 20 WHEN strings = 2 THEN 10 ELSE 0 END
    + CASE WHEN missed > 0 THEN 20 ELSE 0 END
    + CASE WHEN would_kill > 0 THEN 15 ELSE 0 END
    + CASE WHEN killed > 0 THEN 20 ELSE 0 END
    + CASE WHEN days > 1 THEN 10 ELSE 0 END AS points
  FROM facts
  WHERE near_misses >= $min_near
)
SELECT
  CAST(CASE WHEN points > 100 THEN 100 ELSE points END AS DOUBLE) AS score,
  first_seen, last_seen,
  account_id, region, hub_user,
  CASE WHEN pod IS NOT NULL THEN COALESCE(namespace, 'default') || '/pod/' || pod END AS workload,
  COALESCE(hub_user, pod, 'an unknown user') AS user_text,
  near_misses, spared, released, held_only, would_kill, missed, killed, strings, pods, days,
  a_cmdline, a_reason
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id NULLS LAST, region NULLS LAST, hub_user NULLS LAST,
  workload NULLS LAST, first_seen
