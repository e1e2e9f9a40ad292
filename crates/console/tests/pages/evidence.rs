//! Evidence, and that its readings are written down.

use davylamp_console::Role;
use davylamp_ledger::Taken;
use davylamp_ledger::record::{Evidence, IncidentNo, Record};
use jiff::Timestamp;
use reqwest::StatusCode;

use crate::world::{World, finding, on_instance};

const WHERE: &str = "s3://forensics/snap-0f00ba4";

async fn keep(world: &World, incident: IncidentNo, custody: &str) -> i64 {
    let evidence = Evidence {
        incident: Some(incident),
        what: "snapshot".to_owned(),
        location: WHERE.to_owned(),
        sha256: Some("ab".repeat(32)),
        size_bytes: Some(4096),
        custody: custody.to_owned(),
        by: "responder".to_owned(),
    };
    let record = Record::Evidence(evidence);
    let written = world.ledger.record(record, Timestamp::now()).await;
    written.expect("an entry").first.expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_evidence_is_written_down_once_an_hour_for_each_person() {
    let world = World::new().await;
    let opened = world
        .deliver(vec![finding(1, "eve", "hub-a", Taken::Killed, 5)])
        .await
        .opened;
    let no = opened[0];
    let id = keep(&world, no, "taken by the responder").await;
    keep(&world, no, "handed to the forensic account").await;
    let ada = world.visitor("ada", Role::Viewer, &[]).await;
    let incident = format!("/incidents/{no}", no = no.0);
    let path = format!("{incident}/evidence/{id}");
    for page in [&incident, "/live", "/ledger", "/"] {
        assert!(
            !ada.page(page).await.body.contains(WHERE),
            "{page} tells where it lies"
        );
    }
    assert!(
        ada.page(&incident)
            .await
            .body
            .contains(&format!("href=\"{path}\""))
    );
    assert!(world.entries("access").await.is_empty());
    for _ in 0..3 {
        let page = ada.page(&path).await.body;
        for text in [
            WHERE,
            "taken by the responder",
            "handed to the forensic account",
            "opened its page",
        ] {
            assert!(page.contains(text), "{text} is not in {page}");
        }
    }
    let abe = world.visitor("abe", Role::Responder, &[]).await;
    let page = abe.page(&path).await.body;
    assert!(
        page.contains("<bdi>ada</bdi>") && page.contains("<bdi>abe</bdi>"),
        "{page}"
    );
    let read: Vec<(String, String)> = world
        .entries("access")
        .await
        .into_iter()
        .map(|record| match record {
            Record::Access(access) => (access.by, access.location),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        read,
        [
            ("abe".to_owned(), WHERE.to_owned()),
            ("ada".to_owned(), WHERE.to_owned())
        ]
    );
    assert!(ada.page(&incident).await.body.contains("2 times"));
    assert_eq!(
        ada.get(&format!("{incident}/evidence/{}", id + 7))
            .await
            .status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        ada.get(&format!("{incident}/evidence/x")).await.status,
        StatusCode::NOT_FOUND
    );
    let stranger = world.stranger().get(&path).await;
    assert_eq!(stranger.status, StatusCode::SEE_OTHER);
    assert_eq!(world.entries("access").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_of_another_cluster_or_incident_is_not_there() {
    let world = World::new().await;
    let mine = world
        .deliver(vec![finding(1, "mine", "hub-a", Taken::Killed, 9)])
        .await
        .opened[0];
    let theirs = world
        .deliver(vec![finding(2, "theirs", "hub-b", Taken::Killed, 8)])
        .await
        .opened[0];
    let both = vec![
        on_instance(
            finding(3, "one", "hub-a", Taken::Killed, 3),
            "i-0shared",
            "us-east-1",
        ),
        on_instance(
            finding(4, "two", "hub-b", Taken::Killed, 2),
            "i-0shared",
            "us-east-1",
        ),
    ];
    let both = world.deliver(both).await.opened[0];
    let id = keep(&world, theirs, "x").await;
    let rae = world.visitor("rae", Role::Responder, &["hub-a"]).await;
    for incident in [mine, theirs, both] {
        let answer = rae
            .get(&format!("/incidents/{}/evidence/{id}", incident.0))
            .await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{incident}");
        assert!(!answer.body.contains(WHERE), "{}", answer.body);
    }
    assert!(world.entries("access").await.is_empty());
}
