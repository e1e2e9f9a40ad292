//! A store in a bucket: what one machine has recorded another reads, and two do not write one snapshot.

use std::path::Path;
use std::process::Command;

use davylamp_testkit::faults::{Fault, Rule, Schedule};
use serde_json::json;

use crate::ground::{Ground, REGION, Ran, ran, segments};

/// An account with a bucket, and the store in it.
fn with_bucket() -> (Ground, String) {
    let ground = Ground::new();
    let bucket = format!("recordings-{}", ground.account.id);
    let body = format!(
        "<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
    );
    let account = &ground.account;
    account
        .rest(REGION, "s3", "PUT", &format!("/{bucket}"), &body)
        .unwrap();
    (ground, format!("s3://{bucket}/davylamp"))
}

/// Runs the command on a machine, which is the folder with its copy.
fn on(ground: &Ground, machine: &str, url: &str, arguments: &[&str]) -> Ran {
    let mut all = vec!["record"];
    all.extend(arguments);
    let mut command: Command = ground.command(&all);
    command
        .env("DAVY_RECORD__STORE", url)
        .env("DAVY_RECORD__COPY", ground.dir.path().join(machine));
    ran(command)
}

const RUN: [&str; 6] = ["run", "--once", "--region", REGION, "--kind", "instance"];

#[test]
fn what_one_machine_records_another_reads_and_goes_on_with() {
    let (ground, url) = with_bucket();
    on(&ground, "one", &url, &RUN)
        .ended(0)
        .says(&["snapshot 1 of"]);
    let id = ground.run_instance();
    on(&ground, "two", &url, &RUN)
        .ended(0)
        .says(&["snapshot 2 of"]);
    on(&ground, "one", &url, &["diff", "1", "2"])
        .ended(1)
        .says(&["added", &id]);
    on(&ground, "three", &url, &["verify"])
        .ended(0)
        .says(&["2 segments"]);
    let query = "SELECT count(DISTINCT taken_at) AS n FROM recorder";
    let mut hunt = ground.command(&["hunt", "sql", query, "--output", "json", "--logs", &url]);
    hunt.env("AWS_ALLOW_HTTP", "true");
    let endpoint = ground.proxy.endpoint();
    hunt.args(["--endpoint-url", &endpoint, "--bucket-region", REGION]);
    assert_eq!(ran(hunt).ended(1).json(), json!([{"n": 2}]));
}

#[test]
fn what_could_not_be_brought_is_brought_the_next_time() {
    let (ground, url) = with_bucket();
    on(&ground, "one", &url, &RUN).ended(0);
    let lost = Rule::new("s3", "PutObject", Fault::ServerError(503)).containing("/chain/");
    ground.proxy.set_schedule(Schedule::rules([lost]));
    on(&ground, "one", &url, &RUN)
        .ended(2)
        .says(&["s3:PutObject of"]);
    ground.proxy.set_schedule(Schedule::clean());
    on(&ground, "two", &url, &["list", "--output", "jsonl"]).ended(0);
    on(&ground, "one", &url, &["verify"])
        .ended(0)
        .says(&["2 segments"]);
    on(&ground, "two", &url, &["verify"])
        .ended(0)
        .says(&["2 segments"]);
}

#[test]
fn of_two_that_record_at_once_one_is_told() {
    let (ground, url) = with_bucket();
    on(&ground, "one", &url, &RUN).ended(0);
    on(&ground, "two", &url, &["verify"]).ended(0);
    // Both take the second snapshot; the one machine's never reached the bucket.
    let lost = Rule::new("s3", "PutObject", Fault::ServerError(503)).containing("/chain/");
    ground.proxy.set_schedule(Schedule::rules([lost]));
    on(&ground, "one", &url, &RUN).ended(2);
    ground.proxy.set_schedule(Schedule::clean());
    on(&ground, "two", &url, &RUN)
        .ended(0)
        .says(&["snapshot 2 of"]);
    let forked = on(&ground, "one", &url, &RUN).ended(2);
    forked.says(&["has another snapshot 2 than this machine"]);
    // Nothing in the bucket was replaced.
    on(&ground, "two", &url, &["verify"])
        .ended(0)
        .says(&["2 segments"]);
    let copy = ground.dir.path().join("one");
    assert_eq!(copies(&copy, &url), 2);
}

/// How many segments a machine's copy has.
fn copies(machine: &Path, url: &str) -> usize {
    segments(&machine.join(url.trim_start_matches("s3://"))).len()
}
