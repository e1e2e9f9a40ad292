//! Who makes a request, and that a form is of their session.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use super::{Role, Scope, cookie};
use crate::page;
use crate::site::Site;

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Viewer {
    pub name: String,
    pub role: Role,
    pub scope: Scope,
    /// What every form carries in its field `csrf`.
    pub csrf: String,
}

impl Viewer {
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

impl FromRequestParts<Site> for Viewer {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Refused> {
        let session = match cookie::given(site, &parts.headers) {
            Some(id) => site.store().session(id, site.now()).await?,
            None => None,
        };
        let Some(session) = session else {
            let back = match parts.method == Method::GET {
                true => parts.uri.path_and_query().map_or("/", |path| path.as_str()),
                false => "/",
            };
            return Err(Refused::SignIn {
                back: back.to_owned(),
            });
        };
        crate::observe::is_by(&session.person.name);
        Ok(Self {
            name: session.person.name,
            role: session.person.role,
            scope: session.person.scope,
            csrf: session.csrf,
        })
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
