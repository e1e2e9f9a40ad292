use std::time::Duration;

use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_772_366_400 + seconds).expect("a time")
}

fn mark(detection: &str, kind: Kind, score: f64, response: Level, seconds: i64) -> Mark {
    Mark {
        detection: detection.to_owned(),
        kind,
        score,
        response,
        what: detection.to_owned(),
        at: at(seconds),
    }
}

fn tells(detection: &str, kind: Kind, score: f64) -> Mark {
    mark(detection, kind, score, Level::Alert, 0)
}

fn kills(detection: &str, kind: Kind, score: f64) -> Mark {
    mark(detection, kind, score, Level::KillProcess, 0)
}

/// The level and score that these signs add up to at `seconds`.
fn after(marks: &[Mark], seconds: i64) -> (Level, f64) {
    let mut scores = Scores::new(Policy::default(), 8);
    for mark in marks {
        scores.add(&"subject", mark.clone(), at(seconds));
    }
    let standing = scores.of(&"subject", at(seconds));
    (standing.level, standing.score)
}

fn level(marks: &[Mark]) -> Level {
    after(marks, 0).0
}

#[test]
fn a_full_sign_that_may_kill_kills_the_process() {
    assert_eq!(
        level(&[kills("pool-protocol", Kind::Protocol, 100.0)]),
        Level::KillProcess
    );
}

#[test]
fn what_only_tells_never_kills_alone_or_with_its_like() {
    assert_eq!(
        level(&[tells("thin-flow", Kind::Flow, 30.0)]),
        Level::Observe
    );
    assert_eq!(level(&[tells("pool-name", Kind::Name, 60.0)]), Level::Alert);
    assert_eq!(level(&[tells("any", Kind::Name, 100.0)]), Level::Alert);
    let same = [
        tells("thin-flow", Kind::Flow, 30.0),
        tells("thin-flow-without-name", Kind::Flow, 60.0),
        tells("fan-out", Kind::Flow, 50.0),
    ];
    assert_eq!(after(&same, 0), (Level::Alert, 60.0));
}

#[test]
fn kinds_that_agree_freeze_and_only_many_of_them_kill() {
    let mut agree = vec![
        tells("pool-name", Kind::Name, 60.0),
        tells("thin-flow-without-name", Kind::Flow, 60.0),
    ];
    assert_eq!(after(&agree, 0), (Level::Freeze, 120.0));
    agree.push(tells("huge-pages", Kind::Memory, 30.0));
    // Too weak to be a witness, though it adds.
    agree.push(tells("steady-use", Kind::Use, 15.0));
    assert_eq!(after(&agree, 0), (Level::Freeze, 165.0));
    agree.push(tells("directed-rounding", Kind::Compute, 50.0));
    assert_eq!(level(&agree), Level::EvictPod);
}

#[test]
fn a_sign_that_may_kill_does_with_the_help_of_another_kind() {
    let rounding = kills("randomx-rounding", Kind::Compute, 85.0);
    assert_eq!(level(std::slice::from_ref(&rounding)), Level::Alert);
    let flow = tells("thin-flow", Kind::Flow, 30.0);
    assert_eq!(level(&[rounding.clone(), flow]), Level::KillProcess);
    let protocol = kills("pool-protocol", Kind::Protocol, 100.0);
    assert_eq!(level(&[rounding, protocol]), Level::KillContainer);
}

#[test]
fn a_detection_counts_once_however_often_it_is_seen() {
    let again: Vec<Mark> = (0..50)
        .map(|n| mark("pool-name", Kind::Name, 60.0, Level::Alert, n))
        .collect();
    let (level, score) = after(&again, 50);
    assert_eq!(level, Level::Alert);
    assert!(score <= 60.0, "{score}");
}

#[test]
fn a_sign_fades_and_is_seen_again() {
    let hour = 60 * MINUTE;
    let sign = mark("pool-name", Kind::Name, 60.0, Level::Alert, 0);
    assert_eq!(
        after(std::slice::from_ref(&sign), 6 * hour),
        (Level::Observe, 30.0)
    );
    let again = Mark {
        at: at(6 * hour),
        ..sign.clone()
    };
    assert_eq!(
        after(&[sign.clone(), again], 6 * hour),
        (Level::Alert, 60.0)
    );
    let mut scores = Scores::new(Policy::default(), 8);
    scores.add(&"subject", sign, at(0));
    scores.forget_faded(at(60 * hour));
    assert!(scores.is_empty());
}

#[test]
fn an_operator_may_weigh_a_detection_otherwise() {
    let rule = |score, response| Override {
        score: Some(score),
        response: Some(response),
        half_life: Some(Duration::from_secs(60)),
    };
    let policy = Policy {
        overrides: [
            ("thin-flow".to_owned(), rule(0.0, Level::Alert)),
            ("pool-protocol".to_owned(), rule(100.0, Level::EvictPod)),
            ("randomx-rounding".to_owned(), rule(85.0, Level::Freeze)),
        ]
        .into(),
        ..Policy::default()
    };
    let mut scores = Scores::new(policy, 8);
    let nothing = scores.add(&1, tells("thin-flow", Kind::Flow, 30.0), at(0));
    assert_eq!(nothing, Standing::default());
    assert!(scores.is_empty());
    let evicts = scores.add(&1, kills("pool-protocol", Kind::Protocol, 100.0), at(0));
    assert_eq!(evicts.level, Level::EvictPod);
    assert_eq!(scores.of(&1, at(60)).score, 50.0);
    scores.add(&2, kills("randomx-rounding", Kind::Compute, 85.0), at(0));
    let freezes = scores.add(&2, tells("huge-pages", Kind::Memory, 30.0), at(0));
    assert_eq!(freezes.level, Level::Freeze);
}

#[test]
fn a_level_that_is_switched_off_is_never_reached() {
    let mut policy = Policy::default();
    policy.thresholds.kill_process = None;
    policy.thresholds.kill_container = None;
    policy.thresholds.evict_pod = None;
    let mut scores = Scores::new(policy, 8);
    scores.add(&1, kills("a", Kind::Protocol, 90.0), at(0));
    let standing = scores.add(&1, kills("b", Kind::Command, 90.0), at(0));
    assert_eq!(standing.level, Level::Freeze);
}

#[test]
fn every_sign_is_told_the_heaviest_first() {
    let mut scores = Scores::new(Policy::default(), 8);
    scores.add(&1, tells("thin-flow", Kind::Flow, 30.0), at(0));
    scores.add(&1, tells("thin-flow-without-name", Kind::Flow, 60.0), at(5));
    let standing = scores.add(&1, tells("pool-name", Kind::Name, 60.0), at(9));
    let told: Vec<(&str, bool)> = standing
        .signs
        .iter()
        .map(|sign| (sign.detection.as_str(), sign.score > 0.0))
        .collect();
    assert_eq!(
        told,
        [
            ("pool-name", true),
            ("thin-flow-without-name", true),
            ("thin-flow", false)
        ]
    );
}

#[test]
fn the_weakest_make_room_and_are_counted() {
    let mut scores = Scores::new(Policy::default(), 32);
    scores.add(&0, tells("pool-name", Kind::Name, 60.0), at(0));
    for subject in 1..1000 {
        scores.add(&subject, tells("thin-flow", Kind::Flow, 30.0), at(subject));
        assert!(scores.len() <= 32);
    }
    assert!(scores.of(&0, at(1000)).score > 50.0, "the strongest stays");
    assert_eq!(scores.evicted() + scores.len() as u64, 1000);
}

const KINDS: [Kind; 10] = [
    Kind::Command,
    Kind::Protocol,
    Kind::Name,
    Kind::Flow,
    Kind::File,
    Kind::Compute,
    Kind::Memory,
    Kind::Use,
    Kind::Gpu,
    Kind::Code,
];

/// A detection's kind and response are its own, whoever sees it.
fn any_mark() -> impl Strategy<Value = Mark> {
    (0..20_usize, 1..=100_u8, 0..86_400_i64).prop_map(|(which, score, seconds)| {
        let response = match which % 3 {
            0 => Level::KillProcess,
            _ => Level::Alert,
        };
        let kind = KINDS[which % KINDS.len()];
        mark(
            &format!("detection-{which}"),
            kind,
            f64::from(score),
            response,
            seconds,
        )
    })
}

fn any_marks() -> impl Strategy<Value = Vec<Mark>> {
    proptest::collection::vec(any_mark(), 0..30)
}

fn standing(marks: &[Mark], seconds: i64) -> Standing {
    let mut scores = Scores::new(Policy::default(), 8);
    for mark in marks {
        scores.add(&(), mark.clone(), at(seconds));
    }
    scores.of(&(), at(seconds))
}

proptest! {
    #[test]
    fn the_order_of_signs_changes_nothing(
        (marks, shuffled) in any_marks().prop_flat_map(|marks| (Just(marks.clone()), Just(marks).prop_shuffle()))
    ) {
        prop_assert_eq!(standing(&marks, 86_400), standing(&shuffled, 86_400));
    }

    #[test]
    fn one_more_sign_never_makes_less_suspicious(marks in any_marks(), more in any_mark()) {
        let before = standing(&marks, 86_400);
        let after = standing(&[marks, vec![more]].concat(), 86_400);
        prop_assert!(after.score >= before.score, "{} {}", before.score, after.score);
        prop_assert!(after.level >= before.level);
    }

    #[test]
    fn a_sign_twice_is_a_sign_once(marks in any_marks()) {
        let twice = [marks.clone(), marks.clone()].concat();
        prop_assert_eq!(standing(&marks, 86_400), standing(&twice, 86_400));
    }

    #[test]
    fn time_alone_never_makes_more_suspicious(marks in any_marks(), first in 0..1_000_000_i64, more in 0..1_000_000_i64) {
        let mut scores = Scores::new(Policy::default(), 8);
        for mark in marks {
            scores.add(&(), mark, at(0));
        }
        let (before, after) = (scores.of(&(), at(first)), scores.of(&(), at(first + more)));
        prop_assert!(after.score <= before.score);
        prop_assert!(after.level <= before.level);
    }

    #[test]
    fn a_half_life_halves(score in 1..=100_u8, halves in 0..6_u32) {
        let six_hours = 6 * 3600;
        let mark = tells("any", Kind::Name, f64::from(score));
        let expected = f64::from(score) / 2_f64.powi(i32::try_from(halves).expect("few"));
        let (_, found) = after(&[mark], i64::from(halves) * six_hours);
        let is_forgotten = expected < FORGOTTEN && found == 0.0;
        prop_assert!(is_forgotten || (found - expected).abs() <= 0.051, "{} {}", found, expected);
    }

    #[test]
    fn no_more_than_the_cap_is_kept_and_none_lost_uncounted(
        subjects in proptest::collection::vec(0..200_u32, 0..400),
        most in 1..40_usize,
    ) {
        let mut scores = Scores::new(Policy::default(), most);
        for (seconds, subject) in (0..).zip(&subjects) {
            scores.add(subject, tells("thin-flow", Kind::Flow, 30.0), at(seconds));
            prop_assert!(scores.len() <= most);
        }
        let distinct = subjects.iter().collect::<std::collections::BTreeSet<_>>().len();
        prop_assert!(scores.evicted() as usize + scores.len() >= distinct);
    }

    #[test]
    fn the_score_is_what_its_signs_add(marks in any_marks()) {
        let standing = standing(&marks, 86_400);
        let sum: f64 = standing.signs.iter().map(|sign| sign.score).sum();
        prop_assert!((sum - standing.score).abs() < 0.6, "{} {}", sum, standing.score);
    }
}
