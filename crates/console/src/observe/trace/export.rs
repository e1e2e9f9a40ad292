//! Carrying spans away: in batches, by OTLP over HTTP with protobuf, tried again a few times.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::{Ended, Inner, message};
use crate::config::Traces;
use crate::observe::ObserveError;

/// Spans of one request, and how long the first of them waits for others.
const BATCH: usize = 512;
const COLLECTED_IN: Duration = Duration::from_secs(2);
/// One attempt, and how many there are.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 4;
/// The wait before the second attempt; each further one waits twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// What is left when the console ends gets this long.
const ENDS_WITHIN: Duration = Duration::from_secs(3);

/// What carries spans away.
#[derive(Debug)]
pub(crate) struct Exporter {
    client: reqwest::Client,
    url: String,
    headers: HeaderMap,
    waiting: mpsc::Receiver<Ended>,
    tracer: Arc<Inner>,
}

impl Exporter {
    pub(super) fn new(
        config: &Traces,
        waiting: mpsc::Receiver<Ended>,
        tracer: Arc<Inner>,
    ) -> Result<Self, ObserveError> {
        // Others in this process may have installed the same; that is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .timeout(ATTEMPT_WITHIN)
            .user_agent(concat!("davylamp/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none());
        if !config.ca_file.as_os_str().is_empty() {
            let pem = read(&config.ca_file)?;
            let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes())
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| wrong(&config.ca_file, "certificates in PEM form"))?;
            builder = builder.tls_certs_only(certificates);
        }
        Ok(Self {
            client: builder.build().map_err(ObserveError::Client)?,
            url: format!("{}/v1/traces", config.endpoint.trim_end_matches('/')),
            headers: headers(&config.headers_file)?,
            waiting,
            tracer,
        })
    }

    /// Carries until it is told to stop, and then what is left, within bounds.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let collected = tokio::select! {
                () = collect(&mut self.waiting, &mut batch) => true,
                _ = stop.wait_for(|stop| *stop) => false,
            };
            if !collected {
                break;
            }
            tokio::select! {
                () = self.carry(&batch) => batch.clear(),
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        while batch.len() < super::WAITING
            && let Ok(ended) = self.waiting.try_recv()
        {
            batch.push(ended);
        }
        let carried = tokio::time::timeout(ENDS_WITHIN, self.carry(&batch)).await;
        if carried.is_err() {
            self.lose(batch.len(), "the console ends");
        }
    }

    async fn carry(&self, batch: &[Ended]) {
        if batch.is_empty() {
            return;
        }
        let body = message::request(batch).encode_to_vec();
        let mut wait = FIRST_WAIT;
        for attempt in 1..=ATTEMPTS {
            let why = match self.send(body.clone()).await {
                Ok(()) => {
                    let n = batch.len() as u64;
                    self.tracer.exported.fetch_add(n, Ordering::Relaxed);
                    return;
                }
                Err((why, is_final)) if is_final || attempt == ATTEMPTS => {
                    self.lose(batch.len(), &why);
                    return;
                }
                Err((why, _)) => why,
            };
            tracing::debug!(why, "spans are sent again");
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }

    /// Why not, and whether it would be of no use to try again.
    async fn send(&self, body: Vec<u8>) -> Result<(), (String, bool)> {
        let request = self
            .client
            .post(&self.url)
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(body);
        // An address may have a secret in it.
        let answer = request
            .send()
            .await
            .map_err(|error| (crate::access::chain(&error.without_url()), false))?;
        let status = answer.status();
        match status {
            _ if status.is_success() => Ok(()),
            _ if status.is_server_error() || status.as_u16() == 429 => {
                Err((status.to_string(), false))
            }
            _ => Err((status.to_string(), true)),
        }
    }

    fn lose(&self, spans: usize, why: &str) {
        self.tracer.lost.fetch_add(spans as u64, Ordering::Relaxed);
        tracing::warn!(
            spans,
            why,
            "spans are lost: their receiver does not take them"
        );
    }
}

/// Waits for a first span, and then for as many as come with it.
async fn collect(waiting: &mut mpsc::Receiver<Ended>, batch: &mut Vec<Ended>) {
    while batch.is_empty() {
        match waiting.recv().await {
            Some(ended) => batch.push(ended),
            // Nobody makes any more: whoever waits for the end is told of it otherwise.
            None => std::future::pending().await,
        }
    }
    let until = Instant::now() + COLLECTED_IN;
    while batch.len() < BATCH {
        match tokio::time::timeout_at(until, waiting.recv()).await {
            Ok(Some(ended)) => batch.push(ended),
            Ok(None) | Err(_) => return,
        }
    }
}

fn read(path: &Path) -> Result<String, ObserveError> {
    std::fs::read_to_string(path).map_err(|source| ObserveError::File {
        path: path.to_owned(),
        source,
    })
}

fn wrong(path: &Path, wanted: &'static str) -> ObserveError {
    ObserveError::Content {
        path: path.to_owned(),
        wanted,
    }
}

fn headers(path: &Path) -> Result<HeaderMap, ObserveError> {
    let mut headers = HeaderMap::new();
    if path.as_os_str().is_empty() {
        return Ok(headers);
    }
    let wanted = "headers, one a line: `name: value`";
    for line in read(path)?.lines().filter(|line| !line.trim().is_empty()) {
        let header = line.split_once(':').and_then(|(name, value)| {
            let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        let (name, value) = header.ok_or_else(|| wrong(path, wanted))?;
        headers.append(name, value);
    }
    Ok(headers)
}
