//! What people decide about plans.
//!
//! A decision that has something done is two entries in one batch: the decision, and the job. The job's name
//! is made of what is asked and of how often it was asked before, so that a form sent twice asks once.

use std::cmp::Ordering;

use axum::extract::{Path, State};
use axum::response::Redirect;
use davylamp_ledger::query::{At, JobFilter, PAGE_ROWS};
use davylamp_ledger::record::{
    Choice, Decision, Errand, IncidentNo, Job, JobStage, JobStep, Plan, Record,
};
use davylamp_ledger::rows::{IncidentRow, JobRow, PlanRow};
use davylamp_ledger::{Input, LedgerError};
use maud::{Markup, html};
use serde::Deserialize;

use super::{All, Seen, asked};
use crate::access::{Refused, Signed, Viewer};
use crate::page::frame::csrf;
use crate::page::incident::forms::{bounded, whole};
use crate::page::sight;
use crate::site::Site;

pub(super) fn show(viewer: &Viewer, incident: &IncidentRow, all: &All, seen: &Seen) -> Markup {
    let row = &seen.row;
    let to = |what: &str| format!("/incidents/{}/plan/{what}", incident.id);
    let Some(told) = &seen.told else {
        return decide(
            viewer,
            all,
            seen,
            &to,
            "What it would do without a yes is for you to read above.",
        );
    };
    let (steps, waiting) = (told.steps.len(), told.waiting());
    let words = match (&row.approved_by, waiting) {
        (Some(_), _) => format!("All {steps} steps: somebody has said yes."),
        (None, 0) => format!("All {steps} steps: none of them needs a yes."),
        (None, waiting) if waiting == steps => {
            "Nothing before somebody says yes: every step needs it.".to_owned()
        }
        (None, waiting) => format!(
            "{} of {steps} steps at once, without a yes; {waiting} wait until somebody approves and runs it again.",
            steps - waiting
        ),
    };
    decide(viewer, all, seen, &to, &words)
}

fn decide(
    viewer: &Viewer,
    all: &All,
    seen: &Seen,
    to: &impl Fn(&str) -> String,
    words: &str,
) -> Markup {
    let row = &seen.row;
    let nth = |errand: &str| asked(&all.jobs, errand, &row.plan);
    html! {
        div.decide {
            @if seen.is_open() && row.approved_by.is_none() {
                form.stack method="post" action=(to("approve")) {
                    (csrf(viewer)) input type="hidden" name="plan" value=(row.id);
                    label for=(format!("yes-{}", row.id)) { "Say yes " span.muted { "(a reason, if you like)" } }
                    input id=(format!("yes-{}", row.id)) name="reason" maxlength="2000";
                    button { "Approve" }
                }
            }
            @if seen.is_open() {
                form.stack method="post" action=(to("run")) {
                    (csrf(viewer)) input type="hidden" name="plan" value=(row.id); input type="hidden" name="nth" value=(nth("run"));
                    input type="hidden" name="approved" value=(row.approved_by.as_deref().unwrap_or_default());
                    p { strong { "What runs: " } (words) }
                    button.primary { "Run it" }
                }
            }
            @if seen.was_run() {
                form.stack method="post" action=(to("undo")) {
                    (csrf(viewer)) input type="hidden" name="plan" value=(row.id); input type="hidden" name="nth" value=(nth("undo"));
                    label for=(format!("back-{}", row.id)) { "Take it back " span.muted { "(all steps that can be)" } }
                    input id=(format!("back-{}", row.id)) name="reason" maxlength="2000" placeholder="Why";
                    button { "Undo" }
                }
            }
        }
    }
}

async fn jobs(site: &Site, incident: IncidentNo) -> Result<Vec<JobRow>, Refused> {
    let filter = JobFilter {
        incident: Some(incident),
        ..JobFilter::default()
    };
    let page = site.ledger().jobs(&filter, &At::first(PAGE_ROWS)).await?;
    Ok(page.items)
}

/// A plan of the incident by the entry that first told of it, with what it says.
async fn plan(site: &Site, incident: IncidentNo, id: i64) -> Result<(PlanRow, Plan), Refused> {
    let all = super::read(site, incident).await?;
    let seen = all.plans.into_iter().find(|seen| seen.row.id == id);
    let seen = seen.ok_or(Refused::Absent)?;
    let removed = || Refused::Wrong("Retention has removed what this plan said.".to_owned());
    Ok((seen.row, seen.plan.ok_or_else(removed)?))
}

fn stale(why: &str) -> Refused {
    Refused::Wrong(format!(
        "{why} Nothing was changed: go back and load the page again."
    ))
}

/// The workers of an incident's only cluster have what is needed for it; where there are several, any may try.
fn cluster(row: &IncidentRow) -> String {
    match sight::names(&row.clusters).as_slice() {
        // An account has no workers of its own.
        [one] if !one.starts_with("account:") => one.clone(),
        _ => String::new(),
    }
}

/// Whether a form asks for the next job: one that was sent twice does not, and one that runs ahead is none of
/// ours.
fn is_new(asked: usize, nth: usize) -> Result<bool, Refused> {
    match asked.cmp(&nth) {
        Ordering::Greater => Ok(false),
        Ordering::Less => Err(Refused::Form),
        Ordering::Equal => Ok(true),
    }
}

/// What is asked of workers, with what was decided, in one batch that is written once.
async fn ask(
    site: &Site,
    incident: &IncidentRow,
    nth: usize,
    decision: Option<Decision>,
    errand: Errand,
    viewer: &Viewer,
) -> Result<Redirect, Refused> {
    let job = format!(
        "{} of {} {} for {}",
        nth + 1,
        errand.as_str(),
        errand.subject(),
        incident.id
    );
    // A control character: what senders call their batches has none.
    let key = format!("\u{1}{job}");
    let job = Record::Job(Job {
        job,
        incident: Some(IncidentNo(incident.id)),
        cluster: cluster(incident),
        errand,
        by: viewer.name.clone(),
    });
    let decision = decision.map(Record::Decision);
    let inputs: Vec<Input> = decision
        .into_iter()
        .chain([job])
        .map(|record| Input::Record(Box::new(record)))
        .collect();
    site.ledger()
        .deliver(Some(&key), &inputs, site.now())
        .await?;
    site.live().wake();
    Ok(back(incident.id, "asked"))
}

fn back(incident: i64, done: &str) -> Redirect {
    Redirect::to(&format!("/incidents/{incident}?done={done}#plan"))
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct AskForm {
    nth: usize,
}

pub(in crate::page) async fn plan_wanted(
    State(site): State<Site>,
    Path(no): Path<String>,
    Signed { viewer, form }: Signed<AskForm>,
) -> Result<Redirect, Refused> {
    let row = whole(&site, &viewer, &no).await?;
    let jobs = jobs(&site, IncidentNo(row.id)).await?;
    if !is_new(asked(&jobs, "plan", ""), form.nth)? {
        return Ok(back(row.id, "asked"));
    }
    ask(&site, &row, form.nth, None, Errand::Plan, &viewer).await
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct PlanForm {
    plan: i64,
    #[serde(default)]
    nth: usize,
    /// Who had said yes when the page was made.
    #[serde(default)]
    approved: String,
    #[serde(default)]
    reason: String,
}

fn decision(
    incident: &IncidentRow,
    plan: &Plan,
    choice: Choice,
    reason: String,
    viewer: &Viewer,
) -> Decision {
    Decision {
        incident: Some(IncidentNo(incident.id)),
        choice,
        plan: Some(plan.plan.clone()),
        subject: None,
        reason,
        by: viewer.name.clone(),
    }
}

pub(in crate::page) async fn approve(
    State(site): State<Site>,
    Path(no): Path<String>,
    Signed { viewer, form }: Signed<PlanForm>,
) -> Result<Redirect, Refused> {
    let incident = whole(&site, &viewer, &no).await?;
    let reason = bounded(form.reason, "reason")?;
    let seen = open(&site, &incident, form.plan).await?;
    let Some(plan) = seen.plan.filter(|_| seen.row.approved_by.is_none()) else {
        return Ok(back(incident.id, "approved"));
    };
    let record = decision(&incident, &plan, Choice::Approve, reason, &viewer);
    site.ledger()
        .record(Record::Decision(record), site.now())
        .await?;
    site.live().wake();
    Ok(back(incident.id, "approved"))
}

/// A plan that is to be decided about.
async fn open(site: &Site, incident: &IncidentRow, id: i64) -> Result<Seen, Refused> {
    let all = super::read(site, IncidentNo(incident.id)).await?;
    let seen = all.plans.into_iter().find(|seen| seen.row.id == id);
    let seen = seen.ok_or(Refused::Absent)?;
    match seen.is_open() {
        true => Ok(seen),
        false if seen.is_old => Err(stale("A later plan stands in the place of this one.")),
        false => Err(stale("It has been decided about already.")),
    }
}

pub(in crate::page) async fn run(
    State(site): State<Site>,
    Path(no): Path<String>,
    Signed { viewer, form }: Signed<PlanForm>,
) -> Result<Redirect, Refused> {
    let incident = whole(&site, &viewer, &no).await?;
    let (row, _) = plan(&site, IncidentNo(incident.id), form.plan).await?;
    let jobs = jobs(&site, IncidentNo(incident.id)).await?;
    if !is_new(asked(&jobs, "run", &row.plan), form.nth)? {
        return Ok(back(incident.id, "asked"));
    }
    let seen = open(&site, &incident, form.plan).await?;
    if seen.row.approved_by.as_deref().unwrap_or_default() != form.approved {
        return Err(stale(
            "Somebody has said yes to this plan in the meantime: more would run than the page said.",
        ));
    }
    let Some(plan) = seen.plan else {
        return Err(Refused::Absent);
    };
    let reason = match &seen.row.approved_by {
        Some(name) => format!("with the yes of {name}"),
        None => "as far as nobody has to say yes".to_owned(),
    };
    let errand = Errand::Run {
        plan: plan.plan.clone(),
        approved_by: seen.row.approved_by,
    };
    let decision = decision(&incident, &plan, Choice::Run, reason, &viewer);
    ask(&site, &incident, form.nth, Some(decision), errand, &viewer).await
}

pub(in crate::page) async fn undo(
    State(site): State<Site>,
    Path(no): Path<String>,
    Signed { viewer, form }: Signed<PlanForm>,
) -> Result<Redirect, Refused> {
    let incident = whole(&site, &viewer, &no).await?;
    let reason = bounded(form.reason, "reason")?;
    let (row, plan) = plan(&site, IncidentNo(incident.id), form.plan).await?;
    let jobs = jobs(&site, IncidentNo(incident.id)).await?;
    if !is_new(asked(&jobs, "undo", &row.plan), form.nth)? {
        return Ok(back(incident.id, "asked"));
    }
    if !matches!(row.state.as_str(), "done" | "failed") {
        return Err(stale(
            "Nothing was done for this plan that could be taken back.",
        ));
    }
    let errand = Errand::Undo {
        plan: plan.plan.clone(),
    };
    let decision = decision(&incident, &plan, Choice::Undo, reason, &viewer);
    ask(&site, &incident, form.nth, Some(decision), errand, &viewer).await
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct WithdrawForm {
    job: i64,
}

pub(in crate::page) async fn withdraw(
    State(site): State<Site>,
    Path(no): Path<String>,
    Signed { viewer, form }: Signed<WithdrawForm>,
) -> Result<Redirect, Refused> {
    let incident = whole(&site, &viewer, &no).await?;
    let jobs = jobs(&site, IncidentNo(incident.id)).await?;
    let row = jobs.into_iter().find(|row| row.id == form.job);
    withdrawn(&site, &viewer, row.ok_or(Refused::Absent)?).await?;
    Ok(back(incident.id, "withdrawn"))
}

/// Takes a job back that no worker has.
pub(in crate::page) async fn withdrawn(
    site: &Site,
    viewer: &Viewer,
    row: JobRow,
) -> Result<(), Refused> {
    let step = JobStep {
        job: row.job,
        stage: JobStage::Withdrawn,
        detail: String::new(),
        by: viewer.name.clone(),
    };
    match site
        .ledger()
        .record(Record::JobStep(step), site.now())
        .await
    {
        Ok(_) => {
            site.live().wake();
            Ok(())
        }
        Err(LedgerError::Job { why, .. }) => Err(stale(&format!("It cannot be withdrawn: {why}."))),
        Err(error) => Err(error.into()),
    }
}
