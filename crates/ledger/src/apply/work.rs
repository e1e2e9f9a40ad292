//! What plans, jobs, runs, decisions and lists do to the derived tables.

use std::collections::BTreeMap;

use davylamp_model::verdict::Verdict;

use super::named;
use crate::record::{
    Audit, Blocklist, Choice, Decision, Errand, Job, JobStage, JobStep, Plan, Run, State,
};
use crate::rows::{JobRow, ListRow, PlanRow, RiskRow, RunRow};
use crate::table::json;
use crate::text::{SHOWN_BYTES, shown};
use crate::work::Work;

/// Nobody has taken a job yet.
pub(crate) const WAITING: &str = "waiting";

impl Work {
    pub(super) fn plan(&mut self, seq: i64, at: i64, record: &Plan) {
        if let (Some(incident), Some(cost)) = (record.incident, record.cost_micro_usd_per_hour) {
            self.incident(incident.0, |row| row.cost_micro_usd_per_hour = Some(cost));
        }
        let reference = named(&[&record.plan]);
        let old = self.plans.get(&reference);
        let row = PlanRow {
            id: old.map_or(seq, |old| old.id),
            reference: reference.clone(),
            latest: seq,
            at,
            incident: match record.incident {
                Some(incident) => Some(self.root(incident.0)),
                None => old.and_then(|old| old.incident),
            },
            plan: shown(&record.plan, SHOWN_BYTES),
            summary: shown(&record.summary, SHOWN_BYTES),
            // The same plan made again is where it was.
            state: old.map_or_else(|| "proposed".to_owned(), |old| old.state.clone()),
            approved_by: old.and_then(|old| old.approved_by.clone()),
            by_whom: shown(&record.by, SHOWN_BYTES),
        };
        self.plans.put(reference, row);
    }

    pub(super) fn decision(&mut self, seq: i64, at: i64, record: &Decision) {
        match &record.choice {
            Choice::Close => {
                if let Some(incident) = record.incident {
                    self.state(incident.0, at, State::Closed);
                }
            }
            Choice::Approve => {
                let plan = record.plan.as_ref().map(|plan| named(&[plan]));
                if let Some(row) = plan.and_then(|plan| self.plans.edit(&plan)) {
                    row.approved_by = Some(shown(&record.by, SHOWN_BYTES));
                }
            }
            Choice::AcceptRisk { until } => {
                let Some(subject) = &record.subject else {
                    return;
                };
                let reference = named(&[subject]);
                let row = RiskRow {
                    reference: reference.clone(),
                    latest: seq,
                    at,
                    subject: shown(subject, 4 * SHOWN_BYTES),
                    until: until.as_microsecond(),
                    reason: shown(&record.reason, 4 * SHOWN_BYTES),
                    by_whom: shown(&record.by, SHOWN_BYTES),
                };
                self.risks.put(reference, row);
            }
            Choice::Run | Choice::Undo => {}
        }
    }

    pub(super) fn job(&mut self, seq: i64, at: i64, record: &Job) {
        let reference = named(&[&record.job]);
        let row = JobRow {
            id: seq,
            reference: reference.clone(),
            latest: seq,
            at,
            job: record.job.clone(),
            incident: record.incident.map(|incident| self.root(incident.0)),
            cluster: shown(&record.cluster, SHOWN_BYTES),
            errand: record.errand.as_str().to_owned(),
            subject: shown(record.errand.subject(), SHOWN_BYTES),
            stage: WAITING.to_owned(),
            until: 0,
            detail: String::new(),
            asked_by: shown(&record.by, SHOWN_BYTES),
            taken_by: String::new(),
        };
        self.jobs.put(reference, row);
        if let Errand::Run { plan, .. } | Errand::Undo { plan } = &record.errand {
            self.plan_is(plan, "asked");
        }
    }

    pub(super) fn job_step(&mut self, seq: i64, at: i64, record: &JobStep) {
        let Some(row) = self.jobs.edit(&named(&[&record.job])) else {
            return;
        };
        row.latest = seq;
        row.at = at;
        record.stage.as_str().clone_into(&mut row.stage);
        row.until = match record.stage {
            JobStage::Taken { until } => until.as_microsecond(),
            _ => 0,
        };
        row.detail = shown(&record.detail, 4 * SHOWN_BYTES);
        if matches!(record.stage, JobStage::Taken { .. }) {
            row.taken_by = shown(&record.by, SHOWN_BYTES);
        }
        let state = match (row.errand.as_str(), &record.stage) {
            ("run" | "undo", JobStage::Taken { .. }) => "running",
            ("run", JobStage::Done) => "done",
            ("undo", JobStage::Done) => "undone",
            ("run" | "undo", JobStage::Failed) => "failed",
            ("run" | "undo", JobStage::Withdrawn) => "proposed",
            _ => return,
        };
        let plan = row.subject.clone();
        self.plan_is(&plan, state);
    }

    fn plan_is(&mut self, plan: &str, state: &str) {
        if let Some(row) = self.plans.edit(&named(&[plan])) {
            state.clone_into(&mut row.state);
        }
    }

    pub(super) fn run(&mut self, seq: i64, record: &Run) {
        self.runs.push(RunRow {
            id: seq,
            verb: shown(&record.verb, SHOWN_BYTES),
            name: shown(&record.name, SHOWN_BYTES),
            target: shown(&record.target, SHOWN_BYTES),
            started: record.started.as_microsecond(),
            ended: record.ended.as_microsecond(),
            counts: json(&record.counts),
            error: record
                .error
                .as_deref()
                .map(|error| shown(error, 4 * SHOWN_BYTES)),
            by_whom: shown(&record.by, SHOWN_BYTES),
        });
    }

    pub(super) fn audit(&mut self, seq: i64, record: &Audit) {
        let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
        for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Unknown] {
            counts.insert(verdict.as_str(), 0);
        }
        for outcome in &record.outcomes {
            *counts.entry(outcome.verdict.as_str()).or_default() += 1;
        }
        self.runs.push(RunRow {
            id: seq,
            verb: "audit".to_owned(),
            name: shown(&record.name, SHOWN_BYTES),
            target: shown(&record.target, SHOWN_BYTES),
            started: record.started.as_microsecond(),
            ended: record.ended.as_microsecond(),
            counts: json(&counts),
            error: None,
            by_whom: shown(&record.by, SHOWN_BYTES),
        });
    }

    pub(super) fn blocklist(&mut self, seq: i64, at: i64, record: &Blocklist) {
        let reference = named(&[&record.name, &record.digest]);
        let row = ListRow {
            first_at: self.lists.get(&reference).map_or(at, |old| old.first_at),
            reference: reference.clone(),
            latest: seq,
            at,
            name: shown(&record.name, SHOWN_BYTES),
            digest: shown(&record.digest, SHOWN_BYTES),
            rollout: record.rollout.as_str().to_owned(),
            strings: record.strings,
            note: shown(&record.note, 4 * SHOWN_BYTES),
            by_whom: shown(&record.by, SHOWN_BYTES),
        };
        self.lists.put(reference, row);
    }
}
