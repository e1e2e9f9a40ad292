//! Nodes: what guards them, and which are silent.

use axum::extract::State;
use davylamp_ledger::query::{At, NodeView};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::asked::{self, Asked};
use super::frame::{self, Room};
use super::{list, text, time};
use crate::access::{Refused, Viewer};
use crate::site::Site;

/// A node that was not heard of for so long is silent: agents say that they are there every few
/// minutes.
pub(crate) const SILENT_AFTER: SignedDuration = SignedDuration::from_mins(15);

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Wanted {
    #[serde(skip_serializing_if = "String::is_empty")]
    only: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    at: String,
}

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Silent,
    /// It is heard of, and something is wrong with it.
    Troubled,
    Well,
}

pub(super) fn health(view: &NodeView, now: Timestamp) -> Health {
    let oldest = now.saturating_sub(SILENT_AFTER).unwrap_or(Timestamp::MIN);
    let is_heard = view.seen_us.is_some_and(|us| us >= oldest.as_microsecond());
    match is_heard {
        false => Health::Silent,
        true if view.row.canary_caught == Some(0) || view.row.lost_events > 0 => Health::Troubled,
        true => Health::Well,
    }
}

pub(super) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Markup, Refused> {
    let only = asked::named("choice", &wanted.only, |name| match name {
        "silent" => Some(Health::Silent),
        "troubled" => Some(Health::Troubled),
        _ => None,
    })?;
    let (ledger, now) = (site.ledger(), site.now());
    let page = list::seen(
        asked::at(&wanted.at),
        |at: At| async move { ledger.nodes(&at).await },
        |view: &NodeView| {
            viewer.scope.holds(&view.row.cluster)
                && only.is_none_or(|only| health(view, now) == only)
        },
    )
    .await?;
    let at = |at: String| {
        asked::address(
            "/nodes",
            &Wanted {
                at,
                ..wanted.clone()
            },
        )
    };
    let next = page.next.clone().map(at);
    let first = (!wanted.at.is_empty()).then(|| at(String::new()));
    let body = html! {
        h1 { "Nodes" }
        nav.tabs aria-label="Which nodes" {
            @for (name, text) in [("", "All"), ("silent", "Silent"), ("troubled", "With trouble")] {
                a href=(asked::address("/nodes", &Wanted { only: name.to_owned(), at: String::new() })) aria-current=[(wanted.only == name).then_some("true")] { (text) }
            }
        }
        p.muted { "Silent is a node that has not said for 15 minutes that it is there: whatever runs on it is not seen." }
        (table(&page.items, now))
        (list::pager(first.as_deref(), next.as_deref()))
    };
    Ok(frame::page(&viewer, Room::Nodes, "Nodes", body))
}

fn table(views: &[NodeView], now: Timestamp) -> Markup {
    if views.is_empty() {
        return html! { p.empty { "No node here fits." } };
    }
    let heads = [
        "Node",
        "Cluster",
        "Health",
        "Last heard",
        "Version",
        "Coverage",
        "Canary",
        "Lost events",
    ];
    let body = html! {
        @for view in views {
            @let row = &view.row;
            tr {
                th scope="row" { (text::brief(&row.node)) }
                td data-label="Cluster" { (text::or_none(&row.cluster)) }
                td data-label="Health" { @match health(view, now) {
                    Health::Silent => span.badge.loud { "✕ silent" },
                    Health::Troubled => span.badge.warn { "! trouble" },
                    Health::Well => span.badge.well { "✓ heard" },
                } }
                td data-label="Last heard" { @match view.seen_us { Some(us) => (time::ago(us, now)), None => span.unknown { "unknown" } } }
                td data-label="Version" { (text::or_none(&row.version)) }
                td data-label="Coverage" { (text::brief(&row.coverage)) }
                td data-label="Canary" { (canary(view, now)) }
                td data-label="Lost events" { span.warn[row.lost_events > 0] { (row.lost_events) } }
            }
        }
    };
    frame::table("Nodes", &heads, body)
}

fn canary(view: &NodeView, now: Timestamp) -> Markup {
    html! {
        @match view.row.canary_caught {
            Some(1) => "caught",
            Some(_) => strong.warn { "not caught" },
            None => span.unknown { "unknown" },
        }
        @if let Some(us) = view.canary_us { ", tried " (time::ago(us, now)) }
    }
}
