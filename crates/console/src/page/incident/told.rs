//! Who was told of an incident, and what became of it.

use davylamp_ledger::query::IncidentView;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::access::Refused;
use crate::notices::Trouble;
use crate::notices::outbox::{Row, State, Told};
use crate::page::{text, time, word};
use crate::site::Site;

pub(super) async fn show(
    site: &Site,
    view: &IncidentView,
    now: Timestamp,
) -> Result<Markup, Refused> {
    if site.config().notices.channels.is_empty() {
        return Ok(html! {});
    }
    let merged = view.merged.iter().map(|merged| merged.0);
    let numbers = std::iter::once(view.row.id).chain(merged);
    let told = site.notices().outbox().of_incident(numbers).await;
    let told = told.map_err(Trouble::from)?;
    Ok(html! {
        p.line #told {
            span.muted { "told " }
            @if told.is_empty() { span.muted { "nobody yet" } }
            @for (n, told) in told.iter().enumerate() { @if n > 0 { ", " } (one(told, now)) }
        }
    })
}

fn one(told: &Told, now: Timestamp) -> Markup {
    html! {
        span {
            (text::brief(&told.channel))
            @if !told.person.is_empty() { " (" (text::brief(&told.person)) ")" }
            @match &told.latest {
                Some(row) => { " " (became(row, now)) }
                None => {}
            }
            @if let Some(due) = told.due { @if told.latest.is_some() { "," } " tells more " (time::ago(due, now)) }
        }
    }
}

/// What became of a notice.
pub(in crate::page) fn became(row: &Row, now: Timestamp) -> Markup {
    let failed = word::count(row.attempts, "time", "times");
    html! {
        @match row.state {
            State::Sent => { (time::ago(row.sent.unwrap_or(row.created), now)) }
            State::Sending => { "is being sent" }
            State::Waiting if row.attempts == 0 => { "goes out " (time::ago(row.next_at, now)) }
            State::Waiting => { span.warn { "failed " (failed) } ", tries again " (time::ago(row.next_at, now)) }
            State::Failed => { span.warn { "failed " (failed) ", and was given up" } }
        }
    }
}
