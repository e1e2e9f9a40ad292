//! What the entries of an incident amount to: which plan holds, what is done, what is left.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::finding::Finding;
use davylamp_model::ids::FindingId;
use davylamp_plan::action::Action;
use davylamp_plan::plan::{Plan, StepId};
use davylamp_plan::policy::Approvals;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{Entry, Event};

/// Who takes back what only served the investigation.
pub const RELEASE_TIMER: &str = "release timer";

/// Where a step stands under the plan that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum StepState {
    /// It was about to be taken when the journal ends: its effect may or may not be there.
    Intended,
    /// It is done and verified.
    Succeeded {
        /// How it is.
        note: String,
        /// Whether it was so before we came.
        already: bool,
    },
    /// It failed.
    Failed {
        /// Why.
        why: String,
        /// Whether another run may succeed.
        again: bool,
    },
    /// It was not taken.
    Withheld {
        /// Why.
        why: String,
    },
    /// It was taken, and waits for something outside.
    Waiting {
        /// For what.
        what: String,
    },
    /// It was taken back. It is not taken again under the same plan: somebody wanted it so.
    Undone {
        /// By whom.
        by: String,
        /// Why there was nothing left of it to take back, where that is so.
        #[serde(skip_serializing_if = "Option::is_none")]
        gone: Option<String>,
    },
    /// The rest was taken back, and this stays because it is meant to. It is not taken again under
    /// the same plan either.
    Kept {
        /// Who took the rest back.
        by: String,
        /// Why it stays.
        why: String,
        /// Whether it was done then: what was only begun is no evidence yet.
        done: bool,
    },
}

impl StepState {
    /// Whether nothing more is done about the step under the plan that holds.
    pub fn is_settled(&self) -> bool {
        matches!(
            self,
            Self::Succeeded { .. }
                | Self::Undone { .. }
                | Self::Kept { .. }
                | Self::Failed { again: false, .. }
        )
    }

    /// Whether it failed and no run tries it again by itself.
    pub fn has_failed_for_good(&self) -> bool {
        matches!(self, Self::Failed { again: false, .. })
    }

    /// Whether what the step is for is so.
    fn is_there(&self) -> bool {
        matches!(self, Self::Succeeded { .. } | Self::Kept { done: true, .. })
    }

    /// Whether something was done, or may have been.
    fn is_taken(&self) -> bool {
        match self {
            Self::Intended
            | Self::Succeeded { already: false, .. }
            | Self::Waiting { .. }
            | Self::Undone { .. }
            | Self::Kept { .. }
            // What came of one that failed is not known.
            | Self::Failed { .. } => true,
            Self::Succeeded { already: true, .. } | Self::Withheld { .. } => false,
        }
    }
}

/// What an incident's entries amount to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    /// The findings that were added.
    pub findings: BTreeMap<FindingId, Finding>,
    /// Those that a plan was made for.
    pub answered: BTreeSet<FindingId>,
    /// The plans, the one that holds last.
    pub plans: Vec<Plan>,
    /// Where each step that was touched stands under the plan that holds.
    pub steps: BTreeMap<StepId, StepState>,
    /// Where steps stood that earlier plans took and that the plan that holds does not name.
    pub earlier: BTreeMap<StepId, StepState>,
    /// What was there before each step that was begun and not taken back, by the first that saw
    /// it: a second look would see what we did ourselves.
    pub before: BTreeMap<StepId, Value>,
    /// Those steps in the order in which they were begun.
    pub begun: Vec<StepId>,
    /// When a step that waits or failed began to do so, for its patience.
    pub since: BTreeMap<StepId, Timestamp>,
    /// What persons said yes to.
    pub approvals: Vec<Approvals>,
    /// The notices that went out, with their channels.
    pub notified: BTreeSet<(String, String)>,
    /// The channels that did not take the last notice, with why.
    pub untold: BTreeMap<String, String>,
    /// Steps whose release has come and that stay all the same, with why.
    pub unreleased: BTreeMap<StepId, String>,
    /// When nothing was left to do under the plan that holds.
    pub finished_at: Option<Timestamp>,
    /// Since when plans were made without something that may be read later.
    pub unread_since: Option<Timestamp>,
    /// Whether that is not waited for any more because it took too long.
    pub given_up_reading: bool,
    /// The person who last took back what was done, where nobody has gone on since.
    pub taken_back_by: Option<String>,
    /// When the first entry was written.
    pub opened_at: Option<Timestamp>,
}

/// Whether an action makes something new each time a plan asks for it.
fn creates(action: &Action) -> bool {
    matches!(
        action,
        Action::SnapshotInstance { .. }
            | Action::SnapshotVolume { .. }
            | Action::CaptureMemory { .. }
    )
}

impl History {
    /// Reads the entries in their order.
    pub fn of(entries: &[Entry]) -> Self {
        let mut history = Self::default();
        for entry in entries {
            history.add(entry);
        }
        history
    }

    /// Adds one entry.
    pub fn add(&mut self, entry: &Entry) {
        self.opened_at.get_or_insert(entry.at);
        match &entry.event {
            Event::Found { finding } => {
                // One that says more than before asks for a plan again.
                self.answered.remove(&finding.id);
                self.findings
                    .insert(finding.id.clone(), (**finding).clone());
            }
            Event::Planned { plan } => {
                self.plans.push((**plan).clone());
                self.answered.extend(self.findings.keys().cloned());
                self.answered.extend(plan.findings.iter().cloned());
                // What creates something looks anew under another plan: by the first look an old
                // snapshot would count as the new one.
                self.before.retain(|id, _| {
                    let step = plan.step(id);
                    !step.is_some_and(|step| creates(&step.action))
                });
                let taken = std::mem::take(&mut self.steps).into_iter();
                self.earlier
                    .extend(taken.filter(|(_, state)| state.is_taken()));
                self.earlier.retain(|id, _| plan.step(id).is_none());
                self.since.clear();
                self.finished_at = None;
                // One that is made again and is still not whole waits since the first.
                self.unread_since = match plan.again {
                    true => self.unread_since.or(Some(entry.at)),
                    false => None,
                };
                self.given_up_reading = false;
                self.taken_back_by = None;
            }
            Event::Intended { step, before, .. } => {
                if !self.before.contains_key(step) {
                    self.before.insert(step.clone(), before.clone());
                    // What creates something is looked at anew by each plan, and was begun once.
                    self.begun.retain(|begun| begun != step);
                    self.begun.push(step.clone());
                }
                self.since.entry(step.clone()).or_insert(entry.at);
                self.steps.insert(step.clone(), StepState::Intended);
            }
            Event::Succeeded {
                step,
                note,
                already,
            } => {
                let (note, already) = (note.clone(), *already);
                self.steps
                    .insert(step.clone(), StepState::Succeeded { note, already });
            }
            Event::Failed { step, why, again } => {
                let (why, again) = (why.clone(), *again);
                self.steps
                    .insert(step.clone(), StepState::Failed { why, again });
            }
            Event::Withheld { step, why } => {
                self.steps
                    .insert(step.clone(), StepState::Withheld { why: why.clone() });
            }
            Event::Waiting { step, what } => {
                let what = what.clone();
                self.since.entry(step.clone()).or_insert(entry.at);
                self.steps.insert(step.clone(), StepState::Waiting { what });
            }
            Event::Approved { approvals } => {
                self.approvals.push(approvals.clone());
                self.goes_on();
            }
            Event::Retried { .. } => self.goes_on(),
            Event::Undone { step, by, gone } => {
                self.before.remove(step);
                self.begun.retain(|begun| begun != step);
                self.unreleased.remove(step);
                let (by, gone) = (by.clone(), gone.clone());
                self.took_back(&by);
                self.stands(step, StepState::Undone { by, gone });
            }
            Event::Kept { step, by } => {
                let (by, why) = (by.clone(), self.stays_because(step).to_owned());
                let done = self.state(step).is_some_and(StepState::is_there);
                self.took_back(&by);
                self.stands(step, StepState::Kept { by, why, done });
            }
            Event::Notified { notice, channel } => {
                self.untold.remove(channel);
                self.notified.insert((notice.clone(), channel.clone()));
            }
            Event::Untold { channel, why } => {
                self.untold.insert(channel.clone(), why.clone());
            }
            Event::Unreleased { step, why } => {
                self.unreleased.insert(step.clone(), why.clone());
            }
            Event::Read { given_up } => {
                self.unread_since = None;
                self.given_up_reading = *given_up;
            }
            Event::Finished => {
                self.finished_at = Some(entry.at);
                self.unread_since = None;
            }
        }
    }

    /// The plan that holds.
    pub fn plan(&self) -> Option<&Plan> {
        self.plans.last()
    }

    /// The last plan that names a step, to take back what an earlier plan did.
    pub fn plan_with(&self, step: &StepId) -> Option<&Plan> {
        self.plans
            .iter()
            .rev()
            .find(|plan| plan.step(step).is_some())
    }

    /// Where a step stands, under the plan that holds or an earlier one.
    pub fn state(&self, step: &StepId) -> Option<&StepState> {
        self.steps.get(step).or_else(|| self.earlier.get(step))
    }

    /// The steps that have succeeded under the plan that holds.
    pub fn succeeded(&self) -> BTreeSet<StepId> {
        self.steps
            .iter()
            .filter(|(_, state)| matches!(state, StepState::Succeeded { .. }))
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// The steps that others need not wait for any more: those that have succeeded, and what of them
    /// was kept when the rest was taken back.
    pub fn satisfied(&self) -> BTreeSet<StepId> {
        let there = self.steps.iter().filter(|(_, state)| state.is_there());
        there.map(|(id, _)| id.clone()).collect()
    }

    /// Why what a step left stays when it is taken back, where that is meant.
    pub fn stays(&self, step: &StepId) -> Option<&'static str> {
        let step = self.plan_with(step)?.step(step)?;
        step.action.stays_because()
    }

    /// Whether a person has taken back all that can be, and nobody has gone on since.
    pub fn is_taken_back(&self) -> bool {
        let may_yet = |id: &StepId| {
            let step = self.plan_with(id).and_then(|plan| plan.step(id));
            step.is_some_and(|step| {
                step.action.is_reversible() && step.action.stays_because().is_none()
            })
        };
        self.taken_back_by.is_some() && !self.begun.iter().any(may_yet)
    }

    /// A person has it gone on with: what failed for good is tried again as well, as they may have
    /// mended why.
    fn goes_on(&mut self) {
        for (id, state) in &mut self.steps {
            if let StepState::Failed { again, .. } = state {
                *again = true;
                self.since.remove(id);
            }
        }
        self.finished_at = None;
        self.taken_back_by = None;
    }

    /// Whether a step failed for good under the plan that holds: no run tries it again by itself.
    pub fn has_failed(&self) -> bool {
        self.steps.values().any(StepState::has_failed_for_good)
    }

    /// Notes how a step stands that is taken back or kept, which an earlier plan may have taken.
    fn stands(&mut self, step: &StepId, state: StepState) {
        match self.earlier.get_mut(step) {
            Some(held) => *held = state,
            None => drop(self.steps.insert(step.clone(), state)),
        }
    }

    fn stays_because(&self, step: &StepId) -> &'static str {
        self.stays(step).unwrap_or("it is meant to stay")
    }

    /// What the release timer takes back is part of the plan.
    fn took_back(&mut self, by: &str) {
        if by != RELEASE_TIMER {
            self.taken_back_by = Some(by.to_owned());
        }
    }

    /// Whether nothing was left to do.
    pub fn is_finished(&self) -> bool {
        self.finished_at.is_some()
    }
}
