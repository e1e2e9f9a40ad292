//! What agents, responders, hunts and audits send: `POST /api/v1/events`.
//!
//! JSON lines, gzip or not, under a bearer token that says of which cluster they are: lines of the guard's
//! log, findings in every form that `model::intake` reads, and records in the form of `ledger::wire`,
//! for which the token needs a scope of its own: who runs on a node does not say what was planned. What must stay
//! true: 200 is answered once the ledger has every line; a batch with a line that cannot be read is
//! refused whole (422), which lets the sender halve it until the line stands alone; an event that comes
//! twice counts once, whatever batch it is in. Nothing of a body is read before its token holds, bodies in
//! memory are bounded together, and one after another is unpacked and worked on, a portion at a time: what
//! senders send does not decide how much memory this takes.

mod gate;
mod lines;
mod settle;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use davylamp_ledger::{Input, LedgerError, Receipt};
use flate2::read::MultiGzDecoder;
use futures::StreamExt as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;

use crate::observe::{BATCHES, FINDINGS, LINES, Meters, TAKING, WRITING, carried, span};
use crate::sender::{EVENTS, RECORDS, Unanswered, later, refusal, sender};
use crate::site::Site;
use crate::store::Sender;

pub(crate) use gate::Gate;

/// A body has this long to come: a slow one holds a place that others wait for.
const BODY_WITHIN: Duration = Duration::from_secs(15);
/// The most lines of one batch: what the ledger takes well within a request's time.
const MAX_LINES: usize = 20_000;

pub(crate) fn routes() -> Router<Site> {
    Router::new().route("/api/v1/events", post(take))
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
    /// Its body did not come in time, or not whole.
    Slow,
    /// Its body cannot be unpacked or is too large, and why.
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
            Self::Slow => "slow",
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
            Self::Slow => refusal(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not come whole and in time",
                json!({"seconds": BODY_WITHIN.as_secs()}),
            ),
            Self::Packed(status, why) => refusal(status, "nothing was taken", json!(why)),
            Self::Lines(wrong) => refusal(
                StatusCode::UNPROCESSABLE_ENTITY,
                "nothing was taken: lines cannot be read",
                json!(wrong),
            ),
            Self::Record(why) => refusal(
                StatusCode::UNPROCESSABLE_ENTITY,
                "a record cannot be kept; lines before it may have been taken, and count once when they come again",
                json!(why),
            ),
        }
    }
}

/// A batch waits this long for room; its sender then tries again later.
const ROOM_WITHIN: Duration = Duration::from_secs(10);
/// Who is not listened to has this long to finish, so that it reads our answer.
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
    // Before anything is read: what is read is held, and whoever may not send could send much.
    let sender = match sender(site, request.headers(), EVENTS).await {
        Ok(sender) => sender,
        Err(refused) => {
            finish(request.into_body(), site.config().ingest.max_bytes).await;
            return Err(refused.into());
        }
    };
    placed(site, sender, request).await
}

async fn placed(site: &Site, sender: Sender, request: Request) -> Result<Response, NotTaken> {
    let (parts, body) = request.into_parts();
    let most = site.config().ingest.max_bytes;
    let length = parts.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    let _place = site.gate().place().ok_or(NotTaken::Busy)?;
    let room = site.gate().room(length.unwrap_or(most));
    let Ok(_room) = tokio::time::timeout(ROOM_WITHIN, room).await else {
        finish(body, most).await;
        return Err(NotTaken::Busy);
    };
    let body = received(body, most).await?;
    // From here on it is finished, whether or not anybody still waits for the answer.
    let work = site.gate().work().await;
    let job = Job {
        site: site.clone(),
        sender,
        headers: parts.headers,
        body,
    };
    let runtime = Handle::current();
    // Unpacking, reading and deciding take long enough to keep pages waiting, so they have a thread.
    let done = tokio::task::spawn_blocking(carried(move || {
        let _work = work;
        job.run(&runtime)
    }));
    done.await.map_err(|error| Unanswered::trouble(&error))?
}

fn too_large(most: usize) -> NotTaken {
    let why = format!("it has more than {most} bytes");
    NotTaken::Packed(StatusCode::PAYLOAD_TOO_LARGE, why)
}

/// The body, if it comes whole, soon, and is not too large.
async fn received(body: Body, most: usize) -> Result<Bytes, NotTaken> {
    let whole = tokio::time::timeout(BODY_WITHIN, axum::body::to_bytes(body, most)).await;
    match whole {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) => match is_too_large(&error) {
            true => Err(too_large(most)),
            false => Err(NotTaken::Slow),
        },
        Err(_) => Err(NotTaken::Slow),
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    std::iter::from_fn(|| {
        let this = cause?;
        cause = this.source();
        Some(this)
    })
    .any(|error| error.to_string() == "length limit exceeded")
}

/// A batch that is worked on.
struct Job {
    site: Site,
    sender: Sender,
    headers: HeaderMap,
    body: Bytes,
}

impl Job {
    fn may_send(&self, has_records: bool) -> Result<(), NotTaken> {
        match has_records && !self.sender.may(RECORDS) {
            true => Err(Unanswered::Scope(RECORDS).into()),
            false => Ok(()),
        }
    }

    fn run(self, runtime: &Handle) -> Result<Response, NotTaken> {
        let site = &self.site;
        let most = site.config().ingest.max_bytes;
        let body = unpacked(&self.headers, self.body.clone(), most)?;
        let lines = lines::count(&body);
        if lines > MAX_LINES {
            let why = format!("it has more than {MAX_LINES} lines");
            return Err(NotTaken::Packed(StatusCode::PAYLOAD_TOO_LARGE, why));
        }
        let events = u32::try_from(lines).unwrap_or(u32::MAX);
        if let Some(wait) = site.gate().wait(&self.sender.name, events) {
            return Err(NotTaken::TooFast(wait));
        }
        let cluster = &self.sender.cluster;
        let portions: Vec<_> = lines::portions(&body).collect();
        // Nothing is taken before every line is known to be one. What is one portion is read once.
        if portions.len() > 1 {
            let has_records = lines::check(&portions, cluster).map_err(NotTaken::Lines)?;
            self.may_send(has_records)?;
        }
        // Two senders may choose the same key.
        let key = self.headers.get("idempotency-key");
        let key = key.and_then(|key| key.to_str().ok());
        // The same key with something else in it is another batch, and not one that was taken already.
        let key = key.map(|key| {
            let said = hex::encode(Sha256::digest(&self.body));
            format!("{} {key} {said}", self.sender.name)
        });
        let (mut receipt, mut passed_over) = (Receipt::default(), lines::Names::default());
        for (number, portion) in portions.iter().enumerate() {
            let reading = span("ingest.read");
            let read = lines::read(portion, cluster).map_err(NotTaken::Lines)?;
            drop(reading);
            self.may_send(!read.sent.is_empty())?;
            let mut inputs = read.inputs;
            for sent in read.sent {
                inputs.push(runtime.block_on(settle::settled(site, &self.sender, sent))?);
            }
            // What is not the first portion has a key of its own.
            let key = key.as_ref().map(|key| match number {
                0 => key.clone(),
                number => format!("{key} {number}"),
            });
            let (writing, began) = (span("ledger.deliver"), Instant::now());
            let delivered = site.ledger().deliver(key.as_deref(), &inputs, site.now());
            let one = runtime.block_on(delivered).map_err(undelivered)?;
            drop(writing);
            let meters = &site.observe().meters;
            meters.time(&WRITING, &[], began.elapsed().as_secs_f64());
            site.live().wake();
            count(meters, &inputs, read.passed_over.values().sum(), &one);
            add(&mut receipt, one);
            for (name, n) in read.passed_over {
                *passed_over.entry(name).or_default() += n;
            }
        }
        site.gate().took(events);
        Ok(Json(json!({
            "new": receipt.new,
            "updated": receipt.updated,
            "unchanged": receipt.unchanged,
            "opened": receipt.opened,
            "passed_over": passed_over,
            "head": receipt.last,
        }))
        .into_response())
    }
}

/// Lets somebody finish who is not listened to: reads what they send, as much as may be sent, and keeps
/// nothing of it.
async fn finish(body: Body, most: usize) {
    let drained = async {
        let (mut chunks, mut read) = (body.into_data_stream(), 0);
        while let Some(Ok(chunk)) = chunks.next().await {
            read += chunk.len();
            if read > most {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(FINISHES_WITHIN, drained).await;
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

/// Adds what came of the next portion.
fn add(receipt: &mut Receipt, next: Receipt) {
    receipt.first = receipt.first.or(next.first);
    receipt.last = next.last.or(receipt.last);
    receipt.new += next.new;
    receipt.updated += next.updated;
    receipt.unchanged += next.unchanged;
    receipt
        .opened
        .retain(|opened| !next.merged.contains(opened));
    receipt.opened.extend(next.opened);
    receipt.merged.extend(next.merged);
}

/// The body without its packing, of which a small one may be a large one.
fn unpacked(headers: &HeaderMap, body: Bytes, max_bytes: usize) -> Result<Bytes, NotTaken> {
    let how = headers.get(CONTENT_ENCODING).map(|how| how.to_str());
    match how {
        None | Some(Ok("" | "identity")) => return Ok(body),
        Some(Ok(how)) if how.eq_ignore_ascii_case("gzip") => {}
        Some(_) => {
            let why = "send it as it is, or packed by gzip".to_owned();
            return Err(NotTaken::Packed(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
        }
    }
    let mut bytes = Vec::new();
    let read = MultiGzDecoder::new(&*body)
        .take(max_bytes as u64 + 1)
        .read_to_end(&mut bytes);
    match read {
        Err(error) => {
            let why = format!("it is no gzip: {error}");
            Err(NotTaken::Packed(StatusCode::BAD_REQUEST, why))
        }
        Ok(length) if length > max_bytes => Err(too_large(max_bytes)),
        Ok(_) => Ok(bytes.into()),
    }
}
