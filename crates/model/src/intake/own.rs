//! Davylamp's own guard: lines of its log as findings.
//!
//! The keys are those of [`crate::guard_event`], of which the first are cryptnono's; a line of
//! cryptnono's is read too, and its lack of a node is a gap. What the guard killed, would have
//! killed or missed is a finding. What it spared is not, and a hold is decided in a later line.

use serde_json::Value;

use crate::container::{LABEL_NAMESPACE, LABEL_POD};
use crate::finding::{Behaviour, Finding, FindingSource, Severity};
use crate::ids::{FindingId, HubUser, Namespace, NodeName, PodName, is_ec2_id, is_region};
use crate::inventory::Sighting;
use crate::resource::{KeyHolder, Resource};

use super::Rejection;
use super::arn::ArnParts;
use super::forms::Found;
use super::members::{Gaps, Members, digest};
use super::names::{self, quoted};
use super::observed::Observations;

/// The longest name of a Hub user that is believed. JupyterHub keeps names of up to 255 characters.
const HUB_USER_CHARS: usize = 255;

/// How the types of the guard's findings begin.
const GUARD_TYPE: &str = "Davylamp:Guard/";
/// How they begin where the pod has to go.
const EVICT_TYPE: &str = "Davylamp:Evict/";
/// The level, in the guard's line, of signs that ask for the pod to go.
const ASKS_EVICTION: &str = "evict-pod";

/// Reads a line.
pub(super) fn read(value: &Value) -> Result<Found, Rejection> {
    let gaps = Gaps::default();
    let action = Members::of(value, &gaps).text("action").unwrap_or_default();
    let severity = match action.to_ascii_lowercase().as_str() {
        "killed" | "frozen" => Severity::High,
        // A person should look; whether it mines is not settled.
        "alerted" => Severity::Medium,
        // A connection is logged by that word, too: nothing matched.
        "observed" if Members::of(value, &gaps).get("matched").is_none() => {
            return Ok(Found::Nothing("guard: a connection".to_owned()));
        }
        // Whatever matched is still running.
        "would-kill" | "observed" | "missed" | "missed-kill" => Severity::Critical,
        "spared" | "held" | "container-lookup-failed" | "process-already-exited" => {
            return Ok(Found::Nothing(format!("guard: {action}")));
        }
        _ => {
            return Err(Rejection::HalfEmpty {
                form: "a line of the guard's log",
                missing: "an action that is known",
            });
        }
    };
    Ok(Found::Findings(vec![finding(value, severity)]))
}

/// The finding that a line about a process is, whatever was done.
pub fn finding(value: &Value, severity: Severity) -> Finding {
    let gaps = Gaps::default();
    let line = Members::of(value, &gaps);
    let action = line.text("action").unwrap_or_default();
    let pod = pod(line);
    let user = line
        .text("hub_user")
        .filter(|user| is_hub_user(user, &gaps));
    let node = line.text("node").filter(|node| {
        let formed = names::is_object_name(node);
        if !formed {
            gaps.note(format!("\"{}\" is not a node's name.", quoted(node)));
        }
        formed
    });
    if node.is_none() {
        gaps.note("The guard's line does not name its node.");
    }
    gaps.note("The guard's line does not say in which account and region its node is.");

    let mut resources = Vec::new();
    if let Some(user) = user {
        resources.push(Resource::HubUser {
            user: HubUser::from(user),
            pod: pod.clone(),
        });
    }
    if let Some((namespace, name)) = &pod {
        resources.push(Resource::Workload {
            cluster: None,
            namespace: namespace.clone(),
            kind: "pods".to_owned(),
            name: name.0.clone(),
        });
    }
    if let Some(node) = node {
        resources.push(Resource::Node {
            cluster: None,
            name: NodeName::from(node),
        });
    }
    let mut seen = Observations::default();
    seen.add("user", user);
    let pod_text = pod.map(|(namespace, name)| format!("{namespace}/{name}"));
    seen.add("pod", pod_text.as_deref());
    seen.add("node", node);
    seen.add("process", line.text("exe"));
    seen.add("command-line", line.text("cmdline"));
    seen.add("matched", line.text("matched"));
    seen.add("image", line.text("image"));
    seen.add("container", line.text("container_id"));
    seen.add("cgroup", line.text("cgroup"));
    let at = line.time("timestamp");
    if at.is_none() {
        gaps.note("The guard's line does not say when.");
    }
    let detection = line.text("detection").unwrap_or("banned-command");
    let finding = Finding {
        id: FindingId(digest(value)),
        source: FindingSource::Davylamp,
        kind: format!("{GUARD_TYPE}{}", quoted(detection)),
        behaviour: Behaviour::Mining,
        title: line
            .text("event")
            .map_or_else(|| format!("The guard: {action}"), str::to_owned),
        severity,
        place: None,
        resources,
        first_seen: at,
        last_seen: at,
        count: 1,
        sample: false,
        archived: false,
        detector: None,
        observed: seen.finish(line),
        gaps: Vec::new(),
    };
    let asks_eviction = line.text("asked") == Some(ASKS_EVICTION);
    let mut finding = Finding {
        gaps: gaps.noted(),
        ..finding
    };
    if asks_eviction {
        escalate(&mut finding);
    }
    finding
}

/// Says of a finding of the guard's that what is done on the node was not enough: its pod has to go.
/// Playbooks know it by its type.
pub fn escalate(finding: &mut Finding) {
    if let Some(detection) = finding.kind.strip_prefix(GUARD_TYPE) {
        finding.kind = format!("{EVICT_TYPE}{detection}");
        finding.severity = finding.severity.max(Severity::High);
    }
}

fn pod(line: Members<'_>) -> Option<(Namespace, PodName)> {
    let labels = line.get("labels")?;
    let namespace = labels.text(LABEL_NAMESPACE)?;
    let name = labels.text(LABEL_POD)?;
    if !names::is_namespace(namespace) || !names::is_object_name(name) {
        line.note(format!(
            "\"{}/{}\" is not a pod's name.",
            quoted(namespace),
            quoted(name)
        ));
        return None;
    }
    Some((Namespace::from(namespace), PodName::from(name)))
}

pub(super) fn is_hub_user(user: &str, gaps: &Gaps) -> bool {
    let formed = hub_user_is_well_formed(user);
    if !formed {
        gaps.note(format!("\"{}\" is not a Hub user's name.", quoted(user)));
    }
    formed
}

fn hub_user_is_well_formed(user: &str) -> bool {
    !user.is_empty()
        && user.chars().count() <= HUB_USER_CHARS
        && !user.chars().any(|c| c.is_control() || c == '/')
}

/// What a finding of the guard says about who mined where; `None` for the findings of others, which
/// saw no process of a user.
pub fn sighting(finding: &Finding) -> Option<Sighting> {
    if finding.source != FindingSource::Davylamp || finding.behaviour != Behaviour::Mining {
        return None;
    }
    let mut sighting = Sighting {
        at: finding.last_seen?,
        user: None,
        pod: None,
        node: None,
    };
    for resource in &finding.resources {
        match resource {
            Resource::HubUser { user, pod } => {
                sighting.user.get_or_insert_with(|| user.clone());
                if sighting.pod.is_none() {
                    sighting.pod.clone_from(pod);
                }
            }
            Resource::Workload {
                namespace,
                kind,
                name,
                ..
            } if kind == "pods" => {
                sighting
                    .pod
                    .get_or_insert_with(|| (namespace.clone(), PodName(name.clone())));
            }
            Resource::Node { name, .. } => {
                sighting.node.get_or_insert_with(|| name.clone());
            }
            _ => {}
        }
    }
    Some(sighting)
}

/// Whether every name in a resource is one that its service could have given.
pub(super) fn is_well_formed(resource: &Resource) -> bool {
    let quiet = Gaps::default();
    let cluster_is = |cluster: &Option<crate::ids::ClusterName>| {
        cluster
            .as_ref()
            .is_none_or(|name| names::eks_cluster(name.as_str(), &quiet).is_some())
    };
    let arn_is = |arn: &crate::ids::Arn, kind: &str| {
        ArnParts::of(arn.as_str())
            .is_some_and(|parts| parts.service == "ecs" && parts.named(kind).is_some())
    };
    match resource {
        Resource::Instance { id } => is_ec2_id("i-", id.as_str()),
        Resource::Volume { id } => is_ec2_id("vol-", id.as_str()),
        Resource::Snapshot { id } => is_ec2_id("snap-", id.as_str()),
        Resource::Image { id } => is_ec2_id("ami-", id),
        Resource::Workload {
            cluster,
            namespace,
            kind,
            name,
        } => {
            cluster_is(cluster)
                && names::workload(None, namespace.as_str(), kind, name, &quiet)
                    .is_some_and(|read| read.key().contains(&format!("/{kind}/")))
        }
        Resource::Node { cluster, name } => {
            cluster_is(cluster) && names::is_object_name(name.as_str())
        }
        Resource::EksCluster { name } => {
            !name.as_str().contains(':') && names::eks_cluster(name.as_str(), &quiet).is_some()
        }
        Resource::EcsTask { cluster, task, .. } => {
            arn_is(cluster, "cluster") && arn_is(task, "task")
        }
        Resource::EcsCluster { arn } => arn_is(arn, "cluster"),
        Resource::Function { name } => {
            !name.as_str().contains(':') && names::function(name.as_str(), None, &quiet).is_some()
        }
        Resource::AccessKey { key, holder } => {
            key.as_ref()
                .is_none_or(|key| names::access_key(key.as_str(), &quiet).is_some())
                && match holder {
                    KeyHolder::User { user } => names::is_iam_name(user.as_str()),
                    KeyHolder::RoleSession { role, session } => {
                        names::is_iam_name(role.as_str())
                            && session.as_deref().is_none_or(names::is_iam_name)
                    }
                    KeyHolder::Root => true,
                    KeyHolder::Unknown { said } => quoted(said) == *said,
                }
        }
        Resource::Bucket { name } => !name.contains(':') && names::bucket(name, &quiet).is_some(),
        Resource::HubUser { user, pod } => {
            hub_user_is_well_formed(user.as_str())
                && pod.as_ref().is_none_or(|(namespace, name)| {
                    names::is_namespace(namespace.as_str()) && names::is_object_name(name.as_str())
                })
        }
        Resource::Account => true,
        Resource::AccountRegion { whole_in } => is_region(whole_in.as_str()),
        Resource::Unknown { kind } => quoted(kind) == *kind,
    }
}
