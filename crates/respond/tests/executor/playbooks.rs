//! Every case of every shipped playbook, carried out: each step run twice, a failure at each call,
//! undo run twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use davylamp_content::playbook::{self, Caps};
use davylamp_model::ids::VolumeId;
use davylamp_plan::action::Action;
use davylamp_plan::plan::{Plan, Step};
use davylamp_plan::policy::{Approvals, Usage};
use davylamp_plan::rehearse::plan;
use davylamp_respond::executor::{Ledger, Outcome, Permit};
use davylamp_respond::journal::memory::MemoryJournal;
use davylamp_respond::journal::{Claim, ClaimRequest, Event};
use davylamp_respond::undo::Undone;

use crate::world::scene::Scene;
use crate::world::{Fault, Snapshots, Way, World};

/// Calls of a run into which a failure is injected, one run for each: more than any plan makes.
const MOST_CALLS: usize = 200;

fn plans() -> Vec<(String, Plan)> {
    let shipped = playbook::shipped().unwrap();
    let playbooks: Vec<_> = shipped.iter().map(|it| it.playbook.clone()).collect();
    let mut plans = Vec::new();
    for parsed in &shipped {
        for case in &parsed.cases {
            let name = format!("{}: {}", parsed.playbook.name, case.name);
            plans.push((name, plan(&playbooks, case).unwrap()));
        }
    }
    assert!(plans.iter().any(|(_, plan)| !plan.steps.is_empty()));
    plans
}

/// A world in which the evidence that a plan waits for and does not take is being written.
fn scene(plan: &Plan) -> Scene {
    let world = World::new(Snapshots::CompleteAfter(2));
    let taken: Vec<_> = plan
        .steps
        .iter()
        .flat_map(|step| snapshotted(&step.action))
        .collect();
    for step in &plan.steps {
        if let Action::AwaitEvidence { volumes, .. } = &step.action {
            let given = volumes.iter().filter(|volume| !taken.contains(volume));
            let looks = given.map(|volume| (volume.0.clone(), 0));
            world.state().snapshots.extend(looks);
        }
    }
    Scene::new(world, Arc::new(MemoryJournal::new()))
}

fn snapshotted(action: &Action) -> Vec<&VolumeId> {
    match action {
        Action::SnapshotInstance { volumes, .. } => volumes.iter().collect(),
        Action::SnapshotVolume { volume } => vec![volume],
        _ => Vec::new(),
    }
}

/// One run of a plan with everything approved. `None` where it died.
async fn run(scene: &Scene, name: &str, plan: &Plan, faults: Vec<Fault>) -> Option<Outcome> {
    let way = Way::new(faults);
    let executor = scene.executor(&way);
    let work = async {
        let (ledger, caps) = (claim(scene, &executor, name, plan).await?, Caps::default());
        if ledger.read(|history| history.plan().is_none()) {
            let plan = Box::new(plan.clone());
            ledger.record(Event::Planned { plan }).await.ok()?;
        }
        if ledger.read(|history| history.approvals.is_empty()) {
            let approvals = Approvals {
                incident: plan.incident.clone(),
                plan: plan.hash(),
                steps: plan.steps.iter().map(|step| step.id.0.clone()).collect(),
                by: "a test".to_owned(),
            };
            ledger.record(Event::Approved { approvals }).await.ok()?;
        }
        let permit = Permit {
            policy: &scene.policy,
            caps: &caps,
            usage: Usage::default(),
            dry_run: false,
            observe: false,
        };
        executor.run(&ledger, &permit).await.ok()
    };
    tokio::select! {
        outcome = work => outcome,
        () = way.died.notified() => None,
    }
}

async fn claim<'a>(
    scene: &Scene,
    executor: &'a davylamp_respond::executor::Executor,
    name: &str,
    plan: &Plan,
) -> Option<Ledger<'a>> {
    // The lease of a run that died has run out by now.
    scene.clock.pass(Duration::from_secs(600));
    let request = ClaimRequest {
        resource: plan.resource.key(),
        proposed: plan.incident.clone(),
        run: name.to_owned(),
        now: davylamp_respond::clock::Clock::now(scene.clock.as_ref()),
        lease_secs: 120,
        window_hours: 24,
    };
    match scene.journal.claim(&request).await.unwrap() {
        Claim::Ours { incident, entries } => Some(Ledger::new(executor, incident, name, &entries)),
        Claim::Busy { .. } => None,
    }
}

async fn undo(scene: &Scene, name: &str, plan: &Plan) -> Undone {
    let way = Way::new([]);
    let executor = scene.executor(&way);
    let ledger = claim(scene, &executor, name, plan).await.unwrap();
    executor
        .undo(&ledger, None, &BTreeMap::new(), "a test")
        .await
        .unwrap()
}

fn each_effect_once(scene: &Scene, name: &str) {
    let state = scene.world.state();
    assert!(state.wrongs.is_empty(), "{name}: {:?}", state.wrongs);
    for (step, times) in &state.effects {
        assert_eq!(*times, 1, "{name}: {step}");
    }
}

#[tokio::test]
async fn every_step_run_twice_has_one_effect() {
    for (name, plan) in plans() {
        let mut scene = scene(&plan);
        let first = run(&scene, "one", &plan, Vec::new()).await.unwrap();
        assert_eq!(first.done().count(), plan.steps.len(), "{name}: {first:?}");
        // Without a memory of the first: what is done already is seen, not done again.
        scene.journal = Arc::new(MemoryJournal::new());
        let second = run(&scene, "two", &plan, Vec::new()).await.unwrap();
        assert_eq!(
            second.done().count(),
            plan.steps.len(),
            "{name}: {second:?}"
        );
        each_effect_once(&scene, &name);
    }
}

#[tokio::test]
async fn a_failure_at_any_call_is_made_up_for() {
    for (name, plan) in plans() {
        for fault in [
            Fault::Throttled,
            Fault::LostReply,
            Fault::DieBefore,
            Fault::DieAfter,
        ] {
            for call in 0..(plan.steps.len() * 6 + 4).min(MOST_CALLS) {
                let scene = scene(&plan);
                let mut faults = vec![Fault::None; call];
                faults.push(fault);
                run(&scene, "one", &plan, faults).await;
                let name = format!("{name}, {fault:?} at call {call}");
                let last = run(&scene, "two", &plan, Vec::new()).await.unwrap();
                assert_eq!(last.done().count(), plan.steps.len(), "{name}: {last:?}");
                each_effect_once(&scene, &name);
            }
        }
    }
}

#[tokio::test]
async fn undo_run_twice_undoes_once() {
    for (name, plan) in plans() {
        let scene = scene(&plan);
        run(&scene, "one", &plan, Vec::new()).await.unwrap();
        let first = undo(&scene, "two", &plan).await;
        let irreversible = plan
            .steps
            .iter()
            .filter(|step| !step.action.is_reversible());
        assert_eq!(
            first.not_undone.len(),
            irreversible.count(),
            "{name}: {first:?}"
        );
        let stays = |step: &&Step| step.action.stays_because().is_some();
        let kept = plan.steps.iter().filter(stays).count();
        assert_eq!(first.kept.len(), kept, "{name}: {first:?}");
        assert_eq!(
            first.undone.len() + first.gone.len() + first.kept.len() + first.not_undone.len(),
            plan.steps.len(),
            "{name}: {first:?}"
        );
        let second = undo(&scene, "three", &plan).await;
        let again = second.undone.len() + second.gone.len();
        assert_eq!(again, 0, "{name}: {second:?}");
        assert_eq!(second.kept, first.kept, "{name}");
        assert_eq!(second.not_undone, first.not_undone, "{name}");
        let state = scene.world.state();
        assert!(state.taken_back.values().all(|times| *times == 1), "{name}");
        let left = plan
            .steps
            .iter()
            .filter(|step| state.done.contains(&step.id));
        assert!(
            left.clone()
                .all(|step| !step.action.is_reversible() || stays(&step)),
            "{name}"
        );
    }
}
