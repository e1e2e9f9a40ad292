//! Machines, what starts them, and what they are made of.

use aws_sdk_ec2::types;
use davylamp_model::recording::Thing;
use serde_json::Value;

use super::network::ec2_tags;
use super::state::{list, one, pages, state, tags, word};
use super::thing;
use crate::aws::read::{ReadConfig, ReadError};

/// Results in one page of EC2's answers; it allows 1000 for most.
const PAGE: i32 = 500;
/// Templates in one page (EC2 API reference, `DescribeLaunchTemplateVersions`).
const TEMPLATE_PAGE: i32 = 200;

pub(super) async fn instances(config: &ReadConfig) -> Result<Vec<Thing>, ReadError> {
    let client = config.ec2();
    let question = client.describe_instances().max_results(PAGE);
    Ok(pages!(question, "ec2:DescribeInstances", |page| {
        let all = page.reservations().iter().flat_map(|reservation| {
            let owner = reservation.owner_id();
            let each = reservation.instances().iter();
            each.filter_map(move |it| thing(&it.instance_id, instance(it, owner)))
        });
        all.collect::<Vec<_>>()
    }))
}

fn instance(it: &types::Instance, owner: Option<&str>) -> Value {
    state! {
        "AmiLaunchIndex": &it.ami_launch_index,
        "Architecture": word(&it.architecture),
        "BlockDeviceMappings": list(&it.block_device_mappings, |device| state! {
            "DeviceName": &device.device_name,
            "Ebs": one(&device.ebs, |ebs| state! {
                "AttachTime": &ebs.attach_time,
                "DeleteOnTermination": &ebs.delete_on_termination,
                "VolumeId": &ebs.volume_id,
            }),
        }),
        "ClientToken": &it.client_token,
        "CpuOptions": one(&it.cpu_options, |cpu| state! {
            "CoreCount": &cpu.core_count,
            "ThreadsPerCore": &cpu.threads_per_core,
        }),
        "IamInstanceProfile": one(&it.iam_instance_profile, |profile| state! {
            "Arn": &profile.arn,
            "Id": &profile.id,
        }),
        "ImageId": &it.image_id,
        "InstanceId": &it.instance_id,
        "InstanceLifecycle": word(&it.instance_lifecycle),
        "InstanceType": word(&it.instance_type),
        "KeyName": &it.key_name,
        "LaunchTime": &it.launch_time,
        "MetadataOptions": one(&it.metadata_options, |options| state! {
            "HttpEndpoint": word(&options.http_endpoint),
            "HttpPutResponseHopLimit": &options.http_put_response_hop_limit,
            "HttpTokens": word(&options.http_tokens),
            "InstanceMetadataTags": word(&options.instance_metadata_tags),
        }),
        "Monitoring": one(&it.monitoring, |monitoring| state! {
            "State": word(&monitoring.state),
        }),
        "NetworkInterfaces": list(&it.network_interfaces, interface),
        "OwnerId": owner,
        "Placement": one(&it.placement, placement),
        "Platform": word(&it.platform),
        "PlatformDetails": &it.platform_details,
        "PrivateDnsName": &it.private_dns_name,
        "PrivateIpAddress": &it.private_ip_address,
        "PublicDnsName": &it.public_dns_name,
        "PublicIpAddress": &it.public_ip_address,
        "RootDeviceName": &it.root_device_name,
        "SecurityGroups": list(&it.security_groups, group),
        "SpotInstanceRequestId": &it.spot_instance_request_id,
        "State": one(&it.state, |state| state! {
            "Code": &state.code,
            "Name": word(&state.name),
        }),
        "StateReason": one(&it.state_reason, |reason| state! {
            "Code": &reason.code,
            "Message": &reason.message,
        }),
        "StateTransitionReason": &it.state_transition_reason,
        "SubnetId": &it.subnet_id,
        "Tags": ec2_tags(&it.tags),
        "UsageOperation": &it.usage_operation,
        "VpcId": &it.vpc_id,
    }
}

fn interface(it: &types::InstanceNetworkInterface) -> Value {
    state! {
        "Association": one(&it.association, |association| state! {
            "IpOwnerId": &association.ip_owner_id,
            "PublicIp": &association.public_ip,
        }),
        "Groups": list(&it.groups, group),
        "Ipv6Addresses": list(&it.ipv6_addresses, |address| state! {
            "Ipv6Address": &address.ipv6_address,
        }),
        "MacAddress": &it.mac_address,
        "NetworkInterfaceId": &it.network_interface_id,
        "PrivateIpAddress": &it.private_ip_address,
        "SubnetId": &it.subnet_id,
        "VpcId": &it.vpc_id,
    }
}

fn placement(it: &types::Placement) -> Value {
    state! {
        "AvailabilityZone": &it.availability_zone,
        "GroupName": &it.group_name,
        "HostId": &it.host_id,
        "Tenancy": word(&it.tenancy),
    }
}

fn group(it: &types::GroupIdentifier) -> Value {
    state! {"GroupId": &it.group_id, "GroupName": &it.group_name}
}

pub(super) async fn spot_requests(config: &ReadConfig) -> Result<Vec<Thing>, ReadError> {
    let client = config.ec2();
    let question = client.describe_spot_instance_requests().max_results(PAGE);
    Ok(pages!(
        question,
        "ec2:DescribeSpotInstanceRequests",
        |page| {
            let each = page.spot_instance_requests().iter();
            each.filter_map(|it| thing(&it.spot_instance_request_id, spot_request(it)))
                .collect::<Vec<_>>()
        }
    ))
}

fn spot_request(it: &types::SpotInstanceRequest) -> Value {
    state! {
        "CreateTime": &it.create_time,
        "InstanceId": &it.instance_id,
        "InstanceInterruptionBehavior": word(&it.instance_interruption_behavior),
        "LaunchSpecification": one(&it.launch_specification, |launch| state! {
            "IamInstanceProfile": one(&launch.iam_instance_profile, |profile| state! {
                "Arn": &profile.arn,
                "Name": &profile.name,
            }),
            "ImageId": &launch.image_id,
            "InstanceType": word(&launch.instance_type),
            "KeyName": &launch.key_name,
            "SecurityGroups": list(&launch.security_groups, group),
            "SubnetId": &launch.subnet_id,
        }),
        "LaunchedAvailabilityZone": &it.launched_availability_zone,
        "ProductDescription": word(&it.product_description),
        "SpotInstanceRequestId": &it.spot_instance_request_id,
        "SpotPrice": &it.spot_price,
        "State": word(&it.state),
        "Status": one(&it.status, |status| state! {
            "Code": &status.code,
            "Message": &status.message,
        }),
        "Tags": ec2_tags(&it.tags),
        "Type": word(&it.r#type),
        "ValidFrom": &it.valid_from,
        "ValidUntil": &it.valid_until,
    }
}

pub(super) async fn volumes(config: &ReadConfig) -> Result<Vec<Thing>, ReadError> {
    let client = config.ec2();
    let question = client.describe_volumes().max_results(PAGE);
    Ok(pages!(question, "ec2:DescribeVolumes", |page| {
        let each = page.volumes().iter();
        each.filter_map(|it| thing(&it.volume_id, volume(it)))
            .collect::<Vec<_>>()
    }))
}

fn volume(it: &types::Volume) -> Value {
    state! {
        "Attachments": list(&it.attachments, |attachment| state! {
            "AttachTime": &attachment.attach_time,
            "DeleteOnTermination": &attachment.delete_on_termination,
            "Device": &attachment.device,
            "InstanceId": &attachment.instance_id,
            "State": word(&attachment.state),
        }),
        "AvailabilityZone": &it.availability_zone,
        "CreateTime": &it.create_time,
        "Encrypted": &it.encrypted,
        "Iops": &it.iops,
        "KmsKeyId": &it.kms_key_id,
        "Size": &it.size,
        "SnapshotId": &it.snapshot_id,
        "State": word(&it.state),
        "Tags": ec2_tags(&it.tags),
        "VolumeId": &it.volume_id,
        "VolumeType": word(&it.volume_type),
    }
}

/// The account's own.
pub(super) async fn snapshots(config: &ReadConfig) -> Result<Vec<Thing>, ReadError> {
    let client = config.ec2();
    let question = client
        .describe_snapshots()
        .owner_ids("self")
        .max_results(PAGE);
    Ok(pages!(question, "ec2:DescribeSnapshots", |page| {
        let each = page.snapshots().iter();
        each.filter_map(|it| thing(&it.snapshot_id, snapshot(it)))
            .collect::<Vec<_>>()
    }))
}

fn snapshot(it: &types::Snapshot) -> Value {
    state! {
        "CompletionTime": &it.completion_time,
        "Description": &it.description,
        "Encrypted": &it.encrypted,
        "KmsKeyId": &it.kms_key_id,
        "OwnerId": &it.owner_id,
        "SnapshotId": &it.snapshot_id,
        "StartTime": &it.start_time,
        "State": word(&it.state),
        "StorageTier": word(&it.storage_tier),
        "Tags": ec2_tags(&it.tags),
        "VolumeId": &it.volume_id,
        "VolumeSize": &it.volume_size,
    }
}

/// The account's own.
pub(super) async fn images(config: &ReadConfig) -> Result<Vec<Thing>, ReadError> {
    let client = config.ec2();
    let question = client.describe_images().owners("self").max_results(PAGE);
    Ok(pages!(question, "ec2:DescribeImages", |page| {
        let each = page.images().iter();
        each.filter_map(|it| thing(&it.image_id, image(it)))
            .collect::<Vec<_>>()
    }))
}

fn image(it: &types::Image) -> Value {
    state! {
        "Architecture": word(&it.architecture),
        "BlockDeviceMappings": list(&it.block_device_mappings, |device| state! {
            "DeviceName": &device.device_name,
            "Ebs": one(&device.ebs, |ebs| state! {
                "Encrypted": &ebs.encrypted,
                "SnapshotId": &ebs.snapshot_id,
                "VolumeSize": &ebs.volume_size,
                "VolumeType": word(&ebs.volume_type),
            }),
        }),
        "CreationDate": &it.creation_date,
        "Description": &it.description,
        "ImageId": &it.image_id,
        "ImageLocation": &it.image_location,
        "Name": &it.name,
        "OwnerId": &it.owner_id,
        "Platform": word(&it.platform),
        "PlatformDetails": &it.platform_details,
        "Public": &it.public,
        "SourceImageId": &it.source_image_id,
        "SourceInstanceId": &it.source_instance_id,
        "State": word(&it.state),
        "Tags": ec2_tags(&it.tags),
    }
}

/// Templates, each with what its default and its latest version start.
pub(super) async fn launch_templates(config: &ReadConfig) -> Result<Vec<Thing>, ReadError> {
    let client = config.ec2();
    let question = client
        .describe_launch_templates()
        .max_results(TEMPLATE_PAGE);
    let templates = pages!(question, "ec2:DescribeLaunchTemplates", |page| page
        .launch_templates
        .unwrap_or_default());
    let question = client
        .describe_launch_template_versions()
        .versions("$Latest")
        .versions("$Default")
        .max_results(TEMPLATE_PAGE);
    let versions = match templates.is_empty() {
        true => Vec::new(),
        false => pages!(question, "ec2:DescribeLaunchTemplateVersions", |page| page
            .launch_template_versions
            .unwrap_or_default()),
    };
    let each = templates.iter().filter_map(|it| {
        let versions = versions
            .iter()
            .filter(|version| version.launch_template_id == it.launch_template_id);
        thing(&it.launch_template_id, launch_template(it, versions))
    });
    Ok(each.collect())
}

fn launch_template<'a>(
    it: &types::LaunchTemplate,
    versions: impl Iterator<Item = &'a types::LaunchTemplateVersion>,
) -> Value {
    let mut versions: Vec<Value> = versions.map(version).collect();
    versions.sort_by_cached_key(Value::to_string);
    // The latest may be the default, and is told twice then.
    versions.dedup();
    state! {
        "CreateTime": &it.create_time,
        "CreatedBy": &it.created_by,
        "DefaultVersionNumber": &it.default_version_number,
        "LatestVersionNumber": &it.latest_version_number,
        "LaunchTemplateId": &it.launch_template_id,
        "LaunchTemplateName": &it.launch_template_name,
        "LaunchTemplateVersions": versions,
        "Tags": ec2_tags(&it.tags),
    }
}

fn version(it: &types::LaunchTemplateVersion) -> Value {
    state! {
        "CreateTime": &it.create_time,
        "CreatedBy": &it.created_by,
        "DefaultVersion": &it.default_version,
        "LaunchTemplateData": one(&it.launch_template_data, data),
        "VersionNumber": &it.version_number,
    }
}

fn data(it: &types::ResponseLaunchTemplateData) -> Value {
    state! {
        "DisableApiTermination": &it.disable_api_termination,
        "HasUserData": it.user_data.as_ref().map(|data| !data.is_empty()),
        "IamInstanceProfile": one(&it.iam_instance_profile, |profile| state! {
            "Arn": &profile.arn,
            "Name": &profile.name,
        }),
        "ImageId": &it.image_id,
        "InstanceInitiatedShutdownBehavior": word(&it.instance_initiated_shutdown_behavior),
        "InstanceMarketOptions": one(&it.instance_market_options, |market| state! {
            "MarketType": word(&market.market_type),
            "SpotOptions": one(&market.spot_options, |spot| state! {
                "MaxPrice": &spot.max_price,
                "SpotInstanceType": word(&spot.spot_instance_type),
            }),
        }),
        "InstanceType": word(&it.instance_type),
        "KeyName": &it.key_name,
        "MetadataOptions": one(&it.metadata_options, |options| state! {
            "HttpEndpoint": word(&options.http_endpoint),
            "HttpPutResponseHopLimit": &options.http_put_response_hop_limit,
            "HttpTokens": word(&options.http_tokens),
        }),
        "NetworkInterfaces": list(&it.network_interfaces, |interface| state! {
            "AssociatePublicIpAddress": &interface.associate_public_ip_address,
            "DeviceIndex": &interface.device_index,
            "Groups": &interface.groups,
            "SubnetId": &interface.subnet_id,
        }),
        "SecurityGroupIds": &it.security_group_ids,
        "SecurityGroups": &it.security_groups,
        "TagSpecifications": list(&it.tag_specifications, |tagged| state! {
            "ResourceType": word(&tagged.resource_type),
            "Tags": tags(tagged.tags().iter().map(|tag| (tag.key(), tag.value()))),
        }),
    }
}
