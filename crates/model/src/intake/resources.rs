//! What a GuardDuty finding happened to: its `resource`.

use crate::finding::Behaviour;
use crate::resource::{Place, Resource};

use super::arn::ArnParts;
use super::members::Members;
use super::names::{self, quoted};

/// The resources that `resource` names, the one that acted first.
pub(super) fn of(
    resource: Members<'_>,
    behaviour: Behaviour,
    place: Option<&Place>,
) -> Vec<Resource> {
    let mut found = Vec::new();
    let key = resource.get("accessKeyDetails").and_then(access_key);
    let mut instance = None;
    if let Some(details) = resource.get("instanceDetails") {
        instance = match details.text("instanceId") {
            Some(id) => names::instance(id, details.gaps()),
            None => {
                details.note("The finding has details of an instance and does not name it.");
                None
            }
        };
    }
    found.extend(workload(resource));
    ecs_task(resource, place, instance.is_some(), &mut found);
    if let Some(details) = resource.get("lambdaDetails") {
        let name = details
            .text("functionName")
            .or_else(|| details.text("functionArn"));
        found.extend(name.and_then(|name| names::function(name, place, details.gaps())));
    }
    found.extend(instance);
    scanned(resource, place, &mut found);
    for bucket in resource.items("s3BucketDetails") {
        let name = bucket.text("name").or_else(|| bucket.text("arn"));
        found.extend(name.and_then(|name| names::bucket(name, bucket.gaps())));
    }
    clusters(resource, place, &mut found);
    // A key acts by itself; beside a workload or an instance it is what that one used.
    match key {
        Some(key) if behaviour == Behaviour::StolenCredential => found.insert(0, key),
        Some(key) => found.push(key),
        None => {}
    }
    let mut distinct: Vec<Resource> = Vec::new();
    for resource in found {
        if !distinct.contains(&resource) {
            distinct.push(resource);
        }
    }
    if distinct.is_empty() {
        distinct.extend(nothing_named(resource));
    }
    distinct
}

/// The resource of a finding that names none Davylamp knows.
fn nothing_named(resource: Members<'_>) -> Option<Resource> {
    const KNOWN: &[&str] = &[
        "instance",
        "ekscluster",
        "ecscluster",
        "accesskey",
        "lambda",
        "container",
        "s3bucket",
        "s3object",
        "kubernetescluster",
        "ebsvolume",
        "ebssnapshot",
        "ec2image",
    ];
    let Some(kind) = resource.text("resourceType") else {
        resource.note("The finding does not say what it happened to.");
        return None;
    };
    if KNOWN.contains(&kind.to_ascii_lowercase().as_str()) {
        resource.note(format!(
            "The finding says it happened to a resource of type {} and does not name it.",
            quoted(kind)
        ));
        return None;
    }
    Some(Resource::Unknown { kind: quoted(kind) })
}

fn access_key(details: Members<'_>) -> Option<Resource> {
    let gaps = details.gaps();
    let key = details
        .text("accessKeyId")
        .and_then(|key| names::access_key(key, gaps));
    let holder = names::holder(
        details.text("userType"),
        details.text("userName"),
        details.text("principalId"),
        gaps,
    );
    names::key_of(key, holder, gaps)
}

fn cluster_name(resource: Members<'_>) -> Option<crate::ids::ClusterName> {
    let details = resource.get("eksClusterDetails")?;
    let name = details.text("name").or_else(|| details.text("arn"));
    if name.is_none() {
        details.note("The finding has details of an EKS cluster and does not name it.");
    }
    names::eks_cluster(name?, details.gaps())
}

fn workload(resource: Members<'_>) -> Option<Resource> {
    let details = resource.at(&["kubernetesDetails", "kubernetesWorkloadDetails"])?;
    let (kind, name) = (details.text("type"), details.text("name"));
    let namespace = details.text("namespace");
    let (Some(namespace), Some(kind), Some(name)) = (namespace, kind, name) else {
        details.note(
            "The finding has details of a Kubernetes workload without its namespace, type or name.",
        );
        return None;
    };
    names::workload(
        cluster_name(resource),
        namespace,
        kind,
        name,
        details.gaps(),
    )
}

fn ecs_task(
    resource: Members<'_>,
    place: Option<&Place>,
    on_instance: bool,
    found: &mut Vec<Resource>,
) {
    let Some(details) = resource.get("ecsClusterDetails") else {
        return;
    };
    let Some(task) = details.get("taskDetails") else {
        details.note("The finding has details of an ECS cluster and names no task.");
        return;
    };
    let gaps = details.gaps();
    let cluster = details
        .text("arn")
        .and_then(|arn| names::arn(arn, "ecs", "cluster", place, gaps));
    let arn = task
        .text("arn")
        .and_then(|arn| names::arn(arn, "ecs", "task", place, gaps));
    let (Some(cluster), Some(arn)) = (cluster, arn) else {
        details.note("The finding has details of an ECS task without its ARN or its cluster's.");
        return;
    };
    let launch_type = task.text("launchType");
    if launch_type.is_none() && !on_instance {
        task.note("The finding does not say whether the task runs on Fargate.");
    }
    found.push(Resource::EcsTask {
        cluster,
        task: arn,
        fargate: launch_type.is_some_and(|kind| kind.eq_ignore_ascii_case("FARGATE")),
    });
}

fn clusters(resource: Members<'_>, place: Option<&Place>, found: &mut Vec<Resource>) {
    found.extend(cluster_name(resource).map(|name| Resource::EksCluster { name }));
    let ecs = resource
        .get("ecsClusterDetails")
        .and_then(|details| details.text("arn"));
    found.extend(
        ecs.and_then(|arn| names::arn(arn, "ecs", "cluster", place, resource.gaps()))
            .map(|arn| Resource::EcsCluster { arn }),
    );
}

/// Volumes, snapshots and images that a malware scan looked into.
fn scanned(resource: Members<'_>, place: Option<&Place>, found: &mut Vec<Resource>) {
    let gaps = resource.gaps();
    if let Some(details) = resource.get("ebsVolumeDetails") {
        for volume in details.items("scannedVolumeDetails") {
            match volume.text("volumeArn") {
                Some(arn) => found.extend(names::ec2_by_arn(arn, place, gaps)),
                None => volume.note("A volume was scanned and is not named."),
            }
        }
        for volume in details.items("skippedVolumeDetails") {
            let arn = volume.text("volumeArn").unwrap_or("a volume not named");
            let id = arn.rsplit('/').next().unwrap_or(arn);
            volume.note(format!(
                "{} was skipped by the scan: nothing is known of what it holds.",
                quoted(id)
            ));
        }
    }
    let scanned = [
        resource.text_at(&["ebsSnapshotDetails", "snapshotArn"]),
        resource.text_at(&["ec2ImageDetails", "imageArn"]),
    ];
    for arn in scanned.into_iter().flatten() {
        found.extend(names::ec2_by_arn(arn, place, gaps));
    }
    if let Some(arn) = resource.text_at(&["recoveryPointDetails", "recoveryPointArn"]) {
        // A recovery point of an instance is a snapshot or an image; others are AWS Backup's own.
        if ArnParts::of(arn).is_some_and(|arn| arn.service == "ec2") {
            found.extend(names::ec2_by_arn(arn, place, gaps));
        } else {
            found.push(Resource::Unknown {
                kind: "recovery point".to_owned(),
            });
        }
    }
}
