//! Lines of the guard's log as OCSF: valid by the schema, and the same finding when they are read
//! again.

mod schema;

use davylamp_model::finding::{Finding, Severity};
use davylamp_model::intake;
use davylamp_model::ocsf::{Detector, from_guard};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const ACTIONS: [&str; 7] = [
    "killed",
    "spared",
    "held",
    "would-kill",
    "missed",
    "alerted",
    "frozen",
];

fn line(action: &str) -> Value {
    json!({
        "pid": 4711,
        "cmdline": "./kernel --url pool.example:3333",
        "matched": "pool.example",
        "source": "davylamp.exec",
        "container_type": "cri",
        "labels": {
            "io.kubernetes.container.name": "notebook",
            "io.kubernetes.pod.name": "jupyter-ada",
            "io.kubernetes.pod.namespace": "hub",
            "io.kubernetes.pod.uid": "5a4f1c9e-7c46-4c8a-9a4e-6d40a7a2b2f0",
        },
        "image": "quay.io/jupyter/base-notebook:2024",
        "action": action,
        "event": "Killed process",
        "level": "info",
        "timestamp": "2026-11-20T10:11:12.123456Z",
        "detection": "pool-login",
        "group": "default",
        "matched_in": "arguments",
        "reason": "because",
        "score": 120.4,
        "signs": [{"detection": "pool-login", "score": 100.0, "what": "a login", "at": "2026-11-20T10:11:12.000000Z"}],
        "evidence": {"remote": "192.0.2.7:3333", "domain": "pool.example", "path": "/tmp/kernel",
            "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "size": 12},
        "exe": "/tmp/kernel",
        "ppid": 4700,
        "ancestry": [{"pid": 4700, "comm": "bash"}, {"pid": 1, "comm": "tini"}],
        "uid": 1000,
        "cgroup": "/kubepods/pod1/abc",
        "container_id": "0123456789abcdef",
        "hub_user": "ada",
        "node": "node-1",
        "kernel_latency_ns": 4600,
        "env": {"JUPYTERHUB_USER": "ada"},
        "id": "0193a1b2-0000-7000-8000-000000000001",
    })
}

fn write(line: &Value) -> Value {
    let techniques = ["T1496.001".to_owned()];
    from_guard(line, |name| match name {
        "pool-login" => Detector {
            title: Some("A login at a pool"),
            severity: Some(Severity::Medium),
            techniques: &techniques,
            score: Some(90),
        },
        _ => Detector::default(),
    })
}

/// The only finding in a text.
fn read(event: &Value) -> Finding {
    let mut taken = intake::read(event.to_string().as_bytes());
    assert_eq!(taken.rejected, Vec::new());
    assert_eq!(taken.findings.len(), 1, "{event:#}");
    taken.findings.remove(0)
}

#[test]
fn every_line_is_valid() {
    for action in ACTIONS {
        schema::check(&write(&line(action)));
        // And with no more than cryptnono has.
        schema::check(&write(
            &json!({"action": action, "cmdline": "x", "event": "y"}),
        ));
    }
    for said in [
        json!({"event": "ready", "level": "info", "timestamp": "2026-11-20T10:11:12.123456Z", "node": "n", "lists": []}),
        json!({"event": "stopped", "node": "n"}),
        json!({"event": "reloaded"}),
        json!({"event": "spool lines dropped", "level": "warning", "dropped": 7}),
        json!({}),
        json!({"action": 7}),
        json!("text"),
    ] {
        schema::check(&write(&said));
    }
}

#[test]
fn it_is_the_finding_that_the_line_is() {
    for action in ["killed", "would-kill", "missed", "alerted", "frozen"] {
        let line = line(action);
        let (from_line, from_ocsf) = (read(&line), read(&write(&line)));
        assert_eq!(from_ocsf.id, from_line.id);
        assert_eq!(from_ocsf.resources, from_line.resources);
        assert_eq!(from_ocsf.kind, from_line.kind);
        assert_eq!(from_ocsf.behaviour, from_line.behaviour);
        assert_eq!(from_ocsf.first_seen, from_line.first_seen);
        assert_eq!(from_ocsf.gaps, from_line.gaps);
        assert!(!from_ocsf.archived);
        assert_eq!(from_ocsf.resources.len(), 3, "{:?}", from_ocsf.resources);
    }
}

#[test]
fn what_nobody_needs_to_act_on_comes_back_as_settled() {
    for action in ["spared", "held"] {
        assert!(read(&write(&line(action))).archived, "{action}");
    }
}

#[test]
fn severity_is_the_detections_unless_it_still_runs() {
    let severity = |action| write(&line(action))["severity"].clone();
    assert_eq!(severity("killed"), "Medium");
    assert_eq!(severity("missed"), "Critical");
    assert_eq!(severity("would-kill"), "Critical");
    assert_eq!(severity("spared"), "Informational");
}

#[test]
fn a_kill_in_full() {
    insta::assert_json_snapshot!(write(&line("killed")));
}

fn any_line() -> impl Strategy<Value = Value> {
    let keys: Vec<String> = line("killed")
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    let value = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Value::Null)),
        1 => any::<i64>().prop_map(|number| Some(json!(number))),
        1 => ".{0,12}".prop_map(|text| Some(json!(text))),
        1 => Just(Some(json!([{"pid": -1}, 7, {"comm": "x"}]))),
        1 => Just(Some(json!({"a": {"b": []}, "remote": "[::1]:7", "port": 9}))),
    ];
    let changes = prop::collection::vec((prop::sample::select(keys), value), 0..8);
    (prop::sample::select(ACTIONS.to_vec()), changes).prop_map(|(action, changes)| {
        let mut object: Map<String, Value> = line(action).as_object().expect("an object").clone();
        for (key, value) in changes {
            match value {
                Some(value) => object.insert(key, value),
                None => object.remove(&key),
            };
        }
        Value::Object(object)
    })
}

proptest! {
    #[test]
    fn whatever_the_line_is_like(line in any_line()) {
        let event = write(&line);
        schema::check(&event);
        prop_assert_eq!(&event["unmapped"]["guard"], &line);
    }
}
