//! What every store does in the same way: times as numbers, leases, and what an entry counts for.

use jiff::{SignedDuration, Timestamp};

use super::{Claim, ClaimRequest, Event, JournalError};

/// An incident's head: what is written conditionally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// When it was opened, or opened again.
    pub(super) opened_at: Timestamp,
    /// The run that holds the lease.
    pub(super) run: Option<String>,
    /// When the lease ends.
    pub(super) until: Option<Timestamp>,
}

impl Head {
    /// The other run that holds the lease, if any.
    pub(super) fn held_by_another(&self, run: &str, now: Timestamp) -> Option<(String, Timestamp)> {
        match (&self.run, self.until) {
            (Some(holder), Some(until)) if holder != run && until > now => {
                Some((holder.clone(), until))
            }
            _ => None,
        }
    }

    /// Whether a finding that comes now still belongs to it.
    pub(super) fn is_open(&self, request: &ClaimRequest) -> bool {
        self.opened_at >= window_start(request)
    }
}

/// An incident opened before this is over.
pub(super) fn window_start(request: &ClaimRequest) -> Timestamp {
    let window = SignedDuration::from_hours(i64::from(request.window_hours));
    request.now.checked_sub(window).unwrap_or(Timestamp::MIN)
}

/// What counts towards the caps of an hour was begun since then.
pub(super) fn cap_window(now: Timestamp) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(1))
        .unwrap_or(Timestamp::MIN)
}

/// When a lease taken now ends.
pub(super) fn lease_end(now: Timestamp, lease_secs: u32) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(i64::from(lease_secs)))
        .unwrap_or(Timestamp::MAX)
}

/// A time as whole microseconds since 1970: what the stores compare.
pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The time that [`micros`] gave.
pub(super) fn from_micros(store: &str, micros: i64) -> Result<Timestamp, JournalError> {
    Timestamp::from_microsecond(micros).map_err(|error| JournalError::Unreadable {
        store: store.to_owned(),
        why: error.to_string(),
    })
}

/// The playbook an event counts for and whether as an irreversible step.
pub(super) fn counts_for(event: &Event) -> Option<(&str, bool)> {
    match event {
        Event::Intended {
            playbook,
            irreversible,
            ..
        } => Some((playbook, *irreversible)),
        _ => None,
    }
}

/// The answer to a claim that another run's lease forbids.
pub(super) fn busy(incident: &str, (run, until): (String, Timestamp)) -> Claim {
    Claim::Busy {
        incident: incident.into(),
        run,
        until,
    }
}
