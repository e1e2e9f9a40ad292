use std::{collections::BTreeMap, sync::Arc};

use davylamp_model::{
    container::ContainerType,
    ids::{ContainerId, HubUser},
};

use super::*;
use crate::container::Why;

fn container(id: &str, user: Option<&str>) -> Container {
    Container {
        id: ContainerId::from(id),
        container_type: ContainerType::Cri,
        labels: BTreeMap::new(),
        image: None,
        hub_user: user.map(HubUser::from),
        outer: None,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_772_366_400 + seconds).expect("a time")
}

fn suspicions(detections: &[&str]) -> Suspicions {
    let mut config = Config::default();
    config.policy.detections = detections.iter().map(|text| (*text).to_owned()).collect();
    Suspicions::new(&config)
}

fn mark(detection: &str, kind: Kind, score: f64, response: Level) -> Mark {
    Mark {
        detection: detection.to_owned(),
        kind,
        score,
        response,
        what: String::new(),
        at: at(0),
    }
}

#[test]
fn signs_of_a_user_add_up_over_containers_and_trees() {
    let suspicions = suspicions(&[]);
    let in_one = subjects_in(&Lookup::Known(Arc::new(container("a", Some("ann")))));
    let in_other = subjects_in(&Lookup::Known(Arc::new(container("b", Some("ann")))));
    assert_eq!(in_one.len(), 2);
    let rounding = mark("randomx-rounding", Kind::Compute, 85.0, Level::KillProcess);
    let (standing, _) = suspicions.add(&in_one, &rounding, at(0));
    assert_eq!(standing.level, Level::Alert);
    let flow = mark("thin-flow", Kind::Flow, 30.0, Level::Alert);
    let (standing, whose) = suspicions.add(&in_other, &flow, at(0));
    assert_eq!((standing.level, whose), (Level::KillProcess, "hub user"));
    assert_eq!(standing.signs.len(), 2);
}

#[test]
fn a_container_is_known_by_what_no_process_inside_can_name() {
    let outer = container("outer", Some("ann"));
    let inner = Container {
        outer: Some(Box::new(outer)),
        ..container("claimed", Some("bob"))
    };
    let expected = vec![
        Subject::Container("outer".to_owned()),
        Subject::HubUser("ann".to_owned()),
    ];
    assert_eq!(subjects_in(&Lookup::Known(Arc::new(inner))), expected);
    let unknown = Lookup::Unknown {
        id: Some(ContainerId::from("x")),
        why: Why::NotFound,
    };
    let expected = vec![Subject::Container("x".to_owned())];
    assert_eq!(subjects_in(&unknown), expected);
    assert_eq!(subjects_in(&Lookup::Host), Vec::new());
}

#[test]
fn what_stands_as_it_stood_is_told_again_after_an_hour_only() {
    let suspicions = suspicions(&[]);
    let subjects = [Subject::Container("a".to_owned())];
    assert!(suspicions.is_due(&subjects, Level::Alert, at(0)));
    assert!(!suspicions.is_due(&subjects, Level::Alert, at(1)));
    assert!(suspicions.is_due(&subjects, Level::Freeze, at(2)));
    assert!(!suspicions.is_due(&subjects, Level::Alert, at(3)));
    assert!(suspicions.is_due(&subjects, Level::Alert, at(3602)));
}

#[test]
fn each_shipped_detection_has_its_kind_and_what_it_may_do() {
    let suspicions = suspicions(&[]);
    let known = |name: &str| {
        let known = &suspicions.known[name];
        (known.kind, known.response)
    };
    assert_eq!(known("pool-protocol"), (Kind::Protocol, Level::KillProcess));
    assert_eq!(known("thin-flow"), (Kind::Flow, Level::Alert));
    assert_eq!(known("steady-use"), (Kind::Use, Level::Alert));
    assert_eq!(known("miner-program"), (Kind::Command, Level::KillProcess));
}

#[test]
fn an_operators_word_counts() {
    let suspicions = suspicions(&[
        "thin-flow score=0",
        "steady-use score=100 response=evict-pod",
    ]);
    let subjects = [Subject::Container("a".to_owned())];
    let flow = mark("thin-flow", Kind::Flow, 30.0, Level::Alert);
    assert_eq!(suspicions.add(&subjects, &flow, at(0)).0.score, 0.0);
    let steady = mark("steady-use", Kind::Use, 15.0, Level::Alert);
    assert_eq!(
        suspicions.add(&subjects, &steady, at(0)).0.level,
        Level::EvictPod
    );
}
