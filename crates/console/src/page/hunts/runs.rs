//! Every run of hunts.

use axum::extract::State;
use davylamp_ledger::query::{At, RunFilter};
use davylamp_ledger::rows::RunRow;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::table;
use crate::access::{Refused, Viewer};
use crate::page::asked::{self, Asked};
use crate::page::frame::{self, Room};
use crate::page::posture::sees;
use crate::page::{list, text};
use crate::site::Site;

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(in crate::page) struct Wanted {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    target: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    at: String,
}

pub(in crate::page) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Markup, Refused> {
    let filter = &RunFilter {
        verb: Some("hunt".to_owned()),
        name: asked::wanted(&wanted.name),
        target: asked::wanted(&wanted.target),
    };
    let ledger = site.ledger();
    let page = list::seen(
        asked::at(&wanted.at),
        |at: At| async move { ledger.runs(filter, &at).await },
        |row: &RunRow| sees(&viewer.scope, &row.target),
    )
    .await?;
    let to = |at: &str| {
        let at = at.to_owned();
        asked::address(
            "/hunts/runs",
            &Wanted {
                at,
                ..wanted.clone()
            },
        )
    };
    let (next, first) = (
        page.next.as_deref().map(to),
        (!wanted.at.is_empty()).then(|| to("")),
    );
    let body = html! {
        p.crumbs { a href="/hunts" { "Hunts" } " / runs" }
        h1 { "Runs " @if !wanted.name.is_empty() { "of " (text::brief(&wanted.name)) } @else { "of hunts" } }
        form.filters method="get" action="/hunts/runs" aria-label="Filter runs" {
            div { label for="u-name" { "Hunt" } input #u-name name="name" value=(wanted.name) maxlength="200"; }
            div { label for="u-target" { "Over" } input #u-target name="target" value=(wanted.target) maxlength="200"; }
            div.go { button { "Filter" } a href="/hunts/runs" { "Clear" } }
        }
        (table(&page.items, site.now()))
        (list::pager(first.as_deref(), next.as_deref()))
    };
    Ok(frame::page(&viewer, Room::Hunts, "Runs of hunts", body))
}
