//! One piece of evidence: where it lies, its digest, who held it and who has read of it.
//!
//! What must stay true: nobody is shown this page before the ledger has that they were, once an hour for
//! each person.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use davylamp_ledger::query::At;
use davylamp_ledger::record::{Access, Evidence, IncidentNo, Record};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::{STORY_PAGES, parts};
use crate::access::{Refused, Viewer};
use crate::page::frame::{self, Room};
use crate::page::sight::{self, Sight};
use crate::page::{entry, list, number, text, time};
use crate::site::Site;

/// Reading it again within this time is the same reading.
const ONE_READING: SignedDuration = SignedDuration::from_hours(1);
const PURPOSE: &str = "opened its page";

/// What the ledger has of it, the oldest first.
#[derive(Default)]
struct Chain {
    kept: Vec<(i64, Evidence)>,
    readings: Vec<(i64, Access)>,
    is_cut: bool,
}

pub(in crate::page) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Path((no, id)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let (no, id) = (number(&no)?, number(&id)?);
    let (view, sight) = sight::incident(&site, &viewer, no).await?;
    // Whoever sees part of an incident sees none of its evidence: it names what the rest is of.
    if sight != Sight::Whole {
        return Err(Refused::Absent);
    }
    if view.row.id != no {
        let to = format!("/incidents/{}/evidence/{id}", view.row.id);
        return Ok(Redirect::to(&to).into_response());
    }
    let row = site.ledger().evidence_by_id(id).await?;
    let row = row.filter(|row| row.incident == Some(no));
    let row = row.ok_or(Refused::Absent)?;
    // The row's location may be cut; the record has it whole.
    let first = site.ledger().entry(id).await?;
    let first = first.as_ref().and_then(entry::record);
    let Some(Record::Evidence(first)) = first else {
        return Err(Refused::Absent);
    };
    let incident = IncidentNo(no);
    let mut chain = chain(&site, incident, &first.location).await?;
    let now = site.now();
    if !has_read(&chain, &viewer, now) {
        let access = Access {
            incident: Some(incident),
            location: first.location.clone(),
            purpose: PURPOSE.to_owned(),
            by: viewer.name.clone(),
        };
        let record = Record::Access(access.clone());
        site.ledger().record(record, now).await?;
        site.live().wake();
        chain.readings.push((now.as_microsecond(), access));
    }
    let body = html! {
        p.crumbs { a href="/incidents" { "Incidents" } " / " a href=(format!("/incidents/{no}#evidence")) { "#" (no) } " / Evidence" }
        h1 { (text::shown(&row.what)) }
        section.card {
            dl {
                dt { "Where" } dd { (text::whole(&first.location)) }
                dt { "SHA-256" } dd { (parts::digest(&row)) }
                dt { "Size" } dd { (parts::size(&row)) }
            }
        }
        section.card #custody {
            h2 { "Custody" }
            @if chain.is_cut { p.unknown { "The incident has more entries than were looked through: what is here is not all." } }
            (custody(&chain.kept, now))
        }
        section.card #readings {
            h2 { "Who has read this" }
            p.muted { "Opening this page is a reading, and is written down." }
            (readings(&chain.readings, now))
        }
    };
    let title = format!("Evidence of #{no}");
    Ok(frame::page(&viewer, Room::Incidents, &title, body).into_response())
}

async fn chain(site: &Site, incident: IncidentNo, location: &str) -> Result<Chain, Refused> {
    let ledger = site.ledger();
    let timeline = |at: At| async move { ledger.timeline(incident, &at).await };
    let (entries, is_cut) = list::all(STORY_PAGES, timeline).await?;
    let mut chain = Chain {
        is_cut,
        ..Chain::default()
    };
    for each in entries {
        if !matches!(each.kind.as_str(), "evidence" | "access") {
            continue;
        }
        match entry::record(&each) {
            Some(Record::Evidence(kept)) if kept.location == location => {
                chain.kept.push((each.at_us, kept));
            }
            Some(Record::Access(access)) if access.location == location => {
                chain.readings.push((each.at_us, access));
            }
            _ => {}
        }
    }
    Ok(chain)
}

fn has_read(chain: &Chain, viewer: &Viewer, now: Timestamp) -> bool {
    let since = now.saturating_sub(ONE_READING).unwrap_or(now);
    let is_theirs =
        |(at, access): &(i64, Access)| access.by == viewer.name && *at >= since.as_microsecond();
    chain.readings.iter().any(is_theirs)
}

fn custody(kept: &[(i64, Evidence)], now: Timestamp) -> Markup {
    let heads = ["When", "By", "Custody", "SHA-256"];
    let body = html! {
        @for (at, each) in kept {
            tr {
                th scope="row" { (time::both(*at, now)) }
                td data-label="By" { (text::brief(&each.by)) }
                td data-label="Custody" { (text::prose(&each.custody)) }
                td data-label="SHA-256" { @match &each.sha256 { Some(digest) => code.hash { (text::plain(digest)) }, None => span.warn { "none" } } }
            }
        }
    };
    frame::table("Custody", &heads, body)
}

fn readings(readings: &[(i64, Access)], now: Timestamp) -> Markup {
    let heads = ["When", "Who", "Why"];
    let body = html! {
        @for (at, access) in readings.iter().rev() {
            tr {
                th scope="row" { (time::both(*at, now)) }
                td data-label="Who" { (text::brief(&access.by)) }
                td data-label="Why" { (text::prose(&access.purpose)) }
            }
        }
    };
    frame::table("Readings", &heads, body)
}
