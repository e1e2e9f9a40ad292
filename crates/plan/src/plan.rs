//! A plan: what should be done, in which order, and why the rest should not.

use std::fmt;

use davylamp_model::finding::Finding;
use davylamp_model::ids::{FindingId, HubUser, IncidentId};
use davylamp_model::resource::{Place, Resource};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::action::Action;

pub use davylamp_content::playbook::Stage;

/// A step's id: the same for the same action on the same target, `isolate-interface:interface/eni-…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub String);

impl StepId {
    /// The id of the step that takes this action.
    pub fn of(action: &Action) -> Self {
        Self(format!("{}:{}", action.verb(), action.target()))
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Step {
    /// Its id.
    pub id: StepId,
    /// Its stage.
    pub stage: Stage,
    /// What it does.
    pub action: Action,
    /// Why, as a clause for people.
    pub why: String,
    /// Steps without whose success this one must not happen: evidence before its destruction.
    /// Every other step is independent: when one before it fails, it goes on.
    pub only_after: Vec<StepId>,
    /// Why a person has to say yes first; `None` where nobody has to.
    pub approval: Option<String>,
}

/// Something that was considered and is not in the plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Omission {
    /// What would have been done.
    pub what: String,
    /// To what.
    pub target: String,
    /// Why not, as a clause for people.
    pub because: String,
}

/// Several omissions of one target for one reason: all that would have been done, the target and
/// the reason.
pub type Alike<'o> = (Vec<&'o str>, &'o str, &'o str);

/// Omissions for people to read: what is not done to the same target for the same reason, together,
/// in the order of the first of each.
pub fn alike(omissions: &[Omission]) -> Vec<Alike<'_>> {
    let mut groups: Vec<Alike<'_>> = Vec::new();
    for one in omissions {
        let (target, because) = (one.target.as_str(), one.because.as_str());
        let known = groups
            .iter_mut()
            .find(|(_, other, why)| (*other, *why) == (target, because));
        match known {
            Some((what, ..)) => what.push(&one.what),
            None => groups.push((vec![&one.what], target, because)),
        }
    }
    groups
}

/// One link in the chain from a finding to a person, with its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Link {
    /// From, as a resource key.
    pub from: String,
    /// To, as a resource key.
    pub to: String,
    /// What proves it: a tag, an annotation, the Hub's list, quoted.
    pub proof: String,
}

/// A user who may be the one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Candidate {
    /// The user, as the Hub spells the name.
    pub user: HubUser,
    /// The claim whose volume led here, whole.
    pub claim: Option<String>,
    /// Whether the name was found in the Hub's own list.
    pub confirmed: bool,
    /// The chain that leads to this user.
    pub chain: Vec<Link>,
    /// What speaks for this user beside being there: guard sightings, processor use.
    pub evidence: Vec<String>,
}

/// Who did it, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Attribution {
    /// Everyone who may be the one, by name.
    pub candidates: Vec<Candidate>,
    /// The one, where exactly one is proven.
    pub decided: Option<HubUser>,
    /// Why, or why nobody.
    pub because: String,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plan {
    /// The incident.
    pub incident: IncidentId,
    /// Where.
    pub place: Place,
    /// The playbook's name.
    pub playbook: String,
    /// The findings it answers.
    pub findings: Vec<FindingId>,
    /// What it is about.
    pub resource: Resource,
    /// When the inventory was taken.
    pub made_at: Timestamp,
    /// Who did it.
    pub attribution: Attribution,
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// What not to do, and why.
    pub omissions: Vec<Omission>,
    /// When, and which steps, are undone because they only served the investigation.
    pub release: Option<ReleaseTimer>,
    /// What the report should say beside: gaps of the finding, things unread, cost so far.
    pub remarks: Vec<String>,
    /// Whether something it was made without may be read later: then a plan made again may have
    /// more steps. No part of the hash.
    #[serde(default)]
    pub again: bool,
    /// Why nothing of what it is about could be read, where that is so: then an empty plan does not
    /// mean that nothing is to be done. No part of the hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blind: Option<String>,
}

/// Steps that are undone after a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ReleaseTimer {
    /// Hours after the plan has finished.
    pub after_hours: u32,
    /// The steps.
    pub steps: Vec<StepId>,
}

impl Plan {
    /// A digest of what the plan does: 64 hexadecimal digits. Two plans with the same place,
    /// incident, playbook and steps have the same one; reasons and remarks do not matter.
    pub fn hash(&self) -> String {
        let mut essence = serde_json::json!({
            "incident": self.incident,
            "place": self.place,
            "playbook": self.playbook,
            "steps": self.steps.iter().map(|step| (&step.id, &step.action, &step.only_after)).collect::<Vec<_>>(),
        });
        // A build keeps members in another order than the next, by what else is in it.
        essence.sort_all_objects();
        hex::encode(Sha256::digest(essence.to_string().as_bytes()))
    }

    /// Whether somebody of the Hub can be behind it: what is done with a key or to an account is not.
    pub fn is_about_users(&self) -> bool {
        let can_be = !matches!(
            self.resource,
            Resource::AccessKey { .. }
                | Resource::Account
                | Resource::AccountRegion { .. }
                | Resource::Function { .. }
                | Resource::Bucket { .. }
        );
        can_be || !self.attribution.candidates.is_empty()
    }

    /// The step with this id.
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == *id)
    }
}

/// The id an incident gets when it is opened by a finding about this resource.
///
/// Instances, volumes and tasks are never reused, so their incident's id depends on them alone.
/// For what can offend again (a user, a pod name, a function) `opened_at` is part of it; the
/// journal says which incident about it is still open.
pub fn incident_id(place: &Place, resource: &Resource, opened_at: Timestamp) -> IncidentId {
    let mut digest = Sha256::new();
    for part in [
        place.account.as_str(),
        place.region.as_str(),
        &resource.key(),
    ] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    if !has_lasting_id(resource) {
        digest.update(opened_at.to_string().as_bytes());
    }
    IncidentId(format!("inc-{}", &hex::encode(digest.finalize())[..16]))
}

/// Whether the id of an incident about it depends on the resource alone, and not on when it is opened.
pub fn has_lasting_id(resource: &Resource) -> bool {
    matches!(
        resource,
        Resource::Instance { .. } | Resource::Volume { .. } | Resource::EcsTask { .. }
    )
}

/// What a planner is asked about: findings about one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The incident.
    pub incident: IncidentId,
    /// The findings, the one that decides first.
    pub findings: Vec<Finding>,
    /// The resource they are about.
    pub resource: Resource,
}
