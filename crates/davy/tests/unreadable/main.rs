//! Arguments that cannot be read at exec never count as clean: the process is held until somebody
//! has looked again.
//!
//! That failure cannot be brought about from outside, so it is injected, through the library. The
//! guard takes over a whole process; this program is therefore its own harness, and starts itself
//! once more as the guard.

#[allow(dead_code, reason = "shared with the tests of the whole guard")]
#[path = "../agent/support.rs"]
mod support;

use std::{path::PathBuf, process::ExitCode};

use davylamp_guard::{
    agent::{self, TestFaults},
    config::{Config, Sweep},
};
use davylamp_model::{guard_event::Mode, ids::NodeName};
use serde_json::json;
use support::{Guard, Run, Scene};

/// Set for the process that is to be the guard: the list, and the mode.
const LIST: &str = "DAVY_UNREADABLE_LIST";
const OBSERVE: &str = "DAVY_UNREADABLE_OBSERVE";

const TESTS: [(&str, fn()); 3] = [
    ("a_banned_program_dies_unrun_and_a_benign_one_lives", enforcing),
    ("an_allow_pattern_counts_at_the_second_look", allowing),
    ("observing_holds_nothing", observing),
];

fn main() -> ExitCode {
    if let Some(list) = std::env::var_os(LIST) {
        return guard(list.into());
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    // What cargo and nextest ask of a harness. None of the tests is ignored.
    if has("--list") {
        if !has("--ignored") {
            for (name, _) in TESTS {
                say(&format!("{name}: test"));
            }
        }
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&String> =
        arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let chosen = |name: &str| {
        wanted.is_empty()
            || wanted.iter().any(|word| match has("--exact") {
                true => *word == name,
                false => name.contains(word.as_str()),
            })
    };
    for (name, test) in TESTS.iter().filter(|(name, _)| chosen(name)) {
        test();
        say(&format!("test {name} ... ok"));
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, reason = "this is the harness")]
fn say(line: &str) {
    println!("{line}");
}

/// The guard, to which the arguments of its parent's children are unreadable.
fn guard(list: PathBuf) -> ExitCode {
    let mut config = Config {
        blocklists: vec![list],
        pin: false,
        mode: if std::env::var_os(OBSERVE).is_some() { Mode::Observe } else { Mode::Enforce },
        sweep: Sweep { on_start: false, on_reload: false, interval_secs: 0 },
        ..Config::default()
    };
    config.hold.deadline_ms = 60_000;
    config.containers.cri_sockets.clear();
    config.containers.docker_sockets.clear();
    let faults = TestFaults { unreadable_children_of: Some(std::os::unix::process::parent_id()) };
    match agent::run(config, NodeName("test".to_owned()), faults) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => panic!("{error:?}"),
    }
}

fn start(scene: &Scene, observe: bool) -> Guard {
    let mut command = std::process::Command::new(std::env::current_exe().expect("this program"));
    command.env(LIST, scene.list()).stdin(std::process::Stdio::null());
    if observe {
        command.env(OBSERVE, "1");
    }
    let mut guard = Guard::spawn(command, &scene.path("stderr"));
    guard.wait_ready();
    guard
}

const UNREADABLE: &str = "its arguments could not be read at exec";

fn enforcing() {
    let scene = Scene::new();
    let mut guard = start(&scene, false);
    for _ in 0..50 {
        let run = Run::witness(&["plain", "benign"]);
        let pid = run.pid();
        let seen = run.end();
        assert!(seen.ran(), "{seen:?}: {:#?}", guard.said());
        let line = guard.wait_action(pid, "spared");
        assert_eq!(line["reason"], "read again, and nothing in it is banned");
        assert_eq!(guard.wait_action(pid, "held")["reason"], UNREADABLE);

        let run = Run::witness(&["plain", &scene.banned]);
        let pid = run.pid();
        assert!(run.end().died_unrun());
        let line = guard.wait_action(pid, "killed");
        assert_eq!(line["matched"], scene.banned);
        assert_eq!(line["source"], "davylamp.hold");
        assert_eq!(guard.wait_action(pid, "held")["reason"], UNREADABLE);
    }
    // As long as the kernel lets a command line be.
    let padding = "p".repeat(120 << 10);
    let mut long = vec![padding.as_str(); 10];
    long.push(&scene.banned);
    assert!(Run::witness(&long).end().died_unrun());
    long.pop();
    assert!(Run::witness(&long).end().ran());
}

fn allowing() {
    let scene = Scene::new();
    scene.ban(&[json!("literal "), json!("asks [0-9]+ ")]);
    let mut guard = start(&scene, false);
    for words in [vec!["literal", &scene.banned], vec!["asks", "12", &scene.banned]] {
        let run = Run::witness(&words);
        let pid = run.pid();
        assert!(run.end().ran(), "{words:?}");
        let line = guard.wait_action(pid, "spared");
        assert!(line["allowedby"].as_str().is_some_and(|by| by.starts_with("allowed-pattern:")));
    }
    assert!(Run::witness(&["asks", "12x", &scene.banned]).end().died_unrun());
}

fn observing() {
    let scene = Scene::new();
    let mut guard = start(&scene, true);
    let run = Run::witness(&["plain", &scene.banned]);
    let pid = run.pid();
    assert!(run.end().ran());
    // It may be gone before anybody can look again; that is said as well.
    let line = guard.wait("what became of it", |line| line["pid"] == pid);
    let action = line["action"].as_str().expect("an action");
    assert!(["would-kill", "missed"].contains(&action), "{line}");
    let run = Run::program("/bin/sleep".as_ref(), &[&scene.banned, "600"]);
    let line = guard.wait_action(run.pid(), "would-kill");
    assert_eq!(line["matched"], scene.banned);
    support::kill(run.pid(), libc::SIGTERM);
    assert_eq!(run.end().signal, Some(libc::SIGTERM));
    assert!(guard.said().iter().all(|line| line["action"] != "held"));
}
