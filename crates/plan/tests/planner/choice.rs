//! Which playbook is used, and why not another.

use davylamp_content::playbook::{Conditions, Playbook, StepKind, Trigger, UsersOnNode};
use davylamp_model::finding::{Behaviour, Severity};
use davylamp_model::inventory::Reading;
use davylamp_model::resource::Resource;
use davylamp_plan::planner::Planner;

use crate::world::*;

fn with(trigger: Trigger, conditions: Conditions) -> Playbook {
    Playbook {
        trigger,
        conditions,
        ..playbook("wanted", &[StepKind::ProtectInstance])
    }
}

#[test]
fn a_playbook_is_used_where_its_trigger_and_conditions_hold() {
    let list = |text: &str| vec![text.to_owned()];
    let trigger = |behaviours, types, resources, at_least: Option<&str>| {
        let trigger = Trigger {
            behaviours,
            types,
            resources,
            at_least: at_least.map(str::to_owned),
        };
        with(trigger, Conditions::default())
    };
    let when = |conditions| with(Trigger::default(), conditions);
    let users = |users| {
        when(Conditions {
            users: Some(users),
            ..Conditions::default()
        })
    };
    let tagged = |tag: &str| {
        when(Conditions {
            tags: list(tag),
            ..Conditions::default()
        })
    };
    let cases = [
        ("anything", trigger(vec![], vec![], vec![], None), true),
        (
            "behaviour",
            trigger(list("mining"), vec![], vec![], None),
            true,
        ),
        (
            "other behaviour",
            trigger(list("root-used"), vec![], vec![], None),
            false,
        ),
        (
            "type",
            trigger(vec![], list("CryptoCurrency:EC2/*"), vec![], None),
            true,
        ),
        (
            "other type",
            trigger(vec![], list("CryptoCurrency:Lambda/*"), vec![], None),
            false,
        ),
        (
            "resource",
            trigger(vec![], vec![], list("instance"), None),
            true,
        ),
        (
            "other resource",
            trigger(vec![], vec![], list("function"), None),
            false,
        ),
        (
            "severe enough",
            trigger(vec![], vec![], vec![], Some("high")),
            true,
        ),
        (
            "not severe enough",
            trigger(vec![], vec![], vec![], Some("critical")),
            false,
        ),
        (
            "no severity",
            trigger(vec![], vec![], vec![], Some("bad")),
            false,
        ),
        ("one user", users(UsersOnNode::One), true),
        ("several users", users(UsersOnNode::Several), false),
        ("no user", users(UsersOnNode::None), false),
        ("tag", tagged("eks:*"), true),
        ("other tag", tagged("team=hub"), false),
        (
            "in a cluster",
            when(Conditions {
                in_cluster: Some(true),
                ..Conditions::default()
            }),
            true,
        ),
        (
            "not in a cluster",
            when(Conditions {
                in_cluster: Some(false),
                ..Conditions::default()
            }),
            false,
        ),
        (
            "Fargate",
            when(Conditions {
                fargate: Some(false),
                ..Conditions::default()
            }),
            false,
        ),
        (
            "only when named",
            when(Conditions {
                only_when_named: true,
                ..Conditions::default()
            }),
            false,
        ),
    ];
    for (name, playbook, wanted) in cases {
        let plan = plan(&playbook, &with_hub(), &on_instance("i-1"), &hub_node());
        assert_eq!(plan.playbook == "wanted", wanted, "{name}");
        if !wanted {
            assert_eq!(plan.playbook, "report-only", "{name}");
            assert!(!because(&plan, "playbook wanted", "instance/i-1").is_empty());
        }
    }
}

#[test]
fn that_nobody_is_on_a_node_is_not_known_where_its_cluster_could_not_be_read() {
    let wanted = with(
        Trigger::default(),
        Conditions {
            users: Some(UsersOnNode::None),
            ..Conditions::default()
        },
    );
    let mut inventory = hub_node();
    inventory.instances[0].volumes.truncate(1);
    state(&mut inventory).pods.clear();
    let case = on_instance("i-1");
    assert_eq!(
        plan(&wanted, &with_hub(), &case, &inventory).playbook,
        "wanted"
    );
    inventory.clusters[0].state = Reading::Unknown {
        why: "it timed out".to_owned(),
    };
    let blind = plan(&wanted, &with_hub(), &case, &inventory);
    assert_eq!(blind.playbook, "report-only");
}

#[test]
fn what_is_no_occurrence_is_only_reported_whatever_is_named() {
    let good = finding(vec![Resource::Instance { id: "i-1".into() }]);
    let mut cases = Vec::new();
    let mut sample = good.clone();
    sample.sample = true;
    cases.push(("a sample", sample));
    let mut archived = good.clone();
    archived.archived = true;
    cases.push(("archived", archived));
    let mut unknown = good.clone();
    unknown.behaviour = Behaviour::Unknown;
    cases.push(("unknown", unknown));
    let mut nowhere = good.clone();
    nowhere.place = None;
    cases.push(("no place", nowhere));
    let mut elsewhere = good.clone();
    elsewhere.place = elsewhere.place.map(|mut place| {
        place.region = "eu-west-1".into();
        place
    });
    cases.push(("another place", elsewhere));
    let mut empty = good.clone();
    empty.resources.clear();
    cases.push(("no resources", empty));
    let policy = with_hub();
    let playbooks = [everything()];
    for (name, found) in cases {
        for named in [None, Some("everything")] {
            let plan =
                Planner::new(&playbooks, &policy).plan(&case(found.clone()), &hub_node(), named);
            assert_eq!(plan.playbook, "report-only", "{name}");
            assert!(plan.steps.is_empty(), "{name}");
            assert!(!because(&plan, "every step", "finding/f-1").is_empty());
        }
    }
    assert!(
        !plan(&playbooks[0], &policy, &case(good), &hub_node())
            .steps
            .is_empty()
    );
}

#[test]
fn the_lowest_order_is_tried_first_and_a_named_one_alone() {
    let first = Playbook {
        order: 1,
        ..playbook("first", &[])
    };
    let second = Playbook {
        order: 2,
        conditions: Conditions {
            only_when_named: true,
            ..Conditions::default()
        },
        trigger: Trigger {
            behaviours: vec!["root-used".to_owned()],
            at_least: Some("critical".to_owned()),
            resources: vec!["instance".to_owned()],
            ..Trigger::default()
        },
        ..playbook("second", &[])
    };
    let playbooks = [second, first];
    let policy = with_hub();
    let planner = Planner::new(&playbooks, &policy);
    let mut found = finding(vec![Resource::Instance { id: "i-1".into() }]);
    found.severity = Severity::Low;
    let on = case(found);
    let key = case(finding(vec![Resource::Account]));
    let cases = [
        (&on, None, "first"),
        (&on, Some("first"), "first"),
        (&on, Some("second"), "second"),
        (&key, Some("second"), "report-only"),
        (&on, Some("third"), "report-only"),
        (&on, Some("report-only"), "report-only"),
    ];
    for (case, named, wanted) in cases {
        let (chosen, _) = planner.choose(case, &hub_node(), named);
        assert_eq!(chosen.name, wanted, "{named:?}");
    }
}
