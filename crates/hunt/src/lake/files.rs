//! The folder of a lake: who may write into it, and how a batch becomes part of it.
//!
//! What must stay true: a batch is written beside the lake and forced to the disk; then one line
//! of the journal says that it belongs to it; then its files are moved. Killed before the line, it
//! never was, and its files are thrown away; killed after it, whoever comes next moves them.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use datafusion::arrow::error::ArrowError;
use parquet::errors::ParquetError;

use super::journal::{self, Commit, Known, Strangers};
use super::{JOURNAL, LINES, OWN, STAGING, STRANGERS};
use crate::convert::Shard;

const LOCK: &str = "lock";

/// A lake on this machine, or on a disk that several share.
#[derive(Debug, Clone)]
pub struct Lake {
    root: PathBuf,
}

/// The right to write one share of a lake, until it is dropped or its process ends.
#[derive(Debug)]
pub struct Lease {
    lake: Lake,
    name: String,
    journal: File,
    _locks: [File; 2],
}

/// Why a lake cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// A file or folder of it cannot be read or written.
    #[error("{path} cannot be read or written")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else is at it.
    #[error("another conversion works on this share of the lake")]
    Busy,
    /// Somebody else is at it, with other shares.
    #[error("another conversion works on the lake, with another number of shares")]
    OtherShares,
    /// A line of a journal is none.
    #[error("line {line} of {path} is not a line of a journal")]
    Journal {
        /// The journal.
        path: PathBuf,
        /// The line.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// Rows do not become Parquet.
    #[error("rows cannot be written as Parquet")]
    Parquet(#[from] ParquetError),
    /// Rows cannot be put in order.
    #[error("rows cannot be put in order")]
    Arrow(#[from] ArrowError),
}

impl LakeError {
    pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            path: path.clone(),
            source,
        }
    }
}

impl Lake {
    /// The lake in a folder, which need not be there yet.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// A place below it.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    fn journal(&self) -> PathBuf {
        self.root.join(OWN).join(JOURNAL)
    }

    fn staging(&self, writer: &str) -> PathBuf {
        self.root.join(OWN).join(STAGING).join(writer)
    }

    /// Takes the right to write a share, and ends what a killed conversion has begun.
    ///
    /// # Errors
    /// When somebody else has it, or the folder cannot be written.
    pub fn lease(&self, shard: Shard) -> Result<Lease, LakeError> {
        let notes = self.journal();
        fs::create_dir_all(&notes).map_err(LakeError::at(&notes))?;
        let name = format!("share-{}-of-{}", shard.index, shard.count);
        let shares = format!("of-{}", shard.count);
        let all = self.lock_file(&shares)?;
        match all.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LakeError::OtherShares),
            Err(TryLockError::Error(error)) => return Err(LakeError::at(&notes)(error)),
        }
        let own = self.lock_file(&name)?;
        if !is_locked(&own, &notes)? {
            return Err(LakeError::Busy);
        }
        // Who comes with another number of shares would convert what another share is at.
        for other in self.named(LOCK)? {
            if other.starts_with("of-") && other != shares {
                let file = self.lock_file(&other)?;
                if !is_locked(&file, &notes)? {
                    return Err(LakeError::OtherShares);
                }
            }
        }
        for writer in self.named(LINES)? {
            if writer == name {
                self.recover(&writer)?;
            } else {
                let lock = self.lock_file(&writer)?;
                if is_locked(&lock, &notes)? {
                    self.recover(&writer)?;
                }
            }
        }
        self.clear(&name)?;
        let path = notes.join(&name).with_extension(LINES);
        let journal = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(LakeError::at(&path))?;
        sync_folder(&notes)?;
        Ok(Lease {
            lake: self.clone(),
            name,
            journal,
            _locks: [all, own],
        })
    }

    /// What all journals say.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn known(&self) -> Result<Known, LakeError> {
        let mut commits = Vec::new();
        for writer in self.named(LINES)? {
            commits.extend(journal::read(&self.journal_of(&writer))?);
        }
        Ok(Known::of_commits(commits))
    }

    fn journal_of(&self, writer: &str) -> PathBuf {
        self.journal().join(format!("{writer}.{LINES}"))
    }

    fn lock_file(&self, name: &str) -> Result<File, LakeError> {
        let path = self.journal().join(format!("{name}.{LOCK}"));
        let mut options = fs::OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        options.open(&path).map_err(LakeError::at(&path))
    }

    /// The names of the notes of one kind.
    fn named(&self, kind: &str) -> Result<Vec<String>, LakeError> {
        let folder = self.journal();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(LakeError::at(&folder)(error)),
        };
        let mut names = BTreeSet::new();
        for entry in entries {
            let path = entry.map_err(LakeError::at(&folder))?.path();
            if path.extension().is_some_and(|extension| extension == kind)
                && let Some(name) = path.file_stem().and_then(|name| name.to_str())
            {
                names.insert(name.to_owned());
            }
        }
        Ok(names.into_iter().collect())
    }

    /// Ends what a writer had decided and not done, and throws away what it had not decided. Only
    /// the last step can be open: a writer does one after another.
    fn recover(&self, writer: &str) -> Result<(), LakeError> {
        let path = self.journal_of(writer);
        journal::mend(&path).map_err(LakeError::at(&path))?;
        if let Some(last) = journal::read(&path)?.last() {
            self.apply(last)?;
        }
        self.clear(writer)
    }

    fn clear(&self, writer: &str) -> Result<(), LakeError> {
        let staging = self.staging(writer);
        match fs::remove_dir_all(&staging) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(LakeError::at(&staging)(error)),
        }
        Ok(())
    }

    /// Moves a step's files to where they belong, and removes those that they stand for. Doing it
    /// twice does it once.
    fn apply(&self, commit: &Commit) -> Result<(), LakeError> {
        let mut folders = BTreeSet::new();
        for file in &commit.files {
            let (from, to) = (self.path(&file.staged), self.path(&file.to));
            if !from.exists() {
                continue;
            }
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder).map_err(LakeError::at(folder))?;
                folders.extend(
                    folder
                        .ancestors()
                        .map(Path::to_owned)
                        .take_while(|above| above.starts_with(&self.root)),
                );
            }
            fs::rename(&from, &to).map_err(LakeError::at(&to))?;
        }
        for folder in folders.iter().rev() {
            sync_folder(folder)?;
        }
        for old in &commit.removes {
            let old = self.path(old);
            match fs::remove_file(&old) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(LakeError::at(&old)(error)),
            }
        }
        Ok(())
    }
}

impl Lease {
    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The name of this writer.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A folder for files that do not belong to the lake yet.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn staging(&self) -> Result<PathBuf, LakeError> {
        let folder = self.lake.staging(&self.name);
        fs::create_dir_all(&folder).map_err(LakeError::at(&folder))?;
        Ok(folder)
    }

    /// A place below the lake as the journal names it.
    pub fn below(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.lake.root).unwrap_or(path);
        below.to_string_lossy().into_owned()
    }

    /// Writes down what was no log, in place of what was none before.
    ///
    /// # Errors
    /// When the folder of the journal cannot be written.
    pub fn note(&self, strangers: &Strangers) -> Result<(), LakeError> {
        let notes = self.lake.journal();
        let path = notes.join(&self.name).with_extension(STRANGERS);
        let wrong = LakeError::at(&path);
        // Whoever may read the lake may read this: the mask of the process decides, as for the rest.
        let mut new = tempfile::Builder::new();
        let new = new.permissions(Permissions::from_mode(0o666));
        let written = new.tempfile_in(&notes).and_then(|mut file| {
            serde_json::to_writer(&mut file, strangers)?;
            file.persist(&path).map_err(|error| error.error)
        });
        written.map(drop).map_err(wrong)
    }

    /// Makes a step part of the lake. Its files are on the disk.
    ///
    /// # Errors
    /// When the journal or the lake cannot be written.
    pub fn commit(&mut self, commit: &Commit) -> Result<(), LakeError> {
        let path = self.lake.journal_of(&self.name);
        let wrong = LakeError::at(&path);
        sync_folder(&self.staging()?)?;
        let mut line =
            serde_json::to_vec(commit).map_err(|error| wrong(io::Error::other(error)))?;
        line.push(b'\n');
        let written = self.journal.write_all(&line);
        written
            .and_then(|()| self.journal.sync_all())
            .map_err(wrong)?;
        self.lake.apply(commit)
    }
}

/// Whether the lock could be taken; it is held as long as the file is open.
fn is_locked(file: &File, place: &Path) -> Result<bool, LakeError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(LakeError::at(place)(error)),
    }
}

/// A name in a folder lasts only when the folder is on the disk.
fn sync_folder(folder: &Path) -> Result<(), LakeError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(LakeError::at(folder))
}
