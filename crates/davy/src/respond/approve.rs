//! `davy respond approve`: a person's yes, and what it is refused for.

use std::process::ExitCode;

use anyhow::anyhow;
use davylamp_model::intake::Intake;
use davylamp_plan::plan::{Plan, Step, StepId};
use davylamp_plan::policy::Approvals;
use davylamp_respond::executor::Outcome;
use davylamp_respond::journal::history::{History, StepState};
use davylamp_respond::responder::{CameOfIt, is_observed};

use super::args::{ApproveArgs, Common};
use super::show::{to_the_second, waiting};
use super::{Desk, FOUND, by, journal_failure, patiently, standing};
use crate::failure::Failure;

/// Says yes, and goes on with the incident.
pub(super) async fn approve(common: &Common, asked: &ApproveArgs) -> Result<ExitCode, Failure> {
    if is_observed(&asked.incident) {
        return Err(Failure::new(
            anyhow!(
                "{} was only observed, under respond.dry_run: nothing of it is ever done",
                asked.incident
            ),
            "set respond.dry_run to false and respond to its finding: that opens an incident inc-…",
        ));
    }
    let desk = Desk::open(common).await?.listening();
    let responder = desk.responder();
    let status = responder
        .status(&asked.incident)
        .await
        .map_err(journal_failure)?;
    let plan = status.history.plan().ok_or_else(|| {
        Failure::new(
            anyhow!("incident {} has no plan yet", asked.incident),
            format!("see how it stands: davy respond status {}", asked.incident),
        )
    })?;
    if let Some(unknown) = asked
        .step
        .iter()
        .find(|wanted| !plan.steps.iter().any(|step| step.id.0 == **wanted))
    {
        return Err(Failure::new(
            anyhow!("the plan of {} has no step {unknown}", asked.incident),
            format!("see its steps: davy respond status {}", asked.incident),
        ));
    }
    let is_settled = |step: &Step| {
        let state = status.history.steps.get(&step.id);
        state.is_some_and(StepState::is_settled)
    };
    if status.history.is_finished() && plan.steps.iter().all(is_settled) {
        return Err(Failure::new(
            anyhow!("nothing of {} waits for anybody", asked.incident),
            format!("see how it stands: davy respond status {}", asked.incident),
        ));
    }
    if let Some((step, before)) = wants_more(&status.history, plan, &asked.step) {
        return Err(Failure::new(
            anyhow!("{step} waits for {before}, which needs a yes as well"),
            format!("say yes to both: add --step {before}"),
        ));
    }
    if common.dry_run {
        let outcome = Outcome::of(&status.history);
        let is_meant = |step: &&Step| asked.step.is_empty() || asked.step.contains(&step.id.0);
        let meant: Vec<&Step> = waiting(plan, &outcome).filter(is_meant).collect();
        standing::would_approve(&asked.incident, plan, &meant, common.output)?;
        return Ok(ExitCode::from(FOUND));
    }
    let approvals = Approvals {
        incident: asked.incident.clone(),
        plan: plan.hash(),
        steps: asked.step.iter().cloned().collect(),
        by: by(asked.by.as_deref()),
    };
    let what = format!("going on with {}", asked.incident);
    let report = patiently(&what, responder.approve(approvals))
        .await
        .map_err(journal_failure)?;
    if let [only] = report.incidents.as_slice()
        && let CameOfIt::Busy { run, until } = &only.came_of_it
    {
        return Err(Failure::new(
            anyhow!(
                "your yes was not recorded: run {run} works on {}",
                only.incident
            ),
            format!(
                "say it again when that run has ended, at the latest after {}",
                to_the_second(*until)
            ),
        ));
    }
    desk.show(&report, &Intake::default()).await
}

/// A step that is said yes to, and one it waits for that nobody has said yes to: alone the first would
/// never be taken.
fn wants_more<'p>(
    history: &History,
    plan: &'p Plan,
    asked: &[String],
) -> Option<(&'p StepId, &'p StepId)> {
    let hash = plan.hash();
    let may_be_taken = |id: &StepId| {
        let step = plan.step(id);
        let mut approvals = history.approvals.iter().filter(|it| it.plan == hash);
        step.is_none_or(|step| step.approval.is_none())
            || asked.contains(&id.0)
            || history.satisfied().contains(id)
            || approvals.any(|it| it.steps.is_empty() || it.steps.contains(&id.0))
    };
    let wanted = plan.steps.iter().filter(|step| asked.contains(&step.id.0));
    let mut pairs =
        wanted.flat_map(|step| step.only_after.iter().map(move |before| (&step.id, before)));
    pairs.find(|(_, before)| !may_be_taken(before))
}
