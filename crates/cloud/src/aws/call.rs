//! What a request is, read off its own bytes: every client is counted and paced by it, whoever made
//! the client.

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

/// What a request is, as far as its bytes say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub region: String,
    pub service: String,
    pub operation: String,
}

impl Call {
    pub(super) fn of(request: &HttpRequest) -> Self {
        let headers = request.headers();
        let scope = headers.get("authorization").and_then(scope);
        let (region, service) = scope.unwrap_or_else(|| {
            let host = request
                .uri()
                .split("://")
                .nth(1)
                .and_then(|rest| rest.split(['/', ':']).next())
                .unwrap_or_default();
            (String::new(), host.to_owned())
        });
        let operation = headers
            .get("x-amz-target")
            .and_then(|target| target.rsplit('.').next())
            .map(str::to_owned)
            .or_else(|| request.body().bytes().and_then(action))
            .unwrap_or_else(|| rest_name(request.method(), request.uri()));
        Self {
            region,
            service,
            operation,
        }
    }
}

/// Region and service out of a signature: `Credential=KEY/date/region/service/aws4_request`.
fn scope(authorization: &str) -> Option<(String, String)> {
    let credential = authorization.split("Credential=").nth(1)?;
    let mut parts = credential.split(',').next()?.split('/').skip(2);
    Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
}

/// The operation of a request in the query protocol.
fn action(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let name = text.strip_prefix("Action=")?.split('&').next()?;
    Some(name.to_owned())
}

/// A name for a request that has none: its method and the words of its path that are no names of
/// things, as far as can be told.
fn rest_name(method: &str, uri: &str) -> String {
    let path = uri.split("://").nth(1).unwrap_or(uri);
    let path = path.split('?').next().unwrap_or_default();
    let words: Vec<&str> = path
        .split('/')
        .skip(1)
        .filter(|word| !word.is_empty() && !word.starts_with(|first: char| first.is_ascii_digit()))
        .take(1)
        .collect();
    format!("{method} {}", words.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_what_it_is() {
        let mut request = HttpRequest::new("Action=DescribeInstances&Version=2016-11-15".into());
        request.headers_mut().insert(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIA/20261120/eu-central-1/ec2/aws4_request, \
             SignedHeaders=host, Signature=00",
        );
        assert_eq!(
            Call::of(&request),
            Call {
                region: "eu-central-1".to_owned(),
                service: "ec2".to_owned(),
                operation: "DescribeInstances".to_owned(),
            }
        );

        assert_eq!(
            rest_name("GET", "http://x:1/2015-03-31/functions/a/concurrency?b=c"),
            "GET functions"
        );
        assert_eq!(rest_name("GET", "https://x/clusters/prod"), "GET clusters");
        assert_eq!(scope("Basic abc"), None);
        assert_eq!(scope("AWS4 Credential=a/b"), None);
    }
}
