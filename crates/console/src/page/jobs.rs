//! What was asked of workers, and how far it is.

use davylamp_ledger::rows::JobRow;
use jiff::Timestamp;
use maud::{Markup, html};

use super::frame::csrf;
use super::{text, time};
use crate::access::{Role, Viewer};

/// A job in a line, with the form that takes it back where nobody has it. Jobs of no incident are hunts.
pub(super) fn line(viewer: &Viewer, row: &JobRow, incident: Option<i64>, now: Timestamp) -> Markup {
    let (class, stage) = match row.stage.as_str() {
        "waiting" => ("badge warn", "waits for a worker"),
        "taken" => ("badge state-open", "at work"),
        "done" => ("badge well", "done"),
        "failed" => ("badge loud", "failed"),
        "withdrawn" => ("badge", "withdrawn"),
        other => ("badge", other),
    };
    let what = match row.errand.as_str() {
        "plan" => html! { "a plan" },
        "run" => html! { "carry out plan " code { (text::brief(&row.subject)) } },
        "undo" => html! { "take back plan " code { (text::brief(&row.subject)) } },
        "hunt" => html! { "hunt " strong { (text::brief(&row.subject)) } },
        other => html! { (text::brief(other)) " " (text::brief(&row.subject)) },
    };
    let to = match incident {
        Some(no) => format!("/incidents/{no}/job/withdraw"),
        None => "/hunts/withdraw".to_owned(),
    };
    html! {
        div.line {
            span class=(class) { (text::plain(stage)) }
            span {
                (what) span.muted { ", asked by " } (text::brief(&row.asked_by))
                @if row.stage == "taken" {
                    span.muted { ", " } (text::brief(&row.taken_by))
                    @if row.until < now.as_microsecond() { " " span.warn { "has not been heard of since " (time::ago(row.until, now)) ": the next worker that asks has it" } }
                    @else { span.muted { " is at it, and says so again by " } (time::ago(row.until, now)) }
                }
                " " span.muted { (time::ago(row.at, now)) }
                @if !row.cluster.is_empty() { span.muted { ", for workers of " } (text::brief(&row.cluster)) }
            }
            @if row.stage == "waiting" && viewer.may(Role::Responder) {
                form method="post" action=(to) { (csrf(viewer)) input type="hidden" name="job" value=(row.id); button aria-label=(format!("Withdraw job {}", row.id)) { "Withdraw" } }
            }
        }
        @if !row.detail.is_empty() { (text::prose(&row.detail)) }
    }
}
