//! Who may come in, and what they may do.
//!
//! What must stay true: a page is made only for somebody who is signed in; a change is made only by a
//! form of that session, from our own pages; who guesses passwords or codes is slowed down; names that do
//! not exist cost as long as those that do; a session that gained or lost something has another key.

mod attempts;
mod cookie;
pub(crate) mod factor;
mod oidc;
mod password;
mod sign_in;
mod viewer;

use serde::{Deserialize, Serialize};

pub(crate) use attempts::Attempts;
pub use oidc::OidcError;
pub(crate) use oidc::{Grant, Oidc, is_safe};
pub use password::{PasswordError, check_new, hash as hash_password};
pub(crate) use password::{hash_in_turn, is_right};
pub(crate) use sign_in::{keep, routes};
pub(crate) use viewer::{Refused, Signed, Viewer, chain, is_same, sessions};

/// What somebody may do. Each may do what those before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Look.
    Viewer,
    /// Own incidents, decide, write notes.
    Responder,
    /// Settings, people and tokens.
    Admin,
}

impl Role {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Responder, Self::Admin];

    /// Its name, as in its stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Responder => "responder",
            Self::Admin => "admin",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// The clusters and accounts that somebody may see, an account as `account:123456789012`: what no cluster
/// reported is of the account that it names. None named: all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    clusters: Vec<String>,
}

impl Scope {
    /// Only these clusters; all, where none is named.
    pub fn of(clusters: Vec<String>) -> Self {
        Self { clusters }
    }

    /// Whether it holds everything.
    pub fn is_all(&self) -> bool {
        self.clusters.is_empty()
    }

    /// Its clusters; empty where it holds everything.
    pub fn clusters(&self) -> &[String] {
        &self.clusters
    }

    /// Whether a cluster is in it.
    pub fn holds(&self, cluster: &str) -> bool {
        self.is_all() || self.clusters.iter().any(|known| known == cluster)
    }

    pub(crate) fn to_text(&self) -> String {
        serde_json::Value::from(self.clusters.clone()).to_string()
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self::of)
    }
}
