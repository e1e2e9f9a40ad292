//! One request, and what its answer means for what was sent.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, RequestBuilder, StatusCode};

/// How long a connection may take to come about.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How much of an answer is read, and how much of it quoted.
const ANSWER_BYTES: usize = 64 << 10;
const QUOTED_CHARS: usize = 200;

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It has them. What it says beside that.
    Taken(Vec<u8>),
    /// Not now: why, and how long to wait if it says so.
    Later(String, Option<Duration>),
    /// Not so many at once, or not one of them: smaller parts may go.
    Parts(String),
    /// Nobody will get through like this: the token, the address. Somebody has to mend it.
    Shut(String),
}

/// Why there can be no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file of certificates cannot be read.
    #[error("cannot read the certificates in {}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It has none, or something else.
    #[error("{} holds no certificates in PEM form", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
    },
    /// There is no way to speak TLS on this machine.
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
}

/// A client that trusts the certificates in `ca_file`, or those that the machine trusts.
pub(crate) fn client(ca_file: &Path, timeout: Duration) -> Result<Client, ClientError> {
    // Others in this process may have installed the same; that is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .timeout(timeout)
        .connect_timeout(CONNECT_WITHIN)
        .user_agent(concat!("davylamp/", env!("CARGO_PKG_VERSION")))
        // What is told is for that address, not for wherever it may point.
        .redirect(reqwest::redirect::Policy::none());
    if !ca_file.as_os_str().is_empty() {
        let path = ca_file.to_owned();
        let pem = std::fs::read(ca_file).map_err(|source| ClientError::CaFile {
            path: path.clone(),
            source,
        })?;
        let certificates = Certificate::from_pem_bundle(&pem)
            .ok()
            .filter(|certificates| !certificates.is_empty())
            .ok_or(ClientError::Certificates { path })?;
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().map_err(ClientError::Client)
}

/// Sends a request. `secrets` are taken out of what is said about the answer.
pub(crate) async fn send(request: RequestBuilder, secrets: &[&str]) -> Answer {
    let mut answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return unsent(error),
    };
    let status = answer.status();
    let after = retry_after(answer.headers());
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES {
        match answer.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            // The status is the answer; but a success that breaks off may be none.
            Err(error) if status.is_success() => return unsent(error),
            Err(_) => break,
        }
    }
    if status.is_success() {
        return Answer::Taken(body);
    }
    let why = format!("{status}: {}", quoted(&body, secrets));
    match status {
        // 409: the same is being taken at this moment.
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::CONFLICT
        | StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS => Answer::Later(why, after),
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => Answer::Parts(why),
        _ if status.is_server_error() => Answer::Later(why, after),
        _ => Answer::Shut(why),
    }
}

fn unsent(error: reqwest::Error) -> Answer {
    let error = error.without_url();
    let cause = std::iter::successors(std::error::Error::source(&error), |error| error.source())
        .last()
        .map_or_else(String::new, |cause| format!(": {cause}"));
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    Answer::Later(format!("{what}{cause}"), None)
}

/// `Retry-After`, in seconds or as a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(at.duration_since(jiff::Timestamp::now())).ok()
}

/// The start of an answer, on one line, without what must not be repeated: servers like to echo.
fn quoted(body: &[u8], secrets: &[&str]) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "…");
    }
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(QUOTED_CHARS)
        .collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_or_seconds() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().expect("a value"));
            retry_after(&headers)
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("soon"), None);
        assert_eq!(read("Fri, 01 Jan 2021 00:00:00 GMT"), None);
        let far = read("Fri, 01 Jan 2100 00:00:00 GMT").expect("a wait");
        assert!(far > Duration::from_secs(86_400));
    }

    #[test]
    fn what_is_quoted_steers_no_terminal_and_repeats_no_secret() {
        let text = quoted("bad\u{1b}[2J token hunter2\n".as_bytes(), &["hunter2", ""]);
        assert_eq!(text, "bad [2J token …");
    }
}
