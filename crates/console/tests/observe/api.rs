//! The description of the API, and what a running console answers.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use davylamp_console::config::Config;
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
            let end = rest.find(".route(").unwrap_or(rest.len());
            let handler = rest[..end].split(".layer(").next().unwrap_or_default();
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
        database: format!("sqlite://{}", folder.path().join("ledger.db").display()),
        ..Config::default()
    };
    config.ingest.max_bytes = 4096;
    config.ingest.events_per_second = 1;
    World::with(config, folder).await
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
    let (token, other) = (
        add("nodes", &["events:write"]).await,
        add("else", &["else"]).await,
    );
    let client = Client::new();
    let events = format!("{}/api/v1/events", world.base());
    let send = |token: &str, body: String| client.post(&events).bearer_auth(token).body(body);
    let line = |id: u32| format!("{{\"id\":\"e{id}\",\"action\":\"killed\",\"node\":\"n1\"}}\n");
    let many: String = (0..12).map(line).collect();
    let mut answers = Vec::new();
    let mut ask = async |what: &str, request: RequestBuilder, status: u16| {
        let request = request.build().expect("a request");
        let (method, path) = (
            request.method().to_string(),
            request.url().path().to_owned(),
        );
        let answer = client.execute(request).await.expect("an answer");
        let (found, headers) = (answer.status().as_u16(), answer.headers().clone());
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let told = json!({
            "what": what, "method": method.to_ascii_lowercase(), "path": path, "status": found,
            "type": header("content-type"), "retry_after": header("retry-after"),
            "authenticate": header("www-authenticate"), "body": answer.text().await.expect("text"),
        });
        assert_eq!(found, status, "{told:#}");
        answers.push(told);
    };
    ask(
        "new",
        send(&token, line(1)).header("idempotency-key", "k"),
        200,
    )
    .await;
    ask("known", send(&token, line(1)), 200).await;
    ask("nothing", send(&token, String::new()), 200).await;
    ask(
        "passed over",
        send(&token, "{\"event\":\"else\"}".to_owned()),
        200,
    )
    .await;
    ask(
        "no gzip",
        send(&token, "no".to_owned()).header("content-encoding", "gzip"),
        400,
    )
    .await;
    ask("no token", client.post(&events).body(line(1)), 401).await;
    ask("a wrong one", send("davy_wrong", line(1)), 401).await;
    ask("another scope", send(&other, line(1)), 403).await;
    ask("too large", send(&token, "x".repeat(5000)), 413).await;
    ask(
        "packed otherwise",
        send(&token, line(1)).header("content-encoding", "br"),
        415,
    )
    .await;
    ask("unreadable", send(&token, "{}\nno\n".to_owned()), 422).await;
    ask("too fast", send(&token, many), 429).await;
    ask(
        "the document",
        client.get(format!("{}/api/v1/openapi.json", world.base())),
        200,
    )
    .await;
    world.ledger.close().await;
    ask("no database", send(&token, line(2)), 503).await;

    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("answers.json");
    std::fs::write(&file, json!(answers).to_string()).expect("written");
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
        database: format!("sqlite://{}", folder.path().join("ledger.db").display()),
        ..Config::default()
    };
    config.ingest.events_per_second = 1_000_000;
    let world = World::with(config, folder).await;
    let token = world
        .store
        .add_token("nodes", "hub-a", &["events:write"], Timestamp::now())
        .await
        .expect("a token");
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
    assert!(asked.status.success(), "{said}");
    world.end().await;
}
