//! A folder that comes to be at once: written beside its name, then given it.
//!
//! What must stay true: what stood under the name stands there whole until the new folder does; a folder
//! that is not ours is never replaced; nobody but its owner can read it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{EVIDENCE_JSONL, ReportError, SHA256SUMS, Written};

/// What nobody but the owner may read.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// So much is written at a time.
const BUFFER_BYTES: usize = 256 * 1024;

/// A file that is counted and digested while it is written.
struct Counted {
    file: BufWriter<File>,
    bytes: u64,
    digest: Sha256,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += u64::try_from(written).unwrap_or(u64::MAX);
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A folder that is being written.
pub(super) struct Draft {
    /// The name that it will have.
    folder: PathBuf,
    /// Whether something under that name is replaced.
    replaces: bool,
    /// Where it is until then.
    draft: TempDir,
    /// What is in it: path, bytes, digest.
    files: Vec<(String, u64, String)>,
}

impl Draft {
    /// A folder that is to be `folder`.
    pub(super) fn begin(folder: &Path, force: bool) -> Result<Self, ReportError> {
        let folder = named(folder)?;
        let replaces = replaces(&folder, force)?;
        let parent = parent(&folder);
        fs::create_dir_all(parent).map_err(|source| wrong(parent, source))?;
        let draft = beside(&folder, "new").map_err(|source| wrong(parent, source))?;
        Ok(Self {
            folder,
            replaces,
            draft,
            files: Vec::new(),
        })
    }

    /// Adds a file, by its path in the folder.
    pub(super) fn add<T>(
        &mut self,
        name: &str,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    ) -> Result<T, ReportError> {
        let path = self.draft.path().join(name);
        let written = || -> io::Result<(T, Counted)> {
            if let Some(parent) = path.parent() {
                private_folder(parent)?;
            }
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(FILE_MODE)
                .open(&path)?;
            let mut counted = Counted {
                file: BufWriter::with_capacity(BUFFER_BYTES, file),
                bytes: 0,
                digest: Sha256::new(),
            };
            let filled = fill(&mut counted)?;
            counted.flush()?;
            counted.file.get_ref().sync_all()?;
            Ok((filled, counted))
        };
        let (filled, counted) = written().map_err(|source| wrong(&path, source))?;
        let digest = hex::encode(counted.digest.finalize());
        self.files.push((name.to_owned(), counted.bytes, digest));
        Ok(filled)
    }

    /// The files so far, with their digests.
    pub(super) fn digests(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self.files.iter();
        files.map(|(name, _, digest)| (name.as_str(), digest.as_str()))
    }

    /// Gives it its name.
    pub(super) fn finish(self, evidence_hash: String) -> Result<Written, ReportError> {
        let refused = |source: io::Error| match source.kind() {
            // Somebody else made one meanwhile.
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory => {
                ReportError::Exists {
                    folder: self.folder.clone(),
                }
            }
            _ => wrong(&self.folder, source),
        };
        if self.replaces {
            let aside =
                beside(&self.folder, "old").map_err(|source| wrong(&self.folder, source))?;
            let old = aside.path().join("case");
            fs::rename(&self.folder, &old).map_err(|source| wrong(&self.folder, source))?;
            if let Err(source) = fs::rename(self.draft.path(), &self.folder) {
                // What was there comes back; where even that fails, it is kept where it lies.
                if fs::rename(&old, &self.folder).is_err() {
                    let kept = aside.keep();
                    return Err(wrong(&kept, source));
                }
                return Err(refused(source));
            }
        } else {
            // A name that is taken is refused by the system itself, unless the folder there is empty.
            fs::rename(self.draft.path(), &self.folder).map_err(refused)?;
        }
        let _ = self.draft.keep();
        File::open(parent(&self.folder))
            .and_then(|parent| parent.sync_all())
            .map_err(|source| wrong(&self.folder, source))?;
        Ok(Written {
            folder: self.folder,
            files: self
                .files
                .into_iter()
                .map(|(name, size, _)| (name, size))
                .collect(),
            evidence_hash,
        })
    }
}

/// A path that has a name at its end: `.` is the folder that it stands for.
fn named(folder: &Path) -> Result<PathBuf, ReportError> {
    match folder.file_name() {
        Some(_) => Ok(folder.to_owned()),
        None => folder
            .canonicalize()
            .map_err(|source| wrong(folder, source)),
    }
}

/// Whether something is replaced, where that is allowed.
fn replaces(folder: &Path, force: bool) -> Result<bool, ReportError> {
    let there = match fs::symlink_metadata(folder) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(wrong(folder, source)),
    };
    let not_a_case = || ReportError::NotACase {
        folder: folder.to_owned(),
    };
    if !there.is_dir() {
        return Err(not_a_case());
    }
    let mut entries = fs::read_dir(folder).map_err(|source| wrong(folder, source))?;
    if entries.next().is_none() {
        return Ok(false);
    }
    let is_ours = [EVIDENCE_JSONL, SHA256SUMS]
        .iter()
        .all(|name| folder.join(name).is_file());
    match (force, is_ours) {
        (true, true) => Ok(true),
        (true, false) => Err(not_a_case()),
        (false, _) => Err(ReportError::Exists {
            folder: folder.to_owned(),
        }),
    }
}

fn parent(folder: &Path) -> &Path {
    let parent = folder
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// A private folder beside another, on the same file system.
fn beside(folder: &Path, what: &str) -> io::Result<TempDir> {
    let mut prefix = OsString::from(".");
    prefix.push(folder.file_name().unwrap_or(OsStr::new("case")));
    prefix.push(format!(".{what}-"));
    tempfile::Builder::new()
        .prefix(&prefix)
        .permissions(Permissions::from_mode(FOLDER_MODE))
        .tempdir_in(parent(folder))
}

fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)
}

fn wrong(path: &Path, source: io::Error) -> ReportError {
    ReportError::Io {
        path: path.to_owned(),
        source,
    }
}
