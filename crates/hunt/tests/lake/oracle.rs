//! Another engine gives the same rows: every case of every shipped hunt on DuckDB, over the tables
//! that our readers made of its logs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use davylamp_content::hunt;
use davylamp_hunt::arrow::datatypes::DataType;
use davylamp_hunt::engine::Engine;
use davylamp_hunt::read;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::cases::{ask, is_ready, is_same, open};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/duck.py");

/// A case as it was answered here, and as the other engine is asked.
pub struct Asked {
    pub name: String,
    pub rows: Vec<Map<String, Value>>,
    pub question: Value,
}

#[test]
fn duckdb_gives_the_same_rows() {
    let folder = tempfile::tempdir().expect("there is room");
    let runtime = tokio::runtime::Runtime::new().expect("there are threads");
    let mut asked = Vec::new();
    for parsed in hunt::shipped().expect("what ships is good") {
        if !parsed.hunt.tables.iter().all(|table| is_ready(*table)) {
            continue;
        }
        for case in &parsed.cases {
            let home = folder.path().join(asked.len().to_string());
            std::fs::create_dir(&home).expect("there is room");
            let sql = parsed.hunt.sql(&case.parameters).expect("its values fit");
            let tables = parsed.hunt.tables.iter().map(|table| table.name());
            let (rows, tables) = runtime.block_on(async {
                let engine = open(&home, case).await;
                let mut exported = Vec::new();
                for table in tables {
                    exported.push(export(&engine, table, &home).await);
                }
                (ask(&engine, &sql).await, exported)
            });
            let name = format!("{}, {}", parsed.hunt.name, case.name);
            asked.push(Asked {
                rows: rows.unwrap_or_else(|error| panic!("{name}: {error}")),
                name,
                question: json!({ "sql": sql, "tables": tables }),
            });
        }
    }
    let answers = duckdb(&asked);
    assert_eq!(answers.len(), asked.len());
    let wrong: Vec<String> = asked
        .iter()
        .zip(&answers)
        .filter(|(asked, answer)| !agree(&asked.rows, answer))
        .map(|(asked, answer)| format!("{}\nhere {:?}\nthere {answer}", asked.name, asked.rows))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Writes a table as JSON lines, and says what its columns are.
async fn export(engine: &Engine, table: &str, home: &Path) -> Value {
    let sql = format!("SELECT * FROM {table}");
    let rows = ask(engine, &sql).await.expect("the log can be read");
    let path = home.join(format!("{table}.jsonl"));
    let lines: String = rows
        .iter()
        .map(|row| json!(row).to_string() + "\n")
        .collect();
    std::fs::write(&path, lines).expect("there is room");
    let log = read::log(table).expect("it has a reader");
    let columns = log.table().columns.iter();
    let columns: Vec<Value> = columns
        .map(|column| json!([column.name, type_of(&column.kind.data_type())]))
        .collect();
    json!({ "name": table, "columns": columns, "path": path, "rows": rows.len() })
}

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
    let mut child = Command::new(python())
        .arg(SCRIPT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python is there: scripts/setup test installs it");
    let mut stdin = child.stdin.take().expect("it is piped");
    let text = json!(questions).to_string();
    // The script reads all of it before it writes anything.
    stdin.write_all(text.as_bytes()).expect("the script reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "see what it wrote above");
    serde_json::from_slice(&output.stdout).expect("the script writes a list")
}

/// Where `scripts/setup test` puts the Python tools.
fn python() -> PathBuf {
    let given = std::env::var_os("DAVYLAMP_CACHE").filter(|dir| !dir.is_empty());
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let cache = given.map_or_else(|| home().join(".cache/davylamp"), PathBuf::from);
    cache.join("python/bin/python")
}

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
