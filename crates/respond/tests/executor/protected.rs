//! A protected target is in no plan of the real planner, and so nothing happens to it.

use std::sync::Arc;

use davylamp_content::playbook;
use davylamp_model::inventory::{Instance, Interface, Inventory, Reading, Tags, Volume};
use davylamp_plan::plan::Case;
use davylamp_plan::policy::Policy;
use davylamp_respond::actuator::Acting;
use davylamp_respond::clock::Clock;
use davylamp_respond::journal::memory::MemoryJournal;
use davylamp_respond::planning::Playbooks;
use davylamp_respond::responder::Collect;

use crate::world::scene::{Scene, finding, place};
use crate::world::{Snapshots, TestClock, Way, World};

/// One instance, with these tags.
struct Machine {
    clock: Arc<TestClock>,
    tags: Tags,
}

impl Collect for Machine {
    fn collect<'a>(&'a self, cases: &'a [Case]) -> Acting<'a, Vec<Inventory>> {
        let instance = Instance {
            id: "i-1".into(),
            state: "running".to_owned(),
            instance_type: "m5.large".to_owned(),
            launched_at: None,
            private_dns: None,
            spot: false,
            tags: self.tags.clone(),
            interfaces: vec![Interface {
                id: "eni-1".into(),
                vpc: "vpc-1".into(),
                groups: vec!["sg-1".into()],
                public_ip: None,
                tags: Tags::new(),
            }],
            volumes: vec![Volume {
                id: "vol-1".into(),
                device: Some("/dev/xvda".to_owned()),
                root: true,
                delete_on_termination: true,
                size_gib: Some(8),
                tags: Tags::new(),
            }],
            termination_protected: Reading::Known(false),
            group: None,
            role: None,
        };
        Box::pin(async move {
            let mut inventory = Inventory::empty(place(), self.clock.now());
            inventory.instances = vec![instance];
            inventory.snapshots = Reading::Known(Vec::new());
            Ok(cases.iter().map(|_| inventory.clone()).collect())
        })
    }
}

async fn touched(tags: Tags, policy: Policy) -> Vec<String> {
    let world = World::new(Snapshots::CompleteAfter(0));
    let mut scene = Scene::new(world, Arc::new(MemoryJournal::new()));
    let shipped = playbook::shipped().unwrap();
    let playbooks = shipped.into_iter().map(|it| it.playbook).collect();
    scene.planning = Arc::new(Playbooks::new(playbooks, policy.clone(), None));
    scene.policy = policy;
    scene.collect = Some(Arc::new(Machine {
        clock: Arc::clone(&scene.clock),
        tags,
    }));
    let report = scene
        .responder("one", &Way::new([]))
        .respond(vec![finding("f1", "i-1")])
        .await;
    let plan = report.incidents[0].plan.as_ref().unwrap();
    assert!(!plan.steps.is_empty() || !plan.omissions.is_empty());
    let touched: Vec<String> = scene
        .world
        .state()
        .effects
        .keys()
        .map(|id| id.0.clone())
        .collect();
    touched
}

fn reaches_it(touched: &[String]) -> bool {
    [
        "isolate-interface:",
        "terminate-instance:",
        "stop-instance:",
    ]
    .iter()
    .any(|verb| touched.iter().any(|id| id.starts_with(verb)))
}

#[tokio::test]
async fn by_tag_or_account_and_only_then() {
    let tag = |key: &str| Tags::from([(key.to_owned(), String::new())]);
    let plain = touched(tag("Name"), Policy::default()).await;
    assert!(reaches_it(&plain), "{plain:?}");
    let tagged = touched(tag("davylamp:protected"), Policy::default()).await;
    assert!(!reaches_it(&tagged), "{tagged:?}");
    let mut policy = Policy::default();
    policy.protected.accounts = vec![place().account];
    assert_eq!(touched(tag("Name"), policy).await, Vec::<String>::new());
}
