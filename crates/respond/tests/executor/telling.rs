//! Channels that are down: what they may cost a run, and the others.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use davylamp_model::finding::{Behaviour, Finding};
use davylamp_respond::actuator::{ActError, Acting};
use davylamp_respond::clock::Clock;
use davylamp_respond::journal::memory::MemoryJournal;
use davylamp_respond::responder::{News, ResponderOptions, Tell};
use davylamp_respond::tell::patience::Patience;
use jiff::{SignedDuration, Timestamp};

use crate::world::scene::{Scene, finding};
use crate::world::{Snapshots, TestClock, Way, World};

/// Three channels: one never answers, one fails twice, one is well.
struct Post {
    clock: Arc<TestClock>,
    calls: Mutex<BTreeMap<String, Vec<(Timestamp, usize)>>>,
}

impl Post {
    fn calls(&self, channel: &str) -> Vec<(Timestamp, usize)> {
        self.calls
            .lock()
            .unwrap()
            .get(channel)
            .cloned()
            .unwrap_or_default()
    }

    fn began(&self) -> Timestamp {
        let calls = self.calls.lock().unwrap();
        calls.values().flatten().map(|(at, _)| *at).min().unwrap()
    }
}

impl Tell for Post {
    fn channels(&self) -> Vec<String> {
        ["dead", "shaky", "well"].map(str::to_owned).to_vec()
    }

    fn tell<'a>(&'a self, channel: &'a str, news: &'a [News]) -> Acting<'a, ()> {
        Box::pin(async move {
            let tries = {
                let mut calls = self.calls.lock().unwrap();
                let calls = calls.entry(channel.to_owned()).or_default();
                calls.push((self.clock.now(), news.len()));
                calls.len()
            };
            match (channel, tries) {
                ("dead", _) => pending().await,
                ("shaky", 1 | 2) => Err(ActError::Transient {
                    service: channel.to_owned(),
                    why: "slow down".to_owned(),
                }),
                _ => Ok(()),
            }
        })
    }
}

fn post() -> (Scene, Arc<Post>) {
    let world = World::new(Snapshots::CompleteAfter(0));
    let mut scene = Scene::new(world, Arc::new(MemoryJournal::new()));
    let post = Arc::new(Post {
        clock: Arc::clone(&scene.clock),
        calls: Mutex::default(),
    });
    scene.tell = Some(Arc::clone(&post) as Arc<dyn Tell>);
    (scene, post)
}

/// So many findings that are reported, and nothing else: telling is all there is to do.
fn reported(count: usize) -> Vec<Finding> {
    (0..count)
        .map(|number| Finding {
            sample: true,
            behaviour: Behaviour::Mining,
            ..finding(&format!("f{number}"), &format!("i-{number}"))
        })
        .collect()
}

#[tokio::test]
async fn one_that_is_down_takes_a_bounded_time_and_nobody_elses() {
    let (scene, post) = post();
    let responder = scene.responder("one", &Way::new([]));
    let report = responder.respond(reported(3)).await;
    let in_all = Patience::default().in_all;
    let took = scene.clock.now().duration_since(post.began());
    let most = SignedDuration::try_from(in_all + Duration::from_secs(1)).unwrap();
    assert!(took <= most, "{took}");
    let channels: Vec<&str> = report.untold.iter().map(|it| it.channel.as_str()).collect();
    assert_eq!(channels, ["dead"; 3]);
    assert!(
        report.untold[0].why.contains("no answer within"),
        "{report:?}"
    );
    // The other two told all three, one of them at the third try.
    assert_eq!(post.calls("shaky").len(), 5);
    assert_eq!(post.calls("well").len(), 3);
    assert!(report.wants_redelivery());
}

#[tokio::test]
async fn what_did_not_go_out_is_told_by_the_next_run_and_only_that() {
    let (scene, post) = post();
    let findings = vec![finding("f1", "i-1")];
    let responder = scene.responder("one", &Way::new([]));
    assert_eq!(responder.respond(findings).await.untold.len(), 1);
    let tries = post.calls("dead").len();
    scene.clock.pass(Duration::from_secs(600));
    let responder = scene.responder("two", &Way::new([]));
    responder.resume().await.unwrap();
    assert!(post.calls("dead").len() > tries);
    assert_eq!(post.calls("well").len(), 1);
}

#[tokio::test]
async fn telling_ends_before_a_deadline() {
    let (scene, post) = post();
    let deadline = scene.clock.now() + SignedDuration::from_secs(7);
    let options = ResponderOptions {
        tell_until: Some(deadline),
        ..ResponderOptions::default()
    };
    let responder = scene.responder_with("one", &Way::new([]), options);
    let report = responder.respond(reported(3)).await;
    assert!(scene.clock.now() <= deadline);
    assert!(report.untold.iter().any(|it| it.channel == "dead"));
    assert!(post.calls("dead").len() < 3, "no time for more is left");
}

#[tokio::test]
async fn no_channel_is_tried_while_its_marks_may_be_another_runs() {
    let options = ResponderOptions::default();
    let lease = Duration::from_secs(u64::from(options.notice_lease_secs));
    assert!(options.patience.in_all < lease);
    assert!(options.patience.each <= options.patience.in_all);
}
