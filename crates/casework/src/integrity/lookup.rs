//! What CloudTrail's own history of events has, compared with what a bucket has.
//!
//! `LookupEvents` answers from a store that nobody but AWS can write to, with the management events of
//! ninety days. An event that it has and the bucket has not was deleted there, or never went there: a
//! trail may leave reads, or the calls of some services, out. Source: the CloudTrail API reference,
//! `LookupEvents`; the AWS CloudTrail user guide, "Logging management events".

use std::collections::{HashMap, HashSet};
use std::io::BufRead;

use davylamp_hunt::engine::{Engine, EngineError};
use davylamp_model::verdict::Verdict;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::report::{Chain, worse};
use super::rows::Rows;
use crate::case::Span;

/// No more events of each kind are named; the rest are counted.
pub const MAX_NAMED: usize = 1000;

/// CloudTrail says that it delivers within about this time of a call.
const LATEST_DELIVERY: SignedDuration = SignedDuration::from_mins(15);

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// Fail: the bucket lacks what it ought to have. Unknown: it lacks what it may lack.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub why: String,
    /// From the first to the last event of the history.
    pub span: Option<Span>,
    /// Events that both have.
    pub both: u64,
    /// What only the history has, the earliest first, at most [`MAX_NAMED`].
    pub only_history: Vec<Lacking>,
    /// How many these are in all.
    pub only_history_count: u64,
    /// How many management events of the same time only the bucket has. An export that was asked for some
    /// events, or of one region, lacks the others.
    pub only_bucket_count: u64,
    /// Some of them, by their ids.
    pub only_bucket: Vec<String>,
}

/// An event that the bucket lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lacking {
    /// Its id.
    pub event_id: String,
    /// When it happened.
    pub at: Timestamp,
    /// The service that was called.
    pub source: String,
    /// The action.
    pub name: String,
    /// The account, where it is told.
    pub account: Option<String>,
    /// The region, likewise.
    pub region: Option<String>,
    /// Fail where the bucket ought to have it, pass where digests prove that it never had it.
    pub verdict: Verdict,
    /// Why.
    pub why: String,
}

/// The events of an export.
#[derive(Debug, Default)]
pub struct History {
    events: HashMap<String, Event>,
    /// Whether the export says that there is more.
    is_cut: bool,
}

#[derive(Debug)]
struct Event {
    at: Timestamp,
    source: String,
    name: String,
    is_read: Option<bool>,
    account: Option<String>,
    region: Option<String>,
}

/// Why an export cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// It is something else.
    #[error("it is not what `aws cloudtrail lookup-events` prints")]
    Form(#[source] serde_json::Error),
    /// There is nothing to compare.
    #[error("it holds no event")]
    Empty,
}

#[derive(Deserialize)]
struct Page {
    #[serde(rename = "Events")]
    events: Vec<Written>,
    #[serde(rename = "NextToken", default)]
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    event_id: String,
    event_name: Option<String>,
    event_source: Option<String>,
    event_time: Moment,
    read_only: Option<String>,
    cloud_trail_event: Option<String>,
}

/// Some versions of the program print a text, and some a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Moment {
    Text(String),
    Seconds(f64),
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Inner {
    aws_region: Option<String>,
    recipient_account_id: Option<String>,
}

impl Moment {
    fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Seconds(seconds) => Timestamp::from_second(seconds.floor() as i64).ok(),
        }
    }
}

impl History {
    /// Adds one or several answers of `LookupEvents`, one after another.
    ///
    /// # Errors
    /// When the text is something else.
    pub fn add(&mut self, text: impl BufRead) -> Result<(), HistoryError> {
        let pages = serde_json::Deserializer::from_reader(text).into_iter::<Page>();
        // An answer that says that there is more is followed by it.
        for page in pages {
            let page = page.map_err(HistoryError::Form)?;
            self.is_cut = page.next.is_some();
            for event in page.events {
                let inner = event.cloud_trail_event.as_deref();
                let inner: Inner = inner
                    .and_then(|text| serde_json::from_str(text).ok())
                    .unwrap_or_default();
                let Some(at) = event.event_time.at() else {
                    let error = serde::de::Error::custom("EventTime is no moment");
                    return Err(HistoryError::Form(error));
                };
                self.events.insert(
                    event.event_id,
                    Event {
                        at,
                        source: event.event_source.unwrap_or_default(),
                        name: event.event_name.unwrap_or_default(),
                        is_read: event.read_only.and_then(|it| it.parse().ok()),
                        account: inner.recipient_account_id,
                        region: inner.aws_region,
                    },
                );
            }
        }
        Ok(())
    }

    fn span(&self) -> Option<Span> {
        let times = || self.events.values().map(|event| event.at);
        Some(Span {
            first: times().min()?,
            last: times().max()?,
        })
    }
}

/// Compares a history with what the logs have of the same time.
///
/// # Errors
/// When there is no history, or the logs cannot be asked.
pub async fn compare(
    mut history: History,
    engine: &Engine,
    chains: &[Chain],
) -> Result<Compared, CompareError> {
    let span = history.span().ok_or(HistoryError::Empty)?;
    let sql = format!(
        "SELECT event_id, event_epoch, coalesce(recipient_account_id, account_id), region, event_source, \
         read_only, event_category FROM cloudtrail WHERE event_epoch BETWEEN {} AND {}",
        span.first.as_second(),
        span.last.as_second(),
    );
    let mut rows = Rows::of(engine, &sql).await?;
    let (mut both, mut last): (HashSet<String>, Option<i64>) = (HashSet::new(), None);
    let mut only_bucket: HashSet<String> = HashSet::new();
    let mut classes: HashSet<Class> = HashSet::new();
    while let Some(mut row) = rows.next().await? {
        let mut take = |at: usize| row.get_mut(at).and_then(Option::take);
        let Some(id) = take(0) else { continue };
        last = last.max(take(1).and_then(|at| at.parse().ok()));
        let class = Class {
            account: take(2),
            region: take(3),
            source: take(4).unwrap_or_default(),
            is_read: take(5).and_then(|it| it.parse().ok()),
        };
        // Older records do not say what they are, and are management events.
        let is_management = take(6).is_none_or(|it| it == "Management");
        classes.insert(class);
        if history.events.remove(&id).is_some() {
            both.insert(id);
        } else if is_management && !both.contains(&id) {
            only_bucket.insert(id);
        }
    }
    let mut lacking: Vec<Lacking> = history
        .events
        .drain()
        .map(|(id, event)| event.lacking(id, &classes, chains, last))
        .collect();
    lacking.sort_by(|a, b| (a.at, &a.event_id).cmp(&(b.at, &b.event_id)));
    let verdict = lacking.iter().map(|it| it.verdict);
    let verdict = verdict.fold(Verdict::Pass, worse);
    let failed = lacking.iter().filter(|it| it.verdict == Verdict::Fail);
    let why = match verdict {
        Verdict::Fail => format!(
            "the bucket lacks {} events of the history that it ought to have",
            failed.count()
        ),
        Verdict::Unknown => format!(
            "the bucket lacks {} events of the history, which the trail may leave out",
            lacking
                .iter()
                .filter(|it| it.verdict == Verdict::Unknown)
                .count()
        ),
        Verdict::Pass if history.is_cut => {
            "the bucket has every event of the history, which the export breaks off".to_owned()
        }
        Verdict::Pass if lacking.is_empty() => {
            "the bucket has every event of the history".to_owned()
        }
        Verdict::Pass => format!(
            "the bucket has every event of the history but {}, which the trail does not log: digests prove its \
             files whole",
            lacking.len()
        ),
    };
    let only_history_count = lacking.len() as u64;
    lacking.truncate(MAX_NAMED);
    let mut some: Vec<String> = only_bucket.iter().cloned().collect();
    some.sort_unstable();
    some.truncate(MAX_NAMED);
    Ok(Compared {
        verdict: match history.is_cut {
            true => worse(verdict, Verdict::Unknown),
            false => verdict,
        },
        why,
        span: Some(span),
        both: both.len() as u64,
        only_history: lacking,
        only_history_count,
        only_bucket_count: only_bucket.len() as u64,
        only_bucket: some,
    })
}

/// Why nothing can be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The history cannot be read.
    #[error("the history of events cannot be compared")]
    History(#[from] HistoryError),
    /// The logs cannot be asked.
    #[error("the logs cannot be asked")]
    Engine(#[from] EngineError),
}

/// What a trail logs or leaves out as one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Class {
    account: Option<String>,
    region: Option<String>,
    source: String,
    is_read: Option<bool>,
}

impl Event {
    fn lacking(
        self,
        event_id: String,
        classes: &HashSet<Class>,
        chains: &[Chain],
        last: Option<i64>,
    ) -> Lacking {
        let class = Class {
            account: self.account.clone(),
            region: self.region.clone(),
            source: self.source.clone(),
            is_read: self.is_read,
        };
        let is_of = |chain: &&Chain| {
            Some(&chain.account) == self.account.as_ref()
                && Some(&chain.region) == self.region.as_ref()
        };
        let of_it = chains.iter().filter(is_of).flat_map(|chain| &chain.hours);
        let is_proven = of_it
            .filter(|hours| hours.verdict == Verdict::Pass)
            .any(|hours| hours.from <= self.at && self.at + LATEST_DELIVERY < hours.until);
        let is_late =
            last.is_none_or(|last| self.at.as_second() + LATEST_DELIVERY.as_secs() > last);
        let (verdict, why) = if is_proven {
            let why =
                "the digests prove the log files of its time whole: the trail does not log it";
            (Verdict::Pass, why)
        } else if is_late {
            let why = "the bucket ends about its time: it may not have been delivered yet";
            (Verdict::Unknown, why)
        } else if classes.contains(&class) {
            let why =
                "the bucket has other calls to the same service of the same account and region";
            (Verdict::Fail, why)
        } else {
            let why = "the bucket has no call to the same service there: the trail may not log it";
            (Verdict::Unknown, why)
        };
        Lacking {
            event_id,
            at: self.at,
            source: self.source,
            name: self.name,
            account: self.account,
            region: self.region,
            verdict,
            why: why.to_owned(),
        }
    }
}
