//! Events from a real spool to real servers that fail in every way: nothing is lost, and what comes
//! twice comes under the same id.

mod console;
mod dying;
mod otlp;
mod server;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use davylamp_forward::config::Config;
use davylamp_forward::{Forward, ForwardError, Pass, Summary};
use davylamp_spool::{Limits, Writer};
use serde_json::json;
use tempfile::TempDir;

use console::{Console, TOKEN};
use server::{Reply, Server};

const WITHIN: Duration = Duration::from_secs(60);

fn writer(dir: &Path) -> Writer {
    Writer::open(Limits {
        line_bytes: davylamp_spool::MAX_LINE_BYTES,
        dir: dir.to_owned(),
        max_bytes: 1 << 30,
        segment_bytes: 16 << 10,
    })
    .expect("a spool")
}

fn event(number: u64) -> String {
    json!({
        "action": "killed",
        "event": "Killed process",
        "matched": "kernel",
        "source": "davylamp.exec",
        "level": "info",
        "node": "node-1",
        "pid": 100 + number,
        "cmdline": format!("./kernel --number {number}"),
        "timestamp": "2026-11-20T10:11:12.123456Z",
        "id": id(number),
    })
    .to_string()
}

fn id(number: u64) -> String {
    format!("id-{number:06}")
}

fn fill(dir: &Path, numbers: std::ops::Range<u64>) {
    let mut writer = writer(dir);
    for number in numbers {
        let _ = writer.append(&event(number)).expect("room");
    }
}

/// A spool, a token and the certificates of a server, and where they are.
struct Place {
    dir: TempDir,
    config: Config,
}

impl Place {
    fn new(server: &Server) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut config = Config {
            spool: dir.path().join("spool"),
            batch_events: 10,
            poll_ms: 10,
            ..Config::default()
        };
        config.console.url = server.url();
        config.console.timeout_secs = 2;
        config.console.token_file = file(dir.path(), "token", &format!("{TOKEN}\n"));
        if let Some(ca) = &server.ca {
            config.console.ca_file = file(dir.path(), "ca.pem", ca);
        }
        Self { dir, config }
    }

    fn fill(&self, numbers: std::ops::Range<u64>) {
        fill(&self.config.spool, numbers);
    }

    fn refused(&self) -> String {
        let path = self.config.spool.join("readers/console.refused.jsonl");
        std::fs::read_to_string(path).unwrap_or_default()
    }
}

fn file(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("written");
    path
}

/// Everything that is in the spool, or as much as goes.
fn once(config: &Config, within: Duration) -> Summary {
    let forward = Forward::new(config.clone(), "node-1").expect("a good configuration");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (_keep, stop) = tokio::sync::watch::channel(false);
    runtime.block_on(forward.run(Pass::Once { within }, stop, |_| {}))
}

fn ids(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(id).collect()
}

#[test]
fn events_arrive_once_and_in_order_over_tls() {
    let console = Arc::new(Console::default());
    let server = Server::start(true, console.handler());
    let place = Place::new(&server);
    place.fill(0..95);
    let summary = once(&place.config, WITHIN);
    assert!(summary.complete, "{summary:?}");
    assert_eq!(console.ids(), ids(0..95));
    assert_eq!(summary.status.destinations[0].delivered, 95);
    assert_eq!(summary.status.destinations[0].requests, 10);
    // Nothing is left, and nothing comes again.
    place.fill(95..97);
    once(&place.config, WITHIN);
    assert_eq!(console.ids(), ids(0..97));
    assert!(
        console
            .events
            .lock()
            .expect("not poisoned")
            .values()
            .all(|count| *count == 1)
    );
}

#[test]
fn whatever_goes_wrong_on_the_way_everything_arrives() {
    let console = Arc::new(Console::default());
    let say = |status, headers| Reply::Say(status, headers, b"not now".to_vec());
    let good = || (server::ok(), true);
    console.faults.lock().expect("not poisoned").extend([
        (say(500, ""), false),
        (say(503, "retry-after: 1\r\n"), false),
        good(),
        (say(429, "retry-after: 1\r\n"), false),
        // It has them, and we do not know.
        (Reply::Reset, true),
        good(),
        (Reply::Half, true),
        (say(502, ""), true),
        good(),
        (Reply::Silence(Duration::from_secs(3)), true),
        (Reply::Reset, false),
    ]);
    let server = Server::start(true, console.handler());
    let place = Place::new(&server);
    place.fill(0..40);
    let began = Instant::now();
    let summary = once(&place.config, WITHIN);
    assert!(summary.complete, "{summary:?}");
    assert!(
        began.elapsed() > Duration::from_secs(3),
        "waits as it is told"
    );
    assert_eq!(console.ids(), ids(0..40));
    assert_eq!(summary.status.destinations[0].retries, 8);
    // A batch that came again came under the key it had.
    assert_eq!(console.keys.lock().expect("not poisoned").len(), 4);
}

#[test]
fn what_is_too_much_goes_in_parts_and_what_is_refused_is_kept() {
    let console = Arc::new(Console {
        most: Some(3),
        ..Console::default()
    });
    let server = Server::start(false, console.handler());
    let place = Place::new(&server);
    place.fill(0..12);
    {
        let mut writer = writer(&place.config.spool);
        let _ = writer
            .append(r#"{"id":"bad","cmdline":"poison"}"#)
            .expect("room");
        let _ = writer.append("no JSON at all").expect("room");
        let _ = writer.append(r#"{"event":"without an id"}"#).expect("room");
    }
    place.fill(12..20);
    let summary = once(&place.config, WITHIN);
    assert!(!summary.complete, "something was refused");
    assert_eq!(console.ids(), ids(0..20));
    let status = &summary.status.destinations[0];
    assert_eq!(
        (status.refused, status.unreadable, status.lag_bytes),
        (1, 2, 0)
    );
    let refused = place.refused();
    assert_eq!(refused.lines().count(), 3, "{refused}");
    for kept in ["poison", "400", "no JSON at all", "without an id"] {
        assert!(refused.contains(kept), "{kept}: {refused}");
    }
}

#[test]
fn a_wrong_token_is_told_and_never_shown() {
    let console = Arc::new(Console::default());
    let server = Server::start(false, console.handler());
    let mut place = Place::new(&server);
    place.fill(0..5);
    place.config.console.token_file = file(place.dir.path(), "other", "hunter2hunter2");
    let began = Instant::now();
    let summary = once(&place.config, WITHIN);
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "waiting does not help"
    );
    let status = &summary.status.destinations[0];
    let trouble = status.trouble.as_deref().expect("trouble");
    assert!(trouble.starts_with("401"), "{trouble}");
    assert!(!format!("{summary:?}").contains("hunter2"), "{summary:?}");
    assert!(status.lag_bytes > 0 && !summary.complete);
    // Nothing was lost by it.
    place.config.console.token_file = place.dir.path().join("token");
    assert!(once(&place.config, WITHIN).complete);
    assert_eq!(console.ids(), ids(0..5));
}

#[test]
fn a_server_that_nobody_vouches_for_gets_nothing() {
    let console = Arc::new(Console::default());
    let server = Server::start(true, console.handler());
    let other = Server::start(true, console.handler());
    let mut place = Place::new(&server);
    place.fill(0..5);
    place.config.console.ca_file = file(
        place.dir.path(),
        "other.pem",
        other.ca.as_deref().expect("certificates"),
    );
    let summary = once(&place.config, Duration::from_secs(2));
    let trouble = summary.status.destinations[0]
        .trouble
        .as_deref()
        .expect("trouble");
    assert!(trouble.contains("certificate"), "{trouble}");
    assert_eq!(console.ids(), Vec::<String>::new());
}

#[test]
fn a_console_that_is_down_for_a_while_loses_nothing() {
    let console = Arc::new(Console::default());
    let server = Server::start(false, console.handler());
    let address = server.address;
    let place = Place::new(&server);
    drop(server);
    place.fill(0..25);
    let config = place.config.clone();
    let delivering = std::thread::spawn(move || once(&config, WITHIN));
    // The server comes back once it was missed.
    let lock = place.config.spool.join("readers/console.lock");
    let deadline = Instant::now() + WITHIN;
    while !lock.exists() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    let _server = Server::start_at(address, false, console.handler());
    let summary = delivering.join().expect("no panic");
    assert!(summary.complete, "{summary:?}");
    assert_eq!(console.ids(), ids(0..25));
}

#[test]
fn what_the_spool_dropped_is_counted_and_the_rest_arrives() {
    let console = Arc::new(Console::default());
    let server = Server::start(false, console.handler());
    let place = Place::new(&server);
    {
        let mut writer = Writer::open(Limits {
            line_bytes: davylamp_spool::MAX_LINE_BYTES,
            dir: place.config.spool.clone(),
            max_bytes: 4000,
            segment_bytes: 1000,
        })
        .expect("a spool");
        let _ = writer.append(&event(0)).expect("room");
        assert!(once(&place.config, WITHIN).complete);
        for number in 1..100 {
            let _ = writer.append(&event(number)).expect("room");
        }
    }
    let summary = once(&place.config, WITHIN);
    let status = &summary.status.destinations[0];
    assert!(status.missed > 0 && !summary.complete, "{summary:?}");
    assert_eq!(status.missed + status.delivered, 99);
    assert_eq!(console.ids().last(), Some(&id(99)));
}

#[test]
fn ocsf_lines_are_findings_that_the_responder_reads() {
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("out.jsonl");
    let mut config = Config {
        spool: dir.path().join("spool"),
        ..Config::default()
    };
    config.ocsf.to = out.display().to_string();
    fill(&config.spool, 0..3);
    assert!(once(&config, WITHIN).complete);
    let text = std::fs::read_to_string(&out).expect("lines");
    let taken = davylamp_model::intake::read(text.as_bytes());
    assert_eq!((taken.findings.len(), taken.rejected.len()), (3, 0));
    let line = davylamp_model::intake::read(event(1).as_bytes());
    assert_eq!(taken.findings[1].id, line.findings[0].id);
    assert_eq!(taken.findings[1].resources, line.findings[0].resources);
}

#[test]
fn what_is_missing_is_told_before_anything_begins() {
    let server = Server::start(false, Arc::new(|_| server::ok()));
    let place = Place::new(&server);
    let refuse = |change: &dyn Fn(&mut Config)| {
        let mut config = place.config.clone();
        change(&mut config);
        Forward::new(config, "node-1").expect_err("refused")
    };
    assert!(matches!(
        refuse(&|config| config.spool = PathBuf::new()),
        ForwardError::NoSpool
    ));
    assert!(matches!(
        refuse(&|config| config.console.url = String::new()),
        ForwardError::NoDestination
    ));
    assert!(matches!(
        refuse(&|config| config.console.token_file = "/nowhere".into()),
        ForwardError::Secret { .. }
    ));
    let token = place.dir.path().join("token");
    let error = refuse(&|config| config.console.ca_file.clone_from(&token));
    assert!(matches!(error, ForwardError::Client(_)), "{error:?}");
    assert!(error.hint().contains("PEM"), "{}", error.hint());
    let forward = Forward::new(place.config.clone(), "node-1").expect("good");
    assert!(matches!(forward.look(), Err(ForwardError::Spool(_))));
}
