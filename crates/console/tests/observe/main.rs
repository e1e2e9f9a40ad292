//! What the console says of itself, and what is made of it: metrics, alerts, dashboards, traces, the log,
//! probes, the description of its API, and what it does by itself once a day.
//!
//! Needs Prometheus' `promtool` and the Python tools: `scripts/setup test`.

mod alerts;
mod api;
mod chores;
mod dashboards;
mod log;
mod metrics;
mod probes;
mod prometheus;
mod traces;
#[path = "../pages/world.rs"]
#[allow(dead_code, reason = "the tests of pages use the rest")]
mod world;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use davylamp_console::config::{Clocks, Config};
use tempfile::TempDir;
use world::World;

/// How long anything that must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A file of the repository.
fn path(name: &str) -> PathBuf {
    // Tests run in their package's folder.
    Path::new("../..").join(name)
}

fn text(name: &str) -> String {
    let path = path(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A configuration whose ledger lies in a folder, and which tells what it counts.
fn config(folder: &Path) -> Config {
    let mut config = Config {
        clocks: Clocks::none(),
        listen: "127.0.0.1:0".to_owned(),
        database: format!("sqlite://{}", folder.join("ledger.db").display()),
        ..Config::default()
    };
    config.metrics.listen = "127.0.0.1:0".to_owned();
    config
}

/// A console that tells what it counts.
async fn world() -> World {
    let folder = TempDir::new().expect("a folder");
    World::of(config(folder.path()), folder).await
}

/// What it counts.
async fn metrics(world: &World) -> String {
    let address = world.metrics.expect("metrics are on");
    let answer = reqwest::get(format!("http://{address}/metrics")).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.text().await.expect("text")
}

/// Waits for a condition.
async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs `promtool`, which must be content.
fn promtool(arguments: &[&str], input: &str) -> String {
    use std::io::Write as _;
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("promtool runs: scripts/setup test");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    said
}
