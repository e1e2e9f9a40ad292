//! The spool of a real guard, from inside its sandbox, and `davy forward` beside it.

use std::collections::BTreeSet;
use std::process::Command;

use davylamp_spool::Reader;
use serde_json::Value;

use crate::support::{DAVY, Run, Scene, until};

/// The ids of the lines that are there.
fn ids(reader: &mut Reader) -> Vec<String> {
    reader.rewind();
    let batch = reader.next_batch(10_000, 64 << 20).expect("a batch");
    let line = |line: &String| -> Value { serde_json::from_str(line).expect("an object") };
    let id = |line: &Value| line["id"].as_str().expect("an id").to_owned();
    batch.lines.iter().map(|text| id(&line(text))).collect()
}

fn said(guard: &crate::support::Guard) -> Vec<String> {
    let id = |line: &Value| line["id"].as_str().expect("an id").to_owned();
    guard.said().iter().map(id).collect()
}

#[test]
fn what_is_said_is_in_the_spool_and_outlives_the_agent() {
    let scene = Scene::new();
    let spool = scene.path("spool");
    scene.configure(&format!("[guard.spool]\ndir = {spool:?}\n"));
    let guard = scene.guard();
    for _ in 0..20 {
        let seen = Run::witness(&["plain", &scene.banned]).end();
        assert!(seen.died_unrun(), "{seen:?}");
    }
    let killed = |guard: &crate::support::Guard| {
        let kills = guard
            .said()
            .into_iter()
            .filter(|line| line["action"] == "killed");
        kills.count()
    };
    until("the kills are told", || killed(&guard) >= 20);
    let mut reader = Reader::open(&spool, "test").expect("a reader");
    until("the spool has what was said", || {
        let there: BTreeSet<String> = ids(&mut reader).into_iter().collect();
        said(&guard).iter().all(|id| there.contains(id))
    });
    let before = ids(&mut reader);
    guard.kill();
    let again = scene.guard();
    until("the next agent goes on after it", || {
        let now = ids(&mut reader);
        now.starts_with(&before) && now.len() > before.len()
    });
    again.stop();

    // And as OCSF, by another process.
    let out = Command::new(DAVY)
        .args(["forward", "--once", "--output", "ocsf", "--spool"])
        .arg(&spool)
        .output()
        .expect("davy runs");
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(0), "{stderr}");
    let findings = davylamp_model::intake::read(&out.stdout).findings;
    assert_eq!(findings.len(), 20, "{stderr}");
}

#[test]
fn two_guards_do_not_share_a_spool() {
    let scene = Scene::new();
    let other = Scene::new();
    let spool = scene.path("spool");
    for scene in [&scene, &other] {
        scene.configure(&format!("[guard.spool]\ndir = {spool:?}\n"));
    }
    let _guard = scene.guard();
    other
        .refused()
        .assert_says("another process writes the spool");
}
