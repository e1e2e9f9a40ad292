//! What audits found, what incidents cost, and which lists are where.

use davylamp_model::verdict::Outcome;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::IncidentNo;

/// One run of an audit, with everything that it looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// The run's id: what comes twice under it counts once.
    pub run: String,
    /// What audited: a product's name.
    pub name: String,
    /// What was audited: an account, a cluster, a machine.
    pub target: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// What it looked at.
    pub outcomes: Vec<Outcome>,
    /// Who ran it.
    pub by: String,
}

/// What an incident cost so far, as somebody estimated it. All amounts in millionths of a US dollar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// The incident.
    pub incident: IncidentNo,
    /// At least.
    pub low_micro_usd: i64,
    /// At most.
    pub high_micro_usd: i64,
    /// What it goes on to cost an hour; 0 where it has ended.
    pub per_hour_micro_usd: i64,
    /// The date and source of the prices.
    pub prices: String,
    /// What is not known and not in it.
    #[serde(default)]
    pub unknown: Vec<String>,
    /// Where the pack for a credit request lies, where one was made.
    #[serde(default)]
    pub credit_pack: Option<String>,
    /// Who says so.
    pub by: String,
}

/// How far a version of a blocklist is brought out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rollout {
    /// It says what it would kill.
    Observe,
    /// It kills on some nodes.
    Canary,
    /// It kills.
    Enforce,
    /// It is used no more.
    Retired,
}

impl Rollout {
    /// Its name, as in its stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Canary => "canary",
            Self::Enforce => "enforce",
            Self::Retired => "retired",
        }
    }
}

/// A version of a blocklist, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocklist {
    /// The list's name.
    pub name: String,
    /// The SHA-256 of its text, in hexadecimal digits.
    pub digest: String,
    /// How far it is.
    pub rollout: Rollout,
    /// How many strings it bans.
    pub strings: i64,
    /// Why, and what it changes.
    #[serde(default)]
    pub note: String,
    /// Who says so.
    pub by: String,
}

/// A list that a node holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ListHeld {
    /// Its name.
    pub name: String,
    /// The SHA-256 of its text, or its beginning.
    pub digest: String,
    /// How many strings it bans.
    #[serde(default)]
    pub strings: i64,
}
