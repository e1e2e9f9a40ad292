//! How often somebody has tried to sign in and failed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

/// So many failures of a name from an address are free; then each waits.
const FREE: u32 = 5;
/// So many of an address, whatever the name: many people may be behind it.
const FREE_OF_ADDRESS: u32 = 100;
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
    fn wait(self, free: u32, now: Instant) -> Option<Duration> {
        let doubled = self.count.checked_sub(free)?.min(16);
        let wait = FIRST_WAIT.saturating_mul(1 << doubled).min(LONGEST_WAIT);
        wait.checked_sub(now.saturating_duration_since(self.last))
            .filter(|left| !left.is_zero())
    }
}

/// What was tried from where: a name's digest, as a name is as long as whoever tries it likes; none for
/// everything that was tried from there.
type Tried = (Option<[u8; 32]>, IpAddr);

fn by_name(name: &str, from: IpAddr) -> Tried {
    (Some(Sha256::digest(name.as_bytes()).into()), network(from))
}

fn by_address(from: IpAddr) -> Tried {
    (None, network(from))
}

/// Whoever has an address of IPv6 has the 2^64 beside it.
fn network(from: IpAddr) -> IpAddr {
    match from {
        IpAddr::V4(_) => from,
        IpAddr::V6(address) => {
            let bits = u128::from(address) >> 64 << 64;
            IpAddr::V6(bits.into())
        }
    }
}

/// Failures, by what was tried from where.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<Tried, Failures>>);

impl Attempts {
    /// How long this one has to wait, if at all. A name is slowed down from one address, not everywhere:
    /// else anybody could lock somebody out.
    pub(crate) fn wait(&self, name: &str, from: IpAddr, now: Instant) -> Option<Duration> {
        let known = self.lock();
        let of = |tried: Tried, free| known.get(&tried)?.wait(free, now);
        of(by_name(name, from), FREE).max(of(by_address(from), FREE_OF_ADDRESS))
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
        for tried in [by_name(name, from), by_address(from)] {
            let failures = known.entry(tried).or_insert(Failures {
                count: 0,
                last: now,
            });
            if now.duration_since(failures.last) > LONGEST_WAIT {
                failures.count = 0;
            }
            failures.count = failures.count.saturating_add(1);
            failures.last = now;
        }
    }

    /// Forgets the failures of who got in.
    pub(crate) fn passed(&self, name: &str, from: IpAddr) {
        self.lock().remove(&by_name(name, from));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Tried, Failures>> {
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

    #[test]
    fn who_tries_many_names_waits_as_well() {
        let attempts = Attempts::default();
        let (here, there) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let now = Instant::now();
        for n in 0..FREE_OF_ADDRESS {
            assert_eq!(attempts.wait("ada", here, now), None);
            attempts.failed(&format!("name-{n}"), here, now);
        }
        assert_eq!(attempts.wait("ada", here, now), Some(FIRST_WAIT));
        assert_eq!(attempts.wait("ada", there, now), None);
        let [one, beside, else_] = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"]
            .map(|text| text.parse::<IpAddr>().expect("an address"));
        for _ in 0..FREE {
            attempts.failed("ada", one, now);
        }
        assert_eq!(attempts.wait("ada", beside, now), Some(FIRST_WAIT));
        assert_eq!(attempts.wait("ada", else_, now), None);
    }
}
