//! Pods, and what owns them.

use davylamp_model::ids::{ClusterName, Namespace, PodName};
use davylamp_model::inventory::{ClusterState, Controller, Pod};

use super::{Absent, ClusterController, Scope};

/// A pod and the cluster it is in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClusterPod<'a> {
    pub cluster: &'a ClusterName,
    pub pod: &'a Pod,
}

impl ClusterPod<'_> {
    /// Cluster, namespace and name: what it is sorted by.
    pub(crate) fn key(&self) -> (String, String, String) {
        (
            self.cluster.to_string(),
            self.pod.namespace.to_string(),
            self.pod.name.to_string(),
        )
    }

    /// Its resource key, as in an action's target.
    pub(crate) fn target(&self) -> String {
        format!(
            "pod/{}/{}/{}",
            self.cluster, self.pod.namespace, self.pod.name
        )
    }
}

/// How many owners of owners are followed. Kubernetes' own chains have two (CronJob, Job, pod);
/// operators add a few, and a circle must end.
const MAX_OWNERS: usize = 8;

/// The controllers of a pod from the nearest to the topmost that was read, and the name of an owner
/// above it that was not.
pub(crate) fn owner_chain<'a>(
    state: &'a ClusterState,
    pod: &'a Pod,
) -> (Vec<&'a Controller>, Option<&'a str>) {
    let mut chain: Vec<&Controller> = Vec::new();
    let mut owner = pod.owner.as_deref();
    while let Some(name) = owner {
        if chain.len() >= MAX_OWNERS {
            break;
        }
        let Some(controller) = controller(state, &pod.namespace, name) else {
            return (chain, Some(name));
        };
        chain.push(controller);
        owner = controller.owner.as_deref();
    }
    (chain, None)
}

/// The controllers of these pods, each chain from the nearest to the topmost.
pub(crate) fn controllers_of<'a>(
    scope: &Scope<'a>,
    held: ClusterPod<'a>,
) -> (Vec<ClusterController<'a>>, Option<&'a str>) {
    let Some((_, state)) = scope
        .readable()
        .into_iter()
        .find(|(name, _)| *name == held.cluster)
    else {
        return (Vec::new(), held.pod.owner.as_deref());
    };
    let (chain, unread) = owner_chain(state, held.pod);
    let chain = chain
        .into_iter()
        .map(|controller| ClusterController {
            cluster: held.cluster,
            controller,
        })
        .collect();
    (chain, unread)
}

fn controller<'a>(
    state: &'a ClusterState,
    namespace: &Namespace,
    name: &str,
) -> Option<&'a Controller> {
    let (kind, name) = name.split_once('/')?;
    state.controllers.iter().find(|controller| {
        controller.namespace == *namespace && controller.kind == kind && controller.name == name
    })
}

/// The singular of a kind as GuardDuty spells it: `deployments` is a `deployment`.
fn singular(kind: &str) -> String {
    let kind = kind.to_lowercase();
    kind.strip_suffix('s').unwrap_or(&kind).to_owned()
}

impl<'a> Scope<'a> {
    pub(super) fn add_workload(
        &mut self,
        cluster: Option<&ClusterName>,
        namespace: &'a Namespace,
        kind: &str,
        name: &'a str,
    ) {
        let kind = singular(kind);
        if kind == "pod" {
            self.add_pod_named(cluster, namespace, name);
            return;
        }
        let owner = format!("{kind}/{name}");
        let mut found = Vec::new();
        for (held, state) in self.candidates(cluster) {
            let known = controller(state, namespace, &owner).is_some();
            let pods: Vec<&Pod> = state
                .pods
                .iter()
                .filter(|pod| pod.namespace == *namespace)
                .filter(|pod| {
                    let (chain, above) = owner_chain(state, pod);
                    above == Some(owner.as_str())
                        || chain
                            .iter()
                            .any(|held| held.kind == kind && held.name == *name)
                })
                .collect();
            if known || !pods.is_empty() {
                found.push((held, pods));
            }
        }
        let target = format!(
            "workload/{}/{namespace}/{kind}/{name}",
            cluster.map_or("", |name| name.as_str())
        );
        match found.as_slice() {
            [] => self.missing_workload(cluster, target),
            [(cluster, pods)] => {
                for pod in pods {
                    self.insert_pod(ClusterPod { cluster, pod });
                }
            }
            _ => self.ambiguous(target),
        }
    }

    fn add_pod_named(
        &mut self,
        cluster: Option<&ClusterName>,
        namespace: &'a Namespace,
        name: &'a str,
    ) {
        let found: Vec<ClusterPod<'a>> = self
            .candidates(cluster)
            .into_iter()
            .flat_map(|(cluster, state)| {
                state
                    .pods
                    .iter()
                    .filter(|pod| pod.namespace == *namespace && pod.name.as_str() == name)
                    .map(move |pod| ClusterPod { cluster, pod })
            })
            .collect();
        let target = format!(
            "pod/{}/{namespace}/{name}",
            cluster.map_or("", |name| name.as_str())
        );
        match found.as_slice() {
            [] => {
                self.unseen.insert((namespace, name));
                self.missing_workload(cluster, target);
            }
            [held] => self.insert_pod(*held),
            _ => self.ambiguous(target),
        }
    }

    pub(super) fn add_pod(&mut self, namespace: &'a Namespace, name: &'a PodName) {
        self.add_pod_named(None, namespace, name.as_str());
    }

    /// The readable clusters a workload may be in: the one that is named, else all.
    fn candidates(
        &self,
        cluster: Option<&ClusterName>,
    ) -> Vec<(&'a ClusterName, &'a ClusterState)> {
        let mut clusters = self.readable();
        if let Some(wanted) = cluster {
            clusters.retain(|(name, _)| *name == wanted);
        }
        clusters
    }

    fn insert_pod(&mut self, held: ClusterPod<'a>) {
        self.pods.insert(held.key(), held);
        if let Some(node) = &held.pod.node {
            self.add_node(Some(held.cluster), node.as_str());
        }
    }

    pub(super) fn add_node(&mut self, cluster: Option<&ClusterName>, name: &str) {
        let found: Vec<_> = self
            .candidates(cluster)
            .into_iter()
            .flat_map(|(cluster, state)| {
                state
                    .nodes
                    .iter()
                    .filter(|node| node.name.as_str() == name)
                    .map(move |node| (cluster, node))
            })
            .collect();
        let target = format!("node/{}/{name}", cluster.map_or("", |name| name.as_str()));
        match found.as_slice() {
            [] => {
                // A node that its cluster does not tell of may still be told by its DNS name.
                let by_name = self
                    .inventory
                    .instances
                    .iter()
                    .filter(|instance| instance.private_dns.as_deref() == Some(name))
                    .min_by_key(|instance| &instance.id);
                match by_name {
                    Some(instance) => {
                        self.instances.insert(&instance.id, instance);
                    }
                    None => self.missing_workload(cluster, target),
                }
            }
            [(cluster, node)] => {
                self.insert_node(cluster, node);
                if let Some(id) = &node.instance {
                    self.add_instance(id);
                }
            }
            _ => self.ambiguous(target),
        }
    }

    fn missing_workload(&mut self, cluster: Option<&ClusterName>, target: String) {
        let unreadable = self.unreadable();
        let why = match cluster {
            Some(name) => unreadable
                .get(name)
                .map(|why| format!("cluster {name} could not be read: {why}"))
                .or_else(|| {
                    let known = self
                        .inventory
                        .clusters
                        .iter()
                        .any(|held| held.name == *name);
                    (!known).then(|| {
                        let why = self.unread(name.as_str()).unwrap_or("it was not asked");
                        format!("cluster {name} could not be read: {why}")
                    })
                }),
            None => unreadable
                .iter()
                .next()
                .map(|(name, why)| format!("cluster {name} could not be read: {why}"))
                .or_else(|| {
                    let unread = self.inventory.unread.iter().min()?;
                    let nobody = self.inventory.clusters.is_empty();
                    nobody.then(|| format!("no cluster could be read: {}", unread.why))
                }),
        };
        self.absent.insert(Absent {
            target,
            unread: why.is_some(),
            because: why.unwrap_or_else(|| "it is not there (any more)".to_owned()),
        });
    }

    fn ambiguous(&mut self, target: String) {
        self.absent.insert(Absent {
            target,
            because: "more than one cluster has one of that name, and the finding does not say \
                      which is meant"
                .to_owned(),
            unread: false,
        });
    }
}
