//! The truth says what the logs say, and nothing that they do not.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_testkit::attack::{self, Hand, Options, Scenario, TrailPlan, Truth, Verdict};
use proptest::prelude::*;
use serde_json::Value;

use crate::{Told, small, tell};

/// Whether what is told holds together.
fn check(scenario: Scenario, told: &Told) {
    let truth = &told.truth;
    let read = Truth::read(told.dir.path()).expect("truth");
    assert!(
        read == *truth,
        "{scenario}: the truth is read back as another"
    );
    let labels = attack::labels(told.dir.path()).expect("labels");
    let (labelled, written): (BTreeSet<_>, BTreeSet<_>) =
        (labels.keys().collect(), told.records.keys().collect());
    assert_eq!(labelled, written, "{scenario}: labels are of other events");
    let mut hands: BTreeMap<Hand, u64> = BTreeMap::new();
    for hand in labels.values() {
        *hands.entry(*hand).or_default() += 1;
    }
    assert_eq!(hands, truth.written.by_hand);

    let is_attacked = scenario != Scenario::NoAttack;
    assert_eq!(truth.attack.is_some(), is_attacked, "{scenario}");
    assert_eq!(
        hands.contains_key(&Hand::Intruder),
        is_attacked,
        "{scenario}"
    );
    for record in told.records.values() {
        check_judged(truth, record);
    }
    let event = |id: &str| {
        told.records
            .get(id)
            .unwrap_or_else(|| panic!("{scenario}: no event {id}"))
    };
    check_credentials(told, &labels, event);
    for instance in &truth.instances {
        assert!(instance.end.is_none_or(|end| end > instance.start));
        assert!(instance.start >= truth.span.0 && instance.start < truth.span.1);
        if let Some(id) = &instance.event {
            let text = event(id)["responseElements"].to_string();
            assert!(text.contains(&instance.id), "{scenario}: {}", instance.id);
        }
    }
    for left in &truth.persistence {
        assert_eq!(labels[&left.event], Hand::Intruder);
        assert!(left.removed_at.is_none_or(|removed| removed > left.at));
    }
    for it in &truth.tampering {
        assert_eq!(event(&it.event)["eventName"], it.action.as_str());
    }
    for workload in &truth.workloads {
        assert_eq!(labels[&workload.event], Hand::Intruder);
    }
    if let Some(origin) = &truth.origin {
        let first = event(&origin.event);
        assert_eq!(labels[&origin.event], Hand::Intruder);
        assert_eq!(first["sourceIPAddress"], origin.address.as_str());
        let earlier = told.records.iter().find(|(id, record)| {
            labels[*id] == Hand::Intruder
                && record["errorCode"].is_null()
                && record["eventTime"].as_str() < first["eventTime"].as_str()
        });
        assert!(
            earlier.is_none(),
            "{scenario}: something came before the origin"
        );
    }
    let hours: f64 = truth.cost.iter().map(|it| it.hours).sum();
    let secs: i64 = truth
        .instances
        .iter()
        .map(|it| it.end.unwrap_or(truth.span.1) - it.start)
        .sum();
    assert!((hours - secs as f64 / 3_600.0).abs() < 0.1);
}

/// Whoever signs is judged: users, roles by their sessions' issuer, the root user.
fn check_judged(truth: &Truth, record: &Value) {
    let identity = &record["userIdentity"];
    let arn = match identity["type"].as_str() {
        Some("IAMUser" | "Root") => identity["arn"].as_str(),
        Some("AssumedRole") => identity["sessionContext"]["sessionIssuer"]["arn"].as_str(),
        _ => return,
    };
    let arn = arn.expect("an ARN");
    assert!(
        truth.verdict(arn).is_some(),
        "{arn} is not judged: {record}"
    );
}

/// Every credential that the intruder signs with is in the truth, with the event that made it.
fn check_credentials<'a>(
    told: &'a Told,
    labels: &BTreeMap<String, Hand>,
    event: impl Fn(&str) -> &'a Value,
) {
    let truth = &told.truth;
    let known: BTreeSet<&str> = truth.credentials.iter().map(|it| &*it.id).collect();
    for (id, record) in &told.records {
        let key = record["userIdentity"]["accessKeyId"].as_str().unwrap_or("");
        if labels[id] == Hand::Intruder && !key.is_empty() {
            assert!(known.contains(key), "{key} is not in the truth: {record}");
            let address = record["sourceIPAddress"].as_str().unwrap_or("");
            assert!(truth.addresses.iter().any(|it| it == address), "{record}");
        }
    }
    for credential in truth.credentials.iter().filter(|it| it.is_made_by_intruder) {
        let made = credential.made_by.as_deref().expect("an event");
        assert_eq!(labels[made], Hand::Intruder);
        let made = event(made);
        // A session at the console is not named by the sign-in.
        if made["eventName"] != "ConsoleLogin" {
            let answer = made["responseElements"].to_string();
            assert!(answer.contains(&credential.id), "{made}");
        }
        if let Some(parent) = &credential.parent {
            assert_eq!(made["userIdentity"]["accessKeyId"], parent.as_str());
        }
    }
}

#[test]
fn every_scenario_is_true_to_itself() {
    for (seed, scenario) in (20..).zip(Scenario::ALL) {
        let options = Options {
            accounts: 1 + seed as usize % 3,
            ..small(*scenario)
        };
        check(*scenario, &tell(seed, &options));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn whatever_the_seed(
        seed in any::<u64>(),
        scenario in prop::sample::select(Scenario::ALL),
        history_days in 0_i64..4,
        accounts in 1_usize..4,
    ) {
        let options = Options { history_days, accounts, machine_events: 200, ..small(scenario) };
        check(scenario, &tell(seed, &options));
    }
}

#[test]
fn names_of_scenarios_are_read_back() {
    for scenario in Scenario::ALL {
        assert_eq!(
            scenario.name().parse::<Scenario>().expect("known"),
            *scenario
        );
    }
    assert!("mining".parse::<Scenario>().is_err());
}

#[test]
fn the_framed_are_not_the_guilty() {
    let told = tell(4, &small(Scenario::StolenAdminKey));
    let of = |verdict| {
        told.truth
            .principals
            .iter()
            .filter(|it| it.verdict == verdict)
            .count()
    };
    assert_eq!(of(Verdict::Framed), 1);
    assert_eq!(of(Verdict::CompromisedOwnerInnocent), 1);
    assert_eq!(told.truth.instances.len(), 100);
    assert!(told.truth.instances.iter().all(|it| it.system == "windows"));
    let regions: BTreeSet<_> = told.truth.instances.iter().map(|it| &it.region).collect();
    assert_eq!(regions.len(), 16);
}

#[test]
fn a_stopped_trail_says_nothing_until_it_is_started() {
    let mut seen = BTreeSet::new();
    for seed in 0..12 {
        let options = Options {
            trail: TrailPlan::Stopped,
            ..small(Scenario::StolenAdminKey)
        };
        let told = tell(seed, &options);
        let stop = told.truth.tampering.iter().find_map(|it| {
            let gap = it
                .gap
                .filter(|_| it.action.contains("Logging") || it.action.contains("Trail"))?;
            Some((it, gap))
        });
        let (tampering, (from, until)) = stop.expect("the trail was stopped");
        seen.insert(tampering.action.clone());
        let until = until.expect("and started again");
        for record in told.records.values() {
            let at = record["eventTime"]
                .as_str()
                .and_then(|it| it.parse::<jiff::Timestamp>().ok());
            let at = at.expect("a time").as_second();
            assert!(at <= from || at >= until, "an event in the gap: {record}");
        }
        assert!(told.truth.written.unlogged > 100);
    }
    assert_eq!(seen.len(), 2, "both ways to stop a trail occur");
}
