//! On cgroups of the test's own, with processes that only sleep. Needs root and the unified hierarchy.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command},
    time::{Duration, Instant},
};

use super::*;

struct Cgroup(PathBuf);

impl Cgroup {
    fn new(name: &str) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        let mount = mounts
            .lines()
            .filter_map(|line| line.split_once(" - cgroup2 "))
            .find_map(|(place, _)| place.split(' ').nth(4))
            .expect("the unified hierarchy is mounted");
        let directory = Path::new(mount).join(format!("acts-{name}-{}", std::process::id()));
        fs::create_dir_all(directory.join("inner")).expect("a cgroup");
        Self(directory)
    }

    fn start(&self, below: &str) -> Child {
        let child = Command::new("sleep").arg("30").spawn().expect("a sleeper");
        let procs = self.0.join(below).join("cgroup.procs");
        fs::write(procs, child.id().to_string()).expect("it moves");
        child
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline
            && (fs::remove_dir(self.0.join("inner")).is_err() & fs::remove_dir(&self.0).is_err())
        {
            std::thread::yield_now();
        }
    }
}

fn died(mut child: Child) -> bool {
    let status = child.wait().expect("it ends");
    status.signal() == Some(libc::SIGKILL)
}

#[test]
fn a_cgroup_dies_as_a_whole_and_not_what_is_protected_in_it() {
    let cgroup = Cgroup::new("kill");
    let (outer, inner) = (cgroup.start(""), cgroup.start("inner"));
    let done = kill_cgroup(&cgroup.0, |_| false);
    assert_eq!(
        done,
        Killed {
            processes: 2,
            at_once: true
        }
    );
    assert!(died(outer) && died(inner));

    let (mut spared, doomed) = (cgroup.start(""), cgroup.start("inner"));
    let keep = spared.id();
    let done = kill_cgroup(&cgroup.0, |process| process.pid() == keep);
    assert_eq!(
        done,
        Killed {
            processes: 1,
            at_once: false
        }
    );
    assert!(died(doomed));
    assert!(spared.try_wait().expect("a look").is_none(), "it lives");
    spared.kill().expect("an end");
    spared.wait().expect("an end");
}

#[test]
fn a_frozen_cgroup_is_found_by_its_mark_and_thawed_when_it_is_due() {
    let cgroup = Cgroup::new("freeze");
    let child = cgroup.start("inner");
    let protected = freeze_cgroup(&cgroup.0, None, 100, |process| process.pid() == child.id());
    assert!(matches!(protected, Err(ActError::Protected { .. })));
    assert_eq!(frozen_below(&cgroup.0), []);

    let frozen = freeze_cgroup(&cgroup.0, None, 100, |_| false).expect("it freezes");
    assert_eq!(frozen, Frozen::Whole);
    assert_eq!(
        frozen_below(&cgroup.0),
        [FrozenCgroup {
            directory: cgroup.0.clone(),
            until_secs: 100
        }]
    );
    // What is frozen is described, and can be killed.
    let evidence = Evidence::of_cgroup(&cgroup.0, &Limits::default()).0;
    assert_eq!(evidence["processes"][0]["pid"], child.id());
    assert!(thaw_due(&cgroup.0, Some(99)).is_empty(), "not yet");
    let thawed = thaw_due(&cgroup.0, Some(100));
    assert!(thawed.len() == 1 && thawed[0].1.is_ok(), "{thawed:?}");
    assert_eq!(frozen_below(&cgroup.0), []);
    let state = fs::read_to_string(cgroup.0.join("cgroup.freeze")).expect("a state");
    assert_eq!(state.trim(), "0");

    freeze_cgroup(&cgroup.0, None, 100, |_| false).expect("it freezes again");
    kill_cgroup(&cgroup.0, |_| false);
    assert!(died(child), "a frozen process dies");
    let missing = freeze_cgroup(Path::new("/proc/self"), None, 1, |_| false);
    assert!(matches!(missing, Err(ActError::NoFreezer { .. })));
}

/// A cgroup of version 1 in the hierarchy of this controller, where that is mounted.
fn version1(controller: &str) -> Option<PathBuf> {
    let mount = Path::new("/sys/fs/cgroup").join(controller);
    mount.join("tasks").exists().then(|| {
        let directory = mount.join(format!("acts-{}", std::process::id()));
        fs::create_dir(&directory).expect("a cgroup");
        directory
    })
}

#[test]
fn a_container_in_version_1_is_frozen_by_that_hierarchys_freezer() {
    let (Some(memory), Some(freezer)) = (version1("memory"), version1("freezer")) else {
        return; // This machine has no hierarchies of version 1.
    };
    let mut child = Command::new("sleep").arg("30").spawn().expect("a sleeper");
    for directory in [&memory, &freezer] {
        let procs = directory.join("cgroup.procs");
        fs::write(procs, child.id().to_string()).expect("it moves");
    }
    let state = || fs::read_to_string(freezer.join("freezer.state")).expect("a state");

    let frozen = freeze_cgroup(&memory, Some(&freezer), 100, |_| false).expect("it freezes");
    assert_eq!(frozen, Frozen::Whole);
    assert_eq!(state().trim(), "FROZEN");
    assert_eq!(frozen_below(&freezer)[0].until_secs, 100);
    let thawed = thaw_due(&freezer, None);
    assert!(thawed.len() == 1 && thawed[0].1.is_ok(), "{thawed:?}");
    assert_eq!(state().trim(), "THAWED");
    assert_eq!(frozen_below(&freezer), []);

    child.kill().expect("an end");
    child.wait().expect("an end");
    for directory in [memory, freezer] {
        let deadline = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir(&directory).is_err() && Instant::now() < deadline {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_tree_dies_from_its_root() {
    let mut shell = Command::new("sh")
        .args(["-c", "sleep 30 & echo $!; wait"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut line = String::new();
    let out = shell.stdout.take().expect("output");
    io::BufRead::read_line(&mut io::BufReader::new(out), &mut line).expect("a pid");
    let (root, child) = (shell.id(), line.trim().parse::<u32>().expect("a pid"));
    let killed = kill_tree(root, || vec![(root, 1), (child, root)], |_| false);
    assert_eq!(killed, 2);
    assert!(died(shell));
    let deadline = Instant::now() + Duration::from_secs(5);
    let runs = || {
        Process::open(child, None)
            .ok()
            .flatten()
            .and_then(|process| process.relations().ok())
            .is_some_and(|relations| relations.is_running)
    };
    while runs() {
        assert!(Instant::now() < deadline, "the child lives");
        std::thread::yield_now();
    }
}
