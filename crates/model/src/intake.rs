//! From the forms in which findings come to [`Finding`]s.
//!
//! [`read`] takes any bytes: a GuardDuty finding in either casing, bare, in an EventBridge
//! envelope, in an export or a list; Security Hub's ASFF and OCSF; CloudTrail calls; cost alarms;
//! the guard's own log; and all of these inside SNS and SQS envelopes, one or many.
//!
//! What must stay true: reading is total. Nothing panics, and nothing disappears: each thing in the
//! input is a finding, a signal, a counted event that is nobody's finding, or a rejection that says
//! where it stood and why. A name that its service could not have given becomes a gap and never a
//! resource.
//!
//! Not here: decompressing, fetching what a notification only points at, and deciding what a
//! finding leads to (see `plan`).

mod arn;
mod asff;
mod cloudtrail;
pub mod compliance;
mod cost;
mod excerpt;
mod forms;
mod guardduty;
pub mod hunted;
mod members;
mod names;
mod observed;
mod ocsf;
mod own;
mod resources;
mod sequence;
mod shape;
mod signals;
mod strict;
pub mod types;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::finding::Finding;
use crate::ids::{SnapshotId, VolumeId};
use crate::resource::Place;

pub use own::{escalate, finding as guard_finding, sighting};

/// The most that is read at once. Lambda's largest event is 6 MiB, and GuardDuty writes a new
/// export every few minutes; what is larger is no finding.
pub const MAX_BYTES: usize = 16 << 20;

/// How deep envelopes may lie in one another. SQS in Lambda, SNS in SQS, EventBridge in SNS and a
/// list of findings in that make six.
pub const MAX_DEPTH: usize = 12;

/// How many rejections are kept one by one; the rest are counted in the last.
pub const MAX_REJECTED: usize = 1000;

/// What an input held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Intake {
    /// The findings, in the order of the input.
    pub findings: Vec<Finding>,
    /// What is no finding and yet drives us.
    pub signals: Vec<Signal>,
    /// What could not be read.
    pub rejected: Vec<Rejected>,
    /// What was understood and is nobody's finding, by name, with how often it stood there: an
    /// alarm that went back to OK, a CloudTrail call without meaning for us.
    pub passed_over: BTreeMap<String, u64>,
}

impl Intake {
    /// Takes over what another input held.
    pub fn absorb(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.signals.extend(other.signals);
        self.rejected.extend(other.rejected);
        for (name, count) in other.passed_over {
            *self.passed_over.entry(name).or_default() += count;
        }
    }
}

/// An event that is no finding and yet drives us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "signal", rename_all = "kebab-case")]
pub enum Signal {
    /// A snapshot, or one of a set, is complete or has failed.
    Snapshot {
        /// Where, as the event's envelope says.
        place: Option<Place>,
        /// `createSnapshot`, `createSnapshots` or `copySnapshot`.
        event: String,
        /// The snapshot.
        snapshot: SnapshotId,
        /// What it was taken from.
        source: SnapshotSource,
        /// What came of it.
        outcome: SnapshotOutcome,
        /// When.
        at: Option<Timestamp>,
    },
    /// A rule's clock has struck: whatever is due is done.
    Tick {
        /// The rule's ARN.
        rule: Option<String>,
        /// When.
        at: Option<Timestamp>,
    },
}

/// What a snapshot was taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotSource {
    /// A volume.
    Volume(VolumeId),
    /// Another snapshot: a copy.
    Snapshot(SnapshotId),
    /// The event does not say.
    Unknown,
}

/// What came of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotOutcome {
    /// It is complete.
    Completed,
    /// It failed.
    Failed {
        /// Why, as the event says.
        cause: String,
    },
}

/// A part of the input that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Where it stood: `line 3`, `line 1, Records[2].body`.
    pub at: String,
    /// Why.
    pub why: Rejection,
    /// How it begins, without control characters.
    pub excerpt: String,
}

/// Why a part of the input could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There was nothing in it.
    #[error("the input is empty")]
    Empty,
    /// More than is read at once.
    #[error(
        "the input has {bytes} bytes, more than the {} that are read at once",
        MAX_BYTES
    )]
    TooLarge {
        /// How many there were.
        bytes: usize,
    },
    /// Compressed.
    #[error("the input is gzip; decompress it first")]
    Gzip,
    /// Not text.
    #[error("this is not UTF-8 text")]
    NotText,
    /// Not JSON.
    #[error("this is not JSON: {what}, at line {line}, column {column} of it")]
    NotJson {
        /// What the parser says.
        what: String,
        /// Where, counted from where the part begins.
        line: usize,
        /// The column.
        column: usize,
    },
    /// A member stands twice and says two things: which one is meant cannot be known.
    #[error("the member \"{member}\" stands twice and says two things")]
    Twice {
        /// The member.
        member: String,
    },
    /// A number, a truth value, a null: no event is one.
    #[error("this is not an object")]
    NotAnObject,
    /// Envelopes in envelopes in envelopes.
    #[error("envelopes lie more than {} deep in one another", MAX_DEPTH)]
    TooDeep,
    /// An S3 notification.
    #[error("this notification points at an S3 object; read the object itself")]
    Pointer,
    /// An event that nothing here is about.
    #[error("nothing is known about events of type \"{what}\"")]
    UnknownEvent {
        /// The type it says it has.
        what: String,
    },
    /// No known form.
    #[error("this has none of the forms in which findings come")]
    UnknownForm,
    /// A known form without what makes it one.
    #[error("this is {form} without {missing}")]
    HalfEmpty {
        /// The form.
        form: &'static str,
        /// What is not there.
        missing: &'static str,
    },
    /// The rest.
    #[error("{count} more parts could not be read")]
    More {
        /// How many.
        count: u64,
    },
}

impl Rejection {
    /// What whoever gave the input can do about it.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Empty => "see whether what should have written it has failed",
            Self::TooLarge { .. } => "split it: events may stand one a line",
            Self::Gzip | Self::NotText => "give it as it was exported: JSON text in UTF-8",
            Self::NotJson { .. } => {
                "see whether it is whole: it may have been cut off or edited where it is said"
            }
            Self::Twice { .. } => "give it as its source wrote it, where the member stands once",
            Self::NotAnObject | Self::UnknownForm => {
                "give a finding or an event as its source writes it; the forms are in \
                 docs/responder.md"
            }
            Self::TooDeep => "take the event out of the envelopes around it",
            Self::Pointer => "fetch the object that it names, and give that",
            Self::UnknownEvent { .. } => "leave it out: nothing here answers such events",
            Self::HalfEmpty { .. } => "fetch it again from its source, whole",
            Self::More { .. } => "mend those that are listed first, or split the input",
        }
    }
}

/// Reads everything that `bytes` hold.
///
/// ```
/// let event = br#"{"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}"#;
/// let intake = davylamp_model::intake::read(event);
/// assert_eq!(intake.signals.len(), 1);
/// ```
pub fn read(bytes: &[u8]) -> Intake {
    forms::Reader::default().all(bytes)
}
