//! Laws of the planner over generated accounts, findings and policies.

use std::collections::BTreeSet;

use davylamp_content::playbook::StepKind;
use davylamp_model::finding::Behaviour;
use davylamp_model::inventory::Reading;
use davylamp_plan::action::Action;
use davylamp_plan::plan::Plan;
use davylamp_plan::planner::Planner;
use davylamp_plan::policy::{Policy, PortalNames};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::generated::{Chooser, World, worlds};
use crate::oracle::Oracle;
use crate::world::*;

fn planned(world: &World) -> Plan {
    plan(
        &world.playbook,
        &world.policy,
        &world.case,
        &world.inventory,
    )
}

fn is_person(action: &Action) -> bool {
    matches!(
        action,
        Action::StopHubServers { .. }
            | Action::RevokeHubTokens { .. }
            | Action::BlockHubUser { .. }
            | Action::RemoveHubUser { .. }
            | Action::DeauthorisePortalUser { .. }
            | Action::DisableCognitoUser { .. }
            | Action::SignOutCognitoUser { .. }
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn the_same_world_gives_the_same_plan_in_whatever_order_it_is_told(
        (world, shuffled) in worlds().prop_perturb(|world, mut rng| {
            let mut other = world.clone();
            let mut chooser = Chooser(&mut rng);
            let inventory = &mut other.inventory;
            for instance in &mut inventory.instances {
                chooser.shuffle(&mut instance.volumes);
                chooser.shuffle(&mut instance.interfaces);
            }
            chooser.shuffle(&mut inventory.instances);
            chooser.shuffle(&mut inventory.volumes);
            chooser.shuffle(&mut inventory.sightings);
            chooser.shuffle(&mut inventory.users);
            if let Reading::Known(list) = &mut inventory.hub {
                chooser.shuffle(list);
            }
            if let Reading::Known(list) = &mut inventory.snapshots {
                chooser.shuffle(list);
            }
            for cluster in &mut inventory.clusters {
                if let Reading::Known(state) = &mut cluster.state {
                    chooser.shuffle(&mut state.nodes);
                    chooser.shuffle(&mut state.pods);
                    chooser.shuffle(&mut state.claims);
                }
            }
            for finding in &mut other.case.findings {
                chooser.shuffle(&mut finding.resources);
            }
            (world, other)
        })
    ) {
        let plan = planned(&world);
        prop_assert_eq!(&plan, &planned(&world));
        let other = planned(&shuffled);
        prop_assert_eq!(plan.hash(), other.hash());
        prop_assert_eq!(plan, other);
    }

    #[test]
    fn a_protected_target_is_never_in_a_plan(world in worlds()) {
        let plan = planned(&world);
        let oracle = Oracle::of(&world);
        for step in &plan.steps {
            prop_assert!(
                !oracle.forbids(&step.action, &world.inventory),
                "{} is against a protected target", step.id
            );
        }
        if world.policy.protected.accounts.contains(&world.inventory.place.account) {
            prop_assert!(plan.steps.is_empty());
        }
    }

    #[test]
    fn an_instance_is_terminated_only_after_the_evidence_of_all_its_volumes(world in worlds()) {
        let plan = planned(&world);
        for (at, step) in plan.steps.iter().enumerate() {
            for before in &step.only_after {
                let stands = plan.steps.iter().position(|held| held.id == *before);
                prop_assert!(stands.is_some_and(|stands| stands < at), "{} before {before}", step.id);
            }
            let Action::TerminateInstance { instance } = &step.action else { continue };
            let machine = world.inventory.instance(instance).expect("it was planned from it");
            let awaited: BTreeSet<_> = step
                .only_after
                .iter()
                .filter_map(|id| plan.step(id))
                .filter_map(|held| match &held.action {
                    Action::AwaitEvidence { volumes, .. } => Some(volumes),
                    _ => None,
                })
                .flatten()
                .collect();
            for volume in &machine.volumes {
                prop_assert!(awaited.contains(&volume.id), "{} is not kept", volume.id);
            }
        }
    }

    #[test]
    fn of_two_undecided_candidates_nobody_is_stopped(world in worlds()) {
        let plan = planned(&world);
        let attribution = &plan.attribution;
        for step in plan.steps.iter().filter(|step| is_person(&step.action)) {
            prop_assert!(
                attribution.decided.is_some() || attribution.candidates.len() == 1,
                "{} though nobody is decided", step.id
            );
        }
        if let Some(decided) = &attribution.decided {
            let target = format!("hub-user/{decided}");
            for step in plan.steps.iter().filter(|step| is_person(&step.action)) {
                let on = step.action.target();
                if on.starts_with("hub-user/") {
                    prop_assert_eq!(&on, &target);
                }
            }
        }
    }

    #[test]
    fn what_must_not_be_acted_on_has_no_steps(world in worlds()) {
        let plan = planned(&world);
        let found = &world.case.findings[0];
        let idle = found.sample
            || found.archived
            || found.behaviour == Behaviour::Unknown
            || found.place.is_none()
            || found.resources.is_empty();
        if idle {
            prop_assert!(plan.steps.is_empty());
            prop_assert_eq!(&plan.playbook, "report-only");
            prop_assert!(!plan.omissions.is_empty());
        }
    }

    #[test]
    fn every_step_of_the_playbook_is_in_the_plan_or_has_its_reason(world in worlds()) {
        let plan = planned(&world);
        prop_assert!(plan.omissions.iter().all(|held| !held.because.is_empty()));
        if plan.playbook == "everything" {
            prop_assert!(plan.steps.len() + plan.omissions.len() >= world.playbook.steps.len());
        }
        let unique: BTreeSet<_> = plan.steps.iter().map(|step| &step.id).collect();
        prop_assert_eq!(unique.len(), plan.steps.len());
        prop_assert!(plan.steps.is_sorted_by_key(|step| step.stage));
    }

    #[test]
    fn a_claim_named_for_alice_leads_to_nobody_else(
        others in proptest::collection::btree_set("[a-z@.-]{1,6}", 0..20),
        read in any::<bool>(),
    ) {
        let mut inventory = hub_node();
        state(&mut inventory).pods.clear();
        let mut hub = vec![user("alice")];
        // Only who has the same slug under some scheme may be meant as well, and nobody of
        // lower-case letters alone has.
        hub.extend(others.iter().filter(|name| *name != "alice").map(|name| user(name)));
        inventory.hub = if read {
            Reading::Known(hub)
        } else {
            Reading::Unknown { why: "the Hub does not answer".to_owned() }
        };
        let playbooks = [everything()];
        let policy = Policy { portal: Some(PortalNames::User), cognito_pool: Some("pool".to_owned()), ..with_hub() };
        let plan = Planner::new(&playbooks, &policy).plan(&on_instance("i-1"), &inventory, None);
        let names: Vec<&str> = plan.attribution.candidates.iter().map(|held| held.user.as_str()).collect();
        prop_assert_eq!(names, ["alice"]);
        prop_assert_eq!(plan.attribution.decided.is_some(), read);
        let stopped = plan.steps.iter().filter(|step| is_person(&step.action)).count();
        prop_assert_eq!(stopped > 0, read);
    }
}

#[test]
fn the_generated_worlds_are_worth_looking_at() {
    // A law that is never put to the test proves nothing: each kind of step has to occur.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen: BTreeSet<&'static str> = BTreeSet::new();
    for _ in 0..1_500 {
        let world = worlds()
            .new_tree(&mut runner)
            .expect("a world can always be made")
            .current();
        seen.extend(planned(&world).steps.iter().map(|step| step.action.verb()));
    }
    for verb in [
        "terminate-instance",
        "unprotect-instance",
        "isolate-interface",
        "stop-hub-servers",
        "remove-hub-user",
        "deauthorise-portal-user",
        "snapshot-instance",
        "snapshot-volume",
        "await-evidence",
        "copy-evidence",
        "delete-pod",
        "isolate-pod",
        "deactivate-key",
        "delete-login-profile",
        "deny-role-sessions",
        "scale-to-zero",
        "suspend-group",
        "keep-volumes",
    ] {
        assert!(seen.contains(verb), "{verb} never occurs: {seen:?}");
    }
    assert_eq!(StepKind::ALL.len(), everything().steps.len());
}
