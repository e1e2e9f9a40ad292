//! Somebody waits: several incidents are seen through, and a run that is asked to stop lets go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use davylamp_model::ids::IncidentId;
use davylamp_respond::clock::Clock;
use davylamp_respond::journal::memory::MemoryJournal;
use davylamp_respond::responder::{CameOfIt, Report};
use davylamp_respond::stop::Stop;

use crate::world::scene::{Scene, finding};
use crate::world::{Snapshots, Way, World};

/// Leaves evidence to the next look, as a run does that has several incidents.
fn scene(looks: u32) -> Scene {
    let world = World::new(Snapshots::CompleteAfter(looks));
    let mut scene = Scene::new(world, Arc::new(MemoryJournal::new()));
    scene.options.evidence_within = Duration::ZERO;
    scene
}

fn ended(scene: &Scene, instance: &str) -> bool {
    let state = scene.world.state();
    let id = format!("terminate-instance:instance/{instance}");
    state.done.iter().any(|done| done.0 == id)
}

fn stands(report: &Report) -> Vec<(bool, bool)> {
    let outcomes = report.incidents.iter().map(|it| match &it.came_of_it {
        CameOfIt::Worked { outcome } => (outcome.finished, outcome.stopped),
        other => panic!("{other:?}"),
    });
    outcomes.collect()
}

#[tokio::test]
async fn the_incidents_of_a_run_are_seen_through_and_no_others() {
    let scene = scene(6);
    let other = scene.responder("other", &Way::new([]));
    other.respond(vec![finding("f0", "i-0")]).await;
    let responder = scene.responder("one", &Way::new([]));
    let both = vec![finding("f1", "i-1"), finding("f2", "i-2")];
    let mut report = responder.respond(both).await;
    let waiting = report.waiting();
    assert_eq!(waiting.len(), 2);
    let hour = Duration::from_secs(3600);
    responder.see_through(&mut report, waiting, hour).await;
    assert_eq!(stands(&report), [(true, false), (true, false)]);
    let names: BTreeSet<&IncidentId> = report.incidents.iter().map(|it| &it.incident).collect();
    assert_eq!(names.len(), 2);
    assert!(ended(&scene, "i-1") && ended(&scene, "i-2"));
    assert!(!ended(&scene, "i-0"));
    assert!(report.incidents[0].resource.ends_with("instance/i-1"));
    assert!(scene.world.state().wrongs.is_empty());
}

#[tokio::test]
async fn patience_ends_and_the_rest_is_left_to_the_next_run() {
    let scene = scene(1_000_000);
    let responder = scene.responder("one", &Way::new([]));
    let both = vec![finding("f1", "i-1"), finding("f2", "i-2")];
    let mut report = responder.respond(both).await;
    let begun = scene.clock.now();
    let waiting = report.waiting();
    let hour = Duration::from_secs(3600);
    responder.see_through(&mut report, waiting, hour).await;
    assert_eq!(stands(&report), [(false, false), (false, false)]);
    assert!(scene.clock.now() >= begun.checked_add(hour).unwrap());
    assert!(!ended(&scene, "i-1"));
    // Told once that it is under way, whatever the number of looks.
    assert_eq!(scene.told.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn who_is_asked_to_stop_lets_go_at_once() {
    let scene = scene(1_000_000);
    let stop = Stop::default();
    let responder = scene.stoppable("one", &stop);
    let both = vec![finding("f1", "i-1"), finding("f2", "i-2")];
    let mut report = responder.respond(both).await;
    let waiting = report.waiting();
    stop.ask();
    let hour = Duration::from_secs(3600);
    responder.see_through(&mut report, waiting, hour).await;
    assert_eq!(stands(&report), [(false, true), (false, true)]);
    let due = scene.journal.due(scene.clock.now()).await.unwrap();
    assert_eq!(due.len(), 2);
    // Asked before it begins it claims nothing, and says so.
    let report = responder.respond(vec![finding("f3", "i-3")]).await;
    assert!(matches!(report.incidents[0].came_of_it, CameOfIt::Stopped));
    assert!(report.wants_redelivery());
    assert_eq!(scene.journal.list(10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_stop_while_evidence_is_waited_for_begins_nothing_more() {
    let mut scene = scene(1_000_000);
    scene.options.evidence_within = Duration::from_secs(24 * 3600);
    let stop = Stop::default();
    let responder = scene.stoppable("one", &stop);
    let respond = responder.respond(vec![finding("f1", "i-1")]);
    let ask = async {
        while scene.world.state().effects.len() < 5 {
            tokio::task::yield_now().await;
        }
        stop.ask();
    };
    let (report, ()) = futures::join!(respond, ask);
    assert_eq!(stands(&report), [(false, true)]);
    assert!(report.wants_redelivery());
    // Whoever goes on with it tells.
    assert!(scene.told.lock().unwrap().is_empty());
    // Nothing holds it: another run goes on at this very moment, and finishes it.
    let world = World::new(Snapshots::CompleteAfter(0));
    *world.state() = std::mem::take(&mut *scene.world.state());
    scene.world = world;
    let resumed = scene
        .responder("two", &Way::new([]))
        .resume()
        .await
        .unwrap();
    assert_eq!(stands(&resumed), [(true, false)]);
    assert!(ended(&scene, "i-1"));
    assert!(
        scene
            .world
            .state()
            .effects
            .values()
            .all(|count| *count == 1)
    );
}
