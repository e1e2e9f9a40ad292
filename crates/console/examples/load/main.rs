//! What the console takes: events and people at the same time, over a ledger that is not empty.
//!
//! `make bench-console`, or
//! `cargo run --release -p davylamp-console --example load -- PROGRAM DATABASE FINDINGS INCIDENTS SECONDS`
//!
//! Fills the ledger at `DATABASE` up to so many findings in so many incidents, starts `PROGRAM console` on it, and asks
//! for pages one after another: alone, which is the baseline; while four agents send 2,000 findings a second between
//! them; and while 50 people watch as well. Then compares what was answered for with what the ledger has. `DATABASE` is
//! `sqlite:///path`, `postgres://…`, or `postgres` for a server of its own. `PROGRAM` is `davy`; this program is one as
//! well (`load console …`), without all that `davy` holds beside the console.

#![allow(clippy::print_stdout, reason = "a program that prints")]

mod bench;

use std::time::Duration;

use bench::asking::{Pages, Person};
use bench::program::Program;
use bench::sending::Senders;
use bench::{fill, kept, program};
use davylamp_console::config::Config;
use davylamp_console::{Console, Role, Scope};
use davylamp_testkit::postgres::Postgres;
use jiff::Timestamp;

/// Who watches. Each tenth of them may see one small cluster alone.
const VIEWERS: usize = 50;
/// So many pages are asked for alone.
const ALONE: usize = 400;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let _ = rustls::crypto::ring::default_provider().install_default();
    if arguments.first().is_some_and(|first| first == "console") {
        program::serve(&arguments[1..]);
        return;
    }
    let [program, database, findings, incidents, seconds] = arguments.as_slice() else {
        println!("load PROGRAM DATABASE FINDINGS INCIDENTS SECONDS");
        std::process::exit(2);
    };
    let number = |text: &str| text.parse().expect("a whole number");
    let server = (database == "postgres").then(Postgres::start);
    let database = server
        .as_ref()
        .map_or_else(|| database.clone(), Postgres::database);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(
        program,
        &database,
        number(findings),
        number(incidents),
        Duration::from_secs(number(seconds)),
    ));
}

async fn opened(database: &str) -> Console {
    let config = Config {
        database: database.to_owned(),
        ..Config::default()
    };
    Console::open(config).await.expect("a ledger")
}

async fn measure(program: &str, database: &str, findings: u64, incidents: u64, phase: Duration) {
    let console = opened(database).await;
    fill::fill(console.ledger(), findings, incidents).await;
    let now = Timestamp::now();
    let mut senders = Senders::new(&console, incidents, now).await;
    let all = Person::new(&console, Role::Admin, Scope::default()).await;
    let scope = Scope::of(vec![fill::SMALL.to_owned()]);
    let few = Person::new(&console, Role::Viewer, scope).await;
    let head = console.ledger().head().await.expect("a head").seq;
    console.ledger().close().await;

    let program = Program::start(program, database);
    let (all, few) = (all.signed_in(&program).await, few.signed_in(&program).await);
    let pages = Pages::new(&all, &few);
    println!("load average when it begins: {}", bench::load_average());
    let quiet = program.memory();
    let alone = pages.some(ALONE).await;

    let busy = program.busy();
    let sending = senders.begin(&program, phase);
    let under = pages.during(phase).await;
    sending.await;
    let ingest_cpu = program.busy() - busy;
    let one = senders.told(phase);

    let watched = bench::watching::begin(&all, &few, VIEWERS);
    let busy = program.busy();
    let sending = senders.begin(&program, phase);
    let (loaded, memory) = tokio::join!(pages.during(phase), program.memories(phase));
    sending.await;
    let cpu = program.busy() - busy;
    let two = senders.told(phase);
    let seen = watched.end();
    let most = program.memory();
    println!("load average when it ends: {}", bench::load_average());
    drop(program);

    println!("\nbaseline: the same pages, asked for alone, of the same console in the same run");
    for (name, times) in [
        ("alone", &alone),
        ("while findings come", &under),
        ("while findings come and people watch", &loaded),
    ] {
        times.print(name, &alone);
    }
    println!(
        "\nfindings, while they come alone: {one}; the console was busy for {ingest_cpu:.2} s"
    );
    println!("findings, while people watch: {two}; the console was busy for {cpu:.2} s");
    println!("viewers {VIEWERS}: {seen}");
    println!(
        "memory: {quiet} at first; then steadily {}, at most {} MiB",
        bench::middle(&memory),
        most.highest_mib
    );
    let console = opened(database).await;
    println!(
        "ledger: {}",
        kept::compare(console.ledger(), head, &senders).await
    );
}
