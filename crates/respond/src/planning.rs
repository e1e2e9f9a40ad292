//! The planner with its playbooks and policy, as the responder asks it.

use std::sync::{Arc, Mutex, PoisonError};

use davylamp_content::playbook::{Caps, Playbook};
use davylamp_content::prices::{Cost, estimate};
use davylamp_model::inventory::{HubRecord, Inventory};
use davylamp_plan::plan::{Case, Plan};
use davylamp_plan::planner::Planner;
use davylamp_plan::policy::Policy;
use davylamp_plan::who::SlugIndex;

use crate::responder::Planning;

/// How a remark about money begins: notices show those apart.
pub const COST_REMARK: &str = "cost so far: ";

/// Plans with these playbooks under this policy.
#[derive(Debug)]
pub struct Playbooks {
    playbooks: Vec<Playbook>,
    policy: Policy,
    /// The playbook the operator named for every finding.
    named: Option<String>,
    /// Every name the Hub's users may have in a cluster, made once for a run.
    slugs: Mutex<Option<Arc<SlugIndex>>>,
}

impl Playbooks {
    /// Plans with these playbooks; with `named` alone where it is given.
    pub fn new(playbooks: Vec<Playbook>, policy: Policy, named: Option<String>) -> Self {
        Self {
            playbooks,
            policy,
            named,
            slugs: Mutex::new(None),
        }
    }

    fn slugs(&self, records: &[HubRecord]) -> Arc<SlugIndex> {
        let mut held = self.slugs.lock().unwrap_or_else(PoisonError::into_inner);
        match held.as_ref() {
            Some(index) if index.is_of(records) => Arc::clone(index),
            _ => Arc::clone(held.insert(Arc::new(SlugIndex::new(records)))),
        }
    }
}

impl Planning for Playbooks {
    fn plan(&self, case: &Case, inventory: &Inventory) -> Plan {
        let planner = Planner::new(&self.playbooks, &self.policy);
        let named = self.named.as_deref();
        let mut plan = match inventory.hub.known() {
            Some(records) => {
                let slugs = self.slugs(records);
                planner.with_slugs(&slugs).plan(case, inventory, named)
            }
            None => planner.plan(case, inventory, named),
        };
        plan.remarks.extend(cost(case, inventory));
        plan
    }

    fn caps(&self, playbook: &str) -> Caps {
        self.playbooks
            .iter()
            .find(|one| one.name == playbook)
            .map_or_else(Caps::default, |one| one.caps.clone())
    }
}

/// What each instance has cost since the finding was first seen, or since it was started if that
/// was later.
fn cost(case: &Case, inventory: &Inventory) -> Vec<String> {
    let first_seen = case.findings.iter().filter_map(|it| it.first_seen).min();
    let mut lines = Vec::new();
    for instance in &inventory.instances {
        let from = match (first_seen, instance.launched_at) {
            (Some(seen), Some(launched)) => seen.max(launched),
            (Some(from), None) | (None, Some(from)) => from,
            (None, None) => {
                lines.push(format!(
                    "{COST_REMARK}{}: not known, neither when it was started nor when it was first \
                     seen is known",
                    instance.id
                ));
                continue;
            }
        };
        let region = inventory.place.region.as_str();
        let estimate = estimate(&instance.instance_type, region, from, inventory.taken_at)
            .of_spot(instance.spot);
        let amount = match estimate.cost {
            Cost::Known { usd_cents } => {
                format!("about {}.{:02} USD", usd_cents / 100, usd_cents % 100)
            }
            Cost::Unknown { why } => format!("not known, {why}"),
        };
        let mut line = format!(
            "{COST_REMARK}{} ({}) since {from}: {amount}",
            instance.id, instance.instance_type
        );
        for caveat in estimate.caveats {
            line.push_str("; ");
            line.push_str(&caveat);
        }
        lines.push(line);
    }
    lines
}
