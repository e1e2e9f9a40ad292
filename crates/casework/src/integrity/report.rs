//! What a check of digests comes to: plain data.

use davylamp_model::verdict::Verdict;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lookup::Compared;
use super::silence::Silence;
use crate::case::Span;

/// No more than this many files that did not pass are kept, and as many silences; the rest are counted.
pub const MAX_FAULTS: usize = 10_000;

/// What came of everything that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Pass: every digest, log file and hour that was asked for is proven. Fail: something was altered,
    /// moved or deleted. Unknown: neither.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub why: String,
    /// From the first to the last hour of a digest.
    pub span: Option<Span>,
    /// Digests that are there or ought to be.
    pub digests: Count,
    /// Log files that a digest lists, or that are there and no digest lists.
    pub log_files: Count,
    /// The chains of digests: one for each trail, account and region.
    pub chains: Vec<Chain>,
    /// Digests and log files that did not pass, the worst first, at most [`MAX_FAULTS`].
    pub faults: Vec<Outcome>,
    /// How many more there are.
    pub faults_left_out: u64,
    /// Stretches without a log file or without calls that come otherwise; the longest first.
    pub silences: Vec<Silence>,
    /// How many more there are.
    pub silences_left_out: u64,
    /// The comparison with what `LookupEvents` says, where that was given.
    pub lookup: Option<Compared>,
    /// What could not be looked at, in words.
    pub unread: Vec<String>,
}

/// How many came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Proven as CloudTrail delivered them.
    pub pass: u64,
    /// Altered, moved or deleted.
    pub fail: u64,
    /// Nobody can say.
    pub unknown: u64,
}

/// The digests of a trail for an account and a region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chain {
    /// The trail's name; nothing where the digests' names do not say it.
    pub trail: Option<String>,
    /// The region the trail is of.
    pub home_region: Option<String>,
    /// The organisation, for the trail of one.
    pub organisation: Option<String>,
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// The bucket that the digests were delivered to.
    pub bucket: Option<String>,
    /// Whether it is of digests that came late, for log files that the hourly ones had not.
    pub is_backfill: bool,
    /// What all of it comes to.
    pub verdict: Verdict,
    /// Its digests.
    pub digests: Count,
    /// The log files they list.
    pub log_files: Count,
    /// The hours, joined where the same is to be said of neighbours.
    pub hours: Vec<Stretch>,
}

/// Hours of a chain, one after another, that came to the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// The start.
    pub from: Timestamp,
    /// The end.
    pub until: Timestamp,
    /// What they came to.
    pub verdict: Verdict,
    /// Why; nothing where they passed.
    pub why: String,
    /// What would tell; nothing where they passed.
    pub tells: String,
    /// How many digests cover them.
    pub digests: u64,
    /// How many log files these list; none proves that nothing was logged.
    pub log_files: u64,
}

/// A digest or a log file, and what it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What it is.
    pub kind: Kind,
    /// Where it lies; of a missing one, where it ought to: `s3://BUCKET/KEY`.
    pub name: String,
    /// What it came to.
    pub verdict: Verdict,
    /// What is wrong; nothing where it passed.
    pub fault: Option<Fault>,
    /// Why, as a sentence without a full stop; nothing where it passed.
    pub why: String,
    /// What would tell, or what to do; nothing where it passed.
    pub tells: String,
    /// The digest that lists it, by its key, where one does.
    pub digest: Option<String>,
}

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A digest file.
    Digest,
    /// A log file.
    LogFile,
}

/// What is wrong with a digest or a log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Its content is not what was delivered.
    Altered,
    /// It was delivered and is not there.
    Missing,
    /// It lies elsewhere than it was delivered to.
    Moved,
    /// It cannot be what CloudTrail wrote: empty, cut off, packed twice, no digest.
    Malformed,
    /// It could not be read.
    Unreadable,
    /// It is larger than is read.
    TooLarge,
    /// The signature that its store keeps is missing or is not its own.
    Signature,
    /// Its signature is not here.
    Unsigned,
    /// The key it was signed with is not here.
    NoKey,
    /// It contradicts a digest that is not proven itself.
    Contradiction,
    /// The digest that lists it is not proven.
    Unproven,
    /// No digest lists it.
    Unlisted,
    /// It lies outside what was looked at.
    Outside,
}

impl Count {
    /// Counts one.
    pub fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Pass => self.pass += 1,
            Verdict::Fail => self.fail += 1,
            Verdict::Unknown => self.unknown += 1,
        }
    }

    /// All of them.
    pub fn total(self) -> u64 {
        self.pass + self.fail + self.unknown
    }
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.pass += other.pass;
        self.fail += other.fail;
        self.unknown += other.unknown;
    }
}

/// How bad it is that something did not pass, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Badness {
    /// It was altered, moved or deleted.
    Failed,
    /// It could not be read.
    Unread,
    /// Nothing proves it.
    Unproven,
}

impl Outcome {
    /// How bad it is that it did not pass.
    pub(super) fn badness(&self) -> Badness {
        match (self.verdict, self.fault) {
            (Verdict::Fail, _) => Badness::Failed,
            (_, Some(Fault::Unreadable | Fault::TooLarge)) => Badness::Unread,
            _ => Badness::Unproven,
        }
    }
}

impl Kind {
    /// Its name in a sentence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Digest => "digest",
            Self::LogFile => "log file",
        }
    }
}

/// The worse of two: a fault before what nobody can say, and that before what is proven.
pub fn worse(a: Verdict, b: Verdict) -> Verdict {
    match (a, b) {
        (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
        (Verdict::Unknown, _) | (_, Verdict::Unknown) => Verdict::Unknown,
        (Verdict::Pass, Verdict::Pass) => Verdict::Pass,
    }
}
