//! A console's jobs: taken, kept, ended.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use super::config::{Config, TOKEN_VARIABLE};
use crate::console::token;
use crate::http;
use crate::run::ForwardError;

/// An answer with the findings of an incident has some megabytes.
const MAX_BYTES: usize = 64 << 20;
/// How much of a refusal is quoted.
const QUOTED_BYTES: usize = 400;

/// Why a console gave no answer that helps.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// It cannot be asked at all: the address, the token.
    #[error(transparent)]
    Setup(#[from] ForwardError),
    /// It is not there, or is busy: later it may be.
    #[error("the console does not answer: {0}")]
    Away(String),
    /// The job is another worker's by now, or was ended.
    #[error("the job is not ours any more: {0}")]
    Lost(String),
    /// It will not have us: somebody has to mend the token.
    #[error("the console refuses this worker: {0}")]
    Refused(String),
    /// It says what nobody understands: another version, another program.
    #[error("the console's answer cannot be read: {0}")]
    Unread(String),
}

/// A job with everything that has to be known for it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Job {
    /// What was asked: `job` is its id, `errand` what is to be done.
    pub job: Value,
    /// The plan that it is about.
    #[serde(default)]
    pub plan: Option<Value>,
    /// The findings of its incident, as they came.
    #[serde(default)]
    pub findings: Vec<Value>,
}

impl Job {
    /// Its id.
    pub fn id(&self) -> &str {
        self.text("job")
    }

    /// A member of what was asked; empty where it is not there.
    pub fn text(&self, member: &str) -> &str {
        self.job
            .get(member)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// Where a console's jobs are.
#[derive(Debug)]
pub struct Desk {
    base: Url,
    client: Client,
    token_file: PathBuf,
}

impl Desk {
    /// The desk of the configured console.
    ///
    /// # Errors
    /// There is none, or it cannot be spoken to.
    pub fn new(config: &Config) -> Result<Self, ForwardError> {
        let console = &config.console;
        if console.url.is_empty() {
            return Err(ForwardError::NoConsole);
        }
        let base = format!("{}/", console.url.trim_end_matches('/'));
        let base = Url::parse(&base).and_then(|url| url.join("api/v1/jobs/"));
        let desk = Self {
            base: base.map_err(|_| ForwardError::Address {
                key: "work.console.url",
            })?,
            client: http::client(&console.ca_file, Duration::from_secs(console.timeout_secs))?,
            token_file: console.token_file.clone(),
        };
        token(&desk.token_file, TOKEN_VARIABLE)?;
        Ok(desk)
    }

    /// The oldest job that can be done here, if there is one; it is ours for five minutes.
    ///
    /// # Errors
    /// [`DeskError`]
    pub async fn take(&self, can: &[&str]) -> Result<Option<Job>, DeskError> {
        match self.post("take", &json!({"can": can})).await? {
            None => Ok(None),
            Some(body) => serde_json::from_slice(&body)
                .map(Some)
                .map_err(|error| DeskError::Unread(error.to_string())),
        }
    }

    /// Says that we are still at a job: it is ours for five minutes more.
    ///
    /// # Errors
    /// [`DeskError`]
    pub async fn keep(&self, job: &str, detail: &str) -> Result<(), DeskError> {
        self.say(job, "taken", detail).await
    }

    /// Says how a job ended.
    ///
    /// # Errors
    /// [`DeskError`]
    pub async fn end(&self, job: &str, done: bool, detail: &str) -> Result<(), DeskError> {
        let stage = if done { "done" } else { "failed" };
        self.say(job, stage, detail).await
    }

    async fn say(&self, job: &str, stage: &str, detail: &str) -> Result<(), DeskError> {
        let body = json!({"stage": stage, "detail": detail});
        self.post(job, &body).await.map(drop)
    }

    async fn post(&self, job: &str, body: &Value) -> Result<Option<Vec<u8>>, DeskError> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(job);
        }
        let token = token(&self.token_file, TOKEN_VARIABLE)?;
        let request = self.client.post(url).bearer_auth(token.as_str()).json(body);
        let mut answer = request.send().await.map_err(|error| {
            // An address may hold what is nobody's business.
            DeskError::Away(error.without_url().to_string())
        })?;
        let status = answer.status();
        let mut body = Vec::new();
        let most = if status.is_success() {
            MAX_BYTES
        } else {
            QUOTED_BYTES
        };
        while body.len() < most {
            let chunk = answer.chunk().await;
            match chunk.map_err(|error| DeskError::Away(error.without_url().to_string()))? {
                Some(chunk) => body.extend_from_slice(&chunk),
                None => break,
            }
        }
        if status == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        if status.is_success() {
            return Ok(Some(body));
        }
        body.truncate(QUOTED_BYTES);
        let text = String::from_utf8_lossy(&body).replace(token.as_str(), "…");
        let why = format!("{status}: {}", text.trim());
        Err(match status {
            StatusCode::CONFLICT => DeskError::Lost(why),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => DeskError::Away(why),
            _ if status.is_server_error() => DeskError::Away(why),
            _ => DeskError::Refused(why),
        })
    }
}
