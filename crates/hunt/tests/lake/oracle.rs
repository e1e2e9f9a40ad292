//! Another engine, asked the same: DuckDB.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use davylamp_hunt::arrow::datatypes::DataType;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::cases::is_same;

/// A case as it was answered here, and as the other engine is asked.
pub struct Asked {
    pub name: String,
    pub rows: Vec<Map<String, Value>>,
    pub question: Value,
}

/// What the other engine calls a type.
pub fn type_of(kind: &DataType) -> &'static str {
    match kind {
        DataType::Int64 => "BIGINT",
        DataType::Float64 => "DOUBLE",
        DataType::Boolean => "BOOLEAN",
        DataType::Timestamp(..) => "TIMESTAMP",
        _ => "VARCHAR",
    }
}

/// Asks the other engine everything at once: its start takes longer than all the answers.
pub fn duckdb(asked: &[Asked]) -> Vec<Value> {
    let questions: Vec<&Value> = asked.iter().map(|asked| &asked.question).collect();
    python("tests/oracle/duck.py", &json!(questions))
}

/// Gives a script its questions, and reads its answers.
pub fn python(script: &str, questions: &Value) -> Vec<Value> {
    // From the crate's own folder, in which tests run.
    let mut child = Command::new(interpreter())
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python is there: scripts/setup test installs it");
    let mut stdin = child.stdin.take().expect("it is piped");
    // The script reads all of it before it writes anything.
    let written = stdin.write_all(questions.to_string().as_bytes());
    written.expect("the script reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "see what it wrote above");
    serde_json::from_slice(&output.stdout).expect("the script writes a list")
}

/// Where `scripts/setup test` puts the Python tools.
fn interpreter() -> PathBuf {
    let given = std::env::var_os("DAVYLAMP_CACHE").filter(|dir| !dir.is_empty());
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let cache = given.map_or_else(|| home().join(".cache/davylamp"), PathBuf::from);
    cache.join("python/bin/python")
}

/// Whether the other engine's answer has these rows.
pub fn agree(rows: &[Map<String, Value>], answer: &Value) -> bool {
    let Some(others) = answer["rows"].as_array() else {
        return false;
    };
    let same_row = |row: &Map<String, Value>, other: &Value| {
        other.as_object().is_some_and(|other| {
            other.len() == row.len()
                && row.iter().all(|(column, value)| {
                    let found = other.get(column);
                    found.is_some_and(|found| is_same_moment(value, found) || is_same(value, found))
                })
        })
    };
    rows.len() == others.len()
        && rows
            .iter()
            .zip(others)
            .all(|(row, other)| same_row(row, other))
}

/// Whether both are the same moment, with however many digits.
fn is_same_moment(one: &Value, other: &Value) -> bool {
    let moment = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    moment(one).is_some_and(|one| Some(one) == moment(other))
}
