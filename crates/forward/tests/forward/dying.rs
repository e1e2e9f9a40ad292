//! Both processes are killed in the middle, again and again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use davylamp_forward::config::Config;
use davylamp_forward::{Forward, Pass};

use super::console::{Console, TOKEN};
use super::server::{Reply, Server};
use super::{WITHIN, event, file, id, once, writer};

const SPOOL: &str = "DAVY_TEST_FORWARD_SPOOL";
const URL: &str = "DAVY_TEST_FORWARD_URL";

fn config(spool: &Path, url: &str) -> Config {
    let mut config = Config {
        spool: spool.to_owned(),
        batch_events: 7,
        poll_ms: 10,
        ..Config::default()
    };
    config.console.url = url.to_owned();
    config.console.token_file = spool.with_file_name("token");
    config
}

/// Not a test by itself: the process that is killed below, which delivers until then.
#[test]
fn child_that_forwards() {
    let (Some(spool), Ok(url)) = (std::env::var_os(SPOOL), std::env::var(URL)) else {
        return;
    };
    let forward = Forward::new(config(Path::new(&spool), &url), "node-1").expect("good");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (_keep, stop) = tokio::sync::watch::channel(false);
    runtime.block_on(forward.run(Pass::Always, stop, |_| {}));
}

/// Not a test by itself: the guard's part, which writes events until it is killed. Their numbers go
/// on where those of the one before ended.
#[test]
fn child_that_writes() {
    let Some(spool) = std::env::var_os(SPOOL) else {
        return;
    };
    let mut writer = writer(Path::new(&spool));
    loop {
        let _ = writer.append(&event(writer.next())).expect("room");
        pause(Duration::from_micros(500));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "between two looks at a condition with a deadline; and a writer that fills no disk"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn child(name: &str, spool: &Path, url: &str) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", &format!("dying::{name}"), "--nocapture"])
        .env(SPOOL, spool)
        .env(URL, url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child")
}

fn kill(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("reaped");
}

#[test]
fn whoever_is_killed_when_nothing_is_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let spool: PathBuf = dir.path().join("spool");
    file(dir.path(), "token", TOKEN);
    let console = Arc::new(Console::default());
    let server = Server::start(false, console.handler());
    let seen = || console.ids().len();
    let mut deadline = Instant::now() + WITHIN;
    for life in 0..6 {
        let writes = child("child_that_writes", &spool, &server.url());
        let forwards = child("child_that_forwards", &spool, &server.url());
        // Some of what is taken is taken without a word, so it comes again.
        let mut faults = console.faults.lock().expect("not poisoned");
        faults.extend([
            (Reply::Reset, true),
            (Reply::Say(500, "", Vec::new()), false),
        ]);
        drop(faults);
        let target = seen() + 30;
        while seen() < target {
            assert!(
                Instant::now() < deadline,
                "only {} of {target} arrived",
                seen()
            );
            pause(Duration::from_millis(1));
        }
        match life % 2 {
            0 => {
                kill(forwards);
                kill(writes);
            }
            _ => {
                kill(writes);
                kill(forwards);
            }
        }
        deadline = Instant::now() + WITHIN;
    }
    let written = writer(&spool).next();
    let summary = once(&config(&spool, &server.url()), WITHIN);
    assert!(summary.status.destinations[0].lag_bytes == 0, "{summary:?}");
    let arrived: BTreeSet<String> = console.ids().into_iter().collect();
    let expected: BTreeSet<String> = (0..written).map(id).collect();
    assert_eq!(arrived, expected);
    // In order, and each once for a console that knows events by their ids.
    assert_eq!(console.ids(), (0..written).map(id).collect::<Vec<_>>());
    let twice = console.events.lock().expect("not poisoned");
    assert!(
        twice.values().any(|count| *count > 1),
        "the test tests nothing"
    );
}
