//! What could not be read: the incident stays open until it is read, or was not for too long.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use davylamp_content::playbook::Caps;
use davylamp_model::inventory::{Inventory, Unread};
use davylamp_plan::plan::{Case, Plan};
use davylamp_respond::actuator::Acting;
use davylamp_respond::clock::Clock;
use davylamp_respond::executor::ReadingState;
use davylamp_respond::journal::memory::MemoryJournal;
use davylamp_respond::responder::{CameOfIt, Collect, NewsKind, Planning, Report};

use crate::world::scene::{Scene, Script, finding, place};
use crate::world::{Snapshots, TestClock, Way, World};

/// Collects nothing, and says so for as long as it is told to.
struct Blind {
    clock: Arc<TestClock>,
    unread: Mutex<Vec<Unread>>,
}

impl Collect for Blind {
    fn collect<'a>(&'a self, cases: &'a [Case]) -> Acting<'a, Vec<Inventory>> {
        Box::pin(async move {
            let mut inventory = Inventory::empty(place(), self.clock.now());
            inventory.unread = self.unread.lock().unwrap().clone();
            Ok(cases.iter().map(|_| inventory.clone()).collect())
        })
    }
}

/// Plans nothing where something was not read, and the script where everything was.
struct Careful;

impl Planning for Careful {
    fn plan(&self, case: &Case, inventory: &Inventory) -> Plan {
        let mut plan = Script.plan(case, inventory);
        if !inventory.unread.is_empty() {
            plan.steps.clear();
        }
        plan.again = inventory.unread.iter().any(|unread| unread.again);
        plan
    }

    fn caps(&self, playbook: &str) -> Caps {
        Script.caps(playbook)
    }
}

fn scene(again: bool) -> (Scene, Arc<Blind>) {
    let world = World::new(Snapshots::CompleteAfter(0));
    let mut scene = Scene::new(world, Arc::new(MemoryJournal::new()));
    let blind = Arc::new(Blind {
        clock: Arc::clone(&scene.clock),
        unread: Mutex::new(vec![Unread {
            what: "instance i-1".to_owned(),
            why: "ec2:DescribeInstances was throttled".to_owned(),
            again,
        }]),
    });
    scene.collect = Some(Arc::clone(&blind) as Arc<dyn Collect>);
    scene.planning = Arc::new(Careful);
    (scene, blind)
}

fn outcome(report: &Report) -> &davylamp_respond::executor::Outcome {
    match &report.incidents[0].came_of_it {
        CameOfIt::Worked { outcome } => outcome,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_may_be_read_later_is_read_later() {
    let (scene, blind) = scene(true);
    let responder = scene.responder("one", &Way::new([]));
    let report = responder.respond(vec![finding("f1", "i-1")]).await;
    let first = outcome(&report);
    assert_eq!(
        (first.finished, first.reading),
        (false, ReadingState::Again)
    );
    assert!(first.due.is_some() && first.is_incomplete());
    assert_eq!(scene.told.lock().unwrap().len(), 1);
    // As long as nothing changes nobody is told again.
    for _ in 0..3 {
        scene.clock.pass(Duration::from_secs(3600));
        let report = responder.resume().await.unwrap();
        assert_eq!(outcome(&report).reading, ReadingState::Again);
    }
    assert_eq!(scene.told.lock().unwrap().len(), 1);
    blind.unread.lock().unwrap().clear();
    scene.clock.pass(Duration::from_secs(3 * 3600));
    let report = responder.resume().await.unwrap();
    let last = outcome(&report);
    assert_eq!(
        (last.finished, last.reading),
        (true, ReadingState::Complete)
    );
    assert_eq!(last.done().count(), Script::steps("i-1").len() - 1);
    assert_eq!(scene.told.lock().unwrap().len(), 2);
    scene.clock.pass(Duration::from_secs(24 * 3600));
    assert!(responder.resume().await.unwrap().incidents.is_empty());
}

#[tokio::test]
async fn what_is_never_read_is_given_up_and_told() {
    let (scene, _) = scene(true);
    let responder = scene.responder("one", &Way::new([]));
    responder.respond(vec![finding("f1", "i-1")]).await;
    scene.clock.pass(scene.options.give_up_after);
    let report = responder.resume().await.unwrap();
    let last = outcome(&report);
    assert_eq!((last.finished, last.reading), (true, ReadingState::GivenUp));
    assert_eq!(last.due, None);
    assert!(last.is_incomplete());
    let told = scene.told.lock().unwrap().clone();
    assert_eq!(told.len(), 2);
    assert_eq!(told[1][0].kind, NewsKind::Failure);
}

#[tokio::test]
async fn what_is_not_for_us_to_read_is_not_waited_for() {
    let (scene, _) = scene(false);
    let responder = scene.responder("one", &Way::new([]));
    let report = responder.respond(vec![finding("f1", "i-1")]).await;
    let only = outcome(&report);
    assert_eq!((only.finished, only.due), (true, None));
    assert_eq!(only.reading, ReadingState::Complete);
}
