//! The columns of snapshots, and a line of them.

use davylamp_hunt::arrow::array::{Array, RecordBatch, StringViewArray, TimestampMicrosecondArray};
use davylamp_hunt::arrow::compute::cast;
use davylamp_hunt::arrow::datatypes::DataType;
use davylamp_hunt::arrow::error::ArrowError;
use davylamp_hunt::table::Kind;
use jiff::Timestamp;

const TIME: &str = "taken_at";

const TEXTS: [&str; 7] = [
    "account_id",
    "region",
    "kind",
    "id",
    "state",
    "hash",
    "_source",
];

/// The query that reads them by time, what was looked at before what was seen.
pub fn query() -> String {
    format!(
        "SELECT {TIME}, {} FROM recorder ORDER BY {TIME}, kind <> 'coverage', kind, id, _source",
        TEXTS.join(", ")
    )
}

/// Lines that came together.
pub struct Rows {
    times: TimestampMicrosecondArray,
    texts: Vec<StringViewArray>,
}

/// One line.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
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

impl Rows {
    /// The lines of a batch of [`query`].
    ///
    /// # Errors
    /// When the batch is one of another query.
    pub fn of(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let column = |name: &str, wanted: &DataType| {
            let found = batch.column_by_name(name);
            let found = found
                .ok_or_else(|| ArrowError::SchemaError(format!("there is no column {name}")))?;
            cast(found, wanted)
        };
        let is_other = |name: &str| ArrowError::SchemaError(format!("{name} is no such column"));
        let times = column(TIME, &Kind::Time.data_type())?;
        let times = times.as_any().downcast_ref::<TimestampMicrosecondArray>();
        let text = |name: &&str| {
            let array = column(name, &DataType::Utf8View)?;
            let array = array.as_any().downcast_ref::<StringViewArray>().cloned();
            array.ok_or_else(|| is_other(name))
        };
        Ok(Self {
            times: times.cloned().ok_or_else(|| is_other(TIME))?,
            texts: TEXTS.iter().map(text).collect::<Result<_, ArrowError>>()?,
        })
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.times.len()).map(|index| {
            let text = |number: usize| {
                let array = &self.texts[number];
                array.is_valid(index).then(|| array.value(index))
            };
            let micros = self.times.is_valid(index).then(|| self.times.value(index));
            Row {
                at: micros.and_then(|micros| Timestamp::from_microsecond(micros).ok()),
                account: text(0).unwrap_or_default(),
                region: text(1).unwrap_or_default(),
                kind: text(2).unwrap_or_default(),
                id: text(3).unwrap_or_default(),
                state: text(4).filter(|state| *state != "null"),
                hash: text(5).unwrap_or_default(),
                source: text(6).unwrap_or_default(),
            }
        })
    }
}
