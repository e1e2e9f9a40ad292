//! Deciding over programs by what stands in their files.
//!
//! The kernel programs hold a program whose file was not seen yet, or say that they could not. The file is
//! looked into by a worker (`scan`), never here. What must stay true: a file is looked into once however
//! many start it at the same time; the kernel knows the verdict before the first of them goes on; and what
//! was not looked into to its end is told as unknown and forgotten, so that its next start is looked into
//! again.

mod known;
mod script;
mod told;

use std::rc::Rc;

use davylamp_detect::file::{Weighed, weigh};
use davylamp_model::guard_event::Action;
use rustix::process::Signal;

use super::{Agent, chain, sweep::described};
use crate::{
    abi::{self, EventKind, Hold, Reason, SweptTask, UnseenFile},
    config::UnknownFile,
    container::Lookup,
    event::KernelEvent,
    process::Process,
    scan::{Report, Scanner},
};

pub(super) use known::Files;
use known::{REMEMBERED, Verdict};
use script::{is_fresh, key_of, open_script};
use told::{fileless_sign, told};

/// How often what runs from a bad file is gone through: processes may fork while they are killed.
const ROUNDS: usize = 16;

/// A program that waits for a verdict over its file, or runs meanwhile.
struct Waiting {
    pid: u32,
    start_boottime_ns: u64,
    task: SweptTask,
    hold: Option<Hold>,
}

/// What a program's start comes to.
struct Judged {
    weighed: Weighed,
    /// The file that weighs most, and its path.
    file: Rc<Verdict>,
    path: String,
    unknown: Option<String>,
    place: u32,
    /// Whether it is the program itself that is bad, and not what it was given to read.
    is_program_bad: bool,
    /// Whether the program was searched at an earlier start, and was too large then.
    is_remembered: bool,
}

impl Agent {
    /// Takes what the kernel says about a program and its file.
    pub(super) fn handle_file(self: &Rc<Self>, event: KernelEvent) {
        match (event.reason, event.kind) {
            (Reason::KnownBadFile, EventKind::Missed) => self.finish_missed(event),
            (Reason::KnownBadFile, _) => self.tell_known(event),
            (_, EventKind::Held) => {
                let hold = Hold {
                    start_boottime_ns: event.start_boottime_ns,
                    since_ns: event.time_ns,
                    cgroup: event.cgroup,
                    reason: event.reason as u32,
                    verdict_spares: 0,
                    decided: 0,
                    generation: event.generation,
                    victim: event.victim,
                    info: 0,
                };
                self.look_into(Waiting {
                    hold: Some(hold),
                    ..waiting(&event)
                });
            }
            (_, EventKind::HoldExpired) => self.tell_expired(&event),
            (_, EventKind::HoldBroken) => {
                let held_ns = event.held_ns;
                let why = "somebody else continued it while it was held";
                self.tell_unscanned(event, false, why, held_ns);
            }
            (_, EventKind::Spared) => self.look_into(waiting(&event)),
            // Told with the file, or no business of this.
            _ => {}
        }
    }

    /// Looks after a hold of this kind that no event told of.
    pub(super) fn look_into_left(self: &Rc<Self>, pid: u32, hold: &Hold) {
        let Ok(tasks) = self.kernel.borrow().tasks() else {
            return;
        };
        if let Some(task) = tasks.into_iter().find(|task| task.pid == pid) {
            self.look_into(Waiting {
                pid,
                start_boottime_ns: hold.start_boottime_ns,
                task,
                hold: Some(*hold),
            });
        }
    }

    fn look_into(self: &Rc<Self>, waiting: Waiting) {
        self.files.busy.borrow_mut().insert(waiting.pid);
        let agent = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let pid = waiting.pid;
            agent.judge_start(waiting).await;
            agent.files.busy.borrow_mut().remove(&pid);
            agent.say_if_gone();
        });
    }

    async fn judge_start(self: &Rc<Self>, waiting: Waiting) {
        let process = match Process::open(waiting.pid, Some(waiting.start_boottime_ns)) {
            Ok(Some(process)) => process,
            Ok(None) => {
                if let Some(hold) = &waiting.hold {
                    self.strike_off(waiting.pid, hold);
                }
                return;
            }
            Err(error) => {
                // The kernel's deadline, or ours, decides.
                tracing::error!(pid = waiting.pid, %error, "a program cannot be looked at");
                return;
            }
        };
        let unseen = self
            .kernel
            .borrow()
            .unseen_file(waiting.pid, waiting.start_boottime_ns);
        let judged = match unseen {
            Some(file) => self.judge_files(&process, &file).await,
            None => unknown_start("the kernel does not say which file it is"),
        };
        self.settle(&waiting, &process, judged).await;
    }

    /// Looks into the program and, where there is one, the script.
    async fn judge_files(&self, process: &Process, file: &UnseenFile) -> Judged {
        let executable = process
            .executable()
            .map(|path| path.to_string_lossy().into_owned())
            .unwrap_or_default();
        let mut found: Vec<(Rc<Verdict>, String)> = Vec::new();
        let mut signs = Vec::new();
        let mut is_program_bad = false;
        let known = self.files.remembered(&file.key);
        let is_remembered = known.is_some();
        if file.place & abi::PLACE_PROGRAM != 0 {
            let verdict = match known {
                Some(known) => known,
                None => {
                    let open = || Ok(std::fs::File::open(process.executable_file())?.into());
                    let verdict = self.files.verdict_of(file.key, open).await;
                    self.remember(file, &verdict);
                    verdict
                }
            };
            is_program_bad = verdict.is_bad();
            found.push((verdict, executable.clone()));
            signs.extend(fileless_sign(file, &executable));
        }
        if file.place & abi::PLACE_SCRIPT != 0 {
            found.push(self.judge_script(process).await);
        }
        for (verdict, _) in &found {
            signs.extend(verdict.report.signs.iter().cloned());
        }
        let weighed = weigh(&self.files.detections, &signs);
        let unknown = found
            .iter()
            .find_map(|(verdict, _)| verdict.report.unknown.clone());
        let worst = found
            .into_iter()
            .max_by_key(|(verdict, _)| (verdict.weighed.score, verdict.is_unknown()));
        let (verdict, path) = worst.unwrap_or_else(|| (Rc::new(nothing()), executable));
        Judged {
            unknown: unknown.filter(|_| !weighed.kills),
            weighed,
            file: verdict,
            path,
            place: file.place,
            is_program_bad,
            is_remembered,
        }
    }

    async fn judge_script(&self, process: &Process) -> (Rc<Verdict>, String) {
        let path = process.path().unwrap_or_default();
        let shown = String::from_utf8_lossy(&path).into_owned();
        let opened = open_script(process, &path);
        let looked = opened.and_then(|file| Ok((key_of(&file)?, file)));
        let ((key, is_fresh), file) = match looked {
            Ok(looked) => looked,
            Err(error) => {
                let why = format!("the script cannot be opened: {error}");
                return (Rc::new(self.files.weighed(Report::unknown(why))), shown);
            }
        };
        if let Some(known) = self.files.remembered(&key) {
            return (known, shown);
        }
        let verdict = self.files.verdict_of(key, || Ok(file)).await;
        if verdict.is_bad() || (!verdict.is_unknown() && !is_fresh) {
            self.files.remember(key, &verdict);
        }
        (verdict, shown)
    }

    /// Lets the kernel know the verdict over a program's file.
    fn remember(&self, file: &UnseenFile, verdict: &Rc<Verdict>) {
        let may_change = file.place & abi::PLACE_FOREIGN != 0
            || is_fresh(file.key.changed_sec, file.key.changed_nsec);
        let decided = if verdict.is_bad() {
            abi::VERDICT_BAD
        } else if may_change {
            return;
        } else if verdict.is_unknown() {
            // Each start is told, but not searched for.
            if verdict.report.is_too_large {
                self.files.remember(file.key, verdict);
            }
            return;
        } else {
            abi::VERDICT_RUNS
        };
        if verdict.is_bad() {
            let mut bad = self.files.bad.borrow_mut();
            if bad.len() >= REMEMBERED {
                bad.clear();
            }
            bad.insert(verdict.id(), Rc::clone(verdict));
        }
        let noted = self
            .kernel
            .borrow()
            .note_file(&file.key, decided, verdict.id());
        if let Err(error) = noted {
            tracing::warn!(
                error = chain(&error),
                "a verdict over a file is not remembered"
            );
        }
    }

    /// Does what the verdict asks for, and tells of it.
    async fn settle(self: &Rc<Self>, waiting: &Waiting, process: &Process, judged: Judged) {
        let kills_unknown =
            judged.unknown.is_some() && self.config.files.unknown == UnknownFile::Kill;
        let mut kills = judged.weighed.kills || kills_unknown;
        let is_quiet = !kills && judged.weighed.by.is_empty() && judged.unknown.is_none();
        // Before anything is done about it: afterwards it may be gone.
        let event = match is_quiet {
            true => None,
            false => described(process, &waiting.task).ok(),
        };
        let mut spared_by = None;
        if kills && !self.config.protect.namespaces.is_empty() {
            let found = match &event {
                Some(event) => self.index.lookup(&event.cgroup_path).await,
                None => Lookup::Host,
            };
            if self.is_protected(&found) {
                (kills, spared_by) = (false, Some("its namespace is protected"));
            }
        }
        let done = self.carry_out_start(waiting, process, kills, judged.is_program_bad);
        let Some(done) = done else { return };
        let action = match (kills, done, spared_by) {
            (_, _, Some(_)) => Action::Spared,
            (true, Done::Only(Action::WouldKill), _) => Action::WouldKill,
            (true, Done::Only(action), _) => action,
            (true, Done::Carried, _) => Action::Killed,
            (false, ..) if judged.weighed.by.is_empty() => Action::Spared,
            (false, ..) => Action::Alerted,
        };
        if let Some(event) = event {
            self.notice(told(&judged, event, action, waiting, spared_by));
        }
    }

    /// Kills or lets go. `None` where the kernel was faster.
    fn carry_out_start(
        &self,
        waiting: &Waiting,
        process: &Process,
        kills: bool,
        is_program_bad: bool,
    ) -> Option<Done> {
        if let Some(hold) = &waiting.hold {
            let decided = if kills {
                abi::DECIDED_KILL
            } else {
                abi::DECIDED_SPARE
            };
            match self.kernel.borrow().claim_hold(waiting.pid, hold, decided) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    tracing::error!(error = chain(&error), "a hold cannot be claimed");
                    return None;
                }
            }
        } else if kills && self.observes() {
            return Some(Done::Only(Action::WouldKill));
        } else if !kills {
            return Some(Done::Carried);
        }
        let signal = if kills { Signal::KILL } else { Signal::CONT };
        if kills && waiting.hold.is_none() && is_program_bad {
            self.kill_others_of(process);
        }
        let sent = process.signal(signal);
        if let Some(hold) = &waiting.hold {
            self.strike_off(waiting.pid, hold);
        }
        match sent {
            Ok(true) => Some(Done::Carried),
            Ok(false) if kills => Some(Done::Only(Action::Missed)),
            Ok(false) => Some(Done::Carried),
            Err(error) => {
                tracing::error!(pid = waiting.pid, %error, "a program cannot be signalled");
                Some(Done::Only(Action::Missed))
            }
        }
    }

    /// A program that ran meanwhile may have started others of itself: they die with it.
    fn kill_others_of(&self, process: &Process) {
        use std::os::unix::fs::MetadataExt as _;
        let file_of = |process: &Process| {
            let file = std::fs::metadata(process.executable_file()).ok()?;
            Some((file.dev(), file.ino()))
        };
        let Some(file) = file_of(process) else { return };
        // The last round finds none: whoever is killed starts no more, and new ones die at exec.
        for _ in 0..ROUNDS {
            let Ok(tasks) = self.kernel.borrow().tasks() else {
                return;
            };
            let others = tasks.iter().filter(|task| task.pid != process.pid());
            let killed = others.filter(|task| {
                Process::open(task.pid, Some(task.start_boottime_ns))
                    .ok()
                    .flatten()
                    .filter(|other| file_of(other) == Some(file))
                    .is_some_and(|other| other.signal(Signal::KILL).unwrap_or(false))
            });
            let killed = killed.count();
            self.count(|counts| counts.response_killed += killed as u64);
            if killed == 0 {
                return;
            }
        }
    }

    fn say_if_gone(&self) {
        let is_gone = self.files.scanner.as_ref().is_some_and(Scanner::is_gone);
        if is_gone && !self.files.told_gone.replace(true) {
            tracing::error!(
                "the processes that look into files are gone: every file is unknown until the \
                 guard is started again"
            );
        }
    }
}

/// What was done about a start.
enum Done {
    /// What the verdict asked for.
    Carried,
    /// This, instead.
    Only(Action),
}

fn waiting(event: &KernelEvent) -> Waiting {
    let mut comm = [0; 16];
    for (to, from) in comm.iter_mut().zip(event.comm.bytes()) {
        *to = from;
    }
    Waiting {
        pid: event.pid,
        start_boottime_ns: event.start_boottime_ns,
        task: SweptTask {
            start_boottime_ns: event.start_boottime_ns,
            cgroup: event.cgroup,
            pid: event.pid,
            parent: event.parent,
            uid: event.uid,
            reserved: 0,
            comm,
        },
        hold: None,
    }
}

fn nothing() -> Verdict {
    Verdict {
        report: Report::default(),
        weighed: Weighed::default(),
    }
}

fn unknown_start(why: &str) -> Judged {
    Judged {
        weighed: Weighed::default(),
        file: Rc::new(nothing()),
        path: String::new(),
        unknown: Some(why.to_owned()),
        place: 0,
        is_program_bad: false,
        is_remembered: false,
    }
}
