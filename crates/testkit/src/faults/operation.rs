//! Which service and operation a request is, by AWS's protocols.

use hyper::http::request::Parts;

/// A call as it is named in AWS's own documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The service's signing name, or `?`.
    pub service: String,
    /// The operation; for one that is not known here the method and path.
    pub action: String,
    /// The region, or nothing.
    pub region: String,
    /// The access key, or nothing.
    pub access_key: String,
    pub(super) protocol: Protocol,
}

/// How errors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Ec2,
    Query,
    Json,
    RestJson,
    RestXml,
}

impl Operation {
    pub(crate) fn of(head: &Parts, body: &[u8]) -> Self {
        let header = |name: &str| {
            head.headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let (access_key, region, service) = scope(header("authorization")).unwrap_or(("", "", "?"));
        let mut operation = Self {
            service: service.to_owned(),
            action: String::new(),
            region: region.to_owned(),
            access_key: access_key.to_owned(),
            protocol: Protocol::Json,
        };
        if let Some((_, action)) = header("x-amz-target").rsplit_once('.') {
            operation.action = action.to_owned();
            return operation;
        }
        let query = head.uri.query().unwrap_or_default();
        let is_form = header("content-type").starts_with("application/x-www-form-urlencoded");
        let form = String::from_utf8_lossy(if is_form { body } else { b"" });
        if let Some(action) = parameter(&form, "Action").or_else(|| parameter(query, "Action")) {
            operation.action = action.to_owned();
            operation.protocol = if service == "ec2" {
                Protocol::Ec2
            } else {
                Protocol::Query
            };
            return operation;
        }
        let path = head.uri.path();
        operation.protocol = if service == "s3" {
            Protocol::RestXml
        } else {
            Protocol::RestJson
        };
        operation.action = rest(service, head.method.as_str(), path, query)
            .map_or_else(|| format!("{} {path}", head.method), str::to_owned);
        operation
    }

    /// Whether it changes nothing, by the verbs that AWS uses for that.
    pub fn only_reads(&self) -> bool {
        ["Describe", "List", "Get", "Head", "Lookup", "Search"]
            .iter()
            .any(|verb| self.action.starts_with(verb))
    }
}

/// Access key, region and service of `… Credential=KEY/DATE/REGION/SERVICE/aws4_request, …`.
fn scope(authorization: &str) -> Option<(&str, &str, &str)> {
    let (_, rest) = authorization.split_once("Credential=")?;
    let mut parts = rest.split([',', ' ']).next()?.split('/');
    let key = parts.next()?;
    let region = parts.nth(1)?;
    Some((key, region, parts.next()?))
}

fn parameter<'a>(form: &'a str, name: &str) -> Option<&'a str> {
    form.split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(known, value)| (known == name).then_some(value))
}

/// Operations of the REST protocols: service, method, path (`{}` is one part, `{+}` is the rest),
/// a query parameter that has to be there or nothing, name. The first that fits.
const REST: [(&str, &str, &str, &str, &str); 60] = [
    (
        "lambda",
        "GET",
        "/2015-03-31/functions",
        "",
        "ListFunctions",
    ),
    (
        "lambda",
        "POST",
        "/2015-03-31/functions",
        "",
        "CreateFunction",
    ),
    (
        "lambda",
        "GET",
        "/2015-03-31/functions/{}",
        "",
        "GetFunction",
    ),
    (
        "lambda",
        "DELETE",
        "/2015-03-31/functions/{}",
        "",
        "DeleteFunction",
    ),
    (
        "lambda",
        "GET",
        "/2015-03-31/functions/{}/configuration",
        "",
        "GetFunctionConfiguration",
    ),
    (
        "lambda",
        "PUT",
        "/2015-03-31/functions/{}/configuration",
        "",
        "UpdateFunctionConfiguration",
    ),
    (
        "lambda",
        "POST",
        "/2015-03-31/functions/{}/invocations",
        "",
        "Invoke",
    ),
    (
        "lambda",
        "GET",
        "/2015-03-31/functions/{}/policy",
        "",
        "GetPolicy",
    ),
    (
        "lambda",
        "POST",
        "/2015-03-31/functions/{}/policy",
        "",
        "AddPermission",
    ),
    (
        "lambda",
        "PUT",
        "/2017-10-31/functions/{}/concurrency",
        "",
        "PutFunctionConcurrency",
    ),
    (
        "lambda",
        "DELETE",
        "/2017-10-31/functions/{}/concurrency",
        "",
        "DeleteFunctionConcurrency",
    ),
    (
        "lambda",
        "GET",
        "/2019-09-30/functions/{}/concurrency",
        "",
        "GetFunctionConcurrency",
    ),
    ("lambda", "GET", "/2017-03-31/tags/{+}", "", "ListTags"),
    ("lambda", "POST", "/2017-03-31/tags/{+}", "", "TagResource"),
    (
        "lambda",
        "DELETE",
        "/2017-03-31/tags/{+}",
        "",
        "UntagResource",
    ),
    (
        "lambda",
        "GET",
        "/2015-03-31/event-source-mappings",
        "",
        "ListEventSourceMappings",
    ),
    ("eks", "GET", "/clusters", "", "ListClusters"),
    ("eks", "POST", "/clusters", "", "CreateCluster"),
    ("eks", "GET", "/clusters/{}", "", "DescribeCluster"),
    ("eks", "DELETE", "/clusters/{}", "", "DeleteCluster"),
    (
        "eks",
        "POST",
        "/clusters/{}/update-config",
        "",
        "UpdateClusterConfig",
    ),
    (
        "eks",
        "GET",
        "/clusters/{}/updates/{}",
        "",
        "DescribeUpdate",
    ),
    (
        "eks",
        "GET",
        "/clusters/{}/node-groups",
        "",
        "ListNodegroups",
    ),
    (
        "eks",
        "POST",
        "/clusters/{}/node-groups",
        "",
        "CreateNodegroup",
    ),
    (
        "eks",
        "GET",
        "/clusters/{}/node-groups/{}",
        "",
        "DescribeNodegroup",
    ),
    (
        "eks",
        "POST",
        "/clusters/{}/node-groups/{}/update-config",
        "",
        "UpdateNodegroupConfig",
    ),
    ("guardduty", "GET", "/detector", "", "ListDetectors"),
    ("guardduty", "POST", "/detector", "", "CreateDetector"),
    ("guardduty", "GET", "/detector/{}", "", "GetDetector"),
    ("guardduty", "GET", "/detector/{}/filter", "", "ListFilters"),
    (
        "guardduty",
        "POST",
        "/detector/{}/findings",
        "",
        "ListFindings",
    ),
    (
        "guardduty",
        "POST",
        "/detector/{}/findings/get",
        "",
        "GetFindings",
    ),
    (
        "guardduty",
        "POST",
        "/detector/{}/findings/archive",
        "",
        "ArchiveFindings",
    ),
    (
        "guardduty",
        "POST",
        "/detector/{}/findings/unarchive",
        "",
        "UnarchiveFindings",
    ),
    ("ses", "POST", "/v2/email/outbound-emails", "", "SendEmail"),
    (
        "ses",
        "POST",
        "/v2/email/identities",
        "",
        "CreateEmailIdentity",
    ),
    (
        "s3",
        "GET",
        "/v20180820/configuration/publicAccessBlock",
        "",
        "GetPublicAccessBlock",
    ),
    (
        "s3",
        "PUT",
        "/v20180820/configuration/publicAccessBlock",
        "",
        "PutPublicAccessBlock",
    ),
    (
        "s3",
        "DELETE",
        "/v20180820/configuration/publicAccessBlock",
        "",
        "DeletePublicAccessBlock",
    ),
    (
        "s3",
        "GET",
        "/{}",
        "publicAccessBlock",
        "GetPublicAccessBlock",
    ),
    (
        "s3",
        "PUT",
        "/{}",
        "publicAccessBlock",
        "PutPublicAccessBlock",
    ),
    (
        "s3",
        "DELETE",
        "/{}",
        "publicAccessBlock",
        "DeletePublicAccessBlock",
    ),
    ("s3", "GET", "/{}", "policy", "GetBucketPolicy"),
    ("s3", "PUT", "/{}", "policy", "PutBucketPolicy"),
    ("s3", "DELETE", "/{}", "policy", "DeleteBucketPolicy"),
    ("s3", "GET", "/{}", "tagging", "GetBucketTagging"),
    ("s3", "PUT", "/{}", "tagging", "PutBucketTagging"),
    ("s3", "GET", "/{}", "location", "GetBucketLocation"),
    ("s3", "GET", "/{}", "policyStatus", "GetBucketPolicyStatus"),
    ("s3", "GET", "/{}", "acl", "GetBucketAcl"),
    ("s3", "POST", "/{}", "delete", "DeleteObjects"),
    ("s3", "GET", "/{}", "list-type", "ListObjectsV2"),
    ("s3", "GET", "/", "", "ListBuckets"),
    ("s3", "PUT", "/{}", "", "CreateBucket"),
    ("s3", "HEAD", "/{}", "", "HeadBucket"),
    ("s3", "DELETE", "/{}", "", "DeleteBucket"),
    ("s3", "GET", "/{}/{+}", "", "GetObject"),
    ("s3", "HEAD", "/{}/{+}", "", "HeadObject"),
    ("s3", "PUT", "/{}/{+}", "", "PutObject"),
    ("s3", "DELETE", "/{}/{+}", "", "DeleteObject"),
];

fn rest(service: &str, method: &str, path: &str, query: &str) -> Option<&'static str> {
    let has = |wanted: &str| {
        wanted.is_empty()
            || query
                .split('&')
                .any(|pair| pair.split('=').next() == Some(wanted))
    };
    REST.iter()
        .find(|(of, with, pattern, parameter, _)| {
            *of == service && *with == method && has(parameter) && fits(pattern, path)
        })
        .map(|(.., name)| *name)
}

fn fits(pattern: &str, path: &str) -> bool {
    let mut parts = path.trim_matches('/').split('/');
    for wanted in pattern.trim_matches('/').split('/') {
        let Some(part) = parts.next() else {
            return false;
        };
        match wanted {
            "{}" if !part.is_empty() => {}
            "{+}" if !part.is_empty() => return true,
            _ if wanted == part => {}
            _ => return false,
        }
    }
    parts.next().is_none()
}
