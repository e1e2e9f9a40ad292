//! `findingCriteria` and `sortCriteria` (GuardDuty API reference, "ListFindings").

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value;

/// Whether a finding meets every criterion; an error for a condition that the API does not have.
pub(super) fn holds(criteria: &Value, finding: &Value) -> Result<bool, String> {
    let Some(criteria) = criteria["criterion"].as_object() else {
        return Ok(true);
    };
    for (attribute, conditions) in criteria {
        let conditions = conditions
            .as_object()
            .ok_or_else(|| format!("the condition of {attribute} is invalid"))?;
        let value = attribute_of(finding, attribute);
        for (condition, wanted) in conditions {
            if !meets(attribute, value, condition, wanted)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Sorts by one attribute, as asked for.
pub(super) fn sort(criteria: &Value, findings: &mut [&Value]) {
    let Some(attribute) = criteria["attributeName"].as_str() else {
        return;
    };
    let key = |finding: &Value| number(attribute, attribute_of(finding, attribute));
    findings.sort_by(|a, b| key(a).partial_cmp(&key(b)).unwrap_or(Ordering::Equal));
    if criteria["orderBy"] == "DESC" {
        findings.reverse();
    }
}

fn attribute_of<'a>(finding: &'a Value, attribute: &str) -> &'a Value {
    attribute.split('.').fold(finding, |value, part| {
        value.get(part).unwrap_or(&Value::Null)
    })
}

fn meets(attribute: &str, value: &Value, condition: &str, wanted: &Value) -> Result<bool, String> {
    let listed = || {
        wanted
            .as_array()
            .ok_or_else(|| format!("{condition} of {attribute} takes a list"))
            .map(|list| list.iter().any(|one| text(one) == text(value)))
    };
    let compared = |fits: fn(f64, f64) -> bool| {
        let wanted = wanted
            .as_f64()
            .ok_or_else(|| format!("{condition} of {attribute} takes a number"))?;
        Ok(number(attribute, value).is_some_and(|value| fits(value, wanted)))
    };
    match condition {
        "eq" | "equals" => listed(),
        "neq" | "notEquals" => listed().map(|found| !found),
        "gt" | "greaterThan" => compared(|value, wanted| value > wanted),
        "gte" | "greaterThanOrEqual" => compared(|value, wanted| value >= wanted),
        "lt" | "lessThan" => compared(|value, wanted| value < wanted),
        "lte" | "lessThanOrEqual" => compared(|value, wanted| value <= wanted),
        other => Err(format!("the condition {other} is not known")),
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A number, or a time as milliseconds, which is how criteria write times.
fn number(attribute: &str, value: &Value) -> Option<f64> {
    if attribute.ends_with("At") {
        let time: Timestamp = value.as_str()?.parse().ok()?;
        return Some(time.as_millisecond() as f64);
    }
    value.as_f64()
}
