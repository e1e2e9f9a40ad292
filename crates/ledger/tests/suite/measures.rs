//! Numbers for those who measure, and removal a little at a time.

use std::collections::BTreeMap;

use davylamp_ledger::query::{Measures, NodeCounts};
use davylamp_ledger::record::{Clock, Heartbeat, IncidentState, Owner, OwnerStep, State, Tick};
use davylamp_ledger::{IncidentNo, Input, Ledger, Policy, Record, Reporter, Taken};
use davylamp_model::finding::Severity;
use jiff::SignedDuration;

use crate::make::{Stores, at, block_on, of_user, open, reported};

async fn opened(ledger: &Ledger, id: &str, severity: Severity, taken: Taken) -> IncidentNo {
    let mut reported = of_user(reported(id, 0), id);
    reported.finding.severity = severity;
    reported.taken = taken;
    let inputs = [Input::Finding(Box::new(reported))];
    let taken = ledger.deliver(None, &inputs, at(0)).await.expect("taken");
    taken.opened[0]
}

fn heartbeat(node: &str, lost_events: i64, caught: bool) -> Input {
    Input::Heartbeat(Heartbeat {
        reporter: Reporter {
            cluster: "hub-a".to_owned(),
            node: node.to_owned(),
            agent: "guard".to_owned(),
        },
        version: "0.1.0".to_owned(),
        coverage: String::new(),
        canary_at: None,
        canary_caught: Some(caught),
        lost_events,
        lists: Vec::new(),
    })
}

async fn measures(ledger: &Ledger) -> Measures {
    let quarter = SignedDuration::from_mins(15);
    let standing = ledger.measures(at(-3600), quarter, at(1000)).await;
    standing.expect("numbers")
}

#[test]
fn what_is_open_unowned_overdue_and_silent_is_counted() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            assert_eq!(measures(&ledger).await, Measures::default(), "{url}");
            let owned = opened(&ledger, "a", Severity::High, Taken::Missed).await;
            let free = opened(&ledger, "b", Severity::High, Taken::Killed).await;
            let closed = opened(&ledger, "c", Severity::Low, Taken::Missed).await;
            let by = || "ada".to_owned();
            let records = [
                Record::Owner(Owner {
                    incident: owned,
                    step: OwnerStep::Assigned,
                    owner: by(),
                    by: by(),
                }),
                Record::Clock(Clock {
                    incident: free,
                    tick: Tick::Due {
                        until: at(900),
                        why: String::new(),
                    },
                    by: by(),
                }),
                Record::IncidentState(IncidentState {
                    incident: closed,
                    state: State::Closed,
                    reason: "done".to_owned(),
                    by: by(),
                }),
            ];
            for record in records {
                ledger.record(record, at(10)).await.expect("taken");
            }
            let beats = [
                (heartbeat("n1", 2, false), at(0)),
                (heartbeat("n2", 5, true), at(1000)),
            ];
            for (beat, at) in beats {
                ledger.deliver(None, &[beat], at).await.expect("taken");
            }
            let expected = Measures {
                open: BTreeMap::from([(Severity::High, 2)]),
                unowned: BTreeMap::from([(Severity::High, (1, at(0).as_microsecond()))]),
                overdue: 1,
                with_missed: 1,
                taken: BTreeMap::from([("killed".to_owned(), 1), ("missed".to_owned(), 2)]),
                nodes: NodeCounts {
                    all: 2,
                    silent: 1,
                    troubled: 1,
                    escaped: 1,
                    untried: 0,
                    lost_events: 7,
                },
            };
            assert_eq!(measures(&ledger).await, expected, "{url}");
        }
    });
}

#[test]
fn kinds_are_counted_from_where_the_count_stopped() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            opened(&ledger, "a", Severity::High, Taken::Killed).await;
            let (head, first) = ledger.kinds_since(0).await.expect("counts");
            assert_eq!(head, ledger.head().await.expect("a head").seq);
            assert_eq!((first["finding"], first["incident-opened"]), (1, 1));
            opened(&ledger, "b", Severity::High, Taken::Killed).await;
            let (head, more) = ledger.kinds_since(head).await.expect("counts");
            assert_eq!(first, more, "{url}");
            let (same, none) = ledger.kinds_since(head).await.expect("counts");
            assert_eq!((same, none), (head, BTreeMap::new()));
        }
    });
}

#[test]
fn what_is_old_goes_a_little_at_a_time() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            let inputs: Vec<Input> = (0..700)
                .map(|n| {
                    let mut reported = reported(&format!("f{n}"), -86_400 * 20);
                    reported.taken = Taken::Spared;
                    Input::Finding(Box::new(reported))
                })
                .collect();
            ledger.deliver(None, &inputs, at(0)).await.expect("taken");
            let policy = Policy {
                findings_days: Some(10),
                evidence_days: None,
            };
            let mut steps = Vec::new();
            while let Some(removed) = ledger.retain_some(policy, at(0)).await.expect("a step") {
                steps.push(removed.findings);
                // Between two steps the ledger is everybody's, and as it should be.
                let other = Input::Finding(Box::new(reported(&format!("n{}", steps.len()), 0)));
                ledger.deliver(None, &[other], at(0)).await.expect("taken");
                let found = ledger.verify(None, stores.folder.path()).await;
                assert_eq!(found.expect("a verification").fault, None, "{url}");
            }
            assert_eq!(steps, [500, 200], "{url}");
        }
    });
}
