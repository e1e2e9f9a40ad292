//! What the console does by itself, once a day.

use std::path::Path;

use davylamp_console::config::Config;
use davylamp_console::{Console, Role};
use davylamp_ledger::Taken;
use davylamp_ledger::query::At;
use davylamp_testkit::postgres::Postgres;
use jiff::Timestamp;
use tempfile::TempDir;

use crate::world::{World, finding};
use crate::{config, metrics, until};

/// Makes everything due, as if the console had been made long ago.
async fn due(config: &Config, statements: &[&'static str]) {
    let console = Console::open(config.clone()).await.expect("a console");
    let pool = console.ledger().database();
    let due = "UPDATE console_chore SET since = 0, done = NULL, outcome = NULL";
    for statement in [&[due], statements].concat() {
        sqlx::query(statement).execute(pool).await.expect(statement);
    }
    console.ledger().close().await;
}

async fn filled(config: &Config) {
    let console = Console::open(config.clone()).await.expect("a console");
    // Spared ones belong to no incident, and so go as soon as they are old.
    let findings = (0..1200).map(|n| {
        let finding = finding(
            n,
            &format!("user-{n}"),
            "hub-a",
            Taken::Spared,
            60 * 24 * 30,
        );
        davylamp_ledger::Input::Finding(Box::new(finding))
    });
    let findings: Vec<_> = findings.collect();
    let taken = console
        .ledger()
        .deliver(None, &findings, Timestamp::now())
        .await;
    assert_eq!(taken.expect("taken").new, 1200);
    console.ledger().close().await;
}

fn number(page: &str, name: &str) -> Option<f64> {
    let mut lines = page.lines();
    lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

fn has_done(page: &str, chore: &str) -> bool {
    let name = format!("davylamp_console_chore_done_seconds{{chore=\"{chore}\"}}");
    number(page, &name).is_some()
}

async fn is_done(world: &World) -> bool {
    let page = metrics(world).await;
    has_done(&page, "verify") && has_done(&page, "retain")
}

fn scratch(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("a folder").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_checked_and_what_is_old_goes() {
    let folder = TempDir::new().expect("a folder");
    let mut config = config(folder.path());
    config.retention.findings_days = 10;
    config.daily.scratch = folder.path().join("scratch");
    std::fs::create_dir(&config.daily.scratch).expect("a folder");
    filled(&config).await;
    due(&config, &[]).await;
    let world = World::of(config.clone(), folder).await;
    until("both are done", || is_done(&world)).await;
    let page = metrics(&world).await;
    for line in [
        "davylamp_console_ledger_faulty 0",
        "davylamp_console_ledger_verified_entries 1200",
        "davylamp_console_retention_findings_total 1200",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    let due = number(
        &page,
        "davylamp_console_chore_due_seconds{chore=\"verify\"}",
    );
    assert!(due.expect("a time") > Timestamp::now().as_second() as f64);
    // In small steps, each an entry of the ledger.
    let entries = world.ledger.entries_of("retention", &At::first(50)).await;
    assert_eq!(entries.expect("entries").items.len(), 3);
    assert_eq!(scratch(&config.daily.scratch), 0, "the copy is gone");
    let ada = world.visitor("ada", Role::Viewer, &[]).await;
    let page = ada.page("/ledger").await.body;
    assert!(
        page.contains("✓ yes") && page.contains("1200 entries"),
        "{page}"
    );
    assert!(!ada.page("/").await.body.contains("not as it was written"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_was_changed_is_told_of_on_the_first_page() {
    let folder = TempDir::new().expect("a folder");
    let mut config = config(folder.path());
    config.retention.findings_days = 10;
    filled(&config).await;
    due(
        &config,
        &["UPDATE finding SET node = 'hub-a-secret-node' WHERE id = 700"],
    )
    .await;
    let kept = config.clone();
    // The folder outlives the console, which is looked at once more.
    let world = World::of(config, TempDir::new().expect("a folder")).await;
    until("the check is done", || async {
        has_done(&metrics(&world).await, "verify")
    })
    .await;
    let page = metrics(&world).await;
    assert!(
        page.contains("davylamp_console_ledger_faulty 1\n"),
        "{page}"
    );
    let ada = world.visitor("ada", Role::Viewer, &[]).await;
    let overview = ada.page("/").await.body;
    assert!(
        overview.contains("The ledger is not as it was written."),
        "{overview}"
    );
    let ledger = ada.page("/ledger").await.body;
    assert!(
        ledger.contains("Entry 700: ") && ledger.contains("secret-node"),
        "{ledger}"
    );
    // What a row says may be of a cluster that is not theirs.
    let bob = world.visitor("bob", Role::Viewer, &["hub-b"]).await;
    assert!(
        bob.page("/")
            .await
            .body
            .contains("The ledger is not as it was written.")
    );
    assert!(!bob.page("/ledger").await.body.contains("secret-node"));
    world.end().await;
    // It is evidence: nothing goes, however old.
    let console = Console::open(kept).await.expect("a console");
    let entries = console
        .ledger()
        .entries_of("retention", &At::first(50))
        .await;
    assert!(entries.expect("entries").items.is_empty());
    console.ledger().close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_ends_leaves_the_check_to_the_next_and_no_copy() {
    let folder = TempDir::new().expect("a folder");
    let mut config = config(folder.path());
    config.daily.scratch = folder.path().join("scratch");
    std::fs::create_dir(&config.daily.scratch).expect("a folder");
    filled(&config).await;
    due(&config, &[]).await;
    let world = World::of(config.clone(), TempDir::new().expect("a folder")).await;
    until("the check has begun", || async {
        // On a fast machine it may be over by the time it is looked at.
        scratch(&config.daily.scratch) > 0 || is_done(&world).await
    })
    .await;
    world.end().await;
    assert_eq!(scratch(&config.daily.scratch), 0, "the copy is gone");
    let world = World::of(config, TempDir::new().expect("a folder")).await;
    until("the next one does it", || is_done(&world)).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_checked_is_called_unknown() {
    let world = crate::world().await;
    let ada = world.visitor("ada", Role::Viewer, &[]).await;
    let page = ada.page("/ledger").await.body;
    assert!(
        page.contains("Unknown: it was never checked by itself."),
        "{page}"
    );
    assert!(page.contains("The next check is due"), "{page}");
    let page = metrics(&world).await;
    assert!(!page.contains("davylamp_console_ledger_faulty"), "{page}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_consoles_on_one_database_one_does_it() {
    let server = Postgres::start();
    let folder = || TempDir::new().expect("a folder");
    let mut config = config(folder().path());
    config.database = server.database();
    config.retention.findings_days = 10;
    filled(&config).await;
    due(&config, &[]).await;
    let (one, other) = tokio::join!(
        World::of(config.clone(), folder()),
        World::of(config.clone(), folder())
    );
    until("both are done", || is_done(&one)).await;
    let mut removed = Vec::new();
    for world in [&one, &other] {
        let page = metrics(world).await;
        let name = "davylamp_console_retention_findings_total";
        removed.push(number(&page, name).expect("a number"));
    }
    removed.sort_by(f64::total_cmp);
    assert_eq!(removed, [0.0, 1200.0], "one alone");
    let entries = one.ledger.entries_of("retention", &At::first(50)).await;
    assert_eq!(entries.expect("entries").items.len(), 3);
    one.end().await;
    other.end().await;
}
