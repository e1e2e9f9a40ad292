//! Hunts: what ran, and asking for another.

use davylamp_console::Role;
use davylamp_ledger::Taken;
use davylamp_ledger::record::{Errand, IncidentNo};
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;

use crate::work::{furnish, run, write};
use crate::world::{World, finding};

#[tokio::test(flavor = "multi_thread")]
async fn the_last_runs_stand_with_what_they_counted_and_errors_are_loud() {
    let world = World::new().await;
    world
        .deliver(vec![finding(1, "eve", "hub-a", Taken::Killed, 5)])
        .await;
    furnish(&world, IncidentNo(1)).await;
    write(&world, run("dns-pool-name", "s3://logs/dns", 3, None)).await;
    let vic = world.visitor("vic", Role::Viewer, &[]).await;
    let page = vic.page("/hunts").await.body;
    for text in [
        "12 objects could not be read",
        "✕ not to its end",
        "3 found",
        "7 found",
        "unreadable",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    assert!(
        !page.contains("name=\"hunt\""),
        "a viewer asks for nothing: {page}"
    );
    let failed = vic.page("/hunts?only=failed").await.body;
    assert!(
        failed.contains("flow-thin-periodic") && !failed.contains("dns-pool-name"),
        "{failed}"
    );
    let named = vic.page("/hunts?text=DNS").await.body;
    assert!(
        named.contains("dns-pool-name") && !named.contains("flow-thin-periodic"),
        "{named}"
    );
    let runs = vic.page("/hunts/runs?name=dns-pool-name").await.body;
    assert_eq!(runs.matches("<th scope=\"row\">").count(), 2, "{runs}");
    let scoped = world.visitor("abe", Role::Viewer, &["hub-a"]).await;
    let page = scoped.page("/hunts").await.body;
    assert!(
        page.contains("flow-thin-periodic") && !page.contains("s3://logs"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hunt_is_asked_for_once_and_withdrawn() {
    let world = World::new().await;
    let rae = world.visitor("rae", Role::Responder, &[]).await;
    let page = rae.page("/hunts").await.body;
    assert!(
        page.contains("<option value=\"flow-pool-indicator\">"),
        "{page}"
    );
    let (_, rest) = page.split_once("name=\"nonce\" value=\"").expect("a field");
    let nonce = rest.split('"').next().expect("a value");
    for fields in [
        vec![("nonce", nonce), ("hunt", " ")],
        vec![("nonce", nonce), ("hunt", "a\u{202e}b")],
        vec![("nonce", nonce), ("hunt", "x"), ("since", "soon")],
        vec![
            ("nonce", nonce),
            ("hunt", "x"),
            ("since", "2026-11-02T00:00"),
            ("until", "2026-11-01T00:00"),
        ],
    ] {
        let answer = rae.submit("/hunts", &fields).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{fields:?}");
    }
    let head = world.head().await;
    let fields = [
        ("nonce", nonce),
        ("hunt", "dns-pool-name"),
        ("since", "2026-11-01T00:00"),
        ("until", ""),
        ("cluster", ""),
    ];
    for _ in 0..2 {
        assert_eq!(
            rae.submit("/hunts", &fields).await.location(),
            "/hunts?done=asked"
        );
    }
    assert_eq!(world.head().await, head + 1);
    let page = rae.page("/hunts?done=asked").await.body;
    assert!(page.contains("waits for a worker"), "{page}");
    // Whose workers are of one cluster asks only those.
    let scoped = world.visitor("abe", Role::Responder, &["hub-a"]).await;
    let other = "b".repeat(22);
    for cluster in ["", "hub-b"] {
        let fields = [
            ("nonce", other.as_str()),
            ("hunt", "x"),
            ("cluster", cluster),
        ];
        assert_eq!(
            scoped.submit("/hunts", &fields).await.status,
            StatusCode::BAD_REQUEST,
            "{cluster}"
        );
    }
    assert!(
        !scoped
            .page("/hunts")
            .await
            .body
            .contains("waits for a worker")
    );
    let job = (head + 1).to_string();
    assert_eq!(
        scoped
            .submit("/hunts/withdraw", &[("job", &job)])
            .await
            .status,
        StatusCode::NOT_FOUND
    );
    let fields = [
        ("nonce", other.as_str()),
        ("hunt", "flow-mining-port"),
        ("cluster", "hub-a"),
    ];
    assert_eq!(
        scoped.submit("/hunts", &fields).await.status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        rae.submit("/hunts/withdraw", &[("job", &job)])
            .await
            .location(),
        "/hunts?done=withdrawn"
    );
    let taken = world
        .ledger
        .take_job(
            "w",
            "hub-a",
            &["hunt".to_owned()],
            SignedDuration::from_mins(5),
            Timestamp::now(),
        )
        .await
        .expect("an answer")
        .expect("a job");
    let errand = taken.job.expect("its words").errand;
    assert!(matches!(errand, Errand::Hunt { hunt, .. } if hunt == "flow-mining-port"));
    let overview = rae.page("/").await.body;
    assert!(overview.contains("taken by"), "{overview}");
}
