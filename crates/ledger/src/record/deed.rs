//! What is done about an incident: plans, their steps, what is kept, and who looked at it.

use serde::{Deserialize, Serialize};

use super::IncidentNo;

/// What a plan leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The incident, where it is known.
    pub incident: Option<IncidentNo>,
    /// The plan's id.
    pub plan: String,
    /// What it would do, in words.
    pub summary: String,
    /// The plan itself, as its maker wrote it.
    pub text: serde_json::Value,
    /// What it leaves out.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// What the incident costs an hour, in millionths of a US dollar, where it is known.
    #[serde(default)]
    pub cost_micro_usd_per_hour: Option<i64>,
    /// Who made it.
    pub by: String,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// About to be done.
    Before,
    /// Done.
    Done,
    /// Not done, because of a brake.
    Withheld,
    /// It did not work.
    Failed,
    /// Taken back.
    Undone,
}

impl Stage {
    /// Its name, as in its stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Done => "done",
            Self::Withheld => "withheld",
            Self::Failed => "failed",
            Self::Undone => "undone",
        }
    }
}

/// A step of a plan, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The incident, where it is known.
    pub incident: Option<IncidentNo>,
    /// The plan.
    pub plan: String,
    /// The step in it.
    pub step: String,
    /// What is done: the action's name.
    pub what: String,
    /// What it is done to.
    pub target: String,
    /// How far it is.
    pub stage: Stage,
    /// What came of it, in words.
    #[serde(default)]
    pub detail: String,
    /// Who does it.
    pub by: String,
}

/// Something that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The incident, where it is known.
    pub incident: Option<IncidentNo>,
    /// What it is: a snapshot, a file, a capture.
    pub what: String,
    /// Where it lies.
    pub location: String,
    /// Its SHA-256 in hexadecimal digits, where it has one.
    pub sha256: Option<String>,
    /// Its size, where it is known.
    pub size_bytes: Option<i64>,
    /// Who took it, how, and who holds it now.
    pub custody: String,
    /// Who says so.
    pub by: String,
}

/// Somebody read evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The incident, where it is known.
    #[serde(default)]
    pub incident: Option<IncidentNo>,
    /// Where the evidence lies.
    pub location: String,
    /// Why it was read.
    pub purpose: String,
    /// Who.
    pub by: String,
}
