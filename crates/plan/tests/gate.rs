//! The gate: what of a plan may be done, and when.

use std::collections::BTreeSet;

use davylamp_content::playbook::Caps;
use davylamp_model::ids::IncidentId;
use davylamp_model::resource::{Place, Resource};
use davylamp_plan::action::Action;
use davylamp_plan::gate::{Gate, Refusal, UndoToken};
use davylamp_plan::plan::{Attribution, Plan, Stage, Step, StepId};
use davylamp_plan::policy::{Approvals, Policy, Usage};
use jiff::Timestamp;

fn step(action: Action, only_after: &[&StepId], approval: Option<&str>) -> Step {
    Step {
        id: StepId::of(&action),
        stage: Stage::End,
        action,
        why: "because".to_owned(),
        only_after: only_after.iter().map(|id| (*id).clone()).collect(),
        approval: approval.map(str::to_owned),
    }
}

fn plan(steps: Vec<Step>) -> Plan {
    Plan {
        incident: IncidentId::from("inc-1"),
        place: Place {
            account: "111122223333".into(),
            region: "eu-central-1".into(),
        },
        playbook: "node-miner".to_owned(),
        findings: Vec::new(),
        resource: Resource::Account,
        made_at: Timestamp::UNIX_EPOCH,
        attribution: Attribution {
            candidates: Vec::new(),
            decided: None,
            because: String::new(),
        },
        steps,
        omissions: Vec::new(),
        release: None,
        remarks: Vec::new(),
        again: false,
        blind: None,
    }
}

fn protect() -> Action {
    Action::ProtectInstance {
        instance: "i-1".into(),
    }
}

fn wait() -> Action {
    Action::AwaitEvidence {
        volumes: vec!["vol-1".into()],
        since: Timestamp::UNIX_EPOCH,
    }
}

fn terminate() -> Action {
    Action::TerminateInstance {
        instance: "i-1".into(),
    }
}

fn stop_task(number: u32) -> Action {
    Action::StopTask {
        cluster: "arn:cluster".into(),
        task: format!("arn:task/{number}").as_str().into(),
    }
}

fn yes(plan: &Plan, steps: &[&StepId]) -> Approvals {
    Approvals {
        incident: plan.incident.clone(),
        plan: plan.hash(),
        steps: steps.iter().map(|id| id.0.clone()).collect(),
        by: "ada".to_owned(),
    }
}

/// What the gate says to a step, `succeeded` having succeeded.
fn ask(gate: &Gate<'_>, action: &Action, succeeded: &[&Action]) -> Result<(), Refusal> {
    let succeeded: BTreeSet<StepId> = succeeded.iter().map(|held| StepId::of(held)).collect();
    let id = StepId::of(action);
    let token = gate.pass(&id, &succeeded)?;
    assert_eq!(token.step().id, id, "a token is for the step asked for");
    Ok(())
}

#[test]
fn the_switches_stop_every_step_and_a_persons_yes_does_not_lift_them() {
    let plan = plan(vec![step(protect(), &[], None)]);
    let caps = Caps::default();
    let killed = Policy {
        kill_switch: true,
        ..Policy::default()
    };
    let policy = Policy::default();
    let approved = |gate: Gate<'_>| ask(&gate.with_approvals([yes(&plan, &[])]), &protect(), &[]);
    assert_eq!(
        approved(Gate::new(&plan, &killed, &caps)),
        Err(Refusal::KillSwitch)
    );
    assert_eq!(
        approved(Gate::new(&plan, &policy, &caps).dry_run(true)),
        Err(Refusal::DryRun)
    );
    assert_eq!(approved(Gate::new(&plan, &policy, &caps)), Ok(()));
    // The kill switch does not keep anybody from taking back what was done.
    assert!(UndoToken::new(&plan, &StepId::of(&protect())).is_ok());
}

#[test]
fn a_step_that_is_not_in_the_plan_gets_no_token() {
    let plan = plan(vec![step(protect(), &[], None)]);
    let (policy, caps) = (Policy::default(), Caps::default());
    let gate = Gate::new(&plan, &policy, &caps).with_approvals([yes(&plan, &[])]);
    let strange = StepId::of(&terminate());
    assert_eq!(
        ask(&gate, &terminate(), &[]),
        Err(Refusal::NotInPlan {
            step: strange.clone()
        })
    );
    let undo = UndoToken::new(&plan, &strange).map(|_| ());
    assert_eq!(undo, Err(Refusal::NotInPlan { step: strange }));
}

#[test]
fn what_cannot_be_undone_gives_no_undo_token() {
    let plan = plan(vec![step(terminate(), &[], None)]);
    let id = StepId::of(&terminate());
    let undo = UndoToken::new(&plan, &id).map(|_| ());
    assert_eq!(undo, Err(Refusal::Irreversible { step: id }));
}

#[test]
fn destruction_waits_for_its_evidence_even_with_a_persons_yes() {
    let waiting = StepId::of(&wait());
    let plan = plan(vec![
        step(wait(), &[], None),
        step(terminate(), &[&waiting], None),
    ]);
    let (policy, caps) = (Policy::default(), Caps::default());
    let gate = Gate::new(&plan, &policy, &caps);
    let early = Err(Refusal::Before { step: waiting });
    assert_eq!(ask(&gate, &terminate(), &[]), early);
    let gate = gate.with_approvals([yes(&plan, &[])]);
    assert_eq!(ask(&gate, &terminate(), &[]), early);
    assert_eq!(ask(&gate, &terminate(), &[&wait()]), Ok(()));
}

#[test]
fn a_step_that_waits_for_a_person_says_so_before_what_it_waits_for_beside() {
    let why = "two users share it";
    let lift = Action::UnprotectInstance {
        instance: "i-1".into(),
    };
    let plan = plan(vec![
        step(lift.clone(), &[], Some(why)),
        step(terminate(), &[&StepId::of(&lift)], Some(why)),
    ]);
    let (policy, caps) = (Policy::default(), Caps::default());
    let gate = Gate::new(&plan, &policy, &caps);
    let person = Err(Refusal::NeedsApproval {
        why: why.to_owned(),
    });
    assert_eq!(ask(&gate, &terminate(), &[]), person);
    let gate = gate.with_approvals([yes(&plan, &[&StepId::of(&terminate())])]);
    let before = Err(Refusal::Before {
        step: StepId::of(&lift),
    });
    assert_eq!(ask(&gate, &terminate(), &[]), before);
}

#[test]
fn destruction_without_evidence_in_the_plan_needs_a_person() {
    let protecting = StepId::of(&protect());
    let after: [&[&StepId]; 2] = [&[], &[&protecting]];
    for only_after in after {
        let plan = plan(vec![
            step(protect(), &[], None),
            step(terminate(), only_after, None),
        ]);
        let (policy, caps) = (Policy::default(), Caps::default());
        let gate = Gate::new(&plan, &policy, &caps);
        let answer = ask(&gate, &terminate(), &[&protect()]);
        assert!(
            matches!(answer, Err(Refusal::NeedsApproval { .. })),
            "{answer:?}"
        );
        let gate = gate.with_approvals([yes(&plan, &[])]);
        assert_eq!(ask(&gate, &terminate(), &[&protect()]), Ok(()));
    }
}

#[test]
fn only_a_yes_to_this_plan_and_this_step_counts() {
    let plan = plan(vec![
        step(stop_task(1), &[], Some("it cannot be undone")),
        step(stop_task(2), &[], Some("it cannot be undone")),
    ]);
    let (policy, caps) = (Policy::default(), Caps::default());
    let one = StepId::of(&stop_task(1));
    let right = yes(&plan, &[&one]);
    let all = yes(&plan, &[]);
    let other_plan = Approvals {
        plan: "0".repeat(64),
        ..all.clone()
    };
    let other_incident = Approvals {
        incident: "inc-2".into(),
        ..all.clone()
    };
    let cases = [
        ("nobody", None, false, false),
        ("this step", Some(right), true, false),
        ("every step", Some(all), true, true),
        ("another plan", Some(other_plan), false, false),
        ("another incident", Some(other_incident), false, false),
    ];
    for (name, approval, first, second) in cases {
        let gate = Gate::new(&plan, &policy, &caps).with_approvals(approval);
        assert_eq!(ask(&gate, &stop_task(1), &[]).is_ok(), first, "{name}");
        assert_eq!(ask(&gate, &stop_task(2), &[]).is_ok(), second, "{name}");
    }
}

#[test]
fn the_canary_acts_on_its_share_and_always_on_the_same() {
    let caps = Caps::default();
    let acted = |percent: u8| -> Vec<u32> {
        let policy = Policy {
            canary_percent: percent,
            ..Policy::default()
        };
        (0..1_000)
            .filter(|number| {
                let mut plan = plan(vec![step(protect(), &[], None)]);
                plan.incident = format!("inc-{number}").as_str().into();
                ask(&Gate::new(&plan, &policy, &caps), &protect(), &[]).is_ok()
            })
            .collect()
    };
    assert_eq!(acted(0).len(), 0);
    assert_eq!(acted(100).len(), 1_000);
    assert_eq!(acted(255).len(), 1_000);
    let (ten, twenty) = (acted(10), acted(20));
    assert!((60..140).contains(&ten.len()), "{}", ten.len());
    assert_eq!(ten, acted(10));
    assert!(ten.iter().all(|number| twenty.contains(number)));
}

#[test]
fn a_yes_to_one_step_lets_no_other_step_past_the_canary() {
    let plan = plan(vec![
        step(protect(), &[], None),
        step(stop_task(1), &[], Some("it cannot be undone")),
    ]);
    let policy = Policy {
        canary_percent: 0,
        ..Policy::default()
    };
    let caps = Caps::default();
    let one = StepId::of(&stop_task(1));
    let gate = Gate::new(&plan, &policy, &caps).with_approvals([yes(&plan, &[&one])]);
    assert_eq!(ask(&gate, &stop_task(1), &[]), Ok(()));
    assert_eq!(
        ask(&gate, &protect(), &[]),
        Err(Refusal::Canary { percent: 0 })
    );
}

/// Name, usage, step, what has succeeded, and the answer.
type CapCase<'a> = (
    &'a str,
    Usage,
    &'a Action,
    Vec<&'a Action>,
    Result<(), Refusal>,
);

#[test]
fn beyond_a_cap_a_person_is_asked() {
    let steps = (0..3).map(|number| step(stop_task(number), &[], None));
    let plan = plan(steps.chain([step(protect(), &[], None)]).collect());
    let policy = Policy::default();
    let caps = Caps {
        plans_per_hour: 2,
        irreversible_per_hour: 2,
        targets_per_plan: 4,
    };
    let used = |plans, irreversible| Usage {
        plans_last_hour: plans,
        irreversible_last_hour: irreversible,
    };
    let (task, protecting) = (stop_task(0), protect());
    let (one, two) = (stop_task(1), stop_task(2));
    let cap = |what, cap| Err(Refusal::Cap { what, cap });
    let plans = cap("plans an hour", 2);
    let irreversible = cap("irreversible steps an hour", 2);
    let cases: Vec<CapCase<'_>> = vec![
        ("nothing yet", used(0, 0), &task, vec![], Ok(())),
        ("one plan before", used(1, 0), &task, vec![], Ok(())),
        ("two plans before", used(2, 0), &task, vec![], plans),
        (
            "begun before the others",
            used(2, 0),
            &task,
            vec![&one],
            Ok(()),
        ),
        ("one before", used(0, 1), &task, vec![], Ok(())),
        (
            "two before",
            used(0, 2),
            &task,
            vec![],
            irreversible.clone(),
        ),
        (
            "one before and one here",
            used(0, 1),
            &task,
            vec![&one],
            irreversible.clone(),
        ),
        (
            "two here",
            used(0, 0),
            &task,
            vec![&one, &two],
            irreversible.clone(),
        ),
        ("itself again", used(0, 1), &task, vec![&task], Ok(())),
        (
            "reversible",
            used(0, 9),
            &protecting,
            vec![&one, &two],
            Ok(()),
        ),
        (
            "no overflow",
            used(0, u32::MAX),
            &task,
            vec![&one],
            irreversible,
        ),
    ];
    for (name, usage, action, succeeded, wanted) in cases {
        let gate = Gate::new(&plan, &policy, &caps).with_usage(usage.clone());
        assert_eq!(ask(&gate, action, &succeeded), wanted, "{name}");
        let gate = Gate::new(&plan, &policy, &caps)
            .with_usage(usage)
            .with_approvals([yes(&plan, &[])]);
        assert_eq!(ask(&gate, action, &succeeded), Ok(()), "{name}, approved");
    }
    let caps = Caps {
        targets_per_plan: 3,
        ..caps
    };
    let gate = Gate::new(&plan, &policy, &caps);
    assert_eq!(
        ask(&gate, &protect(), &[]),
        cap("targets in a plan", 3),
        "four targets"
    );
}
