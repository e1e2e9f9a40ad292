//! Blocklists: which versions there are and how far each is, which nodes hold them, which lag, and what a
//! change would have killed.

pub(super) mod change;
mod held;
mod would;

use axum::extract::State;
use davylamp_ledger::query::At;
use davylamp_ledger::rows::ListRow;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::asked::{self, Asked};
use super::frame::{self, Room};
use super::{list, text, time, word};
use crate::access::{Refused, Role, Viewer};
use crate::site::Site;
use held::{Fleet, Holds};

/// Nodes are read up to so many pages of the ledger; that there are more is told.
const NODE_PAGES: usize = 6;
/// Versions are, too.
const VERSION_PAGES: usize = 4;

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// Only versions of this list.
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    stage: String,
    /// Which nodes: empty for those that lag.
    #[serde(skip_serializing_if = "String::is_empty")]
    nodes: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    at: String,
    /// The page of nodes.
    #[serde(skip_serializing_if = "String::is_empty")]
    from: String,
}

pub(super) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Markup, Refused> {
    let ledger = site.ledger();
    let ask = |at: At| async move { ledger.blocklists(&at).await };
    let (mut versions, more_versions) = list::all(VERSION_PAGES, ask).await?;
    let ask = |at: At| async move { ledger.nodes(&at).await };
    let (mut nodes, more_nodes) = list::all(NODE_PAGES, ask).await?;
    nodes.retain(|view| viewer.scope.holds(&view.row.cluster));
    let fleet = Fleet::of(&versions, nodes);
    // A version is of no cluster: who sees some sees those that their nodes hold.
    if !viewer.scope.is_all() {
        versions.retain(|row| fleet.holding(row) > 0);
    }
    let would = would::recent(&site, &viewer.scope).await?;
    let stage = asked::named("stage", &wanted.stage, |name| {
        ["observe", "canary", "enforce", "retired"]
            .into_iter()
            .find(|known| *known == name)
    })?;
    let mut shown: Vec<&ListRow> = versions.iter().collect();
    shown.retain(|row| wanted.name.is_empty() || row.name == wanted.name);
    shown.retain(|row| stage.is_none_or(|stage| row.rollout == stage));
    let (part, next) = list::part(&shown, &wanted.at)?;
    let holds = asked::named("choice", &wanted.nodes, Holds::named)?.unwrap_or(Holds::Old);
    let lagging: Vec<_> = fleet.nodes().filter(|node| node.holds == holds).collect();
    let (some, further) = list::part(&lagging, &wanted.from)?;
    let to = |at: &str, from: &str| {
        let (at, from) = (at.to_owned(), from.to_owned());
        asked::address(
            "/blocklists",
            &Wanted {
                at,
                from,
                ..wanted.clone()
            },
        )
    };
    let next = next.map(|at| to(&at, &wanted.from));
    let further = further.map(|from| format!("{}#nodes", to(&wanted.at, &from)));
    let first = (!wanted.at.is_empty()).then(|| to("", &wanted.from));
    let first_nodes = (!wanted.from.is_empty()).then(|| format!("{}#nodes", to(&wanted.at, "")));
    let now = site.now();
    let body = html! {
        h1 { "Blocklists" }
        section {
            h2 { "Versions" }
            form.filters method="get" action="/blocklists" aria-label="Filter versions" {
                div { label for="b-name" { "List" } input #b-name name="name" value=(wanted.name) maxlength="200"; }
                div { label for="b-stage" { "Stage" } select #b-stage name="stage" { @for (value, words) in [("", "any"), ("observe", "observe"), ("canary", "canary"), ("enforce", "enforce"), ("retired", "retired")] { (word::option(value, words, &wanted.stage)) } } }
                div.go { button { "Filter" } a href="/blocklists" { "Clear" } }
            }
            @if more_versions { p.notice { "There are more versions than are read here: those told of last stand here." } }
            (table(part, &fleet, &would, now))
            (list::pager(first.as_deref(), next.as_deref()))
        }
        section.card #nodes {
            h2 { "Nodes" }
            @if more_nodes { p.notice { "There are more nodes than are counted here." } }
            nav.tabs aria-label="Which nodes" {
                @for each in Holds::ALL { a href=(format!("{}#nodes", asked::address("/blocklists", &Wanted { nodes: each.as_str().to_owned(), at: String::new(), from: String::new(), ..wanted.clone() }))) aria-current=[(each == holds).then_some("true")] { (each.words()) " " (fleet.count(each)) } }
            }
            (held::table(some, now))
            (list::pager(first_nodes.as_deref(), further.as_deref()))
        }
        (would.show())
        @if viewer.may(Role::Responder) { (change::form(&viewer, "", "7")) }
    };
    Ok(frame::page(&viewer, Room::Blocklists, "Blocklists", body))
}

fn table(rows: &[&ListRow], fleet: &Fleet, would: &would::Recent, now: Timestamp) -> Markup {
    if rows.is_empty() {
        return html! { p.empty { "No version that fits has been told of. Nodes hold what stands below all the same." } };
    }
    let heads = [
        "List",
        "Version",
        "Stage",
        "Strings",
        "Held by",
        "Would have killed",
        "Told of",
        "By",
    ];
    let body = html! {
        @for row in rows {
            tr {
                th scope="row" { (text::brief(&row.name)) @if !row.note.is_empty() { br; span.muted { (text::prose(&row.note)) } } }
                td data-label="Version" { code.hash title=(text::plain(&row.digest)) { (text::cut(&row.digest, 12)) } }
                td data-label="Stage" { (stage(&row.rollout)) }
                td data-label="Strings" { (row.strings) }
                td data-label="Held by" { (word::count(i64::try_from(fleet.holding(row)).unwrap_or(i64::MAX), "node", "nodes")) }
                td data-label="Would kill" { @match would.on(fleet.holders(row)) { 0 => span.muted { "nothing in " (would::DAYS) " days" }, n => span.badge.warn { (n) " in " (would::DAYS) " days" } } }
                td data-label="Told of" { (time::ago(row.at, now)) @if row.first_at != row.at { span.muted { ", first " (time::ago(row.first_at, now)) } } }
                td data-label="By" { (text::brief(&row.by_whom)) }
            }
        }
    };
    frame::table("Versions of blocklists", &heads, body)
}

fn stage(rollout: &str) -> Markup {
    let class = match rollout {
        "observe" => "badge warn",
        "canary" => "badge state-open",
        "enforce" => "badge well",
        _ => "badge",
    };
    html! { span class=(class) { (text::plain(rollout)) } }
}
