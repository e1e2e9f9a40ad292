//! How things are, in numbers and words.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::otlp::metrics::Own;

/// How things are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// When.
    pub at: jiff::Timestamp,
    /// The spool that is read.
    pub spool: PathBuf,
    /// Each destination.
    pub destinations: Vec<DestinationStatus>,
    /// Exports of the guard's metrics.
    pub metrics_exported: u64,
    /// Exports that failed.
    pub metrics_failed: u64,
    /// Why the last one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_trouble: Option<String>,
}

/// How things are with a destination, since this process began.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DestinationStatus {
    /// Its name.
    pub name: &'static str,
    /// Events that it has taken.
    pub delivered: u64,
    /// Requests that it has taken.
    pub requests: u64,
    /// Requests that had to be sent again.
    pub retries: u64,
    /// Events that it refused for good, and that are in the dead letters.
    pub refused: u64,
    /// Lines that are no events, and that are in the dead letters.
    pub unreadable: u64,
    /// Lines that the spool dropped before they were delivered.
    pub missed: u64,
    /// Bytes of half lines that killed writers left.
    pub torn_bytes: u64,
    /// Bytes of the spool that are not delivered yet.
    pub lag_bytes: u64,
    /// Seconds since the oldest event was written that is not delivered yet.
    pub lag_secs: u64,
    /// What is wrong at this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl DestinationStatus {
    /// Whether everything that was in the spool has been taken.
    pub fn is_clean(&self) -> bool {
        self.trouble.is_none()
            && self.refused + self.unreadable + self.missed == 0
            && self.lag_bytes == 0
    }
}

/// What came of it all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How things are at the end.
    #[serde(flatten)]
    pub status: Status,
    /// Everything was delivered: nothing is left, missed or refused.
    pub complete: bool,
}

impl Summary {
    pub(super) fn of(status: Status, is_broken: bool) -> Self {
        let complete = !is_broken
            && status.metrics_trouble.is_none()
            && status.destinations.iter().all(DestinationStatus::is_clean);
        Self { status, complete }
    }
}

/// One destination's, shared with who tells it.
pub(crate) type SharedStatus = Arc<Mutex<DestinationStatus>>;

/// Changes a status.
pub(crate) fn change(shared: &SharedStatus, how: impl FnOnce(&mut DestinationStatus)) {
    how(&mut locked(shared));
}

pub(super) struct Shared {
    spool: PathBuf,
    destinations: Vec<SharedStatus>,
    metrics: Mutex<MetricsStatus>,
}

#[derive(Default)]
struct MetricsStatus {
    exported: u64,
    failed: u64,
    trouble: Option<String>,
    is_broken: bool,
}

impl Shared {
    pub(super) fn new(spool: &Path, names: impl Iterator<Item = &'static str>) -> Self {
        let status = |name| {
            Arc::new(Mutex::new(DestinationStatus {
                name,
                ..DestinationStatus::default()
            }))
        };
        Self {
            spool: spool.to_owned(),
            destinations: names.map(status).collect(),
            metrics: Mutex::default(),
        }
    }

    pub(super) fn of(&self, number: usize) -> SharedStatus {
        Arc::clone(&self.destinations[number])
    }

    pub(super) fn status(&self) -> Status {
        let metrics = locked(&self.metrics);
        Status {
            at: jiff::Timestamp::now(),
            spool: self.spool.clone(),
            destinations: self
                .destinations
                .iter()
                .map(|status| locked(status).clone())
                .collect(),
            metrics_exported: metrics.exported,
            metrics_failed: metrics.failed,
            metrics_trouble: metrics.trouble.clone(),
        }
    }

    pub(super) fn metrics_exported(&self) {
        let mut metrics = locked(&self.metrics);
        metrics.exported += 1;
        metrics.trouble = None;
    }

    pub(super) fn metrics_failed(&self, why: String) {
        let mut metrics = locked(&self.metrics);
        metrics.failed += 1;
        metrics.trouble = Some(why);
    }

    pub(super) fn broken(&self) {
        locked(&self.metrics).is_broken = true;
    }

    pub(super) fn is_broken(&self) -> bool {
        locked(&self.metrics).is_broken
    }

    /// Name, help, destination, value, and whether it only grows.
    pub(super) fn own_metrics(&self) -> Own {
        let mut own = Own::new();
        for status in &self.destinations {
            let status = locked(status).clone();
            for (name, help, value, grows) in [
                (
                    "davylamp_forward_delivered_total",
                    "Events that a destination has taken.",
                    status.delivered,
                    true,
                ),
                (
                    "davylamp_forward_retries_total",
                    "Requests that had to be sent again.",
                    status.retries,
                    true,
                ),
                (
                    "davylamp_forward_refused_total",
                    "Events that went to the dead letters.",
                    status.refused + status.unreadable,
                    true,
                ),
                (
                    "davylamp_forward_missed_total",
                    "Lines that the spool dropped before they were delivered.",
                    status.missed,
                    true,
                ),
                (
                    "davylamp_forward_lag_bytes",
                    "Bytes of the spool that are not delivered yet.",
                    status.lag_bytes,
                    false,
                ),
            ] {
                own.push((name, help, status.name.to_owned(), value, grows));
            }
        }
        own
    }
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
