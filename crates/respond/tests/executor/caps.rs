//! Many incidents at once do not pass a cap together.

use std::sync::Arc;

use davylamp_content::playbook::Caps;
use davylamp_model::finding::Finding;
use davylamp_model::inventory::Inventory;
use davylamp_plan::plan::{Case, Plan};
use davylamp_respond::journal::memory::MemoryJournal;
use davylamp_respond::responder::Planning;

use crate::world::scene::{Scene, Script, finding};
use crate::world::{Snapshots, Way, World};

/// Incidents at once: more than are worked on side by side.
const INCIDENTS: usize = 30;

struct Capped(Caps);

impl Planning for Capped {
    fn plan(&self, case: &Case, inventory: &Inventory) -> Plan {
        Script.plan(case, inventory)
    }

    fn caps(&self, _: &str) -> Caps {
        self.0.clone()
    }
}

async fn storm(caps: Caps) -> Scene {
    let world = World::new(Snapshots::CompleteAfter(0));
    let mut scene = Scene::new(world, Arc::new(MemoryJournal::new()));
    scene.planning = Arc::new(Capped(caps));
    let findings: Vec<Finding> = (0..INCIDENTS)
        .map(|number| finding(&format!("f{number}"), &format!("i-{number}")))
        .collect();
    let report = scene
        .responder("one", &Way::new([]))
        .respond(findings)
        .await;
    assert_eq!(report.incidents.len(), INCIDENTS);
    scene
}

fn begun(scene: &Scene, verb: &str) -> usize {
    let state = scene.world.state();
    state
        .effects
        .keys()
        .filter(|id| id.0.starts_with(verb))
        .count()
}

#[tokio::test]
async fn plans_an_hour() {
    let scene = storm(Caps {
        plans_per_hour: 7,
        ..Script.caps("script")
    })
    .await;
    assert_eq!(begun(&scene, "stop-hub-servers"), 7);
    assert_eq!(begun(&scene, "terminate-instance"), 7);
}

#[tokio::test]
async fn irreversible_steps_an_hour() {
    let scene = storm(Caps {
        irreversible_per_hour: 5,
        ..Script.caps("script")
    })
    .await;
    assert_eq!(begun(&scene, "terminate-instance"), 5);
    assert_eq!(begun(&scene, "isolate-interface"), INCIDENTS);
}
