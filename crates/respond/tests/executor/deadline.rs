//! A run that has to be over: what it does not begin any more, the next does.

use std::sync::Arc;
use std::time::Duration;

use davylamp_content::playbook::Caps;
use davylamp_model::inventory::Inventory;
use davylamp_plan::action::Action;
use davylamp_plan::plan::{Case, Plan, Stage, Step, StepId};
use davylamp_respond::clock::Clock;
use davylamp_respond::journal::history::StepState;
use davylamp_respond::journal::memory::MemoryJournal;
use davylamp_respond::responder::{CameOfIt, Planning};
use jiff::SignedDuration;

use crate::world::scene::{Scene, Script, finding};
use crate::world::{Snapshots, Way, World};

const STEPS: usize = 6;
const EACH_SECS: u64 = 10;

/// Many steps of one stage.
struct Many;

impl Planning for Many {
    fn plan(&self, case: &Case, inventory: &Inventory) -> Plan {
        let mut plan = Script.plan(case, inventory);
        plan.steps = (0..STEPS)
            .map(|number| {
                let action = Action::StopHubServers {
                    user: format!("user-{number}").as_str().into(),
                };
                Step {
                    id: StepId::of(&action),
                    stage: Stage::Person,
                    action,
                    why: "the test says so".to_owned(),
                    only_after: Vec::new(),
                    approval: None,
                }
            })
            .collect();
        plan
    }

    fn caps(&self, playbook: &str) -> Caps {
        Script.caps(playbook)
    }
}

#[tokio::test]
async fn no_step_of_a_stage_is_begun_after_it() {
    let mut scene = Scene::new(
        World::new(Snapshots::CompleteAfter(0)),
        Arc::new(MemoryJournal::new()),
    );
    scene.planning = Arc::new(Many);
    scene.world.state().look_takes = Duration::from_secs(EACH_SECS);
    scene.options.concurrency = 1;
    scene.options.until = Some(scene.clock.now() + SignedDuration::from_secs(25));
    let responder = scene.responder("one", &Way::new([]));
    let report = responder.respond(vec![finding("f1", "i-1")]).await;
    // Begun after 0, 10 and 20 seconds.
    assert_eq!(scene.world.state().effects.len(), 3);
    let CameOfIt::Worked { outcome } = &report.incidents[0].came_of_it else {
        panic!("{report:?}");
    };
    assert!(outcome.cut_short && !outcome.finished && outcome.due.is_some());
    let left = outcome
        .steps
        .values()
        .filter(|state| matches!(state, StepState::Failed { again: true, .. }));
    assert_eq!(left.count(), STEPS - 3);
    scene.options.until = None;
    scene.clock.pass(Duration::from_secs(600));
    let responder = scene.responder("two", &Way::new([]));
    responder.resume().await.unwrap();
    let effects = scene.world.state().effects.clone();
    assert_eq!(effects.len(), STEPS);
    assert!(effects.values().all(|times| *times == 1));
}
