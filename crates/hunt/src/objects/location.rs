//! How a person says where logs lie.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::read;

/// Where logs lie, and what they are if the person says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The table they are for.
    pub stated: Option<&'static str>,
    /// Where they lie.
    pub at: Where,
}

/// A place that may hold logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Where {
    /// A file, a folder, or a pattern of files.
    Path(PathBuf),
    /// Standard input.
    Stdin,
    /// The objects of a bucket.
    Bucket {
        /// Its name.
        bucket: String,
        /// What their keys start with.
        prefix: String,
    },
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(table) = self.stated {
            write!(f, "{table}=")?;
        }
        match &self.at {
            Where::Path(path) => path.display().fmt(f),
            Where::Stdin => f.write_str("-"),
            Where::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// Why a text is no location.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// It is empty.
    #[error("it names no place")]
    Empty,
    /// It names a service that logs are not read from.
    #[error(
        "logs are not read from {0}://; give a path, - for standard input, or s3://BUCKET/PREFIX"
    )]
    Scheme(String),
    /// It has no bucket.
    #[error("s3:// needs a bucket: s3://BUCKET/PREFIX")]
    NoBucket,
}

impl FromStr for Location {
    type Err = LocationError;

    /// Reads `PATH`, `-` or `s3://BUCKET/PREFIX`, each also as `TABLE=…`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let stated = text
            .split_once('=')
            .and_then(|(table, rest)| Some((read::log(table)?.table().name, rest)));
        let (stated, place) = match stated {
            Some((table, place)) => (Some(table), place),
            None => (None, text),
        };
        let at = match place {
            "" => return Err(LocationError::Empty),
            "-" => Where::Stdin,
            place => match place.split_once("://") {
                Some(("s3" | "s3a", rest)) => {
                    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                    if bucket.is_empty() {
                        return Err(LocationError::NoBucket);
                    }
                    Where::Bucket {
                        bucket: bucket.to_owned(),
                        prefix: prefix.to_owned(),
                    }
                }
                Some(("file", path)) => Where::Path(PathBuf::from(path)),
                Some((scheme, _)) => return Err(LocationError::Scheme(scheme.to_owned())),
                None => Where::Path(PathBuf::from(place)),
            },
        };
        Ok(Self { stated, at })
    }
}
