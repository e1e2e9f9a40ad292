//! What can be wrong with a configuration, and where.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use thiserror::Error;

use super::Bounds;

/// One kind of fault with what it needs to say.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "each variant's message says what its fields are"
)]
pub enum Trouble {
    #[error("not valid TOML: {message}")]
    Syntax { message: String },
    #[error("unknown table or key `{key}` at the top of the file")]
    UnknownTop {
        key: String,
        suggestion: Option<String>,
        known: String,
    },
    #[error("unknown key `{key}` in [{table}]")]
    UnknownKey {
        key: String,
        table: String,
        suggestion: Option<String>,
        known: String,
    },
    #[error("`{key}` is a table of keys, not a value")]
    IsATable { key: String, known: String },
    #[error("`{key}` takes {expected}, not {found}")]
    WrongKind {
        key: String,
        expected: &'static str,
        found: &'static str,
    },
    #[error("`{key}` cannot be {written}")]
    Unfit {
        key: String,
        written: String,
        help: String,
    },
    #[error("`{key}` is {written}, outside {bounds}")]
    OutOfBounds {
        key: String,
        written: String,
        bounds: Bounds,
    },
    #[error("{message}")]
    Whole { message: String, help: String },
    #[error("an override has the form key=value")]
    NotAnAssignment,
    #[error("the value of this variable is not UTF-8 text")]
    NotUtf8,
    #[error("this variable has no meaning as it is written")]
    SingleUnderscores { meant: String },
}

impl Trouble {
    /// What to do about it.
    pub fn help(&self) -> String {
        let known_keys = |known: &str| format!("the keys here are {known}");
        match self {
            Self::Syntax { .. } => {
                "text stands in quotes, lists in brackets, and each key once in its table".into()
            }
            Self::UnknownTop {
                suggestion: Some(meant),
                ..
            } => format!("did you mean `{meant}`?"),
            Self::UnknownTop {
                suggestion: None,
                known,
                ..
            } => format!("settings stand in a table of their job; the tables are {known}"),
            Self::UnknownKey {
                suggestion: Some(meant),
                ..
            } => format!("did you mean `{meant}`?"),
            Self::UnknownKey { known, .. } | Self::IsATable { known, .. } => known_keys(known),
            Self::WrongKind { key, expected, .. } => {
                format!("give `{key}` {expected}, or leave it out for the default")
            }
            Self::Unfit { help, .. } => help.clone(),
            Self::OutOfBounds { bounds, .. } => format!("choose {bounds}"),
            Self::Whole { help, .. } => help.clone(),
            Self::NotAnAssignment => "for example --set guard.hold.deadline_ms=500".into(),
            Self::NotUtf8 => "set it to plain text, or unset it".into(),
            Self::SingleUnderscores { meant } => {
                format!("levels are separated by two underscores: {meant}")
            }
        }
    }
}

/// One fault at one place of a file, an option or a variable. Print it with `miette`.
#[derive(Debug, Clone)]
pub struct ConfigError {
    pub(super) trouble: Trouble,
    pub(super) source: Arc<NamedSource<String>>,
    pub(super) span: Range<usize>,
}

impl ConfigError {
    /// What is wrong.
    pub fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// The file's name, `--set`, or `environment`.
    pub fn source_name(&self) -> &str {
        self.source.name()
    }

    /// The part of the text that is to blame.
    pub fn text(&self) -> &str {
        self.source
            .inner()
            .get(self.span.clone())
            .unwrap_or_default()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.trouble.fmt(f)
    }
}

impl std::error::Error for ConfigError {}

impl Diagnostic for ConfigError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.trouble.help()))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = LabeledSpan::new(Some("here".into()), self.span.start, self.span.len());
        Some(Box::new(std::iter::once(span)))
    }
}

/// Why a configuration was refused: every fault, in the order in which the texts were given.
#[derive(Debug, Clone)]
pub struct ConfigErrors(pub(super) Vec<ConfigError>);

impl ConfigErrors {
    /// The faults. Never empty.
    pub fn all(&self) -> &[ConfigError] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("no fault in the configuration; this is a bug"),
            [one] => write!(
                f,
                "one fault in the configuration, in {}",
                one.source_name()
            ),
            [first, rest @ ..] => {
                write!(f, "{} faults in the configuration", rest.len() + 1)?;
                let in_one = rest
                    .iter()
                    .all(|error| error.source_name() == first.source_name());
                if in_one {
                    write!(f, ", in {}", first.source_name())
                } else {
                    Ok(())
                }
            }
        }
    }
}

impl std::error::Error for ConfigErrors {}

impl Diagnostic for ConfigErrors {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(
            self.0.iter().map(|error| error as &dyn Diagnostic),
        ))
    }
}
