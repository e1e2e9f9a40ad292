//! Incidents are the connected components of what is linked, in whatever order it comes.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_ledger::query::{At, FindingFilter};
use davylamp_ledger::{Input, Ledger, Options, Reported, Taken, keys};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::make::{Stores, at, block_on, of_instance, of_user, reported};

const WITHIN_SECS: i64 = 100;

/// One finding of a case: when, for how long, of which user and instance, and whether it opens.
#[derive(Debug, Clone)]
struct Case {
    at: i64,
    lasts: i64,
    /// How much later a second state of it was seen, where there is one.
    again: Option<i64>,
    user: Option<u8>,
    instance: Option<u8>,
    opens: bool,
}

fn case() -> impl Strategy<Value = Case> {
    (
        0..1500_i64,
        prop_oneof![Just(0), 0..150_i64],
        prop::option::weighted(0.2, 0..600_i64),
        prop::option::weighted(0.7, 0..4_u8),
        prop::option::weighted(0.4, 0..4_u8),
        prop::bool::weighted(0.75),
    )
        .prop_map(|(at, lasts, again, user, instance, opens)| Case {
            at,
            lasts,
            again,
            user,
            instance,
            opens,
        })
}

impl Case {
    /// When it was last seen, of all its states.
    fn end(&self) -> i64 {
        self.at + self.lasts + self.again.unwrap_or(0)
    }
}

fn made(number: usize, case: &Case) -> Reported {
    let mut made = reported(&format!("f{number}"), case.at);
    made.finding.last_seen = Some(at(case.at + case.lasts));
    if let Some(user) = case.user {
        made = of_user(made, &format!("u{user}"));
    }
    if let Some(instance) = case.instance {
        made = of_instance(made, &format!("i-{instance:08x}"));
    }
    if !case.opens {
        made.taken = Taken::Spared;
    }
    made
}

/// A later state, which says nothing of the earlier one's time.
fn made_again(number: usize, case: &Case) -> Reported {
    let mut made = made(number, case);
    if let Some(again) = case.again {
        made.finding.first_seen = Some(at(case.at + again));
        made.finding.last_seen = Some(at(case.end()));
        made.finding.count = 2;
    }
    made
}

/// The rule by brute force: for each finding the smallest number of its component, or `None`.
fn expected(cases: &[Case]) -> Vec<Option<usize>> {
    let keys: Vec<Vec<String>> = cases
        .iter()
        .enumerate()
        .map(|(number, case)| keys::keys(&made(number, case)))
        .collect();
    let mut label: Vec<Option<usize>> = cases
        .iter()
        .enumerate()
        .map(|(number, case)| case.opens.then_some(number))
        .collect();
    let near = |a: &Case, b: &Case| a.at <= b.end() + WITHIN_SECS && b.at <= a.end() + WITHIN_SECS;
    loop {
        let mut changed = false;
        for a in 0..cases.len() {
            for b in 0..cases.len() {
                let (Some(of_a), Some(of_b)) = (label[a], label[b]) else {
                    continue;
                };
                let linked =
                    keys[a].iter().any(|key| keys[b].contains(key)) && near(&cases[a], &cases[b]);
                if linked && of_b < of_a {
                    label[a] = Some(of_b);
                    changed = true;
                }
            }
        }
        if !changed {
            break;
        }
    }
    // What opens nothing is looked at when it was last seen: the first key with something near, and
    // there the earlier.
    for spared in 0..cases.len() {
        if cases[spared].opens {
            continue;
        }
        let time = cases[spared].end();
        label[spared] = keys[spared].iter().find_map(|key| {
            (0..cases.len())
                .filter(|other| cases[*other].opens && keys[*other].contains(key))
                .filter(|other| {
                    let other = &cases[*other];
                    other.at - WITHIN_SECS <= time && time <= other.end() + WITHIN_SECS
                })
                .min_by_key(|other| cases[*other].at)
                .and_then(|other| label[other])
        });
    }
    label
}

/// The partition of a ledger: the sets of findings, and those without an incident.
async fn partition(ledger: &Ledger) -> BTreeSet<(bool, BTreeSet<String>)> {
    let mut sets: BTreeMap<Option<i64>, BTreeSet<String>> = BTreeMap::new();
    let mut at = At::first(500);
    loop {
        let page = ledger
            .findings(&FindingFilter::default(), &at)
            .await
            .expect("a page");
        for row in page.items {
            sets.entry(row.incident).or_default().insert(row.reference);
        }
        match page.next {
            Some(next) => at.cursor = Some(next),
            None => break,
        }
    }
    sets.into_iter()
        .map(|(incident, set)| (incident.is_some(), set))
        .collect()
}

#[derive(Debug, Clone)]
struct Delivery {
    cases: Vec<Case>,
    /// Which findings are delivered in which order, some of them twice, and whether the later state.
    order: Vec<(usize, bool)>,
    batch: usize,
}

fn delivery() -> impl Strategy<Value = Delivery> {
    prop::collection::vec(case(), 1..40)
        .prop_flat_map(|cases| {
            let all: Vec<(usize, bool)> = (0..cases.len())
                .flat_map(|number| [(number, false), (number, true)])
                .collect();
            let again = prop::collection::vec((0..cases.len(), prop::bool::ANY), 0..10);
            (Just(cases), Just(all), again, 1..12_usize)
        })
        .prop_flat_map(|(cases, mut all, again, batch)| {
            all.extend(again);
            (Just(cases), Just(all).prop_shuffle(), Just(batch))
        })
        .prop_map(|(cases, order, batch)| Delivery {
            cases,
            order,
            batch,
        })
}

async fn holds(stores: &Stores, url: &str, delivery: &Delivery) -> Result<(), TestCaseError> {
    let options = Options {
        within_secs: WITHIN_SECS,
        ..Options::default()
    };
    let ledger = Ledger::open(url, &options).await.expect("opened");
    for chunk in delivery.order.chunks(delivery.batch) {
        let inputs: Vec<Input> = chunk
            .iter()
            .map(|(number, later)| {
                let case = &delivery.cases[*number];
                let made = if *later { made_again } else { made };
                Input::Finding(Box::new(made(*number, case)))
            })
            .collect();
        ledger.deliver(None, &inputs, at(0)).await.expect("taken");
    }
    let labels = expected(&delivery.cases);
    let mut sets: BTreeMap<Option<usize>, BTreeSet<String>> = BTreeMap::new();
    for (number, label) in labels.iter().enumerate() {
        let made = made(number, &delivery.cases[number]);
        sets.entry(*label)
            .or_default()
            .insert(keys::reference(&made.finding, &made.reporter));
    }
    let wanted: BTreeSet<_> = sets
        .into_iter()
        .map(|(label, set)| (label.is_some(), set))
        .collect();
    prop_assert_eq!(partition(&ledger).await, wanted);
    let overview = ledger.overview(at(-10_000)).await.expect("numbers");
    let components: BTreeSet<_> = labels.iter().flatten().collect();
    prop_assert_eq!(overview.open(), components.len() as i64);
    let counted: i64 = overview.hours.iter().map(|row| row.n).sum();
    prop_assert_eq!(counted, delivery.cases.len() as i64);
    stores.verified(&ledger).await;
    ledger.close().await;
    Ok(())
}

fn check(cases: u32, url: impl Fn(&Stores) -> String) {
    let stores = Stores::new();
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    });
    let outcome = runner.run(&delivery(), |delivery| {
        block_on(holds(&stores, &url(&stores), &delivery))
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn incidents_are_components_in_sqlite() {
    check(60, Stores::sqlite);
}

#[test]
fn incidents_are_components_in_postgres() {
    check(25, Stores::postgres);
}

/// States of one finding in any order end as the same row and the same incidents.
#[test]
fn states_of_a_finding_in_any_order() {
    let stores = Stores::new();
    block_on(async {
        for postgres in [false, true] {
            let mut ends = Vec::new();
            for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
                let url = if postgres {
                    stores.postgres()
                } else {
                    stores.sqlite()
                };
                let options = Options {
                    within_secs: WITHIN_SECS,
                    ..Options::default()
                };
                let ledger = Ledger::open(&url, &options).await.expect("opened");
                let state = |first: i64, last: i64, count: u64| {
                    let mut state = of_user(reported("x", first), "u1");
                    state.finding.last_seen = Some(at(last));
                    state.finding.count = count;
                    state
                };
                let states = [
                    state(300, 400, 2),
                    state(150, 350, 1),
                    state(300, 600, 9),
                    of_user(reported("y", 60), "u1"),
                ];
                for number in order {
                    let input = Input::Finding(Box::new(states[number].clone()));
                    ledger.deliver(None, &[input], at(0)).await.expect("taken");
                }
                stores.verified(&ledger).await;
                let page = ledger
                    .findings(&FindingFilter::default(), &At::first(9))
                    .await
                    .expect("a page");
                let rows: Vec<_> = page
                    .items
                    .into_iter()
                    .map(|row| (row.reference, row.at, row.first_at, row.count))
                    .collect();
                ends.push((rows, partition(&ledger).await));
            }
            ends.dedup();
            assert_eq!(ends.len(), 1);
            assert_eq!(ends[0].1.len(), 1, "one incident");
        }
    });
}
