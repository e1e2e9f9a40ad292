//! What an evidence snapshot says about itself: our own tags, and nothing of its volume's.

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};
use davylamp_plan::plan::Plan;
use jiff::Timestamp;

use super::evidence::{CUSTODY, FINDING, INCIDENT, PLAN, SOURCE_VOLUME, TIME};
use super::{At, failure};
use crate::actuator::ActError;

/// A tag's value has at most this many characters.
const TAG_VALUE: usize = 256;

pub(super) fn description(plan: &Plan) -> String {
    format!("davylamp evidence of {}", text(plan.incident.as_str()))
}

/// Our own tags and no others.
pub(super) async fn tags(
    at: &At<'_>,
    plan: &Plan,
    how: &str,
    volume: Option<&str>,
) -> Result<TagSpecification, ActError> {
    let taker = at
        .sessions
        .home_account()
        .await
        .map_err(|error| failure::of_session(&error))?;
    let custody = format!("taken by account {taker} {how}");
    let mut list = vec![
        (INCIDENT, text(plan.incident.as_str())),
        (FINDING, findings(plan)),
        (PLAN, plan.hash()),
        (TIME, Timestamp::now().to_string()),
        (CUSTODY, text(&custody)),
    ];
    if let Some(volume) = volume {
        list.push((SOURCE_VOLUME, volume.to_owned()));
    }
    Ok(specification(list))
}

pub(super) fn specification(list: Vec<(&str, String)>) -> TagSpecification {
    let tags = list
        .into_iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect();
    TagSpecification::builder()
        .resource_type(ResourceType::Snapshot)
        .set_tags(Some(tags))
        .build()
}

/// As many of the findings' ids as fit, and how many there are beside.
fn findings(plan: &Plan) -> String {
    let mut value = String::new();
    for (taken, finding) in plan.findings.iter().enumerate() {
        let next = text(finding.as_str());
        let more = format!(" and {} more", plan.findings.len() - taken);
        if value.chars().count() + 1 + next.chars().count() + more.len() > TAG_VALUE && taken > 0 {
            value.push_str(&more);
            break;
        }
        if taken > 0 {
            value.push(' ');
        }
        value.push_str(&next);
    }
    text(&value)
}

/// A tag's value: what tags may not hold becomes `_`. Ids come from findings, which may be forged.
pub(super) fn text(value: &str) -> String {
    value
        .chars()
        .map(|sign| {
            if sign.is_alphanumeric() || " +-=._:/@,".contains(sign) {
                sign
            } else {
                '_'
            }
        })
        .take(TAG_VALUE)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_id_makes_a_harmless_tag() {
        assert_eq!(
            text("arn:aws:guardduty/1\u{202e}<b>\n"),
            "arn:aws:guardduty/1__b__"
        );
        assert_eq!(text(&"x".repeat(5000)).len(), TAG_VALUE);
    }
}
