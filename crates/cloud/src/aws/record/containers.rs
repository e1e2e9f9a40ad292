//! Clusters of containers: EKS and ECS.

use aws_sdk_ecs::types as ecs;
use aws_sdk_eks::types as eks;
use davylamp_model::recording::Thing;
use serde_json::Value;

use super::state::{list, one, pages, pairs, state, word};
use super::{each, thing};
use crate::aws::read::{ReadConfig, ReadError};

/// Clusters and tasks in one call (ECS API reference, `DescribeClusters`, `DescribeTasks`).
const DESCRIBED: usize = 100;
/// Services in one call (ECS API reference, `DescribeServices`).
const SERVICES: usize = 10;

type Read = Result<Vec<Thing>, ReadError>;

async fn eks_names(config: &ReadConfig) -> Result<Vec<String>, ReadError> {
    let client = config.eks();
    let question = client.list_clusters();
    Ok(pages!(question, "eks:ListClusters", |page| page
        .clusters
        .unwrap_or_default()))
}

pub(super) async fn eks_clusters(config: &ReadConfig) -> Read {
    let client = &config.eks();
    let all = each(eks_names(config).await?, async |name| {
        let answer = client.describe_cluster().name(name).send().await;
        let answer = answer.map_err(|error| ReadError::of("eks:DescribeCluster", &error))?;
        Ok(answer
            .cluster
            .and_then(|it| thing(&it.name, eks_cluster(&it))))
    });
    Ok(all.await?.into_iter().flatten().collect())
}

fn eks_cluster(it: &eks::Cluster) -> Value {
    state! {
        "arn": &it.arn,
        "createdAt": &it.created_at,
        "endpoint": &it.endpoint,
        "logging": one(&it.logging, |logging| state! {
            "clusterLogging": list(&logging.cluster_logging, |setup| state! {
                "enabled": &setup.enabled,
                "types": list(&setup.types, |kind| Value::from(kind.as_str())),
            }),
        }),
        "name": &it.name,
        "platformVersion": &it.platform_version,
        "resourcesVpcConfig": one(&it.resources_vpc_config, |vpc| state! {
            "clusterSecurityGroupId": &vpc.cluster_security_group_id,
            "endpointPrivateAccess": vpc.endpoint_private_access,
            "endpointPublicAccess": vpc.endpoint_public_access,
            "publicAccessCidrs": &vpc.public_access_cidrs,
            "securityGroupIds": &vpc.security_group_ids,
            "subnetIds": &vpc.subnet_ids,
            "vpcId": &vpc.vpc_id,
        }),
        "roleArn": &it.role_arn,
        "status": word(&it.status),
        "tags": Value::Object(pairs(&it.tags)),
        "version": &it.version,
    }
}

pub(super) async fn eks_nodegroups(config: &ReadConfig) -> Read {
    let client = &config.eks();
    let named = each(eks_names(config).await?, async |cluster| {
        let question = client.list_nodegroups().cluster_name(&cluster);
        let names = pages!(question, "eks:ListNodegroups", |page| page
            .nodegroups
            .unwrap_or_default());
        let named = names
            .into_iter()
            .map(|name: String| (cluster.clone(), name));
        Ok(named.collect::<Vec<_>>())
    });
    let named = named.await?.into_iter().flatten();
    let all = each(named, async |(cluster, name)| {
        let question = client.describe_nodegroup().cluster_name(&cluster);
        let answer = question.nodegroup_name(&name).send().await;
        let answer = answer.map_err(|error| ReadError::of("eks:DescribeNodegroup", &error))?;
        Ok(answer.nodegroup.map(|it| Thing {
            id: format!("{cluster}/{name}"),
            state: nodegroup(&it),
        }))
    });
    Ok(all.await?.into_iter().flatten().collect())
}

fn nodegroup(it: &eks::Nodegroup) -> Value {
    state! {
        "amiType": word(&it.ami_type),
        "capacityType": word(&it.capacity_type),
        "clusterName": &it.cluster_name,
        "createdAt": &it.created_at,
        "diskSize": &it.disk_size,
        "instanceTypes": &it.instance_types,
        "labels": Value::Object(pairs(&it.labels)),
        "launchTemplate": one(&it.launch_template, |template| state! {
            "id": &template.id,
            "name": &template.name,
            "version": &template.version,
        }),
        "nodeRole": &it.node_role,
        "nodegroupArn": &it.nodegroup_arn,
        "nodegroupName": &it.nodegroup_name,
        "remoteAccess": one(&it.remote_access, |access| state! {
            "ec2SshKey": &access.ec2_ssh_key,
            "sourceSecurityGroups": &access.source_security_groups,
        }),
        "resources": one(&it.resources, |resources| state! {
            "autoScalingGroups": list(&resources.auto_scaling_groups, |group| state! {
                "name": &group.name,
            }),
        }),
        "scalingConfig": one(&it.scaling_config, |scaling| state! {
            "desiredSize": &scaling.desired_size,
            "maxSize": &scaling.max_size,
            "minSize": &scaling.min_size,
        }),
        "status": word(&it.status),
        "subnets": &it.subnets,
        "tags": Value::Object(pairs(&it.tags)),
        "version": &it.version,
    }
}

async fn ecs_arns(config: &ReadConfig) -> Result<Vec<String>, ReadError> {
    let client = config.ecs();
    let question = client.list_clusters();
    Ok(pages!(question, "ecs:ListClusters", |page| page
        .cluster_arns
        .unwrap_or_default()))
}

fn chunks(ids: Vec<String>, most: usize) -> Vec<Vec<String>> {
    ids.chunks(most).map(<[String]>::to_vec).collect()
}

pub(super) async fn ecs_clusters(config: &ReadConfig) -> Read {
    let client = &config.ecs();
    let arns = ecs_arns(config).await?;
    let all = each(chunks(arns, DESCRIBED), async |arns| {
        let question = client.describe_clusters().set_clusters(Some(arns));
        let question = question
            .include(ecs::ClusterField::Settings)
            .include(ecs::ClusterField::Tags);
        let answer = question.send().await;
        let answer = answer.map_err(|error| ReadError::of("ecs:DescribeClusters", &error))?;
        Ok(answer.clusters.unwrap_or_default())
    });
    let all = all.await?.into_iter().flatten();
    Ok(all
        .filter_map(|it| thing(&it.cluster_arn, ecs_cluster(&it)))
        .collect())
}

fn ecs_cluster(it: &ecs::Cluster) -> Value {
    state! {
        "activeServicesCount": it.active_services_count,
        "capacityProviders": &it.capacity_providers,
        "clusterArn": &it.cluster_arn,
        "clusterName": &it.cluster_name,
        "registeredContainerInstancesCount": it.registered_container_instances_count,
        "settings": list(&it.settings, |setting| state! {
            "name": word(&setting.name),
            "value": &setting.value,
        }),
        "status": &it.status,
        "tags": ecs_tags(&it.tags),
    }
}

pub(super) async fn ecs_services(config: &ReadConfig) -> Read {
    let client = &config.ecs();
    let listed = each(ecs_arns(config).await?, async |cluster| {
        let question = client.list_services().cluster(&cluster);
        let arns = pages!(question, "ecs:ListServices", |page| page
            .service_arns
            .unwrap_or_default());
        let asked = chunks(arns, SERVICES).into_iter();
        Ok(asked
            .map(|arns| (cluster.clone(), arns))
            .collect::<Vec<_>>())
    });
    let all = each(
        listed.await?.into_iter().flatten(),
        async |(cluster, arns)| {
            let question = client.describe_services().cluster(cluster);
            let question = question
                .set_services(Some(arns))
                .include(ecs::ServiceField::Tags);
            let answer = question.send().await;
            let answer = answer.map_err(|error| ReadError::of("ecs:DescribeServices", &error))?;
            Ok(answer.services.unwrap_or_default())
        },
    );
    let all = all.await?.into_iter().flatten();
    Ok(all
        .filter_map(|it| thing(&it.service_arn, service(&it)))
        .collect())
}

fn service(it: &ecs::Service) -> Value {
    state! {
        "clusterArn": &it.cluster_arn,
        "createdAt": &it.created_at,
        "createdBy": &it.created_by,
        "desiredCount": it.desired_count,
        "enableExecuteCommand": it.enable_execute_command,
        "launchType": word(&it.launch_type),
        "networkConfiguration": one(&it.network_configuration, |network| state! {
            "awsvpcConfiguration": one(&network.awsvpc_configuration, |vpc| state! {
                "assignPublicIp": word(&vpc.assign_public_ip),
                "securityGroups": &vpc.security_groups,
                "subnets": &vpc.subnets,
            }),
        }),
        "platformVersion": &it.platform_version,
        "roleArn": &it.role_arn,
        "schedulingStrategy": word(&it.scheduling_strategy),
        "serviceArn": &it.service_arn,
        "serviceName": &it.service_name,
        "status": &it.status,
        "tags": ecs_tags(&it.tags),
        "taskDefinition": &it.task_definition,
    }
}

pub(super) async fn ecs_tasks(config: &ReadConfig) -> Read {
    let client = &config.ecs();
    let listed = each(ecs_arns(config).await?, async |cluster| {
        let question = client.list_tasks().cluster(&cluster);
        let arns = pages!(question, "ecs:ListTasks", |page| page
            .task_arns
            .unwrap_or_default());
        let asked = chunks(arns, DESCRIBED).into_iter();
        Ok(asked
            .map(|arns| (cluster.clone(), arns))
            .collect::<Vec<_>>())
    });
    let all = each(
        listed.await?.into_iter().flatten(),
        async |(cluster, arns)| {
            let question = client.describe_tasks().cluster(cluster);
            let question = question.set_tasks(Some(arns)).include(ecs::TaskField::Tags);
            let answer = question.send().await;
            let answer = answer.map_err(|error| ReadError::of("ecs:DescribeTasks", &error))?;
            Ok(answer.tasks.unwrap_or_default())
        },
    );
    let all = all.await?.into_iter().flatten();
    Ok(all
        .filter_map(|it| thing(&it.task_arn, task(&it)))
        .collect())
}

fn task(it: &ecs::Task) -> Value {
    state! {
        "availabilityZone": &it.availability_zone,
        "capacityProviderName": &it.capacity_provider_name,
        "clusterArn": &it.cluster_arn,
        "containerInstanceArn": &it.container_instance_arn,
        "containers": list(&it.containers, |container| state! {
            "containerArn": &container.container_arn,
            "cpu": &container.cpu,
            "gpuIds": &container.gpu_ids,
            "image": &container.image,
            "imageDigest": &container.image_digest,
            "memory": &container.memory,
            "name": &container.name,
        }),
        "cpu": &it.cpu,
        "createdAt": &it.created_at,
        "desiredStatus": &it.desired_status,
        "enableExecuteCommand": it.enable_execute_command,
        "group": &it.group,
        "lastStatus": &it.last_status,
        "launchType": word(&it.launch_type),
        "memory": &it.memory,
        "overrides": one(&it.overrides, |overrides| state! {
            "cpu": &overrides.cpu,
            "executionRoleArn": &overrides.execution_role_arn,
            "memory": &overrides.memory,
            "taskRoleArn": &overrides.task_role_arn,
        }),
        "platformFamily": &it.platform_family,
        "platformVersion": &it.platform_version,
        "startedAt": &it.started_at,
        "startedBy": &it.started_by,
        "stopCode": word(&it.stop_code),
        "stoppedAt": &it.stopped_at,
        "stoppedReason": &it.stopped_reason,
        "tags": ecs_tags(&it.tags),
        "taskArn": &it.task_arn,
        "taskDefinitionArn": &it.task_definition_arn,
    }
}

/// ECS spells the members of a tag in lower case.
fn ecs_tags(tags: &Option<Vec<ecs::Tag>>) -> Vec<Value> {
    list(tags, |tag| state! {"key": &tag.key, "value": &tag.value})
}
