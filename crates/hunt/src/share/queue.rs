//! Batches that wait: in memory up to a bound, beyond it in a file that nobody else can see.
//!
//! Their order may change, as that of a table's rows means nothing.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, RecordBatch, RecordBatchOptions, StringViewArray, UInt64Array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::error::DataFusionError;

/// So much more than a column has itself is not worth a copy.
const LITTLE_BYTES: usize = 4096;

#[derive(Default)]
pub(super) struct Queue {
    waiting: VecDeque<RecordBatch>,
    bytes: usize,
    /// The file that is being written.
    spilling: Option<StreamWriter<File>>,
    /// The file that is being read.
    spilt: Option<StreamReader<BufReader<File>>>,
}

impl Queue {
    /// Whether another batch may wait in memory. One always may.
    pub fn has_room(&self, most_bytes: usize) -> bool {
        self.waiting.is_empty() || self.bytes < most_bytes
    }

    pub fn push(&mut self, batch: RecordBatch) {
        self.bytes += batch.get_array_memory_size();
        self.waiting.push_back(batch);
    }

    /// Writes a batch to disk.
    pub fn spill(&mut self, batch: &RecordBatch) -> Result<(), DataFusionError> {
        let batch = compact(batch)?;
        let mut writer = match self.spilling.take() {
            Some(writer) => writer,
            None => StreamWriter::try_new(tempfile::tempfile()?, &batch.schema())?,
        };
        writer.write(&batch)?;
        self.spilling = Some(writer);
        Ok(())
    }

    /// The next batch; nothing where none waits.
    pub fn pop(&mut self) -> Result<Option<RecordBatch>, DataFusionError> {
        if let Some(batch) = self.waiting.pop_front() {
            self.bytes -= batch.get_array_memory_size();
            return Ok(Some(batch));
        }
        loop {
            if let Some(reader) = &mut self.spilt {
                if let Some(batch) = reader.next() {
                    return Ok(Some(batch?));
                }
                self.spilt = None;
            }
            let Some(writer) = self.spilling.take() else {
                return Ok(None);
            };
            let mut file = writer.into_inner()?;
            file.rewind()?;
            self.spilt = Some(StreamReader::try_new(BufReader::new(file), None)?);
        }
    }
}

/// The same rows without what else lies in the chunks that they were read from.
pub(crate) fn compact(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let own = |column: &ArrayRef| -> Result<ArrayRef, ArrowError> {
        match column.as_any().downcast_ref::<StringViewArray>() {
            Some(texts) => Ok(Arc::new(texts.gc())),
            None => alone(column),
        }
    };
    let columns: Result<Vec<ArrayRef>, ArrowError> = batch.columns().iter().map(own).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns?, &options)
}

/// The same values; copied where they are a small part of a longer column, which they would keep.
fn alone(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let own = column.to_data().get_slice_memory_size()?;
    if column.get_array_memory_size() / 2 < own.saturating_add(LITTLE_BYTES) {
        return Ok(Arc::clone(column));
    }
    let every = UInt64Array::from_iter_values(0..column.len() as u64);
    take(column, &every, None)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{AsArray, BooleanArray, Int64Array};
    use datafusion::arrow::datatypes::Int64Type;

    use super::*;

    fn batch(number: i64) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![number]));
        let texts = StringViewArray::from(vec![format!("a text that is not short: {number}")]);
        let texts: ArrayRef = Arc::new(texts);
        RecordBatch::try_from_iter([("number", numbers), ("text", texts)]).expect("it is a batch")
    }

    fn numbers(queue: &mut Queue) -> Vec<i64> {
        let mut numbers = Vec::new();
        while let Some(batch) = queue.pop().expect("there is room") {
            numbers.push(batch.column(0).as_primitive::<Int64Type>().value(0));
        }
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn what_was_put_in_comes_out_once_from_memory_and_from_disk() {
        let mut queue = Queue::default();
        queue.push(batch(0));
        queue.spill(&batch(1)).expect("there is room");
        queue.spill(&batch(2)).expect("there is room");
        assert_eq!(numbers(&mut queue), [0, 1, 2]);
        queue.spill(&batch(3)).expect("there is room");
        queue.push(batch(4));
        assert_eq!(numbers(&mut queue), [3, 4]);
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn a_part_of_a_long_column_keeps_nothing_of_it() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100_000));
        let texts = (0..100_000).map(|at| format!("a text that is not short: {at}"));
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts));
        let flags: ArrayRef = Arc::new(BooleanArray::from_iter(
            (0..100_000).map(|at| (at % 3 != 0).then_some(at % 2 == 0)),
        ));
        let all = [("number", numbers), ("text", texts), ("flag", flags)];
        let long = RecordBatch::try_from_iter(all).expect("it is a batch");
        let part = long.slice(5_003, 100);
        let own = compact(&part).expect("it can be copied");
        assert_eq!(own, part);
        let bytes = own.get_array_memory_size();
        assert!(bytes < 3 * LITTLE_BYTES + 20_000, "{bytes}");
        assert!(part.get_array_memory_size() > 1_000_000);
    }

    #[test]
    fn one_batch_always_fits() {
        let mut queue = Queue::default();
        assert!(queue.has_room(0));
        queue.push(batch(0));
        assert!(!queue.has_room(1));
    }
}
