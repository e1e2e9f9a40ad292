//! Those who read.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, ErrorKind, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::READERS_DIR;
use crate::cursor::{self, Place};
use crate::error::{SpoolError, system};
use crate::segment::{self, Segment};

/// A reader's name is part of a file's.
const NAME_BYTES: usize = 64;

/// Lines, as they were appended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct Batch {
    /// The lines, without their line breaks.
    pub lines: Vec<String>,
    /// What was dropped before this reader came to it.
    pub missed: Missed,
    end: Place,
}

impl Batch {
    /// Whether there is nothing to do and nothing to say.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.missed == Missed::default()
    }
}

/// What a reader did not get to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Missed {
    /// Lines that were dropped, or taken away.
    pub lines: u64,
    /// Bytes of half lines that killed writers left.
    pub torn_bytes: u64,
}

/// Reads a spool under a name, from where that name had come.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    spool: String,
    cursor: PathBuf,
    committed: Place,
    at: Place,
    /// Held as long as this lives.
    _lock: File,
}

impl Reader {
    /// Reads the spool in `dir` as `consumer`: a new one from the oldest line that is left.
    ///
    /// # Errors
    /// There is no spool, another process reads under this name, or its cursor cannot be read.
    pub fn open(dir: &Path, consumer: &str) -> Result<Self, SpoolError> {
        let formed = (1..=NAME_BYTES).contains(&consumer.len())
            && consumer
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !formed {
            return Err(SpoolError::Name {
                consumer: consumer.to_owned(),
            });
        }
        let Some(spool) = segment::identity(dir)? else {
            return Err(SpoolError::NoSpool {
                dir: dir.to_owned(),
            });
        };
        let readers = dir.join(READERS_DIR);
        if !readers.is_dir() {
            fs::create_dir_all(&readers).map_err(system("make", &readers))?;
        }
        let lock_path = readers.join(format!("{consumer}.lock"));
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o660)
            .open(&lock_path)
            .map_err(system("open", &lock_path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(SpoolError::Read {
                    dir: dir.to_owned(),
                    consumer: consumer.to_owned(),
                });
            }
            locked => locked.map_err(|errno| system("lock", &lock_path)(errno.into()))?,
        }
        let cursor = readers.join(format!("{consumer}.json"));
        let committed = match cursor::load(&cursor, &spool)? {
            Some(place) => place,
            // What was dropped before there was this reader, it does not miss; what is dropped from
            // now on, it does, whether or not it has taken anything by then.
            None => {
                let start = oldest(dir)?;
                cursor::store(&cursor, &spool, start)?;
                start
            }
        };
        Ok(Self {
            dir: dir.to_owned(),
            spool,
            cursor,
            committed,
            at: committed,
            _lock: lock,
        })
    }

    /// The next lines: at most `max_lines` of at most `max_bytes` together, but at least one if
    /// there is one. They are given again by a reader opened later, unless they are committed.
    ///
    /// # Errors
    /// A file cannot be read. Nothing is skipped then.
    pub fn next_batch(&mut self, max_lines: usize, max_bytes: usize) -> Result<Batch, SpoolError> {
        match segment::identity(&self.dir)? {
            Some(spool) if spool == self.spool => {}
            Some(spool) => {
                let start = oldest(&self.dir)?;
                cursor::store(&self.cursor, &spool, start)?;
                self.spool = spool;
                self.committed = start;
                self.at = start;
            }
            None => {
                return Err(SpoolError::NoSpool {
                    dir: self.dir.clone(),
                });
            }
        }
        // Listed before any is read: one that is not the last here is never written again.
        let segments = segment::list(&self.dir)?;
        let mut batch = Batch {
            end: trusted(&segments, self.at),
            ..Batch::default()
        };
        let mut bytes = 0;
        while let Some((segment, is_last)) = find(&segments, batch.end) {
            if segment.first > batch.end.line {
                batch.missed.lines += segment.first - batch.end.line;
            }
            let Some(done) = self.read(segment, &mut batch, &mut bytes, max_lines, max_bytes)?
            else {
                // Dropped meanwhile; the next call lists anew.
                break;
            };
            if !done || is_last {
                break;
            }
            // A segment that ends torn ends here all the same.
            let Some(after) = segments.iter().find(|other| other.first > segment.first) else {
                break;
            };
            batch.missed.torn_bytes += segment.bytes.saturating_sub(batch.end.offset);
            batch.missed.lines += after.first.saturating_sub(batch.end.line);
            batch.end = Place {
                line: after.first,
                segment: after.first,
                offset: 0,
            };
        }
        self.at = batch.end;
        Ok(batch)
    }

    /// Reads what fits of a segment: whether it came to its end, or `None` if the segment is gone.
    fn read(
        &self,
        segment: Segment,
        batch: &mut Batch,
        bytes: &mut usize,
        max_lines: usize,
        max_bytes: usize,
    ) -> Result<Option<bool>, SpoolError> {
        let path = segment::path(&self.dir, segment.first);
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(system("read", &path))?,
        };
        let mut reader = BufReader::new(file);
        let mut place = Place {
            line: segment.first,
            segment: segment.first,
            offset: 0,
        };
        if batch.end.segment == segment.first {
            place = batch.end;
            let seek = reader.seek(SeekFrom::Start(place.offset));
            seek.map_err(system("read", &path))?;
        }
        let mut line = Vec::new();
        loop {
            line.clear();
            reader
                .read_until(b'\n', &mut line)
                .map_err(system("read", &path))?;
            if line.pop() != Some(b'\n') {
                batch.end = place;
                return Ok(Some(true));
            }
            let is_wanted = place.line >= batch.end.line;
            let is_full = batch.lines.len() >= max_lines
                || !batch.lines.is_empty() && *bytes + line.len() > max_bytes;
            if is_wanted && is_full {
                batch.end = place;
                return Ok(Some(false));
            }
            place.line += 1;
            place.offset += line.len() as u64 + 1;
            if is_wanted {
                *bytes += line.len();
                batch
                    .lines
                    .push(String::from_utf8_lossy(&line).into_owned());
                batch.end.line = place.line;
            }
        }
    }

    /// Remembers that a batch is done with, for good.
    ///
    /// # Errors
    /// The cursor cannot be written. The batch comes again after a restart.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), SpoolError> {
        if batch.end != self.committed {
            cursor::store(&self.cursor, &self.spool, batch.end)?;
            self.committed = batch.end;
        }
        Ok(())
    }

    /// Goes back to what is committed.
    pub fn rewind(&mut self) {
        self.at = self.committed;
    }

    /// Bytes of the spool that are not committed yet.
    ///
    /// # Errors
    /// The spool cannot be listed.
    pub fn lag_bytes(&self) -> Result<u64, SpoolError> {
        let lag = |segment: Segment| match segment.first {
            first if first < self.committed.segment => 0,
            first if first == self.committed.segment => {
                segment.bytes.saturating_sub(self.committed.offset)
            }
            _ => segment.bytes,
        };
        Ok(segment::list(&self.dir)?.into_iter().map(lag).sum())
    }

    /// The number of the first line that is not committed.
    pub fn committed_line(&self) -> u64 {
        self.committed.line
    }
}

/// Where a spool starts.
fn oldest(dir: &Path) -> Result<Place, SpoolError> {
    let first = segment::list(dir)?.first().map_or(0, |oldest| oldest.first);
    Ok(Place {
        line: first,
        segment: first,
        offset: 0,
    })
}

/// A place that is there. After a power cut a cursor may be further than the segment it points into:
/// the cursor was on the disk already, the lines were not. Numbers are given again then, so the
/// reader goes back to what it can be sure of and sees some lines twice.
fn trusted(segments: &[Segment], place: Place) -> Place {
    let is_short =
        |segment: &&Segment| segment.first == place.segment && segment.bytes < place.offset;
    let is_there = segments.iter().any(|s| s.first == place.segment);
    // Segments are dropped from the oldest on: one that is gone before older ones was never whole.
    let before = segments.iter().rfind(|s| s.first < place.segment);
    let again = segments
        .iter()
        .find(is_short)
        .or(before.filter(|_| !is_there));
    again.map_or(place, |segment| Place {
        line: segment.first,
        segment: segment.first,
        offset: 0,
    })
}

/// The segment to read on in: the one the place is in, or else the one with its line, or the first
/// one after it; and whether it is the last.
fn find(segments: &[Segment], place: Place) -> Option<(Segment, bool)> {
    let at = segments
        .iter()
        .position(|segment| segment.first == place.segment)
        .unwrap_or_else(|| {
            let after = segments.partition_point(|segment| segment.first <= place.line);
            after.saturating_sub(1)
        });
    segments
        .get(at)
        .map(|segment| (*segment, at + 1 == segments.len()))
}
