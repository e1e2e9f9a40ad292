//! What is found out about one command line: plain values, printed as text or JSON.
//!
//! The JSON is an interface, described in docs/explain.md: keys are added, never changed.

use std::rc::Rc;

use davylamp_model::guard_event::Mode;
use serde::Serialize;

/// What happens to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing banned stands in it.
    Clean,
    /// Something banned stands in it, and it runs all the same.
    Spared,
    /// It is killed; in observe mode it would be.
    Killed,
}

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// The kernel, at once.
    Kernel,
    /// The agent, while the process is stopped before its first instruction.
    Hold,
}

/// The answer.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The arguments joined by single spaces; bytes that are not UTF-8 replaced by U+FFFD.
    pub command_line: String,
    /// The same as it is, for printing.
    #[serde(skip)]
    pub line: Rc<[u8]>,
    /// What happens.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub because: String,
    /// Whether the guard acts or only observes.
    pub mode: Mode,
    /// Who decides about the match, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Decision>,
    /// How many matches there are.
    pub match_count: usize,
    /// The matches, the one that the log names first.
    pub matches: Vec<MatchReport>,
    /// What the detections found, the one that weighs most first.
    pub detections: Vec<DetectionReport>,
    /// Whether near misses were looked for.
    pub near_misses_searched: bool,
    /// Strings that occur as part of a longer word only, and so do not count.
    pub near_misses: Vec<NearMiss>,
    /// Allow patterns that bear on the match, where there is one.
    pub allow_patterns: Vec<PatternReport>,
}

/// A banned string that matches.
#[derive(Debug, Clone, Serialize)]
pub struct MatchReport {
    /// The string as the blocklist writes it.
    pub string: String,
    /// The group it stands in.
    pub group: String,
    /// Why it is banned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where it is written, as `file:line:column`.
    pub origin: String,
    /// `arguments`, `path`, `executable` or `environment`.
    pub region: &'static str,
    /// The first byte of the match in that text.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
    /// That text, for printing.
    #[serde(skip)]
    pub text: Rc<[u8]>,
}

/// What a detection found.
#[derive(Debug, Clone, Serialize)]
pub struct DetectionReport {
    /// Its name.
    pub detection: String,
    /// What would come of it alone: `kill`, `alert` or `spare`.
    pub action: &'static str,
    /// What it adds to the score; 100 together suffice.
    pub score: u8,
    /// The text that matched.
    pub matched: String,
    /// Why it counts, or why not.
    pub why: String,
}

/// A banned string that occurs and does not count.
#[derive(Debug, Clone, Serialize)]
pub struct NearMiss {
    /// The string as the blocklist writes it.
    pub string: String,
    /// The group it stands in.
    pub group: String,
    /// The longer word it is part of.
    pub word: String,
    /// The first byte of its first occurrence in the command line, or in the executable's path
    /// where it is only there.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

/// How an allow pattern bears on a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bearing {
    /// It matches the command line, and it counts here.
    Applies,
    /// It matches the command line, and counts in other places only.
    Elsewhere,
    /// It does not match, but the kernel cannot tell by itself.
    CouldApply,
}

/// An allow pattern that bears on a match.
#[derive(Debug, Clone, Serialize)]
pub struct PatternReport {
    /// The pattern as the blocklist writes it.
    pub pattern: String,
    /// The group it stands in.
    pub group: String,
    /// Where it is written, as `file:line:column`.
    pub origin: String,
    /// How it bears on the match.
    pub bearing: Bearing,
    /// The scope it is kept to; without keys it counts everywhere.
    pub scope: ScopeReport,
}

/// The scope of a pattern: what it names.
#[derive(Debug, Clone, Serialize)]
pub struct ScopeReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub host: bool,
}
