//! Alarms about money: AWS Budgets, Cost Anomaly Detection, CloudWatch alarms on billing.
//!
//! Budgets write a letter, not JSON; what is read of it are its labelled lines. An alarm counts
//! only in state ALARM and only on a metric of `AWS/Billing`. Money is the account's: no machine is
//! ever the resource of one of these.

use jiff::Timestamp;
use serde_json::Value;

use crate::finding::{Behaviour, Finding, FindingSource, Severity};
use crate::ids::FindingId;
use crate::resource::{Place, Resource};

use super::arn::ArnParts;
use super::forms::{Envelope, Found};
use super::guardduty::{id_or_digest, place};
use super::members::{Gaps, Members, digest};
use super::names;
use super::observed::Observations;

/// Billing metrics, budgets and anomalies live in this region
/// (CloudWatch user guide, "Create a billing alarm").
const BILLING_REGION: &str = "us-east-1";
/// How every letter of AWS Budgets begins.
const LETTER: &str = "AWS Budget Notification";
const BILLING_NAMESPACE: &str = "AWS/Billing";

struct Draft<'a> {
    id: String,
    kind: &'static str,
    title: String,
    severity: Severity,
    place: Option<Place>,
    at: Option<Timestamp>,
    seen: Observations,
    members: Members<'a>,
}

fn finish(draft: Draft<'_>) -> Finding {
    let observed = draft.seen.finish(draft.members);
    Finding {
        id: FindingId(draft.id),
        source: FindingSource::Cost,
        kind: draft.kind.to_owned(),
        behaviour: Behaviour::CostAlarm,
        title: draft.title,
        severity: draft.severity,
        place: draft.place,
        resources: vec![Resource::Account],
        first_seen: draft.at,
        last_seen: draft.at,
        count: 1,
        sample: false,
        archived: false,
        detector: None,
        observed,
        gaps: draft.members.gaps().noted(),
    }
}

/// A budget that forecasts too much warns; one that has been spent alarms.
fn budget_severity(alert: Option<&str>) -> Severity {
    match alert {
        Some(alert) if alert.eq_ignore_ascii_case("FORECASTED") => Severity::Medium,
        _ => Severity::High,
    }
}

/// A budget's letter; `None` where the text is none.
pub(super) fn budget_letter(text: &str, envelope: &Envelope) -> Option<Finding> {
    let text = text.trim();
    if !text.starts_with(LETTER) {
        return None;
    }
    let labelled = |label: &str| {
        text.lines().find_map(|line| {
            let value = line.trim().strip_prefix(label)?.trim();
            (!value.is_empty()).then_some(value)
        })
    };
    let gaps = Gaps::default();
    let body = Value::String(text.to_owned());
    let members = Members::of(&body, &gaps);
    let alert = labelled("Alert Type:");
    let name = labelled("Budget Name:");
    let mut seen = Observations::default();
    seen.add("budget", name);
    seen.add("alert", alert);
    seen.add("threshold", labelled("Alert Threshold:"));
    seen.add(
        "amount",
        labelled("ACTUAL Amount:").or_else(|| labelled("FORECASTED Amount:")),
    );
    let account = labelled("AWS Account");
    let region = envelope.region.as_deref().unwrap_or(BILLING_REGION);
    Some(finish(Draft {
        id: digest(&body),
        kind: "AWSBudgets:Alert",
        title: format!(
            "A budget's threshold was crossed: {}",
            name.unwrap_or("the letter does not name it")
        ),
        severity: budget_severity(alert),
        place: place(account, Some(region), &Envelope::default(), &gaps),
        at: envelope.time,
        seen,
        members,
    }))
}

/// A budget's alert as JSON.
pub(super) fn budget(value: &Value, envelope: &Envelope) -> Finding {
    let gaps = Gaps::default();
    let members = Members::of(value, &gaps);
    let alert = members
        .text("alertType")
        .or_else(|| members.text("notificationType"));
    let name = members.text("budgetName");
    let mut seen = Observations::default();
    seen.add("budget", name);
    seen.add("alert", alert);
    for (what, names) in [
        ("threshold", ["alertThreshold", "threshold"]),
        ("amount", ["actualAmount", "forecastedAmount"]),
    ] {
        let found = names.iter().find_map(|name| members.get(name));
        seen.add(what, found.map(|found| as_text(found.value())).as_deref());
    }
    let region = members.text("region").unwrap_or(BILLING_REGION);
    let outer = Envelope {
        region: None,
        ..envelope.clone()
    };
    finish(Draft {
        id: digest(value),
        kind: "AWSBudgets:Alert",
        title: format!(
            "A budget's threshold was crossed: {}",
            name.unwrap_or("the alert does not name it")
        ),
        severity: budget_severity(alert),
        place: place(members.text("accountId"), Some(region), &outer, &gaps),
        at: envelope.time,
        seen,
        members,
    })
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The only text of its kind among the root causes, if they agree.
fn only<'a>(causes: &[Members<'a>], name: &str) -> Option<&'a str> {
    let mut said = causes.iter().filter_map(|cause| cause.text(name));
    let first = said.next()?;
    said.all(|other| other == first).then_some(first)
}

/// An anomaly, as Cost Anomaly Detection sends it
/// (<https://docs.aws.amazon.com/cost-management/latest/userguide/ad-SNS.html>).
pub(super) fn anomaly(value: &Value, envelope: &Envelope) -> Finding {
    let gaps = Gaps::default();
    let members = Members::of(value, &gaps);
    let causes = members.items("rootCauses");
    let mut seen = Observations::default();
    for cause in &causes {
        for (what, name) in [
            ("service", "service"),
            ("region", "region"),
            ("account", "linkedAccount"),
            ("usage-type", "usageType"),
        ] {
            seen.add(what, cause.text(name));
        }
    }
    let impact = members
        .at(&["impact"])
        .and_then(|impact| impact.number("totalImpact"));
    let impact = impact.map(|impact| format!("{impact}"));
    seen.add("amount", impact.as_deref());
    seen.add("link", members.text("anomalyDetailsLink"));
    // The money was spent in the linked account; the sender is the one that pays.
    let linked = only(&causes, "linkedAccount");
    if linked.is_none() && causes.len() > 1 {
        gaps.note("The anomaly's causes lie in several accounts; the paying account is named.");
    }
    let account = linked.or_else(|| members.text("accountId"));
    let region = only(&causes, "region").unwrap_or(BILLING_REGION);
    let service = only(&causes, "service").unwrap_or("several services");
    let outer = Envelope {
        account: account
            .is_none()
            .then(|| envelope.account.clone())
            .flatten(),
        region: None,
        time: None,
    };
    let at = members
        .time("anomalyEndDate")
        .or_else(|| members.time("anomalyStartDate"))
        .or(envelope.time);
    let id = id_or_digest(members.text("anomalyId"), value, &gaps).0;
    finish(Draft {
        id,
        kind: "CostAnomalyDetection:Anomaly",
        title: format!("More is spent than expected on {service}"),
        severity: Severity::High,
        place: place(account, Some(region), &outer, &gaps),
        at,
        seen,
        members,
    })
}

/// An alarm's notice through SNS.
pub(super) fn alarm_notice(value: &Value) -> Found {
    let gaps = Gaps::default();
    let alarm = Members::of(value, &gaps);
    let metric = alarm.get("Trigger");
    let namespace = metric.and_then(|metric| metric.text("Namespace"));
    let state = alarm.text("NewStateValue");
    if let Some(name) = not_billing(namespace.into_iter().collect(), state) {
        return Found::Nothing(name);
    }
    let mut seen = Observations::default();
    seen.add("reason", alarm.text("NewStateReason"));
    let arn = alarm.text("AlarmArn").and_then(ArnParts::of);
    let region = arn.map_or(BILLING_REGION, |arn| arn.region);
    let account = alarm
        .text("AWSAccountId")
        .or_else(|| arn.map(|arn| arn.account));
    let finding = finish(Draft {
        id: digest(value),
        kind: "CloudWatch:BillingAlarm",
        title: alarm_title(alarm.text("AlarmName")),
        severity: Severity::High,
        place: place(account, Some(region), &Envelope::default(), &gaps),
        at: alarm.time("StateChangeTime"),
        seen,
        members: alarm,
    });
    Found::Findings(vec![finding])
}

/// An alarm's change of state through EventBridge.
pub(super) fn alarm_event(value: &Value, envelope: &Envelope) -> Found {
    let gaps = Gaps::default();
    let alarm = Members::of(value, &gaps);
    let metrics = alarm
        .get("configuration")
        .map(|configuration| configuration.items("metrics"))
        .unwrap_or_default();
    let namespaces = metrics
        .iter()
        .filter_map(|metric| metric.text_at(&["metricStat", "metric", "namespace"]))
        .collect();
    let state = alarm.text_at(&["state", "value"]);
    if let Some(name) = not_billing(namespaces, state) {
        return Found::Nothing(name);
    }
    let mut seen = Observations::default();
    seen.add("reason", alarm.text_at(&["state", "reason"]));
    let at = alarm
        .get("state")
        .and_then(|state| state.time("timestamp"))
        .or(envelope.time);
    let (account, region) = (envelope.account.as_deref(), envelope.region.as_deref());
    let finding = finish(Draft {
        id: digest(value),
        kind: "CloudWatch:BillingAlarm",
        title: alarm_title(alarm.text("alarmName")),
        severity: Severity::High,
        place: place(account, region, &Envelope::default(), &gaps),
        at,
        seen,
        members: alarm,
    });
    Found::Findings(vec![finding])
}

fn alarm_title(name: Option<&str>) -> String {
    format!(
        "A billing alarm went off: {}",
        name.unwrap_or("it does not give its name")
    )
}

/// What an alarm that does not count is passed over as.
fn not_billing(namespaces: Vec<&str>, state: Option<&str>) -> Option<String> {
    let billing = namespaces
        .iter()
        .any(|namespace| namespace.eq_ignore_ascii_case(BILLING_NAMESPACE));
    let state = state.unwrap_or("unknown");
    if namespaces.is_empty() {
        Some("CloudWatch alarm that does not name its metric".to_owned())
    } else if !billing {
        Some("CloudWatch alarm on something other than billing".to_owned())
    } else if !state.eq_ignore_ascii_case("ALARM") {
        Some(format!("billing alarm in state {}", names::quoted(state)))
    } else {
        None
    }
}
