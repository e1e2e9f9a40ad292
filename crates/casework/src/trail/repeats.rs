//! Events that were delivered more than once: found by their ids, which lie on disk meanwhile.
//!
//! Real trails repeat a fifth of their events, and their ids are too many for memory.

use std::fs::File;
use std::hash::BuildHasher;
use std::io::{BufReader, BufWriter, Read, Seek, Write};

use davylamp_hunt::arrow::error::ArrowError;
use foldhash::fast::FixedState;

/// Files the ids are spread over, so that those of one fit into memory: a hundred million events make
/// thirty megabytes each.
const PARTS: usize = 64;

/// The digest of an id, the rank of where it lies, the number of its use, and that of its act.
const ENTRY_BYTES: usize = 32;

/// The number of an act that was not kept.
const NOT_KEPT: u32 = u32::MAX;

/// Of the deliveries of an event, the one that counts is that with the least rank, in whatever order they
/// were read.
pub fn rank(source: &str) -> u64 {
    FixedState::default().hash_one(source)
}

/// A delivery that does not count.
#[derive(Debug, Clone, Copy)]
pub struct Repeat {
    /// The use it was counted for.
    pub used: u32,
    /// The act that it was kept as, if it was.
    pub act: Option<u32>,
}

/// The ids of events, with the use that each was counted for and the act that it was kept as.
pub struct Repeats {
    parts: Vec<BufWriter<File>>,
}

impl Repeats {
    /// No ids yet.
    ///
    /// # Errors
    /// When there is no room for files.
    pub fn new() -> Result<Self, ArrowError> {
        let parts = (0..PARTS).map(|_| Ok(BufWriter::new(tempfile::tempfile()?)));
        Ok(Self {
            parts: parts.collect::<Result<_, std::io::Error>>()?,
        })
    }

    /// Adds an event's id. One without an id is no repetition of anything.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn add(&mut self, event_id: &str, source: &str, it: Repeat) -> Result<(), ArrowError> {
        if event_id.is_empty() {
            return Ok(());
        }
        let digest = digest(event_id);
        let part = usize::from(digest[15]) % PARTS;
        let mut entry = [0; ENTRY_BYTES];
        entry[..16].copy_from_slice(&digest);
        entry[16..24].copy_from_slice(&rank(source).to_be_bytes());
        entry[24..28].copy_from_slice(&it.used.to_be_bytes());
        entry[28..].copy_from_slice(&it.act.unwrap_or(NOT_KEPT).to_be_bytes());
        self.parts[part].write_all(&entry)?;
        Ok(())
    }

    /// Names each repetition; how many there are.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn find(self, mut each: impl FnMut(Repeat)) -> Result<u64, ArrowError> {
        let mut repeated = 0;
        for part in self.parts {
            let mut file = part
                .into_inner()
                .map_err(|error| ArrowError::from(error.into_error()))?;
            file.rewind()?;
            let mut bytes = Vec::new();
            BufReader::new(file).read_to_end(&mut bytes)?;
            let mut entries: Vec<&[u8]> = bytes.chunks_exact(ENTRY_BYTES).collect();
            entries.sort_unstable();
            for pair in entries.windows(2) {
                if pair[0][..16] == pair[1][..16] {
                    repeated += 1;
                    let number = |at: usize| {
                        let bytes = pair[1][at..at + 4].try_into();
                        u32::from_be_bytes(bytes.unwrap_or_default())
                    };
                    each(Repeat {
                        used: number(24),
                        act: Some(number(28)).filter(|act| *act != NOT_KEPT),
                    });
                }
            }
        }
        Ok(repeated)
    }
}

/// The id itself where it is a UUID, as AWS's are; of others a digest, made as strong as that.
fn digest(id: &str) -> [u8; 16] {
    let mut digest = [0; 16];
    let digits = id.bytes().filter(|byte| *byte != b'-');
    let mut count = 0;
    let is_uuid = digits.map(|byte| (byte as char).to_digit(16)).all(|digit| {
        let Some(digit) = digit.filter(|_| count < 32) else {
            return false;
        };
        digest[count / 2] = digest[count / 2] << 4 | u8::try_from(digit).unwrap_or(0);
        count += 1;
        true
    });
    if !is_uuid || count != 32 {
        use sha2::{Digest, Sha256};
        digest.copy_from_slice(&Sha256::digest(id.as_bytes())[..16]);
    }
    digest
}
