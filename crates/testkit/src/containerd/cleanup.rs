//! Leaving nothing behind: processes by their pids, cgroups by the pod's uid.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to go before it is killed, or a cgroup to empty.
const GRACE: Duration = Duration::from_secs(5);

/// How often it is looked at meanwhile.
const GLANCE: Duration = Duration::from_millis(10);

const PREFIX: &str = "davylamp-containerd-";

/// How the directory of the test process `pid` begins.
pub(super) fn dir_prefix(pid: u32) -> String {
    format!("{PREFIX}{pid}-")
}

/// Waits a moment between two looks at a condition.
#[expect(
    clippy::disallowed_methods,
    reason = "each caller looks at a condition with a deadline"
)]
pub(super) fn pause(moment: Duration) {
    std::thread::sleep(moment);
}

/// Ends a child: asked first, then killed.
pub(super) fn end(child: &mut Child) {
    if let Ok(None) = child.try_wait() {
        let _ = kill_process(Pid::from_child(child), Signal::TERM);
        if !within(GRACE, || !matches!(child.try_wait(), Ok(None))) {
            let _ = child.kill();
        }
    }
    let _ = child.wait();
}

/// Kills what serves the containerd of `dir`: the shims outlive it by design, and their children
/// are the containers' processes. Returns the uids of the pods that these were in.
pub(super) fn kill_shims(dir: &Path) -> BTreeSet<String> {
    let socket = dir.join("containerd.sock");
    let config = dir.join("config.toml");
    let is_ours = |arguments: &[u8]| {
        arguments.split(|byte| *byte == 0).any(|argument| {
            argument == socket.as_os_str().as_encoded_bytes()
                || argument == config.as_os_str().as_encoded_bytes()
        })
    };
    let mut uids = BTreeSet::new();
    within(GRACE, || {
        let all = pids();
        let (ours, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|pid| {
            is_ours(&std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default())
        });
        let children = others
            .into_iter()
            .filter(|pid| ours.contains(&parent_of(*pid)));
        for child in children {
            uids.extend(pod_of(child));
            kill(child);
        }
        for pid in &ours {
            kill(*pid);
        }
        ours.is_empty()
    });
    uids
}

/// The parent's pid, or 0 where the process is gone.
fn parent_of(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before it is in parentheses and may contain anything.
    stat.rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

/// The uid of the pod whose cgroup the process is in.
fn pod_of(pid: i32) -> Option<String> {
    let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let (_, rest) = cgroups.split_once("/kubepods/burstable/pod")?;
    rest.split(['/', '\n']).next().map(str::to_owned)
}

/// Kills what is left in the cgroups of the pod `uid`, in every hierarchy, and removes them.
pub(super) fn remove_cgroups(uid: &str) {
    for root in hierarchies() {
        let pod = root.join(format!("kubepods/burstable/pod{uid}"));
        within(GRACE, || {
            let mut dirs = Vec::new();
            collect(&pod, &mut dirs);
            for dir in dirs.iter().rev() {
                for pid in std::fs::read_to_string(dir.join("cgroup.procs"))
                    .unwrap_or_default()
                    .lines()
                {
                    if let Ok(pid) = pid.parse() {
                        kill(pid);
                    }
                }
                let _ = std::fs::remove_dir(dir);
            }
            !pod.exists()
        });
        // Only when no other pod uses them.
        let _ = std::fs::remove_dir(root.join("kubepods/burstable"));
        let _ = std::fs::remove_dir(root.join("kubepods"));
    }
}

/// Clears up after test processes that were killed before they could.
pub(super) fn sweep_leftovers() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|rest| rest.split('-').next())
            .and_then(|pid| pid.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            for uid in kill_shims(&entry.path()) {
                remove_cgroups(&uid);
            }
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn pids() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Where cgroup hierarchies are mounted.
fn hierarchies() -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (at, kind) = (fields.nth(1)?, fields.next()?);
            matches!(kind, "cgroup" | "cgroup2").then(|| PathBuf::from(at))
        })
        .collect()
}

fn collect(dir: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    into.push(dir.to_owned());
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), into);
        }
    }
}

/// Looks at a condition until it holds or the time is over; says whether it held.
fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        pause(GLANCE);
    }
}
