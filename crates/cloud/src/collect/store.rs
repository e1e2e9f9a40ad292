//! What was read of one account and region, for all findings there together.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::ids::{
    AccessKeyId, Arn, FunctionName, IamUserName, InstanceId, InterfaceId, RoleName,
    ScalingGroupName, SnapshotId, VolumeId,
};
use davylamp_model::inventory::{
    Function, IamRole, IamUser, Instance, Interface, Reading, ScalingGroup, Snapshot, Task, Unread,
};
use futures::{StreamExt, stream};

use super::lead::Lead;
use crate::aws::fetch::ebs::{self, FoundVolume};
use crate::aws::fetch::ec2::{self, FoundInstance};
use crate::aws::fetch::{Read, SIDE_BY_SIDE, Shelf, Sizes, compute, iam, scaling};
use crate::aws::read::ReadConfig;
use crate::missed::Missed;

/// The answers.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub instances: Shelf<InstanceId, FoundInstance>,
    pub volumes: Shelf<VolumeId, FoundVolume>,
    pub snapshot_volumes: Shelf<SnapshotId, VolumeId>,
    pub image_snapshots: Shelf<String, BTreeSet<SnapshotId>>,
    pub snapshots: BTreeMap<VolumeId, Result<Vec<Snapshot>, Missed>>,
    pub protection: BTreeMap<InstanceId, Result<bool, Missed>>,
    pub interfaces: Shelf<InterfaceId, Interface>,
    pub memberships: Shelf<InstanceId, (ScalingGroupName, bool)>,
    pub groups: Shelf<ScalingGroupName, ScalingGroup>,
    pub profiles: Shelf<String, RoleName>,
    pub roles: Shelf<RoleName, IamRole>,
    pub users: Shelf<IamUserName, IamUser>,
    pub keys: Shelf<AccessKeyId, IamUserName>,
    pub functions: Shelf<FunctionName, Function>,
    pub tasks: Shelf<Arn, Task>,
    pub task_trouble: Vec<(Arn, Missed)>,
}

impl Store {
    /// Reads the way from findings to instances and volumes.
    pub async fn begin(&mut self, session: &ReadConfig, lead: &Lead, sizes: Sizes) {
        let client = session.ec2();
        for image in &lead.images {
            let read = ebs::image_snapshots(&client, image).await;
            self.image_snapshots.insert(image.clone(), read);
        }
        let mut snapshots = lead.snapshots.clone();
        snapshots.extend(found(&self.image_snapshots).flatten().cloned());
        self.snapshot_volumes = ebs::snapshot_volumes(&client, &snapshots, sizes).await;

        let mut volumes = lead.volumes.clone();
        volumes.extend(found(&self.snapshot_volumes).cloned());
        self.volumes = ebs::volumes(&client, &volumes, sizes).await;

        for (cluster, tasks) in &lead.tasks {
            let trouble = &mut self.task_trouble;
            let read = compute::tasks(session, cluster, tasks, sizes, trouble).await;
            self.tasks.extend(read);
        }
        let mut instances = lead.instances.clone();
        instances.extend(found(&self.volumes).flat_map(|it| it.attached.clone()));
        instances.extend(found(&self.tasks).filter_map(|task| task.instance.clone()));
        self.add_instances(session, instances, sizes).await;
    }

    /// Reads more instances, and their volumes. What was asked for already is not asked again.
    pub async fn add_instances(
        &mut self,
        session: &ReadConfig,
        mut ids: BTreeSet<InstanceId>,
        sizes: Sizes,
    ) {
        let client = session.ec2();
        ids.retain(|id| !self.instances.contains_key(id));
        self.instances
            .extend(ec2::instances(&client, &ids, sizes).await);
        let mut volumes: BTreeSet<VolumeId> = found(&self.instances)
            .flat_map(|it| it.instance.volumes.iter().map(|volume| volume.id.clone()))
            .collect();
        volumes.retain(|id| !self.volumes.contains_key(id));
        self.volumes
            .extend(ebs::volumes(&client, &volumes, sizes).await);
    }

    /// Reads what belongs to the instances and volumes, and what is no machine.
    pub async fn finish(&mut self, session: &ReadConfig, lead: &Lead, sizes: Sizes) {
        let client = session.ec2();
        let alive: BTreeSet<InstanceId> = found(&self.instances)
            .filter(|it| it.instance.state != "terminated")
            .map(|it| it.instance.id.clone())
            .collect();
        let volumes: BTreeSet<VolumeId> = found(&self.volumes)
            .map(|it| it.volume.id.clone())
            .collect();
        let interfaces: BTreeSet<InterfaceId> = found(&self.instances)
            .flat_map(|it| it.instance.interfaces.iter().map(|one| one.id.clone()))
            .collect();
        let profiles: BTreeSet<String> = found(&self.instances)
            .filter_map(|it| it.profile.clone())
            .collect();
        let scaling = session.autoscaling();
        let iam = &session.iam();
        let lambda = &session.lambda();

        let machine = async {
            self.protection = ec2::termination_protection(&client, &alive).await;
            self.snapshots = ebs::snapshots(&client, &volumes, sizes).await;
            self.interfaces = ec2::interfaces(&client, &interfaces, sizes).await;
        };
        let fleet = async {
            self.memberships = scaling::memberships(&scaling, &alive, sizes).await;
            let names = found(&self.memberships)
                .map(|(name, _)| name.clone())
                .collect();
            self.groups = scaling::groups(&scaling, &names, sizes).await;
        };
        let people = async {
            self.profiles = each(profiles, |name| async move {
                iam::profile_role(iam, &name).await
            })
            .await;
            let mut roles = lead.roles.clone();
            roles.extend(found(&self.profiles).cloned());
            self.roles = each(roles, |name| async move { iam::role(iam, &name).await }).await;
            self.keys = each(lead.keys.clone(), |key| async move {
                iam::key_user(iam, &key).await
            })
            .await;
            let mut users = lead.users.clone();
            users.extend(found(&self.keys).cloned());
            self.users = each(users, |name| async move { iam::user(iam, &name).await }).await;
        };
        let functions = async {
            let names = lead.functions.clone();
            self.functions = each(names, |name| async move {
                compute::function(lambda, &name).await
            })
            .await;
        };
        futures::join!(machine, fleet, people, functions);
    }

    /// An instance with all that was read about it; what was not goes to `unread`.
    pub fn instance(&self, id: &InstanceId, unread: &mut BTreeSet<Unread>) -> Option<Instance> {
        let mut miss = |what: String, missed: &Missed| {
            unread.insert(missed.unread(what));
        };
        let found = match self.instances.get(id)? {
            Read::Found(found) => found,
            Read::Absent => return None,
            Read::Unread(why) => {
                miss(format!("instance {id}"), why);
                return None;
            }
        };
        let mut instance = found.instance.clone();
        for volume in &mut instance.volumes {
            match self.volumes.get(&volume.id) {
                Some(Read::Found(described)) => {
                    volume.tags = described.volume.tags.clone();
                    volume.size_gib = described.volume.size_gib;
                }
                Some(Read::Unread(why)) => miss(format!("volume {}", volume.id), why),
                // Attached a moment ago and gone now.
                Some(Read::Absent) | None => {}
            }
        }
        for interface in &mut instance.interfaces {
            match self.interfaces.get(&interface.id) {
                Some(Read::Found(described)) => interface.tags = described.tags.clone(),
                Some(Read::Unread(why)) => miss(format!("tags of interface {}", interface.id), why),
                Some(Read::Absent) | None => {}
            }
        }
        match self.protection.get(id) {
            Some(Ok(protected)) => instance.termination_protected = Reading::Known(*protected),
            Some(Err(missed)) => {
                let why = missed.why.clone();
                instance.termination_protected = Reading::Unknown { why };
                miss(format!("termination protection of instance {id}"), missed);
            }
            None => {}
        }
        match self.memberships.get(id) {
            Some(Read::Found(group)) => instance.group = Some(group.clone()),
            Some(Read::Unread(why)) => miss(format!("scaling group of instance {id}"), why),
            Some(Read::Absent) | None => {}
        }
        match found
            .profile
            .as_ref()
            .and_then(|name| self.profiles.get(name))
        {
            Some(Read::Found(role)) => instance.role = Some(role.clone()),
            Some(Read::Unread(why)) => miss(format!("role of instance {id}"), why),
            Some(Read::Absent) | None => {}
        }
        Some(instance)
    }
}

/// What is there.
pub(super) fn found<K, T>(shelf: &Shelf<K, T>) -> impl Iterator<Item = &T> {
    shelf.values().filter_map(Read::found)
}

/// Asks for each thing by itself, several at a time.
async fn each<K, T, F>(ids: BTreeSet<K>, ask: impl Fn(K) -> F) -> Shelf<K, T>
where
    K: Ord + Clone,
    F: Future<Output = Read<T>>,
{
    stream::iter(ids)
        .map(|id| {
            let answer = ask(id.clone());
            async move { (id, answer.await) }
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .collect()
        .await
}
