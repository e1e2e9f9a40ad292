//! From the bytes of a log to rows: the readers, and what they have in common.
//!
//! To add a log, write one module here that holds its table and its reader, and name it in
//! [`LOGS`]; nothing else knows the logs by name. What must stay true: any bytes become rows or
//! counted faults, never a panic; how many rows an object has does not depend on the columns that
//! were asked for; no reader needs more memory than a chunk.

use std::fmt;
use std::sync::Arc;

use davylamp_content::{Faults, indicators};
use davylamp_detect::indicator::Indicators;

use crate::needle::Needles;
use crate::table::Table;
use crate::unpack::Chunk;

pub mod cloudtrail;
pub mod cloudtrail_digest;
pub mod config_item;
pub mod dns_query;
mod documents;
pub mod eks_audit;
pub mod guard;
pub mod guardduty;
pub(crate) mod interfaces;
pub mod json;
mod leaves;
mod members;
mod moment;
pub(crate) mod parquet;
mod recipe;
pub mod recorder;
mod rows;
mod sink;
pub mod vpc_flow;

pub use rows::{Cell, Rows};
pub use sink::{Emit, Sink};
use vpc_flow::FlowFormat;

/// Every log that can be read. An object is of the first that recognises it: a digest names the
/// events of a trail, and an event of a trail may hold anything that somebody asked for.
pub static LOGS: &[&dyn Log] = &[
    &vpc_flow::VpcFlow,
    &cloudtrail_digest::CloudTrailDigest,
    &cloudtrail::CloudTrail,
    &config_item::ConfigItem,
    &guardduty::GuardDuty,
    &dns_query::DnsQuery,
    &eks_audit::EksAudit,
    &recorder::Recorder,
    &guard::Guard,
];

/// The log with this table.
pub fn log(table: &str) -> Option<&'static dyn Log> {
    LOGS.iter().copied().find(|log| log.table().name == table)
}

/// The log that an object is of, by its first bytes, decompressed.
pub(crate) fn recognised(head: &[u8], given: &Given) -> Option<&'static dyn Log> {
    // A format may fit a line of another log, so that it is asked last.
    let known = LOGS.iter().copied().find(|log| log.recognises(head));
    let is_given = || given.flow_format.as_ref().is_some_and(|it| it.fits(head));
    known.or_else(|| is_given().then_some(&vpc_flow::VpcFlow))
}

/// A kind of log: its table, how it is known, how it is read.
pub trait Log: fmt::Debug + Send + Sync {
    /// Its table.
    fn table(&self) -> &'static Table;

    /// Whether an object that starts with these bytes, decompressed, is one.
    fn recognises(&self, head: &[u8]) -> bool;

    /// What its rows depend on beside the object, where the user has said something.
    fn read_by(&self, _given: &Given) -> Option<String> {
        None
    }

    /// How its bytes may spell a value.
    fn spelling(&self) -> Spelling;

    /// A reader for one object.
    fn open(&self, order: &Order, object: &Object) -> Box<dyn Reader>;
}

/// Whether the first bytes of an object hold a key, as JSON writes it, in any casing.
fn names(head: &[u8], key: &str) -> bool {
    let quoted = format!("\"{key}\"");
    head.windows(quoted.len())
        .any(|bytes| bytes.eq_ignore_ascii_case(quoted.as_bytes()))
}

/// How the bytes of a log may spell a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// As it is.
    Plain,
    /// As a JSON string, in which any character may be escaped.
    Json,
}

/// What a query asks of every object of a log.
#[derive(Debug, Clone)]
pub struct Order {
    /// The table's columns that are wanted, by number, in the order of the result.
    pub columns: Arc<[usize]>,
    /// What a record must hold to be of interest.
    pub needles: Arc<Needles>,
    /// What the user has said about the logs.
    pub given: Arc<Given>,
}

/// What the user knows about the logs and they do not say.
#[derive(Debug, Default)]
pub struct Given {
    /// The fields of flow logs without a line of names.
    pub flow_format: Option<FlowFormat>,
    /// Pools and the like, for the columns that look them up.
    pub indicators: Arc<Indicators>,
}

impl Given {
    /// Nothing but the indicators that ship.
    ///
    /// # Errors
    /// When what ships is faulty, which is a bug.
    pub fn shipped() -> Result<Self, Faults> {
        let pools = indicators::shipped_pools()?;
        Ok(Self {
            flow_format: None,
            indicators: Arc::new(Indicators::new(&pools)),
        })
    }
}

/// The object that is read.
#[derive(Debug, Clone, Default)]
pub struct Object {
    /// Its name, as shown.
    pub name: Arc<str>,
    /// The account its key names.
    pub account: Option<Arc<str>>,
    /// The region its key names.
    pub region: Option<Arc<str>>,
}

/// Reads one object, chunk after chunk.
pub trait Reader: Send {
    /// Reads the whole records at the start of the chunk and says how many bytes they were. What
    /// is left comes again at the start of the next chunk, which is longer. Of the last chunk and
    /// of one that cannot grow, nothing is left.
    fn read(&mut self, chunk: &Chunk, sink: &mut Sink) -> usize;
}
