//! All findings, filtered and searched, and each of them.

pub(super) mod one;

use axum::extract::State;
use davylamp_ledger::Taken;
use davylamp_ledger::query::{At, FindingFilter};
use davylamp_ledger::record::IncidentNo;
use davylamp_ledger::rows::FindingRow;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::asked::{self, Asked};
use super::frame::{self, Room};
use super::{list, text, time, word};
use crate::access::{Refused, Scope, Viewer};
use crate::site::Site;

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Wanted {
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    action: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    severity: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    cluster: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    node: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    user: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    from: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    to: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    incident: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    order: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    at: String,
}

impl Wanted {
    fn filter(&self, scope: &Scope) -> Result<FindingFilter, Refused> {
        let incident = match self.incident.trim().trim_start_matches('#') {
            "" => None,
            no => Some(IncidentNo(no.parse().map_err(|_| {
                Refused::Wrong("An incident is named by its number.".to_owned())
            })?)),
        };
        Ok(FindingFilter {
            from: asked::time(&self.from)?,
            to: asked::time(&self.to)?,
            incident,
            severity: asked::severity(&self.severity)?,
            taken: asked::named("action", &self.action, Taken::named)?,
            cluster: asked::wanted(&self.cluster),
            clusters: scope.asked(),
            node: asked::wanted(&self.node),
            user: asked::wanted(&self.user),
            key: None,
            text: asked::wanted(&self.text),
            oldest_first: asked::named("order", &self.order, |name| match name {
                "newest" => Some(false),
                "oldest" => Some(true),
                _ => None,
            })?
            .unwrap_or(false),
        })
    }

    fn at(&self, cursor: &str) -> String {
        let at = cursor.to_owned();
        asked::address("/findings", &Self { at, ..self.clone() })
    }
}

pub(super) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Markup, Refused> {
    let filter = &wanted.filter(&viewer.scope)?;
    let ledger = site.ledger();
    let page = list::seen(
        asked::at(&wanted.at),
        |at: At| async move { ledger.findings(filter, &at).await },
        // Words are looked for in one part of the findings after another.
        |_| true,
    )
    .await?;
    let next = page.next.as_deref().map(|next| wanted.at(next));
    let first = (!wanted.at.is_empty()).then(|| wanted.at(""));
    let body = html! {
        h1 { "Findings" }
        (form(&wanted))
        @if filter.text.is_some() { p.muted { "Found by words or their beginnings, in the order of arrival." } }
        (table(&page.items, site.now()))
        (list::pager(first.as_deref(), next.as_deref()))
    };
    Ok(frame::page(&viewer, Room::Findings, "Findings", body))
}

fn form(wanted: &Wanted) -> Markup {
    let field = |name: &str, label: &str, value: &str, kind: &str| {
        html! { div { label for=(format!("f-{name}")) { (label) } input id=(format!("f-{name}")) type=(kind) name=(name) value=(value) maxlength="200"; } }
    };
    html! {
        form.filters method="get" action="/findings" aria-label="Filter findings" {
            (field("text", "Words", &wanted.text, "search"))
            div { label for="f-action" { "Action" }
                select #f-action name="action" { (word::option("", "any", &wanted.action)) @for taken in Taken::ALL { (word::option(taken.as_str(), word::done(taken), &wanted.action)) } } }
            div { label for="f-severity" { "At least" }
                select #f-severity name="severity" { (word::option("", "any severity", &wanted.severity)) @for severity in word::SEVERITIES { (word::option(severity.as_str(), severity.as_str(), &wanted.severity)) } } }
            (field("cluster", "Cluster", &wanted.cluster, "text"))
            (field("node", "Node", &wanted.node, "text"))
            (field("user", "User", &wanted.user, "text"))
            (field("from", "From (UTC)", &wanted.from, "datetime-local"))
            (field("to", "Before (UTC)", &wanted.to, "datetime-local"))
            div { label for="f-order" { "Order" }
                select #f-order name="order" { (word::option("", "newest first", &wanted.order)) (word::option("oldest", "oldest first", &wanted.order)) } }
            @if !wanted.incident.is_empty() { (field("incident", "Incident", &wanted.incident, "text")) }
            div.go { button { "Filter" } a href="/findings" { "Clear" } }
        }
    }
}

/// Findings in rows.
pub(super) fn table(rows: &[FindingRow], now: Timestamp) -> Markup {
    if rows.is_empty() {
        return html! { p.empty { "No finding here fits." } };
    }
    let heads = [
        "Finding",
        "Action",
        "Severity",
        "User",
        "Pod",
        "Node",
        "Cluster",
        "Incident",
        "Last seen",
    ];
    let body = html! {
        @for row in rows {
            tr {
                th scope="row" { a href=(format!("/findings/{}", row.id)) { (text::brief(&row.title)) } @if row.count > 1 { " " span.muted { "seen " (row.count) " times" } } @if row.archived == 1 { " " span.muted { "archived" } } }
                td data-label="Action" { (word::action(&row.action)) }
                td data-label="Severity" { (word::rank(row.severity)) }
                td data-label="User" { (text::or_none(&row.hub_user)) }
                td data-label="Pod" { (text::or_none(&row.pod)) }
                td data-label="Node" { (text::or_none(&row.node)) }
                td data-label="Cluster" { (text::or_none(&row.cluster)) }
                td data-label="Incident" { @match row.incident { Some(no) => a href=(format!("/incidents/{no}")) { "#" (no) }, None => span.muted { "none" } } }
                td data-label="Last seen" { (time::ago(row.at, now)) }
            }
        }
    };
    frame::table("Findings", &heads, body)
}
