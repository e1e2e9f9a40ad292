//! One batch: objects of a table, read and written, and one step of the journal.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::{Arc, Mutex};

use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::{cast, filter_record_batch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::{Digest, Sha256};

use super::plan::Pending;
use super::{Converted, Shared, lock};
use crate::lake::{self, Commit, Done, LakeError, Lease, Writer, Written};
use crate::objects::Object;
use crate::read::Log;
use crate::scan::LogTable;
use crate::table::SOURCE;
use crate::tally::{Run, Tally};

/// What makes a table of one object.
pub(super) type Over = dyn Fn(Object, &Arc<Run>) -> LogTable + Send + Sync;

/// Objects to be converted together.
pub(super) struct Work {
    log: &'static dyn Log,
    over: Arc<Over>,
    objects: Vec<Pending>,
    /// The batch that had rows of them, whose other rows come along.
    old: Option<String>,
}

/// What rows are written to, from within a reader.
struct Target {
    writer: Writer,
    failure: Option<LakeError>,
}

impl Work {
    pub fn new(
        log: &'static dyn Log,
        over: &Arc<Over>,
        objects: Vec<Pending>,
        old: Option<String>,
    ) -> Self {
        Self {
            log,
            over: Arc::clone(over),
            objects,
            old,
        }
    }

    /// Reads and writes it, and makes it part of the lake.
    pub fn write(&self, shared: &Shared) -> Result<Converted, LakeError> {
        let table = self.log.table();
        let stamps: BTreeSet<(String, String)> = self
            .objects
            .iter()
            .map(|one| (one.key.clone(), one.object.stamp.to_string()))
            .collect();
        let (staging, name) = {
            let lease = lock(&shared.lease);
            let name = name(&lease, table.name, &stamps, self.old.as_deref());
            (lease.staging()?, name)
        };
        let target = Arc::new(Mutex::new(Target {
            writer: Writer::new(table, &staging, &name, shared.limits),
            failure: None,
        }));
        let old = self.old.as_deref().and_then(|old| shared.known.batch(old));
        let mut objects = match old {
            Some(old) => self.keep(old, shared, &target)?,
            None => Vec::new(),
        };
        let mut converted = Converted::default();
        for one in &self.objects {
            let (tally, rows) = self.read(one, shared, &target)?;
            let done = done(one, rows, &tally);
            converted.unread += u64::from(!done.whole);
            converted.objects += u64::from(done.whole || rows > 0);
            converted.rows += rows;
            objects.push(done);
        }
        let target = Arc::into_inner(target).map(|target| {
            target
                .into_inner()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
        });
        let files = match target {
            Some(target) => target.writer.finish()?,
            None => Vec::new(),
        };
        converted.files += files.len() as u64;
        let mut lease = lock(&shared.lease);
        let file = |written: &Written| lake::File {
            staged: lease.below(&written.at),
            to: written.to.to_string_lossy().into_owned(),
        };
        let commit = Commit {
            batch: name,
            table: table.name.to_owned(),
            objects,
            files: files.iter().map(file).collect(),
            removes: old.map_or_else(Vec::new, |old| {
                old.files.iter().map(|file| file.to.clone()).collect()
            }),
            replaces: old.map(|old| old.batch.clone()).into_iter().collect(),
        };
        if !commit.objects.is_empty() || old.is_some() {
            lease.commit(&commit)?;
        }
        Ok(converted)
    }

    /// Reads an object. What was read of it, and how many rows it gave.
    fn read(
        &self,
        one: &Pending,
        shared: &Shared,
        target: &Arc<Mutex<Target>>,
    ) -> Result<(Tally, u64), LakeError> {
        let run = Arc::new(shared.run.part());
        let columns: Vec<usize> = (0..self.log.table().columns.len()).collect();
        let object = (self.over)(one.object.clone(), &run);
        for reading in object.readings(&columns, &[], 1) {
            let into = Arc::clone(target);
            reading.read(Box::new(move |batch| {
                let mut target = lock(&into);
                let pushed = batch
                    .map_err(LakeError::from)
                    .and_then(|batch| target.writer.push(&batch));
                if let Err(error) = pushed {
                    target.failure = Some(error);
                }
                target.failure.is_none()
            }));
        }
        if let Some(error) = lock(target).failure.take() {
            return Err(error);
        }
        let table = self.log.table().name;
        let mut tally = run.tables().remove(table).unwrap_or_default();
        let rows = tally.records;
        // The whole conversion is one scan.
        tally.scans = 0;
        shared.run.add(table, &tally);
        shared.run.add_outside(&run.outside());
        Ok((tally, rows))
    }

    /// Takes along what a batch has of other objects, and says which those are.
    fn keep(
        &self,
        old: &Commit,
        shared: &Shared,
        target: &Arc<Mutex<Target>>,
    ) -> Result<Vec<Done>, LakeError> {
        let ours: BTreeSet<&str> = self.objects.iter().map(|one| one.key.as_str()).collect();
        let (gone, kept): (Vec<&Done>, Vec<&Done>) = old
            .objects
            .iter()
            .partition(|done| ours.contains(done.key.as_str()));
        let gone: BTreeSet<&str> = gone.iter().map(|done| done.name.as_str()).collect();
        let lake = lock(&shared.lease).lake().clone();
        for file in &old.files {
            let path = lake.path(&file.to);
            let opened = File::open(&path).map_err(LakeError::at(&path))?;
            let reader = ParquetRecordBatchReaderBuilder::try_new(opened)?.build()?;
            for batch in reader {
                let rest = without(&gone, &as_table(self.log, &batch?)?)?;
                lock(target).writer.push(&rest)?;
            }
        }
        Ok(kept.into_iter().cloned().collect())
    }
}

/// A batch of the lake with the columns of the table as it is now.
fn as_table(log: &'static dyn Log, batch: &RecordBatch) -> Result<RecordBatch, LakeError> {
    let schema = log.table().schema();
    let columns = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) => cast(column, field.data_type()),
            None => Ok(datafusion::arrow::array::new_null_array(
                field.data_type(),
                batch.num_rows(),
            )),
        });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// The rows that come from none of these objects.
fn without(gone: &BTreeSet<&str>, batch: &RecordBatch) -> Result<RecordBatch, LakeError> {
    let Some(source) = batch
        .column_by_name(SOURCE.name)
        .and_then(|column| column.as_string_view_opt())
    else {
        return Ok(batch.clone());
    };
    let is_kept = |row: usize| source.is_null(row) || !is_of(gone, source.value(row));
    let mask: BooleanArray = (0..batch.num_rows())
        .map(|row| Some(is_kept(row)))
        .collect();
    Ok(filter_record_batch(batch, &mask)?)
}

/// Whether a place is in one of these objects: `NAME:12`, or `NAME!member:12` in an archive.
fn is_of(names: &BTreeSet<&str>, place: &str) -> bool {
    let Some((object, _)) = place.rsplit_once(':') else {
        return false;
    };
    names.contains(object)
        || object
            .match_indices('!')
            .any(|(at, _)| names.contains(&object[..at]))
}

/// The name of a batch: of the same objects at another time it is another.
fn name(
    lease: &Lease,
    table: &str,
    done: &BTreeSet<(String, String)>,
    old: Option<&str>,
) -> String {
    let mut hash = Sha256::new();
    for part in [lease.name(), table, old.unwrap_or_default()] {
        hash.update(part);
        hash.update([0]);
    }
    for (key, stamp) in done {
        hash.update(key);
        hash.update([0]);
        hash.update(stamp);
        hash.update([0]);
    }
    hex::encode(&hash.finalize()[..8])
}

/// An object with its rows, as the journal has it.
fn done(pending: &Pending, rows: u64, tally: &Tally) -> Done {
    Done {
        key: pending.key.clone(),
        name: pending.object.name.to_string(),
        stamp: pending.object.stamp.to_string(),
        rows,
        whole: tally.objects_unreadable == 0,
        bad: tally.bad_records + tally.bad_values + tally.over_limit,
    }
}
