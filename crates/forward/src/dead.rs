//! Events that a destination will never take, kept for a person to look at.
//!
//! Two files, the older one dropped when the newer is full: bounded, and what was last refused is
//! always there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

/// Command lines stand in it. The group is that of the spool, and the next to write may be another user
/// of it.
const MODE: u32 = 0o660;

/// The dead letters of one destination.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    path: PathBuf,
    max_bytes: u64,
}

impl DeadLetters {
    /// In this directory, under the name of the destination.
    pub(crate) fn new(dir: &Path, destination: &str, max_bytes: u64) -> Self {
        Self {
            path: dir.join(format!("{destination}.refused.jsonl")),
            max_bytes,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a line, and why it was refused. When this returns, the line is on the disk.
    pub(crate) fn bury(&self, line: &str, why: &str) -> io::Result<()> {
        let full = fs::metadata(&self.path).map_or(0, |file| file.len()) + line.len() as u64
            > self.max_bytes / 2;
        if full && self.path.exists() {
            fs::rename(&self.path, self.path.with_extension("old.jsonl"))?;
        }
        let mut letter = serde_json::to_vec(&json!({
            "refused_at": jiff::Timestamp::now().to_string(),
            "why": why,
            "line": line,
        }))?;
        letter.push(b'\n');
        let mut file: File = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(MODE)
            .open(&self.path)?;
        file.write_all(&letter)?;
        file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_there_and_the_files_are_bounded() {
        let dir = tempfile::tempdir().expect("a directory");
        let letters = DeadLetters::new(dir.path(), "console", 4000);
        for number in 0..100 {
            letters
                .bury(&format!("line {number}"), "because")
                .expect("room");
        }
        let bytes: u64 = fs::read_dir(dir.path())
            .expect("a directory")
            .map(|entry| entry.expect("an entry").metadata().expect("a file").len())
            .sum();
        assert!(bytes < 4000 + 400, "{bytes} bytes");
        let text = fs::read_to_string(letters.path()).expect("text");
        assert!(text.lines().last().expect("a line").contains("line 99"));
    }
}
