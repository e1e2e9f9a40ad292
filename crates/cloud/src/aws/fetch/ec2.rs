//! Instances and their interfaces.
//!
//! Ids are asked for by filter and not by id: one that does not exist is then left out of the
//! answer instead of failing the call for all the others.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{self, Filter, InstanceAttributeName};
use davylamp_model::ids::{
    GroupId, InstanceId, InterfaceId, SnapshotId, VolumeId, VpcId, is_ec2_id,
};
use davylamp_model::inventory::{Instance, Interface, Reading, Tags, Volume};
use futures::{StreamExt, stream};

use super::{MAX_FILTER_VALUES, Read, SIDE_BY_SIDE, Shelf, Sizes, shelve, tags, timestamp};
use crate::aws::read::ReadError;
use crate::missed::Missed;

/// An instance, with what leads further.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundInstance {
    /// The instance as far as `DescribeInstances` tells.
    pub instance: Instance,
    /// Its instance profile's name.
    pub profile: Option<String>,
}

/// Sorts out what cannot be an id: it may hold the filter's wildcards.
pub(super) fn well_formed<K: Ord + Clone + AsText, T>(
    prefix: &str,
    ids: &BTreeSet<K>,
    shelf: &mut Shelf<K, T>,
) -> BTreeSet<K> {
    let (good, bad): (BTreeSet<K>, BTreeSet<K>) = ids
        .iter()
        .cloned()
        .partition(|id| is_ec2_id(prefix, id.text()));
    for id in bad {
        let why = format!("this is not an id as EC2 gives them: `{prefix}` and hexadecimal digits");
        shelf.insert(id, Read::Unread(Missed::for_good(why)));
    }
    good
}

/// An id as text.
pub(super) trait AsText {
    fn text(&self) -> &str;
}

macro_rules! as_text {
    ($($id:ident)*) => {$(
        impl AsText for $id {
            fn text(&self) -> &str {
                self.as_str()
            }
        }
    )*};
}

as_text!(InstanceId VolumeId SnapshotId);

pub(super) fn by<K: AsText>(name: &str, ids: &[K]) -> Filter {
    Filter::builder()
        .name(name)
        .set_values(Some(ids.iter().map(|id| id.text().to_owned()).collect()))
        .build()
}

pub(super) fn ec2_tags(list: &[types::Tag]) -> Tags {
    tags(list.iter().map(|tag| (tag.key(), tag.value())))
}

/// Instances, also terminated ones.
pub async fn instances(
    client: &Client,
    ids: &BTreeSet<InstanceId>,
    sizes: Sizes,
) -> Shelf<InstanceId, FoundInstance> {
    let mut shelf = Shelf::new();
    let ids = well_formed("i-", ids, &mut shelf);
    for chunk in sizes.chunks(&ids, MAX_FILTER_VALUES) {
        let mut pages = client
            .describe_instances()
            .filters(by("instance-id", &chunk))
            .set_max_results(sizes.page)
            .into_paginator()
            .send();
        let mut found = Vec::new();
        let mut failed = None;
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => {
                    let each = page.reservations().iter().flat_map(|it| it.instances());
                    found.extend(each.filter_map(instance));
                }
                Err(error) => failed = Some(ReadError::of("ec2:DescribeInstances", &error)),
            }
        }
        shelve(&mut shelf, &chunk, failed.map_or(Ok(found), Err));
    }
    shelf
}

fn instance(from: &types::Instance) -> Option<(InstanceId, FoundInstance)> {
    let id = InstanceId::from(from.instance_id()?);
    let root = from.root_device_name();
    let volumes = from.block_device_mappings().iter().filter_map(|device| {
        let ebs = device.ebs()?;
        Some(Volume {
            id: VolumeId::from(ebs.volume_id()?),
            device: device.device_name().map(str::to_owned),
            root: device.device_name().is_some() && device.device_name() == root,
            delete_on_termination: ebs.delete_on_termination().unwrap_or(false),
            size_gib: None,
            tags: Tags::new(),
        })
    });
    let interfaces = from.network_interfaces().iter().filter_map(|interface| {
        Some(Interface {
            id: InterfaceId::from(interface.network_interface_id()?),
            vpc: VpcId::from(interface.vpc_id().unwrap_or_default()),
            groups: groups(interface.groups()),
            public_ip: interface
                .association()
                .and_then(|it| it.public_ip())
                .map(str::to_owned),
            tags: Tags::new(),
        })
    });
    let instance = Instance {
        id: id.clone(),
        state: from
            .state()
            .and_then(|state| state.name())
            .map_or_else(|| "unknown".to_owned(), |name| name.as_str().to_owned()),
        instance_type: from
            .instance_type()
            .map(|kind| kind.as_str().to_owned())
            .unwrap_or_default(),
        launched_at: from.launch_time().and_then(timestamp),
        private_dns: from
            .private_dns_name()
            .filter(|name| !name.is_empty())
            .map(str::to_owned),
        spot: from
            .instance_lifecycle()
            .is_some_and(|kind| kind.as_str() == "spot"),
        tags: ec2_tags(from.tags()),
        interfaces: interfaces.collect(),
        volumes: volumes.collect(),
        termination_protected: Reading::NotAsked,
        group: None,
        role: None,
    };
    let profile = from
        .iam_instance_profile()
        .and_then(|profile| profile.arn())
        .and_then(|arn| arn.rsplit('/').next())
        .map(str::to_owned);
    Some((id, FoundInstance { instance, profile }))
}

fn groups(list: &[types::GroupIdentifier]) -> Vec<GroupId> {
    list.iter()
        .filter_map(|group| group.group_id().map(GroupId::from))
        .collect()
}

/// Whether instances are protected from termination. AWS has no call for several.
pub async fn termination_protection(
    client: &Client,
    ids: &BTreeSet<InstanceId>,
) -> BTreeMap<InstanceId, Result<bool, Missed>> {
    stream::iter(ids.iter().cloned())
        .map(|id| async move {
            let answer = client
                .describe_instance_attribute()
                .instance_id(id.as_str())
                .attribute(InstanceAttributeName::DisableApiTermination)
                .send()
                .await;
            let reading = match answer {
                Ok(answer) => Ok(answer
                    .disable_api_termination()
                    .and_then(|value| value.value())
                    .unwrap_or(false)),
                Err(error) => Err(Missed::from(ReadError::of(
                    "ec2:DescribeInstanceAttribute",
                    &error,
                ))),
            };
            (id, reading)
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .collect()
        .await
}

/// Interfaces by a filter, with their tags; by an empty filter all of the region.
pub(super) async fn network_interfaces(
    client: &Client,
    filter: Option<Filter>,
    sizes: Sizes,
) -> Result<Vec<types::NetworkInterface>, ReadError> {
    let mut pages = client
        .describe_network_interfaces()
        .set_filters(filter.map(|filter| vec![filter]))
        .set_max_results(sizes.page)
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| ReadError::of("ec2:DescribeNetworkInterfaces", &error))?;
        found.extend(page.network_interfaces.unwrap_or_default());
    }
    Ok(found)
}

pub(super) fn interface(from: &types::NetworkInterface) -> Option<Interface> {
    let address = from
        .association()
        .and_then(|it| it.public_ip())
        .or_else(|| {
            from.ipv6_addresses()
                .iter()
                .find_map(|it| it.ipv6_address())
        });
    Some(Interface {
        id: InterfaceId::from(from.network_interface_id()?),
        vpc: VpcId::from(from.vpc_id().unwrap_or_default()),
        groups: groups(from.groups()),
        public_ip: address.map(str::to_owned),
        tags: ec2_tags(from.tag_set()),
    })
}

/// Interfaces by id.
pub async fn interfaces(
    client: &Client,
    ids: &BTreeSet<InterfaceId>,
    sizes: Sizes,
) -> Shelf<InterfaceId, Interface> {
    let mut shelf = Shelf::new();
    for chunk in sizes.chunks(ids, MAX_FILTER_VALUES) {
        let filter = Filter::builder()
            .name("network-interface-id")
            .set_values(Some(chunk.iter().map(|id| id.0.clone()).collect()))
            .build();
        let answer = network_interfaces(client, Some(filter), sizes).await;
        let found = answer.map(|list| {
            let each = list.iter().filter_map(interface);
            each.map(|it| (it.id.clone(), it)).collect()
        });
        shelve(&mut shelf, &chunk, found);
    }
    shelf
}
