//! Takes back what an incident's steps did, the last first.
//!
//! What must stay true: only what we changed is taken back, to what the journal says was there;
//! taking back twice changes nothing; what cannot be taken back is named, and so is what stays
//! because it is meant to: evidence. A step that was begun and never verified is taken back too: it
//! may have had its effect.

use std::collections::BTreeSet;

use davylamp_plan::gate::UndoToken;
use davylamp_plan::plan::StepId;
use serde::Serialize;

use crate::clock::later;
use crate::executor::{Executor, Ledger};
use crate::journal::history::StepState;
use crate::journal::{Event, JournalError};

/// What came of an undo.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Undone {
    /// The steps that were taken back, in that order.
    pub undone: Vec<StepId>,
    /// Steps whose effect stays because it is meant to, with the reason. Each undo names them.
    pub kept: Vec<(StepId, String)>,
    /// Steps whose effect stays although it should not, with the reason.
    pub not_undone: Vec<(StepId, String)>,
    /// Those of them that another try may take back.
    pub again: BTreeSet<StepId>,
}

impl Executor {
    /// Takes back every step of an incident, or only those in `only`. `by` is a person's name or
    /// `release timer`.
    pub async fn undo(
        &self,
        ledger: &Ledger<'_>,
        only: Option<&[StepId]>,
        by: &str,
    ) -> Result<Undone, JournalError> {
        let mut result = Undone::default();
        let begun = ledger.read(|history| history.begun.clone());
        for id in begun.into_iter().rev() {
            if only.is_some_and(|only| !only.contains(&id)) {
                continue;
            }
            let (plan, before) = ledger.read(|history| {
                (
                    history.plan_with(&id).cloned(),
                    history.before.get(&id).cloned().unwrap_or_default(),
                )
            });
            let Some(plan) = plan else {
                let why = "no plan of the incident names it".to_owned();
                result.not_undone.push((id, why));
                continue;
            };
            if let Some(why) = ledger.read(|history| history.stays(&id)) {
                let is_known = ledger
                    .read(|history| matches!(history.steps.get(&id), Some(StepState::Kept { .. })));
                if !is_known {
                    let (step, by) = (id.clone(), by.to_owned());
                    ledger.record(Event::Kept { step, by }).await?;
                }
                result.kept.push((id, why.to_owned()));
                continue;
            }
            if self.stop.is_asked() {
                let why = "it was not begun: the run was asked to stop".to_owned();
                result.again.insert(id.clone());
                result.not_undone.push((id, why));
                continue;
            }
            let first = self.clock.now();
            let mut tries = 0;
            let error = loop {
                // A run that has to be over begins nothing more: the next takes back what stays.
                if self.is_over() {
                    break Some(("the time of this run was over".to_owned(), true));
                }
                let token = match UndoToken::new(&plan, &id) {
                    Ok(token) => token,
                    Err(refusal) => break Some((refusal.to_string(), false)),
                };
                let actuator = match self.actuator(&token.step().action) {
                    Ok(actuator) => actuator,
                    Err(error) => break Some((error.to_string(), false)),
                };
                ledger.renew().await?;
                match actuator.undo(token, &before).await {
                    Ok(()) => break None,
                    Err(error)
                        if error.is_transient()
                            && !self.stop.is_asked()
                            && self.clock.now() < later(first, self.options.retry_within) =>
                    {
                        self.clock.sleep(self.pause(ledger.run(), &id, tries)).await;
                        tries += 1;
                    }
                    Err(error) => break Some((error.to_string(), error.is_transient())),
                }
            };
            match error {
                None => {
                    let (step, by) = (id.clone(), by.to_owned());
                    ledger.record(Event::Undone { step, by }).await?;
                    result.undone.push(id);
                }
                Some((why, again)) => {
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
