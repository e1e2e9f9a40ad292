//! Conversions by several processes, and by some that are killed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use davylamp_hunt::convert::{Shard, convert};
use davylamp_hunt::lake::LakeError;
use davylamp_hunt::objects::Scope;
use davylamp_hunt::tally::{Run, summary};

use crate::convert::{SMALL, converted, engine, flow_log, logs, places, runtime};

/// What a process of its own is told by.
const LOGS: &str = "DAVYLAMP_TEST_LOGS";
const LAKE: &str = "DAVYLAMP_TEST_LAKE";
const SHARD: &str = "DAVYLAMP_TEST_SHARD";

/// How often a conversion is killed.
const KILLS: u64 = 25;

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
            "workers::converts_where_it_is_told_to",
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
