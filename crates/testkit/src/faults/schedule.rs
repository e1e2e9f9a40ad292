//! Which calls fail, and how.

use std::collections::HashMap;
use std::time::Duration;

use super::Operation;

/// What is done to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The service's own throttling error, without effect.
    Throttle,
    /// A server error with this status (500 or 503), without effect.
    ServerError(u16),
    /// Any error of the service, without effect, such as `OperationNotPermitted`.
    Error {
        /// The status.
        status: u16,
        /// The code.
        code: String,
        /// The message.
        message: String,
    },
    /// The answer comes late.
    Latency(Duration),
    /// The call has its effect, and the connection is dropped.
    LostReply,
    /// The connection is dropped before the call has an effect.
    DropBefore,
    /// The answer that the same request got before, where there is one.
    StaleRead,
    /// The answer with one text replaced by another, wherever it stands.
    RewriteBody {
        /// What stands there.
        from: String,
        /// What the client gets.
        to: String,
    },
    /// The call has its effect twice; the second answer is given.
    Duplicate,
}

/// A fault for some of the calls that match.
#[derive(Debug, Clone)]
pub struct Rule {
    service: String,
    action: String,
    containing: Option<String>,
    fault: Fault,
    skip: u32,
    every: u32,
    times: u32,
    matched: u32,
    applied: u32,
}

impl Rule {
    /// Every call of an operation. Both names may hold `*` for any text; the service's is its signing
    /// name (`ec2`, `iam`, `s3`).
    pub fn new(service: &str, action: &str, fault: Fault) -> Self {
        Self {
            service: service.to_owned(),
            action: action.to_owned(),
            containing: None,
            fault,
            skip: 0,
            every: 1,
            times: u32::MAX,
            matched: 0,
            applied: 0,
        }
    }

    /// Snapshots look pending, though the test server completes them at once.
    pub fn snapshots_pending() -> Self {
        Self::snapshots("pending")
    }

    /// Snapshots look as if they had failed.
    pub fn snapshots_error() -> Self {
        Self::snapshots("error")
    }

    fn snapshots(state: &str) -> Self {
        Self::new(
            "ec2",
            "DescribeSnapshots",
            Fault::RewriteBody {
                from: "<status>completed</status>".to_owned(),
                to: format!("<status>{state}</status>"),
            },
        )
    }

    /// Only calls whose path or body holds this text, such as a target's id.
    #[must_use]
    pub fn containing(mut self, text: &str) -> Self {
        self.containing = Some(text.to_owned());
        self
    }

    /// Only the nth matching call; the first is 1.
    #[must_use]
    pub fn nth(self, n: u32) -> Self {
        self.after(n.saturating_sub(1)).times(1)
    }

    /// Not the first `n` matching calls.
    #[must_use]
    pub fn after(mut self, n: u32) -> Self {
        self.skip = n;
        self
    }

    /// Only every kth of the matching calls.
    #[must_use]
    pub fn every(mut self, k: u32) -> Self {
        self.every = k.max(1);
        self
    }

    /// At most this often.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    fn next(&mut self, operation: &Operation, path: &str, body: &str) -> Option<Fault> {
        let matches = glob(&self.service, &operation.service)
            && glob(&self.action, &operation.action)
            && self
                .containing
                .as_ref()
                .is_none_or(|text| path.contains(text) || body.contains(text));
        if !matches {
            return None;
        }
        self.matched += 1;
        let number = self.matched.checked_sub(self.skip + 1)?;
        if (number + 1) % self.every != 0 || self.applied >= self.times {
            return None;
        }
        self.applied += 1;
        Some(self.fault.clone())
    }
}

/// How often random faults come, each of 1,000 calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// [`Fault::Throttle`].
    pub throttle: u32,
    /// [`Fault::ServerError`], 500 and 503 in turn.
    pub server_error: u32,
    /// [`Fault::Latency`], up to 50 ms.
    pub latency: u32,
    /// [`Fault::LostReply`].
    pub lost_reply: u32,
    /// [`Fault::DropBefore`].
    pub drop_before: u32,
    /// [`Fault::StaleRead`], for operations that only read.
    pub stale_read: u32,
    /// [`Fault::Duplicate`].
    pub duplicate: u32,
    /// At most so many faults in a row for one operation, so that who repeats gets through.
    pub in_a_row: u32,
}

impl Default for Rates {
    /// Nearly every fourth call has a fault.
    fn default() -> Self {
        Self {
            throttle: 60,
            server_error: 40,
            latency: 30,
            lost_reply: 40,
            drop_before: 30,
            stale_read: 20,
            duplicate: 20,
            in_a_row: 2,
        }
    }
}

/// Which calls fail, and how. Rules come first, in order; the first that applies is the fault.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    rules: Vec<Rule>,
    random: Option<Random>,
}

#[derive(Debug, Clone)]
struct Random {
    seed: u64,
    rates: Rates,
    /// For each operation: calls so far, and faults in a row up to now.
    counts: HashMap<(String, String), (u64, u32)>,
}

impl Schedule {
    /// Nothing fails.
    pub fn clean() -> Self {
        Self::default()
    }

    /// These rules.
    pub fn rules(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self {
            rules: rules.into_iter().collect(),
            random: None,
        }
    }

    /// Random faults. Which one the nth call of an operation gets depends on the seed, the operation
    /// and n alone, so that calls of other operations beside it change nothing.
    pub fn random(seed: u64, rates: Rates) -> Self {
        Self {
            rules: Vec::new(),
            random: Some(Random {
                seed,
                rates,
                counts: HashMap::new(),
            }),
        }
    }

    /// Adds a rule, which comes before random faults.
    #[must_use]
    pub fn with(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    pub(super) fn next(&mut self, operation: &Operation, path: &str, body: &str) -> Option<Fault> {
        let mut chosen = None;
        for rule in &mut self.rules {
            // Every rule counts the calls that match it, also where another one applies.
            let fault = rule.next(operation, path, body);
            chosen = chosen.or(fault);
        }
        chosen.or_else(|| self.random.as_mut()?.next(operation))
    }
}

impl Random {
    fn next(&mut self, operation: &Operation) -> Option<Fault> {
        let key = (operation.service.clone(), operation.action.clone());
        let (count, in_a_row) = self.counts.entry(key).or_default();
        *count += 1;
        let draw = mix(self.seed, operation, *count);
        let fault = if *in_a_row < self.rates.in_a_row {
            self.rates.pick(draw, operation)
        } else {
            None
        };
        *in_a_row = if fault.is_some() { *in_a_row + 1 } else { 0 };
        fault
    }
}

impl Rates {
    fn pick(&self, draw: u64, operation: &Operation) -> Option<Fault> {
        let mut number = u32::try_from(draw % 1000).unwrap_or_default();
        let detail = draw >> 32;
        let mut falls_in = |rate: u32| {
            let inside = number < rate;
            number = if inside { u32::MAX } else { number - rate };
            inside
        };
        if falls_in(self.throttle) {
            return Some(Fault::Throttle);
        }
        if falls_in(self.server_error) {
            let status = if detail.is_multiple_of(2) { 500 } else { 503 };
            return Some(Fault::ServerError(status));
        }
        if falls_in(self.latency) {
            return Some(Fault::Latency(Duration::from_millis(detail % 50)));
        }
        if falls_in(self.lost_reply) {
            return Some(Fault::LostReply);
        }
        if falls_in(self.drop_before) {
            return Some(Fault::DropBefore);
        }
        if falls_in(self.stale_read) {
            return operation.only_reads().then_some(Fault::StaleRead);
        }
        falls_in(self.duplicate).then_some(Fault::Duplicate)
    }
}

/// Numbers that look random and are the same on every machine (FNV-1a over the parts, finished as
/// SplitMix64 does).
fn mix(seed: u64, operation: &Operation, count: u64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed;
    let parts = [operation.service.as_bytes(), operation.action.as_bytes()];
    for byte in parts.concat().iter().chain(&count.to_le_bytes()) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Whether a text fits a pattern in which `*` stands for any text.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        if let Some(before) = last.replace(part) {
            match rest.split_once(before) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
    }
    last.map_or(rest.is_empty(), |end| rest.ends_with(end))
}
