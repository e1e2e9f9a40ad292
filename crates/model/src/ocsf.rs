//! A finding as an OCSF 1.5 Detection Finding.
//!
//! <https://schema.ocsf.io/1.5.0/classes/detection_finding>. What OCSF has no place for stands in
//! `unmapped`, so that [`crate::intake`] reads back the very finding that was written; resources
//! carry their typed form in `data`. Values are written as they are: whoever shows them encodes
//! them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::finding::{Behaviour, Finding, FindingSource, Severity};
use crate::resource::Resource;

mod guard;

pub use guard::{Detector, from_guard};

/// The product that wrote the finding, and the key of its part of `unmapped`.
pub(crate) const WRITTEN_BY: &str = "davylamp";

/// The version of OCSF that is written.
const VERSION: &str = "1.5.0";

/// What OCSF has no place for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Unmapped {
    pub(crate) source: FindingSource,
    pub(crate) behaviour: Behaviour,
    pub(crate) sample: bool,
    /// There is no place, rather than one that somebody took away.
    pub(crate) no_place: bool,
    pub(crate) detector: Option<String>,
    pub(crate) gaps: Vec<String>,
}

/// Writes a finding as OCSF.
pub fn to_ocsf(finding: &Finding) -> Value {
    let (severity_id, severity) = match finding.severity {
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    };
    let (status_id, status) = if finding.archived {
        (5, "Archived")
    } else {
        (1, "New")
    };
    let time = finding.last_seen.or(finding.first_seen);
    let mut info = json!({
        "uid": finding.id,
        "title": finding.title,
        "types": [finding.kind],
    });
    for (name, time) in [
        ("first_seen_time", finding.first_seen),
        ("last_seen_time", finding.last_seen),
    ] {
        if let Some(time) = time {
            info[name] = json!(time.as_millisecond());
            info[format!("{name}_dt")] = json!(time.to_string());
        }
    }
    if finding.behaviour == Behaviour::Mining {
        info["attacks"] = json!([{
            "tactic": {"uid": "TA0040", "name": "Impact"},
            "technique": {"uid": "T1496", "name": "Resource Hijacking"},
            "sub_technique": {"uid": "T1496.001", "name": "Compute Hijacking"},
        }]);
    }
    let mut cloud = json!({"provider": "AWS"});
    if let Some(place) = &finding.place {
        cloud["account"] = json!({"uid": place.account, "type": "AWS Account", "type_id": 10});
        cloud["region"] = json!(place.region);
    }
    let observables: Vec<Value> = finding
        .observed
        .iter()
        .map(|observed| {
            let (type_id, kind) = observable(&observed.what);
            json!({
                "name": observed.what,
                "value": observed.value,
                "type_id": type_id,
                "type": kind,
            })
        })
        .collect();
    json!({
        "activity_id": 1,
        "activity_name": "Create",
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200_401,
        "type_name": "Detection Finding: Create",
        // OCSF requires a time; a finding that has none says so by the epoch, and its info by
        // having none.
        "time": time.map_or(0, |time| time.as_millisecond()),
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "count": finding.count,
        "message": finding.title,
        "metadata": {
            "version": VERSION,
            "profiles": ["cloud", "datetime"],
            "product": {"name": WRITTEN_BY, "vendor_name": "Davylamp"},
        },
        "cloud": cloud,
        "finding_info": info,
        "resources": finding.resources.iter().map(resource).collect::<Vec<_>>(),
        "observables": observables,
        "unmapped": {WRITTEN_BY: Unmapped {
            source: finding.source,
            behaviour: finding.behaviour,
            sample: finding.sample,
            no_place: finding.place.is_none(),
            detector: finding.detector.clone(),
            gaps: finding.gaps.clone(),
        }},
    })
}

fn resource(resource: &Resource) -> Value {
    let kind = match resource {
        Resource::Instance { .. } => "AWS::EC2::Instance",
        Resource::Volume { .. } => "AWS::EC2::Volume",
        Resource::Snapshot { .. } => "AWS::EC2::Snapshot",
        Resource::Image { .. } => "AWS::EC2::Image",
        Resource::Workload { .. } => "Kubernetes workload",
        Resource::Node { .. } => "Kubernetes node",
        Resource::EksCluster { .. } => "AWS::EKS::Cluster",
        Resource::EcsTask { .. } => "AWS::ECS::Task",
        Resource::EcsCluster { .. } => "AWS::ECS::Cluster",
        Resource::Function { .. } => "AWS::Lambda::Function",
        Resource::AccessKey { .. } => "AWS::IAM::AccessKey",
        Resource::Bucket { .. } => "AWS::S3::Bucket",
        Resource::HubUser { .. } => "JupyterHub user",
        Resource::Account | Resource::AccountRegion { .. } => "AWS::::Account",
        Resource::Unknown { kind } => kind,
    };
    json!({"uid": resource.key(), "type": kind, "data": resource})
}

/// OCSF's number and name of a kind of observable (`observable.type_id`).
fn observable(what: &str) -> (u32, &'static str) {
    match what {
        "domain" => (1, "Hostname"),
        "remote-address" | "public-address" => (2, "IP Address"),
        "user" => (4, "User Name"),
        "file" => (7, "File Name"),
        "sha256" => (8, "Hash"),
        "process" => (9, "Process Name"),
        "remote-port" => (11, "Port"),
        "command-line" => (13, "Command Line"),
        "user-agent" => (16, "HTTP User-Agent"),
        _ => (99, "Other"),
    }
}
