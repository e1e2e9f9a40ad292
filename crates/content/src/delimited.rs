//! Values separated by commas (RFC 4180), record by record, whatever the size of the whole.
//!
//! What must stay true: a record is bounded; one that is longer is told, and the next is read.
//! Deliberately not here: opening files.

use std::io::{self, BufRead};

use csv_core::{ReadRecordResult, Reader};

/// A record has so many bytes at most, without its quotes. Those of AWS's reports have a few KiB.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// A record has so many values at most. AWS's reports have a few hundred.
pub const MAX_VALUES: usize = 4096;

/// The records of a text.
pub struct Records<R> {
    from: R,
    reader: Reader,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    values: usize,
    line: u64,
}

/// What came next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A record: see [`Records::value`].
    Record,
    /// One with more than [`MAX_RECORD_BYTES`] or [`MAX_VALUES`], which was passed over.
    TooLong,
    /// Nothing: the text has ended.
    End,
}

impl<R: BufRead> Records<R> {
    /// The records of a text, its line of names as the first of them.
    pub fn new(from: R) -> Self {
        Self {
            from,
            reader: Reader::new(),
            bytes: vec![0; MAX_RECORD_BYTES],
            ends: vec![0; MAX_VALUES],
            values: 0,
            line: 0,
        }
    }

    /// Reads on.
    ///
    /// # Errors
    /// The text cannot be read.
    pub fn advance(&mut self) -> io::Result<Next> {
        self.line = self.reader.line();
        let (mut bytes, mut values, mut is_too_long) = (0, 0, false);
        loop {
            let input = self.from.fill_buf()?;
            let (came, used, wrote, ended) =
                self.reader
                    .read_record(input, &mut self.bytes[bytes..], &mut self.ends[values..]);
            self.from.consume(used);
            (bytes, values) = (bytes + wrote, values + ended);
            match came {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    is_too_long = true;
                    (bytes, values) = (0, 0);
                }
                ReadRecordResult::Record if is_too_long => return Ok(Next::TooLong),
                ReadRecordResult::Record => {
                    self.values = values;
                    return Ok(Next::Record);
                }
                ReadRecordResult::End => return Ok(Next::End),
            }
        }
    }

    /// The line the last record began in, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// How many values the last record has.
    pub fn len(&self) -> usize {
        self.values
    }

    /// Whether the last record has none.
    pub fn is_empty(&self) -> bool {
        self.values == 0
    }

    /// A value of the last record, without its quotes.
    pub fn value(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends[..self.values].get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => self.ends[before],
            None => 0,
        };
        self.bytes.get(start..end)
    }

    /// A value of the last record as text; nothing where it is absent or not UTF-8.
    pub fn text(&self, index: usize) -> Option<&str> {
        std::str::from_utf8(self.value(index)?).ok()
    }
}
