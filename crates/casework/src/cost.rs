//! What an intrusion cost: from machines that ran to money, with its range and what it rests on.
//!
//! ```text
//! records ─► signs: what each says of a machine ─► sightings: one life for each ─► Run
//!                                                                                  │
//! bill ─► market, system, what was paid ─────────────────────────────────────────► │
//!                                         hours: least, likely, most ◄─────────────┤
//!                                         lines: × price ─► case::Cost ◄───────────┘
//! ```
//!
//! What must stay true: least ≤ likely ≤ most; one run more never costs less; the order of runs does
//! not matter; what has no price is told and never counted as nothing. Deliberately not here: where
//! prices come from (`content::prices`), what time it is.

use davylamp_content::prices::book::Book;
use davylamp_content::prices::kind::{Market, System};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::case::{Cost, EvidenceId};

pub mod bill;
mod hours;
mod lines;
pub mod sightings;
pub mod signs;
mod totals;

pub use bill::usd;
pub use hours::{Seconds, seconds};
pub use totals::{Total, totals};

/// The service of an instance.
pub const EC2: &str = "ec2";

/// The service of a container without an instance.
pub const FARGATE: &str = "ecs-fargate";

/// When something happened, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bounds {
    /// Not before this; nothing where nobody can say.
    pub earliest: Option<Timestamp>,
    /// Not after this.
    pub latest: Timestamp,
}

/// When something ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Then.
    At(Bounds),
    /// It ran at this moment, the last that is known, and nothing says that it ended.
    RunsAt(Timestamp),
    /// Nobody can say.
    Unknown {
        /// Why, as a clause.
        why: String,
        /// The last sign of it.
        last_known: Timestamp,
    },
}

/// How large something without an instance type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Size {
    /// Thousandths of a virtual processor.
    pub milli_vcpus: u32,
    /// Memory in MiB.
    pub mib: u32,
}

/// A thing that is paid for by the time it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// Its account, where known.
    pub account: Option<String>,
    /// Its region, where known.
    pub region: Option<String>,
    /// `ec2`, `ecs-fargate`, `lambda`, `sagemaker`, …
    pub service: String,
    /// Its instance type, where known.
    pub instance_type: Option<String>,
    /// Its size, where it has no instance type.
    pub size: Option<Size>,
    /// How it is bought.
    pub market: Market,
    /// Its operating system.
    pub system: System,
    /// When it first started.
    pub started: Bounds,
    /// When it ended for good.
    pub ended: End,
    /// When it was stopped and started again in between.
    pub paused: Vec<(Bounds, Bounds)>,
    /// The records.
    pub evidence: Vec<EvidenceId>,
}

impl Bounds {
    /// A moment that is known.
    pub fn exactly(at: Timestamp) -> Self {
        Self {
            earliest: Some(at),
            latest: at,
        }
    }

    /// Between two moments, whichever comes first.
    pub fn between(one: Timestamp, other: Timestamp) -> Self {
        Self {
            earliest: Some(one.min(other)),
            latest: one.max(other),
        }
    }

    /// Not after a moment.
    pub fn by(latest: Timestamp) -> Self {
        Self {
            earliest: None,
            latest,
        }
    }

    /// Half-way; the latest where the earliest is not known.
    pub fn middle(self) -> Timestamp {
        match self.earliest {
            Some(earliest) => middle(earliest, self.latest),
            None => self.latest,
        }
    }
}

/// Half-way between two moments, in whole seconds; the later one where they are the wrong way round.
fn middle(one: Timestamp, other: Timestamp) -> Timestamp {
    match one < other {
        true => {
            let half = one.as_second().midpoint(other.as_second());
            Timestamp::from_second(half)
                .unwrap_or(other)
                .clamp(one, other)
        }
        false => other,
    }
}

impl Run {
    /// Whether it runs, as far as is known.
    pub fn is_running(&self) -> bool {
        matches!(self.ended, End::RunsAt(_))
    }

    /// The last moment that is known of it.
    pub fn last_known(&self) -> Timestamp {
        match &self.ended {
            End::At(bounds) => bounds.latest,
            End::RunsAt(at) => *at,
            End::Unknown { last_known, .. } => *last_known,
        }
    }
}

/// What runs cost by `now`.
pub fn reckon(runs: &[Run], book: &Book, now: Timestamp) -> Cost {
    lines::reckon(runs, book, now)
}
