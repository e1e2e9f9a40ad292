//! Where findings lead: the ids that their resources name.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::ids::{
    AccessKeyId, Arn, ClusterName, FunctionName, IamUserName, InstanceId, Namespace, PodName,
    RoleName, SnapshotId, VolumeId, is_ec2_id,
};
use davylamp_model::resource::{KeyHolder, Resource};

use super::Wanted;
use crate::kubernetes::read::Question;

/// The ids that one wanted inventory begins with.
#[derive(Debug, Clone, Default)]
pub(super) struct Lead {
    pub instances: BTreeSet<InstanceId>,
    pub volumes: BTreeSet<VolumeId>,
    pub snapshots: BTreeSet<SnapshotId>,
    pub images: BTreeSet<String>,
    pub functions: BTreeSet<FunctionName>,
    pub tasks: BTreeMap<Arn, BTreeSet<Arn>>,
    pub users: BTreeSet<IamUserName>,
    pub roles: BTreeSet<RoleName>,
    /// Keys whose holder the finding does not name.
    pub keys: BTreeSet<AccessKeyId>,
    /// What is asked of clusters that are named.
    pub clusters: BTreeMap<ClusterName, Question>,
    /// What is asked of every configured cluster, because the finding names none.
    pub anywhere: Question,
    /// Whether the Hub's users may be behind it.
    pub hub: bool,
}

impl Lead {
    /// Every resource of every finding, and the one the incident is about.
    pub fn of(wanted: &Wanted) -> Self {
        let mut lead = Self::default();
        let named = wanted
            .findings
            .iter()
            .flat_map(|finding| &finding.resources);
        for resource in named.chain(std::iter::once(&wanted.resource)) {
            lead.follow(resource);
        }
        lead
    }

    fn follow(&mut self, resource: &Resource) {
        match resource {
            Resource::Instance { id } => {
                self.instances.insert(id.clone());
                self.hub = true;
            }
            Resource::Volume { id } => {
                self.volumes.insert(id.clone());
                self.hub = true;
            }
            Resource::Snapshot { id } => {
                self.snapshots.insert(id.clone());
                self.hub = true;
            }
            Resource::Image { id } => {
                self.images.insert(id.clone());
            }
            Resource::Workload {
                cluster,
                namespace,
                kind,
                name,
            } => {
                let question = self.question(cluster.as_ref());
                match kind.trim_end_matches('s') {
                    "pod" => {
                        let pod = PodName::from(name.as_str());
                        question.pods.insert((namespace.clone(), pod));
                    }
                    kind => {
                        question.workloads.insert((
                            namespace.clone(),
                            kind.to_owned(),
                            name.clone(),
                        ));
                    }
                }
                self.hub = true;
            }
            Resource::Node { cluster, name } => {
                self.question(cluster.as_ref()).nodes.insert(name.clone());
                self.hub = true;
            }
            Resource::EksCluster { name } => {
                self.question(Some(name));
            }
            Resource::EcsTask { cluster, task, .. } => {
                let tasks = self.tasks.entry(cluster.clone()).or_default();
                tasks.insert(task.clone());
            }
            Resource::Function { name } => {
                self.functions.insert(name.clone());
            }
            Resource::AccessKey { key, holder } => self.follow_key(key.as_ref(), holder),
            Resource::HubUser { user, pod } => {
                self.anywhere.users.insert(user.clone());
                self.anywhere.pods.extend(pod.clone());
                self.hub = true;
            }
            // Nothing is read of these that an inventory has a place for.
            Resource::EcsCluster { .. }
            | Resource::Bucket { .. }
            | Resource::Account
            | Resource::AccountRegion { .. }
            | Resource::Unknown { .. } => {}
        }
    }

    fn follow_key(&mut self, key: Option<&AccessKeyId>, holder: &KeyHolder) {
        match holder {
            KeyHolder::User { user } => {
                self.users.insert(user.clone());
            }
            KeyHolder::RoleSession { role, session } => {
                self.roles.insert(role.clone());
                // The session of an instance role is called as the instance.
                if let Some(id) = session.as_deref().filter(|name| is_ec2_id("i-", name)) {
                    self.instances.insert(InstanceId::from(id));
                }
            }
            KeyHolder::Root => {}
            KeyHolder::Unknown { .. } => self.keys.extend(key.cloned()),
        }
    }

    fn question(&mut self, cluster: Option<&ClusterName>) -> &mut Question {
        match cluster {
            Some(name) => self.clusters.entry(name.clone()).or_default(),
            None => &mut self.anywhere,
        }
    }

    /// Everything this leads to, as the beginnings of what is unread when nothing can be read.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        names.extend(self.instances.iter().map(|id| format!("instance {id}")));
        names.extend(self.volumes.iter().map(|id| format!("volume {id}")));
        names.extend(self.snapshots.iter().map(|id| format!("snapshot {id}")));
        names.extend(self.images.iter().map(|id| format!("image {id}")));
        names.extend(self.functions.iter().map(|name| format!("function {name}")));
        names.extend(
            self.tasks
                .values()
                .flatten()
                .map(|arn| format!("task {arn}")),
        );
        names.extend(self.users.iter().map(|name| format!("user {name}")));
        names.extend(self.roles.iter().map(|name| format!("role {name}")));
        names.extend(self.keys.iter().map(|key| format!("key {key}")));
        names
    }

    /// Adds what another leads to.
    pub fn join(&mut self, other: &Self) {
        self.instances.extend(other.instances.iter().cloned());
        self.volumes.extend(other.volumes.iter().cloned());
        self.snapshots.extend(other.snapshots.iter().cloned());
        self.images.extend(other.images.iter().cloned());
        self.functions.extend(other.functions.iter().cloned());
        for (cluster, tasks) in &other.tasks {
            let held = self.tasks.entry(cluster.clone()).or_default();
            held.extend(tasks.iter().cloned());
        }
        self.users.extend(other.users.iter().cloned());
        self.roles.extend(other.roles.iter().cloned());
        self.keys.extend(other.keys.iter().cloned());
    }
}

/// The claim that the tags of a volume name: the EBS driver writes them when it makes the volume.
pub(super) fn claim_of(
    tags: &davylamp_model::inventory::Tags,
) -> Option<(Namespace, davylamp_model::ids::ClaimName)> {
    let name = tags.get("kubernetes.io/created-for/pvc/name")?;
    let namespace = tags.get("kubernetes.io/created-for/pvc/namespace")?;
    Some((Namespace::from(namespace.as_str()), name.as_str().into()))
}
