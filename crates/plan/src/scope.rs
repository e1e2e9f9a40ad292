//! What a case is about: the resources its findings name, found again in the inventory.
//!
//! Only what a finding leads to is here. An inventory may hold more, and none of that is touched.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::finding::{Behaviour, Finding, FindingSource};
use davylamp_model::ids::{
    AccessKeyId, ClusterName, FunctionName, HubUser, InstanceId, Namespace, VolumeId,
};
use davylamp_model::inventory::{
    ClusterState, Controller, Instance, Inventory, Node, Pod, Reading, Task, Volume,
};
use davylamp_model::resource::{KeyHolder, Resource};

use crate::plan::Case;

mod blind;

mod workload;

pub(crate) use workload::{ClusterPod, controllers_of};

/// A controller and the cluster it is in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClusterController<'a> {
    pub cluster: &'a ClusterName,
    pub controller: &'a Controller,
}

/// A node and the cluster it is in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClusterNode<'a> {
    pub cluster: &'a ClusterName,
    pub node: &'a Node,
}

/// Something a finding names that no step can be taken on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Absent {
    /// Its resource key.
    pub target: String,
    /// Why, as a clause.
    pub because: String,
    /// Whether it was not read, and may well be there.
    pub unread: bool,
}

/// What a case is about.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    pub inventory: &'a Inventory,
    /// The findings that may be acted on.
    pub findings: Vec<&'a Finding>,
    /// The findings that may not, with why.
    pub idle: Vec<Absent>,
    /// Instances by id: named, or behind what is named.
    pub instances: BTreeMap<&'a InstanceId, &'a Instance>,
    /// Nodes of those instances, and nodes that are named, by cluster and name.
    pub nodes: BTreeMap<(String, String), ClusterNode<'a>>,
    /// Pods that are named, or that a named controller owns.
    pub pods: BTreeMap<(String, String, String), ClusterPod<'a>>,
    /// Named pods that no readable cluster has, for the chain to a person.
    pub unseen: BTreeSet<(&'a Namespace, &'a str)>,
    /// Whether a finding names a workload or a Hub user: then nobody else is meant.
    pub names_who: bool,
    /// Volumes that are attached to none of the instances.
    pub volumes: BTreeMap<&'a VolumeId, &'a Volume>,
    /// ECS tasks by ARN.
    pub tasks: BTreeMap<&'a str, &'a Task>,
    /// Whether a task of the finding runs on Fargate, where there is one.
    pub fargate: Option<bool>,
    /// Functions.
    pub functions: BTreeSet<&'a FunctionName>,
    /// Keys and their holders.
    pub keys: BTreeSet<(&'a KeyHolder, Option<&'a AccessKeyId>)>,
    /// Hub users that a finding names, with whether our own guard did.
    pub hub_users: BTreeMap<&'a HubUser, bool>,
    /// Named, and not to be found.
    pub absent: BTreeSet<Absent>,
}

impl<'a> Scope<'a> {
    /// Finds again what the case's findings name.
    pub(crate) fn of(case: &'a Case, inventory: &'a Inventory) -> Self {
        let mut scope = Self {
            inventory,
            findings: Vec::new(),
            idle: Vec::new(),
            instances: BTreeMap::new(),
            nodes: BTreeMap::new(),
            pods: BTreeMap::new(),
            unseen: BTreeSet::new(),
            names_who: false,
            volumes: BTreeMap::new(),
            tasks: BTreeMap::new(),
            fargate: None,
            functions: BTreeSet::new(),
            keys: BTreeSet::new(),
            hub_users: BTreeMap::new(),
            absent: BTreeSet::new(),
        };
        for finding in &case.findings {
            match idle(finding, inventory) {
                Some(because) => scope.idle.push(Absent {
                    target: format!("finding/{}", finding.id),
                    because,
                    unread: false,
                }),
                None => scope.findings.push(finding),
            }
        }
        scope.idle.sort();
        if scope.findings.is_empty() {
            return scope;
        }
        for finding in scope.findings.clone() {
            for resource in &finding.resources {
                scope.add(resource, finding.source);
            }
        }
        scope.add(&case.resource, FindingSource::GuardDuty);
        scope.add_nodes();
        scope
    }

    fn add(&mut self, resource: &'a Resource, source: FindingSource) {
        match resource {
            Resource::Instance { id } => self.add_instance(id),
            Resource::Volume { id } => self.add_volume(id),
            Resource::Workload {
                cluster,
                namespace,
                kind,
                name,
            } => {
                self.names_who = true;
                self.add_workload(cluster.as_ref(), namespace, kind, name);
            }
            Resource::Node { cluster, name } => self.add_node(cluster.as_ref(), name.as_str()),
            Resource::EcsTask {
                cluster: _,
                task,
                fargate,
            } => {
                let any = self.fargate.unwrap_or(false) || *fargate;
                self.fargate = Some(any);
                match self.inventory.tasks.iter().find(|held| held.task == *task) {
                    Some(held) => {
                        self.tasks.insert(held.task.as_str(), held);
                        if let Some(id) = &held.instance {
                            self.add_instance(id);
                        }
                    }
                    None => self.missing(&resource.key(), task.as_str()),
                }
            }
            Resource::Function { name } => {
                self.functions.insert(name);
            }
            Resource::AccessKey { key, holder } => {
                self.keys.insert((holder, key.as_ref()));
            }
            Resource::HubUser { user, pod } => {
                self.names_who = true;
                let by_guard = source == FindingSource::Davylamp;
                let held = self.hub_users.entry(user).or_insert(false);
                *held |= by_guard;
                if let Some((namespace, name)) = pod {
                    self.add_pod(namespace, name);
                }
            }
            // Nothing is done to these by what they are; the doors of the account are `doors`.
            Resource::Snapshot { .. }
            | Resource::Image { .. }
            | Resource::EksCluster { .. }
            | Resource::EcsCluster { .. }
            | Resource::Bucket { .. }
            | Resource::Account
            | Resource::AccountRegion { .. }
            | Resource::Unknown { .. } => {}
        }
    }

    fn add_instance(&mut self, id: &'a InstanceId) {
        match self.inventory.instance(id) {
            Some(instance) => {
                self.instances.insert(&instance.id, instance);
            }
            None => self.missing(&format!("instance/{id}"), id.as_str()),
        }
    }

    fn add_volume(&mut self, id: &'a VolumeId) {
        let holder = self
            .inventory
            .instances
            .iter()
            .filter(|instance| instance.volumes.iter().any(|volume| volume.id == *id))
            .min_by_key(|instance| &instance.id);
        if let Some(instance) = holder {
            self.instances.insert(&instance.id, instance);
        } else if let Some(volume) = self.inventory.volumes.iter().find(|held| held.id == *id) {
            self.volumes.insert(&volume.id, volume);
        } else {
            self.missing(&format!("volume/{id}"), id.as_str());
        }
    }

    /// What a terminated instance has left behind is evidence too.
    pub(crate) fn loose_volumes(&self) -> impl Iterator<Item = &'a Volume> + use<'a> {
        let mut loose: BTreeMap<&VolumeId, &Volume> = self.volumes.clone();
        if !self.instances.is_empty() {
            loose.extend(
                self.inventory
                    .volumes
                    .iter()
                    .map(|volume| (&volume.id, volume)),
            );
        }
        for instance in self.instances.values() {
            for volume in &instance.volumes {
                loose.remove(&volume.id);
            }
        }
        loose.into_values().collect::<Vec<_>>().into_iter()
    }

    /// The nodes of the instances, wherever a cluster knows them.
    fn add_nodes(&mut self) {
        for (cluster, state) in self.readable() {
            for node in &state.nodes {
                let ours = node
                    .instance
                    .as_ref()
                    .is_some_and(|id| self.instances.contains_key(id));
                if ours {
                    self.insert_node(cluster, node);
                }
            }
        }
    }

    fn insert_node(&mut self, cluster: &'a ClusterName, node: &'a Node) {
        let key = (cluster.to_string(), node.name.to_string());
        self.nodes.insert(key, ClusterNode { cluster, node });
    }

    fn missing(&mut self, target: &str, id: &str) {
        let unread = self.unread(id);
        let because = match unread {
            Some(why) => format!("it could not be read: {why}"),
            None => "it is not there (any more)".to_owned(),
        };
        self.absent.insert(Absent {
            target: target.to_owned(),
            because,
            unread: unread.is_some(),
        });
    }

    /// Why something could not be read, where an entry of `unread` names it as a word of its own.
    pub(crate) fn unread(&self, id: &str) -> Option<&'a str> {
        unread(self.inventory, id)
    }

    /// The clusters that were read, by name.
    pub(crate) fn readable(&self) -> Vec<(&'a ClusterName, &'a ClusterState)> {
        let mut readable: Vec<_> = self
            .inventory
            .clusters
            .iter()
            .filter_map(|cluster| Some((&cluster.name, cluster.state.known()?)))
            .collect();
        readable.sort_by_key(|(name, _)| *name);
        readable
    }

    /// The clusters that the case leads to and that could not be read, with why.
    pub(crate) fn unreadable(&self) -> BTreeMap<ClusterName, String> {
        let mut unreadable = BTreeMap::new();
        for cluster in &self.inventory.clusters {
            match &cluster.state {
                Reading::Known(_) => {}
                Reading::Unknown { why } => {
                    unreadable.insert(cluster.name.clone(), why.clone());
                }
                Reading::NotAsked => {
                    unreadable.insert(cluster.name.clone(), "it was not asked".to_owned());
                }
            }
        }
        for instance in self.instances.values() {
            if let Some(name) = instance.cluster()
                && !self.inventory.clusters.iter().any(|held| held.name == name)
            {
                let why = self.unread(name.as_str()).unwrap_or("it was not read");
                unreadable.insert(name, why.to_owned());
            }
        }
        unreadable
    }

    /// Whether an instance belongs to a cluster: by its tags, or because a cluster names it.
    pub(crate) fn in_cluster(&self, instance: &Instance) -> bool {
        instance.cluster().is_some()
            || self
                .nodes
                .values()
                .any(|held| held.node.instance.as_ref() == Some(&instance.id))
    }

    /// The pods on the nodes of the instances that have not ended.
    pub(crate) fn pods_on_nodes(&self) -> Vec<ClusterPod<'a>> {
        let mut pods = Vec::new();
        for (cluster, state) in self.readable() {
            for pod in &state.pods {
                let here = pod.node.as_ref().is_some_and(|node| {
                    self.nodes
                        .contains_key(&(cluster.to_string(), node.to_string()))
                });
                if here && !has_ended(pod) {
                    pods.push(ClusterPod { cluster, pod });
                }
            }
        }
        pods.sort_by_key(|held| held.key());
        pods
    }
}

/// Why something could not be read, where an entry of `unread` names it as a word of its own.
pub(crate) fn unread<'a>(inventory: &'a Inventory, id: &str) -> Option<&'a str> {
    inventory
        .unread
        .iter()
        .filter(|unread| {
            unread
                .what
                .split(|sign: char| sign.is_whitespace() || matches!(sign, ',' | ';' | '\'' | '"'))
                .any(|word| word == id)
        })
        .min()
        .map(|unread| unread.why.as_str())
}

/// Why a finding is never acted on, if it is not.
fn idle(finding: &Finding, inventory: &Inventory) -> Option<String> {
    if finding.sample {
        return Some("it is a sample, not an occurrence".to_owned());
    }
    if finding.archived {
        return Some("it is archived: somebody has dealt with it".to_owned());
    }
    if finding.behaviour == Behaviour::Unknown {
        return Some("its type is not known, so nobody can say what it means".to_owned());
    }
    let Some(place) = &finding.place else {
        return Some("it does not say in which account and region it happened".to_owned());
    };
    if *place != inventory.place {
        return Some(format!(
            "it happened in {} {}, and what was looked at is {} {}",
            place.account, place.region, inventory.place.account, inventory.place.region
        ));
    }
    if finding
        .resources
        .iter()
        .all(|resource| matches!(resource, Resource::Unknown { .. }))
    {
        return Some("it names nothing that is known here".to_owned());
    }
    None
}

/// Whether a pod has ended: its containers run no more.
pub(crate) fn has_ended(pod: &Pod) -> bool {
    matches!(pod.phase.as_str(), "Succeeded" | "Failed")
}

/// Pods of these owners belong to the node and end with it.
const NODE_OWNERS: [&str; 2] = ["daemonset/", "node/"];

/// Whether a pod belongs to its node and ends with it.
pub(crate) fn is_of_node(pod: &Pod) -> bool {
    pod.owner
        .as_deref()
        .is_some_and(|owner| NODE_OWNERS.iter().any(|kind| owner.starts_with(kind)))
}
