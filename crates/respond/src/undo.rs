//! Takes back what an incident's steps did, the last first.
//!
//! What must stay true: only what we changed is taken back, to what the journal says was there;
//! taking back twice changes nothing; what cannot be taken back is named, and so is what stays
//! because it is meant to: evidence. A step that was begun and never verified is taken back too: it
//! may have had its effect.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::ids::IncidentId;
use davylamp_model::resource::Place;
use davylamp_plan::action::Action;
use davylamp_plan::gate::{Refusal, UndoToken};
use davylamp_plan::plan::StepId;
use serde::Serialize;
use serde_json::Value;

use crate::actuator::{Reverted, Verified};
use crate::clock::later;
use crate::executor::{Executor, Ledger, OVER};
use crate::journal::history::{History, StepState};
use crate::journal::{Event, JournalError};

/// Why a step is not taken back that was begun under a plan that is not there.
const UNKNOWN: &str = "no plan of the incident names it";

/// What came of an undo.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Undone {
    /// The steps that were taken back, in that order.
    pub undone: Vec<StepId>,
    /// Steps of which nothing is left that could be taken back, with the reason.
    pub gone: Vec<(StepId, String)>,
    /// Steps whose effect stays because it is meant to, with the reason. Each undo names them.
    pub kept: Vec<(StepId, String)>,
    /// Steps that cannot be taken back and need not be, as they were refused, with the reason.
    pub never_done: Vec<(StepId, String)>,
    /// Steps whose effect stays although it should not, with the reason.
    pub not_undone: Vec<(StepId, String)>,
    /// Those of them that another try may take back.
    pub again: BTreeSet<StepId>,
}

/// What other incidents need done as well: a step, and one of them.
pub type Needed = BTreeMap<StepId, IncidentId>;

/// What an undo does about a step that was begun, as far as the journal can tell.
enum Fate {
    /// Nobody knows what it was.
    Unknown,
    /// Its effect stays, because it is meant to.
    Stays(String),
    /// Its effect stays, because another incident needs it.
    Needed(String),
    /// It cannot be taken back; where it was refused, with why, it may never have happened.
    Irreversible(Option<String>),
    /// It is taken back.
    TakenBack,
}

impl Fate {
    fn of(history: &History, id: &StepId, needed: &Needed) -> Self {
        let Some(step) = history.plan_with(id).and_then(|plan| plan.step(id)) else {
            return Self::Unknown;
        };
        if let Some(why) = step.action.stays_because() {
            Self::Stays(why.to_owned())
        } else if !step.action.is_reversible() {
            Self::Irreversible(refused(history, id))
        } else if let Some(other) = needed.get(id) {
            Self::Needed(format!(
                "{other} needs it as well: take that back, then this again"
            ))
        } else {
            Self::TakenBack
        }
    }
}

impl Undone {
    /// What an undo of all that was done would come to, as far as the journal can tell.
    pub fn expected(history: &History, needed: &Needed) -> Self {
        let mut expected = Self::default();
        let ended = ended(history);
        for id in history.begun.iter().rev().cloned() {
            match Fate::of(history, &id, needed) {
                Fate::Unknown => expected.not_undone.push((id, UNKNOWN.to_owned())),
                Fate::Stays(why) | Fate::Needed(why) => match refused(history, &id) {
                    Some(why) => expected.never_done.push((id, why)),
                    None => expected.kept.push((id, why)),
                },
                Fate::Irreversible(Some(why)) => expected.never_done.push((id, why)),
                Fate::Irreversible(None) => expected.not_undone.push((id.clone(), lasts(id))),
                Fate::TakenBack => match ended.contains(&target(history, &id)) {
                    true => expected.gone.push((id, ENDED.to_owned())),
                    false => expected.undone.push(id),
                },
            }
        }
        expected
    }
}

/// Why there is nothing to take back of what was done to a machine.
const ENDED: &str = "the machine was ended";

/// What a step was done to; nothing where nobody knows.
fn target(history: &History, id: &StepId) -> String {
    let step = history.plan_with(id).and_then(|plan| plan.step(id));
    step.map(|step| step.action.target()).unwrap_or_default()
}

/// The machines that were ended.
fn ended(history: &History) -> BTreeSet<String> {
    let steps = history.steps.iter().chain(&history.earlier);
    let done = steps.filter(|(_, state)| matches!(state, StepState::Succeeded { .. }));
    let ends = |id: &StepId| {
        let step = history.plan_with(id).and_then(|plan| plan.step(id));
        step.is_some_and(|step| matches!(step.action, Action::TerminateInstance { .. }))
    };
    let ended = done.filter(|(id, _)| ends(id));
    ended.map(|(id, _)| target(history, id)).collect()
}

/// Why a step is not taken back that cannot be.
fn lasts(step: StepId) -> String {
    Refusal::Irreversible { step }.to_string()
}

/// The steps that were done already when they were to be taken.
fn found_so(history: &History) -> Vec<StepId> {
    let mut succeeded = history.succeeded();
    succeeded.retain(|id| !history.begun.contains(id));
    succeeded.into_iter().collect()
}

/// Why a step was refused for good, where it was.
fn refused(history: &History, id: &StepId) -> Option<String> {
    match history.state(id)? {
        StepState::Failed { why, again: false } => Some(why.clone()),
        _ => None,
    }
}

impl Executor {
    /// Whether what a step does can be seen, and is not there.
    async fn is_absent(&self, place: &Place, action: &Action, before: &Value) -> bool {
        match self.actuator(action) {
            Ok(actuator) if actuator.shows(action) => {
                let seen = self.in_time(actuator.verify(place, action, before)).await;
                matches!(seen, Ok(Verified::Pending { .. } | Verified::Failed { .. }))
            }
            _ => false,
        }
    }

    /// Takes back every step of an incident, or only those in `only`, without what other incidents
    /// need as well. `by` is a person's name or `release timer`.
    pub async fn undo(
        &self,
        ledger: &Ledger<'_>,
        only: Option<&[StepId]>,
        needed: &Needed,
        by: &str,
    ) -> Result<Undone, JournalError> {
        let mut result = Undone::default();
        if only.is_none() {
            // What was so before we came stays, and is needed here no more.
            for step in ledger.read(found_so) {
                let by = by.to_owned();
                ledger.record(Event::Kept { step, by }).await?;
            }
        }
        let begun = ledger.read(|history| history.begun.clone());
        for id in begun.into_iter().rev() {
            if only.is_some_and(|only| !only.contains(&id)) {
                continue;
            }
            let (plan, before, fate) = ledger.read(|history| {
                (
                    history.plan_with(&id).cloned(),
                    history.before.get(&id).cloned().unwrap_or_default(),
                    Fate::of(history, &id, needed),
                )
            });
            let (Some(plan), Some(step)) = (&plan, plan.as_ref().and_then(|plan| plan.step(&id)))
            else {
                result.not_undone.push((id, UNKNOWN.to_owned()));
                continue;
            };
            let never = ledger.read(|history| refused(history, &id));
            match (fate, never) {
                // Evidence that was refused is none that stays.
                (Fate::Stays(_) | Fate::Irreversible(_), Some(why))
                    if self.is_absent(&plan.place, &step.action, &before).await =>
                {
                    let (step, by, gone) = (id.clone(), by.to_owned(), Some(why.clone()));
                    ledger.record(Event::Undone { step, by, gone }).await?;
                    result.never_done.push((id, why));
                    continue;
                }
                (Fate::Unknown | Fate::TakenBack, _) => {}
                // Needed here no more: else each of two that both hold it would wait for the other.
                (Fate::Stays(why) | Fate::Needed(why), _) => {
                    let is_known = ledger
                        .read(|history| matches!(history.state(&id), Some(StepState::Kept { .. })));
                    if !is_known {
                        let (step, by) = (id.clone(), by.to_owned());
                        ledger.record(Event::Kept { step, by }).await?;
                    }
                    result.kept.push((id, why));
                    continue;
                }
                (Fate::Irreversible(_), _) => {
                    result.not_undone.push((id.clone(), lasts(id)));
                    continue;
                }
            }
            if self.stop.is_asked() {
                let why = "it was not begun: the run was asked to stop".to_owned();
                result.again.insert(id.clone());
                result.not_undone.push((id, why));
                continue;
            }
            let first = self.clock.now();
            let mut tries = 0;
            let came = loop {
                // A run that has to be over begins nothing more: the next takes back what stays.
                if self.is_over() {
                    break Err((OVER.to_owned(), true));
                }
                let token = match UndoToken::new(plan, &id) {
                    Ok(token) => token,
                    Err(refusal) => break Err((refusal.to_string(), false)),
                };
                let actuator = match self.actuator(&token.step().action) {
                    Ok(actuator) => actuator,
                    Err(error) => break Err((error.to_string(), false)),
                };
                ledger.renew().await?;
                match self.in_time(actuator.undo(token, &before)).await {
                    Ok(reverted) => break Ok(reverted),
                    Err(error)
                        if error.is_transient()
                            && !self.stop.is_asked()
                            && self.clock.now() < later(first, self.options.retry_within) =>
                    {
                        self.clock.sleep(self.pause(ledger.run(), &id, tries)).await;
                        tries += 1;
                    }
                    Err(error) => break Err((error.to_string(), error.is_transient())),
                }
            };
            match came {
                Ok(reverted) => {
                    let gone = match reverted {
                        Reverted::Back => None,
                        Reverted::Gone { why } => Some(why),
                    };
                    let event = Event::Undone {
                        step: id.clone(),
                        by: by.to_owned(),
                        gone: gone.clone(),
                    };
                    ledger.record(event).await?;
                    match gone {
                        None => result.undone.push(id),
                        Some(why) => result.gone.push((id, why)),
                    }
                }
                Err((why, again)) => {
                    if again {
                        result.again.insert(id.clone());
                    }
                    result.not_undone.push((id, why));
                }
            }
        }
        Ok(result)
    }
}
