//! What an evidence snapshot is, and waiting until every volume has one.
//!
//! A snapshot is evidence when it is our own account's, of that volume, and carries our incident
//! tag. Its own state decides, never the age of a call: a volume of which no complete snapshot can
//! be seen has no evidence, whatever was answered when it was asked for.
//!
//! `before` is empty: waiting changes nothing.

use std::collections::HashMap;

use aws_sdk_ec2::types::{Filter, Snapshot, SnapshotState};
use davylamp_model::ids::VolumeId;
use davylamp_plan::action::Action;
use jiff::Timestamp;
use serde_json::Value;

use super::together::Found;
use super::{At, already, done, failed, failure, needed, not_ours, pending};
use crate::actuator::{ActError, Checked, Verified};

/// The incident.
pub(super) const INCIDENT: &str = "davylamp:incident";
/// The findings, as many as fit.
pub(super) const FINDING: &str = "davylamp:finding";
/// The volume: a copy's own `volume-id` is arbitrary.
pub(super) const SOURCE_VOLUME: &str = "davylamp:source-volume";
/// When it was taken.
pub(super) const TIME: &str = "davylamp:time";
/// The plan's hash.
pub(super) const PLAN: &str = "davylamp:plan";
/// Who took it of what, and how.
pub(super) const CUSTODY: &str = "davylamp:custody";

/// An evidence snapshot.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    pub(super) id: String,
    pub(super) volume: String,
    pub(super) state: SnapshotState,
    pub(super) state_message: String,
    pub(super) progress: String,
    /// When it completed; of one that is complete and does not say when, when it was started,
    /// which is earlier and therefore safe.
    pub(super) completed: Option<Timestamp>,
    pub(super) encrypted: bool,
    tags: Vec<(String, String)>,
}

impl Evidence {
    pub(super) fn tag(&self, key: &str) -> Option<&str> {
        self.tags
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn is_pending(&self) -> bool {
        self.state == SnapshotState::Pending
    }

    pub(super) fn is_complete(&self) -> bool {
        self.state == SnapshotState::Completed
    }

    pub(super) fn is_complete_since(&self, since: Timestamp) -> bool {
        self.is_complete() && self.completed.is_some_and(|at| at >= since)
    }

    pub(super) fn read(snapshot: &Snapshot) -> Self {
        let state = snapshot
            .state()
            .cloned()
            .unwrap_or_else(|| SnapshotState::from("unknown"));
        let finished = snapshot.completion_time().or(snapshot.start_time());
        Self {
            id: snapshot.snapshot_id().unwrap_or_default().to_owned(),
            volume: snapshot.volume_id().unwrap_or_default().to_owned(),
            state_message: snapshot.state_message().unwrap_or_default().to_owned(),
            progress: snapshot.progress().unwrap_or("unknown").to_owned(),
            completed: finished.and_then(|at| Timestamp::from_second(at.secs()).ok()),
            encrypted: snapshot.encrypted().unwrap_or_default(),
            tags: snapshot
                .tags()
                .iter()
                .map(|tag| {
                    (
                        tag.key().unwrap_or_default().to_owned(),
                        tag.value().unwrap_or_default().to_owned(),
                    )
                })
                .collect(),
            state,
        }
    }
}

/// Every evidence snapshot of these volumes, in whatever state, in the volumes' order.
pub(super) async fn find(at: &At<'_>, volumes: &[VolumeId]) -> Result<Vec<Evidence>, ActError> {
    let ec2 = at.ec2();
    let read = move |volumes| of_volumes(ec2.clone(), volumes);
    let mut found = at.reads.evidence.ask(at.place, volumes, read).await?;
    let of_them = volumes.iter().filter_map(|volume| found.remove(volume));
    Ok(of_them.flatten().collect())
}

async fn of_volumes(
    ec2: aws_sdk_ec2::Client,
    volumes: Vec<VolumeId>,
) -> Found<VolumeId, Vec<Evidence>> {
    let volumes = volumes.into_iter().map(|volume| volume.0).collect();
    let filter = Filter::builder()
        .name("volume-id")
        .set_values(Some(volumes))
        .build();
    let mut found: HashMap<VolumeId, Vec<Evidence>> = HashMap::new();
    for evidence in describe(&ec2, filter).await? {
        if evidence.tag(INCIDENT).is_some() {
            let volume = VolumeId::from(evidence.volume.as_str());
            found.entry(volume).or_default().push(evidence);
        }
    }
    Ok(found)
}

/// Our own account's snapshots that a filter lets pass.
pub(super) async fn describe(
    ec2: &aws_sdk_ec2::Client,
    filter: Filter,
) -> Result<Vec<Evidence>, ActError> {
    let mut pages = ec2
        .describe_snapshots()
        .owner_ids("self")
        .filters(filter)
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failure::of("ec2:DescribeSnapshots", &error))?;
        found.extend(page.snapshots().iter().map(Evidence::read));
    }
    Ok(found)
}

pub(super) async fn check(at: &At<'_>, action: &Action) -> Result<Checked, ActError> {
    match look(at, action).await? {
        Verified::Done { note } => already(note),
        Verified::Pending { .. } | Verified::Failed { .. } => needed(Value::Null),
    }
}

pub(super) async fn verify(at: &At<'_>, action: &Action) -> Result<Verified, ActError> {
    look(at, action).await
}

async fn look(at: &At<'_>, action: &Action) -> Result<Verified, ActError> {
    let Action::AwaitEvidence { volumes, since } = action else {
        return Err(not_ours(action));
    };
    let found = find(at, volumes).await?;
    let (mut complete, mut awaited, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    for volume in volumes {
        match of_volume(&found, volume, *since) {
            Verified::Done { note } => complete.push(note),
            Verified::Pending { what } => awaited.push(what),
            Verified::Failed { why } => broken.push(why),
        }
    }
    // One that failed decides only when the others are settled, so that the report names them all.
    if !awaited.is_empty() {
        awaited.extend(broken);
        pending(awaited.join("; "))
    } else if !broken.is_empty() {
        failed(format!(
            "{}; the volumes are kept until there is evidence or a person decides",
            broken.join("; ")
        ))
    } else {
        done(complete.join("; "))
    }
}

fn of_volume(found: &[Evidence], volume: &VolumeId, since: Timestamp) -> Verified {
    let of_it = || found.iter().filter(|one| one.volume == volume.as_str());
    if let Some(one) = of_it().find(|one| one.is_complete_since(since)) {
        let how = one.tag(CUSTODY).unwrap_or("taken by a person");
        return Verified::Done {
            note: format!("{} of {volume} is complete ({how})", one.id),
        };
    }
    if let Some(one) = of_it().find(|one| one.is_pending()) {
        return Verified::Pending {
            what: format!("{} of {volume}, {} done", one.id, one.progress),
        };
    }
    if let Some(one) = of_it().find(|one| one.state == SnapshotState::Error) {
        return Verified::Failed {
            why: format!(
                "{} of {volume} ended in error {}",
                one.id, one.state_message
            )
            .trim_end()
            .to_owned(),
        };
    }
    // Nothing yet, or only what is older: an answer may be older than the snapshot.
    Verified::Pending {
        what: format!("a snapshot of {volume} to be seen that completed since {since}"),
    }
}
