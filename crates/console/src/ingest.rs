//! Events from agents: `POST /api/v1/events`.
//!
//! JSON lines, gzip or not, under a bearer token that says of which cluster they are. What must stay
//! true: 200 is answered once the ledger has every line; a batch with a line that cannot be read is
//! refused whole (422), which lets the sender halve it until the line stands alone; an event that comes
//! twice counts once, whatever batch it is in.

mod gate;
mod lines;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use davylamp_ledger::Receipt;
use flate2::read::MultiGzDecoder;
use serde_json::json;

use crate::config::Config;
use crate::observe::{BATCHES, FINDINGS, LINES, Meters, TAKING, WRITING, span};
use crate::site::Site;
use crate::store::Sender;

pub(crate) use gate::Gate;

/// What a token must be allowed for this.
pub const SCOPE: &str = "events:write";

pub(crate) fn routes(config: &Config) -> Router<Site> {
    Router::new()
        .route("/api/v1/events", post(take))
        .layer(DefaultBodyLimit::max(config.ingest.max_bytes))
}

/// Why a batch is not taken.
#[derive(Debug)]
enum NotTaken {
    /// No token, or one that does not hold.
    Token,
    /// The token is for something else.
    Scope,
    /// Too many events: how many seconds to wait.
    TooFast(u64),
    /// Too many batches wait already.
    Busy,
    /// Its body cannot be unpacked, and why.
    Packed(StatusCode, String),
    /// Some lines cannot be read.
    Lines(Vec<lines::Wrong>),
    /// It is our fault: the sender keeps what it has.
    Trouble(String),
}

impl NotTaken {
    /// Its name among the metrics.
    fn name(&self) -> &'static str {
        match self {
            Self::Token => "no-token",
            Self::Scope => "wrong-scope",
            Self::TooFast(_) => "too-fast",
            Self::Busy => "busy",
            Self::Packed(..) => "unpacked",
            Self::Lines(_) => "unreadable",
            Self::Trouble(_) => "trouble",
        }
    }
}

impl IntoResponse for NotTaken {
    fn into_response(self) -> Response {
        let answer = |status: StatusCode, error: &str, more: serde_json::Value| {
            (status, Json(json!({"error": error, "details": more}))).into_response()
        };
        match self {
            Self::Token => {
                let mut response = answer(
                    StatusCode::UNAUTHORIZED,
                    "a bearer token is needed that holds; `davy console token add` makes one",
                    json!(null),
                );
                let value = axum::http::HeaderValue::from_static("Bearer");
                response.headers_mut().insert(WWW_AUTHENTICATE, value);
                response
            }
            Self::Scope => answer(
                StatusCode::FORBIDDEN,
                "this token may not write events",
                json!({"needs": SCOPE}),
            ),
            Self::TooFast(secs) => later(
                answer(
                    StatusCode::TOO_MANY_REQUESTS,
                    "this token sends more events than it may",
                    json!(null),
                ),
                secs,
            ),
            Self::Busy => later(
                answer(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the ledger is busy",
                    json!(null),
                ),
                1,
            ),
            Self::Packed(status, why) => answer(status, "nothing was taken", json!(why)),
            Self::Lines(wrong) => answer(
                StatusCode::UNPROCESSABLE_ENTITY,
                "nothing was taken: lines cannot be read",
                json!(wrong),
            ),
            Self::Trouble(why) => {
                tracing::error!(error = why, "a batch could not be taken");
                later(
                    answer(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "the ledger cannot be written; the console's log says why",
                        json!(null),
                    ),
                    5,
                )
            }
        }
    }
}

/// What is answered where the console itself took too long. The sender keeps what it has.
pub(crate) fn too_slow() -> Response {
    NotTaken::Trouble("it took too long".to_owned()).into_response()
}

fn later(mut response: Response, secs: u64) -> Response {
    response.headers_mut().insert(RETRY_AFTER, secs.into());
    response
}

async fn sender(site: &Site, headers: &HeaderMap) -> Result<Sender, NotTaken> {
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = given.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    });
    let token = token.ok_or(NotTaken::Token)?;
    let known = site.store().sender(token, site.now()).await;
    let sender = known
        .map_err(|error| NotTaken::Trouble(crate::access::chain(&error)))?
        .ok_or(NotTaken::Token)?;
    match sender.scopes.iter().any(|scope| scope == SCOPE) {
        true => Ok(sender),
        false => Err(NotTaken::Scope),
    }
}

async fn take(
    State(site): State<Site>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let began = Instant::now();
    let taken = taken(&site, &headers, body).await;
    let result = taken.as_ref().map_or_else(NotTaken::name, |_| "taken");
    let meters = &site.observe().meters;
    meters.count(&BATCHES, &[result], 1);
    meters.time(&TAKING, &[], began.elapsed().as_secs_f64());
    taken.unwrap_or_else(IntoResponse::into_response)
}

async fn taken(
    site: &Site,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, NotTaken> {
    let sender = sender(site, headers).await?;
    crate::observe::is_by(&sender.name);
    // Too large, or cut short: the sender halves it, or sends it again.
    let body = body.map_err(|why| NotTaken::Packed(why.status(), why.body_text()))?;
    deliver(site, &sender, headers, &body).await
}

async fn deliver(
    site: &Site,
    sender: &Sender,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, NotTaken> {
    let reading = span("ingest.read");
    let body = unpacked(headers, body, site.config().ingest.max_bytes)?;
    let read = lines::read(&body, &sender.cluster).map_err(NotTaken::Lines)?;
    drop(reading);
    let events = read.inputs.len() as u32;
    if let Some(wait) = site.gate().wait(&sender.name, events) {
        return Err(NotTaken::TooFast(wait));
    }
    let _slot = site.gate().slot().ok_or(NotTaken::Busy)?;
    // Two senders may choose the same key.
    let key = headers
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok());
    let key = key.map(|key| format!("{} {key}", sender.name));
    let (writing, began) = (span("ledger.deliver"), Instant::now());
    let receipt = site
        .ledger()
        .deliver(key.as_deref(), &read.inputs, site.now())
        .await
        .map_err(|error| NotTaken::Trouble(crate::access::chain(&error)))?;
    drop(writing);
    let meters = &site.observe().meters;
    meters.time(&WRITING, &[], began.elapsed().as_secs_f64());
    site.live().wake();
    site.gate().took(events);
    count(meters, &read, &receipt);
    Ok(Json(json!({
        "new": receipt.new,
        "updated": receipt.updated,
        "unchanged": receipt.unchanged,
        "opened": receipt.opened,
        "passed_over": read.passed_over,
        "head": receipt.last,
    }))
    .into_response())
}

fn count(meters: &Meters, read: &lines::Read, receipt: &Receipt) {
    let mut said = BTreeMap::from([("passed-over", read.passed_over.values().sum())]);
    for input in &read.inputs {
        *said.entry(lines::name(input)).or_default() += 1;
    }
    for (what, n) in said {
        meters.count(&LINES, &[what], n);
    }
    for (result, n) in [
        ("new", receipt.new),
        ("updated", receipt.updated),
        ("unchanged", receipt.unchanged),
    ] {
        meters.count(&FINDINGS, &[result], n);
    }
}

/// The body without its packing, of which a small one may be a large one.
fn unpacked<'a>(
    headers: &HeaderMap,
    body: &'a [u8],
    max_bytes: usize,
) -> Result<Cow<'a, [u8]>, NotTaken> {
    let how = headers.get(CONTENT_ENCODING).map(|how| how.to_str());
    match how {
        None | Some(Ok("" | "identity")) => return Ok(Cow::Borrowed(body)),
        Some(Ok(how)) if how.eq_ignore_ascii_case("gzip") => {}
        Some(_) => {
            let why = "send it as it is, or packed by gzip".to_owned();
            return Err(NotTaken::Packed(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
        }
    }
    let mut bytes = Vec::new();
    let read = MultiGzDecoder::new(body)
        .take(max_bytes as u64 + 1)
        .read_to_end(&mut bytes);
    match read {
        Err(error) => {
            let why = format!("it is no gzip: {error}");
            Err(NotTaken::Packed(StatusCode::BAD_REQUEST, why))
        }
        Ok(length) if length > max_bytes => {
            let why = format!("it has more than {max_bytes} bytes");
            Err(NotTaken::Packed(StatusCode::PAYLOAD_TOO_LARGE, why))
        }
        Ok(_) => Ok(Cow::Owned(bytes)),
    }
}
