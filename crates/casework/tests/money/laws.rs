//! Laws of the estimate, whatever ran.

use davylamp_casework::cost::sightings::{Sighting, What, lives};
use davylamp_casework::cost::{Bounds, End, Run, reckon};
use davylamp_content::prices::kind::{Market, System};
use proptest::prelude::*;

use super::made::{HOUR, at, book, ran, saw};

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        cases: 300,
        ..ProptestConfig::default()
    }
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (any::<bool>(), 0..500 * HOUR, 0..500 * HOUR).prop_map(
        |(is_known, one, other)| match is_known {
            true => Bounds::between(at(one), at(other)),
            false => Bounds::by(at(one)),
        },
    )
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        bounds().prop_map(End::At),
        (0..500 * HOUR).prop_map(|seconds| End::RunsAt(at(seconds))),
        (0..500 * HOUR).prop_map(|seconds| End::Unknown {
            why: "a test".to_owned(),
            last_known: at(seconds),
        }),
    ]
}

fn run() -> impl Strategy<Value = Run> {
    let types = prop_oneof![
        Just(Some("c4.8xlarge")),
        Just(Some("a1.medium")),
        Just(Some("z9.moon")),
        Just(None),
    ];
    let systems = prop_oneof![
        Just(System::Linux),
        Just(System::Suse),
        Just(System::Windows),
        Just(System::NotWindows),
        Just(System::Other),
        Just(System::Unknown),
    ];
    let markets = prop_oneof![
        Just(Market::OnDemand),
        Just(Market::Spot),
        Just(Market::Unknown)
    ];
    let regions = prop_oneof![
        Just(Some("us-east-1")),
        Just(Some("eu-west-1")),
        Just(Some("sa-east-1")),
        Just(None)
    ];
    let pauses = prop::collection::vec((bounds(), bounds()), 0..3);
    let id = 0..20_u8;
    (
        id,
        types,
        systems,
        markets,
        regions,
        bounds(),
        end(),
        pauses,
    )
        .prop_map(
            |(id, instance_type, system, market, region, started, ended, paused)| Run {
                region: region.map(str::to_owned),
                instance_type: instance_type.map(str::to_owned),
                market,
                system,
                started,
                ended,
                paused,
                ..ran(&format!("i-{id}"), "", 0, 0)
            },
        )
}

fn sighting() -> impl Strategy<Value = Sighting> {
    let what = prop_oneof![
        Just(What::Started),
        Just(What::Running),
        Just(What::Stopped),
        Just(What::Ended),
        Just(What::Gone),
    ];
    (0..3_u8, what, bounds()).prop_map(|(id, what, bounds)| saw(&format!("i-{id}"), what, bounds))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_least_is_not_above_the_most(runs in prop::collection::vec(run(), 0..6), now in 0..900 * HOUR) {
        let cost = reckon(&runs, &book(), at(now));
        prop_assert!(0 <= cost.low_micro_usd);
        prop_assert!(cost.low_micro_usd <= cost.likely_micro_usd);
        prop_assert!(cost.likely_micro_usd <= cost.high_micro_usd);
        for line in &cost.lines {
            prop_assert!(line.low_hours <= line.likely_hours && line.likely_hours <= line.high_hours);
            prop_assert!(line.low_micro_usd <= line.likely_micro_usd);
            prop_assert!(line.likely_micro_usd <= line.high_micro_usd);
        }
    }

    #[test]
    fn one_run_more_never_costs_less(runs in prop::collection::vec(run(), 1..6), now in 0..900 * HOUR) {
        let all = reckon(&runs, &book(), at(now));
        let fewer = reckon(&runs[1..], &book(), at(now));
        prop_assert!(fewer.low_micro_usd <= all.low_micro_usd);
        prop_assert!(fewer.likely_micro_usd <= all.likely_micro_usd);
        prop_assert!(fewer.high_micro_usd <= all.high_micro_usd);
        prop_assert!(fewer.burn_micro_usd_hour <= all.burn_micro_usd_hour);
    }

    #[test]
    fn the_order_does_not_matter(
        runs in prop::collection::vec(run(), 0..6).prop_shuffle(),
        now in 0..900 * HOUR,
    ) {
        let mut sorted = runs.clone();
        sorted.sort_by_key(|run| (run.id.clone(), format!("{run:?}")));
        let one = reckon(&runs, &book(), at(now));
        let other = reckon(&sorted, &book(), at(now));
        prop_assert_eq!(
            (one.low_micro_usd, one.likely_micro_usd, one.high_micro_usd, one.lines),
            (other.low_micro_usd, other.likely_micro_usd, other.high_micro_usd, other.lines)
        );
    }

    #[test]
    fn later_never_costs_less(runs in prop::collection::vec(run(), 0..6), now in 0..900 * HOUR, more in 0..90 * HOUR) {
        let before = reckon(&runs, &book(), at(now));
        let after = reckon(&runs, &book(), at(now + more));
        prop_assert!(before.likely_micro_usd <= after.likely_micro_usd);
        prop_assert!(before.high_micro_usd <= after.high_micro_usd);
    }

    /// Stopped and started at the same moment, a run costs the same, as one with a pause and as two.
    #[test]
    fn a_cut_costs_nothing(first in 60..500 * HOUR, second in 60..500 * HOUR) {
        let whole = ran("i-1", "c4.8xlarge", 0, first + second);
        let cut = Run {
            paused: vec![(Bounds::exactly(at(first)), Bounds::exactly(at(first)))],
            ..whole.clone()
        };
        let halves = [
            ran("i-1", "c4.8xlarge", 0, first),
            ran("i-1", "c4.8xlarge", first, first + second),
        ];
        let likely = |runs: &[Run]| reckon(runs, &book(), at(0)).likely_micro_usd;
        let expected = likely(&[whole]);
        prop_assert_eq!(likely(&[cut]), expected);
        prop_assert_eq!(likely(&halves), expected);
    }

    #[test]
    fn enormous_times_do_not_overflow(count in 1..40_usize) {
        let run = Run {
            started: Bounds::exactly(jiff::Timestamp::MIN),
            ended: End::At(Bounds::exactly(jiff::Timestamp::MAX)),
            ..ran("i-1", "p5.48xlarge", 0, 0)
        };
        let cost = reckon(&vec![run; count], &book(), jiff::Timestamp::MAX);
        prop_assert!(cost.low_micro_usd > 0 && cost.low_micro_usd <= cost.high_micro_usd);
    }

    #[test]
    fn lives_do_not_depend_on_the_order_of_sightings(
        seen in prop::collection::vec(sighting(), 0..8).prop_shuffle(),
        now in 0..900 * HOUR,
    ) {
        let mut sorted = seen.clone();
        sorted.sort_by_key(|it| format!("{it:?}"));
        let one = lives(seen, None);
        prop_assert_eq!(&one, &lives(sorted, None));
        let cost = reckon(&one.runs, &book(), at(now));
        prop_assert!(cost.low_micro_usd <= cost.likely_micro_usd);
        prop_assert!(cost.likely_micro_usd <= cost.high_micro_usd);
    }

    #[test]
    fn a_sighting_twice_is_one(seen in prop::collection::vec(sighting(), 0..6)) {
        let twice: Vec<Sighting> = seen.iter().chain(&seen).cloned().collect();
        prop_assert_eq!(lives(twice, None).runs, lives(seen, None).runs);
    }
}
