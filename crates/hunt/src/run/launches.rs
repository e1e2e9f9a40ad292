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
    account: Option<String>,
    key: Option<String>,
    address: Option<String>,
    /// What else the caller is known by: who is behind a session, the session, its name.
    names: BTreeSet<String>,
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
    let names = [
        "principal",
        "identity_arn",
        "session_issuer_arn",
        "session_name",
    ];
    let ids = text("instance_ids")?;
    Some(Launch {
        at: text("event_time")?.parse().ok()?,
        region: text("region"),
        account: text("account_id"),
        key: text("key_id"),
        address: text("address"),
        names: names.into_iter().filter_map(text).collect(),
        instances: ids.split(',').map(str::to_owned).collect(),
    })
}

impl Launch {
    /// Whether the credential that a lead is about made it, in the lead's time.
    fn is_of(&self, lead: &Lead) -> bool {
        let is_in_time = lead.first_seen.is_some_and(|first| first <= self.at)
            && lead.end().is_some_and(|end| self.at <= end);
        let mut accounts = said(lead, Kind::Account);
        let is_in_account = accounts.all(|account| self.account.as_deref() == Some(account));
        is_in_time && is_in_account && self.is_by(lead)
    }

    /// The key, where the lead names one; otherwise the caller by any of its names. Sessions of machines
    /// are called as the machine.
    fn is_by(&self, lead: &Lead) -> bool {
        let mut keys = said(lead, Kind::Key).peekable();
        if keys.peek().is_some() {
            return keys.any(|key| self.key.as_deref() == Some(key));
        }
        let mut names = said(lead, Kind::Principal)
            .chain(said(lead, Kind::Session))
            .chain(said(lead, Kind::Instance));
        names.any(|name| self.names.contains(name))
    }
}

fn said(lead: &Lead, kind: Kind) -> impl Iterator<Item = &str> {
    let own = lead.entities.iter().filter(move |it| it.kind == kind);
    own.map(|entity| entity.value.as_str())
}

/// What the credentials of leads launched, as leads of the same hunts: one for each region.
pub(super) fn leads(jobs: &[Job], found: &[Lead], launches: &[Launch]) -> Vec<Lead> {
    let about_theft: BTreeSet<&str> = jobs
        .iter()
        .filter(|job| is_about_theft(job))
        .map(|job| job.hunt.name.as_str())
        .collect();
    let stolen: Vec<&Lead> = found
        .iter()
        .filter(|lead| about_theft.contains(lead.hunt.as_str()))
        .collect();
    stolen
        .iter()
        .flat_map(|lead| of(lead, &stolen, launches))
        .collect()
}

/// From where a lead's credential was misused: the lead's own address, or else those of other leads about
/// the same credential. A burst of many addresses names none itself.
fn places<'a>(lead: &'a Lead, stolen: &[&'a Lead]) -> BTreeSet<&'a str> {
    let own: BTreeSet<&str> = said(lead, Kind::Address).collect();
    if !own.is_empty() {
        return own;
    }
    let is_alike = |other: &&'a Lead| {
        let shares = |kind| said(lead, kind).any(|own| said(other, kind).any(|it| it == own));
        shares(Kind::Key) || shares(Kind::Principal)
    };
    let others = stolen.iter().copied().filter(is_alike);
    others
        .flat_map(|other| said(other, Kind::Address))
        .collect()
}

fn of(lead: &Lead, stolen: &[&Lead], launches: &[Launch]) -> Vec<Lead> {
    let mut own: Vec<&Launch> = launches
        .iter()
        .filter(|launch| launch.is_of(lead))
        .collect();
    let mut places = places(lead, stolen);
    if places.is_empty() {
        // Where nobody tells the thief's address, it is known only if there is no other.
        let all: BTreeSet<&str> = own.iter().filter_map(|it| it.address.as_deref()).collect();
        places = if all.len() == 1 { all } else { BTreeSet::new() };
    }
    let is_told_apart = !places.is_empty();
    own.retain(|launch| {
        let is_there = |address: &str| places.contains(address);
        !is_told_apart || launch.address.as_deref().is_some_and(is_there)
    });
    let mut regions: BTreeMap<Option<&str>, Vec<&Launch>> = BTreeMap::new();
    for launch in own {
        let region = regions.entry(launch.region.as_deref()).or_default();
        region.push(launch);
    }
    let in_region = |(region, launches): (Option<&str>, Vec<&Launch>)| {
        told(lead, region, &launches, is_told_apart)
    };
    regions.into_iter().map(in_region).collect()
}

/// What was launched in a region, as a lead. Machines that may be the owner's are told, and are nothing to
/// act on.
fn told(lead: &Lead, region: Option<&str>, launches: &[&Launch], is_told_apart: bool) -> Lead {
    let machines: BTreeSet<&String> = launches.iter().flat_map(|it| &it.instances).collect();
    let is_kept = |it: &&Entity| {
        matches!(
            it.kind,
            Kind::Account | Kind::Key | Kind::Principal | Kind::Session | Kind::Address
        )
    };
    let mut entities: BTreeSet<Entity> = lead.entities.iter().filter(is_kept).cloned().collect();
    entities.extend(region.map(|region| Entity::new(Kind::Region, region)));
    if is_told_apart {
        entities.extend(machines.iter().map(|id| Entity::new(Kind::Instance, id)));
    }
    let mut who = said(lead, Kind::Key).chain(said(lead, Kind::Principal));
    let count = match machines.len() {
        1 => "a machine".to_owned(),
        count => format!("{count} machines"),
    };
    let doubt = match is_told_apart {
        true => "",
        false => "; they may be its owner's as well, as it was used from several addresses",
    };
    Lead {
        entities,
        first_seen: launches.iter().map(|launch| launch.at).min(),
        last_seen: launches.iter().map(|launch| launch.at).max(),
        because: format!(
            "{} launched {count} in {} meanwhile{doubt}",
            who.next().unwrap_or("the credential"),
            region.unwrap_or("an unknown region"),
        ),
        evidence: BTreeMap::from([("instance_ids".to_owned(), json!(machines))]),
        ..lead.clone()
    }
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
                .map(|(kind, value)| Entity::new(*kind, value))
                .collect(),
            because: "a key was stolen".to_owned(),
            evidence: BTreeMap::new(),
        }
    }

    const USER: &str = "arn:aws:iam::111122223333:user/ci";
    const THIEF: &str = "198.51.100.7";

    fn launched(at: &str, region: &str, address: &str, ids: &str) -> Launch {
        // As CloudTrail's reader has it: who acted is known by the key first.
        let row = json!({
            "event_time": at, "account_id": "111122223333", "region": region, "principal": "AKIA1",
            "identity_arn": USER, "session_name": null, "key_id": "AKIA1", "address": address,
            "instance_ids": ids,
        });
        launch(row.as_object().expect("it is one")).expect("it is a launch")
    }

    /// The regions with how many machines are told there, and how many of them are to act on.
    fn machines(lead: &Lead, others: &[&Lead]) -> Vec<(String, usize, usize)> {
        let launches = [
            launched("2026-03-01T10:30:00Z", "eu-west-1", THIEF, "i-1,i-2"),
            launched("2026-03-01T11:30:00Z", "eu-west-1", THIEF, "i-2,i-3"),
            launched("2026-03-01T11:40:00Z", "us-east-1", THIEF, "i-4"),
            launched(
                "2026-03-01T11:45:00Z",
                "us-east-1",
                "203.0.113.1",
                "i-owner",
            ),
            launched("2026-03-01T13:00:00Z", "us-east-1", THIEF, "i-late"),
        ];
        let found = of(lead, others, &launches);
        let counted = found.iter().map(|found| {
            assert_eq!((&*found.hunt, found.score), ("theft", 80.0));
            let region = said(found, Kind::Region).next().unwrap_or_default();
            let told = found.evidence["instance_ids"]
                .as_array()
                .map_or(0, Vec::len);
            (region.to_owned(), told, said(found, Kind::Instance).count())
        });
        counted.collect()
    }

    #[test]
    fn only_what_the_thief_launched_is_to_act_on() {
        let in_regions = [
            ("eu-west-1".to_owned(), 3, 3),
            ("us-east-1".to_owned(), 1, 1),
        ];
        let thief = [(Kind::Key, "AKIA1"), (Kind::Address, THIEF)];
        assert_eq!(machines(&lead(&thief), &[]), in_regions);
        // The burst itself does not tell the owner's address from the thief's. Another lead may.
        let burst = lead(&[(Kind::Key, "AKIA1"), (Kind::Principal, USER)]);
        assert_eq!(machines(&burst, &[&lead(&thief)]), in_regions);
        let told = [
            ("eu-west-1".to_owned(), 3, 0),
            ("us-east-1".to_owned(), 2, 0),
        ];
        assert_eq!(machines(&burst, &[&burst]), told);
        // Of a session with several keys only who is behind it is told.
        let session = lead(&[(Kind::Principal, USER), thief[1]]);
        assert_eq!(machines(&session, &[]), in_regions);
        for other in [
            vec![(Kind::Key, "AKIA2"), (Kind::Principal, USER)],
            vec![thief[0], (Kind::Account, "444455556666")],
            vec![thief[1]],
        ] {
            assert_eq!(machines(&lead(&other), &[]), []);
        }
    }
}
