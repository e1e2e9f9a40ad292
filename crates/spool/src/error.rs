//! What can go wrong with a spool.

use std::io;
use std::path::{Path, PathBuf};

/// Why a spool cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// There is no spool.
    #[error("{} is not a spool", dir.display())]
    NoSpool {
        /// Where it should be.
        dir: PathBuf,
    },
    /// Another process writes it.
    #[error("another process writes the spool {}", dir.display())]
    Written {
        /// The spool.
        dir: PathBuf,
    },
    /// Another process reads under this name.
    #[error("another process reads the spool {} as \"{consumer}\"", dir.display())]
    Read {
        /// The spool.
        dir: PathBuf,
        /// The name.
        consumer: String,
    },
    /// A file is not what it should be.
    #[error("{} cannot be understood", path.display())]
    Garbled {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A later Davylamp wrote it.
    #[error("{} is of version {version}, which this program does not know", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version.
        version: u32,
    },
    /// A line is too long to be kept.
    #[error("a line of {bytes} bytes is too long for the spool")]
    Long {
        /// Its length.
        bytes: usize,
    },
    /// A reader's name cannot be a file's.
    #[error("\"{consumer}\" cannot be the name of a reader")]
    Name {
        /// The name.
        consumer: String,
    },
    /// The operating system refused something.
    #[error("cannot {doing} {}", path.display())]
    System {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl SpoolError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoSpool { .. } => {
                "set guard.spool.dir for the guard of this machine, and name the same directory \
                 here; the guard makes it when it starts"
                    .to_owned()
            }
            Self::Written { .. } => {
                "give each guard a spool of its own, or stop the other one".to_owned()
            }
            Self::Read { .. } => {
                "stop the other one: systemctl stop davylamp-forward, or wait until it has ended"
                    .to_owned()
            }
            Self::Garbled { path, .. } => format!(
                "remove {}: without it reading starts at the oldest line that is left",
                path.display()
            ),
            Self::Version { .. } => "use the version of davy that the guard has".to_owned(),
            Self::Long { .. } => "lower guard.log.cmdline_bytes".to_owned(),
            Self::Name { .. } => "use lower-case letters, digits and dashes".to_owned(),
            Self::System { path, source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => format!(
                    "run as a user of the group that owns the spool: ls -l {}",
                    path.parent().unwrap_or(path).display()
                ),
                io::ErrorKind::StorageFull => {
                    "make room, or lower guard.spool.max_bytes".to_owned()
                }
                _ => format!("see what it is: ls -ld {}", path.display()),
            },
        }
    }
}

pub(crate) fn system(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    let path = path.to_owned();
    move |source| SpoolError::System {
        doing,
        path,
        source,
    }
}
