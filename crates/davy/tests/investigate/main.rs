//! `davy investigate`, as a user runs it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use davylamp_testkit::attack::{Options, Scenario, Story, Truth};
use serde_json::Value;

fn davy(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
    command.env("NO_COLOR", "1").arg("investigate").args(args);
    command.output().expect("davy starts")
}

fn story(dir: &Path, scenario: Scenario) -> Truth {
    let options = Options {
        scenario: Some(scenario),
        ..Options::default()
    };
    Story::new(1, &options)
        .write(dir)
        .expect("the story can be written")
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn a_case_is_a_folder_that_can_be_checked() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let truth = story(dir.path(), Scenario::StolenAdminKey);
    let (logs, case) = (dir.path().join("AWSLogs"), dir.path().join("case"));
    let (logs, case) = (logs.to_string_lossy(), case.to_string_lossy());
    let made = davy(&["--logs", &logs, "-o", &case]);
    assert_eq!(made.status.code(), Some(1), "{}", said(&made));
    let text = String::from_utf8_lossy(&made.stdout);
    let origin = truth.origin.expect("the story has an attack");
    assert!(text.contains(&origin.address), "{text}");
    assert!(text.contains("bruno is cleared"), "{text}");
    for file in [
        "report.html",
        "report.md",
        "timeline.csv",
        "iocs.json",
        "evidence.jsonl",
        "case.json",
        "credit-request/request.md",
    ] {
        let path = Path::new(&*case).join(file);
        assert!(path.metadata().is_ok_and(|it| it.len() > 0), "{file}");
    }
    let json: Value = serde_json::from_slice(
        &fs::read(Path::new(&*case).join("case.json")).expect("the case is there"),
    )
    .expect("the case is JSON");
    let likely = json["cost"]["likely_micro_usd"].as_i64();
    assert!(likely.is_some_and(|it| it > 10_000_000_000), "{likely:?}");

    let checked = davy(&["check", &case]);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    let again = davy(&["--logs", &logs, "-o", &case]);
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));
    assert!(said(&again).contains("--force"), "{}", said(&again));

    let evidence = Path::new(&*case).join("evidence.jsonl");
    let text = fs::read_to_string(&evidence).expect("the evidence is there");
    fs::write(&evidence, text.replacen("RunInstances", "RunInstancez", 1)).expect("it is ours");
    let checked = davy(&["check", &case]);
    assert_eq!(checked.status.code(), Some(1), "{}", said(&checked));
    let again = davy(&["--logs", &logs, "-o", &case, "--force"]);
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));
    let checked = davy(&["check", &case]);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
}

#[test]
fn a_peaceful_account_is_no_case_and_nothing_read_is_not_clean() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    story(dir.path(), Scenario::NoAttack);
    let logs = dir.path().join("AWSLogs");
    let made = davy(&["--logs", &logs.to_string_lossy(), "--output", "json"]);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    let json: Value = serde_json::from_slice(&made.stdout).expect("a case is JSON");
    assert!(json["span"].is_null());
    assert_eq!(json["reach"], serde_json::json!([]));

    let empty = tempfile::tempdir().expect("a folder can be made");
    let made = davy(&["--logs", &empty.path().to_string_lossy()]);
    assert_eq!(made.status.code(), Some(2), "{}", said(&made));
}

#[test]
fn a_finding_is_where_a_case_starts_from() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let truth = story(dir.path(), Scenario::StolenAdminKey);
    let (logs, finding) = (dir.path().join("AWSLogs"), dir.path().join("finding.json"));
    let (logs, file) = (logs.to_string_lossy(), finding.to_string_lossy());
    let of = |instance: &str| {
        let finding = serde_json::json!({
            "schemaVersion": "2.0", "accountId": "111122223333", "region": "us-east-1", "id": "f1",
            "type": "CryptoCurrency:EC2/BitcoinTool.B!DNS", "severity": 8,
            "resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": instance}},
            "service": {"archived": false},
        });
        finding.to_string()
    };
    fs::write(&finding, of(&truth.instances[7].id)).expect("a file can be written");
    let made = davy(&["--finding", &file, "--output", "json", "--logs", &logs]);
    assert_eq!(made.status.code(), Some(1), "{}", said(&made));
    let json: Value = serde_json::from_slice(&made.stdout).expect("a case is JSON");
    assert_eq!(json["asked"]["indicators"][0], truth.instances[7].id);
    let origin = truth.origin.expect("the story has an attack");
    assert!(json["origin"].to_string().contains(&origin.address));

    fs::write(&finding, of("i-0123456789abcdef0")).expect("a file can be written");
    let made = davy(&["--finding", &file, "--output", "json", "--logs", &logs]);
    let json: Value = serde_json::from_slice(&made.stdout).expect("a case is JSON");
    assert!(json["unknowns"].to_string().contains("i-0123456789abcdef0"));

    fs::write(&finding, "{\"Records\": []}").expect("a file can be written");
    let made = davy(&["--finding", &file, "--logs", &logs]);
    assert_eq!(made.status.code(), Some(2), "{}", said(&made));
    assert!(said(&made).contains("--indicator"), "{}", said(&made));
}
