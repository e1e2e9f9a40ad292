//! Deciding over processes that the kernel programs hold.
//!
//! The order of steps makes it safe to die between any two: a hold is first claimed in the kernel's
//! map with what was decided, then carried out, then struck off. Whoever finds a claimed hold
//! carries it out again, which changes nothing if it was done.

use std::rc::Rc;

use davylamp_content::blocklist::Place;
use davylamp_detect::{
    automaton::Table,
    judge::{Ruling, Subject, command_line},
};
use davylamp_model::guard_event::Action;
use rustix::process::Signal;

use super::{
    Agent, chain, monotonic_ns, place_of,
    report::{Outcome, Source},
};
use crate::{
    abi::{self, CeilingKey, Hold, REASON_UNSEEN_FILE, Reason},
    config::HoldVerdict,
    container::Lookup,
    event::KernelEvent,
    process::Process,
};

/// A hold whose event did not come within this time is decided without it: the event was lost.
const EVENT_IS_LATE_NS: u64 = 100_000_000;

/// How much longer than the deadline the kernel's event about a hold may take to be read.
const EVENT_NEVER_CAME_NS: u64 = 10_000_000_000;

/// What is to be said of a hold that was taken.
type HeldLine = (KernelEvent, Outcome);

impl Agent {
    /// Decides over a process that the kernel just stopped.
    pub(super) fn decide_held(self: &Rc<Self>, event: KernelEvent) {
        let hold = Hold {
            start_boottime_ns: event.start_boottime_ns,
            since_ns: event.time_ns,
            cgroup: event.cgroup,
            generation: event.generation,
            victim: event.victim,
            reason: event.reason.number(),
            verdict_spares: 0,
            decided: 0,
            info: event.info,
        };
        let pid = event.pid;
        let held = Outcome {
            reason: event.reason.as_str().map(str::to_owned),
            ..Outcome::new(Action::Held, Source::Exec)
        };
        let held = self.by_rule(&event, held);
        let line = event.clone();
        self.deciding.borrow_mut().insert(pid, Some(event));
        self.decide_when_placed(pid, hold, Some((line, held)));
    }

    /// Decides at once, or once it is known which container the process is in where a rule
    /// depends on it.
    ///
    /// `held` is the line that says it was held. It is said before the one with the decision, but
    /// never composed before the decision is carried out, if that can be at once.
    fn decide_when_placed(self: &Rc<Self>, pid: u32, hold: Hold, held: Option<HeldLine>) {
        let path = self
            .deciding
            .borrow()
            .get(&pid)
            .and_then(|event| event.as_ref().map(|event| event.cgroup_path.clone()));
        if !self.rules_depend_on_place() {
            self.decide(pid, hold, held, &Lookup::Host, &Place::default());
            return;
        }
        let Some(path) = path.or_else(|| cgroup_path_of(pid)) else {
            self.decide(pid, hold, held, &Lookup::Host, &Place::default());
            return;
        };
        if let Some(found) = self.index.get_cached(&path) {
            self.decide(pid, hold, held, &found, &place_of(&found));
            return;
        }
        if let Some((event, outcome)) = held {
            self.say(event, outcome);
        }
        let agent = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let found = agent.index.lookup(&path).await;
            agent.decide(pid, hold, None, &found, &place_of(&found));
        });
    }

    fn decide(
        self: &Rc<Self>,
        pid: u32,
        hold: Hold,
        held: Option<HeldLine>,
        found: &Lookup,
        place: &Place<'_>,
    ) {
        let outcome = self.outcome_of(pid, &hold, found, place);
        if let Some((event, outcome)) = held {
            self.say(event, outcome);
        }
        // Where the kernel was faster its own event follows, and needs what is remembered here.
        let Some(outcome) = outcome else { return };
        let event = self.deciding.borrow_mut().remove(&pid).flatten();
        self.note(hold.cgroup, found);
        if let Some(event) = event {
            self.say(event, outcome);
        }
    }

    /// Rules, claims, carries out, strikes off. `None` where the kernel was faster.
    fn outcome_of(
        &self,
        pid: u32,
        hold: &Hold,
        found: &Lookup,
        place: &Place<'_>,
    ) -> Option<Outcome> {
        let process = match Process::open(pid, Some(hold.start_boottime_ns)) {
            Ok(Some(process)) => process,
            Ok(None) => {
                // An entry that is gone was settled by the kernel, which tells of it itself.
                if !self.strike_off(pid, hold) {
                    return None;
                }
                return Some(
                    Outcome::new(Action::Missed, Source::Hold)
                        .because("it was ended by somebody else while it was held"),
                );
            }
            Err(error) => {
                // The kernel's deadline, or ours, decides.
                tracing::error!(pid, %error, "a held process cannot be looked at");
                return None;
            }
        };
        let outcome = if self.is_protected(found) {
            Outcome::new(Action::Spared, Source::Hold).because("its namespace is protected")
        } else {
            match self.ruling_of(&process, hold, place) {
                Ok(outcome) => outcome,
                Err(error) => {
                    tracing::error!(pid, %error, "a held process cannot be read");
                    return None;
                }
            }
        };
        let rule = self.ceiling_of_hold(hold, &outcome);
        let outcome = match outcome.action {
            Action::Killed => self.unless_over_ceiling(rule, hold.victim, || outcome, Source::Hold),
            _ => outcome,
        };
        // What is only told goes on as well.
        let spares = outcome.action != Action::Killed;
        let decided = if spares {
            abi::DECIDED_SPARE
        } else {
            abi::DECIDED_KILL
        };
        match self.kernel.borrow().claim_hold(pid, hold, decided) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                tracing::error!(pid, error = chain(&error), "a hold cannot be claimed");
                return None;
            }
        }
        let hold_ns = Some(monotonic_ns().saturating_sub(hold.since_ns));
        let signal = if spares { Signal::CONT } else { Signal::KILL };
        let sent = process.signal(signal);
        self.strike_off(pid, hold);
        let outcome = match sent {
            Ok(_) => Outcome { hold_ns, ..outcome },
            Err(error) => Outcome {
                hold_ns,
                ..Outcome::new(Action::Missed, Source::Hold)
            }
            .because(format!("the signal could not be sent: {error}")),
        };
        self.count(|counts| counts.hold.add(outcome.action));
        Some(outcome)
    }

    /// The ceiling that counts a held process's kill: of the string that the kernel found, or of the
    /// detection that decided.
    fn ceiling_of_hold(&self, hold: &Hold, outcome: &Outcome) -> CeilingKey {
        match (&outcome.noticed, hold.info) {
            (Some(noticed), _) => CeilingKey::detection(&noticed.detection),
            (None, 0) => CeilingKey::unreadable(hold.generation),
            (None, info) => CeilingKey::string(hold.generation, Table::set_of_info(info)),
        }
    }

    /// What is to be done about a held process. The kernel's match stands, so only the allow rules
    /// are asked, except where the kernel could not read.
    fn ruling_of(
        &self,
        process: &Process,
        hold: &Hold,
        place: &Place<'_>,
    ) -> std::io::Result<Outcome> {
        if hold.reason == REASON_UNSEEN_FILE {
            return Ok(self.unscanned_outcome());
        }
        let in_force = self.in_force();
        let arguments = process.arguments()?;
        if hold.reason == Reason::MaybeRule.number() {
            let outcome = self.full_ruling(process, &arguments, place)?;
            return Ok(outcome.unwrap_or_else(|| {
                Outcome::new(Action::Spared, Source::Hold)
                    .because("taken apart, and nothing in it is what a detection is about")
            }));
        }
        if hold.reason != Reason::Unreadable.number() {
            let allowed = in_force
                .judge
                .allow()
                .allowing(&command_line(&arguments), place);
            return Ok(match allowed {
                Some((_, rule)) => Outcome::allowed(Source::Hold, &rule.pattern),
                None => Outcome::new(Action::Killed, Source::Hold),
            });
        }
        Ok(match self.full_ruling(process, &arguments, place)? {
            Some(outcome) => outcome,
            None => Outcome::new(Action::Spared, Source::Hold)
                .because("read again, and nothing in it is banned"),
        })
    }

    /// Judges all of a process. `None` where nothing in it is banned.
    pub(super) fn full_ruling(
        &self,
        process: &Process,
        arguments: &[u8],
        place: &Place<'_>,
    ) -> std::io::Result<Option<Outcome>> {
        let in_force = self.in_force();
        let reads_environment =
            in_force.rules.is_some() || in_force.judge.table().scans_environment();
        let environment = if reads_environment {
            process.environment()?
        } else {
            Vec::new()
        };
        let executable = process.executable()?;
        let subject = Subject {
            arguments,
            path: &process.path().unwrap_or_default(),
            executable: executable
                .file_name()
                .unwrap_or_default()
                .as_encoded_bytes(),
            environment: &environment,
        };
        Ok(match in_force.judge.rule(&subject, place) {
            Ruling::Clean => self.ruling_by_rules(&subject, place, Source::Hold),
            Ruling::Allowed { by, .. } => Some(Outcome::allowed(Source::Hold, &by.pattern)),
            Ruling::Banned { .. } => Some(Outcome::new(Action::Killed, Source::Hold)),
        })
    }

    /// Looks after holds that no event led to a decision over: those another agent left, those
    /// whose event was lost, and those past their deadline where the kernel has no timer for it.
    pub(super) fn settle_left_holds(self: &Rc<Self>) {
        let holds = self.kernel.borrow().holds();
        self.forget_settled(&holds);
        for (pid, hold) in holds {
            let held_ns = monotonic_ns().saturating_sub(hold.since_ns);
            if hold.decided != 0 {
                self.carry_out(pid, &hold, hold.decided == abi::DECIDED_SPARE);
            } else if held_ns > self.config.hold.deadline().as_nanos() as u64 {
                self.end_at_deadline(pid, &hold, held_ns);
            } else if hold.reason == REASON_UNSEEN_FILE {
                if held_ns > EVENT_IS_LATE_NS && !self.files.is_busy(pid) {
                    self.look_into_left(pid, &hold);
                }
            } else if held_ns > EVENT_IS_LATE_NS && !self.deciding.borrow().contains_key(&pid) {
                // Its event was lost, so what can be said of it is read anew.
                let event = self.describe_held(pid, &hold);
                let held = Outcome::new(Action::Held, Source::Exec)
                    .because("the kernel's event about it was lost");
                let line = event.clone().map(|event| (event, held));
                self.deciding.borrow_mut().insert(pid, event);
                self.decide_when_placed(pid, hold, line);
            }
        }
    }

    fn describe_held(&self, pid: u32, hold: &Hold) -> Option<KernelEvent> {
        let tasks = self.kernel.borrow().tasks().ok()?;
        let task = tasks.into_iter().find(|task| task.pid == pid)?;
        let process = Process::open(pid, Some(hold.start_boottime_ns)).ok()??;
        let event = super::sweep::described(&process, &task).ok()?;
        Some(KernelEvent {
            time_ns: hold.since_ns,
            ..event
        })
    }

    /// Forgets what was remembered for a word of the kernel's that never came: its event was lost.
    fn forget_settled(&self, holds: &[(u32, Hold)]) {
        let patience = self.config.hold.deadline().as_nanos() as u64 + EVENT_NEVER_CAME_NS;
        let now = monotonic_ns();
        self.deciding.borrow_mut().retain(|pid, event| {
            holds.iter().any(|(held, _)| held == pid)
                || event
                    .as_ref()
                    .is_some_and(|event| now < event.time_ns + patience)
        });
    }

    fn end_at_deadline(self: &Rc<Self>, pid: u32, hold: &Hold, held_ns: u64) {
        let rule = match hold.info {
            0 => CeilingKey::unreadable(hold.generation),
            info => CeilingKey::string(hold.generation, Table::set_of_info(info)),
        };
        let is_over = || !self.may_kill(rule, hold.victim);
        let is_for_file = hold.reason == REASON_UNSEEN_FILE;
        let spares = match is_for_file {
            true => self.unscanned_outcome().action == Action::Spared,
            false => {
                self.config.hold.verdict == HoldVerdict::Spare
                    || hold.reason == Reason::MaybeRule.number()
                    || is_over()
            }
        };
        let about = is_for_file.then(|| self.describe_held(pid, hold)).flatten();
        let decided = if spares {
            abi::DECIDED_SPARE
        } else {
            abi::DECIDED_KILL
        };
        if !matches!(
            self.kernel.borrow().claim_hold(pid, hold, decided),
            Ok(true)
        ) {
            return;
        }
        self.carry_out(pid, hold, spares);
        self.count(|counts| {
            counts.hold.add(if spares {
                Action::Spared
            } else {
                Action::Killed
            });
        });
        if let Some(event) = about {
            let why = "its file was not looked into before the deadline";
            self.tell_unscanned(event, spares, why, held_ns);
        } else if let Some(event) = self.deciding.borrow_mut().remove(&pid).flatten() {
            let action = if spares {
                Action::Spared
            } else {
                Action::Killed
            };
            let outcome = Outcome {
                hold_ns: Some(held_ns),
                ..Outcome::new(action, Source::Hold)
            };
            self.say(event, outcome.because("nobody decided before the deadline"));
        }
    }

    fn carry_out(&self, pid: u32, hold: &Hold, spares: bool) {
        let signal = if spares { Signal::CONT } else { Signal::KILL };
        match Process::open(pid, Some(hold.start_boottime_ns)) {
            Ok(Some(process)) => {
                if let Err(error) = process.signal(signal) {
                    tracing::error!(pid, %error, "a held process cannot be signalled");
                    return;
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(pid, %error, "a held process cannot be reached");
                return;
            }
        }
        self.strike_off(pid, hold);
    }

    /// Whether the hold was still there.
    pub(super) fn strike_off(&self, pid: u32, hold: &Hold) -> bool {
        self.kernel
            .borrow()
            .end_hold(pid, hold)
            .unwrap_or_else(|error| {
                tracing::error!(pid, error = chain(&error), "a hold cannot be struck off");
                true
            })
    }

    /// Takes no more holds and leaves none behind: the agent is about to end. What the rules do
    /// not decide at once gets the verdict of the deadline.
    pub(super) fn settle_for_good(self: &Rc<Self>) {
        // The kernel programs see it at the next exec; what they hold meanwhile is in the map.
        if let Err(error) = self.kernel.borrow().beat(0) {
            tracing::error!(
                error = chain(&error),
                "the kernel cannot be told of the agent's end"
            );
        }
        let holds = self.kernel.borrow().holds();
        for (pid, hold) in holds {
            if hold.decided != 0 {
                self.carry_out(pid, &hold, hold.decided == abi::DECIDED_SPARE);
                continue;
            }
            let held_ns = monotonic_ns().saturating_sub(hold.since_ns);
            if self.rules_depend_on_place() || hold.reason == REASON_UNSEEN_FILE {
                self.end_at_deadline(pid, &hold, held_ns);
            } else {
                self.deciding.borrow_mut().entry(pid).or_insert(None);
                self.decide_when_placed(pid, hold, None);
            }
        }
    }

    /// Settles what a replaced version of the programs held: nothing else knows of it any more.
    /// Its programs go away some time after their pins, and may hold until then, so this is done
    /// again on the next beats.
    pub(super) fn settle_orphans(self: &Rc<Self>) {
        let orphans = std::mem::take(&mut self.kernel.borrow_mut().orphans.events);
        for map in &orphans {
            match super::stream::Events::open(map) {
                Ok(events) => events.take(self),
                Err(error) => {
                    tracing::warn!(
                        error = chain(&error),
                        "the replaced programs' events are lost"
                    );
                }
            }
        }
        let holds = self.kernel.borrow().orphans.holds();
        for (pid, hold) in holds {
            if !self.rules_depend_on_place() {
                self.settle_orphan(pid, &hold, &Lookup::Host);
                continue;
            }
            let Some(path) = cgroup_path_of(pid) else {
                continue;
            };
            let agent = Rc::clone(self);
            tokio::task::spawn_local(async move {
                let found = agent.index.lookup(&path).await;
                agent.settle_orphan(pid, &hold, &found);
            });
        }
    }

    fn settle_orphan(self: &Rc<Self>, pid: u32, hold: &Hold, found: &Lookup) {
        let Ok(Some(process)) = Process::open(pid, Some(hold.start_boottime_ns)) else {
            return;
        };
        let outcome = if self.is_protected(found) {
            Outcome::new(Action::Spared, Source::Hold).because("its namespace is protected")
        } else {
            self.ruling_of(&process, hold, &place_of(found))
                .unwrap_or_else(|_| {
                    let action = match self.config.hold.verdict {
                        HoldVerdict::Spare => Action::Spared,
                        HoldVerdict::Kill => Action::Killed,
                    };
                    Outcome::new(action, Source::Hold).because("it could not be read")
                })
        };
        // First: a released process must not be taken for one that broke loose.
        if !self.kernel.borrow().orphans.end_hold(pid) {
            return;
        }
        self.carry_out(pid, hold, outcome.action == Action::Spared);
        if let Some(event) = self.deciding.borrow_mut().remove(&pid).flatten() {
            let hold_ns = Some(monotonic_ns().saturating_sub(hold.since_ns));
            self.say(event, Outcome { hold_ns, ..outcome });
        }
    }
}

/// The path of a process's cgroup, from `/proc`.
pub(super) fn cgroup_path_of(pid: u32) -> Option<String> {
    let process = Process::open(pid, None).ok()??;
    let lines = process.cgroups().ok()?;
    let path = crate::container::cgroup_path::best_line(&lines)?;
    Some(String::from_utf8_lossy(path).into_owned())
}
