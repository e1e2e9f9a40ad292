//! The forms a report comes in, as lines.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};

use davylamp_content::delimited::{Next, Records};
use davylamp_hunt::output::{cells, names};
use davylamp_hunt::unpack::decode;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::row::{COLUMNS, NEEDED, Row, simple};
use super::{BillError, Reader};

/// How a Parquet file starts (<https://parquet.apache.org/docs/file-format/>).
const PARQUET: &[u8] = b"PAR1";

/// How a ZIP archive starts (APPNOTE, 4.3.7).
const ZIP: &[u8] = b"PK\x03\x04";

/// Rows that are read at once.
const ROWS: usize = 4096;

/// Where each of [`COLUMNS`] stands.
type Places = [Option<usize>; COLUMNS.len()];

pub(super) fn read(into: &mut Reader, name: &str, mut file: File) -> Result<(), BillError> {
    let mut start = Vec::new();
    (&mut file)
        .take(PARQUET.len() as u64)
        .read_to_end(&mut start)?;
    file.rewind()?;
    match start.as_slice() {
        PARQUET => columns(into, name, file),
        ZIP => Err(BillError::Zip),
        _ => lines(into, name, BufReader::new(decode(BufReader::new(file))?)),
    }
}

fn lines(into: &mut Reader, name: &str, from: impl BufRead) -> Result<(), BillError> {
    let mut records = Records::new(from);
    if records.advance()? != Next::Record {
        return Err(BillError::Empty);
    }
    let width = records.len();
    let names: Vec<String> = (0..width)
        .map(|index| records.text(index).unwrap_or_default().to_owned())
        .collect();
    let places = places(&names)?;
    loop {
        let next = records.advance()?;
        let line = records.line();
        let place = || format!("{name}:{line}");
        match next {
            Next::End => return Ok(()),
            Next::TooLong => into.fault(&place, "it is too long"),
            Next::Record if records.len() != width => {
                into.fault(&place, "it has not a value for each column");
            }
            Next::Record => {
                let row = Row::new(|column| {
                    places[column]
                        .and_then(|index| records.text(index))
                        .unwrap_or_default()
                });
                into.take(&row, &place)?;
            }
        }
    }
}

fn columns(into: &mut Reader, name: &str, file: File) -> Result<(), BillError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let fields = builder.schema().fields();
    let all: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
    let wanted = places(&all)?.into_iter().flatten();
    let plain = wanted.filter(|index| !fields[*index].data_type().is_nested());
    let mask = ProjectionMask::roots(builder.parquet_schema(), plain);
    let batches = builder
        .with_projection(mask)
        .with_batch_size(ROWS)
        .build()?;
    let mut before = 0;
    for batch in batches {
        let batch = batch?;
        let places = places(&names(&batch))?;
        for (number, row) in cells(&batch)?.iter().enumerate() {
            let place = || format!("{name}, row {}", before + number + 1);
            let row = Row::new(|column| {
                places[column]
                    .and_then(|index| row.get(index)?.as_deref())
                    .unwrap_or_default()
            });
            into.take(&row, &place)?;
        }
        before += batch.num_rows();
    }
    Ok(())
}

fn places(names: &[String]) -> Result<Places, BillError> {
    let names: Vec<String> = names.iter().map(|name| simple(name)).collect();
    let places = COLUMNS.map(|column| names.iter().position(|name| name == column));
    let missing = NEEDED.iter().zip(places).find(|(_, place)| place.is_none());
    match missing {
        Some((name, _)) => Err(BillError::NoColumn(name)),
        None => Ok(places),
    }
}
