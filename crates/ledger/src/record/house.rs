//! What is about no incident: nodes, runs, settings, and what was removed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{IncidentNo, ListHeld, Reporter};

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Who.
    pub reporter: Reporter,
    /// The agent's version.
    pub version: String,
    /// What it covers, in its own words.
    pub coverage: String,
    /// When the last canary was tried.
    pub canary_at: Option<Timestamp>,
    /// Whether it was caught.
    pub canary_caught: Option<bool>,
    /// Events that were lost, counted since the agent started.
    pub lost_events: i64,
    /// The lists it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<ListHeld>,
}

/// A hunt ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The run's id: what comes twice under it counts once. Older entries have none.
    #[serde(default)]
    pub run: String,
    /// `hunt`.
    pub verb: String,
    /// Which one.
    pub name: String,
    /// Over what: where the logs lie.
    #[serde(default)]
    pub target: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// What was counted: read, matched, unreadable, unknown.
    pub counts: BTreeMap<String, i64>,
    /// Why it did not come to its end, where it did not.
    #[serde(default)]
    pub error: Option<String>,
    /// Who ran it.
    pub by: String,
}

/// A setting was changed. Never that of a secret: only that it was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Which.
    pub name: String,
    /// What it was.
    pub from: Option<serde_json::Value>,
    /// What it is.
    pub to: Option<serde_json::Value>,
    /// Who changed it.
    pub by: String,
}

/// What stays of an incident whose findings were removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remains {
    /// The incident.
    pub incident: IncidentNo,
    /// Its severity, as [`crate::rows::severity_rank`] has it.
    pub severity: i64,
    /// When its first finding was seen, in microseconds.
    pub first_us: i64,
    /// When its last one was.
    pub last_us: i64,
    /// How many findings it had, by what was done.
    pub counts: BTreeMap<String, i64>,
    /// Its clusters.
    pub clusters: Vec<String>,
    /// Its users.
    pub users: Vec<String>,
}

/// Bodies were removed. The entries stay, with the digests of what they said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// The policy, in its own words.
    pub policy: String,
    /// What is older than this went, in microseconds.
    pub before_us: i64,
    /// The entries whose bodies went.
    pub entries: Vec<i64>,
    /// The findings that went, by number.
    #[serde(default)]
    pub findings: Vec<i64>,
    /// The evidence that went, by number.
    #[serde(default)]
    pub evidence: Vec<i64>,
    /// What stays of their incidents.
    #[serde(default)]
    pub remains: Vec<Remains>,
}
