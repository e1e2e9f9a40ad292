//! What is read of a cluster: the nodes findings lead to, every pod on them, the claims of those
//! pods and of the instances' volumes, and what would start the pods again.
//!
//! Objects are read as JSON and not as typed ones: only a few members matter, and a cluster of
//! another version must not make the rest unreadable.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::ids::{ClaimName, HubUser, InstanceId, Namespace, NodeName, PodName};
use davylamp_model::inventory::{ClusterState, Controller, Pod};
use futures::{StreamExt, stream};
use kube::Client;
use serde_json::Value;

use super::object;
pub use super::reader::KubeError;
use super::reader::{Reader, segment};
use crate::missed::Missed;

/// Calls about single objects that run side by side.
const SIDE_BY_SIDE: usize = 8;
/// How many owners a pod may have above it: the deepest known chain (CronJob, Job) has two.
const LONGEST_CHAIN: usize = 6;

/// The label that KubeSpawner gives to every user's pod.
const SERVER_PODS: &str = "component=singleuser-server";
/// The annotation by which KubeSpawner says whose a pod is, unescaped.
const USER: &str = "hub.jupyter.org/username";

/// What is asked of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Question {
    /// Instances that may be nodes, with their private DNS names.
    pub instances: BTreeMap<InstanceId, Option<String>>,
    /// Nodes by name.
    pub nodes: BTreeSet<NodeName>,
    /// Pods by name.
    pub pods: BTreeSet<(Namespace, PodName)>,
    /// Controllers whose pods are asked for, by namespace, kind (`deployment`) and name.
    pub workloads: BTreeSet<(Namespace, String, String)>,
    /// Hub users whose server pods are asked for.
    pub users: BTreeSet<HubUser>,
    /// Claims, by the tags of volumes.
    pub claims: BTreeSet<(Namespace, ClaimName)>,
}

/// What was read, and what of it was not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// What is there.
    pub state: ClusterState,
    /// What could not be read, with why: all of it beside the point of the question.
    pub trouble: Vec<(String, Missed)>,
}

/// Reads what a question asks for. An error means that nodes or pods could not be read: the rest
/// would say nothing.
pub async fn read(client: &Client, question: &Question) -> Result<Answer, KubeError> {
    let reader = Reader { client };
    let mut answer = Answer::default();
    let mut pods: BTreeMap<(String, String), Value> = BTreeMap::new();
    for (namespace, name) in &question.pods {
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}",
            segment(&namespace.0),
            segment(&name.0)
        );
        if let Some(pod) = reader.get(&path, "pods").await? {
            pods.insert(object::key(&pod), pod);
        }
    }
    for (namespace, kind, name) in &question.workloads {
        for pod in reader.workload_pods(&namespace.0, kind, name).await? {
            pods.insert(object::key(&pod), pod);
        }
    }
    if !question.users.is_empty() {
        let list = reader
            .list("/api/v1/pods", "pods", &[("labelSelector", SERVER_PODS)])
            .await?;
        for value in list {
            if object::pod(&value).is_some_and(|pod| is_server_of(&pod, &question.users)) {
                pods.insert(object::key(&value), value);
            }
        }
    }

    // The nodes of the pods that were named count like nodes that were named.
    let mut named: BTreeSet<NodeName> = question.nodes.clone();
    named.extend(pods.values().filter_map(|pod| object::pod(pod)?.node));
    answer.state.nodes = reader.nodes(&question.instances, &named).await?;

    for node in &answer.state.nodes {
        let selector = format!("spec.nodeName={}", node.name);
        let list = reader
            .list("/api/v1/pods", "pods", &[("fieldSelector", &selector)])
            .await?;
        pods.extend(list.into_iter().map(|pod| (object::key(&pod), pod)));
    }
    answer.state.pods = pods.values().filter_map(object::pod).collect();

    reader.claims(question, &mut answer).await;
    reader.controllers(&mut answer, &question.workloads).await;
    reader.metrics(&mut answer).await;
    reader.node_pools(&mut answer).await;
    Ok(answer)
}

/// Whether a pod is the server of one of these users.
pub(crate) fn is_server_of(pod: &Pod, users: &BTreeSet<HubUser>) -> bool {
    pod.annotations
        .get(USER)
        .is_some_and(|user| users.contains(&HubUser(user.clone())))
}

impl Reader<'_> {
    /// Nodes by name and by instance. Most nodes are called as their instance's private DNS name;
    /// for the others all nodes are gone through.
    async fn nodes(
        &self,
        instances: &BTreeMap<InstanceId, Option<String>>,
        named: &BTreeSet<NodeName>,
    ) -> Result<Vec<davylamp_model::inventory::Node>, KubeError> {
        let mut names: BTreeSet<NodeName> = named.clone();
        names.extend(
            instances
                .values()
                .flatten()
                .map(|name| NodeName(name.clone())),
        );
        let mut found = BTreeMap::new();
        for name in names {
            let path = format!("/api/v1/nodes/{}", segment(&name.0));
            if let Some(node) = self.get(&path, "nodes").await?.as_ref().and_then(object::node)
                // A name that is another machine's now is not what was asked for.
                && (named.contains(&name)
                    || node.instance.as_ref().is_some_and(|id| instances.contains_key(id)))
            {
                found.insert(node.name.clone(), node);
            }
        }
        let known: BTreeSet<&InstanceId> = found
            .values()
            .filter_map(|node| node.instance.as_ref())
            .collect();
        if instances.keys().any(|id| !known.contains(id)) {
            let list = self.list("/api/v1/nodes", "nodes", &[]).await?;
            let ours = list.iter().filter_map(object::node).filter(|node| {
                node.instance
                    .as_ref()
                    .is_some_and(|id| instances.contains_key(id))
            });
            found.extend(ours.map(|node| (node.name.clone(), node)));
        }
        Ok(found.into_values().collect())
    }

    /// The pods of a controller, by its selector; of a cron job by the selectors of its jobs.
    async fn workload_pods(
        &self,
        namespace: &str,
        kind: &str,
        name: &str,
    ) -> Result<Vec<Value>, KubeError> {
        let Some(path) = object::path(kind, namespace) else {
            return Ok(Vec::new());
        };
        let one = format!("{path}/{}", segment(name));
        let Some(controller) = self.get(&one, kind).await? else {
            return Ok(Vec::new());
        };
        let selectors: Vec<String> = if kind == "cronjob" {
            let Some(jobs) = object::path("job", namespace) else {
                return Ok(Vec::new());
            };
            let owned = format!("cronjob/{name}");
            self.list(&jobs, "jobs", &[])
                .await?
                .iter()
                .filter(|job| object::owner(job).as_deref() == Some(owned.as_str()))
                .filter_map(object::selector)
                .collect()
        } else {
            object::selector(&controller).into_iter().collect()
        };
        let mut pods = Vec::new();
        let path = format!("/api/v1/namespaces/{}/pods", segment(namespace));
        for selector in selectors {
            pods.extend(
                self.list(&path, "pods", &[("labelSelector", &selector)])
                    .await?,
            );
        }
        Ok(pods)
    }

    /// The claims that the pods mount and that the volumes' tags name, with the volume behind.
    async fn claims(&self, question: &Question, answer: &mut Answer) {
        let mut wanted = question.claims.clone();
        for pod in &answer.state.pods {
            wanted.extend(
                pod.claims
                    .iter()
                    .map(|claim| (pod.namespace.clone(), claim.clone())),
            );
        }
        let read: Vec<_> = stream::iter(wanted)
            .map(|(namespace, name)| async move {
                let claim = self.claim(&namespace, &name).await;
                (format!("claim {namespace}/{name}"), claim)
            })
            .buffered(SIDE_BY_SIDE)
            .collect()
            .await;
        for (what, claim) in read {
            match claim {
                Ok(claim) => answer.state.claims.extend(claim),
                Err(error) => answer.trouble.push((what, error.into())),
            }
        }
    }

    async fn claim(
        &self,
        namespace: &Namespace,
        name: &ClaimName,
    ) -> Result<Option<davylamp_model::inventory::Claim>, KubeError> {
        let path = format!(
            "/api/v1/namespaces/{}/persistentvolumeclaims/{}",
            segment(&namespace.0),
            segment(&name.0)
        );
        let Some(claim) = self.get(&path, "persistentvolumeclaims").await? else {
            return Ok(None);
        };
        let volume = match claim["spec"]["volumeName"].as_str() {
            Some(volume) => {
                let path = format!("/api/v1/persistentvolumes/{}", segment(volume));
                let volume = self.get(&path, "persistentvolumes").await?;
                volume.as_ref().and_then(object::ebs_volume)
            }
            None => None,
        };
        Ok(Some(object::claim(&claim, namespace, name, volume)))
    }

    /// What owns the pods, up to the topmost, each once.
    async fn controllers(
        &self,
        answer: &mut Answer,
        workloads: &BTreeSet<(Namespace, String, String)>,
    ) {
        let mut wanted: BTreeSet<(Namespace, String)> = workloads
            .iter()
            .map(|(namespace, kind, name)| (namespace.clone(), format!("{kind}/{name}")))
            .collect();
        for pod in &answer.state.pods {
            wanted.extend(
                pod.owner
                    .iter()
                    .map(|owner| (pod.namespace.clone(), owner.clone())),
            );
        }
        let mut seen = BTreeSet::new();
        for _ in 0..LONGEST_CHAIN {
            wanted.retain(|one| !seen.contains(one));
            seen.extend(wanted.iter().cloned());
            let read: Vec<_> = stream::iter(std::mem::take(&mut wanted))
                .map(|(namespace, owner)| async move {
                    let controller = self.controller(&namespace, &owner).await;
                    (format!("controller {namespace}/{owner}"), controller)
                })
                .buffered(SIDE_BY_SIDE)
                .collect()
                .await;
            for (what, controller) in read {
                match controller {
                    Ok(Some(controller)) => {
                        let above = controller.owner.iter();
                        wanted.extend(above.map(|it| (controller.namespace.clone(), it.clone())));
                        answer.state.controllers.push(controller);
                    }
                    Ok(None) => {}
                    Err(error) => answer.trouble.push((what, error.into())),
                }
            }
        }
    }

    async fn controller(
        &self,
        namespace: &Namespace,
        owner: &str,
    ) -> Result<Option<Controller>, KubeError> {
        let Some((kind, name)) = owner.split_once('/') else {
            return Ok(None);
        };
        // Another kind of owner is named by its pod; what it is, only its own operator knows.
        let Some(path) = object::path(kind, &namespace.0) else {
            return Ok(None);
        };
        let value = self.get(&format!("{path}/{}", segment(name)), kind).await?;
        Ok(value.map(|value| object::controller(&value, namespace, kind, name)))
    }

    /// What the pods use of the processor, where the cluster serves metrics.
    async fn metrics(&self, answer: &mut Answer) {
        let namespaces: BTreeSet<Namespace> = answer
            .state
            .pods
            .iter()
            .map(|pod| pod.namespace.clone())
            .collect();
        for namespace in namespaces {
            let path = format!(
                "/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods",
                segment(&namespace.0)
            );
            match self.list(&path, "pods.metrics.k8s.io", &[]).await {
                Ok(list) => {
                    let used: BTreeMap<String, u64> = list
                        .iter()
                        .filter_map(|it| Some((object::key(it).1, object::cpu_millicores(it)?)))
                        .collect();
                    for pod in &mut answer.state.pods {
                        if pod.namespace == namespace {
                            pod.cpu_millicores = used.get(pod.name.as_str()).copied();
                        }
                    }
                }
                // Nothing is decided by them, so nothing waits for them.
                Err(error) => answer.trouble.push((
                    format!("metrics of namespace {namespace}"),
                    Missed::for_good(error.to_string()),
                )),
            }
        }
    }

    /// Karpenter's pools, where it is installed.
    async fn node_pools(&self, answer: &mut Answer) {
        match self
            .list(
                "/apis/karpenter.sh/v1/nodepools",
                "nodepools.karpenter.sh",
                &[],
            )
            .await
        {
            Ok(list) => answer.state.node_pools = list.iter().map(|it| object::key(it).1).collect(),
            Err(error) => answer.trouble.push(("node pools".to_owned(), error.into())),
        }
    }
}
