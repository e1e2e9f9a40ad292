//! Items of AWS Config as they come: with nulls, without configurations, of types that nobody knows, in any order,
//! and more than once.

use std::sync::Arc;

use davylamp_casework::snapshots::{self, Snapshots};
use davylamp_hunt::objects::Scope;
use serde_json::{Value, json};

use crate::support::open_within;

const ACCOUNT: &str = "111122223333";
const REGION: &str = "us-east-1";
const HISTORY: &str = "ConfigHistory_AWS::EC2::Instance_20260301T000000Z_20260301T060000Z_1";

/// A file's items by its name.
type File = (&'static str, Vec<Value>);

async fn of(files: &[File]) -> Snapshots {
    of_until(files, None).await
}

async fn of_until(files: &[File], until: Option<&str>) -> Snapshots {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let folder = format!("AWSLogs/{ACCOUNT}/Config/{REGION}/2026/3/1");
    let folder = dir.path().join(folder);
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    for (name, items) in files {
        let text = json!({"fileVersion": "1.0", "configurationItems": items}).to_string();
        let name = format!("{ACCOUNT}_Config_{REGION}_{name}.json");
        std::fs::write(folder.join(name), text).expect("a file can be written");
    }
    let scope = Scope {
        until: until.map(|until| until.parse().expect("a moment")),
        ..Scope::default()
    };
    let engine = open_within(dir.path(), scope).await;
    let run = Arc::default();
    snapshots::read(&engine, &run)
        .await
        .expect("the items can be read")
}

fn hour(hour: u8) -> String {
    format!("2026-03-01T{hour:02}:00:00.208Z")
}

/// An item of a machine that was made half an hour before the first.
fn machine(id: &str, at: u8, status: &str) -> Value {
    let is_gone = status.starts_with("ResourceDeleted");
    let made = format!("2026-03-01T{:02}:30:00.000Z", at.saturating_sub(1));
    json!({
        "relatedEvents": [],
        "relationships": [],
        "configuration": match is_gone {
            true => Value::Null,
            false => json!({
                "instanceId": id, "instanceType": "c5.large", "keyName": null, "launchTime": made,
                "state": {"code": 16, "name": "running"}, "tags": [],
            }),
        },
        "supplementaryConfiguration": {},
        "tags": {"team": "a"},
        "configurationItemVersion": "1.3",
        "configurationItemCaptureTime": hour(at),
        "configurationStateId": 1_772_323_200_208_i64 + i64::from(at) * 3_600_000,
        "awsAccountId": ACCOUNT,
        "configurationItemStatus": status,
        "resourceType": "AWS::EC2::Instance",
        "resourceId": id,
        "resourceName": null,
        "ARN": format!("arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{id}"),
        "awsRegion": REGION,
        "availabilityZone": null,
        "configurationStateMd5Hash": "",
        "resourceCreationTime": if is_gone { Value::Null } else { made.into() },
    })
}

fn user(name: Option<&str>, id: &str, at: u8, status: &str) -> Value {
    let mut item = machine(id, at, status);
    item["resourceType"] = "AWS::IAM::User".into();
    item["awsRegion"] = "global".into();
    item["resourceName"] = name.into();
    item["ARN"] = format!("arn:aws:iam::{ACCOUNT}:user/{}", name.unwrap_or_default()).into();
    item["tags"] = json!({});
    if !item["configuration"].is_null() {
        item["resourceCreationTime"] = "2026-01-01T00:00:00.000Z".into();
        item["configuration"] = json!({
            "userName": name, "userId": id, "groupList": ["ops"], "userPolicyList": null,
            "attachedManagedPolicies": [{"policyName": "P", "policyArn": "arn:aws:iam::aws:policy/P"}],
            "createDate": "2026-01-01T00:00:00.000Z", "path": "/",
        });
    }
    item
}

/// When a thing came and went, in hours; `new` where somebody had looked before.
fn life(seen: &Snapshots, kind: &str, id: &str) -> String {
    let region = if kind == "user" { "global" } else { REGION };
    let Some((id, thing)) = seen.get(ACCOUNT, region, kind, id) else {
        return "never".to_owned();
    };
    let hour = |at: jiff::Timestamp| at.to_string()[11..13].to_owned();
    let first = thing.first().expect("it was seen");
    let how = if first.before.is_some() { "new" } else { "old" };
    let went = match &thing.gone {
        Some(gone) => format!("gone by {}", hour(gone.by)),
        None => format!(
            "there at {}",
            seen.last_look(id).map_or_else(|| "-".to_owned(), hour)
        ),
    };
    format!(
        "{how} at {}, {} states, {went}",
        hour(first.at),
        thing.changes.len()
    )
}

#[tokio::test]
async fn nothing_said_is_nothing_changed() {
    let seen = of(&[(
        HISTORY,
        vec![
            machine("i-old", 1, "ResourceDiscovered"),
            machine("i-new", 3, "ResourceDiscovered"),
            machine("i-gone", 4, "ResourceDiscovered"),
            machine("i-gone", 5, "ResourceDeleted"),
        ],
    )])
    .await;
    assert_eq!(
        life(&seen, "instance", "i-old"),
        "old at 01, 1 states, there at 05"
    );
    assert_eq!(
        life(&seen, "instance", "i-new"),
        "new at 03, 1 states, there at 05"
    );
    assert_eq!(
        life(&seen, "instance", "i-gone"),
        "new at 04, 1 states, gone by 05"
    );
    assert_eq!(seen.config.records, 4);
    assert_eq!(seen.config.repeated, 0);
}

#[tokio::test]
async fn order_and_repetition_change_nothing() {
    let items = || {
        vec![
            machine("i-old", 1, "ResourceDiscovered"),
            machine("i-new", 3, "ResourceDiscovered"),
            machine("i-new", 6, "ResourceDeleted"),
        ]
    };
    let right = of(&[(HISTORY, items())]).await;
    let mut wrong: Vec<Value> = items().into_iter().rev().collect();
    wrong.extend(items());
    let again = "ConfigHistory_AWS::EC2::Instance_20260301T060000Z_20260301T120000Z_1";
    let seen = of(&[(HISTORY, wrong), (again, items())]).await;
    for id in ["i-old", "i-new"] {
        assert_eq!(life(&seen, "instance", id), life(&right, "instance", id));
    }
    assert_eq!(seen.config.records, 9);
    assert_eq!(seen.config.repeated, 6);
}

#[tokio::test]
async fn a_state_has_the_names_of_the_service_s_own_api() {
    let mut exported = machine("i-text", 2, "OK");
    exported["configuration"] = exported["configuration"].to_string().into();
    let detector = json!({
        "configurationItemCaptureTime": hour(2), "configurationItemStatus": "OK", "awsAccountId": ACCOUNT,
        "awsRegion": REGION, "resourceType": "AWS::GuardDuty::Detector", "resourceId": "d1",
        "configuration": {"Id": "d1", "Enable": false},
    });
    let role = json!({
        "configurationItemCaptureTime": hour(2), "configurationItemStatus": "OK", "awsAccountId": ACCOUNT,
        "awsRegion": "global", "resourceType": "AWS::IAM::Role", "resourceId": "AROA1", "resourceName": "r",
        "configuration": {"roleName": "r", "roleLastUsed": {"lastUsedDate": "2026-02-01T00:00:00Z"}},
    });
    let seen = of(&[(
        HISTORY,
        vec![
            exported,
            user(Some("eve"), "AIDA1", 2, "OK"),
            detector,
            role,
        ],
    )])
    .await;
    let state = |region: &str, kind: &str, id: &str| {
        let (_, thing) = seen.get(ACCOUNT, region, kind, id).expect("it was seen");
        thing.first().expect("it was seen").state()
    };
    assert_eq!(
        state(REGION, "instance", "i-text"),
        json!({
            "InstanceId": "i-text", "InstanceType": "c5.large", "LaunchTime": "2026-03-01T01:30:00.000Z",
            "State": {"Code": 16, "Name": "running"}, "Tags": [],
        })
    );
    let user = state("global", "user", "eve");
    assert_eq!(user["Groups"], json!(["ops"]));
    assert_eq!(user["UserPolicyList"], Value::Null);
    assert_eq!(user["AttachedManagedPolicies"][0]["PolicyName"], "P");
    assert_eq!(
        state(REGION, "guardduty-detector", "d1")["Status"],
        "DISABLED"
    );
    // It is as old as the item.
    assert_eq!(state("global", "role", "r")["RoleLastUsed"], Value::Null);
}

#[tokio::test]
async fn a_snapshot_says_what_is_there_and_what_is_not() {
    const FIRST: &str = "ConfigSnapshot_20260301T080000Z_16da64e4";
    const SECOND: &str = "ConfigSnapshot_20260301T180000Z_26da64e4";
    let seen = of(&[
        (
            FIRST,
            vec![
                machine("i-1", 1, "OK"),
                machine("i-2", 2, "ResourceDiscovered"),
                user(Some("eve"), "AIDA1", 2, "OK"),
            ],
        ),
        (
            SECOND,
            vec![
                machine("i-2", 2, "ResourceDiscovered"),
                machine("i-3", 9, "ResourceDiscovered"),
            ],
        ),
    ])
    .await;
    assert_eq!(
        life(&seen, "instance", "i-1"),
        "old at 01, 1 states, gone by 18"
    );
    assert_eq!(
        life(&seen, "instance", "i-2"),
        "old at 02, 1 states, there at 18"
    );
    assert_eq!(
        life(&seen, "instance", "i-3"),
        "new at 09, 1 states, there at 18"
    );
    // Nothing of what has no region is in the second: nobody knows.
    assert_eq!(
        life(&seen, "user", "eve"),
        "old at 02, 1 states, there at 08"
    );
}

#[tokio::test]
async fn a_snapshot_after_what_was_asked_for_says_nothing_of_what_it_lacks() {
    let files = [
        (HISTORY, vec![machine("i-1", 1, "ResourceDiscovered")]),
        (
            "ConfigSnapshot_20260301T180000Z_26da64e4",
            vec![
                machine("i-1", 12, "OK"),
                machine("i-2", 2, "ResourceDiscovered"),
            ],
        ),
    ];
    let seen = of_until(&files, Some("2026-03-01T10:00:00Z")).await;
    assert_eq!(
        life(&seen, "instance", "i-1"),
        "old at 01, 1 states, there at 02"
    );
    let seen = of(&files).await;
    assert_eq!(
        life(&seen, "instance", "i-1"),
        "old at 01, 2 states, there at 18"
    );
}

#[tokio::test]
async fn a_machine_that_was_started_again_is_no_new_one() {
    // AWS Config gives the last start as the time of creation.
    let seen = of(&[(
        HISTORY,
        vec![
            machine("i-1", 1, "ResourceDiscovered"),
            machine("i-1", 4, "OK"),
            machine("i-before", 5, "OK"),
        ],
    )])
    .await;
    assert_eq!(
        life(&seen, "instance", "i-1"),
        "old at 01, 2 states, there at 05"
    );
    assert_eq!(
        life(&seen, "instance", "i-before"),
        "old at 05, 1 states, there at 05"
    );
}

#[tokio::test]
async fn a_snapshot_that_holds_what_is_gone_brings_nothing_back() {
    let seen = of(&[
        (
            HISTORY,
            vec![
                machine("i-1", 1, "ResourceDiscovered"),
                machine("i-1", 5, "ResourceDeleted"),
            ],
        ),
        (
            "ConfigSnapshot_20260301T080000Z_16da64e4",
            vec![machine("i-1", 1, "ResourceDiscovered")],
        ),
    ])
    .await;
    assert_eq!(
        life(&seen, "instance", "i-1"),
        "old at 01, 1 states, gone by 05"
    );
    assert_eq!(seen.config.repeated, 1);
}

#[tokio::test]
async fn a_type_that_is_not_recorded_is_unknown_and_never_gone() {
    let seen = of(&[(
        HISTORY,
        vec![
            machine("i-1", 1, "ResourceDiscovered"),
            machine("i-2", 4, "ResourceNotRecorded"),
            user(Some("eve"), "AIDA1", 6, "OK"),
        ],
    )])
    .await;
    assert_eq!(
        life(&seen, "instance", "i-1"),
        "old at 01, 1 states, there at 01"
    );
    assert_eq!(life(&seen, "instance", "i-2"), "never");
    assert_eq!(seen.config.unknown, 1);
}

#[tokio::test]
async fn a_user_is_followed_by_the_id_that_no_other_gets() {
    let seen = of(&[(
        HISTORY,
        vec![
            user(Some("eve"), "AIDA1", 1, "ResourceDiscovered"),
            user(Some("bob"), "AIDA2", 1, "ResourceDiscovered"),
            user(Some("eva"), "AIDA1", 3, "OK"),
            user(None, "AIDA1", 5, "ResourceDeleted"),
            // The name is another's before the deletion is noticed.
            user(Some("bob"), "AIDA3", 6, "ResourceDiscovered"),
            user(None, "AIDA2", 7, "ResourceDeleted"),
            user(None, "AIDA9", 8, "ResourceDeletedNotRecorded"),
        ],
    )])
    .await;
    assert_eq!(
        life(&seen, "user", "eve"),
        "old at 01, 1 states, gone by 03"
    );
    assert_eq!(
        life(&seen, "user", "eva"),
        "old at 03, 1 states, gone by 05"
    );
    assert!(life(&seen, "user", "bob").contains("there at"));
}

#[tokio::test]
async fn what_nobody_understands_is_counted_and_does_no_harm() {
    let mut summary = machine("i-1", 2, "OK");
    summary["configuration"] = Value::Null;
    let mut timeless = machine("i-2", 2, "OK");
    timeless["configurationItemCaptureTime"] = Value::Null;
    let mut list = machine("i-3", 2, "OK");
    list["configuration"] = json!(["not", "an", "object"]);
    let mut unknown = machine("i-4", 2, "OK");
    unknown["resourceType"] = "AWS::Unheard::Of".into();
    let mut bare = machine("i-5", 2, "SomethingNew");
    for name in [
        "relationships",
        "tags",
        "resourceCreationTime",
        "relatedEvents",
    ] {
        bare[name] = Value::Null;
    }
    let items = vec![
        machine("i-1", 1, "ResourceDiscovered"),
        summary,
        timeless,
        list,
        unknown,
        bare,
        machine("i-6", 3, "ResourceDeleted"),
        json!({"resourceType": null, "resourceId": null, "configurationItemStatus": null}),
    ];
    let seen = of(&[(HISTORY, items)]).await;
    // That it is there is known, and not how.
    assert_eq!(
        life(&seen, "instance", "i-1"),
        "old at 01, 2 states, there at 03"
    );
    assert_eq!(life(&seen, "instance", "i-2"), "never");
    assert_eq!(
        life(&seen, "instance", "i-3"),
        "old at 02, 1 states, there at 03"
    );
    assert_eq!(
        life(&seen, "instance", "i-5"),
        "old at 02, 1 states, there at 03"
    );
    assert_eq!(life(&seen, "instance", "i-6"), "never");
    assert_eq!((seen.config.records, seen.config.timeless), (8, 2));
}
