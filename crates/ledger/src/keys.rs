//! What links findings to one another, and what tells them apart.
//!
//! Pure. A key names one thing that an attacker can hold: a container, a pod, a user, an instance, a
//! credential. What many innocent things share (an account, a region, a node, an image, a cluster, a
//! pool's name, a namespace) is never a key: it would make one incident of everything.

use std::collections::BTreeSet;

use davylamp_model::finding::{Finding, FindingSource};
use davylamp_model::resource::{KeyHolder, Resource};
use sha2::{Digest as _, Sha256};

use crate::record::{Reported, Reporter};
use crate::text::shown;

/// Longer parts of keys are cut and told apart by a digest. No service gives longer names.
const PART_BYTES: usize = 256;

/// Runtimes give 64 hexadecimal digits, Fargate a task's 32 and a number behind a hyphen.
const CONTAINER_ID_BYTES: usize = 32;

/// A finding's name among all findings: of its source, the reporting cluster and its id. A digest, as
/// an id is as long as its source likes.
pub fn reference(finding: &Finding, reporter: &Reporter) -> String {
    named(finding.source, &reporter.cluster, finding.id.as_str())
}

/// The names that a finding of this id may have, whichever source it is of.
pub(crate) fn references(cluster: &str, id: &str) -> Vec<String> {
    const SOURCES: [FindingSource; 6] = [
        FindingSource::GuardDuty,
        FindingSource::SecurityHub,
        FindingSource::Ocsf,
        FindingSource::CloudTrail,
        FindingSource::Cost,
        FindingSource::Davylamp,
    ];
    let of = |source| named(source, cluster, id);
    SOURCES.into_iter().map(of).collect()
}

fn named(source: FindingSource, cluster: &str, id: &str) -> String {
    let source = match source {
        FindingSource::GuardDuty => "guard-duty",
        FindingSource::SecurityHub => "security-hub",
        FindingSource::Ocsf => "ocsf",
        FindingSource::CloudTrail => "cloud-trail",
        FindingSource::Cost => "cost",
        FindingSource::Davylamp => "davylamp",
    };
    let mut digest = Sha256::new();
    for part in [source, cluster, id] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    // As long as a git id: no two findings share one by chance.
    hex::encode(&digest.finalize()[..20])
}

/// The keys of a finding, sorted, each once.
pub fn keys(reported: &Reported) -> Vec<String> {
    let Reported {
        finding, reporter, ..
    } = reported;
    let mut keys = BTreeSet::new();
    let mut add = |kind: &str, parts: &[&str]| {
        if parts.last().is_some_and(|last| !last.is_empty()) {
            let parts: Vec<String> = parts.iter().map(|part| bounded(part)).collect();
            keys.insert(format!("{kind}:{}", parts.join("/")));
        }
    };
    let cluster = reporter.cluster.as_str();
    let account = finding
        .place
        .as_ref()
        .map_or("", |place| place.account.as_str());
    let region = finding
        .place
        .as_ref()
        .map_or("", |place| place.region.as_str());
    for resource in &finding.resources {
        match resource {
            Resource::Instance { id } => add("instance", &[id.as_str()]),
            Resource::Volume { id } => add("volume", &[id.as_str()]),
            Resource::Workload {
                cluster: named,
                namespace,
                kind,
                name,
            } if kind == "pods" => add(
                "pod",
                &[
                    cluster_of(cluster, named.as_ref().map(|c| c.as_str())),
                    namespace.as_str(),
                    name,
                ],
            ),
            Resource::EcsTask { task, .. } => add("task", &[task.as_str()]),
            Resource::Function { name } => add("function", &[account, region, name.as_str()]),
            Resource::AccessKey { key, holder } => {
                if let Some(key) = key {
                    add("access-key", &[key.as_str()]);
                }
                match holder {
                    KeyHolder::User { user } => add("iam-user", &[account, user.as_str()]),
                    KeyHolder::RoleSession {
                        role,
                        session: Some(session),
                    } => add("role-session", &[account, role.as_str(), session]),
                    _ => {}
                }
            }
            Resource::HubUser { user, pod } => {
                add("hub-user", &[cluster, user.as_str()]);
                if let Some((namespace, name)) = pod {
                    add("pod", &[cluster, namespace.as_str(), &name.0]);
                }
            }
            _ => {}
        }
    }
    let mut process_user = None;
    for observed in &finding.observed {
        match observed.what.as_str() {
            "container" => {
                if let Some(id) = container_id(&observed.value) {
                    add("container", &[id]);
                }
            }
            "pod-uid" => add("pod-uid", &[&observed.value]),
            "access-key" => add("access-key", &[&observed.value]),
            "process-user" => process_user = Some(observed.value.as_str()),
            _ => {}
        }
    }
    // A bare process of a machine's own user. One in a container has a better name, and the same user
    // there is somebody else in the next one.
    if let Some(user) = process_user
        && !reporter.node.is_empty()
        && keys.is_empty()
    {
        keys.insert(format!(
            "process:{}/{}/{}",
            bounded(cluster),
            bounded(&reporter.node),
            bounded(user)
        ));
    }
    keys.into_iter().collect()
}

/// A container's id, without the name of its runtime. Some sources give a container's name there, which
/// strangers share.
fn container_id(text: &str) -> Option<&str> {
    let id = text.rsplit_once("://").map_or(text, |(_, id)| id);
    let formed = id.len() >= CONTAINER_ID_BYTES
        && id
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    formed.then_some(id)
}

/// A pod is known by the cluster that reported it; a finding of the cloud names it itself.
fn cluster_of<'a>(reporter: &'a str, named: Option<&'a str>) -> &'a str {
    if reporter.is_empty() {
        named.unwrap_or_default()
    } else {
        reporter
    }
}

fn bounded(part: &str) -> String {
    // A slash inside a part must not look like the border of two.
    let part = part.replace('%', "%25").replace('/', "%2f");
    if part.len() <= PART_BYTES {
        return shown(&part, PART_BYTES);
    }
    let digest = hex::encode(&Sha256::digest(part.as_bytes())[..16]);
    format!("{}~{digest}", shown(&part, 64))
}
