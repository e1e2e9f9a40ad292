//! Who did it: the chain from a finding to a Hub user, each link with its proof.
//!
//! finding → instance → node → pod → claim → annotation → user, or by the tags of the volumes where
//! the cluster cannot be read. What must stay true: a user is named by proof and never by taking a
//! name apart; of several candidates nobody is decided on unless something beside being there speaks
//! against exactly one; a finding that names a pod means that pod's user and nobody else.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::ids::{HubUser, Namespace};
use davylamp_model::inventory::{Instance, Volume};

use crate::pattern;
use crate::plan::{Attribution, Candidate, Link};
use crate::policy::Policy;
use crate::scope::{ClusterPod, Scope};

mod decide;
pub mod slug;
mod trace;

pub use slug::SlugIndex;

use trace::Trace;

/// The tag by which the EBS driver names the claim a volume was made for.
const CLAIM_NAME_TAG: &str = "kubernetes.io/created-for/pvc/name";
/// The tag by which it names the claim's namespace.
const CLAIM_NAMESPACE_TAG: &str = "kubernetes.io/created-for/pvc/namespace";
/// What begins every pod name under KubeSpawner's default template.
const POD_PREFIX: &str = "jupyter-";

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
    for instance in scope.instances.values() {
        finder.volumes(instance, &mut present);
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
    let maybe_more = finder.maybe_more();
    let attribution = decide::decide(scope, leads, &pods, maybe_more.as_deref());
    let remarks = finder.remarks(&attribution);
    Who {
        attribution,
        occupants,
        maybe_more,
        pods,
        remarks,
    }
}

struct Finder<'s, 'a> {
    scope: &'s Scope<'a>,
    policy: &'s Policy,
    hub: Option<&'s SlugIndex>,
}

impl Finder<'_, '_> {
    fn named(&self, leads: &mut Leads) {
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
    fn sighted(&self, leads: &mut Leads) {
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

    fn volumes(&self, instance: &Instance, leads: &mut Leads) {
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
                self.claim(volume, namespace.as_ref(), name, proof, &path, leads);
            }
            for (cluster, state) in self.scope.readable() {
                for claim in &state.claims {
                    if claim.volume.as_ref() == Some(&volume.id) {
                        let proof = format!(
                            "the claim's persistent volume in cluster {cluster} is this one"
                        );
                        let name = claim.name.as_str();
                        self.claim(volume, Some(&claim.namespace), name, proof, &path, leads);
                    }
                }
            }
        }
    }

    fn claim(
        &self,
        volume: &Volume,
        namespace: Option<&Namespace>,
        name: &str,
        proof: String,
        path: &[Link],
        leads: &mut Leads,
    ) {
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
            None if !self.policy.hub_namespaces.is_empty() => {
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

    fn pod(&self, held: ClusterPod<'_>, mut path: Vec<Link>, leads: &mut Leads) {
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

    fn pod_users(&self, held: ClusterPod<'_>) -> BTreeMap<HubUser, trace::Proof> {
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

    fn path_by_node(&self, held: ClusterPod<'_>) -> Vec<Link> {
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
        let spaces = &self.policy.hub_namespaces;
        spaces.is_empty()
            || spaces
                .iter()
                .any(|held| pattern::matches(held, namespace.as_str()))
    }

    /// Why there may be users on the instances whom nothing shows.
    fn maybe_more(&self) -> Option<String> {
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

    fn remarks(&self, attribution: &Attribution) -> Vec<String> {
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
