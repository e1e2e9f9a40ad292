//! A store on this machine: its segments, its chain, and the one who may write to it.
//!
//! ```text
//! segments/<hash>.jsonl.zst     what was recorded, one file for each snapshot
//! _recorder/chain.jsonl         one line for each snapshot
//! _recorder/pending/            a segment until its line stands in the chain
//! _recorder/lock                held by the one who writes
//! ```
//!
//! A segment is written aside, then its line is added to the chain, then it is moved to its place. So
//! a writer that is stopped leaves a segment that no line names, which the next one removes, or a line
//! whose segment lies aside, which the next one moves. A segment in its place that no line names was put
//! there by nobody of ours.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use davylamp_model::recording::Look;
use jiff::Timestamp;

use crate::chain::{Chain, Entry, Link, Snapshot};
use crate::files;
use crate::line::Line;
use crate::picture::{Moment, Picture};
use crate::segment::{self, SUFFIX, SegmentError};
use crate::taking;

/// The folder of the segments.
pub const SEGMENTS: &str = "segments";
/// The folder of what is no segment.
pub const OWN: &str = "_recorder";
const CHAIN: &str = "chain.jsonl";
const PENDING: &str = "pending";
const LOCK: &str = "lock";

/// Why a store cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none.
    #[error("{} is no store of snapshots", .0.display())]
    NoStore(PathBuf),
    /// Something of it cannot be read or written.
    #[error("{}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody else writes to it.
    #[error("another recorder writes to {}", .0.display())]
    Busy(PathBuf),
    /// The chain is broken, so nothing may be added to it.
    #[error("line {line} of the chain is wrong: {why}")]
    Broken {
        /// Which line, from 1.
        line: u64,
        /// Why.
        why: String,
    },
    /// A segment cannot be read.
    #[error("the segment of snapshot {number}")]
    Segment {
        /// The snapshot.
        number: u64,
        /// Why.
        #[source]
        source: SegmentError,
    },
    /// A segment is not there.
    #[error("the segment of snapshot {number} is not there: {name}{SUFFIX}")]
    Missing {
        /// The snapshot.
        number: u64,
        /// The segment.
        name: String,
    },
    /// It was removed, because it was older than what is kept.
    #[error("what snapshot {number} needs was removed: everything up to snapshot {up_to} was")]
    Pruned {
        /// The snapshot.
        number: u64,
        /// Up to which snapshot segments were removed.
        up_to: u64,
    },
    /// There is no such snapshot.
    #[error("there is no snapshot {0}")]
    NoSnapshot(String),
    /// A snapshot of nothing is none.
    #[error("nothing was looked at")]
    Nothing,
    /// The clock is behind the last snapshot.
    #[error("the last snapshot was taken at {last}, and it is {now} by this machine's clock")]
    Clock {
        /// When the last was taken.
        last: Timestamp,
        /// What time it is said to be.
        now: Timestamp,
    },
}

/// A store, to be read. Whoever writes to it meanwhile does not disturb.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    chain: Chain,
}

impl Store {
    /// Opens a store that is there.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let path = root.join(OWN).join(CHAIN);
        let Some(bytes) = files::read(&path).map_err(io_error(&path))? else {
            return Err(StoreError::NoStore(root.to_owned()));
        };
        Ok(Self {
            root: root.to_owned(),
            chain: Chain::parse(&bytes),
        })
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// A snapshot by its number.
    pub fn snapshot(&self, number: u64) -> Result<(&Link, &Snapshot), StoreError> {
        let found = self.chain.snapshots().find(|(it, _)| it.number == number);
        found.ok_or_else(|| StoreError::NoSnapshot(number.to_string()))
    }

    /// The last snapshot.
    pub fn latest(&self) -> Result<(&Link, &Snapshot), StoreError> {
        let none = || StoreError::NoSnapshot("yet".to_owned());
        self.chain.snapshots().next_back().ok_or_else(none)
    }

    /// The last snapshot that began at a time or before.
    pub fn at(&self, time: Timestamp) -> Result<(&Link, &Snapshot), StoreError> {
        let mut before = self.chain.snapshots().rev();
        before
            .find(|(link, _)| link.taken_at <= time)
            .ok_or_else(|| StoreError::NoSnapshot(format!("at {time} or before")))
    }

    /// The text of a snapshot's segment.
    pub fn text(&self, number: u64, snapshot: &Snapshot) -> Result<String, StoreError> {
        let bytes = self.bytes(number, snapshot)?;
        segment::unpack(&bytes, &snapshot.segment)
            .map_err(|source| StoreError::Segment { number, source })
    }

    /// The file of a snapshot's segment.
    pub fn bytes(&self, number: u64, snapshot: &Snapshot) -> Result<Vec<u8>, StoreError> {
        // It is moved while we look: so the first place is looked at twice.
        for folder in [self.segments(), self.pending(), self.segments()] {
            let path = folder.join(format!("{}{SUFFIX}", snapshot.segment));
            if let Some(bytes) = files::read(&path).map_err(io_error(&path))? {
                return Ok(bytes);
            }
        }
        let up_to = self.chain.pruned_up_to();
        match number <= up_to {
            true => Err(StoreError::Pruned { number, up_to }),
            false => Err(StoreError::Missing {
                number,
                name: snapshot.segment.clone(),
            }),
        }
    }

    /// The lines of a snapshot.
    pub fn lines(&self, number: u64, snapshot: &Snapshot) -> Result<Vec<Line>, StoreError> {
        let text = self.text(number, snapshot)?;
        segment::lines(&text)
            .collect::<Result<_, _>>()
            .map_err(|source| StoreError::Segment { number, source })
    }

    /// What is known at a snapshot.
    pub fn picture(&self, number: u64) -> Result<Picture, StoreError> {
        let (_, snapshot) = self.snapshot(number)?;
        let mut picture = Picture::default();
        self.replay(&mut picture, snapshot.reads_from, number)?;
        Ok(picture)
    }

    /// Brings a picture on by the snapshots between two numbers, both included.
    fn replay(&self, picture: &mut Picture, from: u64, to: u64) -> Result<(), StoreError> {
        let between = self.chain.snapshots();
        for (link, snapshot) in between.filter(|(it, _)| (from..=to).contains(&it.number)) {
            self.bring_on(picture, link, snapshot, |_, _| {})?;
        }
        Ok(())
    }

    /// Brings a picture on by one snapshot. `sees` is shown each line before the picture takes it.
    pub fn bring_on(
        &self,
        picture: &mut Picture,
        link: &Link,
        snapshot: &Snapshot,
        mut sees: impl FnMut(&Picture, &Line),
    ) -> Result<(), StoreError> {
        let number = link.number;
        let failed = |source| StoreError::Segment { number, source };
        let text = self.text(number, snapshot)?;
        picture.advance(Moment {
            number,
            taken_at: link.taken_at,
        });
        for (index, line) in segment::lines(&text).enumerate() {
            let line = line.map_err(failed)?;
            sees(picture, &line);
            picture.take(line).map_err(|why| {
                failed(SegmentError::Line {
                    number: index + 1,
                    why,
                })
            })?;
        }
        Ok(())
    }

    pub(crate) fn segments(&self) -> PathBuf {
        self.root.join(SEGMENTS)
    }

    pub(crate) fn pending(&self) -> PathBuf {
        self.root.join(OWN).join(PENDING)
    }

    fn chain_path(&self) -> PathBuf {
        self.root.join(OWN).join(CHAIN)
    }
}

/// The one who writes to a store.
#[derive(Debug)]
pub struct Writer {
    store: Store,
    picture: Picture,
    _lock: File,
}

impl Writer {
    /// Opens a store, or makes one, and ends what a writer before us was stopped at.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let (segments, own) = (root.join(SEGMENTS), root.join(OWN));
        let pending = own.join(PENDING);
        for folder in [&segments, &own, &pending] {
            files::make_dir(folder).map_err(io_error(folder))?;
        }
        let path = own.join(LOCK);
        let lock = files::lock(&path).map_err(io_error(&path))?;
        let lock = lock.ok_or_else(|| StoreError::Busy(root.to_owned()))?;
        let path = own.join(CHAIN);
        if files::read(&path).map_err(io_error(&path))?.is_none() {
            files::append(&path, 0, b"").map_err(io_error(&path))?;
            files::sync_dir(&own).map_err(io_error(&own))?;
        }
        let store = Store::open(root)?;
        if let Some((line, why)) = store.chain.fault.clone() {
            return Err(StoreError::Broken { line, why });
        }
        let mut writer = Self {
            store,
            picture: Picture::default(),
            _lock: lock,
        };
        writer.settle()?;
        writer.settled()
    }

    /// Moves segments that lie aside to their place, and removes those that no line names.
    fn settle(&mut self) -> Result<(), StoreError> {
        let pending = self.store.pending();
        for name in files::names(&pending).map_err(io_error(&pending))? {
            let path = pending.join(&name);
            let hash = name.strip_suffix(SUFFIX).unwrap_or_default();
            let mut named = self.store.chain.snapshots();
            if named.any(|(_, snapshot)| snapshot.segment == hash) {
                self.place(&name)?;
            } else {
                fs::remove_file(&path).map_err(io_error(&path))?;
            }
        }
        Ok(())
    }

    fn place(&self, name: &str) -> Result<(), StoreError> {
        let (from, folder) = (self.store.pending().join(name), self.store.segments());
        fs::rename(&from, folder.join(name)).map_err(io_error(&from))?;
        files::sync_dir(&folder).map_err(io_error(&folder))
    }

    /// The store as it is now.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What is known at the last snapshot.
    pub fn picture(&self) -> &Picture {
        &self.picture
    }

    /// Whether a snapshot may be taken at this time.
    pub fn check_clock(&self, now: Timestamp) -> Result<(), StoreError> {
        match self.store.chain.last() {
            Some(last) if now <= last.taken_at => Err(StoreError::Clock {
                last: last.taken_at,
                now,
            }),
            _ => Ok(()),
        }
    }

    /// Records a snapshot. After an error nothing of it is there, or all.
    pub fn record(
        &mut self,
        taken_at: Timestamp,
        ended_at: Timestamp,
        looks: Vec<Look>,
    ) -> Result<Link, StoreError> {
        self.check_clock(taken_at)?;
        if looks.is_empty() {
            return Err(StoreError::Nothing);
        }
        let number = self.store.chain.last().map_or(1, |last| last.number + 1);
        let mut accounts: Vec<String> = looks.iter().map(|it| it.scope.account.clone()).collect();
        accounts.sort();
        accounts.dedup();
        let now = Moment { number, taken_at };
        let lines = taking::lines(&mut self.picture, now, looks);
        let looked = self.picture.scopes.values();
        let looked: Vec<_> = looked.filter(|it| it.looked.number == number).collect();
        let (scopes, unknown) = (
            looked.len() as u64,
            looked.iter().filter(|it| it.unknown.is_some()).count() as u64,
        );
        let packed = segment::pack(&lines).map_err(io_error(&self.store.pending()))?;
        let segment = segment::name_of(&packed);
        let name = format!("{segment}{SUFFIX}");
        let entry = Entry::Snapshot(Snapshot {
            ended_at,
            accounts,
            things: self.picture.count(),
            lines: lines.len() as u64,
            scopes,
            unknown,
            reads_from: self.picture.reads_from(),
            segment,
            bytes: packed.len() as u64,
        });
        let written = self.write_segment(&name, &packed);
        let added = written.and_then(|()| self.add(taken_at, entry));
        match added {
            Ok(link) => self.place(&name).map(|()| link),
            Err(error) => {
                // The picture is ahead of the store: it is read again.
                self.picture = match self.store.latest() {
                    Ok((link, _)) => self.store.picture(link.number)?,
                    Err(_) => Picture::default(),
                };
                Err(error)
            }
        }
    }

    fn write_segment(&self, name: &str, packed: &[u8]) -> Result<(), StoreError> {
        let folder = self.store.pending();
        let path = folder.join(name);
        files::write(&path, packed).map_err(io_error(&path))?;
        files::sync_dir(&folder).map_err(io_error(&folder))
    }

    /// Takes over the next line of another copy of this store, with its segment, where there is one. The
    /// picture is that of before until [`Self::settled`].
    pub fn adopt(&mut self, line: &str, segment: Option<&[u8]>) -> Result<(), StoreError> {
        let number = self.store.chain.links.len() as u64 + 1;
        let link = self
            .store
            .chain
            .follow(line.as_bytes())
            .map_err(|why| StoreError::Broken { line: number, why })?;
        let name = link.snapshot().map(|it| it.segment.clone());
        let brought = name.zip(segment);
        if let Some((name, bytes)) = &brought {
            segment::unpack(bytes, name).map_err(|source| StoreError::Segment {
                number: link.number,
                source,
            })?;
            self.write_segment(&format!("{name}{SUFFIX}"), bytes)?;
        }
        self.append(link)?;
        match brought {
            Some((name, _)) => self.place(&format!("{name}{SUFFIX}")),
            None => Ok(()),
        }
    }

    /// Goes on from what was taken over.
    pub fn settled(mut self) -> Result<Self, StoreError> {
        if let Ok((link, _)) = self.store.latest() {
            self.picture = self.store.picture(link.number)?;
        }
        Ok(self)
    }

    /// Adds a line to the chain.
    fn add(&mut self, taken_at: Timestamp, entry: Entry) -> Result<Link, StoreError> {
        let link = Link::after(self.store.chain.last(), taken_at, entry);
        self.append(link)
    }

    fn append(&mut self, link: Link) -> Result<Link, StoreError> {
        let path = self.store.chain_path();
        let line = link.text() + "\n";
        files::append(&path, self.store.chain.whole, line.as_bytes()).map_err(io_error(&path))?;
        self.store.chain.unfinished = 0;
        self.store.chain.whole += line.len() as u64;
        self.store.chain.links.push(link.clone());
        Ok(link)
    }

    /// Removes the segments that are only needed for snapshots before a time. How many, and up to which
    /// snapshot; the chain says so, and goes on holding a line for each.
    pub fn prune(
        &mut self,
        keep_since: Timestamp,
        now: Timestamp,
    ) -> Result<(u64, u64), StoreError> {
        self.check_clock(now)?;
        let pruned = self.store.chain.pruned_up_to();
        let mut kept = self.store.chain.snapshots();
        let first = kept.find(|(link, _)| link.taken_at >= keep_since);
        let Some(reads_from) = first.map(|(_, first)| first.reads_from) else {
            return Ok((0, pruned));
        };
        drop(kept);
        let up_to = reads_from.saturating_sub(1);
        let gone: Vec<String> = self
            .store
            .chain
            .snapshots()
            .filter(|(link, _)| link.number <= up_to)
            .map(|(_, snapshot)| format!("{}{SUFFIX}", snapshot.segment))
            .collect();
        if up_to > pruned {
            let removed = self
                .store
                .chain
                .snapshots()
                .filter(|(link, _)| link.number > pruned && link.number <= up_to)
                .count() as u64;
            self.add(now, Entry::Prune { up_to, removed })?;
        }
        let (folder, mut removed) = (self.store.segments(), 0);
        for name in gone {
            let path = folder.join(name);
            match fs::remove_file(&path) {
                Ok(()) => removed += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_error(&path)(error)),
            }
        }
        files::sync_dir(&folder).map_err(io_error(&folder))?;
        Ok((removed, up_to.max(pruned)))
    }
}

pub(crate) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { path, source }
}
