//! Where nothing may be done: told once, never done, and no hindrance later.

use std::sync::Arc;
use std::time::Duration;

use davylamp_respond::journal::memory::MemoryJournal;
use davylamp_respond::responder::{CameOfIt, NewsKind, Responder, ResponderOptions, is_observed};

use crate::world::scene::{Scene, finding};
use crate::world::{Fault, Snapshots, Way, World};

fn scene() -> Scene {
    let world = World::new(Snapshots::CompleteAfter(0));
    Scene::new(world, Arc::new(MemoryJournal::new()))
}

fn observer(scene: &Scene, run: &str) -> Responder {
    let observe = ResponderOptions {
        observe: true,
        ..ResponderOptions::default()
    };
    scene.responder_with(run, &Way::new([]), observe)
}

#[tokio::test]
async fn it_is_told_once_and_nothing_is_done_until_it_is_switched_off() {
    let scene = scene();
    for run in ["one", "two"] {
        let report = observer(&scene, run)
            .respond(vec![finding("f1", "i-1")])
            .await;
        let CameOfIt::Worked { outcome } = &report.incidents[0].came_of_it else {
            panic!("{report:?}");
        };
        assert!(outcome.finished && outcome.due.is_none(), "{outcome:?}");
        assert_eq!(outcome.withheld().count(), outcome.steps.len());
        assert!(!outcome.steps.is_empty());
    }
    {
        let told = scene.told.lock().unwrap();
        assert_eq!(told.len(), 1, "a second delivery tells nothing");
        assert!(told[0][0].dry_run);
        assert_eq!(told[0][0].kind, NewsKind::Report);
        let title = davylamp_respond::tell::notice(&told[0][0]).title;
        assert!(title.contains("dry run"), "{title}");
    }
    assert!(scene.world.state().effects.is_empty());
    scene.clock.pass(Duration::from_secs(600));
    let acting = scene.responder("three", &Way::new([]));
    assert!(acting.resume().await.unwrap().incidents.is_empty());
    assert!(scene.world.state().effects.is_empty());
    let report = acting.respond(vec![finding("f1", "i-1")]).await;
    assert!(!is_observed(&report.incidents[0].incident));
    assert!(!scene.world.state().effects.is_empty());
    let told = scene.told.lock().unwrap();
    assert_eq!(told.len(), 2);
    assert!(!told[1][0].dry_run);
}

#[tokio::test]
async fn one_that_could_not_be_told_is_told_later_and_still_not_acted_on() {
    let mut scene = scene();
    scene.mailbox = Some(Way::new([Fault::Throttled]));
    let report = observer(&scene, "one")
        .respond(vec![finding("f1", "i-1")])
        .await;
    assert_eq!(report.untold.len(), 1);
    scene.clock.pass(Duration::from_secs(600));
    let report = scene
        .responder("two", &Way::new([]))
        .resume()
        .await
        .unwrap();
    assert_eq!(report.incidents.len(), 1);
    assert!(scene.told.lock().unwrap()[0][0].dry_run);
    assert!(scene.world.state().effects.is_empty());
}

#[tokio::test]
async fn one_that_was_begun_before_is_left_as_it_is() {
    let mut scene = scene();
    scene.world = World::new(Snapshots::CompleteAfter(3));
    scene.options.evidence_within = Duration::ZERO;
    let acting = scene.responder("one", &Way::new([]));
    let report = acting.respond(vec![finding("f1", "i-1")]).await;
    let incident = report.incidents[0].incident.clone();
    let effects = scene.world.state().effects.clone();
    scene.clock.pass(Duration::from_secs(600));
    let report = observer(&scene, "two").resume().await.unwrap();
    assert_eq!(report.left, std::slice::from_ref(&incident));
    assert!(report.incidents.is_empty());
    assert_eq!(scene.world.state().effects, effects);
    for run in ["three", "four", "five", "six"] {
        scene.clock.pass(Duration::from_secs(600));
        scene.responder(run, &Way::new([])).resume().await.unwrap();
    }
    assert!(scene.world.state().gone.contains("vol-of-i-1"));
}
