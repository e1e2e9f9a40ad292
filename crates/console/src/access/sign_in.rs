//! Signing in and out.

use std::net::IpAddr;
use std::time::Instant;

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::header::USER_AGENT;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::cookie::Cookie;
use super::factor::{Shown, shown};
use super::oidc;
use super::password::is_right;
use super::viewer::{Refused, Signed, is_from_here};
use crate::observe::SIGN_INS;
use crate::page;
use crate::serve::From;
use crate::site::Site;
use crate::store::{Opened, Way};

pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .route("/sign-in", get(show).post(by_password))
        .route("/sign-in/link", get(show_link).post(by_link))
        .route("/sign-in/provider", get(oidc::go))
        .route("/sign-in/provider/back", get(oidc::back))
        .route("/sign-out", post(out))
}

#[derive(Debug, Default, Deserialize)]
struct Back {
    #[serde(default)]
    back: String,
}

async fn show(State(site): State<Site>, Query(Back { back }): Query<Back>) -> Response {
    page::sign_in(&site, &local(&back), None).into_response()
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
        return Ok((status, page::sign_in(&site, &back, Some(&text))).into_response());
    }
    let person = site.store().person(&form.name).await?;
    // Whom a provider vouches for has no second way in that the provider does not know of.
    let is_provided = site.store().provider_of(&form.name).await?.is_some();
    let known = person.filter(|person| !person.disabled && !is_provided);
    let digest = known.as_ref().and_then(|person| person.password.clone());
    let is_right = is_right(form.password, digest).await;
    let shown = match &known {
        Some(person) if is_right => shown(&site, person, &form.code).await?,
        _ => None,
    };
    let (Some(person), Some(shown)) = (known, shown) else {
        return Ok(failed(&site, &form.name, from, &back));
    };
    site.attempts().passed(&form.name, from);
    if shown == Shown::Recovery {
        page::note_own(&site, &person.name, "recovery-code", "used").await?;
    }
    begin(&site, &person.name, Way::Password, from, &headers, &back).await
}

fn failed(site: &Site, name: &str, from: IpAddr, back: &str) -> Response {
    site.attempts().failed(name, from, Instant::now());
    site.observe()
        .meters
        .count(&SIGN_INS, &["password", "failed"], 1);
    tracing::warn!(%from, "somebody could not sign in");
    let text = "Name, password or code are wrong.";
    let status = axum::http::StatusCode::UNAUTHORIZED;
    (status, page::sign_in(site, back, Some(text))).into_response()
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
        Some(person) => begin(&site, &person.name, Way::Link, from, &headers, "/").await,
        None => {
            site.observe()
                .meters
                .count(&SIGN_INS, &["link", "failed"], 1);
            tracing::warn!(%from, "a sign-in link was used that does not hold");
            let text =
                "This link was used, or its time is over. `davy console link` makes another.";
            let status = axum::http::StatusCode::UNAUTHORIZED;
            Ok((status, page::sign_in(&site, "/", Some(text))).into_response())
        }
    }
}

/// Begins a session, and sends the browser on.
pub(super) async fn begin(
    site: &Site,
    name: &str,
    way: Way,
    from: IpAddr,
    headers: &HeaderMap,
    back: &str,
) -> Result<Response, Refused> {
    // Whatever session the browser had is over: a new one has a new number and a new key.
    if let Some(old) = Cookie::Session.given(site, headers)
        && let Some(old) = site.store().session(old, site.now()).await?
    {
        site.store().end(&old.person.name, &old.id).await?;
    }
    let agent = headers.get(USER_AGENT).map(HeaderValue::as_bytes);
    let opened = Opened {
        name,
        way,
        from: &from.to_string(),
        agent: &String::from_utf8_lossy(agent.unwrap_or_default()),
    };
    let key = site.store().begin(opened, site.now()).await?;
    let meters = &site.observe().meters;
    meters.count(&SIGN_INS, &[way.as_str(), "held"], 1);
    tracing::info!(person = name, way = way.as_str(), "signed in");
    Ok((keep(site, &key), Redirect::to(&local(back))).into_response())
}

/// Has the browser keep a session's key.
pub(crate) fn keep(site: &Site, key: &str) -> [(HeaderName, HeaderValue); 1] {
    [Cookie::Session.keep(site, key)]
}

#[derive(Deserialize)]
struct Out {}

async fn out(State(site): State<Site>, signed: Signed<Out>) -> Result<Response, Refused> {
    let Signed {
        viewer,
        form: Out {},
    } = signed;
    site.store().end(&viewer.name, &viewer.session).await?;
    let forget = [Cookie::Session.forget(&site)];
    Ok((forget, Redirect::to("/sign-in")).into_response())
}

/// A path of this console and nothing else: an address that was brought leads nowhere.
pub(super) fn local(back: &str) -> String {
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
