//! The files of a spool: their names, and the one that says which spool it is.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{SpoolError, system};

/// Digits of a segment's name: at a million lines a second they last eleven days and a half, and at
/// what a guard writes some centuries. More digits than these are read too.
const DIGITS: usize = 12;
const SUFFIX: &str = ".jsonl";
const IDENTITY: &str = "spool.json";
/// The version of everything here.
pub(crate) const VERSION: u32 = 1;

/// A file of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The number of its first line.
    pub(crate) first: u64,
    pub(crate) bytes: u64,
}

/// Where the segment with this first line is.
pub(crate) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:0DIGITS$}{SUFFIX}"))
}

/// Every segment, the oldest first.
pub(crate) fn list(dir: &Path) -> Result<Vec<Segment>, SpoolError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(system("list", dir))? {
        let entry = entry.map_err(system("list", dir))?;
        let name = entry.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
        let Some(first) = digits
            .filter(|digits| digits.len() >= DIGITS && digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
        else {
            continue;
        };
        match entry.metadata() {
            Ok(metadata) => found.push(Segment {
                first,
                bytes: metadata.len(),
            }),
            // Dropped meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(system("look at", &entry.path())(error)),
        }
    }
    found.sort_by_key(|segment| segment.first);
    Ok(found)
}

/// Which spool this is.
#[derive(Serialize, Deserialize)]
struct Identity {
    version: u32,
    id: String,
}

/// The id of a spool; `None` where there is no spool.
pub(crate) fn identity(dir: &Path) -> Result<Option<String>, SpoolError> {
    let path = dir.join(IDENTITY);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.map_err(system("read", &path))?,
    };
    let read: Identity = serde_json::from_slice(&text).map_err(|source| SpoolError::Garbled {
        path: path.clone(),
        source,
    })?;
    if read.version != VERSION {
        return Err(SpoolError::Version {
            path,
            version: read.version,
        });
    }
    Ok(Some(read.id))
}

/// Makes a directory a spool.
pub(crate) fn set_identity(dir: &Path) -> Result<(), SpoolError> {
    let identity = Identity {
        version: VERSION,
        id: uuid::Uuid::now_v7().to_string(),
    };
    write_whole(&dir.join(IDENTITY), &identity)
}

/// Replaces a file by another one at once, so that nobody ever reads half of it.
pub(crate) fn write_whole(path: &Path, what: &impl Serialize) -> Result<(), SpoolError> {
    let beside = path.with_extension("new");
    let written = (|| -> io::Result<()> {
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(what)?)?;
        file.sync_data()?;
        fs::rename(&beside, path)
    })();
    written.map_err(system("write", path))
}
