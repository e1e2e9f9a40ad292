//! Rows to Parquet files, one for each partition.
//!
//! What must stay true: memory is bounded however many rows there are. Rows wait until there are
//! enough for a row group; each is sorted by time, so that its pages can be passed over by their
//! statistics. A file is ended before what it says of its row groups grows without end.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use datafusion::arrow::compute::{SortOptions, concat, sort_to_indices, take};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::partition::{self, Partition};
use super::{LakeError, ROWS};
use crate::table::{Kind, SOURCE, Table};

/// Rows that a bloom filter is made for at most; it is folded to what came.
const BLOOM_ROWS: u64 = 64 << 10;

/// How the names of columns end that hold keys, ids and addresses: what is looked for by value.
const SOUGHT: [&str; 6] = ["_id", "addr", "_address", "_arn", "principal", "name"];

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// Where it lies.
    pub at: PathBuf,
    /// Its folders and its name below the lake.
    pub to: PathBuf,
}

/// What a writer may keep in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Rows that wait, in bytes.
    pub bytes: usize,
    /// Row groups of the files that are open. A batch with more partitions, or with more rows, has
    /// several files for some.
    pub row_groups: usize,
}

/// Writes the rows of one table.
pub(crate) struct Writer {
    table: &'static Table,
    schema: SchemaRef,
    properties: WriterProperties,
    folder: PathBuf,
    /// What the names of its files start with.
    name: String,
    limits: Limits,
    waiting_bytes: usize,
    row_groups: usize,
    parts: BTreeMap<Partition, Part>,
    written: Vec<Written>,
    files: usize,
}

/// Rows that wait: a column that holds nothing is not kept. A format lacks most of a table's columns.
struct Waiting {
    columns: Vec<Option<ArrayRef>>,
    rows: usize,
}

/// The rows of a partition.
#[derive(Default)]
struct Part {
    waiting: Vec<Waiting>,
    bytes: usize,
    open: Option<Open>,
}

/// A file that rows are added to.
struct Open {
    writer: ArrowWriter<File>,
    written: Written,
    row_groups: usize,
}

impl Writer {
    /// A writer into a folder, which is there, that keeps so much in memory.
    pub fn new(table: &'static Table, folder: &Path, name: &str, limits: Limits) -> Self {
        Self {
            table,
            schema: table.schema(),
            properties: properties(table),
            folder: folder.to_owned(),
            name: name.to_owned(),
            limits,
            waiting_bytes: 0,
            row_groups: 0,
            parts: BTreeMap::new(),
            written: Vec::new(),
            files: 0,
        }
    }

    /// Adds rows.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        for (partition, rows) in partition::split(self.table, batch)? {
            let waiting = Waiting::of(&rows);
            let bytes = waiting.bytes();
            let part = self.parts.entry(partition).or_default();
            part.waiting.push(waiting);
            part.bytes += bytes;
            self.waiting_bytes += bytes;
        }
        while self.waiting_bytes > self.limits.bytes {
            let fullest = self.parts.iter().max_by_key(|(_, part)| part.bytes);
            let Some(partition) = fullest.map(|(partition, _)| partition.clone()) else {
                break;
            };
            self.flush(&partition)?;
        }
        Ok(())
    }

    /// Ends the files, which are on the disk then.
    pub fn finish(mut self) -> Result<Vec<Written>, LakeError> {
        let partitions: Vec<Partition> = self.parts.keys().cloned().collect();
        for partition in partitions {
            self.flush(&partition)?;
            self.close(&partition)?;
        }
        Ok(self.written)
    }

    /// Writes what waits as a row group.
    fn flush(&mut self, partition: &Partition) -> Result<(), LakeError> {
        let Some(part) = self.parts.get_mut(partition) else {
            return Ok(());
        };
        let waiting = std::mem::take(&mut part.waiting);
        self.waiting_bytes -= std::mem::take(&mut part.bytes);
        if waiting.is_empty() {
            return Ok(());
        }
        let rows = in_order(self.table, &self.schema, &waiting)?;
        drop(waiting);
        if part.open.is_none() {
            let name = format!("{}-{}.{ROWS}", self.name, self.files);
            self.files += 1;
            let written = Written {
                at: self.folder.join(&name),
                to: Path::new(self.table.name)
                    .join(partition.folders())
                    .join(&name),
            };
            let file = File::create(&written.at).map_err(LakeError::at(&written.at))?;
            let properties = Some(self.properties.clone());
            part.open = Some(Open {
                writer: ArrowWriter::try_new(file, self.schema.clone(), properties)?,
                written,
                row_groups: 0,
            });
        }
        if let Some(open) = &mut part.open {
            open.writer.write(&rows)?;
            open.writer.flush()?;
            let row_groups = open.writer.flushed_row_groups().len();
            self.row_groups += row_groups - open.row_groups;
            open.row_groups = row_groups;
        }
        while self.row_groups > self.limits.row_groups {
            let Some(longest) = self.longest() else {
                break;
            };
            self.close(&longest)?;
        }
        Ok(())
    }

    /// The partition whose open file has the most row groups.
    fn longest(&self) -> Option<Partition> {
        let open = self.parts.iter();
        let open = open.filter_map(|(partition, part)| Some((partition, part.open.as_ref()?)));
        let longest = open.max_by_key(|(_, open)| open.row_groups);
        longest.map(|(partition, _)| partition.clone())
    }

    fn close(&mut self, partition: &Partition) -> Result<(), LakeError> {
        let open = self
            .parts
            .get_mut(partition)
            .and_then(|part| part.open.take());
        if let Some(open) = open {
            self.row_groups -= open.row_groups;
            let file = open.writer.into_inner()?;
            file.sync_all().map_err(LakeError::at(&open.written.at))?;
            self.written.push(open.written);
        }
        Ok(())
    }
}

impl Waiting {
    fn of(batch: &RecordBatch) -> Self {
        let is_filled = |column: &&ArrayRef| column.null_count() < column.len();
        let columns = batch.columns().iter();
        Self {
            columns: columns
                .map(|column| Some(column).filter(is_filled).cloned())
                .collect(),
            rows: batch.num_rows(),
        }
    }

    /// What it takes, with what is needed to write it.
    fn bytes(&self) -> usize {
        let columns = self.columns.iter().flatten();
        columns.map(|column| column.get_array_memory_size()).sum()
    }
}

/// All that waits as one batch, sorted by time.
fn in_order(
    table: &Table,
    schema: &SchemaRef,
    waiting: &[Waiting],
) -> Result<RecordBatch, ArrowError> {
    let rows = waiting.iter().map(|one| one.rows).sum();
    let whole = |at: usize| -> Result<Option<ArrayRef>, ArrowError> {
        if waiting.iter().all(|one| one.columns[at].is_none()) {
            return Ok(None);
        }
        let kind = schema.field(at).data_type();
        let parts = waiting.iter().map(|one| match &one.columns[at] {
            Some(part) => Arc::clone(part),
            None => new_null_array(kind, one.rows),
        });
        let parts: Vec<ArrayRef> = parts.collect();
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        concat(&parts).map(Some)
    };
    let times = table.index_of(table.time).map(whole).transpose()?.flatten();
    let order = times.map(|times| sort_to_indices(&times, Some(SortOptions::default()), None));
    let order = order.transpose()?;
    let columns = (0..schema.fields().len()).map(|at| match (whole(at)?, &order) {
        (Some(column), Some(order)) => take(&column, order, None),
        (Some(column), None) => Ok(column),
        (None, _) => Ok(new_null_array(schema.field(at).data_type(), rows)),
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)
}

fn properties(table: &Table) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(1 << 20))
        .set_created_by(concat!("davylamp ", env!("CARGO_PKG_VERSION")).to_owned());
    if let Some(time) = table.index_of(table.time) {
        properties = properties.set_sorting_columns(Some(vec![SortingColumn {
            column_idx: time as i32,
            descending: false,
            nulls_first: true,
        }]));
    }
    // Each row has its own, which starts as its neighbour's does; nobody looks for one.
    let source = ColumnPath::from(SOURCE.name);
    properties = properties
        .set_column_dictionary_enabled(source.clone(), false)
        .set_column_encoding(source.clone(), Encoding::DELTA_BYTE_ARRAY)
        .set_column_statistics_enabled(source, EnabledStatistics::None);
    for column in table.columns {
        let is_sought = SOUGHT.iter().any(|end| column.name.ends_with(end));
        if column.kind == Kind::Text && is_sought {
            let path = ColumnPath::from(column.name);
            properties = properties
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_max_ndv(path, BLOOM_ROWS);
        }
    }
    properties.build()
}
