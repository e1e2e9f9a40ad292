//! How far a reader has come.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{SpoolError, system};
use crate::segment::{self, VERSION};

/// A place between two lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    /// The number of the next line.
    pub(crate) line: u64,
    /// The segment it is in, and its first byte there: where to look, and no more than that.
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    spool: String,
    line: u64,
    segment: u64,
    offset: u64,
}

/// The place in this spool; `None` where there is none, or it belongs to another spool.
pub(crate) fn load(path: &Path, spool: &str) -> Result<Option<Place>, SpoolError> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.map_err(system("read", path))?,
    };
    let stored: Stored = serde_json::from_slice(&text).map_err(|source| SpoolError::Garbled {
        path: path.to_owned(),
        source,
    })?;
    if stored.version != VERSION {
        return Err(SpoolError::Version {
            path: path.to_owned(),
            version: stored.version,
        });
    }
    Ok((stored.spool == spool).then_some(Place {
        line: stored.line,
        segment: stored.segment,
        offset: stored.offset,
    }))
}

pub(crate) fn store(path: &Path, spool: &str, place: Place) -> Result<(), SpoolError> {
    segment::write_whole(
        path,
        &Stored {
            version: VERSION,
            spool: spool.to_owned(),
            line: place.line,
            segment: place.segment,
            offset: place.offset,
        },
    )
}
