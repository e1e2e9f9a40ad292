//! Who called: the identity of an event.

use std::borrow::Cow;

use super::judge;
use crate::read::json::{Walk, text_of};

/// The members of the identity, by path, and the columns they fill.
pub(super) const IDENTITY: &[(&str, &str)] = &[
    ("type", "identity_type"),
    ("principalId", "principal_id"),
    ("arn", "identity_arn"),
    ("accountId", "identity_account_id"),
    ("accessKeyId", "access_key_id"),
    ("userName", "user_name"),
    ("invokedBy", "invoked_by"),
    ("identityProvider", "identity_provider"),
    ("sessionContext.sessionIssuer.type", "session_issuer_type"),
    ("sessionContext.sessionIssuer.arn", "session_issuer_arn"),
    (
        "sessionContext.sessionIssuer.userName",
        "session_issuer_user_name",
    ),
    (
        "sessionContext.sessionIssuer.accountId",
        "session_issuer_account_id",
    ),
    (
        "sessionContext.attributes.mfaAuthenticated",
        "mfa_authenticated",
    ),
    ("sessionContext.attributes.creationDate", "session_created"),
    ("sessionContext.sourceIdentity", "source_identity"),
    ("sessionContext.ec2RoleDelivery", "ec2_role_delivery"),
];

/// The parts of the identity that other members lie in.
const CONTEXT: &[u8] = b"sessionContext";
const CONTEXT_PARTS: &[&[u8]] = &[b"sessionIssuer", b"attributes"];

/// The identity of an event: its parts as they are written.
#[derive(Debug, Default)]
pub(super) struct Identity<'a> {
    /// In the order of [`IDENTITY`].
    pub parts: [Option<&'a [u8]>; IDENTITY.len()],
}

impl<'a> Identity<'a> {
    /// Reads the parts there are.
    pub fn of(json: &'a [u8]) -> Self {
        let mut identity = Self::default();
        // What comes before a fault counts; the record as a whole has been checked.
        let _ = Walk::at(json, 0).object(|key, value| {
            if key.eq_ignore_ascii_case(CONTEXT) {
                let _ = Walk::at(value, 0).object(|key, value| identity.context(key, value));
            } else {
                identity.take("", key, value);
            }
        });
        identity
    }

    fn context(&mut self, key: &'a [u8], value: &'a [u8]) {
        match CONTEXT_PARTS
            .iter()
            .find(|part| part.eq_ignore_ascii_case(key))
        {
            Some(part) => {
                let part = if *part == CONTEXT_PARTS[0] {
                    "sessionContext.sessionIssuer."
                } else {
                    "sessionContext.attributes."
                };
                let _ = Walk::at(value, 0).object(|key, value| self.take(part, key, value));
            }
            None => self.take("sessionContext.", key, value),
        }
    }

    fn take(&mut self, before: &str, key: &[u8], value: &'a [u8]) {
        let is_it = |(path, _): &(&str, &str)| {
            path.strip_prefix(before)
                .is_some_and(|rest| rest.as_bytes().eq_ignore_ascii_case(key))
        };
        if let Some(part) = IDENTITY.iter().position(is_it) {
            self.parts[part] = Some(value);
        }
    }

    /// The text of a part, by its path; nothing for the empty text.
    pub fn text(&self, path: &str) -> Option<Cow<'a, str>> {
        let part = IDENTITY.iter().position(|(known, _)| *known == path)?;
        self.parts[part]
            .and_then(text_of)
            .filter(|text| !text.is_empty())
    }
}

/// Whom an identity, as JSON, belongs to: the role or user behind the session, otherwise the
/// caller, otherwise the service.
pub fn principal_of(identity: &str) -> Option<Cow<'_, str>> {
    let identity = Identity::of(identity.as_bytes());
    judge::principal(|path| identity.text(path))
}
