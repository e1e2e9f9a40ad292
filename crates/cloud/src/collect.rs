//! The collector: from findings to an [`Inventory`] of what they lead to.
//!
//! What must stay true: what could not be read is said in `unread`, with the next step; only what
//! AWS says does not exist is absent. Many findings are collected together: their ids are asked
//! for in few calls, and each finding's inventory is cut out of the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use davylamp_model::finding::Finding;
use davylamp_model::ids::ClusterName;
use davylamp_model::inventory::{Doors, HubRecord, Inventory, Reading, Unread};
use davylamp_model::resource::{Place, Resource};
use futures::{StreamExt, stream};
use jiff::Timestamp;

use crate::aws::fetch::{Read, Sizes, doors};
use crate::aws::read::ReadConfig;
use crate::aws::session::{SessionError, Sessions};
use crate::hub::Hub;
use crate::kubernetes::Clusters;
use crate::kubernetes::read::{self, Question};
use crate::missed::Missed;

mod cluster;
mod fill;
mod lead;
mod store;

use fill::{ClusterRead, blind, fill, machines, reached};
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
        let mut places: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
        for (at, one) in wanted.iter().enumerate() {
            places.entry(one.place.clone()).or_default().push(at);
        }
        let mut collected: Vec<(usize, Inventory)> = stream::iter(places)
            .map(|(place, members)| {
                let leads = &leads;
                async move { self.collect_place(&place, members, wanted, leads).await }
            })
            .buffer_unordered(PLACES_SIDE_BY_SIDE)
            .flat_map(stream::iter)
            .collect()
            .await;
        collected.sort_by_key(|(at, _)| *at);
        collected
            .into_iter()
            .map(|(at, mut inventory)| {
                if leads[at].hub {
                    inventory.hub = hub.0.clone();
                    inventory.unread.extend(hub.1.clone());
                }
                inventory
            })
            .collect()
    }

    async fn hub(&self, wanted: bool) -> (Reading<Vec<HubRecord>>, Option<Unread>) {
        match (&self.hub, wanted) {
            (Some(hub), true) => match hub.users().await {
                Ok(users) => (Reading::Known(users), None),
                Err(error) => {
                    let missed = Missed::from(&error);
                    let unread = missed.unread("users of the Hub");
                    (Reading::Unknown { why: missed.why }, Some(unread))
                }
            },
            _ => (Reading::NotAsked, None),
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
            Ok(session) => Ok(session),
            // Clusters and the Hub can be asked all the same.
            Err(error @ SessionError::Absent) => Err(Missed::from(&error)),
            Err(error) => {
                let missed = Missed::from(&error);
                let blind = |at: usize| (at, blind(place, &leads[at], &missed));
                return members.into_iter().map(blind).collect();
            }
        };
        let mut all = Lead::default();
        for at in &members {
            all.join(&leads[*at]);
        }
        let mut store = Store::default();
        if let Ok(session) = &session {
            store.begin(session, &all, self.sizes).await;
        }

        let questions: Vec<BTreeMap<ClusterName, Question>> = members
            .iter()
            .map(|at| self.questions(&store, &leads[*at]))
            .collect();
        let clusters = self.read_clusters(place, &questions).await;
        let nodes = questions
            .iter()
            .flat_map(|each| machines(&clusters, each))
            .collect();
        if let Ok(session) = &session {
            store.add_instances(session, nodes, self.sizes).await;
            store.finish(session, &all, self.sizes).await;
        }

        let lockdown = members
            .iter()
            .any(|at| wanted[*at].purpose == Purpose::Lockdown);
        let (doors, doors_unread) = match &session {
            Ok(session) => self.doors(session, place, lockdown).await,
            Err(_) => (Reading::NotAsked, Vec::new()),
        };
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
                        again: false,
                    });
                }
                if let Err(missed) = &session {
                    let machines = machines(&clusters, questions);
                    let machines = machines.iter().map(|id| format!("instance {id}"));
                    let names = leads[at].names().into_iter().chain(machines);
                    unread.extend(names.map(|what| missed.unread(what)));
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
                Ok(client) => read::read(&client, &question).await.map_err(Missed::from),
                Err(error) => Err(Missed::from(&error)),
            };
            let read = match read {
                Ok(answer) => {
                    let unread = |(what, missed): (String, Missed)| {
                        missed.unread(format!("{what} in cluster {name}"))
                    };
                    let trouble = answer.trouble.into_iter().map(unread).collect();
                    (Reading::Known(answer.state), trouble)
                }
                Err(missed) => {
                    let unread = missed.unread(format!("cluster {name}"));
                    (Reading::Unknown { why: missed.why }, vec![unread])
                }
            };
            clusters.insert(name, read);
        }
        clusters
    }
}
