//! From a playbook's steps to exact actions.

use davylamp_content::playbook::{Approval, Playbook, Release, StepKind};
use davylamp_model::inventory::{Controller, Doors, IamUser, OpenRule, PublicInterface, Reading};
use davylamp_model::inventory::{Tags, Task};
use davylamp_model::resource::{KeyHolder, Resource};
use davylamp_plan::action::{Action, PortalSubject};
use davylamp_plan::plan::StepId;
use davylamp_plan::policy::{Policy, PortalNames};

use crate::world::*;

pub const END: [StepKind; 4] = [
    StepKind::ProtectInstance,
    StepKind::SnapshotEvidence,
    StepKind::TerminateInstance,
    StepKind::ReleaseTerminationProtection,
];

fn full_policy() -> Policy {
    Policy {
        archive: true,
        portal: Some(PortalNames::Claim),
        cognito_pool: Some("pool".to_owned()),
        ..with_hub()
    }
}

#[test]
fn origin_000_is_planned_whole() {
    let mut hub_miner = playbook(
        "hub-miner",
        &[
            StepKind::RemoveHubUser,
            StepKind::DeauthorisePortalUser,
            StepKind::ProtectInstance,
            StepKind::KeepVolumes,
            StepKind::SnapshotEvidence,
            StepKind::IsolateInterfaces,
            StepKind::TerminateInstance,
            StepKind::ArchiveFindings,
        ],
    );
    for step in &mut hub_miner.steps {
        step.approval = Approval::WhenShared;
    }
    hub_miner.release = Some(Release {
        after_hours: 24,
        steps: vec![
            "isolate-interfaces".to_owned(),
            "terminate-instance".to_owned(),
        ],
    });
    let plan = plan(&hub_miner, &full_policy(), &on_instance("i-1"), &hub_node());
    assert_eq!(
        ids(&plan),
        [
            "remove-hub-user:hub-user/alice",
            "deauthorise-portal-user:portal-claim/claim-alice",
            "protect-instance:instance/i-1",
            "keep-volumes:instance/i-1",
            "snapshot-instance:instance/i-1",
            "await-evidence:volumes/vol-alice,vol-root-i-1",
            "isolate-interface:interface/eni-i-1",
            "unprotect-instance:instance/i-1",
            "terminate-instance:instance/i-1",
            "archive-finding:finding/f-1",
        ]
    );
    assert!(plan.steps.iter().all(|step| step.approval.is_none()));
    let timer = plan
        .release
        .expect("something was only for the investigation");
    assert_eq!(timer.after_hours, 24);
    assert_eq!(
        timer.steps,
        [StepId("isolate-interface:interface/eni-i-1".to_owned())]
    );
}

#[test]
fn what_cannot_be_reached_does_not_stop_the_rest() {
    let mut inventory = hub_node();
    inventory.clusters[0].state = Reading::Unknown {
        why: "it timed out".to_owned(),
    };
    inventory.hub = Reading::Unknown {
        why: "it answers 503".to_owned(),
    };
    let plan = plan(
        &everything(),
        &full_policy(),
        &on_instance("i-1"),
        &inventory,
    );
    assert!(has(
        &plan,
        "deauthorise-portal-user:portal-claim/claim-alice"
    ));
    assert!(has(&plan, "terminate-instance:instance/i-1"));
    assert!(has(&plan, "isolate-interface:interface/eni-i-1"));
    assert!(!has(&plan, "disable-cognito-user:cognito/pool/alice"));
    for (what, target, wanted) in [
        ("remove-hub-user", "instance/i-1", "503"),
        ("cordon-node", "instance/i-1", "timed out"),
        ("isolate-pod", "instance/i-1", "timed out"),
        ("disable-cognito-user", "hub-user/alice", "not proven"),
    ] {
        let said = because(&plan, what, target);
        assert!(said.contains(wanted), "{what}: {said}");
    }
}

#[test]
fn a_shared_node_asks_and_nobody_undecided_is_stopped() {
    let mut inventory = hub_node();
    state(&mut inventory)
        .pods
        .push(server("jupyter-bob", "n1", "bob"));
    let plan = plan(
        &everything(),
        &full_policy(),
        &on_instance("i-1"),
        &inventory,
    );
    for user in ["alice", "bob"] {
        let said = because(&plan, "remove-hub-user", &format!("hub-user/{user}"));
        assert!(said.contains("alice, bob"), "{said}");
    }
    for id in [
        "terminate-instance:instance/i-1",
        "stop-instance:instance/i-1",
    ] {
        let step = plan.step(&StepId(id.to_owned())).expect("it is planned");
        let why = step.approval.as_deref().unwrap_or_default();
        assert!(why.contains("alice, bob"), "{id}: {why}");
    }
}

#[test]
fn approvals_follow_the_playbook_and_the_policy() {
    let allow = Policy {
        allow_irreversible: ["terminate-instance".to_owned()].into(),
        ..with_hub()
    };
    let cases = [
        (Approval::Never, with_hub(), false, false),
        (Approval::Always, with_hub(), true, true),
        (Approval::WhenShared, with_hub(), false, false),
        (Approval::WhenIrreversible, with_hub(), true, false),
        (Approval::WhenIrreversible, allow, false, false),
    ];
    for (approval, policy, end, cut) in cases {
        let mut asked = playbook("asked", &END);
        asked
            .steps
            .extend(playbook("cut", &[StepKind::IsolateInterfaces]).steps);
        for step in &mut asked.steps {
            step.approval = approval;
        }
        let plan = plan(&asked, &policy, &on_instance("i-1"), &hub_node());
        let asks = |id: &str| {
            let step = plan.step(&StepId(id.to_owned())).expect("it is planned");
            step.approval.is_some()
        };
        assert_eq!(asks("terminate-instance:instance/i-1"), end, "{approval:?}");
        // Whoever says no to the end must not find the protection gone.
        assert_eq!(asks("unprotect-instance:instance/i-1"), end, "{approval:?}");
        assert_eq!(
            asks("isolate-interface:interface/eni-i-1"),
            cut,
            "{approval:?}"
        );
    }
}

#[test]
fn an_attack_sequence_is_answered_at_everything_it_names() {
    let mut inventory = hub_node();
    inventory.instances.push(instance("i-2"));
    state(&mut inventory).nodes.push(node("n2", "i-2"));
    state(&mut inventory).controllers = vec![Controller {
        namespace: "jhub".into(),
        kind: "deployment".to_owned(),
        name: "web".to_owned(),
        replicas: Some(2),
        suspended: false,
        owner: None,
        labels: Tags::new(),
    }];
    let mut web = pod("jhub", "web-1", "n2");
    web.owner = Some("deployment/web".to_owned());
    let mut host = pod("jhub", "web-2", "n2");
    host.owner = Some("deployment/web".to_owned());
    host.host_network = true;
    state(&mut inventory).pods.extend([web, host]);
    inventory.users = vec![IamUser {
        name: "deploy".into(),
        keys: vec![("AKIA1".into(), true), ("AKIA2".into(), false)],
        login_profile: Reading::Known(false),
        tags: Tags::new(),
    }];
    let key = |key: &str| Resource::AccessKey {
        key: Some(key.into()),
        holder: KeyHolder::User {
            user: "deploy".into(),
        },
    };
    let found = finding(vec![
        Resource::Instance { id: "i-1".into() },
        Resource::Workload {
            cluster: None,
            namespace: "jhub".into(),
            kind: "deployments".to_owned(),
            name: "web".to_owned(),
        },
        key("AKIA1"),
        key("AKIA2"),
        Resource::AccessKey {
            key: None,
            holder: KeyHolder::RoleSession {
                role: "node".into(),
                session: Some("i-0123456789abcdef0".to_owned()),
            },
        },
    ]);
    let plan = plan(&everything(), &with_hub(), &case(found), &inventory);
    for id in [
        "isolate-interface:interface/eni-i-1",
        "isolate-interface:interface/eni-i-2",
        "isolate-pod:pod/hub-prod/jhub/web-1",
        "delete-pod:pod/hub-prod/jhub/web-1",
        "delete-pod:pod/hub-prod/jhub/web-2",
        "scale-to-zero:deployment/hub-prod/jhub/web",
        "deactivate-key:key/AKIA1",
        "deny-role-sessions:role/node/arn:aws:ec2:us-west-2:444455556666:instance/i-0123456789abcdef0",
    ] {
        assert!(has(&plan, id), "{id}: {:#?}", ids(&plan));
    }
    assert!(because(&plan, "isolate-pod", "pod/hub-prod/jhub/web-2").contains("network"));
    assert!(because(&plan, "deactivate-keys", "key/AKIA2").contains("inactive"));
    assert!(because(&plan, "delete-login-profile", "user/deploy").contains("password"));
}

#[test]
fn a_fargate_task_has_no_machine_and_no_volume() {
    let mut inventory = hub_node();
    let (cluster, task) = ("arn:c", "arn:t");
    inventory.tasks = vec![Task {
        cluster: cluster.into(),
        task: task.into(),
        status: "RUNNING".to_owned(),
        launch_type: "FARGATE".to_owned(),
        service: Some(("web".to_owned(), 3)),
        instance: None,
        interfaces: vec![interface("eni-task")],
        tags: Tags::new(),
    }];
    let on = case(finding(vec![Resource::EcsTask {
        cluster: cluster.into(),
        task: task.into(),
        fargate: true,
    }]));
    let plan = plan(&everything(), &with_hub(), &on, &inventory);
    for id in [
        "isolate-interface:interface/eni-task",
        "stop-task:task/arn:t",
        "scale-service-to-zero:service/arn:c/web",
    ] {
        assert!(has(&plan, id), "{id}: {:#?}", ids(&plan));
    }
    assert!(because(&plan, "snapshot-evidence", "task/arn:t").contains("Fargate"));
    assert!(because(&plan, "terminate-instance", "task/arn:t").contains("Fargate"));
}

fn lockdown() -> Playbook {
    playbook(
        "account-lockdown",
        &[
            StepKind::ClosePublicInterfaces,
            StepKind::DisassociateAddresses,
            StepKind::RevokeOpenRules,
            StepKind::BlockVpcPublicAccess,
            StepKind::BlockBucketPublicAccess,
            StepKind::CloseEksEndpoints,
        ],
    )
}

#[test]
fn the_doors_of_an_account_are_closed_and_what_is_not_known_is_said() {
    let door = |id: &str, managed| PublicInterface {
        interface: interface(id),
        instance: None,
        instance_tags: Tags::new(),
        elastic: Some((format!("eipalloc-{id}"), format!("eipassoc-{id}"))),
        managed,
    };
    let mut inventory = hub_node();
    inventory.doors = Reading::Known(Doors {
        interfaces: vec![door("eni-b", false), door("eni-nat", true)],
        open_rules: vec![OpenRule {
            group: "sg-9".into(),
            rule: "sgr-1".to_owned(),
            ingress: true,
            network: "0.0.0.0/0".to_owned(),
            ports: "tcp 22".to_owned(),
            group_tags: Tags::new(),
        }],
        vpc_block_mode: Reading::Known("off".to_owned()),
        s3_blocked: Reading::Known(true),
        eks_endpoints: Reading::Unknown {
            why: "denied".to_owned(),
        },
    });
    let on = case(finding(vec![Resource::Account]));
    let open = plan(&lockdown(), &with_hub(), &on, &inventory);
    assert_eq!(
        ids(&open),
        [
            "isolate-interface:interface/eni-b",
            "disassociate-address:address/eipassoc-eni-b",
            "revoke-rule:rule/sgr-1",
            "block-vpc-public-access:vpc-public-access",
            // It is closed, and this incident needs it so as well.
            "block-bucket-public-access:bucket-public-access/444455556666",
        ]
    );
    assert!(because(&open, "close-eks-endpoints", "eks").contains("denied"));
    let managed = because(&open, "close-public-interfaces", "interface/eni-nat");
    assert!(managed.contains("manages"), "{managed}");
    inventory.doors = Reading::NotAsked;
    let plan = plan(&lockdown(), &with_hub(), &on, &inventory);
    assert!(plan.steps.is_empty());
    assert_eq!(plan.omissions.len(), lockdown().steps.len());
}

#[test]
fn the_portal_takes_the_name_it_is_configured_for() {
    let only = playbook("portal", &[StepKind::DeauthorisePortalUser]);
    for (names, wanted) in [
        (
            PortalNames::Claim,
            PortalSubject::Claim("claim-alice".to_owned()),
        ),
        (PortalNames::User, PortalSubject::User("alice".into())),
    ] {
        let policy = Policy {
            portal: Some(names),
            ..with_hub()
        };
        let plan = plan(&only, &policy, &on_instance("i-1"), &hub_node());
        let actions: Vec<&Action> = plan.steps.iter().map(|step| &step.action).collect();
        assert_eq!(
            actions,
            [&Action::DeauthorisePortalUser { subject: wanted }]
        );
    }
}

#[test]
fn the_portal_is_told_of_claims_in_the_hubs_own_namespaces_alone() {
    let mut inventory = hub_node();
    inventory.hub = Reading::Unknown {
        why: "it answers 503".to_owned(),
    };
    for (namespaces, is_told) in [
        (vec!["jh*"], true),
        (vec!["*"], true),
        (vec!["other", "jhub"], true),
        (vec!["other"], false),
        (vec!["hub"], false),
    ] {
        let policy = Policy {
            hub_namespaces: namespaces.iter().map(ToString::to_string).collect(),
            ..full_policy()
        };
        let plan = plan(&everything(), &policy, &on_instance("i-1"), &inventory);
        let claim = "deauthorise-portal-user:portal-claim/claim-alice";
        assert_eq!(has(&plan, claim), is_told, "{namespaces:?}");
    }
}
