//! What people see to themselves: their password, their second factor, their sessions.
//!
//! What must stay true: each step that gives or takes a way in asks for what somebody has already (the
//! password, a code), is slowed down like signing in, gives this session another key and ends the others,
//! and is an entry of the ledger, without the secret.

pub(super) mod factor;
pub(super) mod password;
pub(super) mod sessions;

use std::time::Instant;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use davylamp_ledger::Record;
use davylamp_ledger::record::Setting;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::asked::Asked;
use super::frame::{self, Room};
use crate::access::{Refused, Viewer, is_right, keep};
use crate::serve::From;
use crate::site::Site;
use crate::store::Person;

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Wanted {
    done: String,
    needed: String,
}

pub(super) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Markup, Refused> {
    let person = myself(&site, &viewer).await?;
    let provider = site.store().provider_of(&person.name).await?;
    let sittings = site.store().sittings(&person.name, site.now()).await?;
    let left = site.store().codes_left(&person.name).await?;
    let body = html! {
        h1 { "Account" }
        @if let Some(text) = said(&wanted.done) { p.flash role="status" { (text) } }
        @if !wanted.needed.is_empty() { p.notice role="status" { "This console asks for a second factor. Set it up, and go on." } }
        @match provider {
            Some(issuer) => section.card {
                h2 { "How you sign in" }
                p { "By your organisation, " (super::text::shown(&issuer)) ". Your password and second factor are kept there, and what you may do and see follows your groups there." }
            },
            None => div.columns { (password::card(&viewer, &person)) (factor::card(&viewer, &person, left)) },
        }
        (sessions::card(&viewer, &sittings, site.now()))
    };
    Ok(frame::page(&viewer, Room::Account, "Account", body))
}

/// What a form has changed, by its name in the address.
fn said(done: &str) -> Option<&'static str> {
    Some(match done {
        "password" => "The password is changed, and your other sessions have ended.",
        "factor" => "The second factor is taken away, and your other sessions have ended.",
        "ended" => "The session has ended.",
        "others" => "Your other sessions have ended.",
        _ => return None,
    })
}

/// The person who asks, as they are now.
async fn myself(site: &Site, viewer: &Viewer) -> Result<Person, Refused> {
    let person = site.store().person(&viewer.name).await?;
    person.ok_or(Refused::Absent)
}

/// The same, where no provider keeps what lets them in.
async fn own(site: &Site, viewer: &Viewer) -> Result<Person, Refused> {
    if site.store().provider_of(&viewer.name).await?.is_some() {
        let text = "Your organisation keeps your password and second factor.";
        return Err(Refused::Wrong(text.to_owned()));
    }
    myself(site, viewer).await
}

/// Goes on where somebody has not tried too often.
fn patient(site: &Site, viewer: &Viewer, From(from): From) -> Result<(), Refused> {
    match site.attempts().wait(&viewer.name, from, Instant::now()) {
        Some(wait) => Err(Refused::Slow(wait)),
        None => Ok(()),
    }
}

/// Counts a wrong password or code.
fn wrong(site: &Site, viewer: &Viewer, From(from): From, text: &str) -> Refused {
    site.attempts().failed(&viewer.name, from, Instant::now());
    tracing::warn!(%from, person = viewer.name, "could not show who they are");
    Refused::Wrong(text.to_owned())
}

/// Asks for the password, where there is one.
async fn known_by_password(
    site: &Site,
    viewer: &Viewer,
    person: &Person,
    from: From,
    password: String,
) -> Result<(), Refused> {
    patient(site, viewer, from)?;
    let Some(digest) = person.password.clone() else {
        return Ok(());
    };
    match is_right(password, Some(digest)).await {
        true => Ok(()),
        false => Err(wrong(
            site,
            viewer,
            from,
            "Your present password is another one. Nothing was changed.",
        )),
    }
}

/// Ends every other session, and gives this one another key: its header, and the viewer whose forms hold
/// from now on.
async fn renewed(
    site: &Site,
    viewer: Viewer,
) -> Result<
    (
        [(axum::http::HeaderName, axum::http::HeaderValue); 1],
        Viewer,
    ),
    Refused,
> {
    let (store, session) = (site.store(), viewer.session.clone());
    store.end_others(&viewer.name, &session).await?;
    let (key, csrf) = store.renew(&session, site.now()).await?;
    Ok((keep(site, &key), Viewer { csrf, ..viewer }))
}

/// The same, and back to the page.
async fn renewed_to(site: &Site, viewer: Viewer, to: &str) -> Result<Response, Refused> {
    let (keep, _) = renewed(site, viewer).await?;
    Ok((keep, Redirect::to(to)).into_response())
}

/// Writes down what somebody changed of their own; never what it is.
pub(crate) async fn note_own(site: &Site, name: &str, what: &str, to: &str) -> Result<(), Refused> {
    let record = Record::Setting(Setting {
        name: format!("person/{name}/{what}"),
        from: None,
        to: Some(to.into()),
        by: name.to_owned(),
    });
    site.ledger().record(record, site.now()).await?;
    site.live().wake();
    Ok(())
}
