//! The collector of `cloud`, as the responder asks it.

use std::sync::Arc;

use davylamp_cloud::aws::session::Sessions;
use davylamp_cloud::collect::{Collector, Purpose, Wanted};
use davylamp_cloud::hub::Hub;
use davylamp_cloud::kubernetes::Clusters;
use davylamp_model::intake::sighting;
use davylamp_model::inventory::Inventory;
use davylamp_model::resource::Place;
use davylamp_plan::plan::Case;

use crate::actuator::{ActError, Acting};
use crate::responder::Collect;

/// The playbook that needs to know every public door of an account.
pub const LOCKDOWN: &str = "account-lockdown";

/// Collects inventories.
#[derive(Debug)]
pub struct Collecting {
    collector: Collector,
    purpose: Purpose,
}

impl Collecting {
    /// With these clients; `named` is the playbook the operator named, if any.
    pub fn new(
        sessions: Arc<Sessions>,
        clusters: Arc<Clusters>,
        hub: Option<Hub>,
        named: Option<String>,
    ) -> Self {
        let purpose = match named.as_deref() {
            Some(LOCKDOWN) => Purpose::Lockdown,
            _ => Purpose::Incident,
        };
        Self {
            collector: Collector::new(sessions, clusters, hub),
            purpose,
        }
    }
}

impl Collect for Collecting {
    fn collect<'a>(&'a self, cases: &'a [Case]) -> Acting<'a, Vec<Inventory>> {
        Box::pin(async move {
            let mut wanted = Vec::with_capacity(cases.len());
            for case in cases {
                let place = place(case).ok_or_else(|| ActError::Refused {
                    call: "the collector".to_owned(),
                    why: format!("incident {} has no place", case.incident),
                })?;
                wanted.push(Wanted {
                    place,
                    findings: case.findings.clone(),
                    resource: case.resource.clone(),
                    purpose: self.purpose,
                });
            }
            let mut inventories = self.collector.collect_many(&wanted).await;
            for (inventory, case) in inventories.iter_mut().zip(cases) {
                inventory.sightings = case.findings.iter().filter_map(sighting).collect();
            }
            Ok(inventories)
        })
    }
}

fn place(case: &Case) -> Option<Place> {
    case.findings.iter().find_map(|it| it.place.clone())
}
