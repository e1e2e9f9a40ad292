//! What else ends with a process that was killed: its tree, or its whole cgroup, by policy.

use std::{collections::HashSet, rc::Rc};

use davylamp_model::guard_event::{Action, micros};
use rustix::process::Signal;
use serde_json::json;

use super::{
    Agent,
    acts::{self, ActError, Evidence, Frozen, Limits},
    chain, monotonic_ns, place_of,
    report::{Outcome, Source},
};
use crate::{
    abi::{EventKind, Reason},
    config::KillScope,
    container::Lookup,
    event::KernelEvent,
    process::Process,
};

/// How often a cgroup is gone through: processes may fork while they are killed. Starts after the
/// first round die at exec, by suppression.
const ROUNDS: usize = 16;

/// Seconds of the real clock.
fn now_secs() -> u64 {
    jiff::Timestamp::now().as_second().unsigned_abs()
}

impl Agent {
    /// Ends what belongs to a killed process, where policy says so.
    pub(super) fn respond_to(self: &Rc<Self>, event: &KernelEvent) {
        let scope = self.config.response.kill;
        if scope == KillScope::Process || self.observes() || event.reason == Reason::Suppressed {
            return;
        }
        let agent = Rc::clone(self);
        let event = event.clone();
        tokio::task::spawn_local(async move {
            let found = agent.index.lookup(&event.cgroup_path).await;
            if agent.is_protected(&found) {
                return;
            }
            // The cgroup of a container is one user's; any other is shared with the machine.
            let is_container = matches!(found, Lookup::Known(_));
            if is_container {
                agent.suppress(&event);
            }
            let killed = match scope {
                KillScope::Cgroup if is_container => agent.kill_cgroup(&event),
                _ => agent.kill_session(&event),
            };
            agent.count(|counts| counts.response_killed += killed as u64);
            agent.log.say(&json!({
                "event": "Killed what belonged to a killed process",
                "level": "info",
                "timestamp": micros::format(jiff::Timestamp::now()),
                "pid": event.pid,
                "cgroup": event.cgroup_path,
                "scope": if scope == KillScope::Cgroup && is_container { "cgroup" } else { "tree" },
                "also_killed": killed,
                "starts_suppressed_secs": is_container.then_some(agent.config.response.suppress_secs),
                "node": agent.node,
            }));
        });
    }

    fn suppress(&self, event: &KernelEvent) {
        let until = monotonic_ns() + self.config.response.suppress().as_nanos() as u64;
        if let Err(error) = self.kernel.borrow().suppress(event.cgroup, until) {
            tracing::warn!(
                error = chain(&error),
                "starts in a cgroup cannot be suppressed"
            );
        }
    }

    /// Kills all that runs in the cgroup. Returns how many.
    pub(super) fn kill_cgroup(&self, event: &KernelEvent) -> usize {
        let Some(directory) = self
            .cgroup_mounts
            .directory(event.cgroup, &event.cgroup_path)
        else {
            return 0;
        };
        acts::kill_cgroup(&directory, |process| self.runs_protected(process)).processes
    }

    /// Whether a process runs an executable that is never killed.
    pub(super) fn runs_protected(&self, process: &Process) -> bool {
        let runs = crate::protect::exe_key(&process.executable_file());
        runs.is_ok_and(|key| self.protected.borrow().contains(&key))
    }

    /// Kills the session of the killed process: the terminal or script it was started from, and
    /// all that descends from it, within the same cgroup. Returns how many.
    fn kill_session(&self, event: &KernelEvent) -> usize {
        // Its parent ended first, so its session cannot be told; that of pid 1 is not it.
        if event.parent <= 1 {
            return 0;
        }
        let Ok(Some(parent)) = Process::open(event.parent, None) else {
            return 0;
        };
        let Ok(session) = parent.relations().map(|relations| relations.session) else {
            return 0;
        };
        let mut doomed: HashSet<u32> = HashSet::new();
        let mut killed: HashSet<u32> = HashSet::new();
        for _ in 0..ROUNDS {
            let Ok(tasks) = self.kernel.borrow().tasks() else {
                break;
            };
            let before = killed.len();
            // Parents are listed before children, but for reused pids, which the next round finds.
            // They die in this order too, so that no parent goes on where its child ended.
            for task in tasks.iter().filter(|task| task.cgroup == event.cgroup) {
                let in_session = || {
                    let process = Process::open(task.pid, Some(task.start_boottime_ns)).ok()??;
                    Some(process.relations().ok()?.session == session)
                };
                if doomed.contains(&task.parent) || in_session().unwrap_or(false) {
                    doomed.insert(task.pid);
                    if !killed.contains(&task.pid) && self.kill(task.pid) {
                        killed.insert(task.pid);
                    }
                }
            }
            if killed.len() == before {
                break;
            }
        }
        killed.len()
    }

    /// Kills a process, unless it is one that is never killed.
    pub(super) fn kill(&self, pid: u32) -> bool {
        if pid <= 1 || pid == std::process::id() {
            return false;
        }
        let Ok(Some(process)) = Process::open(pid, None) else {
            return false;
        };
        if self.runs_protected(&process) {
            return false;
        }
        process.signal(Signal::KILL).unwrap_or(false)
    }

    /// Freezes the container of a process for evidence, until `freeze_secs` from now; returns what was
    /// in it.
    ///
    /// # Errors
    /// [`ActError`]: where it cannot be frozen here, nothing was done.
    pub(super) fn freeze(&self, event: &KernelEvent) -> Result<(Frozen, Evidence), ActError> {
        let directory = self
            .cgroup_mounts
            .directory(event.cgroup, &event.cgroup_path)
            .unwrap_or_else(|| event.cgroup_path.clone().into());
        let until = match self.config.response.freeze_secs {
            0 => u64::MAX,
            secs => now_secs().saturating_add(secs),
        };
        let freezer = self.cgroup_mounts.freezer(&event.cgroup_path);
        let frozen = acts::freeze_cgroup(&directory, freezer.as_deref(), until, |process| {
            self.runs_protected(process)
        })?;
        self.may_be_frozen.set(true);
        let evidence = Evidence::of_cgroup(&directory, &Limits::default());
        Ok((frozen, evidence))
    }

    /// Thaws what was frozen long enough, by us or by an agent before us.
    pub(super) fn thaw_due(&self) {
        if !self.may_be_frozen.get() {
            return;
        }
        let mut left = false;
        for mount in self.cgroup_mounts.freezers() {
            for (frozen, thawed) in acts::thaw_due(mount, Some(now_secs())) {
                let error = thawed.err().map(|error| chain(&error));
                self.log.say(&json!({
                    "event": if error.is_none() { "thawed" } else { "cannot thaw" },
                    "level": if error.is_none() { "info" } else { "error" },
                    "timestamp": micros::format(jiff::Timestamp::now()),
                    "cgroup": frozen.directory,
                    "error": error,
                    "node": self.node,
                }));
            }
            left |= !acts::frozen_below(mount).is_empty();
        }
        self.may_be_frozen.set(left);
    }

    /// The kernel could not send the signal; here it is sent by descriptor.
    pub(super) fn finish_missed(self: &Rc<Self>, event: KernelEvent) {
        let killed = Process::open(event.pid, Some(event.start_boottime_ns))
            .ok()
            .flatten()
            .is_some_and(|process| process.signal(Signal::KILL).unwrap_or(false));
        let why = format!(
            "the kernel's signal failed with errno {}",
            -event.signal_error
        );
        let action = if killed {
            Action::Killed
        } else {
            Action::Missed
        };
        let reason = match killed {
            true => format!("{why}; it was killed from user space, later"),
            false => why,
        };
        let outcome = self.by_rule(&event, Outcome::new(action, Source::Exec).because(reason));
        self.say(event, outcome);
    }

    /// Observe mode: the kernel stopped nothing, so what it would have held is judged here.
    pub(super) fn judge_observed(self: &Rc<Self>, event: KernelEvent) {
        debug_assert_eq!(event.kind, EventKind::WouldKill);
        if matches!(
            event.reason,
            Reason::Match | Reason::Suppressed | Reason::Rule | Reason::Ceiling
        ) {
            let outcome = Outcome {
                reason: event.reason.as_str().map(str::to_owned),
                ..Outcome::new(Action::WouldKill, Source::Exec)
            };
            if event.reason == Reason::Ceiling {
                self.say_ceilings();
            }
            let outcome = self.by_rule(&event, outcome);
            self.say(event, outcome);
            return;
        }
        let agent = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let found = agent.index.lookup(&event.cgroup_path).await;
            let outcome = agent.observed_outcome(&event, &found);
            if let Some(outcome) = outcome {
                agent.say(event, outcome);
            }
        });
    }

    fn observed_outcome(&self, event: &KernelEvent, found: &Lookup) -> Option<Outcome> {
        let place = place_of(found);
        if self.is_protected(found) {
            let spared = Outcome::new(Action::Spared, Source::Exec);
            return Some(spared.because("its namespace is protected"));
        }
        if event.reason == Reason::MaybeRule {
            let ruling = self.ruling_by_rules(&event.subject(), &place, Source::Exec)?;
            return Some(match ruling.action {
                Action::Killed => Outcome {
                    action: Action::WouldKill,
                    ..ruling
                },
                _ => ruling,
            });
        }
        if event.reason == Reason::Unreadable {
            let again = || {
                let process = Process::open(event.pid, Some(event.start_boottime_ns)).ok()??;
                let arguments = process.arguments().ok()?;
                self.full_ruling(&process, &arguments, &place).ok()
            };
            let Some(ruling) = again() else {
                return Some(Outcome::new(Action::Missed, Source::Exec).because(
                    "its arguments could not be read at exec, and it was gone at the second look",
                ));
            };
            let ruling = ruling?;
            let action = match ruling.action {
                Action::Spared => Action::Spared,
                _ => Action::WouldKill,
            };
            return Some(Outcome {
                action,
                source: Source::Exec,
                ..ruling
            });
        }
        let in_force = self.in_force();
        let line = davylamp_detect::judge::command_line(&event.arguments);
        Some(match in_force.judge.allow().allowing(&line, &place) {
            Some((_, rule)) => Outcome::allowed(Source::Exec, &rule.pattern),
            None => Outcome::new(Action::WouldKill, Source::Exec),
        })
    }
}
