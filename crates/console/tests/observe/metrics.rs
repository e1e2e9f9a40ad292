//! `/metrics`.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_console::Role;
use davylamp_console::config::Config;
use davylamp_ledger::Taken;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use crate::world::{World, finding};
use crate::{config, metrics, promtool, text, world};

const PAGE: &str = "docs/console-metrics.md";

/// The families of a page of numbers, with their kinds.
pub fn families(page: &str) -> BTreeMap<String, String> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let families = types.filter_map(|line| line.split_once(' '));
    families
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect()
}

/// A console of which every number is known.
pub async fn busy() -> World {
    let world = world().await;
    let now = Timestamp::now();
    let token = world
        .store
        .add_token("nodes", "hub-a", &["events:write"], now)
        .await
        .expect("a token");
    let client = reqwest::Client::new();
    let send = |token: &str, body: &'static str| {
        client
            .post(format!("{}/api/v1/events", world.base()))
            .bearer_auth(token.to_owned())
            .body(body)
            .send()
    };
    let lines = "{\"id\":\"e1\",\"action\":\"missed\",\"event\":\"x\",\"node\":\"n1\",\"cmdline\":\"./x\"}\n\
         {\"event\":\"ready\",\"node\":\"n1\",\"version\":\"0.1.0\",\"events_lost\":3}\n{\"event\":\"else\"}";
    assert_eq!(send(&token, lines).await.expect("taken").status(), 200);
    assert_eq!(send(&token, "no").await.expect("refused").status(), 422);
    assert_eq!(send("none", lines).await.expect("refused").status(), 401);
    let week_ago = now
        .saturating_sub(SignedDuration::from_hours(24 * 7))
        .expect("a time");
    world.heartbeat("hub-b", "n2", week_ago).await;
    let stranger = world.stranger();
    let wrong = [("name", "ada"), ("password", "wrong")];
    assert_eq!(stranger.send("/sign-in", &wrong, &[]).await.status, 401);
    let ada = world.visitor("ada", Role::Admin, &[]).await;
    ada.page("/incidents").await;
    ada.get("/nowhere/<script>?q=secret").await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_is_right_and_documented() {
    let world = busy().await;
    let page = metrics(&world).await;
    for line in [
        "ingest_batches_total{result=\"taken\"} 1",
        "ingest_batches_total{result=\"unreadable\"} 1",
        "ingest_batches_total{result=\"no-token\"} 1",
        "ingest_batches_total{result=\"busy\"} 0",
        "ingest_lines_total{what=\"missed\"} 1",
        "ingest_lines_total{what=\"heartbeat\"} 1",
        "ingest_lines_total{what=\"passed-over\"} 1",
        "ingest_findings_total{result=\"new\"} 1",
        "ingest_seconds_count 3",
        "ledger_write_seconds_count 1",
        "requests_total{route=\"/incidents\",method=\"GET\",status=\"200\"} 1",
        "requests_total{route=\"/api/v1/events\",method=\"POST\",status=\"422\"} 1",
        "requests_total{route=\"none\",method=\"GET\",status=\"404\"} 1",
        "sign_ins_total{way=\"password\",result=\"failed\"} 1",
        "sign_ins_total{way=\"link\",result=\"held\"} 1",
        "sessions 1",
        "ledger_readable 1",
        "ledger_entries_total{kind=\"finding\"} 1",
        "ledger_entries_total{kind=\"incident-opened\"} 1",
        "incidents_open{severity=\"critical\"} 1",
        "incidents_with_missed 1",
        "incidents_overdue 0",
        "findings_of_last_day{taken=\"missed\"} 1",
        "findings_of_last_day{taken=\"killed\"} 0",
        "nodes 2",
        "nodes_silent 1",
        "nodes_lost_events 3",
        "live_viewers 0",
        "notices_waiting 0",
    ] {
        let line = format!("davylamp_console_{line}");
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    for line in samples {
        for word in [
            "script",
            "secret",
            "nowhere",
            "\"hub-a\"",
            "\"n1\"",
            "\"nodes\"",
            "\"ada\"",
        ] {
            assert!(!line.contains(word), "{word}: {line}");
        }
    }
    promtool(&["check", "metrics"], &page);

    let documented = text(PAGE);
    let documented: BTreeMap<String, String> = documented
        .lines()
        .filter_map(|line| line.strip_prefix("| `davylamp_console_"))
        .map(|row| {
            let mut cells = row.split(" | ");
            let name = cells.next().expect("a name").trim_end_matches('`');
            let name = name.split('{').next().expect("a name");
            let kind = cells.next().expect("a kind").to_owned();
            (format!("davylamp_console_{name}"), kind)
        })
        .collect();
    let mut exported = families(&page);
    // What is absent until something was done once.
    for name in [
        "chore_done_seconds",
        "ledger_faulty",
        "ledger_verified_entries",
    ] {
        exported.insert(format!("davylamp_console_{name}"), "gauge".to_owned());
    }
    assert_eq!(documented, exported, "{PAGE} and what is exported");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_follow_the_ledger_and_its_silence_is_told() {
    let world = world().await;
    let findings = (0..3).map(|n| finding(n, &format!("user-{n}"), "hub-a", Taken::Killed, n));
    world.deliver(findings.collect()).await;
    let open = "davylamp_console_incidents_unowned{severity=\"high\"} 3";
    let page = metrics(&world).await;
    assert!(page.lines().any(|line| line == open), "{page}");
    assert!(page.contains("davylamp_console_incidents_unowned_since_seconds{severity=\"high\"}"));
    let head = world.head().await;
    assert!(page.contains(&format!("davylamp_console_ledger_head {head}\n")));
    // The last answer holds for a while; a ledger that is gone is told of behind it.
    world.ledger.close().await;
    crate::until("the ledger is told to be gone", || async {
        metrics(&world)
            .await
            .contains("davylamp_console_ledger_readable 0\n")
    })
    .await;
    let page = metrics(&world).await;
    for name in ["ledger_head", "incidents_open", "nodes ", "sessions"] {
        let name = format!("\ndavylamp_console_{name}");
        assert!(!page.contains(&name), "{name} is said without being known");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_where_one_is_named() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("token");
    let open = |config: Config| async {
        let console = davylamp_console::Console::open(config)
            .await
            .expect("a console");
        console.listen().await.map(drop)
    };
    let mut config = config(folder.path());
    config.listen = "127.0.0.1:0".to_owned();
    config.metrics.token_file = file.clone();
    open(config.clone())
        .await
        .expect_err("the file is not there");
    std::fs::write(&file, "short\n").expect("written");
    open(config.clone()).await.expect_err("a guess would do");
    std::fs::write(&file, "a-token-of-some-length\n").expect("written");
    let world = World::of(config, folder).await;
    let address = world.metrics.expect("an address");
    let client = reqwest::Client::new();
    let ask = |path: &str, token: &str| {
        let asked = client.get(format!("http://{address}{path}"));
        let asked = asked.header("authorization", token.to_owned());
        async move { asked.send().await.expect("an answer").status().as_u16() }
    };
    let wanted: BTreeSet<(&str, u16)> = BTreeSet::from([
        ("", 401),
        ("Bearer ", 401),
        ("Bearer a-token-of-some-lengtH", 401),
        ("Basic a-token-of-some-length", 401),
        ("Bearer a-token-of-some-length", 200),
    ]);
    for (token, status) in wanted {
        assert_eq!(ask("/metrics", token).await, status, "{token:?}");
    }
    assert_eq!(ask("/healthz", "").await, 200, "a probe has no token");
    // And the pages' own address has none of it.
    assert_eq!(world.stranger().get("/metrics").await.status, 404);
    world.end().await;
}
