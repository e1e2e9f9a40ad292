//! Evidence first, then the end.

use davylamp_content::playbook::{Approval, StepKind};
use davylamp_model::inventory::{Reading, Tags};
use davylamp_plan::action::Action;
use davylamp_plan::plan::StepId;

use crate::steps::END;
use crate::world::*;

#[test]
fn a_volume_with_recent_evidence_is_not_snapshotted_again() {
    // State, minutes since it completed, minutes since it was started, whether it is ours, and
    // whether it counts within 15 minutes.
    let cases = [
        ("completed", Some(14), Some(60), true, true),
        ("completed", Some(15), Some(60), true, true),
        ("completed", Some(16), Some(17), true, false),
        ("completed", None, Some(14), true, true),
        ("completed", None, Some(16), true, false),
        ("completed", None, None, true, false),
        ("pending", None, Some(600), true, true),
        ("error", Some(1), Some(1), true, false),
        ("recoverable", Some(1), Some(1), true, false),
        ("completed", Some(1), Some(1), false, false),
        ("pending", None, Some(1), false, false),
    ];
    for case @ (state, completed, started, ours, counts) in cases {
        let mut taken = snapshot("snap-1", "vol-alice", state);
        taken.completed_at = completed.map(minutes_ago);
        taken.started_at = started.map(minutes_ago);
        if !ours {
            taken.tags = Tags::new();
        }
        let mut inventory = hub_node();
        inventory.snapshots = Reading::Known(vec![taken]);
        let plan = plan(
            &playbook("end", &END),
            &with_hub(),
            &on_instance("i-1"),
            &inventory,
        );
        let action = plan.steps.iter().find_map(|step| match &step.action {
            Action::SnapshotInstance {
                volumes, exclude, ..
            } => Some((volumes.len(), exclude.len())),
            _ => None,
        });
        let wanted = if counts { (1, 1) } else { (2, 0) };
        assert_eq!(action, Some(wanted), "{case:?}");
        // Whether new or held, termination waits for all of it.
        let waits = "await-evidence:volumes/vol-alice,vol-root-i-1";
        let end = plan.step(&StepId("terminate-instance:instance/i-1".to_owned()));
        let end = end.expect("it is planned");
        assert!(
            end.only_after.contains(&StepId(waits.to_owned())),
            "{case:?}"
        );
    }
}

/// Name, what is read, whether the protection is ours, the steps, and whether the instance is
/// terminated and the protection lifted.
type Protection<'a> = (&'a str, Reading<bool>, bool, &'a [StepKind], bool, bool);

#[test]
fn termination_protection_is_lifted_only_as_far_as_the_playbook_says() {
    let unknown = || Reading::Unknown {
        why: "denied".to_owned(),
    };
    let without = &END[..3];
    let plain = &END[1..3];
    let cases: Vec<Protection<'_>> = vec![
        ("none", Reading::Known(false), false, plain, true, false),
        (
            "ours to come",
            Reading::Known(false),
            false,
            without,
            true,
            true,
        ),
        (
            "another's, released",
            Reading::Known(true),
            false,
            &END,
            true,
            true,
        ),
        (
            "another's, kept",
            Reading::Known(true),
            false,
            without,
            false,
            false,
        ),
        (
            "ours from before",
            Reading::Known(true),
            true,
            without,
            true,
            true,
        ),
        ("unknown, released", unknown(), false, &END, true, true),
        ("unknown, kept", unknown(), false, without, false, false),
    ];
    for (name, reading, ours, steps, ends, lifts) in cases {
        let mut inventory = hub_node();
        inventory.instances[0].termination_protected = reading;
        if ours {
            let tag = tags(&[("davylamp:termination-protection", "inc-0")]);
            inventory.instances[0].tags.extend(tag);
        }
        let plan = plan(
            &playbook("end", steps),
            &with_hub(),
            &on_instance("i-1"),
            &inventory,
        );
        assert_eq!(
            has(&plan, "terminate-instance:instance/i-1"),
            ends,
            "{name}"
        );
        assert_eq!(
            has(&plan, "unprotect-instance:instance/i-1"),
            lifts,
            "{name}"
        );
        // The evidence is taken in any case.
        assert!(has(&plan, "snapshot-instance:instance/i-1"), "{name}");
    }
}

#[test]
fn nothing_is_terminated_by_a_playbook_that_takes_no_evidence() {
    let end = playbook("end", &[StepKind::TerminateInstance]);
    let held = plan(&end, &with_hub(), &on_instance("i-1"), &hub_node());
    assert!(held.steps.is_empty());
    assert!(because(&held, "terminate-instance", "instance/i-1").contains("evidence"));

    let mut bare = hub_node();
    bare.instances[0].volumes.clear();
    let mut never = playbook("end", &[StepKind::TerminateInstance]);
    never.steps[0].approval = Approval::Never;
    let plan = plan(&never, &with_hub(), &on_instance("i-1"), &bare);
    let step = plan.steps.first().expect("it is planned");
    assert!(
        step.approval.is_some(),
        "without a volume a person is asked"
    );
}

#[test]
fn what_an_instance_that_is_gone_left_behind_is_still_kept() {
    let mut inventory = hub_node();
    inventory.instances[0].state = "terminated".to_owned();
    let left = inventory.instances[0].volumes.split_off(1);
    inventory.instances[0].volumes.clear();
    inventory.volumes = left;
    let plan = plan(&everything(), &with_hub(), &on_instance("i-1"), &inventory);
    assert!(has(&plan, "snapshot-volume:volume/vol-alice"));
    assert!(has(&plan, "await-evidence:volumes/vol-alice"));
    assert!(!ids(&plan).iter().any(|id| id.ends_with(":instance/i-1")));
    assert!(because(&plan, "terminate-instance", "instance/i-1").contains("terminated"));
}
