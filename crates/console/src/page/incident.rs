//! One incident: what happened, how far it reached, what is done about it and by whom.

pub(super) mod cost;
pub(super) mod evidence;
pub(super) mod forms;
mod parts;
pub(super) mod plans;
mod reach;
pub(super) mod report;
mod timeline;
pub(super) mod told;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use davylamp_ledger::query::{At, FindingFilter, PAGE_ROWS};
use davylamp_ledger::record::IncidentNo;
use davylamp_ledger::rows::IncidentRow;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::asked::{self, Asked};
use super::frame::{self, Room};
use super::sight::{self, Sight};
use super::{findings, incidents, number, text, time, word};
use crate::access::{Refused, Role, Viewer};
use crate::site::Site;

/// Pages of a timeline that a report has. What lies behind them is told.
const STORY_PAGES: usize = 20;
/// So many things that were said about the cost are looked at for the last one and its pack.
const COSTS: u32 = 50;
/// So many pieces of evidence are on the page.
const KEPT: u32 = 200;
/// So many findings stand on the page itself.
const FINDINGS_SHOWN: usize = 15;

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Wanted {
    #[serde(skip_serializing_if = "String::is_empty")]
    order: String,
    /// Only entries of this kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    kind: String,
    /// Only what happened there.
    #[serde(skip_serializing_if = "String::is_empty")]
    place: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    at: String,
    /// What was just changed.
    #[serde(skip_serializing)]
    done: String,
}

pub(super) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Path(no): Path<String>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Refused> {
    let no = number(&no)?;
    let (view, sight) = sight::incident(&site, &viewer, no).await?;
    let row = &view.row;
    if row.id != no {
        return Ok(Redirect::to(&format!("/incidents/{}", row.id)).into_response());
    }
    let (ledger, incident) = (site.ledger(), IncidentNo(no));
    let filter = FindingFilter {
        incident: Some(incident),
        clusters: viewer.scope.asked(),
        ..FindingFilter::default()
    };
    let found = ledger.findings(&filter, &At::first(PAGE_ROWS)).await?;
    let has_more = found.next.is_some();
    let found = found.items;
    let reach = reach::of(&site, &found, has_more).await?;
    let shown = &found[..found.len().min(FINDINGS_SHOWN)];
    let (plan, rest) = match sight {
        Sight::Whole => {
            let plans = plans::read(&site, incident).await?;
            let kept = ledger.evidence(Some(incident), &At::first(KEPT)).await?;
            let plan = plans::show(&viewer, row, &plans, site.now());
            let said = ledger
                .timeline_of(incident, "cost", &At::first(COSTS))
                .await?;
            let rest = html! {
                (cost::show(&viewer, row, &said.items, &kept.items, site.now()))
                (parts::evidence(incident, &kept.items, kept.next.is_some(), site.now()))
            };
            (plan, rest)
        }
        _ => {
            let left_out = html! { p.notice { "This incident reaches clusters that are not yours to see. Its plans, actions, evidence and cost name what is in them, and are left out." } };
            (left_out, html! {})
        }
    };
    let timeline = timeline::show(&site, &viewer, &wanted, row, sight).await?;
    let people = match viewer.may(Role::Responder) {
        true => site.store().people().await?,
        false => Vec::new(),
    };
    let now = site.now();
    let told = told::show(&site, &view, now).await?;
    let body = html! {
        p.crumbs { a href="/incidents" { "Incidents" } " / #" (no) }
        @if let Some(text) = said(&wanted.done) { p.flash role="status" { (text) } }
        div.title {
            h1 { span.no { "#" (no) } " " (incidents::title(row, &viewer.scope)) }
            (report::links(no))
        }
        p.line { (word::rank(row.severity)) " " (word::state(&row.state)) " " span { span.muted { "owner " } (incidents::owner(row)) } " " span { span.muted { "clock " } (incidents::clock(row, now)) } }
        (told)
        @if !view.merged.is_empty() { p.muted { "It holds what were once " @for (n, merged) in view.merged.iter().enumerate() { @if n > 0 { ", " } (merged) } "." } }
        div.columns {
            (summary(row, sight, now))
            @if viewer.may(Role::Responder) { (forms::show(&viewer, row, &people)) }
            @else { section.card { h2 { "Your part" } p.muted { "You may look. Changing it needs the role responder." } } }
        }
        (plan)
        (reach)
        section.card #findings {
            h2 { "Findings" }
            (findings::table(shown, now))
            @if found.len() > FINDINGS_SHOWN || has_more { p { a href=(asked::address("/findings", &[("incident", no)])) { "All findings of this incident" } } }
        }
        (rest)
        (timeline)
    };
    let title = format!("Incident #{no}");
    Ok(frame::page(&viewer, Room::Incidents, &title, body).into_response())
}

/// What a form has changed, by its name in the address.
fn said(done: &str) -> Option<&'static str> {
    Some(match done {
        "state" => "The state is changed, and the ledger has it.",
        "owner" => "The owner is changed, and the ledger has it.",
        "clock" => "The clock is changed, and the ledger has it.",
        "note" => "The note is in the ledger.",
        "asked" => "A worker is asked, and the ledger has it.",
        "approved" => "The plan is approved, and the ledger has it. Nothing has been done yet.",
        "withdrawn" => "It is withdrawn.",
        "cost" => "The cost is in the ledger.",
        _ => return None,
    })
}

fn summary(row: &IncidentRow, sight: Sight, now: jiff::Timestamp) -> Markup {
    html! {
        section.card {
            h2 { "Summary" }
            dl {
                dt { "Opened" } dd { (time::both(row.opened, now)) }
                dt { "First seen" } dd { (time::both(row.first_at, now)) }
                dt { "Last seen" } dd { (time::both(row.last_at, now)) }
                @if let Some(closed) = row.closed { dt { "Closed" } dd { (time::both(closed, now)) } }
                @if !row.due_why.is_empty() { dt { "Due is" } dd { (text::prose(&row.due_why)) } }
                @if sight == Sight::Whole {
                    dt { "Findings" } dd { (row.findings) }
                    dt { "Users" } dd { (all(&row.users)) }
                    dt { "Clusters" } dd { (all(&row.clusters)) }
                    dt { "Cost" } dd { (cost::an_hour(row.cost_micro_usd_per_hour)) }
                }
            }
        }
    }
}

fn all(names: &str) -> Markup {
    let names = sight::names(names);
    html! {
        @if names.is_empty() { span.muted { "none named" } }
        @for (n, name) in names.iter().enumerate() { @if n > 0 { ", " } (text::brief(name)) }
    }
}
