//! What is planned and done about an incident, and what was kept of it.

use davylamp_ledger::query::At;
use davylamp_ledger::record::{IncidentNo, Plan, Record};
use davylamp_ledger::rows::{ActionRow, EvidenceRow};
use jiff::Timestamp;
use maud::{Markup, html};

use super::cost;
use crate::access::Refused;
use crate::page::{entry, frame, text, time};
use crate::site::Site;

/// So many steps and pieces of evidence are on the page.
const ROWS: u32 = 200;

pub(super) async fn show(site: &Site, incident: IncidentNo) -> Result<Markup, Refused> {
    let (ledger, now) = (site.ledger(), site.now());
    let actions = ledger
        .actions(Some(incident), None, &At::first(ROWS))
        .await?;
    let evidence = ledger.evidence(Some(incident), &At::first(ROWS)).await?;
    let found = ledger
        .timeline_of(incident, "plan", &At::first(ROWS))
        .await?;
    let mut plans = found
        .items
        .iter()
        .filter_map(|each| match entry::record(each)? {
            Record::Plan(plan) => Some((each.at_us, plan)),
            _ => None,
        });
    let latest = plans.next();
    let earlier = plans.count();
    Ok(html! {
        section.card #plan {
            h2 { "Plan" }
            @match &latest {
                Some((at, plan)) => (one(*at, plan, now)),
                None => p.muted { "Nobody has made a plan." },
            }
            @if earlier > 0 { p.muted { (earlier) @if found.next.is_some() { "+" } " earlier plans are in the timeline." } }
            h3 { "Steps" }
            (steps(&actions.items, now))
            @if actions.next.is_some() { p.notice { "There are more steps than stand here; the timeline has all." } }
        }
        section.card #evidence {
            h2 { "Evidence" }
            (kept(incident, &evidence.items, now))
            @if evidence.next.is_some() { p.notice { "There is more evidence than stands here; the timeline has all." } }
        }
    })
}

fn one(at: i64, plan: &Plan, now: Timestamp) -> Markup {
    let text = serde_json::to_string_pretty(&plan.text).unwrap_or_default();
    html! {
        p { (text::shown(&plan.summary)) }
        dl {
            dt { "Made" } dd { (time::both(at, now)) " by " (text::brief(&plan.by)) }
            dt { "Named" } dd { (text::whole(&plan.plan)) }
            dt { "Cost" } dd { (cost(plan.cost_micro_usd_per_hour)) }
        }
        h3 { "Left out, and why" }
        @if plan.left_out.is_empty() { p.muted { "It leaves nothing out." } }
        @else { dl { @for left in &plan.left_out { dt { (text::brief(&left.what)) } dd { (text::prose(&left.reason)) } } } }
        details { summary { "The plan as its maker wrote it" } (text::lines(&text)) }
    }
}

fn steps(rows: &[ActionRow], now: Timestamp) -> Markup {
    if rows.is_empty() {
        return html! { p.muted { "Nothing has been done by a plan." } };
    }
    let heads = ["Step", "What", "Target", "Stage", "By", "When"];
    let body = html! {
        @for row in rows {
            tr {
                th scope="row" { (text::brief(&row.step)) }
                td data-label="What" { (text::brief(&row.what)) }
                td data-label="Target" { (text::brief(&row.target)) }
                td data-label="Stage" { span.badge.warn[matches!(row.stage.as_str(), "failed" | "withheld")] { (text::plain(&row.stage)) } }
                td data-label="By" { (text::brief(&row.by_whom)) }
                td data-label="When" { (time::ago(row.at, now)) }
            }
        }
    };
    frame::table("Steps", &heads, body)
}

/// Where it lies and who holds it stand on a page of its own, whose reading is written down.
fn kept(incident: IncidentNo, rows: &[EvidenceRow], now: Timestamp) -> Markup {
    if rows.is_empty() {
        return html! { p.muted { "Nothing has been kept." } };
    }
    let heads = ["Evidence", "SHA-256", "Size", "Read", "When"];
    let body = html! {
        @for row in rows {
            tr {
                th scope="row" { a href=(format!("/incidents/{}/evidence/{}", incident.0, row.id)) { (text::brief(&row.what)) } }
                td data-label="SHA-256" { (digest(row)) }
                td data-label="Size" { (size(row)) }
                td data-label="Read" { (row.reads) " times" }
                td data-label="When" { (time::ago(row.at, now)) }
            }
        }
    };
    html! {
        (frame::table("Evidence", &heads, body))
        p.muted { "Where a piece lies, and who holds it, stand on its own page; that somebody opened it is written down." }
    }
}

pub(super) fn digest(row: &EvidenceRow) -> Markup {
    html! { @match &row.sha256 { Some(digest) => code.hash { (text::plain(digest)) }, None => span.warn { "none: it cannot be proved unchanged" } } }
}

pub(super) fn size(row: &EvidenceRow) -> Markup {
    html! { @match row.size_bytes { Some(bytes) => { (bytes) " bytes" }, None => span.unknown { "unknown" } } }
}
