//! Whose the victims are, where that is known: what the kernel cannot know.
//!
//! The kernel counts places. A tenant can have one place after the other: a Deployment starts another
//! pod for each that is evicted, and a Hub user starts another server. Without this, who loses ten
//! pods an hour would wear a rule out by that alone. So an earlier place of the same tenant is given
//! back when a later one is counted.
//!
//! A Hub user is one person, who counts once, however many servers run at once. A workload counts for
//! its earlier pods only once they are gone: a bad rule that hits a hundred pods of one Deployment has
//! a hundred victims.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Whose a victim is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Tenant {
    /// A user of a JupyterHub.
    HubUser(String),
    /// What makes pods: a namespace, and the pod's name without what its controller appends.
    Workload(String, String),
}

/// The letters that Kubernetes makes random names of (`k8s.io/apimachinery/pkg/util/rand`).
const RANDOM: &str = "bcdfghjklmnpqrstvwxz2456789";
const RANDOM_LENGTH: usize = 5;
/// A ReplicaSet's hash has up to ten such letters.
const HASH_MOST: usize = 10;

impl Tenant {
    /// The tenant of a pod that no Hub user is known of.
    pub fn of_pod(namespace: &str, pod: &str) -> Self {
        let is_random = |text: &str, least: usize, most: usize| {
            (least..=most).contains(&text.len()) && text.chars().all(|c| RANDOM.contains(c))
        };
        let mut name = pod;
        if let Some((rest, last)) = pod.rsplit_once('-')
            && is_random(last, RANDOM_LENGTH, RANDOM_LENGTH)
        {
            name = match rest.rsplit_once('-') {
                Some((deployment, hash)) if is_random(hash, 8, HASH_MOST) => deployment,
                _ => rest,
            };
        }
        Self::Workload(namespace.to_owned(), name.to_owned())
    }

    fn counts_once(&self) -> bool {
        matches!(self, Self::HubUser(_))
    }
}

/// Tenants that are remembered for each rule; the longest unseen are forgotten.
const MOST_TENANTS: usize = 1024;

/// The victims of each rule by tenant.
#[derive(Debug)]
pub struct Tenants<Rule> {
    seen: HashMap<(Rule, Tenant), Vec<u64>>,
    order: VecDeque<(Rule, Tenant)>,
}

impl<Rule> Default for Tenants<Rule> {
    fn default() -> Self {
        Self {
            seen: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<Rule: Clone + Eq + Hash> Tenants<Rule> {
    /// A victim of a tenant's was counted. Returns the earlier ones that are not to be counted beside
    /// it any more; `is_gone` says whether nothing runs in a place any longer.
    pub fn counted(
        &mut self,
        rule: Rule,
        tenant: Tenant,
        victim: u64,
        is_gone: impl Fn(u64) -> bool,
    ) -> Vec<u64> {
        let key = (rule, tenant);
        if !self.seen.contains_key(&key) {
            self.order.push_back(key.clone());
            while self.order.len() > MOST_TENANTS {
                if let Some(oldest) = self.order.pop_front() {
                    self.seen.remove(&oldest);
                }
            }
        }
        let once = key.1.counts_once();
        let victims = self.seen.entry(key).or_default();
        let mut released = Vec::new();
        victims.retain(|earlier| {
            let stays = *earlier != victim && !once && !is_gone(*earlier);
            if !stays && *earlier != victim {
                released.push(*earlier);
            }
            stays
        });
        victims.push(victim);
        released
    }

    /// Forgets all: the ceilings were reset.
    pub fn clear(&mut self) {
        self.seen.clear();
        self.order.clear();
    }
}
