//! What waits: for somebody's yes, and for a worker.

use std::collections::HashMap;

use davylamp_ledger::query::{At, JobFilter};
use davylamp_ledger::rows::{JobRow, PlanRow};
use jiff::Timestamp;
use maud::{Markup, html};

use super::SHOWN;
use crate::access::{Refused, Viewer};
use crate::page::sight::{self, Sight};
use crate::page::{list, text, time};
use crate::site::Site;

/// Jobs that wait are read up to so many pages.
const PAGES: usize = 6;
/// Plans whose incidents are looked at for who may see them.
const LOOKED_AT: usize = 60;

pub(super) struct Waiting {
    plans: Vec<PlanRow>,
    more_plans: bool,
    jobs: Vec<JobRow>,
    failed: usize,
}

pub(super) async fn of(site: &Site, viewer: &Viewer) -> Result<Waiting, Refused> {
    let ledger = site.ledger();
    let page = ledger.proposed_plans(&At::first(LOOKED_AT as u32)).await?;
    let more_plans = page.next.is_some();
    // Many plans and jobs are of one incident, which is looked at once.
    let mut known = HashMap::new();
    let mut plans = Vec::new();
    for row in page.items {
        if sees(site, viewer, row.incident, &mut known).await? {
            plans.push(row);
        }
    }
    let mut jobs = Vec::new();
    let mut failed = 0;
    for stage in ["waiting", "taken", "failed"] {
        let filter = &JobFilter {
            stage: Some(stage.to_owned()),
            ..JobFilter::default()
        };
        let pages = if stage == "failed" { 1 } else { PAGES };
        let ask = |at: At| async move { ledger.jobs(filter, &at).await };
        let (rows, _) = list::all(pages, ask).await?;
        let day_ago = site.now().as_microsecond() - 24 * 3600 * 1_000_000;
        for row in rows {
            let mine = match row.incident {
                None => viewer.scope.holds(&row.cluster),
                incident => sees(site, viewer, incident, &mut known).await?,
            };
            match stage {
                _ if !mine => {}
                "failed" => failed += usize::from(row.at > day_ago),
                _ => jobs.push(row),
            }
        }
    }
    Ok(Waiting {
        plans,
        more_plans,
        jobs,
        failed,
    })
}

/// Whether all of an incident is somebody's to see: plans and jobs name what is in it.
async fn sees(
    site: &Site,
    viewer: &Viewer,
    incident: Option<i64>,
    known: &mut HashMap<i64, bool>,
) -> Result<bool, Refused> {
    let Some(no) = incident.filter(|_| !viewer.scope.is_all()) else {
        return Ok(viewer.scope.is_all());
    };
    if let Some(sees) = known.get(&no) {
        return Ok(*sees);
    }
    let sees = match sight::incident(site, viewer, no).await {
        Ok((_, sight)) => sight == Sight::Whole,
        Err(Refused::Absent) => false,
        Err(error) => return Err(error),
    };
    known.insert(no, sees);
    Ok(sees)
}

impl Waiting {
    pub(super) fn show(&self, now: Timestamp) -> Markup {
        let errand = |row: &JobRow| match row.errand.as_str() {
            "plan" => "a plan",
            "run" => "carrying a plan out",
            "undo" => "taking a plan back",
            "hunt" => "a hunt",
            _ => "something",
        };
        html! {
            section.card {
                h2 { "Waiting" }
                @if self.plans.is_empty() && self.jobs.is_empty() && self.failed == 0 { p.muted { "Nothing waits for a decision or a worker." } }
                @if !self.plans.is_empty() {
                    h3 { "For somebody's decision " span.total { (self.plans.len()) @if self.more_plans { "+" } } }
                    ul.plain { @for row in self.plans.iter().take(SHOWN) { li {
                        @if let Some(no) = row.incident { a href=(format!("/incidents/{no}#plan")) { "#" (no) " " (text::brief(&row.summary)) } " " }
                        span.muted { "planned " (time::ago(row.at, now)) @if let Some(name) = &row.approved_by { ", approved by " (text::brief(name)) } }
                    } } }
                }
                @if !self.jobs.is_empty() {
                    h3 { "For a worker, or with one " span.total { (self.jobs.len()) } }
                    ul.plain { @for row in self.jobs.iter().take(SHOWN) { li {
                        @match row.incident { Some(no) => a href=(format!("/incidents/{no}#plan")) { "#" (no) " " (errand(row)) }, None => a href="/hunts" { (errand(row)) " " (text::brief(&row.subject)) } }
                        " " @if row.stage == "taken" { span.muted { "taken by " (text::brief(&row.taken_by)) } } @else { span.warn { "not taken yet" } " " span.muted { "asked " (time::ago(row.at, now)) } }
                    } } }
                }
                @if self.failed > 0 { p.warn { (self.failed) " failed in 24 hours." } }
            }
        }
    }
}
