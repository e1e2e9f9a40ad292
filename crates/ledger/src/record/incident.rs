//! Incidents: what becomes of them, who owns them, until when, and what people decide.

use davylamp_model::finding::Severity;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::IncidentNo;

/// An incident was opened by a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentOpened {
    /// What it is about, in one line.
    pub title: String,
    /// How bad it was at its start.
    pub severity: Severity,
    /// The finding that opened it.
    pub finding: String,
}

/// Two incidents turned out to be one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentMerged {
    /// The one that is now a pointer.
    pub from: IncidentNo,
    /// The one that stays: it was opened first.
    pub into: IncidentNo,
    /// The finding that belongs to both.
    pub finding: String,
}

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nobody is done with it.
    Open,
    /// It cannot spread.
    Contained,
    /// What did it is gone.
    Eradicated,
    /// What was hit works again.
    Recovered,
    /// Done.
    Closed,
    /// A pointer to another incident.
    Merged,
}

impl State {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Open,
        Self::Contained,
        Self::Eradicated,
        Self::Recovered,
        Self::Closed,
        Self::Merged,
    ];

    /// Its name, as in its stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Contained => "contained",
            Self::Eradicated => "eradicated",
            Self::Recovered => "recovered",
            Self::Closed => "closed",
            Self::Merged => "merged",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// An incident changed its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentState {
    /// The incident.
    pub incident: IncidentNo,
    /// Its new state.
    pub state: State,
    /// Why. Closing needs one.
    pub reason: String,
    /// Who says so; [`BY_LEDGER`] where a finding reopened it.
    pub by: String,
}

/// Who did what the ledger did by itself.
pub const BY_LEDGER: &str = "ledger";

/// What happened to an incident's ownership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnerStep {
    /// Somebody was named.
    Assigned,
    /// The owner has taken it.
    Accepted,
    /// The owner will not have it: it has none now.
    Declined,
    /// The owner has handed it on.
    Delegated,
}

impl OwnerStep {
    /// Its name, as in its stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Accepted => "accepted",
            Self::Declined => "declined",
            Self::Delegated => "delegated",
        }
    }
}

/// Who owns an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The incident.
    pub incident: IncidentNo,
    /// What happened.
    pub step: OwnerStep,
    /// The person it is about.
    pub owner: String,
    /// Who says so.
    pub by: String,
}

/// What happened to an incident's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tick", rename_all = "kebab-case")]
pub enum Tick {
    /// Something is due.
    Due {
        /// Until when.
        until: Timestamp,
        /// What, and why then.
        why: String,
    },
    /// It was done in time.
    Met,
    /// It was not, and somebody else was told.
    Escalated {
        /// Who.
        to: String,
    },
}

/// An incident's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// The incident.
    pub incident: IncidentNo,
    /// What happened.
    #[serde(flatten)]
    pub tick: Tick,
    /// Who says so.
    pub by: String,
}

/// What a person decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "choice", rename_all = "kebab-case")]
pub enum Choice {
    /// A plan may be carried out.
    Approve,
    /// Carry it out now.
    Run,
    /// Take it back.
    Undo,
    /// Live with it.
    AcceptRisk {
        /// Until when.
        until: Timestamp,
    },
    /// The incident is done with.
    Close,
}

/// A decision of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The incident, where it is about one.
    pub incident: Option<IncidentNo>,
    /// What was decided.
    #[serde(flatten)]
    pub choice: Choice,
    /// The plan, where it is about one.
    #[serde(default)]
    pub plan: Option<String>,
    /// What is lived with, where that was decided: see [`Outcome::subject`].
    ///
    /// [`Outcome::subject`]: davylamp_model::verdict::Outcome::subject
    #[serde(default)]
    pub subject: Option<String>,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
}

/// What a person wrote down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The incident, where it is about one.
    pub incident: Option<IncidentNo>,
    /// What.
    pub text: String,
    /// Who.
    pub by: String,
}
