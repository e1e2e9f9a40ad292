//! From what the responder reports to records of the ledger.
//!
//! It reads the JSON that `--output json` prints, so that what a worker sees of a child, what `--console`
//! sends and what somebody saved in a file become the same records. Names of steps are the responder's
//! own: `verb:target`.

use davylamp_ledger::Record;
use davylamp_ledger::record::{Action, Evidence, LeftOut, Plan, Stage};
use davylamp_ledger::wire::{About, Sent};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Whether a value is what the responder prints with `--output json`.
pub fn is_report(value: &Value) -> bool {
    value.get("incidents").is_some_and(Value::is_array) && value.get("rehearsal").is_some()
}

/// The records of a report. `job` is the job that it came of.
pub fn of_report(report: &Value, job: Option<&str>) -> Vec<Sent> {
    let incidents = report["incidents"].as_array();
    let mut sent = Vec::new();
    for incident in incidents.into_iter().flatten() {
        let plan = &incident["plan"];
        if !plan.is_object() {
            continue;
        }
        let id = plan_id(plan);
        let about = About {
            job: job.map(str::to_owned),
            plan: Some(id.clone()),
            findings: texts(&plan["findings"]),
        };
        let record = Record::Plan(Plan {
            incident: None,
            plan: id.clone(),
            summary: summary(plan),
            text: plan.clone(),
            left_out: left_out(plan),
            cost_micro_usd_per_hour: None,
            by: String::new(),
        });
        let made = text(plan, "made-at");
        sent.push(Sent::new(record, about.clone(), &made));
        let outcome = &incident["came-of-it"]["outcome"];
        for steps in ["earlier", "steps"] {
            let steps = outcome[steps].as_object();
            for (step, state) in steps.into_iter().flatten() {
                let (Some(action), evidence) = (action(&id, step, state), evidence(step, state))
                else {
                    continue;
                };
                // A step that is where it was says so at every run: it is told once.
                sent.push(Sent::new(Record::Action(action), about.clone(), ""));
                for kept in evidence {
                    sent.push(Sent::new(Record::Evidence(kept), about.clone(), ""));
                }
            }
        }
    }
    sent
}

/// The records of what an undo prints with `--output json`.
pub fn of_undo(undone: &Value, plan: &str, job: Option<&str>, by: &str) -> Vec<Sent> {
    let about = About {
        job: job.map(str::to_owned),
        plan: Some(plan.to_owned()),
        findings: Vec::new(),
    };
    let action = |step: &str, stage: Stage, detail: &str| {
        let (what, target) = parts(step);
        let action = Action {
            incident: None,
            plan: plan.to_owned(),
            step: step.to_owned(),
            what,
            target,
            stage,
            detail: detail.to_owned(),
            by: by.to_owned(),
        };
        Sent::new(
            Record::Action(action),
            about.clone(),
            job.unwrap_or_default(),
        )
    };
    let taken_back = texts(&undone["undone"]);
    let mut sent: Vec<Sent> = taken_back
        .iter()
        .map(|step| action(step, Stage::Undone, ""))
        .collect();
    for (name, stage) in [("gone", Stage::Undone), ("not-undone", Stage::Failed)] {
        for one in undone[name].as_array().into_iter().flatten() {
            sent.push(action(&text(one, "step"), stage, &text(one, "why")));
        }
    }
    sent
}

/// A plan's name: the same for the same steps about the same thing, whenever and under whichever incident
/// of the responder's they were planned.
pub fn plan_id(plan: &Value) -> String {
    let steps = plan["steps"].as_array();
    let steps: Vec<Value> = steps
        .into_iter()
        .flatten()
        .map(|step| serde_json::json!([step["id"], step["only-after"], step["approval"].is_null()]))
        .collect();
    let mut essence = serde_json::json!({
        "place": plan["place"], "resource": plan["resource"], "playbook": plan["playbook"], "steps": steps,
    });
    // A build keeps members in another order than the next.
    essence.sort_all_objects();
    let digest = Sha256::digest(essence.to_string());
    let hex: String = digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("plan-{hex}")
}

fn summary(plan: &Value) -> String {
    let mut done = Vec::new();
    for step in plan["steps"].as_array().into_iter().flatten() {
        let (what, _) = parts(&text(step, "id"));
        if !done.contains(&what) {
            done.push(what);
        }
    }
    let done = match done.as_slice() {
        [] => "nothing is to be done".to_owned(),
        done => done.join(", "),
    };
    format!("{}: {done}", text(plan, "playbook"))
}

fn left_out(plan: &Value) -> Vec<LeftOut> {
    let omissions = plan["omissions"].as_array();
    let left_out = omissions.into_iter().flatten().map(|one| LeftOut {
        what: format!("{} {}", text(one, "what"), text(one, "target"))
            .trim()
            .to_owned(),
        reason: text(one, "because"),
    });
    left_out.collect()
}

/// A step as an action; `None` where it says nothing that happened.
fn action(plan: &str, step: &str, state: &Value) -> Option<Action> {
    let (stage, detail) = match state["state"].as_str()? {
        "intended" => (Stage::Before, String::new()),
        "succeeded" => (Stage::Done, text(state, "note")),
        "failed" => (Stage::Failed, text(state, "why")),
        "withheld" => (Stage::Withheld, text(state, "why")),
        "waiting" => (Stage::Before, format!("waits: {}", text(state, "what"))),
        "undone" => (Stage::Undone, text(state, "gone")),
        "kept" => (Stage::Done, text(state, "why")),
        _ => return None,
    };
    let (what, target) = parts(step);
    Some(Action {
        incident: None,
        plan: plan.to_owned(),
        step: step.to_owned(),
        what,
        target,
        stage,
        detail,
        by: text(state, "by"),
    })
}

/// The snapshots that a step of that kind has made, which stand in what it notes.
fn evidence(step: &str, state: &Value) -> Vec<Evidence> {
    let (what, target) = parts(step);
    if state["state"] != "succeeded" || !what.contains("snapshot") {
        return Vec::new();
    }
    let note = text(state, "note");
    let words = note.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let mut snapshots: Vec<&str> = words.filter(|word| word.starts_with("snap-")).collect();
    snapshots.sort_unstable();
    snapshots.dedup();
    let kept = snapshots.into_iter().map(|snapshot| Evidence {
        incident: None,
        what: format!("snapshot for {target}"),
        location: snapshot.to_owned(),
        // The provider keeps and protects it; it gives no digest of it.
        sha256: None,
        size_bytes: None,
        custody: format!("taken by {what}: {note}"),
        by: String::new(),
    });
    kept.collect()
}

fn parts(step: &str) -> (String, String) {
    let (what, target) = step.split_once(':').unwrap_or((step, ""));
    (what.to_owned(), target.to_owned())
}

fn text(value: &Value, member: &str) -> String {
    let text = value.get(member).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.filter_map(|it| it.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(state: Value) -> Value {
        json!({"rehearsal": false, "incidents": [{
            "incident": "inc-1",
            "plan": {
                "incident": "inc-1", "place": {"account": "111122223333", "region": "us-east-1"},
                "resource": {"instance": "i-1"}, "playbook": "hub-miner", "findings": ["f1"],
                "made-at": "2026-11-30T12:00:00Z",
                "steps": [{"id": "snapshot-instance:instance/i-1", "only-after": [], "approval": null}],
                "omissions": [{"what": "stop-hub-servers", "target": "instance/i-1", "because": "no Hub is configured"}],
            },
            "came-of-it": {"result": "worked", "outcome": {"steps": {"snapshot-instance:instance/i-1": state}}},
        }]})
    }

    #[test]
    fn a_report_becomes_a_plan_its_steps_and_what_was_kept() {
        let done = json!({"state": "succeeded", "note": "snap-0a of vol-1 and snap-0b of vol-2", "already": false});
        let sent = of_report(&report(done.clone()), Some("j1"));
        let kinds: Vec<&str> = sent.iter().map(|sent| sent.record.kind()).collect();
        assert_eq!(kinds, ["plan", "action", "evidence", "evidence"]);
        assert_eq!(sent[0].about.findings, ["f1"]);
        let Record::Plan(plan) = &sent[0].record else {
            panic!("a plan")
        };
        assert_eq!(plan.summary, "hub-miner: snapshot-instance");
        assert_eq!(plan.left_out[0].what, "stop-hub-servers instance/i-1");
        // Told again, it is the same; planned again for another incident, the plan is.
        assert_eq!(of_report(&report(done.clone()), Some("j1")), sent);
        let mut other = report(done);
        other["incidents"][0]["plan"]["incident"] = json!("inc-2");
        assert_eq!(plan_id(&other["incidents"][0]["plan"]), plan.plan);
    }

    #[test]
    fn a_report_in_another_shape_is_no_reason_to_panic() {
        for report in [
            json!({}),
            json!({"incidents": [1, null, {"plan": null}], "rehearsal": true}),
            report(json!({"state": 5})),
            report(Value::Null),
        ] {
            of_report(&report, None);
        }
        assert!(
            of_undo(
                &json!({"undone": [1, "a:b"], "gone": [null]}),
                "p",
                None,
                ""
            )
            .len()
                <= 2
        );
    }
}
