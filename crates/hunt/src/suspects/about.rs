//! Which leads are about the same thing.
//!
//! A key, an instance or an ARN is one thing wherever it stands. A private address or a bare name
//! is one only within an account: every VPC has a 10.0.0.5, every account an `admin`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use davylamp_content::hunt::Entity as Kind;
use davylamp_detect::address::is_public;

use super::groups::Groups;
use super::{Entity, Lead, Link};

/// How services of AWS are called where they act: for everybody, so that it joins nothing.
const SERVICE_SUFFIX: &str = ".amazonaws.com";

/// Whether leads about the same one are about the same incident.
pub(super) fn joins(entity: &Entity) -> bool {
    match entity.kind {
        Kind::Account | Kind::Region | Kind::Cluster | Kind::Type | Kind::Remote => false,
        Kind::Principal | Kind::Address => !entity.value.ends_with(SERVICE_SUFFIX),
        Kind::Instance
        | Kind::Interface
        | Kind::Key
        | Kind::Session
        | Kind::HubUser
        | Kind::Workload
        | Kind::Function => true,
    }
}

/// Whether it says who acted.
pub(super) fn is_actor(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Key | Kind::Principal | Kind::Session | Kind::HubUser
    )
}

/// The account a lead is about, where there is one.
pub(super) fn scope(lead: &Lead) -> Option<&str> {
    let mut accounts = lead.entities.iter().filter(|it| it.kind == Kind::Account);
    accounts.next().map(|account| account.value.as_str())
}

/// How many things inside some leads are about, of the kind there are most of: one machine has an
/// address, an interface and an id.
pub(super) fn hosts(leads: &[Lead], indices: &[usize]) -> usize {
    let mut all: BTreeMap<Kind, BTreeSet<(Option<&str>, &str)>> = BTreeMap::new();
    for index in indices {
        let lead = &leads[*index];
        for entity in lead.entities.iter().filter(|entity| joins(entity)) {
            let known = all.entry(entity.kind).or_default();
            known.insert((scope(lead), &entity.value));
        }
    }
    all.values().map(BTreeSet::len).max().unwrap_or(0)
}

/// The leads about each thing that joins, and about each outside address.
pub(super) fn shared(leads: &[Lead], links: &[Link]) -> Vec<(Kind, Vec<usize>)> {
    let mut about: BTreeMap<&Entity, BTreeMap<Option<&str>, Vec<usize>>> = BTreeMap::new();
    let names = Names::new(links);
    for (index, lead) in leads.iter().enumerate() {
        let of_use = |it: &&Entity| joins(it) || it.kind == Kind::Remote;
        let things: BTreeSet<&Entity> = lead
            .entities
            .iter()
            .filter(of_use)
            .map(|entity| names.of(entity))
            .collect();
        for thing in things {
            let account = is_local(thing).then(|| scope(lead)).flatten();
            let by_account = about.entry(thing).or_default();
            by_account.entry(account).or_default().push(index);
        }
    }
    about
        .into_iter()
        .flat_map(|(thing, by_account)| {
            // A log that does not say its account is taken for the only account there is.
            let accounts = by_account
                .keys()
                .filter(|account| account.is_some())
                .count();
            let groups: Vec<Vec<usize>> = match accounts {
                0 | 1 => vec![by_account.into_values().flatten().collect()],
                _ => by_account.into_values().collect(),
            };
            groups.into_iter().map(move |group| (thing.kind, group))
        })
        .collect()
}

/// Whether its name may be another thing's in another account.
fn is_local(entity: &Entity) -> bool {
    match entity.kind {
        Kind::Address => entity
            .value
            .parse::<IpAddr>()
            .is_ok_and(|address| !is_public(address)),
        Kind::Principal | Kind::Session | Kind::HubUser | Kind::Function => {
            !["arn:", "AKIA", "ASIA", "AIDA", "AROA"]
                .iter()
                .any(|start| entity.value.starts_with(start))
        }
        _ => false,
    }
}

/// One name for all the names of a thing.
struct Names<'a> {
    first: BTreeMap<&'a Entity, &'a Entity>,
}

impl<'a> Names<'a> {
    fn new(links: &'a [Link]) -> Self {
        let linked: BTreeSet<&Entity> =
            links.iter().flat_map(|(one, other)| [one, other]).collect();
        let linked: Vec<&Entity> = linked.into_iter().collect();
        let mut groups = Groups::new(linked.len());
        for (one, other) in links {
            if let (Ok(one), Ok(other)) = (linked.binary_search(&one), linked.binary_search(&other))
            {
                groups.join(one, other);
            }
        }
        let first = linked
            .iter()
            .enumerate()
            .map(|(index, entity)| (*entity, linked[groups.top(index)]));
        Self {
            first: first.collect(),
        }
    }

    fn of(&self, entity: &'a Entity) -> &'a Entity {
        self.first.get(entity).copied().unwrap_or(entity)
    }
}
