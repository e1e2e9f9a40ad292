//! What an auditor wrote, as outcomes of checks: OCSF Compliance Findings (class 2003), the Detection
//! Findings that Prowler writes for its checks (class 2004 with a `status_code`), and ASFF findings with
//! a `Compliance.Status`.
//!
//! <https://schema.ocsf.io/1.5.0/classes/compliance_finding>,
//! <https://docs.aws.amazon.com/securityhub/latest/userguide/asff-required-attributes.html>,
//! <https://docs.prowler.com/projects/prowler-open-source/en/latest/tutorials/reporting/>.
//!
//! What must stay true: what is neither passed nor failed is unknown, with the reason; what is no outcome
//! is told and not left out.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::finding::Severity;
use crate::verdict::{Outcome, Verdict};

/// What an auditor wrote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audited {
    /// What was looked at.
    pub outcomes: Vec<Outcome>,
    /// The auditor's name, where it says so.
    pub auditor: Option<String>,
    /// The account, cluster or whatever was audited, where it says so: of the first outcome.
    pub target: Option<String>,
    /// The first and last time that stands in it.
    pub span: Option<(Timestamp, Timestamp)>,
    /// What is no outcome: where it stood, and why.
    pub rejected: Vec<(String, String)>,
}

/// Whether an object is an outcome of a check.
pub fn is_one(value: &Value) -> bool {
    let class = value.get("class_uid").and_then(Value::as_u64);
    match class {
        Some(2003) => true,
        Some(2004) => text(value, &["status_code"]).is_some_and(|code| verdict_of(&code).is_some()),
        _ => text(value, &["Compliance", "Status"]).is_some(),
    }
}

/// Reads what an auditor wrote, one object after another.
pub fn read(values: &[Value]) -> Audited {
    let mut audited = Audited::default();
    for (number, value) in values.iter().enumerate() {
        take(&mut audited, value, number + 1);
    }
    audited
}

fn take(audited: &mut Audited, value: &Value, number: usize) {
    if !is_one(value) {
        let why = "it is no outcome of a check: neither an OCSF compliance finding nor ASFF with a \
                   compliance status";
        audited
            .rejected
            .push((format!("number {number}"), why.to_owned()));
        return;
    }
    let is_asff = value.get("class_uid").is_none();
    let outcome = if is_asff { asff(value) } else { ocsf(value) };
    if audited.auditor.is_none() {
        audited.auditor = first(value, &[&["metadata", "product", "name"], &["ProductName"]]);
    }
    if audited.target.is_none() {
        audited.target = first(
            value,
            &[
                &["cloud", "account", "uid"],
                &["AwsAccountId"],
                &["resources", "0", "cluster", "name"],
                &["device", "hostname"],
            ],
        );
    }
    if let Some(at) = when(value) {
        let (from, to) = audited.span.unwrap_or((at, at));
        audited.span = Some((from.min(at), to.max(at)));
    }
    audited.outcomes.push(outcome);
}

fn ocsf(value: &Value) -> Outcome {
    let status = first(value, &[&["compliance", "status"], &["status_code"]]);
    let by_id = value
        .pointer("/compliance/status_id")
        .and_then(Value::as_u64)
        .and_then(|id| match id {
            1 => Some(Verdict::Pass),
            3 => Some(Verdict::Fail),
            _ => None,
        });
    let verdict = status.as_deref().and_then(verdict_of).or(by_id);
    let why = first(
        value,
        &[
            &["status_detail"],
            &["message"],
            &["compliance", "status_detail"],
        ],
    );
    let resource = ["/resources/0", "/resource"]
        .iter()
        .find_map(|at| value.pointer(at))
        .and_then(|it| first(it, &[&["uid"], &["name"]]));
    let title = first(value, &[&["finding_info", "title"], &["message"]]);
    let check = first(
        value,
        &[
            &["metadata", "event_code"],
            &["compliance", "control"],
            &["finding_info", "types", "0"],
            &["finding_info", "title"],
        ],
    );
    let severity = value.get("severity_id").and_then(Value::as_u64);
    outcome(Parts {
        check,
        title,
        verdict,
        status,
        severity: match severity {
            Some(3) => Severity::Medium,
            Some(4) => Severity::High,
            Some(5 | 6) => Severity::Critical,
            _ => Severity::Low,
        },
        resource,
        why,
        remedy: first(value, &[&["remediation", "desc"]]),
    })
}

fn asff(value: &Value) -> Outcome {
    let status = text(value, &["Compliance", "Status"]);
    let severity = text(value, &["Severity", "Label"]).unwrap_or_default();
    outcome(Parts {
        check: first(
            value,
            &[
                &["Compliance", "SecurityControlId"],
                &["ProductFields", "ControlId"],
                &["GeneratorId"],
            ],
        ),
        title: text(value, &["Title"]),
        verdict: status.as_deref().and_then(verdict_of),
        status,
        severity: match severity.to_ascii_uppercase().as_str() {
            "CRITICAL" => Severity::Critical,
            "HIGH" => Severity::High,
            "MEDIUM" => Severity::Medium,
            _ => Severity::Low,
        },
        resource: text(value, &["Resources", "0", "Id"]),
        why: text(value, &["Description"]),
        remedy: text(value, &["Remediation", "Recommendation", "Text"]),
    })
}

struct Parts {
    check: Option<String>,
    title: Option<String>,
    verdict: Option<Verdict>,
    status: Option<String>,
    severity: Severity,
    resource: Option<String>,
    why: Option<String>,
    remedy: Option<String>,
}

fn outcome(parts: Parts) -> Outcome {
    let check = parts.check.unwrap_or_else(|| "unnamed".to_owned());
    let mut why = parts.why.unwrap_or_default();
    if parts.verdict.is_none() {
        let said = parts.status.as_deref().unwrap_or("nothing");
        let gap = format!("the auditor's status is {said}");
        why = if why.is_empty() {
            gap
        } else {
            format!("{gap}: {why}")
        };
    }
    Outcome {
        title: parts.title.unwrap_or_else(|| check.clone()),
        check,
        verdict: parts.verdict.unwrap_or(Verdict::Unknown),
        severity: parts.severity,
        resource: parts.resource.unwrap_or_else(|| "not named".to_owned()),
        why,
        remedy: parts.remedy.unwrap_or_default(),
        saving_micro_usd_month: None,
    }
}

/// A status in words. `MANUAL`, `WARNING`, `NOT_AVAILABLE` and whatever else there is are no verdict.
fn verdict_of(status: &str) -> Option<Verdict> {
    match status.trim().to_ascii_uppercase().as_str() {
        "PASS" | "PASSED" => Some(Verdict::Pass),
        "FAIL" | "FAILED" => Some(Verdict::Fail),
        "MANUAL" | "WARNING" | "NOT_AVAILABLE" | "UNKNOWN" => Some(Verdict::Unknown),
        _ => None,
    }
}

fn first(value: &Value, paths: &[&[&str]]) -> Option<String> {
    paths.iter().find_map(|path| text(value, path))
}

/// A text behind names or places; empty ones and nulls are none.
fn text(value: &Value, path: &[&str]) -> Option<String> {
    let mut at = value;
    for name in path {
        at = match at {
            Value::Array(list) => list.get(name.parse::<usize>().ok()?)?,
            Value::Object(object) => object.get(*name)?,
            _ => return None,
        };
    }
    let text = at.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn when(value: &Value) -> Option<Timestamp> {
    let paths: [&[&str]; 3] = [
        &["time_dt"],
        &["UpdatedAt"],
        &["finding_info", "created_time_dt"],
    ];
    let written = paths.iter().find_map(|path| moment(&text(value, path)?));
    written.or_else(|| {
        let number = value.get("time").and_then(Value::as_i64)?;
        // OCSF counts milliseconds; Prowler wrote seconds.
        match number.checked_abs()? {
            0..100_000_000_000 => Timestamp::from_second(number).ok(),
            _ => Timestamp::from_millisecond(number).ok(),
        }
    })
}

/// A time as RFC 3339 has it, or as Prowler writes it: without a zone, which is UTC.
fn moment(text: &str) -> Option<Timestamp> {
    let local = || {
        let at: DateTime = text.parse().ok()?;
        Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    text.parse().ok().or_else(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: &str) {
        let values: Vec<Value> = serde_json::from_str(input).expect("a list");
        let audited = read(&values);
        let outcomes = audited.outcomes.iter().map(|it| {
            format!(
                "{} {} {} on {}: {}",
                it.check,
                it.verdict.as_str(),
                it.severity.as_str(),
                it.resource,
                it.why
            )
        });
        let rejected = audited
            .rejected
            .iter()
            .map(|(at, why)| format!("{at}: {why}"));
        let found: Vec<String> = outcomes.chain(rejected).collect();
        assert_eq!(found.join("\n"), expected);
    }

    #[test]
    fn what_auditors_write_is_read() {
        check(
            r#"[{"class_uid":2003,"severity_id":4,"metadata":{"event_code":"s3_public","product":{"name":"Prowler"}},
               "compliance":{"status":"Fail","status_id":3},"status_detail":"open to the world",
               "resources":[{"uid":"arn:aws:s3:::data"}],"time":1790000000}]"#,
            "s3_public fail high on arn:aws:s3:::data: open to the world",
        );
        check(
            r#"[{"class_uid":2004,"status_code":"PASS","severity_id":2,"metadata":{"event_code":"a"},"resources":[{"name":"r"}]},
                {"class_uid":2004,"status_code":"MANUAL","metadata":{"event_code":"b"},"message":"look yourself"}]"#,
            "a pass low on r: \nb unknown low on not named: look yourself",
        );
        check(
            r#"[{"SchemaVersion":"2018-10-08","AwsAccountId":"111122223333","GeneratorId":"g",
               "Compliance":{"Status":"FAILED","SecurityControlId":"S3.1"},"Severity":{"Label":"CRITICAL"},
               "Resources":[{"Id":"arn:aws:s3:::x"}],"Title":"t"}]"#,
            "S3.1 fail critical on arn:aws:s3:::x: ",
        );
    }

    #[test]
    fn times_are_read_as_auditors_write_them() {
        for (time, expected) in [
            (
                r#""time_dt":"2025-01-27T17:36:46.855898""#,
                "2025-01-27T17:36:46.855898Z",
            ),
            (
                r#""time_dt":"2025-01-27T17:36:46Z""#,
                "2025-01-27T17:36:46Z",
            ),
            (
                r#""time_dt":"yesterday","time":1790000000"#,
                "2026-09-21T14:13:20Z",
            ),
            (
                r#""time_dt":null,"time":1790000000000"#,
                "2026-09-21T14:13:20Z",
            ),
        ] {
            let input = format!(r#"[{{"class_uid":2003,{time}}}]"#);
            let values: Vec<Value> = serde_json::from_str(&input).expect("a list");
            let (from, _) = read(&values).span.expect("a time");
            assert_eq!(from.to_string(), expected, "{input}");
        }
    }

    #[test]
    fn what_is_no_verdict_is_unknown_and_what_is_no_outcome_is_told() {
        check(
            r#"[{"class_uid":2003,"compliance":{"status":null,"status_id":2},"metadata":{"event_code":null}}]"#,
            "unnamed unknown low on not named: the auditor's status is nothing",
        );
        check(
            r#"[{"class_uid":2004}, 1]"#,
            "number 1: it is no outcome of a check: neither an OCSF compliance finding nor ASFF with a \
             compliance status\nnumber 2: it is no outcome of a check: neither an OCSF compliance finding nor \
             ASFF with a compliance status",
        );
        check("[]", "");
    }
}
