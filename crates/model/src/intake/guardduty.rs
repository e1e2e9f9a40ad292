//! GuardDuty's findings, in either casing, whole or half-empty.
//!
//! The members are those of the GuardDuty API, `Finding`
//! (<https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Finding.html>). An older form,
//! in which `category` stands for the type and `finding` for the service, is read too.

use serde_json::Value;

use crate::finding::{Finding, FindingSource, Severity};
use crate::ids::FindingId;
use crate::resource::{Place, Resource};

use super::arn::ArnParts;
use super::forms::Envelope;
use super::members::{Gaps, Members, digest};
use super::names::{self, quoted};
use super::observed::Observations;
use super::{observed, resources, sequence, types};

/// The instance of sample findings.
const SAMPLE_INSTANCE: &str = "i-99999999";
/// How GuardDuty begins the values that it makes up for samples.
const SAMPLE_VALUE: &str = "GeneratedFinding";
/// How GuardDuty begins the titles of samples.
pub(super) const SAMPLE_TITLE: &str = "[SAMPLE]";

/// Reads a finding.
pub(super) fn read(value: &Value, envelope: &Envelope) -> Finding {
    let gaps = Gaps::default();
    let finding = Members::of(value, &gaps);
    let service = finding.get("service").or_else(|| finding.get("finding"));
    let resource = finding.get("resource");
    if service.is_none() {
        gaps.note(
            "The finding does not say what was seen, nor whether its resource acted or was acted on: \
             it has no `service`.",
        );
    }
    let in_service = |name| service.and_then(|service| service.text(name));

    let kind = finding
        .text("type")
        .or_else(|| finding.text("category"))
        .unwrap_or_else(|| {
            gaps.note("The finding has no type.");
            ""
        });
    let behaviour = types::behaviour(kind);
    let place = place(
        finding.text("accountId"),
        finding.text("region"),
        envelope,
        &gaps,
    );
    if let (Some(place), Some(arn)) = (&place, finding.text("arn").and_then(ArnParts::of))
        && !arn.belongs_to(Some(place))
    {
        gaps.note(format!(
            "The finding's account is {} and its ARN's \"{}\"; the finding's is used.",
            place.account,
            quoted(arn.account)
        ));
    }
    let mut seen = Observations::default();
    let named = sequence::is_sequence(kind, resource, service);
    let found = if named {
        sequence::resources(service, place.as_ref(), &gaps, &mut seen)
    } else {
        match resource {
            Some(_) if service.is_none() => Vec::new(),
            Some(resource) => resources::of(resource, behaviour, place.as_ref()),
            None => {
                gaps.note("The finding does not say what it happened to: it has no `resource`.");
                Vec::new()
            }
        }
    };
    observed::guardduty(&mut seen, service, resource);
    let title = title(finding, kind);
    let sample = is_sample(&title, service, resource, &found);
    let count = service.and_then(|service| service.count("count"));
    let time = |name, other| {
        service
            .and_then(|service| service.time(name))
            .or_else(|| finding.time(other))
            .or(envelope.time)
    };
    let finding = Finding {
        id: id_or_digest(
            finding.text("id").or_else(|| finding.text("arn")),
            value,
            &gaps,
        ),
        source: FindingSource::GuardDuty,
        kind: kind.to_owned(),
        behaviour,
        title,
        severity: severity(finding),
        place,
        resources: found,
        first_seen: time("eventFirstSeen", "createdAt"),
        last_seen: time("eventLastSeen", "updatedAt"),
        count: count.unwrap_or(1),
        sample,
        archived: service
            .and_then(|service| service.flag("archived"))
            .unwrap_or(false),
        detector: in_service("detectorId")
            .or_else(|| detector_in_arn(finding.text("arn")?))
            .filter(|id| is_detector(id, &gaps))
            .map(str::to_owned),
        observed: seen.finish(finding),
        gaps: Vec::new(),
    };
    Finding {
        gaps: gaps.noted(),
        ..finding
    }
}

/// The account and region: the finding's own, which the envelope may only complete. The envelope of
/// a finding that was delivered to an administrator's account names that account.
pub(super) fn place(
    account: Option<&str>,
    region: Option<&str>,
    envelope: &Envelope,
    gaps: &Gaps,
) -> Option<Place> {
    let one = |own: Option<&str>, outer: Option<&str>, what: &str| match (own, outer) {
        (Some(own), Some(outer)) if own != outer => {
            gaps.note(format!(
                "The finding's {what} is {} and its envelope's {}; the finding's is used.",
                quoted(own),
                quoted(outer)
            ));
            Some(own.to_owned())
        }
        (Some(own), _) => Some(own.to_owned()),
        (None, Some(outer)) => {
            gaps.note(format!(
                "Only the envelope names the {what}: {}.",
                quoted(outer)
            ));
            Some(outer.to_owned())
        }
        (None, None) => {
            gaps.note(format!("The finding does not name its {what}."));
            None
        }
    };
    let account = one(account, envelope.account.as_deref(), "account")
        .and_then(|account| names::account(&account, gaps));
    let region = one(region, envelope.region.as_deref(), "region")
        .and_then(|region| names::region(&region, gaps));
    Some(Place {
        account: account?,
        region: region?,
    })
}

/// A finding's id; for one that has none, or none that can be used, a digest, so that a second
/// delivery is the same finding.
pub(super) fn id_or_digest(id: Option<&str>, value: &Value, gaps: &Gaps) -> FindingId {
    match id.map(own_id) {
        Some(id) if names::is_finding_id(id) => return FindingId::from(id),
        Some(id) => gaps.note(format!(
            "\"{}\" cannot be used as an id; a digest of the finding's text stands for it.",
            quoted(id)
        )),
        None => gaps.note("The finding has no id; a digest of its text stands for one."),
    }
    FindingId(digest(value))
}

/// GuardDuty's own id where an id is the ARN of one of its findings: the same finding may come from
/// GuardDuty and from Security Hub, and must be the same to us.
fn own_id(id: &str) -> &str {
    ArnParts::of(id)
        .filter(|arn| arn.service == "guardduty")
        .and_then(|arn| arn.resource.rsplit_once("/finding/"))
        .filter(|(_, own)| !own.is_empty())
        .map_or(id, |(_, own)| own)
}

fn detector_in_arn(arn: &str) -> Option<&str> {
    let detector = ArnParts::of(arn)?.named("detector")?;
    detector.split('/').next()
}

/// Whether this could be a detector's id: it ends up in a call.
pub(super) fn is_detector(id: &str, gaps: &Gaps) -> bool {
    let formed =
        (1..=300).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !formed {
        gaps.note(format!("\"{}\" is not a detector's id.", quoted(id)));
    }
    formed
}

fn title(finding: Members<'_>, kind: &str) -> String {
    finding
        .text("title")
        .or_else(|| finding.text("description"))
        .unwrap_or(kind)
        .to_owned()
}

fn severity(finding: Members<'_>) -> Severity {
    match finding.number("severity") {
        Some(number) => severity_of(number),
        None => {
            finding.note("The finding has no severity; medium is assumed.");
            Severity::Medium
        }
    }
}

/// GuardDuty's scale (user guide, "Severity levels of GuardDuty findings").
pub(super) fn severity_of(number: f64) -> Severity {
    if number >= 9.0 {
        Severity::Critical
    } else if number >= 7.0 {
        Severity::High
    } else if number >= 4.0 {
        Severity::Medium
    } else {
        Severity::Low
    }
}

/// Whether GuardDuty made this finding up. Made-up values count only in members that AWS alone
/// fills: a name that somebody may choose would let a real miner pass for a sample.
fn is_sample(
    title: &str,
    service: Option<Members<'_>>,
    resource: Option<Members<'_>>,
    resources: &[Resource],
) -> bool {
    let info = service.and_then(|service| service.get("additionalInfo"));
    let said = info.and_then(|info| info.flag("sample")) == Some(true)
        || info
            .and_then(|info| info.text("value"))
            .is_some_and(says_sample);
    let instance = resources.iter().any(
        |resource| matches!(resource, Resource::Instance { id } if id.as_str() == SAMPLE_INSTANCE),
    );
    let made_up = |path: &[&str]| {
        resource
            .and_then(|resource| resource.text_at(path))
            .is_some_and(|value| value.starts_with(SAMPLE_VALUE))
    };
    said || instance
        || title.starts_with(SAMPLE_TITLE)
        || made_up(&["accessKeyDetails", "accessKeyId"])
        || made_up(&["accessKeyDetails", "principalId"])
        || made_up(&["instanceDetails", "availabilityZone"])
}

/// Whether an `additionalInfo.value`, itself JSON, says that the finding is a sample.
pub(super) fn says_sample(text: &str) -> bool {
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return false;
    };
    let quiet = Gaps::default();
    Members::of(&value, &quiet).flag("sample") == Some(true)
}
