//! Which folder of the lake a row belongs to.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, AsArray, RecordBatch, StringViewArray, TimestampMicrosecondArray, UInt32Array,
};
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::datatypes::TimestampMicrosecondType;
use datafusion::arrow::error::ArrowError;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{ACCOUNT, DATE, REGION, UNKNOWN, is_plausible};
use crate::objects::{is_account, is_region};
use crate::table::Table;

const DAY_MICROS: i64 = 86_400 * 1_000_000;

/// Account, region and day of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    account: Option<Arc<str>>,
    region: Option<Arc<str>>,
    day: Option<Date>,
}

impl Partition {
    /// Its folders.
    pub fn folders(&self) -> PathBuf {
        let named = |key: &str, value: Option<String>| {
            format!("{key}={}", value.as_deref().unwrap_or(UNKNOWN))
        };
        let text = |value: &Option<Arc<str>>| value.as_deref().map(str::to_owned);
        [
            named(ACCOUNT, text(&self.account)),
            named(REGION, text(&self.region)),
            named(DATE, self.day.map(|day| day.to_string())),
        ]
        .iter()
        .collect()
    }
}

/// The columns of a batch that say where its rows belong.
struct Columns<'a> {
    account: Option<&'a StringViewArray>,
    region: Option<&'a StringViewArray>,
    time: Option<&'a TimestampMicrosecondArray>,
}

/// What tells one partition from another, before it is looked at what is plausible.
type Raw<'a> = (Option<&'a str>, Option<&'a str>, Option<i64>);

impl<'a> Columns<'a> {
    fn of(table: &Table, batch: &'a RecordBatch) -> Self {
        let text = |name: Option<&str>| {
            let column = batch.column_by_name(name?)?;
            column.as_string_view_opt()
        };
        let time = batch.column_by_name(table.time);
        Self {
            account: text(table.account),
            region: text(table.region),
            time: time.and_then(|time| time.as_primitive_opt::<TimestampMicrosecondType>()),
        }
    }

    fn raw(&self, row: usize) -> Raw<'a> {
        let text = |column: Option<&'a StringViewArray>| {
            column
                .filter(|column| column.is_valid(row))
                .map(|column| column.value(row))
        };
        let time = self.time.filter(|time| time.is_valid(row));
        let day = time.map(|time| time.value(row).div_euclid(DAY_MICROS));
        (text(self.account), text(self.region), day)
    }
}

impl From<Raw<'_>> for Partition {
    fn from((account, region, day): Raw<'_>) -> Self {
        let day = day.and_then(|day| {
            let at = Timestamp::from_microsecond(day.checked_mul(DAY_MICROS)?).ok()?;
            Some(at.to_zoned(TimeZone::UTC).date())
        });
        Self {
            account: account
                .filter(|account| is_account(account))
                .map(Into::into),
            region: region.filter(|region| is_region(region)).map(Into::into),
            day: day.filter(|day| is_plausible(*day)),
        }
    }
}

/// The rows of a batch by partition, each with its own memory.
pub(super) fn split(
    table: &Table,
    batch: &RecordBatch,
) -> Result<Vec<(Partition, RecordBatch)>, ArrowError> {
    let columns = Columns::of(table, batch);
    let mut found: HashMap<Partition, Vec<u32>> = HashMap::new();
    let mut last: Option<(Raw<'_>, Partition)> = None;
    for row in 0..batch.num_rows() {
        let raw = columns.raw(row);
        let partition = match &last {
            Some((same, partition)) if *same == raw => partition,
            _ => &last.insert((raw, raw.into())).1,
        };
        match found.get_mut(partition) {
            Some(rows) => rows.push(row as u32),
            None => {
                found.insert(partition.clone(), vec![row as u32]);
            }
        }
    }
    found
        .into_iter()
        .map(|(partition, rows)| {
            let part = match rows.len() == batch.num_rows() {
                true => batch.clone(),
                false => take_record_batch(batch, &UInt32Array::from(rows))?,
            };
            Ok((partition, crate::share::compact(&part)?))
        })
        .collect()
}
