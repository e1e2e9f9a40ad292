//! A story of testkit, written and investigated.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use davylamp_casework::case::{Asked, Case};
use davylamp_casework::investigate::{Indicator, Means, investigate};
use davylamp_content::prices::book::Book;
use davylamp_hunt::engine::{Engine, Setup};
use davylamp_hunt::objects::Scope;
use davylamp_testkit::attack::{Options, Scenario, Story, Truth};
use jiff::Timestamp;
use tempfile::TempDir;

/// What really happened, and what the case says of it.
pub struct Told {
    /// The truth.
    pub truth: Truth,
    /// The case.
    pub case: Case,
}

/// Writes a story of a scenario.
pub fn written(seed: u64, scenario: Scenario) -> (TempDir, Truth) {
    let options = Options {
        scenario: Some(scenario),
        ..Options::default()
    };
    let dir = tempfile::tempdir().expect("a folder can be made");
    let truth = Story::new(seed, &options)
        .write(dir.path())
        .expect("the story can be written");
    (dir, truth)
}

/// Investigates a story.
pub async fn told(seed: u64, options: &Options, indicators: &[&str]) -> Told {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let truth = Story::new(seed, options)
        .write(dir.path())
        .expect("the story can be written");
    let case = case_of(dir.path(), indicators).await;
    Told { truth, case }
}

/// Opens what lies below a folder.
pub async fn open(dir: &Path) -> Engine {
    open_within(dir, Scope::default()).await
}

/// Opens what lies below a folder, as far as it is within a scope.
pub async fn open_within(dir: &Path, scope: Scope) -> Engine {
    let logs = ["AWSLogs", "recorder"].map(|folder| dir.join(folder));
    let there = logs.iter().filter(|folder| folder.exists());
    let place = |folder: &PathBuf| folder.to_string_lossy().parse().expect("a path is a place");
    let setup = Setup {
        locations: there.map(place).collect(),
        scope,
        ..Setup::default()
    };
    Engine::open(setup).await.expect("the logs can be listed")
}

/// Investigates logs.
pub async fn case_of(dir: &Path, indicators: &[&str]) -> Case {
    case_within(dir, Scope::default(), indicators).await
}

/// Investigates logs as far as they are within a scope.
pub async fn case_within(dir: &Path, scope: Scope, indicators: &[&str]) -> Case {
    let engine = open_within(dir, scope).await;
    let indicators: Vec<Indicator> = indicators.iter().map(|text| Indicator::of(text)).collect();
    let run = Arc::default();
    let means = Means {
        run: &run,
        prices: &Book::of_shipped(),
        now: Timestamp::UNIX_EPOCH,
    };
    investigate(&engine, Asked::default(), &indicators, &means)
        .await
        .expect("the logs can be read")
}
