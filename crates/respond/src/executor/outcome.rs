//! What came of a run.

use std::collections::BTreeMap;

use davylamp_plan::plan::StepId;
use jiff::Timestamp;
use serde::Serialize;

use crate::journal::history::{History, StepState};

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    /// Where each step stands.
    pub steps: BTreeMap<StepId, StepState>,
    /// Where steps stand that earlier plans took and that the last does not name.
    pub earlier: BTreeMap<StepId, StepState>,
    /// Whether nothing is left to do, unless a person says yes to something.
    pub finished: bool,
    /// When the incident wants to be looked at again.
    pub due: Option<Timestamp>,
    /// Whether the run's own time was over before its work was, or it was asked to stop.
    pub cut_short: bool,
    /// Whether that was because it was asked to stop.
    pub stopped: bool,
    /// Whether everything was read that the plan needed.
    pub reading: ReadingState,
    /// Steps whose release has come and that stay all the same, with the reason: no other run will
    /// take them back by itself.
    pub unreleased: Vec<(StepId, String)>,
}

/// Whether everything was read that a plan needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadingState {
    /// As far as it ever will be.
    #[default]
    Complete,
    /// Something was not, and will be asked for again: the plan may get more steps.
    Again,
    /// Something was not, for so long that it is not asked for any more.
    GivenUp,
}

impl Outcome {
    /// What a history amounts to.
    pub fn of(history: &History) -> Self {
        Self {
            steps: history.steps.clone(),
            earlier: history.earlier.clone(),
            finished: history.is_finished(),
            due: None,
            cut_short: false,
            stopped: false,
            reading: match history {
                History {
                    unread_since: Some(_),
                    ..
                } => ReadingState::Again,
                History {
                    given_up_reading: true,
                    ..
                } => ReadingState::GivenUp,
                _ => ReadingState::Complete,
            },
            unreleased: history
                .unreleased
                .iter()
                .map(|(step, why)| (step.clone(), why.clone()))
                .collect(),
        }
    }

    /// Says that the run was asked to stop before its work was over: it is due at once.
    pub(crate) fn stop(&mut self, now: Timestamp) {
        (self.cut_short, self.stopped) = (true, true);
        self.due = Some(now);
    }

    /// Whether something is missing that should have been done: a step that failed, time that was
    /// over, something that could not be read, or a release that could not be made.
    pub fn is_incomplete(&self) -> bool {
        self.cut_short
            || self.reading != ReadingState::Complete
            || !self.unreleased.is_empty()
            || self.failures().next().is_some()
    }

    /// The steps that failed, with the reason.
    pub fn failures(&self) -> impl Iterator<Item = (&StepId, &str)> {
        self.steps.iter().filter_map(|(id, state)| match state {
            StepState::Failed { why, .. } => Some((id, why.as_str())),
            _ => None,
        })
    }

    /// Whether a step failed for good: no other run tries it again by itself.
    pub fn has_failed(&self) -> bool {
        self.steps.values().any(StepState::has_failed_for_good)
    }

    /// The steps that wait, with what for.
    pub fn waiting(&self) -> impl Iterator<Item = (&StepId, &str)> {
        self.steps.iter().filter_map(|(id, state)| match state {
            StepState::Waiting { what } => Some((id, what.as_str())),
            _ => None,
        })
    }

    /// The steps that were not taken, with the reason.
    pub fn withheld(&self) -> impl Iterator<Item = (&StepId, &str)> {
        self.steps.iter().filter_map(|(id, state)| match state {
            StepState::Withheld { why } => Some((id, why.as_str())),
            _ => None,
        })
    }

    /// The steps that are done, with how it is and whether it was so before.
    pub fn done(&self) -> impl Iterator<Item = (&StepId, &str, bool)> {
        self.steps.iter().filter_map(|(id, state)| match state {
            StepState::Succeeded { note, already } => Some((id, note.as_str(), *already)),
            _ => None,
        })
    }

    /// Whether another run could do more by itself.
    pub(super) fn wants_another_run<'a>(&self, steps: impl Iterator<Item = &'a StepId>) -> bool {
        steps.into_iter().any(|id| {
            matches!(
                self.steps.get(id),
                None | Some(
                    StepState::Waiting { .. }
                        | StepState::Intended
                        | StepState::Failed { again: true, .. }
                )
            )
        })
    }
}
