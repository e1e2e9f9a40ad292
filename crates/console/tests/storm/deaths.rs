//! kill -9 of the console and of its database, while nodes go on sending: nothing is lost, nothing is there
//! twice, and the chain holds.

use std::time::Duration;

use davylamp_console::Console;
use davylamp_ledger::Ledger;
use davylamp_testkit::postgres::Postgres;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::console::{Process, config};
use crate::senders::{Node, compare};
use crate::{runtime, until};

/// How often each dies.
const DEATHS: usize = 5;
/// Entries that come between two deaths: each falls into the middle of batches.
const BETWEEN: i64 = 150;
const WITHIN: Duration = Duration::from_secs(60);

fn nodes(runtime: &Runtime, database: &str, processes: &[&Process]) -> Vec<Node> {
    runtime.block_on(async {
        let console = Console::open(config(database)).await.expect("a console");
        let mut nodes = Vec::new();
        for n in 0..3 {
            let url = processes[n % processes.len()].url();
            nodes.push(Node::new(&console, &format!("node-{n}"), &url).await);
        }
        console.ledger().close().await;
        nodes
    })
}

async fn opened(database: &str) -> Ledger {
    let console = Console::open(config(database)).await.expect("a console");
    console.ledger().clone()
}

/// Waits until the ledger has grown.
fn grown(runtime: &Runtime, ledger: &Ledger, by: i64) {
    // A database that has just died is no answer.
    let head = || runtime.block_on(ledger.head()).map_or(0, |head| head.seq);
    let mut first = 0;
    until("the ledger can be read", WITHIN, || {
        first = head();
        first > 0
    });
    until("the ledger grows", WITHIN, || head() >= first + by);
}

#[test]
fn nothing_is_lost_where_the_console_is_killed_over_sqlite() {
    let (runtime, folder) = (runtime(), TempDir::new().expect("a folder"));
    let database = format!("sqlite://{}", folder.path().join("ledger.db").display());
    let mut console = Process::new(&database);
    let mut nodes = nodes(&runtime, &database, &[&console]);
    console.start();
    let ledger = runtime.block_on(opened(&database));
    nodes.iter_mut().for_each(Node::begin);
    for _ in 0..DEATHS {
        grown(&runtime, &ledger, BETWEEN);
        console.kill();
        console.start();
    }
    grown(&runtime, &ledger, BETWEEN);
    let sent = compare(&mut nodes, &runtime, &ledger);
    assert!(sent > DEATHS * 100, "only {sent} events were sent");
}

#[test]
fn nothing_is_lost_where_consoles_and_postgresql_are_killed() {
    let (runtime, mut server) = (runtime(), Postgres::start());
    let database = server.database();
    // Two consoles on one database.
    let mut consoles = [Process::new(&database), Process::new(&database)];
    let mut nodes = {
        let [one, two] = &consoles;
        nodes(&runtime, &database, &[one, two])
    };
    consoles.iter_mut().for_each(Process::start);
    let ledger = runtime.block_on(opened(&database));
    nodes.iter_mut().for_each(Node::begin);
    for round in 0..DEATHS {
        grown(&runtime, &ledger, BETWEEN);
        consoles[round % 2].kill();
        grown(&runtime, &ledger, 20);
        consoles[round % 2].start();
        server.kill();
        server.restart();
    }
    grown(&runtime, &ledger, BETWEEN);
    let sent = compare(&mut nodes, &runtime, &ledger);
    assert!(sent > DEATHS * 100, "only {sent} events were sent");
}
