//! What should be done about an incident: asked for, shown step by step with its reasons, approved, carried
//! out and taken back.
//!
//! The console does none of it. What somebody decides here is an entry, and where something is to be done, a
//! job beside it, which a worker takes.

pub(in crate::page) mod forms;
pub(super) mod told;

use std::collections::BTreeMap;

use davylamp_ledger::query::{At, JobFilter, PAGE_ROWS};
use davylamp_ledger::record::{IncidentNo, Plan, Record};
use davylamp_ledger::rows::{ActionRow, IncidentRow, JobRow, PlanRow};
use jiff::Timestamp;
use maud::{Markup, html};

use super::cost;
use crate::access::{Refused, Role, Viewer};
use crate::page::frame::csrf;
use crate::page::{jobs, text, time, word};
use crate::site::Site;
use told::{Attribution, Step, Told};

/// So many plans are read in full; of those before them only that they are there is told.
const PLANS: u32 = 12;
/// Jobs of an incident that are shown.
const JOBS: usize = 6;

/// A plan as far as it is known.
pub(super) struct Seen {
    pub row: PlanRow,
    /// Its words; `None` where retention removed them.
    pub plan: Option<Plan>,
    pub told: Option<Told>,
    /// Whether a later plan is about the same.
    pub is_old: bool,
    /// Whether it was carried out, and steps are left: those that wait for a yes, and what was withheld.
    pub has_rest: bool,
}

impl Seen {
    /// Whether it may be approved and carried out.
    pub(super) fn is_open(&self) -> bool {
        let stands = match self.row.state.as_str() {
            "proposed" | "failed" | "undone" => true,
            "done" => self.has_rest,
            _ => false,
        };
        stands && !self.is_old && self.plan.is_some()
    }

    /// Whether something may have been done for it.
    pub(super) fn was_run(&self) -> bool {
        matches!(self.row.state.as_str(), "done" | "failed")
    }
}

/// Everything about plans of an incident.
pub(super) struct All {
    pub plans: Vec<Seen>,
    pub has_more: bool,
    pub jobs: Vec<JobRow>,
    /// The steps of plans by plan and step.
    pub actions: BTreeMap<(String, String), ActionRow>,
    /// Those of plans that are not shown.
    pub others: Vec<ActionRow>,
    pub more_actions: bool,
}

/// Reads them.
pub(super) async fn read(site: &Site, incident: IncidentNo) -> Result<All, Refused> {
    let ledger = site.ledger();
    let page = ledger.plans(incident, &At::first(PLANS)).await?;
    let mut plans: Vec<Seen> = Vec::new();
    for row in page.items {
        let body = ledger.entry(row.latest).await?.and_then(|entry| entry.body);
        let plan = match body.and_then(|body| serde_json::from_str(&body).ok()) {
            Some(Record::Plan(plan)) => Some(plan),
            _ => None,
        };
        let told = plan.as_ref().and_then(|plan| Told::read(&plan.text));
        let is_old = plans.iter().any(|later| match (&later.told, &told) {
            (Some(later), Some(told)) => told.is_about(later),
            // What cannot be compared is taken to be about the same.
            _ => true,
        });
        plans.push(Seen {
            row,
            plan,
            told,
            is_old,
            has_rest: false,
        });
    }
    let filter = JobFilter {
        incident: Some(incident),
        ..JobFilter::default()
    };
    let jobs = ledger.jobs(&filter, &At::first(PAGE_ROWS)).await?.items;
    let found = ledger
        .actions(Some(incident), None, &At::first(PAGE_ROWS))
        .await?;
    let (mut actions, mut others) = (BTreeMap::new(), Vec::new());
    for row in found.items {
        let shown = plans.iter().find(|seen| seen.row.plan == row.plan);
        let steps = shown
            .and_then(|seen| seen.told.as_ref())
            .map(|told| &told.steps);
        match steps.is_some_and(|steps| steps.iter().any(|step| step.id == row.step)) {
            true => {
                actions.insert((row.plan.clone(), row.step.clone()), row);
            }
            false => others.push(row),
        }
    }
    for seen in &mut plans {
        let steps = seen.told.iter().flat_map(|told| &told.steps);
        let is_done = |step: &Step| {
            let action: Option<&ActionRow> = actions.get(&(seen.row.plan.clone(), step.id.clone()));
            action.is_some_and(|action| action.stage == "done")
        };
        seen.has_rest = steps.into_iter().any(|step| !is_done(step));
    }
    Ok(All {
        plans,
        has_more: page.next.is_some(),
        jobs,
        actions,
        others,
        more_actions: found.next.is_some(),
    })
}

/// How often this was asked before: a form that is sent twice carries the same number both times.
pub(super) fn asked(jobs: &[JobRow], errand: &str, subject: &str) -> usize {
    let same = jobs
        .iter()
        .filter(|row| row.errand == errand && row.subject == subject);
    same.count()
}

fn is_at_work(row: &JobRow) -> bool {
    matches!(row.stage.as_str(), "waiting" | "taken")
}

pub(super) fn show(viewer: &Viewer, incident: &IncidentRow, all: &All, now: Timestamp) -> Markup {
    let may = viewer.may(Role::Responder);
    let planning = all
        .jobs
        .iter()
        .any(|row| row.errand == "plan" && is_at_work(row));
    let moves = all.jobs.iter().any(is_at_work);
    html! {
        section.card #plan data-refresh {
            h2 { "Plan" }
            @if moves { span hidden data-moving {} }
            @if may && !planning {
                form.line method="post" action=(format!("/incidents/{}/plan", incident.id)) {
                    (csrf(viewer))
                    input type="hidden" name="nth" value=(asked(&all.jobs, "plan", ""));
                    button.primary[all.plans.is_empty()] { @if all.plans.is_empty() { "Ask for a plan" } @else { "Ask for a plan anew" } }
                    span.muted { "A worker reads what there is and says what should be done. It touches nothing." }
                }
            }
            @if !all.jobs.is_empty() {
                ul.plain { @for row in all.jobs.iter().take(JOBS) { li { (jobs::line(viewer, row, Some(incident.id), now)) } } }
                @if all.jobs.len() > JOBS { details { summary { (all.jobs.len() - JOBS) " earlier" } ul.plain { @for row in all.jobs.iter().skip(JOBS) { li { (jobs::line(viewer, row, Some(incident.id), now)) } } } } }
            }
            @if all.plans.is_empty() { p.muted { "Nobody has made a plan." } }
            @for (n, seen) in all.plans.iter().enumerate() { (one(viewer, incident, all, seen, n == 0, now)) }
            @if all.has_more { p.notice { "There are earlier plans than stand here; the timeline has all." } }
            @if !all.others.is_empty() || all.more_actions {
                h3 { "Steps of other plans" }
                (super::parts::steps(&all.others, now))
                @if all.more_actions { p.notice { "There are more steps than stand here; the timeline has all." } }
            }
        }
    }
}

fn one(
    viewer: &Viewer,
    incident: &IncidentRow,
    all: &All,
    seen: &Seen,
    is_first: bool,
    now: Timestamp,
) -> Markup {
    let row = &seen.row;
    let content = html! {
        @if let Some(told) = &seen.told {
            @if let Some(why) = &told.blind { p.flash.bad { strong { "It was made blind." } " Nothing of what it is about could be read (" (text::shown(why)) "): that it has no steps does not mean that nothing is to be done." } }
        }
        dl {
            dt { "Made" } dd { (time::both(row.at, now)) " by " (text::brief(&row.by_whom)) }
            dt { "Named" } dd { (text::whole(&row.plan)) }
            @if let Some(told) = &seen.told { @if !told.playbook.is_empty() { dt { "Playbook" } dd { (text::brief(&told.playbook)) } } }
            @if let Some(plan) = &seen.plan { dt { "Cost" } dd { (cost::an_hour(plan.cost_micro_usd_per_hour)) } }
            dt { "Yes" } dd { @match &row.approved_by { Some(name) => { "said by " (text::brief(name)) }, None => span.muted { "nobody has said it" } } }
        }
        @match (&seen.plan, &seen.told) {
            (None, _) => p.unknown { "Retention has removed what this plan said." },
            (Some(plan), Some(told)) => { (steps(all, row, told, now)) (omissions(plan, told)) (who(told.attribution.as_ref())) (remarks(told)) }
            (Some(plan), None) => { (unread(plan)) }
        }
        @if viewer.may(Role::Responder) { (forms::show(viewer, incident, all, seen)) }
        @if seen.told.is_some() { @if let Some(plan) = &seen.plan { details { summary { "The plan as its maker wrote it" } (text::lines(&pretty(plan))) } } }
    };
    let head = html! {
        (state(&row.state)) " " @if seen.is_old { span.badge { "a later plan stands in its place" } " " }
        strong { (text::brief(&row.summary)) } " " span.muted { (time::ago(row.at, now)) }
    };
    html! {
        @if is_first || !seen.is_old { section.plan aria-label=(format!("Plan of entry {}", row.id)) { p.line { (head) } (content) } }
        @else { details.plan { summary { (head) } (content) } }
    }
}

fn state(state: &str) -> Markup {
    let (class, text) = match state {
        "proposed" => ("badge warn", "waits for a decision"),
        "asked" => ("badge state-open", "waits for a worker"),
        "running" => ("badge state-open", "is carried out"),
        "done" => ("badge well", "done"),
        "failed" => ("badge loud", "not all of it worked"),
        "undone" => ("badge", "taken back"),
        _ => return html! { span.badge { (text::plain(state)) } },
    };
    html! { span class=(class) { (text) } }
}

fn steps(all: &All, row: &PlanRow, told: &Told, now: Timestamp) -> Markup {
    let number = |id: &str| {
        told.steps
            .iter()
            .position(|step| step.id == id)
            .map(|n| n + 1)
    };
    html! {
        h3 { "What will be done, in this order" }
        @if told.steps.is_empty() { p.muted { "Nothing." } }
        ol.steps { @for (n, step) in told.steps.iter().enumerate() {
            li {
                span.no aria-hidden="true" { (n + 1) }
                div {
                    p.line {
                        @if !step.stage.is_empty() { span.badge { (text::cut(&step.stage, 20)) } }
                        strong { (text::brief(&step.action.verb.replace('-', " "))) }
                        code { (text::brief(step.target())) }
                        (done(all.actions.get(&(row.plan.clone(), step.id.clone())), now))
                    }
                    @if !step.why.is_empty() { p { (text::shown(&step.why)) } }
                    (conditions(step, &number))
                }
            }
        } }
    }
}

fn conditions(step: &Step, number: &impl Fn(&str) -> Option<usize>) -> Markup {
    html! {
        @if let Some(why) = &step.approval { p.needs { strong { "Needs a yes" } @if !why.is_empty() { ": " (text::shown(why)) } } }
        @if step.is_irreversible() { p.needs { strong { "Cannot be taken back." } } }
        @if !step.only_after.is_empty() {
            p.muted { "Only where " @for (n, id) in step.only_after.iter().enumerate() { @if n > 0 { ", " } @match number(id) { Some(no) => { "step " (no) }, None => { (text::brief(id)) } } } " worked" }
        }
    }
}

/// How far a step is.
fn done(action: Option<&ActionRow>, now: Timestamp) -> Markup {
    let Some(action) = action else {
        return html! {};
    };
    let (class, text) = match action.stage.as_str() {
        "before" => ("badge state-open", "is being done"),
        "done" => ("badge well", "done"),
        "withheld" => ("badge warn", "withheld"),
        "failed" => ("badge loud", "failed"),
        "undone" => ("badge", "taken back"),
        other => ("badge", other),
    };
    html! { span class=(class) { (text::plain(text)) } span.muted { (time::ago(action.at, now)) " by " (text::brief(&action.by_whom)) } }
}

fn omissions(plan: &Plan, told: &Told) -> Markup {
    html! {
        h3 { "What will not be done, and why" }
        @if told.omissions.is_empty() && plan.left_out.is_empty() { p.muted { "It leaves nothing out." } }
        @else if told.omissions.is_empty() { (left_out(plan)) }
        @else { dl.wide { @for one in &told.omissions { dt { (text::brief(&one.what)) @if !one.target.is_empty() { " " code { (text::brief(&one.target)) } } } dd { (text::prose(&one.because)) } } } }
    }
}

fn left_out(plan: &Plan) -> Markup {
    html! { dl.wide { @for left in &plan.left_out { dt { (text::brief(&left.what)) } dd { (text::prose(&left.reason)) } } } }
}

fn who(attribution: Option<&Attribution>) -> Markup {
    let Some(attribution) = attribution else {
        return html! {};
    };
    html! {
        h3 { "Who it was" }
        p {
            @match &attribution.decided { Some(user) => { strong { (text::brief(user)) } ": " }, None => { span.unknown { "Not decided" } ": " } }
            (text::shown(&attribution.because))
        }
        @for candidate in &attribution.candidates {
            details { summary { (text::brief(&candidate.user)) " " @if candidate.confirmed { span.muted { "known to the Hub" } } @else { span.warn { "not found at the Hub" } } }
                @if let Some(claim) = &candidate.claim { p { span.muted { "claim " } (text::brief(claim)) } }
                ul.gaps { @for link in &candidate.chain { li { (text::brief(&link.from)) " → " (text::brief(&link.to)) " " span.muted { "proved by " } (text::prose(&link.proof)) } } }
                @if !candidate.evidence.is_empty() { ul.gaps { @for one in &candidate.evidence { li { (text::shown(one)) } } } }
            }
        }
    }
}

fn remarks(told: &Told) -> Markup {
    html! {
        @if told.again { p.notice { "Something could not be read when it was made: a plan made again may have more steps." } }
        @if let Some(release) = &told.release { p.muted { (word::count(i64::try_from(release.steps.len()).unwrap_or(i64::MAX), "step that serves", "steps that serve")) " the investigation alone will be taken back " (release.after_hours) " hours after it is done." } }
        @if !told.remarks.is_empty() { h3 { "Remarks" } ul.gaps { @for remark in &told.remarks { li { (text::shown(remark)) } } } }
    }
}

/// A plan in a form that is not known.
fn unread(plan: &Plan) -> Markup {
    html! {
        p.notice { "It has a form that this console does not know: what it would do stands below as its maker wrote it. Read it before you decide." }
        (text::lines(&pretty(plan)))
        h3 { "Left out, and why" }
        @if plan.left_out.is_empty() { p.muted { "It says of nothing that it leaves it out." } } @else { (left_out(plan)) }
    }
}

fn pretty(plan: &Plan) -> String {
    serde_json::to_string_pretty(&plan.text).unwrap_or_default()
}
