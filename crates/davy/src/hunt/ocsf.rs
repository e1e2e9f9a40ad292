//! Suspected incidents as OCSF 1.5 Detection Findings, one a line, which `davy respond` reads.
//!
//! <https://schema.ocsf.io/1.5.0/classes/detection_finding>. The findings of one suspect bear its id
//! as their correlation id; their leads are the evidence. Values are written as they are: whoever
//! shows them encodes them.

use std::collections::BTreeSet;

use davylamp_hunt::run::{Job, Report};
use davylamp_hunt::suspects::Lead;
use davylamp_model::ocsf::to_ocsf;
use serde_json::{Value, json};

use super::findings::{self, Told};

/// One object a line.
pub(super) fn lines(report: &Report, jobs: &[Job]) -> String {
    let told = report.suspects.iter().flat_map(|it| findings::of(it, jobs));
    told.map(|told| format!("{}\n", object(&told))).collect()
}

fn object(told: &Told<'_>) -> Value {
    let mut object = to_ocsf(&told.finding);
    let info = &mut object["finding_info"];
    info["desc"] = json!(told.suspect.because.join("; "));
    info["attacks"] = json!(attacks(told));
    info["related_analytics"] = json!(analytics(told));
    info["related_events_count"] = json!(told.leads.len());
    // The chance that not all hunts are wrong, of a hundred.
    object["confidence_score"] = json!(told.score.round() as i64);
    object["metadata"]["correlation_uid"] = json!(told.suspect.id);
    object["evidences"] = told.leads.iter().map(|lead| evidence(lead)).collect();
    object
}

/// The hunts, as OCSF's rules.
fn analytics(told: &Told<'_>) -> Vec<Value> {
    let names: BTreeSet<&String> = told.leads.iter().map(|lead| &lead.hunt).collect();
    let analytic = |name| json!({"name": name, "type_id": 1, "type": "Rule"});
    names.into_iter().map(analytic).collect()
}

/// The techniques of the hunts.
fn attacks(told: &Told<'_>) -> Vec<Value> {
    let of_hunts = told.hunts.iter().flat_map(|hunt| &hunt.techniques);
    let techniques: BTreeSet<&String> = of_hunts.collect();
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
