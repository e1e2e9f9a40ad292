//! Groups that keep machines running.

use aws_sdk_autoscaling::types;
use davylamp_model::recording::Thing;
use serde_json::Value;

use super::state::{list, one, pages, state, tags, word};
use super::thing;
use crate::aws::read::{ReadConfig, ReadError};

pub(super) async fn groups(config: &ReadConfig) -> Result<Vec<Thing>, ReadError> {
    let client = config.autoscaling();
    let question = client.describe_auto_scaling_groups().max_records(100);
    Ok(pages!(
        question,
        "autoscaling:DescribeAutoScalingGroups",
        |page| {
            let each = page.auto_scaling_groups().iter();
            each.filter_map(|it| thing(&it.auto_scaling_group_name, group(it)))
                .collect::<Vec<_>>()
        }
    ))
}

fn group(it: &types::AutoScalingGroup) -> Value {
    state! {
        "AutoScalingGroupARN": &it.auto_scaling_group_arn,
        "AutoScalingGroupName": &it.auto_scaling_group_name,
        "AvailabilityZones": &it.availability_zones,
        "CreatedTime": &it.created_time,
        "DesiredCapacity": &it.desired_capacity,
        "Instances": list(&it.instances, |instance| state! {
            "InstanceId": &instance.instance_id,
            "InstanceType": &instance.instance_type,
            "LifecycleState": word(&instance.lifecycle_state),
        }),
        "LaunchConfigurationName": &it.launch_configuration_name,
        "LaunchTemplate": one(&it.launch_template, template),
        "MaxSize": &it.max_size,
        "MinSize": &it.min_size,
        "MixedInstancesPolicy": one(&it.mixed_instances_policy, |policy| state! {
            "LaunchTemplate": one(&policy.launch_template, |launch| state! {
                "LaunchTemplateSpecification": one(&launch.launch_template_specification, template),
                "Overrides": list(&launch.overrides, |each| state! {
                    "InstanceType": &each.instance_type,
                    "WeightedCapacity": &each.weighted_capacity,
                }),
            }),
        }),
        "NewInstancesProtectedFromScaleIn": &it.new_instances_protected_from_scale_in,
        "ServiceLinkedRoleARN": &it.service_linked_role_arn,
        "Status": &it.status,
        "SuspendedProcesses": list(&it.suspended_processes, |process| state! {
            "ProcessName": &process.process_name,
        }),
        "Tags": tags(it.tags().iter().map(|tag| (tag.key(), tag.value()))),
        "VPCZoneIdentifier": &it.vpc_zone_identifier,
    }
}

fn template(it: &types::LaunchTemplateSpecification) -> Value {
    state! {
        "LaunchTemplateId": &it.launch_template_id,
        "LaunchTemplateName": &it.launch_template_name,
        "Version": &it.version,
    }
}
