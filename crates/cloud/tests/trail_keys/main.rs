//! The public keys of CloudTrail, asked for over AWS's own protocol.

use std::process::Command;
use std::time::Duration;

use aws_credential_types::Credentials;
use davylamp_cloud::aws::read::ReadError;
use davylamp_cloud::aws::session::{Retries, SessionOptions, Sessions};
use davylamp_cloud::aws::trail_keys::{command, list};
use davylamp_model::ids::Region;
use davylamp_testkit::faults::{Fault, FaultProxy, Rule, Schedule};
use davylamp_testkit::moto::cache_dir;
use davylamp_testkit::trail_keys::TrailKeys;
use jiff::Timestamp;
use serde_json::{Value, json};

const REGION: &str = "eu-central-1";
const ELSEWHERE: &str = "us-west-2";

/// boto3's own answer to the same question, as JSON.
const BOTO: &str = "
import base64, json, sys
from datetime import datetime
import boto3
client = boto3.client('cloudtrail', region_name=sys.argv[2], endpoint_url=sys.argv[1],
                      aws_access_key_id='AKIAIOSFODNN7EXAMPLE', aws_secret_access_key='x')
pages = client.get_paginator('list_public_keys').paginate(
    StartTime=datetime.fromisoformat(sys.argv[3]), EndTime=datetime.fromisoformat(sys.argv[4]))
keys = [key for page in pages for key in page['PublicKeyList']]
print(json.dumps([[key['Fingerprint'], base64.b64encode(key['Value']).decode()] for key in keys]))
";

fn key(name: &str, from: &str, until: &str) -> Value {
    json!({
        "Value": "a2V5IA==",
        "ValidityStartTime": from,
        "ValidityEndTime": until,
        "Fingerprint": name,
    })
}

fn keys() -> Vec<(&'static str, Value)> {
    vec![
        (
            REGION,
            key("old", "2023-01-01T00:00:00Z", "2023-06-01T00:00:00Z"),
        ),
        (
            REGION,
            key("one", "2024-01-01T00:00:00Z", "2024-08-02T00:00:00Z"),
        ),
        (
            REGION,
            key("two", "2024-08-01T00:00:00Z", "2024-12-01T00:00:00Z"),
        ),
        (
            REGION,
            key("three", "2024-08-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        ),
        (
            ELSEWHERE,
            key("other", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        ),
    ]
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

async fn sessions(endpoint: String) -> Sessions {
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "x", None, None, "test");
    let options = SessionOptions {
        region: Some("us-east-1".to_owned()),
        endpoint_url: Some(endpoint),
        retries: Retries {
            attempts: 3,
            first_wait: Duration::from_millis(5),
            longest_wait: Duration::from_millis(20),
            ..Retries::default()
        },
        ..SessionOptions::default()
    };
    let sessions = Sessions::with_credentials(options, credentials).await;
    sessions.expect("there are credentials")
}

/// The fingerprints of the keys of some days of August 2024.
async fn asked(sessions: &Sessions, region: &str) -> Result<Vec<String>, ReadError> {
    let region = Region::from(region);
    let config = sessions.home_reading_in(&region).expect("it is a region");
    let (from, until) = (at("2024-08-01T12:00:00.5Z"), at("2024-08-03T00:00:00Z"));
    let answer = list(&config, from, until).await?;
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    let keys = answer["PublicKeyList"].as_array().expect("a list");
    let names = keys
        .iter()
        .map(|key| key["Fingerprint"].as_str().unwrap_or_default().to_owned());
    Ok(names.collect())
}

#[tokio::test]
async fn each_region_says_the_keys_of_the_time_on_all_its_pages() {
    let server = TrailKeys::start(&keys(), 1);
    let proxy = FaultProxy::start(&server.endpoint(), Schedule::clean());
    let sessions = sessions(proxy.endpoint()).await;
    let names = asked(&sessions, REGION).await.expect("an answer");
    assert_eq!(names, ["one", "two", "three"]);
    assert_eq!(
        asked(&sessions, ELSEWHERE).await.expect("an answer"),
        ["other"]
    );
    assert!(
        asked(&sessions, "eu-west-1")
            .await
            .expect("an answer")
            .is_empty()
    );
    // Nobody was asked whose the credentials are.
    let calls = proxy.calls();
    let of_region = |region: &str| calls.iter().filter(|call| call.region == region).count();
    assert_eq!(
        (calls.len(), of_region(REGION), of_region(ELSEWHERE)),
        (5, 3, 1)
    );
    assert!(calls.iter().all(|call| call.action == "ListPublicKeys"));

    let boto = Command::new(cache_dir().join("python/bin/python"))
        .args(["-c", BOTO, &server.endpoint(), REGION])
        .args(["2024-08-01T12:00:00+00:00", "2024-08-03T00:00:00+00:00"])
        .output()
        .expect("Python starts: scripts/setup test");
    let said: Value = serde_json::from_slice(&boto.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&boto.stderr)));
    let keys = names.iter().map(|name| json!([name, "a2V5IA=="]));
    assert_eq!(said, Value::from_iter(keys));
}

#[tokio::test]
async fn what_is_throttled_is_asked_again_and_what_is_refused_says_what_is_lacking() {
    let server = TrailKeys::start(&keys(), 1);
    let throttle =
        |times| Schedule::rules([Rule::new("cloudtrail", "*", Fault::Throttle).times(times)]);
    let proxy = FaultProxy::start(&server.endpoint(), throttle(2));
    let sessions = sessions(proxy.endpoint()).await;
    let names = asked(&sessions, REGION)
        .await
        .expect("an answer in the end");
    assert_eq!(names.len(), 3);

    proxy.set_schedule(throttle(u32::MAX));
    let error = asked(&sessions, REGION).await.expect_err("it is throttled");
    assert!(error.may_pass(), "{error}");

    // A page that is refused leaves no list that looks whole.
    let denied = Fault::Error {
        status: 400,
        code: "AccessDeniedException".to_owned(),
        message: "You may not.".to_owned(),
    };
    let denied = Rule::new("cloudtrail", "*", denied).containing("NextToken");
    proxy.set_schedule(Schedule::rules([denied]));
    let error = asked(&sessions, REGION).await.expect_err("it is refused");
    assert!(matches!(error, ReadError::Denied { .. }), "{error}");
    assert!(
        error.to_string().contains("cloudtrail:ListPublicKeys"),
        "{error}"
    );
}

#[tokio::test]
async fn a_region_that_a_file_s_name_makes_up_is_not_asked() {
    let sessions = sessions("http://127.0.0.1:1".to_owned()).await;
    for name in ["", "eu-west-1.evil.example/", "$(id)", "EU-WEST-1"] {
        let error = sessions.home_reading_in(&Region::from(name));
        assert!(error.is_err(), "{name}");
    }
    let (from, until) = (at("2024-08-01T12:00:00.5Z"), at("2024-08-03T00:00:00Z"));
    assert_eq!(
        command(&Region::from(REGION), from, until),
        "aws cloudtrail list-public-keys --region eu-central-1 --start-time 2024-08-01T12:00:00Z \
         --end-time 2024-08-03T00:00:00Z"
    );
}
