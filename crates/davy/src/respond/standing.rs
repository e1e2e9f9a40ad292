//! How incidents stand, and what an undo came to, as text and as JSON.

use davylamp_model::ids::IncidentId;
use davylamp_plan::plan::{Plan, Step, StepId};
use davylamp_respond::executor::{Outcome, ReadingState};
use davylamp_respond::journal::history::History;
use davylamp_respond::responder::{Status, is_observed};
use davylamp_respond::undo::Undone;
use serde_json::{Value, json};

use super::args::Output;
use super::show::{ask, earlier_text, line, named, plan_text, to_the_second};
use super::{FOUND, INCOMPLETE};
use crate::failure::Failure;
use crate::output::{emit, quiet_json};

/// How one stands that was only observed, under a configured dry run: nothing of it is ever done.
const OBSERVED: &str = "observed";
/// How an incident stands after an undo.
const TAKEN_BACK: &str = "taken back";
/// The same, where a step that can be taken back has not been.
const PARTLY: &str = "partly taken back";

/// How an incident stands, and the exit code for it.
pub(super) fn status(incident: &IncidentId, status: &Status, output: Output) -> (String, u8) {
    let outcome = Outcome::of(&status.history);
    let standing = standing(&status.history, &outcome);
    let code = standing_code(standing);
    let text = match output {
        Output::Json => quiet_json(&format!(
            "{}\n",
            json!({
                "incident": incident,
                "standing": standing,
                "finished": outcome.finished,
                "plan": status.history.plan(),
                "plan-hash": status.history.plan().map(Plan::hash),
                "steps": outcome.steps,
                "earlier-steps": status.history.earlier,
                "unreleased": outcome.unreleased,
                "untold": status.history.untold,
                "entries": status.entries,
            })
        )),
        Output::Text => {
            let mut text = String::new();
            let by = match (standing, &status.history.taken_back_by) {
                (TAKEN_BACK | PARTLY, Some(by)) => format!(" by {by}{}", beside(&status.history)),
                _ => String::new(),
            };
            line(&mut text, 0, &format!("{incident} {standing}{by}"));
            for finding in status.history.findings.values() {
                line(
                    &mut text,
                    1,
                    &format!("{} ({})", named(&finding.kind), finding.id),
                );
            }
            if let Some(plan) = status.history.plan() {
                plan_text(&mut text, plan, &outcome, false);
                ask(&mut text, incident, plan, &outcome);
            }
            earlier_text(&mut text, &outcome);
            for approval in &status.history.approvals {
                let what = if approval.steps.is_empty() {
                    "every step".to_owned()
                } else {
                    approval
                        .steps
                        .iter()
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(", ")
                };
                line(&mut text, 1, &format!("{} approved {what}", approval.by));
            }
            for (step, why) in &status.history.unreleased {
                let what = format!("{step} should have been taken back and stays: {why}");
                line(&mut text, 1, &what);
                let next = format!("take it back: davy respond undo {incident}");
                line(&mut text, 2, &next);
            }
            for (notice, channel) in &status.history.notified {
                line(&mut text, 1, &format!("told through {channel}: {notice}"));
            }
            for (channel, why) in &status.history.untold {
                line(&mut text, 1, &format!("not told through {channel}: {why}"));
            }
            text
        }
    };
    (text, code)
}

/// The first incidents in a line each, and the exit code for all: the one that is not shown may be
/// the one that fails.
pub(super) fn list(rows: &[(IncidentId, Status)], shown: usize, output: Output) -> (String, u8) {
    let mut worst = 0;
    let mut text = String::new();
    let mut listed = Vec::new();
    for (at, (incident, status)) in rows.iter().enumerate() {
        let outcome = Outcome::of(&status.history);
        let standing = standing(&status.history, &outcome);
        worst = worst.max(standing_code(standing));
        if at >= shown {
            continue;
        }
        let plan = status.history.plan();
        let opened = status.history.opened_at;
        let about = plan.map(|plan| {
            format!(
                "{}/{}/{}",
                plan.place.account,
                plan.place.region,
                plan.resource.key()
            )
        });
        match output {
            Output::Json => listed.push(json!({
                "incident": incident,
                "opened-at": opened,
                "resource": about,
                "playbook": plan.map(|plan| &plan.playbook),
                "standing": standing,
            })),
            Output::Text => {
                let opened = opened.map_or_else(
                    || "not opened".to_owned(),
                    |at| to_the_second(at).to_string(),
                );
                let what = match (plan, &about) {
                    (Some(plan), Some(about)) => format!("{}  {about}", plan.playbook),
                    _ => "claimed, and no plan made yet".to_owned(),
                };
                let row = format!("{incident}  {opened}  {standing:<10}  {what}");
                line(&mut text, 0, &row);
            }
        }
    }
    match output {
        Output::Json => (quiet_json(&format!("{}\n", Value::Array(listed))), worst),
        Output::Text if rows.is_empty() => ("no incidents\n".to_owned(), 0),
        Output::Text => (text, worst),
    }
}

fn standing(history: &History, outcome: &Outcome) -> &'static str {
    if history
        .plan()
        .is_some_and(|plan| is_observed(&plan.incident))
        && outcome.finished
    {
        return OBSERVED;
    }
    let is_blind = history.plan().is_some_and(|plan| plan.blind.is_some());
    if outcome.finished && history.is_taken_back() {
        TAKEN_BACK
    } else if outcome.finished && history.taken_back_by.is_some() {
        // Something could not be taken back and may be yet.
        PARTLY
    } else if outcome.failures().next().is_some()
        || outcome.reading == ReadingState::GivenUp
        || is_blind
        || !outcome.unreleased.is_empty()
        || !history.untold.is_empty()
    {
        "failing"
    } else if outcome.reading == ReadingState::Again {
        "under way"
    } else if outcome.withheld().next().is_some() {
        "withheld"
    } else if outcome.waiting().next().is_some() || !outcome.finished {
        "under way"
    } else {
        "finished"
    }
}

/// What a person's undo could not take back, and nobody can.
fn beside(history: &History) -> String {
    let lasts = |id: &&StepId| {
        let step = history.plan_with(id).and_then(|plan| plan.step(id));
        step.is_some_and(|step| {
            !step.action.is_reversible() && step.action.stays_because().is_none()
        })
    };
    match history.begun.iter().filter(lasts).count() {
        0 => String::new(),
        1 => ", beside 1 step that cannot be".to_owned(),
        count => format!(", beside {count} steps that cannot be"),
    }
}

fn standing_code(standing: &str) -> u8 {
    match standing {
        "finished" | TAKEN_BACK | OBSERVED => 0,
        "failing" => INCOMPLETE,
        _ => FOUND,
    }
}

/// What a yes would be to, for a dry run.
pub(super) fn would_approve(
    incident: &IncidentId,
    plan: &Plan,
    steps: &[&Step],
    output: Output,
) -> Result<(), Failure> {
    let text = match output {
        Output::Json => {
            let ids: Vec<&StepId> = steps.iter().map(|step| &step.id).collect();
            let whole = json!({
                "incident": incident, "dry-run": true, "plan-hash": plan.hash(), "would-approve": ids,
            });
            quiet_json(&format!("{whole}\n"))
        }
        Output::Text => {
            let mut text = String::new();
            let what = format!("{incident}: this is a dry run; a yes would be to");
            line(&mut text, 0, &what);
            for step in steps {
                let why = step.approval.as_deref().unwrap_or_default();
                line(&mut text, 1, &format!("{}: {why}", step.id));
            }
            text
        }
    };
    emit(text)
}

/// What a run would go on with, for a dry run.
pub(super) fn due(incidents: &[IncidentId], output: Output) -> Result<(), Failure> {
    let text = match output {
        Output::Json => format!("{}\n", json!({"dry-run": true, "due": incidents})),
        Output::Text if incidents.is_empty() => "nothing waits\n".to_owned(),
        Output::Text => {
            let mut text = String::new();
            for incident in incidents {
                line(&mut text, 0, &format!("would go on with {incident}"));
            }
            text
        }
    };
    emit(text)
}

fn with_reasons(steps: &[(StepId, String)]) -> Vec<Value> {
    let steps = steps.iter();
    steps
        .map(|(step, why)| json!({"step": step, "why": why}))
        .collect()
}

/// What was taken back, or would be, and what stays.
pub(super) fn undone(
    incident: &IncidentId,
    undone: &Undone,
    output: Output,
    dry_run: bool,
) -> Result<u8, Failure> {
    let text = match output {
        Output::Json => quiet_json(&format!(
            "{}\n",
            json!({
                "incident": incident,
                "dry-run": dry_run,
                "undone": undone.undone,
                "gone": with_reasons(&undone.gone),
                "kept": with_reasons(&undone.kept),
                "never-done": with_reasons(&undone.never_done),
                "not-undone": with_reasons(&undone.not_undone),
                "again": !undone.again.is_empty(),
            })
        )),
        Output::Text => {
            let mut text = String::new();
            if dry_run {
                let what = format!("{incident}: this is a dry run; an undo would come to");
                line(&mut text, 0, &what);
            }
            for step in &undone.undone {
                line(&mut text, 0, &format!("taken back {step}"));
            }
            for (step, why) in &undone.gone {
                line(&mut text, 0, &format!("gone       {step}: {why}"));
            }
            for (step, why) in &undone.kept {
                line(&mut text, 0, &format!("stays      {step}: {why}"));
            }
            for (step, why) in &undone.never_done {
                line(&mut text, 0, &format!("never done {step}: {why}"));
            }
            for (step, why) in &undone.not_undone {
                line(&mut text, 0, &format!("not undone {step}: {why}"));
            }
            if undone.undone.is_empty() && undone.not_undone.is_empty() {
                line(&mut text, 0, &format!("{incident}: nothing to take back"));
            }
            if !undone.again.is_empty() {
                let again = format!("it may work another time: davy respond undo {incident}");
                line(&mut text, 0, &again);
            }
            text
        }
    };
    emit(text)?;
    Ok(if !undone.again.is_empty() {
        INCOMPLETE
    } else if undone.not_undone.is_empty() {
        0
    } else {
        FOUND
    })
}
