//! Sigma rules that somebody brings along, as hunts over our tables.
//!
//! What must stay true: a rule is translated whole, or refused with what it asks for; nothing in it
//! is passed over, since a rule that quietly asks for less finds nothing without a word. What a rule
//! means is in the Sigma specification 2 (<https://github.com/SigmaHQ/sigma-specification>). The
//! `sigma-rust` crate says whether a text is a rule. Deliberately not here: correlation rules.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use davylamp_content::hunt::{ExplainPiece, Hunt, Piece};
use davylamp_model::finding::Severity;
use serde_norway::Value;
use walkdir::WalkDir;

mod condition;
mod field;
mod log;

use log::Log;

/// A rule may have this many bytes; the longest of SigmaHQ's has some twenty thousand.
const MAX_RULE_BYTES: u64 = 1 << 20;

/// What a folder of rules came to.
#[derive(Debug, Default)]
pub struct Brought {
    /// The rules that can be asked, as hunts called `sigma/` and their file.
    pub hunts: Vec<Hunt>,
    /// Those that cannot.
    pub refused: Vec<Refused>,
    /// How many are about logs that are none of ours, such as those of Windows.
    pub elsewhere: u64,
}

/// A rule that cannot be asked.
#[derive(Debug)]
pub struct Refused {
    /// Its file.
    pub file: PathBuf,
    /// Why.
    pub why: Trouble,
}

/// Why a rule cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It could not be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It is no rule.
    #[error("it is no Sigma rule: {0}")]
    NoRule(String),
    /// Its authors took it back.
    #[error("its status is {0}")]
    Withdrawn(String),
    /// It is about other logs.
    #[error("it is about other logs: {0}")]
    Elsewhere(String),
    /// It asks for something that is not translated.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// No column holds a field.
    #[error("the table {table} has no column for the field {field}")]
    NoColumn {
        /// The table.
        table: &'static str,
        /// The field.
        field: String,
    },
    /// Its condition cannot be followed.
    #[error("its condition cannot be followed: {0}")]
    Condition(String),
}

/// Reads every rule in a folder, however deep, or the one that the path is.
///
/// # Errors
/// When the folder cannot be listed.
pub fn read(folder: &Path) -> Result<Brought, io::Error> {
    // A folder that is not there is an error, and not one without rules.
    fs::metadata(folder)?;
    let mut brought = Brought::default();
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.map_err(io::Error::from)?;
        let path = entry.path();
        let is_rule = path.extension().is_some_and(|ending| {
            ending.eq_ignore_ascii_case("yml") || ending.eq_ignore_ascii_case("yaml")
        });
        if !entry.file_type().is_file() || !is_rule {
            continue;
        }
        let name = path.strip_prefix(folder).unwrap_or(path);
        let name = match name.as_os_str().is_empty() {
            true => path.file_stem().map(PathBuf::from).unwrap_or_default(),
            false => name.with_extension(""),
        };
        let name = format!("sigma/{}", name.display());
        match text_of(path).and_then(|text| hunt(&name, &text)) {
            Ok(hunt) => brought.hunts.push(hunt),
            Err(Trouble::Elsewhere(_)) => brought.elsewhere += 1,
            Err(why) => brought.refused.push(Refused {
                file: path.to_owned(),
                why,
            }),
        }
    }
    Ok(brought)
}

fn text_of(path: &Path) -> Result<String, Trouble> {
    let unreadable = |error: io::Error| Trouble::Unreadable(error.to_string());
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_RULE_BYTES {
        let why = format!("{size} bytes are more than a rule has");
        return Err(Trouble::Unreadable(why));
    }
    fs::read_to_string(path).map_err(unreadable)
}

/// The hunt that a rule is.
///
/// # Errors
/// Why it cannot be one.
pub fn hunt(name: &str, text: &str) -> Result<Hunt, Trouble> {
    // Logs first: most rules of a collection are about others, with whatever they need there.
    let raw: Value =
        serde_norway::from_str(text).map_err(|error| Trouble::NoRule(error.to_string()))?;
    let log = Log::of(raw.get("logsource").unwrap_or(&Value::Null))?;
    let word = |name: &str| raw.get(name).and_then(Value::as_str).unwrap_or_default();
    let status = word("status");
    if matches!(status, "deprecated" | "unsupported") {
        return Err(Trouble::Withdrawn(status.to_owned()));
    }
    // What is not supported is named before the library finds that it cannot read it.
    let detection = raw.get("detection").unwrap_or(&Value::Null);
    let (condition, needs) = condition::sql(log, detection)?;
    let rule =
        sigma_rust::rule_from_yaml(text).map_err(|error| Trouble::NoRule(error.to_string()))?;
    // How sure its authors are, who have not seen these logs.
    let score = match status {
        "stable" => 60,
        "test" => 50,
        _ => 40,
    };
    let severity = match word("level") {
        "informational" | "low" => Severity::Low,
        "high" => Severity::High,
        "critical" => Severity::Critical,
        _ => Severity::Medium,
    };
    Ok(Hunt {
        name: name.to_owned(),
        explain: explain(&rule.title, log),
        reason: reason(rule.description, rule.references),
        title: rule.title,
        techniques: techniques(&rule.tags.unwrap_or_default()),
        severity,
        // Whoever wrote the rule did not have acting in mind.
        behaviour: None,
        tables: vec![log.table],
        needs,
        evidence: log.evidence(),
        benign: rule.falsepositives.unwrap_or_default(),
        next: vec![
            "read the rule's references, and the records at the places in first_record".to_owned(),
        ],
        entities: log.entities(),
        parameters: Vec::new(),
        columns: log.columns(),
        query: vec![Piece::Text(log.query(score, &condition))],
    })
}

/// Why a row was found.
fn explain(title: &str, log: &Log) -> Vec<ExplainPiece> {
    let mut pieces = vec![
        ExplainPiece::Text(format!("the Sigma rule \"{title}\" fits ")),
        ExplainPiece::Column("records".to_owned()),
        ExplainPiece::Text(" records".to_owned()),
    ];
    for column in log.said {
        pieces.push(ExplainPiece::Text(", ".to_owned()));
        pieces.push(ExplainPiece::Column((*column).to_owned()));
    }
    pieces
}

/// What the rule is for, and what it was drawn from.
fn reason(description: Option<String>, references: Option<Vec<String>>) -> String {
    let parts = description
        .into_iter()
        .chain(references.into_iter().flatten());
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

/// The techniques among a rule's tags: `attack.t1078.004` is T1078.004.
fn techniques(tags: &[String]) -> Vec<String> {
    let technique = |tag: &String| {
        let tag = tag.to_ascii_lowercase();
        let number = tag.strip_prefix("attack.t")?;
        number
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
            .then(|| format!("T{number}"))
    };
    tags.iter().filter_map(technique).collect()
}
