//! What an entry does to the derived tables. It reads nothing but the entry and those tables, and no
//! clock, so that the same entries always make the same tables.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use crate::record::{
    Action, Clock, Evidence, Heartbeat, IncidentOpened, OwnerStep, Record, Retention, State, Tick,
};
use crate::rows::{
    ActionRow, EvidenceRow, IncidentRow, KeyRow, NOT_DUE, NodeRow, TimelineRow, severity_rank,
};
use crate::table::json;
use crate::text::{SHOWN_BYTES, shown};
use crate::work::{Needs, Work, keys_of};

mod findings;

mod work;

pub(crate) use findings::{version, version_of};

/// How many clusters and users of an incident are kept in its row; all are in its findings.
const NAMES: usize = 32;
/// An hour, in microseconds.
const HOUR_US: i64 = 3_600_000_000;

/// A short name for texts of any length.
pub(crate) fn named(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    hex::encode(&digest.finalize()[..20])
}

impl Needs {
    /// Adds what [`Work::apply`] will look at.
    pub fn of(&mut self, record: &Record) {
        self.incidents
            .extend(record.incident().map(|incident| incident.0));
        match record {
            Record::Finding(record) => {
                self.references.insert(record.reference.clone());
                self.keys.extend(record.keys.iter().cloned());
                self.incidents.extend(record.incident.map(|i| i.0));
            }
            Record::IncidentMerged(record) => {
                self.incidents.extend([record.from.0, record.into.0]);
            }
            Record::FindingJoined(record) => {
                self.incidents.insert(record.incident.0);
                self.references.extend(record.findings.iter().cloned());
            }
            Record::Action(record) => {
                self.actions.insert(named(&[&record.plan, &record.step]));
            }
            Record::Evidence(record) => {
                self.evidence.insert(named(&[&record.location]));
            }
            Record::Access(record) => {
                self.evidence.insert(named(&[&record.location]));
            }
            Record::Heartbeat(record) => {
                self.nodes.insert(node_name(record));
            }
            Record::Plan(record) => {
                self.plans.insert(named(&[&record.plan]));
            }
            Record::Decision(record) => {
                self.plans
                    .extend(record.plan.iter().map(|plan| named(&[plan])));
            }
            Record::Job(record) => {
                self.jobs.insert(named(&[&record.job]));
                self.plans.insert(named(&[record.errand.subject()]));
            }
            // Its plan is known once the job is.
            Record::JobStep(record) => {
                self.jobs.insert(named(&[&record.job]));
            }
            Record::Blocklist(record) => {
                self.lists.insert(named(&[&record.name, &record.digest]));
            }
            Record::Retention(record) => {
                self.findings.extend(&record.findings);
                self.evidence_ids.extend(&record.evidence);
                self.incidents
                    .extend(record.remains.iter().map(|remains| remains.incident.0));
            }
            _ => {}
        }
    }
}

/// What a node is called in its table.
pub(crate) fn node_name(heartbeat: &Heartbeat) -> (String, String) {
    (
        shown(&heartbeat.reporter.cluster, SHOWN_BYTES),
        shown(&heartbeat.reporter.node, SHOWN_BYTES),
    )
}

impl Work {
    /// Does what entry `seq`, written at `at`, says.
    pub fn apply(&mut self, seq: i64, at: i64, record: &Record) {
        match record {
            Record::Finding(record) => self.finding(seq, record),
            Record::IncidentOpened(record) => self.opened(seq, at, record),
            Record::IncidentMerged(record) => {
                self.merge(record.from.0, record.into.0);
                self.tell(record.into.0, seq);
            }
            Record::FindingJoined(record) => {
                let incident = self.root(record.incident.0);
                for reference in &record.findings {
                    self.join(reference, incident);
                }
                self.tell(incident, seq);
            }
            Record::IncidentState(record) => self.state(record.incident.0, at, record.state),
            Record::Owner(record) => self.incident(record.incident.0, |row| {
                row.owner_step = record.step.as_str().to_owned();
                row.owner =
                    (record.step != OwnerStep::Declined).then(|| shown(&record.owner, SHOWN_BYTES));
            }),
            Record::Clock(record) => self.clock(record),
            Record::Plan(record) => self.plan(seq, at, record),
            Record::Cost(record) => self.incident(record.incident.0, |row| {
                row.cost_micro_usd_per_hour = Some(record.per_hour_micro_usd);
                row.cost_low_micro_usd = Some(record.low_micro_usd);
                row.cost_high_micro_usd = Some(record.high_micro_usd);
            }),
            Record::Job(record) => self.job(seq, at, record),
            Record::JobStep(record) => self.job_step(seq, at, record),
            Record::Run(record) => self.run(seq, record),
            Record::Audit(record) => self.audit(seq, record),
            Record::Blocklist(record) => self.blocklist(seq, at, record),
            Record::Action(record) => self.action(seq, at, record),
            Record::Evidence(record) => self.kept(seq, at, record),
            Record::Decision(record) => self.decision(seq, at, record),
            Record::Access(record) => {
                if let Some(row) = self.evidence.edit(&named(&[&record.location])) {
                    row.reads += 1;
                    row.latest = seq;
                    row.at = at;
                }
            }
            Record::Heartbeat(record) => self.node(seq, record),
            Record::Retention(record) => self.retention(record),
            Record::Note(_) | Record::Setting(_) => {}
        }
        if let Some(incident) = record.incident() {
            self.tell(incident.0, seq);
        }
    }

    /// Puts an entry into an incident's timeline.
    fn tell(&mut self, incident: i64, seq: i64) {
        let incident = self.root(incident);
        self.timeline.push(TimelineRow { incident, seq });
    }

    /// Changes an incident, or the one it leads to, and keeps the counter of states true.
    fn incident(&mut self, incident: i64, change: impl FnOnce(&mut IncidentRow)) {
        let incident = self.root(incident);
        let Some(row) = self.incidents.edit(&incident) else {
            return;
        };
        let before = (row.state.clone(), row.severity);
        change(row);
        let after = (row.state.clone(), row.severity);
        if before != after {
            *self.counter.entry(before).or_default() -= 1;
            *self.counter.entry(after).or_default() += 1;
        }
    }

    fn opened(&mut self, seq: i64, at: i64, record: &IncidentOpened) {
        let severity = severity_rank(record.severity);
        let state = State::Open.as_str().to_owned();
        *self.counter.entry((state.clone(), severity)).or_default() += 1;
        self.incidents.put(
            seq,
            IncidentRow {
                id: seq,
                title: shown(&record.title, SHOWN_BYTES),
                state,
                severity,
                opened: at,
                first_at: i64::MAX,
                last_at: i64::MIN,
                closed: None,
                merged_into: None,
                owner: None,
                owner_step: String::new(),
                due: NOT_DUE,
                due_why: String::new(),
                escalated: None,
                findings: 0,
                counts: "{}".to_owned(),
                clusters: "[]".to_owned(),
                users: "[]".to_owned(),
                cost_micro_usd_per_hour: None,
                cost_low_micro_usd: None,
                cost_high_micro_usd: None,
            },
        );
        self.tell(seq, seq);
    }

    fn merge(&mut self, from: i64, into: i64) {
        let (from, into) = (self.root(from), self.root(into));
        let Some(gone) = self.incidents.get(&from).cloned() else {
            return;
        };
        if from == into {
            return;
        }
        self.incident(into, |row| {
            row.severity = row.severity.max(gone.severity);
            row.first_at = row.first_at.min(gone.first_at);
            row.last_at = row.last_at.max(gone.last_at);
            row.findings += gone.findings;
            for (action, n) in counts(&gone.counts) {
                row.counts = with_count(&row.counts, &action, n);
            }
            for name in names(&gone.clusters) {
                row.clusters = with_name(&row.clusters, &name);
            }
            for name in names(&gone.users) {
                row.users = with_name(&row.users, &name);
            }
            // Whoever owned one of them owns the whole, unless it has an owner; what is due first
            // stays due.
            if row.owner.is_none() && gone.owner.is_some() {
                row.owner.clone_from(&gone.owner);
                row.owner_step.clone_from(&gone.owner_step);
            }
            if gone.due < row.due {
                row.due = gone.due;
                row.due_why.clone_from(&gone.due_why);
                row.escalated.clone_from(&gone.escalated);
            }
            row.cost_micro_usd_per_hour = row
                .cost_micro_usd_per_hour
                .max(gone.cost_micro_usd_per_hour);
            row.cost_low_micro_usd = row.cost_low_micro_usd.max(gone.cost_low_micro_usd);
            row.cost_high_micro_usd = row.cost_high_micro_usd.max(gone.cost_high_micro_usd);
        });
        self.incident(from, |row| {
            State::Merged.as_str().clone_into(&mut row.state);
            row.severity = 0;
            row.first_at = i64::MAX;
            row.last_at = i64::MIN;
            row.findings = 0;
            row.counts = "{}".to_owned();
            row.clusters = "[]".to_owned();
            row.users = "[]".to_owned();
            row.merged_into = Some(into);
        });
        self.redirect(from, into);
    }

    fn join(&mut self, reference: &String, incident: i64) {
        let Some(mut row) = self.findings.get(reference).cloned() else {
            return;
        };
        self.count(&row, -1);
        row.incident = Some(incident);
        self.count(&row, 1);
        self.findings.put(reference.clone(), row);
    }

    fn state(&mut self, incident: i64, at: i64, state: State) {
        self.incident(incident, |row| {
            state.as_str().clone_into(&mut row.state);
            row.closed = (state == State::Closed).then_some(at);
        });
    }

    fn clock(&mut self, record: &Clock) {
        self.incident(record.incident.0, |row| match &record.tick {
            Tick::Due { until, why } => {
                row.due = until.as_microsecond();
                row.due_why = shown(why, SHOWN_BYTES);
                row.escalated = None;
            }
            Tick::Met => {
                row.due = NOT_DUE;
                row.due_why = String::new();
                row.escalated = None;
            }
            Tick::Escalated { to } => row.escalated = Some(shown(to, SHOWN_BYTES)),
        });
    }

    fn action(&mut self, seq: i64, at: i64, record: &Action) {
        let reference = named(&[&record.plan, &record.step]);
        let id = self.actions.get(&reference).map_or(seq, |old| old.id);
        let row = ActionRow {
            id,
            reference: reference.clone(),
            latest: seq,
            at,
            incident: record.incident.map(|incident| self.root(incident.0)),
            plan: shown(&record.plan, SHOWN_BYTES),
            step: shown(&record.step, SHOWN_BYTES),
            what: shown(&record.what, SHOWN_BYTES),
            target: shown(&record.target, SHOWN_BYTES),
            stage: record.stage.as_str().to_owned(),
            by_whom: shown(&record.by, SHOWN_BYTES),
        };
        self.actions.put(reference, row);
    }

    fn kept(&mut self, seq: i64, at: i64, record: &Evidence) {
        let reference = named(&[&record.location]);
        let old = self.evidence.get(&reference);
        let row = EvidenceRow {
            id: old.map_or(seq, |old| old.id),
            reference: reference.clone(),
            latest: seq,
            at,
            incident: record.incident.map(|incident| self.root(incident.0)),
            what: shown(&record.what, SHOWN_BYTES),
            location: shown(&record.location, 4 * SHOWN_BYTES),
            sha256: record.sha256.as_deref().map(|sum| shown(sum, SHOWN_BYTES)),
            size_bytes: record.size_bytes,
            custody: shown(&record.custody, 4 * SHOWN_BYTES),
            reads: old.map_or(0, |old| old.reads),
        };
        self.evidence.put(reference, row);
    }

    fn node(&mut self, seq: i64, record: &Heartbeat) {
        let (cluster, node) = node_name(record);
        let row = NodeRow {
            cluster: cluster.clone(),
            node: node.clone(),
            agent: shown(&record.reporter.agent, SHOWN_BYTES),
            version: shown(&record.version, SHOWN_BYTES),
            coverage: shown(&record.coverage, 4 * SHOWN_BYTES),
            canary_caught: record.canary_caught.map(i64::from),
            lost_events: record.lost_events,
            lists: json(&record.lists),
            latest: seq,
        };
        self.nodes.put((cluster, node), row);
    }

    fn retention(&mut self, record: &Retention) {
        for id in &record.findings {
            let Some(reference) = self.references.get(id).cloned() else {
                continue;
            };
            let Some(row) = self.findings.remove(&reference) else {
                continue;
            };
            self.count(&row, -1);
            self.old_keys
                .extend(keys_of(&row).into_iter().map(|key| KeyRow {
                    key,
                    opens: row.opens,
                    at: row.at,
                    finding: row.id,
                }));
            self.gone.findings.push(*id);
        }
        let kept: Vec<String> = self
            .evidence
            .values()
            .filter(|row| record.evidence.contains(&row.id))
            .map(|row| row.reference.clone())
            .collect();
        for reference in kept {
            self.evidence.remove(&reference);
        }
        self.gone.evidence.extend(&record.evidence);
        self.gone.entries.extend(&record.entries);
        for remains in &record.remains {
            let incident = self.root(remains.incident.0);
            self.gone.incidents.push(incident);
            self.spans.drop_incident(incident);
            self.incident(incident, |row| {
                row.severity = remains.severity;
                row.first_at = remains.first_us;
                row.last_at = remains.last_us;
                row.findings = remains.counts.values().sum();
                row.counts = json(&remains.counts);
                row.clusters = json(&remains.clusters);
                row.users = json(&remains.users);
            });
        }
    }
}

pub(crate) fn counts(text: &str) -> BTreeMap<String, i64> {
    serde_json::from_str(text).unwrap_or_default()
}

pub(crate) fn names(text: &str) -> BTreeSet<String> {
    serde_json::from_str(text).unwrap_or_default()
}

fn with_count(text: &str, action: &str, n: i64) -> String {
    let mut counts = counts(text);
    *counts.entry(action.to_owned()).or_default() += n;
    counts.retain(|_, n| *n != 0);
    json(&counts)
}

fn with_name(text: &str, name: &str) -> String {
    let mut names = names(text);
    if name.is_empty() || names.contains(name) {
        return text.to_owned();
    }
    names.insert(name.to_owned());
    while names.len() > NAMES {
        names.pop_last();
    }
    json(&names)
}
