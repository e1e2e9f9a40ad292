//! Cases: findings with what was there, and what a playbook must make of them.
//!
//! A case stands in the playbook's own file under `[[cases]]`. It is written in short form; this
//! module makes whole findings and inventories of it. The planner's tests run them, against all
//! playbooks that ship, so that a near miss shows which other playbook takes over.
//!
//! Deliberately not here: the policy, of which a case only carries the text (`plan` knows its
//! shape), and judging the outcome.

use davylamp_model::finding::{Behaviour, Finding, FindingSource, Observed, Severity};
use davylamp_model::ids::{AccountId, FindingId, Region};
use davylamp_model::inventory::Inventory;
use davylamp_model::resource::{Place, Resource};
use jiff::Timestamp;

use super::fixture::{Fixture, ResourceText};
use crate::fields::Fields;
use crate::readable::{Readable, missing, record, word};
use crate::tree::NodeId;

/// When the inventory of every case is taken: 2026-03-01 12:00 UTC, in seconds.
const TAKEN_AT_SECONDS: i64 = 1_772_366_400;

/// The account of a case that names none: the one of Amazon's documentation.
const ACCOUNT: &str = "111122223333";

/// The region of a case that names none.
const REGION: &str = "us-east-1";

/// What a case shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CaseKind {
    /// The playbook does what it is for.
    Fires,
    /// One field away, and it does not, or not all of it.
    NearMiss,
    /// Somebody wrote the values to mislead.
    Hostile,
    /// Looks alike, and is innocent.
    Benign,
}

impl CaseKind {
    /// Every kind with its name in a file.
    pub const ALL: &[(Self, &str)] = &[
        (Self::Fires, "fires"),
        (Self::NearMiss, "near-miss"),
        (Self::Hostile, "hostile"),
        (Self::Benign, "benign"),
    ];
}

impl Readable for CaseKind {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        word(fields, id, "kind of case", Self::ALL)
    }
}

/// A finding, what was there, and what must come of it.
#[derive(Debug, Clone)]
pub struct Case {
    /// What the case shows.
    pub kind: CaseKind,
    /// What it is, as a clause.
    pub name: String,
    /// The playbook that the operator names, where one is named.
    pub named: Option<String>,
    /// What of the policy differs from the default, as a table.
    pub policy: serde_json::Value,
    /// What must come of it.
    pub expect: Expect,
    account: String,
    region: String,
    finding: Found,
    fixture: Fixture,
}

/// What must come of a case. What is left out must not be there: no steps means that nothing is
/// planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// The playbook that is used.
    pub playbook: String,
    /// The steps of the plan, all of them, in order: ids such as `isolate-interface:interface/eni-0`,
    /// or verbs alone.
    pub steps: Vec<String>,
    /// Those of them that wait for a person, written in the same way.
    pub approval: Vec<String>,
    /// Texts of which each stands in an omission, written as `WHAT TARGET: BECAUSE`.
    pub omits: Vec<String>,
    /// Texts of which each stands in a remark.
    pub remarks: Vec<String>,
    /// The users who may be the one.
    pub candidates: Vec<String>,
    /// The one, where it is decided.
    pub decided: Option<String>,
    /// The steps that are undone after a while, written in the same way.
    pub release: Vec<String>,
}

/// A finding in short form.
#[derive(Debug, Clone)]
struct Found {
    kind: String,
    behaviour: Behaviour,
    severity: Severity,
    source: FindingSource,
    resources: Vec<ResourceText>,
    sample: bool,
    archived: bool,
    detector: Option<String>,
    observed: Vec<String>,
    gaps: Vec<String>,
}

impl Case {
    /// Where it happens.
    pub fn place(&self) -> Place {
        Place {
            account: AccountId(self.account.clone()),
            region: Region(self.region.clone()),
        }
    }

    /// When the inventory was taken.
    pub fn taken_at(&self) -> Timestamp {
        Timestamp::from_second(TAKEN_AT_SECONDS).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The finding, whole.
    pub fn finding(&self) -> Finding {
        let found = &self.finding;
        let observed = found.observed.iter().map(|observed| {
            let (what, value) = observed.split_once('=').unwrap_or(("threat", observed));
            Observed {
                what: what.to_owned(),
                value: value.to_owned(),
            }
        });
        Finding {
            id: FindingId("case".to_owned()),
            source: found.source,
            kind: found.kind.clone(),
            behaviour: found.behaviour,
            title: self.name.clone(),
            severity: found.severity,
            place: Some(self.place()),
            resources: self.resources(),
            first_seen: Some(self.taken_at()),
            last_seen: Some(self.taken_at()),
            count: 1,
            sample: found.sample,
            archived: found.archived,
            detector: found.detector.clone(),
            observed: observed.collect(),
            gaps: found.gaps.clone(),
        }
    }

    /// What the finding happened to, the one that acted first; the account where it says nothing.
    pub fn resource(&self) -> Resource {
        let first = self.resources().into_iter().next();
        first.unwrap_or(Resource::Unknown {
            kind: "nothing".to_owned(),
        })
    }

    /// What was there.
    pub fn inventory(&self) -> Inventory {
        self.fixture.inventory(self.place(), self.taken_at())
    }

    fn resources(&self) -> Vec<Resource> {
        let place = self.place();
        let texts = self.finding.resources.iter();
        texts.filter_map(|text| text.resource(&place)).collect()
    }
}

impl Readable for Case {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        let mut known = vec![
            "kind", "name", "named", "policy", "expect", "account", "region", "finding",
        ];
        known.extend(Fixture::KEYS);
        let keys = fields.record(id, "a case", &known)?;
        macro_rules! required {
            ($key:literal) => {
                match keys.get($key) {
                    Some(value) => Readable::read(fields, *value),
                    None => missing(fields, id, $key, "a case"),
                }
            };
        }
        macro_rules! optional {
            ($key:literal, $default:expr) => {
                match keys.get($key) {
                    Some(value) => Readable::read(fields, *value),
                    None => Some($default),
                }
            };
        }
        let kind = required!("kind");
        let name = required!("name");
        let expect = required!("expect");
        let finding = required!("finding");
        let named = optional!("named", None);
        let policy = optional!("policy", serde_json::json!({}));
        let account = optional!("account", ACCOUNT.to_owned());
        let region = optional!("region", REGION.to_owned());
        let fixture = Fixture::read(fields, &keys);
        let policy = match policy {
            Some(policy) if policy.is_object() => Some(policy),
            Some(_) => {
                fields.expected(keys["policy"], "a table");
                None
            }
            None => None,
        };
        Some(Self {
            kind: kind?,
            name: name?,
            named: named?,
            policy: policy?,
            expect: expect?,
            account: account?,
            region: region?,
            finding: finding?,
            fixture: fixture?,
        })
    }
}

record!(Expect, "an expectation", {
    playbook "playbook",
    steps "steps" = Vec::new(),
    approval "approval" = Vec::new(),
    omits "omits" = Vec::new(),
    remarks "remarks" = Vec::new(),
    candidates "candidates" = Vec::new(),
    decided "decided" = None,
    release "release" = Vec::new(),
});

record!(Found, "a finding", {
    kind "type",
    behaviour "behaviour",
    severity "severity" = Severity::High,
    source "source" = FindingSource::GuardDuty,
    resources "resources" = Vec::new(),
    sample "sample" = false,
    archived "archived" = false,
    detector "detector" = None,
    observed "observed" = Vec::new(),
    gaps "gaps" = Vec::new(),
});

impl Readable for FindingSource {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        let known = [
            (Self::GuardDuty, "guard-duty"),
            (Self::SecurityHub, "security-hub"),
            (Self::Ocsf, "ocsf"),
            (Self::CloudTrail, "cloud-trail"),
            (Self::Cost, "cost"),
            (Self::Davylamp, "davylamp"),
        ];
        word(fields, id, "source", &known)
    }
}
