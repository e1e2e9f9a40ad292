//! How much may come in: events a second of each sender, and batches that wait.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::Config;

/// So many seconds' worth may come at once: a sender that was away brings what it kept.
const BURST_SECS: f64 = 10.0;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// What is let in.
#[derive(Debug)]
pub(crate) struct Gate {
    per_second: f64,
    buckets: Mutex<HashMap<String, Bucket>>,
    slots: Semaphore,
    places: usize,
    taken: AtomicU64,
    refused: AtomicU64,
}

impl Gate {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            per_second: f64::from(config.ingest.events_per_second),
            buckets: Mutex::default(),
            slots: Semaphore::new(config.ingest.waiting),
            places: config.ingest.waiting,
            taken: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// How many seconds a sender has to wait before it may send so many events; none where it may now,
    /// which is then counted.
    pub(crate) fn wait(&self, sender: &str, events: u32) -> Option<u64> {
        self.wait_at(sender, events, Instant::now())
    }

    fn wait_at(&self, sender: &str, events: u32, now: Instant) -> Option<u64> {
        let most = self.per_second * BURST_SECS;
        // A batch that is larger than all that may come at once would never be let in.
        let wanted = f64::from(events).min(most);
        let mut buckets = self
            .buckets
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let bucket = buckets.entry(sender.to_owned()).or_insert(Bucket {
            left: most,
            at: now,
        });
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = (bucket.left + since * self.per_second).min(most);
        bucket.at = now;
        if bucket.left >= wanted {
            bucket.left -= wanted;
            return None;
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        Some(((wanted - bucket.left) / self.per_second).ceil().max(1.0) as u64)
    }

    /// A place in the queue for the ledger, if there is one.
    pub(crate) fn slot(&self) -> Option<SemaphorePermit<'_>> {
        let slot = self.slots.try_acquire().ok();
        if slot.is_none() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        slot
    }

    /// How many batches are being written, or wait for it.
    pub(crate) fn waiting(&self) -> usize {
        self.places.saturating_sub(self.slots.available_permits())
    }

    pub(crate) fn took(&self, events: u32) {
        self.taken.fetch_add(events.into(), Ordering::Relaxed);
    }

    /// Events taken, and batches that were asked to come again.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (
            self.taken.load(Ordering::Relaxed),
            self.refused.load(Ordering::Relaxed),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_sender_is_slowed_down_and_others_are_not() {
        let mut config = Config::default();
        config.ingest.events_per_second = 100;
        let gate = Gate::new(&config);
        let now = Instant::now();
        assert_eq!(
            gate.wait_at("a", 1000, now),
            None,
            "what was kept comes at once"
        );
        assert_eq!(gate.wait_at("a", 250, now), Some(3));
        assert_eq!(gate.wait_at("b", 250, now), None);
        assert_eq!(gate.wait_at("a", 250, now + Duration::from_secs(3)), None);
        assert_eq!(
            gate.wait_at("a", 5000, now + Duration::from_secs(60)),
            None,
            "one large batch"
        );
        assert_eq!(gate.counts().1, 1);
    }
}
