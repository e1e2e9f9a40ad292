//! One finding's inventory, taken out of what was read for all.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::ids::{ClusterName, InstanceId, VolumeId};
use davylamp_model::inventory::{Cluster, ClusterState, Inventory, Reading, Unread};
use davylamp_model::resource::Place;
use jiff::Timestamp;

use super::cluster;
use super::lead::Lead;
use super::store::Store;
use crate::aws::fetch::Read;
use crate::kubernetes::read::Question;
use crate::missed::Missed;

/// What was read of one cluster.
pub(super) type ClusterRead = (Reading<ClusterState>, Vec<Unread>);

/// An inventory where nothing could be read at all.
pub(super) fn blind(place: &Place, lead: &Lead, missed: &Missed) -> Inventory {
    let mut inventory = Inventory::empty(place.clone(), Timestamp::now());
    let account = format!("account {} in {}", place.account, place.region);
    let mut unread: Vec<Unread> = lead
        .names()
        .into_iter()
        .chain(std::iter::once(account))
        .map(|what| missed.unread(what))
        .collect();
    unread.sort();
    inventory.unread = unread;
    inventory
}

/// The instances and volumes that a lead reaches without a cluster.
pub(super) fn reached(store: &Store, lead: &Lead) -> (BTreeSet<InstanceId>, BTreeSet<VolumeId>) {
    let mut snapshots = lead.snapshots.clone();
    let images = lead
        .images
        .iter()
        .filter_map(|it| store.image_snapshots.get(it)?.found());
    snapshots.extend(images.flatten().cloned());
    let mut volumes = lead.volumes.clone();
    let taken_of = snapshots
        .iter()
        .filter_map(|it| store.snapshot_volumes.get(it)?.found());
    volumes.extend(taken_of.cloned());
    let mut instances = lead.instances.clone();
    let attached = volumes
        .iter()
        .filter_map(|it| store.volumes.get(it)?.found());
    instances.extend(attached.flat_map(|it| it.attached.clone()));
    let tasks = lead.tasks.values().flatten();
    instances.extend(tasks.filter_map(|it| store.tasks.get(it)?.found()?.instance.clone()));
    (instances, volumes)
}

/// The instances that the nodes of a cluster are.
pub(super) fn machines(
    clusters: &BTreeMap<ClusterName, ClusterRead>,
    questions: &BTreeMap<ClusterName, Question>,
) -> BTreeSet<InstanceId> {
    questions
        .iter()
        .filter_map(|(name, question)| Some((clusters.get(name)?.0.known()?, question)))
        .flat_map(|(state, question)| cluster::node_instances(state, question))
        .collect()
}

/// Takes what a lead reaches out of the store.
pub(super) fn fill(
    inventory: &mut Inventory,
    unread: &mut BTreeSet<Unread>,
    store: &Store,
    lead: &Lead,
    questions: &BTreeMap<ClusterName, Question>,
    clusters: &BTreeMap<ClusterName, ClusterRead>,
) {
    let (mut instances, loose) = reached(store, lead);
    instances.extend(machines(clusters, questions));
    inventory.instances = instances
        .iter()
        .filter_map(|id| store.instance(id, unread))
        .collect();
    let attached: BTreeSet<VolumeId> = inventory
        .instances
        .iter()
        .flat_map(|instance| instance.volumes.iter().map(|volume| volume.id.clone()))
        .collect();
    let mut taken = Taken { unread };
    let loose: Vec<VolumeId> = loose
        .into_iter()
        .filter(|id| !attached.contains(id))
        .collect();
    for id in &loose {
        let found = taken.take("volume", id, store.volumes.get(id));
        inventory.volumes.extend(found.map(|it| it.volume.clone()));
    }
    for id in &lead.snapshots {
        taken.take("snapshot", id, store.snapshot_volumes.get(id));
    }
    for id in &lead.images {
        taken.take("image", id, store.image_snapshots.get(id));
    }

    let mut snapshots = Vec::new();
    let mut trouble = None;
    for id in attached.iter().chain(&loose) {
        match store.snapshots.get(id) {
            Some(Ok(of_volume)) => snapshots.extend(of_volume.iter().cloned()),
            Some(Err(missed)) => {
                trouble = Some(missed.why.clone());
                let what = format!("snapshots of volume {id}");
                taken.unread.insert(missed.unread(what));
            }
            // Without the volume nobody asked for its snapshots; the volume is unread or gone.
            None => {}
        }
    }
    inventory.snapshots = match trouble {
        Some(why) => Reading::Unknown { why },
        None if attached.is_empty() && loose.is_empty() => Reading::NotAsked,
        None => Reading::Known(snapshots),
    };

    let groups: BTreeSet<_> = inventory
        .instances
        .iter()
        .filter_map(|it| it.group.as_ref())
        .map(|it| &it.0)
        .collect();
    for name in groups {
        let found = taken.take("scaling group", name, store.groups.get(name));
        inventory.groups.extend(found.cloned());
    }
    let mut roles = lead.roles.clone();
    roles.extend(inventory.instances.iter().filter_map(|it| it.role.clone()));
    for name in &roles {
        let found = taken.take("role", name, store.roles.get(name));
        inventory.roles.extend(found.cloned());
    }
    let mut users = lead.users.clone();
    for key in &lead.keys {
        users.extend(taken.take("key", key, store.keys.get(key)).cloned());
    }
    for name in &users {
        let found = taken.take("user", name, store.users.get(name));
        inventory.users.extend(found.cloned());
    }
    for name in &lead.functions {
        let found = taken.take("function", name, store.functions.get(name));
        inventory.functions.extend(found.cloned());
    }
    for arn in lead.tasks.values().flatten() {
        let found = taken.take("task", arn, store.tasks.get(arn));
        inventory.tasks.extend(found.cloned());
        for (_, missed) in store.task_trouble.iter().filter(|(task, _)| task == arn) {
            taken.unread.insert(missed.unread(format!("task {arn}")));
        }
    }

    let volumes: BTreeSet<VolumeId> = attached.into_iter().chain(loose).collect();
    for (name, question) in questions {
        let Some((state, trouble)) = clusters.get(name) else {
            continue;
        };
        taken.unread.extend(trouble.iter().cloned());
        let state = match state {
            Reading::Known(state) => {
                Reading::Known(cluster::cut(state, question, &instances, &volumes))
            }
            other => other.clone(),
        };
        inventory.clusters.push(Cluster {
            name: name.clone(),
            state,
        });
    }
}

/// Takes things from shelves, and says what is unknown.
struct Taken<'a> {
    unread: &'a mut BTreeSet<Unread>,
}

impl Taken<'_> {
    fn take<'t, T>(
        &mut self,
        kind: &str,
        id: &dyn std::fmt::Display,
        read: Option<&'t Read<T>>,
    ) -> Option<&'t T> {
        if let Some(Read::Unread(missed)) = read {
            self.unread.insert(missed.unread(format!("{kind} {id}")));
        }
        read?.found()
    }
}
