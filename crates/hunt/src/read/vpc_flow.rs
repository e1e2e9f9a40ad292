//! VPC flow logs: which address spoke to which, and how much.
//!
//! Versions 2 to 8 and formats of the user's own: a record is one line of fields divided by blanks,
//! in the order of the line of names that the object starts with, or of the format that the user
//! has given, or of version 2. Source: the Amazon VPC user guide, "Flow log records".
//!
//! What must stay true: a column that the format lacks is NULL and is told; a hunt asks for
//! `direction`, which is there where it can be known, and not for `flow_direction`, which most
//! formats lack.

use std::fmt;
use std::str::FromStr;

use memchr::{memchr, memchr_iter, memrchr};

use super::{Given, Log, Object, Order, Reader, Sink, Spelling};
use crate::table::Table;
use crate::unpack::{Chunk, Next};

mod columns;
mod fields;
mod line;
mod sides;

pub use columns::TABLE;
use fields::Fields;
use line::Lines;

/// Whether a column of Parquet is a field of flow logs.
pub(super) fn is_field(name: &str) -> bool {
    Fields::of_format(name).is_some()
}

/// A format of flow logs, as AWS writes it: `${version} ${srcaddr}`. Bare names do too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowFormat(String);

/// A format that is none.
#[derive(Debug, thiserror::Error)]
#[error("none of its fields is one of flow logs, such as ${{srcaddr}}")]
pub struct FlowFormatError;

impl FromStr for FlowFormat {
    type Err = FlowFormatError;

    fn from_str(text: &str) -> Result<Self, FlowFormatError> {
        let is_one = Fields::of_format(text).is_some();
        is_one.then(|| Self(text.to_owned())).ok_or(FlowFormatError)
    }
}

impl fmt::Display for FlowFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FlowFormat {
    /// Whether an object that starts with these bytes, decompressed, may have this format.
    pub fn fits(&self, head: &[u8]) -> bool {
        let fields = self.fields();
        let line = first_line(head);
        line.zip(fields)
            .is_some_and(|(line, fields)| fields::is_record_of(&fields, line))
    }

    fn fields(&self) -> Option<Fields> {
        Fields::of_format(&self.0)
    }
}

/// The first line of an object, where it is text.
fn first_line(head: &[u8]) -> Option<&str> {
    let first = head.split(|byte| *byte == b'\n').next();
    std::str::from_utf8(first.unwrap_or_default()).ok()
}

/// Flow logs.
#[derive(Debug)]
pub struct VpcFlow;

impl Log for VpcFlow {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn recognises(&self, head: &[u8]) -> bool {
        first_line(head).is_some_and(|line| {
            Fields::of_names(line).is_some() || fields::is_record_of_version_2(line)
        })
    }

    fn read_by(&self, given: &Given) -> Option<String> {
        given.flow_format.as_ref().map(ToString::to_string)
    }

    fn spelling(&self) -> Spelling {
        Spelling::Plain
    }

    fn open(&self, order: &Order, object: &Object) -> Box<dyn Reader> {
        Box::new(FlowReader {
            order: order.clone(),
            object: object.clone(),
            lines: None,
            line: 0,
            is_in_long_line: false,
        })
    }
}

/// Reads one object of flow logs.
struct FlowReader {
    order: Order,
    object: Object,
    /// How lines become rows; known once the first line has been seen.
    lines: Option<Lines>,
    /// The lines that have been passed.
    line: u64,
    /// Whether the next bytes are the rest of a line that was dropped for its length.
    is_in_long_line: bool,
}

impl Reader for FlowReader {
    fn read(&mut self, chunk: &Chunk, sink: &mut Sink) -> usize {
        let bytes = chunk.buffer.as_slice();
        let skipped = match (self.is_in_long_line, memchr(b'\n', bytes)) {
            (false, _) => 0,
            (true, Some(end)) => end + 1,
            (true, None) => return bytes.len(),
        };
        self.is_in_long_line = false;
        let bytes = &bytes[skipped..];
        let whole = match chunk.next {
            Next::End => bytes.len(),
            Next::More | Next::Broken | Next::Dropped => {
                memrchr(b'\n', bytes).map_or(0, |end| end + 1)
            }
        };
        if matches!(chunk.next, Next::Broken | Next::Dropped) && whole < bytes.len() {
            self.cut_off(chunk.next, &bytes[..whole], bytes.len(), sink);
        }
        let start = self.first_line(&bytes[..whole], sink);
        if self.order.needles.is_empty() {
            self.every_line(&bytes[start..whole], sink);
        } else {
            self.lines_of_interest(&bytes[start..whole], sink);
        }
        self.line += u64::from(self.is_in_long_line);
        match chunk.next {
            Next::More => skipped + whole,
            Next::End | Next::Broken | Next::Dropped => skipped + bytes.len(),
        }
    }
}

impl FlowReader {
    /// Settles the order of the fields by the first line. Gives where the records start.
    fn first_line(&mut self, bytes: &[u8], sink: &mut Sink) -> usize {
        if self.lines.is_some() || bytes.is_empty() {
            return 0;
        }
        let end = memchr(b'\n', bytes).unwrap_or(bytes.len());
        let first = String::from_utf8_lossy(&bytes[..end]);
        let named = Fields::of_names(&first);
        let is_names = named.is_some();
        let given = self.order.given.flow_format.as_ref();
        let fields = named
            .or_else(|| given.and_then(FlowFormat::fields))
            .unwrap_or_else(Fields::of_version_2);
        self.lines = Some(Lines::new(&fields, &self.order, &self.object, sink));
        if is_names {
            self.line = 1;
            (end + 1).min(bytes.len())
        } else {
            0
        }
    }

    fn every_line(&mut self, bytes: &[u8], sink: &mut Sink) {
        let Some(lines) = &mut self.lines else {
            return;
        };
        if bytes.is_empty() {
            return;
        }
        let mut start = 0;
        for end in memchr_iter(b'\n', bytes).chain((!bytes.ends_with(b"\n")).then_some(bytes.len()))
        {
            self.line += 1;
            lines.read(&bytes[start..end], self.line, sink);
            start = end + 1;
            if sink.is_closed() {
                return;
            }
        }
    }

    /// Reads only the lines that may satisfy the filters.
    fn lines_of_interest(&mut self, bytes: &[u8], sink: &mut Sink) {
        let Some(lines) = &mut self.lines else {
            return;
        };
        if !self.order.needles.may_match(bytes) {
            self.line += memchr_iter(b'\n', bytes).count() as u64;
            return;
        }
        let mut at = 0;
        while let Some(found) = self
            .order
            .needles
            .next(&bytes[at..])
            .map(|found| at + found)
        {
            let start = memrchr(b'\n', &bytes[at..found]).map_or(at, |before| at + before + 1);
            let end = memchr(b'\n', &bytes[found..]).map_or(bytes.len(), |after| found + after);
            self.line += memchr_iter(b'\n', &bytes[at..start]).count() as u64 + 1;
            let line = &bytes[start..end];
            if self.order.needles.may_match(line) {
                lines.read(line, self.line, sink);
            }
            at = (end + 1).min(bytes.len());
            if sink.is_closed() {
                return;
            }
        }
        self.line += memchr_iter(b'\n', &bytes[at..]).count() as u64;
    }

    /// Counts what comes after the whole lines of a chunk that has so many bytes.
    fn cut_off(&mut self, next: Next, before: &[u8], length: usize, sink: &mut Sink) {
        let line = self.line + memchr_iter(b'\n', before).count() as u64 + 1;
        let place = || format!("{}:{line}", self.object.name);
        if next == Next::Dropped {
            sink.tally.over_limit += 1;
            let most = length - before.len();
            let what = format!("the line has more than {most} bytes, which no line may");
            sink.tally.bad_record(place, what);
            self.is_in_long_line = true;
        } else {
            sink.tally.bad_record(place, "the line is cut off");
        }
    }
}
