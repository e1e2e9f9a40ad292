//! Snapshots tell the story where CloudTrail never ran.

use std::collections::BTreeMap;

use davylamp_testkit::attack::{Options, RecorderPlan, Scenario, TrailPlan};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{Told, files, small, tell, text};

/// The lines of all snapshots, by time.
fn lines(told: &Told) -> Vec<Value> {
    files(told.dir.path())
        .iter()
        .filter(|file| file.to_string_lossy().contains("/recorder/"))
        .flat_map(|file| {
            let lines: Vec<Value> = text(file)
                .lines()
                .map(|line| serde_json::from_str(line).expect("a line of JSON"))
                .collect();
            lines
        })
        .collect()
}

fn without_trail(scenario: Scenario) -> Told {
    let options = Options {
        trail: TrailPlan::Never,
        recorder: RecorderPlan::Hourly,
        ..small(scenario)
    };
    tell(11, &options)
}

fn instant(at: Option<i64>) -> i64 {
    at.expect("it was made in the story")
}

fn moment(text: &Value) -> i64 {
    let text = text.as_str().expect("a time");
    let at: jiff::Timestamp = text.parse().expect("a time");
    at.as_second()
}

#[test]
fn the_intruders_key_and_machines_are_seen_with_their_times() {
    let told = without_trail(Scenario::StolenAdminKey);
    assert_eq!(told.records.len(), 0);
    assert!(told.truth.written.unlogged > 500);
    let lines = lines(&told);
    let of = |kind: &'static str, id: &str| -> Vec<&Value> {
        let is_it = |line: &&Value| line["kind"] == kind && line["id"] == id;
        lines.iter().filter(is_it).collect()
    };
    for credential in told
        .truth
        .credentials
        .iter()
        .filter(|it| it.is_made_by_intruder)
    {
        let seen = of("access-key", &credential.id);
        let first = seen.first().expect("the key is seen");
        assert_eq!(
            Some(moment(&first["state"]["CreateDate"])),
            credential.made_at
        );
        let is_used =
            |line: &&&Value| line["state"]["AccessKeyLastUsed"]["LastUsedDate"].is_string();
        let used = seen.iter().find(is_used).expect("its use is seen");
        let at = moment(&used["state"]["AccessKeyLastUsed"]["LastUsedDate"]);
        assert!(at >= instant(credential.made_at) && at <= moment(&used["taken_at"]));
        let last = seen.last().expect("the key is seen");
        assert!(last["state"].is_null(), "it was deleted in the end");
    }
    for instance in &told.truth.instances {
        let seen = of("instance", &instance.id);
        let first = seen.first().expect("the machine is seen");
        assert_eq!(moment(&first["state"]["LaunchTime"]), instance.start);
        assert_eq!(first["state"]["PlatformDetails"], "Windows");
        if let Some(end) = instance.end {
            let is_over = |line: &&&Value| line["state"]["State"]["Name"] != "running";
            let over = seen.iter().find(is_over).expect("its end is seen");
            assert!(moment(&over["taken_at"]) >= end);
        }
    }
}

#[test]
fn every_snapshot_says_what_it_covers_and_hashes_what_it_says() {
    let told = without_trail(Scenario::SpotFleet);
    let mut modes: BTreeMap<String, u64> = BTreeMap::new();
    for line in lines(&told) {
        for member in ["taken_at", "account_id", "region", "kind", "id", "hash"] {
            assert!(line[member].is_string(), "{line}");
        }
        if line["state"].is_null() {
            let null = hex::encode(Sha256::digest("null"));
            assert_eq!(line["hash"], null.as_str());
        }
        if line["kind"] == "coverage" {
            assert_eq!(line["state"]["Status"], "complete");
            let mode = line["state"]["Mode"].as_str().expect("a mode");
            *modes.entry(mode.to_owned()).or_default() += 1;
        }
    }
    assert!(
        modes["full"] > 0 && modes["changes"] > modes["full"],
        "{modes:?}"
    );
}
