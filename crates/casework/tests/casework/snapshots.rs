//! Stories of which snapshots tell: alone, as in the talk that this project comes from, or beside a trail.

use std::collections::BTreeSet;

use davylamp_casework::case::{Case, Existence};
use davylamp_model::verdict::Verdict;
use davylamp_testkit::attack::{Options, RecorderPlan, Scenario, TrailPlan, Verdict as Right};

use crate::support::{Told, told};

fn options(scenario: Scenario, trail: TrailPlan, recorder: RecorderPlan) -> Options {
    Options {
        scenario: Some(scenario),
        trail,
        recorder,
        ..Options::default()
    }
}

pub fn verdict_on(case: &Case, arn: &str) -> Option<Verdict> {
    let found = case.innocence.iter().find(|it| it.principal == arn);
    found.map(|it| it.verdict)
}

/// How many of the machines said are right, and of the right ones said.
pub fn precision_and_recall(told: &Told) -> (f64, f64) {
    let right: BTreeSet<&str> = told
        .truth
        .instances
        .iter()
        .map(|it| it.id.as_str())
        .collect();
    let machines = told.case.reach.iter();
    let said: BTreeSet<&str> = machines
        .filter(|it| it.kind == "instance" && it.how == "created")
        .map(|it| it.id.as_str())
        .collect();
    let both = said.intersection(&right).count() as f64;
    (both / said.len() as f64, both / right.len() as f64)
}

pub fn show(told: &Told) {
    let Told { truth, case } = told;
    println!("  truth {:?} {:?}", truth.attack, truth.origin);
    for it in &case.summary {
        println!("  {}", it.text);
    }
    println!("  {:?}", case.origin.as_ref().map(|it| (it.at, &it.how)));
    for it in &case.innocence {
        println!("  {:?} {}", it.verdict, it.statement.text);
        for reason in &it.reasons {
            let sign = if reason.is_for { '+' } else { '-' };
            println!("      {sign} {}", reason.statement.text);
        }
    }
}

pub fn nobody_is_accused(told: &Told) {
    for one in &told.truth.principals {
        let said = verdict_on(&told.case, &one.arn);
        if one.verdict != Right::Guilty && one.verdict != Right::Insider {
            assert_ne!(said, Some(Verdict::Fail), "{} is accused", one.arn);
        } else {
            assert_ne!(said, Some(Verdict::Pass), "{} is cleared", one.arn);
        }
    }
    for innocence in &told.case.innocence {
        let is_judged = told.truth.verdict(&innocence.principal).is_some();
        // One who got another name afterwards is in the truth by the key alone.
        let made: BTreeSet<&str> = told
            .truth
            .credentials
            .iter()
            .filter(|it| it.is_made_by_intruder)
            .map(|it| it.id.as_str())
            .collect();
        let keys = &told.case.credentials;
        let mut keys = keys.iter().filter(|it| it.principal == innocence.principal);
        let is_made = keys.any(|key| made.contains(&*key.id));
        assert!(is_judged || is_made, "{} is nobody", innocence.principal);
    }
}

pub fn each_statement_has_its_record(case: &Case) {
    let there: BTreeSet<u32> = case.evidence.iter().map(|it| it.id.0).collect();
    for touched in &case.reach {
        assert!(!touched.evidence.is_empty(), "{} cites nothing", touched.id);
    }
    let reach = case.reach.iter().flat_map(|it| &it.evidence);
    let innocence = case.innocence.iter().flat_map(|it| &it.statement.evidence);
    for id in reach.chain(innocence) {
        assert!(there.contains(&id.0), "{id:?} is no record");
    }
    let bare: Vec<_> = case
        .evidence
        .iter()
        .filter(|it| it.record.is_empty())
        .collect();
    assert!(bare.is_empty(), "{bare:?} say nothing");
}

/// Tells the story of the talk from snapshots alone.
async fn stolen(recorder: RecorderPlan, seeds: std::ops::Range<u64>) {
    let (mut cleared, mut named, mut count) = (0, 0, 0);
    for seed in seeds {
        let options = options(Scenario::StolenAdminKey, TrailPlan::Never, recorder);
        let told = told(seed, &options, &[]).await;
        let (truth, case) = (&told.truth, &told.case);
        let (precision, recall) = precision_and_recall(&told);
        println!("{recorder:?} {seed}: precision {precision:.2}, recall {recall:.2}");
        if std::env::var_os("CASE").is_some() {
            show(&told);
        }
        assert!(precision >= 0.99 && recall >= 0.99);
        nobody_is_accused(&told);
        each_statement_has_its_record(case);

        let (from, until) = truth.attack.expect("there is an attack");
        let origin = case.origin.as_ref().expect("there is an origin");
        let slack = match recorder {
            RecorderPlan::Hourly => 3_600,
            _ => 86_400,
        };
        assert!(origin.at.first.as_second() <= from + slack);
        assert!(origin.at.last.as_second() >= from);
        let span = case.span.expect("there is a span");
        assert!(span.first.as_second() >= from && span.first.as_second() <= from + slack);
        let is_left = truth.instances.iter().any(|it| it.end.is_none());
        let until = if is_left { truth.span.1 } else { until };
        assert!(span.last.as_second() <= until + slack);

        let right = truth.origin.as_ref().expect("there is an origin");
        if origin.principal == right.principal {
            named += 1;
        } else {
            assert_eq!(origin.principal, "unknown");
        }
        for one in &truth.principals {
            let said = verdict_on(case, &one.arn);
            match one.verdict {
                Right::Framed => {
                    assert_eq!(said, Some(Verdict::Pass), "{}", one.arn);
                    cleared += 1;
                }
                Right::CompromisedOwnerInnocent => {
                    assert_eq!(said, Some(Verdict::Unknown), "{}", one.arn);
                }
                Right::Bystander => {
                    let only_keys = matches!(said, None | Some(Verdict::Unknown));
                    assert!(only_keys, "{} {said:?}", one.arn);
                }
                _ => {}
            }
        }
        assert!(case.cost.is_some());
        count += 1;
    }
    println!(
        "{recorder:?}: the framed one is cleared in {cleared} of {count}; whose key began it is told in \
         {named} of {count}"
    );
    assert_eq!(cleared, count);
}

#[tokio::test]
async fn a_stolen_key_is_told_from_hourly_snapshots() {
    stolen(RecorderPlan::Hourly, 1..4).await;
}

#[tokio::test]
async fn a_stolen_key_is_told_from_daily_snapshots() {
    stolen(RecorderPlan::Daily, 1..9).await;
}

#[tokio::test]
async fn ordinary_growth_is_no_intrusion() {
    for seed in 1..9 {
        let options = options(Scenario::NoAttack, TrailPlan::Never, RecorderPlan::Daily);
        let told = told(seed, &options, &[]).await;
        assert!(told.case.origin.is_none(), "{seed}: {:?}", told.case.origin);
        assert!(told.case.reach.is_empty());
        assert!(told.case.innocence.is_empty());
    }
    for seed in 9..10 {
        let options = options(Scenario::NoAttack, TrailPlan::Never, RecorderPlan::Hourly);
        let told = told(seed, &options, &[]).await;
        assert!(told.case.origin.is_none(), "{seed}: {:?}", told.case.origin);
    }
}

#[tokio::test]
async fn no_scenario_has_an_innocent_accused_by_snapshots_alone() {
    for scenario in Scenario::ALL {
        let options = options(*scenario, TrailPlan::Never, RecorderPlan::Daily);
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
async fn what_still_exists_agrees_beside_a_trail() {
    for seed in 1..4 {
        let options = options(
            Scenario::StolenAdminKey,
            TrailPlan::Whole,
            RecorderPlan::Hourly,
        );
        let told = told(seed, &options, &[]).await;
        let case = &told.case;
        assert!(case.sources.iter().any(|it| it.table == "recorder"));
        let (_, end) = told.truth.span;
        for right in &told.truth.instances {
            let touched = case.reach.iter().find(|it| it.id == right.id);
            let touched = touched.expect("each machine is found");
            match (&touched.exists, right.end) {
                (Existence::At(at), None) => assert!(at.as_second() <= end),
                (Existence::GoneBy(at), Some(ended)) => {
                    assert!(at.as_second() >= ended, "{} ended later", right.id);
                }
                // What ended after the last snapshot and the last record of it.
                (said, right) => panic!("{} is {said:?} and {right:?}", touched.id),
            }
        }
        nobody_is_accused(&told);
    }
}
