//! What the guard sees of processes as they run, and what it does about it: the real agent, in a
//! process of its own, and harmless programs that behave. Run as root.

mod support;

use std::time::{Duration, Instant};

use davylamp_guard::protect::CgroupMounts;
use support::{Agent, Behaver, Place, config, serial};

/// How long something that is to be seen may take, on a machine where others compile.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_thread_that_rounds_in_all_modes_is_told_and_lives() {
    let _serial = serial();
    let agent = Agent::start(config());
    let place = Place::on_the_host();
    let mut behaver = Behaver::start("all", &place);
    let line = agent.line(PATIENCE, |line| {
        line["detection"] == "randomx-rounding" && line["pid"] == behaver.pid()
    });
    assert_eq!(line["action"], "alerted");
    assert_eq!(line["source"], "davylamp.behaviour");
    assert_eq!(line["score"], 85.0);
    assert_eq!(line["signs"][0]["detection"], "randomx-rounding");
    assert_eq!(line["cgroup"], place.path());
    assert!(
        line["cmdline"]
            .as_str()
            .is_some_and(|text| text.ends_with(" all 60"))
    );
    assert!(line["evidence"]["to_zero"].as_u64() >= Some(8));
    assert!(behaver.is_running());
}

/// As a miner's threads are: always busy, so that they are switched out only when others want to run.
#[test]
fn threads_that_never_pause_are_told_once() {
    let _serial = serial();
    let agent = Agent::start(config());
    let place = Place::on_the_host();
    let busy = Behaver::start("busy", &place);
    let line = agent.line(PATIENCE, |line| {
        line["pid"] == busy.pid() && line["detection"] == "randomx-rounding"
    });
    assert_eq!(line["action"], "alerted");
    let first = line["timestamp"].clone();
    agent.none(Duration::from_secs(5), |line| {
        line["pid"] == busy.pid()
            && line["detection"] == "randomx-rounding"
            && line["timestamp"] != first
    });
}

#[test]
fn what_a_cgroup_uses_is_read() {
    let place = Place::on_the_host();
    let mounts = CgroupMounts::read().expect("the mounts");
    let key = mounts.keys(place.path()).expect("it is there")[0];
    assert_eq!(mounts.used_ns(key, place.path()), Some(0));
    let _behaver = Behaver::start("code", &place);
    support::until(PATIENCE, || {
        mounts.used_ns(key, place.path()) >= Some(500_000_000)
    });
    assert_eq!(mounts.used_ns(key + 1, place.path()), None, "another's");
    let found = mounts.absolute(key, "/../../as/a/namespace/shows");
    assert_eq!(found.as_deref(), Some(place.path()));
}

#[test]
fn one_directed_mode_is_told_as_that_and_what_goes_back_is_not() {
    let _serial = serial();
    let agent = Agent::start(config());
    let place = Place::on_the_host();
    let mut seldom = Behaver::start("seldom", &place);
    let mut nearest = Behaver::start("nearest", &place);
    let up = Behaver::start("up", &place);
    let line = agent.line(PATIENCE, |line| line["pid"] == up.pid());
    assert_eq!(line["detection"], "directed-rounding");
    assert_eq!(line["action"], "alerted");
    // The near misses began before, and are given as long again.
    let began = Instant::now();
    agent.none(Duration::from_secs(10), |line| {
        line["pid"] == seldom.pid() || line["pid"] == nearest.pid()
    });
    assert!(began.elapsed() >= Duration::from_secs(10));
    assert!(seldom.is_running() && nearest.is_running());
}

#[test]
fn policy_may_kill_for_it_with_all_that_it_started() {
    let _serial = serial();
    let agent = Agent::start(support::with_detections(&[
        "randomx-rounding score=100 response=kill-process",
    ]));
    let place = Place::on_the_host();
    let mut tree = Behaver::start("tree", &place);
    let children = tree.children();
    assert_eq!(children.len(), 2);
    let mut other = Behaver::start("nearest", &place);
    let line = agent.line(PATIENCE, |line| {
        line["pid"] == tree.pid() && line["action"] == "killed"
    });
    assert!(
        line["reason"]
            .as_str()
            .is_some_and(|why| why.contains("with 2 processes"))
    );
    assert_eq!(tree.signal(), Some(libc::SIGKILL));
    support::until(PATIENCE, || children.iter().all(|pid| !support::runs(*pid)));
    assert!(other.is_running());
}

#[test]
fn a_guard_that_observes_does_nothing() {
    let _serial = serial();
    let mut config =
        support::with_detections(&["randomx-rounding score=100 response=kill-process"]);
    config.mode = davylamp_model::guard_event::Mode::Observe;
    let agent = Agent::start(config);
    let place = Place::on_the_host();
    let mut behaver = Behaver::start("all", &place);
    let line = agent.line(PATIENCE, |line| line["pid"] == behaver.pid());
    assert_eq!(line["action"], "would-kill");
    assert!(behaver.is_running());
}

#[test]
fn what_is_protected_is_spared() {
    let _serial = serial();
    let place = Place::on_the_host();
    let mut config =
        support::with_detections(&["randomx-rounding score=100 response=kill-process"]);
    config.protect.cgroups = vec![place.path().to_owned()];
    let agent = Agent::start(config);
    let mut behaver = Behaver::start("all", &place);
    let line = agent.line(PATIENCE, |line| line["pid"] == behaver.pid());
    assert_eq!(line["action"], "spared");
    assert!(behaver.is_running());
}

#[test]
fn code_without_a_file_is_seen() {
    let _serial = serial();
    let agent = Agent::start(support::with_detections(&["anonymous-code score=60"]));
    let place = Place::on_the_host();
    let behaver = Behaver::start("code", &place);
    let line = agent.line(PATIENCE, |line| line["pid"] == behaver.pid());
    assert_eq!(line["detection"], "anonymous-code");
    assert_eq!(line["action"], "alerted");
    assert!(line["evidence"]["executable_mib"].as_u64() >= Some(8));
}

#[test]
fn a_container_is_frozen_and_lives() {
    let _serial = serial();
    let place = Place::of_a_container();
    let mut config = support::with_detections(&["randomx-rounding score=100 response=freeze"]);
    config.containers.docker_sockets = vec![place.socket()];
    let agent = Agent::start(config);
    let mut behaver = Behaver::start("all", &place);
    let line = agent.line(PATIENCE, |line| line["pid"] == behaver.pid());
    assert_eq!(line["action"], "frozen", "{line}");
    assert_eq!(line["container_id"], place.id());
    support::until(PATIENCE, || place.is_frozen());
    assert!(behaver.is_running());
    place.thaw();
}

#[test]
fn all_of_a_container_is_killed_and_nothing_beside_it() {
    let _serial = serial();
    let place = Place::of_a_container();
    let mut config = support::with_detections(&["randomx-rounding score=100 response=evict-pod"]);
    config.containers.docker_sockets = vec![place.socket()];
    let agent = Agent::start(config);
    let elsewhere = Place::on_the_host();
    let mut outside = Behaver::start("nearest", &elsewhere);
    let mut beside = Behaver::start("nearest", &place);
    let mut behaver = Behaver::start("all", &place);
    let line = agent.line(PATIENCE, |line| {
        line["pid"] == behaver.pid() && line["action"] == "killed"
    });
    assert_eq!(line["asked"], "evict-pod");
    assert_eq!(behaver.signal(), Some(libc::SIGKILL));
    assert_eq!(beside.signal(), Some(libc::SIGKILL));
    assert!(outside.is_running());
}

#[test]
fn the_watch_goes_on_when_the_agent_was_killed() {
    let _serial = serial();
    let pins = support::Pins::new();
    let mut config = config();
    config.pin = true;
    config.pin_dir = pins.path().to_owned();
    let first = Agent::start(config.clone());
    drop(first);
    let kept = pins.names();
    assert!(
        kept.iter().any(|name| name.starts_with("behaviour-")),
        "{kept:?}"
    );
    let place = Place::on_the_host();
    let behaver = Behaver::start("all", &place);
    let second = Agent::start(config);
    let line = second.line(PATIENCE, |line| line["pid"] == behaver.pid());
    assert_eq!(line["detection"], "randomx-rounding");
    let links = pins.names();
    let links = links.iter().filter(|name| name.starts_with("behaviour-"));
    assert_eq!(links.count(), 1);
}
