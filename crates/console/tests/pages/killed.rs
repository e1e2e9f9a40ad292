//! A console that is killed while it tells people.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use davylamp_console::Console;
use davylamp_console::config::{Clocks, Config};
use davylamp_ledger::{Input, Ledger, Options, Taken};
use davylamp_testkit::webhook::{Scripted, WebhookSink};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::notices::{opened, quick, route, secret, webhook};
use crate::world::{finding, until, within};

/// The variables by which the second process knows its ledger and its receiver.
const DATABASE: &str = "DAVYLAMP_TEST_DATABASE";
const ADDRESS: &str = "DAVYLAMP_TEST_ADDRESS";
/// So often it is killed.
const KILLS: usize = 6;
/// So many incidents come between two kills.
const INCIDENTS: i64 = 8;

/// The other process: this program again, with this test alone. It serves until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn the_console_that_is_killed() {
    let (Ok(database), Ok(address)) = (std::env::var(DATABASE), std::env::var(ADDRESS)) else {
        return;
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config {
        listen: "127.0.0.1:0".to_owned(),
        database,
        clocks: Clocks::none(),
        ..Config::default()
    };
    quick(&mut config);
    config.notices.channels = vec![webhook("machine", address)];
    config.notices.channels[0].per_hour = 3600;
    config.notices.routes = vec![route(&["machine"])];
    let console = Console::open(config).await.expect("a console");
    let ready = console.listen().await.expect("an address");
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    ready.serve(stopped).await;
}

/// A console that is killed with the value at the latest.
struct Other(Child);

impl Other {
    fn kill(&mut self) {
        self.0.kill().expect("it is killed");
        self.0.wait().expect("it has ended");
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(database: &str, address: &str) -> Other {
    let program = std::env::current_exe().expect("this program");
    let other = Command::new(program)
        .args([
            "--exact",
            "killed::the_console_that_is_killed",
            "--nocapture",
        ])
        .env(DATABASE, database)
        .env(ADDRESS, address)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Other(other.expect("it starts"))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_loses_nothing_and_tells_nothing_twice_under_another_id() {
    let folder = TempDir::new().expect("a folder");
    let database = format!("sqlite://{}", folder.path().join("ledger.db").display());
    // Some are refused for now, so that kills fall between two tries as well.
    let script = (0..30).map(|n| match n % 3 {
        0 => Scripted::Status(503, "later".to_owned()),
        1 => Scripted::Drop,
        _ => Scripted::Status(200, "ok".to_owned()),
    });
    let sink = WebhookSink::start(script);
    let address = secret(folder.path(), "address", &sink.url("/hook"));
    let ledger = Ledger::open(&database, &Options::default())
        .await
        .expect("a ledger");
    let mut console = start(&database, &address);
    let tables = || async {
        let asked = sqlx::query("SELECT seq FROM console_notice_cursor");
        asked
            .fetch_optional(ledger.database())
            .await
            .is_ok_and(|row| row.is_some())
    };
    until("it has begun", tables).await;
    let mut n = 0;
    for round in 0..KILLS {
        let before = sink.hooks().len();
        for _ in 0..INCIDENTS {
            n += 1;
            let one = finding(n, &format!("user-{n}"), "hub-a", Taken::Killed, 0);
            let input = [Input::Finding(Box::new(one))];
            ledger
                .deliver(None, &input, Timestamp::now())
                .await
                .expect("taken");
        }
        // Killed while it gathers, while it puts together, and while it sends.
        match round % 3 {
            0 => {}
            1 => tokio::time::sleep(Duration::from_millis(900)).await,
            _ => until("it sends", || async { sink.hooks().len() > before }).await,
        }
        console.kill();
        console = start(&database, &address);
    }
    let all = usize::try_from(n).expect("few");
    let told = || async {
        let told = opened(&sink.hooks());
        told.values().flatten().collect::<BTreeSet<_>>().len() == all
    };
    // What it had in its hands when it was killed is let go of after its lease.
    within(180, "all are told", told).await;
    let waits = || async {
        let asked = "SELECT count(*) FROM console_notice WHERE state <> 'sent'";
        let asked = sqlx::query_scalar::<_, i64>(asked);
        asked
            .fetch_one(ledger.database())
            .await
            .is_ok_and(|n| n == 0)
    };
    within(180, "all are noted", waits).await;
    console.kill();
    let told = opened(&sink.hooks());
    let times: usize = told.values().map(BTreeSet::len).sum();
    let different: BTreeSet<&String> = told.values().flatten().collect();
    assert_eq!((times, different.len()), (all, all), "{told:?}");
}
