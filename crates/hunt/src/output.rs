//! Rows as text: CSV, JSON, and cells for a table; and as Parquet, which is a file.

use std::io::{self, Write};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::writer::{JsonArray, LineDelimited, WriterBuilder};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

mod file;

pub use file::{FileError, ParquetFile, suspects};

/// What a spreadsheet takes for a formula when a cell starts with it (OWASP, "CSV injection").
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// How moments are written.
const MOMENT: &str = "%Y-%m-%dT%H:%M:%S%.fZ";

/// The rows of a batch as texts; nothing for NULL.
///
/// # Errors
/// When a column has a type that has no text.
pub fn cells(batch: &RecordBatch) -> Result<Vec<Vec<Option<String>>>, ArrowError> {
    let options = FormatOptions::new().with_timestamp_format(Some(MOMENT));
    let columns: Result<Vec<_>, _> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect();
    let columns = columns?;
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let cells: Result<Vec<_>, ArrowError> = batch
            .columns()
            .iter()
            .zip(&columns)
            .map(|(column, formatter)| match column.is_null(row) {
                true => Ok(None),
                false => formatter.value(row).try_to_string().map(Some),
            })
            .collect();
        rows.push(cells?);
    }
    Ok(rows)
}

/// The names of a batch's columns.
pub fn names(batch: &RecordBatch) -> Vec<String> {
    let schema = batch.schema();
    schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect()
}

/// The line of column names of a CSV.
///
/// # Errors
/// When nothing can be written.
pub fn csv_head(batch: &RecordBatch, into: &mut impl Write) -> io::Result<()> {
    csv_line(names(batch).into_iter().map(Some), into)
}

/// The rows of a batch as CSV (RFC 4180), with formulas made harmless.
///
/// # Errors
/// When nothing can be written.
pub fn csv(batch: &RecordBatch, into: &mut impl Write) -> io::Result<()> {
    for row in cells(batch).map_err(io::Error::other)? {
        csv_line(row.into_iter(), into)?;
    }
    Ok(())
}

/// A line of a CSV (RFC 4180), with formulas made harmless.
///
/// # Errors
/// When nothing can be written.
pub fn csv_line(
    cells: impl Iterator<Item = Option<String>>,
    into: &mut impl Write,
) -> io::Result<()> {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            into.write_all(b",")?;
        }
        into.write_all(csv_cell(cell.as_deref().unwrap_or_default()).as_bytes())?;
    }
    into.write_all(b"\r\n")
}

/// A number may start with its sign; nothing else may start as a formula does.
fn csv_cell(text: &str) -> String {
    let is_formula = text.starts_with(FORMULA_STARTS) && text.parse::<f64>().is_err();
    let text = match is_formula {
        true => format!("'{text}"),
        false => text.to_owned(),
    };
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// A writer of JSON lines.
pub fn json_lines<W: Write>(into: W) -> datafusion::arrow::json::Writer<W, LineDelimited> {
    json().build(into)
}

/// A writer of one JSON list.
pub fn json_list<W: Write>(into: W) -> datafusion::arrow::json::Writer<W, JsonArray> {
    json().build(into)
}

/// NULL is told from what is not there.
fn json() -> WriterBuilder {
    WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_timestamp_format(MOMENT.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(csv_cell(text), expected, "{text:?}");
    }

    #[test]
    fn a_cell_of_a_spreadsheet_runs_nothing() {
        check("plain", "plain");
        check("-12.5", "-12.5");
        check("=cmd()", "'=cmd()");
        check("@SUM(1,2)", "\"'@SUM(1,2)\"");
        check("-", "'-");
        check("say \"no\"", "\"say \"\"no\"\"\"");
        check("two\nlines", "\"two\nlines\"");
    }
}
