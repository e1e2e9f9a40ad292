//! The Hub's users, read through its REST API.

use std::fmt;
use std::time::Duration;

use davylamp_model::ids::{HubUser, PodName};
use davylamp_model::inventory::HubRecord;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Certificate, Client, StatusCode, Url};
use serde::Deserialize;

use crate::secrets::Secret;

/// A connection that takes longer than this is not made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// One page may take this long: a Hub with thousands of users needs seconds.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// How many users are asked for at once; the Hub's own default limit is smaller or the same.
const PAGE_SIZE: usize = 200;
/// No Hub has more users; a list that does not end is refused.
const MAX_USERS: usize = 1_000_000;
/// What makes JupyterHub 2 and later answer in pages (JupyterHub, "REST API", pagination).
const PAGED: &str = "application/jupyterhub-pagination+json";

/// A JupyterHub. It is only ever asked.
#[derive(Clone)]
pub struct Hub {
    client: Client,
    base: Url,
    token: HeaderValue,
    page_size: usize,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

/// Why the Hub told nothing.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// What is configured cannot work.
    #[error("the Hub is not configured as it must be: {why}")]
    Configuration {
        /// What is wrong, as a clause.
        why: String,
    },
    /// It does not answer.
    #[error("the Hub does not answer at {url}")]
    Unreachable {
        /// The address.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// We may not ask.
    #[error("the Hub refuses our token ({status}): it needs the scopes {scopes}")]
    Denied {
        /// The status.
        status: StatusCode,
        /// The scopes that a token for this needs.
        scopes: &'static str,
    },
    /// It answers with an error.
    #[error("the Hub answers {status} at {url}: see its own log")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The address.
        url: String,
    },
    /// Its answer cannot be understood.
    #[error("the Hub's list of users is not as it should be: {why}")]
    Answer {
        /// What is wrong, as a clause.
        why: String,
    },
}

/// What reading needs of a token.
const SCOPES: &str = "list:users, read:users and read:servers";

impl Hub {
    /// A Hub by the address of its API, such as `https://hub.example/hub/api`, and a token.
    /// `authority` is the PEM of a certificate authority beside the system's.
    pub fn new(base: &str, token: &Secret, authority: Option<&[u8]>) -> Result<Self, HubError> {
        let configuration = |why: String| HubError::Configuration { why };
        // Shared with the AWS clients; a second installation is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut base = Url::parse(base)
            .map_err(|error| configuration(format!("its address is no URL: {error}")))?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(configuration("its address is not http or https".to_owned()));
        }
        // Without the slash the last word would be replaced by what is joined to it.
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut header =
            HeaderValue::try_from(format!("token {}", token.expose())).map_err(|_| {
                configuration("its token holds characters that no token has".to_owned())
            })?;
        header.set_sensitive(true);
        let mut builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(PAGE_TIMEOUT)
            // A redirect would be followed with the token to wherever it leads.
            .redirect(reqwest::redirect::Policy::none());
        if let Some(pem) = authority {
            let certificates = Certificate::from_pem_bundle(pem).map_err(|error| {
                configuration(format!("its certificate authority is no PEM: {error}"))
            })?;
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder
            .build()
            .map_err(|error| configuration(format!("no client can be made: {error}")))?;
        Ok(Self {
            client,
            base,
            token: header,
            page_size: PAGE_SIZE,
        })
    }

    /// Asks for pages of this size instead.
    pub fn with_page_size(mut self, users: usize) -> Self {
        self.page_size = users.max(1);
        self
    }

    /// All users, with their running servers where the token may see them.
    pub async fn users(&self) -> Result<Vec<HubRecord>, HubError> {
        let mut users = Vec::new();
        let mut offset = 0;
        loop {
            let page = self.page(offset).await?;
            let (items, next) = match page {
                Page::Paged { items, pagination } => {
                    (items, pagination.next.map(|next| next.offset))
                }
                // JupyterHub 1 knows no pages and answers with the whole list.
                Page::Whole(items) => (items, None),
            };
            users.extend(items.into_iter().map(HubRecord::from));
            match next {
                None => return Ok(users),
                Some(next) if next > offset && next <= MAX_USERS => offset = next,
                Some(next) => {
                    return Err(HubError::Answer {
                        why: format!("after user {offset} it goes on at user {next}"),
                    });
                }
            }
        }
    }

    async fn page(&self, offset: usize) -> Result<Page, HubError> {
        let mut url = self
            .base
            .join("users")
            .map_err(|error| HubError::Configuration {
                why: error.to_string(),
            })?;
        url.query_pairs_mut()
            .append_pair("offset", &offset.to_string())
            .append_pair("limit", &self.page_size.to_string());
        let unreachable = |source: reqwest::Error| HubError::Unreachable {
            url: self.base.to_string(),
            source: source.without_url(),
        };
        let answer = self
            .client
            .get(url.clone())
            .header(AUTHORIZATION, self.token.clone())
            .header(ACCEPT, PAGED)
            .send()
            .await
            .map_err(unreachable)?;
        match answer.status() {
            StatusCode::OK => {}
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(HubError::Denied {
                    status,
                    scopes: SCOPES,
                });
            }
            status => {
                return Err(HubError::Refused {
                    status,
                    url: url.to_string(),
                });
            }
        }
        let bytes = answer.bytes().await.map_err(unreachable)?;
        serde_json::from_slice(&bytes).map_err(|error| HubError::Answer {
            why: error.to_string(),
        })
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Page {
    Paged {
        items: Vec<User>,
        #[serde(rename = "_pagination")]
        pagination: Pagination,
    },
    Whole(Vec<User>),
}

#[derive(Deserialize)]
struct Pagination {
    next: Option<Next>,
}

#[derive(Deserialize)]
struct Next {
    offset: usize,
}

/// A user as the Hub spells it. What the token may not see is left out by the Hub.
#[derive(Deserialize)]
struct User {
    name: String,
    #[serde(default)]
    admin: Option<bool>,
    #[serde(default)]
    servers: Option<std::collections::BTreeMap<String, Server>>,
}

#[derive(Deserialize)]
struct Server {
    #[serde(default)]
    state: Option<serde_json::Value>,
    #[serde(default)]
    stopped: Option<bool>,
}

impl From<User> for HubRecord {
    fn from(user: User) -> Self {
        let running: Vec<(String, Server)> = user
            .servers
            .unwrap_or_default()
            .into_iter()
            // Since JupyterHub 4 named servers that are stopped are in the list as well.
            .filter(|(_, server)| server.stopped != Some(true))
            .collect();
        Self {
            name: HubUser(user.name),
            admin: user.admin.unwrap_or(false),
            pods: running
                .iter()
                .filter_map(|(_, server)| server.state.as_ref()?.get("pod_name")?.as_str())
                .map(PodName::from)
                .collect(),
            servers: running.into_iter().map(|(name, _)| name).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_every_hub_are_understood() {
        let paged = r#"{"items": [
            {"name": "alice", "admin": true, "servers": {
                "": {"state": {"pod_name": "jupyter-alice"}, "stopped": false},
                "old": {"state": null, "stopped": true},
                "gpu": {"user_options": {}}}},
            {"name": "bob", "admin": null, "servers": null}],
            "_pagination": {"next": {"offset": 2, "limit": 2, "url": "x"}, "total": 3}}"#;
        let Ok(Page::Paged { items, pagination }) = serde_json::from_str(paged) else {
            panic!("a page");
        };
        assert_eq!(pagination.next.map(|next| next.offset), Some(2));
        let records: Vec<HubRecord> = items.into_iter().map(HubRecord::from).collect();
        assert_eq!(records[0].pods, [PodName::from("jupyter-alice")]);
        assert_eq!(records[0].servers, ["", "gpu"]);
        assert!(records[0].admin && !records[1].admin);
        assert!(matches!(
            serde_json::from_str(r#"[{"name": "carol"}]"#),
            Ok(Page::Whole(users)) if users.len() == 1
        ));
    }

    #[test]
    fn a_hub_does_not_show_its_token() {
        let hub = Hub::new("http://127.0.0.1:1/hub/api", &Secret::new("s3cret"), None).unwrap();
        assert!(!format!("{hub:?}").contains("s3cret"));
        assert_eq!(hub.base.as_str(), "http://127.0.0.1:1/hub/api/");
        for (base, token) in [("ftp://x/", "t"), ("hub", "t"), ("http://x/", "a\nb")] {
            assert!(Hub::new(base, &Secret::new(token), None).is_err(), "{base}");
        }
    }
}
