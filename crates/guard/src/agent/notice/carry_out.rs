//! From a level to what is done: told, frozen, killed.
//!
//! What must stay true: the container that is frozen or killed is the one whose runtime knows it, by
//! its own cgroup, and never the guard's; what could not be done is said with its reason.

use std::{fs, path::Path};

use davylamp_model::{
    container::Container,
    guard_event::{Action, Level},
};

use super::outermost;
use crate::{
    abi::{CeilingKey, Reason, SweptTask},
    agent::{
        Agent,
        acts::{self, Evidence, Limits},
        chain,
    },
    container::{Lookup, cgroup_path},
    event::KernelEvent,
    process::Process,
};

/// A shorter id might stand in the name of another cgroup by chance; runtimes give 64 characters.
const MIN_ID: usize = 32;

/// What was done, for the log.
pub(super) struct Done {
    pub(super) action: Action,
    /// What there is to say about it beside what was seen.
    pub(super) why: Option<String>,
    /// What policy asked for, where this is not all of it.
    pub(super) asked: Option<&'static str>,
    /// Whether there was nothing left to do anything to.
    pub(super) is_gone: bool,
    /// What was written down of the container before it was frozen or killed.
    pub(super) kept: Option<Evidence>,
}

impl Done {
    pub(super) fn plain(action: Action) -> Self {
        Self {
            action,
            why: None,
            asked: None,
            is_gone: false,
            kept: None,
        }
    }

    fn gone(why: &str) -> Self {
        Self {
            is_gone: true,
            ..Self::because(Action::Missed, why)
        }
    }

    fn because(action: Action, why: impl Into<String>) -> Self {
        Self {
            why: Some(why.into()),
            ..Self::plain(action)
        }
    }
}

impl Agent {
    /// Does what a level asks for about a process.
    pub(super) fn carry_out_level(
        &self,
        level: Level,
        detection: &str,
        event: &KernelEvent,
        found: &Lookup,
    ) -> Done {
        if level <= Level::Alert {
            return Done::plain(Action::Alerted);
        }
        if let Some(why) = self.why_spared(event, found) {
            return Done::because(Action::Spared, why);
        }
        if self.observes() {
            return match level {
                Level::Freeze => Done::because(
                    Action::Alerted,
                    "its container would be frozen, but the guard only observes",
                ),
                _ => Done::plain(Action::WouldKill),
            };
        }
        if level > Level::Freeze {
            let victim = self.victim_at(event.cgroup, &event.cgroup_path);
            if !self.may_kill(CeilingKey::detection(detection), victim) {
                let why = Reason::Ceiling.as_str().unwrap_or_default();
                return Done::because(Action::WouldKill, why);
            }
        }
        match (level, known(found)) {
            (Level::Freeze, Some(container)) => self.freeze_container(event, container),
            (Level::Freeze, None) => Done::because(
                Action::Alerted,
                "it is in no container that is known, so nothing is frozen",
            ),
            (Level::KillContainer | Level::EvictPod, Some(container)) => {
                let done = self.kill_container(event, container);
                let asked = (level == Level::EvictPod).then_some("evict-pod");
                Done { asked, ..done }
            }
            (Level::KillContainer | Level::EvictPod, None) => {
                let done = self.kill_tree(event);
                let why = "it is in no container that is known, so its tree was to be killed";
                Done {
                    why: Some(match done.why {
                        Some(more) => format!("{why}; {more}"),
                        None => why.to_owned(),
                    }),
                    ..done
                }
            }
            _ => self.kill_tree(event),
        }
    }

    /// Why nothing is done about a process, whatever it does.
    fn why_spared(&self, event: &KernelEvent, found: &Lookup) -> Option<&'static str> {
        if event.pid <= 1 {
            return Some("pid 1 is never killed");
        }
        if event.pid == std::process::id() {
            return Some("it is the guard itself");
        }
        if self.is_protected(found) {
            return Some("its namespace is protected");
        }
        // Of a process that is gone only its place can be protected, which needs no process.
        let process = Process::open(event.pid, Some(event.start_boottime_ns));
        let process = process.ok().flatten()?;
        self.is_exempt(&process, &event.cgroup_path)
            .then_some("its executable or cgroup is protected")
    }

    fn freeze_container(&self, event: &KernelEvent, container: &Container) -> Done {
        let Some(place) = self.place_of_container(event, container) else {
            return Done::because(
                Action::Missed,
                "its container's cgroup is not there, so nothing is frozen",
            );
        };
        match self.freeze(&place) {
            Ok((_, kept)) => Done {
                kept: Some(kept),
                ..Done::because(Action::Frozen, "`davy guard --thaw` lets it go on")
            },
            Err(error) => Done::because(
                Action::Missed,
                format!("its container could not be frozen: {}", chain(&error)),
            ),
        }
    }

    fn kill_container(&self, event: &KernelEvent, container: &Container) -> Done {
        let Some(place) = self.place_of_container(event, container) else {
            return Done::because(Action::Missed, "its container's cgroup is not there");
        };
        let directory = self
            .cgroup_mounts
            .directory(place.cgroup, &place.cgroup_path);
        let kept = directory
            .as_deref()
            .map(|directory| Evidence::of_cgroup(directory, &Limits::default()));
        let killed = self.kill_cgroup(&place);
        // Version 1 delivers no signal to the frozen.
        if place.cgroup & crate::abi::CGROUP_KEY_V1 != 0
            && let Some(directory) = &directory
        {
            let freezer = self.cgroup_mounts.freezer(&place.cgroup_path);
            if let Err(error) = acts::thaw_cgroup(directory, freezer.as_deref()) {
                tracing::debug!(
                    error = chain(&error),
                    "a killed container could not be thawed"
                );
            }
        }
        if killed == 0 {
            return Done::gone("nothing of its container ran any more");
        }
        self.count(|counts| counts.response_killed += killed.saturating_sub(1) as u64);
        Done {
            kept,
            ..Done::because(
                Action::Killed,
                format!("{killed} processes of its container were killed"),
            )
        }
    }

    /// The container's own cgroup, in the form of an event of a process that lives there: what runs
    /// in a container may make further ones below.
    fn place_of_container(
        &self,
        event: &KernelEvent,
        container: &Container,
    ) -> Option<KernelEvent> {
        let leaf = self
            .cgroup_mounts
            .directory(event.cgroup, &event.cgroup_path)?;
        let parts: Vec<&str> = event.cgroup_path.trim_matches('/').split('/').collect();
        let id = outermost(container).id.as_str();
        if id.len() < MIN_ID {
            return None;
        }
        let depth = parts.iter().position(|part| part.contains(id))? + 1;
        let directory = leaf.ancestors().nth(parts.len() - depth)?;
        let path = format!("/{}", parts[..depth].join("/"));
        if is_own(&path) {
            return None;
        }
        Some(KernelEvent {
            cgroup: key_of(directory)? | event.cgroup & crate::abi::CGROUP_KEY_V1,
            cgroup_path: path,
            ..event.clone()
        })
    }

    /// Kills a process and all that descends from it within its cgroup.
    fn kill_tree(&self, event: &KernelEvent) -> Done {
        let is_it = Process::open(event.pid, Some(event.start_boottime_ns));
        if !matches!(is_it, Ok(Some(_))) {
            return Done::gone("it had ended");
        }
        let children = || {
            let tasks = self.kernel.borrow().tasks().unwrap_or_default();
            // A number that was given to another process meanwhile is not a descendant.
            let is_below = |task: &&SweptTask| {
                task.cgroup == event.cgroup && task.start_boottime_ns >= event.start_boottime_ns
            };
            let below = tasks.iter().filter(is_below);
            below.map(|task| (task.pid, task.parent)).collect()
        };
        let killed = acts::kill_tree(event.pid, children, |process| self.runs_protected(process));
        let Some(others) = killed.checked_sub(1) else {
            return Done::because(Action::Missed, "the signal could not be sent");
        };
        self.count(|counts| counts.response_killed += others as u64);
        match others {
            0 => Done::plain(Action::Killed),
            _ => Done::because(
                Action::Killed,
                format!("with {others} processes that it started"),
            ),
        }
    }
}

fn known(found: &Lookup) -> Option<&Container> {
    match found {
        Lookup::Known(container) => Some(container),
        Lookup::Host | Lookup::Unknown { .. } => None,
    }
}

fn key_of(directory: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Some(fs::metadata(directory).ok()?.ino())
}

/// Whether the guard itself lives in this cgroup.
fn is_own(path: &str) -> bool {
    let cgroups = fs::read("/proc/self/cgroup").unwrap_or_default();
    let own = cgroup_path::best_line(&cgroups).unwrap_or_default();
    String::from_utf8_lossy(own)
        .strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
