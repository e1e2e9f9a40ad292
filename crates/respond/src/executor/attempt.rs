//! One attempt at one step: look, journal what is there, act, look again.

use davylamp_model::resource::Place;
use davylamp_plan::gate::{ActToken, Room};
use davylamp_plan::plan::Step;
use serde_json::Value;

use super::{Executor, Ledger};
use crate::actuator::{ActError, Actuator, Checked, Verified};
use crate::journal::history::StepState;
use crate::journal::{Event, JournalError};

/// What came of an attempt.
pub(super) enum Tried {
    /// It is so.
    Done { note: String, already: bool },
    /// It was begun.
    OnItsWay { what: String },
    /// It may work another time.
    Again(ActError),
    /// It will not work.
    Failed { why: String },
    /// It may not be taken now.
    Withheld { why: String },
}

impl From<ActError> for Tried {
    fn from(error: ActError) -> Self {
        if error.is_transient() {
            Self::Again(error)
        } else {
            Self::Failed {
                why: error.to_string(),
            }
        }
    }
}

/// One step of a plan, to be attempted.
pub(super) struct Attempt<'a> {
    pub(super) executor: &'a Executor,
    pub(super) ledger: &'a Ledger<'a>,
    pub(super) step: &'a Step,
    /// What others may have done for it to be begun.
    pub(super) room: Room,
}

impl Attempt<'_> {
    /// Takes the step, from the beginning or from where it was left.
    pub(super) async fn make(&self, token: ActToken<'_>) -> Result<Tried, JournalError> {
        let (executor, action) = (self.executor, &self.step.action);
        let place = &token.plan().place;
        let actuator = match executor.actuator(action) {
            Ok(actuator) => actuator,
            Err(error) => return Ok(error.into()),
        };
        let (left, state) = self.ledger.read(|history| {
            (
                history.before.get(&self.step.id).cloned(),
                history.steps.get(&self.step.id).cloned(),
            )
        });
        // Somebody began it: an earlier try, or a run that was cut off. Whether its effect is
        // there is seen by looking, not by doing it again, where it can be seen.
        if let (Some(before), Some(state), true) = (&left, &state, actuator.shows(action)) {
            match executor
                .in_time(actuator.verify(place, action, before))
                .await
            {
                Ok(Verified::Done { note }) => {
                    let already = false;
                    return Ok(Tried::Done { note, already });
                }
                Ok(Verified::Pending { what }) if matches!(state, StepState::Waiting { .. }) => {
                    return Ok(Tried::OnItsWay { what });
                }
                Ok(Verified::Failed { why }) if matches!(state, StepState::Waiting { .. }) => {
                    return Ok(Tried::Failed { why });
                }
                Ok(Verified::Pending { .. } | Verified::Failed { .. }) => {}
                Err(error) => return Ok(error.into()),
            }
        }
        // The preconditions again, each time: what the plan saw may be gone by now.
        let before = match executor.in_time(actuator.check(place, action)).await {
            Ok(Checked::Needed { before }) => left.clone().unwrap_or(before),
            Ok(Checked::Already { note }) => match left {
                Some(before) => return Ok(self.verify(actuator, place, &before).await),
                None => {
                    let already = true;
                    return Ok(Tried::Done { note, already });
                }
            },
            Ok(Checked::Impossible { why }) => return Ok(Tried::Failed { why }),
            Err(error) => return Ok(error.into()),
        };
        // Either way a conditional write comes before the act: it fails where the lease is lost.
        if left.is_some() && state == Some(StepState::Intended) {
            self.ledger.renew().await?;
        } else {
            let intended = Event::Intended {
                step: self.step.id.clone(),
                before: before.clone(),
                playbook: token.plan().playbook.clone(),
                irreversible: !action.is_reversible(),
            };
            match self.ledger.record_within(intended, &self.room).await {
                Ok(()) => {}
                // Other incidents have begun so much since the gate was asked.
                Err(JournalError::Capped(refusal)) => {
                    let why = refusal.to_string();
                    return Ok(Tried::Withheld { why });
                }
                Err(error) => return Err(error),
            }
        }
        if let Err(error) = executor.in_time(actuator.act(token, &before)).await {
            return Ok(error.into());
        }
        Ok(self.verify(actuator, place, &before).await)
    }

    /// Looks at a step that was begun.
    pub(super) async fn look(&self, place: &Place) -> Tried {
        let before = self
            .ledger
            .read(|history| history.before.get(&self.step.id).cloned())
            .unwrap_or_default();
        match self.executor.actuator(&self.step.action) {
            Ok(actuator) => self.verify(actuator, place, &before).await,
            Err(error) => error.into(),
        }
    }

    async fn verify(&self, actuator: &dyn Actuator, place: &Place, before: &Value) -> Tried {
        let seen = actuator.verify(place, &self.step.action, before);
        match self.executor.in_time(seen).await {
            Ok(Verified::Done { note }) => Tried::Done {
                note,
                already: false,
            },
            Ok(Verified::Pending { what }) => Tried::OnItsWay { what },
            Ok(Verified::Failed { why }) => Tried::Failed { why },
            // It was done; only looking failed. It is looked at again, not done again.
            Err(error) if error.is_transient() => Tried::OnItsWay {
                what: error.to_string(),
            },
            Err(error) => error.into(),
        }
    }
}
