//! `/metrics`: what is counted as it happens, and how the ledger stands at the moment.
//!
//! docs/console-metrics.md says what each means, and a test holds the two together.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use davylamp_ledger::query::Measures;
use davylamp_ledger::{LedgerError, Taken};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use super::text::Text;
use super::{Observe, ObserveError, process};
use crate::access::{chain, is_same};
use crate::chores::{Chore, Kept};
use crate::page::{SEVERITIES, SILENT_AFTER};
use crate::site::Site;

/// What is asked of the database holds for so long, however many ask.
const HOLDS: Duration = Duration::from_secs(5);
/// The fewest characters of a token.
const TOKEN_CHARS: usize = 16;

/// A secret that is not printed.
pub(super) struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The token in a file, if one is named.
pub(super) fn token(path: &Path) -> Result<Option<Token>, ObserveError> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).map_err(|source| ObserveError::File {
        path: path.to_owned(),
        source,
    })?;
    let token = text.trim();
    if token.chars().count() < TOKEN_CHARS || token.contains(char::is_whitespace) {
        return Err(ObserveError::Content {
            path: path.to_owned(),
            wanted: "a token of at least 16 characters and nothing else",
        });
    }
    Ok(Some(Token(token.to_owned())))
}

/// What the database said last.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Option<Seen>>);

#[derive(Debug)]
struct Seen {
    at: Instant,
    /// `None` where the database could not be asked.
    facts: Option<Facts>,
    /// The last entry that is in `kinds`, and how many there are of each kind.
    counted: (i64, BTreeMap<String, i64>),
}

#[derive(Debug, Clone)]
struct Facts {
    head: i64,
    standing: Measures,
    sessions: i64,
    notices: i64,
    kinds: BTreeMap<String, i64>,
    chores: Vec<(Chore, Kept)>,
}

pub(super) async fn serve(State(site): State<Site>, headers: HeaderMap) -> Response {
    let observe = site.observe();
    if let Some(Token(token)) = &observe.token {
        let given = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        if !given.is_some_and(|given| is_same(given, token)) {
            let ask = [(WWW_AUTHENTICATE, "Bearer")];
            return (StatusCode::UNAUTHORIZED, ask, "a bearer token is needed\n").into_response();
        }
    }
    let kind = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, render(&site).await).into_response()
}

async fn render(site: &Site) -> String {
    let observe = site.observe();
    let facts = facts(site).await;
    let mut text = Text::default();
    of_the_process(&mut text);
    observe.meters.render(&mut text);
    in_passing(&mut text, site, observe);
    let readable = u8::from(facts.is_some());
    let help = "Whether the ledger could be asked for this answer: 1 or 0. Without it what it says is absent.";
    text.one("ledger_readable", "gauge", help, Some(readable));
    if let Some(facts) = &facts {
        of_the_ledger(&mut text, site, facts);
        of_incidents(&mut text, &facts.standing);
        of_chores(&mut text, site, facts);
    }
    text.finish()
}

async fn facts(site: &Site) -> Option<Facts> {
    let mut last = site.observe().standing.0.lock().await;
    if let Some(seen) = &*last
        && seen.at.elapsed() < HOLDS
    {
        return seen.facts.clone();
    }
    let (seq, mut kinds) = last.take().map(|seen| seen.counted).unwrap_or_default();
    let asked = ask(site, seq).await;
    let facts = match asked {
        Ok((mut facts, counted)) => {
            for (kind, n) in &facts.kinds {
                *kinds.entry(kind.clone()).or_default() += n;
            }
            facts.kinds = kinds.clone();
            *last = Some(Seen {
                at: Instant::now(),
                facts: Some(facts.clone()),
                counted: (counted, kinds),
            });
            return Some(facts);
        }
        Err(error) => {
            tracing::warn!(error, "the metrics cannot ask the ledger");
            None
        }
    };
    *last = Some(Seen {
        at: Instant::now(),
        facts: None,
        counted: (seq, kinds),
    });
    facts
}

async fn ask(site: &Site, seq: i64) -> Result<(Facts, i64), String> {
    let now = site.now();
    let day_ago = now.saturating_sub(SignedDuration::from_hours(24));
    let told = |error: LedgerError| chain(&error);
    let kept = |error: crate::store::StoreError| chain(&error);
    let ledger = site.ledger();
    let standing = ledger.measures(day_ago.unwrap_or(Timestamp::MIN), SILENT_AFTER, now);
    let standing = standing.await.map_err(told)?;
    let (counted, kinds) = ledger.kinds_since(seq).await.map_err(told)?;
    let mut chores = Vec::new();
    for chore in Chore::ALL {
        chores.push((chore, site.book().read(chore, now).await.map_err(kept)?));
    }
    let facts = Facts {
        head: ledger.head().await.map_err(told)?.seq,
        standing,
        sessions: site.store().session_count(now).await.map_err(kept)?,
        notices: site
            .notices()
            .outbox()
            .waiting_count()
            .await
            .map_err(|error| chain(&error))?,
        kinds,
        chores,
    };
    Ok((facts, counted))
}

fn of_the_process(text: &mut Text) {
    text.family(
        "build_info",
        "gauge",
        "Always 1; the version is in the label.",
    )
    .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    let help = "CPU time of the console, user and system.";
    text.one("cpu_seconds_total", "counter", help, process::cpu_seconds());
    let help = "Memory of the console in RAM.";
    text.one(
        "resident_memory_bytes",
        "gauge",
        help,
        process::resident_bytes(),
    );
    let help = "Files and sockets that are open.";
    text.one("open_files", "gauge", help, process::open_files());
    let help = "Files and sockets that may be open.";
    text.one(
        "open_files_limit",
        "gauge",
        help,
        process::open_files_limit(),
    );
}

/// What is so at the moment, without asking the database.
fn in_passing(text: &mut Text, site: &Site, observe: &Observe) {
    let help = "Batches that are being written, or wait for it.";
    text.one("ingest_waiting", "gauge", help, Some(site.gate().waiting()));
    let help = "People who watch what is live.";
    text.one("live_viewers", "gauge", help, Some(site.live().watchers()));
    let notices = site.notices().counts();
    let help = "Notices that were sent, attempts that failed, and notices that were given up.";
    let mut family = text.family("notices_total", "counter", help);
    for (result, n) in [
        ("delivered", &notices.delivered),
        ("failed", &notices.failed),
        ("given-up", &notices.given_up),
    ] {
        family.sample(&[("result", result)], n.load(Ordering::Relaxed));
    }
    let help = "Spans of traces, by whether their receiver has them.";
    let (exported, lost) = observe.tracer.counts();
    let mut family = text.family("spans_total", "counter", help);
    family.sample(&[("result", "exported")], exported);
    family.sample(&[("result", "lost")], lost);
    let help = "Bytes that may still be written where the ledger is.";
    text.one(
        "disk_free_bytes",
        "gauge",
        help,
        observe.health.free_bytes(),
    );
}

fn of_the_ledger(text: &mut Text, site: &Site, facts: &Facts) {
    let help = "The number of the ledger's last entry.";
    text.one("ledger_head", "gauge", help, Some(facts.head));
    let mut family = text.family(
        "ledger_entries_total",
        "counter",
        "Entries of the ledger, by what they are of.",
    );
    for (kind, n) in &facts.kinds {
        family.sample(&[("kind", kind)], n);
    }
    let help = "Entries that those who watch were not handed yet.";
    let behind = (facts.head - site.live().seen()).max(0);
    text.one("live_behind_entries", "gauge", help, Some(behind));
    let help = "Sessions that hold.";
    text.one("sessions", "gauge", help, Some(facts.sessions));
    let help = "Notices that wait to be sent, or to be sent again.";
    text.one("notices_waiting", "gauge", help, Some(facts.notices));
}

fn of_incidents(text: &mut Text, standing: &Measures) {
    let seconds = |us: i64| us as f64 / 1e6;
    let mut family = text.family(
        "incidents_open",
        "gauge",
        "Incidents that are not closed, by severity.",
    );
    for severity in SEVERITIES {
        let n = standing.open.get(&severity).copied().unwrap_or(0);
        family.sample(&[("severity", severity.as_str())], n);
    }
    let mut family = text.family(
        "incidents_unowned",
        "gauge",
        "Incidents that are not closed and have no owner, by severity.",
    );
    for severity in SEVERITIES {
        let n = standing.unowned.get(&severity).map_or(0, |(n, _)| *n);
        family.sample(&[("severity", severity.as_str())], n);
    }
    let mut family = text.family(
        "incidents_unowned_since_seconds",
        "gauge",
        "When the oldest of them was opened, as seconds since 1970; absent where there is none.",
    );
    for (severity, (_, opened)) in &standing.unowned {
        family.sample(&[("severity", severity.as_str())], seconds(*opened));
    }
    for (name, help, n) in [
        (
            "incidents_overdue",
            "Incidents that are not closed and whose clock has run out.",
            standing.overdue,
        ),
        (
            "incidents_with_missed",
            "Incidents that are not closed and in which something that should have been killed was not.",
            standing.with_missed,
        ),
        (
            "nodes",
            "Nodes that were ever heard of.",
            standing.nodes.all,
        ),
        (
            "nodes_silent",
            "Nodes that were not heard of for 15 minutes.",
            standing.nodes.silent,
        ),
        (
            "nodes_canary_escaped",
            "Nodes that did not catch their last canary.",
            standing.nodes.escaped,
        ),
        (
            "nodes_lost_events",
            "Events that the nodes' agents have lost since they started, all together.",
            standing.nodes.lost_events,
        ),
    ] {
        text.one(name, "gauge", help, Some(n));
    }
    let mut family = text.family(
        "findings_of_last_day",
        "gauge",
        "Findings of the last 24 hours, by what was done.",
    );
    for taken in Taken::ALL {
        let n = standing.taken.get(taken.as_str()).copied().unwrap_or(0);
        family.sample(&[("taken", taken.as_str())], n);
    }
}

fn of_chores(text: &mut Text, site: &Site, facts: &Facts) {
    let hour = site.config().daily.hour;
    let mut family = text.family(
        "chore_due_seconds",
        "gauge",
        "When what is done once a day is due next, as seconds since 1970. In the past: it is late.",
    );
    for (chore, kept) in facts
        .chores
        .iter()
        .filter(|(chore, _)| chore.is_on(site.config()))
    {
        family.sample(&[("chore", chore.as_str())], kept.due(hour).as_second());
    }
    let mut family = text.family(
        "chore_done_seconds",
        "gauge",
        "When it was last done, as seconds since 1970; absent where it never was.",
    );
    for (chore, kept) in &facts.chores {
        if let Some(done) = kept.done {
            family.sample(&[("chore", chore.as_str())], done.as_second());
        }
    }
    let verified = facts.chores.iter().find_map(|(_, kept)| kept.verified());
    let verified = verified.as_ref();
    let help = "Whether the last check found the ledger not to be as it was written: 1 or 0; absent where there was none.";
    let faulty = verified.map(|verified| u8::from(verified.fault.is_some()));
    text.one("ledger_faulty", "gauge", help, faulty);
    let help = "How many entries the last check read.";
    text.one(
        "ledger_verified_entries",
        "gauge",
        help,
        verified.map(|verified| verified.entries),
    );
}
