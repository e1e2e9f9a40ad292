//! The whole: findings in, what was done about them out.
//!
//! What must stay true: each resource's incident is worked on by one run at a time; a finding that
//! is delivered again changes nothing; whatever a run leaves undone is due again, and somebody is
//! told. What is asked of an account ([`Collect`]), decided ([`Planning`]) and told ([`Tell`])
//! comes in from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use davylamp_content::playbook::Caps;
use davylamp_model::finding::Finding;
use davylamp_model::ids::IncidentId;
use davylamp_model::inventory::Inventory;
use davylamp_model::resource::Place;
use davylamp_plan::plan::{Case, Plan};
use davylamp_plan::policy::{Approvals, Policy, Usage};
use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use serde::Serialize;

use crate::actuator::Acting;
use crate::coalesce::{self, Coalesced, OnlyReported, coalesce, journal_key};
use crate::executor::{Executor, Ledger, Outcome, Permit};
use crate::journal::history::History;
use crate::journal::{Claim, ClaimRequest, Entry, Event, JournalError};
use crate::tell::patience::Patience;
use crate::undo::{Needed, Undone};
use observing::observed;

mod observing;

mod telling;

mod through;

mod work;

pub use observing::is_observed;
pub use telling::{News, NewsKind, Tell, Unread, Untold};

/// Accounts and regions that are worked on at once. Each has rates of its own, and a step that is
/// repeated in one must not hold up the others: more than AWS has regions.
const PLACES_AT_ONCE: usize = 64;

/// Asks the account, its clusters and its Hub what is there.
pub trait Collect: Send + Sync {
    /// One inventory for each case, in their order. What could not be read is said in them.
    fn collect<'a>(&'a self, cases: &'a [Case]) -> Acting<'a, Vec<Inventory>>;
}

/// Decides what is to be done: the planner with its playbooks and policy.
pub trait Planning: Send + Sync {
    /// The plan for a case.
    fn plan(&self, case: &Case, inventory: &Inventory) -> Plan;

    /// The caps of a playbook.
    fn caps(&self, playbook: &str) -> Caps;
}

/// How a responder works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponderOptions {
    /// A finding about a resource belongs to the incident that was opened less than this many
    /// hours ago.
    pub window_hours: u32,
    /// Nothing is done, journaled or told: a rehearsal.
    pub dry_run: bool,
    /// Nothing is done; what would be is journaled and told, once, as incidents of their own: they
    /// are over with that, and the same finding is acted on when this is switched off.
    pub observe: bool,
    /// Incidents worked on at once.
    pub incidents_at_once: usize,
    /// From this many notices in one run on, one digest is sent in their place.
    pub digest_from: usize,
    /// How long sending a notice may take, in seconds.
    pub notice_lease_secs: u32,
    /// How often a channel is tried, and how long at most.
    pub patience: Patience,
    /// When telling has to be over, what did not go out being due again: a Lambda's own deadline,
    /// with some seconds to spare.
    pub tell_until: Option<Timestamp>,
}

impl Default for ResponderOptions {
    fn default() -> Self {
        Self {
            window_hours: 24,
            dry_run: false,
            observe: false,
            incidents_at_once: 16,
            digest_from: 5,
            notice_lease_secs: 60,
            patience: Patience::default(),
            tell_until: None,
        }
    }
}

/// What a responder is made of.
#[derive(Clone)]
pub struct Parts {
    /// Does.
    pub executor: Executor,
    /// Asks.
    pub collect: Arc<dyn Collect>,
    /// Decides.
    pub planning: Arc<dyn Planning>,
    /// Tells.
    pub tell: Arc<dyn Tell>,
    /// What the operator allows.
    pub policy: Policy,
    /// How it works.
    pub options: ResponderOptions,
    /// The run's own name, different for every run: leases are held under it.
    pub run: String,
}

/// Responds to findings.
#[derive(Clone)]
pub struct Responder {
    parts: Parts,
}

/// What came of a run.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Each incident.
    pub incidents: Vec<IncidentReport>,
    /// Findings that nothing is done about.
    pub reported: Vec<OnlyReported>,
    /// Notices that did not go out; they are tried again when their incident is due.
    pub untold: Vec<Untold>,
    /// Incidents that are due and were left alone because nothing may be done now.
    pub left: Vec<IncidentId>,
}

impl Report {
    /// Whether the findings must be delivered again: somebody else is at one of the incidents, or
    /// one could not be worked on, or the run was asked to stop before it was done.
    pub fn wants_redelivery(&self) -> bool {
        self.incidents.iter().any(IncidentReport::is_left)
            || self.reported.iter().any(|it| self.is_untold(it))
    }

    /// The same for some of the findings that were responded to: those of one message.
    pub fn wants_redelivery_of(&self, findings: &[Finding]) -> bool {
        let keys: BTreeSet<String> = findings.iter().filter_map(coalesce::key).collect();
        let is_of = |incident: &IncidentReport| keys.contains(observing::of(&incident.resource));
        let mut incidents = self.incidents.iter();
        let mut reported = self.reported.iter();
        incidents.any(|it| it.is_left() && is_of(it))
            || reported.any(|it| findings.contains(&it.whole) && self.is_untold(it))
    }

    /// Whether not everybody was told of something that nothing is done about. It is no incident,
    /// which would be due again by itself.
    fn is_untold(&self, reported: &OnlyReported) -> bool {
        let thread = reported.thread();
        self.untold.iter().any(|untold| untold.incident == thread)
    }
}

/// What came of one incident.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct IncidentReport {
    /// The incident.
    pub incident: IncidentId,
    /// What it is about, as the journal names it.
    pub resource: String,
    /// Its plan, as far as there is one.
    pub plan: Option<Plan>,
    /// What came of it.
    pub came_of_it: CameOfIt,
}

impl IncidentReport {
    /// Whether somebody else is at it, or it was not worked on to the end.
    fn is_left(&self) -> bool {
        matches!(
            &self.came_of_it,
            CameOfIt::Busy { .. }
                | CameOfIt::Broken { .. }
                | CameOfIt::Stopped
                | CameOfIt::Worked {
                    outcome: Outcome { stopped: true, .. }
                }
        )
    }
}

/// What came of one incident.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum CameOfIt {
    /// The plan was carried out as far as it could be.
    Worked {
        /// Where each step stands.
        outcome: Outcome,
    },
    /// Another run is at it.
    Busy {
        /// That run.
        run: String,
        /// When its lease ends.
        until: Timestamp,
    },
    /// It could not be worked on, or not to the end.
    Broken {
        /// Why.
        why: String,
    },
    /// The run was asked to stop before it came to it: nothing was claimed, journaled or done.
    Stopped,
}

/// What is known of an incident.
#[derive(Debug, Clone)]
pub struct Status {
    /// All that happened, in order.
    pub entries: Vec<Entry>,
    /// What it amounts to.
    pub history: History,
}

/// An incident that this run has claimed.
struct Held<'a> {
    ledger: Ledger<'a>,
    resource: String,
    /// Under which name it is told, once, that what was taken back goes on.
    seen_again: Option<String>,
}

impl Responder {
    /// A responder.
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// Responds to findings.
    pub async fn respond(&self, findings: Vec<Finding>) -> Report {
        self.respond_to_all(findings, &[]).await
    }

    /// Responds to findings, and tells of what came with them and cannot be read.
    pub async fn respond_to_all(&self, findings: Vec<Finding>, unread: &[Unread]) -> Report {
        let mut sorted = coalesce(findings, self.now());
        if self.parts.options.observe {
            sorted.cases = sorted.cases.into_iter().map(observed).collect();
        }
        let mut report = Report {
            reported: sorted.reported,
            ..Report::default()
        };
        // A place is one API to ask and one rate to keep to.
        let mut places: BTreeMap<Place, Vec<Coalesced>> = BTreeMap::new();
        for case in sorted.cases {
            places.entry(case.place.clone()).or_default().push(case);
        }
        let results: Vec<Vec<(IncidentReport, Option<News>)>> = stream::iter(places.into_values())
            .map(|cases| self.respond_in(cases))
            .buffer_unordered(PLACES_AT_ONCE)
            .collect()
            .await;
        let only_told = report.reported.iter().filter(|it| it.is_news());
        let only_told = only_told.map(|it| self.only_told(it));
        let unread = unread.iter().map(|one| self.unread(one));
        let only_told = only_told.chain(unread).collect();
        self.conclude(
            results.into_iter().flatten().collect(),
            only_told,
            &mut report,
        )
        .await;
        report
    }

    /// Goes on with every incident that is due: one that waits, was cut off, has a notice to send,
    /// or whose release time has come.
    pub async fn resume(&self) -> Result<Report, JournalError> {
        self.resume_due(self.now()).await
    }

    /// As [`Responder::resume`], and with those as well that only wait for the time of their next
    /// look: something has happened that they may have waited for, such as the end of a snapshot.
    pub async fn resume_early(&self) -> Result<Report, JournalError> {
        self.resume_due(self.look_again()).await
    }

    /// What [`Responder::resume_early`] would go on with. Nothing is changed.
    pub async fn due_early(&self) -> Result<Vec<IncidentId>, JournalError> {
        let journal = &self.parts.executor.journal;
        let mut due = journal.due(self.look_again()).await?;
        due.retain(|incident| !self.parts.options.observe || is_observed(incident));
        Ok(due)
    }

    async fn resume_due(&self, by: Timestamp) -> Result<Report, JournalError> {
        let due = self.parts.executor.journal.due(by).await?;
        let (due, left) = due
            .into_iter()
            .partition(|incident| !self.parts.options.observe || is_observed(incident));
        let at_once = self.parts.options.incidents_at_once.max(1);
        let results: Vec<_> = stream::iter(due)
            .map(|incident| self.resume_one(incident))
            .buffer_unordered(at_once)
            .collect()
            .await;
        let mut report = Report {
            left,
            ..Report::default()
        };
        self.conclude(results, Vec::new(), &mut report).await;
        Ok(report)
    }

    /// A person's yes to an incident's plan, or to some of its steps; then goes on with it.
    pub async fn approve(&self, approvals: Approvals) -> Result<Report, JournalError> {
        let incident = approvals.incident.clone();
        self.go_on_after(&incident, Event::Approved { approvals })
            .await
    }

    /// Goes on with an incident in which steps failed for good: somebody has mended why.
    pub async fn retry(&self, incident: &IncidentId, by: String) -> Result<Report, JournalError> {
        self.go_on_after(incident, Event::Retried { by }).await
    }

    async fn go_on_after(
        &self,
        incident: &IncidentId,
        event: Event,
    ) -> Result<Report, JournalError> {
        match self.claim_known(incident).await? {
            Ok(held) => {
                held.ledger.record(event).await?;
                let result = self.go_on(held, None).await;
                let mut report = Report::default();
                self.conclude(vec![result], Vec::new(), &mut report).await;
                Ok(report)
            }
            Err(busy) => Ok(Report {
                incidents: vec![*busy],
                ..Report::default()
            }),
        }
    }

    /// Takes back what was done in an incident. What was still to be done is not done any more.
    /// `Err` in `Ok` is another run that is at it.
    pub async fn undo(
        &self,
        incident: &IncidentId,
        by: &str,
    ) -> Result<Result<Undone, IncidentReport>, JournalError> {
        let held = match self.claim_known(incident).await? {
            Ok(held) => held,
            Err(busy) => return Ok(Err(*busy)),
        };
        let ledger = &held.ledger;
        let needed = self
            .needed_by_others(incident, &ledger.read(History::clone))
            .await?;
        let executor = &self.parts.executor;
        let undone = executor.undo(ledger, None, &needed, by).await?;
        if !ledger.read(History::is_finished) {
            ledger.record(Event::Finished).await?;
        }
        let executor = &self.parts.executor;
        executor
            .journal
            .release(incident, &self.parts.run, None)
            .await?;
        Ok(Ok(undone))
    }

    /// What [`Responder::undo`] would come to, as far as the journal can tell. Nothing is changed.
    pub async fn undo_expected(&self, incident: &IncidentId) -> Result<Undone, JournalError> {
        let history = self.status(incident).await?.history;
        let needed = self.needed_by_others(incident, &history).await?;
        Ok(Undone::expected(&history, &needed))
    }

    /// What this incident did and another holds done as well, with one that does: what two closed is
    /// not opened by taking back one.
    async fn needed_by_others(
        &self,
        incident: &IncidentId,
        history: &History,
    ) -> Result<Needed, JournalError> {
        let mut needed = Needed::new();
        let Some(here) = history.plan().map(|plan| plan.place.clone()) else {
            return Ok(needed);
        };
        let journal = &self.parts.executor.journal;
        for other in journal.list(u32::MAX).await? {
            if other == *incident {
                continue;
            }
            let theirs = History::of(&journal.read(&other).await?.unwrap_or_default());
            let Some(plan) = theirs.plan() else {
                continue;
            };
            if theirs.taken_back_by.is_some() {
                continue;
            }
            for id in theirs.succeeded() {
                let reach = plan.step(&id).map(|step| step.action.reach());
                if reach.is_some_and(|reach| reach.joins(&here, &plan.place)) {
                    needed.insert(id, other.clone());
                }
            }
        }
        Ok(needed)
    }

    /// What is known of an incident.
    pub async fn status(&self, incident: &IncidentId) -> Result<Status, JournalError> {
        let entries = self.parts.executor.journal.read(incident).await?;
        let entries = entries.ok_or_else(|| JournalError::NoSuchIncident {
            incident: incident.clone(),
        })?;
        let history = History::of(&entries);
        Ok(Status { entries, history })
    }

    fn now(&self) -> Timestamp {
        self.parts.executor.clock.now()
    }

    /// The cases of one place, together.
    async fn respond_in(&self, cases: Vec<Coalesced>) -> Vec<(IncidentReport, Option<News>)> {
        if self.parts.options.dry_run {
            return self.rehearse(cases).await;
        }
        let at_once = self.parts.options.incidents_at_once.max(1);
        let mut results = Vec::new();
        // No more than are worked on at once are claimed: a lease should not run out in a queue.
        for some in cases.chunks(at_once) {
            if self.parts.executor.stop.is_asked() {
                let unbegun = some.iter().map(|case| IncidentReport {
                    incident: case.case.incident.clone(),
                    resource: case.resource.clone(),
                    plan: None,
                    came_of_it: CameOfIt::Stopped,
                });
                results.extend(unbegun.map(|report| (report, None)));
                continue;
            }
            results.extend(self.respond_to(some, at_once).await);
        }
        results
    }

    async fn respond_to(
        &self,
        cases: &[Coalesced],
        at_once: usize,
    ) -> Vec<(IncidentReport, Option<News>)> {
        let claims: Vec<_> = stream::iter(cases)
            .map(|case| async move { (case, self.claim(case).await) })
            .buffered(at_once)
            .collect()
            .await;
        let mut results = Vec::new();
        let mut held = Vec::new();
        for (case, claim) in claims {
            match claim {
                Ok(Ok(ours)) => held.push((ours, case)),
                Ok(Err(busy)) => results.push((*busy, None)),
                Err(error) => results.push(self.broken(
                    case.case.incident.clone(),
                    &case.resource,
                    &error.to_string(),
                    &case.case.findings,
                )),
            }
        }
        results.extend(self.work_on(held, at_once).await);
        results
    }

    async fn claim(
        &self,
        case: &Coalesced,
    ) -> Result<Result<Held<'_>, Box<IncidentReport>>, JournalError> {
        let executor = &self.parts.executor;
        let request = ClaimRequest {
            resource: case.resource.clone(),
            proposed: case.case.incident.clone(),
            run: self.parts.run.clone(),
            now: self.now(),
            lease_secs: executor.options.lease_secs,
            window_hours: self.parts.options.window_hours,
        };
        let claim = executor.journal.claim(&request).await?;
        Ok(self.held(claim, &case.resource))
    }

    async fn claim_known(
        &self,
        incident: &IncidentId,
    ) -> Result<Result<Held<'_>, Box<IncidentReport>>, JournalError> {
        let executor = &self.parts.executor;
        let lease_secs = executor.options.lease_secs;
        let claim = executor
            .journal
            .claim_incident(incident, &self.parts.run, self.now(), lease_secs)
            .await?;
        let about = match &claim {
            Claim::Ours { entries, .. } => History::of(entries).plan().map(|plan| {
                let key = journal_key(&plan.place, &plan.resource);
                observing::named(incident, key)
            }),
            Claim::Busy { .. } => None,
        };
        let about = about.as_deref().unwrap_or(incident.as_str());
        Ok(self.held(claim, about))
    }

    fn held(&self, claim: Claim, resource: &str) -> Result<Held<'_>, Box<IncidentReport>> {
        match claim {
            Claim::Ours { incident, entries } => Ok(Held {
                ledger: Ledger::new(
                    &self.parts.executor,
                    incident,
                    self.parts.run.clone(),
                    &entries,
                ),
                resource: resource.to_owned(),
                seen_again: None,
            }),
            Claim::Busy {
                incident,
                run,
                until,
            } => Err(Box::new(IncidentReport {
                incident,
                resource: resource.to_owned(),
                plan: None,
                came_of_it: CameOfIt::Busy { run, until },
            })),
        }
    }

    async fn resume_one(&self, incident: IncidentId) -> (IncidentReport, Option<News>) {
        if self.parts.executor.stop.is_asked() {
            let report = IncidentReport {
                resource: incident.0.clone(),
                incident,
                plan: None,
                came_of_it: CameOfIt::Stopped,
            };
            return (report, None);
        }
        match self.claim_known(&incident).await {
            Ok(Ok(held)) => self.go_on(held, None).await,
            Ok(Err(busy)) => (*busy, None),
            Err(error) => {
                let resource = incident.0.clone();
                self.broken(incident, &resource, &error.to_string(), &[])
            }
        }
    }

    /// What would be done: nothing is claimed, journaled, done or told.
    async fn rehearse(&self, cases: Vec<Coalesced>) -> Vec<(IncidentReport, Option<News>)> {
        let asked: Vec<Case> = cases.iter().map(|it| it.case.clone()).collect();
        let inventories = self.parts.collect.collect(&asked).await;
        let mut results = Vec::new();
        for (index, coalesced) in cases.into_iter().enumerate() {
            let inventory = match &inventories {
                Ok(inventories) => inventories.get(index).ok_or("nothing was collected for it"),
                Err(_) => Err("nothing could be collected"),
            };
            let incident = coalesced.case.incident.clone();
            let resource = coalesced.resource.clone();
            let (plan, came_of_it) = match inventory {
                Err(why) => {
                    let why = match &inventories {
                        Err(error) => format!("{why}: {error}"),
                        Ok(_) => why.to_owned(),
                    };
                    (None, CameOfIt::Broken { why })
                }
                Ok(inventory) => {
                    let plan = self.parts.planning.plan(&coalesced.case, inventory);
                    let outcome = self.rehearse_plan(&plan).await;
                    (Some(plan), outcome)
                }
            };
            let report = IncidentReport {
                incident,
                resource,
                plan,
                came_of_it,
            };
            results.push((report, None));
        }
        results
    }

    async fn rehearse_plan(&self, plan: &Plan) -> CameOfIt {
        let entry = Entry {
            at: self.now(),
            run: self.parts.run.clone(),
            event: Event::Planned {
                plan: Box::new(plan.clone()),
            },
        };
        let executor = &self.parts.executor;
        let ledger = Ledger::new(
            executor,
            plan.incident.clone(),
            self.parts.run.clone(),
            &[entry],
        );
        let caps = self.parts.planning.caps(&plan.playbook);
        let permit = Permit {
            policy: &self.parts.policy,
            caps: &caps,
            usage: Usage::default(),
            dry_run: true,
            observe: false,
        };
        match executor.run(&ledger, &permit).await {
            Ok(outcome) => CameOfIt::Worked { outcome },
            Err(error) => CameOfIt::Broken {
                why: error.to_string(),
            },
        }
    }
}
