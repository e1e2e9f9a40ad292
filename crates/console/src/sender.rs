//! Who sends: the bearer token of a request, and what it may do.

use axum::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

use crate::site::Site;
use crate::store::Sender;

/// May send events: lines of agents, and findings.
pub const EVENTS: &str = "events:write";
/// May say what was planned, done, kept, hunted and audited.
pub const RECORDS: &str = "records:write";
/// May take what people ask of workers.
pub const JOBS: &str = "jobs:take";

/// Every scope that a token can have.
pub const SCOPES: [&str; 3] = [EVENTS, RECORDS, JOBS];

/// Why a request of a machine is not answered.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// No token, or one that does not hold.
    Token,
    /// The token is for something else.
    Scope(&'static str),
    /// It is our fault: the sender keeps what it has.
    Trouble(String),
}

impl Unanswered {
    /// What went wrong with the ledger or what stands beside it.
    pub(crate) fn trouble(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Trouble(crate::access::chain(error))
    }
}

/// An answer to a machine that did not get what it wanted.
pub(crate) fn refusal(status: StatusCode, error: &str, details: Value) -> Response {
    (status, Json(json!({"error": error, "details": details}))).into_response()
}

/// The same, with when to come again.
pub(crate) fn later(mut response: Response, secs: u64) -> Response {
    response.headers_mut().insert(RETRY_AFTER, secs.into());
    response
}

impl IntoResponse for Unanswered {
    fn into_response(self) -> Response {
        match self {
            Self::Token => {
                let mut response = refusal(
                    StatusCode::UNAUTHORIZED,
                    "a bearer token is needed that holds; `davy console token add` makes one",
                    Value::Null,
                );
                let value = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(WWW_AUTHENTICATE, value);
                response
            }
            Self::Scope(needed) => refusal(
                StatusCode::FORBIDDEN,
                "this token is for something else",
                json!({"needs": needed}),
            ),
            Self::Trouble(why) => {
                tracing::error!(error = why, "a request of a machine could not be answered");
                let answer = refusal(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the ledger cannot be read or written; the console's log says why",
                    Value::Null,
                );
                later(answer, 5)
            }
        }
    }
}

/// Who sends, who may do what is asked.
pub(crate) async fn sender(
    site: &Site,
    headers: &HeaderMap,
    scope: &'static str,
) -> Result<Sender, Unanswered> {
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = given.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    });
    let token = token.ok_or(Unanswered::Token)?;
    let known = site.store().sender(token, site.now()).await;
    let sender = known
        .map_err(|error| Unanswered::trouble(&error))?
        .ok_or(Unanswered::Token)?;
    crate::observe::is_by(&sender.name);
    match sender.may(scope) {
        true => Ok(sender),
        false => Err(Unanswered::Scope(scope)),
    }
}
