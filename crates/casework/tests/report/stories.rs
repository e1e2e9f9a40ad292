//! Folders of cases that the analysis makes of whole stories, from logs to letter.

use std::sync::Arc;

use davylamp_casework::case::{Asked, Case};
use davylamp_casework::investigate::{Means, investigate};
use davylamp_casework::report::{check, plain};
use davylamp_content::prices::book::Book;
use davylamp_hunt::engine::{Engine, Setup};
use davylamp_testkit::attack::{Options, Scenario, Story};

use crate::{Folder, cases, stix};

async fn told(seed: u64, scenario: Scenario) -> Case {
    let dir = tempfile::tempdir().expect("a folder");
    let options = Options {
        scenario: Some(scenario),
        ..Options::default()
    };
    let story = Story::new(seed, &options);
    story.write(dir.path()).expect("the story can be written");
    let logs = dir.path().join("AWSLogs");
    let setup = Setup {
        locations: vec![logs.to_string_lossy().parse().expect("a place")],
        ..Setup::default()
    };
    let engine = Engine::open(setup).await.expect("the logs can be listed");
    let asked = Asked {
        logs: vec!["AWSLogs".to_owned()],
        made_at: Some(cases::at("2026-11-30T12:00:00Z")),
        made_by: "davy 0.1.0".to_owned(),
        ..Asked::default()
    };
    let run = Arc::default();
    let means = Means {
        run: &run,
        prices: &Book::of_shipped(),
        now: cases::at("2026-11-30T12:00:00Z"),
    };
    let case = investigate(&engine, asked, &[], &means).await;
    case.expect("the logs can be read")
}

#[tokio::test]
async fn a_story_becomes_a_folder_that_is_sound() {
    for scenario in [
        Scenario::StolenAdminKey,
        Scenario::Functions,
        Scenario::NoAttack,
    ] {
        let case = told(7, scenario).await;
        let folder = Folder::of(&case);
        let checked = check(&folder.path).expect("a check");
        assert!(checked.is_sound(), "{scenario:?}: {:?}", checked.faults);
        stix::looked_at(&folder.text("iocs.json"));
        assert!(plain(&case).lines().count() <= 40, "{scenario:?}");
        let page = folder.text("report.html");
        let letter = folder.text("credit-request/request.md");
        let asks = !letter.contains("Nothing to ask for");
        assert_eq!(case.span.is_some(), asks, "{scenario:?}");
        // Whoever is cleared or named stands on the page with the verdict.
        for one in &case.innocence {
            assert!(
                page.contains(&one.principal),
                "{scenario:?}: {}",
                one.principal
            );
        }
    }
}
