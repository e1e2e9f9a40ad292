//! What could not be read is not what is not there.

use davylamp_model::inventory::{Cluster, Inventory, Reading, Unread};
use davylamp_model::resource::{KeyHolder, Resource};
use davylamp_plan::plan::Case;

use crate::world::*;

fn unread(what: &str) -> Unread {
    Unread {
        what: what.to_owned(),
        why: "nobody answered".to_owned(),
        again: false,
    }
}

/// An inventory of nothing, in which these could not be read.
fn without(unread_things: &[&str]) -> Inventory {
    let mut inventory = Inventory::empty(place(), now());
    inventory.unread = unread_things.iter().map(|what| unread(what)).collect();
    inventory
}

#[track_caller]
fn check(case: &Case, inventory: &Inventory, is_blind: bool) {
    let plan = plan(&everything(), &with_hub(), case, inventory);
    assert_eq!(plan.blind.is_some(), is_blind, "{plan:#?}");
    if let Some(why) = plan.blind {
        assert!(why.contains("nobody answered"), "{why}");
    }
}

#[test]
fn a_plan_says_when_nothing_of_its_resource_could_be_read() {
    check(&on_instance("i-1"), &without(&["instance i-1"]), true);
    check(
        &on_instance("i-1"),
        &without(&["account 444455556666 in us-west-2"]),
        true,
    );
    let function = Resource::Function {
        name: "miner".into(),
    };
    let function = case(finding(vec![function]));
    check(&function, &without(&["function miner"]), true);
    let key = Resource::AccessKey {
        key: None,
        holder: KeyHolder::User { user: "ann".into() },
    };
    check(&case(finding(vec![key])), &without(&["user ann"]), true);
    let pod = Resource::Workload {
        cluster: Some("hub-prod".into()),
        namespace: "jhub".into(),
        kind: "pods".to_owned(),
        name: "jupyter-alice".to_owned(),
    };
    let mut inventory = without(&["cluster hub-prod"]);
    inventory.clusters = vec![Cluster {
        name: "hub-prod".into(),
        state: Reading::Unknown {
            why: "nobody answered".to_owned(),
        },
    }];
    check(&case(finding(vec![pod])), &inventory, true);
}

#[test]
fn what_was_read_or_is_gone_is_not_unread() {
    // Gone: AWS says so, whatever else could not be read.
    check(&on_instance("i-1"), &without(&["users of the Hub"]), false);
    check(&on_instance("i-1"), &without(&[]), false);
    let mut inventory = hub_node();
    inventory.unread = vec![unread("users of the Hub"), unread("cluster hub-prod")];
    inventory.clusters.clear();
    check(&on_instance("i-1"), &inventory, false);
    // Never acted on, so never looked for.
    let mut sample = finding(vec![Resource::Instance { id: "i-1".into() }]);
    sample.sample = true;
    check(&case(sample), &without(&["instance i-1"]), false);
}
