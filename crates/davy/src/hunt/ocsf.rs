//! Suspected incidents as OCSF 1.5 Detection Findings, one a line.
//!
//! <https://schema.ocsf.io/1.5.0/classes/detection_finding>. A suspect is one finding; its leads
//! are the related events and the evidence. Values are written as they are: whoever shows them
//! encodes them.

use std::collections::BTreeSet;

use davylamp_content::hunt::Entity as Kind;
use davylamp_hunt::run::{Job, Report};
use davylamp_hunt::suspects::{Entity, Lead, Suspect};
use davylamp_model::finding::Severity;
use serde_json::{Value, json};

/// One object a line.
pub(super) fn lines(report: &Report, jobs: &[Job]) -> String {
    let lines = report.suspects.iter();
    lines
        .map(|suspect| format!("{}\n", finding(suspect, jobs)))
        .collect()
}

fn finding(suspect: &Suspect, jobs: &[Job]) -> Value {
    let (severity_id, severity) = severity(suspect.severity);
    let title = suspect
        .because
        .first()
        .map_or("a suspected incident", String::as_str);
    let millis = |at: Option<jiff::Timestamp>| at.map(jiff::Timestamp::as_millisecond);
    let mut info = json!({
        "uid": suspect.id,
        "title": title,
        "desc": suspect.because.join("; "),
        "types": suspect.leads.iter().map(|lead| &lead.hunt).collect::<BTreeSet<_>>(),
        "attacks": attacks(suspect, jobs),
        "related_events_count": suspect.leads.len(),
    });
    for (name, at) in [
        ("first_seen_time", suspect.first_seen),
        ("last_seen_time", suspect.last_seen),
    ] {
        if let Some(at) = at {
            info[name] = json!(at.as_millisecond());
            info[format!("{name}_dt")] = json!(at.to_string());
        }
    }
    let evidences: Vec<Value> = suspect.leads.iter().map(evidence).collect();
    let mut cloud = json!({"provider": "AWS"});
    let all = || suspect.resources.iter().chain(&suspect.principals);
    if let Some(account) = all().find(|entity| entity.kind == Kind::Account) {
        cloud["account"] = json!({"uid": account.value, "type": "AWS Account", "type_id": 10});
    }
    if let Some(region) = all().find(|entity| entity.kind == Kind::Region) {
        cloud["region"] = json!(region.value);
    }
    json!({
        "activity_id": 1,
        "activity_name": "Create",
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200_401,
        "type_name": "Detection Finding: Create",
        // OCSF requires a time; a suspect without one says so by the epoch, and its info by having
        // none.
        "time": millis(suspect.last_seen.or(suspect.first_seen)).unwrap_or(0),
        "severity_id": severity_id,
        "severity": severity,
        "status_id": 1,
        "status": "New",
        // The chance that not all hunts are wrong, of a hundred.
        "confidence_score": suspect.score.round() as i64,
        "message": title,
        "metadata": {
            "version": "1.5.0",
            "profiles": ["cloud", "datetime"],
            "product": {"name": "davylamp", "vendor_name": "Davylamp"},
        },
        "cloud": cloud,
        "finding_info": info,
        "evidences": evidences,
        "resources": suspect.resources.iter().filter_map(resource).collect::<Vec<_>>(),
        "observables": all().filter_map(observable).collect::<Vec<_>>(),
        "unmapped": {"davylamp": {"principals": suspect.principals}},
    })
}

fn severity(severity: Severity) -> (u32, &'static str) {
    match severity {
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

/// The techniques of the hunts whose leads these are.
fn attacks(suspect: &Suspect, jobs: &[Job]) -> Vec<Value> {
    let of_lead = |lead: &Lead| jobs.iter().find(|job| job.hunt.name == lead.hunt);
    let techniques: BTreeSet<&String> = suspect
        .leads
        .iter()
        .filter_map(of_lead)
        .flat_map(|job| &job.hunt.techniques)
        .collect();
    let attack = |uid: &&String| match uid.split_once('.') {
        Some((technique, _)) => {
            json!({"technique": {"uid": technique}, "sub_technique": {"uid": uid}})
        }
        None => json!({"technique": {"uid": uid}}),
    };
    techniques.iter().map(attack).collect()
}

fn evidence(lead: &Lead) -> Value {
    json!({
        "data": {
            "hunt": lead.hunt,
            "score": lead.score,
            "because": lead.because,
            "evidence": lead.evidence,
            "first_seen": lead.first_seen,
            "last_seen": lead.last_seen,
        },
    })
}

/// What a suspect happened to, where OCSF calls such a thing a resource.
fn resource(entity: &Entity) -> Option<Value> {
    let kind = match entity.kind {
        Kind::Instance => "AWS::EC2::Instance",
        Kind::Interface => "AWS::EC2::NetworkInterface",
        Kind::Key => "AWS::IAM::AccessKey",
        Kind::Workload => "Kubernetes workload",
        Kind::Cluster => "AWS::EKS::Cluster",
        Kind::Function => "AWS::Lambda::Function",
        Kind::Account => "AWS::::Account",
        Kind::Region
        | Kind::Address
        | Kind::Remote
        | Kind::Principal
        | Kind::Session
        | Kind::Type => return None,
    };
    Some(json!({"uid": entity.value, "type": kind}))
}

/// OCSF's number and name of a kind of observable (`observable.type_id`).
fn observable(entity: &Entity) -> Option<Value> {
    let is_address = entity.value.parse::<std::net::IpAddr>().is_ok();
    let (type_id, kind) = match entity.kind {
        Kind::Address | Kind::Remote if is_address => (2, "IP Address"),
        Kind::Address | Kind::Remote => (1, "Hostname"),
        Kind::Principal | Kind::Session => (4, "User Name"),
        Kind::Instance | Kind::Interface | Kind::Key => (10, "Resource UID"),
        Kind::Account
        | Kind::Region
        | Kind::Workload
        | Kind::Cluster
        | Kind::Function
        | Kind::Type => return None,
    };
    Some(json!({
        "name": entity.kind_name(),
        "value": entity.value,
        "type_id": type_id,
        "type": kind,
    }))
}
