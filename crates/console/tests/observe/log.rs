//! The line of the log for each request.

use std::io::Write;
use std::sync::{Arc, Mutex};

use davylamp_console::Role;
use jiff::Timestamp;
use tracing_subscriber::fmt::MakeWriter;

use crate::world;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("a lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_a_line_without_what_was_asked() {
    let kept = Kept::default();
    tracing_subscriber::fmt()
        .with_writer(kept.clone())
        .with_ansi(false)
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .init();
    let world = world().await;
    let ada = world.visitor("ada", Role::Admin, &[]).await;
    ada.page("/findings?text=hunter2").await;
    ada.get("/findings/no-number-hunter2").await;
    let now = Timestamp::now();
    let token = world
        .store
        .add_token("node-pool", "hub-a", &["events:write"], now)
        .await
        .expect("a token");
    let sent = reqwest::Client::new()
        .post(format!("{}/api/v1/events", world.base()))
        .bearer_auth(&token)
        .body("{\"event\":\"hunter2\"}")
        .send();
    assert_eq!(sent.await.expect("taken").status(), 200);
    let cookie = ada.cookie.clone();
    world.end().await;
    let log = String::from_utf8(kept.0.lock().expect("a lock").clone()).expect("text");
    for parts in [
        [
            "method=\"GET\"",
            "route=\"/findings\"",
            "status=200",
            "by=\"ada\"",
        ],
        [
            "method=\"GET\"",
            "route=\"/findings/{id}\"",
            "status=404",
            "by=\"ada\"",
        ],
        [
            "method=\"POST\"",
            "route=\"/sign-in/link\"",
            "status=303",
            "took_ms=",
        ],
        [
            "method=\"POST\"",
            "route=\"/api/v1/events\"",
            "status=200",
            "by=\"node-pool\"",
        ],
    ] {
        let has_all = |line: &str| parts.iter().all(|part| line.contains(part));
        assert!(log.lines().any(has_all), "{parts:?}\n{log}");
    }
    let secret = cookie.split('=').nth(1).expect("a value").to_owned();
    for word in ["hunter2", token.as_str(), &secret, "key="] {
        assert!(!log.contains(word), "{word}\n{log}");
    }
}
