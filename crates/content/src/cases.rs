//! Case files: which command lines a blocklist must kill and which it must leave alone.
//!
//! A case file lies beside its blocklist. It is a list under `cases`; each case has a `command`,
//! its expectation (`kill: <the string that matches>` or `clean: true`), and `why`. The judge runs
//! them; this module only reads them.

use std::sync::Arc;

use crate::fields::Fields;
use crate::problem::{Faults, Trouble};
use crate::source::{Source, Text};

/// A case's command line may have this many bytes.
const MAX_COMMAND_BYTES: usize = 1 << 16;

/// A case's reason or banned string may have this many bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// One command line and what must happen to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The arguments, joined by single spaces.
    pub command: String,
    /// What must happen.
    pub expect: Expect,
    /// What the case shows.
    pub why: String,
    /// The line in the case file, from 1.
    pub line: usize,
}

/// What must happen to a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// It is killed.
    Kill {
        /// The banned string that matches, as the blocklist writes it. Where several match, one
        /// of them.
        by: String,
    },
    /// It runs.
    Clean,
}

/// Reads a case file.
///
/// # Errors
/// Every fault of the file.
pub fn parse(source: Source<'_>) -> Result<Vec<Case>, Faults> {
    let text = Arc::new(Text::new(source.name, source.text));
    let mut fields = Fields::new(&text);
    let documents = fields.tree.documents.clone();
    let mut cases = Vec::new();
    for document in &documents {
        let Some(keys) = fields.record(*document, "a case file", &["cases"]) else {
            continue;
        };
        let items = keys
            .get("cases")
            .and_then(|list| fields.list(*list))
            .unwrap_or_default();
        for item in items {
            cases.extend(case(&mut fields, item));
        }
    }
    if cases.is_empty() {
        fields.problems.push_unless_faulty(0..0, Trouble::Empty);
    }
    match fields.problems.finish() {
        (faults, _) if faults.is_empty() => Ok(cases),
        (faults, warnings) => Err(Faults::new(faults, warnings)),
    }
}

fn case(fields: &mut Fields<'_>, id: crate::tree::NodeId) -> Option<Case> {
    let place = "a case";
    let keys = fields.record(id, place, &["command", "kill", "clean", "why"])?;
    let mut text = |key: &'static str, limit: usize| match keys.get(key) {
        Some(value) => fields.string(*value, place, limit),
        None => {
            fields.fault(
                id,
                Trouble::MissingKey {
                    key,
                    place: place.to_owned(),
                },
            );
            None
        }
    };
    let command = text("command", MAX_COMMAND_BYTES);
    let why = text("why", MAX_TEXT_BYTES);
    let expect = match (keys.get("kill"), keys.get("clean")) {
        (Some(by), None) => Some(Expect::Kill {
            by: fields.string(*by, place, MAX_TEXT_BYTES)?,
        }),
        (None, Some(clean)) => match fields.boolean(*clean) {
            Some(true) => Some(Expect::Clean),
            Some(false) => {
                let expected = "true, or `kill: <string>`".to_owned();
                fields.fault(
                    *clean,
                    Trouble::Expected {
                        expected,
                        found: "false",
                    },
                );
                None
            }
            None => None,
        },
        (Some(_), Some(clean)) => {
            let expected = "either `kill` or `clean`".to_owned();
            fields.fault(
                *clean,
                Trouble::Expected {
                    expected,
                    found: "both",
                },
            );
            None
        }
        (None, None) => {
            let expected = "`kill: <string>` or `clean: true`".to_owned();
            fields.fault(
                id,
                Trouble::Expected {
                    expected,
                    found: "neither",
                },
            );
            None
        }
    };
    let line = fields.text.line_and_column(fields.span(id).start).0;
    Some(Case {
        command: command?,
        expect: expect?,
        why: why?,
        line,
    })
}
