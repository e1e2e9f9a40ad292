//! Taking evidence: all volumes of an instance together, or one volume.
//!
//! CreateSnapshots and CreateSnapshot take no client token, so the tags are what makes them safe to
//! repeat: the volumes' evidence is looked up before anything is created, and the SDK's own retries
//! are off for them. Tags of the source are never copied: a Hub restores homes by ownership tags.
//!
//! `before`: `{"at": time, "present": [snapshot]}`, when and what evidence there was already.

use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::types::{Filter, InstanceSpecification, Tag, Volume};
use davylamp_model::ids::{InstanceId, VolumeId};
use davylamp_plan::action::Action;
use davylamp_plan::plan::Plan;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::custody::{description, tags};
use super::evidence::{self, CUSTODY, Evidence, SOURCE_VOLUME};
use super::together::Found;
use super::{At, already, done, failed, failure, impossible, needed, not_ours, pending, recorded};
use crate::actuator::{ActError, Checked, Verified};

#[derive(Debug, Deserialize)]
struct Before {
    at: Timestamp,
    present: Vec<String>,
}

pub(super) async fn check(at: &At<'_>, action: &Action) -> Result<Checked, ActError> {
    let (_, volumes) = target(action)?;
    if describe_volumes(at, &volumes).await?.is_empty() {
        return impossible(format!("{} no longer exist", names(&volumes)));
    }
    let found = evidence::find(at, &volumes).await?;
    let now = Timestamp::now();
    let fresh = |volume: &VolumeId| {
        found
            .iter()
            .filter(|one| one.volume == volume.as_str())
            .find(|one| one.is_pending() || one.is_complete_since(debounce(at, now)))
    };
    let kept: Option<Vec<&str>> = volumes
        .iter()
        .map(|volume| fresh(volume).map(|one| one.id.as_str()))
        .collect();
    if let Some(kept) = kept {
        return already(format!("evidence is pending or fresh: {}", kept.join(", ")));
    }
    let present: Vec<&str> = found.iter().map(|one| one.id.as_str()).collect();
    needed(json!({ "at": now, "present": present }))
}

pub(super) async fn act(
    at: &At<'_>,
    plan: &Plan,
    action: &Action,
    before: &Value,
) -> Result<(), ActError> {
    let ec2 = at.ec2();
    let before: Before = recorded(action, before)?;
    let (instance, volumes) = target(action)?;
    let found = evidence::find(at, &volumes).await?;
    let there = describe_volumes(at, &volumes).await?;
    // What ended in error is no evidence: another is taken.
    let wanting: Vec<&Volume> = there
        .iter()
        .filter(|volume| {
            !found.iter().any(|one| {
                Some(one.volume.as_str()) == volume.volume_id() && counts(at, one, &before)
            })
        })
        .collect();
    if wanting.is_empty() {
        return mend_tags(&ec2, &found).await;
    }
    let (together, alone): (Vec<&Volume>, Vec<&Volume>) = wanting.into_iter().partition(|volume| {
        instance.is_some_and(|instance| {
            volume
                .attachments()
                .iter()
                .any(|attachment| attachment.instance_id() == Some(instance.as_str()))
        })
    });
    if let Some(instance) = instance
        && !together.is_empty()
    {
        let one_by_one = match create_set(at, plan, instance, &together).await {
            Ok(taken) => {
                // One set has one list of tags; which volume it is of is said by each.
                for one in &taken {
                    tag_source(&ec2, &one.0, &one.1).await?;
                }
                None
            }
            // Not only where EC2 cannot take a set, also where the policy allows only one by one:
            // evidence matters more than that the volumes are of one moment.
            Err(error @ (ActError::Refused { .. } | ActError::Denied { .. })) => Some(error),
            Err(error) => return Err(error),
        };
        if let Some(why) = one_by_one {
            let how = "one by one, not of one moment, because a set was refused";
            tracing::warn!(%instance, %why, "snapshotting volumes one by one");
            create_each(at, plan, how, &together).await?;
        }
    }
    create_each(at, plan, "by itself", &alone).await?;
    mend_tags(&ec2, &found).await
}

pub(super) async fn verify(
    at: &At<'_>,
    action: &Action,
    before: &Value,
) -> Result<Verified, ActError> {
    let before: Before = recorded(action, before)?;
    let (_, volumes) = target(action)?;
    let found = evidence::find(at, &volumes).await?;
    let (mut taken, mut missing) = (Vec::new(), Vec::new());
    for volume in &volumes {
        match found
            .iter()
            .find(|one| one.volume == volume.as_str() && counts(at, one, &before))
        {
            Some(one) => {
                let how = one.tag(CUSTODY).unwrap_or("taken by a person");
                taken.push(format!("{} of {volume} ({how})", one.id));
            }
            None => missing.push(volume.clone()),
        }
    }
    if missing.is_empty() {
        return done(taken.join("; "));
    }
    let there = describe_volumes(at, &missing).await?;
    if there.is_empty() {
        return failed(format!("{} no longer exist", names(&missing)));
    }
    let broken: Vec<&Evidence> = found
        .iter()
        .filter(|one| !before.present.contains(&one.id) && one.state.as_str() == "error")
        .collect();
    if broken.is_empty() {
        pending(format!("snapshots of {} to be seen", names(&missing)))
    } else {
        let broken: Vec<String> = broken
            .iter()
            .map(|one| format!("{} of {}", one.id, one.volume))
            .collect();
        failed(format!("{} ended in error", broken.join(", ")))
    }
}

/// The instance, if there is one, and the volumes to snapshot.
fn target(action: &Action) -> Result<(Option<&InstanceId>, Vec<VolumeId>), ActError> {
    match action {
        Action::SnapshotInstance {
            instance, volumes, ..
        } => Ok((Some(instance), volumes.clone())),
        Action::SnapshotVolume { volume } => Ok((None, vec![volume.clone()])),
        _ => Err(not_ours(action)),
    }
}

fn debounce(at: &At<'_>, now: Timestamp) -> Timestamp {
    now - SignedDuration::from_mins(i64::from(at.debounce_minutes))
}

/// Whether a snapshot makes another one superfluous: it is on its way, or was taken since the step
/// was checked, or completed so shortly before that the debounce holds.
fn counts(at: &At<'_>, one: &Evidence, before: &Before) -> bool {
    one.is_pending()
        || one.is_complete()
            && (!before.present.contains(&one.id) || one.is_complete_since(debounce(at, before.at)))
}

fn names(volumes: &[VolumeId]) -> String {
    let names: Vec<&str> = volumes.iter().map(VolumeId::as_str).collect();
    names.join(", ")
}

/// Those of the volumes that exist, in their order.
async fn describe_volumes(at: &At<'_>, volumes: &[VolumeId]) -> Result<Vec<Volume>, ActError> {
    let ec2 = at.ec2();
    let read = move |ids| described(ec2.clone(), ids);
    let mut found = at.reads.volumes.ask(at.place, volumes, read).await?;
    Ok(volumes.iter().filter_map(|id| found.remove(id)).collect())
}

/// By filter, because one id that is gone fails a call by ids.
async fn described(ec2: aws_sdk_ec2::Client, ids: Vec<VolumeId>) -> Found<VolumeId, Volume> {
    let ids = ids.into_iter().map(|id| id.0).collect();
    let found = by_filter(&ec2, "volume-id", ids).await?.into_iter();
    let keyed = found.filter_map(|volume| Some((VolumeId::from(volume.volume_id()?), volume)));
    Ok(keyed.collect())
}

async fn by_filter(
    ec2: &aws_sdk_ec2::Client,
    name: &str,
    values: Vec<String>,
) -> Result<Vec<Volume>, ActError> {
    let filter = Filter::builder()
        .name(name)
        .set_values(Some(values))
        .build();
    let mut pages = ec2
        .describe_volumes()
        .filters(filter)
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failure::of("ec2:DescribeVolumes", &error))?;
        found.extend(page.volumes.unwrap_or_default());
    }
    Ok(found)
}

/// Gives each snapshot with its volume.
async fn create_set(
    at: &At<'_>,
    plan: &Plan,
    instance: &InstanceId,
    wanting: &[&Volume],
) -> Result<Vec<(String, String)>, ActError> {
    let ec2 = at.ec2();
    let root = super::instance::describe(at, instance)
        .await?
        .and_then(|found| found.root_device_name);
    let attached = by_filter(&ec2, "attachment.instance-id", vec![instance.0.clone()]).await?;
    let mut excluded = Vec::new();
    let mut without_root = false;
    for volume in &attached {
        if wanting
            .iter()
            .any(|one| one.volume_id() == volume.volume_id())
        {
            continue;
        }
        let is_root = volume.attachments().iter().any(|attachment| {
            attachment.instance_id() == Some(instance.as_str())
                && attachment.device().is_some()
                && attachment.device() == root.as_deref()
        });
        if is_root {
            without_root = true;
        } else {
            excluded.extend(volume.volume_id().map(str::to_owned));
        }
    }
    let mut what = InstanceSpecification::builder().instance_id(instance.as_str());
    if without_root {
        what = what.exclude_boot_volume(true);
    }
    if !excluded.is_empty() {
        what = what.set_exclude_data_volume_ids(Some(excluded));
    }
    let how = format!("with the other volumes of {instance}, of one moment");
    let answer = ec2
        .create_snapshots()
        .instance_specification(what.build())
        .description(description(plan))
        .tag_specifications(tags(at, plan, &how, None).await?)
        .customize()
        .config_override(once())
        .send()
        .await
        .map_err(|error| failure::of("ec2:CreateSnapshots", &error))?;
    Ok(answer
        .snapshots()
        .iter()
        .filter_map(|one| Some((one.snapshot_id()?.to_owned(), one.volume_id()?.to_owned())))
        .collect())
}

/// Every volume is tried, so that one that fails does not keep the others from being taken.
async fn create_each(
    at: &At<'_>,
    plan: &Plan,
    how: &str,
    wanting: &[&Volume],
) -> Result<(), ActError> {
    let ec2 = at.ec2();
    let mut first_failure = None;
    for volume in wanting.iter().filter_map(|volume| volume.volume_id()) {
        let created = ec2
            .create_snapshot()
            .volume_id(volume)
            .description(description(plan))
            .tag_specifications(tags(at, plan, how, Some(volume)).await?)
            .customize()
            .config_override(once())
            .send()
            .await;
        if let Err(error) = created {
            let error = failure::of("ec2:CreateSnapshot", &error);
            tracing::warn!(volume, %error, "a volume could not be snapshotted");
            first_failure.get_or_insert(error);
        }
    }
    first_failure.map_or(Ok(()), Err)
}

/// A set whose making broke off before each was told its volume.
async fn mend_tags(ec2: &aws_sdk_ec2::Client, found: &[Evidence]) -> Result<(), ActError> {
    for one in found.iter().filter(|one| one.tag(SOURCE_VOLUME).is_none()) {
        tag_source(ec2, &one.id, &one.volume).await?;
    }
    Ok(())
}

async fn tag_source(
    ec2: &aws_sdk_ec2::Client,
    snapshot: &str,
    volume: &str,
) -> Result<(), ActError> {
    ec2.create_tags()
        .resources(snapshot)
        .tags(Tag::builder().key(SOURCE_VOLUME).value(volume).build())
        .send()
        .await
        .map(drop)
        .map_err(|error| failure::of("ec2:CreateTags", &error))
}

/// A second attempt of a creation would be a second snapshot.
pub(super) fn once() -> aws_sdk_ec2::config::Builder {
    aws_sdk_ec2::config::Config::builder().retry_config(RetryConfig::disabled())
}
