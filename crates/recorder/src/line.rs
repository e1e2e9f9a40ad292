//! A line of a segment: a thing's state, or what came of looking for things of a kind.
//!
//! The members always stand in the same order, so that a state is taken out of its line as the text it
//! was hashed as.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::canonical::{Hash, canonical, hash, quote};
use davylamp_model::recording::Scope;

/// The kind of the lines that say what came of looking.
pub const COVERAGE: &str = "coverage";
/// The state of what is gone.
pub const GONE: &str = "null";

/// A thing's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its canonical JSON; [`GONE`] of what was there and is not.
    pub state: Box<str>,
    /// The hash of that.
    pub hash: Hash,
}

impl Held {
    /// With its hash.
    pub fn new(state: String) -> Self {
        Self {
            hash: hash(&state),
            state: state.into(),
        }
    }

    /// Of a thing that is gone.
    pub fn gone() -> Self {
        Self::new(GONE.to_owned())
    }

    /// Whether the thing is gone.
    pub fn is_gone(&self) -> bool {
        &*self.state == GONE
    }
}

/// Whether everything is told of a scope, or what differs from the look before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Everything.
    Full,
    /// What has changed since the look before.
    Changes,
}

/// What came of looking: the state of a line of the kind [`COVERAGE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "Status", rename_all = "kebab-case")]
pub enum Coverage {
    /// Everything was read.
    Complete {
        /// How many things there are.
        #[serde(rename = "Count")]
        count: u64,
        /// How much of them is told.
        #[serde(rename = "Mode")]
        mode: Mode,
    },
    /// Nobody can say what is there.
    Unknown {
        /// Why.
        #[serde(rename = "Reason")]
        reason: String,
    },
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When the snapshot began.
    pub taken_at: Timestamp,
    /// Where the thing is and of what kind.
    pub scope: Scope,
    /// Which one it is.
    pub id: String,
    /// Its state.
    pub held: Held,
}

/// What stands in a line before the state.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    taken_at: Timestamp,
    account_id: String,
    region: String,
    kind: String,
    id: String,
}

const STATE: &str = ",\"state\":";
const HASH: &str = ",\"hash\":\"";
/// The hash in hexadecimal digits.
const HASH_DIGITS: usize = 64;

/// Why a text is no line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoLine(String);

impl Line {
    /// What came of looking for things of a scope's kind.
    pub fn coverage(taken_at: Timestamp, scope: &Scope, coverage: &Coverage) -> Self {
        let state = serde_json::to_value(coverage).unwrap_or_default();
        Self {
            taken_at,
            scope: Scope {
                kind: COVERAGE.to_owned(),
                ..scope.clone()
            },
            id: scope.kind.clone(),
            held: Held::new(canonical(&state)),
        }
    }

    /// The scope that this line tells the coverage of, and what it tells; nothing if it is about a thing.
    pub fn covers(&self) -> Result<Option<(Scope, Coverage)>, NoLine> {
        if self.scope.kind != COVERAGE {
            return Ok(None);
        }
        let coverage = serde_json::from_str(&self.held.state)
            .map_err(|error| NoLine(format!("the coverage is not understood: {error}")))?;
        let scope = Scope {
            kind: self.id.clone(),
            ..self.scope.clone()
        };
        Ok(Some((scope, coverage)))
    }

    /// Adds the line to a text, with its end.
    pub fn write(&self, into: &mut String) {
        let Scope {
            account,
            region,
            kind,
        } = &self.scope;
        let taken_at = self.taken_at.to_string();
        let members = [
            ("{\"taken_at\":", taken_at.as_str()),
            (",\"account_id\":", account),
            (",\"region\":", region),
            (",\"kind\":", kind),
            (",\"id\":", &self.id),
        ];
        for (name, value) in members {
            into.push_str(name);
            quote(value, into);
        }
        into.push_str(STATE);
        into.push_str(&self.held.state);
        into.push_str(HASH);
        into.push_str(&hex::encode(self.held.hash));
        into.push_str("\"}\n");
    }

    /// Reads a line, without its end. The hash is what the line says; see [`Self::is_sound`].
    pub fn parse(text: &str) -> Result<Self, NoLine> {
        let broken = || NoLine("it is not laid out as the recorder writes lines".to_owned());
        // A quotation mark within a value is escaped, so this stands nowhere before the state.
        let (head, rest) = text.split_once(STATE).ok_or_else(broken)?;
        let (state, end) = rest
            .len()
            .checked_sub(HASH.len() + HASH_DIGITS + 2)
            .and_then(|at| rest.split_at_checked(at))
            .ok_or_else(broken)?;
        let digits = end
            .strip_prefix(HASH)
            .and_then(|end| end.strip_suffix("\"}"))
            .ok_or_else(broken)?;
        let mut hash = Hash::default();
        hex::decode_to_slice(digits, &mut hash).map_err(|_| broken())?;
        let head: Head = serde_json::from_str(&format!("{head}}}"))
            .map_err(|error| NoLine(format!("it is not understood: {error}")))?;
        Ok(Self {
            taken_at: head.taken_at,
            scope: Scope {
                account: head.account_id,
                region: head.region,
                kind: head.kind,
            },
            id: head.id,
            held: Held {
                state: state.into(),
                hash,
            },
        })
    }

    /// Whether the hash is that of the state.
    pub fn is_sound(&self) -> bool {
        hash(&self.held.state) == self.held.hash
    }
}
