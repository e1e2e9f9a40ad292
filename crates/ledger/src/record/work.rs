//! What people ask of workers, and what comes of it.
//!
//! The console holds no credentials of clouds and clusters: what is to be done there is a job, which a
//! worker that holds them takes, does, and reports.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::IncidentNo;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "errand", rename_all = "kebab-case")]
pub enum Errand {
    /// Make plans for an incident's findings, and touch nothing.
    Plan,
    /// Carry a plan out.
    Run {
        /// The plan.
        plan: String,
        /// Who said yes to what waits for a person; nobody where that is to be left waiting.
        #[serde(default)]
        approved_by: Option<String>,
    },
    /// Take back what was done for a plan.
    Undo {
        /// The plan.
        plan: String,
    },
    /// Run a hunt over the logs that the worker has.
    Hunt {
        /// Its name.
        hunt: String,
        /// From when.
        #[serde(default)]
        since: Option<Timestamp>,
        /// Until when.
        #[serde(default)]
        until: Option<Timestamp>,
    },
}

impl Errand {
    /// Its name, as in its stored form.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Run { .. } => "run",
            Self::Undo { .. } => "undo",
            Self::Hunt { .. } => "hunt",
        }
    }

    /// What it is about: a plan's id, a hunt's name.
    pub fn subject(&self) -> &str {
        match self {
            Self::Plan => "",
            Self::Run { plan, .. } | Self::Undo { plan } => plan,
            Self::Hunt { hunt, .. } => hunt,
        }
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id: what it is asked under, so that asking twice is asking once.
    pub job: String,
    /// The incident, where it is for one.
    #[serde(default)]
    pub incident: Option<IncidentNo>,
    /// The cluster whose workers may take it; empty for all.
    #[serde(default)]
    pub cluster: String,
    /// What is to be done.
    #[serde(flatten)]
    pub errand: Errand,
    /// Who asks.
    pub by: String,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum JobStage {
    /// A worker is at it. Another may take it when the time is over.
    Taken {
        /// Until when it says so.
        until: Timestamp,
    },
    /// It was done.
    Done,
    /// It was not.
    Failed,
    /// A person takes it back, before anybody took it.
    Withdrawn,
}

impl JobStage {
    /// Its name, as in its stored form.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "taken",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A job's new stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStep {
    /// The job.
    pub job: String,
    /// How far it is.
    #[serde(flatten)]
    pub stage: JobStage,
    /// What came of it, in words.
    #[serde(default)]
    pub detail: String,
    /// Who says so: a worker, or a person.
    pub by: String,
}
