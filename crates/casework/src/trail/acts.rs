//! The events that may matter, on disk: whatever changes something, and what goes before an attack.

use std::fs::File;
use std::io::{BufReader, Seek};

use davylamp_hunt::arrow::array::{BooleanArray, RecordBatch};
use davylamp_hunt::arrow::compute::BatchCoalescer;
use davylamp_hunt::arrow::error::ArrowError;
use davylamp_hunt::arrow::ipc::reader::FileReader;
use davylamp_hunt::arrow::ipc::writer::FileWriter;

use super::meaning::{Phase, is_chatter};
use super::row::{Row, Rows, Text};

/// Rows that are written together.
const BATCH_ROWS: usize = 8_192;

/// Whether an event is kept for a closer look.
pub fn is_kept(row: Row<'_>, phase: Option<Phase>) -> bool {
    match phase {
        // Services assume roles all day, each for somebody who is in the trail himself.
        Some(Phase::Access) => !row.is_by_service(),
        Some(_) => true,
        None => {
            let is_chatter = is_chatter(row.text(Text::EventName));
            !is_chatter && !row.is_read_only() && !row.is_by_service()
        }
    }
}

/// Writes kept events.
#[derive(Default)]
pub struct Writer {
    coalescer: Option<BatchCoalescer>,
    file: Option<FileWriter<File>>,
}

/// Kept events, to be read as often as it takes.
pub struct Acts {
    file: Option<File>,
    /// A bit for each act that was delivered before.
    dropped: Vec<u64>,
}

impl Writer {
    /// Keeps some rows of a batch.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn push(&mut self, batch: RecordBatch, kept: &BooleanArray) -> Result<(), ArrowError> {
        if kept.true_count() == 0 {
            return Ok(());
        }
        let schema = batch.schema();
        let coalescer = self
            .coalescer
            .get_or_insert_with(|| BatchCoalescer::new(schema, BATCH_ROWS));
        coalescer.push_batch_with_filter(batch, kept)?;
        self.drain()
    }

    /// Ends the writing.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn end(mut self) -> Result<Acts, ArrowError> {
        if let Some(coalescer) = &mut self.coalescer {
            coalescer.finish_buffered_batch()?;
        }
        self.drain()?;
        let file = match self.file {
            Some(writer) => Some(writer.into_inner()?),
            None => None,
        };
        Ok(Acts {
            file,
            dropped: Vec::new(),
        })
    }

    fn drain(&mut self) -> Result<(), ArrowError> {
        while let Some(batch) = self
            .coalescer
            .as_mut()
            .and_then(BatchCoalescer::next_completed_batch)
        {
            let writer = match &mut self.file {
                Some(writer) => writer,
                none => none.insert(FileWriter::try_new(tempfile::tempfile()?, &batch.schema())?),
            };
            writer.write(&batch)?;
        }
        Ok(())
    }
}

impl Acts {
    /// Leaves out an act, by its number among those that were kept.
    pub fn leave_out(&mut self, act: u32) {
        let (word, bit) = (act as usize / 64, act % 64);
        if self.dropped.len() <= word {
            self.dropped.resize(word + 1, 0);
        }
        self.dropped[word] |= 1 << bit;
    }

    fn is_left_out(&self, act: usize) -> bool {
        let word = self.dropped.get(act / 64).copied().unwrap_or(0);
        word & 1 << (act % 64) != 0
    }

    /// Shows each event, in the order in which they were read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn each(&self, mut see: impl FnMut(Row<'_>)) -> Result<(), ArrowError> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let mut file = file.try_clone()?;
        file.rewind()?;
        let mut before = 0;
        for batch in FileReader::try_new(BufReader::new(file), None)? {
            let batch = batch?;
            let rows = Rows::of(&batch)?;
            let acts = rows.iter().enumerate();
            acts.filter(|(at, _)| !self.is_left_out(before + at))
                .for_each(|(_, row)| see(row));
            before += batch.num_rows();
        }
        Ok(())
    }
}
