use std::sync::LazyLock;

use davylamp_content::detection::{Action, Response, shipped};
use proptest::prelude::*;

use super::*;

fn judge() -> &'static Judge {
    static JUDGE: LazyLock<Judge> = LazyLock::new(|| {
        let shipped = shipped().expect("what ships is good");
        Judge::new(shipped.into_iter().map(|parsed| parsed.detection))
    });
    &JUDGE
}

#[test]
fn each_case_of_each_detection_comes_out_as_it_says() {
    let (judge, mut wrong, mut tried) = (judge(), Vec::new(), 0);
    for parsed in shipped().expect("what ships is good") {
        for case in &parsed.cases {
            let Some(observed) = &case.observed else {
                continue;
            };
            tried += 1;
            let signs = judge.judge(observed);
            let found = signs
                .iter()
                .any(|sign| sign.detection.name == parsed.detection.name);
            // By itself such a detection only tells, whatever it may do with others.
            let action = if found { Action::Alert } else { Action::Clean };
            if action != case.action {
                let name = &parsed.detection.name;
                wrong.push(format!("{name}: {}: {action:?} {signs:?}", case.name));
            }
        }
    }
    assert!(tried >= 28, "only {tried} cases were tried");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// But for those that do nothing until an operator has given their numbers or addresses.
#[test]
fn no_behaviour_is_enough_by_itself() {
    let is_configured = |seen: &Seen| matches!(seen, Seen::ManyDestinations | Seen::BannedAddress);
    for detection in &judge().detections {
        if detection.sees.iter().all(is_configured) {
            continue;
        }
        assert!(detection.score < 100, "{}", detection.name);
    }
}

/// Flatness and just-in-time code are what honest programs have as well.
#[test]
fn what_honest_work_shows_too_only_tells() {
    for name in [
        "steady-use",
        "anonymous-code",
        "huge-pages",
        "directed-rounding",
    ] {
        let found = judge().detections.iter().find(|known| known.name == name);
        assert_eq!(
            found.map(|found| found.response),
            Some(Response::Alert),
            "{name}"
        );
    }
}

#[test]
fn a_name_stands_by_itself() {
    assert!(stands_in("randomx", "librandomx.so.1"));
    assert!(stands_in(
        "randomx",
        "_randomx.cpython-312-x86_64-linux-gnu.so"
    ));
    assert!(stands_in("RandomX", "node-RANDOMX.node"));
    assert!(!stands_in("randomx", "randomxor.so"));
    assert!(!stands_in("randomx", "pseudorandomx.so"));
}

proptest! {
    #[test]
    fn any_numbers_are_no_harm(
        counts in proptest::collection::vec(0..u64::from(u32::MAX), 6),
        cpu_percent in proptest::collection::vec(0..100_000_u64, 0..400),
        every_secs in 0..1000_u64,
        maps in proptest::collection::vec(".*", 0..4),
    ) {
        let observed = Observed {
            nearest: counts[0],
            down: counts[1],
            up: counts[2],
            to_zero: counts[3],
            lasts_secs: counts[4],
            huge_mib: counts[5],
            cpu_percent,
            every_secs,
            maps,
            uses_gpu: true,
            ..Observed::default()
        };
        judge().judge(&observed);
    }
}
