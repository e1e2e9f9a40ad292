//! Rows to Parquet files, one for each partition.
//!
//! What must stay true: memory is bounded however many rows there are. Rows wait until there are
//! enough for a row group; each is sorted by time, so that its pages can be passed over by their
//! statistics. A file is ended before what it says of its row groups grows without end.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::{SortOptions, concat_batches, sort_to_indices, take_record_batch};
use datafusion::arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::partition::{self, Partition};
use super::{EXTENSION, LakeError};
use crate::table::{Kind, Table};

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

/// The rows of a partition.
#[derive(Default)]
struct Part {
    waiting: Vec<RecordBatch>,
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
            let bytes = rows.get_array_memory_size();
            let part = self.parts.entry(partition).or_default();
            part.waiting.push(rows);
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
        let rows = concat_batches(&self.schema, &waiting)?;
        drop(waiting);
        let rows = match rows.column_by_name(self.table.time) {
            Some(time) => {
                let order = sort_to_indices(time, Some(SortOptions::default()), None)?;
                take_record_batch(&rows, &order)?
            }
            None => rows,
        };
        if part.open.is_none() {
            let name = format!("{}-{}{EXTENSION}", self.name, self.files);
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
