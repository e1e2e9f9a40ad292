//! From suspected incidents to findings, which a responder reads like anybody else's.
//!
//! A suspect is one finding for each behaviour and place in it. What must stay true: a finding names
//! as its resources only what leads of that very behaviour are about. Whoever merely started a
//! machine on which somebody mines is told of, and is no target.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_content::hunt::{Entity as Kind, Hunt};
use davylamp_hunt::run::Job;
use davylamp_hunt::suspects::{Entity, Lead, Suspect, score};
use davylamp_model::finding::{Behaviour, Finding, FindingSource, Observed, Severity};
use davylamp_model::ids::{AccountId, FindingId, Region, is_region};
use davylamp_model::intake::hunted::{Named, resource};
use davylamp_model::resource::{Place, Resource};

/// The most that is told as observed; the leads have the rest.
const OBSERVED: usize = 100;

/// A finding, and the leads it was made of, the strongest first.
pub(super) struct Told<'a> {
    pub(super) finding: Finding,
    pub(super) leads: Vec<&'a Lead>,
    /// The hunts of those leads.
    pub(super) hunts: Vec<&'a Hunt>,
    /// 0 to 100.
    pub(super) score: f64,
    /// The suspect it is of.
    pub(super) suspect: &'a Suspect,
}

/// The findings of a suspect.
pub(super) fn of<'a>(suspect: &'a Suspect, jobs: &'a [Job]) -> Vec<Told<'a>> {
    let mut groups: BTreeMap<(Option<Behaviour>, Where), Vec<&Lead>> = BTreeMap::new();
    for lead in &suspect.leads {
        let behaviour = hunt_of(lead, jobs).and_then(|hunt| hunt.behaviour);
        let group = groups.entry((behaviour, Where::of(lead))).or_default();
        group.push(lead);
    }
    groups
        .into_iter()
        .map(|((behaviour, place), leads)| told(suspect, jobs, behaviour, &place, leads))
        .collect()
}

fn hunt_of<'a>(lead: &Lead, jobs: &'a [Job]) -> Option<&'a Hunt> {
    let job = jobs.iter().find(|job| job.hunt.name == lead.hunt);
    job.map(|job| &job.hunt)
}

/// Where a lead says it happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Where {
    account: Option<String>,
    region: Option<String>,
}

impl Where {
    fn of(lead: &Lead) -> Self {
        let first = |kind| values(lead, kind).next().map(str::to_owned);
        Self {
            account: first(Kind::Account),
            region: first(Kind::Region).or_else(|| home_of_identities(lead)),
        }
    }

    fn place(&self, gaps: &mut Vec<String>) -> Option<Place> {
        let account = self.account.as_deref().map(AccountId::from);
        let account = account.filter(AccountId::is_well_formed);
        let region = self.region.as_deref().filter(|region| is_region(region));
        if account.is_none() {
            gaps.push("The log does not say in which account this happened.".to_owned());
        }
        if region.is_none() {
            gaps.push("The log does not say in which region this happened.".to_owned());
        }
        Some(Place {
            account: account?,
            region: Region::from(region?),
        })
    }
}

/// Identities are global: where a lead names no region, the one that keeps them (AWS General
/// Reference, "AWS Identity and Access Management endpoints").
fn home_of_identities(lead: &Lead) -> Option<String> {
    let principal = values(lead, Kind::Principal).next()?;
    let partition = principal.strip_prefix("arn:")?.split(':').next()?;
    let region = match partition {
        "aws" => "us-east-1",
        "aws-us-gov" => "us-gov-west-1",
        "aws-cn" => "cn-north-1",
        _ => return None,
    };
    Some(region.to_owned())
}

fn values(lead: &Lead, kind: Kind) -> impl Iterator<Item = &str> {
    let own = lead.entities.iter().filter(move |it| it.kind == kind);
    own.map(|entity| entity.value.as_str())
}

fn told<'a>(
    suspect: &'a Suspect,
    jobs: &'a [Job],
    behaviour: Option<Behaviour>,
    place: &Where,
    leads: Vec<&'a Lead>,
) -> Told<'a> {
    let mut gaps = Vec::new();
    let score = score(leads.iter().copied());
    let hunts: Vec<&Hunt> = leads.iter().filter_map(|it| hunt_of(it, jobs)).collect();
    let worst = leads.iter().map(|lead| lead.severity).max();
    let at = place.place(&mut gaps);
    let mut resources: Vec<Resource> = Vec::new();
    if behaviour.is_some() {
        for lead in &leads {
            // Identities have a region where the lead names none; machines have not.
            let is_placed = at.is_none() || values(lead, Kind::Region).next().is_some();
            for named in named(lead, behaviour) {
                if !is_placed && !matches!(named, Named::Credential { .. }) {
                    gaps.push("The log does not say in which region its machines are.".to_owned());
                    continue;
                }
                match resource(named, at.as_ref()) {
                    Ok(found) if !resources.contains(&found) => resources.push(found),
                    Ok(_) => {}
                    Err(why) => gaps.extend(why),
                }
            }
        }
    }
    if behaviour.is_some() && resources.is_empty() {
        gaps.push("The log names nothing that could be acted on.".to_owned());
    }
    let mut said = BTreeSet::new();
    gaps.retain(|gap| said.insert(gap.clone()));
    let strongest = leads.first();
    let kind = strongest.map_or("", |lead| lead.hunt.as_str());
    let parts = [
        Some(suspect.id.as_str()),
        behaviour.map(Behaviour::as_str),
        place.account.as_deref(),
        place.region.as_deref(),
    ];
    let id: Vec<&str> = parts.into_iter().flatten().collect();
    let finding = Finding {
        id: FindingId(id.join("/")),
        source: FindingSource::Davylamp,
        kind: format!("Davylamp:Hunt/{kind}"),
        behaviour: behaviour.unwrap_or(Behaviour::Other),
        title: strongest.map_or_else(String::new, |lead| lead.because.clone()),
        severity: worst.unwrap_or(Severity::Low).min(as_sure_as(score)),
        place: at,
        resources,
        first_seen: leads.iter().filter_map(|lead| lead.first_seen).min(),
        last_seen: leads.iter().filter_map(|lead| lead.end()).max(),
        count: leads.len() as u64,
        sample: false,
        archived: false,
        detector: None,
        observed: observed(&leads),
        gaps,
    };
    Told {
        finding,
        leads,
        hunts,
        score,
        suspect,
    }
}

/// Playbooks act by severity, and a weak suspicion must not end a machine.
fn as_sure_as(score: f64) -> Severity {
    match score {
        90.0.. => Severity::Critical,
        75.0.. => Severity::High,
        50.0.. => Severity::Medium,
        _ => Severity::Low,
    }
}

/// What a lead names that can be a resource. Credentials are one only where the lead is about their
/// theft.
fn named(lead: &Lead, behaviour: Option<Behaviour>) -> Vec<Named<'_>> {
    let cluster = values(lead, Kind::Cluster).next();
    let pod = values(lead, Kind::Workload).next();
    let key = values(lead, Kind::Key).next();
    let mut all: Vec<Named<'_>> = values(lead, Kind::Instance).map(Named::Instance).collect();
    all.extend(values(lead, Kind::HubUser).map(|user| Named::HubUser { user, pod }));
    all.extend(values(lead, Kind::Workload).map(|path| Named::Workload { cluster, path }));
    all.extend(values(lead, Kind::Function).map(Named::Function));
    if behaviour == Some(Behaviour::StolenCredential) {
        let principals = values(lead, Kind::Principal);
        all.extend(principals.map(|principal| Named::Credential { key, principal }));
    }
    if pod.is_none() {
        all.extend(values(lead, Kind::Cluster).map(Named::Cluster));
    }
    all
}

/// What the leads are about, each thing once.
fn observed(leads: &[&Lead]) -> Vec<Observed> {
    let all: BTreeSet<&Entity> = leads.iter().flat_map(|lead| &lead.entities).collect();
    let seen = all.into_iter().filter_map(|entity| {
        let is_address = entity.value.parse::<std::net::IpAddr>().is_ok();
        let what = match entity.kind {
            Kind::Remote if is_address => "remote-address",
            Kind::Remote => "domain",
            Kind::Principal => "principal",
            Kind::Key => "access-key",
            Kind::HubUser => "user",
            Kind::Account | Kind::Region => return None,
            _ => entity.kind_name(),
        };
        Some(Observed {
            what: what.to_owned(),
            value: entity.value.clone(),
        })
    });
    seen.take(OBSERVED).collect()
}

#[cfg(test)]
mod tests;
