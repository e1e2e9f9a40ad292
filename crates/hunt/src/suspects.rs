//! From the rows of many hunts to one ranked list of suspected incidents.
//!
//! What must stay true: the same leads give the same list in whatever order they come; no lead is
//! left out; leads that share nothing but an account, a region or an instance type stay apart.
//! Deliberately not here: where leads come from.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_content::hunt::{ENTITIES, Entity as Kind};
use davylamp_model::finding::Severity;
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::read::cloudtrail::key_kind;

mod about;
mod groups;
#[cfg(test)]
mod tests;

use about::{hosts, is_actor, joins, scope, shared};
use groups::Groups;

/// Leads about the same thing belong together when no more than this lies between them. Miners
/// stay for days; what the same key did a week earlier is another story.
const GAP: SignedDuration = SignedDuration::from_hours(24);

/// An outside address joins hosts that talk to it only up to this many: beyond it, it is a service
/// that everybody uses.
const MOST_SHARING: usize = 25;

/// A lead below this score joins nothing by an outside address: weak signals share destinations
/// with half the network.
const LEAST_TO_JOIN: f64 = 50.0;

/// Something a lead is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Entity {
    /// What it is.
    #[serde(serialize_with = "kind_name")]
    pub kind: Kind,
    /// Its name.
    pub value: String,
}

impl Entity {
    /// A thing of a kind by its name.
    pub fn new(kind: Kind, value: &str) -> Self {
        Self {
            kind,
            value: value.to_owned(),
        }
    }

    /// The things a value names. A list stands in a row as one text, joined by commas; only a
    /// principal is one, whatever it holds: a session's name may have a comma.
    pub fn all_of(kind: Kind, text: &str) -> Vec<Self> {
        let parts: Vec<&str> = match kind {
            Kind::Principal | Kind::Session => vec![text],
            _ => text.split(',').collect(),
        };
        let parts = parts.into_iter().map(str::trim);
        let named = parts.filter(|part| !part.is_empty());
        named.map(|part| Self::new(kind, part)).collect()
    }

    /// The name of its kind, as in a hunt.
    pub fn kind_name(&self) -> &'static str {
        let found = ENTITIES.iter().find(|(kind, _)| *kind == self.kind);
        found.map_or("", |(_, name)| name)
    }
}

/// CloudTrail calls who acted by the key that signed, which others name as the key.
fn keys(leads: &[Lead]) -> BTreeSet<Link> {
    let all = leads.iter().flat_map(|lead| &lead.entities);
    let signed = all.filter(|it| it.kind == Kind::Principal && key_kind(&it.value).is_some());
    let link = |it: &Entity| (it.clone(), Entity::new(Kind::Key, &it.value));
    signed.map(link).collect()
}

fn kind_name<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    let found = ENTITIES.iter().find(|(known, _)| known == kind);
    serializer.serialize_str(found.map_or("", |(_, name)| name))
}

/// One row of one hunt.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lead {
    /// The hunt.
    pub hunt: String,
    /// How bad a row of it with full score is.
    pub severity: Severity,
    /// 0 to 100.
    pub score: f64,
    /// When it began.
    pub first_seen: Option<Timestamp>,
    /// When it was last seen.
    pub last_seen: Option<Timestamp>,
    /// What it is about.
    pub entities: BTreeSet<Entity>,
    /// Why, as a sentence.
    pub because: String,
    /// The columns that are the evidence.
    pub evidence: BTreeMap<String, serde_json::Value>,
}

/// Two names of one thing, such as an interface and its instance.
pub type Link = (Entity, Entity);

/// Leads that belong together.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Suspect {
    /// The same for the same leads.
    pub id: String,
    /// 0 to 100.
    pub score: f64,
    /// The worst of its leads.
    pub severity: Severity,
    /// When it began.
    pub first_seen: Option<Timestamp>,
    /// When it was last seen.
    pub last_seen: Option<Timestamp>,
    /// Who acted.
    pub principals: Vec<Entity>,
    /// What it happened to, and where.
    pub resources: Vec<Entity>,
    /// Why, as plain sentences, the strongest first.
    pub because: Vec<String>,
    /// The leads, the strongest first.
    pub leads: Vec<Lead>,
}

impl Lead {
    /// The end of what is known of it; never before its beginning, whatever the log says.
    pub fn end(&self) -> Option<Timestamp> {
        self.last_seen.max(self.first_seen)
    }
}

/// Joins leads that share a resource or a principal within a day, and ranks what comes of it.
pub fn rank(leads: Vec<Lead>, links: &[Link]) -> Vec<Suspect> {
    let mut groups = Groups::new(leads.len());
    let links: Vec<Link> = links.iter().cloned().chain(keys(&leads)).collect();
    for (kind, mut indices) in shared(&leads, &links) {
        if kind == Kind::Remote {
            indices.retain(|index| leads[*index].score >= LEAST_TO_JOIN);
            if hosts(&leads, &indices) > MOST_SHARING {
                continue;
            }
        }
        join_in_time(&leads, indices, &mut groups);
    }
    let mut by_group: BTreeMap<usize, Vec<Lead>> = BTreeMap::new();
    for (index, lead) in leads.into_iter().enumerate() {
        by_group.entry(groups.top(index)).or_default().push(lead);
    }
    let mut suspects: Vec<Suspect> = by_group.into_values().map(suspect).collect();
    suspects.sort_by(|one, other| {
        other
            .score
            .total_cmp(&one.score)
            .then_with(|| one.first_seen.cmp(&other.first_seen))
            .then_with(|| one.id.cmp(&other.id))
            // Only what is about nothing can be alike so far.
            .then_with(|| format!("{one:?}").cmp(&format!("{other:?}")))
    });
    suspects
}

/// Joins those of the leads between which no long time lies. A lead without a time is joined to
/// the first: nothing says that it is another story.
fn join_in_time(leads: &[Lead], mut indices: Vec<usize>, groups: &mut Groups) {
    indices.sort_by_key(|index| leads[*index].first_seen);
    let mut end: Option<Timestamp> = None;
    let mut before: Option<usize> = None;
    for index in indices {
        let lead = &leads[index];
        let is_near = match (end, lead.first_seen) {
            (Some(end), Some(first)) => first.duration_since(end) <= GAP,
            _ => true,
        };
        if let (Some(before), true) = (before, is_near) {
            groups.join(before, index);
        }
        end = match is_near {
            true => end.max(lead.end()),
            false => lead.end(),
        };
        before = Some(index);
    }
}

fn suspect(mut leads: Vec<Lead>) -> Suspect {
    leads.sort_by(|one, other| {
        weight(other)
            .total_cmp(&weight(one))
            .then_with(|| one.hunt.cmp(&other.hunt))
            .then_with(|| one.entities.cmp(&other.entities))
            .then_with(|| one.first_seen.cmp(&other.first_seen))
            .then_with(|| one.last_seen.cmp(&other.last_seen))
            .then_with(|| one.because.cmp(&other.because))
            .then_with(|| one.score.total_cmp(&other.score))
            .then_with(|| one.severity.cmp(&other.severity))
            .then_with(|| evidence(one).cmp(&evidence(other)))
    });
    let all: BTreeSet<&Entity> = leads.iter().flat_map(|lead| &lead.entities).collect();
    let (principals, resources) = all
        .iter()
        .map(|entity| (*entity).clone())
        .partition(|entity| is_actor(entity.kind));
    let mut said = BTreeSet::new();
    let because = leads
        .iter()
        .map(|lead| &lead.because)
        .filter(|because| said.insert(*because))
        .cloned()
        .collect();
    Suspect {
        id: id(&leads),
        score: score(&leads),
        severity: leads
            .iter()
            .map(|lead| lead.severity)
            .max()
            .unwrap_or(Severity::Low),
        first_seen: leads.iter().filter_map(|lead| lead.first_seen).min(),
        last_seen: leads.iter().filter_map(Lead::end).max(),
        principals,
        resources,
        because,
        leads,
    }
}

/// The evidence as text, to tell leads apart that are alike in all else.
fn evidence(lead: &Lead) -> String {
    format!("{:?}", lead.evidence)
}

/// A lead's score, weighed by how bad the behaviour is.
fn weight(lead: &Lead) -> f64 {
    let share = match lead.severity {
        Severity::Critical => 1.0,
        Severity::High => 0.85,
        Severity::Medium => 0.6,
        Severity::Low => 0.3,
    };
    match lead.score.is_nan() {
        true => 0.0,
        false => lead.score.clamp(0.0, 100.0) * share,
    }
}

/// Each hunt is a witness by itself, and counts once however many rows it has: the score is the
/// chance that not all of them are wrong.
pub fn score<'a>(leads: impl IntoIterator<Item = &'a Lead>) -> f64 {
    let mut best: BTreeMap<&str, f64> = BTreeMap::new();
    for lead in leads {
        let known = best.entry(&lead.hunt).or_default();
        *known = known.max(weight(lead));
    }
    let all_wrong: f64 = best.values().map(|weight| 1.0 - weight / 100.0).product();
    (1.0 - all_wrong) * 100.0
}

/// By what it is about and when it began, so that more leads about the same thing keep the name.
fn id(leads: &[Lead]) -> String {
    let first = leads
        .iter()
        .flat_map(|lead| {
            let own = lead.entities.iter().filter(|entity| joins(entity));
            own.map(|entity| (lead.first_seen, scope(lead), entity))
        })
        .min();
    let mut digest = Sha256::new();
    match first {
        Some((at, account, entity)) => {
            let name = entity.kind_name();
            digest.update(format!("{at:?} {account:?} {name} {:?}", entity.value));
        }
        None => {
            let texts: BTreeSet<String> = leads
                .iter()
                .map(|lead| format!("{:?} {}", lead.first_seen, lead.because))
                .collect();
            digest.update(format!("{texts:?}"));
        }
    }
    format!("suspect-{}", &hex::encode(digest.finalize())[..12])
}
