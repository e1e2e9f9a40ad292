//! Looking into the files of programs: compiled rules, and processes of little right that search.
//!
//! What is searched was written by whoever wants to run it, so the search is done by *workers*: processes
//! of another user, without a capability, that may read what they are handed, answer, and nothing else.
//! A *keeper* between them and the agent compiles the rules once, starts a worker anew that died, and says
//! so. What must stay true: a worker's death, a time limit or a file that is too large leads to *unknown*,
//! never to clean. The agent itself parses nothing of a file.
//!
//! Not here: what is done about a verdict (`agent::files`), and which files are looked into
//! (`bpf/file.h`).

mod client;
mod engine;
mod keeper;
mod privilege;
mod worker;

use davylamp_detect::file::Sign;
use serde::{Deserialize, Serialize};

pub use client::Scanner;
pub use engine::{Engine, RuleError, Source, shipped_rules};
pub use keeper::{ScanError, Started, start};

/// How far a search may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// So much of a file is searched.
    pub max_bytes: u64,
    /// So long, in milliseconds.
    pub max_ms: u64,
}

/// What a search of a file came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The file's size in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes in hexadecimal. There only where something was found in all of it.
    pub sha256: Option<String>,
    /// What was found.
    pub signs: Vec<Sign>,
    /// Why not all of it was searched, if so.
    pub unknown: Option<String>,
    /// Whether that is its size alone: another search would come to the same.
    pub is_too_large: bool,
}

impl Report {
    /// A search that came to nothing, and why.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self {
            unknown: Some(why.into()),
            ..Self::default()
        }
    }
}

/// A request to a worker; the file's descriptor comes with it.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    id: u64,
    limits: Limits,
}

/// What comes back.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    /// From a worker.
    Done {
        id: u64,
        size: u64,
        sha256: Option<String>,
        /// Names of what is seen, rules, and what they say.
        signs: Vec<(String, String, String)>,
        unknown: Option<String>,
        is_too_large: bool,
    },
    /// From the keeper: the worker at this socket died, and why. Another one is there.
    Died { why: String },
}

/// A message has at most this many bytes: an answer names each rule that matched.
const MESSAGE_BYTES: usize = 64 << 10;
