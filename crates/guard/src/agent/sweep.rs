//! Judging the processes that run already, by the same judge.
//!
//! The kernel programs are attached before the first sweep, so whatever starts meanwhile is judged
//! at its exec, and there is no window between the two.

use std::{io, rc::Rc};

use davylamp_content::{blocklist::Place, detection};
use davylamp_model::guard_event::Action;
use rustix::process::Signal;

use super::{
    Agent, InForce, chain, place_of,
    report::{Outcome, Source},
};
use crate::{
    abi::{CeilingKey, EventKind, Reason, SweptTask},
    container::{Lookup, cgroup_path},
    event::{KernelEvent, until_nul},
    process::{MOST_TEXT_BYTES, Process, is_gone},
};
use davylamp_detect::judge::Region;

/// A running process that holds a banned string.
struct Suspect {
    process: Process,
    event: KernelEvent,
    string: Option<u32>,
}

impl Agent {
    /// Judges every running process, and kills what is banned. Goes on beside everything else; if
    /// it is asked for again meanwhile, it starts over once it is through.
    pub(super) fn sweep(self: &Rc<Self>) {
        self.sweep_again.set(true);
        if self.sweeping.replace(true) {
            return;
        }
        let agent = Rc::clone(self);
        tokio::task::spawn_local(async move {
            while agent.sweep_again.replace(false) {
                agent.sweep_once().await;
            }
            agent.sweeping.set(false);
        });
    }

    async fn sweep_once(self: &Rc<Self>) {
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
        for task in tasks {
            match suspect(&self.in_force(), &task) {
                Ok(found) => {
                    self.count(|counts| counts.swept_processes += 1);
                    if let Some(suspect) = found {
                        self.settle_suspect(suspect);
                    }
                }
                Err(error) if is_gone(&error) => {}
                Err(error) => {
                    self.count(|counts| counts.swept_unreadable += 1);
                    tracing::warn!(pid = task.pid, %error, "a running process cannot be judged");
                }
            }
            // Whoever has many or large processes shall not keep holds waiting.
            tokio::task::yield_now().await;
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
        if self.is_exempt(&suspect.process, &suspect.event.cgroup_path) {
            return Some(spared.because("its executable or cgroup is protected"));
        }
        // It may have become another program since it was judged.
        let again = suspect
            .process
            .arguments()
            .and_then(|arguments| self.full_ruling(&suspect.process, &arguments, place));
        let ruling = match again {
            Ok(ruling) => ruling?,
            Err(error) => {
                let missed = Outcome::new(Action::Missed, Source::Sweep);
                return Some(missed.because(format!("it could not be read again: {error}")));
            }
        };
        let ruling = Outcome {
            source: Source::Sweep,
            ..ruling
        };
        if ruling.action != Action::Killed {
            return Some(ruling);
        }
        if self.observes() {
            return Some(Outcome {
                action: Action::WouldKill,
                ..ruling
            });
        }
        let event = &suspect.event;
        let victim = self.victim_at(event.cgroup, &event.cgroup_path);
        let rule = match (&ruling.noticed, suspect.string) {
            (Some(noticed), _) => CeilingKey::detection(&noticed.detection),
            (None, Some(string)) => self.rule_of_string(string),
            (None, None) => CeilingKey::OTHERS,
        };
        if !self.may_kill(rule, victim) {
            let why = Reason::Ceiling.as_str().unwrap_or_default();
            return Some(Outcome::new(Action::WouldKill, Source::Sweep).because(why));
        }
        match suspect.process.signal(Signal::KILL) {
            Ok(true) => Some(ruling),
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
    pub(super) fn is_exempt(&self, process: &Process, cgroup_path: &str) -> bool {
        let runs = crate::protect::exe_key(&process.executable_file());
        let lives_in = |cgroup: &String| {
            let wanted = cgroup.trim_matches('/');
            let path = cgroup_path.trim_start_matches('/');
            path.strip_prefix(wanted)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        runs.is_ok_and(|key| self.protected.borrow().contains(&key))
            || self.config.protect.cgroups.iter().any(lives_in)
    }
}

/// Judges a process by its strings alone; allow rules come later.
fn suspect(in_force: &InForce, task: &SweptTask) -> io::Result<Option<Suspect>> {
    if task.pid == std::process::id() {
        return Ok(None);
    }
    let Some(process) = Process::open(task.pid, Some(task.start_boottime_ns))? else {
        return Ok(None);
    };
    let mut event = described(&process, task)?;
    if in_force.rules.is_some() || in_force.judge.table().scans_environment() {
        event.environment = process.environment()?;
    }
    let Some(found) = in_force.judge.first_match(&event.subject()) else {
        let finding = in_force.rules.as_ref();
        let finding = finding.and_then(|rules| rules.judge(&event.subject()));
        if finding.is_some_and(|finding| finding.action == detection::Action::Kill) {
            event.reason = Reason::Rule;
            return Ok(Some(Suspect {
                process,
                event,
                string: None,
            }));
        }
        let texts = [&event.arguments, &event.environment];
        if texts.iter().any(|text| text.len() >= MOST_TEXT_BYTES) {
            let cut = "it claims more arguments than an exec can have; the rest was not judged";
            return Err(io::Error::other(cut));
        }
        return Ok(None);
    };
    event.region = match found.region {
        Region::Executable => Region::Path,
        region => region,
    };
    Ok(Some(Suspect {
        process,
        event,
        string: Some(found.string),
    }))
}

/// A running process, told in the form in which the kernel programs tell of one that starts.
pub(super) fn described(process: &Process, task: &SweptTask) -> io::Result<KernelEvent> {
    let arguments = process.arguments()?;
    let cgroups = process.cgroups()?;
    let cgroup = cgroup_path::best_line(&cgroups).unwrap_or_default();
    Ok(KernelEvent {
        kind: EventKind::Killed,
        reason: Reason::Match,
        region: Region::Arguments,
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
        victim: 0,
        rate_limited: 0,
        is_quiet: false,
        arguments_len: arguments.len() as u64,
        arguments,
        path: process.path()?,
        exe: process.executable()?.to_string_lossy().into_owned(),
        cgroup_path: String::from_utf8_lossy(cgroup).into_owned(),
        environment: Vec::new(),
        comm: until_nul(&task.comm),
        ancestors: ancestors_of(task.parent),
    })
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
