//! Columns of a batch by their names, as rows are read from them.

use davylamp_hunt::arrow::array::{
    Array, BooleanArray, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use davylamp_hunt::arrow::compute::cast;
use davylamp_hunt::arrow::datatypes::DataType;
use davylamp_hunt::arrow::error::ArrowError;
use davylamp_hunt::table::Kind;

/// A column of moments.
///
/// # Errors
/// When the batch has none of that name, or it is of another type.
pub fn times(batch: &RecordBatch, name: &str) -> Result<TimestampMicrosecondArray, ArrowError> {
    of(batch, name, &Kind::Time.data_type())
}

/// A column of texts.
///
/// # Errors
/// As [`times`].
pub fn texts(batch: &RecordBatch, name: &str) -> Result<StringViewArray, ArrowError> {
    of(batch, name, &DataType::Utf8View)
}

/// A column of flags.
///
/// # Errors
/// As [`times`].
pub fn flags(batch: &RecordBatch, name: &str) -> Result<BooleanArray, ArrowError> {
    of(batch, name, &DataType::Boolean)
}

fn of<T: Clone + 'static>(
    batch: &RecordBatch,
    name: &str,
    wanted: &DataType,
) -> Result<T, ArrowError> {
    let found = batch.column_by_name(name);
    let found =
        found.ok_or_else(|| ArrowError::SchemaError(format!("there is no column {name}")))?;
    let array = cast(found, wanted)?;
    let array = array.as_any().downcast_ref::<T>().cloned();
    array.ok_or_else(|| ArrowError::SchemaError(format!("{name} is no {wanted}")))
}
