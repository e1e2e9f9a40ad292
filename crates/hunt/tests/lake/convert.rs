//! Logs converted into a lake: the same rows, each once, whatever ends the conversion.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use davylamp_content::hunt;
use davylamp_hunt::convert::{Bounds, ConvertError, Converted, Shard, convert};
use davylamp_hunt::engine::{Engine, Setup};
use davylamp_hunt::lake::LakeError;
use davylamp_hunt::objects::Scope;
use davylamp_hunt::read::{self, Given};
use davylamp_hunt::tally::{Run, summary};
use serde_json::{Value, json};

use crate::cases::{ask, is_ready, open};
use crate::oracle::{Asked, agree, duckdb, type_of};
use crate::support::gzip;

/// Small batches, so that there are many.
const SMALL: Bounds = Bounds {
    batch_bytes: 64 << 10,
    batch_objects: 5,
    waiting_bytes: 256 << 10,
};

/// What a process of its own is told by.
const LOGS: &str = "DAVYLAMP_TEST_LOGS";
const LAKE: &str = "DAVYLAMP_TEST_LAKE";
const SHARD: &str = "DAVYLAMP_TEST_SHARD";

/// How often a conversion is killed.
const KILLS: u64 = 25;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("there are threads")
}

async fn engine(place: &Path, scope: Scope) -> Engine {
    let setup = Setup {
        locations: vec![place.display().to_string().parse().expect("it is a place")],
        given: Given::shipped().expect("what ships is good"),
        scope,
        threads: Some(2),
        ..Setup::default()
    };
    Engine::open(setup).await.expect("the folder can be listed")
}

async fn converted(logs: &Path, lake: &Path, shard: Shard) -> Result<Converted, ConvertError> {
    let engine = engine(logs, Scope::default()).await;
    convert(&engine, lake, shard, SMALL, &Arc::default()).await
}

/// Every row of a table by its place, with how often it is there.
async fn places(place: &Path, table: &str) -> BTreeMap<String, u64> {
    let engine = engine(place, Scope::default()).await;
    let sql = format!("SELECT _source, COUNT(*) AS n FROM {table} GROUP BY 1");
    let rows = ask(&engine, &sql).await.expect("the rows can be read");
    let row = |row: &serde_json::Map<String, Value>| {
        let source = row["_source"].as_str().expect("it is a text").to_owned();
        (source, row["n"].as_u64().expect("it is a number"))
    };
    rows.iter().map(row).collect()
}

/// A flow log of some lines, laid out as AWS does.
fn flow_log(home: &Path, number: usize, lines: usize) -> PathBuf {
    let (account, day) = (111_122_223_330_u64 + number as u64 % 3, number % 5 + 1);
    let folder = home.join(format!(
        "AWSLogs/{account}/vpcflowlogs/eu-west-1/2026/03/0{day}"
    ));
    std::fs::create_dir_all(&folder).expect("there is room");
    let start = 1_772_323_200 + day * 86_400;
    let line = |line: usize| {
        format!(
            "2 {account} eni-{number} 10.0.{}.{} 198.51.100.{} {} 443 6 {line} 840 {} {} ACCEPT OK\n",
            number % 250,
            line % 250,
            line % 200,
            40_000 + line % 9000,
            start + line,
            start + line + 60,
        )
    };
    let text: String = (0..lines).map(line).collect();
    let path = folder.join(format!("{number}.log.gz"));
    std::fs::write(&path, gzip(text.as_bytes())).expect("there is room");
    path
}

fn logs(home: &Path, objects: usize) {
    for number in 0..objects {
        flow_log(home, number, 40 + number * 7 % 300);
    }
}

#[test]
fn every_case_of_every_shipped_hunt_gives_its_rows_over_the_lake_here_and_in_duckdb() {
    let folder = tempfile::tempdir().expect("there is room");
    let runtime = runtime();
    let mut asked = Vec::new();
    let mut wrong = Vec::new();
    for parsed in hunt::shipped().expect("what ships is good") {
        if !parsed.hunt.tables.iter().all(|table| is_ready(*table)) {
            continue;
        }
        for case in &parsed.cases {
            let home = folder.path().join(asked.len().to_string());
            let (logs, lake) = (home.join("logs"), home.join("lake"));
            std::fs::create_dir_all(&logs).expect("there is room");
            let sql = parsed.hunt.sql(&case.parameters).expect("its values fit");
            let name = format!("{}, {}", parsed.hunt.name, case.name);
            let (raw, rows, tables) = runtime.block_on(async {
                let raw = open(&logs, case).await;
                let run = Arc::new(Run::default());
                let done = convert(&raw, &lake, Shard::default(), Bounds::default(), &run).await;
                assert!(done.expect("it can be written").is_complete(), "{name}");
                let over = engine(&lake, Scope::default()).await;
                let mut tables = Vec::new();
                for table in parsed.hunt.tables.iter().map(|table| table.name()) {
                    tables.push(question(&over, table, &lake).await);
                }
                (ask(&raw, &sql).await, ask(&over, &sql).await, tables)
            });
            let rows = rows.unwrap_or_else(|error| panic!("{name}: {error}"));
            if raw.as_ref() != Ok(&rows) {
                wrong.push(format!("{name}\nlogs {raw:?}\nlake {rows:?}"));
            }
            asked.push(Asked {
                rows,
                name,
                question: json!({ "sql": sql, "tables": tables }),
            });
        }
    }
    let answers = duckdb(&asked);
    assert_eq!(answers.len(), asked.len());
    for (asked, answer) in asked.iter().zip(&answers) {
        if !agree(&asked.rows, answer) {
            wrong.push(format!(
                "{}\nhere {:?}\nthere {answer}",
                asked.name, asked.rows
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// A table of the lake as the other engine is asked for it.
async fn question(engine: &Engine, table: &str, lake: &Path) -> Value {
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
        "lake": lake.join(table).join("**/*.parquet"),
        "rows": usize::from(has_files),
    })
}

#[test]
fn the_lake_has_every_value_of_the_logs() {
    let home = tempfile::tempdir().expect("there is room");
    let (logs_at, lake) = (home.path().join("logs"), home.path().join("lake"));
    logs(&logs_at, 12);
    runtime().block_on(async {
        let done = converted(&logs_at, &lake, Shard::default()).await;
        assert_eq!(done.expect("it can be written").objects, 12);
        let sql = "SELECT * FROM vpc_flow ORDER BY _source";
        let raw = ask(&engine(&logs_at, Scope::default()).await, sql).await;
        let over = ask(&engine(&lake, Scope::default()).await, sql).await;
        assert!(raw.is_ok_and(|rows| !rows.is_empty() && Ok(rows) == over));
    });
}

#[test]
fn what_was_converted_is_not_converted_again_unless_it_has_changed() {
    let home = tempfile::tempdir().expect("there is room");
    let (logs_at, lake) = (home.path().join("logs"), home.path().join("lake"));
    logs(&logs_at, 12);
    runtime().block_on(async {
        let convert = async || {
            converted(&logs_at, &lake, Shard::default())
                .await
                .expect("it can")
        };
        let first = convert().await;
        assert_eq!((first.objects, first.known), (12, 0));
        let second = convert().await;
        assert_eq!((second.objects, second.files, second.known), (0, 0, 12));
        flow_log(&logs_at, 12, 10);
        flow_log(&logs_at, 3, 5);
        let third = convert().await;
        assert_eq!((third.objects, third.again, third.known), (2, 1, 11));
        assert_eq!(convert().await.known, 13);
        assert_eq!(
            places(&lake, "vpc_flow").await,
            places(&logs_at, "vpc_flow").await
        );
    });
}

#[test]
fn an_object_that_breaks_off_is_told_and_mended_later() {
    let home = tempfile::tempdir().expect("there is room");
    let (logs_at, lake) = (home.path().join("logs"), home.path().join("lake"));
    logs(&logs_at, 4);
    let path = flow_log(&logs_at, 4, 20_000);
    let whole = std::fs::read(&path).expect("it is there");
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("there is room");
    runtime().block_on(async {
        let convert = async || {
            converted(&logs_at, &lake, Shard::default())
                .await
                .expect("it can")
        };
        let first = convert().await;
        assert_eq!((first.objects, first.unread), (5, 1));
        assert!(!first.is_complete());
        assert_eq!(
            places(&lake, "vpc_flow").await,
            places(&logs_at, "vpc_flow").await
        );
        std::fs::write(&path, &whole).expect("there is room");
        let second = convert().await;
        assert_eq!((second.again, second.unread), (1, 0));
        let found = places(&lake, "vpc_flow").await;
        assert!(found.len() > 20_000 && found.values().all(|count| *count == 1));
    });
}

#[test]
fn days_accounts_and_regions_that_are_not_asked_for_are_not_opened() {
    let home = tempfile::tempdir().expect("there is room");
    let (logs_at, lake) = (home.path().join("logs"), home.path().join("lake"));
    logs(&logs_at, 15);
    runtime().block_on(async {
        converted(&logs_at, &lake, Shard::default())
            .await
            .expect("it can be written");
        let all = engine(&lake, Scope::default()).await;
        let files = all.objects().map(|(_, count)| count as u64).sum::<u64>();
        for (scope, filter) in [
            ("111122223331", "TRUE"),
            ("", "account_id = '111122223331'"),
            ("", "\"start\" >= TIMESTAMP '2026-03-05 00:00:00'"),
        ] {
            let scope = Scope {
                accounts: (!scope.is_empty())
                    .then(|| scope.to_owned())
                    .into_iter()
                    .collect(),
                ..Scope::default()
            };
            let engine = engine(&lake, scope.clone()).await;
            let sql = format!("SELECT _source FROM vpc_flow WHERE {filter}");
            let mut answer = engine.sql(&sql).await.expect("it is SQL");
            let mut rows = 0;
            while let Some(batch) = futures::StreamExt::next(&mut answer.batches).await {
                rows += batch.expect("it can be read").num_rows();
            }
            let read = answer.run.tables()["vpc_flow"].clone();
            assert!(
                read.objects > 0 && read.objects < files,
                "{filter}: {read:?}"
            );
            assert_eq!(read.objects + read.objects_pruned, files, "{filter}");
            let raw = ask(&crate::convert::engine(&logs_at, scope).await, &sql).await;
            assert_eq!(raw.map(|raw| raw.len()), Ok(rows), "{filter}");
        }
    });
}

#[test]
fn what_strangers_write_makes_no_folders() {
    let home = tempfile::tempdir().expect("there is room");
    let (logs_at, lake) = (home.path().join("logs"), home.path().join("lake"));
    std::fs::create_dir_all(&logs_at).expect("there is room");
    let event = |account: &str, time: &str| {
        json!({"eventVersion": "1.09", "eventTime": time, "eventName": "X", "eventSource": "y",
               "awsRegion": "../../etc", "recipientAccountId": account})
    };
    let records: Vec<Value> = ["../..", "a/b", "", "=", "111122223333"]
        .iter()
        .flat_map(|account| {
            ["2026-03-01T00:00:00Z", "0004-03-01T00:00:00Z", "never"]
                .map(|time| event(account, time))
        })
        .collect();
    let text = json!({ "Records": records }).to_string();
    std::fs::write(logs_at.join("trail.json"), text).expect("there is room");
    runtime().block_on(async {
        converted(&logs_at, &lake, Shard::default())
            .await
            .expect("it can be written");
        assert_eq!(
            places(&lake, "cloudtrail").await,
            places(&logs_at, "cloudtrail").await
        );
    });
    let mut folders: Vec<String> = walk(&lake.join("cloudtrail"));
    folders.retain(|folder| folder.contains("log_date"));
    folders.sort();
    let unknown = "__HIVE_DEFAULT_PARTITION__";
    let expected = [
        format!("log_account=111122223333/log_region={unknown}/log_date=2026-03-01"),
        format!("log_account=111122223333/log_region={unknown}/log_date={unknown}"),
        format!("log_account={unknown}/log_region={unknown}/log_date=2026-03-01"),
        format!("log_account={unknown}/log_region={unknown}/log_date={unknown}"),
    ];
    assert_eq!(folders, expected);
}

/// The folders below one, by name.
fn walk(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it is there").path();
        if path.is_dir() {
            let name = path
                .file_name()
                .expect("it has one")
                .to_string_lossy()
                .into_owned();
            let below = walk(&path);
            found.extend(below.iter().map(|below| format!("{name}/{below}")));
            found.push(name);
        }
    }
    found
}

#[test]
fn two_cannot_write_one_share_nor_share_out_differently_at_the_same_time() {
    let home = tempfile::tempdir().expect("there is room");
    let lake = davylamp_hunt::lake::Lake::new(home.path());
    let shard = |text: &str| text.parse::<Shard>().expect("it is a share");
    let first = lake.lease(shard("0/2")).expect("nobody else is there");
    assert!(matches!(lake.lease(shard("0/2")), Err(LakeError::Busy)));
    assert!(matches!(
        lake.lease(shard("0/3")),
        Err(LakeError::OtherShares)
    ));
    drop(lake.lease(shard("1/2")).expect("it is another share"));
    drop(first);
    lake.lease(shard("0/3")).expect("nobody else is there");
}

#[test]
fn shares_make_one_lake() {
    let home = tempfile::tempdir().expect("there is room");
    let (logs_at, lake) = (home.path().join("logs"), home.path().join("lake"));
    logs(&logs_at, 40);
    let mut workers: Vec<Child> = (0..3)
        .map(|index| child(&logs_at, &lake, &format!("{index}/3")))
        .collect();
    for worker in &mut workers {
        assert!(worker.wait().expect("it ends").success());
    }
    runtime().block_on(async {
        assert_eq!(
            places(&lake, "vpc_flow").await,
            places(&logs_at, "vpc_flow").await
        );
        let again = converted(&logs_at, &lake, Shard::default())
            .await
            .expect("it can");
        assert_eq!((again.objects, again.known), (0, 40));
    });
}

#[test]
fn a_conversion_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    let home = tempfile::tempdir().expect("there is room");
    let (logs_at, lake) = (home.path().join("logs"), home.path().join("lake"));
    logs(&logs_at, 60);
    // Any order will do, as long as it is none.
    let mut random = 0x2545_f491_4f6c_dd1d_u64 ^ u64::from(std::process::id());
    let mut killed = 0;
    for round in 0..KILLS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut worker = child(&logs_at, &lake, "0/1");
        let deadline = std::time::Instant::now() + Duration::from_millis(random % 400);
        // Killed while it works, wherever that is; one that is done sooner was not killed.
        while worker.try_wait().expect("it is ours").is_none() {
            if std::time::Instant::now() >= deadline {
                worker.kill().expect("it is ours");
                killed += 1;
            }
            std::thread::yield_now();
        }
        // Objects come, and change, between two lives.
        flow_log(&logs_at, 60 + round as usize, 30);
        if round % 5 == 0 {
            flow_log(&logs_at, round as usize, 11);
        }
    }
    assert!(killed > 0, "no conversion lived long enough to be killed");
    assert!(
        child(&logs_at, &lake, "0/1")
            .wait()
            .expect("it ends")
            .success()
    );
    runtime().block_on(async {
        let raw = places(&logs_at, "vpc_flow").await;
        assert_eq!(places(&lake, "vpc_flow").await, raw);
    });
}

/// A process of its own that converts.
fn child(logs: &Path, lake: &Path, shard: &str) -> Child {
    Command::new(std::env::current_exe().expect("it is there"))
        .args([
            "convert::converts_where_it_is_told_to",
            "--exact",
            "--nocapture",
        ])
        .env(LOGS, logs)
        .env(LAKE, lake)
        .env(SHARD, shard)
        .stdout(Stdio::null())
        .spawn()
        .expect("it is a program")
}

/// The other side of [`child`]; by itself it does nothing.
#[test]
fn converts_where_it_is_told_to() {
    let told = |name| std::env::var_os(name).map(PathBuf::from);
    let (Some(logs), Some(lake), Ok(shard)) = (told(LOGS), told(LAKE), std::env::var(SHARD)) else {
        return;
    };
    let shard = shard.parse().expect("it is a share");
    runtime().block_on(async {
        let engine = engine(&logs, Scope::default()).await;
        let run = Arc::new(Run::default());
        let done = convert(&engine, &lake, shard, SMALL, &run).await;
        let done = done.expect("it can be written");
        assert!(done.is_complete(), "{:?}", summary(&run));
    });
}
