//! A real Prometheus that scrapes a real console with a token: a missed kill is an alert.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use davylamp_ledger::Taken;
use serde_json::Value;
use tempfile::TempDir;

use crate::world::{World, finding};
use crate::{config, path, until};

/// A Prometheus, ended with its test.
struct Prometheus {
    child: Child,
    base: String,
}

impl Prometheus {
    async fn start(folder: &Path, target: &str, token: &Path) -> Self {
        let rules = std::fs::canonicalize(path("deploy/prometheus/davylamp.rules.yaml"));
        let scrape = serde_json::json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [rules.expect("the rules")],
            "scrape_configs": [{
                "job_name": "davylamp-console",
                "authorization": {"credentials_file": token},
                "static_configs": [{"targets": [target]}],
            }],
        });
        // JSON is YAML.
        let file = folder.join("prometheus.yaml");
        std::fs::write(&file, scrape.to_string()).expect("written");
        // It does not tell a port that it chose itself in a way that lasts: one that was free is.
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus runs: scripts/setup test");
        let base = format!("http://{address}");
        let prometheus = Self { child, base };
        until("Prometheus is ready", || async {
            let ready = reqwest::get(format!("{}/-/ready", prometheus.base)).await;
            ready.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
        prometheus
    }

    async fn get(&self, path: &str) -> Value {
        let answer = reqwest::get(format!("{}/api/v1/{path}", self.base)).await;
        let text = answer.expect("an answer").text().await.expect("text");
        serde_json::from_str(&text).expect("JSON")
    }

    async fn value(&self, expression: &str) -> Option<String> {
        let answer = self.get(&format!("query?query={expression}")).await;
        let value = answer["data"]["result"][0]["value"][1].as_str();
        value.map(str::to_owned)
    }

    async fn is_firing(&self, name: &str) -> bool {
        let answer = self.get("alerts").await;
        let mut alerts = answer["data"]["alerts"].as_array().into_iter().flatten();
        alerts.any(|alert| alert["labels"]["alertname"] == name && alert["state"] == "firing")
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_kill_is_an_alert() {
    let folder = TempDir::new().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "a-token-of-some-length\n").expect("written");
    let mut config = config(folder.path());
    config.metrics.token_file = token.clone();
    let work = TempDir::new().expect("a folder");
    let world = World::of(config, folder).await;
    let target = world.metrics.expect("an address").to_string();
    let prometheus = Prometheus::start(work.path(), &target, &token).await;
    until("the console is scraped", || async {
        prometheus.value("up").await.as_deref() == Some("1")
            && prometheus
                .value("davylamp_console_ledger_readable")
                .await
                .as_deref()
                == Some("1")
    })
    .await;
    assert!(!prometheus.is_firing("DavylampMissedKill").await);
    world
        .deliver(vec![finding(1, "eve", "hub-a", Taken::Missed, 1)])
        .await;
    until("the alert sounds", || async {
        prometheus.is_firing("DavylampMissedKill").await
    })
    .await;
    // Whoever comes with another token gets nothing, and Prometheus says so.
    std::fs::write(&token, "another-token-of-some-length\n").expect("written");
    until("it is refused", || async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        prometheus.value("up").await.as_deref() == Some("0")
    })
    .await;
    world.end().await;
}
