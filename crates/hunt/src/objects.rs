//! Where logs lie: files, folders, globs, archives, standard input and buckets.
//!
//! What must stay true: a folder is read to its depths and whatever its files are called; what
//! cannot be listed or opened is named and counted, and the rest is read.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::tally::Tally;
use crate::unpack::{MODEST_BYTES, Stored};

mod layout;
mod local;
mod location;
mod remote;
mod scope;

pub use layout::{InLake, Layout};
pub(crate) use layout::{is_account, is_region};
pub use location::{Location, LocationError, Where};
pub use remote::{Bucket, Remote, RemoteError};
pub use scope::Scope;

/// An object that may hold a log.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its name, as shown: the path or the URL.
    pub name: Arc<str>,
    /// Where its bytes are.
    pub at: At,
    /// Its size as stored, in bytes.
    pub size: u64,
    /// What changes when its bytes do: its version in the store, or its size and time.
    pub stamp: Arc<str>,
    /// What its key says.
    pub layout: Layout,
    /// The table it is for, where the user has said so.
    pub stated: Option<&'static str>,
}

/// Where the bytes of an object are.
#[derive(Clone)]
pub enum At {
    /// In a file.
    File(PathBuf),
    /// In a bucket.
    Remote(Bucket, object_store::path::Path),
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Remote(_, path) => write!(f, "{path}"),
        }
    }
}

/// What was found at some locations.
#[derive(Debug, Default)]
pub struct Listing {
    /// The objects, by name.
    pub objects: Vec<Object>,
    /// What could not be listed.
    pub tally: Tally,
    /// Standard input and pipes, kept so that they can be read more than once.
    pub kept: Vec<tempfile::NamedTempFile>,
    /// The files that were found, by device and number.
    files: HashSet<(u64, u64)>,
}

/// Lists what lies at some locations.
///
/// # Errors
/// When a bucket cannot be set up, or standard input not be kept. What cannot be listed is counted
/// instead.
pub async fn list(locations: &[Location], remote: &Remote) -> Result<Listing, ListError> {
    let mut listing = Listing::default();
    for location in locations {
        match &location.at {
            Where::Path(path) => local::list(path, location.stated, &mut listing),
            Where::Stdin => {
                local::keep_stdin(location.stated, &mut listing).map_err(ListError::Stdin)?
            }
            Where::Bucket { bucket, prefix } => {
                remote::list(remote, bucket, prefix, location.stated, &mut listing).await?;
            }
        }
    }
    listing.objects.sort_by(|a, b| a.name.cmp(&b.name));
    // Two locations may overlap. A row that counts twice is a wrong row.
    listing.objects.dedup_by(|a, b| a.name == b.name);
    Ok(listing)
}

/// Why locations could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// Standard input could not be kept.
    #[error("standard input could not be kept in a file")]
    Stdin(#[source] io::Error),
    /// A bucket could not be set up.
    #[error("the bucket cannot be read")]
    Remote(#[from] RemoteError),
}

impl Object {
    /// Opens it. Blocks, so call it where that is allowed; inside a runtime's blocking thread.
    ///
    /// # Errors
    /// When its bytes cannot be had.
    pub fn open(&self) -> io::Result<Stored> {
        match &self.at {
            At::File(path) if self.size <= MODEST_BYTES => std::fs::read(path).map(Stored::Whole),
            At::File(path) => Ok(Stored::Stream(Box::new(File::open(path)?))),
            At::Remote(bucket, path) => remote::open(bucket, path, self.size),
        }
    }

    /// Opens it as [`Self::open`] does, with what its store keeps beside its bytes: the metadata that
    /// whoever wrote it has given it, by name and without `x-amz-meta-`. A file has none.
    ///
    /// # Errors
    /// When its bytes cannot be had.
    pub fn open_described(&self) -> io::Result<(Stored, BTreeMap<String, String>)> {
        match &self.at {
            At::File(_) => Ok((self.open()?, BTreeMap::new())),
            At::Remote(bucket, path) => remote::open_described(bucket, path, self.size),
        }
    }

    /// Its path, where it is a file.
    pub fn path(&self) -> Option<&std::path::Path> {
        match &self.at {
            At::File(path) => Some(path),
            At::Remote(..) => None,
        }
    }

    /// Some of its bytes as stored.
    ///
    /// # Errors
    /// When they cannot be had.
    pub async fn range(&self, range: std::ops::Range<u64>) -> io::Result<Vec<u8>> {
        match &self.at {
            At::File(path) => local::range(path, range),
            At::Remote(bucket, path) => remote::range(bucket, path, range).await,
        }
    }

    /// The first bytes as stored.
    ///
    /// # Errors
    /// When they cannot be had.
    pub async fn head(&self, bytes: usize) -> io::Result<Vec<u8>> {
        match &self.at {
            At::File(path) => local::head(path, bytes),
            At::Remote(bucket, path) => remote::head(bucket, path, bytes, self.size).await,
        }
    }
}
