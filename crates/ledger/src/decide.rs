//! From what is delivered to entries: what is new, what it belongs to, what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::finding::Finding;
use davylamp_model::resource::Resource;
use jiff::Timestamp;

use crate::apply::{named, node_name, version, version_of};
use crate::chain::{Entry, Head};
use crate::error::LedgerError;
use crate::keys;
use crate::record::{
    BY_LEDGER, Choice, FindingJoined, FindingRecord, Heartbeat, IncidentMerged, IncidentNo,
    IncidentOpened, IncidentState, JobStage, JobStep, Record, Reported, State,
};
use crate::rows::{FindingRow, NodeRow};
use crate::table::json;
use crate::text::{SHOWN_BYTES, shown};
use crate::work::{Needs, Work, keys_of};

mod clocks;

pub use clocks::{CONTAIN, Clocks, OWN};

/// Something that is delivered to the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A finding.
    Finding(Box<Reported>),
    /// A node says that it is there.
    Heartbeat(Heartbeat),
    /// Anything else.
    Record(Box<Record>),
    /// The same from somebody who may send it again: under one id it is written once.
    Once {
        /// What tells it from everything else that is sent.
        id: String,
        /// It.
        record: Box<Record>,
    },
}

/// What came of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Receipt {
    /// The first entry that was written; none where nothing was new.
    pub first: Option<i64>,
    /// The last one.
    pub last: Option<i64>,
    /// Findings that were not known.
    pub new: u64,
    /// Findings of which something was new.
    pub updated: u64,
    /// What was known already, word for word.
    pub unchanged: u64,
    /// The incidents that were opened and still stand.
    pub opened: Vec<IncidentNo>,
    /// The incidents that became part of others.
    pub merged: Vec<IncidentNo>,
}

/// Writes the entries of one batch.
pub(crate) struct Writer<'a> {
    pub work: &'a mut Work,
    pub head: Head,
    pub entries: Vec<Entry>,
    pub receipt: Receipt,
    /// Incidents that were opened again or got worse.
    stirred: Vec<i64>,
    now_us: i64,
    within_secs: i64,
}

/// Adds what deciding about `inputs` has to look at.
pub(crate) fn needs(inputs: &[Input]) -> Needs {
    let mut needs = Needs::default();
    for input in inputs {
        match input {
            Input::Finding(reported) => {
                needs
                    .references
                    .insert(keys::reference(&reported.finding, &reported.reporter));
                needs.keys.extend(keys::keys(reported));
            }
            Input::Heartbeat(heartbeat) => {
                needs.nodes.insert(node_name(heartbeat));
            }
            Input::Record(record) | Input::Once { record, .. } => needs.of(record),
        }
    }
    needs
}

impl<'a> Writer<'a> {
    pub fn new(work: &'a mut Work, head: Head, now: Timestamp, within_secs: i64) -> Self {
        Self {
            work,
            head,
            entries: Vec::new(),
            receipt: Receipt::default(),
            stirred: Vec::new(),
            now_us: now.as_microsecond(),
            within_secs,
        }
    }

    /// Writes an entry, and does what it says.
    pub fn write(&mut self, record: &Record) -> i64 {
        let entry = Entry::after(&self.head, self.now_us, record.kind(), json(record));
        self.head = entry.head();
        let seq = entry.seq;
        self.entries.push(entry);
        self.work.apply(seq, self.now_us, record);
        self.receipt.first.get_or_insert(seq);
        self.receipt.last = Some(seq);
        seq
    }

    /// Takes one delivered thing.
    pub fn take(&mut self, input: &Input) -> Result<(), LedgerError> {
        match input {
            Input::Finding(reported) => self.finding(reported),
            Input::Heartbeat(heartbeat) => self.heartbeat(heartbeat),
            Input::Record(record) | Input::Once { record, .. } => return self.record(record),
        }
        Ok(())
    }

    fn record(&mut self, record: &Record) -> Result<(), LedgerError> {
        let own = matches!(
            record,
            Record::Finding(_)
                | Record::IncidentOpened(_)
                | Record::IncidentMerged(_)
                | Record::FindingJoined(_)
                | Record::Heartbeat(_)
                | Record::Retention(_)
        ) || matches!(record, Record::IncidentState(state) if state.state == State::Merged);
        if own {
            return Err(LedgerError::NotForCallers {
                kind: record.kind(),
            });
        }
        if let Some(incident) = record.incident()
            && self.work.incidents.get(&incident.0).is_none()
        {
            return Err(LedgerError::NoSuchIncident { incident });
        }
        let unreasoned = match record {
            Record::IncidentState(state) => {
                state.state == State::Closed && state.reason.trim().is_empty()
            }
            Record::Decision(decision) => {
                matches!(decision.choice, Choice::Close | Choice::AcceptRisk { .. })
                    && decision.reason.trim().is_empty()
            }
            _ => false,
        };
        if unreasoned {
            return Err(LedgerError::NoReason);
        }
        match record {
            Record::Job(job) if self.work.jobs.get(&named(&[&job.job])).is_some() => {
                self.receipt.unchanged += 1;
                return Ok(());
            }
            Record::JobStep(step) if !self.may_step(step)? => {
                self.receipt.unchanged += 1;
                return Ok(());
            }
            _ => {}
        }
        // Plans and settings carry what somebody else wrote; what cannot be read again would stop a rebuild.
        if let Err(error) = serde_json::from_str::<Record>(&json(record)) {
            return Err(LedgerError::NotStorable {
                kind: record.kind(),
                why: error.to_string(),
            });
        }
        self.write(record);
        Ok(())
    }

    /// Whether a job's step is new; who may not take it is told.
    fn may_step(&self, step: &JobStep) -> Result<bool, LedgerError> {
        let refused = |why: &str| LedgerError::Job {
            job: step.job.clone(),
            why: why.to_owned(),
        };
        let Some(row) = self.work.jobs.get(&named(&[&step.job])) else {
            return Err(refused("there is none of that id"));
        };
        let is_over = matches!(row.stage.as_str(), "done" | "failed" | "withdrawn");
        if row.stage == step.stage.as_str() && is_over {
            return Ok(false);
        }
        if is_over {
            return Err(refused(&format!("it is {} already", row.stage)));
        }
        let is_held = row.stage == "taken" && row.until > self.now_us;
        let is_theirs = row.stage == "taken" && row.taken_by == shown(&step.by, SHOWN_BYTES);
        match step.stage {
            JobStage::Withdrawn if is_held => Err(refused("a worker is at it")),
            JobStage::Taken { .. } if is_held && !is_theirs => {
                Err(refused(&format!("{} is at it", row.taken_by)))
            }
            // Who had it may end it late, where no other has it by then.
            JobStage::Done | JobStage::Failed if !is_theirs => Err(refused(&match is_held {
                true => format!("{} is at it", row.taken_by),
                false => "you have not taken it".to_owned(),
            })),
            _ => Ok(true),
        }
    }

    fn heartbeat(&mut self, heartbeat: &Heartbeat) {
        let known = self.work.nodes.get(&node_name(heartbeat));
        if known.is_some_and(|row| !says_something_new(row, heartbeat)) {
            self.receipt.unchanged += 1;
            return;
        }
        self.write(&Record::Heartbeat(heartbeat.clone()));
    }

    fn finding(&mut self, reported: &Reported) {
        let reference = keys::reference(&reported.finding, &reported.reporter);
        let old = self.work.findings.get(&reference).cloned();
        let (from_us, to_us) = self.times(&reported.finding, old.as_ref());
        let mut record = FindingRecord {
            reference: reference.clone(),
            incident: None,
            opens: reported.taken.opens() && !reported.finding.sample,
            keys: keys::keys(reported),
            from_us,
            to_us,
            within_secs: self.within_secs,
            reporter: reported.reporter.clone(),
            taken: reported.taken,
            finding: reported.finding.clone(),
            line: reported.line.clone(),
        };
        match &old {
            None => self.receipt.new += 1,
            Some(old) if is_new(old, &record) => self.receipt.updated += 1,
            Some(_) => {
                self.receipt.unchanged += 1;
                return;
            }
        }
        record.incident = self.incident_of(&record, old.as_ref());
        let incident = record.incident;
        let severity = |writer: &Self| {
            let row = writer.work.incidents.get(&incident?.0);
            row.map(|row| row.severity)
        };
        let before = severity(self);
        self.write(&Record::Finding(Box::new(record)));
        if severity(self) > before {
            self.stirred.extend(incident.map(|incident| incident.0));
        }
    }

    /// When a finding was seen; where it does not say, when it came here first.
    fn times(&self, finding: &Finding, old: Option<&FindingRow>) -> (i64, i64) {
        let first = finding.first_seen.map(Timestamp::as_microsecond);
        let last = finding.last_seen.map(Timestamp::as_microsecond);
        match (first, last, old) {
            (Some(first), Some(last), _) => (first.min(last), first.max(last)),
            (Some(only), None, _) | (None, Some(only), _) => (only, only),
            (None, None, Some(old)) => (old.first_at, old.at),
            (None, None, None) => (self.now_us, self.now_us),
        }
    }

    /// The incident of a finding: opened, merged or opened again where that follows from it.
    fn incident_of(
        &mut self,
        record: &FindingRecord,
        old: Option<&FindingRow>,
    ) -> Option<IncidentNo> {
        // What was once said of it still holds.
        let mut keys: BTreeSet<String> = record.keys.iter().cloned().collect();
        let (mut from, mut to, mut opens) = (record.from_us, record.to_us, record.opens);
        if let Some(old) = old {
            keys.extend(keys_of(old));
            from = from.min(old.first_at);
            to = to.max(old.at);
            opens |= old.opens == 1;
        }
        let keys: Vec<String> = keys.into_iter().collect();
        let within = record.within_secs.saturating_mul(1_000_000);
        if !opens {
            return self.work.spans.choose(&keys, to, within).map(IncidentNo);
        }
        let mut found = self.work.spans.incidents(&keys, from, to, within);
        if let Some(own) = old
            .filter(|old| old.opens == 1)
            .and_then(|old| old.incident)
        {
            found.push(own);
            found.sort_unstable();
            found.dedup();
        }
        let Some((&into, others)) = found.split_first() else {
            let opened = IncidentNo(self.write(&Record::IncidentOpened(IncidentOpened {
                title: title(&record.finding),
                severity: record.finding.severity,
                finding: record.reference.clone(),
            })));
            self.receipt.opened.push(opened);
            return Some(opened);
        };
        for from in others {
            self.write(&Record::IncidentMerged(IncidentMerged {
                from: IncidentNo(*from),
                into: IncidentNo(into),
                finding: record.reference.clone(),
            }));
            self.receipt.opened.retain(|opened| opened.0 != *from);
            self.receipt.merged.push(IncidentNo(*from));
        }
        let closed = self
            .work
            .incidents
            .get(&into)
            .is_some_and(|row| row.state == State::Closed.as_str());
        // That its source has archived a finding, or sees it otherwise now, is nothing that happened.
        let happened = old.is_none_or(|old| (record.to_us, count(record)) > (old.at, old.count));
        if closed && happened {
            self.write(&Record::IncidentState(IncidentState {
                incident: IncidentNo(into),
                state: State::Open,
                reason: format!("a finding came in: {}", record.finding.title),
                by: BY_LEDGER.to_owned(),
            }));
            self.stirred.push(into);
        }
        Some(IncidentNo(into))
    }

    /// Adds findings that open nothing to the incidents that have come near to them.
    pub fn rejoin(&mut self, references: &BTreeSet<String>, within_secs: i64) {
        let within = within_secs.saturating_mul(1_000_000);
        let mut joined: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for reference in references {
            let Some(row) = self.work.findings.get(reference) else {
                continue;
            };
            if row.opens == 1 {
                continue;
            }
            let chosen = self.work.spans.choose(&keys_of(row), row.at, within);
            if let Some(chosen) = chosen
                && row.incident != Some(chosen)
            {
                joined.entry(chosen).or_default().push(reference.clone());
            }
        }
        for (incident, findings) in joined {
            self.write(&Record::FindingJoined(FindingJoined {
                incident: IncidentNo(incident),
                findings,
            }));
        }
    }
}

/// What an incident is about that a finding opens. Findings of one kind have one title: what matched tells
/// them apart, and where nobody is named, what it happened to.
fn title(finding: &Finding) -> String {
    let mut title = finding.title.clone();
    let mut add = |link: &str, value: &str| {
        if !value.is_empty() && !title.contains(value) {
            title.push_str(link);
            title.push_str(value);
        }
    };
    let observed = &finding.observed;
    if let Some(matched) = observed.iter().find(|seen| seen.what == "matched") {
        add(": ", &matched.value);
    }
    let is_named = |resource: &&Resource| matches!(resource, Resource::HubUser { .. });
    if !finding.resources.iter().any(|resource| is_named(&resource)) {
        for resource in &finding.resources {
            match resource {
                Resource::Workload {
                    namespace, name, ..
                } => add(" in ", &format!("{namespace}/{name}")),
                Resource::Instance { id } => add(" on ", id.as_str()),
                _ => {}
            }
        }
    }
    title
}

fn count(record: &FindingRecord) -> i64 {
    i64::try_from(record.finding.count).unwrap_or(i64::MAX)
}

fn is_new(old: &FindingRow, record: &FindingRecord) -> bool {
    let known: BTreeSet<String> = keys_of(old).into_iter().collect();
    version(record) > version_of(old)
        || record.from_us < old.first_at
        || record.opens && old.opens == 0
        || record.keys.iter().any(|key| !known.contains(key))
}

fn says_something_new(row: &NodeRow, heartbeat: &Heartbeat) -> bool {
    let mut work = Work::new(crate::table::Dialect::Sqlite);
    work.apply(row.latest, 0, &Record::Heartbeat(heartbeat.clone()));
    work.nodes.get(&node_name(heartbeat)) != Some(row)
}

/// A short name for the key of a batch, which is as long as its sender likes.
pub(crate) fn batch_name(key: &str) -> String {
    named(&["batch", key])
}

/// The same for a record that is written once.
pub(crate) fn once_name(id: &str) -> String {
    named(&["once", id])
}
