//! Where logs say nothing although they otherwise do: between deliveries of log files, and of calls that
//! services make as regularly as a clock.
//!
//! A silence proves nothing: CloudTrail delivers a file only where something was called, and services
//! stop. It says where to look, which is most of what there is without digests. A silence that proven
//! digests cover is none: they list no file because there was none.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_hunt::engine::{Engine, EngineError};
use davylamp_hunt::objects::{Object, Scope};
use davylamp_model::verdict::Verdict;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::place;
use super::report::Chain;
use super::rows::Rows;

/// No more silences than this are kept.
const MAX_SILENCES: usize = 1000;

/// A shorter silence is none: a file about every five minutes is what CloudTrail says it delivers.
const LEAST: SignedDuration = SignedDuration::from_hours(1);

/// A silence is this much longer than what is usual in its region.
const TIMES_USUAL: i32 = 4;

/// Fewer deliveries say nothing about what is usual.
const LEAST_DELIVERIES: usize = 12;

/// A service's call is regular if it comes in so many hours, and in so large a share of the hours from its
/// first to its last, but for the longest silence.
const LEAST_HOURS: usize = 24;
const LEAST_SHARE: f64 = 0.9;

/// So many hours without a regular call are a silence.
const SILENT_HOURS: i64 = 2;

/// So many regular calls are named.
const MAX_NAMED: usize = 3;

/// A stretch in which a region's logs say nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// What is silent.
    pub kind: SilenceKind,
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// From the last sign before it.
    pub from: Timestamp,
    /// To the first after it.
    pub until: Timestamp,
    /// What is silent, and what is usual, as a clause.
    pub what: String,
}

/// What is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SilenceKind {
    /// No log file was delivered.
    Delivery,
    /// Calls that services make regularly did not come.
    Heartbeat,
}

/// What a silence can mean and what it cannot: said once beside all of them.
pub const MEANING: &str = "a silence may be quiet time, a trail that was off, or files that were deleted; \
     it proves none of these, and only digests could";

/// When log files were delivered, by account and region.
#[derive(Debug, Default)]
pub(super) struct Deliveries(BTreeMap<(String, String), BTreeSet<Timestamp>>);

impl Deliveries {
    /// As the names of log files say it.
    pub fn of(objects: &[Object], logs: &[u32], scope: &Scope) -> Self {
        let mut all = Self::default();
        for object in logs.iter().map(|number| &objects[*number as usize]) {
            let layout = &object.layout;
            let of = layout.account.as_deref().zip(layout.region.as_deref());
            if let (Some((account, region)), Some(at)) = (of, place::delivered(&object.name)) {
                let of = (account.to_owned(), region.to_owned());
                all.0.entry(of).or_default().insert(at);
            }
        }
        for deliveries in all.0.values_mut() {
            // What is asked for begins and ends for everybody.
            deliveries.extend(scope.since);
            deliveries.extend(scope.until);
        }
        all
    }

    /// The silences that no proven digest explains, the longest first, and how many more there are.
    pub fn silences(&self, chains: &[Chain]) -> (Vec<Silence>, u64) {
        let mut found = Vec::new();
        for ((account, region), deliveries) in &self.0 {
            if deliveries.len() < LEAST_DELIVERIES {
                continue;
            }
            let pairs = deliveries.iter().zip(deliveries.iter().skip(1));
            let mut between: Vec<_> = pairs.clone().map(|(a, b)| b.duration_since(*a)).collect();
            between.sort_unstable();
            // Nineteen of twenty are not longer.
            let usual = between[(between.len() - 1) * 19 / 20];
            for (from, until) in pairs {
                let length = until.duration_since(*from);
                let is_long = length > LEAST && length > usual * TIMES_USUAL;
                if !is_long || is_proven(chains, account, region, *from, *until) {
                    continue;
                }
                found.push(Silence {
                    kind: SilenceKind::Delivery,
                    account: account.clone(),
                    region: region.clone(),
                    from: *from,
                    until: *until,
                    what: format!(
                        "no log file was delivered for {}, and otherwise one comes within {}{}",
                        minutes(length),
                        minutes(usual),
                        self.others(account, region, *from, *until),
                    ),
                });
            }
        }
        longest(found)
    }

    /// What other regions of the account delivered meanwhile.
    fn others(&self, account: &str, region: &str, from: Timestamp, until: Timestamp) -> String {
        let others = self.0.iter().filter(|((of, at), deliveries)| {
            let is_inside = |it: &Timestamp| from < *it && *it < until;
            of == account && at != region && deliveries.iter().any(is_inside)
        });
        match others.count() {
            0 => "; no other region of the account has one either".to_owned(),
            1 => "; another region of the account has some".to_owned(),
            many => format!("; {many} other regions of the account have some"),
        }
    }
}

/// Whether proven digests cover all of it.
fn is_proven(
    chains: &[Chain],
    account: &str,
    region: &str,
    from: Timestamp,
    until: Timestamp,
) -> bool {
    let of_it = chains
        .iter()
        .filter(|chain| chain.account == account && chain.region == region);
    of_it
        .flat_map(|chain| &chain.hours)
        .any(|hours| hours.verdict == Verdict::Pass && hours.from <= from && until <= hours.until)
}

/// Looks for calls that services make regularly and that fail to come. Every event is read.
///
/// # Errors
/// When the logs cannot be asked.
pub async fn heartbeats(engine: &Engine) -> Result<(Vec<Silence>, u64), EngineError> {
    let mut beats: BTreeMap<(String, String), BTreeMap<String, BTreeSet<i64>>> = BTreeMap::new();
    let mut rows = Rows::of(engine, BEATS).await?;
    while let Some(row) = rows.next().await? {
        let [Some(account), Some(region), Some(call), Some(hour)] = row.as_slice() else {
            continue;
        };
        if let Ok(hour) = hour.parse() {
            let of = (account.clone(), region.clone());
            let calls = beats.entry(of).or_default();
            calls.entry(call.clone()).or_default().insert(hour);
        }
    }
    let mut found = Vec::new();
    for ((account, region), mut calls) in beats {
        calls.retain(|_, hours| is_regular(hours));
        found.extend(silent(&account, &region, &calls));
    }
    Ok(longest(found))
}

/// Services' own calls, by hour. What a service does for somebody comes when somebody does something.
const BEATS: &str = "SELECT DISTINCT coalesce(recipient_account_id, account_id), region, \
     event_source || ' ' || event_name, CAST(floor(event_epoch / 3600) AS BIGINT) FROM cloudtrail \
     WHERE identity_type = 'AWSService' OR source_ip_address LIKE '%.amazonaws.com'";

fn is_regular(hours: &BTreeSet<i64>) -> bool {
    let (Some(first), Some(last)) = (hours.first(), hours.last()) else {
        return false;
    };
    let between = hours.iter().zip(hours.iter().skip(1));
    let longest = between.map(|(a, b)| b - a - 1).max().unwrap_or(0);
    let expected = last - first + 1 - longest;
    hours.len() >= LEAST_HOURS && hours.len() as f64 >= LEAST_SHARE * expected as f64
}

/// The hours in which none of the regular calls came that came before and after.
fn silent(account: &str, region: &str, calls: &BTreeMap<String, BTreeSet<i64>>) -> Vec<Silence> {
    let first = calls.values().filter_map(|it| it.first()).min();
    let last = calls.values().filter_map(|it| it.last()).max();
    let (Some(first), Some(last)) = (first, last) else {
        return Vec::new();
    };
    let heard: BTreeSet<i64> = calls.values().flatten().copied().collect();
    let mut named: Vec<&str> = calls.keys().map(String::as_str).take(MAX_NAMED).collect();
    let more = calls.len().saturating_sub(named.len());
    let more = format!("{more} more");
    if calls.len() > MAX_NAMED {
        named.push(&more);
    }
    let mut found = Vec::new();
    let pairs = heard
        .range(first..=last)
        .zip(heard.range(first..=last).skip(1));
    for (before, after) in pairs {
        if after - before - 1 < SILENT_HOURS {
            continue;
        }
        let at = |hour: i64| Timestamp::from_second(hour.saturating_mul(3600));
        if let (Ok(from), Ok(until)) = (at(before + 1), at(*after)) {
            found.push(Silence {
                kind: SilenceKind::Heartbeat,
                account: account.to_owned(),
                region: region.to_owned(),
                from,
                until,
                what: format!("what comes every hour did not: {}", named.join(", ")),
            });
        }
    }
    found
}

fn longest(mut found: Vec<Silence>) -> (Vec<Silence>, u64) {
    found.sort_by_key(|it| std::cmp::Reverse(it.until.duration_since(it.from)));
    let more = found.len().saturating_sub(MAX_SILENCES) as u64;
    found.truncate(MAX_SILENCES);
    (found, more)
}

fn minutes(length: SignedDuration) -> String {
    match length.as_mins() {
        minutes @ ..120 => format!("{minutes} minutes"),
        minutes => format!("{} hours", minutes / 60),
    }
}
