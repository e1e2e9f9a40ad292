//! What can be wrong with a data file, and how it is told.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, SourceCode};
use serde::Serialize;

use crate::source::Text;

mod detection_trouble;
mod hunt_trouble;
mod playbook_trouble;
mod trouble;

pub use detection_trouble::DetectionTrouble;
pub use hunt_trouble::HuntTrouble;
pub use playbook_trouble::PlaybookTrouble;
pub use trouble::{Severity, Trouble};

/// No more problems than this are kept for one file; the rest are counted in one more. A wrong
/// file of megabytes must not cost gigabytes of messages.
pub(crate) const MAX_PROBLEMS_PER_FILE: usize = 1000;

/// One thing that is wrong, or looks wrong, at one place of one file. Print it with `miette`, or
/// take its [`ProblemRecord`] for JSON.
#[derive(Debug, Clone)]
pub struct Problem {
    trouble: Trouble,
    text: Arc<Text>,
    span: Range<usize>,
}

impl Problem {
    pub(crate) fn new(text: &Arc<Text>, span: Range<usize>, trouble: Trouble) -> Self {
        Self {
            trouble,
            text: Arc::clone(text),
            span: text.clip(span),
        }
    }

    /// What is wrong.
    pub fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        &self.text.name
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.text.line_and_column(self.span.start).0
    }

    /// The column, from 1, in characters.
    pub fn column(&self) -> usize {
        self.text.line_and_column(self.span.start).1
    }

    /// The problem as plain fields, for a log or an API.
    pub fn record(&self) -> ProblemRecord {
        ProblemRecord {
            file: self.text.name.clone(),
            line: self.line(),
            column: self.column(),
            severity: self.trouble.severity(),
            code: self.trouble.code(),
            message: self.trouble.to_string(),
            help: self.trouble.help(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.trouble.fmt(f)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.trouble.code()))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.trouble.severity() {
            Severity::Fault => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Note => miette::Severity::Advice,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.trouble.help()))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.text)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = Some(self.trouble.label().to_owned());
        let span = LabeledSpan::new(label, self.span.start, self.span.len());
        Some(Box::new(std::iter::once(span)))
    }
}

/// A [`Problem`] as plain fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProblemRecord {
    /// The name of the file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// How bad it is.
    pub severity: Severity,
    /// A stable name for this kind of problem.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// Why texts were refused: every fault of every text, with the warnings found on the way.
#[derive(Debug, Clone)]
pub struct Faults {
    faults: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Faults {
    /// Faults that were found, and what else was noticed.
    pub fn new(faults: Vec<Problem>, warnings: Vec<Problem>) -> Self {
        Self { faults, warnings }
    }

    /// The faults, in the order of the files and of their lines. Never empty.
    pub fn faults(&self) -> &[Problem] {
        &self.faults
    }

    /// Warnings and notes about the same files.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The faults as plain fields.
    pub fn records(&self) -> Vec<ProblemRecord> {
        self.faults.iter().map(Problem::record).collect()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.as_slice() {
            [fault] => write!(f, "one fault in {}", fault.file()),
            [first, .., last] if first.file() == last.file() => {
                write!(f, "{} faults in {}", self.faults.len(), first.file())
            }
            faults => write!(f, "{} faults in several files", faults.len()),
        }
    }
}

impl std::error::Error for Faults {}

impl Diagnostic for Faults {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(
            self.faults.iter().map(|fault| fault as &dyn Diagnostic),
        ))
    }
}

/// Collects the problems of one text and keeps them within [`MAX_PROBLEMS_PER_FILE`].
#[derive(Debug)]
pub(crate) struct Problems {
    text: Arc<Text>,
    faults: Vec<Problem>,
    warnings: Vec<Problem>,
    unlisted_faults: usize,
    unlisted_warnings: usize,
}

impl Problems {
    pub fn new(text: &Arc<Text>) -> Self {
        Self {
            text: Arc::clone(text),
            faults: Vec::new(),
            warnings: Vec::new(),
            unlisted_faults: 0,
            unlisted_warnings: 0,
        }
    }

    pub fn push(&mut self, span: Range<usize>, trouble: Trouble) {
        let (list, unlisted) = match trouble.severity() {
            Severity::Fault => (&mut self.faults, &mut self.unlisted_faults),
            Severity::Warning | Severity::Note => (&mut self.warnings, &mut self.unlisted_warnings),
        };
        if list.len() < MAX_PROBLEMS_PER_FILE {
            list.push(Problem::new(&self.text, span, trouble));
        } else {
            *unlisted += 1;
        }
    }

    /// Whether no fault has been told yet.
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Adds a problem about the file as a whole, unless a fault already explains it.
    pub fn push_unless_faulty(&mut self, span: Range<usize>, trouble: Trouble) {
        if self.faults.is_empty() {
            self.push(span, trouble);
        }
    }

    /// The faults, then the warnings, each in the order of the text.
    pub fn finish(mut self) -> (Vec<Problem>, Vec<Problem>) {
        self.faults.sort_by_key(|problem| problem.span.start);
        self.warnings.sort_by_key(|problem| problem.span.start);
        let end = self.text.text.len();
        if self.unlisted_faults > 0 {
            let trouble = Trouble::MoreFaults {
                count: self.unlisted_faults,
            };
            self.faults
                .push(Problem::new(&self.text, end..end, trouble));
        }
        if self.unlisted_warnings > 0 {
            let trouble = Trouble::MoreWarnings {
                count: self.unlisted_warnings,
            };
            self.warnings
                .push(Problem::new(&self.text, end..end, trouble));
        }
        (self.faults, self.warnings)
    }
}
