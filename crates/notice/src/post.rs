//! One JSON document to one address, for the channels that are webhooks.

use std::time::Duration;

use reqwest::Url;

use crate::error::{ChannelError, SendError};

/// How long a whole request may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How much of a refusal is quoted.
const QUOTED_CHARS: usize = 200;

/// An address that is itself a secret: nothing prints it.
#[derive(Clone)]
pub(super) struct Target {
    url: Url,
    client: reqwest::Client,
}

impl Target {
    /// Plain HTTP is for this machine alone.
    pub fn new(channel: &str, address: &str) -> Result<Self, ChannelError> {
        let url = safe(address).ok_or_else(|| ChannelError::Address {
            channel: channel.to_owned(),
        })?;
        // The AWS clients and these share one TLS provider; a second installation is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            // What is told is for that address, not for wherever it may point.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| ChannelError::Client {
                channel: channel.to_owned(),
                why: error.without_url().to_string(),
            })?;
        Ok(Self { url, client })
    }

    /// Posts it; `secret` values are taken out of what the other side answers.
    pub async fn post(
        &self,
        channel: &str,
        body: Vec<u8>,
        headers: &[(&'static str, String)],
        secrets: &[&str],
    ) -> Result<(), SendError> {
        let mut request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header(
                "user-agent",
                concat!("davylamp/", env!("CARGO_PKG_VERSION")),
            );
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.body(body).send().await.map_err(|error| {
            let why = if error.is_timeout() {
                "no answer in time"
            } else if error.is_connect() {
                "no connection"
            } else {
                "the connection broke"
            };
            SendError::Transient {
                channel: channel.to_owned(),
                // The error's own text may hold the address.
                why: why.to_owned(),
            }
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let text = answer.text().await.unwrap_or_default();
        let why = format!("{status}: {}", self.quoted(&text, secrets));
        if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) {
            Err(SendError::Transient {
                channel: channel.to_owned(),
                why,
            })
        } else {
            Err(SendError::Refused {
                channel: channel.to_owned(),
                why,
            })
        }
    }

    /// The start of an answer, without what must not be repeated: servers like to echo.
    fn quoted(&self, text: &str, secrets: &[&str]) -> String {
        let mut text = text.replace(self.url.as_str(), "…");
        let path = self.url.path().trim_matches('/');
        for secret in secrets.iter().copied().chain([path]) {
            if !secret.is_empty() {
                text = text.replace(secret, "…");
            }
        }
        for secret in [self.url.query(), self.url.password()]
            .into_iter()
            .flatten()
        {
            if !secret.is_empty() {
                text = text.replace(secret, "…");
            }
        }
        super::show::line(text.trim(), QUOTED_CHARS)
    }
}

/// Whether something may be posted there.
pub fn is_postable(address: &str) -> bool {
    safe(address).is_some()
}

fn safe(address: &str) -> Option<Url> {
    let url = Url::parse(address.trim()).ok()?;
    (url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url)).then_some(url)
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback_host)
}

/// Whether a host is this machine, by its name alone: no name server is asked.
pub(super) fn is_loopback_host(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
