//! Runs of audits, and the way to compare each with the one before.

use axum::extract::State;
use davylamp_ledger::rows::RunRow;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::access::{Refused, Viewer};
use crate::page::asked::Asked;
use crate::page::frame::{self, Room};
use crate::page::runs::{self, Wanted};
use crate::page::{list, text, time};
use crate::site::Site;

pub(in crate::page) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Markup, Refused> {
    let part = runs::part(&site, &viewer, &wanted, "audit", "/posture/runs").await?;
    let body = html! {
        p.crumbs { a href="/posture" { "Posture" } " / runs" }
        h1 { "Runs of audits" }
        form.filters method="get" action="/posture/runs" aria-label="Filter runs" {
            div { label for="r-target" { "Target" } input #r-target name="target" value=(wanted.target) maxlength="200"; }
            div { label for="r-name" { "Audited by" } input #r-name name="name" value=(wanted.name) maxlength="200"; }
            div.go { button { "Filter" } a href="/posture/runs" { "Clear" } }
        }
        (table(&part.rows, site.now()))
        (compare(&part.rows))
        (list::pager(part.first.as_deref(), part.next.as_deref()))
    };
    Ok(frame::page(&viewer, Room::Posture, "Runs of audits", body))
}

fn table(rows: &[RunRow], now: Timestamp) -> Markup {
    if rows.is_empty() {
        return html! { p.empty { "No run here fits." } };
    }
    let body = html! {
        @for (n, row) in rows.iter().enumerate() {
            @let counts: std::collections::BTreeMap<String, i64> = serde_json::from_str(&row.counts).unwrap_or_default();
            @let count = |name: &str| counts.get(name).copied().unwrap_or(0);
            @let before = rows.iter().skip(n + 1).find(|other| (&other.name, &other.target) == (&row.name, &row.target));
            tr {
                th scope="row" { (text::brief(&row.target)) " " span.muted { "run " (row.id) } }
                td data-label="Audited by" { (text::brief(&row.name)) }
                td data-label="Ended" { (time::both(row.ended, now)) }
                td data-label="Failed" { (count("fail")) }
                td data-label="Unknown" { span.warn[count("unknown") > 0] { (count("unknown")) } }
                td data-label="Passed" { (count("pass")) }
                td data-label="Compare" { @match before { Some(before) => a href=(format!("/posture/compare?before={}&after={}", before.id, row.id)) { "with run " (before.id) }, None => span.muted { "none before it on this page" } } }
            }
        }
    };
    let heads = [
        "Target",
        "Audited by",
        "Ended",
        "Failed",
        "Unknown",
        "Passed",
        "Compare",
    ];
    frame::table("Runs of audits", &heads, body)
}

fn compare(rows: &[RunRow]) -> Markup {
    html! {
        @if rows.len() > 1 {
            form.filters method="get" action="/posture/compare" aria-label="Compare any two runs" {
                @for (name, label, chosen) in [("before", "Compare run", 1), ("after", "with run", 0)] {
                    div { label for=(format!("x-{name}")) { (label) } select id=(format!("x-{name}")) name=(name) {
                        @for (n, row) in rows.iter().enumerate() { option value=(row.id) selected[n == chosen] { (row.id) ", " (text::cut(&row.target, 40)) ", " (time::exact(row.ended)) } }
                    } }
                }
                div.go { button { "Compare" } }
            }
        }
    }
}
