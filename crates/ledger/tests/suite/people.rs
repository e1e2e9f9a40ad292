//! What people and responders write: owners, clocks, decisions, steps, evidence, nodes.

use davylamp_ledger::query::{At, IncidentFilter};
use davylamp_ledger::record::{
    Access, Action, Choice, Clock, Decision, Evidence, Heartbeat, IncidentState, Note, Owner,
    OwnerStep, Plan, Run, Setting, Stage, State, Tick,
};
use davylamp_ledger::rows::NOT_DUE;
use davylamp_ledger::{IncidentNo, Input, Ledger, LedgerError, Record, Reported};

use crate::make::{Stores, at, block_on, of_instance, of_user, open, reported};

async fn deliver(ledger: &Ledger, reported: Reported) -> davylamp_ledger::Receipt {
    ledger
        .deliver(None, &[Input::Finding(Box::new(reported))], at(0))
        .await
        .expect("taken")
}

async fn write(ledger: &Ledger, record: Record) {
    ledger.record(record, at(100)).await.expect("taken");
}

#[test]
fn two_incidents_become_one_and_nothing_is_forgotten() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            let first = deliver(&ledger, of_user(reported("a", 0), "ada"))
                .await
                .opened[0];
            let second = deliver(&ledger, of_instance(reported("b", 0), "i-00000001"))
                .await
                .opened[0];
            write(
                &ledger,
                Record::Owner(Owner {
                    incident: second,
                    step: OwnerStep::Assigned,
                    owner: "grace".to_owned(),
                    by: "ada".to_owned(),
                }),
            )
            .await;
            write(
                &ledger,
                Record::Clock(Clock {
                    incident: second,
                    tick: Tick::Due {
                        until: at(7200),
                        why: "look at it".to_owned(),
                    },
                    by: "ada".to_owned(),
                }),
            )
            .await;
            write(
                &ledger,
                Record::Note(Note {
                    incident: Some(second),
                    text: "seen before".to_owned(),
                    by: "grace".to_owned(),
                }),
            )
            .await;
            write(
                &ledger,
                Record::IncidentState(IncidentState {
                    incident: first,
                    state: State::Closed,
                    reason: "benign".to_owned(),
                    by: "ada".to_owned(),
                }),
            )
            .await;
            let closed = ledger.overview(at(0)).await.expect("numbers");
            assert_eq!(closed.open(), 1);
            // The bridge: merges, and opens the closed one again.
            let both = of_instance(of_user(reported("c", 60), "ada"), "i-00000001");
            let receipt = deliver(&ledger, both).await;
            assert_eq!(receipt.merged, [second]);
            let view = ledger.incident(second).await.expect("read").expect("there");
            assert_eq!((view.row.id, view.row.state.as_str()), (first.0, "open"));
            assert_eq!(view.merged, [second]);
            assert_eq!(view.row.owner.as_deref(), Some("grace"));
            assert_eq!(view.row.due, at(7200).as_microsecond());
            assert_eq!(view.row.findings, 3);
            let timeline = ledger
                .timeline(second, &At::first(50))
                .await
                .expect("a page");
            let kinds: Vec<&str> = timeline
                .items
                .iter()
                .map(|entry| entry.kind.as_str())
                .collect();
            assert_eq!(
                kinds,
                [
                    "incident-opened",
                    "finding",
                    "incident-opened",
                    "finding",
                    "owner",
                    "clock",
                    "note",
                    "incident-state",
                    "incident-merged",
                    "incident-state",
                    "finding",
                ]
            );
            // What is said of the pointer is said of the incident.
            write(
                &ledger,
                Record::Clock(Clock {
                    incident: second,
                    tick: Tick::Met,
                    by: "grace".to_owned(),
                }),
            )
            .await;
            let queue = ledger.queue("grace", &At::first(9)).await.expect("a page");
            assert_eq!(queue.items.len(), 1);
            assert_eq!(queue.items[0].due, NOT_DUE);
            let list = ledger
                .incidents(&IncidentFilter::default(), &At::first(9))
                .await
                .expect("a page");
            assert_eq!(list.items.len(), 1, "a pointer is in no list");
            stores.verified(&ledger).await;
        }
    });
}

#[test]
fn every_kind_is_written_and_read() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            let incident = deliver(&ledger, of_user(reported("a", 0), "ada"))
                .await
                .opened[0];
            let by = || "ada".to_owned();
            write(
                &ledger,
                Record::Plan(Plan {
                    incident: Some(incident),
                    plan: "p1".to_owned(),
                    summary: "end the pod".to_owned(),
                    text: serde_json::json!({"steps": ["\u{0}"]}),
                    left_out: vec![],
                    cost_micro_usd_per_hour: Some(1_250_000),
                    by: by(),
                }),
            )
            .await;
            for stage in [Stage::Before, Stage::Done, Stage::Undone] {
                write(
                    &ledger,
                    Record::Action(Action {
                        incident: Some(incident),
                        plan: "p1".to_owned(),
                        step: "s1".to_owned(),
                        what: "end-pod".to_owned(),
                        target: "pod/hub/jupyter-ada".to_owned(),
                        stage,
                        detail: String::new(),
                        by: by(),
                    }),
                )
                .await;
            }
            write(
                &ledger,
                Record::Evidence(Evidence {
                    incident: Some(incident),
                    what: "snapshot".to_owned(),
                    location: "snap-1".to_owned(),
                    sha256: Some("00".repeat(32)),
                    size_bytes: Some(9),
                    custody: "taken by the responder".to_owned(),
                    by: by(),
                }),
            )
            .await;
            write(
                &ledger,
                Record::Access(Access {
                    incident: Some(incident),
                    location: "snap-1".to_owned(),
                    purpose: "to look".to_owned(),
                    by: by(),
                }),
            )
            .await;
            write(
                &ledger,
                Record::Run(Run {
                    run: String::new(),
                    target: String::new(),
                    error: None,
                    verb: "hunt".to_owned(),
                    name: "dns".to_owned(),
                    started: at(0),
                    ended: at(5),
                    counts: [("read".to_owned(), 5)].into(),
                    by: by(),
                }),
            )
            .await;
            write(
                &ledger,
                Record::Setting(Setting {
                    name: "findings_days".to_owned(),
                    from: None,
                    to: Some(serde_json::json!(30)),
                    by: by(),
                }),
            )
            .await;
            let actions = ledger
                .actions(Some(incident), None, &At::first(9))
                .await
                .expect("a page");
            assert_eq!(actions.items.len(), 1);
            assert_eq!(actions.items[0].stage, "undone");
            let evidence = ledger
                .evidence(Some(incident), &At::first(9))
                .await
                .expect("a page");
            assert_eq!((evidence.items.len(), evidence.items[0].reads), (1, 1));

            let mut beat = Heartbeat {
                reporter: reported("x", 0).reporter,
                version: "1".to_owned(),
                coverage: "exec".to_owned(),
                canary_at: Some(at(0)),
                canary_caught: Some(true),
                lost_events: 0,
                lists: Vec::new(),
            };
            let head = ledger.head().await.expect("a head");
            for minute in 0..3 {
                beat.canary_at = Some(at(minute * 60));
                let input = [Input::Heartbeat(beat.clone())];
                ledger
                    .deliver(None, &input, at(minute * 60))
                    .await
                    .expect("taken");
            }
            assert_eq!(
                ledger.head().await.expect("a head").seq,
                head.seq + 1,
                "only what is new"
            );
            beat.lost_events = 5;
            ledger
                .deliver(None, &[Input::Heartbeat(beat)], at(240))
                .await
                .expect("taken");
            assert_eq!(ledger.head().await.expect("a head").seq, head.seq + 2);
            let nodes = ledger.nodes(&At::first(9)).await.expect("a page");
            assert_eq!(nodes.items.len(), 1);
            assert_eq!(nodes.items[0].seen_us, Some(at(240).as_microsecond()));

            let close = |reason: &str| {
                Record::Decision(Decision {
                    incident: Some(incident),
                    choice: Choice::Close,
                    plan: None,
                    subject: None,
                    reason: reason.to_owned(),
                    by: by(),
                })
            };
            let refused = ledger.record(close(" "), at(0)).await;
            assert!(matches!(refused, Err(LedgerError::NoReason)));
            write(&ledger, close("drill")).await;
            let view = ledger
                .incident(incident)
                .await
                .expect("read")
                .expect("there");
            assert_eq!(view.row.state, "closed");
            assert_eq!(view.row.cost_micro_usd_per_hour, Some(1_250_000));
            // Its source archives the finding: nothing has happened, it stays closed.
            let mut archived = of_user(reported("a", 0), "ada");
            archived.finding.archived = true;
            assert_eq!(deliver(&ledger, archived).await.updated, 1);
            let view = ledger
                .incident(incident)
                .await
                .expect("read")
                .expect("there");
            assert_eq!(view.row.state, "closed");

            let nobody = Record::Note(Note {
                incident: Some(IncidentNo(999)),
                text: String::new(),
                by: by(),
            });
            let refused = ledger.record(nobody, at(0)).await;
            assert!(matches!(refused, Err(LedgerError::NoSuchIncident { .. })));
            let mut deep = serde_json::json!(1);
            for _ in 0..200 {
                deep = serde_json::json!([deep]);
            }
            let setting = Record::Setting(Setting {
                name: "deep".to_owned(),
                from: None,
                to: Some(deep),
                by: by(),
            });
            let refused = ledger.record(setting, at(0)).await;
            assert!(
                matches!(refused, Err(LedgerError::NotStorable { .. })),
                "{refused:?}"
            );
            let entries = ledger.entries_since(0, 500).await.expect("entries");
            assert_eq!(
                entries.len() as i64,
                ledger.head().await.expect("a head").seq
            );
            for entry in &entries {
                let own: Record =
                    serde_json::from_str(entry.body.as_ref().expect("a body")).expect("a record");
                if ["finding", "incident-opened"].contains(&entry.kind.as_str()) {
                    let refused = ledger.record(own, at(0)).await;
                    assert!(matches!(refused, Err(LedgerError::NotForCallers { .. })));
                }
            }
            stores.verified(&ledger).await;
            ledger.rebuild().await.expect("rebuilt");
            stores.verified(&ledger).await;
        }
    });
}
