//! Stories of which AWS Config tells: alone, beside a trail, beside the recorder.

use std::collections::BTreeSet;

use davylamp_casework::case::{Case, Existence};
use davylamp_model::verdict::Verdict;
use davylamp_testkit::attack::{
    ConfigPlan, Options, RecorderPlan, Scenario, TrailPlan, Verdict as Right,
};

use crate::snapshots::{
    each_statement_has_its_record, nobody_is_accused, precision_and_recall, show, verdict_on,
};
use crate::support::{Told, told};

fn options(scenario: Scenario, trail: TrailPlan, config: ConfigPlan) -> Options {
    Options {
        scenario: Some(scenario),
        trail,
        config,
        ..Options::default()
    }
}

/// What is said of a machine agrees with what really became of it.
fn each_end_is_right(told: &Told) {
    let (_, end) = told.truth.span;
    for right in &told.truth.instances {
        let touched = told.case.reach.iter().find(|it| it.id == right.id);
        let touched = touched.expect("each machine is found");
        match (&touched.exists, right.end) {
            (Existence::At(at), None) => assert!(at.as_second() <= end + 86_400),
            (Existence::GoneBy(at), Some(ended)) => {
                assert!(at.as_second() >= ended, "{} ended later", right.id);
            }
            // It ended after AWS Config last delivered.
            (Existence::At(at), Some(ended)) => assert!(at.as_second() <= ended, "{}", right.id),
            (said, right) => panic!("{} is {said:?} and {right:?}", touched.id),
        }
    }
}

fn no_thing_is_told_twice(case: &Case) {
    let mut seen = BTreeSet::new();
    for touched in &case.reach {
        let of = (
            &touched.kind,
            &touched.region,
            &touched.id,
            &touched.account,
        );
        assert!(seen.insert(of), "{of:?} is told twice");
    }
}

/// Tells the story of the talk from AWS Config alone.
async fn stolen(config: ConfigPlan, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let options = options(Scenario::StolenAdminKey, TrailPlan::Never, config);
        let told = told(seed, &options, &[]).await;
        let (truth, case) = (&told.truth, &told.case);
        let (precision, recall) = precision_and_recall(&told);
        println!("{config:?} {seed}: precision {precision:.2}, recall {recall:.2}");
        if std::env::var_os("CASE").is_some() {
            show(&told);
        }
        assert!(precision >= 0.99 && recall >= 0.99);
        nobody_is_accused(&told);
        each_statement_has_its_record(case);
        each_end_is_right(&told);
        no_thing_is_told_twice(case);

        let (from, _) = truth.attack.expect("there is an attack");
        let origin = case.origin.as_ref().expect("there is an origin");
        assert_eq!(origin.principal, "unknown");
        assert!(origin.at.last.as_second() >= from);
        let span = case.span.expect("there is a span");
        assert!(span.first.as_second() >= from && span.first.as_second() <= from + 86_400);
        for right in &truth.instances {
            let touched = case.reach.iter().find(|it| it.id == right.id);
            let touched = touched.expect("each machine is found");
            assert_eq!(touched.span.first.as_second(), right.start, "{}", right.id);
        }
        // No key is in these records, so that no user is cleared or suspected by one.
        assert!(case.credentials.is_empty());
        for one in &truth.principals {
            let said = verdict_on(case, &one.arn);
            assert!(matches!(said, None | Some(Verdict::Unknown)), "{said:?}");
        }
        let mut unknown = case.unknowns.iter();
        assert!(unknown.any(|it| it.why.contains("does not record access keys")));
        let source = case.sources.iter().find(|it| it.table == "config_item");
        let source = source.expect("it is a source");
        assert!(source.records > 0 && source.repeated > 0);
        assert!(source.proves.contains("some minutes later"));
        assert!(case.evidence.iter().all(|it| it.table == "config_item"));
        assert!(case.cost.is_some());
    }
}

#[tokio::test]
async fn a_stolen_key_s_machines_are_found_in_the_history_of_configurations() {
    stolen(ConfigPlan::History, 1..5).await;
}

#[tokio::test]
async fn snapshots_beside_the_history_double_nothing() {
    stolen(ConfigPlan::Daily, 1..4).await;
}

#[tokio::test]
async fn ordinary_growth_is_no_intrusion_in_configurations_either() {
    for seed in 1..5 {
        let options = options(Scenario::NoAttack, TrailPlan::Never, ConfigPlan::Daily);
        let told = told(seed, &options, &[]).await;
        assert!(told.case.origin.is_none(), "{seed}: {:?}", told.case.origin);
        assert!(told.case.reach.is_empty());
        assert!(told.case.innocence.is_empty());
        assert!(told.case.tampering.is_empty());
    }
}

#[tokio::test]
async fn no_scenario_has_an_innocent_accused_by_configurations() {
    for scenario in Scenario::ALL {
        let options = options(*scenario, TrailPlan::Never, ConfigPlan::History);
        let told = told(1, &options, &[]).await;
        let (precision, recall) = precision_and_recall(&told);
        let has = told.case.origin.is_some();
        println!("{scenario}: {has}, precision {precision:.2}, recall {recall:.2}");
        if has {
            assert!(told.truth.attack.is_some());
        }
        nobody_is_accused(&told);
    }
}

#[tokio::test]
async fn the_recorder_and_aws_config_tell_one_story() {
    for (seed, recorder) in [
        (1, RecorderPlan::Hourly),
        (2, RecorderPlan::Daily),
        (3, RecorderPlan::Daily),
    ] {
        let options = Options {
            recorder,
            ..options(
                Scenario::StolenAdminKey,
                TrailPlan::Never,
                ConfigPlan::Daily,
            )
        };
        let told = told(seed, &options, &[]).await;
        let (truth, case) = (&told.truth, &told.case);
        let (precision, recall) = precision_and_recall(&told);
        assert!(precision >= 0.99 && recall >= 0.99);
        nobody_is_accused(&told);
        each_statement_has_its_record(case);
        each_end_is_right(&told);
        no_thing_is_told_twice(case);
        for table in ["recorder", "config_item"] {
            assert!(case.sources.iter().any(|it| it.table == table));
            assert!(case.evidence.iter().any(|it| it.table == table), "{table}");
        }
        // The keys are the recorder's.
        for one in &truth.principals {
            if one.verdict == Right::Framed {
                assert_eq!(
                    verdict_on(case, &one.arn),
                    Some(Verdict::Pass),
                    "{}",
                    one.arn
                );
            }
        }
    }
}

#[tokio::test]
async fn beside_a_trail_configurations_say_what_still_exists() {
    for seed in 1..4 {
        let options = options(
            Scenario::StolenAdminKey,
            TrailPlan::Whole,
            ConfigPlan::Daily,
        );
        let told = told(seed, &options, &[]).await;
        let case = &told.case;
        assert!(case.sources.iter().any(|it| it.table == "config_item"));
        each_end_is_right(&told);
        no_thing_is_told_twice(case);
        nobody_is_accused(&told);
        // Where the trail has no end, what AWS Config saw last says that it is there.
        let left = told.truth.instances.iter().filter(|it| it.end.is_none());
        for right in left {
            let touched = case.reach.iter().find(|it| it.id == right.id);
            let touched = touched.expect("each machine is found");
            let cited = touched.evidence.iter().any(|id| {
                let mut all = case.evidence.iter();
                all.any(|it| it.id == *id && it.table == "config_item")
            });
            assert!(cited, "{} cites no configuration", right.id);
        }
    }
}
