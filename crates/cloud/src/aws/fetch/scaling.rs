//! Auto Scaling groups.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::types;
use davylamp_model::ids::{InstanceId, ScalingGroupName};
use davylamp_model::inventory::ScalingGroup;

use super::{Shelf, Sizes, shelve, tags};
use crate::aws::read::ReadError;

/// `DescribeAutoScalingInstances` takes at most this many ids (Auto Scaling API reference).
const MAX_INSTANCES: usize = 50;
/// `DescribeAutoScalingGroups` pages hold at most this many groups; so many names are asked for.
const MAX_GROUPS: usize = 100;

/// The group of each instance, with whether it is protected from scale-in; an instance that is in
/// none is absent.
pub async fn memberships(
    client: &Client,
    ids: &BTreeSet<InstanceId>,
    sizes: Sizes,
) -> Shelf<InstanceId, (ScalingGroupName, bool)> {
    let mut shelf = Shelf::new();
    for chunk in sizes.chunks(ids, MAX_INSTANCES) {
        let mut pages = client
            .describe_auto_scaling_instances()
            .set_instance_ids(Some(chunk.iter().map(|id| id.0.clone()).collect()))
            .into_paginator()
            .send();
        let mut found = Vec::new();
        let mut failed = None;
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => found.extend(page.auto_scaling_instances().iter().filter_map(|it| {
                    Some((
                        InstanceId::from(it.instance_id()?),
                        (
                            ScalingGroupName::from(it.auto_scaling_group_name()?),
                            it.protected_from_scale_in().unwrap_or(false),
                        ),
                    ))
                })),
                Err(error) => {
                    failed = Some(ReadError::of(
                        "autoscaling:DescribeAutoScalingInstances",
                        &error,
                    ));
                }
            }
        }
        shelve(&mut shelf, &chunk, failed.map_or(Ok(found), Err));
    }
    shelf
}

/// The groups themselves.
pub async fn groups(
    client: &Client,
    names: &BTreeSet<ScalingGroupName>,
    sizes: Sizes,
) -> Shelf<ScalingGroupName, ScalingGroup> {
    let mut shelf = BTreeMap::new();
    for chunk in sizes.chunks(names, MAX_GROUPS) {
        let mut pages = client
            .describe_auto_scaling_groups()
            .set_auto_scaling_group_names(Some(chunk.iter().map(|name| name.0.clone()).collect()))
            .into_paginator()
            .send();
        let mut found = Vec::new();
        let mut failed = None;
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => found.extend(page.auto_scaling_groups().iter().filter_map(group)),
                Err(error) => {
                    failed = Some(ReadError::of(
                        "autoscaling:DescribeAutoScalingGroups",
                        &error,
                    ));
                }
            }
        }
        shelve(&mut shelf, &chunk, failed.map_or(Ok(found), Err));
    }
    shelf
}

fn group(from: &types::AutoScalingGroup) -> Option<(ScalingGroupName, ScalingGroup)> {
    let name = ScalingGroupName::from(from.auto_scaling_group_name()?);
    let template = from.launch_template().or_else(|| {
        from.mixed_instances_policy()?
            .launch_template()?
            .launch_template_specification()
    });
    let group = ScalingGroup {
        name: name.clone(),
        min: from.min_size().unwrap_or_default(),
        max: from.max_size().unwrap_or_default(),
        desired: from.desired_capacity().unwrap_or_default(),
        launch_template: template
            .and_then(|it| it.launch_template_name().or(it.launch_template_id()))
            .map(str::to_owned),
        suspended: from
            .suspended_processes()
            .iter()
            .filter_map(|it| it.process_name().map(str::to_owned))
            .collect(),
        tags: tags(from.tags().iter().map(|tag| (tag.key(), tag.value()))),
    };
    Some((name, group))
}
