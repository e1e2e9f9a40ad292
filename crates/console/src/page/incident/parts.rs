//! The steps of plans in rows, and what was kept of an incident.

use davylamp_ledger::record::IncidentNo;
use davylamp_ledger::rows::{ActionRow, EvidenceRow};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::page::{frame, text, time};

/// What was kept.
pub(super) fn evidence(
    incident: IncidentNo,
    rows: &[EvidenceRow],
    has_more: bool,
    now: Timestamp,
) -> Markup {
    html! {
        section.card #evidence {
            h2 { "Evidence" }
            (kept(incident, rows, now))
            @if has_more { p.notice { "There is more evidence than stands here; the timeline has all." } }
        }
    }
}

pub(super) fn steps(rows: &[ActionRow], now: Timestamp) -> Markup {
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
