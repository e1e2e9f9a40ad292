//! One finding: all that is known of it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use davylamp_ledger::Entry;
use davylamp_ledger::query::{At, FindingFilter, FindingView, PAGE_ROWS};
use davylamp_ledger::record::{FindingRecord, Record};
use maud::{Markup, html};

use crate::access::{Refused, Viewer};
use crate::page::frame::{self, Room};
use crate::page::{entry, number, text, time, word};
use crate::site::Site;

pub(in crate::page) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let id = number(&id)?;
    let Some(view) = site.ledger().finding(id).await? else {
        return of_entry(&site, &viewer, id).await;
    };
    if !viewer.scope.holds(&view.row.cluster) {
        return Err(Refused::Absent);
    }
    let title = format!("Finding {id}");
    let body = body(&view, site.now());
    Ok(frame::page(&viewer, Room::Findings, &title, body).into_response())
}

/// An entry may hold a later state of a finding, whose number is that of its first one.
async fn of_entry(site: &Site, viewer: &Viewer, seq: i64) -> Result<Response, Refused> {
    let before = seq.checked_sub(1).ok_or(Refused::Absent)?;
    let entries = site.ledger().entries_since(before, 1).await?;
    let found = entries.first().filter(|entry| entry.seq == seq);
    let gone = found.filter(|entry| entry.kind == "finding" && entry.body.is_none());
    // Of which cluster it was is gone as well.
    if let Some(entry) = gone.filter(|_| viewer.scope.is_all()) {
        return Ok(removed(viewer, entry, site.now()));
    }
    let Some(Record::Finding(record)) = found.and_then(entry::record) else {
        return Err(Refused::Absent);
    };
    if !viewer.scope.holds(&record.place()) {
        return Err(Refused::Absent);
    }
    let filter = FindingFilter {
        key: record.keys.first().cloned(),
        cluster: Some(record.place()),
        from: Some(time::of(record.to_us)),
        oldest_first: true,
        ..FindingFilter::default()
    };
    let page = site
        .ledger()
        .findings(&filter, &At::first(PAGE_ROWS))
        .await?;
    let row = page
        .items
        .iter()
        .find(|row| row.reference == record.reference);
    let row = row.ok_or(Refused::Absent)?;
    Ok(Redirect::to(&format!("/findings/{}", row.id)).into_response())
}

/// What is left of a finding that retention has removed.
fn removed(viewer: &Viewer, entry: &Entry, now: jiff::Timestamp) -> Response {
    let body = html! {
        h1 { "Finding " (entry.seq) " was removed" }
        p.lead { "Its time was over: retention has removed what it said. That there was one, and the digest of it, stay in the ledger." }
        section.card {
            dl {
                dt { "Written" } dd { (time::both(entry.at_us, now)) }
                dt { "SHA-256 of what it said" } dd { code.hash { (entry.body_hash) } }
                dt { "Hash in the ledger" } dd { code.hash { (entry.hash) } }
            }
            p { a href=(format!("/ledger?before={}", entry.seq + 1)) { "Its place in the ledger" } }
        }
    };
    let title = format!("Finding {} was removed", entry.seq);
    let page = frame::page(viewer, Room::Findings, &title, body);
    (StatusCode::GONE, page).into_response()
}

fn body(view: &FindingView, now: jiff::Timestamp) -> Markup {
    let row = &view.row;
    html! {
        p.crumbs { a href="/findings" { "Findings" } " / " (row.id) }
        h1 { (text::shown(&row.title)) }
        p.line { (word::action(&row.action)) " " (word::rank(row.severity)) " " span { span.muted { "seen " } (word::count(row.count, "time", "times")) span.muted { ", last " } (time::both(row.at, now)) } }
        div.columns {
            section.card {
                h2 { "What and where" }
                dl {
                    dt { "Incident" } dd { @match row.incident { Some(no) => a href=(format!("/incidents/{no}")) { "#" (no) }, None => span.muted { "belongs to none" } } }
                    dt { "Type" } dd { (text::whole(&row.type_name)) }
                    dt { "Behaviour" } dd { (text::shown(&row.behaviour)) }
                    dt { "User" } dd { (text::or_none(&row.hub_user)) }
                    dt { "Pod" } dd { (text::or_none(&row.pod)) }
                    dt { "Node" } dd { (text::or_none(&row.node)) }
                    dt { "Cluster" } dd { (text::or_none(&row.cluster)) }
                    dt { "First seen" } dd { (time::both(row.first_at, now)) }
                    dt { "Last seen" } dd { (time::both(row.at, now)) }
                    dt { "Archived by its source" } dd { @if row.archived == 1 { "yes" } @else { "no" } }
                    dt { "Entries" } dd { "first " (row.id) ", latest " (row.latest) }
                }
            }
            @match &view.record {
                Some(record) => (known(record)),
                None => section.card { h2 { "Removed" } p { "Retention has removed what this finding said in full. What stands beside is what lists keep; the digest of the rest is in the ledger, entry " (row.latest) "." } },
            }
        }
        @if let Some(record) = &view.record { (rest(record)) }
    }
}

fn known(record: &FindingRecord) -> Markup {
    let finding = &record.finding;
    html! {
        section.card {
            h2 { "Observed" }
            @if finding.observed.is_empty() { p.muted { "Its source said nothing more." } }
            dl { @for seen in &finding.observed { dt { (text::brief(&seen.what)) } dd { (text::whole(&seen.value)) } } }
        }
    }
}

fn rest(record: &FindingRecord) -> Markup {
    let finding = &record.finding;
    html! {
        section.card {
            h2 { "Resources" }
            @if finding.resources.is_empty() { p.muted { "It names none." } }
            ul { @for resource in &finding.resources { li { span.muted { (resource.kind()) } " " (text::whole(&resource.key())) } } }
            dl {
                dt { "Account and region" } dd { @match &finding.place { Some(place) => { (text::brief(place.account.as_str())) ", " (text::brief(place.region.as_str())) }, None => span.muted { "unknown" } } }
                dt { "Source's id" } dd { (text::whole(finding.id.as_str())) }
                dt { "Reported by" } dd { (text::or_none(&record.reporter.agent)) }
            }
        }
        section.card {
            h2 { "Gaps" }
            @if finding.gaps.is_empty() { p.muted { "Nothing was missing from what its source said." } }
            ul.gaps { @for gap in &finding.gaps { li { (text::shown(gap)) } } }
        }
        section.card {
            h2 { "As it came" }
            @match &record.line { Some(line) => (text::lines(&pretty(line))), None => p.muted { "The line was not kept." } }
        }
    }
}

/// JSON with a member a line; anything else as it is.
fn pretty(line: &str) -> String {
    let value: Result<serde_json::Value, _> = serde_json::from_str(line);
    value
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| line.to_owned())
}
