use proptest::prelude::*;

use super::*;

fn lead(hunt: &str, score: f64, hours: i64, about: &[(Kind, &str)]) -> Lead {
    let first = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
    let entities = about
        .iter()
        .flat_map(|(kind, value)| Entity::all_of(*kind, value));
    Lead {
        hunt: hunt.to_owned(),
        severity: Severity::High,
        score,
        first_seen: Some(first),
        last_seen: Some(first + SignedDuration::from_hours(1)),
        entities: entities.collect(),
        because: format!("{hunt} {about:?}"),
        evidence: BTreeMap::new(),
    }
}

/// The hunts of each suspect, in the order of the ranking.
fn ranked(leads: Vec<Lead>, links: &[Link]) -> Vec<Vec<String>> {
    let suspects = rank(leads, links);
    let hunts = |suspect: Suspect| {
        let mut hunts: Vec<String> = suspect.leads.into_iter().map(|lead| lead.hunt).collect();
        hunts.sort();
        hunts
    };
    suspects.into_iter().map(hunts).collect()
}

fn are_joined(one: Lead, other: Lead) -> bool {
    rank(vec![one, other], &[]).len() == 1
}

#[test]
fn what_is_about_the_same_thing_within_a_day_is_one_suspect() {
    for (kind, value) in [
        (Kind::Key, "AKIAEXAMPLE"),
        (Kind::Instance, "i-1"),
        (Kind::Interface, "eni-1"),
        (Kind::Principal, "arn:aws:iam::1:user/a"),
        (Kind::Address, "10.0.0.5"),
        (Kind::Workload, "default/pod/x"),
        (Kind::Remote, "198.51.101.9"),
    ] {
        let about = [(kind, value)];
        let first = lead("a", 60.0, 0, &about);
        assert!(are_joined(first.clone(), lead("b", 60.0, 25, &about)));
        assert!(!are_joined(first, lead("b", 60.0, 26, &about)), "{kind:?}");
    }
}

#[test]
fn an_account_a_region_a_type_or_a_service_joins_nothing() {
    for (kind, value) in [
        (Kind::Account, "111122223333"),
        (Kind::Region, "us-east-1"),
        (Kind::Type, "p3.16xlarge"),
        (Kind::Cluster, "hub"),
        (Kind::Principal, "autoscaling.amazonaws.com"),
    ] {
        let about = [(kind, value)];
        let (one, other) = (lead("a", 60.0, 0, &about), lead("b", 60.0, 0, &about));
        assert!(!are_joined(one, other), "{kind:?}");
    }
}

#[test]
fn a_private_address_is_another_one_in_another_account() {
    let at = |account, address| {
        lead(
            "a",
            60.0,
            0,
            &[(Kind::Account, account), (Kind::Address, address)],
        )
    };
    assert!(!are_joined(at("1", "10.0.0.5"), at("2", "10.0.0.5")));
    assert!(are_joined(at("1", "10.0.0.5"), at("1", "10.0.0.5")));
    assert!(are_joined(at("1", "203.0.114.7"), at("2", "203.0.114.7")));
    let unsaid = lead("b", 60.0, 0, &[(Kind::Address, "10.0.0.5")]);
    assert!(are_joined(at("1", "10.0.0.5"), unsaid));
}

#[test]
fn a_list_is_several_things() {
    let both = lead("a", 60.0, 0, &[(Kind::Instance, "i-1,i-2")]);
    assert_eq!(both.entities.len(), 2);
    assert!(are_joined(
        both,
        lead("b", 60.0, 0, &[(Kind::Instance, "i-2")])
    ));
}

#[test]
fn weak_signals_and_services_of_everybody_join_no_hosts() {
    let remote = (Kind::Remote, "198.51.101.9");
    let weak = lead("a", 49.0, 0, &[remote]);
    assert!(!are_joined(weak, lead("b", 90.0, 0, &[remote])));
    let host = |number: usize| {
        let interface = format!("eni-{number}");
        lead("a", 90.0, 0, &[remote, (Kind::Interface, &interface)])
    };
    let hosts = |count| rank((0..count).map(host).collect(), &[]).len();
    assert_eq!(hosts(MOST_SHARING), 1);
    assert_eq!(hosts(MOST_SHARING + 1), MOST_SHARING + 1);
}

#[test]
fn names_of_one_thing_join_however_far_apart() {
    let names = ["a", "b", "c", "d"].map(|value| Entity {
        kind: Kind::Interface,
        value: value.to_owned(),
    });
    let links: Vec<Link> = names
        .windows(2)
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect();
    let leads = vec![
        lead("one", 60.0, 0, &[(Kind::Interface, "a")]),
        lead("two", 60.0, 0, &[(Kind::Interface, "d")]),
        lead("other", 60.0, 0, &[(Kind::Interface, "e")]),
    ];
    let expected = [vec!["one", "two"], vec!["other"]];
    assert_eq!(ranked(leads, &links), expected);
}

#[test]
fn several_hunts_weigh_more_than_many_rows_of_one() {
    let about = |value| [(Kind::Interface, value)];
    let mut leads: Vec<Lead> = (0..50)
        .map(|hour| lead("one", 80.0, hour, &about("many")))
        .collect();
    leads.push(lead("one", 60.0, 0, &about("both")));
    leads.push(lead("two", 60.0, 0, &about("both")));
    let suspects = rank(leads, &[]);
    assert_eq!(suspects[0].leads.len(), 2);
    assert!(suspects[0].score > suspects[1].score);
}

#[test]
fn more_about_the_same_thing_keeps_the_name() {
    let about = [(Kind::Key, "AKIAEXAMPLE")];
    let alone = rank(vec![lead("a", 60.0, 0, &about)], &[]);
    let more = rank(
        vec![lead("b", 90.0, 3, &about), lead("a", 60.0, 0, &about)],
        &[],
    );
    assert_eq!(alone[0].id, more[0].id);
}

fn some_lead() -> impl Strategy<Value = Lead> {
    let kinds = ENTITIES.iter().map(|(kind, _)| *kind).collect::<Vec<_>>();
    let value = prop::sample::select(vec!["10.0.0.5", "203.0.114.7", "x", "y,x", "arn:z"]);
    let about = prop::collection::vec((prop::sample::select(kinds), value), 0..4);
    let times = prop::option::of(-200..200_i64);
    let hunt = prop::sample::select(vec!["a", "b", "c"]);
    (hunt, 0.0..120.0, times.clone(), times, about).prop_map(|(hunt, score, first, last, about)| {
        let at = |hours| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
        Lead {
            first_seen: first.map(at),
            last_seen: last.map(at),
            ..lead(hunt, score, 0, &about)
        }
    })
}

proptest! {
    #[test]
    fn the_order_of_leads_does_not_matter_and_none_is_lost(
        (leads, shuffled) in prop::collection::vec(some_lead(), 0..40)
            .prop_flat_map(|leads| (Just(leads.clone()), Just(leads).prop_shuffle()))
    ) {
        let links = [(
            Entity { kind: Kind::Interface, value: "x".to_owned() },
            Entity { kind: Kind::Instance, value: "x".to_owned() },
        )];
        let suspects = rank(leads.clone(), &links);
        prop_assert_eq!(&suspects, &rank(shuffled, &links));
        let kept: usize = suspects.iter().map(|suspect| suspect.leads.len()).sum();
        prop_assert_eq!(kept, leads.len());
        for suspect in &suspects {
            prop_assert!((0.0..=100.0).contains(&suspect.score));
        }
        for pair in suspects.windows(2) {
            prop_assert!(pair[0].score >= pair[1].score);
        }
    }
}
