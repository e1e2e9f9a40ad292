//! What a case says: plain data, made by the analysis, written by the report.
//!
//! What must stay true: a statement that is no unknown cites evidence; times are in UTC; nothing here
//! decides anything.

use davylamp_model::verdict::Verdict;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cost::Run;
use crate::integrity::{Count, Outcome, Stretch};

mod numbers;

/// A lead with this score is one that somebody has to look at.
pub(crate) const SUSPICIOUS: f64 = 50.0;

/// All that is known of an incident.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// What was asked.
    pub asked: Asked,
    /// The story in a few statements, the most important first.
    pub summary: Vec<Statement>,
    /// From the first to the last act of the intruder; nothing where no intrusion was found.
    pub span: Option<Span>,
    /// What was read, and what it can prove.
    pub sources: Vec<Source>,
    /// Where it began.
    pub origin: Option<Origin>,
    /// What stood out, the worst first: why the case is about what it is about.
    pub leads: Vec<Lead>,
    /// Whoever is named in the case.
    pub principals: Vec<Principal>,
    /// The keys and sessions in the case.
    pub credentials: Vec<Credential>,
    /// Where calls came from.
    pub places: Vec<Place>,
    /// Who made, handed out, used or changed what.
    pub links: Vec<Link>,
    /// What was done, by time.
    pub timeline: Vec<Act>,
    /// How many acts there are beyond those of the timeline, which is bounded.
    pub acts_left_out: u64,
    /// How often something was done to things beyond those of the reach, which is bounded.
    #[serde(default)]
    pub things_left_out: u64,
    /// Whatever the intruder touched.
    pub reach: Vec<Touched>,
    /// What was done against the logs and sensors, and what these do not show since.
    pub tampering: Vec<Tampering>,
    /// Whether CloudTrail's log files are as they were delivered; nothing where none were read.
    #[serde(default)]
    pub integrity: Option<Integrity>,
    /// What other logs say of the things in the case.
    #[serde(default)]
    pub witnessed: Option<Statement>,
    /// Whether each named principal did it.
    pub innocence: Vec<Innocence>,
    /// What it cost.
    pub cost: Option<Cost>,
    /// What to do next, the most urgent first.
    pub next_steps: Vec<NextStep>,
    /// What could not be known.
    pub unknowns: Vec<Unknown>,
    /// The records that statements cite, by their number.
    pub evidence: Vec<Evidence>,
}

/// What was asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Where the logs lay.
    pub logs: Vec<String>,
    /// What the investigation started from; nothing if from the anomalies.
    pub indicators: Vec<String>,
    /// Nothing before this was read.
    pub since: Option<Timestamp>,
    /// Nothing from this on was read.
    pub until: Option<Timestamp>,
    /// When the case was made.
    pub made_at: Option<Timestamp>,
    /// The version of the program that made it.
    pub made_by: String,
}

/// From when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first moment.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
}

/// The number of a record in [`Case::evidence`], from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EvidenceId(pub u32);

/// A sentence, and the records behind it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// The sentence. What stands in it may have been written by an attacker.
    pub text: String,
    /// The records; nothing only where the sentence says that something is not known.
    pub evidence: Vec<EvidenceId>,
}

/// A record that is cited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its number.
    pub id: EvidenceId,
    /// The table it was read from, such as `cloudtrail`.
    pub table: String,
    /// The object, and the record in it.
    pub source: String,
    /// When it happened.
    pub time: Option<Timestamp>,
    /// In a few words: who did what to what, from where.
    pub about: String,
    /// The columns that were read, by name, as JSON.
    pub record: serde_json::Map<String, serde_json::Value>,
    /// What the log file it was read from came to, where that was checked: fail if it was altered or moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_file: Option<Verdict>,
}

/// A log or a store of snapshots, and what it can prove.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The table.
    pub table: String,
    /// Records that were read.
    pub records: u64,
    /// Records that had been delivered before and were counted once.
    pub repeated: u64,
    /// From the first to the last record.
    pub span: Option<Span>,
    /// What could not be read or understood, in words.
    pub unread: Vec<String>,
    /// What it proves in this case, or why it proves nothing.
    pub proves: String,
}

/// Whose hand did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hand {
    /// The one to whom the credential belongs.
    Owner,
    /// The intruder.
    Intruder,
    /// AWS, for somebody.
    Service,
    /// Nobody can say.
    Unknown,
}

/// Where the intrusion began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// When; between two moments where only snapshots show it.
    pub at: Span,
    /// How it began, as a clause: `a key was used from an address that nobody had used before`.
    pub how: String,
    /// The principal whose credential was used.
    pub principal: String,
    /// The credential.
    pub credential: String,
    /// How sure that is.
    pub confidence: Confidence,
    /// Why this is the origin, and what speaks against it.
    pub reasons: Vec<Reason>,
}

/// How sure something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// It fits, as others might.
    Low,
    /// It fits better than all else.
    Medium,
    /// Records show it directly.
    High,
}

/// A reason for or against something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Whether it speaks for it.
    pub is_for: bool,
    /// What it is.
    pub statement: Statement,
}

/// Something that stood out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lead {
    /// 0 to 100.
    pub score: f64,
    /// Whether it stands for an attack by itself, and is not only odd.
    pub is_alarm: bool,
    /// What it is about, such as a key or an address.
    pub about: String,
    /// Why.
    pub statement: Statement,
}

/// A user, role, root, service or other account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Principal {
    /// Its ARN, or `root of ACCOUNT`, or the service's name.
    pub id: String,
    /// Its short name.
    pub name: String,
    /// `user`, `role`, `root`, `federated`, `service`, `account`, `unknown`.
    pub kind: String,
    /// Its account, where known.
    pub account: Option<String>,
    /// When it was first and last seen.
    pub span: Option<Span>,
    /// Whether the intruder made it.
    pub is_made_by_intruder: bool,
    /// Whether the intruder used it.
    pub is_used_by_intruder: bool,
}

/// A key or a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Credential {
    /// The id of the key, or of the console session.
    pub id: String,
    /// `long-term`, `temporary`, `console`, `instance`, `unknown`.
    pub kind: String,
    /// The principal it is of.
    pub principal: String,
    /// The credential that made it, where known.
    pub parent: Option<String>,
    /// How it was made, with the record.
    pub made: Option<Statement>,
    /// When it was first and last used.
    pub span: Option<Span>,
    /// Acts by each hand.
    pub owner_acts: u64,
    /// See [`Self::owner_acts`].
    pub intruder_acts: u64,
    /// See [`Self::owner_acts`].
    pub unknown_acts: u64,
}

/// An address or a network that calls came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The address.
    pub address: String,
    /// When it was first and last seen.
    pub span: Option<Span>,
    /// How many calls came from there.
    pub calls: u64,
    /// Whose place it is.
    pub hand: Hand,
    /// What called from there, at most a few.
    pub agents: Vec<String>,
    /// The principals whose credentials were used from there.
    pub principals: Vec<String>,
}

/// That something made, handed out, used or changed something: an arrow of the graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Who: a principal, credential or place by its id.
    pub from: String,
    /// To what: a principal, credential or resource by its id.
    pub to: String,
    /// `created`, `issued`, `assumed`, `used`, `changed`, `launched`, …
    pub verb: String,
    /// When first and last.
    pub span: Span,
    /// How often.
    pub count: u64,
    /// Whose hand it was.
    pub hand: Hand,
    /// The records.
    pub evidence: Vec<EvidenceId>,
}

/// Something that was done, once or several times in a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Act {
    /// When first, and when last if it was repeated.
    pub span: Span,
    /// How often.
    pub count: u64,
    /// The phase of the attack: `access`, `recon`, `persistence`, `privilege`, `evasion`, `launch`, `impact`,
    /// `response`, `other`.
    pub phase: String,
    /// The service and action, or what a snapshot shows.
    pub action: String,
    /// The principal.
    pub principal: String,
    /// The credential.
    pub credential: Option<String>,
    /// Where from.
    pub place: Option<String>,
    /// What called.
    pub agent: Option<String>,
    /// The account.
    pub account: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// What it was done to, joined by commas.
    pub target: String,
    /// Why it failed; nothing if it did not.
    pub error: Option<String>,
    /// Whose hand it was.
    pub hand: Hand,
    /// The record.
    pub evidence: Option<EvidenceId>,
}

/// A thing the intruder touched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Touched {
    /// `instance`, `spot-request`, `launch-template`, `access-key`, `user`, …, as the recorder's kinds.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its account.
    pub account: Option<String>,
    /// Its region; nothing for what is global.
    pub region: Option<String>,
    /// `created`, `changed`, `used`, `deleted`, `attempted`.
    pub how: String,
    /// When first and last.
    pub span: Span,
    /// By whom.
    pub principal: String,
    /// Whether it still exists.
    pub exists: Existence,
    /// Why it would let the intruder back in; nothing if it would not.
    pub persistence: Option<String>,
    /// What else is known, such as its type.
    pub details: Vec<(String, String)>,
    /// The records.
    pub evidence: Vec<EvidenceId>,
}

/// Whether a thing still exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Existence {
    /// It did at this moment, the last that is known.
    At(Timestamp),
    /// It was gone by then.
    GoneBy(Timestamp),
    /// Nobody can say, and why.
    Unknown(String),
}

/// Something done against logs and sensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tampering {
    /// When.
    pub at: Span,
    /// What, as a clause: `the trail main was stopped`.
    pub what: String,
    /// By whom.
    pub principal: String,
    /// Whether it succeeded.
    pub has_succeeded: bool,
    /// Where it happened.
    pub region: Option<String>,
    /// From when to when the log or sensor said nothing because of it, as far as is known.
    pub gap: Option<Gap>,
    /// The records.
    pub evidence: Vec<EvidenceId>,
}

/// A stretch of time a log says nothing about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Since when.
    pub from: Timestamp,
    /// Until when; nothing if it lasts.
    pub until: Option<Timestamp>,
}

/// Whether log files are as they were delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Integrity {
    /// Pass: all that was read is proven. Fail: something was altered, moved or deleted. Unknown: neither, or
    /// nothing was checked.
    pub verdict: Verdict,
    /// Why, as a clause.
    pub why: String,
    /// What would tell more; nothing where it passed.
    pub tells: Option<String>,
    /// From the first to the last hour of a digest that was checked.
    pub span: Option<Span>,
    /// Digests that are there or ought to be.
    pub digests: Count,
    /// Log files that a digest lists, or that are there and no digest lists.
    pub log_files: Count,
    /// Digests and log files that did not pass, the worst first.
    pub faults: Vec<Outcome>,
    /// How many more there are.
    pub faults_left_out: u64,
    /// The hours that no digest covers.
    pub uncovered: Vec<Uncovered>,
    /// How many more stretches of them there are.
    pub uncovered_left_out: u64,
    /// What could not be looked at, in words.
    pub unread: Vec<String>,
}

/// Hours that no digest covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uncovered {
    /// The trail, where digests say it.
    pub trail: Option<String>,
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// Which hours, and why none does.
    pub hours: Stretch,
}

/// Whether a principal did it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Innocence {
    /// The principal.
    pub principal: String,
    /// Pass: cleared. Fail: the acts are its own. Unknown: nobody can say.
    pub verdict: Verdict,
    /// The verdict as a sentence, with what it rests on.
    pub statement: Statement,
    /// Acts in its name that are its own.
    pub own_acts: u64,
    /// Acts in its name by the intruder.
    pub others_acts: u64,
    /// Acts in its name of which nobody can say.
    pub unknown_acts: u64,
    /// What speaks for its innocence, and what against.
    pub reasons: Vec<Reason>,
}

/// What it cost. Money is in millionths of a US dollar.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The least it can have been.
    pub low_micro_usd: i64,
    /// The best guess.
    pub likely_micro_usd: i64,
    /// The most, of what has a price.
    pub high_micro_usd: i64,
    /// What it goes on costing an hour, of what still runs.
    pub burn_micro_usd_hour: i64,
    /// Whether the real cost may lie outside that range: something has no price, or a price that stands
    /// in for another, or nobody knows since when it ran.
    #[serde(default)]
    pub is_open: bool,
    /// By type, region, market and operating system.
    pub lines: Vec<CostLine>,
    /// Where the prices come from, and of when.
    pub basis: Vec<String>,
    /// What makes the real cost another one, and what has no price.
    pub caveats: Vec<Statement>,
    /// What the bill says, where one was given.
    pub billed: Option<Billed>,
    /// What ran, and when: what the cost is reckoned from.
    #[serde(default)]
    pub runs: Vec<Run>,
}

/// Machines of one type in one region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CostLine {
    /// `ec2`, or another service.
    pub service: String,
    /// The instance type, or what is paid for.
    pub item: String,
    /// The region.
    pub region: String,
    /// `on-demand`, `spot` or `unknown`.
    pub market: String,
    /// `linux`, `windows`, … or `unknown`.
    pub system: String,
    /// How many things.
    pub count: u64,
    /// How many of them still run, as far as is known.
    pub running: u64,
    /// Hours of all of them, at least, likely and at most.
    pub low_hours: f64,
    /// See [`Self::low_hours`].
    #[serde(default)]
    pub likely_hours: f64,
    /// See [`Self::low_hours`].
    pub high_hours: f64,
    /// From the first start to the last sign of any of them.
    #[serde(default)]
    pub span: Option<Span>,
    /// Millionths of a dollar an hour for each, likely; nothing where it has no price.
    pub micro_usd_hour: Option<i64>,
    /// Money, as in [`Cost`]; nothing where it has no price.
    pub low_micro_usd: Option<i64>,
    /// See [`Self::low_micro_usd`].
    pub likely_micro_usd: Option<i64>,
    /// See [`Self::low_micro_usd`].
    pub high_micro_usd: Option<i64>,
    /// As [`Cost::is_open`].
    #[serde(default)]
    pub is_open: bool,
    /// What the price rests on, as a clause.
    pub basis: String,
    /// The things' ids.
    pub ids: Vec<String>,
    /// The records.
    pub evidence: Vec<EvidenceId>,
}

/// What the bill says of the same things.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Billed {
    /// The cost of the things in this case: their usage, before credits, refunds, discounts and taxes.
    pub micro_usd: i64,
    /// From when to when the bill has lines about them.
    pub span: Option<Span>,
    /// Things the bill does not have.
    pub missing: Vec<String>,
    /// How far the estimate is from the bill, in words.
    pub statement: Statement,
    /// By kind of usage, the dearest first.
    #[serde(default)]
    pub lines: Vec<BilledLine>,
    /// Credits, refunds, discounts, taxes and fees about the same things, each as its name and millionths
    /// of a dollar.
    #[serde(default)]
    pub apart: Vec<(String, i64)>,
    /// What could not be read of it, in words.
    #[serde(default)]
    pub unread: Vec<String>,
}

/// Usage of one kind on a bill.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BilledLine {
    /// As the bill names it, such as `EUW1-SpotUsage:c5.large`.
    pub usage_type: String,
    /// The region, where the bill says it.
    pub region: String,
    /// `on-demand`, `spot` or `unknown`.
    pub market: String,
    /// `linux`, `windows`, … or `unknown`.
    pub system: String,
    /// How many things.
    pub count: u64,
    /// How much: hours of an instance, GB of traffic.
    pub amount: f64,
    /// Millionths of a dollar.
    pub micro_usd: i64,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NextStep {
    /// 1 is the most urgent.
    pub rank: u32,
    /// What, as a sentence.
    pub statement: Statement,
    /// The command that does it, where there is one.
    pub command: Option<String>,
}

/// What could not be known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unknown {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
    /// What would tell, where something would.
    pub remedy: Option<String>,
}

impl Case {
    /// Whether an intrusion was found, or there must have been one: a lead is so strong, or somebody altered,
    /// moved or deleted log files.
    pub fn is_suspicious(&self) -> bool {
        let integrity = self.integrity.as_ref().map(|it| it.verdict);
        self.span.is_some()
            || self.leads.iter().any(|lead| lead.is_alarm)
            || integrity == Some(Verdict::Fail)
    }

    /// Whether something of the logs was not read, or nothing at all was.
    pub fn is_incomplete(&self) -> bool {
        let is_empty = self.sources.iter().all(|source| source.records == 0);
        is_empty || self.sources.iter().any(|source| !source.unread.is_empty())
    }
}
