//! From an entry of the ledger to what people may want to hear of.
//!
//! What must stay true: the same entry always gives the same happenings with the same ids, so that two who
//! read it tell of it once.

use davylamp_ledger::record::{
    Choice, Decision, Heartbeat, IncidentState, Owner, OwnerStep, Plan, Stage, State, Tick,
};
use davylamp_ledger::rows::severity_rank;
use davylamp_ledger::{Entry, Record};
use davylamp_model::finding::Severity;
use serde::{Deserialize, Serialize};

use super::What;
use crate::clocks::ADMINS;

/// An hour, in microseconds: a node that loses events is told of as often.
const HOUR_US: i64 = 3_600_000_000;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Happening {
    /// What tells it from everything else.
    pub id: String,
    /// The entry, where there is one.
    pub seq: i64,
    /// When, in microseconds.
    pub at: i64,
    pub what: What,
    pub incident: Option<i64>,
    /// How bad, where it says so itself; else as its incident.
    pub severity: Option<i64>,
    /// The cluster of a node; an incident's are its own.
    pub cluster: Option<String>,
    /// In words, on one line.
    pub said: String,
    /// Whom it concerns beside the owner.
    pub people: Vec<String>,
    /// Whether it concerns them alone.
    pub only_them: bool,
}

impl Happening {
    pub fn of_incident(id: String, what: What, incident: i64, at: i64, said: String) -> Self {
        Self {
            id,
            seq: 0,
            at,
            what,
            incident: Some(incident),
            severity: None,
            cluster: None,
            said,
            people: Vec::new(),
            only_them: false,
        }
    }

    /// What belongs together: an incident, or a node.
    pub fn group(&self) -> String {
        match (self.incident, &self.cluster) {
            (Some(incident), _) => format!("incident/{incident}"),
            (None, Some(cluster)) => format!("nodes/{cluster}"),
            (None, None) => String::new(),
        }
    }
}

/// The part of a finding that is looked at. In a storm there are thousands a second.
#[derive(Debug, Deserialize)]
pub(super) struct Seen {
    pub reference: String,
    pub incident: Option<i64>,
    pub opens: bool,
    pub taken: davylamp_ledger::Taken,
    pub finding: SeenFinding,
}

#[derive(Debug, Deserialize)]
pub(super) struct SeenFinding {
    pub title: String,
    pub severity: Severity,
    #[serde(default)]
    pub sample: bool,
}

/// A finding's entry, in part. `None` for others, and for what was removed.
pub(super) fn seen(entry: &Entry) -> Option<Seen> {
    let body = entry.body.as_deref().filter(|_| entry.kind == "finding")?;
    serde_json::from_str(body).ok()
}

/// That a kill was missed.
pub(super) fn missed(entry: &Entry, seen: &Seen) -> Option<Happening> {
    let is_missed = seen.taken == davylamp_ledger::Taken::Missed && !seen.finding.sample;
    is_missed.then(|| Happening {
        // A later state of the same finding is the same miss.
        id: format!("missed/{}", seen.reference),
        seq: entry.seq,
        at: entry.at_us,
        what: What::MissedKill,
        incident: seen.incident,
        severity: Some(severity_rank(seen.finding.severity)),
        cluster: None,
        said: seen.finding.title.clone(),
        people: Vec::new(),
        only_them: false,
    })
}

/// What any other entry says that people may want to hear of.
pub(super) fn happening(entry: &Entry) -> Option<Happening> {
    let interesting = [
        "incident-opened",
        "incident-state",
        "owner",
        "clock",
        "plan",
        "action",
        "decision",
        "heartbeat",
    ];
    if !interesting.contains(&entry.kind.as_str()) {
        return None;
    }
    let record: Record = serde_json::from_str(entry.body.as_deref()?).ok()?;
    let by_entry = |what, incident, said| {
        let id = format!("entry/{}", entry.seq);
        let happening = Happening::of_incident(id, what, incident, entry.at_us, said);
        Some(Happening {
            seq: entry.seq,
            ..happening
        })
    };
    match record {
        Record::IncidentOpened(record) => {
            let mut happening = by_entry(What::Opened, entry.seq, record.title)?;
            happening.severity = Some(severity_rank(record.severity));
            Some(happening)
        }
        Record::IncidentState(record) => {
            let what = match record.state {
                State::Open => What::Reopened,
                State::Contained => What::Contained,
                State::Closed => What::Closed,
                State::Eradicated | State::Recovered | State::Merged => return None,
            };
            by_entry(what, record.incident.0, state(&record))
        }
        Record::Decision(Decision {
            incident: Some(incident),
            choice: Choice::Close,
            reason,
            by,
            ..
        }) => by_entry(
            What::Closed,
            incident.0,
            format!("{by} closed it: {reason}"),
        ),
        Record::Owner(record) => {
            let what = match record.step {
                OwnerStep::Delegated => What::Delegated,
                _ => What::Owner,
            };
            let mut happening = by_entry(what, record.incident.0, owner(&record))?;
            happening.only_them = what == What::Delegated;
            if record.step != OwnerStep::Accepted {
                happening.people.push(record.owner);
            }
            Some(happening)
        }
        Record::Clock(record) => match record.tick {
            Tick::Escalated { to } => {
                let said = format!("the clock ran out, and {to} is told");
                let mut happening = by_entry(What::Escalated, record.incident.0, said)?;
                // Nobody of that name is reached: the routes are.
                happening.people.extend((to != ADMINS).then_some(to));
                Some(happening)
            }
            Tick::Due { .. } | Tick::Met => None,
        },
        Record::Plan(record) if waits(&record) => {
            let incident = record.incident?.0;
            let said = format!("{} planned: {}", record.by, record.summary);
            let mut happening = by_entry(What::Approval, incident, said)?;
            happening.id = format!("approval/{}", record.plan);
            Some(happening)
        }
        Record::Action(record) if record.stage == Stage::Failed && keeps_evidence(&record.what) => {
            let said = format!("{} {}: {}", record.what, record.target, record.detail);
            by_entry(What::EvidenceFailed, record.incident?.0, said)
        }
        Record::Heartbeat(record) if record.lost_events > 0 => Some(losing(entry, record)),
        _ => None,
    }
}

fn state(record: &IncidentState) -> String {
    let said = format!("{}, says {}", record.state.as_str(), record.by);
    match record.reason.trim() {
        "" => said,
        reason => format!("{said}: {reason}"),
    }
}

fn owner(record: &Owner) -> String {
    let Owner { owner, by, .. } = record;
    match record.step {
        OwnerStep::Assigned => format!("{by} assigned it to {owner}"),
        OwnerStep::Accepted => format!("{owner} owns it"),
        OwnerStep::Declined => format!("{owner} declined it: it has no owner"),
        OwnerStep::Delegated => format!("{by} handed it on to {owner}, who has to accept it"),
    }
}

/// Whether a step of a plan waits for a person, as plans write it.
fn waits(plan: &Plan) -> bool {
    let steps = plan.text.get("steps").and_then(|steps| steps.as_array());
    let asks = |step: &serde_json::Value| step.get("approval").is_some_and(|it| !it.is_null());
    steps.is_some_and(|steps| steps.iter().any(asks))
}

fn keeps_evidence(action: &str) -> bool {
    ["evidence", "snapshot", "capture", "memory"]
        .iter()
        .any(|word| action.contains(word))
}

fn losing(entry: &Entry, record: Heartbeat) -> Happening {
    let (cluster, node) = (record.reporter.cluster, record.reporter.node);
    let hour = entry.at_us.div_euclid(HOUR_US);
    Happening {
        id: format!("losing/{cluster}/{node}/{hour}"),
        seq: entry.seq,
        at: entry.at_us,
        what: What::NodeLosing,
        incident: None,
        severity: Some(severity_rank(Severity::High)),
        said: format!(
            "{node} has lost {} events since its agent started",
            record.lost_events
        ),
        cluster: Some(cluster),
        people: Vec::new(),
        only_them: false,
    }
}
