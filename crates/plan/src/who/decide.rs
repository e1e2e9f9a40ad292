//! Of everyone who may be the one, the one that is proven, or nobody.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::ids::HubUser;

use super::Leads;
use crate::plan::Attribution;
use crate::scope::Scope;

/// Processor use below half a core is no miner's: it takes what it can get.
const MINING_MILLICORES: u64 = 500;
/// Of what all candidates together use, in hundredths, how much makes one stand out.
const CLEAR_SHARE_PERCENT: u64 = 80;
/// A sighting older than this, in hours, speaks of another occasion.
const SIGHTING_WINDOW_HOURS: i64 = 24;

type Pods = BTreeMap<HubUser, BTreeSet<(String, String, String)>>;

/// Decides.
pub(super) fn decide(
    scope: &Scope<'_>,
    leads: Leads,
    pods: &Pods,
    foreign: &BTreeSet<String>,
    maybe_more: Option<&str>,
) -> Attribution {
    let seen = sightings(scope, &leads, pods);
    let used = processor(scope, &leads, pods);
    let (winner, mut because) = choose(scope, &leads, foreign, &seen, &used);
    let decided = winner.filter(|user| leads.0.get(user).is_some_and(|lead| lead.proven));
    if decided.is_some()
        && let Some(more) = maybe_more
    {
        because = format!("{because}; {more}");
    }
    let candidates = leads
        .0
        .into_iter()
        .map(|(user, lead)| {
            let mut evidence = Vec::new();
            if let Some(count) = seen.get(&user) {
                evidence.push(format!("the guard saw a miner of this user {count} times"));
            }
            if let Some(Some(millicores)) = used.get(&user) {
                evidence.push(format!(
                    "this user's pods use {millicores} thousandths of a core"
                ));
            }
            lead.candidate(user, evidence)
        })
        .collect();
    Attribution {
        candidates,
        decided,
        because,
    }
}

fn choose(
    scope: &Scope<'_>,
    leads: &Leads,
    foreign: &BTreeSet<String>,
    seen: &BTreeMap<HubUser, usize>,
    used: &BTreeMap<HubUser, Option<u64>>,
) -> (Option<HubUser>, String) {
    let users: Vec<&HubUser> = leads.0.keys().collect();
    match users.as_slice() {
        [] if scope.names_who => (
            None,
            "what the finding names is no Hub user's, as far as could be read".to_owned(),
        ),
        [] => (
            None,
            "no volume and no pod that was found belongs to a Hub user".to_owned(),
        ),
        [only] if !scope.names_who && !foreign.is_empty() => {
            among(scope, only, foreign, seen, used)
        }
        [only] => {
            let proven = leads.0.get(*only).is_some_and(|lead| lead.proven);
            let because = if proven {
                format!("{only} is the only one everything leads to")
            } else {
                format!("{only} is the only candidate, but the name is not proven")
            };
            (Some((*only).clone()), because)
        }
        _ => several(&users, seen, used),
    }
}

/// Of one user and others who are not the Hub's: the user, if more than being there says so.
fn among(
    scope: &Scope<'_>,
    only: &HubUser,
    foreign: &BTreeSet<String>,
    seen: &BTreeMap<HubUser, usize>,
    used: &BTreeMap<HubUser, Option<u64>>,
) -> (Option<HubUser>, String) {
    if seen.contains_key(only) {
        let because = format!("the guard saw a miner of {only}");
        return (Some(only.clone()), because);
    }
    let all = scope.pods_on_nodes().into_iter();
    let total = all
        .map(|held| held.pod.cpu_millicores)
        .try_fold(0_u64, |sum, cpu| Some(sum.saturating_add(cpu?)));
    if let (Some(total), Some(Some(used))) = (total, used.get(only))
        && *used >= MINING_MILLICORES
        && used.saturating_mul(100) / total.max(1) >= CLEAR_SHARE_PERCENT
    {
        let because = format!("the pods of {only} use most of the processor time of the machine");
        return (Some(only.clone()), because);
    }
    let others: Vec<&str> = foreign.iter().map(String::as_str).collect();
    let others = others.join(", ");
    (
        None,
        format!(
            "{only} is the only Hub user everything leads to, but volumes of others are there too \
             ({others}), and nothing speaks against exactly one of them"
        ),
    )
}

fn several(
    users: &[&HubUser],
    seen: &BTreeMap<HubUser, usize>,
    used: &BTreeMap<HubUser, Option<u64>>,
) -> (Option<HubUser>, String) {
    let names: Vec<&str> = users.iter().map(|user| user.as_str()).collect();
    let names = names.join(", ");
    let mut sighted = seen.keys();
    if let Some(first) = sighted.next() {
        return match sighted.next() {
            None => (
                Some(first.clone()),
                format!("of {names} the guard saw a miner of {first} only"),
            ),
            Some(_) => (
                None,
                format!("{names} are candidates, and the guard saw miners of more than one"),
            ),
        };
    }
    // Where one candidate's use is not known, the others' says nothing about that one.
    let all: Option<Vec<(&HubUser, u64)>> = users
        .iter()
        .map(|user| used.get(*user).copied().flatten().map(|cpu| (*user, cpu)))
        .collect();
    if let Some(all) = all
        && let Some((top, most)) = all.iter().max_by_key(|(_, cpu)| *cpu)
    {
        let total: u64 = all.iter().fold(0, |sum, (_, cpu)| sum.saturating_add(*cpu));
        let share = most.saturating_mul(100) / total.max(1);
        if *most >= MINING_MILLICORES && share >= CLEAR_SHARE_PERCENT {
            let because = format!(
                "of {names} the pods of {top} use {share} of 100 parts of the processor time"
            );
            return (Some((*top).clone()), because);
        }
    }
    (
        None,
        format!("{names} are candidates, and nothing speaks against exactly one of them"),
    )
}

/// How often the guard saw a miner of each candidate here, lately.
fn sightings(scope: &Scope<'_>, leads: &Leads, pods: &Pods) -> BTreeMap<HubUser, usize> {
    let mut seen = BTreeMap::new();
    for sighting in &scope.inventory.sightings {
        let age = scope.inventory.taken_at.duration_since(sighting.at);
        if age.as_hours() >= SIGHTING_WINDOW_HOURS {
            continue;
        }
        let elsewhere = sighting.node.as_ref().is_some_and(|node| {
            !scope.nodes.is_empty() && !scope.nodes.values().any(|held| held.node.name == *node)
        });
        if elsewhere {
            continue;
        }
        let by_pod = sighting.pod.as_ref().and_then(|(namespace, name)| {
            let mut owners = pods.iter().filter(|(_, held)| {
                held.iter()
                    .any(|(_, space, pod)| space == namespace.as_str() && pod == name.as_str())
            });
            match (owners.next(), owners.next()) {
                (Some((user, _)), None) => Some(user),
                _ => None,
            }
        });
        // The guard's own reading of the user comes first; the pod helps where it had none.
        let Some(user) = sighting.user.as_ref().or(by_pod) else {
            continue;
        };
        if leads.0.contains_key(user) {
            *seen.entry(user.clone()).or_insert(0) += 1;
        }
    }
    seen
}

/// What the pods of each candidate use; `None` where that of one of them is not known.
fn processor(scope: &Scope<'_>, leads: &Leads, pods: &Pods) -> BTreeMap<HubUser, Option<u64>> {
    let known: BTreeMap<_, _> = scope
        .pods_on_nodes()
        .into_iter()
        .map(|held| (held.key(), held.pod.cpu_millicores))
        .collect();
    leads
        .0
        .keys()
        .map(|user| {
            let held = pods.get(user).filter(|held| !held.is_empty());
            let used = held.and_then(|held| {
                held.iter().try_fold(0_u64, |sum, key| {
                    let cpu = known.get(key).copied().flatten()?;
                    Some(sum.saturating_add(cpu))
                })
            });
            (user.clone(), used)
        })
        .collect()
}
