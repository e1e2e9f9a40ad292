//! The collector: from findings to an [`Inventory`] of what they lead to.
//!
//! What must stay true: what could not be read is said in `unread`, with the next step; only what
//! AWS says does not exist is absent. Many findings are collected together: their ids are asked
//! for in few calls, and each finding's inventory is cut out of the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use davylamp_model::finding::Finding;
use davylamp_model::ids::{ClusterName, InstanceId, VolumeId};
use davylamp_model::inventory::{
    Cluster, ClusterState, Doors, HubRecord, Inventory, Reading, Unread,
};
use davylamp_model::resource::{Place, Resource};
use futures::{StreamExt, stream};
use jiff::Timestamp;

use crate::aws::fetch::{Read, Sizes, doors};
use crate::aws::read::ReadConfig;
use crate::aws::session::{Sessions, describe};
use crate::hub::Hub;
use crate::kubernetes::Clusters;
use crate::kubernetes::read::{self, Question};

mod cluster;
mod lead;
mod store;

use lead::Lead;
use store::Store;

/// Accounts and regions that are read side by side.
const PLACES_SIDE_BY_SIDE: usize = 8;

/// What an inventory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Containing what findings are about.
    Incident,
    /// Closing every public door of the account in the region as well.
    Lockdown,
}

/// One inventory that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Where.
    pub place: Place,
    /// The findings of the incident: all resources they name are followed.
    pub findings: Vec<Finding>,
    /// The resource the incident is about.
    pub resource: Resource,
    /// What the inventory is for.
    pub purpose: Purpose,
}

/// Collects inventories.
#[derive(Debug)]
pub struct Collector {
    sessions: Arc<Sessions>,
    clusters: Arc<Clusters>,
    hub: Option<Hub>,
    sizes: Sizes,
}

/// What was read of one cluster.
type ClusterRead = (Reading<ClusterState>, Vec<Unread>);

impl Collector {
    /// A collector with these clients.
    pub fn new(
        sessions: Arc<Sessions>,
        clusters: impl Into<Arc<Clusters>>,
        hub: Option<Hub>,
    ) -> Self {
        Self {
            sessions,
            clusters: clusters.into(),
            hub,
            sizes: Sizes::default(),
        }
    }

    /// Asks in pieces of these sizes instead.
    pub fn with_sizes(mut self, sizes: Sizes) -> Self {
        self.sizes = sizes;
        self
    }

    /// The clusters it reads, for those who write to them.
    pub fn clusters(&self) -> &Clusters {
        &self.clusters
    }

    /// What findings lead to.
    pub async fn collect(
        &self,
        place: &Place,
        findings: &[Finding],
        resource: &Resource,
        purpose: Purpose,
    ) -> Inventory {
        let wanted = Wanted {
            place: place.clone(),
            findings: findings.to_vec(),
            resource: resource.clone(),
            purpose,
        };
        let mut collected = self.collect_many(std::slice::from_ref(&wanted)).await;
        collected
            .pop()
            .unwrap_or_else(|| Inventory::empty(place.clone(), Timestamp::now()))
    }

    /// Inventories of many incidents, in the order they are wanted.
    pub async fn collect_many(&self, wanted: &[Wanted]) -> Vec<Inventory> {
        let leads: Vec<Lead> = wanted.iter().map(Lead::of).collect();
        let hub = self.hub(leads.iter().any(|lead| lead.hub)).await;
        let mut places: BTreeMap<&Place, Vec<usize>> = BTreeMap::new();
        for (at, one) in wanted.iter().enumerate() {
            places.entry(&one.place).or_default().push(at);
        }
        let mut collected: Vec<(usize, Inventory)> = stream::iter(places)
            .map(|(place, members)| self.collect_place(place, members, wanted, &leads))
            .buffer_unordered(PLACES_SIDE_BY_SIDE)
            .flat_map(stream::iter)
            .collect()
            .await;
        collected.sort_by_key(|(at, _)| *at);
        collected
            .into_iter()
            .map(|(at, mut inventory)| {
                if leads[at].hub {
                    inventory.hub = hub.clone();
                    if let Reading::Unknown { why } = &hub {
                        inventory.unread.push(Unread {
                            what: "users of the Hub".to_owned(),
                            why: why.clone(),
                        });
                    }
                }
                inventory
            })
            .collect()
    }

    async fn hub(&self, wanted: bool) -> Reading<Vec<HubRecord>> {
        match (&self.hub, wanted) {
            (Some(hub), true) => match hub.users().await {
                Ok(users) => Reading::Known(users),
                Err(error) => Reading::Unknown {
                    why: describe(&error),
                },
            },
            _ => Reading::NotAsked,
        }
    }

    async fn collect_place(
        &self,
        place: &Place,
        members: Vec<usize>,
        wanted: &[Wanted],
        leads: &[Lead],
    ) -> Vec<(usize, Inventory)> {
        let session = match self.sessions.reading(place).await {
            Ok(session) => session,
            Err(error) => {
                let why = describe(&error);
                let blind = |at: usize| (at, blind(place, &leads[at], &why));
                return members.into_iter().map(blind).collect();
            }
        };
        let mut all = Lead::default();
        for at in &members {
            all.join(&leads[*at]);
        }
        let mut store = Store::default();
        store.begin(&session, &all, self.sizes).await;

        let questions: Vec<BTreeMap<ClusterName, Question>> = members
            .iter()
            .map(|at| self.questions(&store, &leads[*at]))
            .collect();
        let clusters = self.read_clusters(place, &questions).await;
        let nodes = questions
            .iter()
            .flat_map(|each| machines(&clusters, each))
            .collect();
        store.add_instances(&session, nodes, self.sizes).await;
        store.finish(&session, &all, self.sizes).await;

        let lockdown = members
            .iter()
            .any(|at| wanted[*at].purpose == Purpose::Lockdown);
        let (doors, doors_unread) = self.doors(&session, place, lockdown).await;
        let taken_at = Timestamp::now();
        members
            .into_iter()
            .zip(&questions)
            .map(|(at, questions)| {
                let mut inventory = Inventory::empty(place.clone(), taken_at);
                let mut unread = BTreeSet::new();
                fill(
                    &mut inventory,
                    &mut unread,
                    &store,
                    &leads[at],
                    questions,
                    &clusters,
                );
                if self.clusters.configured().next().is_none()
                    && leads[at].anywhere != Question::default()
                {
                    unread.insert(Unread {
                        what: format!("cluster of {}", wanted[at].resource),
                        why: "the finding names no cluster and none is configured: name the \
                              Hub's cluster in the configuration"
                            .to_owned(),
                    });
                }
                if wanted[at].purpose == Purpose::Lockdown {
                    inventory.doors = doors.clone();
                    unread.extend(doors_unread.iter().cloned());
                }
                inventory.unread = unread.into_iter().collect();
                (at, inventory)
            })
            .collect()
    }

    async fn doors(
        &self,
        session: &ReadConfig,
        place: &Place,
        wanted: bool,
    ) -> (Reading<Doors>, Vec<Unread>) {
        let mut unread = Vec::new();
        if !wanted {
            return (Reading::NotAsked, unread);
        }
        let doors = doors::doors(session, place, self.sizes, &mut unread).await;
        (Reading::Known(doors), unread)
    }

    /// What one lead asks of which cluster.
    fn questions(&self, store: &Store, lead: &Lead) -> BTreeMap<ClusterName, Question> {
        let mut questions = lead.clusters.clone();
        if lead.anywhere != Question::default() {
            for name in self.clusters.configured() {
                let question = questions.entry(name.clone()).or_default();
                cluster::join(question, &lead.anywhere);
            }
        }
        let (instances, _) = reached(store, lead);
        for id in instances {
            let Some(found) = store.instances.get(&id).and_then(Read::found) else {
                continue;
            };
            let Some(name) = found.instance.cluster() else {
                continue;
            };
            let question = questions.entry(name).or_default();
            question
                .instances
                .insert(id, found.instance.private_dns.clone());
            for volume in &found.instance.volumes {
                let described = store.volumes.get(&volume.id).and_then(Read::found);
                question
                    .claims
                    .extend(described.and_then(|it| lead::claim_of(&it.volume.tags)));
            }
        }
        questions
    }

    async fn read_clusters(
        &self,
        place: &Place,
        questions: &[BTreeMap<ClusterName, Question>],
    ) -> BTreeMap<ClusterName, ClusterRead> {
        let mut joined: BTreeMap<ClusterName, Question> = BTreeMap::new();
        for (name, question) in questions.iter().flatten() {
            cluster::join(joined.entry(name.clone()).or_default(), question);
        }
        let mut clusters = BTreeMap::new();
        for (name, question) in joined {
            let read = match self.clusters.reading(place, &name).await {
                Ok(client) => read::read(&client, &question)
                    .await
                    .map_err(|it| it.to_string()),
                Err(error) => Err(describe(&error)),
            };
            let read = match read {
                Ok(answer) => {
                    let unread = |(what, why): (String, String)| Unread {
                        what: format!("{what} in cluster {name}"),
                        why,
                    };
                    let trouble = answer.trouble.into_iter().map(unread).collect();
                    (Reading::Known(answer.state), trouble)
                }
                Err(why) => {
                    let unread = Unread {
                        what: format!("cluster {name}"),
                        why: why.clone(),
                    };
                    (Reading::Unknown { why }, vec![unread])
                }
            };
            clusters.insert(name, read);
        }
        clusters
    }
}

/// An inventory where nothing could be read at all.
fn blind(place: &Place, lead: &Lead, why: &str) -> Inventory {
    let mut inventory = Inventory::empty(place.clone(), Timestamp::now());
    let account = format!("account {} in {}", place.account, place.region);
    let mut unread: Vec<Unread> = lead
        .names()
        .into_iter()
        .chain(std::iter::once(account))
        .map(|what| Unread {
            what,
            why: why.to_owned(),
        })
        .collect();
    unread.sort();
    inventory.unread = unread;
    inventory
}

/// The instances and volumes that a lead reaches without a cluster.
fn reached(store: &Store, lead: &Lead) -> (BTreeSet<InstanceId>, BTreeSet<VolumeId>) {
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
fn machines(
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
fn fill(
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
            Some(Err(why)) => {
                trouble = Some(why.clone());
                taken.unread.insert(Unread {
                    what: format!("snapshots of volume {id}"),
                    why: why.clone(),
                });
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
        for (_, why) in store.task_trouble.iter().filter(|(task, _)| task == arn) {
            taken.unread.insert(Unread {
                what: format!("task {arn}"),
                why: why.clone(),
            });
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
        if let Some(Read::Unread(why)) = read {
            self.unread.insert(Unread {
                what: format!("{kind} {id}"),
                why: why.clone(),
            });
        }
        read?.found()
    }
}
