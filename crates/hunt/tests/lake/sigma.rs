//! Sigma rules as hunts: they find what another reading of the same rule finds, or are refused.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_hunt::sigma::{self, Trouble};
use serde_json::{Value, json};

use crate::support::Ask;

/// A rule over CloudTrail with this detection.
fn rule(detection: &str) -> String {
    let detection = detection.trim_matches('\n').replace('\n', "\n  ");
    format!(
        "title: a rule\nstatus: test\nlevel: high\ntags: [attack.t1078.004, attack.initial-access]\n\
         logsource:\n  product: aws\n  service: cloudtrail\ndetection:\n  {detection}\n"
    )
}

/// Events that differ in what rules ask; each has an address of its own to be told by.
fn events() -> Vec<Value> {
    let kinds = [
        json!({"eventName": "ConsoleLogin", "eventSource": "signin.amazonaws.com",
            "userIdentity": {"type": "Root", "arn": "arn:aws:iam::111122223333:root"},
            "additionalEventData": {"MFAUsed": "No"},
            "responseElements": {"ConsoleLogin": "Success"}}),
        json!({"eventName": "consolelogin", "eventSource": "signin.amazonaws.com",
            "userIdentity": {"type": "IAMUser", "userName": "ada"},
            "additionalEventData": {"MFAUsed": "Yes"},
            "responseElements": {"ConsoleLogin": "Failure"}}),
        json!({"eventName": "RunInstances", "eventSource": "ec2.amazonaws.com",
            "userIdentity": {"type": "AssumedRole", "invokedBy": "autoscaling.amazonaws.com"},
            "requestParameters": {"instanceType": "p4d.24xlarge", "minCount": 10},
            "responseElements": null, "errorCode": "Client.UnauthorizedOperation"}),
        json!({"eventName": "DescribeInstances*", "eventSource": "ec2.amazonaws.com",
            "userAgent": "Boto3/1.34\nlinux", "userIdentity": {"type": "IAMUser"},
            "requestParameters": {"instanceType": "t3.micro", "minCount": 1}, "readOnly": true}),
        json!({"eventName": "Describe(x)", "eventSource": "ec2.amazonaws.com",
            "userAgent": "it's 100%_odd", "userIdentity": null, "readOnly": false}),
    ];
    let number = |(at, mut event): (usize, Value)| {
        event["eventID"] = json!(format!("e-{at}"));
        event["eventTime"] = json!("2026-03-01T12:00:00Z");
        event["sourceIPAddress"] = json!(format!("198.51.100.{at}"));
        event["awsRegion"] = json!("eu-central-1");
        event["recipientAccountId"] = json!("111122223333");
        event
    };
    kinds.into_iter().enumerate().map(number).collect()
}

/// The addresses of the events that a rule fits, by our SQL.
fn found(text: &str) -> BTreeSet<String> {
    let hunt = sigma::hunt("sigma/test", text).unwrap_or_else(|why| panic!("{why}\n{text}"));
    let sql = hunt.sql(&BTreeMap::new()).expect("it has no parameters");
    let lines: Vec<String> = events().iter().map(Value::to_string).collect();
    let rows = Ask::new(&sql).of("trail.json", lines.join("\n")).rows();
    let mut rows = rows.lines();
    let header = rows.next().unwrap_or_default();
    // Without a row there is no header either.
    let Some(at) = header
        .split(',')
        .position(|name| name == "source_ip_address")
    else {
        assert_eq!(header, "");
        return BTreeSet::new();
    };
    rows.filter_map(|row| row.split(',').nth(at))
        .map(str::to_owned)
        .collect()
}

#[test]
fn rules_find_what_another_reading_of_them_finds() {
    let events = events();
    let mut sizes = BTreeSet::new();
    for detection in [
        "selection:\n  eventName: ConsoleLogin\ncondition: selection",
        "selection:\n  eventName|cased: ConsoleLogin\ncondition: selection",
        "selection:\n  eventName: [RunInstances, 'Describe*']\ncondition: selection",
        "selection:\n  eventName: 'DescribeInstances\\*'\ncondition: selection",
        "selection:\n  eventName: 'Describe(?)'\ncondition: selection",
        "selection:\n  userAgent|contains: ['BOTO3', \"it's\"]\ncondition: selection",
        "selection:\n  userAgent|contains|all: ['boto3', 'linux']\ncondition: selection",
        "selection:\n  userAgent|contains: '%_'\ncondition: selection",
        "selection:\n  eventName|startswith: run\n  eventSource|endswith: .amazonaws.com\ncondition: selection",
        "selection:\n  userIdentity.type: Root\ncondition: selection",
        "selection:\n  userIdentity.type: Root\ncondition: not selection",
        "selection:\n  eventSource: signin.amazonaws.com\nfilter:\n  additionalEventData.MFAUsed: 'Yes'\ncondition: selection and not filter",
        "selection:\n  responseElements.ConsoleLogin|contains: fail\ncondition: selection",
        "selection:\n  errorCode|re: '^Client\\.[A-Z]'\ncondition: selection",
        "selection:\n  sourceIPAddress|cidr: 198.51.100.0/31\ncondition: selection",
        "selection:\n  errorCode|exists: true\ncondition: selection",
        "selection:\n  requestParameters.instanceType|exists: false\ncondition: selection",
        "selection:\n  requestParameters.minCount: 10\ncondition: selection",
        "selection:\n  readOnly: true\ncondition: selection",
        "selection:\n  - eventName: RunInstances\n  - userIdentity.type: Root\n    eventName: ConsoleLogin\ncondition: selection",
        "sel_a:\n  eventName: RunInstances\nsel_b:\n  userIdentity.type: Root\nother:\n  awsRegion: eu-central-1\ncondition: 1 of sel_* and other",
        "sel_a:\n  eventSource: ec2.amazonaws.com\nsel_b:\n  readOnly: true\ncondition: all of them",
        "a:\n  eventName: RunInstances\nb:\n  readOnly: true\nc:\n  userIdentity.type: Root\ncondition: a or b and not (c or a)",
    ] {
        let text = rule(detection);
        let oracle = sigma_rust::rule_from_yaml(&text).expect("it is a rule");
        let expected: BTreeSet<String> = events
            .iter()
            .filter(|event| {
                let event = sigma_rust::event_from_json(&event.to_string()).expect("an event");
                sigma_rust::check_rule(&oracle, &event)
            })
            .map(|event| {
                event["sourceIPAddress"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
        sizes.insert(expected.len());
        assert_eq!(found(&text), expected, "{detection}");
    }
    // Rules that all find nothing, or everything, would agree with anything.
    assert!(sizes.len() > 2, "{sizes:?}");
}

#[test]
fn fields_are_compared_with_each_other_and_null_is_absent() {
    let same = rule("selection:\n  eventName|fieldref: eventName\ncondition: selection");
    assert_eq!(found(&same).len(), 5);
    let other = rule("selection:\n  eventName|fieldref: eventSource\ncondition: selection");
    assert!(found(&other).is_empty());
    let absent = rule("selection:\n  errorCode: null\ncondition: selection");
    assert_eq!(found(&absent).len(), 4);
}

#[test]
fn every_item_of_a_list_counts() {
    let text = rule(
        "selection:\n  requestParameters.ipPermissions.items.ipRanges.items.cidrIp: 0.0.0.0/0\ncondition: selection",
    );
    let hunt = sigma::hunt("sigma/test", &text).expect("it can be asked");
    let event = json!({"eventName": "AuthorizeSecurityGroupIngress", "eventSource": "ec2.amazonaws.com",
        "eventTime": "2026-03-01T12:00:00Z", "sourceIPAddress": "198.51.100.1",
        "requestParameters": {"ipPermissions": {"items": [
            {"ipRanges": {"items": [{"cidrIp": "10.0.0.0/8"}]}},
            {"ipRanges": {"items": [{"cidrIp": "192.0.2.0/24"}, {"cidrIp": "0.0.0.0/0"}]}}]}}});
    let sql = hunt.sql(&BTreeMap::new()).expect("it has no parameters");
    let rows = Ask::new(&sql).of("trail.json", event.to_string()).rows();
    assert_eq!(rows.lines().count(), 2, "{rows}");
}

#[test]
fn a_rule_is_asked_whole_or_refused_with_the_reason() {
    for (detection, said) in [
        (
            "selection:\n  eventName|base64: x\ncondition: selection",
            "the modifier base64",
        ),
        (
            "selection:\n  CommandLine: x\ncondition: selection",
            "no column for the field CommandLine",
        ),
        (
            "keywords: [miner]\ncondition: keywords",
            "a search without a field",
        ),
        (
            "selection:\n  eventName: x\ncondition: selection | count() > 5",
            "an aggregation is not supported",
        ),
        (
            "selection:\n  eventName: x\ncondition: 2 of selection*",
            "condition cannot be followed",
        ),
        (
            "selection:\n  eventName: x\ncondition: 1 of nothing*",
            "no search is called",
        ),
        (
            "selection:\n  eventName: x\ntimeframe: 5m\ncondition: selection",
            "a timeframe is not supported",
        ),
        (
            "selection:\n  requestParameters.a|fieldref: eventName\ncondition: selection",
            "a comparison with a field inside JSON",
        ),
    ] {
        let why = sigma::hunt("sigma/test", &rule(detection));
        let why = why.expect_err(detection).to_string();
        assert!(why.contains(said), "{detection}: {why}");
    }
    let windows = rule("selection:\n  a: b\ncondition: selection").replace("aws", "windows");
    let why = sigma::hunt("sigma/test", &windows).expect_err("it is elsewhere");
    assert!(matches!(why, Trouble::Elsewhere(_)), "{why}");
    for text in [
        "",
        "{",
        "title: x",
        "- a\n- b",
        "title: x\nlogsource: {service: cloudtrail}",
    ] {
        sigma::hunt("sigma/test", text).expect_err(text);
    }
}

#[test]
fn a_folder_of_rules_is_read_however_deep() {
    let folder = tempfile::tempdir().expect("there is room");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("there is room");
        std::fs::write(path, text).expect("there is room");
    };
    let good = rule("selection:\n  eventName: ConsoleLogin\ncondition: selection");
    write("cloud/aws/login.yml", &good);
    write(
        "cloud/aws/old.yaml",
        &good.replace("status: test", "status: deprecated"),
    );
    write(
        "windows/x.yml",
        &good.replace("product: aws", "product: windows"),
    );
    write("broken.yml", "title: [");
    write("README.md", "no rule");
    let brought = sigma::read(folder.path()).expect("it can be listed");
    let names: Vec<&str> = brought
        .hunts
        .iter()
        .map(|hunt| hunt.name.as_str())
        .collect();
    assert_eq!(names, ["sigma/cloud/aws/login"]);
    assert_eq!(brought.hunts[0].techniques, ["T1078.004"]);
    assert_eq!(brought.elsewhere, 1);
    assert_eq!(brought.refused.len(), 2, "{:?}", brought.refused);
    sigma::read(&folder.path().join("nowhere")).expect_err("it is not there");
}
