//! Case folders from cases made by hand: what stands in them, that they can be checked, and that nothing
//! in them is more than text.
//!
//! Needs Chromium with its driver and axe-core, and the Python tools: `scripts/setup test`.

mod cases;
mod folder;
mod forms;
mod laws;
mod page;
mod stix;
mod stories;

use std::path::{Path, PathBuf};

use davylamp_casework::case::Case;
use davylamp_casework::report::{How, Written, write};
use tempfile::TempDir;

/// A case folder of a test.
pub(crate) struct Folder {
    _parent: TempDir,
    pub(crate) path: PathBuf,
    pub(crate) written: Written,
}

impl Folder {
    pub(crate) fn of(case: &Case) -> Self {
        let parent = TempDir::new().expect("a folder");
        let path = parent.path().join("case");
        let written = write(case, &path, How::default()).expect("a case folder");
        Self {
            _parent: parent,
            path,
            written,
        }
    }

    pub(crate) fn text(&self, name: &str) -> String {
        read(&self.path.join(name))
    }
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Where `scripts/setup test` installs.
pub(crate) fn cache_dir() -> PathBuf {
    let cache = std::env::var_os("DAVYLAMP_CACHE").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/davylamp"));
    cache.or(home).expect("a home")
}
