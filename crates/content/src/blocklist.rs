//! Blocklists: which strings may not stand on a command line, and which command lines are spared
//! all the same.
//!
//! The files are those of cryptnono: YAML or JSON, bare or nested as Helm values. What a string or
//! pattern means is said in `docs/blocklists.md`; the plain definition of a match is
//! [`word::matches_as_word`](crate::word::matches_as_word).

use std::sync::Arc;

use crate::fields::Fields;
use crate::problem::{Faults, Problem};
use crate::source::{Source, Text};

mod lint;
mod merge;
mod pattern;
mod print;
mod read;
mod scope;

pub use pattern::{MAX_COMPILED_BYTES, anchored};
pub use scope::{Place, Scope};

/// A banned string may have this many bytes. The longest things worth naming, wallet addresses,
/// stay near 110.
pub const MAX_STRING_BYTES: usize = 512;

/// A pattern may have this many bytes.
pub const MAX_PATTERN_BYTES: usize = 4096;

/// A reason may have this many bytes: it is repeated in each log line.
pub const MAX_REASON_BYTES: usize = 1024;

/// A namespace, image or container glob may have this many bytes.
pub const MAX_GLOB_BYTES: usize = 512;

/// The files together may hold this many banned strings.
pub const MAX_STRINGS: usize = 500_000;

/// The files together may hold this many patterns: each is compiled, and each may be tried on a
/// held process.
pub const MAX_PATTERNS: usize = 2_000;

/// Something that looks wrong but does not keep a blocklist from being used: see
/// [`Severity`](crate::Severity).
pub type Warning = Problem;

/// A string that may not stand on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Banned {
    /// The string as written. Case does not matter for A to Z.
    pub text: String,
    /// Why it is banned.
    pub reason: Option<String>,
    /// Whether the environment is searched for it as well.
    pub scan_environment: bool,
    /// Where it is written.
    pub origin: Origin,
}

/// The place of an entry in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The name of the file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

/// A pattern for command lines that are spared although they hold a banned string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// A regular expression in the `regex` crate's syntax, to be matched without regard to case
    /// from the start of the command line: compile what [`anchored`] makes of it.
    pub pattern: String,
    /// Why it is allowed.
    pub reason: Option<String>,
    /// Where it counts.
    pub scope: Scope,
    /// Where it is written.
    pub origin: Origin,
}

/// Entries under one name, which a kill's log line repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The name: that of the config it stands under, or the stem of a bare file's name.
    pub name: String,
    /// What it bans.
    pub banned: Vec<Banned>,
    /// What it allows. A pattern spares from the strings of every group.
    pub allowed: Vec<Allowed>,
}

/// The entries of all files, merged. No string is in it twice, in whatever case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blocklist {
    /// The groups in the order in which they were first named.
    pub groups: Vec<Group>,
}

impl Blocklist {
    /// How many strings are banned.
    pub fn banned_count(&self) -> usize {
        self.groups.iter().map(|group| group.banned.len()).sum()
    }

    /// How many patterns are allowed.
    pub fn allowed_count(&self) -> usize {
        self.groups.iter().map(|group| group.allowed.len()).sum()
    }
}

/// Reads and merges blocklist files. Groups of the same name are merged; of strings that differ
/// only in case the first is kept. Warnings and notes come in the order of the files.
///
/// # Errors
/// Every fault of every file, when there is one.
pub fn parse(sources: &[Source<'_>]) -> Result<(Blocklist, Vec<Warning>), Faults> {
    let texts: Vec<_> = sources
        .iter()
        .map(|source| Arc::new(Text::new(source.name, source.text)))
        .collect();
    let mut files = Vec::new();
    let mut room = read::Room {
        strings: MAX_STRINGS,
        patterns: MAX_PATTERNS,
    };
    for text in &texts {
        let mut fields = Fields::new(text);
        let groups = read::groups(&mut fields, &mut room);
        files.push((groups, fields.problems));
    }
    let merged = merge::merge(&mut files);
    lint::lint(&merged, &mut files);

    let (mut faults, mut warnings) = (Vec::new(), Vec::new());
    for (_, problems) in files {
        let (file_faults, file_warnings) = problems.finish();
        faults.extend(file_faults);
        warnings.extend(file_warnings);
    }
    if faults.is_empty() {
        Ok((merged.into_blocklist(), warnings))
    } else {
        Err(Faults::new(faults, warnings))
    }
}
