//! How long a run waits, how often it looks and repeats, and when it has to be over.

use std::time::Duration;

use davylamp_plan::action::Action;
use davylamp_plan::plan::StepId;
use jiff::Timestamp;

use super::{Executor, Ledger};
use crate::actuator::{ActError, Acting};
use crate::clock::later;
use crate::journal::JournalError;

/// Why something was not done, or not to its end.
pub(crate) const OVER: &str = "the time of this run was over";

/// No sign of life is shown for a shorter wait than this: what is written at most a few times a
/// second would cost more than it tells.
const SIGN_AFTER: Duration = Duration::from_secs(1);

/// How long things may take, and how often they are repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutorOptions {
    /// How long the lease on an incident lasts without a sign of life, in seconds.
    pub lease_secs: u32,
    /// Steps of one stage that are taken at once.
    pub concurrency: usize,
    /// The first pause before a step is repeated; each further one is twice as long, less up to
    /// half of it by chance.
    pub backoff_first: Duration,
    /// The longest pause.
    pub backoff_most: Duration,
    /// How long a step is repeated within a run before it is left to the next.
    pub retry_within: Duration,
    /// How long one that is on its way is watched within a run: an instance that shuts down.
    pub settle_within: Duration,
    /// The same for evidence: hours for a one-shot command, nothing for a Lambda, which yields and
    /// is started again when the incident is due.
    pub evidence_within: Duration,
    /// The pause before the first look at something that is on its way; each further one is twice
    /// as long, so that what is short ends fast.
    pub poll_first: Duration,
    /// The longest such pause.
    pub poll_most: Duration,
    /// The longest one where evidence is written, which takes minutes to hours.
    pub poll_evidence_most: Duration,
    /// When an incident that waits is looked at again.
    pub look_again: Duration,
    /// How long a step may fail or wait over all runs before it has failed for good.
    pub give_up_after: Duration,
    /// When this run has to be over, with what it has journaled: a Lambda's own deadline, with
    /// some seconds to spare.
    pub until: Option<Timestamp>,
}

impl Default for ExecutorOptions {
    fn default() -> Self {
        Self {
            lease_secs: 120,
            concurrency: 8,
            backoff_first: Duration::from_millis(500),
            backoff_most: Duration::from_secs(20),
            retry_within: Duration::from_secs(90),
            settle_within: Duration::from_secs(90),
            evidence_within: Duration::from_secs(6 * 3600),
            poll_first: Duration::from_millis(150),
            poll_most: Duration::from_secs(5),
            poll_evidence_most: Duration::from_secs(15),
            look_again: Duration::from_secs(120),
            give_up_after: Duration::from_secs(24 * 3600),
            until: None,
        }
    }
}

impl Executor {
    /// How long a step that is on its way is watched within a run.
    pub(super) fn patience(&self, action: &Action) -> Duration {
        if is_evidence(action) {
            self.options.evidence_within
        } else {
            self.options.settle_within
        }
    }

    /// The pause before the next look at a step.
    pub(super) fn poll(&self, action: &Action, looks: u32) -> Duration {
        let most = if is_evidence(action) {
            self.options.poll_evidence_most
        } else {
            self.options.poll_most
        };
        let doubled = self.options.poll_first.saturating_mul(1 << looks.min(16));
        doubled.min(most)
    }

    /// Whether a step has failed or waited over several runs for so long that no other will help.
    pub(super) fn is_hopeless(&self, ledger: &Ledger<'_>, id: &StepId) -> bool {
        let since = ledger.read(|history| history.since.get(id).copied());
        let now = self.clock.now();
        since.is_some_and(|since| now >= later(since, self.options.give_up_after))
    }

    /// Whether this run has to be over: its time is, or somebody asked it to stop.
    pub(crate) fn is_over(&self) -> bool {
        let now = self.clock.now();
        self.stop.is_asked() || self.options.until.is_some_and(|until| now >= until)
    }

    /// Waits until the time of this run is over: for ever where it has no end.
    pub(crate) async fn over(&self) {
        let Some(until) = self.options.until else {
            return std::future::pending().await;
        };
        let left = Duration::try_from(until.duration_since(self.clock.now()));
        self.clock.sleep(left.unwrap_or_default()).await;
    }

    /// What a future gives, or nothing where somebody asks to stop or the time of this run is over
    /// before it does: only for what changes nothing.
    pub(crate) async fn unless_over<F: Future>(&self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            () = self.stop.asked() => None,
            value = future => Some(value),
            () = self.over() => None,
        }
    }

    /// What a service answers, unless the time of this run is over before it does: a call that hangs
    /// must not take the journal and the notices with it. What was asked for may have happened then,
    /// as after any reply that is lost.
    pub(crate) async fn in_time<T>(&self, call: Acting<'_, T>) -> Result<T, ActError> {
        tokio::select! {
            biased;
            answer = call => answer,
            () = self.over() => Err(ActError::Transient {
                service: "what was asked".to_owned(),
                why: OVER.to_owned(),
            }),
        }
    }

    /// When what could not be read since a time is asked for again: the longer it was not, the
    /// later.
    pub(super) fn read_again(&self, since: Timestamp) -> Timestamp {
        let now = self.clock.now();
        let unread_for = Duration::try_from(now.duration_since(since)).unwrap_or(Duration::ZERO);
        later(now, self.options.look_again.max(unread_for / 4))
    }

    /// Waits, unless somebody asks to stop, and shows signs of life meanwhile.
    pub(super) async fn wait_until(
        &self,
        time: Timestamp,
        ledger: &Ledger<'_>,
    ) -> Result<(), JournalError> {
        let sign = Duration::from_secs(u64::from(self.options.lease_secs / 3).max(1));
        loop {
            let left =
                Duration::try_from(time.duration_since(self.clock.now())).unwrap_or(Duration::ZERO);
            if left.is_zero() {
                return Ok(());
            }
            let slept = self.stop.unless_asked(self.clock.sleep(left.min(sign)));
            if slept.await.is_none() {
                return Ok(());
            }
            // The first looks follow each other closely, and a lease is long against them.
            if left >= SIGN_AFTER {
                ledger.renew().await?;
            }
        }
    }

    /// The pause before a step is repeated. The chance in it comes from the names of the run and
    /// the step, so that neither many runs nor many steps come back at once.
    pub(crate) fn pause(&self, run: &str, step: &StepId, tries: u32) -> Duration {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let full = self
            .options
            .backoff_first
            .saturating_mul(1 << tries.min(16))
            .min(self.options.backoff_most);
        let mut hasher = DefaultHasher::new();
        (run, step, tries).hash(&mut hasher);
        let per_mille = u32::try_from(500 + hasher.finish() % 501).unwrap_or(1000);
        full.saturating_mul(per_mille) / 1000
    }
}

/// Whether an action waits for evidence that something else writes.
fn is_evidence(action: &Action) -> bool {
    matches!(
        action,
        Action::AwaitEvidence { .. } | Action::CopyEvidence { .. } | Action::CaptureMemory { .. }
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::journal::memory::MemoryJournal;

    #[tokio::test]
    async fn a_call_that_hangs_ends_with_the_run_and_is_made_again_by_the_next() {
        let until = later(Timestamp::now(), Duration::from_millis(20));
        let executor = Executor::new(
            Vec::new(),
            Arc::new(MemoryJournal::new()),
            Arc::new(SystemClock),
            ExecutorOptions {
                until: Some(until),
                ..ExecutorOptions::default()
            },
        );
        let hanging: Acting<'_, ()> = Box::pin(std::future::pending());
        let error = executor.in_time(hanging).await.expect_err("it hangs");
        assert!(error.is_transient(), "{error}");
        assert_eq!(
            executor.unless_over(std::future::pending::<()>()).await,
            None
        );
        let answered: Acting<'_, u8> = Box::pin(async { Ok(1) });
        assert_eq!(executor.in_time(answered).await, Ok(1));
    }
}
