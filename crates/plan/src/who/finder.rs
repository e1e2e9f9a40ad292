//! The links of the chain: from instances, volumes, pods and claims to users.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::ids::{HubUser, Namespace};
use davylamp_model::inventory::{Instance, Volume};

use super::trace::{self, Trace};
use super::{Leads, SlugIndex};
use crate::pattern;
use crate::plan::{Attribution, Link};
use crate::policy::Policy;
use crate::scope::{ClusterPod, Scope};

/// The tag by which the EBS driver names the claim a volume was made for.
const CLAIM_NAME_TAG: &str = "kubernetes.io/created-for/pvc/name";
/// The tag by which it names the claim's namespace.
pub(crate) const CLAIM_NAMESPACE_TAG: &str = "kubernetes.io/created-for/pvc/namespace";
/// What begins every pod name under KubeSpawner's default template.
const POD_PREFIX: &str = "jupyter-";

/// Follows the links.
pub(super) struct Finder<'s, 'a> {
    pub(super) scope: &'s Scope<'a>,
    pub(super) policy: &'s Policy,
    pub(super) hub: Option<&'s SlugIndex>,
}

impl Finder<'_, '_> {
    pub(super) fn named(&self, leads: &mut Leads) {
        for held in self.scope.pods.values() {
            let link = self.found(&held.target(), "the finding names it, or what owns it");
            self.pod(*held, vec![link], leads);
        }
        for (namespace, name) in &self.scope.unseen {
            if !self.is_hubs(namespace) {
                continue;
            }
            let slug = name
                .strip_prefix(POD_PREFIX)
                .filter(|slug| !slug.is_empty());
            let trace = Trace {
                pod: Some(name),
                named: slug.map(|slug| (*name, slug)),
                surely_somebody: true,
                ..Trace::default()
            };
            let target = format!("pod/{namespace}/{name}");
            let link = self.found(&target, "the finding names it");
            leads.add(&[link], &target, None, trace.users(self.hub));
        }
        for (user, by_guard) in &self.scope.hub_users {
            let confirmed = self.hub.is_some_and(|hub| hub.user(user).is_some());
            let proven = confirmed || (*by_guard && self.hub.is_none());
            let text = match (by_guard, self.hub.is_some(), confirmed) {
                (true, _, true) => "the guard saw it in this user's pod, and the Hub has the user",
                (true, true, false) => {
                    "the guard saw it in this user's pod, but the Hub does not have the user"
                }
                (true, false, _) => {
                    "the guard saw it in this user's pod; the Hub's list could not be read"
                }
                (false, _, true) => "the finding names the user, and the Hub has the user",
                (false, _, false) => "the finding names the user, and nothing else does",
            };
            let proof = trace::Proof {
                confirmed,
                proven,
                text: text.to_owned(),
            };
            let from = self.finding_key();
            leads.add(&[], &from, None, BTreeMap::from([((*user).clone(), proof)]));
        }
    }

    /// Users whom the guard saw mining on one of the nodes, whether or not anything else of theirs
    /// was found there.
    pub(super) fn sighted(&self, leads: &mut Leads) {
        for sighting in &self.scope.inventory.sightings {
            let (Some(user), Some(node)) = (&sighting.user, &sighting.node) else {
                continue;
            };
            let here = self
                .scope
                .nodes
                .values()
                .any(|held| held.node.name == *node);
            if !here || leads.0.contains_key(user) {
                continue;
            }
            let confirmed = self.hub.is_some_and(|hub| hub.user(user).is_some());
            let proof = trace::Proof {
                confirmed,
                proven: confirmed || self.hub.is_none(),
                text: "the guard saw a miner of this user on the node".to_owned(),
            };
            let from = format!("node/{node}");
            leads.add(&[], &from, None, BTreeMap::from([(user.clone(), proof)]));
        }
    }

    /// Whose volumes an instance has. The claims of others than the Hub's users are told by their
    /// keys: whoever they belong to may be the one as well.
    pub(super) fn volumes(
        &self,
        instance: &Instance,
        leads: &mut Leads,
        foreign: &mut BTreeSet<String>,
    ) {
        let target = format!("instance/{}", instance.id);
        let mut volumes: Vec<&Volume> = instance.volumes.iter().collect();
        volumes.sort_by(|one, other| one.id.cmp(&other.id));
        for volume in volumes {
            let path = [
                self.found(&target, "the finding leads to it"),
                Link {
                    from: target.clone(),
                    to: format!("volume/{}", volume.id),
                    proof: match &volume.device {
                        Some(device) => format!("attached as {device}"),
                        None => "attached".to_owned(),
                    },
                },
            ];
            if let Some(name) = volume
                .tags
                .get(CLAIM_NAME_TAG)
                .filter(|name| !name.is_empty())
            {
                let namespace = volume.tags.get(CLAIM_NAMESPACE_TAG);
                let proof = match namespace {
                    Some(space) => {
                        format!("tags {CLAIM_NAME_TAG}={name}, {CLAIM_NAMESPACE_TAG}={space}")
                    }
                    None => format!("tag {CLAIM_NAME_TAG}={name}"),
                };
                let namespace = namespace.map(|space| Namespace(space.clone()));
                let namespace = namespace.as_ref();
                foreign.extend(self.claim(volume, namespace, name, proof, &path, leads));
            }
            for (cluster, state) in self.scope.readable() {
                for claim in &state.claims {
                    if claim.volume.as_ref() == Some(&volume.id) {
                        let proof = format!(
                            "the claim's persistent volume in cluster {cluster} is this one"
                        );
                        let name = claim.name.as_str();
                        let namespace = Some(&claim.namespace);
                        foreign.extend(self.claim(volume, namespace, name, proof, &path, leads));
                    }
                }
            }
        }
    }

    /// Follows a claim to its users. One that is no Hub user's leads to nobody, and is named.
    fn claim(
        &self,
        volume: &Volume,
        namespace: Option<&Namespace>,
        name: &str,
        proof: String,
        path: &[Link],
        leads: &mut Leads,
    ) -> Option<String> {
        if let Some(namespace) = namespace.filter(|namespace| !self.is_hubs(namespace)) {
            return Some(format!("claim {namespace}/{name}"));
        }
        let target = match namespace {
            Some(namespace) => format!("claim/{namespace}/{name}"),
            None => format!("claim/{name}"),
        };
        let mut path = path.to_vec();
        path.push(Link {
            from: format!("volume/{}", volume.id),
            to: target.clone(),
            proof,
        });
        self.claim_users(namespace, name, &path, &target, leads);
        None
    }

    fn claim_users(
        &self,
        namespace: Option<&Namespace>,
        name: &str,
        path: &[Link],
        target: &str,
        leads: &mut Leads,
    ) {
        let doubt = match namespace {
            Some(namespace) if !self.is_hubs(namespace) => return,
            None if !self.hubs_are_everywhere() => {
                Some("nothing says in which namespace the claim is")
            }
            _ => None,
        };
        // The claim as the clusters have it; the volume's tags say less.
        let mut seen = Vec::new();
        for (_, state) in self.scope.readable() {
            for claim in &state.claims {
                if claim.name.as_str() == name
                    && namespace.is_none_or(|space| *space == claim.namespace)
                {
                    seen.push(claim);
                }
            }
        }
        let template = &self.policy.claim_template;
        let slug = name
            .strip_prefix(template.prefix.as_str())
            .and_then(|rest| rest.strip_suffix(template.suffix.as_str()))
            .filter(|slug| !slug.is_empty());
        let bare = Trace {
            named: slug.map(|slug| (name, slug)),
            surely_somebody: !template.prefix.is_empty(),
            doubt,
            ..Trace::default()
        };
        if seen.is_empty() {
            leads.add(path, target, Some(name), bare.users(self.hub));
        }
        for claim in seen {
            let trace = Trace {
                annotations: Some(&claim.annotations),
                labels: Some(&claim.labels),
                ..bare
            };
            leads.add(path, target, Some(name), trace.users(self.hub));
        }
    }

    pub(super) fn pod(&self, held: ClusterPod<'_>, mut path: Vec<Link>, leads: &mut Leads) {
        let target = held.target();
        leads.add(&path, &target, None, self.pod_users(held));
        let mut claims: Vec<_> = held.pod.claims.iter().collect();
        claims.sort();
        for claim in claims {
            let to = format!("claim/{}/{claim}", held.pod.namespace);
            path.push(Link {
                from: target.clone(),
                to: to.clone(),
                proof: "the pod mounts it".to_owned(),
            });
            let namespace = Some(&held.pod.namespace);
            self.claim_users(namespace, claim.as_str(), &path, &to, leads);
            path.pop();
        }
    }

    pub(super) fn pod_users(&self, held: ClusterPod<'_>) -> BTreeMap<HubUser, trace::Proof> {
        let pod = held.pod;
        if !self.is_hubs(&pod.namespace) {
            return BTreeMap::new();
        }
        // KubeSpawner makes its pods itself: one that a controller made is nobody's server,
        // whatever it is called.
        let own = pod.owner.is_none();
        let name = pod.name.as_str();
        let slug = name
            .strip_prefix(POD_PREFIX)
            .filter(|slug| own && !slug.is_empty());
        Trace {
            annotations: Some(&pod.annotations),
            labels: Some(&pod.labels),
            pod: own.then_some(name),
            named: slug.map(|slug| (name, slug)),
            surely_somebody: true,
            doubt: None,
        }
        .users(self.hub)
    }

    pub(super) fn path_by_node(&self, held: ClusterPod<'_>) -> Vec<Link> {
        let Some(node) = &held.pod.node else {
            return Vec::new();
        };
        let place = format!("node/{}/{node}", held.cluster);
        let mut path = Vec::new();
        let key = (held.cluster.to_string(), node.to_string());
        if let Some(id) = self
            .scope
            .nodes
            .get(&key)
            .and_then(|held| held.node.instance.as_ref())
        {
            let instance = format!("instance/{id}");
            path.push(self.found(&instance, "the finding leads to it"));
            path.push(Link {
                from: instance,
                to: place.clone(),
                proof: "the node's spec.providerID names the instance".to_owned(),
            });
        }
        path.push(Link {
            from: place,
            to: held.target(),
            proof: "the pod's spec.nodeName names the node".to_owned(),
        });
        path
    }

    fn found(&self, target: &str, proof: &str) -> Link {
        Link {
            from: self.finding_key(),
            to: target.to_owned(),
            proof: proof.to_owned(),
        }
    }

    fn finding_key(&self) -> String {
        match self.scope.findings.first() {
            Some(finding) => format!("finding/{}", finding.id),
            None => "finding".to_owned(),
        }
    }

    fn is_hubs(&self, namespace: &Namespace) -> bool {
        let mut spaces = self.policy.hub_namespaces.iter();
        self.hubs_are_everywhere() || spaces.any(|held| pattern::matches(held, namespace.as_str()))
    }

    /// Whether the Hub's users are in whatever namespace there is.
    fn hubs_are_everywhere(&self) -> bool {
        let spaces = &self.policy.hub_namespaces;
        spaces.is_empty() || spaces.iter().any(|held| held == "*")
    }

    /// Why there may be users on the instances whom nothing shows.
    pub(super) fn maybe_more(&self) -> Option<String> {
        if !self
            .scope
            .instances
            .values()
            .any(|instance| self.scope.in_cluster(instance))
        {
            return None;
        }
        let (name, why) = self.scope.unreadable().into_iter().next()?;
        Some(format!(
            "cluster {name} could not be read ({why}), so users without a volume would not be seen"
        ))
    }

    pub(super) fn remarks(&self, attribution: &Attribution) -> Vec<String> {
        let mut remarks = Vec::new();
        let unsure = self.hub.is_none() && !attribution.candidates.is_empty();
        if unsure {
            remarks.push(
                "The Hub's list of users could not be read: nobody can say whether a candidate \
                 administers the Hub."
                    .to_owned(),
            );
        }
        remarks
    }
}
