//! The hunts there are: those that ship, and those of the operator's own folder.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use davylamp_content::hunt::{self, Parsed, Sources};
use davylamp_content::{Faults, Source};

/// A text of a hunt may have this many bytes. The largest case file that may be read has twenty
/// thousand records; a wrong path may be a whole log.
const MAX_TEXT_BYTES: u64 = 8 << 20;

/// The texts of a hunt.
const FILES: [&str; 3] = ["hunt.toml", "query.sql", "cases.toml"];

/// Why hunts cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// Some have faults.
    #[error("a hunt has faults")]
    Faulty(#[from] Faults),
    /// A file or folder cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder has no hunt.
    #[error("{0} holds no hunt: no folder in it has a hunt.toml")]
    Empty(PathBuf),
}

/// The hunts that ship, and those of a folder: one that is called like a shipped one takes its
/// place.
///
/// # Errors
/// When the folder or a text in it cannot be read, and every fault of every hunt in it.
pub fn read(folder: Option<&Path>) -> Result<Vec<Parsed>, LibraryError> {
    let mut hunts = hunt::shipped()?;
    let Some(folder) = folder else {
        return Ok(hunts);
    };
    let own = of_folder(folder)?;
    hunts.retain(|shipped| own.iter().all(|own| own.hunt.name != shipped.hunt.name));
    hunts.extend(own);
    Ok(hunts)
}

/// The hunts of a folder, each in a folder of its own; or the one that the folder is.
fn of_folder(folder: &Path) -> Result<Vec<Parsed>, LibraryError> {
    let mut homes = Vec::new();
    if folder.join(FILES[0]).is_file() {
        homes.push(folder.to_owned());
    } else {
        let entries = fs::read_dir(folder).map_err(|source| unreadable(folder, source))?;
        for entry in entries {
            let home = entry.map_err(|source| unreadable(folder, source))?.path();
            if home.join(FILES[0]).is_file() {
                homes.push(home);
            }
        }
    }
    if homes.is_empty() {
        return Err(LibraryError::Empty(folder.to_owned()));
    }
    homes.sort();
    let (mut hunts, mut faults, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    for home in homes {
        match parse(&home)? {
            Ok(parsed) => hunts.push(parsed),
            Err(refused) => {
                faults.extend(refused.faults().iter().cloned());
                warnings.extend(refused.warnings().iter().cloned());
            }
        }
    }
    match faults.is_empty() {
        true => Ok(hunts),
        false => Err(Faults::new(faults, warnings).into()),
    }
}

fn parse(home: &Path) -> Result<Result<Parsed, Faults>, LibraryError> {
    let paths = FILES.map(|file| home.join(file));
    let mut texts = Vec::new();
    for path in &paths {
        let mut text = String::new();
        fs::File::open(path)
            .and_then(|file| file.take(MAX_TEXT_BYTES).read_to_string(&mut text))
            .map_err(|source| unreadable(path, source))?;
        texts.push((path.display().to_string(), text));
    }
    let source = |at: usize| Source {
        name: &texts[at].0,
        text: &texts[at].1,
    };
    Ok(hunt::parse(Sources {
        hunt: source(0),
        query: source(1),
        cases: source(2),
    }))
}

fn unreadable(path: &Path, source: io::Error) -> LibraryError {
    LibraryError::Unreadable {
        path: path.to_owned(),
        source,
    }
}
