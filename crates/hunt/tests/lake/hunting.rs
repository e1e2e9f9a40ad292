//! Runs of hunts: rows to leads to suspects, and what is said where something is missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use davylamp_content::Source;
use davylamp_content::hunt::{self, Sources};
use davylamp_hunt::arrow::array::{AsArray as _, RecordBatch};
use davylamp_hunt::arrow::datatypes::Int64Type;
use davylamp_hunt::engine::{Engine, Setup};
use davylamp_hunt::read::Given;
use davylamp_hunt::run::{Answers as _, Job, Missing, Outcome, Report, run};
use futures::StreamExt as _;
use serde_json::json;

const HUNT: &str = r#"
name = "talkers"
title = "who talks to one place"
reason = "a test"
techniques = ["T1496.001"]
severity = "high"
tables = ["vpc_flow"]
needs = ["dstport", "instance_id"]
evidence = ["flows"]
benign = ["a download"]
next = ["look"]
explain = "{srcaddr} of {instance_id} talked to {dstaddr} {flows} times"

[entities]
account = "account_id"
instance = "instance_id"
address = "srcaddr"
remote = "dstaddr"

[[parameters]]
name = "least"
type = "integer"
default = 2
min = 1
max = 100
why = "once is nothing"
"#;

const QUERY: &str = r#"-- The score: 60 for each row.
SELECT
  CAST(60 AS DOUBLE) AS score,
  MIN("start") AS first_seen,
  MAX("end") AS last_seen,
  account_id,
  instance_id,
  srcaddr,
  dstaddr,
  COUNT(*) AS flows
FROM vpc_flow
GROUP BY account_id, instance_id, srcaddr, dstaddr
HAVING COUNT(dstport) >= $least
ORDER BY score DESC, account_id, instance_id, srcaddr, dstaddr
"#;

const LOG: &str =
    "version account-id srcaddr dstaddr srcport dstport protocol start end action log-status
2 111122223333 10.0.0.5 198.51.101.9 40000 3333 6 1772366400 1772366460 ACCEPT OK
2 111122223333 10.0.0.5 198.51.101.9 40000 3333 6 1772366700 1772366760 ACCEPT OK
2 111122223333 10.0.0.6 198.51.101.9 40000 3333 6 1772366700 1772366760 ACCEPT OK
";

fn job(query: &str, least: u32) -> Job {
    let cases: String = ["fires", "near-miss", "hostile", "benign"]
        .iter()
        .map(|kind| {
            let row = match *kind {
                "fires" => "[[cases.rows]]\nflows = 2\n",
                _ => "",
            };
            format!(
                "[[cases]]\nkind = \"{kind}\"\nname = \"{kind}\"\n[[cases.logs.vpc_flow]]\n\
                 set = {{ srcaddr = \"10.0.0.5\" }}\n{row}"
            )
        })
        .collect();
    let source = |name, text| Source { name, text };
    let parsed = hunt::parse(Sources {
        hunt: source("talkers/hunt.toml", HUNT),
        query: source("talkers/query.sql", query),
        cases: source("talkers/cases.toml", &cases),
    });
    let parsed = parsed.unwrap_or_else(|faults| panic!("{:?}", faults.faults()));
    let values = BTreeMap::from([("least".to_owned(), json!(least))]);
    Job::new(parsed.hunt, &values).expect("the value fits")
}

fn hunt_in(file: &str, text: &str, jobs: &[Job]) -> Report {
    hunt_through(&[(file, text)], jobs)
}

fn hunt_through(logs: &[(&str, &str)], jobs: &[Job]) -> Report {
    let folder = tempfile::tempdir().expect("there is room");
    for (file, text) in logs {
        std::fs::write(folder.path().join(file), text).expect("there is room");
    }
    let setup = Setup {
        locations: vec![
            folder
                .path()
                .display()
                .to_string()
                .parse()
                .expect("a place"),
        ],
        given: Given::shipped().expect("what ships is good"),
        threads: Some(2),
        ..Setup::default()
    };
    let runtime = tokio::runtime::Runtime::new().expect("there are threads");
    runtime.block_on(async {
        let engine = Engine::open(setup).await.expect("the folder can be listed");
        run(&engine, jobs, |_| ())
            .await
            .expect("the logs can be read")
    })
}

#[test]
fn rows_become_a_suspect_with_its_reason() {
    let report = hunt_in("flow.log", LOG, &[job(QUERY, 2)]);
    let [suspect] = report.suspects.as_slice() else {
        panic!("{report:?}");
    };
    assert_eq!(
        suspect.because,
        ["10.0.0.5 of unknown talked to 198.51.101.9 2 times"]
    );
    assert_eq!(suspect.score, 51.0);
    let lead = &suspect.leads[0];
    assert_eq!(lead.evidence["flows"], json!(2));
    assert_eq!(lead.first_seen.unwrap().as_second(), 1_772_366_400);
    assert_eq!(lead.last_seen.unwrap().as_second(), 1_772_366_760);
    let came = &report.hunts[0];
    assert_eq!((came.rows, came.unranked), (1, 0));
    let absent = Missing::Column {
        table: "vpc_flow",
        column: "instance_id".to_owned(),
        objects: 1,
        of: 1,
    };
    assert_eq!(came.missing, [absent]);
}

#[test]
fn several_hunts_see_the_same_logs() {
    let jobs = [job(QUERY, 2), job(QUERY, 1), job(QUERY, 3)];
    let report = hunt_in("flow.log", LOG, &jobs);
    let rows: Vec<u64> = report.hunts.iter().map(|came| came.rows).collect();
    assert_eq!(rows, [1, 2, 0], "{report:?}");
    // Read once for all.
    let read = &report.read.tables()["vpc_flow"];
    assert_eq!((read.scans, read.records), (1, 3));
    assert_eq!(report.suspects.len(), 1);
}

#[test]
fn a_hunt_without_logs_says_so() {
    let trail = r#"{"Records":[{"eventName":"RunInstances","eventTime":"2026-03-02T10:00:00Z","eventSource":"ec2.amazonaws.com","eventVersion":"1.09"}]}"#;
    let report = hunt_in("trail.json", trail, &[job(QUERY, 1)]);
    let came = &report.hunts[0];
    assert!(matches!(came.outcome, Outcome::LeftOut), "{report:?}");
    assert_eq!(came.missing, [Missing::Logs { table: "vpc_flow" }]);
    assert!(report.is_idle() && !report.has_failed());
}

#[test]
fn a_hunt_that_fails_stops_no_other() {
    // A text that is no number is found out when the query runs.
    let broken = QUERY.replace(
        "HAVING COUNT(dstport) >= $least",
        "HAVING COUNT(dstport) >= $least AND MAX(CAST(srcaddr AS DOUBLE)) > 0",
    );
    let report = hunt_in("flow.log", LOG, &[job(&broken, 1), job(QUERY, 1)]);
    assert!(
        matches!(report.hunts[0].outcome, Outcome::Failed(_)),
        "{report:?}"
    );
    assert!(report.has_failed());
    assert_eq!(report.hunts[1].rows, 2);
}

fn shipped(name: &str) -> Job {
    let shipped = hunt::shipped().expect("what ships is good");
    let found = shipped.into_iter().find(|it| it.hunt.name == name);
    let hunt = found.expect("it ships").hunt;
    Job::new(hunt, &BTreeMap::new()).expect("defaults fit")
}

/// Flow logs in the default format name the interface, CloudTrail the machine: one story.
#[test]
fn what_an_interface_does_is_told_with_who_started_its_machine() {
    let mut flows = String::new();
    for window in 0..12 {
        let start = 1_772_366_400 + window * 300;
        for (from, to, ports) in [
            ("10.0.0.5", "203.0.114.9", "40000 3333"),
            ("203.0.114.9", "10.0.0.5", "3333 40000"),
        ] {
            flows += &format!(
                "2 111122223333 eni-0b {from} {to} {ports} 6 40 5000 {start} {} ACCEPT OK\n",
                start + 60
            );
        }
    }
    let trail = |interface: &str| {
        let interfaces = json!([
            {"networkInterfaceId": "eni-0c"}, {"networkInterfaceId": null},
            {"networkInterfaceId": interface},
        ]);
        let event = json!({
            "eventVersion": "1.09", "eventID": "r", "eventTime": "2026-03-01T11:50:00Z",
            "eventSource": "ec2.amazonaws.com", "eventName": "RunInstances",
            "awsRegion": "eu-west-1", "recipientAccountId": "111122223333",
            "sourceIPAddress": "203.0.114.7",
            "userIdentity": {"type": "IAMUser", "accessKeyId": "AKIAEXAMPLE00000CI01"},
            "requestParameters": {"instanceType": "c5.9xlarge", "networkInterfaceSet":
                {"items": [{"deviceIndex": 0, "associatePublicIpAddress": true}]}},
            "responseElements": {"instancesSet": {"items": [
                {"instanceId": "i-0000000000000a001", "networkInterfaceSet": {"items": interfaces}},
            ]}},
        });
        json!({ "Records": [event] }).to_string()
    };
    let jobs = [
        shipped("flow-thin-periodic"),
        shipped("trail-public-instance"),
    ];
    for (interface, suspects) in [("eni-0b", 1), ("eni-0d", 2)] {
        let trail = trail(interface);
        let report = hunt_through(&[("flow.log", &flows), ("trail.json", &trail)], &jobs);
        assert!(report.unlinked.is_none(), "{report:?}");
        assert_eq!(report.suspects.len(), suspects, "{interface}: {report:?}");
        // Read once for all: what is asked beside the hunts shares their reading.
        assert_eq!(report.read.tables()["cloudtrail"].scans, 1);
    }
}

#[test]
fn the_machines_of_a_burst_are_named_region_by_region() {
    let launch = |number: usize, region: &str, key: &str| {
        let machines = (0..3).map(|n| json!({"instanceId": format!("i-{number:08x}{n:09x}")}));
        json!({
            "eventVersion": "1.09", "eventID": format!("e{number}"),
            "eventTime": format!("2026-03-01T11:{:02}:00Z", number % 60),
            "eventSource": "ec2.amazonaws.com", "eventName": "RunInstances",
            "awsRegion": region, "recipientAccountId": "111122223333",
            "sourceIPAddress": "203.0.114.7",
            "userIdentity": {"type": "IAMUser", "userName": key, "accessKeyId": key,
                "arn": format!("arn:aws:iam::111122223333:user/{key}")},
            "requestParameters": {"instanceType": "p3.16xlarge",
                "instancesSet": {"items": [{"minCount": 3, "maxCount": 3}]}},
            "responseElements": {"instancesSet": {"items": machines.collect::<Vec<_>>()}},
        })
    };
    let regions = ["eu-west-1", "us-east-1", "ap-south-1", "sa-east-1"];
    let burst = (0..12).map(|at| launch(at, regions[at % 4], "AKIAEXAMPLE00000CI01"));
    // Somebody else's, and a copy that S3 has delivered again.
    let others = [
        launch(13, "eu-west-1", "AKIAEXAMPLE00000CI02"),
        launch(4, "eu-west-1", "AKIAEXAMPLE00000CI01"),
    ];
    let trail = json!({ "Records": burst.chain(others).collect::<Vec<_>>() }).to_string();
    let jobs = [shipped("trail-instance-burst")];
    let report = hunt_through(&[("trail.json", &trail)], &jobs);
    assert!(report.unnamed.is_none(), "{report:?}");
    assert_eq!(report.hunts[0].rows, 1, "{report:?}");
    let [suspect] = report.suspects.as_slice() else {
        panic!("it is one burst: {report:?}");
    };
    for (kind, count) in [("instance", 36), ("region", 4)] {
        let of_kind = suspect.resources.iter().filter(|it| it.kind_name() == kind);
        assert_eq!(of_kind.count(), count, "{suspect:?}");
    }
    // The burst itself, and what it launched in each region.
    assert_eq!(suspect.leads.len(), 5);
    let alone = suspect
        .leads
        .iter()
        .filter(|lead| lead.evidence.contains_key("calls"));
    assert_eq!(alone.count(), 1);
}

/// How many rows a stream gives, and the sum of its second column.
async fn summed<E: std::fmt::Debug>(
    mut batches: impl futures::Stream<Item = Result<RecordBatch, E>> + Unpin,
) -> (usize, i64) {
    let (mut rows, mut sum) = (0, 0);
    while let Some(batch) = batches.next().await {
        let batch = batch.expect("the logs can be read");
        let column = batch.column(1).as_primitive::<Int64Type>();
        rows += batch.num_rows();
        sum += column.iter().flatten().sum::<i64>();
    }
    (rows, sum)
}

/// More than is kept in memory: what a query does not take while another does goes to disk.
#[test]
fn a_query_that_takes_its_rows_late_gets_them_all() {
    const ROWS: i64 = 400_000;
    let head = "version account-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n";
    let mut log = head.to_owned();
    for at in 0..ROWS {
        log += &format!(
            "2 111122223333 10.0.0.5 198.51.101.9 40000 443 6 1 {at} 1772366400 1772366460 ACCEPT OK\n"
        );
    }
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join(format!("{}.log", "flow".repeat(40)));
    std::fs::write(&file, log).expect("there is room");
    let setup = Setup {
        locations: vec![file.display().to_string().parse().expect("a place")],
        given: Given::shipped().expect("what ships is good"),
        ..Setup::default()
    };
    let runtime = tokio::runtime::Runtime::new().expect("there are threads");
    runtime.block_on(async {
        let engine = Engine::open(setup).await.expect("the file can be read");
        let all = "SELECT _source, bytes FROM vpc_flow";
        let run = Arc::default();
        let answers = engine.together(&[all, all], &run).await;
        let mut answers = answers.expect("the logs can be read").into_iter();
        let (Some(Ok(first)), Some(Ok(second))) = (answers.next(), answers.next()) else {
            panic!("both are good questions");
        };
        let expected = (ROWS as usize, ROWS * (ROWS - 1) / 2);
        assert_eq!(summed(second).await, expected);
        assert_eq!(summed(first).await, expected);
        assert!(!run.is_bad());
    });
}
