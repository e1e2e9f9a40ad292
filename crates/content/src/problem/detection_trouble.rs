//! What can be wrong with a detection beside its grammar.

use thiserror::Error;

use super::Severity;

/// One kind of problem of a detection with what it needs to say.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "each variant's message says what its fields are"
)]
pub enum DetectionTrouble {
    #[error("`{name}` cannot be a name here")]
    Name { name: String },
    #[error("the detection is called `{name}`, its file `{file}`")]
    File { name: String, file: String },
    #[error("{what} is missing")]
    Lacks { what: &'static str },
    #[error("a detection is of command lines or of the wire, one of the two")]
    NeitherOrBoth,
    #[error("a score is from 1 to {most}")]
    Score { most: u8 },
    #[error("the expression is not usable: {message}")]
    Expression { message: String },
    #[error("an expression that looks at what stands around it")]
    LookAround,
    #[error("the expression's automaton would have more than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("this may match fewer than {least} characters")]
    MatchesTooLittle { least: usize },
    #[error("a program's name with a folder in it")]
    FolderInProgram,
    #[error("a domain as a program's name")]
    DomainAsProgram,
    #[error("`{text}` is there twice")]
    DuplicateLiteral { text: String },
    #[error("no words `{name}`")]
    NoWords {
        name: String,
        suggestion: Option<String>,
        known: String,
    },
    #[error("words `{name}` are in no rule")]
    UnusedWords { name: String },
    #[error("no case of kind `{kind}`")]
    NoCaseOfKind { kind: &'static str },
    #[error("case `{name}` is there twice")]
    DuplicateCase { name: String },
    #[error("no parameter `{name}`")]
    NoParameter { name: String, known: String },
    #[error("parameter `{name}` is missing")]
    LacksParameter { name: String },
    #[error("names that nothing is compared with")]
    NamesOfNothing,
    #[error("a detection of files that sees something on the wire as well")]
    FileAndWire,
    #[error("`{part}` is no part of a file")]
    FilePart { part: String },
}

impl DetectionTrouble {
    pub(super) fn severity(&self) -> Severity {
        Severity::Fault
    }

    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Name { .. } => "detection-name",
            Self::File { .. } => "detection-file",
            Self::Lacks { .. } => "missing-part",
            Self::NeitherOrBoth => "neither-or-both",
            Self::Score { .. } => "score",
            Self::Expression { .. } => "expression",
            Self::LookAround => "look-around",
            Self::TooLarge { .. } => "too-large",
            Self::MatchesTooLittle { .. } => "matches-too-little",
            Self::FolderInProgram => "folder-in-program",
            Self::DomainAsProgram => "domain-as-program",
            Self::DuplicateLiteral { .. } => "duplicate-literal",
            Self::NoWords { .. } => "no-words",
            Self::UnusedWords { .. } => "unused-words",
            Self::NoCaseOfKind { .. } => "no-case-of-kind",
            Self::DuplicateCase { .. } => "duplicate-case",
            Self::NoParameter { .. } => "no-parameter",
            Self::LacksParameter { .. } => "lacks-parameter",
            Self::NamesOfNothing => "names-of-nothing",
            Self::FileAndWire => "file-and-wire",
            Self::FilePart { .. } => "file-part",
        }
    }

    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Name { .. } | Self::File { .. } => "this name",
            Self::Score { .. } => "this score",
            Self::Expression { .. } | Self::LookAround | Self::TooLarge { .. } => "this expression",
            Self::DuplicateCase { .. } => "this case",
            _ => "here",
        }
    }

    pub(super) fn help(&self) -> String {
        match self {
            Self::Name { .. } => {
                "use lower-case letters, digits and single hyphens, such as `miner-program`".into()
            }
            Self::File { .. } => "give both the same name".into(),
            Self::Lacks { .. } => "add one".into(),
            Self::NeitherOrBoth => "give `words` or `sees`".into(),
            Self::Score { most } => {
                format!("{most} is enough to act by itself; weaker signs add up")
            }
            Self::Expression { .. } => {
                "expressions have the syntax of the Rust `regex` crate, over bytes".into()
            }
            Self::LookAround => {
                "leave out `^`, `$` and `\\b`: a word is found only where it stands by itself".into()
            }
            Self::TooLarge { .. } => {
                "make its counted repetitions smaller, or write `+` where the count does not matter"
                    .into()
            }
            Self::MatchesTooLittle { .. } => "write more of what is telling".into(),
            Self::FolderInProgram => "write the name of the file alone".into(),
            Self::DomainAsProgram => "let it count as `argument` or `anywhere`".into(),
            Self::DuplicateLiteral { .. } | Self::DuplicateCase { .. } => {
                "keep one of the two".into()
            }
            Self::NoWords {
                suggestion: Some(known),
                ..
            } => format!("did you mean `{known}`?"),
            Self::NoWords { known, .. } => format!("there are: {known}"),
            Self::NoParameter { known, .. } if known.is_empty() => {
                "what is seen here is judged by no number".into()
            }
            Self::NoParameter { known, .. } => format!("there are: {known}"),
            Self::LacksParameter { name } => format!("write `{name} = …` under `[parameters]`"),
            Self::NamesOfNothing => "only what a process does is compared with `names`".into(),
            Self::FileAndWire => "write a detection for each of the two".into(),
            Self::FilePart { .. } => {
                "write text, `hex:` and pairs of digits, or `elf:`, `random:` or `zeros:` with a \
                 number of bytes"
                    .into()
            }
            Self::UnusedWords { .. } => "name them in a rule, or remove them".into(),
            Self::NoCaseOfKind { .. } => {
                "a detection shows one that fires, a near miss one word away, a hostile variant and \
                 a benign twin"
                    .into()
            }
        }
    }
}
