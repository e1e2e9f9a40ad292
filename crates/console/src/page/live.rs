//! What happens now, as it is written.
//!
//! What must stay true: who watches sees every entry of theirs, or is told how many they did not see;
//! a stream that broke goes on where it stopped; a stream ends after a while, so that whoever may not
//! watch any more does not.

mod watch;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use davylamp_ledger::Taken;
use davylamp_ledger::record::{IncidentNo, Record};
use davylamp_ledger::rows::severity_rank;
use jiff::Timestamp;
use maud::{Markup, PreEscaped, html};
use serde::{Deserialize, Serialize};

use super::asked::{self, Asked};
use super::frame::{self, Room};
use super::sight::{self, Sight};
use super::{entry, time, word};
use crate::access::{Refused, Viewer};
use crate::live::News;
use crate::site::Site;

/// So many entries stand on the page.
const SHOWN: usize = 100;
/// Entries that are read at once, and how often, on the way back to those.
const AT_ONCE: u32 = 500;
const WINDOWS: usize = 10;

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

    fn is_all(self) -> bool {
        self.taken.is_none() && self.severity.is_none() && !self.blows
    }
}

/// An entry as one row, if it is to be shown.
async fn row(
    site: &Site,
    viewer: &Viewer,
    filter: Filter,
    news: &News,
    now: Timestamp,
) -> Result<Option<Markup>, Refused> {
    let record = &news.record;
    let is_shown = match record {
        Some(Record::Finding(finding)) => {
            let is_blow = matches!(
                finding.taken,
                Taken::Killed | Taken::Missed | Taken::WouldKill
            );
            viewer.scope.holds(&finding.place())
                && filter.taken.is_none_or(|taken| taken == finding.taken)
                && filter
                    .severity
                    .is_none_or(|least| severity_rank(finding.finding.severity) >= least)
                && (!filter.blows || is_blow)
        }
        _ if !filter.is_all() => false,
        record if entry::is_in(&viewer.scope, record.as_ref()) => true,
        Some(Record::IncidentOpened(_)) => sees(site, viewer, news.entry.seq).await?,
        Some(record) => match record.incident() {
            Some(IncidentNo(no)) => sees(site, viewer, no).await?,
            None => false,
        },
        None => false,
    };
    Ok(is_shown.then(|| PreEscaped(news.row(|news| rendered(news, now)).to_owned())))
}

fn rendered(news: &News, now: Timestamp) -> String {
    let News { entry, record, .. } = news;
    let class = match record {
        Some(Record::Finding(finding)) => format!("event act-{}", finding.taken.as_str()),
        _ => "event".to_owned(),
    };
    let words = entry::words(entry, record.as_ref(), now);
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

/// The latest entries as rows, the latest first, and the entry behind which the stream goes on.
pub(super) async fn latest(
    site: &Site,
    viewer: &Viewer,
    filter: Filter,
    most: usize,
) -> Result<(Vec<Markup>, i64), Refused> {
    let head = site.ledger().head().await?.seq;
    let (now, mut rows, mut end) = (site.now(), Vec::new(), head);
    for _ in 0..WINDOWS {
        let begin = (end - i64::from(AT_ONCE)).max(0);
        let rest = u32::try_from(end - begin).unwrap_or(AT_ONCE);
        if rest == 0 {
            break;
        }
        let entries = site.ledger().entries_since(begin, rest).await?;
        for each in entries.into_iter().rev() {
            if let Some(row) = row(site, viewer, filter, &News::new(each), now).await? {
                rows.push(row);
            }
            if rows.len() == most {
                return Ok((rows, head));
            }
        }
        end = begin;
    }
    Ok((rows, head))
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
