//! Signing in and out.

use std::net::IpAddr;
use std::time::Instant;

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use totp_rs::{Algorithm, Secret, TOTP};

use super::cookie;
use super::password::is_right;
use super::viewer::{Refused, Signed, is_from_here};
use crate::observe::SIGN_INS;
use crate::page;
use crate::serve::From;
use crate::site::Site;
use crate::store::Person;

/// A code counts so many steps of 30 seconds before and behind the present one.
const SKEW_STEPS: i64 = 1;
const STEP_SECS: i64 = 30;

pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .route("/sign-in", get(show).post(by_password))
        .route("/sign-in/link", get(show_link).post(by_link))
        .route("/sign-out", post(out))
}

#[derive(Debug, Default, Deserialize)]
struct Back {
    #[serde(default)]
    back: String,
}

async fn show(Query(Back { back }): Query<Back>) -> Response {
    page::sign_in(&local(&back), None).into_response()
}

#[derive(Deserialize)]
struct ByPassword {
    name: String,
    password: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    back: String,
}

async fn by_password(
    State(site): State<Site>,
    From(from): From,
    headers: HeaderMap,
    Form(form): Form<ByPassword>,
) -> Result<Response, Refused> {
    if !is_from_here(&headers) {
        return Err(Refused::Forged);
    }
    let back = local(&form.back);
    if let Some(wait) = site.attempts().wait(&form.name, from, Instant::now()) {
        let text = format!(
            "Too many attempts. Try again in {} seconds.",
            wait.as_secs() + 1
        );
        let status = axum::http::StatusCode::TOO_MANY_REQUESTS;
        site.observe()
            .meters
            .count(&SIGN_INS, &["password", "slowed"], 1);
        return Ok((status, page::sign_in(&back, Some(&text))).into_response());
    }
    let person = site.store().person(&form.name).await?;
    let known = person.filter(|person| !person.disabled);
    let digest = known.as_ref().and_then(|person| person.password.clone());
    let password = form.password;
    let is_right = tokio::task::spawn_blocking(move || is_right(&password, digest.as_deref()))
        .await
        .unwrap_or(false);
    let person = match (known, is_right) {
        (Some(person), true) if code_counts(&site, &person, &form.code).await? => person,
        _ => return Ok(failed(&site, &form.name, from, &back)),
    };
    site.attempts().passed(&form.name, from);
    site.observe()
        .meters
        .count(&SIGN_INS, &["password", "held"], 1);
    begin(&site, &person, &headers, &back).await
}

fn failed(site: &Site, name: &str, from: IpAddr, back: &str) -> Response {
    site.attempts().failed(name, from, Instant::now());
    site.observe()
        .meters
        .count(&SIGN_INS, &["password", "failed"], 1);
    tracing::warn!(%from, "somebody could not sign in");
    let text = "Name, password or code are wrong.";
    let status = axum::http::StatusCode::UNAUTHORIZED;
    (status, page::sign_in(back, Some(text))).into_response()
}

/// Whether the second factor's code is right, or none is asked for. A code counts once.
async fn code_counts(site: &Site, person: &Person, code: &str) -> Result<bool, Refused> {
    let Some(secret) = &person.second_factor else {
        return Ok(true);
    };
    let bytes = Secret::Encoded(secret.clone())
        .to_bytes()
        .map_err(|_| Refused::Trouble("a second factor cannot be read".to_owned()))?;
    let totp = TOTP::new_unchecked(
        Algorithm::SHA1,
        6,
        0,
        STEP_SECS.unsigned_abs(),
        bytes,
        None,
        String::new(),
    );
    let now = site.now().as_second() / STEP_SECS;
    let code = code.trim();
    for step in now - SKEW_STEPS..=now + SKEW_STEPS {
        if totp.generate((step * STEP_SECS).unsigned_abs()) == code {
            return Ok(site.store().use_factor(&person.name, step).await?);
        }
    }
    Ok(false)
}

#[derive(Deserialize)]
struct ByLink {
    #[serde(default)]
    key: String,
}

/// A page with a button: what looks at links ahead of people must not use them up.
async fn show_link(Query(ByLink { key }): Query<ByLink>) -> Response {
    page::sign_in_by_link(&key).into_response()
}

async fn by_link(
    State(site): State<Site>,
    From(from): From,
    headers: HeaderMap,
    Form(ByLink { key }): Form<ByLink>,
) -> Result<Response, Refused> {
    if !is_from_here(&headers) {
        return Err(Refused::Forged);
    }
    match site.store().use_link(&key, site.now()).await? {
        Some(person) => {
            site.observe().meters.count(&SIGN_INS, &["link", "held"], 1);
            begin(&site, &person, &headers, "/").await
        }
        None => {
            site.observe()
                .meters
                .count(&SIGN_INS, &["link", "failed"], 1);
            tracing::warn!(%from, "a sign-in link was used that does not hold");
            let text =
                "This link was used, or its time is over. `davy console link` makes another.";
            let status = axum::http::StatusCode::UNAUTHORIZED;
            Ok((status, page::sign_in("/", Some(text))).into_response())
        }
    }
}

async fn begin(
    site: &Site,
    person: &Person,
    headers: &HeaderMap,
    back: &str,
) -> Result<Response, Refused> {
    // Whatever session the browser had is over: a new one has a new name.
    if let Some(old) = cookie::given(site, headers) {
        site.store().end(old).await?;
    }
    let id = site.store().begin(&person.name, site.now()).await?;
    tracing::info!(person = person.name, "signed in");
    Ok((cookie::keep(site, &id), Redirect::to(&local(back))).into_response())
}

#[derive(Deserialize)]
struct Out {}

async fn out(
    State(site): State<Site>,
    headers: HeaderMap,
    signed: Signed<Out>,
) -> Result<Response, Refused> {
    let Out {} = signed.form;
    if let Some(id) = cookie::given(&site, &headers) {
        site.store().end(id).await?;
    }
    Ok((cookie::forget(&site), Redirect::to("/sign-in")).into_response())
}

/// A path of this console and nothing else: an address that was brought leads nowhere.
fn local(back: &str) -> String {
    let is_path = back.starts_with('/')
        && !back[1..].starts_with(['/', '\\'])
        && !back.chars().any(|c| c.is_control() || c == '\\')
        && !back.starts_with("/sign-");
    match is_path {
        true => back.to_owned(),
        false => "/".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn only_paths_of_the_console_are_gone_back_to() {
        for (back, to) in [
            ("/incidents/7?tab=plan", "/incidents/7?tab=plan"),
            ("", "/"),
            ("//elsewhere.example", "/"),
            ("/\\elsewhere.example", "/"),
            ("https://elsewhere.example", "/"),
            ("/\t/elsewhere.example", "/"),
            ("javascript:alert(1)", "/"),
            ("/sign-out", "/"),
        ] {
            assert_eq!(local(back), to, "{back}");
        }
    }
}
