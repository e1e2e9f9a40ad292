//! Grammar, linter and case format of Davylamp's data files, from text in memory.
//!
//! What must stay true: any text is either a value or a list of spanned problems. No input makes
//! this crate panic, recurse without bound or run for long; every limit is a named constant.
//! Every problem of every file is reported, not the first.
//!
//! Deliberately not here: reading files (the caller brings the text), and judging command lines
//! (crate `detect` does, from the values made here).

mod fields;
mod problem;
mod readable;
mod source;

mod tree;

pub mod blocklist;
pub mod cases;
pub mod delimited;
pub mod detection;
pub mod hunt;
pub mod indicators;
pub mod ocsf;

pub mod playbook;
pub mod prices;
pub mod settings;
pub mod word;
pub mod yara;

pub use problem::{
    DetectionTrouble, Faults, HuntTrouble, PlaybookTrouble, Problem, ProblemRecord, Severity,
    Trouble,
};
pub use source::Source;

/// The blocklist that ships with Davylamp: what the guard enforces when it is given no other.
pub const DEFAULT_BLOCKLIST: &str = include_str!("../../../content/blocklists/default.yaml");

/// The name shown for [`DEFAULT_BLOCKLIST`] in errors and logs.
pub const DEFAULT_BLOCKLIST_NAME: &str = "content/blocklists/default.yaml";

/// Which command lines [`DEFAULT_BLOCKLIST`] must kill and which it must leave alone; read them
/// with [`cases::parse`].
pub const DEFAULT_CASES: &str = include_str!("../../../content/blocklists/default.cases.yaml");

/// The name shown for [`DEFAULT_CASES`] in errors.
pub const DEFAULT_CASES_NAME: &str = "content/blocklists/default.cases.yaml";

/// Ordinary command lines, one a line; empty lines and lines that start with `#` are not
/// commands. A banned string that matches one of them is warned about.
pub const ORDINARY_COMMANDS: &str = include_str!("../../../content/commands/ordinary.txt");
