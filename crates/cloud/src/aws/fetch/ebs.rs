//! Volumes, snapshots, and the snapshots that images are made of.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types;
use davylamp_model::ids::{InstanceId, SnapshotId, VolumeId, is_ec2_id};
use davylamp_model::inventory::{Snapshot, Volume};

use super::ec2::{by, ec2_tags, well_formed};
use super::{MAX_FILTER_VALUES, Read, Shelf, Sizes, shelve, timestamp};
use crate::aws::read::ReadError;
use crate::missed::Missed;

/// A volume, with the instance it is attached to.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundVolume {
    /// The volume.
    pub volume: Volume,
    /// The instances it is attached to: several with multi-attach.
    pub attached: Vec<InstanceId>,
}

/// Volumes, with their tags.
pub async fn volumes(
    client: &Client,
    ids: &BTreeSet<VolumeId>,
    sizes: Sizes,
) -> Shelf<VolumeId, FoundVolume> {
    let mut shelf = Shelf::new();
    let ids = well_formed("vol-", ids, &mut shelf);
    for chunk in sizes.chunks(&ids, MAX_FILTER_VALUES) {
        let mut pages = client
            .describe_volumes()
            .filters(by("volume-id", &chunk))
            .set_max_results(sizes.page)
            .into_paginator()
            .send();
        let mut found = Vec::new();
        let mut failed = None;
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => found.extend(page.volumes().iter().filter_map(volume)),
                Err(error) => failed = Some(ReadError::of("ec2:DescribeVolumes", &error)),
            }
        }
        shelve(&mut shelf, &chunk, failed.map_or(Ok(found), Err));
    }
    shelf
}

fn volume(from: &types::Volume) -> Option<(VolumeId, FoundVolume)> {
    let id = VolumeId::from(from.volume_id()?);
    let attachment = from.attachments().first();
    let volume = Volume {
        id: id.clone(),
        device: attachment.and_then(|it| it.device()).map(str::to_owned),
        root: false,
        delete_on_termination: attachment
            .and_then(|it| it.delete_on_termination())
            .unwrap_or(false),
        size_gib: from.size(),
        tags: ec2_tags(from.tags()),
    };
    let attached = from
        .attachments()
        .iter()
        .filter_map(|it| it.instance_id().map(InstanceId::from))
        .collect();
    Some((id, FoundVolume { volume, attached }))
}

/// All our snapshots of these volumes, by volume. A volume of which there is no snapshot has an
/// empty list.
pub async fn snapshots(
    client: &Client,
    volumes: &BTreeSet<VolumeId>,
    sizes: Sizes,
) -> BTreeMap<VolumeId, Result<Vec<Snapshot>, Missed>> {
    let mut all = BTreeMap::new();
    for chunk in sizes.chunks(volumes, MAX_FILTER_VALUES) {
        let mut pages = client
            .describe_snapshots()
            .owner_ids("self")
            .filters(by("volume-id", &chunk))
            .set_max_results(sizes.page)
            .into_paginator()
            .send();
        let mut found = Vec::new();
        let mut failed = None;
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => found.extend(page.snapshots().iter().filter_map(snapshot)),
                Err(error) => {
                    let error = ReadError::of("ec2:DescribeSnapshots", &error);
                    failed = Some(Missed::from(error));
                }
            }
        }
        for id in chunk {
            let answer = match &failed {
                Some(why) => Err(why.clone()),
                None => Ok(found.iter().filter(|it| it.volume == id).cloned().collect()),
            };
            all.insert(id, answer);
        }
    }
    all
}

fn snapshot(from: &types::Snapshot) -> Option<Snapshot> {
    Some(Snapshot {
        id: SnapshotId::from(from.snapshot_id()?),
        volume: VolumeId::from(from.volume_id()?),
        state: from
            .state()
            .map_or_else(|| "unknown".to_owned(), |state| state.as_str().to_owned()),
        started_at: from.start_time().and_then(timestamp),
        completed_at: from.completion_time().and_then(timestamp),
        tags: ec2_tags(from.tags()),
    })
}

/// The volumes that snapshots were taken of.
pub async fn snapshot_volumes(
    client: &Client,
    ids: &BTreeSet<SnapshotId>,
    sizes: Sizes,
) -> Shelf<SnapshotId, VolumeId> {
    let mut shelf = Shelf::new();
    let ids = well_formed("snap-", ids, &mut shelf);
    for chunk in sizes.chunks(&ids, MAX_FILTER_VALUES) {
        let mut pages = client
            .describe_snapshots()
            .filters(by("snapshot-id", &chunk))
            .set_max_results(sizes.page)
            .into_paginator()
            .send();
        let mut found = Vec::new();
        let mut failed = None;
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => found.extend(
                    page.snapshots()
                        .iter()
                        .filter_map(snapshot)
                        .map(|it| (it.id, it.volume)),
                ),
                Err(error) => failed = Some(ReadError::of("ec2:DescribeSnapshots", &error)),
            }
        }
        shelve(&mut shelf, &chunk, failed.map_or(Ok(found), Err));
    }
    shelf
}

/// The snapshots that an image is made of.
pub async fn image_snapshots(client: &Client, image: &str) -> Read<BTreeSet<SnapshotId>> {
    if !is_ec2_id("ami-", image) {
        return Read::Unread(Missed::for_good("this is not the id of an image"));
    }
    match client.describe_images().image_ids(image).send().await {
        Ok(answer) if answer.images().is_empty() => Read::Absent,
        Ok(answer) => Read::Found(
            answer
                .images()
                .iter()
                .flat_map(|it| it.block_device_mappings())
                .filter_map(|device| device.ebs()?.snapshot_id().map(SnapshotId::from))
                .collect(),
        ),
        Err(error) => match ReadError::of("ec2:DescribeImages", &error) {
            error if error.is_absent() => Read::Absent,
            error => Read::Unread(error.into()),
        },
    }
}
