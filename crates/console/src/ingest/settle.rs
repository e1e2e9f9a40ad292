//! Which incident a record is about, and whether its sender may say anything of it.
//!
//! What must stay true: a sender says things of its own cluster's incidents alone, or of the incident of a
//! job that it has taken, whatever plan, place of evidence or number it names. Plans and places of
//! evidence have one name in the whole ledger, so who names one that is another's is refused.

use std::collections::BTreeSet;

use davylamp_ledger::record::{IncidentNo, Record};
use davylamp_ledger::wire::{self, Sent};
use davylamp_ledger::{Input, LedgerError};

use super::NotTaken;
use crate::sender::Unanswered;
use crate::site::Site;
use crate::store::Sender;

/// How the names of accounts begin among those of clusters.
const ACCOUNT: &str = "account:";

/// The record with its incident, as far as that can be told, and its sender.
pub(super) async fn settled(site: &Site, sender: &Sender, sent: Sent) -> Result<Input, NotTaken> {
    let Sent {
        id,
        about,
        mut record,
    } = sent;
    let ledger = site.ledger();
    let reach = Reach { site, sender };
    let mut incident = None;
    if let Some(job) = &about.job
        && let Some(job) = ledger.job(job).await.map_err(trouble)?
    {
        if job.row.taken_by != sender.name {
            return Err(foreign("the job was not taken with this token"));
        }
        incident = job.row.incident.map(IncidentNo);
    }
    let of_job = incident;
    let named = match &record {
        Record::Plan(plan) => Some(&plan.plan),
        Record::Action(action) => Some(&action.plan),
        _ => None,
    };
    let plans: BTreeSet<&String> = about.plan.iter().chain(named).collect();
    for plan in plans {
        let Some(plan) = ledger.plan(plan).await.map_err(trouble)? else {
            continue;
        };
        let of = plan.row.incident.map(IncidentNo);
        if of != of_job {
            reach
                .must(of, "the plan is about another's incident")
                .await?;
        }
        incident = incident.or(of);
    }
    if incident.is_none() && !about.findings.is_empty() {
        let of = ledger.incident_of(&sender.cluster, &about.findings).await;
        incident = of.map_err(trouble)?;
    }
    match &record {
        Record::Evidence(evidence) => {
            let known = ledger
                .evidence_at(&evidence.location)
                .await
                .map_err(trouble)?;
            let of = known.and_then(|row| row.incident).map(IncidentNo);
            if of != incident {
                reach
                    .must(of, "evidence of another's incident lies there")
                    .await?;
            }
        }
        Record::Cost(cost) if incident.is_none() => {
            let of = Some(cost.incident);
            reach.must(of, "the incident is another's, or none").await?;
        }
        Record::Audit(audit) => reach.may_name(&audit.target).await?,
        Record::Run(run) => reach.may_name(&run.target).await?,
        _ => {}
    }
    wire::settle(&mut record, incident, &sender.name);
    Ok(Input::Once {
        id: format!("{} {id}", sender.name),
        record: Box::new(record),
    })
}

fn trouble(error: LedgerError) -> NotTaken {
    Unanswered::trouble(&error).into()
}

fn foreign(why: &str) -> NotTaken {
    NotTaken::Record(why.to_owned())
}

/// What a sender may say something of.
struct Reach<'a> {
    site: &'a Site,
    sender: &'a Sender,
}

impl Reach<'_> {
    /// That an incident is of the sender's cluster, or of an account where the sender is of no cluster. What
    /// is about no incident is nobody's.
    async fn must(&self, incident: Option<IncidentNo>, why: &str) -> Result<(), NotTaken> {
        let Some(incident) = incident else {
            return Ok(());
        };
        let found = self
            .site
            .ledger()
            .incident(incident)
            .await
            .map_err(trouble)?;
        let Some(found) = found else {
            return Err(foreign(why));
        };
        let names: Vec<String> = serde_json::from_str(&found.row.clusters).unwrap_or_default();
        let is_ours = match self.sender.cluster.as_str() {
            "" => names.is_empty() || names.iter().any(|name| name.starts_with(ACCOUNT)),
            own => names.iter().any(|name| name == own),
        };
        match is_ours {
            true => Ok(()),
            false => Err(foreign(why)),
        }
    }

    /// That what was audited is no other cluster: who may see a cluster sees what is said of it.
    async fn may_name(&self, target: &str) -> Result<(), NotTaken> {
        if target == self.sender.cluster {
            return Ok(());
        }
        let tokens = self.site.store().tokens().await;
        let tokens = tokens.map_err(|error| NotTaken::from(Unanswered::trouble(&error)))?;
        match tokens.iter().any(|token| token.cluster == target) && !target.is_empty() {
            true => Err(foreign("what was looked at is another token's cluster")),
            false => Ok(()),
        }
    }
}
