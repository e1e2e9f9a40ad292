//! Who did it: the chain from a finding to a Hub user, each link with its proof.
//!
//! finding → instance → node → pod → claim → annotation → user, or by the tags of the volumes where
//! the cluster cannot be read. What must stay true: a user is named by proof and never by taking a
//! name apart; of several candidates nobody is decided on unless something beside being there speaks
//! against exactly one; a finding that names a pod means that pod's user and nobody else.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::ids::HubUser;
use davylamp_model::inventory::Pod;

use crate::plan::{Attribution, Candidate, Link};
use crate::policy::Policy;
use crate::scope::{Scope, is_of_node};

mod decide;
mod finder;
pub mod slug;
mod trace;

pub use slug::SlugIndex;

pub(crate) use finder::CLAIM_NAMESPACE_TAG;
use finder::Finder;

/// Where a cluster's own pods are, which come back on another node by themselves.
const SYSTEM_NAMESPACE: &str = "kube-system";

/// Who did it, and who else is there.
#[derive(Debug)]
pub(crate) struct Who {
    pub attribution: Attribution,
    /// Everyone who is on the instances, also those whose names are only guessed.
    pub occupants: BTreeSet<HubUser>,
    /// Why there may be more, where there may.
    pub maybe_more: Option<String>,
    /// The pods of each user, by cluster, namespace and name.
    pub pods: BTreeMap<HubUser, BTreeSet<(String, String, String)>>,
    /// Pods on the nodes that are no Hub user's, no part of the node or its cluster, and not what
    /// the finding names: what others run there, as `pod namespace/name`.
    pub neighbours: BTreeSet<String>,
    /// Claims of attached volumes that are no Hub user's, as `claim namespace/name`.
    pub foreign: BTreeSet<String>,
    /// What the report should say beside.
    pub remarks: Vec<String>,
}

/// What leads to one user.
#[derive(Debug, Clone, Default)]
struct Lead {
    confirmed: bool,
    proven: bool,
    claims: BTreeSet<String>,
    chain: Vec<Link>,
}

/// Everyone found so far.
#[derive(Debug, Default)]
struct Leads(BTreeMap<HubUser, Lead>);

impl Leads {
    fn add(
        &mut self,
        path: &[Link],
        from: &str,
        claim: Option<&str>,
        users: BTreeMap<HubUser, trace::Proof>,
    ) {
        for (user, proof) in users {
            let link = Link {
                from: from.to_owned(),
                to: format!("hub-user/{user}"),
                proof: proof.text,
            };
            let lead = self.0.entry(user).or_default();
            lead.confirmed |= proof.confirmed;
            lead.proven |= proof.proven;
            lead.claims.extend(claim.map(str::to_owned));
            for link in path.iter().chain([&link]) {
                if !lead.chain.contains(link) {
                    lead.chain.push(link.clone());
                }
            }
        }
    }
}

/// Finds who did it.
pub(crate) fn find(scope: &Scope<'_>, policy: &Policy, hub: Option<&SlugIndex>) -> Who {
    let finder = Finder { scope, policy, hub };
    let mut pods: BTreeMap<HubUser, BTreeSet<(String, String, String)>> = BTreeMap::new();
    let mut present = Leads::default();
    let mut foreign = BTreeSet::new();
    for instance in scope.instances.values() {
        finder.volumes(instance, &mut present, &mut foreign);
    }
    for held in scope
        .pods_on_nodes()
        .into_iter()
        .chain(scope.pods.values().copied())
    {
        for user in finder.pod_users(held).into_keys() {
            pods.entry(user).or_default().insert(held.key());
        }
    }
    for held in scope.pods_on_nodes() {
        finder.pod(held, finder.path_by_node(held), &mut present);
    }
    let occupants: BTreeSet<HubUser> = present.0.keys().cloned().collect();

    let leads = if scope.names_who {
        let mut named = Leads::default();
        finder.named(&mut named);
        named
    } else {
        finder.sighted(&mut present);
        present
    };
    let neighbours = neighbours(scope, &pods);
    let maybe_more = finder.maybe_more();
    let attribution = decide::decide(scope, leads, &pods, &foreign, maybe_more.as_deref());
    let remarks = finder.remarks(&attribution);
    Who {
        attribution,
        occupants,
        maybe_more,
        pods,
        neighbours,
        foreign,
        remarks,
    }
}

/// What others run on the nodes.
///
/// Only what was read counts: a cluster that cannot be read says nothing about the node, and a
/// miner's own node must not go on because of that.
fn neighbours(
    scope: &Scope<'_>,
    pods: &BTreeMap<HubUser, BTreeSet<(String, String, String)>>,
) -> BTreeSet<String> {
    scope
        .pods_on_nodes()
        .into_iter()
        .filter(|held| {
            let key = held.key();
            !is_of_node(held.pod)
                && held.pod.namespace.as_str() != SYSTEM_NAMESPACE
                && !is_placeholder(held.pod)
                && !scope.pods.contains_key(&key)
                && !pods.values().any(|theirs| theirs.contains(&key))
        })
        .map(|held| format!("pod {}/{}", held.pod.namespace, held.pod.name))
        .collect()
}

/// Whether a pod only keeps room for Hub users who may come: it computes nothing, and the scheduler
/// itself evicts it for the first who does (Zero to JupyterHub, "user placeholders").
fn is_placeholder(pod: &Pod) -> bool {
    let labelled = pod.labels.get("component").map(String::as_str);
    labelled == Some("user-placeholder")
}

impl Lead {
    fn candidate(self, user: HubUser, evidence: Vec<String>) -> Candidate {
        Candidate {
            user,
            claim: self.claims.into_iter().next(),
            confirmed: self.confirmed,
            chain: self.chain,
            evidence,
        }
    }
}
