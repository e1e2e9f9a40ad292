//! How long to wait before trying again.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait of our own.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest wait that a server may ask for: one that asks for more is asked again all the same.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// Waits that double, each somewhere between half of itself and all of it, so that the guards of a
/// cluster do not all come back at once.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    failures: u32,
}

impl Patience {
    /// The next wait; `asked` is what the other side said.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let full = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures += 1;
        let own = full.mul_f64(0.5 + random() / 2.0);
        asked.map_or(own, |asked| asked.min(LONGEST_ASKED).max(own))
    }

    /// How often it failed since it last went well.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// It went well.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Somewhere from 0 to 1. The standard library's hash maps are seeded at random, which is random
/// enough for not meeting.
fn random() -> f64 {
    let seeded = RandomState::new().build_hasher().finish();
    f64::from((seeded >> 32) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_differ() {
        let mut patience = Patience::default();
        let waits: Vec<Duration> = (0..30).map(|_| patience.next(None)).collect();
        assert!(waits[0] >= FIRST / 2 && waits[0] <= FIRST);
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
        assert!(waits[20..].iter().all(|wait| *wait >= LONGEST / 2));
        assert!(waits[20..].iter().any(|wait| *wait != waits[20]));
        patience.reset();
        assert!(patience.next(None) <= FIRST);
    }

    #[test]
    fn what_is_asked_for_is_honoured_within_reason() {
        let mut patience = Patience::default();
        let asked = Duration::from_secs(7);
        assert_eq!(patience.next(Some(asked)), asked);
        let ages = Duration::from_secs(1 << 40);
        assert_eq!(patience.next(Some(ages)), LONGEST_ASKED);
    }
}
