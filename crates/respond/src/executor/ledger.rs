//! One run's hold on one incident: what it knows, and its writes, one after another.

use std::sync::{Mutex, PoisonError};

use davylamp_model::ids::IncidentId;
use davylamp_plan::gate::Room;

use super::Executor;
use crate::journal::history::History;
use crate::journal::{Entry, Event, JournalError};

/// How often a write to the journal is tried. Without the journal nothing is done.
const JOURNAL_TRIES: u32 = 5;

/// One run's hold on one incident.
pub struct Ledger<'a> {
    executor: &'a Executor,
    incident: IncidentId,
    run: String,
    history: Mutex<History>,
    /// Entries are written in the order in which they happen: a store that numbers them could
    /// otherwise refuse two at once.
    writing: tokio::sync::Mutex<()>,
}

impl<'a> Ledger<'a> {
    /// A hold on a claimed incident, with what happened so far.
    pub fn new(
        executor: &'a Executor,
        incident: IncidentId,
        run: impl Into<String>,
        entries: &[Entry],
    ) -> Self {
        Self {
            executor,
            incident,
            run: run.into(),
            history: Mutex::new(History::of(entries)),
            writing: tokio::sync::Mutex::new(()),
        }
    }

    /// The incident.
    pub fn incident(&self) -> &IncidentId {
        &self.incident
    }

    /// The run.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Asks what happened so far.
    pub fn read<T>(&self, ask: impl FnOnce(&History) -> T) -> T {
        ask(&self.history.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Journals what happened, and with that renews the lease.
    pub async fn record(&self, event: Event) -> Result<(), JournalError> {
        self.record_within(event, &Room::default()).await
    }

    /// Journals that a step is about to be taken, if there is room for it.
    pub(super) async fn record_within(
        &self,
        event: Event,
        room: &Room,
    ) -> Result<(), JournalError> {
        let _one_at_a_time = self.writing.lock().await;
        let entry = Entry {
            at: self.executor.clock.now(),
            run: self.run.clone(),
            event,
        };
        let lease_secs = self.executor.options.lease_secs;
        let journal = &self.executor.journal;
        self.patiently(|| match room.is_endless() {
            true => journal.append(&self.incident, &entry, lease_secs),
            false => journal.begin(&self.incident, &entry, lease_secs, room),
        })
        .await?;
        self.history
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(&entry);
        Ok(())
    }

    /// Renews the lease, or learns that it is lost.
    pub async fn renew(&self) -> Result<(), JournalError> {
        let _one_at_a_time = self.writing.lock().await;
        let lease_secs = self.executor.options.lease_secs;
        self.patiently(|| {
            let now = self.executor.clock.now();
            self.executor
                .journal
                .renew(&self.incident, &self.run, now, lease_secs)
        })
        .await
    }

    async fn patiently<F>(&self, mut write: impl FnMut() -> F) -> Result<(), JournalError>
    where
        F: Future<Output = Result<(), JournalError>>,
    {
        let mut tries = 0;
        loop {
            match write().await {
                Err(JournalError::Unreachable { .. }) if tries + 1 < JOURNAL_TRIES => {
                    let id = davylamp_plan::plan::StepId(self.incident.0.clone());
                    let pause = self.executor.pause(&self.run, &id, tries);
                    self.executor.clock.sleep(pause).await;
                    tries += 1;
                }
                result => return result,
            }
        }
    }
}
