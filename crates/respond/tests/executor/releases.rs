//! The release timer where it fails, and where there is more than one plan.

use std::sync::Arc;
use std::time::Duration;

use davylamp_content::playbook::Caps;
use davylamp_model::inventory::Inventory;
use davylamp_plan::plan::{Case, Plan, ReleaseTimer, StepId};
use davylamp_respond::executor::Outcome;
use davylamp_respond::journal::history::StepState;
use davylamp_respond::journal::memory::MemoryJournal;
use davylamp_respond::responder::{CameOfIt, News, NewsKind, Planning, Report};
use davylamp_respond::tell::notice;

use crate::world::scene::{Scene, Script, finding};
use crate::world::{Snapshots, Way, World};

const CUT: &str = "isolate-interface:interface/eni-of-i-1";
const HOUR: Duration = Duration::from_secs(3600);

/// What a plan says of the cut.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    /// It is made, and released after so many hours.
    Released(u32),
    /// It is made for good.
    Kept,
    /// It is not named: it is made already.
    LeftOut,
}

/// The script, with a plan of its own for each further finding.
struct Plans(Vec<Cut>);

impl Planning for Plans {
    fn plan(&self, case: &Case, inventory: &Inventory) -> Plan {
        let cut = self.0[case.findings.len().min(self.0.len()) - 1];
        let mut plan = Script.plan(case, inventory);
        match cut {
            Cut::Released(after_hours) => {
                plan.release = Some(ReleaseTimer {
                    after_hours,
                    steps: vec![StepId(CUT.to_owned())],
                });
            }
            Cut::Kept => {}
            Cut::LeftOut => plan.steps.retain(|step| step.id.0 != CUT),
        }
        plan
    }

    fn caps(&self, playbook: &str) -> Caps {
        Script.caps(playbook)
    }
}

fn scene(cuts: &[Cut]) -> Scene {
    let world = World::new(Snapshots::CompleteAfter(0));
    let mut scene = Scene::new(world, Arc::new(MemoryJournal::new()));
    scene.planning = Arc::new(Plans(cuts.to_vec()));
    scene
}

fn outcome(report: &Report) -> &Outcome {
    match &report.incidents[..] {
        [one] => match &one.came_of_it {
            CameOfIt::Worked { outcome } => outcome,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn told(scene: &Scene) -> Vec<News> {
    scene.told.lock().unwrap().drain(..).flatten().collect()
}

#[track_caller]
fn is_the_failure(news: &[News]) {
    let [news] = news else {
        panic!("told {} times", news.len());
    };
    assert_eq!(news.kind, NewsKind::Failure);
    let notice = notice(news);
    let said = notice.not_done.iter().find(|it| it.what.contains(CUT));
    let said = said.unwrap_or_else(|| panic!("{notice:?}"));
    assert!(!said.why.is_empty());
    let undo = format!("davy respond undo {}", news.incident);
    assert!(
        notice
            .next
            .iter()
            .any(|it| it.command.as_ref() == Some(&undo)),
        "{:?}",
        notice.next
    );
}

#[tokio::test]
async fn one_that_fails_for_good_is_told_once() {
    let scene = scene(&[Cut::Released(2)]);
    let responder = scene.responder("one", &Way::new([]));
    scene.world.state().stuck.insert(CUT.to_owned(), true);
    responder.respond(vec![finding("f1", "i-1")]).await;
    told(&scene);
    scene.clock.pass(3 * HOUR);
    let report = responder.resume().await.unwrap();
    assert!(outcome(&report).is_incomplete());
    let news = told(&scene);
    is_the_failure(&news);
    assert!(
        notice(&news[0])
            .not_done
            .iter()
            .any(|it| it.why.contains("the node is gone"))
    );
    // Nothing is left to do by itself, and what makes it look again says nothing new.
    scene.clock.pass(24 * HOUR);
    assert!(responder.resume().await.unwrap().incidents.is_empty());
    let responder = scene.responder("two", &Way::new([]));
    responder.respond(vec![finding("f1", "i-1")]).await;
    assert!(
        told(&scene)
            .iter()
            .all(|news| news.kind != NewsKind::Failure)
    );
}

#[tokio::test]
async fn one_that_could_not_be_told_is_told_later() {
    let mut scene = scene(&[Cut::Released(2)]);
    scene.world.state().stuck.insert(CUT.to_owned(), true);
    let responder = scene.responder("one", &Way::new([]));
    responder.respond(vec![finding("f1", "i-1")]).await;
    told(&scene);
    scene.clock.pass(3 * HOUR);
    scene.mailbox = Some(Way::new([crate::world::Fault::Throttled]));
    let responder = scene.responder("two", &Way::new([]));
    let report = responder.resume().await.unwrap();
    assert_eq!(report.untold.len(), 1);
    assert!(told(&scene).is_empty());
    // Whoever asks how it stands learns both.
    let incident = &report.incidents[0].incident;
    let history = responder.status(incident).await.unwrap().history;
    assert_eq!(history.untold.len(), 1);
    assert_eq!(history.unreleased.len(), 1);
    scene.clock.pass(HOUR);
    responder.resume().await.unwrap();
    is_the_failure(&told(&scene));
    let history = responder.status(incident).await.unwrap().history;
    assert!(history.untold.is_empty());
    assert_eq!(history.unreleased.len(), 1);
    scene.world.state().stuck.clear();
    responder.undo(incident, "ada").await.unwrap().unwrap();
    let history = responder.status(incident).await.unwrap().history;
    assert!(history.unreleased.is_empty());
}

#[tokio::test]
async fn one_that_fails_for_now_is_tried_for_a_day_and_then_told() {
    let scene = scene(&[Cut::Released(2)]);
    let responder = scene.responder("one", &Way::new([]));
    scene.world.state().stuck.insert(CUT.to_owned(), false);
    responder.respond(vec![finding("f1", "i-1")]).await;
    told(&scene);
    for _ in 0..20 {
        scene.clock.pass(HOUR);
        responder.resume().await.unwrap();
    }
    assert!(told(&scene).is_empty());
    scene.clock.pass(8 * HOUR);
    let report = responder.resume().await.unwrap();
    assert_eq!(outcome(&report).unreleased.len(), 1);
    is_the_failure(&told(&scene));
    scene.clock.pass(HOUR);
    assert!(responder.resume().await.unwrap().incidents.is_empty());
}

#[tokio::test]
async fn the_last_plan_that_names_a_step_says_when_it_is_released() {
    use Cut::{Kept, LeftOut, Released};
    for (cuts, after_2, after_6) in [
        // A later plan leaves out what was done already: the release of the first holds.
        (vec![Released(2), LeftOut], true, true),
        (vec![Released(2), Released(5)], false, true),
        (vec![Released(5), Released(2)], true, true),
        // What a later plan does for good stays.
        (vec![Released(2), Kept], false, false),
        (vec![Kept, Released(2)], true, true),
        (vec![Released(2), LeftOut, Kept], false, false),
    ] {
        let scene = scene(&cuts);
        let responder = scene.responder("one", &Way::new([]));
        for number in 1..=cuts.len() {
            let finding = finding(&format!("f{number}"), "i-1");
            responder.respond(vec![finding]).await;
        }
        let cut = StepId(CUT.to_owned());
        let is_cut = || scene.world.state().done.contains(&cut);
        assert!(is_cut());
        scene.clock.pass(3 * HOUR);
        responder.resume().await.unwrap();
        assert_eq!(is_cut(), !after_2, "3 hours later");
        scene.clock.pass(3 * HOUR);
        responder.resume().await.unwrap();
        assert_eq!(is_cut(), !after_6, "6 hours later");
    }
}

#[tokio::test]
async fn what_an_earlier_plan_did_is_not_forgotten() {
    let scene = scene(&[Cut::Released(2), Cut::LeftOut]);
    let responder = scene.responder("one", &Way::new([]));
    let mut incident = None;
    for id in ["f1", "f2"] {
        let report = responder.respond(vec![finding(id, "i-1")]).await;
        incident = Some(report.incidents[0].incident.clone());
    }
    let cut = StepId(CUT.to_owned());
    let incident = incident.unwrap();
    let status = responder.status(&incident).await.unwrap();
    assert!(!status.history.steps.contains_key(&cut));
    let earlier = status.history.earlier.get(&cut);
    let is_done = matches!(earlier, Some(StepState::Succeeded { .. }));
    assert!(is_done, "{earlier:?}");
    responder.undo(&incident, "ann").await.unwrap().unwrap();
    let status = responder.status(&incident).await.unwrap();
    let by = "ann".to_owned();
    assert_eq!(
        status.history.state(&cut),
        Some(&StepState::Undone { by, gone: None })
    );
}
