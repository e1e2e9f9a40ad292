//! A real cluster of Ballista: a scheduler and two executors, each a process of its own.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use davylamp_content::hunt;
use davylamp_hunt::cluster::{Cluster, ClusterError};
use davylamp_hunt::convert::{Bounds, Shard, convert};
use davylamp_hunt::elsewhere::Elsewhere;
use davylamp_hunt::engine::Setup;
use davylamp_hunt::objects::Scope;
use davylamp_hunt::read::Given;
use davylamp_hunt::run::rows;
use davylamp_hunt::tally::Run;
use futures::{StreamExt, stream};
use serde_json::{Map, Value};

use crate::cases::{ask, here, is_same};
use crate::convert::engine;

/// Cases that are asked side by side.
const AT_ONCE: usize = 6;

/// Everything here ends within this.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process that ends with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(part: &str, options: &[String]) -> Process {
    let child = Command::new(env!("CARGO_BIN_EXE_davy-cluster"))
        .arg(part)
        .args(options)
        .stdin(Stdio::null())
        .spawn();
    Process(child.expect("it starts"))
}

/// A port that nobody has, nor the one after it.
fn free_port() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let port = first.local_addr().expect("it has one").port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

/// A scheduler and two executors, with the folders that these work in.
struct Ground {
    address: String,
    _scheduler: Process,
    executors: Vec<(Process, PathBuf)>,
    folder: tempfile::TempDir,
}

impl Ground {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let address = format!("127.0.0.1:{}", free_port());
        let scheduler = start("scheduler", &[format!("--listen={address}")]);
        until("the scheduler listens", || {
            TcpStream::connect(&address).is_ok()
        })
        .await;
        let executors = (0..2).map(|number| {
            let work = folder.path().join(format!("work-{number}"));
            std::fs::create_dir_all(&work).expect("there is room");
            let options = [
                format!("--scheduler={address}"),
                format!("--listen=127.0.0.1:{}", free_port()),
                "--threads=1".to_owned(),
                format!("--folder={}", work.display()),
            ];
            (start("executor", &options), work)
        });
        Self {
            executors: executors.collect(),
            address,
            _scheduler: scheduler,
            folder,
        }
    }

    async fn about(&self, lake: &Path, scope: Scope) -> Result<Cluster, ClusterError> {
        let setup = Setup {
            locations: vec![lake.display().to_string().parse().expect("a place")],
            scope,
            given: Given::shipped().expect("what ships is good"),
            // A task for each executor.
            threads: Some(2),
            ..Setup::default()
        };
        Cluster::connect(&self.address, setup).await
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn answer(cluster: &Cluster, sql: &str) -> Result<Vec<Map<String, Value>>, String> {
    let batches = cluster.ask(sql).await;
    let mut batches = batches.map_err(|error| format!("{error:?}"))?;
    let mut found = Vec::new();
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(|error| error.to_string())?;
        found.extend(rows(&batch).map_err(|error| error.to_string())?);
    }
    Ok(found)
}

fn are_same(one: &[Map<String, Value>], other: &[Map<String, Value>]) -> bool {
    let is_same_row = |(one, other): (&Map<String, Value>, &Map<String, Value>)| {
        let mut cells = one.iter();
        one.len() == other.len()
            && cells.all(|(name, value)| other.get(name).is_some_and(|it| is_same(value, it)))
    };
    one.len() == other.len() && one.iter().zip(other).all(is_same_row)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_of_every_hunt_gives_its_rows_on_a_cluster() {
    let ground = Ground::new().await;
    let mut cases = Vec::new();
    for parsed in hunt::shipped().expect("what ships is good") {
        for case in &parsed.cases {
            cases.push((parsed.clone(), case.clone()));
        }
    }
    let count = cases.len();
    let asked = cases
        .into_iter()
        .enumerate()
        .map(|(number, (parsed, case))| {
            let home = ground.folder.path().join(number.to_string());
            let ground = &ground;
            async move {
                let name = format!("{}, {}", parsed.hunt.name, case.name);
                let told = |what: String| format!("{name}: {what}");
                let (expected, _) = here(&parsed, &case, &home).await.map_err(told)?;
                let sql = parsed.hunt.sql(&case.parameters).expect("they fit");
                let cluster = ground.about(&home.join("lake"), Scope::default()).await;
                let cluster = cluster.map_err(|error| told(format!("{error:?}")))?;
                let found = answer(&cluster, &sql).await.map_err(told)?;
                match are_same(&expected, &found) {
                    true => Ok(()),
                    false => Err(told(format!("here {expected:?}\nthere {found:?}"))),
                }
            }
        });
    let answers: Vec<Result<(), String>> = stream::iter(asked)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    assert_eq!(answers.len(), count);
    assert!(count > 100, "{count}");
    let wrong: Vec<String> = answers.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Flow logs of several accounts and days, as a lake.
async fn flows(home: &Path) -> PathBuf {
    let (logs, lake) = (home.join("logs"), home.join("lake"));
    std::fs::create_dir_all(&logs).expect("there is room");
    for day in 1..=8 {
        let start: i64 = 1_767_225_600 + day * 86_400;
        let mut text = String::new();
        for flow in 0..12_000 {
            let at = start + flow % 86_400;
            text += &format!(
                "2 11112222333{} eni-{} 10.0.{}.{} 198.51.100.{} {} 443 6 {} {} {at} {} ACCEPT OK\n",
                day % 4,
                flow % 50,
                flow % 7,
                flow % 250,
                flow % 200,
                30_000 + flow % 20_000,
                1 + flow % 30,
                100 + flow % 9_000,
                at + 60,
            );
        }
        std::fs::write(logs.join(format!("{day}.log")), text).expect("there is room");
    }
    let raw = engine(&logs, Scope::default()).await;
    let (bounds, run) = (Bounds::default(), Arc::new(Run::default()));
    let converted = convert(&raw, &lake, Shard::default(), bounds, &run).await;
    assert!(converted.is_ok_and(|it| it.is_complete()));
    lake
}

/// Enough stages that an executor has something to lose when it dies.
const LONG: &str = "
WITH pairs AS (
    SELECT srcaddr, dstaddr, count(*) AS flows, sum(bytes) AS bytes, count(DISTINCT srcport) AS ports
    FROM vpc_flow GROUP BY srcaddr, dstaddr
), sources AS (
    SELECT srcaddr, count(DISTINCT srcport) AS kinds, sum(packets) AS packets
    FROM vpc_flow GROUP BY srcaddr
)
SELECT pairs.srcaddr, pairs.dstaddr, flows, bytes, ports, kinds, packets
FROM pairs JOIN sources ON pairs.srcaddr = sources.srcaddr
ORDER BY bytes DESC, pairs.srcaddr, pairs.dstaddr LIMIT 200";

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_is_killed_mid_query_changes_no_row() {
    let mut ground = Ground::new().await;
    let lake = flows(ground.folder.path()).await;
    let here = engine(&lake, Scope::default()).await;
    let expected = ask(&here, LONG).await.expect("it has an answer");
    assert_eq!(expected.len(), 200);
    let cluster = ground.about(&lake, Scope::default()).await;
    let cluster = cluster.expect("it is there");
    let asked = tokio::spawn(async move { answer(&cluster, LONG).await });
    let (mut executor, work) = ground.executors.pop().expect("there are two");
    until("the executor has worked something out", || {
        let mut below = walkdir::WalkDir::new(&work).into_iter().flatten();
        below.any(|entry| entry.file_type().is_file())
    })
    .await;
    assert!(!asked.is_finished(), "the query was over before");
    executor.0.kill().expect("it runs");
    let found = tokio::time::timeout(PATIENCE, asked).await;
    let found = found.expect("it ends").expect("it does not panic");
    let found = found.expect("it has an answer");
    assert!(are_same(&expected, &found), "{expected:?}\n{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_is_all_that_is_given() {
    let ground = Ground::new().await;
    let lake = flows(ground.folder.path()).await;
    let scope = Scope {
        since: "2026-01-03T00:00:00Z".parse().ok(),
        until: "2026-01-06T12:00:00Z".parse().ok(),
        accounts: vec!["111122223331".to_owned(), "111122223332".to_owned()],
        regions: Vec::new(),
    };
    let sql =
        "SELECT account_id, count(*) AS flows, min(\"start\") AS first, max(\"start\") AS last
        FROM vpc_flow GROUP BY 1 ORDER BY 1";
    let here = engine(&lake, scope.clone()).await;
    let expected = ask(&here, sql).await.expect("it has an answer");
    let cluster = ground.about(&lake, scope).await.expect("it is there");
    let found = answer(&cluster, sql).await.expect("it has an answer");
    assert!(!expected.is_empty());
    assert!(are_same(&expected, &found), "{expected:?}\n{found:?}");
    // Functions of the field are known there, and nothing is written.
    let said = answer(
        &cluster,
        "SELECT is_public(max(dstaddr)) AS it FROM vpc_flow",
    );
    assert!(said.await.expect("it has an answer")[0]["it"].is_boolean());
    let empty = answer(&cluster, "SELECT event_id FROM cloudtrail").await;
    assert_eq!(empty, Ok(Vec::new()));
    assert!(answer(&cluster, "DROP TABLE vpc_flow").await.is_err());
}

#[tokio::test]
async fn nobody_there_and_logs_as_they_lie_are_said() {
    let folder = tempfile::tempdir().expect("there is room");
    let setup = |place: &Path| Setup {
        locations: vec![place.display().to_string().parse().expect("a place")],
        ..Setup::default()
    };
    let nobody = format!("df://127.0.0.1:{}", free_port());
    let came = Cluster::connect(&nobody, setup(folder.path())).await;
    assert!(matches!(came, Err(ClusterError::Unreachable { .. })));
    let log = folder.path().join("flow.log");
    std::fs::write(
        &log,
        "2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 1 1 1 ACCEPT OK\n",
    )
    .expect("there is room");
    let came = Cluster::connect(&nobody, setup(&log)).await;
    assert!(matches!(came, Err(ClusterError::Raw(_))));
}
