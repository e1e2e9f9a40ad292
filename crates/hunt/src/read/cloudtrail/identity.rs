//! Who called: the identity of an event.

use std::borrow::Cow;
use std::sync::LazyLock;

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

/// The members of an object in the identity: their names, and where in [`IDENTITY`] they stand.
type Section = Vec<(&'static [u8], usize)>;

/// The members of the identity itself, of its context, and of the parts of that in the order of
/// [`CONTEXT_PARTS`]: every event is looked through, so that no path is taken apart for it.
static SECTIONS: LazyLock<[Section; 4]> = LazyLock::new(|| {
    const PATHS: [&str; 4] = [
        "",
        "sessionContext.",
        "sessionContext.sessionIssuer.",
        "sessionContext.attributes.",
    ];
    PATHS.map(|before| {
        let paths = IDENTITY.iter().map(|(path, _)| *path).zip(0..);
        let named = paths.filter_map(|(path, part)| Some((path.strip_prefix(before)?, part)));
        let own = named.filter(|(name, _)| !name.contains('.'));
        own.map(|(name, part)| (name.as_bytes(), part)).collect()
    })
});

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
                identity.take(0, key, value);
            }
        });
        identity
    }

    fn context(&mut self, key: &'a [u8], value: &'a [u8]) {
        let is_it = |part: &&[u8]| part.eq_ignore_ascii_case(key);
        match CONTEXT_PARTS.iter().position(is_it) {
            Some(part) => {
                let _ = Walk::at(value, 0).object(|key, value| self.take(2 + part, key, value));
            }
            None => self.take(1, key, value),
        }
    }

    fn take(&mut self, section: usize, key: &[u8], value: &'a [u8]) {
        let is_it = |(name, _): &&(&[u8], usize)| name.eq_ignore_ascii_case(key);
        if let Some((_, part)) = SECTIONS[section].iter().find(is_it) {
            self.parts[*part] = Some(value);
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
