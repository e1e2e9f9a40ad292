//! Half a million events take no more memory than some: what is written is not kept.

// The figures are told beside the verdict.
#![allow(clippy::print_stdout)]

use std::process::Command;

use serde_json::Value;

/// What memory may grow by, in KiB, for five times the events.
const ROOM_KIB: u64 = 16 * 1024;

/// The most memory of a run whose machines make 50,000 events a day, for so many days.
fn peak_kib(days: u64) -> u64 {
    let dir = tempfile::tempdir().expect("a folder");
    let half = (days / 2).to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_attack-logs"))
        .args([
            "--seed",
            "1",
            "--scenario",
            "root-key",
            "--no-labels",
            "--days",
            &half,
        ])
        .args([
            "--attack-days",
            &half,
            "--events",
            &(days * 50_000).to_string(),
            "--out",
        ])
        .arg(dir.path())
        .output()
        .expect("attack-logs runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let said: Value = serde_json::from_slice(&output.stdout).expect("what was written");
    println!("{days} days: {said}");
    said["peak_kib"].as_u64().expect("a peak")
}

#[test]
fn memory_does_not_grow_with_the_number_of_events() {
    let (some, many) = (peak_kib(2), peak_kib(10));
    println!("peak: {some} KiB, then {many} KiB");
    assert!(many < some + ROOM_KIB, "{some} KiB, then {many} KiB");
}
