//! What a principal usually does: from where, with what, since when.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::pairs::{At, Pairs};
use crate::trail::days::Days;
use crate::trail::names::{Name, Names};
use crate::trail::place::{family, neighbourhood, net};
use crate::trail::uses::BEYOND;

/// Days on which a place must have been used before it is one's own.
const KNOWN_DAYS: u32 = 2;

/// What principals did, and from where.
#[derive(Debug, Default)]
pub struct Habits {
    by_net: HashMap<(Name, String), Days>,
    by_neighbourhood: HashMap<(Name, String), Days>,
    by_agent: HashMap<(Name, String), Days>,
    by_exact_agent: HashMap<(Name, Name), BTreeMap<String, i64>>,
    by_region: HashMap<(Name, Name), Days>,
    days: HashMap<Name, Days>,
    nets: HashMap<Name, BTreeSet<String>>,
    neighbourhoods: HashMap<Name, BTreeSet<String>>,
    sharing: BTreeMap<String, BTreeMap<Name, Days>>,
    with_mfa: HashMap<(Name, String), u64>,
    everywhere: HashSet<Name>,
}

impl Habits {
    /// Of all pairs.
    pub fn of(pairs: &Pairs, names: &Names) -> Self {
        let mut habits = Self::default();
        for (at, pair) in &pairs.all {
            if names.text(at.place) == BEYOND {
                habits.everywhere.insert(at.principal);
                habits
                    .days
                    .entry(at.principal)
                    .or_default()
                    .join(&pair.days);
            }
            if !pair.is_address {
                continue;
            }
            let net = net(names.text(at.place));
            habits
                .by_net
                .entry((at.principal, net.clone()))
                .or_default()
                .join(&pair.days);
            let wide = neighbourhood(names.text(at.place));
            habits
                .by_neighbourhood
                .entry((at.principal, wide.clone()))
                .or_default()
                .join(&pair.days);
            habits
                .neighbourhoods
                .entry(at.principal)
                .or_default()
                .insert(wide);
            habits
                .days
                .entry(at.principal)
                .or_default()
                .join(&pair.days);
            habits
                .nets
                .entry(at.principal)
                .or_default()
                .insert(net.clone());
            *habits
                .with_mfa
                .entry((at.principal, net.clone()))
                .or_default() += pair.with_mfa;
            habits
                .sharing
                .entry(net.clone())
                .or_default()
                .entry(at.principal)
                .or_default()
                .join(&pair.days);
            for agent in &pair.agents {
                let family = family(names.text(*agent));
                habits
                    .by_agent
                    .entry((at.principal, family))
                    .or_default()
                    .join(&pair.days);
                let exact = habits.by_exact_agent.entry((at.principal, *agent));
                let first = exact.or_default().entry(net.clone()).or_insert(pair.first);
                *first = (*first).min(pair.first);
            }
            for region in &pair.regions {
                habits
                    .by_region
                    .entry((at.principal, *region))
                    .or_default()
                    .join(&pair.days);
            }
        }
        habits
    }

    /// Whether a principal had used the network of a place on some days before.
    pub fn knows_place(&self, principal: Name, place: &str, before: i64) -> bool {
        self.days_at(principal, place, before) >= KNOWN_DAYS
    }

    /// On how many days before.
    pub fn days_at(&self, principal: Name, place: &str, before: i64) -> u32 {
        self.by_net
            .get(&(principal, net(place)))
            .map_or(0, |days| days.before(before))
    }

    /// On how many days before anything was done from anywhere.
    pub fn days(&self, principal: Name, before: i64) -> u32 {
        self.days
            .get(&principal)
            .map_or(0, |days| days.before(before))
    }

    /// Whether there is enough of a principal's past to say what is new.
    pub fn has_past(&self, principal: Name, before: i64) -> bool {
        self.days(principal, before) >= KNOWN_DAYS
    }

    /// Whether a principal had used addresses near a place on some days before, as one does whose
    /// provider gives a new address each day.
    pub fn is_near(&self, principal: Name, place: &str, before: i64) -> bool {
        let days = self
            .by_neighbourhood
            .get(&(principal, neighbourhood(place)));
        days.is_some_and(|days| days.before(before) >= KNOWN_DAYS)
    }

    /// Whether a principal was used from so many places that they could not be kept apart.
    pub fn is_everywhere(&self, principal: Name) -> bool {
        self.everywhere.contains(&principal)
    }

    /// Whether a principal comes from so many corners of the world that a new one says nothing.
    pub fn wanders(&self, principal: Name, before: i64) -> bool {
        if self.is_everywhere(principal) {
            return true;
        }
        let corners = self.neighbourhoods.get(&principal).map_or(0, BTreeSet::len);
        let days = self.days(principal, before).max(1) as usize;
        corners > 6 && corners * 2 > days
    }

    /// Whether a principal had used something of this kind to call with before.
    pub fn knows_agent(&self, principal: Name, agent: &str, before: i64) -> bool {
        self.by_agent
            .get(&(principal, family(agent)))
            .is_some_and(|days| days.before(before) >= 1)
    }

    /// Whether a principal had called with the very same tool before, from elsewhere than a place.
    pub fn used_exactly(&self, principal: Name, agent: Name, place: &str, before: i64) -> bool {
        let Some(nets) = self.by_exact_agent.get(&(principal, agent)) else {
            return false;
        };
        let here = net(place);
        nets.iter()
            .any(|(net, first)| *first < before && *net != here)
    }

    /// Whether a principal had called a region before.
    pub fn knows_region(&self, principal: Name, region: Name, before: i64) -> bool {
        self.by_region
            .get(&(principal, region))
            .is_some_and(|days| days.before(before) >= 1)
    }

    /// Other principals who had used a place on an earlier day.
    pub fn others_at(&self, principal: Name, place: &str, before: i64) -> Vec<Name> {
        let Some(sharing) = self.sharing.get(&net(place)) else {
            return Vec::new();
        };
        let others = sharing
            .iter()
            .filter(|(other, days)| **other != principal && days.before(before) >= 1);
        others.map(|(other, _)| *other).collect()
    }

    /// Whether people share a place, as they do an office or a VPN.
    pub fn is_shared(&self, principal: Name, place: &str, before: i64) -> bool {
        !self.others_at(principal, place, before).is_empty()
    }

    /// How often a second factor was used from a place.
    pub fn with_mfa(&self, principal: Name, place: &str) -> u64 {
        self.with_mfa
            .get(&(principal, net(place)))
            .copied()
            .unwrap_or(0)
    }

    /// The networks a principal had used before, with the number of days.
    pub fn own_nets(&self, principal: Name, before: i64) -> Vec<(String, u32)> {
        let all = self.nets.get(&principal).into_iter().flatten();
        let days = |net: &String| {
            let days = self.by_net.get(&(principal, net.clone()));
            days.map_or(0, |days| days.before(before))
        };
        let mut known: Vec<_> = all
            .map(|net| (net.clone(), days(net)))
            .filter(|(_, days)| *days >= KNOWN_DAYS)
            .collect();
        known.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        known
    }

    /// A pair's harm was done with something the principal had never called with.
    pub fn is_new_agent(
        &self,
        at: &At,
        agents: &BTreeSet<Name>,
        names: &Names,
        before: i64,
    ) -> bool {
        !agents.is_empty()
            && agents
                .iter()
                .all(|agent| !self.knows_agent(at.principal, names.text(*agent), before))
    }
}
