//! Events and configurations that are refused: never in silence.

use std::fs;

use serde_json::json;

use crate::stage::{PATIENCE, Stage, answered, error};

#[test]
fn what_is_no_event_is_an_error() {
    let stage = Stage::new();
    let runtime = stage.function(&[]);
    for (event, says) in [
        (json!(null), "not understood"),
        (json!({"detail": 7}), "not understood"),
        (json!("a text"), "not understood"),
    ] {
        let why = error(&runtime, &runtime.invoke(&event));
        assert!(why.contains(says), "{event}: {why}");
    }
    assert_eq!(stage.proxy.calls().len(), 0);
}

#[test]
fn a_finding_without_its_type_is_reported_and_nothing_else() {
    let stage = Stage::new();
    let runtime = stage.function(&[]);
    let mut half = stage.finding("f1", "i-0123456789abcdef0");
    half["detail"]["type"] = json!(null);
    let answer = answered(&runtime, &runtime.invoke(&half));
    assert_eq!(answer["incidents"], json!([]), "{answer}");
    assert_eq!(answer["reported"][0]["finding"], "f1", "{answer}");
    assert_eq!(stage.proxy.calls().len(), 0);
}

#[test]
fn what_is_understood_of_a_batch_is_done_though_the_rest_is_an_error() {
    let stage = Stage::new();
    let instance = stage.instance();
    let runtime = stage.function(&[]);
    let record = |body: String| json!({"eventSource": "aws:sqs", "messageId": "1", "body": body});
    let batch = json!({"Records": [
        record(stage.finding("f1", &instance).to_string()),
        record("not JSON".to_owned()),
    ]});
    let why = error(&runtime, &runtime.invoke(&batch));
    assert!(why.contains("not understood"), "{why}");
    assert_eq!(stage.snapshotted().len(), 2);
}

#[test]
fn a_finding_of_an_account_that_cannot_be_reached_is_an_error() {
    let stage = Stage::new();
    let runtime = stage.function(&[]);
    let mut event = stage.finding("f1", "i-0123456789abcdef0");
    event["account"] = json!("444455556666");
    event["detail"]["accountId"] = json!("444455556666");
    let outcome = crate::stage::outcome(&runtime, &runtime.invoke(&event));
    assert_eq!(stage.changes().len(), 0);
    assert!(
        outcome.failed || outcome.body.contains("444455556666"),
        "{}",
        outcome.body
    );
}

#[test]
fn a_faulty_configuration_is_told_before_any_event() {
    let stage = Stage::new();
    fs::write(
        stage.folder.path().join("davy.toml"),
        "[respond]\nwindow_hours = 0\nevidense_wait_minutes = 5\n",
    )
    .expect("a file");
    let output = stage
        .program()
        .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9")
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for part in ["window_hours", "evidense_wait_minutes"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

#[test]
fn one_file_serves_the_guard_and_the_function() {
    let stage = Stage::new();
    fs::write(
        stage.folder.path().join("davy.toml"),
        "[guard]\nmode = \"observe\"\n[respond]\nwindow_hours = 12\n",
    )
    .expect("a file");
    let runtime = stage.function(&[]);
    assert!(runtime.ready_after(PATIENCE).is_some());
    assert!(runtime.init_error().is_none());
}

#[test]
fn without_a_region_an_event_that_says_where_it_is_is_answered() {
    let stage = Stage::new();
    let instance = stage.instance();
    let runtime = stage.function(&[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "")]);
    let answer = answered(&runtime, &runtime.invoke(&stage.finding("f1", &instance)));
    assert_eq!(answer["incidents"][0]["failed-steps"], 0, "{answer}");
    assert_eq!(stage.snapshotted().len(), 2);
}

#[test]
fn a_playbook_that_does_not_exist_is_an_error_for_every_event() {
    let stage = Stage::new();
    let runtime = stage.function(&[("DAVY_RESPOND__PLAYBOOK", "node-minor")]);
    let event = stage.finding("f1", "i-0123456789abcdef0");
    let why = error(&runtime, &runtime.invoke(&event));
    assert!(why.contains("node-minor") && why.contains("node-miner"), "{why}");
    assert_eq!(stage.proxy.calls().len(), 0);
}
