//! What can be set about calling AWS.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use davylamp_model::ids::AccountId;

use super::pace::Rates;

/// Where and as whom AWS is called.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SessionOptions {
    /// The home region; the environment's where not given.
    pub region: Option<String>,
    /// Another endpoint for every service, for a test server or a private gateway.
    pub endpoint_url: Option<String>,
    /// There is no AWS: nothing is asked of it, and nothing is looked for credentials in.
    pub absent: bool,
    /// The account our own credentials belong to, where it is known already (a Lambda is told it):
    /// saves one call at the start.
    pub account: Option<AccountId>,
    /// The role to assume in an account that is not our own, by name.
    pub role: Option<String>,
    /// The external id that role asks for.
    pub external_id: Option<String>,
    /// How often and how patiently a call is repeated.
    pub retries: Retries,
    /// How fast AWS is called.
    pub rates: Rates,
}

/// How a call that failed for a moment is repeated. Waiting times double and are jittered by the
/// SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Slow down the whole client when a service throttles, beside repeating the call.
    pub adaptive: bool,
    /// Attempts in all, the first one included; at least one.
    pub attempts: u32,
    /// The longest wait before the second attempt.
    pub first_wait: Duration,
    /// The longest wait before any attempt.
    pub longest_wait: Duration,
}

impl Default for Retries {
    /// Six attempts: with the waits below about 15 s in the worst case, long enough for a token
    /// bucket of EC2 to refill and short enough to leave the responder time to say that it failed.
    fn default() -> Self {
        Self {
            adaptive: false,
            attempts: 6,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(8),
        }
    }
}

impl Retries {
    pub(super) fn config(self) -> RetryConfig {
        let base = if self.adaptive {
            RetryConfig::adaptive()
        } else {
            RetryConfig::standard()
        };
        base.with_max_attempts(self.attempts.max(1))
            .with_initial_backoff(self.first_wait)
            .with_max_backoff(self.longest_wait)
    }
}
