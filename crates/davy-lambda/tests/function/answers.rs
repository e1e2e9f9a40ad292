//! Events that are answered.

use std::time::Duration;

use davylamp_testkit::faults::{Fault, Rule, Schedule};
use serde_json::json;

use crate::stage::{PATIENCE, REGION, Stage, answered, error, outcome};

/// The clock that the deployment's rule sends.
fn tick() -> serde_json::Value {
    json!({
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": "2026-03-04T06:00:00Z",
        "region": REGION,
        "resources": ["arn:aws:events:eu-central-1:123456789012:rule/davylamp"],
        "detail": {},
    })
}

/// Cut off from the network, with a snapshot of each of its two volumes.
#[track_caller]
fn assert_contained(stage: &Stage, instance: &str) {
    let groups = stage.groups_of(instance);
    assert!(
        !groups.is_empty() && groups.iter().all(|group| group.contains("davylamp")),
        "{groups:?}"
    );
    assert_eq!(stage.snapshotted().len(), 2);
}

fn contains_and_says_so_once(stage: &Stage) {
    let instance = stage.instance();
    let runtime = stage.function(&[]);
    let event = stage.finding("f1", &instance);

    let answer = answered(&runtime, &runtime.invoke(&event));
    assert_eq!(answer["incidents"][0]["playbook"], "node-miner", "{answer}");
    assert_eq!(answer["incidents"][0]["failed-steps"], 0, "{answer}");
    assert_contained(stage, &instance);

    let before = stage.changes().len();
    assert!(before > 0);
    answered(&runtime, &runtime.invoke(&event));
    let after: Vec<String> = stage.changes()[before..]
        .iter()
        .map(|call| call.action.clone())
        .collect();
    assert_eq!(after, Vec::<String>::new());

    // So it is with a process that was started anew, as Lambda does.
    drop(runtime);
    let runtime = stage.function(&[]);
    answered(&runtime, &runtime.invoke(&event));
    assert_eq!(stage.changes().len(), before);
}

#[test]
fn a_finding_is_answered_and_a_second_delivery_does_nothing() {
    contains_and_says_so_once(&Stage::new());
}

#[test]
fn a_deployed_function_keeps_what_it_did_in_its_table() {
    let stage = Stage::with_table();
    contains_and_says_so_once(&stage);
    assert!(!stage.proxy.calls_of("dynamodb", "*").is_empty());
}

#[test]
fn of_two_at_once_one_acts_and_the_other_asks_for_another_delivery() {
    let stage = Stage::with_table();
    let instance = stage.instance();
    // Long enough for the second to come while the first is at it.
    stage.proxy.set_schedule(Schedule::rules([Rule::new(
        "ec2",
        "CreateSnapshot*",
        Fault::Latency(Duration::from_secs(5)),
    )]));
    let (one, other) = (stage.function(&[]), stage.function(&[]));
    other.ready_after(PATIENCE).expect("the other is ready");
    let first = one.invoke(&stage.finding("f1", &instance));
    assert!(stage.proxy.wait_for("ec2", "DescribeInstances", 1, PATIENCE));
    let second = other.invoke(&stage.finding("f1", &instance));

    let why = error(&other, &second);
    assert!(why.contains("is worked on by lambda-"), "{why}");
    answered(&one, &first);
    assert_contained(&stage, &instance);
}

#[test]
fn a_function_yields_while_evidence_is_written_and_goes_on_when_it_is_there() {
    let stage = Stage::new();
    let instance = stage.instance();
    stage
        .proxy
        .set_schedule(Schedule::rules([Rule::snapshots_pending()]));
    let runtime = stage.function(&[]);
    let event = runtime.invoke(&stage.finding("f1", &instance));

    let answer = answered(&runtime, &event);
    assert_eq!(answer["incidents"][0]["result"], "under way", "{answer}");
    // Nothing that is cheaper has waited for it.
    assert_contained(&stage, &instance);
    let before = stage.changes().len();

    stage.proxy.set_schedule(Schedule::clean());
    let snapshot = json!({
        "version": "0",
        "id": "0d2a5d6e-0000-4000-8000-000000000001",
        "detail-type": "EBS Snapshot Notification",
        "source": "aws.ec2",
        "account": stage.account.id,
        "time": "2026-03-04T06:00:00Z",
        "region": REGION,
        "resources": [],
        "detail": {
            "event": "createSnapshot",
            "result": "succeeded",
            "cause": "",
            "snapshot_id": format!("arn:aws:ec2::{REGION}:snapshot/snap-0123456789abcdef0"),
            "source": format!("arn:aws:ec2::{REGION}:volume/vol-0123456789abcdef0"),
        },
    });
    let answer = answered(&runtime, &runtime.invoke(&snapshot));
    assert_eq!(answer["signals"], 1);
    assert_eq!(answer["incidents"][0]["result"], "finished", "{answer}");
    let repeated: Vec<String> = stage.changes()[before..]
        .iter()
        .filter(|call| call.action.starts_with("CreateSnapshot"))
        .map(|call| call.action.clone())
        .collect();
    assert_eq!(repeated, Vec::<String>::new());
}

#[test]
fn a_short_deadline_is_kept_and_a_tick_does_the_rest() {
    let stage = Stage::new();
    let instance = stage.instance();
    let runtime = stage.function(&[]);
    // Less than what is spared for the journal and the notices.
    let within = Duration::from_secs(15);
    let event = runtime.invoke_within(&stage.finding("f1", &instance), within);

    let first = outcome(&runtime, &event);
    assert!(!first.failed, "{}", first.body);
    assert!(first.took < within, "{:?}", first.took);
    assert!(first.body.contains("under way"), "{}", first.body);

    let answer = answered(&runtime, &runtime.invoke(&tick()));
    assert_eq!(answer["incidents"][0]["result"], "finished", "{answer}");
    assert_contained(&stage, &instance);

    // With nothing left to do the clock does nothing.
    let answer = answered(&runtime, &runtime.invoke(&tick()));
    assert_eq!(answer["incidents"], json!([]), "{answer}");
}

#[test]
fn a_rehearsal_changes_nothing() {
    let stage = Stage::new();
    let instance = stage.instance();
    let runtime = stage.function(&[("DAVY_RESPOND__DRY_RUN", "true")]);
    let answer = answered(&runtime, &runtime.invoke(&stage.finding("f1", &instance)));
    assert_eq!(answer["incidents"][0]["playbook"], "node-miner", "{answer}");
    assert_eq!(stage.changes().len(), 0, "{:?}", stage.changes());
    assert_eq!(stage.snapshotted().len(), 0);
}

#[test]
fn a_sample_is_reported_and_nothing_else() {
    let stage = Stage::new();
    let mut event = stage.finding("f1", "i-99999999");
    event["detail"]["service"]["additionalInfo"] = json!({"sample": true});
    let runtime = stage.function(&[]);
    let answer = answered(&runtime, &runtime.invoke(&event));
    assert_eq!(answer["incidents"], json!([]), "{answer}");
    assert_eq!(answer["reported"][0]["because"], "it is a sample", "{answer}");
    assert_eq!(stage.proxy.calls().len(), 0);
}

#[test]
fn what_cannot_be_told_is_an_error_and_is_not_done_again() {
    let stage = Stage::new();
    let instance = stage.instance();
    let topic = format!("arn:aws:sns:{REGION}:{}:alarms", stage.account.id);
    // The topic does not exist.
    let runtime = stage.function(&[("DAVY_RESPOND__NOTICES__SNS_TOPIC", &topic)]);
    let event = stage.finding("f1", &instance);
    let why = error(&runtime, &runtime.invoke(&event));
    assert!(why.contains("was not told through sns"), "{why}");
    assert_contained(&stage, &instance);
    let effects = |stage: &Stage| {
        let mut calls = stage.changes();
        calls.retain(|call| call.service == "ec2");
        calls.len()
    };
    let before = effects(&stage);
    assert!(before > 0);

    // The delivery that the error brings about tells it, and does nothing else.
    stage
        .account
        .query(
            REGION,
            "sns",
            &[
                ("Action", "CreateTopic"),
                ("Version", "2010-03-31"),
                ("Name", "alarms"),
            ],
        )
        .expect("a topic");
    answered(&runtime, &runtime.invoke(&event));
    assert_eq!(effects(&stage), before);
    let told = stage.proxy.calls_of("sns", "Publish");
    let status = told.last().and_then(|call| call.status);
    assert_eq!(status, Some(200), "{told:?}");
}
