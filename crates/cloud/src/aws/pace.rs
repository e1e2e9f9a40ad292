//! How fast AWS is called, and how often it was: a token bucket for each account, region and
//! operation in front of the wire, and a count of what went through.
//!
//! The buckets follow the ones that AWS itself keeps, so that a storm of findings is slowed down
//! here and not refused there. A call waits in the connector, below the SDK's retries, so every
//! client is paced whoever made it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::retry::ErrorKind;
use tokio::time::Instant;

use super::call::Call;
use super::options::Retries;
use super::read::is_reading;

/// A call that would wait longer than this is not made: its signature would be stale (AWS accepts
/// it for five minutes), and whoever asked is better told.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// One token bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// How many calls may be made at once.
    pub burst: f64,
    /// How many calls a second are added, up to the burst.
    pub per_second: f64,
}

/// How fast each kind of call may be made, for each account and region.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// EC2's reading calls, each operation by itself. EC2 developer guide, "Request throttling for
    /// the Amazon EC2 API": non-mutating actions, paginated or filtered.
    pub ec2_reading: Rate,
    /// EC2's changing calls, each operation by itself. Same page: mutating actions.
    pub ec2_writing: Rate,
    /// Lambda's control plane, all operations together. Lambda developer guide, "Lambda quotas":
    /// 15 requests a second.
    pub lambda: Rate,
    /// Every other service's reading calls, each operation by itself. Most services publish no
    /// figure: this is slower than those that do (ECS, EKS), and retries cover the rest.
    pub reading: Rate,
    /// Every other service's changing calls, each operation by itself.
    pub writing: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        let rate = |burst, per_second| Rate { burst, per_second };
        Self {
            ec2_reading: rate(100.0, 20.0),
            ec2_writing: rate(50.0, 5.0),
            lambda: rate(15.0, 15.0),
            reading: rate(50.0, 10.0),
            writing: rate(20.0, 5.0),
        }
    }
}

impl Rates {
    fn of(&self, call: &Call) -> (Rate, Bucket) {
        let bucket = |group: &str| Bucket {
            region: call.region.clone(),
            service: call.service.clone(),
            group: group.to_owned(),
        };
        let reads = is_reading(&call.operation) || call.operation.starts_with("GET ");
        match (call.service.as_str(), reads) {
            ("ec2", true) => (self.ec2_reading, bucket(&call.operation)),
            ("ec2", false) => (self.ec2_writing, bucket(&call.operation)),
            ("lambda", _) => (self.lambda, bucket("")),
            (_, true) => (self.reading, bucket(&call.operation)),
            (_, false) => (self.writing, bucket(&call.operation)),
        }
    }
}

/// What a bucket is for, within an account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Bucket {
    region: String,
    service: String,
    group: String,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    tokens: f64,
    at: Instant,
}

impl Level {
    /// Takes a token, and says how long to wait before it may be used.
    fn take(&mut self, rate: Rate, now: Instant) -> Duration {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = rate.burst.min(self.tokens + elapsed * rate.per_second) - 1.0;
        self.at = now;
        if self.tokens >= 0.0 {
            Duration::ZERO
        } else {
            Duration::try_from_secs_f64(-self.tokens / rate.per_second).unwrap_or(Duration::MAX)
        }
    }

    fn give_back(&mut self) {
        self.tokens += 1.0;
    }
}

/// The buckets.
#[derive(Debug, Clone)]
pub struct Pace {
    rates: Arc<Rates>,
    levels: Arc<Mutex<HashMap<(String, Bucket), Level>>>,
}

/// A call would have had to wait too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{service} {operation} would wait {wait_secs} s for its turn")]
struct TooLong {
    service: String,
    operation: String,
    wait_secs: u64,
}

impl Pace {
    /// Full buckets.
    pub fn new(rates: Rates) -> Self {
        Self {
            rates: Arc::new(rates),
            levels: Arc::default(),
        }
    }

    fn reserve(&self, account: &str, call: &Call) -> Result<Duration, TooLong> {
        let (rate, bucket) = self.rates.of(call);
        let now = Instant::now();
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        let level = levels.entry((account.to_owned(), bucket)).or_insert(Level {
            tokens: rate.burst,
            at: now,
        });
        let wait = level.take(rate, now);
        if wait > LONGEST_WAIT {
            level.give_back();
            return Err(TooLong {
                service: call.service.clone(),
                operation: call.operation.clone(),
                wait_secs: wait.as_secs(),
            });
        }
        Ok(wait)
    }
}

/// How often each operation was called, every attempt counted: a number for the report and the
/// benchmark.
#[derive(Debug, Clone, Default)]
pub struct CallCounter {
    counts: Arc<Mutex<BTreeMap<(String, String), u64>>>,
}

impl CallCounter {
    fn count(&self, call: &Call) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts
            .entry((call.service.clone(), call.operation.clone()))
            .or_default() += 1;
    }

    /// The counts so far, by service and operation. An operation of a service that speaks REST has
    /// no name on the wire: it is its method and the first words of its path.
    pub fn by_operation(&self) -> BTreeMap<(String, String), u64> {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// All calls so far.
    pub fn total(&self) -> u64 {
        self.by_operation().values().sum()
    }
}

/// How the requests of one account that no SDK client makes are paced, counted and repeated.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub account: String,
    pub pace: Pace,
    pub calls: CallCounter,
    pub retries: Retries,
}

impl Route {
    /// How long to wait for a turn; why there is none.
    pub(super) fn reserve(&self, call: &Call) -> Result<Duration, String> {
        let turn = self.pace.reserve(&self.account, call);
        turn.map_err(|error| error.to_string())
    }

    pub(super) fn count(&self, call: &Call) {
        self.calls.count(call);
    }
}

/// The SDK's HTTP client with the buckets of one account before it.
#[derive(Clone)]
pub(super) struct PacedClient {
    inner: SharedHttpClient,
    account: String,
    pace: Pace,
    calls: CallCounter,
}

impl PacedClient {
    pub(super) fn new(
        inner: SharedHttpClient,
        account: &str,
        pace: Pace,
        calls: CallCounter,
    ) -> Self {
        Self {
            inner,
            account: account.to_owned(),
            pace,
            calls,
        }
    }
}

impl fmt::Debug for PacedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacedClient")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl HttpClient for PacedClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(PacedConnector {
            inner: self.inner.http_connector(settings, components),
            client: self.clone(),
        })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

#[derive(Debug)]
struct PacedConnector {
    inner: SharedHttpConnector,
    client: PacedClient,
}

impl HttpConnector for PacedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = Call::of(&request);
        let wait = match self.client.pace.reserve(&self.client.account, &call) {
            Ok(wait) => wait,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::other(
                    error.into(),
                    Some(ErrorKind::ThrottlingError),
                )));
            }
        };
        let inner = self.inner.clone();
        let calls = self.client.calls.clone();
        HttpConnectorFuture::new(async move {
            if !wait.is_zero() {
                tracing::debug!(
                    service = call.service,
                    operation = call.operation,
                    wait_ms = wait.as_millis() as u64,
                    "waiting for the rate limit"
                );
                tokio::time::sleep(wait).await;
            }
            calls.count(&call);
            inner.call(request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(service: &str, operation: &str) -> Call {
        Call {
            region: "eu-central-1".to_owned(),
            service: service.to_owned(),
            operation: operation.to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_lets_its_burst_through_and_then_its_rate() {
        let pace = Pace::new(Rates {
            ec2_reading: Rate {
                burst: 3.0,
                per_second: 2.0,
            },
            ..Rates::default()
        });
        let reads = call("ec2", "DescribeInstances");
        let waits = |count: usize| -> Vec<u128> {
            (0..count)
                .map(|_| pace.reserve("1", &reads).unwrap().as_millis())
                .collect()
        };
        assert_eq!(waits(5), [0, 0, 0, 500, 1000]);
        // What another account, region or operation does is counted by itself.
        assert_eq!(pace.reserve("2", &reads), Ok(Duration::ZERO));
        assert_eq!(
            pace.reserve("1", &call("ec2", "DescribeVolumes")),
            Ok(Duration::ZERO)
        );
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(waits(4), [0, 0, 0, 500]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_would_wait_for_long_is_refused_and_gives_its_turn_back() {
        let pace = Pace::new(Rates {
            lambda: Rate {
                burst: 1.0,
                per_second: 0.02,
            },
            ..Rates::default()
        });
        let one = call("lambda", "GET functions");
        assert_eq!(pace.reserve("1", &one), Ok(Duration::ZERO));
        assert_eq!(pace.reserve("1", &one), Ok(Duration::from_secs(50)));
        assert_eq!(pace.reserve("1", &one).unwrap_err().wait_secs, 100);
        assert_eq!(pace.reserve("1", &one).unwrap_err().wait_secs, 100);
    }
}
