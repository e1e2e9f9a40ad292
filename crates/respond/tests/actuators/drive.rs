//! Drives one action through an actuator, as the executor would.

use davylamp_content::playbook::Caps;
use davylamp_model::ids::{AccountId, FindingId, IncidentId, Region};
use davylamp_model::resource::{Place, Resource};
use davylamp_plan::action::Action;
use davylamp_plan::gate::{Gate, UndoToken};
use davylamp_plan::plan::{Attribution, Plan, Stage, Step, StepId};
use davylamp_plan::policy::{Approvals, Policy};
use davylamp_respond::actuator::{ActError, Actuator, Checked, Reverted, Verified};
use serde_json::Value;

/// One action, with the plan it is the only step of.
pub struct Drive<'a> {
    actuator: &'a dyn Actuator,
    plan: Plan,
}

impl<'a> Drive<'a> {
    /// In an account of nobody.
    pub fn new(actuator: &'a dyn Actuator, action: Action) -> Self {
        Self::at(actuator, action, "123456789012", "us-east-1")
    }

    /// In this account and region.
    pub fn at(actuator: &'a dyn Actuator, action: Action, account: &str, region: &str) -> Self {
        assert!(actuator.takes(&action), "{}", action.verb());
        let step = Step {
            id: StepId::of(&action),
            stage: Stage::Person,
            action,
            why: "a test wants it".to_owned(),
            only_after: Vec::new(),
            approval: None,
        };
        let plan = Plan {
            incident: IncidentId::from("inc-0123456789abcdef"),
            place: Place {
                account: AccountId::from(account),
                region: Region::from(region),
            },
            playbook: "test".to_owned(),
            findings: vec![FindingId::from("finding")],
            resource: Resource::Account,
            made_at: "2026-01-01T00:00:00Z".parse().expect("a time"),
            attribution: Attribution {
                candidates: Vec::new(),
                decided: None,
                because: "nobody was looked for".to_owned(),
            },
            steps: vec![step],
            omissions: Vec::new(),
            release: None,
            remarks: Vec::new(),
            again: false,
            blind: None,
        };
        Self { actuator, plan }
    }

    /// The same in a plan that has another step as well, which is not driven.
    pub fn beside(mut self, action: Action) -> Self {
        let step = Step {
            id: StepId::of(&action),
            stage: Stage::Evidence,
            action,
            why: "a test wants it".to_owned(),
            only_after: Vec::new(),
            approval: None,
        };
        self.plan.steps.push(step);
        self
    }

    fn step(&self) -> &Step {
        &self.plan.steps[0]
    }

    /// The look before.
    pub async fn check(&self) -> Result<Checked, ActError> {
        self.actuator
            .check(&self.plan.place, &self.step().action)
            .await
    }

    /// What undo will need; fails where nothing has to be done.
    pub async fn needed(&self) -> Value {
        match self.check().await.expect("a look") {
            Checked::Needed { before } => before,
            other => panic!("expected something to do, got {other:?}"),
        }
    }

    /// The act.
    pub async fn act(&self, before: &Value) -> Result<(), ActError> {
        let policy = Policy::default();
        let caps = Caps {
            plans_per_hour: 100,
            targets_per_plan: 100,
            irreversible_per_hour: 100,
        };
        // What ends a machine without evidence needs a person: here it is the test.
        let yes = Approvals {
            incident: self.plan.incident.clone(),
            plan: self.plan.hash(),
            steps: [].into(),
            by: "the test".to_owned(),
        };
        let token = Gate::new(&self.plan, &policy, &caps)
            .with_approvals([yes])
            .pass(&self.step().id, &[].into())
            .expect("nothing stands against it");
        self.actuator.act(token, before).await
    }

    /// The look after.
    pub async fn verify(&self, before: &Value) -> Result<Verified, ActError> {
        self.actuator
            .verify(&self.plan.place, &self.step().action, before)
            .await
    }

    /// Looks after until it is no longer on its way.
    pub async fn settled(&self, before: &Value) -> Verified {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            match self.verify(before).await.expect("a look") {
                Verified::Pending { what } => {
                    assert!(
                        tokio::time::Instant::now() < deadline,
                        "still waits: {what}"
                    );
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
                settled => return settled,
            }
        }
    }

    /// Taking back.
    pub async fn undo(&self, before: &Value) -> Result<Reverted, ActError> {
        let token = UndoToken::new(&self.plan, &self.step().id).expect("it can be taken back");
        self.actuator.undo(token, before).await
    }

    /// Whether there is an undo at all.
    pub fn is_reversible(&self) -> bool {
        UndoToken::new(&self.plan, &self.step().id).is_ok()
    }
}

/// That something is done, and how.
#[track_caller]
pub fn assert_done(verified: &Verified) {
    assert!(matches!(verified, Verified::Done { .. }), "{verified:?}");
}

/// That nothing is left to do.
#[track_caller]
pub fn assert_already(checked: Result<Checked, ActError>) {
    assert!(
        matches!(checked, Ok(Checked::Already { .. })),
        "{checked:?}"
    );
}
