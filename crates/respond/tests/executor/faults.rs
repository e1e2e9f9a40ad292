//! Whatever goes wrong, in whatever order: the promises hold, and each run ends with its effect or
//! with a notice.

use std::sync::Arc;
use std::time::Duration;

use crate::world::scene::{Scene, Script, finding};
use crate::world::{Fault, Snapshots, Way, World};
use davylamp_model::finding::Finding;
use davylamp_model::resource::Resource;
use davylamp_respond::journal::history::{History, StepState};
use davylamp_respond::journal::memory::MemoryJournal;
use futures::future::join_all;
use proptest::prelude::*;

/// More resumptions than any schedule below needs; what is still due then never ends.
const MOST_RESUMPTIONS: usize = 60;

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        12 => Just(Fault::None),
        3 => Just(Fault::Throttled),
        2 => Just(Fault::LostReply),
        1 => Just(Fault::DieBefore),
        1 => Just(Fault::DieAfter),
        2 => Just(Fault::Stale),
    ]
}

fn snapshots() -> impl Strategy<Value = Snapshots> {
    prop_oneof![
        (0..40_u32).prop_map(Snapshots::CompleteAfter),
        (0..6_u32).prop_map(Snapshots::ErrAfter),
    ]
}

/// One process: which of the findings it is given, in which order, and what happens to it.
fn process() -> impl Strategy<Value = (Vec<usize>, Vec<Fault>)> {
    (
        prop::collection::vec(0..3_usize, 1..5),
        prop::collection::vec(fault(), 0..80),
    )
}

/// How a schedule ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Every finding is delivered once more to somebody who lives, as a queue does.
    Redelivered,
    /// What is due is resumed, and that is all.
    Resumed,
}

async fn play(
    snapshots: Snapshots,
    processes: Vec<(Vec<usize>, Vec<Fault>)>,
    mailbox: Vec<Fault>,
    yields: bool,
    end: End,
) -> Result<(), TestCaseError> {
    let world = World::new(snapshots);
    let mut scene = Scene::new(Arc::clone(&world), Arc::new(MemoryJournal::new()));
    if yields {
        scene.options.evidence_within = Duration::ZERO;
    }
    scene.mailbox = Some(Way::new(mailbox));
    // Two findings about one instance and one about another.
    let all = [
        finding("f1", "i-1"),
        finding("f2", "i-1"),
        finding("f3", "i-2"),
    ];
    let runs = processes
        .into_iter()
        .enumerate()
        .map(|(number, (given, faults))| {
            let way = Way::new(faults);
            let responder = scene.responder(&format!("run-{number}"), &way);
            let given: Vec<Finding> = given.into_iter().map(|at| all[at].clone()).collect();
            async move {
                tokio::select! {
                    // First, so that one which died does not go on when a clock wakes it.
                    biased;
                    () = way.died.notified() => {}
                    _ = responder.respond(given) => {}
                }
            }
        });
    join_all(runs).await;
    let sound = Way::new([]);
    scene.mailbox = None;
    scene.clock.pass(Duration::from_secs(600));
    let last = scene.responder("last", &sound);
    if end == End::Redelivered {
        last.respond(all.to_vec()).await;
    }
    let mut resumptions = 0;
    while resumptions < MOST_RESUMPTIONS {
        scene.clock.pass(Duration::from_secs(600));
        let report = last.resume().await.unwrap();
        if report.incidents.is_empty() {
            break;
        }
        resumptions += 1;
    }
    prop_assert!(resumptions < MOST_RESUMPTIONS, "something is due for ever");
    promises(&scene, end).await
}

async fn promises(scene: &Scene, end: End) -> Result<(), TestCaseError> {
    let told: Vec<_> = scene
        .told
        .lock()
        .unwrap()
        .iter()
        .flatten()
        .cloned()
        .collect();
    let incidents = scene.journal.list(10).await.unwrap();
    if end == End::Redelivered {
        prop_assert_eq!(incidents.len(), 2, "one incident for each instance");
    }
    let mut concerned = Vec::new();
    for incident in &incidents {
        let entries = scene.journal.read(incident).await.unwrap().unwrap();
        let history = History::of(&entries);
        // A run that died between its claim and its first entry left nothing to go on with: its
        // finding is delivered again, and nothing was done about it before.
        let Some(plan) = history.plan() else {
            prop_assert!(entries.is_empty(), "{} was found and not planned", incident);
            prop_assert_eq!(end, End::Resumed);
            continue;
        };
        prop_assert!(history.is_finished(), "{} is not finished", incident);
        let Resource::Instance { id } = &plan.resource else {
            panic!("the scene has instances only");
        };
        concerned.push(id.0.clone());
    }
    let state = scene.world.state();
    // Promises 3 and 5, and nothing without the approval it needs.
    prop_assert!(state.wrongs.is_empty(), "{:?}", state.wrongs);
    // Promise 4.
    for (step, times) in &state.effects {
        prop_assert_eq!(*times, 1, "{} had its effect {} times", step, times);
    }
    for instance in &concerned {
        for step in Script::steps(instance) {
            let done = state.done.contains(&step.id) || state.effects.contains_key(&step.id);
            let is_told = told
                .iter()
                .any(|news| match news.outcome.steps.get(&step.id) {
                    Some(StepState::Succeeded { .. }) => true,
                    Some(StepState::Failed { why, .. } | StepState::Withheld { why }) => {
                        !why.is_empty()
                    }
                    _ => false,
                });
            prop_assert!(done || is_told, "{} ended in silence", step.id);
            prop_assert!(is_told, "nobody was told of {}", step.id);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn promises_hold_under_any_schedule_of_faults(
        snapshots in snapshots(),
        processes in prop::collection::vec(process(), 1..4),
        mailbox in prop::collection::vec(fault(), 0..6),
        yields: bool,
        redelivered: bool,
    ) {
        let end = if redelivered { End::Redelivered } else { End::Resumed };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(play(snapshots, processes, mailbox, yields, end))?;
    }
}
