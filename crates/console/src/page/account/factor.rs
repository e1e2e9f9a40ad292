//! One's own second factor: set up, proved by a code, and taken away with one.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use qrcodegen::{QrCode, QrCodeEcc};
use serde::Deserialize;

use super::{known_by_password, note_own, own, patient, renewed, renewed_to, wrong};
use crate::access::factor::{self, Shown};
use crate::access::{Refused, Signed, Viewer};
use crate::page::frame::{self, Room, csrf};
use crate::serve::From;
use crate::site::Site;
use crate::store::Person;

/// The border that readers need around a code, in its own small squares: ISO/IEC 18004.
const QUIET: i32 = 4;

pub(super) fn card(viewer: &Viewer, person: &Person, left: i64) -> Markup {
    html! {
        section.card #factor {
            h2 { "Second factor" }
            @if person.second_factor.is_some() {
                p { "You have one. Of your recovery codes, " strong { (left) } " are left." }
                form.stack method="post" action="/account/factor/codes" {
                    (csrf(viewer))
                    label for="c-code" { "Code of your authenticator, or a recovery code" }
                    input #c-code name="code" autocomplete="one-time-code" maxlength="24" required;
                    button { "Make other recovery codes" }
                    button formaction="/account/factor/remove" { "Take the second factor away" }
                }
            } @else {
                p.muted { "You have none: whoever knows your password is you. An authenticator on your telephone is enough." }
                form.stack method="post" action="/account/factor" {
                    (csrf(viewer))
                    @if person.password.is_some() { label for="f-password" { "Password" } input #f-password type="password" name="password" autocomplete="current-password" required; }
                    button { "Set it up" }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(in crate::page) struct Begin {
    #[serde(default)]
    password: String,
}

/// Makes a secret, which counts for nothing yet.
pub(in crate::page) async fn begin(
    State(site): State<Site>,
    from: From,
    Signed { viewer, form }: Signed<Begin>,
) -> Result<Redirect, Refused> {
    let person = without(&site, &viewer).await?;
    known_by_password(&site, &viewer, &person, from, form.password).await?;
    let secret = factor::new_secret()?;
    site.store().offer_factor(&viewer.session, &secret).await?;
    Ok(Redirect::to("/account/factor"))
}

/// Somebody who has no second factor.
async fn without(site: &Site, viewer: &Viewer) -> Result<Person, Refused> {
    let person = own(site, viewer).await?;
    match person.second_factor {
        None => Ok(person),
        Some(_) => Err(Refused::Wrong(
            "You have a second factor. Take it away before you set up another.".to_owned(),
        )),
    }
}

pub(in crate::page) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
) -> Result<Response, Refused> {
    let offered = site.store().offered_factor(&viewer.session).await?;
    let Some(secret) = offered else {
        return Ok(Redirect::to("/account#factor").into_response());
    };
    let address = factor::address(&viewer.name, &secret)?;
    let body = html! {
        p.crumbs { a href="/account" { "Account" } " / Second factor" }
        h1 { "Set up a second factor" }
        div.columns {
            section.card {
                h2 { "1. Give it to your authenticator" }
                @match QrCode::encode_text(&address, QrCodeEcc::Medium) {
                    Ok(code) => (picture(&code)),
                    Err(_) => p.unknown { "It is too long for a picture: type it in." },
                }
                p { "Or type it in: " code.secret { (factor::grouped(&secret)) } }
                details { summary { "As an address" } p { code.secret { (address) } } }
            }
            section.card {
                h2 { "2. Show that it has it" }
                form.stack method="post" action="/account/factor/confirm" {
                    (csrf(&viewer))
                    label for="code" { "The six digits that it shows" }
                    input #code name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="8" required;
                    button.primary { "Turn it on" }
                }
                p.muted { "It holds from then on. You get recovery codes, for the day you lose the telephone." }
            }
        }
    };
    Ok(frame::page(&viewer, Room::Account, "Second factor", body).into_response())
}

/// A code as a picture of one path, which needs neither a style nor another request.
fn picture(code: &QrCode) -> Markup {
    let size = code.size();
    let squares = (0..size).flat_map(|y| (0..size).map(move |x| (x, y)));
    let path: String = squares
        .filter(|(x, y)| code.get_module(*x, *y))
        .map(|(x, y)| format!("M{x} {y}h1v1h-1z"))
        .collect();
    let (from, whole) = (-QUIET, size + 2 * QUIET);
    let view = format!("{from} {from} {whole} {whole}");
    html! {
        svg.qr viewBox=(view) role="img" aria-label="The address as a QR code" shape-rendering="crispEdges" {
            rect x=(from) y=(from) width=(whole) height=(whole) fill="#fff" {}
            path d=(path) fill="#000" {}
        }
    }
}

#[derive(Deserialize)]
pub(in crate::page) struct Code {
    code: String,
}

pub(in crate::page) async fn confirm(
    State(site): State<Site>,
    from: From,
    Signed { viewer, form }: Signed<Code>,
) -> Result<Response, Refused> {
    let person = without(&site, &viewer).await?;
    patient(&site, &viewer, from)?;
    let offered = site.store().offered_factor(&viewer.session).await?;
    let Some(secret) = offered else {
        return Err(Refused::Wrong(
            "There is no second factor to turn on: set it up first.".to_owned(),
        ));
    };
    let Some(step) = factor::step_of(&site, &secret, &form.code)? else {
        let text = "The code is another one. Go back and type the one that is shown now; if it stays wrong, the clock of one of the two is.";
        return Err(wrong(&site, &viewer, from, text));
    };
    let codes = factor::new_codes()?;
    let (store, session) = (site.store(), &viewer.session);
    if !store
        .set_factor(&person.name, session, &secret, step, &codes)
        .await?
    {
        return Err(Refused::Wrong(
            "You have a second factor already.".to_owned(),
        ));
    }
    note_own(&site, &person.name, "second-factor", "set").await?;
    let (keep, viewer) = renewed(&site, viewer).await?;
    Ok((
        keep,
        once(&viewer, "The second factor holds from now on", &codes),
    )
        .into_response())
}

/// Recovery codes, shown now and never again.
fn once(viewer: &Viewer, title: &str, codes: &[String]) -> Markup {
    let body = html! {
        p.crumbs { a href="/account" { "Account" } " / Recovery codes" }
        h1 { (title) }
        section.flash.once role="status" {
            h2 { "Recovery codes" }
            p { "Each lets you in once, where the authenticator does not. They are shown now and never again: print them, or keep them where you keep your passwords." }
            ul.plain { @for code in codes { li { code { (factor::grouped(code)) } } } }
        }
        p { a.button href="/account" { "I have them" } }
    };
    frame::page(viewer, Room::Account, "Recovery codes", body)
}

/// Somebody who has just shown their second factor.
async fn with(site: &Site, viewer: &Viewer, from: From, code: &str) -> Result<Person, Refused> {
    let person = own(site, viewer).await?;
    if person.second_factor.is_none() {
        return Err(Refused::Wrong("You have no second factor.".to_owned()));
    }
    patient(site, viewer, from)?;
    match factor::shown(site, &person, code).await? {
        Some(Shown::Recovery) => {
            note_own(site, &person.name, "recovery-code", "used").await?;
            Ok(person)
        }
        Some(_) => Ok(person),
        None => {
            let text = "The code is wrong, or was used. Nothing was changed.";
            Err(wrong(site, viewer, from, text))
        }
    }
}

pub(in crate::page) async fn codes(
    State(site): State<Site>,
    from: From,
    Signed { viewer, form }: Signed<Code>,
) -> Result<Response, Refused> {
    let person = with(&site, &viewer, from, &form.code).await?;
    let codes = factor::new_codes()?;
    site.store().set_codes(&person.name, &codes).await?;
    note_own(&site, &person.name, "recovery-codes", "made").await?;
    Ok(once(&viewer, "The codes you had hold no more", &codes).into_response())
}

pub(in crate::page) async fn remove(
    State(site): State<Site>,
    from: From,
    Signed { viewer, form }: Signed<Code>,
) -> Result<Response, Refused> {
    let person = with(&site, &viewer, from, &form.code).await?;
    site.store().remove_factor(&person.name).await?;
    note_own(&site, &person.name, "second-factor", "removed").await?;
    renewed_to(&site, viewer, "/account?done=factor").await
}
