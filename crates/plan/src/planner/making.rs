//! The steps of a plan as they come together: braked, approved, each once, in order.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_content::playbook::{Approval, StepSpec};

use crate::action::Action;
use crate::plan::{Omission, Step, StepId};
use crate::steps::{self, Draft, Ground};

/// The steps as they come together.
#[derive(Debug, Default)]
pub(super) struct Making {
    pub(super) steps: Vec<Step>,
    pub(super) omissions: Vec<Omission>,
    /// The kind of step of the playbook each step was made by.
    pub(super) made_by: BTreeMap<StepId, &'static str>,
}

impl Making {
    pub(super) fn omit(&mut self, what: &str, target: &str, because: &str) {
        self.omissions.push(Omission {
            what: what.to_owned(),
            target: target.to_owned(),
            because: because.to_owned(),
        });
    }

    pub(super) fn expand(&mut self, ground: &Ground<'_>, spec: &StepSpec) {
        let expansion = steps::expand(ground, spec);
        self.omissions.extend(expansion.omissions);
        for draft in expansion.drafts {
            self.take(ground, spec, draft);
        }
    }

    /// The one way into a plan: nothing protected passes.
    fn take(&mut self, ground: &Ground<'_>, spec: &StepSpec, draft: Draft) {
        let id = StepId::of(&draft.action);
        if let Some(why) = ground.shields.stops(&draft.action) {
            self.omit(draft.action.verb(), &draft.action.target(), &why);
            return;
        }
        let approval = approval(ground, spec, &draft);
        if let Some(held) = self.steps.iter_mut().find(|held| held.id == id) {
            // The same from two steps of the playbook: the earlier stage, and whatever either asks.
            held.stage = held.stage.min(draft.stage);
            held.approval = held.approval.take().or(approval);
            for after in draft.only_after {
                if !held.only_after.contains(&after) {
                    held.only_after.push(after);
                }
            }
            return;
        }
        self.made_by.insert(id.clone(), steps::name(spec.kind));
        self.steps.push(Step {
            id,
            stage: draft.stage,
            action: draft.action,
            why: draft.why,
            only_after: draft.only_after,
            approval,
        });
    }

    /// Takes out what waits for a step that is not in the plan, and puts the rest in order.
    pub(super) fn close(&mut self) {
        loop {
            let ids: BTreeSet<StepId> = self.steps.iter().map(|step| step.id.clone()).collect();
            let waits_in_vain = |step: &Step| {
                step.only_after
                    .iter()
                    .find(|after| !ids.contains(*after))
                    .cloned()
            };
            let Some((at, missing)) = self
                .steps
                .iter()
                .enumerate()
                .find_map(|(at, step)| Some((at, waits_in_vain(step)?)))
            else {
                break;
            };
            let step = self.steps.remove(at);
            self.omit(
                step.action.verb(),
                &step.action.target(),
                &format!("it has to wait for {missing}, which is not in the plan"),
            );
        }
        // What only served to let an instance be terminated goes when that went.
        let ended: BTreeSet<String> = self
            .steps
            .iter()
            .filter(|step| matches!(step.action, Action::TerminateInstance { .. }))
            .map(|step| step.action.target())
            .collect();
        let made_by = &self.made_by;
        self.steps.retain(|step| {
            !matches!(step.action, Action::UnprotectInstance { .. })
                || ended.contains(&step.action.target())
                || made_by.get(&step.id) != Some(&"terminate-instance")
        });
        self.archive_last();
        self.steps.sort_by_key(|step| step.stage);
    }

    /// A finding is archived when everything about it is done: one that is archived is seen by
    /// nobody any more.
    fn archive_last(&mut self) {
        let is_archiving = |step: &Step| matches!(step.action, Action::ArchiveFinding { .. });
        let (archiving, mut steps): (Vec<Step>, Vec<Step>) = std::mem::take(&mut self.steps)
            .into_iter()
            .partition(is_archiving);
        let others: Vec<StepId> = steps.iter().map(|step| step.id.clone()).collect();
        for mut step in archiving {
            if others.is_empty() {
                let target = step.action.target();
                self.omit(step.action.verb(), &target, "nothing is done about it");
            } else {
                step.only_after.clone_from(&others);
                steps.push(step);
            }
        }
        self.steps = steps;
    }
}

/// Why a person has to say yes, if one has to.
fn approval(ground: &Ground<'_>, spec: &StepSpec, draft: &Draft) -> Option<String> {
    if let Some(why) = &draft.ask {
        return Some(why.clone());
    }
    if let Some(why) = ground.shields.asks(&draft.action) {
        return Some(why);
    }
    match spec.approval {
        Approval::Never => None,
        Approval::Always => Some("the playbook asks a person always".to_owned()),
        Approval::WhenShared => shared(ground),
        Approval::WhenIrreversible => {
            let ends_all = draft.irreversible == Some("terminate-instance")
                || matches!(draft.action, Action::StopInstance { .. });
            if ends_all && let Some(why) = shared(ground) {
                return Some(why);
            }
            let verb = draft.irreversible?;
            let allowed = ground.policy.allow_irreversible.contains(verb);
            (!allowed).then(|| format!("{verb} cannot be undone"))
        }
    }
}

/// Whom ending the machine would hit beside the one who did it, if anybody.
fn shared(ground: &Ground<'_>) -> Option<String> {
    let occupants = &ground.who.occupants;
    if occupants.len() > 1 {
        let names: Vec<&str> = occupants.iter().map(|user| user.as_str()).collect();
        return Some(format!(
            "{} users are on the machine: {}",
            names.len(),
            names.join(", ")
        ));
    }
    let (pods, claims) = (&ground.who.neighbours, &ground.who.foreign);
    if let Some(first) = pods.first().or_else(|| claims.first()) {
        return Some(match pods.len() + claims.len() {
            1 => format!("{first} of others is on the machine"),
            several => {
                format!("{several} pods and claims of others are on the machine, such as {first}")
            }
        });
    }
    // One whose volume is there is the case the machine is ended for; of nobody nothing is known.
    match &ground.who.maybe_more {
        Some(why) if occupants.is_empty() => Some(why.clone()),
        _ => None,
    }
}
