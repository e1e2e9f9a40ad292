//! What starts the function: the rules of EventBridge.
//!
//! What must stay true: every type that a playbook acts on starts it; what nobody acts on does not.

use serde_json::{Value, json};

/// How the finding types that start the function begin, as EventBridge patterns over `detail.type`.
///
/// Prefixes rather than names: a new form of a known type (`…!AMI`) must not be missed. What the
/// responder does not act on it reports, and a sample costs nothing.
pub const FINDING_PREFIXES: &[&str] = &[
    "AttackSequence:",
    "CryptoCurrency:",
    "Execution:",
    "Impact:EC2/BitcoinDomainRequest",
    "Impact:Runtime/",
    "Object:S3/MaliciousFile",
    "Trojan:EC2/DNSDataExfiltration",
    "Trojan:Runtime/",
];

/// Those that are known by their middle: what a key or a password did.
pub const FINDING_WILDCARDS: &[&str] = &["*:IAMUser/*"];

/// What the types of Security Hub's findings hold that start the function, where that is asked for.
///
/// Security Hub puts a taxonomy before a type and writes a hyphen for its slash
/// (`TTPs/Command and Control/CryptoCurrency:EC2-BitcoinTool.B`), so these are words from its middle.
/// They are few and have no `*` inside: EventBridge refuses rules whose wildcards are too many to match.
pub const SECURITY_HUB_WILDCARDS: &[&str] = &[
    "*AttackSequence:*",
    "*BitcoinDomainRequest*",
    "*CryptoCurrency:*",
    "*CryptoMinerExecuted*",
    "*DNSDataExfiltration*",
    "*MaliciousFile*",
    "*SuspiciousFile*",
    "*:IAMUser*",
];

/// The product whose findings in Security Hub start nothing: GuardDuty sends them itself.
const SENT_DIRECTLY: &str = "GuardDuty";

/// Name, description and pattern or schedule of each rule.
pub(super) fn rules() -> Vec<(&'static str, &'static str, Value)> {
    let mut types: Vec<Value> = FINDING_PREFIXES
        .iter()
        .map(|prefix| json!({"prefix": prefix}))
        .collect();
    types.extend(
        FINDING_WILDCARDS
            .iter()
            .map(|wildcard| json!({"wildcard": wildcard})),
    );
    let in_security_hub: Vec<Value> = SECURITY_HUB_WILDCARDS
        .iter()
        .map(|wildcard| json!({"wildcard": wildcard}))
        .collect();
    vec![
        (
            "Findings",
            "GuardDuty findings about mining and what leads to it",
            json!({"EventPattern": {
                "source": ["aws.guardduty"],
                "detail-type": ["GuardDuty Finding"],
                "detail": {"type": types},
            }}),
        ),
        (
            "SecurityHubFindings",
            "Findings about mining and stolen keys that others than GuardDuty send to Security Hub",
            json!({"EventPattern": {
                "source": ["aws.securityhub"],
                "detail-type": ["Security Hub Findings - Imported"],
                "detail": {"findings": {
                    "ProductName": [{"anything-but": [SENT_DIRECTLY]}],
                    "Types": in_security_hub,
                }},
            }}),
        ),
        (
            "ApiCalls",
            "A machine was started, root was used, a sensor was stopped",
            json!({"EventPattern": {
                "detail-type": ["AWS API Call via CloudTrail", "AWS Console Sign In via CloudTrail"],
                "$or": [
                    {"detail": {"userIdentity": {"type": ["Root"]}}},
                    {"detail": {
                        "eventSource": ["cloudtrail.amazonaws.com"],
                        "eventName": ["StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"],
                    }},
                    {"detail": {
                        "eventSource": ["guardduty.amazonaws.com"],
                        "eventName": ["DeleteDetector", "UpdateDetector", "DisassociateFromAdministratorAccount", "DeleteMembers", "StopMonitoringMembers"],
                    }},
                    {"detail": {
                        "eventSource": ["ec2.amazonaws.com"],
                        "eventName": ["RunInstances", "AssociateAddress"],
                    }},
                ],
            }}),
        ),
        (
            "Snapshots",
            "Evidence is complete, or has failed: the response goes on",
            json!({"EventPattern": {
                "source": ["aws.ec2"],
                "detail-type": ["EBS Snapshot Notification", "EBS Multi-Volume Snapshots Completion Status"],
            }}),
        ),
        (
            "BillingAlarms",
            "A CloudWatch alarm on charges rang",
            json!({"EventPattern": {
                "source": ["aws.cloudwatch"],
                "detail-type": ["CloudWatch Alarm State Change"],
                "detail": {
                    "state": {"value": ["ALARM"]},
                    "configuration": {"metrics": {"metricStat": {"metric": {"namespace": ["AWS/Billing"]}}}},
                },
            }}),
        ),
        (
            "Tick",
            "What waits is looked at again; that the function lives shows as well",
            json!({"ScheduleExpression": "rate(5 minutes)"}),
        ),
    ]
}
