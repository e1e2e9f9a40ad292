//! All incidents, filtered and in an order.

use axum::extract::State;
use davylamp_ledger::query::{IncidentFilter, IncidentSort};
use davylamp_ledger::record::State as Stands;
use davylamp_ledger::rows::{IncidentRow, NOT_DUE};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::asked::{self, Asked};
use super::frame::{self, Room};
use super::sight::{self, Sight};
use super::{list, text, time, word};
use crate::access::{Refused, Scope, Viewer};
use crate::site::Site;

/// So many users and clusters stand in a row.
const NAMES_SHOWN: usize = 3;

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Wanted {
    #[serde(skip_serializing_if = "String::is_empty")]
    state: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    severity: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    owner: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    without_owner: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    cluster: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    user: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    due: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    sort: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    at: String,
}

impl Wanted {
    fn filter(&self, scope: &Scope) -> Result<IncidentFilter, Refused> {
        let (state, open) = match self.state.as_str() {
            "" => (None, true),
            "any" => (None, false),
            name => (asked::named("state", name, Stands::named)?, false),
        };
        let sort = match self.sort.as_str() {
            "" => IncidentSort::LastSeen,
            name => asked::named("order", name, sort_named)?.unwrap_or_default(),
        };
        Ok(IncidentFilter {
            state,
            open,
            severity: asked::severity(&self.severity)?,
            owner: asked::wanted(&self.owner),
            without_owner: !self.without_owner.is_empty(),
            with_clock: !self.due.is_empty(),
            cluster: asked::wanted(&self.cluster),
            clusters: scope.asked(),
            user: asked::wanted(&self.user),
            sort,
            ..IncidentFilter::default()
        })
    }

    fn at(&self, cursor: &str) -> String {
        let at = cursor.to_owned();
        asked::address("/incidents", &Self { at, ..self.clone() })
    }
}

fn sort_named(name: &str) -> Option<IncidentSort> {
    match name {
        "seen" => Some(IncidentSort::LastSeen),
        "severity" => Some(IncidentSort::Severity),
        "due" => Some(IncidentSort::Due),
        _ => None,
    }
}

pub(super) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Markup, Refused> {
    let filter = wanted.filter(&viewer.scope)?;
    let page = site
        .ledger()
        .incidents(&filter, &asked::at(&wanted.at))
        .await?;
    let next = page.next.as_deref().map(|next| wanted.at(next));
    let first = (!wanted.at.is_empty()).then(|| wanted.at(""));
    let body = html! {
        h1 { "Incidents" }
        (form(&wanted))
        (table(&page.items, &viewer.scope, site.now()))
        (list::pager(first.as_deref(), next.as_deref()))
    };
    Ok(frame::page(&viewer, Room::Incidents, "Incidents", body))
}

fn form(wanted: &Wanted) -> Markup {
    html! {
        form.filters method="get" action="/incidents" aria-label="Filter incidents" {
            div { label for="state" { "State" }
                select #state name="state" {
                    (word::option("", "not closed", &wanted.state)) (word::option("any", "any", &wanted.state))
                    @for state in Stands::ALL.into_iter().filter(|state| *state != Stands::Merged) { (word::option(state.as_str(), state.as_str(), &wanted.state)) }
                } }
            div { label for="severity" { "At least" }
                select #severity name="severity" {
                    (word::option("", "any severity", &wanted.severity))
                    @for severity in word::SEVERITIES { (word::option(severity.as_str(), severity.as_str(), &wanted.severity)) }
                } }
            div { label for="owner" { "Owner" } input #owner name="owner" value=(wanted.owner) maxlength="200"; }
            div { label for="cluster" { "Cluster" } input #cluster name="cluster" value=(wanted.cluster) maxlength="200"; }
            div { label for="user" { "User" } input #user name="user" value=(wanted.user) maxlength="200"; }
            div { label for="sort" { "Order" }
                select #sort name="sort" {
                    (word::option("", "last seen", &wanted.sort)) (word::option("severity", "severity", &wanted.sort)) (word::option("due", "due first", &wanted.sort))
                } }
            div.check { input #without type="checkbox" name="without_owner" value="1" checked[!wanted.without_owner.is_empty()]; label for="without" { "Without owner" } }
            div.check { input #due type="checkbox" name="due" value="1" checked[!wanted.due.is_empty()]; label for="due" { "With a clock" } }
            div.go { button { "Filter" } a href="/incidents" { "Clear" } }
        }
    }
}

/// Incidents in rows.
pub(super) fn table(rows: &[IncidentRow], scope: &Scope, now: Timestamp) -> Markup {
    if rows.is_empty() {
        return html! { p.empty { "No incident here fits." } };
    }
    let heads = [
        "Incident",
        "Severity",
        "State",
        "Owner",
        "Clock",
        "Findings",
        "Users",
        "Clusters",
        "Last seen",
    ];
    let body = html! {
        @for row in rows {
            @let whole = sight::of(scope, row) == Sight::Whole;
            tr {
                th scope="row" { a href=(format!("/incidents/{}", row.id)) { span.no { "#" (row.id) } " " (title(row, scope)) } }
                td data-label="Severity" { (word::rank(row.severity)) }
                td data-label="State" { (word::state(&row.state)) }
                td data-label="Owner" { (owner(row)) }
                td data-label="Clock" { (clock(row, now)) }
                td data-label="Findings" { @if whole { (findings(row)) } @else { (hidden()) } }
                td data-label="Users" { @if whole { (names(&row.users, |_| true)) } @else { (hidden()) } }
                td data-label="Clusters" { (names(&row.clusters, |name| scope.holds(name))) }
                td data-label="Last seen" { (time::ago(row.last_at, now)) }
            }
        }
    };
    frame::table("Incidents", &heads, body)
}

/// What an incident is about.
pub(super) fn title(row: &IncidentRow, scope: &Scope) -> Markup {
    match sight::of(scope, row) {
        Sight::Whole => text::brief(&row.title),
        _ => html! { "across clusters" },
    }
}

/// The same with who and where it is, for lists that have no columns for them.
pub(super) fn named(row: &IncidentRow, scope: &Scope) -> Markup {
    let (users, clusters) = (sight::names(&row.users), sight::names(&row.clusters));
    let some = |names: &[String]| {
        html! { @if let [first, rest @ ..] = names { (text::brief(first)) @if !rest.is_empty() { " and " (rest.len()) " more" } } }
    };
    html! {
        (title(row, scope))
        @if sight::of(scope, row) == Sight::Whole && (!users.is_empty() || !clusters.is_empty()) {
            span.muted { " · " (some(&users)) @if !users.is_empty() && !clusters.is_empty() { " in " } (some(&clusters)) }
        }
    }
}

fn hidden() -> Markup {
    html! { span.muted { "partly not yours" } }
}

pub(super) fn owner(row: &IncidentRow) -> Markup {
    match &row.owner {
        None => html! { span.warn { "nobody" } },
        Some(owner) => {
            html! { (text::brief(owner)) @if row.owner_step != "accepted" { " " span.muted { "(not accepted)" } } }
        }
    }
}

pub(super) fn clock(row: &IncidentRow, now: Timestamp) -> Markup {
    if row.due == NOT_DUE {
        return html! { span.muted { "none" } };
    }
    let is_over = row.due < now.as_microsecond();
    html! {
        span.warn[is_over] { @if is_over { "overdue, " } @else { "due " } (time::ago(row.due, now)) }
        @if let Some(to) = &row.escalated { " " span.warn { "escalated to " (text::brief(to)) } }
    }
}

fn findings(row: &IncidentRow) -> Markup {
    let counts: std::collections::BTreeMap<String, i64> =
        serde_json::from_str(&row.counts).unwrap_or_default();
    html! {
        span.counts {
            @for taken in word::LOUDEST {
                @if let Some(n) = counts.get(taken.as_str()).filter(|n| **n != 0) { (word::taken_times(taken, *n)) " " }
            }
        }
    }
}

fn names(list: &str, holds: impl Fn(&str) -> bool) -> Markup {
    let all = sight::names(list);
    let (seen, others): (Vec<_>, Vec<_>) = all.iter().partition(|name| holds(name));
    let more = seen.len().saturating_sub(NAMES_SHOWN);
    html! {
        @if seen.is_empty() { span.muted { "none named" } }
        @for (n, name) in seen.iter().take(NAMES_SHOWN).enumerate() { @if n > 0 { ", " } (text::brief(name)) }
        @if more > 0 { span.muted { " and " (more) " more" } }
        @if !others.is_empty() { span.muted { ", and others" } }
    }
}
