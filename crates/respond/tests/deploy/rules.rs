//! The patterns of the EventBridge rules against the findings that the playbooks act on.

use davylamp_model::finding::Behaviour;
use davylamp_model::intake::{self, types::TYPES};
use davylamp_respond::deploy::{cloudformation, lambda_purposes};
use serde_json::{Value, json};

/// Whether an event matches a pattern, as far as our patterns go: exact texts, `prefix`, `wildcard`,
/// `anything-but` and `$or`.
fn matches(pattern: &Value, event: &Value) -> bool {
    let Some(members) = pattern.as_object() else {
        return false;
    };
    members.iter().all(|(name, wanted)| match wanted {
        Value::Array(several) if name == "$or" => several.iter().any(|one| matches(one, event)),
        Value::Array(several) => match &event[name] {
            Value::Array(values) => values
                .iter()
                .any(|value| several.iter().any(|one| is_one(one, value))),
            value => several.iter().any(|one| is_one(one, value)),
        },
        // A pattern goes into each member of a list.
        nested => match &event[name] {
            Value::Array(values) => values.iter().any(|value| matches(nested, value)),
            value => matches(nested, value),
        },
    })
}

fn is_one(wanted: &Value, value: &Value) -> bool {
    let Some(condition) = wanted.as_object() else {
        return wanted == value;
    };
    let Some(text) = value.as_str() else {
        return false;
    };
    condition.iter().all(|(kind, argument)| {
        if kind == "anything-but" {
            let not = argument.as_array().expect("a list");
            return !not.contains(value);
        }
        let argument = argument.as_str().expect("a text");
        match kind.as_str() {
            "prefix" => text.starts_with(argument),
            "wildcard" => is_like(argument, text),
            other => panic!("the matcher does not know {other}"),
        }
    })
}

/// Whether a text matches a pattern in which `*` stands for any text.
fn is_like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|text| {
            (0..=text.len())
                .filter(|at| text.is_char_boundary(*at))
                .any(|at| is_like(rest, &text[at..]))
        }),
    }
}

fn rule(name: &str) -> Value {
    cloudformation(&lambda_purposes())["Resources"][name]["Properties"]["EventPattern"].clone()
}

fn started_by(event: &Value) -> Vec<&'static str> {
    [
        "Findings",
        "SecurityHubFindings",
        "ApiCalls",
        "Snapshots",
        "BillingAlarms",
    ]
    .into_iter()
    .filter(|name| matches(&rule(name), event))
    .collect()
}

fn finding(kind: &str) -> Value {
    json!({
        "source": "aws.guardduty",
        "detail-type": "GuardDuty Finding",
        "detail": {"type": kind},
    })
}

#[test]
fn every_type_that_a_playbook_acts_on_starts_the_function() {
    let mut seen = 0;
    for (behaviour, kinds) in TYPES {
        if matches!(behaviour, Behaviour::Other | Behaviour::Unknown) {
            continue;
        }
        for kind in *kinds {
            seen += 1;
            assert_eq!(started_by(&finding(kind)), ["Findings"], "{kind}");
        }
    }
    assert!(seen > 30, "only {seen} types");
}

/// As Security Hub sends it: one finding to an event, the taxonomy before the type, a hyphen for its
/// slash.
fn imported(product: &str, kind: &str) -> Value {
    json!({
        "version": "0",
        "account": "111122223333",
        "region": "eu-central-1",
        "source": "aws.securityhub",
        "detail-type": "Security Hub Findings - Imported",
        "detail": {"findings": [{
            "SchemaVersion": "2018-10-08",
            "Id": "finding-1",
            "ProductArn": "arn:aws:securityhub:eu-central-1::product/other/other",
            "ProductName": product,
            "AwsAccountId": "111122223333",
            "Region": "eu-central-1",
            "Title": "mining",
            "Types": [format!("TTPs/Impact/{}", kind.replacen('/', "-", 1))],
            "Severity": {"Label": "HIGH"},
            "RecordState": "ACTIVE",
            "Resources": [{
                "Type": "AwsEc2Instance",
                "Id": "arn:aws:ec2:eu-central-1:111122223333:instance/i-0123456789abcdef0",
            }],
        }]},
    })
}

#[test]
fn what_others_send_to_security_hub_starts_it_and_what_guardduty_sends_there_does_not() {
    for (behaviour, kinds) in TYPES {
        // Use of root is the matter of another rule, and named as the keys are.
        let acts = !matches!(behaviour, Behaviour::Other | Behaviour::Unknown);
        for kind in kinds.iter().filter(|_| acts) {
            let event = imported("Other", kind);
            assert_eq!(started_by(&event), ["SecurityHubFindings"], "{kind}");
            assert!(
                started_by(&imported("GuardDuty", kind)).is_empty(),
                "{kind}"
            );
            // What starts the function is read by it as what it is.
            let intake = intake::read(event.to_string().as_bytes());
            assert_eq!(intake.findings.len(), 1, "{intake:?}");
            assert_eq!(intake.findings[0].behaviour, *behaviour, "{kind}");
        }
    }
    for kind in [
        "Recon:EC2/Portscan",
        "Policy:S3/BucketPublicAccessGranted",
        "",
    ] {
        assert!(started_by(&imported("Other", kind)).is_empty(), "{kind}");
    }
    let mut other = imported("Other", "CryptoCurrency:EC2/BitcoinTool.B");
    other["detail-type"] = json!("Security Hub Findings - Custom Action");
    assert!(started_by(&other).is_empty());
}

#[test]
fn a_new_form_of_a_known_type_starts_it_and_what_is_none_of_ours_does_not() {
    for kind in [
        "CryptoCurrency:EC2/BitcoinTool.C",
        "Execution:EC2/MaliciousFile!Disk",
        "AttackSequence:Lambda/CompromisedFunction",
        "Impact:Runtime/CryptoMinerExecuted.Custom",
        "Exfiltration:IAMUser/AnomalousBehavior",
    ] {
        assert_eq!(started_by(&finding(kind)), ["Findings"], "{kind}");
    }
    for kind in [
        "Recon:EC2/Portscan",
        "Policy:S3/BucketAnonymousAccessGranted",
        "",
    ] {
        assert!(started_by(&finding(kind)).is_empty(), "{kind}");
    }
    let mut other = finding("CryptoCurrency:EC2/BitcoinTool.B");
    other["source"] = json!("mine");
    assert!(started_by(&other).is_empty());
}

#[test]
fn the_other_rules_take_what_they_are_for() {
    let call = |source: &str, name: &str| {
        json!({
            "source": "aws.any",
            "detail-type": "AWS API Call via CloudTrail",
            "detail": {
                "eventSource": source,
                "eventName": name,
                "userIdentity": {"type": "IAMUser"},
            },
        })
    };
    for (source, name) in [
        ("cloudtrail.amazonaws.com", "StopLogging"),
        ("guardduty.amazonaws.com", "DeleteDetector"),
        ("ec2.amazonaws.com", "RunInstances"),
    ] {
        assert_eq!(started_by(&call(source, name)), ["ApiCalls"], "{name}");
    }
    assert!(started_by(&call("ec2.amazonaws.com", "DescribeInstances")).is_empty());
    let mut root = call("iam.amazonaws.com", "CreateUser");
    root["detail"]["userIdentity"]["type"] = json!("Root");
    assert_eq!(started_by(&root), ["ApiCalls"]);
    let complete = json!({
        "source": "aws.ec2",
        "detail-type": "EBS Multi-Volume Snapshots Completion Status",
        "detail": {"event": "createSnapshots", "result": "succeeded"},
    });
    assert_eq!(started_by(&complete), ["Snapshots"]);
    let alarm = |namespace: &str, state: &str| {
        json!({
            "source": "aws.cloudwatch",
            "detail-type": "CloudWatch Alarm State Change",
            "detail": {
                "state": {"value": state},
                "configuration": {"metrics": [{"metricStat": {"metric": {"namespace": namespace}}}]},
            },
        })
    };
    assert_eq!(
        started_by(&alarm("AWS/Billing", "ALARM")),
        ["BillingAlarms"]
    );
    assert!(started_by(&alarm("AWS/Billing", "OK")).is_empty());
    assert!(started_by(&alarm("AWS/EC2", "ALARM")).is_empty());
}
