//! What an entry says: one struct for each kind, as it is stored.
//!
//! What must stay true: a stored body is read by every later version, so members are only ever added,
//! with a default. Decisions that the ledger takes itself (which incident a finding belongs to) stand
//! in the record, so that a rebuild repeats them and does not take them again.

use std::collections::BTreeMap;
use std::fmt;

use davylamp_model::finding::{Finding, Severity};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An incident's number: the number of the entry that opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentNo(pub i64);

impl fmt::Display for IncidentNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What was done about a finding where it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Taken {
    /// The process was killed.
    Killed,
    /// It matched and was left alone on purpose.
    Spared,
    /// It was stopped, and a later line decides.
    Held,
    /// It would have been killed, and the guard only observes.
    WouldKill,
    /// It should have been killed and was not.
    Missed,
    /// A person should look at it.
    Alerted,
    /// It was frozen for evidence.
    Frozen,
    /// Told by somebody who does nothing about it, such as GuardDuty.
    Reported,
}

impl Taken {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Killed,
        Self::Spared,
        Self::Held,
        Self::WouldKill,
        Self::Missed,
        Self::Alerted,
        Self::Frozen,
        Self::Reported,
    ];

    /// Its name, as in its stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Spared => "spared",
            Self::Held => "held",
            Self::WouldKill => "would-kill",
            Self::Missed => "missed",
            Self::Alerted => "alerted",
            Self::Frozen => "frozen",
            Self::Reported => "reported",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|taken| taken.as_str() == name)
    }

    /// Whether a finding of this kind opens an incident. What was spared or only held does not.
    pub fn opens(self) -> bool {
        !matches!(self, Self::Spared | Self::Held)
    }
}

/// Who reported a finding.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Reporter {
    /// The cluster or fleet, by the name the console gave it; empty where there is none.
    pub cluster: String,
    /// The node it was seen on; empty where it was seen on none.
    #[serde(default)]
    pub node: String,
    /// The agent's name.
    #[serde(default)]
    pub agent: String,
}

/// A finding on its way into the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// The finding.
    pub finding: Finding,
    /// Who reported it.
    pub reporter: Reporter,
    /// What was done about it.
    pub taken: Taken,
    /// The line it came as, unaltered.
    pub line: Option<String>,
}

/// A finding, or a later state of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingRecord {
    /// What tells it from every other finding: see [`crate::keys::reference`].
    pub reference: String,
    /// The incident it belongs to now.
    pub incident: Option<IncidentNo>,
    /// Whether it opens incidents and joins them together.
    pub opens: bool,
    /// What links it to others, in order.
    pub keys: Vec<String>,
    /// When it was first seen, in microseconds; where the finding does not say, when it arrived.
    pub from_us: i64,
    /// When it was last seen, alike.
    pub to_us: i64,
    /// How near in time findings have to be to be linked.
    pub within_secs: i64,
    /// Who reported it.
    pub reporter: Reporter,
    /// What was done about it.
    pub taken: Taken,
    /// The finding.
    pub finding: Finding,
    /// The line it came as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
}

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

/// Findings that open nothing now belong to an incident, because it has come near to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingJoined {
    /// The incident.
    pub incident: IncidentNo,
    /// Their references.
    pub findings: Vec<String>,
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
}

/// A hunt or an audit ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// `hunt` or `audit`.
    pub verb: String,
    /// Which one.
    pub name: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// What was counted: read, matched, unreadable, unknown.
    pub counts: BTreeMap<String, i64>,
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
    /// A hunt or an audit.
    Run(Run),
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
            _ => None,
        }
    }
}
