//! Going on with what waits, for somebody who waits for it: a person at a terminal.
//!
//! What must stay true: incidents are gone on with in rounds, and none is held while nothing
//! happens. One whose evidence takes hours then holds up neither the others' end nor their notices.

use std::time::Duration;

use davylamp_model::ids::IncidentId;
use futures::stream::{self, StreamExt};

use super::{CameOfIt, IncidentReport, Report, Responder};
use crate::clock::later;
use crate::journal::Claim;

impl Report {
    /// The incidents that wait for something outside, and would go on if somebody looked again.
    pub fn waiting(&self) -> Vec<IncidentId> {
        let waits = |report: &&IncidentReport| match &report.came_of_it {
            CameOfIt::Worked { outcome } => {
                !outcome.finished && !outcome.stopped && outcome.waiting().next().is_some()
            }
            CameOfIt::Busy { .. } | CameOfIt::Broken { .. } | CameOfIt::Stopped => false,
        };
        let waiting = self.incidents.iter().filter(waits);
        waiting.map(|report| report.incident.clone()).collect()
    }

    /// Takes over what came of a later look: each incident is in the report once, with its last
    /// state.
    pub fn absorb(&mut self, later: Report) {
        let is_in = |incident: &IncidentId| {
            let mut incidents = later.incidents.iter();
            incidents.any(|it| it.incident == *incident)
        };
        self.incidents.retain(|it| !is_in(&it.incident));
        // What was not told then was told now, or is among what was not told now.
        self.untold.retain(|it| !is_in(&it.incident));
        self.incidents.extend(later.incidents);
        self.incidents
            .sort_by(|one, other| one.resource.cmp(&other.resource));
        self.reported.extend(later.reported);
        self.untold.extend(later.untold);
        self.left.extend(later.left);
    }
}

impl Responder {
    /// Goes on with these incidents of a report, and with no others, until each waits for nothing
    /// outside any more or `patience` is over. The report then says how each stands.
    pub async fn see_through(
        &self,
        report: &mut Report,
        mut waiting: Vec<IncidentId>,
        patience: Duration,
    ) {
        let executor = &self.parts.executor;
        let until = later(self.now(), patience);
        let mut pause = executor.options.poll_first;
        while !waiting.is_empty() && self.now() < until {
            let left = Duration::try_from(until.duration_since(self.now()));
            let sleep = executor.clock.sleep(pause.min(left.unwrap_or_default()));
            if executor.stop.unless_asked(sleep).await.is_none() {
                self.stop_waiting(report, &waiting).await;
                return;
            }
            pause = (pause * 2).min(executor.options.poll_evidence_most);
            let at_once = self.parts.options.incidents_at_once.max(1);
            let results: Vec<_> = stream::iter(waiting)
                .map(|incident| self.resume_one(incident))
                .buffer_unordered(at_once)
                .collect()
                .await;
            let mut round = Report::default();
            self.conclude(results, Vec::new(), &mut round).await;
            waiting = round.waiting();
            // Another run has looked at it at the same time: it is asked again.
            let (busy, seen): (Vec<_>, Vec<_>) = round
                .incidents
                .into_iter()
                .partition(|it| matches!(it.came_of_it, CameOfIt::Busy { .. }));
            waiting.extend(busy.into_iter().map(|it| it.incident));
            // One that the stop kept from being looked at stands as it stood.
            let (unseen, seen): (Vec<_>, Vec<_>) = seen
                .into_iter()
                .partition(|it| matches!(it.came_of_it, CameOfIt::Stopped));
            report.absorb(Report {
                incidents: seen,
                ..round
            });
            let unseen: Vec<IncidentId> = unseen.into_iter().map(|it| it.incident).collect();
            self.stop_waiting(report, &unseen).await;
        }
    }

    /// Somebody asked to stop while nothing was held: what waits is due at once, as where it was.
    async fn stop_waiting(&self, report: &mut Report, waiting: &[IncidentId]) {
        let executor = &self.parts.executor;
        let now = self.now();
        for incident in waiting {
            let run = &self.parts.run;
            let lease_secs = executor.options.lease_secs;
            let claim = executor
                .journal
                .claim_incident(incident, run, now, lease_secs);
            let released = match claim.await {
                Ok(Claim::Ours { .. }) => executor.journal.release(incident, run, Some(now)).await,
                // Whoever is at it goes on with it.
                Ok(Claim::Busy { .. }) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = released {
                // It is due by itself a little later.
                tracing::warn!(%incident, %error, "release");
            }
            let reports = report.incidents.iter_mut();
            for one in reports.filter(|it| it.incident == *incident) {
                if let CameOfIt::Worked { outcome } = &mut one.came_of_it {
                    outcome.stop(now);
                }
            }
        }
    }
}
