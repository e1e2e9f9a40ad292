//! Objects and lists of a cluster, page by page.

use kube::Client;
use serde_json::Value;

use crate::aws::session::describe;

/// Objects in one page.
const PAGE: usize = 500;

/// Why a cluster tells nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubeError {
    /// We may not ask.
    #[error("the cluster does not let us read {what}: allow `get` and `list` of it ({said})")]
    Denied {
        /// What was asked for.
        what: String,
        /// What the cluster said.
        said: String,
    },
    /// It does not answer, or not as it should.
    #[error("{what} could not be read: {said}")]
    Failed {
        /// What was asked for.
        what: String,
        /// What was said.
        said: String,
    },
}

/// Asks one cluster.
pub(super) struct Reader<'a> {
    pub client: &'a Client,
}

impl Reader<'_> {
    /// One object; none where the cluster says that there is none.
    pub(super) async fn get(&self, path: &str, what: &str) -> Result<Option<Value>, KubeError> {
        let failed = |said: String| KubeError::Failed {
            what: what.to_owned(),
            said,
        };
        let request = http::Request::get(path)
            .body(Vec::new())
            .map_err(|error| failed(error.to_string()))?;
        match self.client.request::<Value>(request).await {
            Ok(value) => Ok(Some(value)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403) => {
                Err(KubeError::Denied {
                    what: what.to_owned(),
                    said: status.message.clone(),
                })
            }
            Err(error) => Err(failed(describe(&error))),
        }
    }

    /// Every page of a list; empty where the cluster does not know the kind.
    pub(super) async fn list(
        &self,
        path: &str,
        what: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<Value>, KubeError> {
        let mut all = Vec::new();
        let mut next = String::new();
        loop {
            let mut parameters = vec![format!("limit={PAGE}")];
            parameters.extend(
                query
                    .iter()
                    .map(|(key, value)| format!("{key}={}", segment(value))),
            );
            if !next.is_empty() {
                parameters.push(format!("continue={}", segment(&next)));
            }
            let page = format!("{path}?{}", parameters.join("&"));
            let Some(mut list) = self.get(&page, what).await? else {
                return Ok(all);
            };
            let token = list["metadata"]["continue"].as_str().unwrap_or_default();
            if token == next && !token.is_empty() {
                return Err(KubeError::Failed {
                    what: what.to_owned(),
                    said: "the list goes round in a circle".to_owned(),
                });
            }
            next = token.to_owned();
            if let Some(items) = list["items"].as_array_mut() {
                all.append(items);
            }
            if next.is_empty() {
                return Ok(all);
            }
        }
    }
}

/// Text as one segment of a path or one value of a query: names come from findings, and must not
/// lead elsewhere.
pub(super) fn segment(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                out.push(char::from(byte))
            }
            // A dot by itself, or two, is a step within the path.
            b'.' if !text.trim_matches('.').is_empty() => out.push('.'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place_in_a_path() {
        assert_eq!(
            segment("ip-10-0-0-1.ec2.internal"),
            "ip-10-0-0-1.ec2.internal"
        );
        assert_eq!(segment("../../secrets?x#y"), "..%2F..%2Fsecrets%3Fx%23y");
        assert_eq!(segment(".."), "%2E%2E");
        assert_eq!(segment("a\r\nb c"), "a%0D%0Ab%20c");
    }
}
