//! `davy investigate verify` over folders and buckets.

use davylamp_testkit::cloudtrail_digest::{Delivery, Trail, events, public_keys, write};
use davylamp_testkit::http::{Request, send};
use davylamp_testkit::moto::Moto;
use serde_json::Value;

use crate::bench::{Bench, Ran, run};

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-west-1";

fn delivery(bucket: &str) -> Delivery {
    let mut trail = Trail::of(ACCOUNT, REGION);
    bucket.clone_into(&mut trail.bucket);
    let start = "2024-08-01T00:00:00Z".parse().expect("a moment");
    let mut delivery = Delivery::new(trail, start);
    for hour in 0..3 {
        delivery.hour(&[events(&format!("hour {hour}"), 2, REGION, ACCOUNT)]);
    }
    delivery
}

/// A bench with the keys, and a trail in the folder `trail`.
fn ground(has_signatures: bool) -> (Bench, Delivery) {
    let bench = Bench::new();
    let delivery = delivery("logs");
    bench.write("keys.json", public_keys().to_string());
    let folder = bench.path().join("trail");
    write(&delivery.objects, &folder, has_signatures).expect("there is room");
    (bench, delivery)
}

fn verify(bench: &Bench, arguments: &[&str]) -> Ran {
    let fixed = ["investigate", "verify", "--logs", "trail"];
    bench.run(&[&fixed, arguments].concat())
}

#[test]
fn a_whole_trail_is_said_to_be_in_every_form() {
    let (bench, _) = ground(true);
    let ran = verify(&bench, &["--public-keys", "keys.json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.whole());
    let first = "pass: all 3 digests and 3 log files are as CloudTrail delivered them\n";
    assert!(ran.stdout.starts_with(first), "{}", ran.whole());
    let ran = verify(&bench, &["--public-keys", "keys.json", "--output", "json"]);
    let document: Value = serde_json::from_str(&ran.stdout).expect("it is JSON");
    assert_eq!(document["log_files"]["pass"], 3, "{document}");
    let ran = verify(&bench, &["--public-keys", "keys.json", "--output", "jsonl"]);
    let lines = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("it is JSON"));
    let lines: Vec<Value> = lines.collect();
    let kinds = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    assert_eq!(
        (kinds("digest"), kinds("log-file"), kinds("report")),
        (3, 3, 1)
    );
    let ran = verify(
        &bench,
        &[
            "--public-keys",
            "keys.json",
            "--output",
            "html",
            "-o",
            "whole.html",
        ],
    );
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), ""),
        "{}",
        ran.whole()
    );
    let page = std::fs::read_to_string(bench.path().join("whole.html")).expect("it was written");
    assert!(
        page.contains("<rect") && !page.contains("<script"),
        "{page}"
    );
}

#[test]
fn what_was_altered_and_what_is_unknown_have_their_exit_codes() {
    let (bench, delivery) = ground(true);
    let ran = verify(&bench, &[]);
    assert_eq!(ran.code, Some(2), "{}", ran.whole());
    assert!(ran.stderr.contains("add --public-keys"), "{}", ran.whole());
    let log = delivery
        .objects
        .iter()
        .find(|it| !it.is_digest)
        .expect("there is one");
    std::fs::remove_file(bench.path().join("trail").join(&log.key)).expect("it is there");
    let ran = verify(&bench, &["--public-keys", "keys.json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.whole());
    assert!(
        ran.stdout
            .contains("it was delivered and is not among the files"),
        "{}",
        ran.whole()
    );
    for wrong in [
        ["--public-keys", "davy.toml"],
        ["--public-keys", "missing.json"],
        ["--lookup", "keys.json"],
        ["--region", "nowhere"],
        ["--account", "12"],
    ] {
        let ran = verify(&bench, &wrong);
        assert_eq!(ran.code, Some(2), "{wrong:?}: {}", ran.whole());
        assert!(ran.stderr.contains("hint: "), "{wrong:?}: {}", ran.whole());
    }
}

#[test]
fn the_newest_signature_is_read_from_the_bucket() {
    let moto = Moto::shared();
    let account = moto.account();
    let bucket = format!("trail-{}", account.id);
    let delivery = delivery(&bucket);
    let call = |key: &str, body: Vec<u8>, metadata: &[(&String, &String)]| {
        let mut request = Request::new("PUT", &format!("/{bucket}/{key}"), body);
        for (name, value) in metadata {
            request = request.header(&format!("x-amz-meta-{name}"), value);
        }
        let request = request
            .header("x-amz-security-token", &account.session_token)
            .scope(&account.access_key, "us-east-1", "s3");
        let answer = send(&moto.address(), &request).expect("the test server answers");
        assert!(answer.status < 300, "{key}: {}", answer.text());
    };
    call("", Vec::new(), &[]);
    for object in &delivery.objects {
        let metadata: Vec<_> = object.metadata.iter().collect();
        call(&object.key, object.body.clone(), &metadata);
    }
    let bench = Bench::new();
    bench.write("keys.json", public_keys().to_string());
    let place = format!("s3://{bucket}/AWSLogs");
    let mut command = bench.davy(&[
        "investigate",
        "verify",
        "--logs",
        &place,
        "--public-keys",
        "keys.json",
    ]);
    for (name, value) in account.env("us-east-1") {
        command.env(name, value);
    }
    command.env_remove("AWS_ENDPOINT_URL");
    command.args(["--endpoint-url", &account.endpoint]);
    let ran = run(&mut command, b"");
    assert_eq!(ran.code, Some(0), "{}", ran.whole());
}
