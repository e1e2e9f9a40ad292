//! What a flight recorder looks at, and what comes of looking: things of a kind in a place, or why nobody
//! can say.
//!
//! What must stay true: what could not be read is never an empty list of things. Deliberately not here:
//! what a thing's state holds (whoever reads it knows), and its stored form (see `recorder`).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The region of what has none, such as IAM's users.
pub const GLOBAL: &str = "global";

/// Where is looked, and for what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// The account; of a cluster the account it is in, empty where that is not known.
    pub account: String,
    /// The region, [`GLOBAL`], or a cluster's name.
    pub region: String,
    /// What is looked for, such as `instance`.
    pub kind: String,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = match self.account.as_str() {
            "" => "no account",
            account => account,
        };
        write!(f, "{} in {account}, {}", self.kind, self.region)
    }
}

/// A thing as its service says it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Thing {
    /// Its id within the scope.
    pub id: String,
    /// What the service says of it, by the service's own names. It holds no secret.
    pub state: Value,
}

/// What came of looking.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Where was looked, and for what.
    pub scope: Scope,
    /// Everything that is there, or why nobody can say.
    pub came: Result<Vec<Thing>, String>,
}
