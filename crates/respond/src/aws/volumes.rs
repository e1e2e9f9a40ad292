//! Volumes that must outlive their instance.
//!
//! `before`: `{"devices": {device: volume}}`, those whose volume would have been deleted with the
//! instance.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{
    EbsInstanceBlockDeviceSpecification, Instance, InstanceBlockDeviceMappingSpecification,
};
use davylamp_model::ids::{InstanceId, VolumeId};
use davylamp_plan::action::Action;
use serde::Deserialize;
use serde_json::{Value, json};

use super::instance::{describe, ended, state};
use super::{At, already, done, failure, gone, impossible, needed, not_ours, pending, recorded};
use crate::actuator::{ActError, Checked, Reverted, Verified};

#[derive(Debug, Deserialize)]
struct Before {
    devices: BTreeMap<String, VolumeId>,
}

pub(super) async fn check(at: &At<'_>, action: &Action) -> Result<Checked, ActError> {
    let (id, devices) = target(action)?;
    let Some(instance) = describe(at, id).await? else {
        return impossible(format!("{id} no longer exists"));
    };
    if state(&instance).as_str() == "terminated" {
        return impossible(format!("{id} is terminated"));
    }
    let doomed = with_flag(&instance, devices, true);
    if doomed.is_empty() {
        return already(kept_note(&instance, devices));
    }
    needed(json!({ "devices": doomed }))
}

pub(super) async fn act(at: &At<'_>, action: &Action, before: &Value) -> Result<(), ActError> {
    let (id, _) = target(action)?;
    let before: Before = recorded(action, before)?;
    set(at, id, &before.devices, false).await.map(drop)
}

pub(super) async fn verify(at: &At<'_>, action: &Action) -> Result<Verified, ActError> {
    let (id, devices) = target(action)?;
    let Some(instance) = describe(at, id).await? else {
        return pending(format!("{id} to be described again"));
    };
    let doomed = with_flag(&instance, devices, true);
    if doomed.is_empty() {
        done(kept_note(&instance, devices))
    } else {
        let names: Vec<&str> = doomed.values().map(VolumeId::as_str).collect();
        pending(format!("{} to be kept", names.join(", ")))
    }
}

pub(super) async fn undo(
    at: &At<'_>,
    action: &Action,
    before: &Value,
) -> Result<Reverted, ActError> {
    let (id, _) = target(action)?;
    let before: Before = recorded(action, before)?;
    set(at, id, &before.devices, true).await
}

fn target(action: &Action) -> Result<(&InstanceId, &BTreeMap<String, VolumeId>), ActError> {
    match action {
        Action::KeepVolumes { instance, devices } => Ok((instance, devices)),
        _ => Err(not_ours(action)),
    }
}

/// Of these devices, those that still hold that volume and whose flag is `flag`. A volume that has
/// been detached since is not deleted with the instance, and its device may hold another.
fn with_flag(
    instance: &Instance,
    devices: &BTreeMap<String, VolumeId>,
    flag: bool,
) -> BTreeMap<String, VolumeId> {
    devices
        .iter()
        .filter(|(device, volume)| {
            instance.block_device_mappings().iter().any(|mapping| {
                mapping.device_name() == Some(device)
                    && mapping.ebs().is_some_and(|ebs| {
                        ebs.volume_id() == Some(volume.as_str())
                            && ebs.delete_on_termination().unwrap_or_default() == flag
                    })
            })
        })
        .map(|(device, volume)| (device.clone(), volume.clone()))
        .collect()
}

fn kept_note(instance: &Instance, devices: &BTreeMap<String, VolumeId>) -> String {
    let kept = with_flag(instance, devices, false);
    let names = |volumes: Vec<&VolumeId>| {
        let names: Vec<&str> = volumes.into_iter().map(VolumeId::as_str).collect();
        names.join(", ")
    };
    let detached: Vec<&VolumeId> = devices
        .iter()
        .filter(|(device, _)| !kept.contains_key(*device))
        .map(|(_, volume)| volume)
        .collect();
    let mut note = format!(
        "kept when the instance ends: {}",
        names(kept.values().collect())
    );
    if !detached.is_empty() {
        note.push_str(&format!("; no longer attached: {}", names(detached)));
    }
    note
}

/// Lets every volume outlive the instance.
pub(super) async fn keep_all(
    at: &At<'_>,
    id: &InstanceId,
    instance: &Instance,
) -> Result<(), ActError> {
    let mappings = instance.block_device_mappings().iter();
    let devices = mappings.filter_map(|mapping| {
        let volume = VolumeId::from(mapping.ebs()?.volume_id()?);
        Some((mapping.device_name()?.to_owned(), volume))
    });
    set(at, id, &devices.collect(), false).await.map(drop)
}

async fn set(
    at: &At<'_>,
    id: &InstanceId,
    devices: &BTreeMap<String, VolumeId>,
    delete: bool,
) -> Result<Reverted, ActError> {
    let ec2 = at.ec2();
    let found = describe(at, id).await?;
    let Some(instance) = found.filter(|it| state(it).as_str() != "terminated") else {
        return gone(ended(id));
    };
    let wrong = with_flag(&instance, devices, !delete);
    if wrong.is_empty() {
        return Ok(Reverted::Back);
    }
    let mut call = ec2.modify_instance_attribute().instance_id(id.as_str());
    for (device, volume) in &wrong {
        call = call.block_device_mappings(
            InstanceBlockDeviceMappingSpecification::builder()
                .device_name(device)
                .ebs(
                    EbsInstanceBlockDeviceSpecification::builder()
                        .volume_id(volume.as_str())
                        .delete_on_termination(delete)
                        .build(),
                )
                .build(),
        );
    }
    call.send()
        .await
        .map(|_| Reverted::Back)
        .map_err(|error| failure::of("ec2:ModifyInstanceAttribute", &error))
}
