//! Signing in by an OpenID provider: authorization code, with PKCE, state and nonce.
//!
//! What must stay true: only the browser that began a sign-in ends it, once, and within minutes; nothing
//! that the provider's keys have not signed says who somebody is; what somebody may do and see follows
//! their groups at each sign-in; a person of the console's own is never taken over.
//!
//! Not here: tokens of the provider beyond the sign-in. None is kept.

mod keys;
mod people;
mod provider;
mod token;

use std::path::PathBuf;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::cookie::Cookie;
use super::sign_in::{begin, local};
use super::viewer::{Refused, chain, is_same};
use crate::observe::SIGN_INS;
use crate::page;
use crate::serve::From;
use crate::site::Site;
use crate::store::Way;
use provider::{Asked, Provider};

pub(crate) use people::Grant;

/// The variable that holds our secret at the provider, where no file does.
pub(crate) const SECRET_VARIABLE: &str = "DAVY_CONSOLE_OIDC_SECRET";

/// Where the provider sends browsers back to.
const BACK: &str = "/sign-in/provider/back";

/// Why nobody can be signed in by a provider.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    File {
        /// It.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The certificates in `console.oidc.ca_file` cannot be used.
    #[error("the certificates in {path} cannot be used")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: reqwest::Error,
    },
    /// No client can be made.
    #[error("no client for the provider can be made")]
    Client(#[source] reqwest::Error),
    /// The provider does not answer.
    #[error("the provider does not answer for its {what}")]
    Silent {
        /// What was asked for.
        what: &'static str,
        /// Why not.
        source: reqwest::Error,
    },
    /// It answers what cannot be used.
    #[error("the provider's {what} cannot be used: {why}")]
    Answer {
        /// What was asked for.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// Its token says nothing that can be believed.
    #[error("the provider's token is not believed")]
    Token(#[from] token::TokenError),
}

/// The provider, and what its groups mean here.
#[derive(Debug)]
pub(crate) struct Oidc {
    provider: Provider,
    name_claim: String,
    groups_claim: String,
    grants: Vec<Grant>,
    label: String,
}

impl Oidc {
    /// As `[console.oidc]` has it; none where it names no issuer.
    pub(crate) fn of(config: &crate::config::Oidc) -> Result<Option<Self>, OidcError> {
        if config.issuer.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            provider: Provider::of(config)?,
            name_claim: config.name_claim.clone(),
            groups_claim: config.groups_claim.clone(),
            grants: config
                .groups
                .iter()
                .filter_map(|text| Grant::of(text))
                .collect(),
            label: config.label.clone(),
        }))
    }

    /// What the button says.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }
}

/// What is derived from the secret that the browser keeps, so that the database has none of it.
fn derived(secret: &str, what: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{what}:{secret}")))
}

#[derive(Debug, Deserialize)]
pub(super) struct Back {
    #[serde(default)]
    back: String,
}

/// Sends a browser to the provider.
pub(super) async fn go(
    State(site): State<Site>,
    Query(Back { back }): Query<Back>,
) -> Result<Response, Refused> {
    let oidc = site.oidc().ok_or(Refused::Absent)?;
    let address = match oidc.provider.authorization().await {
        Ok(address) => address,
        Err(error) => return Ok(unreachable(&site, &error)),
    };
    let secret = site
        .store()
        .begin_crossing(&local(&back), site.now())
        .await?;
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(derived(&secret, "verifier")));
    let to = oidc.provider.question(
        address,
        &[
            ("redirect_uri", &redirect(&site)),
            ("state", &derived(&secret, "state")),
            ("nonce", &derived(&secret, "nonce")),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ],
    );
    let keep = [Cookie::Crossing.keep(&site, &secret)];
    Ok((keep, Redirect::to(to.as_str())).into_response())
}

fn redirect(site: &Site) -> String {
    format!("{}{BACK}", site.url())
}

/// What the provider sends a browser back with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Brought {
    code: String,
    state: String,
    error: String,
    iss: String,
}

/// Takes a browser back from the provider.
pub(super) async fn back(
    State(site): State<Site>,
    From(from): From,
    headers: HeaderMap,
    Query(brought): Query<Brought>,
) -> Result<Response, Refused> {
    let oidc = site.oidc().ok_or(Refused::Absent)?;
    let secret = Cookie::Crossing.given(&site, &headers).unwrap_or_default();
    let crossing = site.store().end_crossing(secret, site.now()).await?;
    let mut response = match crossing {
        Some(back) if is_same(&brought.state, &derived(secret, "state")) => {
            match admitted(&site, oidc, secret, &brought).await? {
                Ok(name) => begin(&site, &name, Way::Provider, from, &headers, &back).await?,
                Err(response) => response,
            }
        }
        _ => {
            tracing::warn!(%from, "a sign-in came back from the provider that was not under way");
            let text = "This sign-in was not begun in this browser, was used, or its time is over. Begin again.";
            refused(&site, StatusCode::UNAUTHORIZED, text)
        }
    };
    let (name, value) = Cookie::Crossing.forget(&site);
    response.headers_mut().append(name, value);
    Ok(response)
}

/// The person who comes back, or why they do not get in.
async fn admitted(
    site: &Site,
    oidc: &Oidc,
    secret: &str,
    brought: &Brought,
) -> Result<Result<String, Response>, Refused> {
    if !brought.error.is_empty() {
        // The word is the provider's, or whoever wrote the address.
        let error = page::plain(&brought.error);
        tracing::info!(error, "the provider let somebody not in");
        let text = match brought.error.as_str() {
            "access_denied" => "The provider says that you may not, or you said no there.",
            _ => "The provider could not sign you in. The console's log has its word for why.",
        };
        return Ok(Err(refused(site, StatusCode::UNAUTHORIZED, text)));
    }
    // RFC 9207: whose answer it is, where the provider says so.
    if !brought.iss.is_empty() && brought.iss != oidc.provider.issuer() {
        tracing::warn!("an answer of another provider came back");
        let text = "This answer is of another provider. Begin again.";
        return Ok(Err(refused(site, StatusCode::UNAUTHORIZED, text)));
    }
    let asked = Asked {
        verifier: derived(secret, "verifier"),
        nonce: derived(secret, "nonce"),
        redirect: redirect(site),
        groups_claim: &oidc.groups_claim,
        now: site.now().as_second(),
    };
    match oidc.provider.claims(&brought.code, &asked).await {
        Ok(claims) => match people::admit(site, oidc, &claims).await? {
            Ok(name) => Ok(Ok(name)),
            Err(text) => Ok(Err(refused(site, StatusCode::FORBIDDEN, text))),
        },
        Err(error @ OidcError::Silent { .. }) => Ok(Err(unreachable(site, &error))),
        Err(error) => {
            tracing::warn!(error = chain(&error), "a provider's answer was refused");
            let text = "The provider's answer cannot be believed. Begin again; the console's log says why.";
            Ok(Err(refused(site, StatusCode::UNAUTHORIZED, text)))
        }
    }
}

fn unreachable(site: &Site, error: &OidcError) -> Response {
    tracing::warn!(
        error = chain(error),
        "nobody can be signed in by the provider"
    );
    let text = "The provider cannot be reached, or answers nothing that can be used. Try again; the console's log says why.";
    refused(site, StatusCode::SERVICE_UNAVAILABLE, text)
}

fn refused(site: &Site, status: StatusCode, text: &str) -> Response {
    let meters = &site.observe().meters;
    meters.count(&SIGN_INS, &["provider", "failed"], 1);
    (status, page::sign_in(site, "/", Some(text))).into_response()
}

/// Whether an address may be asked: by TLS, or on this machine.
pub(crate) fn is_safe(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else {
        return false;
    };
    let is_here = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_asked_by_tls_or_on_this_machine() {
        for (address, expected) in [
            ("https://id.example", true),
            ("http://127.0.0.1:7000/x", true),
            ("http://[::1]:7000", true),
            ("http://localhost", true),
            ("http://id.example", false),
            ("http://127.0.0.1.example", false),
            ("file:///etc/passwd", false),
            ("id.example", false),
        ] {
            assert_eq!(is_safe(address), expected, "{address}");
        }
    }

    #[test]
    fn what_goes_to_the_provider_tells_nothing_of_what_the_browser_keeps() {
        let all = ["state", "nonce", "verifier"].map(|what| derived("secret", what));
        assert!(all[0] != all[1] && all[1] != all[2], "{all:?}");
        // RFC 7636: 43 characters at least.
        assert!(all.iter().all(|text| text.len() == 43), "{all:?}");
    }
}
