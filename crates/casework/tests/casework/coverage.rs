//! What is there, gone or unknown, as the lines about coverage have it.

use std::sync::Arc;

use davylamp_casework::snapshots::{self, Snapshots};

use crate::support::open;

const ACCOUNT: &str = "111122223333";

/// A line: the hour it was taken, the kind, the id, the state.
type Line = (u8, &'static str, &'static str, &'static str);

const FULL: &str = r#"{"Status":"complete","Mode":"full"}"#;
const CHANGES: &str = r#"{"Status":"complete","Mode":"changes"}"#;
const UNKNOWN: &str = r#"{"Status":"unknown","Reason":"AccessDenied"}"#;
const UP: &str = r#"{"State":{"Name":"running"}}"#;

async fn of(lines: &[Line]) -> Snapshots {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let folder = dir.path().join("recorder");
    std::fs::create_dir(&folder).expect("a folder can be made");
    let text: String = lines
        .iter()
        .map(|(hour, kind, id, state)| {
            format!(
                "{{\"taken_at\":\"2026-03-01T{hour:02}:00:00Z\",\"account_id\":\"{ACCOUNT}\",\
                 \"region\":\"us-east-1\",\"kind\":\"{kind}\",\"id\":\"{id}\",\"state\":{state},\"hash\":\"{}\"}}\n",
                state.len()
            )
        })
        .collect();
    std::fs::write(folder.join("lines.jsonl"), text).expect("lines can be written");
    let engine = open(dir.path()).await;
    let run = Arc::default();
    snapshots::read(&engine, &run)
        .await
        .expect("the lines can be read")
}

/// When a machine appeared, and when it went: each between two snapshots.
fn life(snapshots: &Snapshots, id: &str) -> String {
    let (id, thing) = snapshots
        .get(ACCOUNT, "us-east-1", "instance", id)
        .expect("it was seen");
    let first = thing.first().expect("it was seen");
    let hour = |at: jiff::Timestamp| at.to_string()[11..13].to_owned();
    let or_never = |at: Option<jiff::Timestamp>| at.map_or_else(|| "-".to_owned(), hour);
    let came = format!("{}..{}", or_never(first.before), hour(first.at));
    let went = match &thing.gone {
        Some(gone) => format!("gone {}..{}", or_never(gone.after), hour(gone.by)),
        None => format!("there at {}", or_never(snapshots.last_look(id))),
    };
    format!("{came}, {went}")
}

#[tokio::test]
async fn a_full_snapshot_without_a_thing_says_that_it_is_gone() {
    let seen = of(&[
        (1, "coverage", "instance", FULL),
        (2, "coverage", "instance", FULL),
        (2, "instance", "i-1", UP),
        (3, "coverage", "instance", FULL),
    ])
    .await;
    assert_eq!(life(&seen, "i-1"), "01..02, gone 02..03");
}

#[tokio::test]
async fn what_could_not_be_looked_at_is_not_gone() {
    let lines: &[Line] = &[
        (1, "coverage", "instance", FULL),
        (1, "instance", "i-1", UP),
        (2, "coverage", "instance", UNKNOWN),
        (3, "coverage", "instance", FULL),
    ];
    let seen = of(&lines[..3]).await;
    assert_eq!(life(&seen, "i-1"), "-..01, there at 01");
    assert_eq!(seen.recorder.unknown, 1);
    let seen = of(lines).await;
    assert_eq!(life(&seen, "i-1"), "-..01, gone 01..03");
}

#[tokio::test]
async fn without_a_line_nothing_has_changed() {
    let seen = of(&[
        (1, "coverage", "instance", FULL),
        (1, "instance", "i-1", UP),
        (2, "coverage", "instance", CHANGES),
        (2, "instance", "i-2", UP),
        (3, "coverage", "instance", CHANGES),
        (3, "instance", "i-2", "null"),
        (4, "coverage", "instance", CHANGES),
    ])
    .await;
    assert_eq!(life(&seen, "i-1"), "-..01, there at 04");
    assert_eq!(life(&seen, "i-2"), "01..02, gone 02..03");
}

#[tokio::test]
async fn lines_without_coverage_are_full_snapshots() {
    let seen = of(&[
        (1, "instance", "i-1", UP),
        (1, "key-pair", "ops", "{}"),
        (2, "key-pair", "ops", "{}"),
        (3, "instance", "i-2", UP),
    ])
    .await;
    assert_eq!(life(&seen, "i-1"), "-..01, gone 01..02");
    assert_eq!(life(&seen, "i-2"), "02..03, there at 03");
}

#[tokio::test]
async fn one_that_comes_again_is_there() {
    let seen = of(&[
        (1, "coverage", "instance", FULL),
        (1, "instance", "i-1", UP),
        (2, "coverage", "instance", FULL),
        (3, "coverage", "instance", FULL),
        (3, "instance", "i-1", UP),
    ])
    .await;
    assert_eq!(life(&seen, "i-1"), "-..01, there at 03");
}
