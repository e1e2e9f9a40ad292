//! Who is told, through what, and what became of it.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Redirect;
use davylamp_ledger::Record;
use davylamp_ledger::record::Setting;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::access::{Refused, Role, Signed, Viewer};
use crate::config::{Channel, Kind, Notices};
use crate::notices::outbox::{Asked as Wants, Row, State as Stands, Waiting};
use crate::notices::{Trouble, in_words};
use crate::page::asked::{self, Asked};
use crate::page::frame::{self, Room, csrf, table};
use crate::page::incident::told::became;
use crate::page::{list, text, time, word};
use crate::site::Site;

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(in crate::page) struct Wanted {
    #[serde(skip_serializing_if = "String::is_empty")]
    state: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    channel: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    incident: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    at: String,
    #[serde(skip_serializing)]
    done: String,
}

impl Wanted {
    fn wants(&self) -> Result<Wants, Refused> {
        let incident = match self.incident.trim().trim_start_matches('#') {
            "" => None,
            no => {
                let wrong = || Refused::Wrong("An incident has a number.".to_owned());
                Some(no.parse().map_err(|_| wrong())?)
            }
        };
        let after = match self.at.split_once('.') {
            Some((created, id)) => {
                let wrong =
                    || Refused::Wrong("this address names a page of another list".to_owned());
                Some((created.parse().map_err(|_| wrong())?, id.to_owned()))
            }
            None => None,
        };
        Ok(Wants {
            state: asked::named("state", &self.state, Stands::named)?,
            channel: asked::wanted(&self.channel),
            incident,
            after,
            rows: asked::ROWS,
        })
    }

    fn at(&self, cursor: &str) -> String {
        let at = cursor.to_owned();
        asked::address("/settings/notices", &Self { at, ..self.clone() })
    }
}

pub(in crate::page) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Markup, Refused> {
    viewer.must(Role::Admin)?;
    let (now, wants) = (site.now(), wanted.wants()?);
    let outbox = site.notices().outbox();
    let mut rows = outbox.list(&wants).await.map_err(Trouble::from)?;
    let waiting = outbox.waiting().await.map_err(Trouble::from)?;
    let more = rows.len() > wants.rows as usize;
    rows.truncate(wants.rows as usize);
    let last = rows.last().filter(|_| more);
    let next = last.map(|row| wanted.at(&format!("{}.{}", row.created, row.id)));
    let first = (!wanted.at.is_empty()).then(|| wanted.at(""));
    let notices = &site.config().notices;
    let body = html! {
        p.crumbs { a href="/settings" { "Settings" } " / Notices" }
        @match wanted.done.as_str() {
            "test" => { p.flash role="status" { "A test is on its way: load the page again to see what becomes of it." } }
            "again" => { p.flash role="status" { "It is tried again: load the page again to see what becomes of it." } }
            _ => {}
        }
        h1 { "Notices" }
        (channels(&viewer, notices, &waiting))
        (routes(notices))
        section.card #sent {
            h2 { "What was told" }
            (form(&wanted, notices))
            (deliveries(&viewer, &rows, now))
            (list::pager(first.as_deref(), next.as_deref()))
        }
    };
    Ok(frame::page(&viewer, Room::Settings, "Notices", body))
}

fn channels(viewer: &Viewer, notices: &Notices, waiting: &BTreeMap<String, Waiting>) -> Markup {
    let heads = ["Channel", "Kind", "Where to", "An hour", "Waiting", "Test"];
    let body = html! {
        @for channel in &notices.channels {
            @let waits = waiting.get(&channel.name).cloned().unwrap_or_default();
            @let bound = if channel.per_hour > 0 { channel.per_hour } else { notices.per_hour };
            tr {
                th scope="row" { (text::shown(&channel.name)) }
                td data-label="Kind" { (channel.kind.as_str()) }
                td data-label="Where to" { (text::brief(&place(channel))) }
                td data-label="An hour" { (bound) }
                td data-label="Waiting" {
                    (waits.items)
                    @if waits.held > 0 { " " span.warn { (waits.held) " held back, as it takes no more an hour" } }
                }
                td data-label="Test" {
                    form method="post" action="/settings/notices/test" { (csrf(viewer)) input type="hidden" name="channel" value=(channel.name); button aria-label=(format!("Send a test to {}", text::plain(&channel.name))) { "Send a test" } }
                }
            }
        }
    };
    html! {
        section.card #channels {
            h2 { "Channels" }
            @if notices.channels.is_empty() { p.empty { "There is none: nobody is told anything. " code { "[[console.notices.channels]]" } " of davy.toml names them." } }
            @else { (table("Channels", &heads, body)) }
        }
    }
}

/// Where a channel leads: of secrets, where they are kept.
fn place(channel: &Channel) -> String {
    match channel.kind {
        Kind::Smtp => format!("{} through {}", channel.to.join(", "), channel.server),
        Kind::Ses => channel.to.join(", "),
        Kind::Pagerduty => format!("the key in {}", channel.secret),
        Kind::Slack | Kind::Teams | Kind::Webhook => format!("the address in {}", channel.address),
    }
}

fn routes(notices: &Notices) -> Markup {
    html! {
        section.card #routes {
            h2 { "Routes" }
            @if notices.routes.is_empty() { p.empty { "There is none: nobody is told anything. " code { "[[console.notices.routes]]" } " of davy.toml names them." } }
            ol { @for route in &notices.routes { li { (text::prose(&in_words(route))) } } }
            @if !notices.people.is_empty() {
                h3 { "People with addresses of their own" }
                ul {
                    @for person in &notices.people {
                        li {
                            (text::shown(&person.name)) ": "
                            @let kinds = Kind::ALL.into_iter().filter(|kind| person.by(*kind).is_some());
                            (kinds.map(Kind::as_str).collect::<Vec<_>>().join(", "))
                            @if !person.lead.is_empty() { "; their lead is " (text::shown(&person.lead)) }
                        }
                    }
                }
            }
        }
    }
}

fn form(wanted: &Wanted, notices: &Notices) -> Markup {
    html! {
        form.filters method="get" action="/settings/notices" aria-label="Filter what was told" {
            div { label for="state" { "State" }
                select #state name="state" {
                    (word::option("", "any", &wanted.state))
                    @for state in Stands::ALL { (word::option(state.as_str(), state.as_str(), &wanted.state)) }
                } }
            div { label for="channel" { "Channel" }
                select #channel name="channel" {
                    (word::option("", "any", &wanted.channel))
                    @for channel in &notices.channels { (word::option(&channel.name, &text::plain(&channel.name), &wanted.channel)) }
                } }
            div { label for="incident" { "Incident" } input #incident name="incident" value=(wanted.incident) inputmode="numeric" maxlength="20"; }
            div.go { button { "Filter" } a href="/settings/notices" { "Clear" } }
        }
    }
}

fn deliveries(viewer: &Viewer, rows: &[Row], now: Timestamp) -> Markup {
    if rows.is_empty() {
        return html! { p.empty { "No notice here fits." } };
    }
    let heads = [
        "Notice",
        "Channel",
        "State",
        "What became of it",
        "Tries",
        "Made",
        "Again",
    ];
    let body = html! {
        @for row in rows {
            tr {
                th scope="row" {
                    // An incident across clusters may name what is not theirs.
                    @if viewer.scope.is_all() { (text::brief(&row.title)) } @else { "a notice" }
                    @if let Some(no) = row.incident { " " a href=(format!("/incidents/{no}")) { "#" (no) } }
                }
                td data-label="Channel" { (text::brief(&row.channel)) @if !row.person.is_empty() { " to " (text::brief(&row.person)) } }
                td data-label="State" { (state(row)) }
                td data-label="What became of it" { (became(row, now)) @if !row.error.is_empty() { br; span.warn { (text::prose(&row.error)) } } }
                td data-label="Tries" { (row.attempts) }
                td data-label="Made" { (time::ago(row.created, now)) }
                td data-label="Again" {
                    @if row.state == Stands::Failed || (row.state == Stands::Waiting && row.attempts > 0) {
                        form method="post" action="/settings/notices/again" { (csrf(viewer)) input type="hidden" name="id" value=(row.id); button aria-label=(format!("Try again: {}", text::plain(&row.title))) { "Try again" } }
                    }
                }
            }
        }
    };
    table("What was told", &heads, body)
}

fn state(row: &Row) -> Markup {
    let class = match row.state {
        Stands::Sent => "badge state-closed",
        Stands::Waiting | Stands::Sending if row.error.is_empty() => "badge state-between",
        Stands::Waiting | Stands::Sending | Stands::Failed => "badge state-open",
    };
    html! { span class=(class) { (row.state.as_str()) } }
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct TestForm {
    channel: String,
}

pub(in crate::page) async fn test(
    State(site): State<Site>,
    Signed { viewer, form }: Signed<TestForm>,
) -> Result<Redirect, Refused> {
    viewer.must(Role::Admin)?;
    if site.config().notices.channel(&form.channel).is_none() {
        return Err(Refused::Wrong("There is no such channel.".to_owned()));
    }
    note(&site, &viewer, format!("channel/{}/test", form.channel)).await?;
    site.notices().test(&form.channel, &viewer.name).await?;
    Ok(Redirect::to("/settings/notices?done=test#sent"))
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct AgainForm {
    id: String,
}

pub(in crate::page) async fn again(
    State(site): State<Site>,
    Signed { viewer, form }: Signed<AgainForm>,
) -> Result<Redirect, Refused> {
    viewer.must(Role::Admin)?;
    let row = site
        .notices()
        .outbox()
        .one(&form.id)
        .await
        .map_err(Trouble::from)?;
    let is_open = |row: &Row| matches!(row.state, Stands::Failed | Stands::Waiting);
    if !row.as_ref().is_some_and(is_open) {
        let text = "It has gone out meanwhile, or there is no such notice.";
        return Err(Refused::Wrong(text.to_owned()));
    }
    note(&site, &viewer, format!("notice/{}/again", form.id)).await?;
    site.notices().again(&form.id).await?;
    Ok(Redirect::to("/settings/notices?done=again#sent"))
}

/// Writes down who asked for it.
async fn note(site: &Site, viewer: &Viewer, name: String) -> Result<(), Refused> {
    let record = Record::Setting(Setting {
        name,
        from: None,
        to: None,
        by: viewer.name.clone(),
    });
    site.ledger().record(record, site.now()).await?;
    site.live().wake();
    Ok(())
}
