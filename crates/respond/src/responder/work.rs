//! One claimed incident, from its findings to its notices.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use davylamp_model::finding::Finding;
use davylamp_model::ids::{FindingId, IncidentId};
use davylamp_model::inventory::Inventory;
use davylamp_plan::plan::{Attribution, Case, Plan, StepId};
use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};

use super::observing::is_observed;
use super::{CameOfIt, Held, IncidentReport, News, NewsKind, Responder};
use crate::coalesce::{Coalesced, in_order};
use crate::executor::{Ledger, Outcome, Permit};
use crate::journal::history::{History, RELEASE_TIMER};
use crate::journal::{Event, JournalError};
use crate::undo::Needed;

impl Responder {
    /// Works on claimed incidents of one place: what has to be asked is asked for all together.
    pub(super) async fn work_on(
        &self,
        held: Vec<(Held<'_>, &Coalesced)>,
        at_once: usize,
    ) -> Vec<(IncidentReport, Option<News>)> {
        let mut results = Vec::new();
        let mut known = Vec::new();
        let mut asking = Vec::new();
        for (mut held, coalesced) in held {
            let case = case_of(&held, &coalesced.case);
            held.seen_again = held
                .ledger
                .read(|history| seen_again(history, &coalesced.case.findings));
            match self.note(&held, &case).await {
                Ok(true) => asking.push((held, case)),
                Ok(false) => known.push((held, None)),
                Err(error) => {
                    results.push(self.fail(held, &error.to_string(), &case.findings).await);
                }
            }
        }
        if !asking.is_empty() {
            let cases: Vec<Case> = asking.iter().map(|(_, case)| case.clone()).collect();
            match self.ask(&asking, &cases).await {
                Ok(None) => {
                    let put_off = asking.into_iter().map(|(held, _)| self.put_off(held));
                    results.extend(put_off.map(|report| (report, None)));
                }
                Ok(Some(inventories)) => {
                    let mut inventories = inventories.into_iter();
                    for (held, case) in asking {
                        match inventories.next() {
                            Some(inventory) => known.push((held, Some((case, inventory)))),
                            None => {
                                let why = "nothing was collected for it";
                                results.push(self.fail(held, why, &case.findings).await);
                            }
                        }
                    }
                }
                Err(why) => {
                    for (held, case) in asking {
                        results.push(self.fail(held, &why, &case.findings).await);
                    }
                }
            }
        }
        let worked: Vec<_> = stream::iter(known)
            .map(|(held, planned_from)| self.go_on(held, planned_from))
            .buffer_unordered(at_once)
            .collect()
            .await;
        results.extend(worked);
        results
    }

    /// Journals findings that are new. Says whether a plan has to be made for them.
    async fn note(&self, held: &Held<'_>, case: &Case) -> Result<bool, JournalError> {
        for finding in &case.findings {
            if held.ledger.read(|history| says_more(history, finding)) {
                let finding = Box::new(finding.clone());
                held.ledger.record(Event::Found { finding }).await?;
            }
        }
        Ok(held.ledger.read(|history| {
            history.plans.is_empty()
                || case
                    .findings
                    .iter()
                    .any(|finding| !history.answered.contains(&finding.id))
        }))
    }

    /// Asks what is there, and keeps the leases meanwhile. Nothing where somebody asks to stop, or
    /// the time of this run is over.
    async fn ask(
        &self,
        held: &[(Held<'_>, Case)],
        cases: &[Case],
    ) -> Result<Option<Vec<Inventory>>, String> {
        let executor = &self.parts.executor;
        let sign = Duration::from_secs(u64::from(executor.options.lease_secs / 3).max(1));
        let mut asking = self.parts.collect.collect(cases);
        loop {
            tokio::select! {
                biased;
                () = executor.stop.asked() => return Ok(None),
                answer = &mut asking => {
                    return answer.map(Some).map_err(|error| error.to_string());
                }
                () = executor.over() => return Ok(None),
                () = executor.clock.sleep(sign) => {
                    for (held, _) in held {
                        // One that is lost meanwhile is noticed by its next write.
                        if let Err(error) = held.ledger.renew().await {
                            tracing::warn!(incident = %held.ledger.incident(), %error, "lease");
                        }
                    }
                }
            }
        }
    }

    /// Plans if there is something to plan from, does what is left, and lets go.
    pub(super) async fn go_on(
        &self,
        held: Held<'_>,
        planned_from: Option<(Case, Inventory)>,
    ) -> (IncidentReport, Option<News>) {
        let planned_from = match planned_from {
            Some(known) => Some(known),
            None => match self.parts.executor.unless_over(self.catch_up(&held)).await {
                None => return (self.put_off(held), None),
                Some(Ok(caught_up)) => caught_up,
                Some(Err(why)) => {
                    let found = all_findings(&held);
                    return self.fail(held, &why, &found).await;
                }
            },
        };
        match self.plan_and_do(&held, planned_from).await {
            Ok(outcome) => {
                let plan = held.ledger.read(|history| history.plan().cloned());
                // A run that died before it journaled its finding left nothing to tell; the finding
                // is delivered again.
                let is_empty = held.ledger.read(|history| history.findings.is_empty());
                // What was stopped is due at once, and whoever goes on with it tells.
                let is_news = !outcome.stopped && (plan.is_some() || !is_empty);
                let news = is_news.then(|| self.news(&held, plan.as_ref(), &outcome));
                let report = IncidentReport {
                    incident: held.ledger.incident().clone(),
                    resource: held.resource,
                    plan,
                    came_of_it: CameOfIt::Worked { outcome },
                };
                (report, news)
            }
            // The run that has taken over does the rest, and tells it.
            Err(error @ JournalError::Lost { .. }) => {
                let report = IncidentReport {
                    incident: held.ledger.incident().clone(),
                    resource: held.resource,
                    plan: None,
                    came_of_it: CameOfIt::Broken {
                        why: error.to_string(),
                    },
                };
                (report, None)
            }
            Err(error) => {
                let found = all_findings(&held);
                self.fail(held, &error.to_string(), &found).await
            }
        }
    }

    /// A run was cut off before it had a plan for all its findings, or something could not be read
    /// when it made one: makes up for it.
    async fn catch_up(&self, held: &Held<'_>) -> Result<Option<(Case, Inventory)>, String> {
        let unanswered = held.ledger.read(|history| {
            history
                .findings
                .keys()
                .any(|id| !history.answered.contains(id))
        });
        let findings = all_findings(held);
        let resource = findings.first().and_then(|first| first.resources.first());
        let unread = held.ledger.read(|history| history.unread_since.is_some());
        let (true, Some(resource)) = (unanswered || unread, resource.cloned()) else {
            return Ok(None);
        };
        let case = Case {
            incident: held.ledger.incident().clone(),
            findings,
            resource,
        };
        let cases = [case];
        let inventory = self
            .parts
            .collect
            .collect(&cases)
            .await
            .map_err(|error| error.to_string())?
            .pop()
            .ok_or_else(|| "nothing was collected for it".to_owned())?;
        let [case] = cases;
        Ok(Some((case, inventory)))
    }

    async fn plan_and_do(
        &self,
        held: &Held<'_>,
        planned_from: Option<(Case, Inventory)>,
    ) -> Result<Outcome, JournalError> {
        let ledger = &held.ledger;
        if self.parts.options.observe && !is_observed(ledger.incident()) {
            // A person may say yes meanwhile; it counts when something may be done again.
            let mut outcome = ledger.read(Outcome::of);
            outcome.due = Some(self.look_again());
            return Ok(outcome);
        }
        if let Some((case, inventory)) = planned_from {
            let mut plan = self.parts.planning.plan(&case, &inventory);
            if plan.attribution.candidates.is_empty() {
                // Whose it was is not forgotten because the machine is gone by now.
                let known = ledger.read(known_attribution);
                plan.attribution = known.unwrap_or(plan.attribution);
            }
            let again = plan.again;
            if ledger.read(|history| replaces(history, &plan)) {
                let plan = Box::new(plan);
                ledger.record(Event::Planned { plan }).await?;
            }
            self.waits_to_read(ledger, again).await?;
        }
        let Some(plan) = ledger.read(|history| history.plan().cloned()) else {
            return Ok(Outcome::default());
        };
        let executor = &self.parts.executor;
        let now = self.now();
        let mut outcome = if ledger.read(History::is_finished) {
            ledger.read(Outcome::of)
        } else {
            let since = now
                .checked_sub(SignedDuration::from_hours(1))
                .unwrap_or(Timestamp::MIN);
            let usage = executor
                .journal
                .usage(&plan.playbook, since, ledger.incident())
                .await?;
            let caps = self.parts.planning.caps(&plan.playbook);
            let permit = Permit {
                policy: &self.parts.policy,
                caps: &caps,
                usage,
                dry_run: false,
                observe: is_observed(ledger.incident()),
            };
            executor.run(ledger, &permit).await?
        };
        self.release(ledger, &mut outcome).await?;
        Ok(outcome)
    }

    /// Takes back what only served the investigation and whose time has come.
    async fn release(
        &self,
        ledger: &Ledger<'_>,
        outcome: &mut Outcome,
    ) -> Result<(), JournalError> {
        let executor = &self.parts.executor;
        let now = self.now();
        for (at, steps) in ledger.read(releases) {
            if at > now {
                if outcome.finished {
                    outcome.due = Some(outcome.due.map_or(at, |due| due.min(at)));
                }
                continue;
            }
            let undone = executor
                .undo(ledger, Some(&steps), &Needed::new(), RELEASE_TIMER)
                .await?;
            outcome.steps = ledger.read(|history| history.steps.clone());
            let given_up = now >= crate::clock::later(at, executor.options.give_up_after);
            for (step, why) in undone.not_undone {
                if executor.stop.is_asked() {
                    outcome.stop(self.now());
                } else if undone.again.contains(&step) && !given_up {
                    let soon = self.look_again();
                    outcome.due = Some(outcome.due.map_or(soon, |due| due.min(soon)));
                } else {
                    let known = ledger.read(|history| history.unreleased.contains_key(&step));
                    if !known {
                        ledger.record(Event::Unreleased { step, why }).await?;
                    }
                }
            }
        }
        outcome.unreleased = ledger.read(Outcome::of).unreleased;
        Ok(())
    }

    /// Stops waiting for what could not be read when it was, or has not been for too long.
    async fn waits_to_read(&self, ledger: &Ledger<'_>, again: bool) -> Result<(), JournalError> {
        let Some(since) = ledger.read(|history| history.unread_since) else {
            return Ok(());
        };
        let options = &self.parts.executor.options;
        let given_up = again && self.now() >= crate::clock::later(since, options.give_up_after);
        if given_up || !again {
            ledger.record(Event::Read { given_up }).await?;
        }
        Ok(())
    }

    /// When something that did not work is tried again.
    pub(super) fn look_again(&self) -> Timestamp {
        crate::clock::later(self.now(), self.parts.executor.options.look_again)
    }

    /// An incident that was claimed when somebody asked to stop, before anything was done about it
    /// in this run.
    fn put_off(&self, held: Held<'_>) -> IncidentReport {
        let mut outcome = held.ledger.read(Outcome::of);
        outcome.stop(self.now());
        IncidentReport {
            incident: held.ledger.incident().clone(),
            plan: held.ledger.read(|history| history.plan().cloned()),
            resource: held.resource,
            came_of_it: CameOfIt::Worked { outcome },
        }
    }

    /// Lets go of an incident that cannot be worked on now. It is due again, and somebody is told.
    async fn fail(
        &self,
        held: Held<'_>,
        why: &str,
        findings: &[Finding],
    ) -> (IncidentReport, Option<News>) {
        let incident = held.ledger.incident().clone();
        let due = Some(self.look_again());
        let journal = &self.parts.executor.journal;
        // Where even that fails the lease runs out by itself, and the incident is due then.
        if let Err(error) = journal.release(&incident, &self.parts.run, due).await {
            tracing::warn!(%incident, %error, "release");
        }
        self.broken(incident, &held.resource, why, findings)
    }

    pub(super) fn broken(
        &self,
        incident: IncidentId,
        resource: &str,
        why: &str,
        findings: &[Finding],
    ) -> (IncidentReport, Option<News>) {
        let dry_run = is_observed(&incident);
        let news = News {
            kind: NewsKind::Failure,
            at: self.now(),
            incident: incident.clone(),
            resource: resource.to_owned(),
            plan: None,
            findings: findings.to_vec(),
            outcome: Outcome::default(),
            untold: BTreeSet::new(),
            seen_again: false,
            broken: Some(why.to_owned()),
            // Once an hour: what cannot be worked on is tried again and again.
            marks: vec![format!("broken/{}", self.now().as_second() / 3600)],
            dry_run,
        };
        let report = IncidentReport {
            incident,
            resource: resource.to_owned(),
            plan: None,
            came_of_it: CameOfIt::Broken {
                why: why.to_owned(),
            },
        };
        (report, Some(news))
    }
}

/// The case with every finding of the incident, the one that decides first, so that a lesser one
/// that comes later does not replace the plan of a worse one.
fn case_of(held: &Held<'_>, case: &Case) -> Case {
    let mut findings = case.findings.clone();
    findings.extend(all_findings(held));
    Case {
        incident: held.ledger.incident().clone(),
        findings: in_order(findings),
        resource: case.resource.clone(),
    }
}

fn all_findings(held: &Held<'_>) -> Vec<Finding> {
    let found = held
        .ledger
        .read(|history| history.findings.values().cloned().collect());
    in_order(found)
}

/// Whether a plan made now is to replace the one that holds. One that is still being carried out
/// is replaced only by one that does more: the steps done already are missing from the new one.
fn replaces(history: &History, plan: &Plan) -> bool {
    let Some(holds) = history.plan() else {
        return true;
    };
    if holds.blind.is_some() && plan.blind.is_none() {
        // It was made with closed eyes.
        return true;
    }
    let adds = plan.steps.iter().any(|step| holds.step(&step.id).is_none());
    let is_answered = |id: &FindingId| history.answered.contains(id);
    if history.unread_since.is_some() && history.findings.keys().all(is_answered) {
        // Nothing happened since; only more was read, or less.
        return adds;
    }
    history.is_finished() || history.has_failed() || plan.playbook != holds.playbook || adds
}

/// Who was found by an earlier plan of the incident.
fn known_attribution(history: &History) -> Option<Attribution> {
    let plans = history.plans.iter().rev();
    let mut known = plans.map(|plan| &plan.attribution);
    known.find(|it| !it.candidates.is_empty()).cloned()
}

/// Whether what a person has taken back is reported to go on. It is not done again by itself, for they
/// may have had their reasons, and a source may tell late; but somebody has to learn of it.
fn seen_again(history: &History, delivered: &[Finding]) -> Option<String> {
    history.taken_back_by.as_ref()?;
    let grown = delivered.iter().find(|finding| {
        history
            .findings
            .get(&finding.id)
            .is_some_and(|known| finding.count > known.count || finding.last_seen > known.last_seen)
    })?;
    let seen = grown.last_seen.map(|at| at.to_string());
    Some(format!("{}/{}", grown.count, seen.unwrap_or_default()))
}

/// When which steps are released that only served the investigation.
///
/// The last plan that names a step says whether and when. A later plan leaves out what an earlier one
/// has done already, and that must not keep a node cordoned for ever; where a later one does name the
/// step and does not release it, the step serves more than the investigation by now. The time is
/// counted from the end of the plan that holds: until then the investigation goes on.
fn releases(history: &History) -> BTreeMap<Timestamp, Vec<StepId>> {
    let mut releases: BTreeMap<Timestamp, Vec<StepId>> = BTreeMap::new();
    let Some(finished) = history.finished_at else {
        return releases;
    };
    for id in history.before.keys() {
        let plan = history.plan_with(id);
        let release = plan
            .and_then(|plan| plan.release.as_ref())
            .filter(|release| release.steps.contains(id));
        if let Some(release) = release {
            let hours = SignedDuration::from_hours(i64::from(release.after_hours));
            let at = finished.checked_add(hours).unwrap_or(Timestamp::MAX);
            releases.entry(at).or_default().push(id.clone());
        }
    }
    releases
}

/// Whether a finding is new, or says more than it did: its source sends a finding again under the
/// same id when it grows, and when what was ended goes on.
fn says_more(history: &History, finding: &Finding) -> bool {
    let Some(known) = history.findings.get(&finding.id) else {
        return true;
    };
    let goes_on = match (history.finished_at, finding.last_seen) {
        (Some(finished), Some(seen)) => seen > finished && known.last_seen != Some(seen),
        _ => false,
    };
    // A step that failed for good may work by now, and is worth another try while it goes on.
    let still = history.has_failed() && known.count < finding.count;
    known.resources != finding.resources || known.severity < finding.severity || goes_on || still
}
