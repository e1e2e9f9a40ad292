//! Events that are not GuardDuty's: calls, money, snapshots, clocks.

use davylamp_model::intake;
use serde_json::{Value, json};

use crate::told;

fn call(changes: Value) -> Value {
    let mut call = json!({
        "eventVersion": "1.11", "eventID": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "eventTime": "2026-05-06T07:00:00Z", "eventType": "AwsApiCall",
        "awsRegion": "eu-central-1", "recipientAccountId": "210987654321",
        "sourceIPAddress": "203.0.113.77", "userAgent": "aws-cli/2",
        "userIdentity": {"type": "IAMUser", "userName": "carol", "accountId": "210987654321",
            "arn": "arn:aws:iam::210987654321:user/carol", "accessKeyId": "AKIA0123456789ABCDEF"},
        "requestParameters": {}, "responseElements": null,
    });
    for (name, value) in changes.as_object().expect("an object") {
        call[name] = value.clone();
    }
    json!({"version": "0", "detail-type": "AWS API Call via CloudTrail", "source": "aws.x",
        "account": "210987654321", "region": "eu-central-1", "time": "2026-05-06T07:00:05Z",
        "detail": call})
}

#[test]
fn calls_that_matter_are_findings() {
    let ec2 = "ec2.amazonaws.com";
    let started = json!({"instancesSet": {"items": [
        {"instanceId": "i-0c0ffee0c0ffee001", "currentState": {"name": "pending"}},
        {"instanceId": "i-0c0ffee0c0ffee002", "currentState": {"name": "pending"}}]}});
    let asked = |public: bool| {
        json!({"networkInterfaceSet": {"items": [
            {"deviceIndex": 0, "associatePublicIpAddress": public}]}})
    };
    let root = json!({"type": "Root", "accountId": "210987654321",
        "arn": "arn:aws:iam::210987654321:root"});
    let root_through_service = json!({"type": "Root", "accountId": "210987654321",
        "invokedBy": "support.amazonaws.com"});
    let guardduty = "guardduty.amazonaws.com";
    let trail = "cloudtrail.amazonaws.com";
    let cases = [
        (
            "run-public",
            json!({"eventSource": ec2, "eventName": "RunInstances",
            "requestParameters": asked(true), "responseElements": started}),
        ),
        (
            "run-private",
            json!({"eventSource": ec2, "eventName": "RunInstances",
            "requestParameters": asked(false), "responseElements": started}),
        ),
        (
            "run-not-said",
            json!({"eventSource": ec2, "eventName": "RunInstances",
            "responseElements": started}),
        ),
        (
            "run-refused",
            json!({"eventSource": ec2, "eventName": "RunInstances",
            "requestParameters": asked(true), "errorCode": "Client.UnauthorizedOperation",
            "errorMessage": "no"}),
        ),
        (
            "start",
            json!({"eventSource": ec2, "eventName": "StartInstances",
            "responseElements": started}),
        ),
        (
            "associate-address",
            json!({"eventSource": ec2, "eventName": "AssociateAddress",
            "requestParameters": {"instanceId": "i-0c0ffee0c0ffee001",
                "allocationId": "eipalloc-1", "publicIp": "203.0.113.1"}}),
        ),
        (
            "associate-address-to-interface",
            json!({"eventSource": ec2,
            "eventName": "AssociateAddress",
            "requestParameters": {"networkInterfaceId": "eni-0c0ffee0c0ffee001"}}),
        ),
        (
            "interface-made-public",
            json!({"eventSource": ec2,
            "eventName": "ModifyNetworkInterfaceAttribute",
            "requestParameters": {"networkInterfaceId": "eni-0c0ffee0c0ffee001",
                "associatePublicIpAddress": true}}),
        ),
        (
            "interface-described",
            json!({"eventSource": ec2,
            "eventName": "ModifyNetworkInterfaceAttribute",
            "requestParameters": {"description": {"value": "x"}}}),
        ),
        (
            "stop-logging",
            json!({"eventSource": trail, "eventName": "StopLogging"}),
        ),
        (
            "selectors-whole",
            json!({"eventSource": trail, "eventName": "PutEventSelectors",
            "requestParameters": {"eventSelectors": [
                {"includeManagementEvents": true, "readWriteType": "All"}]}}),
        ),
        (
            "selectors-less",
            json!({"eventSource": trail, "eventName": "PutEventSelectors",
            "requestParameters": {"eventSelectors": [
                {"includeManagementEvents": false, "readWriteType": "All"}]}}),
        ),
        (
            "detector-deleted",
            json!({"eventSource": guardduty, "eventName": "DeleteDetector"}),
        ),
        (
            "detector-off",
            json!({"eventSource": guardduty, "eventName": "UpdateDetector",
            "requestParameters": {"detectorId": "d", "enable": false}}),
        ),
        (
            "detector-on",
            json!({"eventSource": guardduty, "eventName": "UpdateDetector",
            "requestParameters": {"detectorId": "d", "enable": true}}),
        ),
        (
            "left-administrator",
            json!({"eventSource": guardduty,
            "eventName": "DisassociateFromAdministratorAccount"}),
        ),
        (
            "root",
            json!({"eventSource": "iam.amazonaws.com", "eventName": "ListUsers",
            "userIdentity": root}),
        ),
        (
            "root-stops-trail",
            json!({"eventSource": trail, "eventName": "StopLogging",
            "userIdentity": root}),
        ),
        (
            "root-through-service",
            json!({"eventSource": ec2, "eventName": "DescribeRegions",
            "userIdentity": root_through_service}),
        ),
        (
            "root-login",
            json!({"eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin",
            "userIdentity": root, "responseElements": {"ConsoleLogin": "Success"}}),
        ),
        (
            "root-login-failed",
            json!({"eventSource": "signin.amazonaws.com",
            "eventName": "ConsoleLogin", "userIdentity": root,
            "responseElements": {"ConsoleLogin": "Failure"}}),
        ),
        (
            "ordinary",
            json!({"eventSource": ec2, "eventName": "DescribeInstances"}),
        ),
    ];
    for (name, changes) in cases {
        let event = call(changes);
        let told_of_event = told(&intake::read(event.to_string().as_bytes()));
        insta::assert_snapshot!(format!("call-{name}"), told_of_event);
        let log = json!({"Records": [event["detail"]]});
        assert_eq!(
            told(&intake::read(log.to_string().as_bytes())),
            told_of_event,
            "{name}"
        );
    }
}

#[test]
fn alarms_about_money_are_findings() {
    let letter = "AWS Budget Notification May 06, 2026\nAWS Account 210987654321\n\n\
        Dear AWS Customer,\n\nBudget Name: compute\nBudget Type: Cost\nBudgeted Amount: $100.00\n\
        Alert Type: ACTUAL\nAlert Threshold: > $80.00\nACTUAL Amount: $93.10\n";
    let sns = |message: &str| {
        json!({"Type": "Notification", "Message": message,
            "TopicArn": "arn:aws:sns:us-east-1:210987654321:money",
            "Timestamp": "2026-05-06T07:00:00.000Z"})
        .to_string()
    };
    let alarm = |state: &str, namespace: &str| {
        sns(
            &json!({"AlarmName": "spend", "AWSAccountId": "210987654321", "NewStateValue": state,
            "NewStateReason": "Threshold Crossed", "Region": "US East (N. Virginia)",
            "StateChangeTime": "2026-05-06T07:00:00.000+0000",
            "AlarmArn": "arn:aws:cloudwatch:us-east-1:210987654321:alarm:spend",
            "Trigger": {"MetricName": "EstimatedCharges", "Namespace": namespace}})
            .to_string(),
        )
    };
    let change = |state: &str| {
        json!({"detail-type": "CloudWatch Alarm State Change", "source": "aws.cloudwatch",
            "account": "210987654321", "region": "us-east-1", "time": "2026-05-06T07:00:00Z",
            "detail": {"alarmName": "spend", "state": {"value": state, "reason": "r",
                "timestamp": "2026-05-06T07:00:00.000+0000"},
                "configuration": {"metrics": [{"metricStat": {"metric": {
                    "namespace": "AWS/Billing", "name": "EstimatedCharges"}}}]}}})
        .to_string()
    };
    let cause = |account: &str| {
        json!({"service": "Amazon Elastic Compute Cloud", "region": "eu-central-1",
            "linkedAccount": account, "usageType": "EUC1-BoxUsage:p4d.24xlarge"})
    };
    let anomaly = |causes: Value| {
        json!({"accountId": "111122223333", "monitorName": "m", "anomalyId": "anomaly-1",
            "anomalyStartDate": "2026-05-05T00:00:00Z", "anomalyEndDate": "2026-05-06T00:00:00Z",
            "impact": {"maxImpact": 100, "totalImpact": 812.5}, "rootCauses": causes})
    };
    let anomaly_event = json!({"detail-type": "Anomaly Detected", "source": "aws.ce",
        "account": "111122223333", "region": "us-east-1", "time": "2026-05-06T07:00:00Z",
        "detail": anomaly(json!([cause("210987654321")]))});
    let budget_event = json!({"detail-type": "Budget Threshold Breached", "source": "aws.budgets",
        "account": "210987654321", "region": "us-east-1", "time": "2026-05-06T07:00:00Z",
        "detail": {"budgetName": "compute", "alertType": "FORECASTED", "threshold": 80}});
    let cases = [
        ("budget-letter", letter.to_owned()),
        ("budget-letter-sns", sns(letter)),
        ("budget-event", budget_event.to_string()),
        (
            "anomaly",
            anomaly(json!([cause("210987654321")])).to_string(),
        ),
        ("anomaly-event", anomaly_event.to_string()),
        (
            "anomaly-of-two-accounts",
            anomaly(json!([cause("210987654321"), cause("444455556666")])).to_string(),
        ),
        ("alarm", alarm("ALARM", "AWS/Billing")),
        ("alarm-over", alarm("OK", "AWS/Billing")),
        ("alarm-of-processor", alarm("ALARM", "AWS/EC2")),
        ("alarm-event", change("ALARM")),
        ("alarm-event-over", change("OK")),
    ];
    for (name, input) in cases {
        insta::assert_snapshot!(
            format!("cost-{name}"),
            told(&intake::read(input.as_bytes()))
        );
    }
}

#[test]
fn snapshots_and_clocks_are_signals() {
    let event = |detail: Value| {
        json!({"version": "0", "detail-type": "EBS Snapshot Notification", "source": "aws.ec2",
            "account": "210987654321", "region": "eu-central-1", "time": "2026-05-06T07:00:00Z",
            "resources": [], "detail": detail})
    };
    let arn = |kind: &str, id: &str| format!("arn:aws:ec2::eu-central-1:{kind}/{id}");
    let one = |name: &str, result: &str| {
        event(
            json!({"event": name, "result": result, "cause": "", "request-id": "",
            "snapshot_id": arn("snapshot", "snap-0c0ffee0c0ffee001"),
            "source": arn("volume", "vol-0c0ffee0c0ffee001"),
            "startTime": "2026-05-06T06:50:00Z", "endTime": "2026-05-06T06:59:00Z"}),
        )
    };
    let part = |number: u32, status: &str| {
        json!({"snapshot_id": arn("snapshot", &format!("snap-0000000{number}")),
            "source": arn("volume", &format!("vol-0000000{number}")), "status": status})
    };
    let mut set = event(json!({"event": "createSnapshots", "result": "failed",
        "cause": "Snapshot snap-00000002 is in status error",
        "snapshots": [part(1, "completed"), part(2, "error")]}));
    set["detail-type"] = json!("EBS Multi-Volume Snapshots Completion Status");
    let copy = event(json!({"event": "copySnapshot", "result": "succeeded",
        "snapshot_id": "arn:aws:ec2:eu-central-1::snapshot/snap-0c0ffee0c0ffee002",
        "source": "arn:aws:ec2:eu-west-1::snapshot/snap-0c0ffee0c0ffee001"}));
    let tick = json!({"version": "0", "detail-type": "Scheduled Event", "source": "aws.events",
        "account": "210987654321", "region": "eu-central-1", "time": "2026-05-06T07:00:00Z",
        "resources": ["arn:aws:events:eu-central-1:210987654321:rule/tick"], "detail": {}});
    let cases = [
        ("created", one("createSnapshot", "succeeded")),
        ("failed", one("createSnapshot", "failed")),
        ("set", set),
        ("copied", copy),
        ("no-result", one("createSnapshot", "")),
        ("shared", one("shareSnapshot", "succeeded")),
        (
            "malformed",
            event(json!({"event": "createSnapshot", "result": "succeeded",
            "snapshot_id": "snap-*"})),
        ),
        ("tick", tick),
    ];
    for (name, input) in cases {
        insta::assert_snapshot!(
            format!("signal-{name}"),
            told(&intake::read(input.to_string().as_bytes()))
        );
    }
}
