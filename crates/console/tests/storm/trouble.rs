//! A disk that is full, a file that may not be written, a database that is not there yet.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use davylamp_console::Console;
use davylamp_testkit::postgres::Postgres;
use jiff::Timestamp;
use reqwest::StatusCode;
use tempfile::TempDir;

use crate::console::{Process, config, refusal};
use crate::{runtime, until};

async fn token(database: &str) -> String {
    let console = Console::open(config(database)).await.expect("a console");
    let (scopes, now) = (["events:write"], Timestamp::now());
    let token = console.store().add_token("node", "hub", &scopes, now).await;
    console.ledger().close().await;
    token.expect("a token")
}

/// So many lines, each of its own event.
fn lines(numbers: std::ops::Range<u64>) -> String {
    let line = |n| {
        let command = "x".repeat(400);
        format!(
            "{{\"action\":\"killed\",\"node\":\"n\",\"id\":\"{n}\",\"cmdline\":\"{command}\",\"matched\":\"x\"}}\n"
        )
    };
    numbers.map(line).collect()
}

async fn send(process: &Process, token: &str, body: String) -> Option<StatusCode> {
    let request = reqwest::Client::new()
        .post(format!("{}/api/v1/events", process.url()))
        .bearer_auth(token)
        .timeout(Duration::from_secs(40))
        .body(body);
    Some(request.send().await.ok()?.status())
}

/// A small disk in memory, where this may mount one.
struct Disk(TempDir);

impl Disk {
    fn of_mib(mib: u32) -> Option<Self> {
        let folder = TempDir::new().expect("a folder");
        let size = format!("size={mib}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(folder.path())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "that it did not run has to be said")]
fn a_full_disk_takes_nothing_and_loses_nothing() {
    let Some(disk) = Disk::of_mib(12) else {
        eprintln!("skipped: this user may not mount a small disk");
        return;
    };
    let runtime = runtime();
    let database = format!("sqlite://{}", disk.path().join("ledger.db").display());
    let token = runtime.block_on(token(&database));
    let console = Process::started(&database);
    runtime.block_on(async {
        let (mut taken, mut refused) = (0, None);
        for batch in 0..40 {
            let status = send(&console, &token, lines(batch * 100..(batch + 1) * 100)).await;
            match status {
                Some(StatusCode::OK) => taken += 100,
                status => {
                    refused = status;
                    break;
                }
            }
        }
        assert_eq!(
            refused,
            Some(StatusCode::SERVICE_UNAVAILABLE),
            "{taken} were taken"
        );
        // Pages are still answered: whoever comes is told to sign in.
        let page = reqwest::get(format!("{}/sign-in", console.url()))
            .await
            .expect("a page");
        assert_eq!(page.status(), StatusCode::OK);
        let opened = Command::new("mount")
            .args(["-o", "remount,size=64m"])
            .arg(disk.path())
            .status();
        assert!(opened.is_ok_and(|status| status.success()));
        let from = taken;
        let status = send(&console, &token, lines(from..from + 100)).await;
        assert_eq!(status, Some(StatusCode::OK), "there is room again");
        let ledger = Console::open(config(&database)).await.expect("a console");
        let verified = ledger.ledger().verify(None, &std::env::temp_dir()).await;
        let verified = verified.expect("verified");
        assert_eq!(verified.fault, None);
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM finding")
            .fetch_one(ledger.ledger().database())
            .await
            .expect("a count");
        assert_eq!(u64::try_from(count), Ok(taken + 100));
        ledger.ledger().close().await;
    });
}

#[test]
fn a_file_that_may_not_be_written_is_told() {
    let (runtime, folder) = (runtime(), TempDir::new().expect("a folder"));
    let file = folder.path().join("ledger.db");
    let database = format!("sqlite://{}", file.display());
    runtime.block_on(token(&database));
    // Rights do not stop root, a read-only mount does.
    let bound = Command::new("mount")
        .args(["--bind", "-o", "ro"])
        .arg(folder.path())
        .arg(folder.path())
        .status();
    let is_bound = bound.is_ok_and(|status| status.success());
    if !is_bound {
        for path in [&file, folder.path()] {
            let rights = std::fs::Permissions::from_mode(0o500);
            std::fs::set_permissions(path, rights).expect("set");
        }
    }
    let (said, code) = refusal(&database);
    if is_bound {
        let _ = Command::new("umount").arg(folder.path()).status();
    } else {
        let rights = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(folder.path(), rights).expect("set");
    }
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("no console: the ledger cannot be opened"),
        "{said}"
    );
}

#[test]
fn a_database_may_come_later_and_go_and_come_again() {
    let (runtime, mut server) = (runtime(), Postgres::start());
    let database = server.database();
    server.kill();
    let (said, code) = refusal(&database);
    assert_eq!(code, Some(2), "{said}");
    server.restart();
    let token = runtime.block_on(token(&database));
    let console = Process::started(&database);
    runtime.block_on(async {
        assert_eq!(
            send(&console, &token, lines(0..10)).await,
            Some(StatusCode::OK)
        );
        server.kill();
        let status = send(&console, &token, lines(10..20)).await;
        assert_eq!(
            status,
            Some(StatusCode::SERVICE_UNAVAILABLE),
            "while it is away"
        );
    });
    server.restart();
    let mut taken = None;
    until("events are taken again", Duration::from_secs(30), || {
        taken = runtime.block_on(send(&console, &token, lines(10..20)));
        taken == Some(StatusCode::OK)
    });
}
