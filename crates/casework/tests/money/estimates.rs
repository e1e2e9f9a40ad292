//! What is reckoned, and what is said beside it.

use davylamp_casework::case::Cost;
use davylamp_casework::cost::{Bounds, End, FARGATE, Run, Seconds, Size, reckon, seconds, totals};
use davylamp_content::prices::book::Book;
use davylamp_content::prices::kind::{Market, System};

use super::made::{HOUR, at, book, ran, sheet};

const DOLLAR: i64 = 1_000_000;

fn says(cost: &Cost, words: &str) -> bool {
    cost.caveats
        .iter()
        .any(|caveat| caveat.text.contains(words))
}

fn range(cost: &Cost) -> (i64, i64, i64) {
    (
        cost.low_micro_usd,
        cost.likely_micro_usd,
        cost.high_micro_usd,
    )
}

#[test]
fn a_hundred_large_machines_for_two_weeks() {
    let runs: Vec<Run> = (0..100)
        .map(|number| ran(&format!("i-{number}"), "c4.8xlarge", 0, 14 * 24 * HOUR))
        .collect();
    let cost = reckon(&runs, &Book::of_shipped(), at(30 * 24 * HOUR));
    // 100 × 336 hours × 1.591 dollars.
    assert_eq!(
        range(&cost),
        (53_457_600_000, 53_457_600_000, 53_457_600_000)
    );
    assert!(!cost.is_open);
    let [line] = cost.lines.as_slice() else {
        panic!("{:?}", cost.lines);
    };
    assert_eq!(
        (line.count, line.running, line.likely_hours),
        (100, 0, 33_600.0)
    );
    assert!(cost.basis.iter().any(|basis| basis.contains("2026-07-20")));
    // As the story had it: Windows, across the world. The least is known, and said to be that.
    let windows: Vec<Run> = runs
        .into_iter()
        .map(|run| Run {
            system: System::Windows,
            region: Some("ap-south-1".to_owned()),
            ..run
        })
        .collect();
    let cost = reckon(&windows, &Book::of_shipped(), at(30 * 24 * HOUR));
    assert_eq!(cost.likely_micro_usd, 53_457_600_000);
    assert!(cost.is_open && cost.lines[0].is_open);
    assert!(
        says(&cost, "the licence of Windows is added"),
        "{:?}",
        cost.caveats
    );
    assert!(says(&cost, "that of ap-south-1 is in no table"));
}

#[test]
fn each_price_says_what_it_rests_on() {
    let check = |region: &str, market, system, expected: (i64, i64, i64), is_open, words: &str| {
        let run = Run {
            region: Some(region.to_owned()),
            market,
            system,
            ..ran("i-1", "c4.8xlarge", 0, 1000 * HOUR)
        };
        let cost = reckon(&[run], &book(), at(2000 * HOUR));
        let expected = (
            expected.0 * DOLLAR,
            expected.1 * DOLLAR,
            expected.2 * DOLLAR,
        );
        assert_eq!(range(&cost), expected, "{:?}", cost.lines);
        assert_eq!(cost.is_open, is_open, "{:?}", cost.lines);
        let basis = &cost.lines[0].basis;
        assert!(basis.contains(words), "{basis}");
    };
    use Market::{OnDemand, Spot};
    use System::{Linux, NotWindows, Other, Rhel, Suse, Unknown, Windows};
    let eu = "eu-west-1";
    check(
        eu,
        OnDemand,
        Linux,
        (1800, 1800, 1800),
        false,
        "of Linux in eu-west-1",
    );
    check(
        eu,
        OnDemand,
        Windows,
        (3500, 3500, 3500),
        false,
        "of Windows in eu-west-1",
    );
    check(eu, OnDemand, Suse, (1800, 1800, 1800), true, "at least");
    check(eu, OnDemand, Other, (1800, 1800, 1800), true, "at least");
    check(
        eu,
        OnDemand,
        NotWindows,
        (1800, 1800, 2000),
        false,
        "up to that of the dearest",
    );
    check(
        eu,
        OnDemand,
        Unknown,
        (1800, 1800, 3500),
        false,
        "up to that of the dearest",
    );
    check(
        eu,
        Spot,
        Linux,
        (500, 600, 900),
        false,
        "spot prices of Linux",
    );
    check(
        eu,
        Spot,
        Rhel,
        (200, 1100, 2000),
        false,
        "a tenth of the on-demand price",
    );
    check(
        eu,
        Spot,
        NotWindows,
        (500, 600, 900),
        true,
        "for a system other than Windows",
    );
    check(
        eu,
        Market::Unknown,
        Linux,
        (500, 1800, 1800),
        false,
        "at least what spot costs",
    );
    let us = "us-east-1";
    check(
        us,
        OnDemand,
        Linux,
        (1591, 1591, 1591),
        false,
        "of Linux in us-east-1",
    );
    check(
        us,
        OnDemand,
        NotWindows,
        (1591, 1591, 1591),
        true,
        "whose licence may be added",
    );
    check(
        "sa-east-1",
        OnDemand,
        Linux,
        (1591, 1591, 1591),
        true,
        "that of sa-east-1 is in no table",
    );
}

#[test]
fn what_has_no_price_is_told_and_no_zero() {
    let mut strange = ran("i-1", "z9.moon", 0, 10 * HOUR);
    strange.evidence = vec![davylamp_casework::case::EvidenceId(7)];
    let typeless = Run {
        instance_type: None,
        ..ran("i-2", "", 0, HOUR)
    };
    let task = Run {
        service: FARGATE.to_owned(),
        instance_type: None,
        size: Some(Size {
            milli_vcpus: 16_000,
            mib: 32 << 10,
        }),
        ..ran(
            "arn:aws:ecs:us-east-1:111122223333:task/c/1",
            "",
            0,
            2 * HOUR,
        )
    };
    let known = ran("i-3", "a1.medium", 0, HOUR);
    let cost = reckon(
        &[strange, typeless, task, known],
        &Book::of_shipped(),
        at(99 * HOUR),
    );
    assert_eq!(cost.likely_micro_usd, 25_500);
    assert!(cost.is_open);
    let without: Vec<_> = cost
        .lines
        .iter()
        .filter(|line| line.likely_micro_usd.is_none())
        .map(|line| line.item.as_str())
        .collect();
    assert_eq!(without.len(), 3, "{without:?}");
    assert!(without.contains(&"16 vCPU, 32 GiB"));
    assert!(says(&cost, "no table has a price of z9.moon"));
    assert!(says(&cost, "its type is not known"));
    assert!(says(&cost, "billed by processors and memory"));
    assert!(says(
        &cost,
        "volumes, snapshots, addresses and traffic are not counted"
    ));
    let of_moon = cost
        .caveats
        .iter()
        .find(|it| it.text.contains("z9.moon"))
        .unwrap();
    assert_eq!(of_moon.evidence, [davylamp_casework::case::EvidenceId(7)]);
}

#[test]
fn a_container_by_its_processors_and_memory() {
    let task = Run {
        service: FARGATE.to_owned(),
        instance_type: None,
        size: Some(Size {
            milli_vcpus: 16_000,
            mib: 32 << 10,
        }),
        ..ran(
            "arn:aws:ecs:us-east-1:111122223333:task/c/1",
            "",
            0,
            100 * HOUR,
        )
    };
    let sheet = sheet(
        "us-east-1",
        "on-demand",
        "fargate-gb\tlinux\t0.004445\nfargate-vcpu\tlinux\t0.04048\n",
    );
    let cost = reckon(&[task], &Book::new(vec![sheet]), at(999 * HOUR));
    // 100 × (16 × 0.04048 + 32 × 0.004445).
    assert_eq!(cost.likely_micro_usd, 78_992_000);
    assert!(!cost.is_open, "{:?}", cost.lines);
}

#[test]
fn hours_between_bounds() {
    let check = |run: &Run, now: i64, low: i64, likely: i64, high: i64| {
        let expected = Seconds {
            low: low as u64,
            likely: likely as u64,
            high: high as u64,
        };
        assert_eq!(seconds(run, at(now)), expected, "{run:?}");
    };
    let mut run = ran("i-1", "a1.medium", 0, 10 * HOUR);
    check(&run, 99 * HOUR, 10 * HOUR, 10 * HOUR, 10 * HOUR);
    // Somewhere in the first two hours, and somewhere in the last four.
    run.started = Bounds::between(at(0), at(2 * HOUR));
    run.ended = End::At(Bounds::between(at(6 * HOUR), at(10 * HOUR)));
    check(&run, 99 * HOUR, 4 * HOUR, 7 * HOUR, 10 * HOUR);
    // It runs, seen last after six hours.
    run.ended = End::RunsAt(at(6 * HOUR));
    check(&run, 20 * HOUR, 4 * HOUR, 19 * HOUR, 20 * HOUR);
    // Nobody knows.
    run.ended = End::Unknown {
        why: "the logs end".to_owned(),
        last_known: at(6 * HOUR),
    };
    check(&run, 20 * HOUR, 4 * HOUR, 12 * HOUR, 20 * HOUR);
    // Nobody knows since when.
    run.started = Bounds::by(at(2 * HOUR));
    run.ended = End::At(Bounds::exactly(at(6 * HOUR)));
    check(&run, 20 * HOUR, 4 * HOUR, 4 * HOUR, 4 * HOUR);
    // A stop in between, and one that may have lasted from nothing to three hours.
    run.started = Bounds::exactly(at(0));
    run.paused = vec![(Bounds::exactly(at(HOUR)), Bounds::exactly(at(2 * HOUR)))];
    check(&run, 20 * HOUR, 5 * HOUR, 5 * HOUR, 5 * HOUR);
    run.paused = vec![(
        Bounds::between(at(HOUR), at(4 * HOUR)),
        Bounds::between(at(HOUR), at(4 * HOUR)),
    )];
    check(&run, 20 * HOUR, 3 * HOUR, 6 * HOUR, 6 * HOUR);
    // The wrong way round.
    let run = ran("i-1", "a1.medium", 10 * HOUR, 0);
    check(&run, 20 * HOUR, 0, 0, 0);
}

#[test]
fn what_is_billed_for_a_start() {
    let check = |system, from: &str, run_seconds: i64, expected: u64| {
        let start: jiff::Timestamp = from.parse().unwrap();
        let end = jiff::Timestamp::from_second(start.as_second() + run_seconds).unwrap();
        let run = Run {
            system,
            started: Bounds::exactly(start),
            ended: End::At(Bounds::exactly(end)),
            ..ran("i-1", "a1.medium", 0, 0)
        };
        assert_eq!(seconds(&run, end).likely, expected, "{system:?} {from}");
    };
    check(System::Linux, "2026-03-01T00:00:00Z", 1, 60);
    check(System::Linux, "2026-03-01T00:00:00Z", 61, 61);
    check(System::Linux, "2017-06-01T00:00:00Z", 61, 3600);
    check(System::Windows, "2026-03-01T00:00:00Z", 61, 61);
    check(System::Windows, "2020-03-01T00:00:00Z", 3601, 7200);
    check(System::Rhel, "2024-06-30T00:00:00Z", 61, 3600);
    check(System::Rhel, "2024-07-01T00:00:00Z", 61, 61);
    check(System::Suse, "2026-03-01T00:00:00Z", 61, 3600);
    check(System::Suse, "2026-03-01T00:00:00Z", 0, 0);
}

#[test]
fn what_still_runs_burns() {
    let mut runs: Vec<Run> = (0..3)
        .map(|number| ran(&format!("i-{number}"), "c4.8xlarge", 0, 0))
        .collect();
    runs[0].ended = End::RunsAt(at(HOUR));
    runs[1].ended = End::RunsAt(at(HOUR));
    runs[2].ended = End::Unknown {
        why: "it was seen to start and never again".to_owned(),
        last_known: at(HOUR),
    };
    let cost = reckon(&runs, &Book::of_shipped(), at(2 * HOUR));
    assert_eq!(cost.burn_micro_usd_hour, 2 * 1_591_000);
    assert_eq!(cost.lines[0].running, 2);
    assert_eq!(cost.lines[0].span.unwrap().last, at(2 * HOUR));
    assert!(says(&cost, "2 still run"));
    assert!(says(&cost, "of 1 nobody knows whether they still run"));
    assert_eq!(cost.runs.len(), 3);
}

#[test]
fn added_up_by_region_and_by_type() {
    let mut runs = vec![
        ran("i-1", "c4.8xlarge", 0, HOUR),
        ran("i-2", "a1.medium", HOUR, 2 * HOUR),
        ran("i-3", "c4.8xlarge", 5 * HOUR, 6 * HOUR),
    ];
    runs[2].region = Some("eu-west-1".to_owned());
    let cost = reckon(&runs, &book(), at(99 * HOUR));
    let by_type = totals(&cost.lines, |line| &line.item);
    let shown: Vec<_> = by_type
        .iter()
        .map(|it| {
            (
                it.of.as_str(),
                it.count,
                it.likely_hours,
                it.likely_micro_usd,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("c4.8xlarge", 2, 2.0, 3_391_000),
            ("a1.medium", 1, 1.0, 25_500)
        ]
    );
    let span = by_type[0].span.unwrap();
    assert_eq!((span.first, span.last), (at(0), at(6 * HOUR)));
    let by_region = totals(&cost.lines, |line| &line.region);
    assert_eq!(by_region[0].of, "eu-west-1");
    let sum: i64 = by_region.iter().map(|it| it.likely_micro_usd).sum();
    assert_eq!(sum, cost.likely_micro_usd);
}

#[test]
fn nothing_costs_nothing() {
    let cost = reckon(&[], &Book::of_shipped(), at(0));
    assert_eq!(cost, Cost::default());
}
