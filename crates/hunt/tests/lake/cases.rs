//! Every case of every shipped hunt: its logs written as real ones, read by the real readers; and
//! over the lake that is made of them, here and by another engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use davylamp_content::hunt::cases::Case;
use davylamp_content::hunt::{self, Parsed, Table};
use davylamp_hunt::convert::{Bounds, Shard, convert};
use davylamp_hunt::engine::{Engine, Setup};
use davylamp_hunt::objects::Scope;
use davylamp_hunt::read::{self, Given};
use davylamp_hunt::run::rows;
use davylamp_hunt::tally::Run;
use futures::StreamExt;
use serde_json::{Map, Value, json};

use crate::convert::engine;
use crate::oracle::{Asked, agree, duckdb, type_of};

/// Tables whose hunts cannot run yet, with the reason. A table that gets a reader of all its
/// columns must leave the list.
const PENDING: &[(Table, &str)] = &[];

/// How far apart two numbers may be that are the same: engines add up in different orders.
const CLOSE: f64 = 1e-9;

/// Whether a reader gives all columns of a table.
fn is_ready(table: Table) -> bool {
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

/// A test for the hunts of each table, so that they run side by side.
macro_rules! tests {
    ($($test:ident: $table:expr,)*) => {
        $(
            #[test]
            fn $test() {
                check($table);
            }
        )*

        #[test]
        fn every_shipped_hunt_has_its_test() {
            for parsed in hunt::shipped().expect("what ships is good") {
                let table = parsed.hunt.tables.first().expect("a hunt asks a table");
                assert!([$($table),*].contains(table), "{}", parsed.hunt.name);
            }
        }
    };
}

tests! {
    every_case_over_vpc_flow_gives_its_rows_everywhere: Table::VpcFlow,
    every_case_over_cloudtrail_gives_its_rows_everywhere: Table::CloudTrail,
    every_case_over_dns_query_gives_its_rows_everywhere: Table::DnsQuery,
    every_case_over_guardduty_gives_its_rows_everywhere: Table::GuardDuty,
    every_case_over_eks_audit_gives_its_rows_everywhere: Table::EksAudit,
    every_case_over_guard_gives_its_rows_everywhere: Table::Guard,
}

/// Every case of the hunts of a table gives its rows over the logs; and all of them, with every
/// column, over a lake made of the logs, here and on another engine.
fn check(table: Table) {
    let folder = tempfile::tempdir().expect("there is room");
    let runtime = tokio::runtime::Runtime::new().expect("there are threads");
    let mut asked = Vec::new();
    let mut wrong = Vec::new();
    for parsed in hunt::shipped().expect("what ships is good") {
        let is_ours = parsed.hunt.tables.first() == Some(&table);
        if !is_ours || !parsed.hunt.tables.iter().all(|table| is_ready(*table)) {
            continue;
        }
        for case in &parsed.cases {
            let home = folder.path().join(asked.len().to_string());
            let name = format!("{}, {}", parsed.hunt.name, case.name);
            match runtime.block_on(here(&parsed, case, &home)) {
                Ok((rows, question)) => asked.push(Asked {
                    name,
                    rows,
                    question,
                }),
                Err(what) => wrong.push(format!("{name}: {what}")),
            }
        }
    }
    let answers = duckdb(&asked);
    assert_eq!(answers.len(), asked.len());
    for (asked, answer) in asked.iter().zip(&answers) {
        if !agree(&asked.rows, answer) {
            let Asked { name, rows, .. } = asked;
            wrong.push(format!("{name}\nhere {rows:?}\nthere {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// The rows of a case over its logs and over a lake, where they are the same and those expected;
/// and the question to the other engine.
pub async fn here(
    parsed: &Parsed,
    case: &Case,
    home: &Path,
) -> Result<(Vec<Map<String, Value>>, Value), String> {
    let (logs, lake) = (home.join("logs"), home.join("lake"));
    std::fs::create_dir_all(&logs).expect("there is room");
    let sql = parsed.hunt.sql(&case.parameters);
    let sql = sql.map_err(|errors| format!("{errors:?}"))?;
    let raw = open(&logs, case).await;
    let found = ask(&raw, &sql).await?;
    let is_right = found.len() == case.rows.len()
        && found
            .iter()
            .zip(&case.rows)
            .all(|(found, row)| is_within(row, found));
    if !is_right {
        return Err(format!("expected {:?}\nfound {found:?}", case.rows));
    }
    let (bounds, run) = (Bounds::default(), Arc::new(Run::default()));
    let converted = convert(&raw, &lake, Shard::default(), bounds, &run).await;
    if !converted.is_ok_and(|converted| converted.is_complete()) {
        return Err("its logs were not wholly converted".to_owned());
    }
    let over = engine(&lake, Scope::default()).await;
    let again = ask(&over, &sql).await?;
    if again != found {
        return Err(format!("logs {found:?}\nlake {again:?}"));
    }
    let tables = parsed.hunt.tables.iter();
    let tables: Vec<Value> = tables
        .map(|table| question(&over, table.name(), &lake))
        .collect();
    Ok((found, json!({ "sql": sql, "tables": tables })))
}

/// A table of the lake as the other engine is asked for it.
fn question(engine: &Engine, table: &str, lake: &Path) -> Value {
    let columns = read::log(table).expect("it has a reader").table().columns;
    let columns: Vec<Value> = columns
        .iter()
        .map(|column| json!([column.name, type_of(&column.kind.data_type())]))
        .collect();
    let has_files = engine
        .objects()
        .any(|(name, count)| name == table && count > 0);
    json!({
        "name": table,
        "columns": columns,
        "lake": has_files.then(|| lake.join(table).join("**/*.parquet")),
    })
}

/// An engine over the logs of a case.
async fn open(folder: &Path, case: &Case) -> Engine {
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
