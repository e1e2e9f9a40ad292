//! What was done against logs and sensors, and from when to when they say nothing because of it.

use super::Known;
use super::deeds::{Blinding, Seen};
use crate::case::{Gap, Span, Tampering};
use crate::hands::making::moment;

/// What blinds, what gives sight back, and how the first is told.
const PAIRS: &[(&str, &[&str], &str)] = &[
    (
        "StopLogging",
        &["StartLogging", "CreateTrail"],
        "the trail {} was stopped",
    ),
    ("DeleteTrail", &["CreateTrail"], "the trail {} was deleted"),
    ("UpdateTrail", &["UpdateTrail"], "the trail {} was changed"),
    (
        "PutEventSelectors",
        &["PutEventSelectors"],
        "what the trail {} records was changed",
    ),
    (
        "DeleteDetector",
        &["CreateDetector"],
        "GuardDuty's detector {} was deleted",
    ),
    (
        "UpdateDetector",
        &["UpdateDetector", "CreateDetector"],
        "GuardDuty's detector {} was changed or suspended",
    ),
    (
        "CreateFilter",
        &[],
        "a filter on GuardDuty's findings was made for {}",
    ),
    (
        "StopConfigurationRecorder",
        &["StartConfigurationRecorder"],
        "the configuration recorder {} was stopped",
    ),
    (
        "DeleteConfigurationRecorder",
        &["StartConfigurationRecorder"],
        "the configuration recorder {} was deleted",
    ),
    (
        "DeleteFlowLogs",
        &["CreateFlowLogs"],
        "the flow log {} was deleted",
    ),
];

/// Each act of the hand against logs and sensors, by time.
pub fn of(known: &Known<'_>, seen: &Seen) -> Vec<Tampering> {
    let mut all: Vec<&Blinding> = seen
        .blinding
        .iter()
        .filter(|it| it.is_hand && it.is_against)
        .collect();
    all.sort_by_key(|it| (it.at, it.evidence));
    all.into_iter()
        .map(|it| tampering(known, seen, it))
        .collect()
}

fn tampering(known: &Known<'_>, seen: &Seen, it: &Blinding) -> Tampering {
    let pair = PAIRS.iter().find(|(action, ..)| *action == it.action);
    let what = match pair {
        Some((.., told)) => told.replace("{}", &it.target),
        None => format!("{} on {}", it.action, it.target),
    };
    let has_succeeded = it.error.is_empty();
    let undone = |other: &&Blinding| {
        let is_pair = pair.is_some_and(|(_, undoing, _)| undoing.contains(&other.action.as_str()));
        is_pair
            && other.at > it.at
            && other.error.is_empty()
            && other.region == it.region
            && (same(&other.target, &it.target) || other.action.starts_with("Create"))
    };
    let until = seen
        .blinding
        .iter()
        .filter(undone)
        .map(|other| other.at)
        .min();
    let gap = (has_succeeded && pair.is_some()).then(|| Gap {
        from: moment(it.at),
        until: until.map(moment),
    });
    Tampering {
        at: Span {
            first: moment(it.at),
            last: moment(it.at),
        },
        what: match has_succeeded {
            true => what,
            false => format!("{what}: tried, and refused with {}", it.error),
        },
        principal: known.text(it.by.principal).to_owned(),
        has_succeeded,
        region: (!it.region.is_empty()).then(|| it.region.clone()),
        gap,
        evidence: vec![it.evidence],
    }
}

/// Trails are named by name or by ARN.
fn same(one: &str, other: &str) -> bool {
    let last = |text: &str| text.rsplit('/').next().unwrap_or_default().to_owned();
    last(one) == last(other)
}
