//! What persons decide: approvals, undo, the release timer, the switches.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use davylamp_content::playbook::Caps;
use davylamp_model::inventory::Inventory;
use davylamp_plan::action::Action;
use davylamp_plan::plan::{Candidate, Case, Plan, ReleaseTimer, Stage, Step, StepId};
use davylamp_plan::policy::Approvals;
use davylamp_respond::journal::history::StepState;
use davylamp_respond::journal::memory::MemoryJournal;
use davylamp_respond::responder::{CameOfIt, NewsKind, Planning, Report, ResponderOptions, Status};

use crate::world::scene::{Scene, Script, finding, place};
use crate::world::{Snapshots, Way, World};

const CUT: &str = "isolate-interface:interface/eni-of-i-1";

fn scene() -> Scene {
    let world = World::new(Snapshots::CompleteAfter(0));
    Scene::new(world, Arc::new(MemoryJournal::new()))
}

fn withheld<'r>(report: &'r Report, says: &str) -> Vec<&'r StepId> {
    let CameOfIt::Worked { outcome } = &report.incidents[0].came_of_it else {
        panic!("{report:?}");
    };
    let withheld = outcome.withheld().filter(|(_, why)| why.contains(says));
    withheld.map(|(id, _)| id).collect()
}

#[tokio::test]
async fn a_yes_counts_for_the_plan_and_the_steps_it_names() {
    let scene = scene();
    let responder = scene.responder("one", &Way::new([]));
    let report = responder.respond(vec![finding("f1", "i-1")]).await;
    let waiting = withheld(&report, "approve");
    assert_eq!(waiting.len(), 1);
    let step = waiting[0].clone();
    assert_eq!(
        scene.told.lock().unwrap()[0][0].kind,
        NewsKind::ApprovalNeeded
    );
    let mut approvals = Approvals {
        incident: report.incidents[0].incident.clone(),
        plan: "another plan".to_owned(),
        steps: BTreeSet::new(),
        by: "ann".to_owned(),
    };
    let report = responder.approve(approvals.clone()).await.unwrap();
    assert_eq!(withheld(&report, "approve"), [&step]);
    assert!(!scene.world.state().effects.contains_key(&step));
    approvals.plan = report.incidents[0].plan.as_ref().unwrap().hash();
    approvals.steps.insert(step.0.clone());
    let told = scene.told.lock().unwrap().len();
    responder.approve(approvals).await.unwrap();
    assert_eq!(scene.world.state().effects[&step], 1);
    // What came of a yes is told, once.
    let after = || scene.told.lock().unwrap()[told..].to_vec();
    let [news] = &after()[..] else {
        panic!("{:?}", after());
    };
    assert_eq!(news[0].kind, NewsKind::Report);
    let mut done = news[0].outcome.done();
    assert!(done.any(|(id, ..)| *id == step));
    responder.respond(vec![finding("f1", "i-1")]).await;
    responder.resume_early().await.unwrap();
    assert_eq!(after().len(), 1);
}

/// The script, with a step that every incident has.
struct Shared(Action);

impl Shared {
    fn cut() -> Self {
        Self(Action::IsolateInterface {
            interface: "eni-shared".into(),
            vpc: "vpc-1".into(),
            groups: Vec::new(),
        })
    }

    fn buckets() -> Self {
        Self(Action::BlockBucketPublicAccess {
            account: place().account,
        })
    }
}

impl Planning for Shared {
    fn plan(&self, case: &Case, inventory: &Inventory) -> Plan {
        let mut plan = Script.plan(case, inventory);
        let action = self.0.clone();
        plan.steps.push(Step {
            id: StepId::of(&action),
            stage: Stage::Network,
            action,
            why: "the test says so".to_owned(),
            only_after: Vec::new(),
            approval: None,
        });
        plan
    }

    fn caps(&self, playbook: &str) -> Caps {
        Script.caps(playbook)
    }
}

/// The script, in which the end waits for a person.
struct Asked;

impl Planning for Asked {
    fn plan(&self, case: &Case, inventory: &Inventory) -> Plan {
        let mut plan = Script.plan(case, inventory);
        let ends = |step: &&mut Step| matches!(step.action, Action::TerminateInstance { .. });
        for step in plan.steps.iter_mut().filter(ends) {
            step.approval = Some("the test says so".to_owned());
        }
        plan
    }

    fn caps(&self, playbook: &str) -> Caps {
        Script.caps(playbook)
    }
}

/// The script, of which the cut waits for a person as soon as there is a second finding.
struct Doubtful;

impl Planning for Doubtful {
    fn plan(&self, case: &Case, inventory: &Inventory) -> Plan {
        let mut plan = Script.plan(case, inventory);
        let doubt = (case.findings.len() > 1).then(|| "others are there too".to_owned());
        for step in plan.steps.iter_mut().filter(|step| step.id.0 == CUT) {
            step.approval.clone_from(&doubt);
        }
        plan
    }

    fn caps(&self, playbook: &str) -> Caps {
        Script.caps(playbook)
    }
}

/// The script, which knows who it was only as long as there is one finding.
struct Forgetful;

impl Planning for Forgetful {
    fn plan(&self, case: &Case, inventory: &Inventory) -> Plan {
        let mut plan = Script.plan(case, inventory);
        if case.findings.len() == 1 {
            plan.attribution.candidates.push(Candidate {
                user: "alice".into(),
                claim: None,
                chain: Vec::new(),
                evidence: Vec::new(),
                confirmed: true,
            });
        }
        plan
    }

    fn caps(&self, playbook: &str) -> Caps {
        Script.caps(playbook)
    }
}

#[tokio::test]
async fn who_it_was_is_not_forgotten_by_the_next_plan() {
    let mut scene = scene();
    scene.planning = Arc::new(Forgetful);
    let responder = scene.responder("one", &Way::new([]));
    responder.respond(vec![finding("f1", "i-1")]).await;
    let report = responder.respond(vec![finding("f2", "i-1")]).await;
    let status = responder.status(&report.incidents[0].incident).await;
    let history = status.unwrap().history;
    assert_eq!(history.plans.len(), 2);
    let candidates = &history.plans[1].attribution.candidates;
    assert_eq!(candidates.len(), 1, "{candidates:?}");
}

#[tokio::test]
async fn what_is_done_waits_for_nobody_under_the_next_plan() {
    let mut scene = scene();
    scene.planning = Arc::new(Doubtful);
    let responder = scene.responder("one", &Way::new([]));
    responder.respond(vec![finding("f1", "i-1")]).await;
    let cut = StepId(CUT.to_owned());
    assert_eq!(scene.world.state().effects[&cut], 1);
    let report = responder.respond(vec![finding("f2", "i-1")]).await;
    let plan = report.incidents[0].plan.as_ref().expect("a plan");
    assert!(plan.step(&cut).expect("the cut").approval.is_some());
    let CameOfIt::Worked { outcome } = &report.incidents[0].came_of_it else {
        panic!("{report:?}");
    };
    assert!(
        matches!(outcome.steps[&cut], StepState::Succeeded { .. }),
        "{outcome:?}"
    );
    assert_eq!(scene.world.state().effects[&cut], 1);
}

#[tokio::test]
async fn undo_takes_back_and_nothing_is_done_again() {
    let scene = scene();
    let responder = scene.responder("one", &Way::new([]));
    let report = responder.respond(vec![finding("f1", "i-1")]).await;
    let incident = report.incidents[0].incident.clone();
    let undone = responder.undo(&incident, "ann").await.unwrap().unwrap();
    assert!(
        undone.undone.contains(&StepId(CUT.to_owned())),
        "{undone:?}"
    );
    let kept: Vec<&str> = undone
        .not_undone
        .iter()
        .map(|(id, _)| id.0.as_str())
        .collect();
    assert!(
        kept.contains(&"terminate-instance:instance/i-1"),
        "{kept:?}"
    );
    responder.respond(vec![finding("f1", "i-1")]).await;
    let cut = StepId(CUT.to_owned());
    assert!(!scene.world.state().done.contains(&cut));
    assert_eq!(scene.world.state().effects[&cut], 1);
    let status = responder.status(&incident).await.unwrap();
    assert_eq!(
        status.history.steps[&cut],
        StepState::Undone {
            by: "ann".to_owned(),
            gone: None,
        }
    );
}

#[tokio::test]
async fn a_yes_after_an_undo_counts_the_evidence_that_was_kept_and_no_other() {
    for is_complete in [true, false] {
        let snapshots = match is_complete {
            true => Snapshots::CompleteAfter(0),
            false => Snapshots::CompleteAfter(1_000_000),
        };
        let mut scene = Scene::new(World::new(snapshots), Arc::new(MemoryJournal::new()));
        scene.planning = Arc::new(Asked);
        let responder = scene.responder("one", &Way::new([]));
        let report = responder.respond(vec![finding("f1", "i-1")]).await;
        let end = StepId("terminate-instance:instance/i-1".to_owned());
        let incident = report.incidents[0].incident.clone();
        responder.undo(&incident, "ann").await.unwrap().unwrap();
        let approvals = Approvals {
            incident: incident.clone(),
            plan: report.incidents[0].plan.as_ref().unwrap().hash(),
            steps: BTreeSet::new(),
            by: "ann".to_owned(),
        };
        let report = responder.approve(approvals).await.unwrap();
        let is_ended = scene.world.state().done.contains(&end);
        assert_eq!(is_ended, is_complete, "{report:?}");
    }
}

/// Neither what cannot be taken back nor evidence, which is meant to stay: there is none.
#[tokio::test]
async fn what_was_refused_and_never_done_need_not_be_taken_back() {
    for step in ["terminate-instance", "snapshot-instance"] {
        let scene = scene();
        let step = StepId(format!("{step}:instance/i-1"));
        scene.world.state().refused_late.insert(step.0.clone());
        let responder = scene.responder("one", &Way::new([]));
        let report = responder.respond(vec![finding("f1", "i-1")]).await;
        let incident = report.incidents[0].incident.clone();
        let expected = responder.undo_expected(&incident).await.unwrap();
        let undone = responder.undo(&incident, "ann").await.unwrap().unwrap();
        let never: Vec<_> = undone.never_done.iter().map(|(id, _)| id).collect();
        assert_eq!(never, [&step]);
        assert!(!undone.not_undone.iter().any(|(id, _)| *id == step));
        assert_eq!(expected, undone);
        let again = responder.undo(&incident, "ann").await.unwrap().unwrap();
        assert!(again.never_done.is_empty(), "{again:?}");
    }
}

#[tokio::test]
async fn what_failed_for_good_is_tried_again_when_a_person_says_so_or_more_comes() {
    for by_person in [true, false] {
        let scene = scene();
        let cut = StepId(CUT.to_owned());
        scene.world.state().refused_late.insert(cut.0.clone());
        let responder = scene.responder("one", &Way::new([]));
        let report = responder.respond(vec![finding("f1", "i-1")]).await;
        let incident = report.incidents[0].incident.clone();
        scene.world.state().refused_late.clear();
        // The same again, and what is due, change nothing.
        responder.respond(vec![finding("f1", "i-1")]).await;
        responder.resume_early().await.unwrap();
        assert!(!scene.world.state().done.contains(&cut));
        if by_person {
            responder.retry(&incident, "ann".to_owned()).await.unwrap();
        } else {
            let mut grown = finding("f1", "i-1");
            grown.count += 1;
            responder.respond(vec![grown]).await;
        }
        assert!(scene.world.state().done.contains(&cut), "{by_person}");
        let status = responder.status(&incident).await.unwrap();
        assert!(!status.history.has_failed(), "{by_person}");
    }
}

#[tokio::test]
async fn what_goes_on_after_an_undo_is_told_once_and_not_done() {
    let scene = scene();
    let responder = scene.responder("one", &Way::new([]));
    let report = responder.respond(vec![finding("f1", "i-1")]).await;
    let incident = report.incidents[0].incident.clone();
    responder.undo(&incident, "ann").await.unwrap().unwrap();
    let told = |scene: &Scene| scene.told.lock().unwrap().len();
    let before = told(&scene);
    responder.respond(vec![finding("f1", "i-1")]).await;
    assert_eq!(told(&scene), before);
    let mut grown = finding("f1", "i-1");
    grown.count += 1;
    for _ in 0..2 {
        responder.respond(vec![grown.clone()]).await;
        assert_eq!(told(&scene), before + 1);
    }
    let last = scene.told.lock().unwrap().last().unwrap()[0].clone();
    assert!(last.seen_again);
    assert_eq!(last.kind, NewsKind::ApprovalNeeded);
    assert!(!scene.world.state().done.contains(&StepId(CUT.to_owned())));
}

#[tokio::test]
async fn what_another_incident_needs_stays_until_that_one_is_taken_back() {
    let mut scene = scene();
    let planning = Shared::cut();
    let shared = StepId::of(&planning.0);
    scene.planning = Arc::new(planning);
    let responder = scene.responder("one", &Way::new([]));
    let report = responder
        .respond(vec![finding("f1", "i-1"), finding("f2", "i-2")])
        .await;
    let mut incidents = report.incidents.iter().map(|it| it.incident.clone());
    let (first, second) = (incidents.next().unwrap(), incidents.next().unwrap());
    let undone = responder.undo(&first, "ann").await.unwrap().unwrap();
    let why = undone.kept.iter().find(|(id, _)| *id == shared);
    // The incident that came second found it done, and has nothing to take back.
    let held = why.is_some_and(|(_, why)| why.contains(second.as_str()));
    assert!(held || !undone.undone.contains(&shared), "{undone:?}");
    assert!(scene.world.state().done.contains(&shared));
    let needs = |status: Status| status.history.succeeded().contains(&shared);
    responder.undo(&second, "ann").await.unwrap().unwrap();
    responder.undo(&first, "ann").await.unwrap().unwrap();
    assert!(!scene.world.state().done.contains(&shared));
    // Neither waits for the other, also where one had only found it done.
    for incident in [&first, &second] {
        assert!(!needs(responder.status(incident).await.unwrap()));
    }
}

#[tokio::test]
async fn what_is_the_whole_accounts_is_needed_by_incidents_of_other_regions() {
    for (planning, is_shared) in [(Shared::buckets(), true), (Shared::cut(), false)] {
        let mut scene = scene();
        let shared = StepId::of(&planning.0);
        scene.planning = Arc::new(planning);
        let responder = scene.responder("one", &Way::new([]));
        let mut elsewhere = finding("f2", "i-2");
        let mut there = place();
        there.region = "us-east-2".into();
        elsewhere.place = Some(there);
        let first = responder.respond(vec![finding("f1", "i-1")]).await;
        let second = responder.respond(vec![elsewhere]).await;
        let first = &first.incidents[0].incident;
        let expected = responder.undo_expected(first).await.unwrap();
        let undone = responder.undo(first, "ann").await.unwrap().unwrap();
        assert_eq!(expected, undone);
        let second = &second.incidents[0].incident;
        let kept = |(id, why): &(StepId, String)| *id == shared && why.contains(second.as_str());
        assert_eq!(undone.kept.iter().any(kept), is_shared, "{undone:?}");
        assert_eq!(undone.undone.contains(&shared), !is_shared, "{undone:?}");
    }
}

/// The script, of which the cut is released two hours after the end.
struct Released;

impl Planning for Released {
    fn plan(&self, case: &Case, inventory: &Inventory) -> Plan {
        Plan {
            release: Some(ReleaseTimer {
                after_hours: 2,
                steps: vec![StepId(CUT.to_owned())],
            }),
            ..Script.plan(case, inventory)
        }
    }

    fn caps(&self, playbook: &str) -> Caps {
        Script.caps(playbook)
    }
}

#[tokio::test]
async fn what_only_served_the_investigation_is_released() {
    let mut scene = scene();
    scene.planning = Arc::new(Released);
    let responder = scene.responder("one", &Way::new([]));
    responder.respond(vec![finding("f1", "i-1")]).await;
    let cut = StepId(CUT.to_owned());
    scene.clock.pass(Duration::from_secs(3600));
    assert!(responder.resume().await.unwrap().incidents.is_empty());
    assert!(scene.world.state().done.contains(&cut));
    scene.clock.pass(Duration::from_secs(3700));
    assert_eq!(responder.resume().await.unwrap().incidents.len(), 1);
    let taken_back = scene.world.state().taken_back.clone();
    assert_eq!(taken_back.into_keys().collect::<Vec<_>>(), [cut]);
    scene.clock.pass(Duration::from_secs(24 * 3600));
    assert!(responder.resume().await.unwrap().incidents.is_empty());
}

#[tokio::test]
async fn the_switches_stop_everything_and_say_so() {
    for (says, switch) in [("kill switch", true), ("canary", false)] {
        let mut scene = scene();
        scene.policy.kill_switch = switch;
        scene.policy.canary_percent = if switch { 100 } else { 0 };
        let responder = scene.responder("one", &Way::new([]));
        let report = responder.respond(vec![finding("f1", "i-1")]).await;
        assert_eq!(withheld(&report, says).len(), Script::steps("i-1").len());
        assert!(scene.world.state().effects.is_empty());
        assert_eq!(scene.told.lock().unwrap().len(), 1);
        // Those begun before the switch can still be taken back, and others act again after it.
        scene.policy.kill_switch = false;
        scene.policy.canary_percent = 100;
        let responder = scene.responder("two", &Way::new([]));
        responder.respond(vec![finding("f2", "i-1")]).await;
        assert!(!scene.world.state().effects.is_empty(), "{says}");
    }
}

#[tokio::test]
async fn a_rehearsal_leaves_no_trace() {
    let scene = scene();
    let rehearse = ResponderOptions {
        dry_run: true,
        ..ResponderOptions::default()
    };
    let responder = scene.responder_with("one", &Way::new([]), rehearse);
    let report = responder.respond(vec![finding("f1", "i-1")]).await;
    assert_eq!(
        withheld(&report, "dry run").len(),
        Script::steps("i-1").len()
    );
    assert!(scene.journal.list(10).await.unwrap().is_empty());
    assert!(scene.told.lock().unwrap().is_empty());
    assert!(scene.world.state().effects.is_empty());
}
