//! Logs that are delivered as Parquet: VPC flow logs, and what Amazon Security Lake keeps in OCSF.
//!
//! Each row is written again as a record of the log, in the log's own form, and goes through the
//! log's own reader, so that every column that is worked out is worked out in one place. What must
//! stay true: what the log knows and Parquet does not is NULL and is told.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Schema};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::ChunkReader;
use parquet::file::statistics::Statistics;

use super::{Given, Order};
use crate::objects::Object;

mod flow;
mod ocsf;

/// How a Parquet file starts, and how it ends.
pub(crate) const MAGIC: &[u8] = b"PAR1";

/// How much of the end of a file is read at first: with most files it is all that is needed.
const TAIL_BYTES: u64 = 64 << 10;

/// The metadata of a file may be no longer. Security Lake's have a few hundred KiB.
const MOST_METADATA_BYTES: u64 = 64 << 20;

/// Rows that are written again at once.
const ROWS: usize = 512;

/// What a Parquet file has rows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Flow logs as AWS delivers them.
    Flow,
    /// Events of this log in OCSF.
    Ocsf(&'static ocsf::Mapping),
}

/// Why a file is not read as a log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ParquetFault {
    /// It cannot be opened.
    #[error("it cannot be read")]
    Unread(#[from] io::Error),
    /// It is not Parquet, or broken.
    #[error("it is not whole Parquet")]
    Broken(#[from] ParquetError),
    /// Its metadata is longer than it may be.
    #[error("its metadata is longer than {MOST_METADATA_BYTES} bytes")]
    TooLong,
    /// Its columns are of no log that is known.
    #[error("it is Parquet, and its columns are those of no log that is known")]
    Unknown,
}

/// The tables that an object has rows of, by its metadata.
pub(crate) async fn tables(object: &Object) -> Result<Vec<&'static str>, ParquetFault> {
    let size = object.size;
    let mut tail = object.range(size.saturating_sub(TAIL_BYTES)..size).await?;
    let Some(footer) = tail.last_chunk::<8>() else {
        return Err(ParquetFault::Unknown);
    };
    let length = FooterTail::try_new(footer)?.metadata_length() as u64;
    if length > MOST_METADATA_BYTES {
        return Err(ParquetFault::TooLong);
    }
    let needed = length + 8;
    if needed > tail.len() as u64 {
        tail = object.range(size.saturating_sub(needed)..size).await?;
    }
    let start = (tail.len() as u64).checked_sub(needed);
    let start = start.ok_or(ParquetFault::Unknown)? as usize;
    let metadata = ParquetMetaDataReader::decode_metadata(&tail[start..tail.len() - 8])?;
    let kinds = kinds(&metadata)?;
    match kinds.is_empty() {
        true => Err(ParquetFault::Unknown),
        false => Ok(kinds.iter().map(|kind| kind.table()).collect()),
    }
}

/// What a file may have rows of. Where its statistics say which, it is one.
fn kinds(metadata: &ParquetMetaData) -> Result<Vec<Kind>, ParquetError> {
    let file = metadata.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())?;
    if flow::is_flow(&schema) {
        return Ok(vec![Kind::Flow]);
    }
    let product = ocsf::product_of(|path| only_value(metadata, path));
    let mappings = ocsf::mappings(&schema, product.as_deref());
    Ok(mappings.into_iter().map(Kind::Ocsf).collect())
}

/// The value that a column of text has everywhere, as far as statistics say so.
fn only_value(metadata: &ParquetMetaData, path: &str) -> Option<String> {
    let mut only: Option<&[u8]> = None;
    for group in metadata.row_groups() {
        let column = group
            .columns()
            .iter()
            .find(|column| column.column_path().string() == path)?;
        let Statistics::ByteArray(values) = column.statistics()? else {
            return None;
        };
        let (least, most) = (values.min_bytes_opt()?, values.max_bytes_opt()?);
        if least != most || only.is_some_and(|only| only != least) {
            return None;
        }
        only = Some(least);
    }
    String::from_utf8(only?.to_vec()).ok()
}

impl Kind {
    fn table(self) -> &'static str {
        match self {
            Self::Flow => super::vpc_flow::TABLE.name,
            Self::Ocsf(mapping) => mapping.table,
        }
    }
}

/// A Parquet file as the text of a log.
pub(crate) struct Transcript {
    kind: Kind,
    batches: ParquetRecordBatchReader,
    text: Vec<u8>,
    at: usize,
    /// How the fields of flow logs stand in the text.
    format: Option<String>,
    fields: Vec<usize>,
    bad: u64,
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transcript of {:?}", self.kind)
    }
}

impl Transcript {
    /// The rows of a table that a file has; nothing where it has none.
    pub fn open<R: ChunkReader + 'static>(
        file: R,
        table: &str,
    ) -> Result<Option<Self>, ParquetFault> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let kinds = kinds(builder.metadata())?;
        if kinds.is_empty() {
            return Err(ParquetFault::Unknown);
        }
        let Some(kind) = kinds.into_iter().find(|kind| kind.table() == table) else {
            return Ok(None);
        };
        let (format, fields) = match kind {
            Kind::Flow => {
                let (format, fields) = flow::format(builder.schema());
                (Some(format), fields)
            }
            Kind::Ocsf(mapping) => (mapping.format.map(str::to_owned), Vec::new()),
        };
        Ok(Some(Self {
            kind,
            batches: builder.with_batch_size(ROWS).build()?,
            text: Vec::new(),
            at: 0,
            format,
            fields,
            bad: 0,
        }))
    }

    /// The order of a reader of this text.
    pub fn order(&self, order: &Order) -> Order {
        let given = match &self.format {
            Some(format) => Arc::new(Given {
                flow_format: format.parse().ok(),
                indicators: Arc::clone(&order.given.indicators),
            }),
            None => Arc::clone(&order.given),
        };
        Order {
            given,
            ..order.clone()
        }
    }

    /// The columns of the table that no row can have a value for. Of flow logs the reader tells
    /// them itself.
    pub fn absent(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Flow => &[],
            Kind::Ocsf(mapping) => mapping.absent,
        }
    }

    /// Values that could not be written as the log has them, so far.
    pub fn bad_values(&self) -> u64 {
        self.bad
    }

    fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        match self.kind {
            Kind::Flow => flow::write(batch, &self.fields, &mut self.text, &mut self.bad),
            Kind::Ocsf(mapping) => ocsf::write(batch, mapping, &mut self.text, &mut self.bad),
        }
    }
}

impl Read for Transcript {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
            let Some(batch) = self.batches.next() else {
                return Ok(0);
            };
            let batch = batch.map_err(io::Error::other)?;
            self.write(&batch)?;
        }
        let left = &self.text[self.at..];
        let bytes = left.len().min(into.len());
        into[..bytes].copy_from_slice(&left[..bytes]);
        self.at += bytes;
        Ok(bytes)
    }
}

/// Whether a column holds plain values.
fn is_plain(kind: &DataType) -> bool {
    !kind.is_nested()
}

/// Whether a schema has a column of structs with this name.
fn has_struct(schema: &Schema, name: &str) -> bool {
    let field = schema.field_with_name(name);
    field.is_ok_and(|field| matches!(field.data_type(), DataType::Struct(_)))
}

/// A field of a flow log: what has blanks would be two.
fn field(text: Option<&str>, into: &mut Vec<u8>, bad: &mut u64) {
    let text = text.filter(|text| !text.is_empty());
    let has_blank = |text: &str| text.bytes().any(|byte| byte.is_ascii_whitespace());
    // Memory takes everything.
    let _ = match text {
        Some(text) if has_blank(text) => {
            *bad += 1;
            into.write_all(b"-")
        }
        Some(text) => into.write_all(text.as_bytes()),
        None => into.write_all(b"-"),
    };
}
