//! What is never in a plan.

use davylamp_content::playbook::{Approval, StepKind};
use davylamp_model::inventory::{Doors, IamRole, IamUser, Unread};
use davylamp_model::inventory::{Inventory, PublicInterface, Reading, Tags};
use davylamp_model::resource::{KeyHolder, Resource};
use davylamp_plan::plan::StepId;
use davylamp_plan::policy::{Policy, Protected};

use crate::world::*;

fn protecting(change: impl FnOnce(&mut Protected)) -> Policy {
    let mut policy = with_hub();
    change(&mut policy.protected);
    policy
}

/// Which steps are gone, and which stay, once something is protected.
fn check(name: &str, policy: &Policy, inventory: &Inventory, gone: &[&str], stay: &[&str]) {
    let case = on_instance("i-1");
    let open = plan(&everything(), &with_hub(), &case, &hub_node());
    let plan = plan(&everything(), policy, &case, inventory);
    for id in gone {
        assert!(
            has(&open, id),
            "{name}: {id} is in no plan anyhow: {:#?}",
            ids(&open)
        );
        assert!(!has(&plan, id), "{name}: {id} is in the plan");
        let (what, target) = id.split_once(':').expect("a step has a target");
        let held = plan
            .omissions
            .iter()
            .any(|held| held.target == target && (held.what == what || held.what == "every step"));
        assert!(
            held,
            "{name}: nothing is said of {id}: {:#?}",
            plan.omissions
        );
    }
    for id in stay {
        assert!(
            has(&plan, id),
            "{name}: {id} is missing: {:#?}",
            plan.omissions
        );
    }
}

const CUT: &str = "isolate-interface:interface/eni-i-1";
const END: &str = "terminate-instance:instance/i-1";
const STOP: &str = "stop-instance:instance/i-1";
const REMOVE: &str = "remove-hub-user:hub-user/alice";
const POD: &str = "delete-pod:pod/hub-prod/jhub/jupyter-alice";
const KEEP: &str = "snapshot-instance:instance/i-1";
const CORDON: &str = "cordon-node:node/hub-prod/n1";

#[test]
fn tags_protect_and_are_inherited() {
    let tag = || tags(&[("davylamp:protected", "yes")]);
    let mut whole = hub_node();
    whole.instances[0].tags.extend(tag());
    check(
        "instance",
        &with_hub(),
        &whole,
        &[CUT, END, STOP, CORDON],
        &[REMOVE, POD],
    );

    let mut card = hub_node();
    card.instances[0].interfaces[0].tags = tag();
    check(
        "interface",
        &with_hub(),
        &card,
        &[CUT, END, STOP],
        &[REMOVE, KEEP, CORDON],
    );

    let mut disk = hub_node();
    disk.instances[0].volumes[1].tags.extend(tag());
    check(
        "volume",
        &with_hub(),
        &disk,
        &[CUT, END, STOP],
        &[REMOVE, KEEP, CORDON],
    );

    let mut labelled = hub_node();
    state(&mut labelled).nodes[0].labels = tags(&[("davylamp/protected", "")]);
    check(
        "node",
        &with_hub(),
        &labelled,
        &[CUT, END, STOP, CORDON],
        &[REMOVE, KEEP],
    );

    let mut mine = hub_node();
    state(&mut mine).pods[0].labels = tags(&[("davylamp/protected", "")]);
    check(
        "pod",
        &with_hub(),
        &mine,
        &[CUT, END, STOP, POD],
        &[REMOVE, KEEP, CORDON],
    );

    let own = protecting(|held| held.tags = vec!["eks:cluster-name=hub-*".to_owned()]);
    check(
        "the policy's",
        &own,
        &hub_node(),
        &[CUT, END, STOP],
        &[REMOVE],
    );
    let held = plan(&everything(), &own, &on_instance("i-1"), &hub_node());
    assert!(!has(&held, KEEP));
    assert!(because(&held, "snapshot-evidence", "volume/vol-alice").contains("hub-prod"));
}

#[test]
fn a_protected_pod_protects_its_node_unless_it_belongs_to_every_node() {
    let with = |owner: Option<&str>, phase: &str| {
        let mut inventory = hub_node();
        let mut system = pod("kube-system", "coredns", "n1");
        system.owner = owner.map(str::to_owned);
        system.phase = phase.to_owned();
        state(&mut inventory).pods.push(system);
        inventory
    };
    let dns = with(Some("replicaset/coredns"), "Running");
    check(
        "coredns",
        &with_hub(),
        &dns,
        &[CUT, END, STOP],
        &[POD, CORDON, KEEP],
    );
    check(
        "bare",
        &with_hub(),
        &with(None, "Running"),
        &[CUT, END, STOP],
        &[POD],
    );
    for owner in ["daemonset/aws-node", "node/n1"] {
        check(
            owner,
            &with_hub(),
            &with(Some(owner), "Running"),
            &[],
            &[CUT, END, STOP, POD],
        );
    }
    let done = with(Some("job/done"), "Succeeded");
    check("ended", &with_hub(), &done, &[], &[CUT, END, STOP, POD]);
}

#[test]
fn people_are_protected_by_policy_and_as_administrators() {
    let gone = [REMOVE, POD, CUT, END];
    let named = protecting(|held| held.hub_users = vec!["ALI*".to_owned()]);
    check("by name", &named, &hub_node(), &gone, &[KEEP, CORDON]);
    let mut ruled = hub_node();
    if let Reading::Known(users) = &mut ruled.hub {
        users[0].admin = true;
    }
    check("administrator", &with_hub(), &ruled, &gone, &[KEEP, CORDON]);
}

#[test]
fn in_a_protected_account_nothing_is_done_at_all() {
    let policy = protecting(|held| held.accounts = vec![place().account]);
    let plan = plan(&everything(), &policy, &on_instance("i-1"), &hub_node());
    assert!(plan.steps.is_empty());
    let said = because(&plan, "terminate-instance", "instance/i-1");
    assert!(said.contains("444455556666"), "{said}");
}

#[test]
fn what_was_not_read_is_not_ended_for_good() {
    let mut inventory = hub_node();
    inventory.unread = vec![Unread {
        what: "tags of i-1".to_owned(),
        why: "throttled".to_owned(),
        again: false,
    }];
    check(
        "instance",
        &with_hub(),
        &inventory,
        &[END],
        &[CUT, STOP, KEEP, REMOVE],
    );

    let key = case(finding(vec![Resource::AccessKey {
        key: Some("AKIA1".into()),
        holder: KeyHolder::User {
            user: "deploy".into(),
        },
    }]));
    let mut unread = hub_node();
    unread.unread = vec![Unread {
        what: "user deploy".to_owned(),
        why: "denied".to_owned(),
        again: false,
    }];
    let plan = plan(&everything(), &with_hub(), &key, &unread);
    assert!(has(&plan, "deactivate-key:key/AKIA1"));
    assert!(has(&plan, "deny-user:user/deploy"));
    let said = because(&plan, "delete-login-profile", "user/deploy");
    assert!(said.contains("denied"), "{said}");
}

#[test]
fn a_key_that_is_not_the_users_takes_nobodys_access() {
    let named = |key: Option<&str>| {
        case(finding(vec![Resource::AccessKey {
            key: key.map(Into::into),
            holder: KeyHolder::User {
                user: "deploy".into(),
            },
        }]))
    };
    let mut inventory = hub_node();
    inventory.users = vec![IamUser {
        name: "deploy".into(),
        keys: vec![("AKIA1".into(), true)],
        login_profile: Reading::Known(true),
        tags: Tags::default(),
    }];
    for (key, is_theirs) in [
        (Some("AKIA1"), true),
        (Some("AKIA2"), false),
        // A session of the user's own: its key stands in no list.
        (Some("ASIA1"), true),
        (None, true),
    ] {
        let plan = plan(&everything(), &with_hub(), &named(key), &inventory);
        for step in ["deny-user:user/deploy", "delete-login-profile:user/deploy"] {
            assert_eq!(has(&plan, step), is_theirs, "{key:?}: {step}");
        }
        if !is_theirs {
            let said = because(&plan, "deny-user", "user/deploy");
            assert!(said.contains("AKIA2"), "{said}");
        }
    }
}

#[test]
fn every_session_of_a_role_ends_only_when_a_person_says_so() {
    let sessions = |session: Option<&str>| {
        case(finding(vec![Resource::AccessKey {
            key: Some("ASIA1".into()),
            holder: KeyHolder::RoleSession {
                role: "hub-nodes".into(),
                session: session.map(str::to_owned),
            },
        }]))
    };
    let mut only = playbook("deny", &[StepKind::DenyRoleSessions]);
    only.steps[0].approval = Approval::Never;
    for (session, asks) in [
        (Some("i-0123456789abcdef0"), false),
        (Some("ada"), true),
        (None, true),
    ] {
        let plan = plan(&only, &with_hub(), &sessions(session), &hub_node());
        let [step] = plan.steps.as_slice() else {
            panic!("{session:?}: {:?}", plan.steps);
        };
        assert_eq!(step.approval.is_some(), asks, "{session:?}: {step:?}");
    }
}

#[test]
fn roles_of_services_and_our_own_are_never_denied() {
    let sessions = |role: &str| {
        case(finding(vec![Resource::AccessKey {
            key: None,
            holder: KeyHolder::RoleSession {
                role: role.into(),
                session: None,
            },
        }]))
    };
    let only = playbook("deny", &[StepKind::DenyRoleSessions]);
    let bare = protecting(|held| held.roles = Vec::new());
    let named = protecting(|held| held.roles = vec!["Fleet*".to_owned()]);
    let cases = [
        ("web", &bare, true),
        ("davylamp-responder", &bare, false),
        ("fleet-node", &named, false),
        ("linked", &bare, false),
        ("AWSServiceRoleForECS", &with_hub(), false),
    ];
    for (role, policy, planned) in cases {
        let mut inventory = hub_node();
        inventory.roles = vec![IamRole {
            name: "linked".into(),
            arn: None,
            path: "/aws-service-role/ecs.amazonaws.com/".to_owned(),
            tags: Tags::new(),
        }];
        let plan = plan(&only, policy, &sessions(role), &inventory);
        let id = format!("deny-role-sessions:role/{role}");
        assert_eq!(has(&plan, &id), planned, "{role}");
    }
}

#[test]
fn a_lockdown_leaves_what_is_protected_and_asks_before_it_is_cut_off_with_the_rest() {
    let mut inventory = hub_node();
    let door = |id: &str, tags| PublicInterface {
        interface: interface(id),
        instance: Some("i-9".into()),
        instance_tags: tags,
        elastic: None,
        managed: false,
    };
    inventory.doors = Reading::Known(Doors {
        interfaces: vec![
            door("eni-bastion", tags(&[("davylamp:protected", "")])),
            door("eni-web", Tags::new()),
        ],
        ..Doors::default()
    });
    let mut lockdown = playbook(
        "lockdown",
        &[
            StepKind::ClosePublicInterfaces,
            StepKind::BlockVpcPublicAccess,
        ],
    );
    for step in &mut lockdown.steps {
        step.approval = Approval::Never;
    }
    let on = case(finding(vec![Resource::Account]));
    let plan = plan(&lockdown, &with_hub(), &on, &inventory);
    assert!(!has(&plan, "isolate-interface:interface/eni-bastion"));
    assert!(has(&plan, "isolate-interface:interface/eni-web"));
    let block = StepId("block-vpc-public-access:vpc-public-access".to_owned());
    let block = plan.step(&block).expect("it is planned");
    let why = block.approval.as_deref().unwrap_or_default();
    assert!(why.contains("eni-bastion"), "{why}");
}
