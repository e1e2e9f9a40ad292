//! A storm: hundreds of findings in every region, each twice, end in one message.

use std::sync::Arc;

use davylamp_model::finding::Finding;
use davylamp_model::resource::Place;
use davylamp_respond::journal::memory::MemoryJournal;
use davylamp_respond::responder::CameOfIt;

use crate::world::scene::{Scene, Script, finding, place};
use crate::world::{Snapshots, Way, World};

const REGIONS: usize = 20;
const FINDINGS: usize = 500;
/// Findings about one instance.
const EACH: usize = 5;

#[tokio::test]
async fn one_digest_for_all() {
    let world = World::new(Snapshots::CompleteAfter(2));
    let scene = Scene::new(world, Arc::new(MemoryJournal::new()));
    let findings: Vec<Finding> = (0..FINDINGS)
        .map(|number| {
            let instance = number / EACH;
            Finding {
                place: Some(Place {
                    region: format!("region-{}", instance % REGIONS).as_str().into(),
                    ..place()
                }),
                ..finding(&format!("f{number}"), &format!("i-{instance}"))
            }
        })
        .collect();
    let twice = [findings.clone(), findings].concat();
    let report = scene.responder("one", &Way::new([])).respond(twice).await;
    let incidents = FINDINGS / EACH;
    assert_eq!(report.incidents.len(), incidents);
    for incident in &report.incidents {
        let CameOfIt::Worked { outcome } = &incident.came_of_it else {
            panic!("{incident:?}");
        };
        assert!(outcome.finished, "{outcome:?}");
    }
    let state = scene.world.state();
    assert_eq!(
        state.effects.len(),
        incidents * (Script::steps("i-0").len() - 2)
    );
    assert!(state.effects.values().all(|times| *times == 1));
    drop(state);
    let told = scene.told.lock().unwrap();
    assert_eq!(told.len(), 1, "one digest");
    assert_eq!(told[0].len(), incidents);
    let findings: usize = told[0].iter().map(|news| news.findings.len()).sum();
    assert_eq!(findings, FINDINGS);
}
