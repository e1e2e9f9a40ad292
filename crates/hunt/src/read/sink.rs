//! Where readers put rows and faults.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::error::ArrowError;

use super::Rows;
use crate::tally::Tally;
use crate::unpack::Chunk;

/// Takes a batch, and says whether more is wanted.
pub type Emit = Box<dyn FnMut(Result<RecordBatch, ArrowError>) -> bool + Send>;

/// Collects the rows of many objects into batches, and counts.
pub struct Sink {
    /// The row that is being made.
    pub rows: Rows,
    /// What was read since the tally was last taken.
    pub tally: Tally,
    emit: Emit,
    is_closed: bool,
}

impl Sink {
    /// A sink that hands its batches on.
    pub fn new(rows: Rows, emit: Emit) -> Self {
        Self {
            rows,
            tally: Tally::default(),
            emit,
            is_closed: false,
        }
    }

    /// Readies the rows for texts that lie in a chunk.
    pub fn enter(&mut self, chunk: &Chunk) {
        if !self.rows.has_room_for(chunk.buffer.len()) {
            self.flush();
        }
        self.rows.enter(&chunk.buffer);
    }

    /// Ends a row, each of whose cells has been set once.
    pub fn end_row(&mut self) {
        self.tally.records += 1;
        if self.rows.end_row() {
            self.flush();
        }
    }

    /// Whether nobody wants more rows.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Hands the rows on that there are.
    pub fn flush(&mut self) {
        if !self.rows.is_empty() {
            let batch = self.rows.take();
            self.is_closed |= !(self.emit)(batch);
        }
    }
}
