//! One suite for every store: they mean the same.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use davylamp_model::ids::IncidentId;
use davylamp_plan::plan::StepId;
use davylamp_respond::journal::dynamodb::DynamoJournal;
use davylamp_respond::journal::memory::MemoryJournal;
use davylamp_respond::journal::sqlite::SqliteJournal;
use davylamp_respond::journal::{
    Claim, ClaimRequest, Entry, Event, Journal, JournalError, NoticeMark, Once,
};
use davylamp_testkit::moto::Moto;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    start + SignedDuration::from_secs(seconds)
}

fn request(resource: &str, proposed: &str, run: &str, seconds: i64) -> ClaimRequest {
    ClaimRequest {
        resource: resource.to_owned(),
        proposed: proposed.into(),
        run: run.to_owned(),
        now: at(seconds),
        lease_secs: 60,
        window_hours: 24,
    }
}

fn intended(run: &str, seconds: i64, step: &str, irreversible: bool) -> Entry {
    Entry {
        at: at(seconds),
        run: run.to_owned(),
        event: Event::Intended {
            step: StepId(step.to_owned()),
            before: json!({ "groups": ["sg-1"] }),
            playbook: "node-miner".to_owned(),
            irreversible,
        },
    }
}

fn mark(run: &str, seconds: i64) -> NoticeMark {
    NoticeMark {
        incident: "inc-1".into(),
        notice: "report/mail".to_owned(),
        run: run.to_owned(),
        now: at(seconds),
        lease_secs: 60,
    }
}

fn ours(claim: Claim) -> (IncidentId, Vec<Entry>) {
    match claim {
        Claim::Ours { incident, entries } => (incident, entries),
        Claim::Busy { run, .. } => panic!("{run} has it"),
    }
}

async fn conforms(journal: Arc<dyn Journal>) {
    let one: IncidentId = "inc-1".into();
    // A lease keeps others out, and shows what happened to those that come after it.
    ours(
        journal
            .claim(&request("r/1", "inc-1", "a", 0))
            .await
            .unwrap(),
    );
    match journal
        .claim(&request("r/1", "inc-9", "b", 10))
        .await
        .unwrap()
    {
        Claim::Busy {
            incident,
            run,
            until,
        } => assert_eq!((incident, run.as_str(), until), (one.clone(), "a", at(60))),
        other => panic!("{other:?}"),
    }
    let first = intended("a", 20, "isolate", false);
    journal.append(&one, &first, 60).await.unwrap();
    let second = intended("a", 30, "terminate", true);
    journal.append(&one, &second, 60).await.unwrap();
    journal.renew(&one, "a", at(40), 60).await.unwrap();
    assert!(journal.due(at(99)).await.unwrap().is_empty());
    // A run that was cut off leaves an incident that is due when its lease ends.
    assert_eq!(
        journal.due(at(100)).await.unwrap(),
        std::slice::from_ref(&one)
    );
    let claim = journal
        .claim(&request("r/1", "inc-9", "b", 100))
        .await
        .unwrap();
    assert_eq!(
        ours(claim),
        (one.clone(), vec![first.clone(), second.clone()])
    );
    // The one that lost it learns so, and changes nothing.
    let lost = JournalError::Lost {
        incident: one.clone(),
    };
    let late = intended("a", 101, "late", false);
    assert_eq!(journal.append(&one, &late, 60).await.unwrap_err(), lost);
    assert_eq!(
        journal.renew(&one, "a", at(101), 60).await.unwrap_err(),
        lost
    );
    assert_eq!(journal.release(&one, "a", None).await.unwrap_err(), lost);
    assert_eq!(journal.read(&one).await.unwrap().unwrap().len(), 2);
    // Let go of, it is due when it was said.
    journal.release(&one, "b", Some(at(500))).await.unwrap();
    assert!(journal.due(at(499)).await.unwrap().is_empty());
    assert_eq!(
        journal.due(at(500)).await.unwrap(),
        std::slice::from_ref(&one)
    );
    ours(
        journal
            .claim_incident(&one, "c", at(500), 60)
            .await
            .unwrap(),
    );
    journal.release(&one, "c", None).await.unwrap();
    assert!(journal.due(at(999_999)).await.unwrap().is_empty());
    // Inside the window the same incident, after it another, or the same opened again.
    let day = 24 * 3600;
    let (id, _) = ours(
        journal
            .claim(&request("r/1", "inc-9", "d", day))
            .await
            .unwrap(),
    );
    assert_eq!(id, one);
    journal.release(&one, "d", None).await.unwrap();
    let over = request("r/1", "inc-1", "e", day + 1);
    let (id, entries) = ours(journal.claim(&over).await.unwrap());
    assert_eq!((id, entries.len()), (one.clone(), 2));
    journal.release(&one, "e", None).await.unwrap();
    let (id, entries) = ours(
        journal
            .claim(&request("r/1", "inc-2", "f", 3 * day))
            .await
            .unwrap(),
    );
    assert_eq!((id.as_str(), entries.len()), ("inc-2", 0));
    assert_eq!(
        journal.list(10).await.unwrap(),
        [id.clone(), one.clone()],
        "the newest first"
    );
    assert_eq!(journal.list(1).await.unwrap(), [id]);
    // What is unknown is said to be.
    let none: IncidentId = "inc-none".into();
    let unknown = JournalError::NoSuchIncident {
        incident: none.clone(),
    };
    assert_eq!(journal.read(&none).await.unwrap(), None);
    assert_eq!(
        journal
            .claim_incident(&none, "a", at(0), 60)
            .await
            .unwrap_err(),
        unknown
    );
    assert_eq!(
        journal.append(&none, &first, 60).await.unwrap_err(),
        unknown
    );
    // The caps count what other incidents of the playbook did.
    let usage = journal.usage("node-miner", at(0), &none).await.unwrap();
    assert_eq!(
        (usage.plans_last_hour, usage.irreversible_last_hour),
        (1, 1)
    );
    let usage = journal.usage("node-miner", at(25), &none).await.unwrap();
    assert_eq!(
        (usage.plans_last_hour, usage.irreversible_last_hour),
        (1, 1)
    );
    let usage = journal.usage("node-miner", at(31), &none).await.unwrap();
    assert_eq!(usage.plans_last_hour, 0);
    assert_eq!(
        journal
            .usage("node-miner", at(0), &one)
            .await
            .unwrap()
            .plans_last_hour,
        0
    );
    assert_eq!(
        journal
            .usage("other", at(0), &none)
            .await
            .unwrap()
            .plans_last_hour,
        0
    );
    // A notice goes out once; one that did not is free at once, one whose run died after a while.
    assert_eq!(journal.once(&mark("a", 0)).await.unwrap(), Once::Ours);
    let busy = Once::Busy { until: at(60) };
    assert_eq!(journal.once(&mark("b", 10)).await.unwrap(), busy);
    journal.settle(&mark("a", 0), false).await.unwrap();
    assert_eq!(journal.once(&mark("b", 10)).await.unwrap(), Once::Ours);
    assert_eq!(journal.once(&mark("c", 70)).await.unwrap(), Once::Ours);
    journal.settle(&mark("b", 10), false).await.unwrap();
    assert_eq!(
        journal.once(&mark("d", 71)).await.unwrap(),
        Once::Busy { until: at(130) }
    );
    journal.settle(&mark("c", 70), true).await.unwrap();
    journal.settle(&mark("c", 70), false).await.unwrap();
    assert_eq!(journal.once(&mark("d", 9999)).await.unwrap(), Once::Sent);
}

/// Of many runs that claim at once exactly one wins, and all see the same incident.
async fn one_wins(journals: Vec<Arc<dyn Journal>>) {
    let claims = (0..24).map(|number| {
        let journal = Arc::clone(&journals[number % journals.len()]);
        tokio::spawn(async move {
            let asked = request(
                "r/2",
                &format!("inc-of-{number}"),
                &format!("run-{number}"),
                0,
            );
            journal.claim(&asked).await.unwrap()
        })
    });
    let mut winners = 0;
    let mut incidents = Vec::new();
    for claim in join_all(claims).await {
        match claim.unwrap() {
            Claim::Ours { incident, .. } => {
                winners += 1;
                incidents.push(incident);
            }
            Claim::Busy { incident, .. } => incidents.push(incident),
        }
    }
    incidents.dedup();
    assert_eq!((winners, incidents.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory() {
    conforms(Arc::new(MemoryJournal::new())).await;
    one_wins(vec![Arc::new(MemoryJournal::new())]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    conforms(Arc::new(SqliteJournal::open(&path).await.unwrap())).await;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Two that were opened apart share nothing but the file, as two processes do.
    let mut journals: Vec<Arc<dyn Journal>> = Vec::new();
    for _ in 0..2 {
        journals.push(Arc::new(SqliteJournal::open(&path).await.unwrap()));
    }
    one_wins(journals).await;
}

#[tokio::test]
async fn sqlite_refuses_what_is_not_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    std::fs::write(
        &path,
        "this is a letter, and not a database at all, whatever its name",
    )
    .unwrap();
    let error = SqliteJournal::open(&path).await.unwrap_err();
    assert!(matches!(error, JournalError::Unreadable { .. }), "{error}");
}

/// A fresh table in an account of its own.
async fn table() -> DynamoJournal {
    let account = tokio::task::spawn_blocking(|| Moto::shared().account())
        .await
        .unwrap();
    let (key, secret, token) = account.credentials();
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(account.endpoint.clone())
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            key,
            secret,
            Some(token.to_owned()),
            None,
            "test",
        )))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let client = aws_sdk_dynamodb::Client::new(&config);
    let part = |name: &str| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .unwrap()
    };
    let key = |name: &str, kind: KeyType| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()
            .unwrap()
    };
    client
        .create_table()
        .table_name("journal")
        .attribute_definitions(part("pk"))
        .attribute_definitions(part("sk"))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
    DynamoJournal::new(client, "journal")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dynamodb() {
    let journal = table().await;
    conforms(Arc::new(journal.clone())).await;
    one_wins(vec![Arc::new(journal.clone()), Arc::new(journal)]).await;
}
