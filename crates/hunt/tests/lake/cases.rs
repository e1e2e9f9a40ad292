//! Every case of every shipped hunt: its logs written as real ones, read by the real readers.

use std::collections::BTreeMap;
use std::path::Path;

use davylamp_content::hunt::cases::Case;
use davylamp_content::hunt::{self, Parsed, Table};
use davylamp_hunt::engine::{Engine, Setup};
use davylamp_hunt::read::{self, Given};
use davylamp_hunt::run::rows;
use futures::StreamExt;
use serde_json::{Map, Value};

/// Tables whose hunts cannot run yet, with the reason. A table that gets a reader of all its
/// columns must leave the list.
const PENDING: &[(Table, &str)] = &[];

/// How far apart two numbers may be that are the same: engines add up in different orders.
const CLOSE: f64 = 1e-9;

/// Whether a reader gives all columns of a table.
pub fn is_ready(table: Table) -> bool {
    let Some(log) = read::log(table.name()) else {
        return false;
    };
    let mut columns = table.columns();
    columns.all(|column| log.table().index_of(column).is_some())
}

#[test]
fn no_table_that_is_ready_is_still_pending() {
    for (table, _) in Table::ALL {
        let is_pending = PENDING.iter().any(|(pending, _)| pending == table);
        assert_ne!(is_ready(*table), is_pending, "{table:?}");
    }
}

#[test]
fn every_case_of_every_shipped_hunt_gives_its_rows() {
    let mut wrong = Vec::new();
    for parsed in hunt::shipped().expect("what ships is good") {
        if !parsed.hunt.tables.iter().all(|table| is_ready(*table)) {
            continue;
        }
        for case in &parsed.cases {
            if let Err(what) = check(&parsed, case) {
                wrong.push(format!("{}, {}: {what}", parsed.hunt.name, case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn check(parsed: &Parsed, case: &Case) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("there is room");
    let runtime = tokio::runtime::Runtime::new().expect("there are threads");
    let sql = parsed.hunt.sql(&case.parameters);
    let sql = sql.map_err(|errors| format!("{errors:?}"))?;
    let found = runtime.block_on(async {
        let engine = open(folder.path(), case).await;
        ask(&engine, &sql).await
    })?;
    let is_right = found.len() == case.rows.len()
        && found
            .iter()
            .zip(&case.rows)
            .all(|(found, row)| is_within(row, found));
    match is_right {
        true => Ok(()),
        false => Err(format!("expected {:?}\nfound {found:?}", case.rows)),
    }
}

/// An engine over the logs of a case.
pub async fn open(folder: &Path, case: &Case) -> Engine {
    let mut locations = Vec::new();
    for (table, records) in case.logs() {
        let path = folder.join(table.name());
        std::fs::write(&path, hunt::render(table, &records)).expect("there is room");
        let place = format!("{}={}", table.name(), path.display());
        locations.push(place.parse().expect("it is a place"));
    }
    let setup = Setup {
        locations,
        given: Given::shipped().expect("what ships is good"),
        threads: Some(2),
        ..Setup::default()
    };
    Engine::open(setup).await.expect("the folder can be listed")
}

/// The rows of a query.
pub async fn ask(engine: &Engine, sql: &str) -> Result<Vec<Map<String, Value>>, String> {
    let told = |error: &dyn std::error::Error| match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    let mut answer = engine.sql(sql).await.map_err(|error| told(&error))?;
    let mut found = Vec::new();
    while let Some(batch) = answer.batches.next().await {
        let batch = batch.map_err(|error| told(&error))?;
        found.extend(rows(&batch).map_err(|error| told(&error))?);
    }
    Ok(found)
}

/// Whether a row has the values of the columns that are named.
fn is_within(named: &Map<String, Value>, row: &Map<String, Value>) -> bool {
    let mut named = named.iter();
    named.all(|(column, value)| row.get(column).is_some_and(|found| is_same(value, found)))
}

/// Whether two cells are the same.
pub fn is_same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() <= CLOSE * one.abs().max(1.0),
        _ => one == other,
    }
}

#[test]
fn rows_are_compared_by_what_they_mean() {
    let map = |pairs: &[(&str, Value)]| {
        let pairs = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()));
        Map::from_iter(pairs.collect::<BTreeMap<_, _>>())
    };
    let row = map(&[("a", 1.into()), ("b", Value::Null)]);
    assert!(is_within(&map(&[("a", 1.0.into())]), &row));
    assert!(is_within(&map(&[]), &row));
    assert!(!is_within(&map(&[("a", 2.into())]), &row));
    assert!(!is_within(&map(&[("c", Value::Null)]), &row));
    assert!(!is_within(&map(&[("b", "".into())]), &row));
}
