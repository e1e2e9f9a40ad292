//! Which machines a stolen credential launched, asked of CloudTrail beside the hunts: a hunt's row is
//! about the credential, and whoever answers needs its machines, region by region.
//!
//! What must stay true: a machine is named only where the same credential launched it, from the address
//! that the lead is about where it is about one, and in its time. The owner of a stolen key launches
//! machines as well.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::error::DataFusionError;
use davylamp_content::hunt::Entity as Kind;
use davylamp_model::finding::Behaviour;
use futures::StreamExt;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Answers, Job, lead};
use crate::engine::{Batches, EngineError};
use crate::read::cloudtrail;
use crate::suspects::{Entity, Lead};

/// Launches beyond this are not kept: nobody starts so many by hand or by theft.
const MOST: usize = 200_000;

/// A call that launched machines.
#[derive(Debug)]
pub(super) struct Launch {
    at: Timestamp,
    region: Option<String>,
    /// Account, key, principal and address, as far as the call says them.
    by: BTreeMap<Kind, String>,
    instances: BTreeSet<String>,
}

/// The question; none where no hunt is about credentials.
pub(super) fn question(engine: &dyn Answers, jobs: &[&Job]) -> Option<&'static str> {
    let is_known = engine.lacking(cloudtrail::TABLE.name).is_none();
    (is_known && jobs.iter().any(|job| is_about_theft(job))).then_some(cloudtrail::LAUNCHES)
}

fn is_about_theft(job: &Job) -> bool {
    job.hunt.behaviour == Some(Behaviour::StolenCredential)
}

/// The launches of an answer.
pub(super) async fn take(batches: Batches) -> Result<Vec<Launch>, EngineError> {
    let mut batches = batches?;
    let mut launches = Vec::new();
    while let Some(batch) = batches.next().await {
        launches.extend(lead::rows(&batch?)?.iter().filter_map(launch));
        if launches.len() > MOST {
            let what = format!("more than {MOST} calls launched machines");
            return Err(DataFusionError::ResourcesExhausted(what).into());
        }
    }
    Ok(launches)
}

fn launch(row: &Map<String, Value>) -> Option<Launch> {
    let text = |column: &str| row.get(column).and_then(Value::as_str).map(str::to_owned);
    let by = [
        (Kind::Account, "account_id"),
        (Kind::Key, "key_id"),
        (Kind::Principal, "principal"),
        (Kind::Address, "address"),
    ];
    let ids = text("instance_ids")?;
    Some(Launch {
        at: text("event_time")?.parse().ok()?,
        region: text("region"),
        by: by
            .into_iter()
            .filter_map(|(kind, column)| Some((kind, text(column)?)))
            .collect(),
        instances: ids.split(',').map(str::to_owned).collect(),
    })
}

impl Launch {
    /// Whether it is one of those that a lead is about.
    fn is_of(&self, lead: &Lead) -> bool {
        let is_in_time = lead.first_seen.is_some_and(|first| first <= self.at)
            && lead.end().is_some_and(|end| self.at <= end);
        let said = |kind| lead.entities.iter().filter(move |it| it.kind == kind);
        // Whatever the lead names has to be the same; the key, or else the principal, it must name.
        let agrees = |kind: Kind| {
            let is_same = |it: &Entity| self.by.get(&kind) == Some(&it.value);
            said(kind).next().is_none() || said(kind).any(is_same)
        };
        let names = |kind: Kind| said(kind).next().is_some();
        let who = match names(Kind::Key) {
            true => Kind::Key,
            false => Kind::Principal,
        };
        is_in_time && names(who) && [Kind::Account, Kind::Address, who].into_iter().all(agrees)
    }
}

/// What the credentials of leads launched, as leads of the same hunts: one for each region.
pub(super) fn leads(jobs: &[Job], found: &[Lead], launches: &[Launch]) -> Vec<Lead> {
    let about_theft: BTreeSet<&str> = jobs
        .iter()
        .filter(|job| is_about_theft(job))
        .map(|job| job.hunt.name.as_str())
        .collect();
    let stolen = found
        .iter()
        .filter(|lead| about_theft.contains(lead.hunt.as_str()));
    stolen.flat_map(|lead| of(lead, launches)).collect()
}

fn of(lead: &Lead, launches: &[Launch]) -> Vec<Lead> {
    let mut regions: BTreeMap<Option<&str>, Vec<&Launch>> = BTreeMap::new();
    for launch in launches.iter().filter(|launch| launch.is_of(lead)) {
        let region = regions.entry(launch.region.as_deref()).or_default();
        region.push(launch);
    }
    let in_region = |(region, launches): (Option<&str>, Vec<&Launch>)| {
        let entity = |kind, value: &str| Entity {
            kind,
            value: value.to_owned(),
        };
        let machines: BTreeSet<&String> = launches.iter().flat_map(|it| &it.instances).collect();
        let kept = [Kind::Account, Kind::Key, Kind::Principal, Kind::Address];
        let own = lead.entities.iter().filter(|it| kept.contains(&it.kind));
        let entities = own
            .cloned()
            .chain(region.map(|region| entity(Kind::Region, region)))
            .chain(machines.iter().map(|id| entity(Kind::Instance, id)));
        let who = |kind| lead.entities.iter().find(|it| it.kind == kind);
        let who = who(Kind::Key).or_else(|| who(Kind::Principal));
        Lead {
            entities: entities.collect(),
            first_seen: launches.iter().map(|launch| launch.at).min(),
            last_seen: launches.iter().map(|launch| launch.at).max(),
            because: format!(
                "{} launched {} in {} meanwhile",
                who.map_or("it", |who| who.value.as_str()),
                match machines.len() {
                    1 => "a machine".to_owned(),
                    count => format!("{count} machines"),
                },
                region.unwrap_or("an unknown region"),
            ),
            evidence: BTreeMap::from([("instance_ids".to_owned(), json!(machines))]),
            ..lead.clone()
        }
    };
    regions.into_iter().map(in_region).collect()
}

#[cfg(test)]
mod tests {
    use davylamp_model::finding::Severity;

    use super::*;

    fn lead(entities: &[(Kind, &str)]) -> Lead {
        Lead {
            hunt: "theft".to_owned(),
            severity: Severity::High,
            score: 80.0,
            first_seen: "2026-03-01T10:00:00Z".parse().ok(),
            last_seen: "2026-03-01T12:00:00Z".parse().ok(),
            entities: entities
                .iter()
                .map(|(kind, value)| Entity {
                    kind: *kind,
                    value: (*value).to_owned(),
                })
                .collect(),
            because: "a key was stolen".to_owned(),
            evidence: BTreeMap::new(),
        }
    }

    fn launched(at: &str, region: &str, address: &str, ids: &str) -> Launch {
        let row = json!({
            "event_time": at, "account_id": "111122223333", "region": region, "principal": "arn:a",
            "key_id": "AKIA1", "address": address, "instance_ids": ids,
        });
        launch(row.as_object().expect("it is one")).expect("it is a launch")
    }

    fn machines(lead: &Lead) -> Vec<(Option<String>, usize)> {
        let launches = [
            launched(
                "2026-03-01T10:30:00Z",
                "eu-west-1",
                "198.51.100.7",
                "i-1,i-2",
            ),
            launched(
                "2026-03-01T11:30:00Z",
                "eu-west-1",
                "198.51.100.7",
                "i-2,i-3",
            ),
            launched("2026-03-01T11:40:00Z", "us-east-1", "198.51.100.7", "i-4"),
            launched(
                "2026-03-01T11:45:00Z",
                "us-east-1",
                "203.0.113.1",
                "i-owner",
            ),
            launched(
                "2026-03-01T13:00:00Z",
                "us-east-1",
                "198.51.100.7",
                "i-late",
            ),
        ];
        let found = of(lead, &launches);
        let of_kind = |lead: &Lead, kind| {
            let own = lead.entities.iter().filter(|it| it.kind == kind);
            own.map(|it| it.value.clone()).collect::<Vec<_>>()
        };
        let counted = found.iter().map(|found| {
            assert_eq!((&*found.hunt, found.score), ("theft", 80.0));
            let region = of_kind(found, Kind::Region).into_iter().next();
            (region, of_kind(found, Kind::Instance).len())
        });
        counted.collect()
    }

    #[test]
    fn only_what_the_thief_launched_is_named() {
        let in_regions = [
            (Some("eu-west-1".to_owned()), 3),
            (Some("us-east-1".to_owned()), 1),
        ];
        let thief = [(Kind::Key, "AKIA1"), (Kind::Address, "198.51.100.7")];
        assert_eq!(machines(&lead(&thief)), in_regions);
        // Where no address is told apart, all of the key's launches are.
        let both = machines(&lead(&[(Kind::Key, "AKIA1")]));
        assert_eq!(both[1].1, 2);
        assert_eq!(
            machines(&lead(&[(Kind::Principal, "arn:a"), thief[1]])),
            in_regions
        );
        for other in [
            vec![(Kind::Key, "AKIA2"), (Kind::Principal, "arn:a")],
            vec![thief[0], (Kind::Account, "444455556666")],
            vec![thief[1]],
        ] {
            assert_eq!(machines(&lead(&other)), []);
        }
    }
}
