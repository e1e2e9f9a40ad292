-- The score, 0 to 100:
--   30  min_names or more different names whose mean label is min_label long and whose mean
--       entropy is min_entropy. Without it there is no row
--   20  hardly anything is asked twice: nine of ten questions are of their own name and type
--   25  half of the questions or more are of types that carry much back: TXT, NULL, CNAME, MX
--   15  10,000 characters or more
--   10  three or more five-minute windows
WITH asked AS (
  SELECT
    account_id,
    region,
    instance_id,
    srcaddr,
    registered,
    COALESCE(account_id, '') || ' ' || COALESCE(region, '') || ' ' || COALESCE(instance_id, '') || ' '
      || COALESCE(srcaddr, '') || ' ' || registered AS source,
    name,
    COALESCE(query_type, '') AS query_type,
    query_timestamp,
    window_epoch,
    COALESCE(sub_length, 0) AS sub_length,
    COALESCE(longest_label, 0) AS longest_label,
    COALESCE(sub_entropy, CAST(0 AS DOUBLE)) AS sub_entropy,
    CASE WHEN query_type IN ('TXT', 'NULL', 'CNAME', 'MX') THEN 1 ELSE 0 END AS is_carrier
  FROM dns_query
  WHERE registered IS NOT NULL
    AND registered NOT IN ($ignore)
),
-- Sets of texts, which counting different ones needs, would take memory for every source and domain
-- there is: so what can be summed is summed first, and names are counted only of what is left.
talkers AS (
  SELECT
    account_id,
    region,
    instance_id,
    srcaddr,
    registered,
    source,
    MIN(query_timestamp) AS first_seen,
    MAX(query_timestamp) AS last_seen,
    COUNT(*) AS queries,
    AVG(CAST(longest_label AS DOUBLE)) AS mean_longest_label,
    AVG(sub_entropy) AS mean_entropy,
    CAST(SUM(sub_length) AS BIGINT) AS characters,
    AVG(CAST(is_carrier AS DOUBLE)) AS carrier_share,
    COUNT(DISTINCT window_epoch) AS windows
  FROM asked
  GROUP BY account_id, region, instance_id, srcaddr, registered, source
  HAVING COUNT(*) >= $min_names
    AND AVG(CAST(longest_label AS DOUBLE)) >= $min_label
    AND AVG(sub_entropy) >= $min_entropy
),
asked_names AS (
  SELECT asked.source, asked.name, asked.query_type
  FROM asked
  JOIN talkers ON talkers.source = asked.source
  GROUP BY asked.source, asked.name, asked.query_type
),
different AS (
  SELECT source, name, COUNT(*) AS types FROM asked_names GROUP BY source, name
),
counts AS (
  SELECT source AS counted, COUNT(*) AS names, CAST(SUM(types) AS BIGINT) AS questions
  FROM different
  GROUP BY source
),
sources AS (
  SELECT talkers.*, counts.names, counts.questions
  FROM talkers
  JOIN counts ON counts.counted = talkers.source
),
scored AS (
  SELECT
    sources.*,
    30
      + CASE WHEN questions * 10 >= queries * 9 THEN 20 ELSE 0 END
      + CASE WHEN carrier_share >= 0.5 THEN 25 ELSE 0 END
      + CASE WHEN characters >= 10000 THEN 15 ELSE 0 END
      + CASE WHEN windows >= 3 THEN 10 ELSE 0 END AS points
  FROM sources
  WHERE names >= $min_names
)
SELECT
  CAST(points AS DOUBLE) AS score,
  first_seen,
  last_seen,
  account_id,
  region,
  instance_id,
  srcaddr,
  registered,
  names,
  queries,
  ROUND(mean_longest_label, 1) AS mean_longest_label,
  ROUND(mean_entropy, 1) AS mean_entropy,
  characters,
  ROUND(carrier_share, 2) AS carrier_share,
  windows
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id, region, instance_id, srcaddr, registered
