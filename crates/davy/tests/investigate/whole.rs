//! Whether the logs are whole, as a user asks it: with a case and alone, with keys of files and of AWS.

use std::fs;
use std::process::{Command, Output};

use davylamp_testkit::cloudtrail_digest::{Delivery, Trail, events, public_keys, write};
use davylamp_testkit::faults::{Fault, FaultProxy, Rule, Schedule};
use davylamp_testkit::trail_keys::TrailKeys;
use serde_json::Value;
use tempfile::TempDir;

use crate::said;

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-west-1";

/// A trail of a few quiet hours in the folder `trail`, and keys in `keys.json`.
fn ground() -> (TempDir, Delivery) {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let start = "2024-08-01T00:00:00Z".parse().expect("a moment");
    let mut delivery = Delivery::new(Trail::of(ACCOUNT, REGION), start);
    for hour in 0..3 {
        delivery.hour(&[events(&format!("hour {hour}"), 2, REGION, ACCOUNT)]);
    }
    write(&delivery.objects, &dir.path().join("trail"), true).expect("there is room");
    fs::write(dir.path().join("keys.json"), public_keys().to_string()).expect("there is room");
    (dir, delivery)
}

fn davy(dir: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
    command
        .current_dir(dir.path())
        .env("NO_COLOR", "1")
        .args(["investigate"])
        .args(args);
    command
}

fn run(dir: &TempDir, args: &[&str]) -> Output {
    davy(dir, args).output().expect("davy starts")
}

/// With credentials for a server that stands for AWS.
fn run_with(dir: &TempDir, endpoint: &str, args: &[&str]) -> Output {
    let mut command = davy(dir, args);
    command
        .args(["--public-keys", "aws", "--endpoint-url", endpoint])
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "x")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command.output().expect("davy starts")
}

/// Alters a log file without making it say something else.
fn alter(dir: &TempDir, delivery: &Delivery) {
    let log = delivery.objects.iter().find(|it| !it.is_digest);
    let path = dir
        .path()
        .join("trail")
        .join(&log.expect("there is one").key);
    let text = events("hour 0", 2, REGION, ACCOUNT) + "\n";
    fs::write(path, text).expect("it is ours");
}

#[test]
fn a_case_says_what_its_log_files_come_to_by_its_exit_code_too() {
    let (dir, delivery) = ground();
    let verify = ["--logs", "trail", "--verify"];
    let with_keys = [&verify[..], &["--public-keys", "keys.json"]].concat();
    let whole = run(&dir, &with_keys);
    assert_eq!(whole.status.code(), Some(0), "{}", said(&whole));
    assert!(said(&whole).contains("Log files: whole: all 3 digests and 3 log files"));

    let keyless = run(&dir, &verify);
    assert_eq!(keyless.status.code(), Some(2), "{}", said(&keyless));
    assert!(
        said(&keyless).contains("add --public-keys aws"),
        "{}",
        said(&keyless)
    );

    alter(&dir, &delivery);
    let altered = run(&dir, &[&with_keys[..], &["-o", "case"]].concat());
    assert_eq!(altered.status.code(), Some(1), "{}", said(&altered));
    assert!(
        said(&altered).contains("Log files: not whole"),
        "{}",
        said(&altered)
    );
    let checked = run(&dir, &["check", "case"]);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
}

#[test]
fn without_being_asked_a_case_says_what_would_check_it() {
    let (dir, delivery) = ground();
    // No log file is hashed: an altered one is not found, and nobody says that there is none.
    alter(&dir, &delivery);
    let made = run(
        &dir,
        &[
            "--logs",
            "trail",
            "--since",
            "2024-08-01",
            "--output",
            "json",
        ],
    );
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    let case: Value = serde_json::from_slice(&made.stdout).expect("a case is JSON");
    assert_eq!(case["integrity"]["verdict"], "unknown");
    let remedy = case["unknowns"].as_array().and_then(|all| all.last());
    let remedy = remedy
        .and_then(|it| it["remedy"].as_str())
        .expect("it is not known");
    let command = remedy.split_once("davy investigate ").expect("a command").1;
    assert_eq!(
        command,
        "verify --logs trail --public-keys aws --since 2024-08-01T00:00:00Z"
    );
    let words: Vec<&str> = command.split(' ').collect();
    let server = TrailKeys::start(&keys(), 1);
    let ran = run_with(&dir, &server.endpoint(), &words);
    assert_eq!(ran.status.code(), Some(1), "{}", said(&ran));
}

/// The keys as AWS has them.
fn keys() -> Vec<(&'static str, Value)> {
    let keys = public_keys()["PublicKeyList"].as_array().cloned();
    keys.expect("a list")
        .into_iter()
        .map(|key| (REGION, key))
        .collect()
}

#[test]
fn aws_is_asked_for_keys_where_that_is_wanted_and_never_otherwise() {
    let (dir, _) = ground();
    let server = TrailKeys::start(&keys(), 1);
    let throttled = Rule::new("cloudtrail", "*", Fault::Throttle).times(1);
    let proxy = FaultProxy::start(&server.endpoint(), Schedule::rules([throttled]));
    let verify = ["verify", "--logs", "trail"];
    let whole = run_with(&dir, &proxy.endpoint(), &verify);
    assert_eq!(whole.status.code(), Some(0), "{}", said(&whole));
    let says = "AWS was asked for the keys of eu-west-1: it has 2 public keys";
    assert!(said(&whole).contains(says), "{}", said(&whole));
    let calls = proxy.calls();
    // Two pages, the first of them twice; and for the time of the digests.
    assert_eq!(calls.len(), 3, "{calls:#?}");
    let body: Value = serde_json::from_str(&calls[0].body).expect("JSON");
    assert_eq!(body["StartTime"], 1_722_474_000, "2024-08-01T01:00:00Z");
    assert!(calls.iter().all(|call| call.region == REGION));

    proxy.clear_calls();
    let mut with_file = davy(&dir, &verify);
    with_file.args([
        "--public-keys",
        "keys.json",
        "--endpoint-url",
        &proxy.endpoint(),
    ]);
    let with_file = with_file.output().expect("davy starts");
    assert_eq!(with_file.status.code(), Some(0), "{}", said(&with_file));
    assert!(proxy.calls().is_empty());
}

#[test]
fn keys_that_cannot_be_had_leave_it_unknown_with_the_command_that_has_them() {
    let (dir, _) = ground();
    let server = TrailKeys::start(&keys(), 1);
    let denied = Fault::Error {
        status: 400,
        code: "AccessDeniedException".to_owned(),
        message: "You may not.".to_owned(),
    };
    let denied = Schedule::rules([Rule::new("cloudtrail", "*", denied)]);
    let proxy = FaultProxy::start(&server.endpoint(), denied);
    let verify = ["verify", "--logs", "trail", "--output", "json"];
    let ran = run_with(&dir, &proxy.endpoint(), &verify);
    assert_eq!(ran.status.code(), Some(2), "{}", said(&ran));
    let report: Value = serde_json::from_slice(&ran.stdout).expect("a report is JSON");
    let unread = report["unread"][0]
        .as_str()
        .expect("it says what is lacking");
    for part in [
        "cloudtrail:ListPublicKeys",
        "aws cloudtrail list-public-keys --region eu-west-1 --start-time 2024-08-01T01:00:00Z",
        "--public-keys keys-eu-west-1.json",
    ] {
        assert!(unread.contains(part), "{unread}");
    }
    // Without credentials, nobody is asked.
    let mut without = davy(&dir, &verify);
    without
        .args(["--public-keys", "aws", "--endpoint-url", &server.endpoint()])
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("HOME", dir.path())
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_PROFILE");
    let ran = without.output().expect("davy starts");
    assert_eq!(ran.status.code(), Some(2), "{}", said(&ran));
    assert!(
        said(&ran).contains("there are no AWS credentials"),
        "{}",
        said(&ran)
    );
    // Keys of a file and of AWS: what the file has needs no answer.
    let both = run_with(
        &dir,
        &proxy.endpoint(),
        &["verify", "--logs", "trail", "--public-keys", "keys.json"],
    );
    assert_eq!(both.status.code(), Some(0), "{}", said(&both));
}
