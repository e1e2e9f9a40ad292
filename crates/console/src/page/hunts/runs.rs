//! Every run of hunts.

use axum::extract::State;
use maud::{Markup, html};

use super::table;
use crate::access::{Refused, Viewer};
use crate::page::asked::Asked;
use crate::page::frame::{self, Room};
use crate::page::runs::{self, Wanted};
use crate::page::{list, text};
use crate::site::Site;

pub(in crate::page) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Markup, Refused> {
    let part = runs::part(&site, &viewer, &wanted, "hunt", "/hunts/runs").await?;
    let body = html! {
        p.crumbs { a href="/hunts" { "Hunts" } " / runs" }
        h1 { "Runs " @if !wanted.name.is_empty() { "of " (text::brief(&wanted.name)) } @else { "of hunts" } }
        form.filters method="get" action="/hunts/runs" aria-label="Filter runs" {
            div { label for="u-name" { "Hunt" } input #u-name name="name" value=(wanted.name) maxlength="200"; }
            div { label for="u-target" { "Over" } input #u-target name="target" value=(wanted.target) maxlength="200"; }
            div.go { button { "Filter" } a href="/hunts/runs" { "Clear" } }
        }
        (table(&part.rows, site.now()))
        (list::pager(part.first.as_deref(), part.next.as_deref()))
    };
    Ok(frame::page(&viewer, Room::Hunts, "Runs of hunts", body))
}
