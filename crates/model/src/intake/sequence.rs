//! Attack sequences: several signals and many resources in one finding.
//!
//! Their members are those of `Sequence` in the GuardDuty API. Resources point at one another by
//! `uid`; a workload points at no cluster, so the cluster is only known where the sequence has
//! exactly one.

use crate::ids::ClusterName;
use crate::resource::{Place, Resource};

use super::arn::ArnParts;
use super::members::{Gaps, Members};
use super::names::{self, quoted};
use super::observed::Observations;

/// Kinds of resource that only surround the others. They are listed as observed, so that a plan
/// never takes a network or a template for what acted.
const SURROUNDINGS: &[&str] = &[
    "AUTOSCALING_AUTO_SCALING_GROUP",
    "CLOUDFORMATION_STACK",
    "CONTAINER",
    "EC2_IMAGE",
    "EC2_LAUNCH_TEMPLATE",
    "EC2_NETWORK_INTERFACE",
    "EC2_VPC",
    "IAM_INSTANCE_PROFILE",
    "S3_OBJECT",
];

/// Whether a finding is an attack sequence.
pub(super) fn is_sequence(
    kind: &str,
    resource: Option<Members<'_>>,
    service: Option<Members<'_>>,
) -> bool {
    let says = resource
        .and_then(|resource| resource.text("resourceType"))
        .is_some_and(|kind| kind.eq_ignore_ascii_case("AttackSequence"));
    let has = service.is_some_and(|service| service.at(&["detection", "sequence"]).is_some());
    says || has || kind.starts_with("AttackSequence:")
}

/// The resources of a sequence, those that acted first; what it observed goes to `seen`.
pub(super) fn resources(
    service: Option<Members<'_>>,
    place: Option<&Place>,
    gaps: &Gaps,
    seen: &mut Observations,
) -> Vec<Resource> {
    let sequence = service.and_then(|service| service.at(&["detection", "sequence"]));
    let Some(sequence) = sequence else {
        gaps.note(
            "The attack sequence comes without its detail (`service.detection.sequence`): neither \
             its resources nor its signals are known.",
        );
        return Vec::new();
    };
    let mut signalled: Vec<&str> = Vec::new();
    for signal in sequence.items("signals") {
        seen.add("signal", signal.text("name"));
        signalled.extend(signal.texts("resourceUids"));
        indicators(seen, &signal.items("signalIndicators"));
    }
    indicators(seen, &sequence.items("sequenceIndicators"));
    for endpoint in sequence.items("endpoints") {
        seen.add("remote-address", endpoint.text("ip"));
        seen.add("domain", endpoint.text("domain"));
    }
    for actor in sequence.items("actors") {
        seen.add("process", actor.text_at(&["process", "path"]));
        seen.add("sha256", actor.text_at(&["process", "sha256"]));
        seen.add("principal", actor.text_at(&["user", "name"]));
    }
    let listed = sequence.items("resources");
    if listed.is_empty() {
        gaps.note("The attack sequence names no resources.");
    }
    let cluster = only_cluster(&listed);
    let ecs = only_ecs_cluster(&listed, place);
    let mut found: Vec<(u8, bool, Resource)> = Vec::new();
    for item in listed {
        if is_elsewhere(item, place) {
            continue;
        }
        let resource = one(item, cluster.as_ref(), ecs.as_ref(), place, seen);
        let acted = item.text("uid").is_some_and(|uid| signalled.contains(&uid));
        if let Some(resource) = resource
            && !found.iter().any(|(_, _, known)| *known == resource)
        {
            found.push((rank(&resource), !acted, resource));
        }
    }
    found.sort_by_key(|(rank, quiet, _)| (*rank, *quiet));
    found.into_iter().map(|(_, _, resource)| resource).collect()
}

/// What acts stands before what it runs on, and that before what holds it.
fn rank(resource: &Resource) -> u8 {
    match resource {
        Resource::Workload { .. } => 0,
        Resource::EcsTask { .. } | Resource::Function { .. } => 1,
        Resource::AccessKey { .. } => 2,
        Resource::Instance { .. } => 3,
        Resource::EksCluster { .. } | Resource::EcsCluster { .. } => 5,
        Resource::Unknown { .. } => 6,
        _ => 4,
    }
}

/// Whether a resource lies in another account or region than the finding; then it is said and left
/// out, for it would be looked for in the wrong place.
fn is_elsewhere(item: Members<'_>, place: Option<&Place>) -> bool {
    let Some(place) = place else {
        return false;
    };
    let other = [
        (item.text("accountId"), place.account.as_str()),
        (item.text("region"), place.region.as_str()),
    ]
    .into_iter()
    .find_map(|(said, own)| said.filter(|said| *said != own && *said != "global"));
    if let Some(other) = other {
        item.note(format!(
            "The sequence names {} in {}, not where the finding is; it is left out.",
            quoted(
                item.text("name")
                    .or_else(|| item.text("uid"))
                    .unwrap_or("a resource")
            ),
            quoted(other)
        ));
    }
    other.is_some()
}

fn is_kind(item: Members<'_>, kind: &str, data: &str) -> bool {
    item.text("resourceType")
        .is_some_and(|said| said.eq_ignore_ascii_case(kind))
        || item.at(&["data", data]).is_some()
}

/// The sequence's EKS cluster, if it has exactly one. One without a name counts: a workload must
/// not be placed in the other.
fn only_cluster(listed: &[Members<'_>]) -> Option<ClusterName> {
    let mut clusters = listed
        .iter()
        .filter(|item| is_kind(**item, "EKS_CLUSTER", "eksCluster"));
    let only = clusters.next()?;
    if clusters.next().is_some() {
        only.note(
            "The sequence spans several EKS clusters; its workloads do not say whose they are.",
        );
        return None;
    }
    eks_name(*only)
}

fn eks_name(item: Members<'_>) -> Option<ClusterName> {
    let name = item
        .text("name")
        .or_else(|| item.text_at(&["data", "eksCluster", "arn"]))?;
    names::eks_cluster(name, item.gaps())
}

fn only_ecs_cluster(listed: &[Members<'_>], place: Option<&Place>) -> Option<crate::ids::Arn> {
    let mut clusters = listed
        .iter()
        .filter(|item| is_kind(**item, "ECS_CLUSTER", "ecsCluster"));
    let only = clusters.next()?;
    if clusters.next().is_some() {
        only.note("The sequence spans several ECS clusters; its tasks do not say whose they are.");
        return None;
    }
    ecs_arn(*only, "cluster", place)
}

/// Whichever of uid and name is an ECS ARN.
fn ecs_arn(item: Members<'_>, kind: &str, place: Option<&Place>) -> Option<crate::ids::Arn> {
    let arn = [item.text("uid"), item.text("name")]
        .into_iter()
        .flatten()
        .find(|text| ArnParts::of(text).is_some_and(|arn| arn.named(kind).is_some()));
    match arn {
        Some(arn) => names::arn(arn, "ecs", kind, place, item.gaps()),
        None => {
            item.note(format!("The sequence names an ECS {kind} without its ARN."));
            None
        }
    }
}

/// The instance's id stands in the name or the uid; two that differ name none.
fn instance(item: Members<'_>) -> Option<Resource> {
    let mut ids: Vec<Resource> = Vec::new();
    let quiet = Gaps::default();
    for text in [item.text("name"), item.text("uid")].into_iter().flatten() {
        let id = ArnParts::of(text)
            .and_then(|arn| arn.named("instance"))
            .unwrap_or(text);
        if let Some(resource) = names::instance(id, &quiet)
            && !ids.contains(&resource)
        {
            ids.push(resource);
        }
    }
    if ids.len() != 1 {
        item.note(format!(
            "The sequence names an instance as \"{}\", which is no instance's id.",
            quoted(
                item.text("name")
                    .or_else(|| item.text("uid"))
                    .unwrap_or_default()
            )
        ));
        return None;
    }
    ids.pop()
}

fn one(
    item: Members<'_>,
    cluster: Option<&ClusterName>,
    ecs: Option<&crate::ids::Arn>,
    place: Option<&Place>,
    seen: &mut Observations,
) -> Option<Resource> {
    let gaps = item.gaps();
    let Some(kind) = item.text("resourceType") else {
        item.note("The sequence names a resource without its type.");
        return None;
    };
    let name = item.text("name").or_else(|| item.text("uid"));
    let folded = kind.to_ascii_uppercase();
    match folded.as_str() {
        "KUBERNETES_WORKLOAD" => workload(item, cluster),
        "EC2_INSTANCE" => instance(item),
        "EKS_CLUSTER" => {
            let name = eks_name(item);
            if name.is_none() {
                item.note("The sequence names an EKS cluster without its name.");
            }
            name.map(|name| Resource::EksCluster { name })
        }
        "ECS_CLUSTER" => ecs_arn(item, "cluster", place).map(|arn| Resource::EcsCluster { arn }),
        "ECS_TASK" => {
            let launch = item.text_at(&["data", "ecsTask", "launchType"]);
            if launch.is_none() {
                item.note("The sequence does not say whether the task runs on Fargate.");
            }
            let task = ecs_arn(item, "task", place)?;
            if ecs.is_none() {
                item.note("The sequence names a task without its cluster.");
            }
            Some(Resource::EcsTask {
                cluster: ecs?.clone(),
                task,
                fargate: launch.is_some_and(|kind| kind.eq_ignore_ascii_case("FARGATE")),
            })
        }
        "ACCESS_KEY" => access_key(item),
        "S3_BUCKET" => names::bucket(name?, gaps),
        "LAMBDA_FUNCTION" => names::function(name?, place, gaps),
        known if SURROUNDINGS.contains(&known) => {
            seen.add(
                "related",
                Some(&format!("{known} {}", name.unwrap_or_default())),
            );
            None
        }
        _ => Some(Resource::Unknown { kind: quoted(kind) }),
    }
}

fn workload(item: Members<'_>, cluster: Option<&ClusterName>) -> Option<Resource> {
    let data = item.at(&["data", "kubernetesWorkload"]);
    let namespace = data.and_then(|data| data.text("namespace"));
    let kind = data.and_then(|data| data.text("type"));
    let (Some(name), Some(namespace), Some(kind)) = (item.text("name"), namespace, kind) else {
        item.note("The sequence names a workload without its namespace, type or name.");
        return None;
    };
    names::workload(cluster.cloned(), namespace, kind, name, item.gaps())
}

fn access_key(item: Members<'_>) -> Option<Resource> {
    let gaps = item.gaps();
    let quiet = Gaps::default();
    let key = [item.text("name"), item.text("uid")]
        .into_iter()
        .flatten()
        .find_map(|text| names::access_key(text, &quiet));
    if key.is_none() {
        item.note("The sequence names an access key without its id.");
    }
    let data = |name| item.text_at(&["data", "accessKey", name]);
    let holder = names::holder(
        data("userType"),
        data("userName"),
        data("principalId"),
        gaps,
    );
    names::key_of(key, holder, gaps)
}

/// Addresses, domains and processes that point at mining or malice.
fn indicators(seen: &mut Observations, indicators: &[Members<'_>]) {
    for indicator in indicators {
        let Some(key) = indicator.text("key") else {
            continue;
        };
        let what = match key.to_ascii_uppercase().as_str() {
            "CRYPTOMINING_DOMAIN" | "MALICIOUS_DOMAIN" => "domain",
            "CRYPTOMINING_IP" | "MALICIOUS_IP" | "TOR_IP" => "remote-address",
            "CRYPTOMINING_PROCESS" | "MALICIOUS_PROCESS" | "SUSPICIOUS_PROCESS" => "process",
            "MALICIOUS_FILE" => "file",
            "ATTACK_TACTIC" => "tactic",
            "ATTACK_TECHNIQUE" => "technique",
            "HIGH_RISK_API" => "api-call",
            _ => continue,
        };
        for value in indicator.texts("values") {
            seen.add(what, Some(value));
        }
    }
}
