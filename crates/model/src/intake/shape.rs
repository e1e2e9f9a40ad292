//! Telling the forms apart.
//!
//! By members, not by one tag: half-empty findings must be told too.

use super::arn::ArnParts;
use super::members::Members;

/// The forms of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Event,
    List(&'static str),
    Notification,
    Message,
    SnsRecord,
    /// What Lambda writes of an event that it gave up on.
    GivenUp,
    S3Record,
    Ocsf,
    Asff,
    CloudTrail,
    Alarm,
    Anomaly,
    Budget,
    Guard,
    GuardDuty,
}

/// Members that hold a list of things to read.
const LISTS: &[&str] = &["Records", "Messages", "Findings", "Anomalies"];

/// The form of an object, if it has one.
pub(super) fn form(members: Members<'_>) -> Option<Form> {
    let has = |name| members.has(name);
    let text = |name| {
        members
            .get(name)
            .and_then(|member| member.value().as_str())
            .unwrap_or_default()
    };
    if has("detail-type") || (has("detail") && has("source")) {
        return Some(Form::Event);
    }
    if has("requestPayload") && has("requestContext") {
        return Some(Form::GivenUp);
    }
    if has("class_uid") {
        return Some(Form::Ocsf);
    }
    if has("ProductArn") && (has("AwsAccountId") || has("Types") || has("GeneratorId")) {
        return Some(Form::Asff);
    }
    let list = LISTS.iter().find(|name| {
        members
            .get(name)
            .is_some_and(|member| member.value().is_array())
    });
    if let Some(name) = list {
        return Some(Form::List(name));
    }
    if has("Sns") {
        return Some(Form::SnsRecord);
    }
    if has("Message") && has("TopicArn") {
        return Some(Form::Notification);
    }
    if has("body") && (has("messageId") || has("receiptHandle") || has("eventSource")) {
        return Some(Form::Message);
    }
    if has("s3") && has("eventName") {
        return Some(Form::S3Record);
    }
    if has("eventSource") && has("eventName") {
        return Some(Form::CloudTrail);
    }
    if has("AlarmName") && has("NewStateValue") {
        return Some(Form::Alarm);
    }
    if has("anomalyId") {
        return Some(Form::Anomaly);
    }
    if has("cmdline") && has("matched") && has("action") {
        return Some(Form::Guard);
    }
    let kind = [text("type"), text("category")]
        .into_iter()
        .any(|kind| kind.contains(':') && kind.contains('/'));
    let arn = ArnParts::of(text("arn")).is_some_and(|arn| arn.service == "guardduty");
    let service = members
        .at(&["service", "serviceName"])
        .is_some_and(|name| name.value() == "guardduty");
    let parts = ["resource", "service", "finding"].into_iter().any(has);
    if arn || service || (kind && parts) || (text("schemaVersion") == "2.0" && parts) {
        return Some(Form::GuardDuty);
    }
    has("budgetName").then_some(Form::Budget)
}
