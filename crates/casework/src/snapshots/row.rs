//! The columns of what shows states, and a row of them: a line of a snapshot, or an item of AWS Config.

use davylamp_hunt::arrow::array::{Array, RecordBatch, StringViewArray, TimestampMicrosecondArray};
use davylamp_hunt::arrow::error::ArrowError;
use jiff::Timestamp;

use super::item::TYPES;
use super::things::Table;
use crate::columns;

const TIMES: [&str; 4] = ["at", "listed", "made", "seen"];

const TEXTS: [&str; 12] = [
    "origin",
    "account_id",
    "region",
    "kind",
    "id",
    "state",
    "hash",
    "_source",
    "name",
    "arn",
    "status",
    "tags",
];

/// The query that reads the tables that are there by time, what was looked at before what was seen. A
/// snapshot that AWS Config delivered after `until` lacks what changed since, and is none.
pub fn query(tables: &[Table], until: Option<Timestamp>) -> String {
    let parts: Vec<String> = tables
        .iter()
        .map(|table| match table {
            Table::Recorder => lines(),
            Table::Config => items(until),
        })
        .collect();
    format!(
        "SELECT {}, {} FROM ({}) ORDER BY at, kind <> 'coverage', kind, id, seen, state_id, _source",
        TIMES.join(", "),
        TEXTS.join(", "),
        parts.join(" UNION ALL ")
    )
}

fn lines() -> String {
    let (time, text) = ("arrow_cast(NULL, 'Timestamp(Microsecond, None)')", "''");
    format!(
        "SELECT taken_at AS at, {time} AS listed, {time} AS made, {time} AS seen, \
         '{}' AS origin, account_id, region, kind, id, \
         state, hash, _source, {text} AS name, {text} AS arn, {text} AS status, {text} AS tags, {text} AS state_id \
         FROM recorder",
        Table::Recorder.name()
    )
}

fn items(until: Option<Timestamp>) -> String {
    let listed = match until {
        Some(until) => {
            format!("CASE WHEN snapshot_at < TIMESTAMP '{until}' THEN snapshot_at END")
        }
        None => "snapshot_at".to_owned(),
    };
    // States of other types are nothing that a case is made of, and large.
    let types: Vec<String> = TYPES
        .iter()
        .map(|it| format!("'{}'", it.resource_type))
        .collect();
    let types = types.join(", ");
    let of_types = |column: &str| format!("CASE WHEN resource_type IN ({types}) THEN {column} END");
    format!(
        "SELECT coalesce({listed}, captured_at) AS at, {listed} AS listed, created_at AS made, captured_at AS seen, \
         '{}' AS origin, account_id, region, resource_type AS kind, resource_id AS id, {} AS state, '' AS hash, _source, \
         resource_name AS name, arn, status, {} AS tags, state_id FROM config_item",
        Table::Config.name(),
        of_types("configuration"),
        of_types("tags"),
    )
}

/// Rows that came together.
pub struct Rows {
    times: Vec<TimestampMicrosecondArray>,
    texts: Vec<StringViewArray>,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a> {
    /// A line of a snapshot.
    Line(Line<'a>),
    /// An item of AWS Config.
    Item(Item<'a>),
}

/// A line of a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// When the snapshot was taken.
    pub at: Option<Timestamp>,
    /// The account.
    pub account: &'a str,
    /// The region, or `global`.
    pub region: &'a str,
    /// What it is.
    pub kind: &'a str,
    /// Which one.
    pub id: &'a str,
    /// What it is like, as JSON; nothing where it is gone.
    pub state: Option<&'a str>,
    /// The hash of the state.
    pub hash: &'a str,
    /// Where the line lies.
    pub source: &'a str,
}

/// An item of AWS Config.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// When AWS Config saw it so.
    pub seen: Option<Timestamp>,
    /// When the snapshot was delivered that holds it.
    pub listed: Option<Timestamp>,
    /// When the resource was made, as AWS Config says.
    pub made: Option<Timestamp>,
    /// The account.
    pub account: &'a str,
    /// The region, or `global`.
    pub region: &'a str,
    /// Such as `AWS::EC2::Instance`.
    pub resource_type: &'a str,
    /// Which one it is, as AWS Config says.
    pub resource_id: &'a str,
    /// Its name, where it has one.
    pub name: &'a str,
    /// Its ARN.
    pub arn: &'a str,
    /// `OK`, `ResourceDiscovered`, `ResourceDeleted`, ….
    pub status: &'a str,
    /// What the service says of it, as JSON.
    pub configuration: Option<&'a str>,
    /// Its tags, as JSON.
    pub tags: &'a str,
    /// Where the item lies.
    pub source: &'a str,
}

impl Rows {
    /// The rows of a batch of [`query`].
    ///
    /// # Errors
    /// When the batch is one of another query.
    pub fn of(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let time = |name: &&str| columns::times(batch, name);
        let text = |name: &&str| columns::texts(batch, name);
        Ok(Self {
            times: TIMES.iter().map(time).collect::<Result<_, ArrowError>>()?,
            texts: TEXTS.iter().map(text).collect::<Result<_, ArrowError>>()?,
        })
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.times[0].len()).map(|index| {
            let time = |number: usize| {
                let array = &self.times[number];
                let micros = array.is_valid(index).then(|| array.value(index))?;
                Timestamp::from_microsecond(micros).ok()
            };
            let some = |number: usize| {
                let array = &self.texts[number];
                array.is_valid(index).then(|| array.value(index))
            };
            let text = |number: usize| some(number).unwrap_or_default();
            let state = some(5).filter(|state| *state != "null");
            if text(0) == Table::Recorder.name() {
                return Row::Line(Line {
                    at: time(0),
                    account: text(1),
                    region: text(2),
                    kind: text(3),
                    id: text(4),
                    state,
                    hash: text(6),
                    source: text(7),
                });
            }
            Row::Item(Item {
                seen: time(3),
                listed: time(1),
                made: time(2),
                account: text(1),
                region: text(2),
                resource_type: text(3),
                resource_id: text(4),
                name: text(8),
                arn: text(9),
                status: text(10),
                configuration: state,
                tags: text(11),
                source: text(7),
            })
        })
    }
}
