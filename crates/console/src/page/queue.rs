//! What somebody has to do, and what nobody has taken.

use axum::extract::State;
use davylamp_ledger::query::{At, IncidentFilter, IncidentSort};
use davylamp_ledger::rows::IncidentRow;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::asked::{self, Asked};
use super::frame::{self, Room, csrf};
use super::{incidents, list, time, word};
use crate::access::{Refused, Role, Viewer};
use crate::site::Site;

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Wanted {
    #[serde(skip_serializing_if = "String::is_empty")]
    at: String,
}

pub(super) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Markup, Refused> {
    let ledger = site.ledger();
    let open = IncidentFilter {
        open: true,
        clusters: viewer.scope.asked(),
        ..IncidentFilter::default()
    };
    let filter = IncidentFilter {
        owner: Some(viewer.name.clone()),
        sort: IncidentSort::Due,
        ..open.clone()
    };
    let mine = ledger.incidents(&filter, &asked::at(&wanted.at)).await?;
    let filter = IncidentFilter {
        without_owner: true,
        sort: IncidentSort::Severity,
        ..open
    };
    let free = ledger.incidents(&filter, &At::first(asked::ROWS)).await?;
    let now = site.now();
    let next = mine.next.map(|at| asked::address("/queue", &Wanted { at }));
    let first = (!wanted.at.is_empty()).then_some("/queue");
    let body = html! {
        h1 { "My queue" }
        section {
            h2 { "Mine, what is due first" }
            @if mine.items.is_empty() { p.empty { "Nothing here is yours." } }
            ul.tasks { @for row in &mine.items { (task(row, &viewer, now)) } }
            (list::pager(first, next.as_deref()))
        }
        section {
            h2 { "Nobody's, the worst first" }
            @if free.items.is_empty() { p.empty { "Every open incident has an owner." } }
            ul.tasks { @for row in &free.items { (task(row, &viewer, now)) } }
            @if free.next.is_some() { p { a href="/incidents?without_owner=1&sort=severity" { "All without an owner" } } }
        }
    };
    Ok(frame::page(&viewer, Room::Queue, "My queue", body))
}

fn task(row: &IncidentRow, viewer: &Viewer, now: Timestamp) -> Markup {
    let is_mine = row.owner.as_deref() == Some(viewer.name.as_str());
    html! {
        li.card.task {
            div {
                a.title href=(format!("/incidents/{}", row.id)) { span.no { "#" (row.id) } " " (incidents::named(row, &viewer.scope)) }
                p.line { (word::rank(row.severity)) " " (word::state(&row.state)) " " span { span.muted { "clock " } (incidents::clock(row, now)) } " " span { span.muted { "seen " } (time::ago(row.last_at, now)) } }
                @if !row.due_why.is_empty() && is_mine { p.muted { (super::text::brief(&row.due_why)) } }
            }
            @if viewer.may(Role::Responder) {
                form.row method="post" action=(format!("/incidents/{}/owner", row.id)) {
                    (csrf(viewer))
                    @if is_mine {
                        @if row.owner_step != "accepted" { button.primary name="step" value="accept" aria-label=(format!("Accept incident {}", row.id)) { "Accept" } }
                        button name="step" value="decline" aria-label=(format!("Decline incident {}", row.id)) { "Decline" }
                    } @else {
                        button.primary name="step" value="take" aria-label=(format!("Take it: incident {}", row.id)) { "Take it" }
                    }
                }
            }
        }
    }
}
