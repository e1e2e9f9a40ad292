//! OCSF findings: Detection Finding (class 2004) and the older Security Finding (class 2001), from
//! Security Hub, Security Lake, another product, or [`crate::ocsf::to_ocsf`].
//!
//! <https://schema.ocsf.io/1.5.0/classes/detection_finding>. Times are milliseconds; where the
//! `_dt` twin is there it is used, for it is exact.

use serde_json::Value;

use crate::finding::{Behaviour, Finding, FindingSource, Severity};
use crate::ocsf::{Unmapped, WRITTEN_BY};
use crate::resource::{Place, Resource};

use super::asff::{by_type, guardduty_kind, rank, severity_of_label};
use super::forms::Envelope;
use super::guardduty::{SAMPLE_TITLE, id_or_digest, is_detector, place};
use super::members::{Gaps, Members};
use super::names::quoted;
use super::observed::Observations;
use super::{Rejection, own, types};

/// Reads a finding.
pub(super) fn read(value: &Value, envelope: &Envelope) -> Result<Finding, Rejection> {
    let gaps = Gaps::default();
    let event = Members::of(value, &gaps);
    let class = event.count("class_uid");
    if !matches!(class, Some(2001 | 2004)) {
        let what = class.map_or_else(String::new, |class| class.to_string());
        return Err(Rejection::UnknownEvent {
            what: format!("OCSF class {what}"),
        });
    }
    let info = event.get("finding_info").or_else(|| event.get("finding"));
    let Some(info) = info else {
        return Err(Rejection::HalfEmpty {
            form: "an OCSF finding",
            missing: "its finding_info",
        });
    };
    let product = event.at(&["metadata", "product"]);
    let ours = product.and_then(|product| product.text("name")) == Some(WRITTEN_BY);
    let unmapped = if ours { unmapped(event) } else { None };
    let kind = kind(info, ours);
    let known = types::behaviour(&kind);
    let behaviour = unmapped.as_ref().map_or(known, |ours| ours.behaviour);
    let place = if unmapped.as_ref().is_some_and(|ours| ours.no_place) {
        None
    } else {
        place(
            event.text_at(&["cloud", "account", "uid"]),
            event.text_at(&["cloud", "region"]),
            envelope,
            &gaps,
        )
    };
    let mut seen = Observations::default();
    let title = match info.get("title").and_then(|title| title.value().as_str()) {
        Some(title) if ours || !title.is_empty() => title.to_owned(),
        _ => kind.clone(),
    };
    let resources = if ours {
        own_resources(event)
    } else {
        foreign(&mut seen, event);
        foreign_resources(event, behaviour, place.as_ref())
    };
    let time = |name: &str| info.time(&format!("{name}_dt")).or_else(|| info.time(name));
    let status = event.count("status_id");
    let found = Finding {
        id: id_or_digest(info.text("uid"), value, &gaps),
        source: unmapped
            .as_ref()
            .map_or(FindingSource::Ocsf, |ours| ours.source),
        behaviour,
        title: title.clone(),
        severity: severity(event),
        place,
        resources,
        first_seen: time("first_seen_time"),
        last_seen: time("last_seen_time"),
        count: event.count("count").unwrap_or(1),
        sample: unmapped
            .as_ref()
            .map_or(title.starts_with(SAMPLE_TITLE), |ours| ours.sample),
        // Suppressed, resolved, archived, deleted; or the activity is closing it.
        archived: matches!(status, Some(3..=6)) || event.count("activity_id") == Some(3),
        detector: unmapped
            .as_ref()
            .and_then(|ours| ours.detector.clone())
            .filter(|id| is_detector(id, &gaps)),
        observed: if ours {
            own_observed(event)
        } else {
            seen.finish(event)
        },
        gaps: Vec::new(),
        kind,
    };
    let mut noted = unmapped.map(|ours| ours.gaps).unwrap_or_default();
    for gap in gaps.noted() {
        if !noted.contains(&gap) {
            noted.push(gap);
        }
    }
    Ok(Finding {
        gaps: noted,
        ..found
    })
}

fn unmapped(event: Members<'_>) -> Option<Unmapped> {
    let member = event.at(&["unmapped", WRITTEN_BY]);
    let read = member.and_then(|member| serde_json::from_value(member.value().clone()).ok());
    if read.is_none() {
        event.note("The finding says Davylamp wrote it and lacks what Davylamp writes.");
    }
    read
}

fn kind(info: Members<'_>, ours: bool) -> String {
    let Some(first) = info.items("types").first().copied() else {
        info.note("The finding has no type.");
        return String::new();
    };
    let text = first.value().as_str().unwrap_or_default();
    if ours {
        text.to_owned()
    } else {
        guardduty_kind(text)
    }
}

fn severity(event: Members<'_>) -> Severity {
    match event.count("severity_id") {
        Some(1 | 2) => Severity::Low,
        Some(3) => Severity::Medium,
        Some(4) => Severity::High,
        Some(5 | 6) => Severity::Critical,
        _ => event
            .text("severity")
            .and_then(severity_of_label)
            .unwrap_or_else(|| {
                event.note("The finding has no severity; medium is assumed.");
                Severity::Medium
            }),
    }
}

/// The resources that Davylamp wrote. They are held to the rules of any other: a stranger can write
/// our name.
fn own_resources(event: Members<'_>) -> Vec<Resource> {
    let mut resources = Vec::new();
    for item in event.items("resources") {
        let read: Option<Resource> = item
            .get("data")
            .and_then(|data| serde_json::from_value(data.value().clone()).ok());
        match read {
            Some(resource) if own::is_well_formed(&resource) => resources.push(resource),
            Some(resource) => item.note(format!(
                "\"{}\" is not the name of a resource.",
                quoted(&resource.key())
            )),
            None => item.note("A resource is not one that Davylamp writes."),
        }
    }
    resources
}

fn own_observed(event: Members<'_>) -> Vec<crate::finding::Observed> {
    event
        .items("observables")
        .iter()
        .filter_map(|item| {
            let text = |name| item.get(name).and_then(|member| member.value().as_str());
            Some(crate::finding::Observed {
                what: text("name")?.to_owned(),
                value: text("value")?.to_owned(),
            })
        })
        .collect()
}

fn foreign_resources(
    event: Members<'_>,
    behaviour: Behaviour,
    place: Option<&Place>,
) -> Vec<Resource> {
    let mut found: Vec<(u8, Resource)> = Vec::new();
    for item in event.items("resources") {
        let id = item.text("uid").or_else(|| item.text("name"));
        let resource = match item.text("type") {
            Some(kind) => by_type(kind, id, item.get("data"), place, item.gaps()),
            None => {
                item.note("The finding names a resource without its type.");
                None
            }
        };
        if let Some(resource) = resource
            && !found.iter().any(|(_, known)| *known == resource)
        {
            found.push((rank(&resource, behaviour), resource));
        }
    }
    if found.is_empty() {
        event.note("The finding names no resource that can be told.");
    }
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, resource)| resource).collect()
}

fn foreign(seen: &mut Observations, event: Members<'_>) {
    for evidence in event.items("evidences") {
        seen.add("remote-address", evidence.text_at(&["dst_endpoint", "ip"]));
        seen.add("remote-address", evidence.text_at(&["src_endpoint", "ip"]));
        seen.add("domain", evidence.text_at(&["query", "hostname"]));
        seen.add("api-call", evidence.text_at(&["api", "operation"]));
        for process in [evidence.get("process"), evidence.at(&["actor", "process"])]
            .into_iter()
            .flatten()
        {
            seen.add("process", process.text_at(&["file", "path"]));
            seen.add("process", process.text("name"));
            seen.add("command-line", process.text("cmd_line"));
        }
        seen.add("file", evidence.text_at(&["file", "path"]));
    }
    for malware in event.items("malware") {
        seen.add("threat", malware.text("name"));
    }
    for observable in event.items("observables") {
        if let Some(name) = observable.text("name") {
            seen.add(name, observable.text("value"));
        }
    }
}
