//! Who makes a request, and that a form is of their session.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::header::{HOST, ORIGIN, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use super::cookie::Cookie;
use super::{Role, Scope};
use crate::page;
use crate::site::Site;
use crate::store::{Session, Way};

/// Where people see to their own password, second factor and sessions.
const ACCOUNT: &str = "/account";
/// What is the same for everybody.
const ASSETS: &str = "/assets/";
/// Where somebody may go who has to set up a second factor first.
const BEFORE_FACTOR: [&str; 4] = [
    ACCOUNT,
    "/account/factor",
    "/account/factor/confirm",
    "/sign-out",
];

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Viewer {
    pub name: String,
    pub role: Role,
    pub scope: Scope,
    /// What every form carries in its field `csrf`.
    pub csrf: String,
    /// Their session's number.
    pub session: String,
}

impl Viewer {
    fn of(session: &Session) -> Self {
        Self {
            name: session.person.name.clone(),
            role: session.person.role,
            scope: session.person.scope.clone(),
            csrf: session.csrf.clone(),
            session: session.id.clone(),
        }
    }

    /// Whether they may do what this role may.
    pub(crate) fn may(&self, role: Role) -> bool {
        self.role >= role
    }

    /// Goes on if they may.
    pub(crate) fn must(&self, role: Role) -> Result<(), Refused> {
        match self.may(role) {
            true => Ok(()),
            false => Err(Refused::NotAllowed { needs: role }),
        }
    }
}

/// Why a request is not answered.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Nobody is signed in: where to come back to.
    SignIn { back: String },
    /// They have to set up a second factor first.
    Factor,
    /// They have tried too often: how long to wait.
    Slow(Duration),
    /// They may not.
    NotAllowed { needs: Role },
    /// The form is not of this session, or not of our pages.
    Forged,
    /// The form cannot be read.
    Form,
    /// There is no such thing.
    Absent,
    /// What was asked for makes no sense, and why.
    Wrong(String),
    /// It is our fault.
    Trouble(String),
}

impl From<davylamp_ledger::LedgerError> for Refused {
    fn from(error: davylamp_ledger::LedgerError) -> Self {
        match error {
            davylamp_ledger::LedgerError::Cursor => {
                Self::Wrong("this address names a page of another list".to_owned())
            }
            error => Self::Trouble(chain(&error)),
        }
    }
}

impl From<crate::store::StoreError> for Refused {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Trouble(chain(&error))
    }
}

impl From<crate::notices::Trouble> for Refused {
    fn from(error: crate::notices::Trouble) -> Self {
        Self::Trouble(chain(&error))
    }
}

/// An error with what caused it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            Self::SignIn { back } => {
                let back = utf8_percent_encode(&back, NON_ALPHANUMERIC);
                return Redirect::to(&format!("/sign-in?back={back}")).into_response();
            }
            Self::Factor => {
                return Redirect::to(&format!("{ACCOUNT}?needed=1#factor")).into_response();
            }
            Self::Slow(wait) => {
                let secs = wait.as_secs() + 1;
                let text = format!("Too many attempts. Try again in {secs} seconds.");
                let page = page::message("Not yet", &text);
                let later = [(RETRY_AFTER, secs.to_string())];
                return (StatusCode::TOO_MANY_REQUESTS, later, page).into_response();
            }
            Self::NotAllowed { needs } => (
                StatusCode::FORBIDDEN,
                "You may not do this",
                format!("It needs the role {}. Somebody with the role admin can give it to you.", needs.as_str()),
            ),
            Self::Forged => (
                StatusCode::FORBIDDEN,
                "Nothing was changed",
                "The form was not of this session. Go back, load the page again, and send it once more.".to_owned(),
            ),
            Self::Form => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "Nothing was changed",
                "The form cannot be read. Go back, load the page again, and send it once more.".to_owned(),
            ),
            Self::Absent => (
                StatusCode::NOT_FOUND,
                "There is nothing here",
                "It was never there, is not yours to see, or its time was over.".to_owned(),
            ),
            Self::Wrong(why) => (StatusCode::BAD_REQUEST, "This cannot be answered", why),
            Self::Trouble(why) => {
                tracing::error!(error = why, "a request could not be answered");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "Something is wrong here",
                    "The console's log says what. Nothing that was sent is lost: try again.".to_owned(),
                )
            }
        };
        (status, page::message(title, &text)).into_response()
    }
}

/// The session that a request came with.
#[derive(Debug, Clone)]
struct Known(Session);

/// Finds the session of a request, once, and has the browser keep its next key when it is time.
pub(crate) async fn sessions(
    State(site): State<Site>,
    mut request: Request,
    next: Next,
) -> Response {
    if request.uri().path().starts_with(ASSETS) {
        return next.run(request).await;
    }
    let found = match Cookie::Session.given(&site, request.headers()) {
        Some(key) => site.store().session(key, site.now()).await,
        None => Ok(None),
    };
    let session = match found {
        Ok(session) => session,
        Err(error) => return Refused::from(error).into_response(),
    };
    let key = session.as_ref().and_then(|session| session.key.clone());
    if let Some(session) = session {
        request.extensions_mut().insert(Known(session));
    }
    let mut response = next.run(request).await;
    if let Some(key) = key {
        let (name, value) = Cookie::Session.keep(&site, &key);
        // A page that has given another key, or ended the session, has the last word.
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

impl FromRequestParts<Site> for Viewer {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Refused> {
        let Some(Known(session)) = parts.extensions.get::<Known>() else {
            let back = match parts.method == Method::GET {
                true => parts.uri.path_and_query().map_or("/", |path| path.as_str()),
                false => "/",
            };
            return Err(Refused::SignIn {
                back: back.to_owned(),
            });
        };
        crate::observe::is_by(&session.person.name);
        let lacks_factor = site.config().require_second_factor
            && session.way == Way::Password
            && session.person.second_factor.is_none();
        if lacks_factor && !BEFORE_FACTOR.contains(&parts.uri.path()) {
            return Err(Refused::Factor);
        }
        Ok(Self::of(session))
    }
}

/// A form of somebody's session.
#[derive(Debug)]
pub(crate) struct Signed<T> {
    pub viewer: Viewer,
    pub form: T,
}

/// What every form carries.
#[derive(serde::Deserialize)]
struct Carries {
    csrf: String,
}

impl<T: DeserializeOwned> FromRequest<Site> for Signed<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, site: &Site) -> Result<Self, Refused> {
        let (mut parts, body) = request.into_parts();
        let viewer = Viewer::from_request_parts(&mut parts, site).await?;
        if !is_from_here(&parts.headers) {
            return Err(Refused::Forged);
        }
        let request = Request::from_parts(parts, body);
        let text = String::from_request(request, site)
            .await
            .map_err(|_| Refused::Form)?;
        let read = |_| Refused::Form;
        let carries: Carries = read_form(&text).map_err(read)?;
        if !is_same(&carries.csrf, &viewer.csrf) {
            return Err(Refused::Forged);
        }
        let form = read_form(&text).map_err(read)?;
        Ok(Self { viewer, form })
    }
}

fn read_form<T: DeserializeOwned>(text: &str) -> Result<T, serde_urlencoded::de::Error> {
    serde_urlencoded::from_str(text)
}

/// Browsers say where a form comes from; who says nothing is no browser, and has the session's secret.
pub(super) fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name| {
        headers
            .get(name)
            .map(|value: &axum::http::HeaderValue| value.to_str().ok())
    };
    if let Some(site) = text(axum::http::HeaderName::from_static("sec-fetch-site"))
        && !matches!(site, Some("same-origin" | "none"))
    {
        return false;
    }
    match (text(ORIGIN), text(HOST)) {
        (None, _) => true,
        (Some(Some(origin)), Some(Some(host))) => {
            let rest = origin
                .strip_prefix("https://")
                .or(origin.strip_prefix("http://"));
            rest == Some(host)
        }
        _ => false,
    }
}

/// Compares without telling by its time how much is right.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one
            .bytes()
            .zip(other.bytes())
            .fold(0, |differ, (a, b)| differ | (a ^ b))
            == 0
}
