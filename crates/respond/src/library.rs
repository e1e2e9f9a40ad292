//! The playbooks in force: those that ship, and the operator's own in their place or beside them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use davylamp_content::playbook::{Parsed, SHIPPED, parse, parse_set, path_of};
use davylamp_content::{Faults, Source};

/// A playbook file may have this many bytes: the largest that ships has a tenth of it, and a wrong
/// path may be a whole disk.
const MAX_PLAYBOOK_BYTES: u64 = 1 << 18;

/// Why the playbooks are not in force.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// A file or directory could not be read.
    #[error("cannot read the playbooks in {path}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A directory without a playbook is a wrong path.
    #[error("{path} has no playbook: a file that ends in .toml")]
    Empty {
        /// Which.
        path: PathBuf,
    },
    /// A file is larger than any playbook.
    #[error("{path} is larger than {MAX_PLAYBOOK_BYTES} bytes, so it is no playbook")]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// Files have faults.
    #[error("the playbooks have faults")]
    Faulty(Faults),
}

/// Reads the operator's playbooks, and puts them in place of the shipped ones with their names and
/// beside the others.
///
/// # Errors
/// Every fault of every file, or the first file that cannot be read.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Parsed>, LibraryError> {
    let mut own: Vec<(String, Vec<u8>)> = Vec::new();
    for path in paths {
        for file in files(path)? {
            let bytes = text(&file)?;
            own.push((file.display().to_string(), bytes));
        }
    }
    let mut sources = Vec::new();
    for (name, bytes) in &own {
        sources.push(Source::from_bytes(name, bytes).map_err(LibraryError::Faulty)?);
    }
    // One whose name cannot be read replaces nothing; its fault is reported with all others below.
    let replaced: Vec<String> = sources
        .iter()
        .filter_map(|source| parse(*source).ok())
        .map(|parsed| parsed.playbook.name)
        .collect();
    let shipped: Vec<(String, &str)> = SHIPPED
        .iter()
        .filter(|(name, _)| !replaced.iter().any(|own| own == name))
        .map(|(name, text)| (path_of(name), *text))
        .collect();
    let all: Vec<Source<'_>> = shipped
        .iter()
        .map(|(name, text)| Source { name, text })
        .chain(sources)
        .collect();
    parse_set(&all).map_err(LibraryError::Faulty)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, LibraryError> {
    let unreadable = |source| LibraryError::Unreadable {
        path: path.to_owned(),
        source,
    };
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?.path();
        let is_hidden = entry
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden && entry.is_file() && entry.extension().is_some_and(|end| end == "toml") {
            found.push(entry);
        }
    }
    if found.is_empty() {
        return Err(LibraryError::Empty {
            path: path.to_owned(),
        });
    }
    found.sort();
    Ok(found)
}

fn text(path: &Path) -> Result<Vec<u8>, LibraryError> {
    use std::io::Read;
    let unreadable = |source| LibraryError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    fs::File::open(path)
        .map_err(unreadable)?
        .take(MAX_PLAYBOOK_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_PLAYBOOK_BYTES {
        return Err(LibraryError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
        let path = dir.join(name);
        fs::write(&path, text).expect("a file");
        path
    }

    fn shipped(name: &str) -> &'static str {
        let found = SHIPPED.iter().find(|(known, _)| *known == name);
        found.expect("it ships").1
    }

    #[test]
    fn nothing_given_is_what_ships() {
        assert_eq!(read(&[]).expect("good").len(), SHIPPED.len());
    }

    #[test]
    fn one_with_a_shipped_name_takes_its_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let text = shipped("node-miner").replacen("title = \"", "title = \"Ours: ", 1);
        write(dir.path(), "mine.toml", &text);
        write(dir.path(), ".hidden.toml", "not read");
        write(dir.path(), "README.md", "not read");
        let all = read(&[dir.path().to_owned()]).expect("good");
        assert_eq!(all.len(), SHIPPED.len());
        let ours = all.iter().find(|it| it.playbook.name == "node-miner");
        assert!(ours.expect("it").playbook.title.starts_with("Ours: "));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let dir = tempfile::tempdir().expect("a directory");
        let missing = dir.path().join("missing.toml");
        assert!(matches!(
            read(&[missing]),
            Err(LibraryError::Unreadable { .. })
        ));
        assert!(matches!(
            read(&[dir.path().to_owned()]),
            Err(LibraryError::Empty { .. })
        ));
        let bad = write(dir.path(), "bad.toml", "name = 3\nunknown = 1\n");
        let Err(LibraryError::Faulty(faults)) = read(&[bad]) else {
            panic!("faults");
        };
        assert!(faults.faults().len() > 1, "every fault, not the first");
    }
}
