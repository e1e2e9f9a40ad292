//! Logs converted into a lake: the same rows, each once, and only what is new.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use davylamp_hunt::convert::{Bounds, ConvertError, Converted, Shard, convert};
use davylamp_hunt::engine::{Engine, Setup};
use davylamp_hunt::objects::Scope;
use davylamp_hunt::read::Given;
use serde_json::{Value, json};

use crate::cases::ask;
use crate::support::gzip;

/// Small batches, so that there are many.
pub const SMALL: Bounds = Bounds {
    batch_bytes: 64 << 10,
    batch_objects: 5,
    waiting_bytes: 256 << 10,
    row_groups: 8,
};

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("there are threads")
}

pub async fn engine(place: &Path, scope: Scope) -> Engine {
    let setup = Setup {
        locations: vec![place.display().to_string().parse().expect("it is a place")],
        given: Given::shipped().expect("what ships is good"),
        scope,
        threads: Some(2),
        ..Setup::default()
    };
    Engine::open(setup).await.expect("the folder can be listed")
}

pub async fn converted(logs: &Path, lake: &Path, shard: Shard) -> Result<Converted, ConvertError> {
    let engine = engine(logs, Scope::default()).await;
    convert(&engine, lake, shard, SMALL, &Arc::default()).await
}

/// Every row of a table by its place, with how often it is there.
pub async fn places(place: &Path, table: &str) -> BTreeMap<String, u64> {
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
pub fn flow_log(home: &Path, number: usize, lines: usize) -> PathBuf {
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

pub fn logs(home: &Path, objects: usize) {
    for number in 0..objects {
        flow_log(home, number, 40 + number * 7 % 300);
    }
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
fn a_file_is_ended_before_its_row_groups_are_too_many() {
    let home = tempfile::tempdir().expect("there is room");
    let (logs_at, lake) = (home.path().join("logs"), home.path().join("lake"));
    flow_log(&logs_at, 0, 20_000);
    let one_by_one = Bounds {
        waiting_bytes: 0,
        row_groups: 1,
        ..SMALL
    };
    runtime().block_on(async {
        let raw = engine(&logs_at, Scope::default()).await;
        let done = convert(&raw, &lake, Shard::default(), one_by_one, &Arc::default()).await;
        // Each batch of rows is a row group, and no file has more than two.
        assert!(done.is_ok_and(|done| done.files > 1 && done.rows == 20_000));
        assert_eq!(
            places(&lake, "vpc_flow").await,
            places(&logs_at, "vpc_flow").await
        );
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
        // Whoever asks the lake later is told as well, unless it is asked for another day.
        let lacking = async |scope| engine(&lake, scope).await.outside().clone();
        let told = lacking(Scope::default()).await;
        assert_eq!((told.objects_unreadable, told.samples.len()), (1, 1));
        let early = "2026-03-03T00:00:00Z".parse().ok();
        let early = Scope {
            until: early,
            ..Scope::default()
        };
        assert_eq!(lacking(early).await.objects_unreadable, 0);
        std::fs::write(&path, &whole).expect("there is room");
        let second = convert().await;
        assert_eq!((second.again, second.unread), (1, 0));
        let found = places(&lake, "vpc_flow").await;
        assert!(found.len() > 20_000 && found.values().all(|count| *count == 1));
        assert!(!lacking(Scope::default()).await.is_broken());
    });
}

#[test]
fn a_lake_remembers_what_its_logs_had_that_was_not_understood() {
    let home = tempfile::tempdir().expect("there is room");
    let (logs_at, lake) = (home.path().join("logs"), home.path().join("lake"));
    logs(&logs_at, 2);
    let path = flow_log(&logs_at, 2, 3);
    let text = "2 111122223332 eni-2 10.0.0.1 198.51.100.1 1 2 6 many 840 1772323200 1772323260 ACCEPT OK\nnot a flow\n";
    std::fs::write(&path, gzip(text.as_bytes())).expect("there is room");
    let nothing = flow_log(&logs_at, 3, 1);
    std::fs::write(&nothing, &gzip(b"2 1 eni-3 ")[..12]).expect("there is room");
    runtime().block_on(async {
        let done = converted(&logs_at, &lake, Shard::default()).await;
        assert_eq!(done.expect("it can be written").unread, 1);
        let told = engine(&lake, Scope::default()).await.outside().clone();
        assert_eq!(
            (told.objects_unreadable, told.bad_records),
            (1, 3),
            "{told:?}"
        );
        let place = path.display().to_string();
        let mut samples = told.samples.iter();
        assert!(samples.any(|fault| fault.place == place), "{told:?}");
    });
}

#[test]
fn a_lake_tells_what_was_no_log_and_what_is_gone() {
    let home = tempfile::tempdir().expect("there is room");
    let (logs_at, lake) = (home.path().join("logs"), home.path().join("lake"));
    logs(&logs_at, 4);
    let notes = logs_at.join("notes.txt");
    std::fs::write(&notes, "these are notes").expect("there is room");
    runtime().block_on(async {
        let convert = async || {
            let done = converted(&logs_at, &lake, Shard::default()).await;
            done.expect("it can be written");
            engine(&lake, Scope::default()).await.outside().clone()
        };
        let told = convert().await;
        assert_eq!(told.objects_unreadable, 1, "{told:?}");
        assert_eq!(told.samples[0].place, notes.display().to_string());
        std::fs::remove_file(&notes).expect("it is there");
        assert!(!convert().await.is_broken());
        let mut files = walkdir::WalkDir::new(&lake).into_iter().flatten();
        let rows = files.find(|it| it.path().extension().is_some_and(|kind| kind == "parquet"));
        std::fs::remove_file(rows.expect("there are some").path()).expect("it is there");
        let told = convert().await;
        assert_eq!(told.objects_unreadable, 1, "{told:?}");
        assert!(told.samples[0].what.contains("gone"), "{told:?}");
    });
}

#[test]
fn another_format_converts_flow_logs_anew() {
    let home = tempfile::tempdir().expect("there is room");
    let (log, lake) = (home.path().join("flow"), home.path().join("lake"));
    std::fs::write(&log, "10.0.0.5 8.8.8.8 1722500000\n").expect("there is room");
    runtime().block_on(async {
        for (format, rows) in [
            (None, 0),
            (Some("${srcaddr} ${dstaddr} ${start}"), 1),
            (Some("${srcaddr} ${dstaddr} ${start}"), 1),
        ] {
            let mut given = Given::shipped().expect("what ships is good");
            given.flow_format = format.map(|format| format.parse().expect("it is one"));
            let place = format!("vpc_flow={}", log.display());
            let setup = Setup {
                locations: vec![place.parse().expect("it is a place")],
                given,
                ..Setup::default()
            };
            let raw = Engine::open(setup).await.expect("it can be listed");
            let done = convert(&raw, &lake, Shard::default(), SMALL, &Arc::default()).await;
            assert!(done.is_ok(), "{done:?}");
            let found = places(&lake, "vpc_flow").await;
            assert_eq!(found.values().sum::<u64>(), rows, "{format:?}");
        }
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
