//! Davylamp's console: batches of events as JSON lines, compressed, under a bearer token.
//!
//! `POST {url}/api/v1/events`, `Content-Type: application/x-ndjson`, `Content-Encoding: gzip`. The
//! `Idempotency-Key` is made of the lines, so the same batch has the same key whoever sends it, and a
//! later state of a finding, under the same id, has another; and as batches are cut otherwise after a
//! restart, a server has to know the events themselves by their ids.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Client, Url};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::config;
use crate::event::Event;
use crate::http::{self, Answer};
use crate::run::ForwardError;

/// Where events are posted, below the console's address.
const PATH: &str = "api/v1/events";

/// A console.
#[derive(Debug)]
pub(crate) struct Console {
    url: Url,
    client: Client,
    token_file: PathBuf,
    /// Holds the token where there is no file.
    variable: &'static str,
}

impl Console {
    /// The console of the configuration; `None` where it has none.
    pub(crate) fn new(
        config: &config::Console,
        variable: &'static str,
    ) -> Result<Option<Self>, ForwardError> {
        if config.url.is_empty() {
            return Ok(None);
        }
        let base = format!("{}/", config.url.trim_end_matches('/'));
        let url = Url::parse(&base)
            .and_then(|url| url.join(PATH))
            .map_err(|_| ForwardError::Address {
                key: "forward.console.url",
            })?;
        let console = Self {
            url,
            client: http::client(&config.ca_file, Duration::from_secs(config.timeout_secs))?,
            token_file: config.token_file.clone(),
            variable,
        };
        token(&console.token_file, variable)?;
        Ok(Some(console))
    }

    pub(crate) async fn deliver(&self, events: &[Event]) -> Answer {
        let token = match token(&self.token_file, self.variable) {
            Ok(token) => token,
            Err(error) => return Answer::Shut(error.to_string()),
        };
        let body = match body(events) {
            Ok(body) => body,
            Err(error) => return Answer::Later(format!("a batch cannot be packed: {error}"), None),
        };
        let request = self
            .client
            .post(self.url.clone())
            .bearer_auth(token.as_str())
            .header("idempotency-key", key(events))
            .header("content-type", "application/x-ndjson")
            .header("content-encoding", "gzip")
            .body(body);
        http::send(request, &[&token]).await
    }
}

/// The token as it is now: who renews it does not restart us.
pub(crate) fn token(file: &Path, variable: &str) -> Result<Zeroizing<String>, ForwardError> {
    let text = if file.as_os_str().is_empty() {
        std::env::var(variable).map_err(|_| ForwardError::NoToken)?
    } else {
        std::fs::read_to_string(file).map_err(|source| ForwardError::Secret {
            path: file.to_owned(),
            source,
        })?
    };
    let token = Zeroizing::new(text.trim().to_owned());
    let is_one = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    is_one.then_some(token).ok_or(ForwardError::NoToken)
}

fn body(events: &[Event]) -> std::io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    for event in events {
        packed.write_all(event.line.as_bytes())?;
        packed.write_all(b"\n")?;
    }
    packed.finish()
}

/// The same for the same events.
fn key(events: &[Event]) -> String {
    let mut digest = Sha256::new();
    for event in events {
        digest.update(event.line.as_bytes());
        digest.update(b"\n");
    }
    hex::encode(&digest.finalize()[..16])
}
