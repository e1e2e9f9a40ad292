-- Anonymous requests that were answered, one row for an address and cluster.
--
-- Score, up to 100:
--   50  objects read
--   30  secrets, or pods' logs, among them
--   80  something created, changed or deleted
--   90  commands run in pods
--   10  three or more kinds of resources
-- An answer is 2xx or the 101 of a stream; where the code is missing, the authorizer's allow.
WITH seen AS (
  SELECT
    _source, account_id, region, "cluster", "user" AS who, verb, request_uri, resource, subresource,
    namespace, name, source_ips, user_agent, received_at,
    CASE WHEN response_code BETWEEN 200 AND 299 OR response_code = 101 THEN 1
      WHEN response_code IS NULL AND decision = 'allow' THEN 1 ELSE 0 END AS answered,
    -- The last stage of a request knows its answer.
    ROW_NUMBER() OVER (
      PARTITION BY COALESCE(audit_id, _source)
      ORDER BY CASE stage WHEN 'ResponseComplete' THEN 0 WHEN 'ResponseStarted' THEN 1 ELSE 2 END, _source) AS copy
  FROM eks_audit
  WHERE is_anonymous = TRUE
),
marked AS (
  SELECT *,
    CASE
      -- Discovery and health have no resource; paths the API serves beside objects (logs, proxies,
      -- metrics) do not count as such.
      WHEN resource IS NULL AND (
        request_uri IN ('/', '/api', '/apis', '/version', '/healthz', '/livez', '/readyz', '/openapi/v2', '/openapi/v3')
        OR request_uri LIKE '/healthz%' OR request_uri LIKE '/livez%' OR request_uri LIKE '/readyz%'
        OR request_uri LIKE '/version%' OR request_uri LIKE '/openapi/%' OR request_uri LIKE '/api?%'
        OR request_uri LIKE '/apis/%' OR request_uri LIKE '/apis?%' OR request_uri LIKE '/api/v1?%' OR request_uri = '/api/v1'
        OR request_uri LIKE '/.well-known/%' OR request_uri LIKE '/openid/%') THEN 'discovery'
      WHEN namespace = 'kube-public' AND resource = 'configmaps' AND name = 'cluster-info' THEN 'discovery'
      WHEN resource IN ('selfsubjectaccessreviews', 'selfsubjectrulesreviews', 'selfsubjectreviews') THEN 'discovery'
      WHEN subresource IN ('exec', 'attach', 'portforward', 'proxy') THEN 'exec'
      WHEN verb IN ('get', 'list', 'watch', 'head') THEN 'read'
      ELSE 'write' END AS kind
  FROM seen
  WHERE copy = 1
),
facts AS (
  SELECT
    account_id, region, "cluster", who, source_ips,
    MIN(CASE WHEN answered = 1 THEN received_at END) AS first_seen,
    MAX(CASE WHEN answered = 1 THEN received_at END) AS last_seen,
    COUNT(CASE WHEN answered = 1 AND kind = 'read' THEN 1 END) AS reads,
    COUNT(CASE WHEN answered = 1 AND kind = 'read' AND (resource = 'secrets' OR subresource = 'log') THEN 1 END) AS secret_reads,
    COUNT(CASE WHEN answered = 1 AND kind = 'write' THEN 1 END) AS writes,
    COUNT(CASE WHEN answered = 1 AND kind = 'exec' THEN 1 END) AS execs,
    COUNT(CASE WHEN answered = 0 AND kind <> 'discovery' THEN 1 END) AS refused,
    COUNT(DISTINCT CASE WHEN answered = 1 AND kind <> 'discovery' THEN resource END) AS resources,
    COALESCE(
      MIN(CASE WHEN answered = 1 AND kind = 'exec' THEN verb || ' ' || request_uri END),
      MIN(CASE WHEN answered = 1 AND kind = 'write' THEN verb || ' ' || request_uri END),
      MIN(CASE WHEN answered = 1 AND kind = 'read' AND resource = 'secrets' THEN verb || ' ' || request_uri END),
      MIN(CASE WHEN answered = 1 AND kind = 'read' THEN verb || ' ' || request_uri END), 'a request without a path') AS a_request,
    COALESCE(MIN(user_agent), 'an unknown program') AS agent
  FROM marked
  WHERE kind <> 'discovery'
  GROUP BY account_id, region, "cluster", who, source_ips
),
scored AS (
  SELECT *,
    CASE WHEN execs > 0 THEN 90 WHEN writes > 0 THEN 80 WHEN reads > 0 THEN 50 ELSE 0 END
    + CASE WHEN secret_reads > 0 THEN 30 ELSE 0 END
    + CASE WHEN resources >= 3 THEN 10 ELSE 0 END AS points
  FROM facts
  WHERE reads + writes + execs > 0
)
SELECT
  CAST(CASE WHEN points > 100 THEN 100 ELSE points END AS DOUBLE) AS score,
  first_seen, last_seen,
  account_id, region, "cluster", who, source_ips AS address,
  COALESCE(source_ips, 'an unknown address') AS address_text,
  reads, secret_reads, writes, execs, refused, resources, a_request, agent
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id NULLS LAST, region NULLS LAST, "cluster" NULLS LAST, who NULLS LAST,
  address NULLS LAST, first_seen
