//! What agents, responders, hunts and audits send: `POST /api/v1/events`.
//!
//! JSON lines, gzip or not, under a bearer token that says of which cluster they are: lines of the guard's
//! log, findings in every form that `model::intake` reads, and records in the form of `ledger::wire`,
//! for which the token needs a scope of its own: who runs on a node does not say what was planned. What must stay
//! true: 200 is answered once the ledger has every line; a batch with a line that cannot be read is
//! refused whole (422), which lets the sender halve it until the line stands alone; an event that comes
//! twice counts once, whatever batch it is in.

mod gate;
mod lines;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Request, State};
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use davylamp_ledger::wire::{self, Sent};
use davylamp_ledger::{IncidentNo, Input, LedgerError, Receipt};
use flate2::read::MultiGzDecoder;
use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::config::Config;
use crate::observe::{BATCHES, FINDINGS, LINES, Meters, TAKING, WRITING, span};
use crate::sender::{EVENTS, RECORDS, Unanswered, later, refusal, sender};
use crate::site::Site;
use crate::store::Sender;

pub(crate) use gate::Gate;

pub(crate) fn routes(config: &Config) -> Router<Site> {
    Router::new()
        .route("/api/v1/events", post(take))
        .layer(DefaultBodyLimit::max(config.ingest.max_bytes))
}

/// Why a batch is not taken.
#[derive(Debug)]
enum NotTaken {
    /// Its sender may not, or we cannot.
    Unanswered(Unanswered),
    /// Too many events: how many seconds to wait.
    TooFast(u64),
    /// Too many batches wait already.
    Busy,
    /// Its body cannot be unpacked, and why.
    Packed(StatusCode, String),
    /// Some lines cannot be read.
    Lines(Vec<lines::Wrong>),
    /// The ledger will not have a record, and why.
    Record(String),
}

impl From<Unanswered> for NotTaken {
    fn from(why: Unanswered) -> Self {
        Self::Unanswered(why)
    }
}

impl NotTaken {
    /// Its name among the metrics.
    fn name(&self) -> &'static str {
        match self {
            Self::Unanswered(Unanswered::Token) => "no-token",
            Self::Unanswered(Unanswered::Scope(_)) => "wrong-scope",
            Self::Unanswered(Unanswered::Trouble(_)) => "trouble",
            Self::TooFast(_) => "too-fast",
            Self::Busy => "busy",
            Self::Packed(..) => "unpacked",
            Self::Lines(_) | Self::Record(_) => "unreadable",
        }
    }
}

impl IntoResponse for NotTaken {
    fn into_response(self) -> Response {
        match self {
            Self::Unanswered(why) => why.into_response(),
            Self::TooFast(secs) => later(
                refusal(
                    StatusCode::TOO_MANY_REQUESTS,
                    "this token sends more events than it may",
                    Value::Null,
                ),
                secs,
            ),
            Self::Busy => later(
                refusal(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the ledger is busy",
                    Value::Null,
                ),
                1,
            ),
            Self::Packed(status, why) => refusal(status, "nothing was taken", json!(why)),
            Self::Lines(wrong) => refusal(
                StatusCode::UNPROCESSABLE_ENTITY,
                "nothing was taken: lines cannot be read",
                json!(wrong),
            ),
            Self::Record(why) => refusal(
                StatusCode::UNPROCESSABLE_ENTITY,
                "nothing was taken: a record cannot be kept",
                json!(why),
            ),
        }
    }
}

/// Who may not send has this long to finish, so that it reads our answer.
const FINISHES_WITHIN: Duration = Duration::from_secs(5);

async fn take(State(site): State<Site>, request: Request) -> Response {
    let began = Instant::now();
    let taken = taken(&site, request).await;
    let result = taken.as_ref().map_or_else(NotTaken::name, |_| "taken");
    let meters = &site.observe().meters;
    meters.count(&BATCHES, &[result], 1);
    meters.time(&TAKING, &[], began.elapsed().as_secs_f64());
    taken.unwrap_or_else(IntoResponse::into_response)
}

async fn taken(site: &Site, request: Request) -> Result<Response, NotTaken> {
    let headers = request.headers().clone();
    // Before anything is read: what is read is held, and whoever may not send could send much.
    let sender = match sender(site, &headers, EVENTS).await {
        Ok(sender) => sender,
        Err(refused) => {
            let _ = tokio::time::timeout(FINISHES_WITHIN, drained(site, request)).await;
            return Err(refused.into());
        }
    };
    // Too large, or cut short: the sender halves it, or sends it again.
    let body = Bytes::from_request(request, site).await;
    let body = body.map_err(|why| NotTaken::Packed(why.status(), why.body_text()))?;
    deliver(site, &sender, &headers, &body).await
}

/// Reads what somebody sends, as much as may be sent, and keeps nothing of it.
async fn drained(site: &Site, request: Request) {
    let (mut chunks, mut read) = (request.into_body().into_data_stream(), 0);
    while let Some(Ok(chunk)) = chunks.next().await {
        read += chunk.len();
        if read > site.config().ingest.max_bytes {
            return;
        }
    }
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
    let events = (read.inputs.len() + read.sent.len()) as u32;
    if !read.sent.is_empty() && !sender.may(RECORDS) {
        return Err(Unanswered::Scope(RECORDS).into());
    }
    if let Some(wait) = site.gate().wait(&sender.name, events) {
        return Err(NotTaken::TooFast(wait));
    }
    let _slot = site.gate().slot().ok_or(NotTaken::Busy)?;
    let mut inputs = read.inputs;
    for sent in read.sent {
        inputs.push(settled(site, sender, sent).await?);
    }
    // Two senders may choose the same key.
    let key = headers
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok());
    let key = key.map(|key| format!("{} {key}", sender.name));
    let (writing, began) = (span("ledger.deliver"), Instant::now());
    let receipt = site
        .ledger()
        .deliver(key.as_deref(), &inputs, site.now())
        .await
        .map_err(undelivered)?;
    drop(writing);
    let meters = &site.observe().meters;
    meters.time(&WRITING, &[], began.elapsed().as_secs_f64());
    site.live().wake();
    site.gate().took(events);
    let passed_over = read.passed_over.values().sum();
    count(meters, &inputs, passed_over, &receipt);
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

fn count(meters: &Meters, inputs: &[Input], passed_over: u64, receipt: &Receipt) {
    let mut said = BTreeMap::from([("passed-over", passed_over)]);
    for input in inputs {
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

/// What is wrong with a record is the sender's to mend; everything else is ours.
fn undelivered(error: LedgerError) -> NotTaken {
    match error {
        LedgerError::NoSuchIncident { .. }
        | LedgerError::NotForCallers { .. }
        | LedgerError::NotStorable { .. }
        | LedgerError::NoReason => NotTaken::Record(error.to_string()),
        error => Unanswered::trouble(&error).into(),
    }
}

/// A record with its incident, as far as that can be told, and its sender.
async fn settled(site: &Site, sender: &Sender, sent: Sent) -> Result<Input, Unanswered> {
    let Sent {
        id,
        about,
        mut record,
    } = sent;
    let ledger = site.ledger();
    let trouble = |error: LedgerError| Unanswered::trouble(&error);
    let mut incident = None;
    if let Some(job) = &about.job {
        let job = ledger.job(job).await.map_err(trouble)?;
        incident = job.and_then(|job| job.row.incident);
    }
    if let (None, Some(plan)) = (incident, &about.plan) {
        let plan = ledger.plan(plan).await.map_err(trouble)?;
        incident = plan.and_then(|plan| plan.row.incident);
    }
    let mut incident = incident.map(IncidentNo);
    if incident.is_none() && !about.findings.is_empty() {
        let of = ledger.incident_of(&sender.cluster, &about.findings).await;
        incident = of.map_err(trouble)?;
    }
    wire::settle(&mut record, incident, &sender.name);
    Ok(Input::Once {
        id: format!("{} {id}", sender.name),
        record: Box::new(record),
    })
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
