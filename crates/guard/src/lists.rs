//! Reading blocklists from disk: files and directories in, one [`Blocklist`] out.
//!
//! What must stay true: a path that was named and gives nothing is an error, never an empty list,
//! because a guard that enforces nothing looks just like one that does. Every path and every fault
//! is reported. Nothing here keeps state: on an error the caller goes on with what it had.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use davylamp_content::blocklist::{self, Blocklist, Warning};
use davylamp_content::detection::{self, Detection};
use davylamp_content::indicators::{self, Indicator, change::joined};
use davylamp_content::{DEFAULT_BLOCKLIST, DEFAULT_BLOCKLIST_NAME, Faults, Source};
use davylamp_detect::{
    command::{Rules, RulesError},
    judge::{Judge, JudgeError},
};
use miette::Diagnostic;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::config::{Config, Detections};

/// A file may have this many bytes, as `content` limits it; more is not even read.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

/// All files together may have this many bytes, so that a wrong directory cannot fill the memory.
pub const MAX_TOTAL_BYTES: u64 = 64 << 20;

/// A directory may have this many list files.
pub const MAX_FILES: usize = 4096;

/// The ends of names of list files that are read in a directory.
const LISTS: &[&str] = &["yaml", "yml", "json"];

/// The end of names of detection files.
const DETECTIONS: &[&str] = &["toml"];

/// The end of names of sets of indicators.
const INDICATORS: &[&str] = &["csv"];

/// Where sets of indicators lie that `davy indicators refresh` wrote, if no place is named.
pub const DEFAULT_INDICATORS: &str = "/etc/davylamp/indicators";

/// Case files lie beside their lists and are no lists.
const CASES_SUFFIX: &str = ".cases";

/// Blocklists as they were read and merged.
#[derive(Debug, Clone)]
pub struct Lists {
    /// The entries of all files.
    pub blocklist: Blocklist,
    /// What looks wrong in them and is used all the same.
    pub warnings: Vec<Warning>,
    /// The files that were read, in order. Empty for the list that ships with Davylamp.
    pub sources: Vec<PathBuf>,
    /// SHA-256 over the files' names and contents, in hexadecimal: tells one state from another.
    pub digest: String,
    /// Each file, for who has to know which version a node holds.
    pub held: Vec<Held>,
}

/// A list as a node holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The file, as it was named.
    pub name: String,
    /// SHA-256 of its text, in hexadecimal.
    pub digest: String,
    /// How many strings it bans that no list before it bans already.
    pub strings: usize,
}

/// What is wrong with a path that was to be read.
#[derive(Debug, Error)]
pub enum PathTrouble {
    /// It cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is a pipe, socket or device.
    #[error("{} is neither a file nor a directory", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A directory without list files.
    #[error("the directory {} holds no blocklist", path.display())]
    EmptyDirectory {
        /// The path.
        path: PathBuf,
    },
    /// More than can be a blocklist.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The path.
        path: PathBuf,
        /// The most there may be.
        limit: u64,
    },
    /// No detection of this name is there to be left out.
    #[error("there is no detection `{name}`")]
    NoDetection {
        /// The name.
        name: String,
    },
    /// More files than can be meant.
    #[error("the directory {} holds more than {MAX_FILES} blocklists", path.display())]
    TooMany {
        /// The path.
        path: PathBuf,
    },
}

impl PathTrouble {
    /// The path in question.
    pub fn path(&self) -> &Path {
        match self {
            Self::NoDetection { name } => Path::new(name),
            Self::Unreadable { path, .. }
            | Self::NotAFile { path }
            | Self::EmptyDirectory { path }
            | Self::TooLarge { path, .. }
            | Self::TooMany { path } => path,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Unreadable { path, source } => match source.kind() {
                io::ErrorKind::NotFound => format!(
                    "create it, or take it out of the configuration or `--blocklist`; `ls -l {}` \
                     shows what is there",
                    path.parent()
                        .filter(|p| !p.as_os_str().is_empty())
                        .unwrap_or(Path::new("."))
                        .display()
                ),
                io::ErrorKind::PermissionDenied => format!(
                    "run as root, or let this user read it: chmod o+r {}",
                    path.display()
                ),
                _ => format!("see what it is: ls -l {}", path.display()),
            },
            Self::NotAFile { .. } => {
                "lists are read again on each reload: write the list to a file and name that".into()
            }
            Self::EmptyDirectory { path } => format!(
                "put a file that ends in .yaml, .yml or .json into {}, or leave the directory out; \
                 with no list named, the one that ships with Davylamp is enforced",
                path.display()
            ),
            Self::TooLarge { .. } => {
                "split it into several files, or see whether it is a list".into()
            }
            Self::NoDetection { .. } => {
                "take it out of `guard.detections.off`; docs/detections.md names those that ship"
                    .into()
            }
            Self::TooMany { .. } => "see whether this is the directory that was meant".into(),
        }
    }
}

impl Diagnostic for PathTrouble {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.hint()))
    }
}

/// What was to be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// Blocklists.
    #[default]
    Blocklists,
    /// Detections.
    Detections,
    /// Sets of indicators.
    Indicators,
}

/// Why lists, detections or indicators were refused: everything that is wrong with the paths and with
/// the texts.
#[derive(Debug, Default)]
pub struct ListsError {
    /// What they are.
    pub kind: Kind,
    /// What is wrong with paths.
    pub paths: Vec<PathTrouble>,
    /// What is wrong with texts.
    pub faults: Vec<Faults>,
}

impl fmt::Display for ListsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: usize = self.faults.iter().map(|faults| faults.faults().len()).sum();
        let what = match self.kind {
            Kind::Blocklists => "blocklists",
            Kind::Detections => "detections",
            Kind::Indicators => "indicators",
        };
        match self.paths.len() + faults {
            1 => write!(f, "the {what} cannot be used: one fault"),
            count => write!(f, "the {what} cannot be used: {count} faults"),
        }
    }
}

impl std::error::Error for ListsError {}

impl Diagnostic for ListsError {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        let paths = self.paths.iter().map(|trouble| trouble as &dyn Diagnostic);
        let faults = self.faults.iter().flat_map(Faults::faults);
        Some(Box::new(
            paths.chain(faults.map(|fault| fault as &dyn Diagnostic)),
        ))
    }
}

/// Reads and merges the lists at `paths`, or the one that ships with Davylamp if there are none.
///
/// A directory stands for the files in it that end in `.yaml`, `.yml` or `.json`, by name; what is
/// hidden (a ConfigMap's `..data` and its versions), what lies deeper and case files are passed
/// over. A file that is reached twice is read once.
///
/// # Errors
/// All that is wrong with any path or text.
pub fn read(paths: &[PathBuf]) -> Result<Lists, ListsError> {
    let mut error = ListsError::default();
    let mut texts = Vec::new();
    if paths.is_empty() {
        let name = PathBuf::from(DEFAULT_BLOCKLIST_NAME);
        texts.push((name, DEFAULT_BLOCKLIST.as_bytes().to_vec()));
    } else {
        let mut room = MAX_TOTAL_BYTES;
        for file in files(paths, LISTS, &mut error) {
            match read_file(&file, &mut room) {
                Ok(bytes) => texts.push((file, bytes)),
                Err(trouble) => error.paths.push(trouble),
            }
        }
    }
    let names: Vec<String> = texts
        .iter()
        .map(|(path, _)| path.display().to_string())
        .collect();
    let mut sources = Vec::new();
    for (name, (_, bytes)) in names.iter().zip(&texts) {
        match Source::from_bytes(name, bytes) {
            Ok(source) => sources.push(source),
            Err(faults) => error.faults.push(faults),
        }
    }
    let parsed = match blocklist::parse(&sources) {
        Ok(parsed) => Some(parsed),
        Err(faults) => {
            error.faults.push(faults);
            None
        }
    };
    match parsed {
        Some((blocklist, warnings)) if error.paths.is_empty() && error.faults.is_empty() => {
            let digest = digest(&texts);
            let held = held(&names, &texts, &blocklist);
            let files = texts.into_iter().map(|(path, _)| path);
            let sources = if paths.is_empty() {
                Vec::new()
            } else {
                files.collect()
            };
            Ok(Lists {
                blocklist,
                warnings,
                sources,
                digest,
                held,
            })
        }
        _ => Err(error),
    }
}

/// Why lists and detections cannot be put to use together.
#[derive(Debug, Error)]
pub enum JudgesError {
    /// The detections or indicators cannot be read.
    #[error(transparent)]
    Files(#[from] ListsError),
    /// The pools that ship cannot be read: a bug.
    #[error("the pools that ship with Davylamp cannot be read")]
    Pools(#[from] Faults),
    /// The lists are too large.
    #[error("the blocklists cannot be put in force")]
    Lists(#[from] JudgeError),
    /// The detections are too large.
    #[error("the detections cannot be put in force")]
    Rules(#[from] RulesError),
}

impl JudgesError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Files(_) => "`davy guard --check` shows each fault",
            Self::Pools(_) => "this is a bug in davy: please report it",
            Self::Lists(_) => "ban fewer or shorter strings",
            Self::Rules(_) => "use fewer or shorter expressions; the longest loops cost most",
        }
    }
}

/// What is built beside the judge of the lists, and kept over reloads that do not change it.
#[derive(Debug, Clone)]
pub struct Built {
    /// The judge by detections, where they are wanted.
    pub rules: Option<Arc<Rules>>,
    /// The indicators that the detections know.
    pub pools: Arc<Vec<Indicator>>,
}

/// Builds what judges by these lists. The automaton of the detections, which takes seconds, is taken
/// over from `before` where it is made of the same.
///
/// # Errors
/// [`JudgesError`] where detections or indicators cannot be read, or one is too large.
pub fn judges(
    lists: &Lists,
    config: &Config,
    before: Option<&Built>,
) -> Result<(Judge, Built), JudgesError> {
    let pools = Arc::new(pools(&config.indicators)?);
    if !config.detections.enabled {
        let judge = Judge::new(&lists.blocklist)?;
        return Ok((judge, Built { rules: None, pools }));
    }
    let detections = detections(&config.detections)?;
    let same = before.filter(|before| before.pools == pools);
    let same = same.and_then(|before| before.rules.clone());
    let rules = match same.filter(|rules| rules.detections() == detections) {
        Some(rules) => rules,
        None => Arc::new(davylamp_rules::rules(detections, &pools)?),
    };
    let judge = Judge::with_pools(&lists.blocklist, &pools)?;
    let rules = Some(rules);
    Ok((judge, Built { rules, pools }))
}

/// The pools that ship, and those of the sets at these paths; of the folder where
/// `davy indicators refresh` writes them, if none is named.
fn pools(paths: &[PathBuf]) -> Result<Vec<Indicator>, JudgesError> {
    let mut all = indicators::shipped_pools()?;
    let mut error = ListsError {
        kind: Kind::Indicators,
        ..ListsError::default()
    };
    let mut room = MAX_TOTAL_BYTES;
    for file in files(&indicator_paths(paths), INDICATORS, &mut error) {
        let name = file.display().to_string();
        match read_file(&file, &mut room) {
            Err(trouble) => error.paths.push(trouble),
            Ok(bytes) => match Source::from_bytes(&name, &bytes).and_then(indicators::parse) {
                Ok(set) => all.extend(set),
                Err(faults) => error.faults.push(faults),
            },
        }
    }
    match error.paths.is_empty() && error.faults.is_empty() {
        true => Ok(joined(all)),
        false => Err(error.into()),
    }
}

fn indicator_paths(paths: &[PathBuf]) -> Vec<PathBuf> {
    let default = Path::new(DEFAULT_INDICATORS);
    // A folder that nobody named may be without a set.
    let holds_any = || list_files(default, INDICATORS).is_ok_and(|found| !found.is_empty());
    match paths.is_empty() && holds_any() {
        true => vec![default.to_owned()],
        false => paths.to_vec(),
    }
}

/// The detections that ship, where they are wanted, and those at these paths, but for those that are off.
///
/// # Errors
/// All that is wrong with any path or text, and names to be left off that no detection has.
pub fn detections(wanted: &Detections) -> Result<Vec<Detection>, ListsError> {
    let mut error = ListsError {
        kind: Kind::Detections,
        ..ListsError::default()
    };
    let mut all = Vec::new();
    match detection::shipped() {
        Ok(_) if !wanted.shipped => {}
        Ok(shipped) => all.extend(shipped.into_iter().map(|parsed| parsed.detection)),
        Err(faults) => error.faults.push(faults),
    }
    let mut room = MAX_TOTAL_BYTES;
    for file in files(&wanted.paths, DETECTIONS, &mut error) {
        let bytes = match read_file(&file, &mut room) {
            Ok(bytes) => bytes,
            Err(trouble) => {
                error.paths.push(trouble);
                continue;
            }
        };
        let name = file.display().to_string();
        match Source::from_bytes(&name, &bytes).and_then(detection::parse) {
            Ok(parsed) => {
                let fresh = parsed.detection;
                all.retain(|known: &Detection| known.name != fresh.name);
                all.push(fresh);
            }
            Err(faults) => error.faults.push(faults),
        }
    }
    for name in &wanted.off {
        if !all.iter().any(|known| known.name == *name) {
            error
                .paths
                .push(PathTrouble::NoDetection { name: name.clone() });
        }
        all.retain(|known| known.name != *name);
    }
    match error.paths.is_empty() && error.faults.is_empty() {
        true => Ok(all),
        false => Err(error),
    }
}

/// The files of lists, detections and indicators that the configuration stands for at this moment, as
/// far as they can be listed.
pub(crate) fn files_of(config: &Config) -> Vec<PathBuf> {
    let sets = indicator_paths(&config.indicators);
    let kinds = [
        (&config.blocklists, LISTS),
        (&config.detections.paths, DETECTIONS),
        (&sets, INDICATORS),
    ];
    let listed = kinds
        .into_iter()
        .flat_map(|(paths, ends)| files(paths, ends, &mut ListsError::default()));
    listed.collect()
}

/// The files that the paths stand for, each once.
fn files(paths: &[PathBuf], extensions: &[&str], error: &mut ListsError) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for path in paths {
        let listed = match fs::metadata(path) {
            Ok(facts) if facts.is_dir() => match list_files(path, extensions) {
                Ok(listed) if listed.is_empty() => {
                    error
                        .paths
                        .push(PathTrouble::EmptyDirectory { path: path.clone() });
                    continue;
                }
                Ok(listed) if listed.len() > MAX_FILES => {
                    error
                        .paths
                        .push(PathTrouble::TooMany { path: path.clone() });
                    continue;
                }
                Ok(listed) => listed,
                Err(source) => {
                    error.paths.push(PathTrouble::Unreadable {
                        path: path.clone(),
                        source,
                    });
                    continue;
                }
            },
            // Errors of a file are found where it is read.
            _ => vec![path.clone()],
        };
        for file in listed {
            let identity = fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
            if seen.insert(identity) {
                found.push(file);
            }
        }
    }
    found
}

fn list_files(directory: &Path, extensions: &[&str]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_list = extension.is_some_and(|found| extensions.contains(&found));
        let stem = path.file_stem().unwrap_or_default().as_encoded_bytes();
        let is_cases = stem.ends_with(CASES_SUFFIX.as_bytes());
        if is_list && !is_cases && !name.starts_with(b".") && !path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read_file(path: &Path, room: &mut u64) -> Result<Vec<u8>, PathTrouble> {
    let unreadable = |source| PathTrouble::Unreadable {
        path: path.to_owned(),
        source,
    };
    // Asked before opening: opening a pipe would wait for its other end.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(PathTrouble::NotAFile {
            path: path.to_owned(),
        });
    }
    let limit = MAX_FILE_BYTES.min(*room);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let length = bytes.len() as u64;
    if length > limit {
        return Err(PathTrouble::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    *room -= length;
    Ok(bytes)
}

fn held(names: &[String], texts: &[(PathBuf, Vec<u8>)], blocklist: &Blocklist) -> Vec<Held> {
    let banned = || blocklist.groups.iter().flat_map(|group| &group.banned);
    let of = |name: &String| banned().filter(|one| one.origin.file == *name).count();
    let each = names.iter().zip(texts);
    each.map(|(name, (_, bytes))| Held {
        name: name.clone(),
        digest: hex::encode(Sha256::digest(bytes)),
        strings: of(name),
    })
    .collect()
}

fn digest(texts: &[(PathBuf, Vec<u8>)]) -> String {
    let mut hasher = Sha256::new();
    for (path, bytes) in texts {
        // Lengths keep the end of one field from being read as the start of the next.
        for field in [path.as_os_str().as_encoded_bytes(), bytes] {
            hasher.update((field.len() as u64).to_le_bytes());
            hasher.update(field);
        }
    }
    hex::encode(hasher.finalize())
}

#[cfg(test)]
mod tests;
