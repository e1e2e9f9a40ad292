//! The one who writes.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

#[cfg(doc)]
use crate::MAX_LINE_BYTES;
use crate::READERS_DIR;
use crate::error::{SpoolError, system};
use crate::segment::{self, Segment};

/// Readers belong to the group and must not change what was written.
const SEGMENT_MODE: u32 = 0o640;
const DIR_MODE: u32 = 0o750;
/// Here they write their cursors.
const READERS_MODE: u32 = 0o770;

/// Where a spool is, and how much it may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Its directory, which is made where it is not there.
    pub dir: PathBuf,
    /// Bytes of all segments together; from there on the oldest one is dropped.
    pub max_bytes: u64,
    /// Bytes after which a new segment is begun, and so what is dropped at once.
    pub segment_bytes: u64,
    /// Bytes of a line: [`MAX_LINE_BYTES`], unless its readers take longer ones.
    pub line_bytes: usize,
}

/// What became of older lines as one was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct Appended {
    /// Lines dropped to make room. Those who had read them miss nothing.
    pub dropped_lines: u64,
    /// Their bytes.
    pub dropped_bytes: u64,
}

/// Appends lines.
#[derive(Debug)]
pub struct Writer {
    limits: Limits,
    /// The oldest first; the last is the one being written, if `active` is there.
    segments: VecDeque<Segment>,
    active: Option<File>,
    /// The number of the next line.
    next: u64,
    is_synced: bool,
    torn_bytes: u64,
    /// Held as long as this lives.
    _lock: File,
}

impl Writer {
    /// Opens a spool, or makes one.
    ///
    /// # Errors
    /// It cannot be written, or another writer has it.
    pub fn open(limits: Limits) -> Result<Self, SpoolError> {
        let dir = &limits.dir;
        make_dir(dir, DIR_MODE)?;
        let lock = File::open(dir).map_err(system("open", dir))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(SpoolError::Written { dir: dir.clone() });
            }
            locked => locked.map_err(|errno| system("lock", dir)(errno.into()))?,
        }
        make_dir(&dir.join(READERS_DIR), READERS_MODE)?;
        let mut segments: VecDeque<Segment> = segment::list(dir)?.into();
        // Without a segment, lines are numbered anew: no cursor of before means anything.
        if segments.is_empty() || segment::identity(dir)?.is_none() {
            segment::set_identity(dir)?;
        }
        let (mut next, mut torn_bytes) = (0, 0);
        // What was written last may end in the middle of a line; it is left as it is, and a new
        // segment begun, for whoever reads it may be in the middle of it too.
        if let Some(last) = segments.back().copied() {
            let (lines, complete) = count(&segment::path(dir, last.first))?;
            next = last.first + lines;
            torn_bytes = last.bytes.saturating_sub(complete);
            if lines == 0 {
                remove(&segment::path(dir, last.first))?;
                segments.pop_back();
            }
        }
        let mut writer = Self {
            limits,
            segments,
            active: None,
            next,
            is_synced: true,
            torn_bytes,
            _lock: lock,
        };
        writer.begin()?;
        Ok(writer)
    }

    /// Bytes of the half line that the last writer left as it was killed.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// The number of the next line: how many were ever written.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Appends a line, which holds no line break. When this returns, the line outlives the process;
    /// after [`Self::sync`], the machine too.
    ///
    /// # Errors
    /// The line is too long, or the disk takes nothing more. Then the line is not there, and the
    /// next one may be.
    pub fn append(&mut self, line: &str) -> Result<Appended, SpoolError> {
        debug_assert!(!line.contains('\n'), "a line is one line");
        if line.len() > self.limits.line_bytes {
            return Err(SpoolError::Long { bytes: line.len() });
        }
        let bytes = line.len() as u64 + 1;
        let is_full = self.active.is_some()
            && self
                .segments
                .back()
                .is_some_and(|active| active.bytes + bytes > self.limits.segment_bytes);
        if is_full {
            self.sync()?;
            self.active = None;
        }
        let appended = self.make_room(bytes)?;
        let mut text = String::with_capacity(line.len() + 1);
        text.push_str(line);
        text.push('\n');
        self.write(&text)?;
        Ok(appended)
    }

    /// Brings what was appended to the disk.
    ///
    /// # Errors
    /// The disk says that it failed.
    pub fn sync(&mut self) -> Result<(), SpoolError> {
        if let (false, Some(active), Some(segment)) =
            (self.is_synced, &self.active, self.segments.back())
        {
            let path = segment::path(&self.limits.dir, segment.first);
            active.sync_data().map_err(system("sync", &path))?;
        }
        self.is_synced = true;
        Ok(())
    }

    fn make_room(&mut self, bytes: u64) -> Result<Appended, SpoolError> {
        let mut appended = Appended::default();
        while self.bytes() + bytes > self.limits.max_bytes {
            let Some(oldest) = self.segments.front().copied() else {
                break;
            };
            remove(&segment::path(&self.limits.dir, oldest.first))?;
            self.segments.pop_front();
            if self.segments.is_empty() {
                self.active = None;
            }
            let after = self
                .segments
                .front()
                .map_or(self.next, |segment| segment.first);
            appended.dropped_lines += after - oldest.first;
            appended.dropped_bytes += oldest.bytes;
        }
        Ok(appended)
    }

    /// Begins a segment.
    fn begin(&mut self) -> Result<(), SpoolError> {
        let path = segment::path(&self.limits.dir, self.next);
        // One that failed to begin may be there; no line in it has a number.
        remove(&path)?;
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(SEGMENT_MODE)
            .open(&path)
            .map_err(system("begin", &path))?;
        // The segment's name, too, has to outlive the machine.
        let dir = File::open(&self.limits.dir).and_then(|dir| dir.sync_all());
        dir.map_err(system("sync", &self.limits.dir))?;
        self.active = Some(file);
        self.segments.push_back(Segment {
            first: self.next,
            bytes: 0,
        });
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), SpoolError> {
        if self.active.is_none() {
            self.begin()?;
        }
        let (Some(file), Some(segment)) = (&mut self.active, self.segments.back_mut()) else {
            unreachable!("a segment was begun");
        };
        let path = segment::path(&self.limits.dir, segment.first);
        if let Err(error) = file.write_all(text.as_bytes()) {
            // Half a line may be there. It is not taken back: somebody may be reading it. The next
            // line goes into another segment, and this one ends torn.
            self.active = None;
            segment.bytes = file_bytes(&path);
            if segment.first == self.next {
                // Nothing is in it, and the next segment has its name.
                self.segments.pop_back();
                remove(&path)?;
            }
            return Err(system("write to", &path)(error));
        }
        segment.bytes += text.len() as u64;
        self.next += 1;
        self.is_synced = false;
        Ok(())
    }
}

/// Makes a directory that is not there; one that is keeps its owner and mode.
fn make_dir(dir: &Path, mode: u32) -> Result<(), SpoolError> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(dir)
        // Whatever the umask is.
        .and_then(|()| fs::set_permissions(dir, fs::Permissions::from_mode(mode)))
        .map_err(system("make", dir))
}

fn remove(path: &Path) -> Result<(), SpoolError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(system("remove", path)),
    }
}

fn file_bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The complete lines of a segment, and their bytes.
fn count(path: &Path) -> Result<(u64, u64), SpoolError> {
    let mut reader = BufReader::new(File::open(path).map_err(system("read", path))?);
    let (mut lines, mut bytes, mut line) = (0, 0, Vec::new());
    loop {
        line.clear();
        let read = reader
            .read_until(b'\n', &mut line)
            .map_err(system("read", path))?;
        if line.last() != Some(&b'\n') {
            return Ok((lines, bytes));
        }
        lines += 1;
        bytes += read as u64;
    }
}
