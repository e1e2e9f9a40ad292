//! How patiently a channel is tried, and when it is given up for a run.
//!
//! What must stay true: what may be repeated is; no channel takes longer than it is given, whatever
//! becomes of it; what did not go out is an error, never silence.

use std::time::Duration;

use jiff::Timestamp;

use crate::actuator::{ActError, Acting};
use crate::clock::{Clock, later};

/// A channel may take this long in one run, with all its notices and tries. It is less than the
/// lease on a notice's mark ([`notice_lease_secs`](crate::responder::ResponderOptions)), after which
/// another run would send the notice as well, and than the lease on an incident, which is held until
/// people are told.
const IN_ALL: Duration = Duration::from_secs(45);

/// How often and how patiently a channel is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Tries of one notice at most.
    pub tries: u32,
    /// Before the second try; twice as long before each further one.
    pub first_pause: Duration,
    /// One try may take this long.
    pub each: Duration,
    /// All notices of a run together may take this long.
    pub in_all: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            tries: 4,
            first_pause: Duration::from_millis(500),
            each: Duration::from_secs(20),
            in_all: IN_ALL,
        }
    }
}

/// What became of a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// How often it was tried.
    pub tries: u32,
    /// Whether it went out, or the last error.
    pub result: Result<(), ActError>,
}

/// What is left of the patience with one channel in one run.
pub struct Patient<'a> {
    clock: &'a dyn Clock,
    patience: Patience,
    until: Timestamp,
    /// Whether the last notice did not get through with all its tries: the next has one.
    is_down: bool,
}

impl<'a> Patient<'a> {
    /// From now on; not beyond `deadline`, when the run itself has to be over.
    pub fn new(clock: &'a dyn Clock, patience: Patience, deadline: Option<Timestamp>) -> Self {
        let until = later(clock.now(), patience.in_all);
        Self {
            clock,
            patience,
            until: deadline.map_or(until, |deadline| deadline.min(until)),
            is_down: false,
        }
    }

    /// Sends one notice, and repeats what may be repeated.
    pub async fn deliver<'s>(
        &mut self,
        channel: &str,
        send: impl Fn() -> Acting<'s, ()>,
    ) -> Delivery {
        let most = if self.is_down { 1 } else { self.patience.tries };
        let mut pause = self.patience.first_pause;
        let mut tries = 0;
        loop {
            let left = self.left();
            if left.is_zero() {
                let why = "the time that a run has for telling was over".to_owned();
                let service = channel.to_owned();
                let result = Err(ActError::Transient { service, why });
                return Delivery { tries, result };
            }
            tries += 1;
            let each = left.min(self.patience.each);
            let result = tokio::select! {
                biased;
                sent = send() => sent,
                () = self.clock.sleep(each) => Err(ActError::Transient {
                    service: channel.to_owned(),
                    why: format!("no answer within {} s", each.as_secs()),
                }),
            };
            let Err(error) = &result else {
                self.is_down = false;
                return Delivery { tries, result };
            };
            let again = error.is_transient() && tries < most && self.left() > pause;
            if !again {
                tracing::error!(channel, %error, tries, "a notice did not go out");
                self.is_down = error.is_transient();
                return Delivery { tries, result };
            }
            tracing::warn!(channel, %error, tries, "a notice is tried again");
            self.clock.sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
    }

    fn left(&self) -> Duration {
        let left = self.until.duration_since(self.clock.now());
        Duration::try_from(left).unwrap_or(Duration::ZERO)
    }
}
