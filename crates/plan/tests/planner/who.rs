//! From a finding to a person, and never to another.

use davylamp_model::finding::FindingSource;
use davylamp_model::inventory::{Claim, Inventory, Reading, Sighting, Tags};
use davylamp_model::resource::Resource;
use davylamp_plan::plan::Case;
use davylamp_plan::planner::Planner;
use davylamp_plan::policy::{Policy, PortalNames};
use davylamp_plan::who::SlugIndex;

use crate::world::*;

/// Candidates, and the one who is decided.
pub fn check(
    name: &str,
    case: &Case,
    inventory: &Inventory,
    policy: &Policy,
    candidates: &[&str],
    decided: Option<&str>,
) {
    let playbooks = [everything()];
    let found = Planner::new(&playbooks, policy).attribute(case, inventory);
    let names: Vec<&str> = found
        .candidates
        .iter()
        .map(|held| held.user.as_str())
        .collect();
    assert_eq!(names, candidates, "{name}: {found:#?}");
    let held = found.decided.as_ref().map(|user| user.as_str());
    assert_eq!(held, decided, "{name}: {}", found.because);
    for candidate in &found.candidates {
        let last = candidate.chain.last();
        assert!(
            candidate
                .chain
                .iter()
                .any(|link| link.to == format!("hub-user/{}", candidate.user)),
            "{name}: no link leads to {}: {last:?}",
            candidate.user
        );
        assert!(candidate.chain.iter().all(|link| !link.proof.is_empty()));
    }
}

fn unread() -> String {
    "it does not answer".to_owned()
}

/// A machine with these volumes' claims, and no cluster that could be read.
fn by_volumes(claims: &[&str]) -> Inventory {
    let mut inventory = hub_node();
    inventory.clusters[0].state = Reading::Unknown { why: unread() };
    let volumes = &mut inventory.instances[0].volumes;
    volumes.truncate(1);
    for (number, claim) in claims.iter().enumerate() {
        volumes.push(claimed(&format!("vol-{number}"), claim));
    }
    inventory
}

fn hub(names: &[&str]) -> Reading<Vec<davylamp_model::inventory::HubRecord>> {
    Reading::Known(names.iter().map(|name| user(name)).collect())
}

/// A claim, the Hub's users, the candidates, and who is decided on.
type Named = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    Option<&'static str>,
);

#[test]
fn a_claim_leads_to_the_user_whose_slug_it_is() {
    let cases: &[Named] = &[
        (
            "claim-alice",
            &["alice", "e", "lice"],
            &["alice"],
            Some("alice"),
        ),
        (
            "claim-alice--work",
            &["alice", "e"],
            &["alice"],
            Some("alice"),
        ),
        (
            "claim-bob-40e",
            &["bob@e", "bob"],
            &["bob@e"],
            Some("bob@e"),
        ),
        (
            "claim-bob-40e",
            &["bob-40e", "bob@e"],
            &["bob-40e", "bob@e"],
            None,
        ),
        (
            "claim-bob-2edoe",
            &["bob.doe", "bob"],
            &["bob.doe"],
            Some("bob.doe"),
        ),
        (
            "claim-bob-doe---6b0fecac",
            &["bob.doe", "bob-doe"],
            &["bob.doe"],
            Some("bob.doe"),
        ),
        // Nobody of the Hub is written so: the name is proposed and never acted on.
        ("claim-alice", &["e", "lice", "claim"], &["alice"], None),
        (
            "claim-bob-doe---ffffffff",
            &["bob.doe"],
            &["bob-doe---ffffffff"],
            None,
        ),
        ("data-postgres-0", &["alice"], &[], None),
        ("claim-", &["alice"], &[], None),
    ];
    for (claim, users, candidates, decided) in cases {
        let mut inventory = by_volumes(&[claim]);
        inventory.hub = hub(users);
        let name = format!("{claim} among {users:?}");
        check(
            &name,
            &on_instance("i-1"),
            &inventory,
            &with_hub(),
            candidates,
            *decided,
        );
    }
}

#[test]
fn without_the_hubs_list_only_an_annotation_is_proof() {
    let mut inventory = by_volumes(&["claim-alice"]);
    inventory.hub = Reading::Unknown { why: unread() };
    let case = on_instance("i-1");
    check(
        "a claim's name",
        &case,
        &inventory,
        &with_hub(),
        &["alice"],
        None,
    );

    let mut inventory = hub_node();
    inventory.hub = Reading::Unknown { why: unread() };
    check(
        "an annotation",
        &case,
        &inventory,
        &with_hub(),
        &["alice"],
        Some("alice"),
    );

    // The annotation says another than the name does: both are candidates.
    state(&mut inventory).claims = vec![Claim {
        namespace: "jhub".into(),
        name: "claim-alice".into(),
        volume: Some("vol-alice".into()),
        labels: Tags::new(),
        annotations: tags(&[("hub.jupyter.org/username", "bob")]),
    }];
    check(
        "a contradiction",
        &case,
        &inventory,
        &with_hub(),
        &["alice", "bob"],
        None,
    );
    inventory.hub = hub(&["alice", "bob"]);
    check(
        "with the list",
        &case,
        &inventory,
        &with_hub(),
        &["alice", "bob"],
        None,
    );
}

#[test]
fn one_user_with_several_volumes_is_one_candidate() {
    let inventory = by_volumes(&["claim-alice--work", "claim-alice"]);
    let playbooks = [everything()];
    let policy = with_hub();
    let found = Planner::new(&playbooks, &policy).attribute(&on_instance("i-1"), &inventory);
    assert_eq!(found.candidates.len(), 1);
    assert_eq!(found.candidates[0].claim.as_deref(), Some("claim-alice"));
    assert_eq!(found.decided, Some("alice".into()));
    // What could not be seen is said.
    assert!(
        found.because.contains("could not be read"),
        "{}",
        found.because
    );
}

/// A node with alice's and bob's servers.
pub fn two() -> Inventory {
    let mut inventory = hub_node();
    state(&mut inventory)
        .pods
        .push(server("jupyter-bob", "n1", "bob"));
    inventory
}

pub fn sighting(user: Option<&str>, pod: Option<&str>, node: &str, minutes: i64) -> Sighting {
    Sighting {
        at: minutes_ago(minutes),
        user: user.map(Into::into),
        pod: pod.map(|pod| ("jhub".into(), pod.into())),
        node: Some(node.into()),
    }
}

#[test]
fn whom_the_guard_saw_here_is_a_candidate_without_a_volume() {
    let mut inventory = by_volumes(&["claim-alice"]);
    inventory.clusters = hub_node().clusters;
    inventory.sightings = vec![sighting(Some("bob"), None, "n1", 5)];
    let case = on_instance("i-1");
    check(
        "seen",
        &case,
        &inventory,
        &with_hub(),
        &["alice", "bob"],
        Some("bob"),
    );
}

fn on_pod(name: &str) -> Case {
    case(finding(vec![Resource::Workload {
        cluster: Some("hub-prod".into()),
        namespace: "jhub".into(),
        kind: "pods".to_owned(),
        name: name.to_owned(),
    }]))
}

#[test]
fn a_finding_that_names_a_pod_means_its_user_and_nobody_else() {
    let inventory = two();
    check(
        "bob's",
        &on_pod("jupyter-bob"),
        &inventory,
        &with_hub(),
        &["bob"],
        Some("bob"),
    );

    let mut web = two();
    let mut pod = pod("jhub", "jupyter-web", "n1");
    pod.owner = Some("replicaset/web".to_owned());
    state(&mut web).pods.push(pod);
    check(
        "a service's",
        &on_pod("jupyter-web"),
        &web,
        &with_hub(),
        &[],
        None,
    );

    // The cluster is out of reach: the Hub's list confirms what the pod's name says.
    let mut blind = two();
    blind.clusters[0].state = Reading::Unknown { why: unread() };
    blind.hub = hub(&["bob.doe", "alice"]);
    let case = on_pod("jupyter-bob-2edoe");
    check(
        "unseen",
        &case,
        &blind,
        &with_hub(),
        &["bob.doe"],
        Some("bob.doe"),
    );
    blind.hub = Reading::Unknown { why: unread() };
    check("all unseen", &case, &blind, &with_hub(), &["bob.doe"], None);
}

#[test]
fn the_guards_own_word_names_a_user_and_a_strangers_does_not() {
    let mut found = finding(vec![Resource::HubUser {
        user: "bob".into(),
        pod: None,
    }]);
    let mut inventory = hub_node();
    inventory.hub = Reading::Unknown { why: unread() };
    let stranger = case(found.clone());
    check(
        "stranger",
        &stranger,
        &inventory,
        &with_hub(),
        &["bob"],
        None,
    );
    found.source = FindingSource::Davylamp;
    let guard = case(found);
    check(
        "guard",
        &guard,
        &inventory,
        &with_hub(),
        &["bob"],
        Some("bob"),
    );
    inventory.hub = hub(&["alice"]);
    check(
        "unknown to the Hub",
        &guard,
        &inventory,
        &with_hub(),
        &["bob"],
        None,
    );
}

#[test]
fn a_second_hubs_user_of_the_same_name_is_not_this_hubs() {
    let policy = Policy {
        hub_namespaces: vec!["hub-a".to_owned()],
        ..with_hub()
    };
    check(
        "elsewhere",
        &on_instance("i-1"),
        &hub_node(),
        &policy,
        &[],
        None,
    );
    let here = Policy {
        hub_namespaces: vec!["jh*".to_owned()],
        ..with_hub()
    };
    check(
        "here",
        &on_instance("i-1"),
        &hub_node(),
        &here,
        &["alice"],
        Some("alice"),
    );
}

#[test]
fn an_index_made_before_gives_the_same_answer() {
    let inventory = hub_node();
    let records = inventory.hub.known().cloned().unwrap_or_default();
    let (index, other) = (SlugIndex::new(&records), SlugIndex::new(&[user("e")]));
    let playbooks = [everything()];
    let policy = with_hub();
    let case = on_instance("i-1");
    let plain = Planner::new(&playbooks, &policy).plan(&case, &inventory, None);
    for index in [&index, &other] {
        let planner = Planner::new(&playbooks, &policy).with_slugs(index);
        assert_eq!(planner.plan(&case, &inventory, None), plain);
    }
}

/// Found by the tags alone, as where no cluster can be read.
fn with_a_claim_in(namespace: &str) -> Inventory {
    let mut inventory = hub_node();
    inventory.clusters[0].state = Reading::Unknown {
        why: "it timed out".to_owned(),
    };
    let mut other = claimed("vol-other", "claim-zed");
    let space = "kubernetes.io/created-for/pvc/namespace".to_owned();
    other.tags.insert(space, namespace.to_owned());
    inventory.instances[0].volumes.push(other);
    inventory
}

#[test]
fn a_claim_of_others_on_the_machine_is_somebody_who_may_be_the_one() {
    let policy = Policy {
        hub_namespaces: vec!["jhub".to_owned()],
        portal: Some(PortalNames::Claim),
        ..with_hub()
    };
    let case = on_instance("i-1");
    check(
        "beside alice",
        &case,
        &with_a_claim_in("otherhub"),
        &policy,
        &["alice"],
        None,
    );
    let plan = plan(&everything(), &policy, &case, &with_a_claim_in("otherhub"));
    for step in &plan.steps {
        let verb = step.action.verb();
        assert!(
            !["remove-hub-user", "deauthorise-portal-user"].contains(&verb),
            "{}",
            step.id
        );
    }
    let said = &plan.attribution.because;
    assert!(said.contains("claim otherhub/claim-zed"), "{said}");
    // What the guard saw speaks against exactly one.
    let mut seen = with_a_claim_in("otherhub");
    seen.sightings.push(Sighting {
        at: now(),
        node: None,
        pod: None,
        user: Some("alice".into()),
    });
    check("seen", &case, &seen, &policy, &["alice"], Some("alice"));
}

#[test]
fn a_machine_with_a_volume_of_a_protected_namespace_is_neither_cut_off_nor_ended() {
    let case = on_instance("i-1");
    let inventory = with_a_claim_in("kube-system");
    let plan = plan(&everything(), &with_hub(), &case, &inventory);
    for step in [
        "terminate-instance:instance/i-1",
        "isolate-interface:interface/eni-i-1",
    ] {
        assert!(!has(&plan, step), "{step}");
    }
    let said = because(&plan, "terminate-instance", "instance/i-1");
    assert!(said.contains("kube-system is protected"), "{said}");
}
