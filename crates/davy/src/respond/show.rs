//! What came of a run, as text and as JSON.
//!
//! Values may come from an attacker's host: none reaches the terminal without its control and
//! direction characters made visible.

use std::fmt::Write as _;

use davylamp_model::finding::Finding;
use davylamp_model::ids::IncidentId;
use davylamp_model::intake::Intake;
use davylamp_notice::visible;
use davylamp_plan::gate::may_be_approved;
use davylamp_plan::plan::{Attribution, Plan, Step, StepId, alike, has_lasting_id};
use davylamp_respond::executor::Outcome;
use davylamp_respond::journal::history::StepState;
use davylamp_respond::responder::{CameOfIt, IncidentReport, Report, is_observed};
use jiff::{Timestamp, Unit};
use serde_json::{Value, json};

use crate::output::counted;

/// A time for reading: what happens within a second matters to nobody.
pub(super) fn to_the_second(at: Timestamp) -> Timestamp {
    at.round(Unit::Second).unwrap_or(at)
}

/// One line for a step that changed, while a run goes on.
pub(super) fn progress(incident: &IncidentId, step: &StepId, state: &StepState) -> String {
    let (word, more) = words(state);
    visible(&format!("{incident} {word} {step}{more}"))
}

/// A state in a word, and what belongs to it.
pub(super) fn words(state: &StepState) -> (&'static str, String) {
    match state {
        StepState::Intended => ("begun", String::new()),
        StepState::Succeeded { note, already } => (
            if *already { "already" } else { "done" },
            format!(": {note}"),
        ),
        StepState::Failed { why, again } => (
            if *again {
                "failed, again later"
            } else {
                "failed"
            },
            format!(": {why}"),
        ),
        StepState::Withheld { why } => ("not done", format!(": {why}")),
        StepState::Waiting { what } => ("waits", format!(": {what}")),
        StepState::Undone { by, gone: None } => ("taken back", format!(" by {by}")),
        StepState::Undone {
            gone: Some(why), ..
        } => ("gone", format!(": {why}")),
        StepState::Kept { why, .. } => ("stays", format!(": {why}")),
    }
}

/// A whole run as text.
pub(super) fn report(report: &Report, intake: &Intake, rehearsal: bool) -> String {
    let mut text = String::new();
    for incident in &report.incidents {
        incident_text(&mut text, incident, &intake.findings, rehearsal);
    }
    for one in &report.reported {
        line(
            &mut text,
            0,
            &format!(
                "reported only: {} ({}): {}",
                named(&one.kind),
                one.finding,
                one.because
            ),
        );
        for gap in &one.gaps {
            line(&mut text, 1, gap);
        }
    }
    for one in &intake.rejected {
        line(
            &mut text,
            0,
            &format!("not understood: {}: {}", one.at, one.why),
        );
        line(&mut text, 1, one.why.next_step());
    }
    for (name, count) in &intake.passed_over {
        let times = counted(*count, "time", "times");
        line(&mut text, 0, &format!("passed over: {name}, {times}"));
    }
    for incident in &report.left {
        line(
            &mut text,
            0,
            &format!("left alone, because this is a dry run: {incident}"),
        );
    }
    for one in &report.untold {
        line(
            &mut text,
            0,
            &format!(
                "not told: {} through {}: {}",
                one.incident, one.channel, one.why
            ),
        );
    }
    text
}

/// A finding's type, also where it has none.
pub(super) fn named(kind: &str) -> &str {
    match kind.trim() {
        "" => "a finding without a type",
        kind => kind,
    }
}

fn incident_text(
    text: &mut String,
    incident: &IncidentReport,
    findings: &[Finding],
    rehearsal: bool,
) {
    let plan = incident.plan.as_ref();
    // A plan looks into no journal, and a real run goes on with an incident that is open there.
    let known = match rehearsal {
        false => format!("{} ", incident.incident),
        true if plan.is_some_and(|plan| !has_lasting_id(&plan.resource)) => {
            "a new incident, if none is open about it: ".to_owned()
        }
        true => format!("new, if none is open about it: {} ", incident.incident),
    };
    line(text, 0, &format!("{known}{}", incident.resource));
    let ids = plan.map(|plan| plan.findings.as_slice());
    let is_of_it = |finding: &&Finding| ids.unwrap_or_default().contains(&finding.id);
    for finding in findings.iter().filter(is_of_it).take(FOUND_NAMED) {
        found_text(text, finding);
    }
    match &incident.came_of_it {
        CameOfIt::Busy { run, until } => {
            line(
                text,
                1,
                &format!(
                    "another run works on it: {run}, until {}",
                    to_the_second(*until)
                ),
            );
        }
        CameOfIt::Broken { why } => line(text, 1, &format!("could not be worked on: {why}")),
        CameOfIt::Stopped => line(
            text,
            1,
            "not begun, because the run was asked to stop: run the same again",
        ),
        CameOfIt::Worked { outcome } => {
            if let Some(plan) = &incident.plan {
                plan_text(text, plan, outcome, rehearsal);
            }
            if outcome.stopped {
                line(
                    text,
                    1,
                    "stopped before its work was over; it goes on with: davy respond resume",
                );
                return;
            }
            if outcome.cut_short {
                line(text, 1, "the run's time was over before its work was");
            }
            if !rehearsal {
                earlier_text(text, outcome);
            }
            if let (Some(plan), false) = (&incident.plan, rehearsal) {
                ask(text, &incident.incident, plan, outcome);
            }
            if outcome.has_failed() && !rehearsal {
                let again = format!(
                    "mend what made steps fail, then: davy respond resume {}",
                    incident.incident
                );
                line(text, 1, &again);
            }
            if let Some(due) = outcome.due {
                let due = to_the_second(due);
                let next =
                    format!("due again at {due}: a worker goes on then, or davy respond resume");
                line(text, 1, &next);
            }
        }
    }
}

/// So many of an incident's findings are named.
const FOUND_NAMED: usize = 5;

/// What was found, and what was seen.
fn found_text(text: &mut String, finding: &Finding) {
    let title = finding.title.trim();
    let said = match title.is_empty() || title == finding.kind {
        true => String::new(),
        false => format!(": {title}"),
    };
    line(text, 1, &format!("found {}{said}", named(&finding.kind)));
    for seen in &finding.observed {
        line(text, 2, &format!("{}: {}", seen.what, seen.value));
    }
}

/// What earlier plans did that the last does not name.
pub(super) fn earlier_text(text: &mut String, outcome: &Outcome) {
    if !outcome.earlier.is_empty() {
        line(text, 1, "by earlier plans");
    }
    for (step, state) in &outcome.earlier {
        let (word, more) = words(state);
        line(text, 2, &format!("{word:<9} {step}{more}"));
    }
}

/// The steps that wait for a person.
pub(super) fn waiting<'p>(plan: &'p Plan, outcome: &Outcome) -> impl Iterator<Item = &'p Step> {
    plan.steps
        .iter()
        .filter(|step| match outcome.steps.get(&step.id) {
            Some(StepState::Withheld { why }) => may_be_approved(why),
            _ => false,
        })
}

/// How to say yes to what waits for a person, where anybody may.
pub(super) fn ask(text: &mut String, incident: &IncidentId, plan: &Plan, outcome: &Outcome) {
    if is_observed(incident) {
        return;
    }
    if let Some(first) = waiting(plan, outcome).next() {
        let yes = format!("say yes to what waits for a person: davy respond approve {incident}");
        line(text, 1, &yes);
        line(
            text,
            1,
            &format!("or to one step alone: --step {}", first.id),
        );
    }
}

pub(super) fn plan_text(text: &mut String, plan: &Plan, outcome: &Outcome, rehearsal: bool) {
    line(text, 1, &format!("playbook {}", plan.playbook));
    if let Some(why) = &plan.blind {
        line(
            text,
            1,
            &format!("nothing of it could be read, so nobody knows what should be done: {why}"),
        );
    }
    if plan.is_about_users() {
        who_text(text, &plan.attribution);
    }
    for remark in &plan.remarks {
        line(text, 1, remark);
    }
    let mut stage = None;
    for step in &plan.steps {
        if stage != Some(step.stage) {
            stage = Some(step.stage);
            line(text, 1, step.stage.name());
        }
        let state = outcome.steps.get(&step.id).filter(|_| !rehearsal);
        let (word, more) = match state {
            Some(state) => words(state),
            None if rehearsal => ("would", format!(": {}", step.why)),
            None => ("not yet", String::new()),
        };
        line(text, 2, &format!("{word:<9} {}{more}", step.id));
        if rehearsal && let Some(why) = &step.approval {
            line(text, 3, &format!("waits for a person: {why}"));
        }
    }
    if !plan.omissions.is_empty() {
        line(text, 1, "not, because");
        for (what, target, because) in alike(&plan.omissions) {
            line(text, 2, &format!("{} {target}: {because}", what.join(", ")));
        }
    }
    if let Some(release) = &plan.release {
        let steps = counted(release.steps.len() as u64, "step is", "steps are");
        let hours = counted(u64::from(release.after_hours), "hour", "hours");
        line(
            text,
            1,
            &format!("{steps} taken back {hours} after the end"),
        );
    }
}

fn who_text(text: &mut String, attribution: &Attribution) {
    let who = match &attribution.decided {
        Some(user) => format!("who: {user}, {}", attribution.because),
        None => format!("who: not decided, {}", attribution.because),
    };
    line(text, 1, &who);
    for candidate in &attribution.candidates {
        let hub = if candidate.confirmed {
            "known to the Hub"
        } else {
            "not confirmed by the Hub"
        };
        line(text, 2, &format!("candidate {}, {hub}", candidate.user));
        for link in &candidate.chain {
            line(
                text,
                3,
                &format!("{} -> {}: {}", link.from, link.to, link.proof),
            );
        }
        for evidence in &candidate.evidence {
            line(text, 3, evidence);
        }
    }
}

/// A line whose text cannot move the cursor or turn the writing round.
pub(super) fn line(text: &mut String, depth: usize, content: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{:indent$}{}",
        "",
        visible(content),
        indent = depth * 2
    );
}

/// A whole run as one JSON object.
pub(super) fn report_json(report: &Report, intake: &Intake, rehearsal: bool) -> String {
    let rejected: Vec<Value> = intake
        .rejected
        .iter()
        .map(|one| {
            json!({
                "at": one.at,
                "why": one.why.to_string(),
                "next": one.why.next_step(),
            })
        })
        .collect();
    let mut whole = serde_json::to_value(report)
        .unwrap_or_else(|error| json!({"error": format!("the report has no JSON form: {error}")}));
    whole["rehearsal"] = rehearsal.into();
    whole["rejected"] = rejected.into();
    whole["passed-over"] = json!(intake.passed_over);
    for incident in whole["incidents"].as_array_mut().into_iter().flatten() {
        let hash = report
            .incidents
            .iter()
            .find(|one| incident["incident"] == one.incident.as_str())
            .and_then(|one| one.plan.as_ref())
            .map(Plan::hash);
        incident["plan-hash"] = json!(hash);
    }
    format!("{whole}\n")
}
