//! One suite for every store: they mean the same.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use davylamp_model::ids::IncidentId;
use davylamp_plan::gate::Room;
use davylamp_plan::plan::StepId;
use davylamp_respond::journal::dynamodb::DynamoJournal;
use davylamp_respond::journal::memory::MemoryJournal;
use davylamp_respond::journal::sqlite::SqliteJournal;
use davylamp_respond::journal::tags::TagJournal;
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

/// Of many incidents that begin at once no more do than there is room for.
async fn keeps_to_the_caps(journals: Vec<Arc<dyn Journal>>) {
    let room = Room {
        plans: Some(5),
        irreversible: None,
    };
    let begins = (0..12).map(|number| {
        let journal = Arc::clone(&journals[number % journals.len()]);
        tokio::spawn(async move {
            let (incident, run) = (format!("inc-c{number}"), format!("run-{number}"));
            let resource = format!("r/c{number}");
            let claim = request(&resource, &incident, &run, 9000);
            ours(journal.claim(&claim).await.unwrap());
            let entry = intended(&run, 9001, "isolate", false);
            // A store may ask to come back, as the executor does.
            for _ in 0..20 {
                match journal
                    .begin(&incident.as_str().into(), &entry, 60, &room)
                    .await
                {
                    Err(JournalError::Unreachable { .. }) => {}
                    Ok(()) => return true,
                    Err(JournalError::Capped(_)) => return false,
                    Err(other) => panic!("{other}"),
                }
            }
            panic!("never let in")
        })
    });
    let begun = join_all(begins).await;
    let count = begun.into_iter().filter(|it| *it.as_ref().unwrap());
    assert_eq!(count.count(), 5);
    let usage = journals[0]
        .usage("node-miner", at(9000), &"none".into())
        .await;
    assert_eq!(usage.unwrap().plans_last_hour, 5);
}

/// Says to this program that it is one of the two processes, and where the folder is.
const FOLDER: &str = "DAVYLAMP_TEST_JOURNAL_FOLDER";
const PROCESSES: u32 = 2;
const INCIDENTS: u32 = 40;
const ROOM: u32 = 15;

/// One of the processes: claims every incident it can get, and begins a step of each.
async fn process(folder: &Path) {
    let run = format!("run-{}", std::process::id());
    std::fs::write(folder.join(&run), "here").unwrap();
    let here = || {
        std::fs::read_dir(folder).unwrap().filter(|it| {
            let name = it.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("run-")
        })
    };
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while here().count() < PROCESSES as usize {
        assert!(
            std::time::Instant::now() < end,
            "the other process did not come"
        );
        tokio::task::yield_now().await;
    }
    let journal = SqliteJournal::open(&folder.join("journal.db"))
        .await
        .unwrap();
    let room = Room {
        plans: Some(ROOM),
        irreversible: None,
    };
    for number in 0..INCIDENTS {
        let incident = format!("inc-{number}");
        let asked = request(&format!("r/{number}"), &incident, &run, 0);
        if let Claim::Ours { .. } = journal.claim(&asked).await.unwrap() {
            let entry = intended(&run, 1, "isolate", false);
            match journal
                .begin(&incident.as_str().into(), &entry, 60, &room)
                .await
            {
                Ok(()) | Err(JournalError::Capped(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[tokio::test]
async fn sqlite_of_two_processes() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return process(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let processes: Vec<_> = (0..PROCESSES)
        .map(|_| {
            tokio::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "sqlite_of_two_processes"])
                .env(FOLDER, folder.path())
                .kill_on_drop(true)
                .output()
        })
        .collect();
    for output in join_all(processes).await {
        let output = output.unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
    let journal = SqliteJournal::open(&folder.path().join("journal.db"))
        .await
        .unwrap();
    let incidents = journal.list(1000).await.unwrap();
    assert_eq!(incidents.len(), INCIDENTS as usize);
    let mut begun = 0;
    for incident in &incidents {
        let entries = journal.read(incident).await.unwrap().unwrap();
        assert!(entries.len() <= 1, "{incident} was begun twice");
        begun += entries.len();
    }
    assert_eq!(begun, ROOM as usize);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory() {
    conforms(Arc::new(MemoryJournal::new())).await;
    keeps_to_the_caps(vec![Arc::new(MemoryJournal::new())]).await;
    one_wins(vec![Arc::new(MemoryJournal::new())]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    conforms(Arc::new(SqliteJournal::open(&path).await.unwrap())).await;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A path that was mistyped leaves somebody else's file as it was.
    let other = folder.path().join("other");
    std::fs::write(
        &other,
        "nothing of ours, and longer than a header. ".repeat(100),
    )
    .unwrap();
    std::fs::set_permissions(&other, Permissions::from_mode(0o644)).unwrap();
    let refused = SqliteJournal::open(&other).await.map(drop);
    assert!(
        matches!(refused, Err(JournalError::Unreadable { .. })),
        "{refused:?}"
    );
    let mode = std::fs::metadata(&other).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    // Two that were opened apart share nothing but the file, as two processes do.
    let mut journals: Vec<Arc<dyn Journal>> = Vec::new();
    for _ in 0..2 {
        journals.push(Arc::new(SqliteJournal::open(&path).await.unwrap()));
    }
    one_wins(journals.clone()).await;
    keeps_to_the_caps(journals).await;
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

/// Clients of a fresh account.
async fn account() -> SdkConfig {
    let account = tokio::task::spawn_blocking(|| Moto::shared().account())
        .await
        .unwrap();
    let (key, secret, token) = account.credentials();
    SdkConfig::builder()
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
        .build()
}

/// A fresh table in an account of its own.
async fn table() -> DynamoJournal {
    let client = aws_sdk_dynamodb::Client::new(&account().await);
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
    let journals: Vec<Arc<dyn Journal>> = vec![Arc::new(journal.clone()), Arc::new(journal)];
    one_wins(journals.clone()).await;
    keeps_to_the_caps(journals).await;
}

/// A plan of a lockdown has hundreds of targets, and DynamoDB takes 400 KB an item.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dynamodb_keeps_an_entry_that_is_larger_than_an_item() {
    let journal = table().await;
    let run = "run-1";
    ours(journal.claim(&request("r", "inc-1", run, 0)).await.unwrap());
    let before: Vec<_> = (0..20_000)
        .map(|number| json!({ "interface": format!("eni-{number:017x}"), "groups": ["sg-1"] }))
        .collect();
    let mut large = intended(run, 1, "block", false);
    if let Event::Intended { before: kept, .. } = &mut large.event {
        *kept = json!(before);
    }
    assert!(serde_json::to_string(&large).unwrap().len() > 1 << 20);
    let incident: IncidentId = "inc-1".into();
    journal.append(&incident, &large, 60).await.unwrap();
    let small = intended(run, 2, "isolate", false);
    journal.append(&incident, &small, 60).await.unwrap();
    let entries = journal.read(&incident).await.unwrap().unwrap();
    assert_eq!(entries, [large, small]);
    // What no packing makes small enough is said as what it is, and is not repeated for ever.
    let noise: Vec<Entry> = (0..130).map(|step| wordy(run, 3, step)).collect();
    let mut endless = intended(run, 3, "noise", false);
    if let Event::Intended { before: kept, .. } = &mut endless.event {
        *kept = json!(noise);
    }
    let refused = journal.append(&incident, &endless, 60).await;
    assert!(
        matches!(refused, Err(JournalError::Overflow { .. })),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tags() {
    let client = aws_sdk_ec2::Client::new(&account().await);
    conforms(Arc::new(TagJournal::new(client.clone()))).await;
    let mut journals: Vec<Arc<dyn Journal>> = Vec::new();
    for _ in 0..2 {
        journals.push(Arc::new(TagJournal::new(client.clone())));
    }
    one_wins(journals).await;
}

/// A step that says more than many tags hold, and that packing does not make smaller.
fn wordy(run: &str, seconds: i64, step: i64) -> Entry {
    let mut state = u64::try_from(step).unwrap() + 1;
    let noise: String = (0..4000)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b'!' + u8::try_from(state % 90).unwrap())
        })
        .collect();
    Entry {
        at: at(seconds),
        run: run.to_owned(),
        event: Event::Withheld {
            step: StepId(format!("step-{step}")),
            why: noise,
        },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tags_keep_a_log_that_is_longer_than_one_carrier_takes() {
    let client = aws_sdk_ec2::Client::new(&account().await);
    let journal = TagJournal::new(client.clone());
    let claim = journal.claim(&request("r/1", "inc-1", "a", 0)).await;
    let (id, _) = ours(claim.unwrap());
    let mut written = Vec::new();
    for step in 0..12 {
        let entry = wordy("a", step, step);
        journal.append(&id, &entry, 60).await.unwrap();
        // Sent again after a reply that was lost, it is there once.
        journal.append(&id, &entry, 60).await.unwrap();
        written.push(entry);
        // Another process sees all of it, after every entry.
        let other = TagJournal::new(client.clone());
        assert_eq!(other.read(&id).await.unwrap().unwrap(), written);
    }
    let carriers = client.describe_launch_templates().send().await.unwrap();
    assert!(carriers.launch_templates().len() > 3, "{carriers:?}");
    // What another process claims goes on where it was.
    journal.release(&id, "a", None).await.unwrap();
    let other = TagJournal::new(client.clone());
    let claim = other.claim_incident(&id, "b", at(20), 60).await.unwrap();
    assert_eq!(ours(claim).1, written);
    let last = wordy("b", 21, 21);
    other.append(&id, &last, 60).await.unwrap();
    written.push(last);
    assert_eq!(journal.read(&id).await.unwrap().unwrap(), written);
    // A page that is gone is an error, not an incident that has done less.
    let page = carriers
        .launch_templates()
        .iter()
        .find(|it| it.launch_template_name().unwrap().ends_with("-page-1"))
        .unwrap();
    client
        .create_tags()
        .resources(page.launch_template_id().unwrap())
        .tags(
            aws_sdk_ec2::types::Tag::builder()
                .key("davylamp:incident")
                .value("inc-2")
                .build(),
        )
        .send()
        .await
        .unwrap();
    let error = journal.read(&id).await.unwrap_err();
    assert!(matches!(error, JournalError::Unreachable { .. }), "{error}");
}

/// The promise that tags do not make is that of two that take over in the same moment only one
/// believes to have it; the one they make instead is that only one of them writes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_that_take_over_tags_at_once_one_writes_on() {
    let client = aws_sdk_ec2::Client::new(&account().await);
    let first = TagJournal::new(client.clone());
    let (id, _) = ours(first.claim(&request("r/1", "inc-1", "a", 0)).await.unwrap());
    first.release(&id, "a", None).await.unwrap();
    for round in 0..5 {
        let runs = ["b", "c", "d", "e"].map(|run| (format!("{run}-{round}"), client.clone()));
        let claims = join_all(runs.map(|(run, client)| {
            let id = id.clone();
            tokio::spawn(async move {
                let journal = TagJournal::new(client);
                let seconds = 100 * (round + 1);
                let claim = journal.claim_incident(&id, &run, at(seconds), 60).await;
                matches!(claim, Ok(Claim::Ours { .. })).then_some((journal, run, seconds))
            })
        }))
        .await;
        let mut wrote = 0;
        for (journal, run, seconds) in claims.into_iter().filter_map(Result::unwrap) {
            let entry = intended(&run, seconds, "isolate", false);
            match journal.append(&id, &entry, 60).await {
                Ok(()) => wrote += 1,
                Err(error) => assert!(matches!(error, JournalError::Lost { .. }), "{error}"),
            }
        }
        assert_eq!(wrote, 1);
    }
    let entries = first.read(&id).await.unwrap().unwrap();
    assert_eq!(entries.len(), 5);
}

#[tokio::test]
async fn tags_that_a_stranger_wrote_stop_their_own_incident_only() {
    let client = aws_sdk_ec2::Client::new(&account().await);
    let journal = TagJournal::new(client.clone());
    for number in 1..=2 {
        let asked = request(&format!("r/{number}"), &format!("inc-{number}"), "a", 0);
        let (id, _) = ours(journal.claim(&asked).await.unwrap());
        journal.release(&id, "a", Some(at(5))).await.unwrap();
    }
    let found = client
        .describe_tags()
        .filters(
            aws_sdk_ec2::types::Filter::builder()
                .name("value")
                .values("inc-1")
                .build(),
        )
        .send()
        .await
        .unwrap();
    client
        .create_tags()
        .resources(found.tags()[0].resource_id().unwrap())
        .tags(
            aws_sdk_ec2::types::Tag::builder()
                .key("davylamp:head")
                .value("1 mine")
                .build(),
        )
        .send()
        .await
        .unwrap();
    assert_eq!(journal.due(at(5)).await.unwrap(), ["inc-2".into()]);
    let error = journal
        .claim(&request("r/1", "inc-9", "b", 10))
        .await
        .unwrap_err();
    assert!(matches!(error, JournalError::Unreadable { .. }), "{error}");
    ours(
        journal
            .claim(&request("r/2", "inc-9", "b", 10))
            .await
            .unwrap(),
    );
}
