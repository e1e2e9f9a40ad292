//! Athena's answers, which are texts, as batches.
//!
//! What must stay true: rows become the same values that our own engine gives, or an error that says
//! which cannot.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, RecordBatchOptions,
    StringBuilder, TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::engine::{Batches, EngineError};

/// Rows of one batch.
const BATCH_ROWS: usize = 8192;

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// The rows: a text for each column, nothing for NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What the engine calls its type: `bigint`, `timestamp(3)`, `varchar`.
    pub kind: String,
}

/// Why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// A value is not of its column's type.
    #[error("{value:?} in the column {column} is no {kind}")]
    Value {
        /// The column.
        column: String,
        /// Its type.
        kind: String,
        /// What stands there.
        value: String,
    },
    /// A row has not one value for each column.
    #[error("a row has {has} values where there are {columns} columns")]
    Row {
        /// Values of the row.
        has: usize,
        /// Columns of the answer.
        columns: usize,
    },
}

impl Rows {
    /// The rows as our own engine gives them.
    ///
    /// # Errors
    /// When a value is not of its column's type.
    pub fn stream(&self) -> Batches {
        let (schema, batches) =
            batches(self).map_err(|error| EngineError::Elsewhere(Box::new(error)))?;
        let batches = stream::iter(batches.into_iter().map(Ok));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

fn batches(rows: &Rows) -> Result<(Arc<Schema>, Vec<RecordBatch>), AnswerError> {
    let fields: Vec<Field> = rows
        .columns
        .iter()
        .map(|column| Field::new(&column.name, type_of(&column.kind), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let columns = rows.columns.len();
    if let Some(row) = rows.rows.iter().find(|row| row.len() != columns) {
        let has = row.len();
        return Err(AnswerError::Row { has, columns });
    }
    let mut batches = Vec::new();
    for part in rows.rows.chunks(BATCH_ROWS) {
        let arrays: Vec<ArrayRef> = rows
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| array(column, part.iter().map(|row| row[at].as_deref())))
            .collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(part.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options);
        // The arrays were made for this very schema.
        batches.extend(batch.ok());
    }
    Ok((schema, batches))
}

/// Athena's names, <https://docs.aws.amazon.com/athena/latest/ug/data-types.html>.
fn type_of(kind: &str) -> DataType {
    let name = kind.split('(').next().unwrap_or_default().trim();
    match name.to_ascii_lowercase().as_str() {
        "tinyint" | "smallint" | "int" | "integer" | "bigint" => DataType::Int64,
        "real" | "float" | "double" | "decimal" => DataType::Float64,
        "boolean" => DataType::Boolean,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        _ => DataType::Utf8,
    }
}

fn array<'a>(
    column: &Column,
    values: impl Iterator<Item = Option<&'a str>>,
) -> Result<ArrayRef, AnswerError> {
    let wrong = |value: &str| AnswerError::Value {
        column: column.name.clone(),
        kind: column.kind.clone(),
        value: value.chars().take(100).collect(),
    };
    macro_rules! build {
        ($builder:expr, $read:expr) => {{
            let mut builder = $builder;
            for value in values {
                let read = $read;
                builder.append_option(match value {
                    Some(text) => Some(read(text).ok_or_else(|| wrong(text))?),
                    None => None,
                });
            }
            Arc::new(builder.finish())
        }};
    }
    Ok(match type_of(&column.kind) {
        DataType::Int64 => build!(Int64Builder::new(), |text: &str| text.parse().ok()),
        DataType::Float64 => build!(Float64Builder::new(), |text: &str| text.parse().ok()),
        DataType::Boolean => build!(BooleanBuilder::new(), |text: &str| text.parse().ok()),
        DataType::Timestamp(..) => build!(TimestampMicrosecondBuilder::new(), moment),
        _ => build!(StringBuilder::new(), |text| Some(text)),
    })
}

/// `2026-11-01 10:00:00.000`, in UTC as all moments of the lake are.
fn moment(text: &str) -> Option<i64> {
    let at: DateTime = text.trim_end_matches(" UTC").parse().ok()?;
    let at = at.to_zoned(TimeZone::UTC).ok()?;
    Some(at.timestamp().as_microsecond())
}

#[cfg(test)]
mod tests;
