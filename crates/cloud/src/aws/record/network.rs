//! Addresses, security groups, keys for logins, flow logs; and the regions themselves.

use aws_sdk_ec2::types;
use davylamp_model::recording::Thing;
use serde_json::Value;

use super::state::{list, one, pages, state, tags, word};
use super::thing;
use crate::aws::read::{ReadConfig, ReadError};

const PAGE: i32 = 500;

pub(super) fn ec2_tags(list: &Option<Vec<types::Tag>>) -> Vec<Value> {
    tags(list.iter().flatten().map(|tag| (tag.key(), tag.value())))
}

/// Every region that there is, also those that are not enabled.
pub(super) async fn regions(config: &ReadConfig) -> Result<Vec<Thing>, ReadError> {
    let answer = config
        .ec2()
        .describe_regions()
        .all_regions(true)
        .send()
        .await;
    let answer = answer.map_err(|error| ReadError::of("ec2:DescribeRegions", &error))?;
    let each = answer.regions().iter().filter_map(|it| {
        let state = state! {
            "OptInStatus": &it.opt_in_status,
            "RegionName": &it.region_name,
        };
        thing(&it.region_name, state)
    });
    Ok(each.collect())
}

pub(super) async fn addresses(config: &ReadConfig) -> Result<Vec<Thing>, ReadError> {
    let answer = config.ec2().describe_addresses().send().await;
    let answer = answer.map_err(|error| ReadError::of("ec2:DescribeAddresses", &error))?;
    let each = answer.addresses().iter().filter_map(|it| {
        let state = state! {
            "AllocationId": &it.allocation_id,
            "AssociationId": &it.association_id,
            "Domain": word(&it.domain),
            "InstanceId": it.instance_id.as_deref().filter(|id| !id.is_empty()),
            "NetworkInterfaceId": &it.network_interface_id,
            "PrivateIpAddress": &it.private_ip_address,
            "PublicIp": &it.public_ip,
            "Tags": ec2_tags(&it.tags),
        };
        // Addresses of EC2-Classic have no allocation.
        thing(it.allocation_id_or_ip(), state)
    });
    Ok(each.collect())
}

trait Known {
    fn allocation_id_or_ip(&self) -> &Option<String>;
}

impl Known for types::Address {
    fn allocation_id_or_ip(&self) -> &Option<String> {
        match &self.allocation_id {
            None => &self.public_ip,
            known => known,
        }
    }
}

pub(super) async fn security_groups(config: &ReadConfig) -> Result<Vec<Thing>, ReadError> {
    let client = config.ec2();
    let question = client.describe_security_groups().max_results(PAGE);
    Ok(pages!(question, "ec2:DescribeSecurityGroups", |page| {
        let each = page.security_groups().iter();
        each.filter_map(|it| thing(&it.group_id, security_group(it)))
            .collect::<Vec<_>>()
    }))
}

fn security_group(it: &types::SecurityGroup) -> Value {
    state! {
        "Description": &it.description,
        "GroupId": &it.group_id,
        "GroupName": &it.group_name,
        "IpPermissions": list(&it.ip_permissions, permission),
        "IpPermissionsEgress": list(&it.ip_permissions_egress, permission),
        "OwnerId": &it.owner_id,
        "Tags": ec2_tags(&it.tags),
        "VpcId": &it.vpc_id,
    }
}

fn permission(it: &types::IpPermission) -> Value {
    state! {
        "FromPort": &it.from_port,
        "IpProtocol": &it.ip_protocol,
        "IpRanges": list(&it.ip_ranges, |range| state! {
            "CidrIp": &range.cidr_ip,
            "Description": &range.description,
        }),
        "Ipv6Ranges": list(&it.ipv6_ranges, |range| state! {
            "CidrIpv6": &range.cidr_ipv6,
            "Description": &range.description,
        }),
        "PrefixListIds": list(&it.prefix_list_ids, |prefix| state! {
            "Description": &prefix.description,
            "PrefixListId": &prefix.prefix_list_id,
        }),
        "ToPort": &it.to_port,
        "UserIdGroupPairs": list(&it.user_id_group_pairs, |pair| state! {
            "Description": &pair.description,
            "GroupId": &pair.group_id,
            "GroupName": &pair.group_name,
            "UserId": &pair.user_id,
        }),
    }
}

pub(super) async fn key_pairs(config: &ReadConfig) -> Result<Vec<Thing>, ReadError> {
    let answer = config.ec2().describe_key_pairs().send().await;
    let answer = answer.map_err(|error| ReadError::of("ec2:DescribeKeyPairs", &error))?;
    let each = answer.key_pairs().iter().filter_map(|it| {
        let state = state! {
            "CreateTime": &it.create_time,
            "KeyFingerprint": &it.key_fingerprint,
            "KeyName": &it.key_name,
            "KeyPairId": &it.key_pair_id,
            "KeyType": word(&it.key_type),
            "Tags": ec2_tags(&it.tags),
        };
        thing(&it.key_pair_id, state)
    });
    Ok(each.collect())
}

pub(super) async fn flow_logs(config: &ReadConfig) -> Result<Vec<Thing>, ReadError> {
    let client = config.ec2();
    let question = client.describe_flow_logs().max_results(PAGE);
    Ok(pages!(question, "ec2:DescribeFlowLogs", |page| {
        let each = page.flow_logs().iter();
        each.filter_map(|it| thing(&it.flow_log_id, flow_log(it)))
            .collect::<Vec<_>>()
    }))
}

fn flow_log(it: &types::FlowLog) -> Value {
    state! {
        "CreationTime": &it.creation_time,
        "DeliverLogsErrorMessage": &it.deliver_logs_error_message,
        "DeliverLogsStatus": &it.deliver_logs_status,
        "DestinationOptions": one(&it.destination_options, |options| state! {
            "FileFormat": word(&options.file_format),
        }),
        "FlowLogId": &it.flow_log_id,
        "FlowLogStatus": &it.flow_log_status,
        "LogDestination": &it.log_destination,
        "LogDestinationType": word(&it.log_destination_type),
        "LogFormat": &it.log_format,
        "LogGroupName": &it.log_group_name,
        "ResourceId": &it.resource_id,
        "Tags": ec2_tags(&it.tags),
        "TrafficType": word(&it.traffic_type),
    }
}
