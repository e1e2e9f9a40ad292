//! Clocks that run out, and what comes back.

use davylamp_console::Role;
use davylamp_console::config::{Clocks, Person, Step};
use davylamp_ledger::record::{BY_LEDGER, Clock, IncidentNo, Record, Tick};
use davylamp_ledger::rows::IncidentRow;
use davylamp_ledger::{OWN, Taken};
use jiff::{SignedDuration, Timestamp};

use crate::world::{World, finding, until};

async fn row(world: &World) -> IncidentRow {
    let view = world.ledger.incident(IncidentNo(1)).await.expect("asked");
    view.expect("there").row
}

/// What the ledger wrote by itself, in its order.
async fn by_itself(world: &World) -> Vec<Record> {
    let entries = world.ledger.entries_since(0, 500).await.expect("entries");
    let records = entries
        .iter()
        .filter_map(|entry| serde_json::from_str(entry.body.as_deref()?).ok());
    let is_own = |record: &Record| match record {
        Record::Clock(clock) => clock.by == BY_LEDGER,
        Record::Owner(owner) => owner.by == BY_LEDGER,
        Record::Note(note) => note.by == BY_LEDGER,
        _ => false,
    };
    records.filter(is_own).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_critical_incident_has_a_clock_from_its_first_second() {
    let world = World::with(|config| config.clocks = Clocks::default()).await;
    world
        .deliver(vec![finding(1, "eve", "hub-a", Taken::Missed, 0)])
        .await;
    assert_eq!(row(&world).await.due_why, OWN);
    let rae = world.visitor("rae", Role::Responder, &[]).await;
    let page = rae.page("/incidents/1").await.body;
    assert!(page.contains("due <time") && page.contains(OWN), "{page}");
    rae.submit("/incidents/1/owner", &[("step", "take")]).await;
    let queue = rae.page("/queue").await.body;
    assert!(queue.contains("it is contained"), "{queue}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_ran_out_goes_to_the_lead_and_then_on_and_no_further() {
    let world = World::with(|config| {
        config.escalation = vec![
            Step {
                after_minutes: 0,
                to: "lead".to_owned(),
            },
            Step {
                after_minutes: 60,
                to: "kim".to_owned(),
            },
            Step {
                after_minutes: 6000,
                to: "never".to_owned(),
            },
        ];
        config.notices.people = vec![Person {
            name: "rae".to_owned(),
            lead: "ada".to_owned(),
            ..Person::default()
        }];
    })
    .await;
    world
        .deliver(vec![finding(1, "eve", "hub-a", Taken::Killed, 5)])
        .await;
    let rae = world.visitor("rae", Role::Responder, &[]).await;
    rae.submit("/incidents/1/owner", &[("step", "take")]).await;
    let since = Timestamp::now() - SignedDuration::from_mins(90);
    let clock = Record::Clock(Clock {
        incident: IncidentNo(1),
        tick: Tick::Due {
            until: since,
            why: "tell the users".to_owned(),
        },
        by: "rae".to_owned(),
    });
    world
        .ledger
        .record(clock, Timestamp::now())
        .await
        .expect("taken");
    let told = || async { row(&world).await.escalated.as_deref() == Some("kim") };
    until("both steps are told", told).await;
    for path in ["/incidents/1", "/queue", "/incidents"] {
        let page = rae.page(path).await.body;
        assert!(
            page.contains("escalated to <bdi>kim</bdi>"),
            "{path}: {page}"
        );
    }
    let to = |record: &Record| match record {
        Record::Clock(Clock {
            tick: Tick::Escalated { to },
            ..
        }) => Some(to.clone()),
        _ => None,
    };
    let all = by_itself(&world).await;
    let all: Vec<String> = all.iter().filter_map(to).collect();
    assert_eq!(all, ["ada", "kim"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_on_and_not_accepted_comes_back_with_a_word() {
    let world = World::with(|config| config.clocks.accept_minutes = 30).await;
    world
        .deliver(vec![finding(1, "eve", "hub-a", Taken::Killed, 5)])
        .await;
    let handed = Record::Owner(davylamp_ledger::record::Owner {
        incident: IncidentNo(1),
        step: davylamp_ledger::record::OwnerStep::Delegated,
        owner: "sam".to_owned(),
        by: "rae".to_owned(),
    });
    let then = Timestamp::now() - SignedDuration::from_mins(31);
    world.ledger.record(handed, then).await.expect("taken");
    let back = || async { row(&world).await.owner.as_deref() == Some("rae") };
    until("it is rae's again", back).await;
    assert_eq!(row(&world).await.owner_step, "assigned");
    let rae = world.visitor("rae", Role::Responder, &[]).await;
    let page = rae.page("/incidents/1").await.body;
    assert!(
        page.contains("sam did not accept it within 30 minutes"),
        "{page}"
    );
    assert_eq!(by_itself(&world).await.len(), 2);
    world.end().await;
}
