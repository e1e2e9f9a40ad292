//! The OpenScienceLab portal: its endpoint that keeps a user from logging in again.
//!
//! A request is a JSON object that names the user, three colons and a digest, together in Base64
//! as the body of a POST. The digest is BLAKE2b with a key (RFC 7693), 16 bytes long, over the
//! JSON text, in hexadecimal digits. The key is the text of a secret, whole, as its bytes.
//!
//! What must stay true: the name goes out whole, as it was found, and encoded as JSON, so that it
//! can be nobody else's; and every answer outside 200 to 299 is a failure that is told. The portal
//! cannot be asked whether a user is deauthorised, so its answer is all the proof there is, and
//! saying it twice changes nothing.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blake2::Blake2bMac;
use blake2::digest::Mac;
use blake2::digest::consts::U16;
use davylamp_cloud::aws::session::describe;
use davylamp_model::resource::Place;
use davylamp_plan::action::{Action, PortalSubject};
use davylamp_plan::gate::{ActToken, UndoToken};
use reqwest::{Client, redirect};
use serde_json::{Value, json};

use crate::actuator::{ActError, Acting, Actuator, Checked, Reverted, Verified};
use davylamp_cloud::secrets::Secret;

/// A connection that takes longer than this is not made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// An answer that takes longer than this does not come.
const TIMEOUT: Duration = Duration::from_secs(30);

/// So much of an answer is repeated in an error.
const EXCERPT_CHARS: usize = 200;

/// BLAKE2b takes keys up to this length.
const LONGEST_KEY_BYTES: usize = 64;

/// Between the JSON and its digest.
const SEPARATOR: &str = ":::";

/// Deauthorises users at the portal.
#[derive(Debug)]
pub struct PortalActuator {
    http: Client,
    url: String,
    key: Secret,
}

/// Why the portal cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum PortalSetupError {
    /// The key is none.
    #[error("the portal's key has {bytes} bytes, and has to have 1 to {LONGEST_KEY_BYTES}")]
    Key {
        /// Its length.
        bytes: usize,
    },
    /// The HTTP client cannot be made.
    #[error("no HTTP client can be made for the portal")]
    Client(#[source] reqwest::Error),
}

impl PortalActuator {
    /// Of the endpoint at `url`, whose requests are signed with `key`.
    pub fn new(url: impl Into<String>, key: Secret) -> Result<Self, PortalSetupError> {
        let bytes = key.expose().len();
        if bytes == 0 || bytes > LONGEST_KEY_BYTES {
            return Err(PortalSetupError::Key { bytes });
        }
        // A second installation is no error: every client of the process shares one provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            // A redirected POST arrives as a GET without its body and may well be answered 200.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(PortalSetupError::Client)?;
        Ok(Self {
            http,
            url: url.into(),
            key,
        })
    }

    async fn deauthorise(&self, subject: &PortalSubject) -> Result<(), ActError> {
        if let Some(why) = nameless(subject) {
            return Err(refused(why));
        }
        let body = signed(&payload(subject), self.key.expose().as_bytes())
            .ok_or_else(|| refused("its key cannot be used"))?;
        let reply = self
            .http
            .post(&self.url)
            .body(body)
            .send()
            .await
            .map_err(|error| transient(describe(&error.without_url())))?;
        let status = reply.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(());
        }
        let text = reply.text().await.unwrap_or_default();
        let said = format!("it answered {status}: {}", excerpt(&text));
        match status {
            401 | 403 => Err(ActError::Denied {
                call: "the portal's deauthorize endpoint".to_owned(),
                why: said,
            }),
            408 | 429 | 500.. => Err(transient(said)),
            300..=399 => Err(refused(format!("{said}, a redirect: its address is wrong"))),
            _ => Err(refused(said)),
        }
    }
}

impl Actuator for PortalActuator {
    fn takes(&self, action: &Action) -> bool {
        subject_of(action).is_some()
    }

    fn check<'a>(&'a self, _place: &'a Place, action: &'a Action) -> Acting<'a, Checked> {
        Box::pin(async move {
            let subject = subject_of(action).ok_or_else(|| not_ours(action))?;
            Ok(match nameless(subject) {
                Some(why) => Checked::Impossible {
                    why: why.to_owned(),
                },
                None => Checked::Needed {
                    before: json!({ "portal": "cannot be asked" }),
                },
            })
        })
    }

    fn act<'a>(&'a self, token: ActToken<'a>, _before: &'a Value) -> Acting<'a, ()> {
        Box::pin(async move {
            let action = &token.step().action;
            let subject = subject_of(action).ok_or_else(|| not_ours(action))?;
            self.deauthorise(subject).await
        })
    }

    /// The portal cannot be asked, so a call without an answer is repeated, never believed.
    fn shows(&self, _action: &Action) -> bool {
        false
    }

    fn verify<'a>(
        &'a self,
        _place: &'a Place,
        action: &'a Action,
        _before: &'a Value,
    ) -> Acting<'a, Verified> {
        Box::pin(async move {
            subject_of(action).ok_or_else(|| not_ours(action))?;
            Ok(Verified::Done {
                note: "the portal took the request; it cannot be asked for the effect".to_owned(),
            })
        })
    }

    fn undo<'a>(&'a self, token: UndoToken<'a>, _before: &'a Value) -> Acting<'a, Reverted> {
        Box::pin(async move {
            Err(ActError::Refused {
                call: format!("undoing {}", token.step().action.verb()),
                why: "a person authorises the user again at the portal".to_owned(),
            })
        })
    }
}

fn subject_of(action: &Action) -> Option<&PortalSubject> {
    match action {
        Action::DeauthorisePortalUser { subject } => Some(subject),
        _ => None,
    }
}

fn not_ours(action: &Action) -> ActError {
    ActError::NotConfigured {
        what: format!("{} at the portal", action.verb()),
    }
}

fn refused(why: impl Into<String>) -> ActError {
    ActError::Refused {
        call: "the portal's deauthorize endpoint".to_owned(),
        why: why.into(),
    }
}

fn transient(why: String) -> ActError {
    ActError::Transient {
        service: "the portal".to_owned(),
        why,
    }
}

/// Why nobody is named, if so: what a portal makes of an empty name is anybody's guess.
fn nameless(subject: &PortalSubject) -> Option<&'static str> {
    let name = match subject {
        PortalSubject::Claim(claim) => claim.as_str(),
        PortalSubject::User(user) => user.as_str(),
    };
    name.trim().is_empty().then_some("the name is empty")
}

fn payload(subject: &PortalSubject) -> String {
    match subject {
        PortalSubject::Claim(claim) => json!({ "claimname": claim }),
        PortalSubject::User(user) => json!({ "username": user }),
    }
    .to_string()
}

/// The body that says `payload`; `None` where the key is too long.
fn signed(payload: &str, key: &[u8]) -> Option<String> {
    let mut mac = <Blake2bMac<U16> as Mac>::new_from_slice(key).ok()?;
    mac.update(payload.as_bytes());
    let digest = hex::encode(mac.finalize().into_bytes());
    Some(STANDARD.encode(format!("{payload}{SEPARATOR}{digest}")))
}

/// What it said, short, on one line, without control characters.
fn excerpt(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .take(EXCERPT_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use davylamp_model::ids::HubUser;

    use super::*;

    /// What Python's `hashlib.blake2b(payload, key=…, digest_size=16)` and `base64.b64encode` give.
    #[track_caller]
    fn check(subject: PortalSubject, key: &str, expected: &str) {
        let body = signed(&payload(&subject), key.as_bytes());
        assert_eq!(body.as_deref(), Some(expected), "{subject:?}");
    }

    #[test]
    fn bodies_are_what_python_makes_of_them() {
        check(
            PortalSubject::Claim("claim-alice".to_owned()),
            "secret",
            "eyJjbGFpbW5hbWUiOiJjbGFpbS1hbGljZSJ9Ojo6MGUyYWEwNmYxODQwZjY1MjlkZGQ0MjNjMDhmNDQxNWM=",
        );
        check(
            PortalSubject::User(HubUser::from("alice")),
            "secret",
            "eyJ1c2VybmFtZSI6ImFsaWNlIn06Ojo0ZjBlMzU3YzlkNzExNGE5MzVlNjljNjE0MjdjOTI4ZA==",
        );
        check(
            PortalSubject::Claim("claim-\"x\"\\\nü<b>".to_owned()),
            &"k".repeat(64),
            "eyJjbGFpbW5hbWUiOiJjbGFpbS1cInhcIlxcXG7DvDxiPiJ9Ojo6ZDI0ZGY5M2ViNWI4Nzg0MmIyZjNlNzhkNDNiNWY1MzE=",
        );
    }

    #[test]
    fn a_key_that_is_none_is_found_at_once() {
        for (key, bytes) in [(String::new(), 0), ("k".repeat(65), 65)] {
            let made = PortalActuator::new("http://127.0.0.1:1", Secret::new(key));
            assert!(matches!(made, Err(PortalSetupError::Key { bytes: said }) if said == bytes));
        }
    }
}
