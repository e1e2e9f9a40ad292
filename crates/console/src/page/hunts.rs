//! Hunts in logs: what ran last and what came of it, every run, and asking for another.

pub(super) mod forms;
mod runs;

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use davylamp_content::hunt::SHIPPED;
use davylamp_ledger::query::{At, JobFilter};
use davylamp_ledger::rows::{JobRow, RunRow};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::asked::{self, Asked};
use super::frame::{self, Room};
use super::posture::sees;
use super::{jobs, list, text, time, word};
use crate::access::{Refused, Role, Viewer};
use crate::site::Site;

pub(super) use runs::show as runs;

/// Jobs that are over and still stand on the page.
const OVER: usize = 5;

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Wanted {
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    /// `failed`, `found`.
    #[serde(skip_serializing_if = "String::is_empty")]
    only: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    at: String,
    /// What was just changed.
    #[serde(skip_serializing)]
    done: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Only {
    Failed,
    Found,
}

/// What a run counted, by name.
fn counts(row: &RunRow) -> BTreeMap<String, i64> {
    serde_json::from_str(&row.counts).unwrap_or_default()
}

/// How much a run found: what it calls so.
fn found(row: &RunRow) -> i64 {
    let counts = counts(row);
    let of = |name: &str| counts.get(name).copied().unwrap_or(0);
    ["matched", "findings", "rows"]
        .into_iter()
        .map(of)
        .max()
        .unwrap_or(0)
}

pub(super) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Markup, Refused> {
    let only = asked::named("choice", &wanted.only, |name| match name {
        "failed" => Some(Only::Failed),
        "found" => Some(Only::Found),
        _ => None,
    })?;
    let mut last = site.ledger().last_runs("hunt").await?;
    last.retain(|row| sees(&viewer.scope, &row.target));
    let known: BTreeSet<String> = SHIPPED
        .iter()
        .map(|hunt| hunt.name.to_owned())
        .chain(last.iter().map(|row| row.name.clone()))
        .collect();
    let words = wanted.text.to_lowercase();
    last.retain(|row| {
        let says = |text: &str| text.to_lowercase().contains(words.trim());
        let fits = only.is_none_or(|only| match only {
            Only::Failed => row.error.is_some(),
            Only::Found => found(row) > 0,
        });
        fits && (says(&row.name) || says(&row.target))
    });
    // What failed says nothing about the logs: it comes first.
    last.sort_by_key(|row| (row.error.is_none(), std::cmp::Reverse(row.ended)));
    let (shown, next) = list::part(&last, &wanted.at)?;
    let to = |at: &str| {
        let at = at.to_owned();
        asked::address(
            "/hunts",
            &Wanted {
                at,
                ..wanted.clone()
            },
        )
    };
    let (next, first) = (
        next.as_deref().map(to),
        (!wanted.at.is_empty()).then(|| to("")),
    );
    let asked_for = asked_for(&site, &viewer).await?;
    let now = site.now();
    let body = html! {
        h1 { "Hunts" }
        @if let Some(said) = forms::said(&wanted.done) { p.flash role="status" { (said) } }
        div.columns {
            @if viewer.may(Role::Responder) { (forms::show(&viewer, &known, &asked_for)) }
            (work(&viewer, &asked_for, now))
        }
        section {
            h2 { "What ran last" }
            form.filters method="get" action="/hunts" aria-label="Filter hunts" {
                div { label for="h-text" { "Hunt or place" } input #h-text type="search" name="text" value=(wanted.text) maxlength="200"; }
                div { label for="h-only" { "Which" } select #h-only name="only" { @for (value, words) in [("", "all"), ("failed", "did not come to their end"), ("found", "found something")] { (word::option(value, words, &wanted.only)) } } }
                div.go { button { "Filter" } a href="/hunts" { "Clear" } }
            }
            (table(shown, now))
            (list::pager(first.as_deref(), next.as_deref()))
        }
    };
    Ok(frame::page(&viewer, Room::Hunts, "Hunts", body))
}

/// Hunts that were asked for, the latest first.
async fn asked_for(site: &Site, viewer: &Viewer) -> Result<Vec<JobRow>, Refused> {
    let filter = JobFilter {
        errand: Some("hunt".to_owned()),
        ..JobFilter::default()
    };
    let page = site
        .ledger()
        .jobs(&filter, &At::first(davylamp_ledger::query::PAGE_ROWS))
        .await?;
    let mut rows = page.items;
    rows.retain(|row| viewer.scope.holds(&row.cluster));
    Ok(rows)
}

fn work(viewer: &Viewer, rows: &[JobRow], now: Timestamp) -> Markup {
    let is_open = |row: &&JobRow| matches!(row.stage.as_str(), "waiting" | "taken");
    let (open, over): (Vec<&JobRow>, Vec<&JobRow>) = rows.iter().partition(is_open);
    html! {
        section.card #work data-refresh {
            h2 { "Asked for" }
            @if !open.is_empty() { span hidden data-moving {} }
            @if open.is_empty() { p.muted { "Nothing waits, and no worker is at one." } }
            ul.plain { @for row in open { li { (jobs::line(viewer, row, None, now)) } } }
            @if !over.is_empty() { h3 { "Before" } }
            ul.plain { @for row in over.iter().take(OVER) { li { (jobs::line(viewer, row, None, now)) } } }
        }
    }
}

/// Runs in rows.
fn table(rows: &[RunRow], now: Timestamp) -> Markup {
    if rows.is_empty() {
        return html! { p.empty { "No hunt that fits has run: nothing is known of what it would find." } };
    }
    let heads = [
        "Hunt", "Over", "Came to", "Counted", "Findings", "By", "Ended",
    ];
    let body = html! {
        @for row in rows {
            tr {
                th scope="row" { a href=(asked::address("/hunts/runs", &[("name", &row.name)])) { (text::brief(&row.name)) } }
                td data-label="Over" { (text::or_none(&row.target)) }
                td data-label="Came to" { (outcome(row)) }
                td data-label="Counted" { (counted(row)) }
                td data-label="Findings" { @if found(row) > 0 { a href=(asked::address("/findings", &[("text", &row.name)])) { "findings of it" } } @else { span.muted { "none" } } }
                td data-label="By" { (text::brief(&row.by_whom)) }
                td data-label="Ended" { (time::ago(row.ended, now)) span.muted { ", took " (took(row)) } }
            }
        }
    };
    frame::table("Hunts", &heads, body)
}

fn outcome(row: &RunRow) -> Markup {
    match (&row.error, found(row)) {
        (Some(error), _) => {
            html! { span.badge.loud { "✕ not to its end" } " " (text::prose(error)) }
        }
        (None, 0) => html! { span.badge.well { "✓ nothing found" } },
        (None, n) => html! { span.badge.warn { (n) " found" } },
    }
}

fn counted(row: &RunRow) -> Markup {
    let counts = counts(row);
    // What was not looked at may hold what is looked for.
    let is_loud = |name: &str| {
        matches!(
            name,
            "unreadable" | "unknown" | "rejected" | "left-out" | "failed"
        )
    };
    html! {
        @if counts.is_empty() { span.unknown { "unknown" } }
        span.counts { @for (name, n) in &counts { span.warn[*n > 0 && is_loud(name)] { (text::brief(name)) " " (n) } } }
    }
}

fn took(row: &RunRow) -> String {
    let secs = (row.ended - row.started).max(0) / 1_000_000;
    match secs {
        0..120 => format!("{secs} s"),
        120..7200 => format!("{} min", secs / 60),
        _ => format!("{} h", secs / 3600),
    }
}
