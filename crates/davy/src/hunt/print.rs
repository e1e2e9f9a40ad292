//! Printing rows as they come.

use std::path::Path;

use anyhow::anyhow;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{Cell, ContentArrangement, Table};
use davylamp_hunt::arrow::array::RecordBatch;
use davylamp_hunt::arrow::datatypes::SchemaRef;
use davylamp_hunt::output::{self, ParquetFile};
use davylamp_hunt::tally::printable;

use super::args::Output;
use crate::failure::Failure;
use crate::output::{emit, emit_lines, quiet_json};

/// Rows of one table. Longer answers are several tables, so that they need not be held whole.
const TABLE_ROWS: usize = 1000;

/// Prints rows in one form.
pub(super) struct Printer {
    form: Output,
    rows: usize,
    table: Table,
    table_rows: usize,
    file: Option<ParquetFile>,
}

/// Whether a file is named just where one is written.
pub(super) fn check_file(file: Option<&Path>, is_parquet: bool) -> Result<(), Failure> {
    match (file, is_parquet) {
        (Some(_), false) => Err(Failure::new(
            anyhow!("-o names a file that only --output parquet writes"),
            "add --output parquet, or write what is printed to the file: > FILE",
        )),
        _ => Ok(()),
    }
}

impl Printer {
    /// A printer of rows of these columns; into a file where one is named.
    pub fn new(form: Output, file: Option<&Path>, schema: SchemaRef) -> Result<Self, Failure> {
        let file = file
            .map(|path| ParquetFile::create(path, schema))
            .transpose();
        Ok(Self {
            form,
            rows: 0,
            table: Table::new(),
            table_rows: 0,
            file: file.map_err(unwritable)?,
        })
    }

    /// Prints a batch, or keeps it until its table is full.
    pub fn print(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let is_first = self.rows == 0;
        self.rows += batch.num_rows();
        let mut text = Vec::new();
        match self.form {
            Output::Table => return self.tabulate(batch),
            Output::Parquet => {
                let written = self.file.as_mut().map(|file| file.write(batch));
                return written.transpose().map(drop).map_err(unwritable);
            }
            Output::Csv => {
                if is_first {
                    output::csv_head(batch, &mut text).map_err(unprintable)?;
                }
                output::csv(batch, &mut text).map_err(unprintable)?;
            }
            Output::Jsonl => {
                let mut writer = output::json_lines(&mut text);
                writer
                    .write(batch)
                    .and_then(|()| writer.finish())
                    .map_err(unprintable)?;
            }
            Output::Json => {
                let mut lines = Vec::new();
                let mut writer = output::json_lines(&mut lines);
                writer
                    .write(batch)
                    .and_then(|()| writer.finish())
                    .map_err(unprintable)?;
                drop(writer);
                // No line end stands inside a JSON text, so each line is one element.
                for (at, line) in lines
                    .split(|byte| *byte == b'\n')
                    .filter(|line| !line.is_empty())
                    .enumerate()
                {
                    text.extend_from_slice(if is_first && at == 0 { b"[\n" } else { b",\n" });
                    text.extend_from_slice(line);
                }
            }
        }
        let text = String::from_utf8_lossy(&text);
        match self.form {
            Output::Json | Output::Jsonl => emit(quiet_json(&text)),
            _ => emit_lines(&text),
        }
    }

    /// Prints what is left, and says how many rows there were.
    pub fn end(mut self) -> Result<usize, Failure> {
        match self.form {
            Output::Table => self.flush()?,
            Output::Json if self.rows == 0 => emit("[]\n")?,
            Output::Json => emit("\n]\n")?,
            Output::Jsonl | Output::Csv => {}
            Output::Parquet => {
                let finished = self.file.map(ParquetFile::finish);
                finished.transpose().map_err(unwritable)?;
            }
        }
        Ok(self.rows)
    }

    fn tabulate(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        for row in output::cells(batch).map_err(unprintable)? {
            if self.table_rows == 0 {
                self.table.set_header(output::names(batch));
            }
            let cell = |cell: Option<String>| Cell::new(printable(&cell.unwrap_or_default()));
            self.table.add_row(row.into_iter().map(cell));
            self.table_rows += 1;
            if self.table_rows == TABLE_ROWS {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let mut table = std::mem::replace(&mut self.table, Table::new());
        if std::mem::take(&mut self.table_rows) == 0 {
            return Ok(());
        }
        table
            .load_preset(UTF8_BORDERS_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic);
        emit(format!("{table}\n"))
    }
}

/// A file that was not written.
pub(super) fn unwritable(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(
        anyhow!(error),
        "see whether the folder of -o is there and has room",
    )
}

fn unprintable(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    let error = anyhow!(error).context("a row cannot be printed");
    Failure::new(error, "cast the column to text: CAST(column AS VARCHAR)")
}
