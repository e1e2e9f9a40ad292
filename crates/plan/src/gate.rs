//! The gate: the only place where an [`ActToken`] is made.

use std::collections::BTreeSet;

use davylamp_content::playbook::Caps;
use sha2::{Digest, Sha256};

use crate::action::Action;
use crate::plan::{Plan, Step, StepId};
use crate::policy::{Approvals, Policy, Usage};

/// The value without which no destructive call compiles. It is made by [`Gate::pass`] for one step
/// of one plan; it can be neither copied nor kept beyond that step.
#[derive(Debug)]
pub struct ActToken<'p> {
    step: &'p Step,
    plan: &'p Plan,
}

impl<'p> ActToken<'p> {
    /// The step it is for.
    pub fn step(&self) -> &'p Step {
        self.step
    }

    /// The plan it is for.
    pub fn plan(&self) -> &'p Plan {
        self.plan
    }
}

/// The value without which nothing is taken back. The kill switch does not stop an undo.
#[derive(Debug)]
pub struct UndoToken<'p> {
    step: &'p Step,
    plan: &'p Plan,
}

impl<'p> UndoToken<'p> {
    /// A token to take back one step of a plan, for a person or for the release timer.
    pub fn new(plan: &'p Plan, id: &StepId) -> Result<Self, Refusal> {
        let step = plan
            .step(id)
            .ok_or_else(|| Refusal::NotInPlan { step: id.clone() })?;
        if step.action.is_reversible() {
            Ok(Self { step, plan })
        } else {
            Err(Refusal::Irreversible { step: id.clone() })
        }
    }

    /// The step it is for.
    pub fn step(&self) -> &'p Step {
        self.step
    }

    /// The plan it is for.
    pub fn plan(&self) -> &'p Plan {
        self.plan
    }
}

/// Why a step may not be taken now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The kill switch is on.
    #[error("the kill switch is on")]
    KillSwitch,
    /// Only a dry run.
    #[error("this is a dry run")]
    DryRun,
    /// The incident is not among those that the canary acts on.
    #[error("canary mode acts on {percent} of 100 incidents, and this is not one of them")]
    Canary {
        /// The configured share.
        percent: u8,
    },
    /// A cap is reached.
    #[error("the playbook's cap of {cap} {what} is reached")]
    Cap {
        /// Of what.
        what: &'static str,
        /// The cap.
        cap: u32,
    },
    /// A person has to say yes.
    #[error("a person has to approve it: {why}")]
    NeedsApproval {
        /// Why.
        why: String,
    },
    /// A step that has to succeed first has not.
    #[error("{step} has not succeeded")]
    Before {
        /// That step.
        step: StepId,
    },
    /// The step cannot be taken back.
    #[error("{step} cannot be undone")]
    Irreversible {
        /// The step.
        step: StepId,
    },
    /// The step is not one of the plan's.
    #[error("the plan has no step {step}")]
    NotInPlan {
        /// The step asked for.
        step: StepId,
    },
}

/// What the caps of an hour count.
const PLANS: &str = "plans an hour";
const IRREVERSIBLE: &str = "irreversible steps an hour";

/// How much others may have done by now for a step to be begun; `None` where it does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// Fewer plans than this.
    pub plans: Option<u32>,
    /// Fewer irreversible steps than this.
    pub irreversible: Option<u32>,
}

impl Room {
    /// Whether nothing has to be measured.
    pub fn is_endless(&self) -> bool {
        *self == Self::default()
    }

    /// Whether there is still room beside what others did.
    pub fn allows(&self, others: &Usage) -> Result<(), Refusal> {
        if let Some(cap) = self.plans {
            below(PLANS, cap, others.plans_last_hour)?;
        }
        if let Some(cap) = self.irreversible {
            below(IRREVERSIBLE, cap, others.irreversible_last_hour)?;
        }
        Ok(())
    }
}

fn below(what: &'static str, cap: u32, used: u32) -> Result<(), Refusal> {
    if used >= cap {
        Err(Refusal::Cap { what, cap })
    } else {
        Ok(())
    }
}

/// Whether a reason is that of [`Refusal::Cap`]: such a step may be taken when the hour is over.
pub fn is_cap(why: &str) -> bool {
    why.starts_with(CAP)
}

/// Whether a step that was withheld for this reason would be taken if a person said yes to it.
pub fn may_be_approved(why: &str) -> bool {
    is_cap(why) || why.starts_with(CANARY) || why.starts_with(APPROVAL)
}

/// How the reason of a reached cap begins.
const CAP: &str = "the playbook's cap of ";
/// How the canary's reason begins.
const CANARY: &str = "canary mode acts on ";
/// How the reason of a step begins that waits for a person.
const APPROVAL: &str = "a person has to approve it";

/// Decides step by step what of a plan may be done.
#[derive(Debug)]
pub struct Gate<'p> {
    plan: &'p Plan,
    policy: &'p Policy,
    caps: &'p Caps,
    usage: Usage,
    /// The plan's hash, once: it is a digest over every step.
    hash: String,
    /// Those for this very plan.
    approvals: Vec<Approvals>,
    targets: usize,
    dry_run: bool,
}

impl<'p> Gate<'p> {
    /// A gate for one plan.
    pub fn new(plan: &'p Plan, policy: &'p Policy, caps: &'p Caps) -> Self {
        Self {
            plan,
            policy,
            caps,
            usage: Usage::default(),
            hash: plan.hash(),
            approvals: Vec::new(),
            targets: plan
                .steps
                .iter()
                .map(|step| step.action.target())
                .collect::<BTreeSet<String>>()
                .len(),
            dry_run: false,
        }
    }

    /// Counts what was done lately.
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// Takes a person's yes into account; one for another plan counts for nothing.
    pub fn with_approvals(mut self, approvals: impl IntoIterator<Item = Approvals>) -> Self {
        let (plan, hash) = (self.plan, &self.hash);
        let valid = approvals
            .into_iter()
            .filter(|approval| approval.incident == plan.incident && approval.plan == *hash);
        self.approvals.extend(valid);
        self
    }

    /// Lets nothing pass.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// A token for the step, if it may be taken now. `succeeded` are the steps that have.
    pub fn pass(&self, id: &StepId, succeeded: &BTreeSet<StepId>) -> Result<ActToken<'p>, Refusal> {
        let step = self
            .plan
            .step(id)
            .ok_or_else(|| Refusal::NotInPlan { step: id.clone() })?;
        let approved = self.is_approved(id);
        self.brakes(approved)?;
        // First what a person can do something about: what it waits for may need a yes as well.
        if let (Some(why), false) = (&step.approval, approved) {
            return Err(Refusal::NeedsApproval { why: why.clone() });
        }
        if let Some(step) = step.only_after.iter().find(|id| !succeeded.contains(id)) {
            return Err(Refusal::Before { step: step.clone() });
        }
        if !approved {
            if step.action.destroys_evidence() && !self.waits_for_evidence(step) {
                let why = "nothing in the plan keeps the evidence before it".to_owned();
                return Err(Refusal::NeedsApproval { why });
            }
            self.caps(step, succeeded)?;
        }
        Ok(ActToken {
            step,
            plan: self.plan,
        })
    }

    /// How much others may have done for a step to be begun: what has to be measured once more in
    /// one go with beginning it, because others begin theirs at the same time.
    pub fn room(&self, id: &StepId, succeeded: &BTreeSet<StepId>) -> Room {
        let (Some(step), false) = (self.plan.step(id), self.is_approved(id)) else {
            return Room::default();
        };
        let own = self.own_irreversible(step, succeeded);
        Room {
            plans: succeeded.is_empty().then_some(self.caps.plans_per_hour),
            irreversible: (!step.action.is_reversible())
                .then_some(self.caps.irreversible_per_hour.saturating_sub(own)),
        }
    }

    /// What this plan itself has done already counts too: one plan must not pass the cap by having
    /// many steps.
    fn own_irreversible(&self, step: &Step, succeeded: &BTreeSet<StepId>) -> u32 {
        let own = self
            .plan
            .steps
            .iter()
            .filter(|held| !held.action.is_reversible())
            .filter(|held| held.id != step.id && succeeded.contains(&held.id))
            .count();
        u32::try_from(own).unwrap_or(u32::MAX)
    }

    fn brakes(&self, approved: bool) -> Result<(), Refusal> {
        if self.dry_run {
            return Err(Refusal::DryRun);
        }
        if self.policy.kill_switch {
            return Err(Refusal::KillSwitch);
        }
        // A person's yes to one step is a yes to that step only.
        let percent = self.policy.canary_percent;
        if !is_canary(self.plan.incident.as_str(), percent) && !approved {
            return Err(Refusal::Canary { percent });
        }
        Ok(())
    }

    fn caps(&self, step: &Step, succeeded: &BTreeSet<StepId>) -> Result<(), Refusal> {
        // A plan that has begun was within the cap when it began, and is not left half done.
        if succeeded.is_empty() {
            below(PLANS, self.caps.plans_per_hour, self.usage.plans_last_hour)?;
        }
        if self.targets > self.caps.targets_per_plan as usize {
            return Err(Refusal::Cap {
                what: "targets in a plan",
                cap: self.caps.targets_per_plan,
            });
        }
        if !step.action.is_reversible() {
            let own = self.own_irreversible(step, succeeded);
            below(
                IRREVERSIBLE,
                self.caps.irreversible_per_hour,
                self.usage.irreversible_last_hour.saturating_add(own),
            )?;
        }
        Ok(())
    }

    /// Whether a step waits for evidence of something: the planner sees to it that this is all
    /// there is, and a plan from elsewhere gets no further than to a person.
    fn waits_for_evidence(&self, step: &Step) -> bool {
        step.only_after
            .iter()
            .filter_map(|id| self.plan.step(id))
            .any(|before| matches!(before.action, Action::AwaitEvidence { .. }))
    }

    fn is_approved(&self, id: &StepId) -> bool {
        self.approvals
            .iter()
            .any(|approval| approval.steps.is_empty() || approval.steps.contains(&id.0))
    }
}

/// Whether the canary acts on this incident: the same answer whenever it is asked.
fn is_canary(incident: &str, percent: u8) -> bool {
    let digest = Sha256::digest(incident.as_bytes());
    let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    number % 100 < u32::from(percent)
}
