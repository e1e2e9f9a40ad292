//! A survey has no side effects. Alone in its file, so that no other test opens descriptors.

use std::path::{Path, PathBuf};

use davylamp_guard::machine::{Group, Row, Survey, Wants, survey_for};
use rustix::process::{Resource, getrlimit};

#[derive(Debug, PartialEq)]
struct State {
    descriptors: usize,
    locked_memory: Option<u64>,
    pins: bool,
}

fn state(pin_dir: &Path) -> State {
    State {
        descriptors: std::fs::read_dir("/proc/self/fd")
            .expect("/proc is mounted")
            .count(),
        locked_memory: getrlimit(Resource::Memlock).current,
        pins: pin_dir.exists(),
    }
}

/// The rows that nothing else on the machine changes meanwhile.
fn steady(survey: Survey) -> Vec<Row> {
    let changing = [Group::Mounts, Group::Containers];
    survey
        .rows
        .into_iter()
        .filter(|row| !changing.contains(&row.group))
        .collect()
}

#[test]
fn a_survey_leaves_nothing_behind() {
    // A directory of our own, for a guard may be running on this machine.
    let pin_dir = PathBuf::from(format!(
        "/sys/fs/bpf/davylamp-survey-{}",
        std::process::id()
    ));
    let wants = Wants {
        pin_dir: Some(pin_dir.clone()),
    };
    let before = state(&pin_dir);
    assert!(!before.pins, "{} is ours alone", pin_dir.display());
    let first = steady(survey_for(&wants));
    assert_eq!(before, state(&pin_dir));
    assert_eq!(
        first,
        steady(survey_for(&wants)),
        "and asking changes no answer"
    );
}
