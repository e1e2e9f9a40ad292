//! A segment: the lines of one snapshot, as JSON lines packed by zstd, named by the hash of the file.

use std::io::Read;

use sha2::{Digest, Sha256};

use crate::line::{Line, NoLine};

/// The end of a segment's name.
pub const SUFFIX: &str = ".jsonl.zst";

/// How hard it is packed: beyond this, zstd takes twice as long for a hundredth less (measured by
/// `make bench-record`).
const LEVEL: i32 = 12;
/// The most a segment may hold unpacked: a million things of 2 KiB, and as much again.
const MAX_BYTES: u64 = 4 << 30;

/// Why a segment cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// It is not what was written.
    #[error("its bytes are not those that were written: their hash is {found}")]
    Altered {
        /// The hash of what there is.
        found: String,
    },
    /// It cannot be unpacked.
    #[error("it cannot be unpacked")]
    Packed(#[source] std::io::Error),
    /// It is not text.
    #[error("it is not UTF-8 text")]
    Text,
    /// A line of it is none.
    #[error("line {number}")]
    Line {
        /// Which, from 1.
        number: usize,
        /// Why.
        #[source]
        why: NoLine,
    },
}

/// The hash that names a file.
pub fn name_of(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The lines as a file.
pub(crate) fn pack(lines: &[Line]) -> std::io::Result<Vec<u8>> {
    let mut text = String::new();
    for line in lines {
        line.write(&mut text);
    }
    zstd::bulk::compress(text.as_bytes(), LEVEL)
}

/// The text of a file, which must be the one of that name.
pub(crate) fn unpack(bytes: &[u8], name: &str) -> Result<String, SegmentError> {
    let found = name_of(bytes);
    if found != name {
        return Err(SegmentError::Altered { found });
    }
    let mut text = Vec::new();
    zstd::stream::read::Decoder::new(bytes)
        .and_then(|decoder| decoder.take(MAX_BYTES).read_to_end(&mut text))
        .map_err(SegmentError::Packed)?;
    String::from_utf8(text).map_err(|_| SegmentError::Text)
}

/// The lines of a text.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Result<Line, SegmentError>> {
    text.lines().enumerate().map(|(index, line)| {
        Line::parse(line).map_err(|why| SegmentError::Line {
            number: index + 1,
            why,
        })
    })
}
