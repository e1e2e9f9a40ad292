//! Which network interface is which machine's, asked of the logs beside the hunts: flow logs name the
//! interface and everything else the machine, and leads about both are one story.

use std::collections::BTreeSet;

use datafusion::error::DataFusionError;
use davylamp_content::hunt::Entity as Kind;
use futures::StreamExt;

use super::{Answers, Job, lead};
use crate::engine::{Batches, EngineError};
use crate::read::LOGS;
use crate::read::interfaces::{COLUMN, JOIN};
use crate::suspects::{Entity, Link};

/// Pairs beyond this are not kept: that many machines are not one story.
const MOST: usize = 200_000;

/// The questions; none where nothing could be joined.
pub(super) fn questions(engine: &dyn Answers, jobs: &[&Job]) -> Vec<String> {
    let about = |kind| {
        let of_kind = move |job: &&&Job| job.hunt.entities.contains_key(&kind);
        jobs.iter()
            .filter(of_kind)
            .map(|job| job.hunt.name.as_str())
    };
    let machines: BTreeSet<&str> = about(Kind::Instance).collect();
    let interfaces: BTreeSet<&str> = about(Kind::Interface).collect();
    if interfaces.is_empty() || machines.union(&interfaces).count() < 2 || machines.is_empty() {
        return Vec::new();
    }
    let tables = LOGS.iter().map(|log| log.table());
    tables
        .filter(|table| table.index_of(COLUMN).is_some() && engine.lacking(table.name).is_none())
        .map(|table| {
            let name = table.name;
            format!("SELECT DISTINCT {COLUMN} FROM {name} WHERE {COLUMN} IS NOT NULL")
        })
        .collect()
}

/// The pairs of an answer.
pub(super) async fn take(batches: Batches) -> Result<Vec<Link>, EngineError> {
    let mut batches = batches?;
    let mut links = BTreeSet::new();
    while let Some(batch) = batches.next().await {
        for row in lead::rows(&batch?)? {
            let text = row.get(COLUMN).and_then(|value| value.as_str());
            let pairs = text.unwrap_or_default().split(',');
            links.extend(pairs.filter_map(link));
        }
        if links.len() > MOST {
            let what = format!("more than {MOST} machines and interfaces belong together");
            return Err(DataFusionError::ResourcesExhausted(what).into());
        }
    }
    Ok(links.into_iter().collect())
}

fn link(pair: &str) -> Option<Link> {
    let (instance, interface) = pair.split_once(JOIN)?;
    Some((
        Entity::new(Kind::Instance, instance),
        Entity::new(Kind::Interface, interface),
    ))
}
