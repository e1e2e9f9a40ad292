//! What happens now, as it is written.
//!
//! What must stay true: who watches sees every entry of theirs, or is told how many they did not see;
//! a stream that broke goes on where it stopped; a stream ends after a while, so that whoever may not
//! watch any more does not. What comes faster than anybody reads is counted, not sent.

mod watch;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use davylamp_ledger::query::{At, FindingFilter, PAGE_ROWS};
use davylamp_ledger::record::Record;
use davylamp_ledger::rows::{severity_of, severity_rank};
use davylamp_ledger::{Entry, Taken};
use jiff::Timestamp;
use maud::{Markup, PreEscaped, html};
use serde::{Deserialize, Serialize};

use super::asked::{self, Asked};
use super::frame::{self, Room};
use super::sight::{self, Sight};
use super::{entry, time, word};
use crate::access::{Refused, Viewer};
use crate::live::About;
use crate::site::Site;

/// So many entries stand on the page.
const SHOWN: usize = 100;
/// What was killed, should have been, or would have been.
const BLOWS: [Taken; 3] = [Taken::Killed, Taken::Missed, Taken::WouldKill];

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Wanted {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub severity: String,
    /// `blows`: what was killed, was missed, or would have been killed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub show: String,
    /// Only what comes behind this entry.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub after: String,
}

/// What of it all is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filter {
    taken: Option<Taken>,
    severity: Option<i64>,
    blows: bool,
}

impl Filter {
    pub(super) const BLOWS: Self = Self {
        taken: None,
        severity: None,
        blows: true,
    };

    fn of(wanted: &Wanted) -> Result<Self, Refused> {
        let blows = |name: &str| (name == "blows").then_some(true);
        Ok(Self {
            taken: asked::named("action", &wanted.action, Taken::named)?,
            severity: asked::severity(&wanted.severity)?.map(severity_rank),
            blows: asked::named("choice", &wanted.show, blows)?.unwrap_or(false),
        })
    }

    /// The findings that it lets through: several questions, where what was done is one of several.
    fn findings(self, clusters: Option<Vec<String>>) -> Vec<FindingFilter> {
        let taken: Vec<Option<Taken>> = match (self.taken, self.blows) {
            (Some(taken), _) => vec![Some(taken)],
            (None, true) => BLOWS.map(Some).to_vec(),
            (None, false) => vec![None],
        };
        let filter = |taken| FindingFilter {
            taken,
            severity: self.severity.map(severity_of),
            clusters: clusters.clone(),
            ..FindingFilter::default()
        };
        taken.into_iter().map(filter).collect()
    }

    fn is_all(self) -> bool {
        self.taken.is_none() && self.severity.is_none() && !self.blows
    }
}

/// Whether somebody is to be shown what is new.
async fn is_shown(
    site: &Site,
    viewer: &Viewer,
    filter: Filter,
    about: &About,
) -> Result<bool, Refused> {
    Ok(match about {
        About::Finding {
            cluster,
            taken,
            severity,
        } => {
            let is_blow = BLOWS.contains(taken);
            viewer.scope.holds(cluster)
                && filter.taken.is_none_or(|wanted| wanted == *taken)
                && filter.severity.is_none_or(|least| *severity >= least)
                && (!filter.blows || is_blow)
        }
        _ if !filter.is_all() => false,
        _ if viewer.scope.is_all() => true,
        About::Node { cluster } => viewer.scope.holds(cluster),
        About::Incident(no) => sees(site, viewer, *no).await?,
        About::House => false,
    })
}

/// An entry as one row.
pub(super) fn rendered(entry: &Entry, record: Option<&Record>, now: Timestamp) -> String {
    let class = match record {
        Some(Record::Finding(finding)) => format!("event act-{}", finding.taken.as_str()),
        _ => "event".to_owned(),
    };
    let words = entry::words(entry, record, now);
    html! { li class=(class) { (time::clock(entry.at_us)) " " div { (words) } } }.into_string()
}

/// Whether all of an incident is somebody's to see.
async fn sees(site: &Site, viewer: &Viewer, no: i64) -> Result<bool, Refused> {
    match sight::incident(site, viewer, no).await {
        Ok((_, sight)) => Ok(sight == Sight::Whole),
        Err(Refused::Absent) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The latest entries as rows, the latest first, and the entry behind which the stream goes on. Whoever
/// does not see everything gets the latest findings of it: what else there is comes with the stream.
pub(super) async fn latest(
    site: &Site,
    viewer: &Viewer,
    filter: Filter,
    most: usize,
) -> Result<(Vec<Markup>, i64), Refused> {
    let (ledger, now) = (site.ledger(), site.now());
    let head = ledger.head().await?.seq;
    let rows = u32::try_from(most).unwrap_or(PAGE_ROWS);
    let entries = match filter.is_all() && viewer.scope.is_all() {
        true => {
            let begin = (head - i64::from(rows)).max(0);
            ledger.entries_since(begin, rows).await?
        }
        false => {
            let wanted = filter.findings(viewer.scope.asked());
            let mut latest = Vec::new();
            for filter in &wanted {
                let found = ledger.findings(filter, &At::first(rows)).await?;
                latest.extend(found.items.iter().map(|row| (row.at, row.latest)));
            }
            latest.sort_unstable();
            let first = latest.len().saturating_sub(most);
            let mut seqs: Vec<i64> = latest[first..].iter().map(|(_, seq)| *seq).collect();
            seqs.sort_unstable();
            ledger.entries_by_number(&seqs).await?
        }
    };
    let rows = entries.iter().rev().map(|entry| {
        let record = crate::live::read(entry);
        PreEscaped(rendered(entry, record.as_ref(), now))
    });
    Ok((rows.collect(), head))
}

pub(super) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Markup, Refused> {
    let filter = Filter::of(&wanted)?;
    let (rows, head) = latest(&site, &viewer, filter, SHOWN).await?;
    let here = Wanted {
        after: String::new(),
        ..wanted.clone()
    };
    let stream = Wanted {
        after: head.to_string(),
        ..wanted.clone()
    };
    let body = html! {
        h1 { "Live" }
        form.filters method="get" action="/live" aria-label="Filter what is live" {
            div { label for="l-action" { "Action" } select #l-action name="action" { (word::option("", "everything", &wanted.action)) @for taken in Taken::ALL { (word::option(taken.as_str(), word::done(taken), &wanted.action)) } } }
            div { label for="l-severity" { "At least" } select #l-severity name="severity" { (word::option("", "any severity", &wanted.severity)) @for severity in word::SEVERITIES { (word::option(severity.as_str(), severity.as_str(), &wanted.severity)) } } }
            div.go { button { "Filter" } a href="/live" { "Clear" } }
        }
        (list(&asked::address("/live/stream", &stream), SHOWN, &rows, &asked::address("/live", &here)))
    };
    Ok(frame::page(&viewer, Room::Live, "Live", body))
}

/// A list to which the script adds what comes.
pub(super) fn list(stream: &str, most: usize, rows: &[Markup], here: &str) -> Markup {
    html! {
        div.live data-stream=(stream) data-most=(most) {
            p.line {
                span.muted data-live-state { "As of the moment this page was made." }
                button type="button" hidden data-live-pause aria-pressed="false" { "Pause" }
                a href=(here) { "Reload" }
            }
            p.hidden role="status" aria-live="polite" data-live-told {}
            ol.events data-live-list { @for row in rows { (row) } }
            @if rows.is_empty() { p.empty data-live-empty { "Nothing of this is among the latest entries." } }
        }
    }
}

pub(super) async fn stream(
    State(site): State<Site>,
    viewer: Viewer,
    headers: HeaderMap,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Refused> {
    let filter = Filter::of(&wanted)?;
    let resumed = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let after = match (resumed, wanted.after.as_str()) {
        (Some(seq), _) => seq,
        (None, "") => site.ledger().head().await?.seq,
        (None, seq) => seq
            .parse()
            .map_err(|_| Refused::Wrong("An entry is named by its number.".to_owned()))?,
    };
    let events = watch::events(site, viewer, filter, after);
    let sse = Sse::new(events).keep_alive(KeepAlive::default());
    // Proxies are asked not to collect what is live.
    Ok(([("x-accel-buffering", "no")], sse).into_response())
}
