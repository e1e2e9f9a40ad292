//! Jobs handed to workers, and records that come back.

use davylamp_console::{EVENTS, Role, SCOPES};
use davylamp_ledger::query::{At, FindingFilter};
use davylamp_ledger::record::{Errand, Job, Record};
use davylamp_ledger::{IncidentNo, Taken};
use jiff::Timestamp;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{World, finding};

/// Somebody who asks with a token.
struct Worker {
    client: reqwest::Client,
    base: String,
    token: String,
}

impl Worker {
    async fn new(world: &World, name: &str, cluster: &str, scopes: &[&str]) -> Self {
        let token = world
            .store
            .add_token(name, cluster, scopes, Timestamp::now());
        Self {
            client: reqwest::Client::new(),
            base: world.base(),
            token: token.await.expect("a token"),
        }
    }

    async fn post(&self, path: &str, body: String) -> (StatusCode, Value) {
        let request = self
            .client
            .post(format!("{}{path}", self.base))
            .bearer_auth(&self.token)
            .header("content-type", "application/json")
            .body(body);
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn take(&self, can: &[&str]) -> (StatusCode, Value) {
        let body = json!({"can": can}).to_string();
        self.post("/api/v1/jobs/take", body).await
    }

    async fn say(&self, job: &str, stage: &str) -> StatusCode {
        let body = json!({"stage": stage, "detail": "so it went"}).to_string();
        self.post(&format!("/api/v1/jobs/{job}"), body).await.0
    }

    async fn record(&self, record: Value) -> (StatusCode, Value) {
        self.post("/api/v1/events", format!("{record}\n")).await
    }
}

async fn ask(
    world: &World,
    job: &str,
    incident: Option<IncidentNo>,
    cluster: &str,
    errand: Errand,
) {
    let job = Job {
        job: job.to_owned(),
        incident,
        cluster: cluster.to_owned(),
        errand,
        by: "ada".to_owned(),
    };
    let written = world
        .ledger
        .record(Record::Job(job), Timestamp::now())
        .await;
    written.expect("written");
}

fn plan(id: &str, about: Value) -> Value {
    json!({"id": id, "about": about, "record": {
        "kind": "plan", "plan": "p1", "summary": "end the pod", "text": {"incident": "inc-1", "steps": []},
        "left_out": [], "by": "",
    }})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_to_a_worker_with_what_it_needs() {
    let world = World::new().await;
    let found = vec![
        finding(1, "ada", "hub-a", Taken::Killed, 5),
        finding(2, "ada", "hub-a", Taken::Spared, 4),
    ];
    let incident = world.deliver(found).await.opened[0];
    let worker = Worker::new(&world, "w1", "hub-a", &SCOPES).await;
    let agent = Worker::new(&world, "agent", "hub-a", &[EVENTS]).await;
    assert_eq!(agent.take(&["plan"]).await.0, StatusCode::FORBIDDEN);
    assert_eq!(worker.take(&["plan"]).await.0, StatusCode::NO_CONTENT);

    ask(&world, "j1", Some(incident), "", Errand::Plan).await;
    let (status, given) = worker.take(&["plan"]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(given["job"]["job"], "j1");
    assert_eq!(given["job"]["errand"], "plan");
    // What was spared is nothing to plan for.
    assert_eq!(given["findings"], json!([{"id": 1, "action": "killed"}]));
    assert_eq!(worker.take(&["plan"]).await.0, StatusCode::NO_CONTENT);

    // What came of it is about the incident that the job was for.
    let (status, taken) = worker.record(plan("r1", json!({"job": "j1"}))).await;
    assert_eq!(status, StatusCode::OK, "{taken}");
    let (_, again) = worker.record(plan("r1", json!({"job": "j1"}))).await;
    assert_eq!(again["unchanged"], 1, "{again}");
    let plans = world
        .ledger
        .plans(incident, &At::first(9))
        .await
        .expect("a page");
    assert_eq!(plans.items.len(), 1);
    assert_eq!(plans.items[0].by_whom, "w1");
    assert_eq!(
        agent.record(plan("r2", json!({}))).await.0,
        StatusCode::FORBIDDEN
    );

    let other = Worker::new(&world, "w2", "hub-b", &SCOPES).await;
    assert_eq!(other.say("j1", "done").await, StatusCode::CONFLICT);
    assert_eq!(worker.say("j1", "taken").await, StatusCode::OK);
    assert_eq!(worker.say("j1", "done").await, StatusCode::OK);
    assert_eq!(worker.say("j1", "failed").await, StatusCode::CONFLICT);
    assert_eq!(worker.say("nothing", "done").await, StatusCode::CONFLICT);
    assert_eq!(
        worker.say("j1", "eaten").await,
        StatusCode::UNPROCESSABLE_ENTITY
    );

    let run = Errand::Run {
        plan: "p1".to_owned(),
        approved_by: Some("ada".to_owned()),
    };
    ask(&world, "j2", Some(incident), "hub-a", run).await;
    assert_eq!(other.take(&["run"]).await.0, StatusCode::NO_CONTENT);
    let (_, given) = worker.take(&["run"]).await;
    assert_eq!(given["plan"]["incident"], "inc-1");
    assert_eq!(given["job"]["approved_by"], "ada");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_name_their_incident_by_findings_and_nobody_forges_decisions() {
    let world = World::new().await;
    let found = vec![finding(1, "ada", "hub-a", Taken::Killed, 5)];
    let incident = world.deliver(found).await.opened[0];
    let worker = Worker::new(&world, "w1", "hub-a", &SCOPES).await;
    let (status, answer) = worker
        .record(plan("r1", json!({"findings": ["hub-a-1"]})))
        .await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let plans = world
        .ledger
        .plans(incident, &At::first(9))
        .await
        .expect("a page");
    assert_eq!(plans.items.len(), 1);
    // Those of another cluster are none of its own.
    let other = Worker::new(&world, "w2", "hub-b", &SCOPES).await;
    let mut record = plan("r2", json!({"findings": ["hub-a-1"]}));
    record["record"]["plan"] = json!("p2");
    other.record(record).await;
    let plans = world
        .ledger
        .plans(incident, &At::first(9))
        .await
        .expect("a page");
    assert_eq!(plans.items.len(), 1);

    // Nor is what they are about, whatever it is named by.
    let kept = json!({"id": "e", "about": {"plan": "p1"}, "record": {"kind": "evidence", "incident": null,
        "what": "snapshot", "location": "snap-1", "sha256": null, "size_bytes": 1, "custody": "", "by": ""}});
    assert_eq!(worker.record(kept.clone()).await.0, StatusCode::OK);
    let action = json!({"kind": "action", "plan": "p1", "step": "s", "what": "end", "target": "x",
        "stage": "done", "by": ""});
    let cost = json!({"kind": "cost", "incident": incident, "low_micro_usd": 1, "high_micro_usd": 1,
        "per_hour_micro_usd": 0, "prices": "", "by": ""});
    let audit = json!({"kind": "audit", "run": "r", "name": "a", "target": "hub-a", "outcomes": [], "by": "",
        "started": "2026-11-30T10:00:00Z", "ended": "2026-11-30T10:00:00Z"});
    let mut lies_there = kept.clone();
    lies_there["about"] = json!({});
    for sent in [
        plan("f1", json!({"plan": "p1"})),
        plan("f2", json!({})),
        json!({"id": "f3", "about": {"plan": "p1"}, "record": action}),
        json!({"id": "f4", "about": {}, "record": action}),
        kept,
        lies_there,
        json!({"id": "f5", "record": cost}),
        json!({"id": "f6", "record": audit}),
        json!({"id": "f7", "about": {"job": "j1"}, "record": action}),
    ] {
        let (status, answer) = other.record(sent.clone()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{sent} {answer}");
    }
    let plans = world
        .ledger
        .plan("p1")
        .await
        .expect("read")
        .expect("a plan");
    assert_eq!(plans.row.by_whom, "w1");

    for record in [
        json!({"kind": "decision", "incident": incident, "choice": "close", "reason": "x", "by": "ada"}),
        json!({"kind": "owner", "incident": incident, "step": "accepted", "owner": "x", "by": "x"}),
        json!({"kind": "setting", "name": "person admin", "from": null, "to": null, "by": "x"}),
        json!({"kind": "job", "job": "x", "errand": "plan", "by": "x"}),
        json!({"kind": "cost", "incident": 999, "low_micro_usd": 1, "high_micro_usd": 1,
               "per_hour_micro_usd": 0, "prices": "", "by": ""}),
    ] {
        let sent = json!({"id": "x", "record": record});
        let (status, answer) = worker.record(sent).await;
        assert_eq!(
            status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{record} {answer}"
        );
    }
    let bad = json!({"id": "x", "record": {"kind": "plan", "plan": "p", "summary": "", "text": {}, "by": "root"}});
    worker.record(bad).await;
    let view = world.ledger.plan("p").await.expect("read").expect("a plan");
    assert_eq!(view.row.by_whom, "root, through w1");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_of_other_products_join_the_incident_of_their_instance() {
    let world = World::new().await;
    let worker = Worker::new(&world, "w1", "hub-a", &[EVENTS]).await;
    let guardduty = json!({
        "schemaVersion": "2.0", "accountId": "111122223333", "region": "us-east-1", "id": "g1",
        "type": "CryptoCurrency:EC2/BitcoinTool.B!DNS", "severity": 8, "title": "an instance asks for <b>a pool</b>",
        "resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": "i-0123456789abcdef0"}},
        "service": {"archived": false, "resourceRole": "TARGET", "count": 1,
                    "eventFirstSeen": "2026-11-30T10:00:00Z", "eventLastSeen": "2026-11-30T10:00:00Z"},
    });
    let (status, answer) = worker.record(guardduty.clone()).await;
    assert_eq!(
        (status, &answer["new"]),
        (StatusCode::OK, &json!(1)),
        "{answer}"
    );
    let (_, answer) = worker.record(guardduty).await;
    assert_eq!(answer["unchanged"], 1, "{answer}");
    let page = world
        .ledger
        .findings(&FindingFilter::default(), &At::first(9))
        .await
        .expect("a page");
    assert_eq!(page.items.len(), 1);
    let viewer = world.visitor("vera", Role::Viewer, &[]).await;
    let page = viewer.page("/findings").await;
    assert!(page.body.contains("an instance asks for"), "{}", page.body);
    assert!(!page.body.contains("<b>a pool"), "{}", page.body);
    let check = json!({"class_uid": 2003, "compliance": {"status": "Fail"}});
    let (status, answer) = worker.record(check).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    world.end().await;
}
