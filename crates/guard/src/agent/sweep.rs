//! Judging the processes that run already, by the same judge.
//!
//! The kernel programs are attached before the first sweep, so whatever starts meanwhile is judged
//! at its exec, and there is no window between the two.

use std::rc::Rc;

use davylamp_content::blocklist::Place;
use davylamp_detect::judge::Subject;
use davylamp_model::guard_event::Action;
use rustix::process::Signal;

use super::{
    Agent, InForce, chain, place_of,
    report::{Outcome, Source},
};
use crate::{
    abi::{EventKind, Reason, SweptTask},
    container::{Lookup, cgroup_path},
    event::{KernelEvent, until_nul},
    process::{Process, is_gone},
};
use davylamp_detect::judge::Region;

/// A running process that holds a banned string.
struct Suspect {
    process: Process,
    event: KernelEvent,
}

impl Agent {
    /// Judges every running process, and kills what is banned.
    pub(super) fn sweep(self: &Rc<Self>) {
        let tasks = match self.kernel.borrow().tasks() {
            Ok(tasks) => tasks,
            Err(error) => {
                tracing::error!(
                    error = chain(&error),
                    "the running processes cannot be listed"
                );
                return;
            }
        };
        self.count(|counts| counts.sweeps += 1);
        let in_force = self.in_force();
        for task in tasks {
            match suspect(&in_force, &task) {
                Ok(None) => self.count(|counts| counts.swept_processes += 1),
                Ok(Some(suspect)) => {
                    self.count(|counts| counts.swept_processes += 1);
                    self.settle_suspect(suspect);
                }
                Err(error) if is_gone(&error) => {}
                Err(error) => {
                    self.count(|counts| counts.swept_unreadable += 1);
                    tracing::warn!(pid = task.pid, %error, "a running process cannot be judged");
                }
            }
        }
    }

    fn settle_suspect(self: &Rc<Self>, suspect: Suspect) {
        if !self.rules_depend_on_place() {
            let outcome = self.act_on_suspect(&suspect, &Lookup::Host, &Place::default());
            self.say_of_suspect(suspect, outcome);
            return;
        }
        let agent = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let found = agent.index.lookup(&suspect.event.cgroup_path).await;
            let outcome = agent.act_on_suspect(&suspect, &found, &place_of(&found));
            agent.say_of_suspect(suspect, outcome);
        });
    }

    fn say_of_suspect(self: &Rc<Self>, suspect: Suspect, outcome: Option<Outcome>) {
        let Some(outcome) = outcome else { return };
        self.count(|counts| counts.sweep.add(outcome.action));
        if outcome.action == Action::Killed {
            self.respond_to(&suspect.event);
        }
        self.say(suspect.event, outcome);
    }

    fn act_on_suspect(
        &self,
        suspect: &Suspect,
        found: &Lookup,
        place: &Place<'_>,
    ) -> Option<Outcome> {
        let spared = Outcome::new(Action::Spared, Source::Sweep);
        if suspect.process.pid() == 1 {
            return Some(spared.because(Reason::PidOne.as_str().unwrap_or_default()));
        }
        if self.is_protected(found) {
            return Some(spared.because("its namespace is protected"));
        }
        if self.is_exempt(suspect) {
            return Some(spared.because("its executable or cgroup is protected"));
        }
        // It may have become another program since it was judged.
        let arguments = suspect.process.arguments().ok()?;
        let ruling = self
            .full_ruling(&suspect.process, &arguments, place)
            .ok()??;
        if ruling.action == Action::Spared {
            return Some(Outcome {
                source: Source::Sweep,
                ..ruling
            });
        }
        if self.observes() {
            return Some(Outcome::new(Action::WouldKill, Source::Sweep));
        }
        match suspect.process.signal(Signal::KILL) {
            Ok(true) => Some(Outcome::new(Action::Killed, Source::Sweep)),
            Ok(false) => {
                Some(Outcome::new(Action::Missed, Source::Sweep).because("it ended by itself"))
            }
            Err(error) => Some(
                Outcome::new(Action::Missed, Source::Sweep)
                    .because(format!("the signal could not be sent: {error}")),
            ),
        }
    }

    /// Whether the process runs a protected executable or lives in a protected cgroup.
    fn is_exempt(&self, suspect: &Suspect) -> bool {
        let executables = super::start::protected_executables(&self.config).unwrap_or_default();
        let runs = crate::protect::exe_key(&suspect.process.executable_file());
        let lives_in = |cgroup: &String| {
            let wanted = cgroup.trim_matches('/');
            let path = suspect.event.cgroup_path.trim_start_matches('/');
            path.strip_prefix(wanted)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        runs.is_ok_and(|key| executables.contains(&key))
            || self.config.protect.cgroups.iter().any(lives_in)
    }
}

/// Judges a process by its strings alone; allow rules come later.
fn suspect(in_force: &InForce, task: &SweptTask) -> std::io::Result<Option<Suspect>> {
    if task.pid == std::process::id() {
        return Ok(None);
    }
    let Some(process) = Process::open(task.pid, Some(task.start_boottime_ns))? else {
        return Ok(None);
    };
    let arguments = process.arguments()?;
    let environment = match in_force.judge.table().scans_environment() {
        true => process.environment()?,
        false => Vec::new(),
    };
    let executable = process.executable().unwrap_or_default();
    let path = process.path().unwrap_or_default();
    let subject = Subject {
        arguments: &arguments,
        path: &path,
        executable: executable
            .file_name()
            .unwrap_or_default()
            .as_encoded_bytes(),
        environment: &environment,
    };
    let Some(found) = in_force.judge.first_match(&subject) else {
        return Ok(None);
    };
    let cgroups = process.cgroups()?;
    let cgroup = cgroup_path::best_line(&cgroups).unwrap_or_default();
    let event = KernelEvent {
        kind: EventKind::Killed,
        reason: Reason::Match,
        region: match found.region {
            Region::Executable => Region::Path,
            region => region,
        },
        info: 0,
        generation: 0,
        pid: task.pid,
        parent: task.parent,
        uid: task.uid,
        start_boottime_ns: task.start_boottime_ns,
        time_ns: super::monotonic_ns(),
        latency_ns: 0,
        held_ns: 0,
        signal_error: 0,
        cgroup: task.cgroup,
        rate_limited: 0,
        is_quiet: false,
        arguments_len: arguments.len() as u64,
        arguments,
        path,
        exe: executable.to_string_lossy().into_owned(),
        cgroup_path: String::from_utf8_lossy(cgroup).into_owned(),
        environment,
        comm: until_nul(&task.comm),
        ancestors: ancestors_of(task.parent),
    };
    Ok(Some(Suspect { process, event }))
}

/// Parents, nearest first, as far as they still run.
fn ancestors_of(parent: u32) -> Vec<(u32, String)> {
    let mut ancestors = Vec::new();
    let mut pid = parent;
    while pid > 0 && ancestors.len() < crate::abi::EVENT_ANCESTORS {
        let Ok(Some(process)) = Process::open(pid, None) else {
            break;
        };
        let comm = process.command_name().unwrap_or_default();
        let Ok(relations) = process.relations() else {
            break;
        };
        ancestors.push((pid, comm));
        pid = relations.parent;
    }
    ancestors
}
