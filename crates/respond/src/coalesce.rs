//! Many findings, few incidents: findings about the same thing become one case.
//!
//! The same thing is the same acting resource in the same account and region; for what has no
//! region (IAM users, roles, root) in the same account. Findings that only share a resource further
//! down their lists stay apart: one case has one resource, and joining two would leave one of
//! theirs without an answer.

use std::collections::BTreeMap;

use davylamp_model::finding::{Behaviour, Finding};
use davylamp_model::ids::{FindingId, IncidentId};
use davylamp_model::resource::{Place, Resource};
use davylamp_plan::plan::{Case, incident_id};
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// A case, and the name under which the journal knows its resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coalesced {
    /// The case. Its incident is a proposal: the journal may know one that is still open.
    pub case: Case,
    /// Where.
    pub place: Place,
    /// `account/region/` and the resource's key.
    pub resource: String,
}

/// A finding that is told and never acted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct OnlyReported {
    /// The finding.
    pub finding: FindingId,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Why nothing is done about it, as a clause.
    pub because: String,
    /// What was missing in it or could not be understood, each a whole sentence.
    pub gaps: Vec<String>,
    /// The finding itself, for the notice.
    #[serde(skip)]
    pub whole: Finding,
}

impl OnlyReported {
    /// Whether people are told. What its source has archived somebody has dealt with.
    pub fn is_news(&self) -> bool {
        !self.whole.archived
    }

    /// The id under which the journal keeps that it was told: it is no incident.
    pub fn thread(&self) -> IncidentId {
        let digest = Sha256::digest(self.finding.as_str().as_bytes());
        IncidentId(format!("told-{}", &hex::encode(digest)[..16]))
    }
}

/// Findings, sorted out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sorted {
    /// Those to act on.
    pub cases: Vec<Coalesced>,
    /// The others.
    pub reported: Vec<OnlyReported>,
}

/// Sorts findings out. The order of the findings and how often each comes make no difference.
pub fn coalesce(findings: Vec<Finding>, now: Timestamp) -> Sorted {
    let mut sorted = Sorted::default();
    let mut cases: BTreeMap<String, (Place, Vec<Finding>)> = BTreeMap::new();
    for finding in findings {
        match acting(&finding) {
            Ok((place, resource)) => {
                let key = journal_key(&place, &resource);
                let (_, found) = cases.entry(key).or_insert_with(|| (place, Vec::new()));
                found.push(finding);
            }
            Err(because) => sorted.reported.push(OnlyReported {
                finding: finding.id.clone(),
                kind: finding.kind.clone(),
                because: because.to_owned(),
                gaps: finding.gaps.clone(),
                whole: finding,
            }),
        }
    }
    for (key, (_, found)) in cases {
        let found = in_order(found);
        let Some((place, resource)) = found.first().and_then(|first| acting(first).ok()) else {
            continue;
        };
        let incident: IncidentId = incident_id(&place, &resource, now);
        sorted.cases.push(Coalesced {
            case: Case {
                incident,
                findings: found,
                resource,
            },
            place,
            resource: key,
        });
    }
    sorted
        .reported
        .sort_by(|one, other| one.finding.cmp(&other.finding));
    sorted
        .reported
        .dedup_by(|one, other| one.finding == other.finding && one.because == other.because);
    sorted
}

/// The findings of a case, each once, in its latest form, the one that decides first: the worst,
/// and of several the first one seen. The id makes the order total.
pub(crate) fn in_order(found: Vec<Finding>) -> Vec<Finding> {
    let mut latest: BTreeMap<FindingId, Finding> = BTreeMap::new();
    for finding in found {
        let age = |finding: &Finding| (finding.last_seen, finding.count, finding.severity);
        match latest.get(&finding.id) {
            Some(known) if age(known) >= age(&finding) => {}
            _ => {
                latest.insert(finding.id.clone(), finding);
            }
        }
    }
    let mut found: Vec<Finding> = latest.into_values().collect();
    found.sort_by(|one, other| {
        (other.severity, one.first_seen, &one.id).cmp(&(one.severity, other.first_seen, &other.id))
    });
    found
}

/// The name under which the journal knows the resource of a finding that is acted on.
pub(crate) fn key(finding: &Finding) -> Option<String> {
    let (place, resource) = acting(finding).ok()?;
    Some(journal_key(&place, &resource))
}

/// Where and on what a finding can be acted on, or why it cannot.
fn acting(finding: &Finding) -> Result<(Place, Resource), &'static str> {
    if finding.sample {
        return Err("it is a sample");
    }
    if finding.archived {
        return Err("its source has archived it: somebody has dealt with it");
    }
    if finding.behaviour == Behaviour::Unknown {
        return Err("its type is unknown to this version");
    }
    let Some(resource) = finding.resources.first() else {
        return Err("it names no resource that can be told");
    };
    if matches!(resource, Resource::Unknown { .. }) {
        return Err("its kind of resource is unknown to this version");
    }
    match &finding.place {
        Some(place) => Ok((place.clone(), resource.clone())),
        None => Err("it does not say in which account and region it happened"),
    }
}

/// The name under which the journal knows a resource.
pub(crate) fn journal_key(place: &Place, resource: &Resource) -> String {
    let key = resource.key();
    let global = matches!(resource, Resource::AccessKey { .. });
    let region = if global {
        "global"
    } else {
        place.region.as_str()
    };
    format!("{}/{region}/{key}", place.account)
}
