//! Clocks that the ledger sets by itself, and records that are written only if nothing has changed.

use davylamp_ledger::query::{At, IncidentFilter};
use davylamp_ledger::record::{BY_LEDGER, Clock, IncidentState, Owner, OwnerStep, State, Tick};
use davylamp_ledger::rows::{IncidentRow, NOT_DUE};
use davylamp_ledger::{CONTAIN, Clocks, IncidentNo, Input, Ledger, OWN, Options, Record, Reported};
use davylamp_model::finding::Severity;
use jiff::Timestamp;

use crate::make::{NOW_SECS, Stores, at, block_on, of_user, reported};

const CLOCKS: Clocks = Clocks {
    own_secs: [0, 0, 3600, 900],
    contain_secs: [0, 0, 0, 14_400],
};

async fn open(url: &str) -> Ledger {
    let options = Options {
        clocks: CLOCKS,
        ..Options::default()
    };
    Ledger::open(url, &options).await.expect("a ledger")
}

fn of(severity: Severity, id: &str, user: &str, secs: i64) -> Reported {
    let mut reported = of_user(reported(id, secs), user);
    reported.finding.severity = severity;
    reported
}

async fn deliver(ledger: &Ledger, reported: Reported, now: Timestamp) -> Option<IncidentNo> {
    let inputs = [Input::Finding(Box::new(reported))];
    let taken = ledger.deliver(None, &inputs, now).await.expect("taken");
    taken.opened.first().copied()
}

async fn row(ledger: &Ledger, no: IncidentNo) -> IncidentRow {
    ledger
        .incident(no)
        .await
        .expect("asked")
        .expect("there")
        .row
}

fn owner(incident: IncidentNo, step: OwnerStep, owner: &str) -> Record {
    let (owner, by) = (owner.to_owned(), "ada".to_owned());
    Record::Owner(Owner {
        incident,
        step,
        owner,
        by,
    })
}

fn state(incident: IncidentNo, state: State) -> Record {
    Record::IncidentState(IncidentState {
        incident,
        state,
        reason: "so".to_owned(),
        by: "ada".to_owned(),
    })
}

fn due(row: &IncidentRow) -> (i64, &str) {
    let secs = match row.due {
        NOT_DUE => -1,
        due => due / 1_000_000 - NOW_SECS,
    };
    (secs, row.due_why.as_str())
}

#[test]
fn a_critical_incident_waits_for_an_owner_and_then_to_be_contained() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            let no = deliver(&ledger, of(Severity::Critical, "a", "eve", 0), at(10)).await;
            let no = no.expect("opened");
            assert_eq!(due(&row(&ledger, no).await), (910, OWN));
            let assigned = owner(no, OwnerStep::Assigned, "bob");
            ledger.record(assigned, at(20)).await.expect("taken");
            assert_eq!(due(&row(&ledger, no).await), (910, OWN), "not yet accepted");
            let accepted = owner(no, OwnerStep::Accepted, "bob");
            ledger.record(accepted, at(30)).await.expect("taken");
            assert_eq!(
                due(&row(&ledger, no).await),
                (14_410, CONTAIN),
                "since it was opened"
            );
            let contained = state(no, State::Contained);
            ledger.record(contained, at(40)).await.expect("taken");
            assert_eq!(due(&row(&ledger, no).await), (-1, ""));
            stores.verified(&ledger).await;
        }
    });
}

#[test]
fn a_clock_follows_how_bad_it_is_and_leaves_peoples_own_alone() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            let low = deliver(&ledger, of(Severity::Low, "low", "lea", 0), at(0)).await;
            let low = low.expect("opened");
            assert_eq!(due(&row(&ledger, low).await), (-1, ""));
            deliver(&ledger, of(Severity::High, "high", "lea", 60), at(60)).await;
            assert_eq!(due(&row(&ledger, low).await), (3660, OWN));
            deliver(
                &ledger,
                of(Severity::Critical, "critical", "lea", 70),
                at(70),
            )
            .await;
            assert_eq!(due(&row(&ledger, low).await), (970, OWN));
            deliver(&ledger, of(Severity::Critical, "more", "lea", 80), at(80)).await;
            assert_eq!(
                due(&row(&ledger, low).await),
                (970, OWN),
                "no worse than it was"
            );

            let high = deliver(&ledger, of(Severity::High, "other", "tom", 0), at(0)).await;
            let high = high.expect("opened");
            let own = Record::Clock(Clock {
                incident: high,
                tick: Tick::Due {
                    until: at(50_000),
                    why: "call the user".to_owned(),
                },
                by: "ada".to_owned(),
            });
            ledger.record(own, at(1)).await.expect("taken");
            deliver(&ledger, of(Severity::Critical, "worse", "tom", 5), at(5)).await;
            let accepted = owner(high, OwnerStep::Accepted, "bob");
            ledger.record(accepted, at(6)).await.expect("taken");
            assert_eq!(due(&row(&ledger, high).await), (50_000, "call the user"));

            let closed = state(low, State::Closed);
            ledger.record(closed, at(90)).await.expect("taken");
            assert_eq!(due(&row(&ledger, low).await), (-1, ""));
            deliver(&ledger, of(Severity::Critical, "again", "lea", 95), at(100)).await;
            assert_eq!(due(&row(&ledger, low).await), (1000, OWN), "opened again");
            stores.verified(&ledger).await;
        }
    });
}

#[test]
fn of_many_who_write_under_a_condition_one_does() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            let no = deliver(&ledger, of(Severity::High, "a", "eve", 0), at(0)).await;
            let no = no.expect("opened");
            let tries = (0..8).map(|n| {
                let ledger = ledger.clone();
                async move {
                    let record = [Record::Clock(Clock {
                        incident: no,
                        tick: Tick::Escalated {
                            to: format!("person {n}"),
                        },
                        by: BY_LEDGER.to_owned(),
                    })];
                    let holds = |row: &IncidentRow| row.escalated.is_none();
                    let done = ledger.record_if(no, holds, &record, at(10)).await;
                    done.expect("asked").is_some()
                }
            });
            let done = futures::future::join_all(tries).await;
            assert_eq!(done.iter().filter(|done| **done).count(), 1, "{url}");
            let head = ledger.head().await.expect("a head").seq;
            let never = ledger
                .record_if(no, |_| false, &[state(no, State::Closed)], at(20))
                .await;
            assert_eq!(never.expect("asked"), None);
            let absent = ledger
                .record_if(IncidentNo(999), |_| true, &[], at(20))
                .await;
            assert_eq!(absent.expect("asked"), None);
            assert_eq!(ledger.head().await.expect("a head").seq, head);
            stores.verified(&ledger).await;
        }
    });
}

#[test]
fn what_was_handed_on_is_found() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            let no = deliver(&ledger, of(Severity::Low, "a", "eve", 0), at(0)).await;
            let no = no.expect("opened");
            deliver(&ledger, of(Severity::Low, "b", "tom", 0), at(0)).await;
            let filter = IncidentFilter {
                delegated: true,
                ..IncidentFilter::default()
            };
            for (step, found) in [
                (OwnerStep::Assigned, 0),
                (OwnerStep::Accepted, 0),
                (OwnerStep::Delegated, 1),
                (OwnerStep::Accepted, 0),
            ] {
                ledger
                    .record(owner(no, step, "bob"), at(1))
                    .await
                    .expect("taken");
                let page = ledger
                    .incidents(&filter, &At::first(10))
                    .await
                    .expect("a page");
                assert_eq!(page.items.len(), found, "{step:?}");
                let last = ledger
                    .latest(no, "owner")
                    .await
                    .expect("asked")
                    .expect("one");
                assert!(last.body.expect("a body").contains(step.as_str()));
            }
        }
    });
}
