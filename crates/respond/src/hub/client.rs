//! Requests to the Hub's REST API, and what its answers mean.

use std::fmt::Write as _;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Certificate, Client, Method, redirect};
use serde_json::Value;

use crate::actuator::ActError;
use davylamp_cloud::secrets::Secret;

/// A connection that takes longer than this is not made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The Hub answers a stop within its `slow_stop_timeout`, 10 s unless configured otherwise, with
/// 202; whatever takes longer than this is a Hub that hangs.
const TIMEOUT: Duration = Duration::from_secs(30);

/// So much of an answer is repeated in an error.
const EXCERPT_CHARS: usize = 200;

/// Where the Hub is, and as whom it is asked.
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// Its address, up to and without `/hub`.
    pub url: String,
    /// An API token with the scopes `list:users`, `read:users`, `delete:users`, `read:servers`,
    /// `delete:servers` and `tokens`; and `groups` where users are blocked.
    pub token: Secret,
    /// Certificates, in PEM, that are trusted beside the system's.
    pub ca_pem: Option<String>,
}

/// Why no client of the Hub can be made.
#[derive(Debug, thiserror::Error)]
pub enum HubSetupError {
    /// The certificate authority's file is none.
    #[error("the certificate authority of the Hub cannot be read")]
    Authority(#[source] reqwest::Error),
    /// The HTTP client cannot be made.
    #[error("no HTTP client can be made for the Hub")]
    Client(#[source] reqwest::Error),
}

/// Asks the Hub.
#[derive(Debug)]
pub(super) struct HubClient {
    http: Client,
    base: String,
    token: Secret,
}

impl HubClient {
    pub(super) fn new(options: HubOptions) -> Result<Self, HubSetupError> {
        // A second installation is no error: every client of the process shares one provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            // The API never redirects; a login page would be taken for an answer.
            .redirect(redirect::Policy::none());
        if let Some(pem) = &options.ca_pem {
            let certificates =
                Certificate::from_pem_bundle(pem.as_bytes()).map_err(HubSetupError::Authority)?;
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self {
            http: builder.build().map_err(HubSetupError::Client)?,
            base: format!("{}/hub/api", options.url.trim_end_matches('/')),
            token: options.token,
        })
    }

    /// Asks for what stands at these segments of a path. `None` where the Hub says that it is not
    /// there.
    pub(super) async fn ask(
        &self,
        method: Method,
        segments: &[&str],
    ) -> Result<Option<Value>, ActError> {
        self.send(method, segments, None).await
    }

    /// The same with something to say.
    pub(super) async fn tell(
        &self,
        method: Method,
        segments: &[&str],
        body: &Value,
    ) -> Result<Option<Value>, ActError> {
        self.send(method, segments, Some(body)).await
    }

    async fn send(
        &self,
        method: Method,
        segments: &[&str],
        body: Option<&Value>,
    ) -> Result<Option<Value>, ActError> {
        let path = path_of(segments)?;
        // Names of users stay encoded: they may hold anything.
        let call = format!("{method} {path} of the Hub");
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .header("Authorization", format!("token {}", self.token.expose()));
        if let Some(body) = body {
            request = request
                .header("Content-Type", "application/json")
                .body(body.to_string());
        }
        let reply = request
            .send()
            .await
            .map_err(|error| unreachable_hub(&error))?;
        let status = reply.status().as_u16();
        let text = reply
            .text()
            .await
            .map_err(|error| unreachable_hub(&error))?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        judge(call, status, body, &text)
    }
}

/// What an answer means.
fn judge(call: String, status: u16, body: Value, text: &str) -> Result<Option<Value>, ActError> {
    let said = format!("{status} {}", excerpt(&body, text));
    match status {
        200..=299 => Ok(Some(body)),
        // A Hub says that something is not there with its own status object. Any other 404 comes
        // from something that is no Hub, and one that speaks of access from a Hub that shows our
        // token only some users: neither says that the user is gone.
        404 if body["status"] == 404 => {
            let message = body["message"].as_str().unwrap_or_default();
            if message.to_lowercase().contains("no access") {
                Err(ActError::Denied { call, why: said })
            } else {
                Ok(None)
            }
        }
        401 | 403 => Err(ActError::Denied { call, why: said }),
        408 | 429 | 500.. => Err(transient(said)),
        400 if is_passing(&body) => Err(transient(said)),
        _ => Err(ActError::Refused { call, why: said }),
    }
}

/// Whether a 400 speaks of a server that is being started or stopped.
fn is_passing(body: &Value) -> bool {
    let message = body["message"].as_str().unwrap_or_default().to_lowercase();
    ["pending", "please wait", "stopping"]
        .iter()
        .any(|word| message.contains(word))
}

pub(super) fn transient(why: impl Into<String>) -> ActError {
    ActError::Transient {
        service: "the Hub".to_owned(),
        why: why.into(),
    }
}

fn unreachable_hub(error: &reqwest::Error) -> ActError {
    transient(davylamp_cloud::aws::session::describe(error))
}

/// What it said, short, on one line, without control characters.
fn excerpt(body: &Value, text: &str) -> String {
    let said = body["message"].as_str().unwrap_or(text);
    said.chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .take(EXCERPT_CHARS)
        .collect()
}

/// A path of these segments, each of them encoded whole. A segment that any client or proxy would
/// resolve to another path cannot be asked for: `users/..` would be the list of all users.
fn path_of(segments: &[&str]) -> Result<String, ActError> {
    let mut path = String::new();
    for segment in segments {
        if segment.is_empty() || segment.chars().all(|char| char == '.') {
            return Err(ActError::Refused {
                call: "a request to the Hub".to_owned(),
                why: format!("the name {segment:?} cannot stand in a path"),
            });
        }
        // Writing to a string cannot fail.
        let _ = write!(path, "/{}", utf8_percent_encode(segment, NON_ALPHANUMERIC));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hostile_names_stay_one_segment() {
        for (name, path) in [
            ("alice", "/users/alice"),
            ("a/b", "/users/a%2Fb"),
            ("../services", "/users/%2E%2E%2Fservices"),
            ("%2e%2e", "/users/%252e%252e"),
            ("a?b#c", "/users/a%3Fb%23c"),
            ("ü\n", "/users/%C3%BC%0A"),
        ] {
            assert_eq!(path_of(&["users", name]).expect(name), path);
        }
        for name in ["", ".", "..", "..."] {
            assert!(
                matches!(path_of(&["users", name]), Err(ActError::Refused { .. })),
                "{name:?}"
            );
        }
    }

    #[track_caller]
    fn check(status: u16, body: Value, expected: &str) {
        let text = body.to_string();
        let got = match judge("DELETE /users/a".to_owned(), status, body, &text) {
            Ok(Some(_)) => "answer".to_owned(),
            Ok(None) => "absent".to_owned(),
            Err(ActError::Transient { .. }) => "transient".to_owned(),
            Err(ActError::Denied { .. }) => "denied".to_owned(),
            Err(ActError::Refused { .. }) => "refused".to_owned(),
            Err(ActError::NotConfigured { .. }) => "not configured".to_owned(),
        };
        assert_eq!(got, expected, "{status} {text}");
    }

    #[test]
    fn only_the_hub_itself_says_that_a_user_is_gone() {
        check(
            404,
            json!({ "status": 404, "message": "Not Found" }),
            "absent",
        );
        check(404, json!("<h1>no such page</h1>"), "refused");
        check(
            404,
            json!({ "status": 404, "message": "No access to resources or resources not found" }),
            "denied",
        );
        check(302, json!("login"), "refused");
        check(503, json!("Service at capacity"), "transient");
        check(
            403,
            json!({ "status": 403, "message": "Forbidden" }),
            "denied",
        );
        check(
            400,
            json!({ "status": 400, "message": "alice's server is in the process of stopping, please wait." }),
            "transient",
        );
        check(
            400,
            json!({ "status": 400, "message": "Cannot delete yourself!" }),
            "refused",
        );
    }
}
