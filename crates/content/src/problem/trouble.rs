//! Every kind of problem: its stable code, its words, and what to do about it.

use serde::Serialize;
use thiserror::Error;

use super::{DetectionTrouble, HuntTrouble, PlaybookTrouble};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used.
    Fault,
    /// The file can be used, but probably does not do what its author wants.
    Warning,
    /// Worth knowing, harmless.
    Note,
}

/// One kind of problem with what it needs to say.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "each variant's message says what its fields are"
)]
pub enum Trouble {
    #[error("not UTF-8 text: byte 0x{byte:02x} is out of place")]
    NotUtf8 { byte: u8 },
    #[error("{bytes} bytes are more than a file may have")]
    FileTooLarge { bytes: usize, limit: usize },
    #[error("not valid {format}: {message}")]
    Syntax {
        format: &'static str,
        message: String,
    },
    #[error("lists and mappings are nested more than {limit} deep")]
    TooDeep { limit: usize },
    #[error("more than {limit} values in one file")]
    TooManyValues { limit: usize },
    #[error("an anchor that contains itself")]
    CyclicAlias,
    #[error("the file holds nothing")]
    Empty,
    #[error("no blocklist in this file")]
    NoList { suggestion: Option<String> },
    #[error("unknown key `{key}` in {place}")]
    UnknownKey {
        key: String,
        place: String,
        suggestion: Option<&'static str>,
        known: String,
    },
    #[error("`{key}` is given twice")]
    DuplicateKey { key: String },
    #[error("merge keys (`<<`) are not read here")]
    MergeKey,
    #[error("expected {expected}, found {found}")]
    Expected {
        expected: String,
        found: &'static str,
    },
    #[error("`{written}` is read as {found}, not as a string")]
    NotAString {
        written: String,
        found: &'static str,
    },
    #[error("a tag that is not YAML's own")]
    ForeignTag,
    #[error("`{key}` is missing in {place}")]
    MissingKey { key: &'static str, place: String },
    #[error("`{name}` cannot be a group's name")]
    GroupName { name: String },
    #[error("{what} is empty")]
    EmptyText { what: &'static str },
    #[error("{what} holds the control character U+{character:04X}")]
    ControlCharacter { what: &'static str, character: u32 },
    #[error("{what} of {bytes} bytes is longer than {limit}")]
    TooLong {
        what: &'static str,
        bytes: usize,
        limit: usize,
    },
    #[error("more than {limit} {what}")]
    TooMany { what: &'static str, limit: usize },
    #[error("the pattern is not usable: {message}")]
    Pattern { message: String, help: String },
    #[error("the pattern needs more than {limit} bytes once compiled")]
    PatternTooBig { limit: usize },
    #[error("this pattern spares every command everywhere")]
    SparesEverything,
    #[error("`host` and `{key}` exclude each other")]
    ScopeContradiction { key: &'static str },
    #[error(transparent)]
    Playbook(PlaybookTrouble),
    #[error(transparent)]
    Hunt(HuntTrouble),
    #[error(transparent)]
    Detection(DetectionTrouble),
    #[error("{count} more faults in this file are not listed")]
    MoreFaults { count: usize },

    #[error("execwhacker is switched off in this file; its lists are used all the same")]
    DetectorDisabled,
    #[error("`{string}` is shorter than {limit} characters")]
    ShortString { string: String, limit: usize },
    #[error("`{string}` matches an ordinary command: {command}")]
    OrdinaryCommand { string: String, command: String },
    #[error("`{string}` hardly ever matches: it {edge}")]
    NeverAlone {
        string: String,
        edge: &'static str,
        suggestion: String,
    },
    #[error("this pattern is looser than it looks: {why}")]
    LoosePattern { why: String },
    #[error("{count} more warnings about this file are not listed")]
    MoreWarnings { count: usize },

    #[error("`{string}` is never needed: `{by}` already matches wherever it does")]
    Redundant { string: String, by: String },
    #[error("`{string}` is already banned by group `{group}`")]
    DuplicateString {
        string: String,
        group: String,
        place: String,
    },
    #[error("the same pattern is already in group `{group}`")]
    DuplicatePattern { group: String, place: String },
    #[error("`{string}` has letters outside ASCII")]
    NotAscii { string: String },
    #[error("this file bans nothing")]
    BansNothing,
    #[error("the search for needless strings was stopped after {limit} matches")]
    LintStopped { limit: usize },
}

/// What every warning about a pattern advises.
const SCOPE_HELP: &str = "whoever starts a process chooses its command line, so a pattern alone \
     can be satisfied on purpose; add `namespace`, `image`, `container` or `host: true`, which the \
     process cannot forge";

impl Trouble {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Playbook(trouble) => trouble.severity(),
            Self::Hunt(trouble) => trouble.severity(),
            Self::Detection(trouble) => trouble.severity(),
            Self::DetectorDisabled
            | Self::ShortString { .. }
            | Self::OrdinaryCommand { .. }
            | Self::NeverAlone { .. }
            | Self::LoosePattern { .. }
            | Self::MoreWarnings { .. } => Severity::Warning,
            Self::Redundant { .. }
            | Self::DuplicateString { .. }
            | Self::DuplicatePattern { .. }
            | Self::NotAscii { .. }
            | Self::BansNothing
            | Self::LintStopped { .. } => Severity::Note,
            _ => Severity::Fault,
        }
    }

    /// A stable name for this kind of problem.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotUtf8 { .. } => "not-utf8",
            Self::FileTooLarge { .. } => "file-too-large",
            Self::Syntax { .. } => "syntax",
            Self::TooDeep { .. } => "too-deep",
            Self::TooManyValues { .. } => "too-many-values",
            Self::CyclicAlias => "cyclic-alias",
            Self::Empty => "empty",
            Self::NoList { .. } => "no-list",
            Self::UnknownKey { .. } => "unknown-key",
            Self::DuplicateKey { .. } => "duplicate-key",
            Self::MergeKey => "merge-key",
            Self::Expected { .. } => "wrong-type",
            Self::NotAString { .. } => "not-a-string",
            Self::ForeignTag => "foreign-tag",
            Self::MissingKey { .. } => "missing-key",
            Self::GroupName { .. } => "group-name",
            Self::EmptyText { .. } => "empty-text",
            Self::ControlCharacter { .. } => "control-character",
            Self::TooLong { .. } => "too-long",
            Self::TooMany { .. } => "too-many",
            Self::Pattern { .. } => "pattern",
            Self::PatternTooBig { .. } => "pattern-too-big",
            Self::SparesEverything => "spares-everything",
            Self::ScopeContradiction { .. } => "scope-contradiction",
            Self::Playbook(trouble) => trouble.code(),
            Self::Hunt(trouble) => trouble.code(),
            Self::Detection(trouble) => trouble.code(),
            Self::MoreFaults { .. } => "more-faults",
            Self::DetectorDisabled => "detector-disabled",
            Self::ShortString { .. } => "short-string",
            Self::OrdinaryCommand { .. } => "ordinary-command",
            Self::NeverAlone { .. } => "never-alone",
            Self::LoosePattern { .. } => "loose-pattern",
            Self::MoreWarnings { .. } => "more-warnings",
            Self::Redundant { .. } => "redundant",
            Self::DuplicateString { .. } => "duplicate-string",
            Self::DuplicatePattern { .. } => "duplicate-pattern",
            Self::NotAscii { .. } => "not-ascii",
            Self::BansNothing => "bans-nothing",
            Self::LintStopped { .. } => "lint-stopped",
        }
    }

    /// What stands beside the place in the text.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotUtf8 { .. } => "this byte",
            Self::FileTooLarge { .. } | Self::Empty => "this file",
            Self::UnknownKey { .. } | Self::DuplicateKey { .. } | Self::MergeKey => "this key",
            Self::MissingKey { .. } => "this entry",
            Self::GroupName { .. } => "this name",
            Self::Playbook(trouble) => trouble.label(),
            Self::Hunt(trouble) => trouble.label(),
            Self::Detection(trouble) => trouble.label(),
            Self::MoreFaults { .. } | Self::MoreWarnings { .. } => "up to here",
            Self::Pattern { .. } => "this part",
            Self::PatternTooBig { .. }
            | Self::SparesEverything
            | Self::LoosePattern { .. }
            | Self::DuplicatePattern { .. } => "this pattern",
            Self::ShortString { .. }
            | Self::OrdinaryCommand { .. }
            | Self::NeverAlone { .. }
            | Self::Redundant { .. }
            | Self::DuplicateString { .. }
            | Self::NotAscii { .. } => "this string",
            _ => "here",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::NotUtf8 { .. } => "save the file as UTF-8".into(),
            Self::FileTooLarge { limit, .. } => {
                format!("split it into files of at most {limit} bytes")
            }
            Self::Syntax { format: "JSON", .. } => {
                "mend it here; a file that is meant to be YAML should be named .yaml".into()
            }
            Self::Syntax { format: "TOML", .. } => {
                "mend it here; the rest of the file is judged once it can be read".into()
            }
            Self::Syntax { .. } => {
                "mend it here; strings with `:`, `#`, quotes or backslashes are safest in single \
                 quotes"
                    .into()
            }
            Self::TooDeep { .. } => {
                "no file of ours is nested that deep; is this the right file?".into()
            }
            Self::TooManyValues { .. } => "split it into several files".into(),
            Self::CyclicAlias => "write the value out instead of the alias".into(),
            Self::Empty | Self::NoList { suggestion: None } => {
                "give `bannedCommandStrings` or `allowedCommandPatterns`, at the top or under \
                 `detectors.execwhacker.configs.<name>`"
                    .into()
            }
            Self::NoList {
                suggestion: Some(suggestion),
            } => suggestion.clone(),
            Self::UnknownKey {
                suggestion: Some(known),
                ..
            } => format!("did you mean `{known}`?"),
            Self::UnknownKey { known, .. } => format!("known here: {known}"),
            Self::DuplicateKey { .. } => "keep one of the two and move the entries there".into(),
            Self::MergeKey => "write the keys out, or give a whole list as an alias".into(),
            Self::Expected { expected, .. } => format!("write {expected} here"),
            Self::NotAString { written, .. } => {
                format!("quote it: '{}'", written.replace('\'', "''"))
            }
            Self::ForeignTag => "remove the tag, the word that starts with `!`".into(),
            Self::MissingKey { key, .. } => format!("add `{key}: …`"),
            Self::GroupName { .. } => {
                "use one to 128 characters, none of them a control character".into()
            }
            Self::EmptyText { .. } => "remove the entry, or write what it should hold".into(),
            Self::ControlCharacter { character: 0, .. } => {
                "no command line can hold a zero byte; remove it".into()
            }
            Self::ControlCharacter { .. } => {
                "put each line into an entry of its own; a YAML block (`|`, `>`) ends with a line \
                 break unless it is written `|-` or `>-`"
                    .into()
            }
            Self::TooLong { .. } => {
                "keep the part of it that is telling; a shorter string matches the same commands"
                    .into()
            }
            Self::TooMany { .. } => "merge some of them, or remove those that are unused".into(),
            Self::Pattern { help, .. } => help.clone(),
            Self::PatternTooBig { .. } => {
                "make its counted repetitions smaller, or split it into several patterns".into()
            }
            Self::SparesEverything => {
                "it matches the empty start of any command line, which would switch the guard off; \
                 name the command, or limit it by `namespace`, `image`, `container` or `host: true`"
                    .into()
            }
            Self::ScopeContradiction { .. } => {
                "a process on the host is in no container; write two entries".into()
            }
            Self::Playbook(trouble) => trouble.help(),
            Self::Hunt(trouble) => trouble.help(),
            Self::Detection(trouble) => trouble.help(),
            Self::MoreFaults { .. } => "mend those above first, then try again".into(),
            Self::DetectorDisabled => {
                "leave the file out of the guard's blocklists if they should not be enforced".into()
            }
            Self::ShortString { .. } => {
                "so few letters stand as a word in innocent commands too; write more of the name"
                    .into()
            }
            Self::OrdinaryCommand { .. } => {
                "this would kill people's work; choose a longer or rarer string".into()
            }
            Self::NeverAlone { suggestion, .. } if suggestion.is_empty() => {
                "a string counts only where no letter, digit or underscore stands next to it; \
                 write a name instead"
                    .into()
            }
            Self::NeverAlone { suggestion, .. } => format!(
                "a string counts only where no letter, digit or underscore stands next to it; \
                 write `{suggestion}`"
            ),
            Self::LoosePattern { .. } => SCOPE_HELP.into(),
            Self::MoreWarnings { .. } => "mend those above first, then look again".into(),
            Self::Redundant { by, .. } => format!("remove it; `{by}` is the wider one"),
            Self::DuplicateString { place, .. } => {
                format!("it counts once, as written at {place}; case does not matter")
            }
            Self::DuplicatePattern { place, .. } => {
                format!("it counts once, as written at {place}")
            }
            Self::NotAscii { .. } => {
                "case is ignored for the letters A to Z only; add the other spellings if they \
                 matter"
                    .into()
            }
            Self::BansNothing => "add `bannedCommandStrings` if that was not the purpose".into(),
            Self::LintStopped { .. } => {
                "the list works; it holds very many strings that contain one another".into()
            }
        }
    }
}
