//! The description of the API, and what a running console answers.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use davylamp_console::SCOPES;
use davylamp_console::config::Config;
use davylamp_ledger::Record;
use davylamp_ledger::record::{Errand, Job};
use davylamp_testkit::moto::cache_dir;
use jiff::Timestamp;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::text;
use crate::world::World;

/// Looks at a document, and at answers with it.
const CHECK: &str = "tests/observe/openapi.py";
/// What asks for everything that the document allows, for so long at most.
const ASKS_WITHIN: Duration = Duration::from_secs(240);

fn document() -> Value {
    serde_json::from_str(&text("crates/console/openapi.json")).expect("JSON")
}

fn python(program: &str) -> Command {
    let program = cache_dir().join("python/bin").join(program);
    assert!(
        program.exists(),
        "{} is missing: scripts/setup test",
        program.display()
    );
    Command::new(program)
}

/// Where routes are made below `/api`, with what is done there.
fn routes(folder: &Path, found: &mut BTreeSet<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            routes(&path, found);
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("a source");
        for rest in source.split(".route(").skip(1) {
            let mut quoted = rest.trim_start().split('"');
            let (before, route) = (quoted.next(), quoted.next().unwrap_or_default());
            if before != Some("") || !route.starts_with("/api/") {
                continue;
            }
            // Up to the next route, or the end of the function.
            let ends = [".route(", ".layer(", "\n}"];
            let ends = ends.iter().filter_map(|end| rest.find(end));
            let handler = &rest[..ends.min().unwrap_or(rest.len())];
            for method in ["get", "post", "put", "delete", "patch"] {
                if handler.contains(&format!("{method}(")) {
                    found.insert((route.to_owned(), method.to_owned()));
                }
            }
        }
    }
}

#[test]
fn every_route_below_api_is_described_and_no_other() {
    let mut found = BTreeSet::new();
    routes(Path::new("src"), &mut found);
    let document = document();
    let paths = document["paths"].as_object().expect("paths");
    let described: BTreeSet<(String, String)> = paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flatten();
            methods.map(move |(method, _)| (path.clone(), method.clone()))
        })
        .collect();
    assert_eq!(described, found);
    assert!(!found.is_empty());
}

/// A console that takes one event a second of each sender, and small bodies.
async fn strict(folder: TempDir) -> World {
    let mut config = Config {
        listen: "127.0.0.1:0".to_owned(),
        database: format!("sqlite://{}", folder.path().join("ledger.db").display()),
        ..Config::default()
    };
    config.ingest.max_bytes = 4096;
    config.ingest.events_per_second = 1;
    World::of(config, folder).await
}

/// Who asks, and what was answered.
struct Asker {
    base: String,
    token: String,
    answers: Vec<Value>,
}

impl Asker {
    /// Posts a body; the job of a path is one's own.
    async fn post(&mut self, path: &str, body: &str, headers: &[(&str, &str)], status: u16) {
        let (bearer, real) = (
            format!("Bearer {}", self.token),
            path.replace("{job}", "j1"),
        );
        let mut request = Client::new()
            .post(format!("{}{real}", self.base))
            .body(body.to_owned());
        let own = [("authorization", bearer.as_str())];
        let is_own = !headers.iter().any(|(name, _)| *name == "authorization");
        for (name, value) in own.iter().filter(|_| is_own).chain(headers) {
            request = request.header(*name, *value);
        }
        self.tell("post", path, request, status).await;
    }

    async fn tell(&mut self, method: &str, path: &str, request: RequestBuilder, status: u16) {
        let answer = request.send().await.expect("an answer");
        let (found, headers) = (answer.status().as_u16(), answer.headers().clone());
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let told = json!({
            "method": method, "path": path, "status": found, "type": header("content-type"),
            "retry_after": header("retry-after"), "authenticate": header("www-authenticate"),
            "body": answer.text().await.expect("text"),
        });
        assert_eq!(found, status, "{told:#}");
        self.answers.push(told);
    }
}

const EVENTS: &str = "/api/v1/events";
const TAKE: &str = "/api/v1/jobs/take";
const STEP: &str = "/api/v1/jobs/{job}";
const JSON: (&str, &str) = ("content-type", "application/json");

fn hunt(job: &str) -> Record {
    let errand = Errand::Hunt {
        hunt: "stratum".to_owned(),
        since: None,
        until: None,
    };
    Record::Job(Job {
        job: job.to_owned(),
        incident: None,
        cluster: String::new(),
        errand,
        by: "ada".to_owned(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_that_is_described_is_given_as_it_is_described() {
    let world = strict(TempDir::new().expect("a folder")).await;
    let now = Timestamp::now();
    let add = |name: &'static str, scopes: &'static [&'static str]| {
        let store = world.store.clone();
        async move {
            store
                .add_token(name, "hub-a", scopes, now)
                .await
                .expect("a token")
        }
    };
    let mut asker = Asker {
        base: world.base(),
        token: add("nodes", &SCOPES).await,
        answers: Vec::new(),
    };
    let other = format!("Bearer {}", add("else", &["else"]).await);
    let line = |id: u32| format!("{{\"id\":\"e{id}\",\"action\":\"killed\",\"node\":\"n1\"}}\n");
    let many: String = (0..12).map(line).collect();
    let large = "x".repeat(70_000);
    let run = r#"{"id":"r1","record":{"kind":"run","verb":"hunt","name":"stratum","started":"2026-11-30T10:00:00Z","ended":"2026-11-30T10:00:01Z","counts":{},"by":""}}"#;

    asker
        .post(EVENTS, &line(1), &[("idempotency-key", "k")], 200)
        .await;
    asker.post(EVENTS, &line(1), &[], 200).await;
    asker.post(EVENTS, run, &[], 200).await;
    asker.post(EVENTS, "", &[], 200).await;
    asker.post(EVENTS, "{\"event\":\"else\"}", &[], 200).await;
    asker
        .post(EVENTS, "no", &[("content-encoding", "gzip")], 400)
        .await;
    asker.post(EVENTS, &large, &[], 413).await;
    asker
        .post(EVENTS, &line(1), &[("content-encoding", "br")], 415)
        .await;
    asker.post(EVENTS, "{}\nno\n", &[], 422).await;
    asker.post(EVENTS, &many, &[], 429).await;

    let can = r#"{"can":["hunt"]}"#;
    asker.post(TAKE, can, &[JSON], 204).await;
    let done = r#"{"stage":"done","detail":"nothing found"}"#;
    asker.post(STEP, done, &[JSON], 409).await;
    let asked = world.ledger.record(hunt("j1"), now).await;
    asked.expect("a job");
    asker.post(TAKE, can, &[JSON], 200).await;
    asker.post(STEP, r#"{"stage":"taken"}"#, &[JSON], 200).await;
    asker.post(STEP, done, &[JSON], 200).await;
    for path in [TAKE, STEP] {
        asker.post(path, "{", &[JSON], 400).await;
        asker.post(path, &large, &[JSON], 413).await;
        asker.post(path, can, &[], 415).await;
        asker.post(path, "{}", &[JSON], 422).await;
    }
    let bodies = [
        (EVENTS, line(1)),
        (TAKE, can.to_owned()),
        (STEP, done.to_owned()),
    ];
    for (path, body) in &bodies {
        asker
            .post(path, body, &[JSON, ("authorization", "Basic eA==")], 401)
            .await;
        asker
            .post(
                path,
                body,
                &[JSON, ("authorization", "Bearer davy_wrong")],
                401,
            )
            .await;
        asker
            .post(path, body, &[JSON, ("authorization", &other)], 403)
            .await;
    }
    let document = "/api/v1/openapi.json";
    let request = Client::new().get(format!("{}{document}", world.base()));
    asker.tell("get", document, request, 200).await;
    world.ledger.close().await;
    for (path, body) in &bodies {
        asker.post(path, body, &[JSON], 503).await;
    }

    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("answers.json");
    std::fs::write(&file, Value::from(asker.answers).to_string()).expect("written");
    let checked = python("python")
        .arg(CHECK)
        .args([Path::new("openapi.json"), &file])
        .output()
        .expect("Python runs");
    let said = [checked.stdout, checked.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(checked.status.success(), "{said}");
    assert!(said.contains("every described answer was given"), "{said}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_document_allows_is_answered_as_it_says() {
    let folder = TempDir::new().expect("a folder");
    let mut config = Config {
        listen: "127.0.0.1:0".to_owned(),
        database: format!("sqlite://{}", folder.path().join("ledger.db").display()),
        ..Config::default()
    };
    config.ingest.events_per_second = 1_000_000;
    let world = World::of(config, folder).await;
    let token = world
        .store
        .add_token("nodes", "hub-a", &SCOPES, Timestamp::now())
        .await
        .expect("a token");
    for n in 0..20 {
        let asked = world
            .ledger
            .record(hunt(&format!("j{n}")), Timestamp::now())
            .await;
        asked.expect("a job");
    }
    let work = TempDir::new().expect("a folder");
    let document = std::fs::canonicalize("openapi.json").expect("the document");
    std::fs::copy("tests/observe/lines.py", work.path().join("lines.py")).expect("copied");
    let mut command = python("schemathesis");
    command
        .arg("run")
        .arg(&document)
        .args(["--url", &world.base()])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--max-examples", "60", "--seed", "1", "--no-color"])
        .args(["--request-timeout", "20", "--workers", "1"])
        // Unknown keys, and values of another kind, are taken: agents are older or newer than the console.
        .args([
            "--exclude-checks",
            "negative_data_rejection,positive_data_acceptance",
        ])
        .env("SCHEMATHESIS_HOOKS", "lines")
        .env("PYTHONPATH", work.path())
        .current_dir(work.path());
    let asked = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .output();
    let asked = tokio::time::timeout(ASKS_WITHIN, asked)
        .await
        .expect("in time");
    let asked = asked.expect("schemathesis runs");
    let said = [asked.stdout, asked.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        asked.status.success() && said.contains("No issues found"),
        "{said}"
    );
    world.end().await;
}
