//! Plans, jobs, runs, audits, accepted risks, lists and costs, on both databases.

use davylamp_ledger::query::{At, JobFilter, RunFilter};
use davylamp_ledger::record::{
    Audit, Blocklist, Choice, Cost, Decision, Errand, Job, JobStage, JobStep, Plan, Rollout,
};
use davylamp_ledger::wire::{About, Sent};
use davylamp_ledger::{IncidentNo, Input, Ledger, LedgerError, Record};
use davylamp_model::finding::Severity;
use davylamp_model::verdict::{Outcome, Verdict};
use jiff::SignedDuration;
use sqlx::{AnyPool, AssertSqlSafe};

use crate::make::{Stores, at, block_on, of_user, open, reported};

const LEASE: SignedDuration = SignedDuration::from_mins(5);

async fn incident(ledger: &Ledger, user: &str) -> IncidentNo {
    let made = of_user(reported(user, 0), user);
    let input = [Input::Finding(Box::new(made))];
    let receipt = ledger.deliver(None, &input, at(0)).await.expect("taken");
    receipt.opened[0]
}

async fn write(ledger: &Ledger, record: Record, secs: i64) {
    ledger.record(record, at(secs)).await.expect("written");
}

fn job(name: &str, incident: Option<IncidentNo>, cluster: &str, errand: Errand) -> Record {
    Record::Job(Job {
        job: name.to_owned(),
        incident,
        cluster: cluster.to_owned(),
        errand,
        by: "ada".to_owned(),
    })
}

fn step(name: &str, stage: JobStage, by: &str) -> Record {
    Record::JobStep(JobStep {
        job: name.to_owned(),
        stage,
        detail: String::new(),
        by: by.to_owned(),
    })
}

async fn took(ledger: &Ledger, worker: &str, cluster: &str, can: &str, secs: i64) -> String {
    let can: Vec<String> = can.split_whitespace().map(str::to_owned).collect();
    let taken = ledger
        .take_job(worker, cluster, &can, LEASE, at(secs))
        .await
        .expect("an answer");
    taken.map_or_else(|| "nothing".to_owned(), |view| view.row.job)
}

async fn plan_state(ledger: &Ledger) -> String {
    let view = ledger.plan("p1").await.expect("read").expect("a plan");
    view.row.state
}

#[test]
fn a_job_is_done_by_one_worker() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            let of = incident(&ledger, "ada").await;
            let hunt = || Errand::Hunt {
                hunt: "dns-pool".to_owned(),
                since: None,
                until: None,
            };
            write(&ledger, job("j1", Some(of), "hub-a", Errand::Plan), 1).await;
            write(&ledger, job("j2", None, "", hunt()), 2).await;
            // Asked twice, it is there once.
            let again = ledger.record(job("j2", None, "", hunt()), at(3)).await;
            assert_eq!(again.expect("taken").unchanged, 1);

            assert_eq!(took(&ledger, "w1", "hub-b", "plan", 4).await, "nothing");
            assert_eq!(took(&ledger, "w1", "hub-a", "", 4).await, "nothing");
            assert_eq!(took(&ledger, "w1", "hub-a", "plan hunt", 4).await, "j1");
            assert_eq!(took(&ledger, "w2", "hub-a", "plan hunt", 4).await, "j2");
            assert_eq!(
                took(&ledger, "w3", "hub-a", "plan hunt", 4).await,
                "nothing"
            );
            for (record, why) in [
                (step("j1", JobStage::Done, "w2"), "w1 is at it"),
                (step("j1", JobStage::Withdrawn, "ada"), "a worker is at it"),
                (step("j9", JobStage::Done, "w2"), "there is none of that id"),
            ] {
                match ledger.record(record, at(5)).await {
                    Err(LedgerError::Job { why: found, .. }) => assert_eq!(found, why),
                    other => panic!("{why}: {other:?}"),
                }
            }
            // w1 says nothing for too long; w2 does.
            let on = JobStage::Taken { until: at(900) };
            write(&ledger, step("j2", on, "w2"), 200).await;
            assert_eq!(took(&ledger, "w3", "hub-a", "plan hunt", 400).await, "j1");
            assert_eq!(
                took(&ledger, "w3", "hub-a", "plan hunt", 400).await,
                "nothing"
            );
            let late = ledger
                .record(step("j1", JobStage::Done, "w1"), at(401))
                .await;
            assert!(matches!(late, Err(LedgerError::Job { .. })), "{late:?}");
            write(&ledger, step("j1", JobStage::Done, "w3"), 402).await;
            let again = ledger
                .record(step("j1", JobStage::Done, "w3"), at(403))
                .await;
            assert_eq!(again.expect("taken").unchanged, 1);
            let other = ledger
                .record(step("j1", JobStage::Failed, "w3"), at(404))
                .await;
            assert!(matches!(other, Err(LedgerError::Job { .. })), "{other:?}");

            let filter = JobFilter {
                incident: Some(of),
                ..JobFilter::default()
            };
            let jobs = ledger.jobs(&filter, &At::first(9)).await.expect("a page");
            let row = &jobs.items[0];
            assert_eq!((row.stage.as_str(), row.taken_by.as_str()), ("done", "w3"));
            stores.verified(&ledger).await;
        }
    });
}

#[test]
fn workers_who_ask_at_once_get_different_jobs() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            for n in 0..12 {
                write(&ledger, job(&format!("j{n}"), None, "", Errand::Plan), n).await;
            }
            let asked = (0..6).map(|n| {
                let ledger = ledger.clone();
                tokio::spawn(async move {
                    let mut mine = Vec::new();
                    for _ in 0..2 {
                        mine.push(took(&ledger, &format!("w{n}"), "", "plan", 20).await);
                    }
                    mine
                })
            });
            let mut all = Vec::new();
            for asked in asked.collect::<Vec<_>>() {
                all.extend(asked.await.expect("an end"));
            }
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), 12, "{all:?}");
        }
    });
}

#[test]
fn a_plan_is_where_its_jobs_are() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            let of = incident(&ledger, "ada").await;
            let plan = Record::Plan(Plan {
                incident: Some(of),
                plan: "p1".to_owned(),
                summary: "end the pod".to_owned(),
                text: serde_json::json!({"steps": []}),
                left_out: Vec::new(),
                cost_micro_usd_per_hour: None,
                by: "w1".to_owned(),
            });
            write(&ledger, plan.clone(), 1).await;
            assert_eq!(plan_state(&ledger).await, "proposed");
            let decision = Record::Decision(Decision {
                incident: Some(of),
                choice: Choice::Approve,
                plan: Some("p1".to_owned()),
                subject: None,
                reason: String::new(),
                by: "ada".to_owned(),
            });
            write(&ledger, decision, 2).await;
            let run = Errand::Run {
                plan: "p1".to_owned(),
                approved_by: Some("ada".to_owned()),
            };
            write(&ledger, job("j1", Some(of), "", run), 3).await;
            assert_eq!(plan_state(&ledger).await, "asked");
            assert_eq!(took(&ledger, "w1", "", "run", 4).await, "j1");
            assert_eq!(plan_state(&ledger).await, "running");
            // The same plan made again is where it was.
            write(&ledger, plan, 5).await;
            write(&ledger, step("j1", JobStage::Done, "w1"), 6).await;
            assert_eq!(plan_state(&ledger).await, "done");
            let undo = Errand::Undo {
                plan: "p1".to_owned(),
            };
            write(&ledger, job("j2", Some(of), "", undo), 7).await;
            assert_eq!(took(&ledger, "w1", "", "undo", 8).await, "j2");
            write(&ledger, step("j2", JobStage::Done, "w1"), 9).await;
            let view = ledger.plan("p1").await.expect("read").expect("a plan");
            assert_eq!(view.row.state, "undone");
            assert_eq!(view.row.approved_by.as_deref(), Some("ada"));
            assert_eq!(view.plan.expect("its body").summary, "end the pod");
            // Two incidents that turn out to be one have one's plans.
            let bob = incident(&ledger, "bob").await;
            let both = of_user(of_user(reported("both", 60), "ada"), "bob");
            let input = [Input::Finding(Box::new(both))];
            ledger.deliver(None, &input, at(10)).await.expect("taken");
            let plans = ledger.plans(bob, &At::first(9)).await.expect("a page");
            assert_eq!(plans.items.len(), 1);
            stores.verified(&ledger).await;
            ledger.rebuild().await.expect("rebuilt");
            stores.verified(&ledger).await;
        }
    });
}

fn outcome(check: &str, verdict: Verdict) -> Outcome {
    Outcome {
        check: check.to_owned(),
        title: format!("{check} is as it should be"),
        verdict,
        severity: Severity::High,
        resource: "arn:aws:s3:::data".to_owned(),
        why: String::new(),
        remedy: String::new(),
        saving_micro_usd_month: None,
    }
}

#[test]
fn what_comes_twice_from_a_sender_counts_once() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            let audit = Record::Audit(Box::new(Audit {
                run: "r1".to_owned(),
                name: "prowler".to_owned(),
                target: "111122223333".to_owned(),
                started: at(0),
                ended: at(60),
                outcomes: vec![
                    outcome("a", Verdict::Fail),
                    outcome("b", Verdict::Pass),
                    outcome("c", Verdict::Unknown),
                ],
                by: "ci".to_owned(),
            }));
            let sent = Sent::new(audit, About::default(), "r1");
            let line = serde_json::to_string(&sent).expect("a line");
            let read: Sent = serde_json::from_str(&line).expect("read again");
            assert_eq!(read, sent);
            let input = Input::Once {
                id: sent.id.clone(),
                record: Box::new(sent.record),
            };
            let batch = [input.clone(), input.clone()];
            let first = ledger
                .deliver(Some("k1"), &batch, at(1))
                .await
                .expect("taken");
            assert_eq!(first.unchanged, 1);
            let again = ledger
                .deliver(Some("k2"), &[input], at(2))
                .await
                .expect("taken");
            assert_eq!((again.unchanged, again.first), (1, None));
            let runs = ledger
                .runs(&RunFilter::default(), &At::first(9))
                .await
                .expect("a page");
            assert_eq!(runs.items.len(), 1);
            assert_eq!(runs.items[0].counts, r#"{"fail":1,"pass":1,"unknown":1}"#);
            let view = ledger.audit(runs.items[0].id).await.expect("read");
            let audit = view.expect("there").audit.expect("its body");
            assert_eq!(audit.outcomes.len(), 3);
            assert_eq!(ledger.last_runs("audit").await.expect("rows").len(), 1);
            stores.verified(&ledger).await;
        }
    });
}

#[test]
fn risks_lists_and_costs_are_kept() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            let of = incident(&ledger, "ada").await;
            let subject = outcome("a", Verdict::Fail).subject();
            for (until, reason) in [(100, "soon mended"), (500, "later")] {
                let decision = Record::Decision(Decision {
                    incident: None,
                    choice: Choice::AcceptRisk { until: at(until) },
                    plan: None,
                    subject: Some(subject.clone()),
                    reason: reason.to_owned(),
                    by: "ada".to_owned(),
                });
                write(&ledger, decision, 1).await;
            }
            let found = ledger
                .risks_of(&[subject, "x".to_owned()])
                .await
                .expect("rows");
            assert_eq!((found.len(), found[0].reason.as_str()), (1, "later"));
            let page = |ended| {
                let ledger = ledger.clone();
                async move {
                    let page = ledger.risks(at(200), ended, &At::first(9)).await;
                    page.expect("a page").items.len()
                }
            };
            assert_eq!((page(false).await, page(true).await), (1, 0));

            for rollout in [Rollout::Observe, Rollout::Enforce] {
                let list = Record::Blocklist(Blocklist {
                    name: "site".to_owned(),
                    digest: "ab".repeat(32),
                    rollout,
                    strings: 40,
                    note: "three pools more".to_owned(),
                    by: "ada".to_owned(),
                });
                write(&ledger, list, 2).await;
            }
            let lists = ledger.blocklists(&At::first(9)).await.expect("a page");
            assert_eq!(lists.items.len(), 1);
            assert_eq!(lists.items[0].rollout, "enforce");

            assert_eq!(ledger.cost_in(None).await.expect("numbers").unknown, 1);
            let cost = Record::Cost(Cost {
                incident: of,
                low_micro_usd: 10_000_000,
                high_micro_usd: 30_000_000,
                per_hour_micro_usd: 2_500_000,
                prices: "2026-11-01".to_owned(),
                unknown: Vec::new(),
                credit_pack: None,
                by: "ada".to_owned(),
            });
            write(&ledger, cost, 3).await;
            let cost = ledger.cost_in(None).await.expect("numbers");
            assert_eq!(
                (cost.per_hour_micro_usd, cost.known, cost.unknown),
                (2_500_000, 1, 0)
            );
            stores.verified(&ledger).await;
        }
    });
}

/// A ledger of the first layout, as the program before made it.
#[test]
fn an_older_ledger_is_brought_up_to_date() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            incident(&ledger, "ada").await;
            let pool = AnyPool::connect(&url).await.expect("opened");
            for sql in [
                "DROP TABLE part",
                "DROP INDEX finding_update_by_seq",
                "DROP INDEX incident_standing",
                "DROP INDEX incident_waiting",
                "DROP INDEX incident_free",
                "DROP INDEX incident_by_cost",
                "ALTER TABLE incident DROP COLUMN cost_low_micro_usd",
                "ALTER TABLE incident DROP COLUMN cost_high_micro_usd",
                "ALTER TABLE node DROP COLUMN lists",
                "DROP TABLE plan",
                "DROP TABLE run",
                "DROP TABLE job",
                "DROP TABLE risk",
                "DROP TABLE blocklist",
                "UPDATE layout SET version = 1",
            ] {
                let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
                    .execute(&pool)
                    .await;
                done.unwrap_or_else(|error| panic!("{sql}: {error}"));
            }
            pool.close().await;
            ledger.close().await;
            let ledger = open(&url).await;
            stores.verified(&ledger).await;
            write(&ledger, job("j1", None, "", Errand::Plan), 1).await;
            stores.verified(&ledger).await;
        }
    });
}
