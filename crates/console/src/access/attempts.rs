//! How often somebody has tried to sign in and failed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// So many failures are free; then each waits.
const FREE: u32 = 5;
/// The first wait; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// So many names and addresses are remembered.
const REMEMBERED: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn wait(self, now: Instant) -> Option<Duration> {
        let doubled = self.count.checked_sub(FREE)?.min(16);
        let wait = FIRST_WAIT.saturating_mul(1 << doubled).min(LONGEST_WAIT);
        wait.checked_sub(now.saturating_duration_since(self.last))
            .filter(|left| !left.is_zero())
    }
}

/// Failures, by what was tried from where.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<(String, Option<IpAddr>), Failures>>);

impl Attempts {
    /// How long this one has to wait, if at all. A name is slowed down from one address, not everywhere:
    /// else anybody could lock somebody out.
    pub(crate) fn wait(&self, name: &str, from: IpAddr, now: Instant) -> Option<Duration> {
        let known = self.lock();
        let by_name = known.get(&(name.to_owned(), Some(from)));
        let by_address = known.get(&(String::new(), Some(from)));
        [by_name, by_address]
            .into_iter()
            .flatten()
            .filter_map(|failures| failures.wait(now))
            .max()
    }

    /// Notes a failure.
    pub(crate) fn failed(&self, name: &str, from: IpAddr, now: Instant) {
        let mut known = self.lock();
        if known.len() >= REMEMBERED {
            known.retain(|_, failures| now.duration_since(failures.last) < LONGEST_WAIT);
            if known.len() >= REMEMBERED {
                known.clear();
            }
        }
        let mut fail = |name: &str, worth: u32| {
            let failures = known
                .entry((name.to_owned(), Some(from)))
                .or_insert(Failures {
                    count: 0,
                    last: now,
                });
            if now.duration_since(failures.last) > LONGEST_WAIT {
                failures.count = 0;
            }
            failures.count = failures.count.saturating_add(worth);
            failures.last = now;
        };
        fail(name, 1);
        // An address may have many people behind it.
        fail("", u32::from(name.is_empty()));
    }

    /// Forgets the failures of who got in.
    pub(crate) fn passed(&self, name: &str, from: IpAddr) {
        self.lock().remove(&(name.to_owned(), Some(from)));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, Option<IpAddr>), Failures>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_waits_longer_each_time_and_others_do_not() {
        let attempts = Attempts::default();
        let (here, there) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let now = Instant::now();
        for _ in 0..FREE {
            assert_eq!(attempts.wait("ada", here, now), None);
            attempts.failed("ada", here, now);
        }
        assert_eq!(attempts.wait("ada", here, now), Some(FIRST_WAIT));
        attempts.failed("ada", here, now);
        assert_eq!(attempts.wait("ada", here, now), Some(FIRST_WAIT * 2));
        assert_eq!(attempts.wait("ada", there, now), None, "from elsewhere");
        assert_eq!(attempts.wait("bob", here, now), None, "another name");
        assert_eq!(attempts.wait("ada", here, now + FIRST_WAIT * 2), None);
        attempts.passed("ada", here);
        assert_eq!(attempts.wait("ada", here, now), None);
    }
}
