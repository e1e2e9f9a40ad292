//! What is written has the form that AWS gives it.

use std::collections::BTreeSet;

use davylamp_testkit::attack::{ConfigPlan, Form, Options, RecorderPlan, Scenario, Story};
use serde_json::Value;

use crate::{files, small, tell, text};

/// What every record has, whatever its version: the CloudTrail user guide, "CloudTrail record contents".
const ALWAYS: &[&str] = &[
    "eventVersion",
    "userIdentity",
    "eventTime",
    "eventSource",
    "eventName",
    "awsRegion",
    "sourceIPAddress",
    "userAgent",
    "requestParameters",
    "responseElements",
    "eventID",
    "readOnly",
    "eventType",
    "recipientAccountId",
];

const TYPES: &[&str] = &[
    "IAMUser",
    "AssumedRole",
    "Root",
    "FederatedUser",
    "WebIdentityUser",
    "SAMLUser",
    "AWSAccount",
    "AWSService",
];

#[test]
fn the_same_seed_writes_the_same_bytes() {
    let options = Options {
        recorder: RecorderPlan::Hourly,
        config: ConfigPlan::Daily,
        guardduty: true,
        flow: true,
        dns: true,
        accounts: 2,
        ..small(Scenario::ConsolePassword)
    };
    let write = |seed| {
        let dir = tempfile::tempdir().expect("a folder");
        Story::new(seed, &options)
            .write(dir.path())
            .expect("written");
        let mut all = Vec::new();
        for file in files(dir.path()) {
            let name = file.strip_prefix(dir.path()).expect("below").to_owned();
            all.push((name, std::fs::read(&file).expect("a file")));
        }
        all
    };
    let (one, again, other) = (write(5), write(5), write(6));
    assert!(one == again, "the same seed has written other bytes");
    assert!(one != other, "another seed has written the same bytes");
}

#[test]
fn records_have_the_members_that_aws_documents() {
    for (seed, scenario) in (1..).zip(Scenario::ALL) {
        let told = tell(seed, &small(*scenario));
        assert!(!told.records.is_empty(), "{scenario}: no events");
        for (id, record) in &told.records {
            check_record(id, record);
        }
    }
}

fn check_record(id: &str, record: &Value) {
    for member in ALWAYS {
        assert!(record.get(member).is_some(), "{id}: no {member}: {record}");
    }
    let text = |member: &str| record[member].as_str().unwrap_or_default();
    let version = text("eventVersion")
        .strip_prefix("1.")
        .and_then(|it| it.parse::<u8>().ok());
    assert!(version.is_some_and(|it| (5..=11).contains(&it)), "{record}");
    assert_eq!(id.len(), 36);
    assert!(
        text("eventTime").parse::<jiff::Timestamp>().is_ok(),
        "{record}"
    );
    assert!(text("eventSource").ends_with(".amazonaws.com"), "{record}");
    let recipient = text("recipientAccountId");
    assert!(recipient.len() == 12 && recipient.bytes().all(|it| it.is_ascii_digit()));
    let identity = &record["userIdentity"];
    match identity["type"].as_str() {
        Some(of) => assert!(TYPES.contains(&of), "{record}"),
        None => assert!(identity["accountId"].is_string(), "{record}"),
    }
    if identity["type"] == "AssumedRole" {
        let principal = identity["principalId"].as_str().unwrap_or_default();
        let arn = identity["arn"].as_str().unwrap_or_default();
        let issuer = &identity["sessionContext"]["sessionIssuer"];
        let (role, session) = principal.split_once(':').expect("AROA…:session");
        assert!(
            role.starts_with("AROA") && issuer["principalId"] == role,
            "{record}"
        );
        assert!(arn.ends_with(&format!("/{session}")), "{record}");
    }
    if let Some(key) = identity["accessKeyId"].as_str().filter(|it| !it.is_empty()) {
        let is_shaped = key.len() == 20 && (key.starts_with("AKIA") || key.starts_with("ASIA"));
        assert!(is_shaped, "{record}");
        let is_temporary = key.starts_with("ASIA");
        assert_eq!(
            is_temporary,
            identity["sessionContext"].is_object(),
            "{record}"
        );
    }
    if record["errorCode"].is_string() && text("eventName") != "ConsoleLogin" {
        assert!(record["responseElements"].is_null(), "{record}");
    }
}

#[test]
fn every_envelope_carries_the_same_events() {
    let ids = |form| {
        let options = Options {
            form,
            ..small(Scenario::RootKey)
        };
        let dir = tempfile::tempdir().expect("a folder");
        Story::new(3, &options).write(dir.path()).expect("written");
        let mut ids = BTreeSet::new();
        for file in files(dir.path()) {
            if !file.to_string_lossy().contains("/CloudTrail/") {
                continue;
            }
            let text = text(&file);
            match form {
                Form::Files => {
                    let all: Value = serde_json::from_str(&text).expect("JSON");
                    let of = |it: &Value| it["eventID"].as_str().map(str::to_owned);
                    ids.extend(
                        all["Records"]
                            .as_array()
                            .into_iter()
                            .flatten()
                            .filter_map(of),
                    );
                }
                Form::LookupEvents => {
                    let all: Value = serde_json::from_str(&text).expect("JSON");
                    for event in all["Events"].as_array().into_iter().flatten() {
                        let record = event["CloudTrailEvent"].as_str().expect("a text");
                        let record: Value = serde_json::from_str(record).expect("JSON");
                        assert_eq!(record["eventID"], event["EventId"]);
                        ids.insert(record["eventID"].as_str().expect("an id").to_owned());
                    }
                }
                Form::EventBridge => {
                    for line in text.lines() {
                        let event: Value = serde_json::from_str(line).expect("JSON");
                        ids.insert(
                            event["detail"]["eventID"]
                                .as_str()
                                .expect("an id")
                                .to_owned(),
                        );
                    }
                }
            }
        }
        ids
    };
    let files = ids(Form::Files);
    assert!(files.len() > 500);
    assert_eq!(files, ids(Form::LookupEvents));
    assert_eq!(files, ids(Form::EventBridge));
}

#[test]
fn a_fifth_is_delivered_twice() {
    let told = tell(9, &small(Scenario::NoAttack));
    let share = (told.deliveries - told.records.len()) as f64 / told.records.len() as f64;
    assert!((0.15..0.25).contains(&share), "{share}");
    assert_eq!(told.truth.written.events as usize, told.records.len());
    assert_eq!(
        told.truth.written.repeated as usize,
        told.deliveries - told.records.len()
    );
}

#[test]
fn what_lies_beside_is_written_too() {
    let options = Options {
        guardduty: true,
        flow: true,
        dns: true,
        ..small(Scenario::StolenAdminKey)
    };
    let told = tell(2, &options);
    for service in [
        "CloudTrail-Digest",
        "CloudTrail-Insight",
        "vpcflowlogs",
        "vpcdnsquerylogs",
        "GuardDuty",
    ] {
        let is_of =
            |file: &&std::path::PathBuf| file.to_string_lossy().contains(&format!("/{service}/"));
        let all = files(told.dir.path());
        let file = all
            .iter()
            .find(is_of)
            .unwrap_or_else(|| panic!("no {service}"));
        assert!(!text(file).is_empty(), "{service}");
    }
}
