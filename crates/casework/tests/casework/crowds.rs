//! A key that the world has: thousands look around with it, and one of them starts machines.

use std::fs;

use davylamp_model::verdict::Verdict;
use serde_json::{Value, json};

use crate::support::case_of;

const USER: &str = "arn:aws:iam::111122223333:user/backup";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const MINER: &str = "198.51.100.7";
const REGIONS: &[&str] = &[
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "eu-central-1",
    "eu-north-1",
    "ap-south-1",
    "sa-east-1",
];

/// An event at a second since the first of January.
fn event(number: u32, second: u32, name: &str, region: &str, place: &str) -> Value {
    let (day, rest) = (second / 86_400, second % 86_400);
    let (month, day) = (1 + day / 28, 1 + day % 28);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    json!({
        "eventVersion": "1.08",
        "userIdentity": {
            "type": "IAMUser", "principalId": "AIDAQ3EGTEXAMPLE0001", "arn": USER, "accountId": "111122223333",
            "accessKeyId": KEY, "userName": "backup",
        },
        "eventTime": format!("2026-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"),
        "eventSource": if name == "RunInstances" { "ec2.amazonaws.com" } else { "s3.amazonaws.com" },
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": place,
        "userAgent": format!("Boto3/1.{}.0 Python/3.9", number % 700),
        "requestParameters": null,
        "responseElements": null,
        "eventID": format!("{number:08x}-0000-4000-8000-000000000000"),
        "eventType": "AwsApiCall",
        "recipientAccountId": "111122223333",
    })
}

fn launch(number: u32, second: u32) -> Value {
    let region = REGIONS[number as usize % REGIONS.len()];
    let mut event = event(number, second, "RunInstances", region, MINER);
    event["userAgent"] = json!("Boto3/1.9.1 Python/3.6");
    event["requestParameters"] = json!({
        "instancesSet": {"items": [{"imageId": "ami-0abcdef1234567890", "minCount": 4, "maxCount": 4}]},
        "instanceType": "c5.18xlarge",
    });
    event["errorCode"] = json!("Client.UnauthorizedOperation");
    event
}

#[tokio::test]
async fn who_starts_machines_is_found_among_thousands_who_look() {
    let mut records: Vec<Value> = (0..3_000_u32)
        .map(|n| {
            let place = format!("{}.{}.{}.9", 11 + n % 190, n / 190 * 7 % 250, n % 250);
            event(n, n * 3_000, "ListBuckets", "us-west-2", &place)
        })
        .collect();
    records.extend((0..400).map(|n| launch(10_000 + n, 6_000_000 + n * 20)));
    let dir = tempfile::tempdir().expect("a folder can be made");
    let logs = dir.path().join("AWSLogs");
    fs::create_dir(&logs).expect("a folder can be made");
    fs::write(
        logs.join("trail.json"),
        json!({"Records": records}).to_string(),
    )
    .expect("a file can be written");
    let case = case_of(dir.path(), &[]).await;
    assert!(case.is_suspicious(), "{:#?}", case.leads);
    let origin = case.origin.as_ref().expect("there is an origin");
    let told = origin.reasons.iter().map(|it| it.statement.text.as_str());
    let told: Vec<&str> = told.chain([origin.how.as_str()]).collect();
    assert!(told.iter().any(|it| it.contains(MINER)), "{told:?}");
    let said = case.innocence.iter().find(|it| it.principal == USER);
    assert_eq!(said.map(|it| it.verdict), Some(Verdict::Unknown));
    let is_told = |it: &davylamp_casework::case::Unknown| it.what.contains("single addresses");
    assert!(case.unknowns.iter().any(is_told), "{:#?}", case.unknowns);
}
