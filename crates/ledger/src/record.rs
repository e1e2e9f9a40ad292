//! What an entry says: one struct for each kind, as it is stored.
//!
//! What must stay true: a stored body is read by every later version, so members are only ever added,
//! with a default. Decisions that the ledger takes itself (which incident a finding belongs to) stand
//! in the record, so that a rebuild repeats them and does not take them again.

use std::fmt;

use serde::{Deserialize, Serialize};

mod deed;
mod finding;
mod house;
mod incident;
mod posture;
mod work;

pub use deed::{Access, Action, Evidence, LeftOut, Plan, Stage};
pub use finding::{ACCOUNT, FindingJoined, FindingRecord, Reported, Reporter, Taken};
pub use house::{Heartbeat, Remains, Retention, Run, Setting};
pub use incident::{
    BY_LEDGER, Choice, Clock, Decision, IncidentMerged, IncidentOpened, IncidentState, Note, Owner,
    OwnerStep, State, Tick,
};
pub use posture::{Audit, Blocklist, Cost, ListHeld, Rollout};
pub use work::{Errand, Job, JobStage, JobStep};

/// An incident's number: the number of the entry that opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentNo(pub i64);

impl fmt::Display for IncidentNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// A finding.
    Finding(Box<FindingRecord>),
    /// A new incident.
    IncidentOpened(IncidentOpened),
    /// Two incidents became one.
    IncidentMerged(IncidentMerged),
    /// Findings were added to an incident.
    FindingJoined(FindingJoined),
    /// An incident's state.
    IncidentState(IncidentState),
    /// An incident's owner.
    Owner(Owner),
    /// An incident's clock.
    Clock(Clock),
    /// A plan.
    Plan(Plan),
    /// A step of a plan.
    Action(Action),
    /// Evidence.
    Evidence(Evidence),
    /// A person's decision.
    Decision(Decision),
    /// A person's note.
    Note(Note),
    /// A reading of evidence.
    Access(Access),
    /// A node's change.
    Heartbeat(Heartbeat),
    /// A hunt ran.
    Run(Run),
    /// An audit ran.
    Audit(Box<Audit>),
    /// What an incident costs.
    Cost(Cost),
    /// Something is asked of a worker.
    Job(Job),
    /// How far that is.
    JobStep(JobStep),
    /// A version of a blocklist.
    Blocklist(Blocklist),
    /// A change of a setting.
    Setting(Setting),
    /// What was removed.
    Retention(Retention),
}

impl Record {
    /// The name of its kind, as it is stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Finding(_) => "finding",
            Self::IncidentOpened(_) => "incident-opened",
            Self::IncidentMerged(_) => "incident-merged",
            Self::FindingJoined(_) => "finding-joined",
            Self::IncidentState(_) => "incident-state",
            Self::Owner(_) => "owner",
            Self::Clock(_) => "clock",
            Self::Plan(_) => "plan",
            Self::Action(_) => "action",
            Self::Evidence(_) => "evidence",
            Self::Decision(_) => "decision",
            Self::Note(_) => "note",
            Self::Access(_) => "access",
            Self::Heartbeat(_) => "heartbeat",
            Self::Run(_) => "run",
            Self::Audit(_) => "audit",
            Self::Cost(_) => "cost",
            Self::Job(_) => "job",
            Self::JobStep(_) => "job-step",
            Self::Blocklist(_) => "blocklist",
            Self::Setting(_) => "setting",
            Self::Retention(_) => "retention",
        }
    }

    /// The incident it names itself. A finding's is left out: it is the ledger's own decision.
    pub fn incident(&self) -> Option<IncidentNo> {
        match self {
            Self::IncidentState(record) => Some(record.incident),
            Self::Owner(record) => Some(record.incident),
            Self::Clock(record) => Some(record.incident),
            Self::Plan(record) => record.incident,
            Self::Action(record) => record.incident,
            Self::Evidence(record) => record.incident,
            Self::Decision(record) => record.incident,
            Self::Note(record) => record.incident,
            Self::Access(record) => record.incident,
            Self::Cost(record) => Some(record.incident),
            Self::Job(record) => record.incident,
            _ => None,
        }
    }
}
