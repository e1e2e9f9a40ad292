//! Deciding over programs by what stands in their files.
//!
//! The kernel programs hold a program whose file was not seen yet, or say that they could not. The file is
//! looked into by a worker (`scan`), never here. What must stay true: a file is looked into once however
//! many start it at the same time; the kernel knows the verdict before the first of them goes on; and what
//! was not looked into to its end is told as unknown and forgotten, so that its next start is looked into
//! again.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    io,
    os::fd::OwnedFd,
    rc::Rc,
    time::Duration,
};

use davylamp_content::detection::{Detection, Wire, file::HeldIn};
use davylamp_detect::file::{Held, Sign, Weighed, weigh};
use davylamp_model::guard_event::Action;
use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2},
    process::Signal,
};
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use super::{
    Agent, chain, monotonic_ns,
    notice::Notice,
    report::{Outcome, Source},
    sweep::described,
};
use crate::{
    abi::{self, EventKind, FileKey, Hold, Reason, SweptTask, UnseenFile},
    config::UnknownFile,
    container::Lookup,
    event::KernelEvent,
    metrics::AgentCounts,
    process::Process,
    scan::{Report, Scanner},
};

/// The name under which an unknown file is told.
const DETECTION_UNSCANNED: &str = "unscanned-file";
/// What it adds to other signs.
const SCORE_UNSCANNED: u8 = 10;
/// The name under which a respawn of a known file is told where what was found is not known any more.
const DETECTION_KNOWN: &str = "miner-file";
/// Files change by the clock's tick (up to 10 ms): one that changed less than this ago may change again
/// without its time showing it, so its verdict is not kept.
const TOO_FRESH: Duration = Duration::from_millis(25);
/// How often what runs from a bad file is gone through: processes may fork while they are killed.
const ROUNDS: usize = 16;
/// Verdicts of scripts, and findings about bad files, that are remembered.
const REMEMBERED: usize = 8192;

/// What a file is.
#[derive(Debug)]
pub(super) struct Verdict {
    report: Report,
    weighed: Weighed,
}

impl Verdict {
    fn is_bad(&self) -> bool {
        self.weighed.kills
    }

    fn is_unknown(&self) -> bool {
        !self.is_bad() && self.report.unknown.is_some()
    }

    /// Names what was found to the kernel: the beginning of the file's digest.
    fn id(&self) -> u64 {
        let digest = self.report.sha256.as_deref().unwrap_or_default();
        u64::from_str_radix(digest.get(..16).unwrap_or("0"), 16).unwrap_or_default()
    }
}

type Once = Rc<OnceCell<Rc<Verdict>>>;

/// What is known of files, beside what the kernel knows.
pub(super) struct Files {
    scanner: Option<Scanner>,
    detections: Vec<Detection>,
    allow: HashSet<String>,
    under_way: RefCell<HashMap<FileKey, Once>>,
    scripts: RefCell<HashMap<FileKey, Rc<Verdict>>>,
    bad: RefCell<HashMap<u64, Rc<Verdict>>>,
    busy: RefCell<HashSet<u32>>,
    told_gone: Cell<bool>,
    /// Files looked into; of them bad, and unknown.
    searched: Cell<[u64; 3]>,
}

impl Files {
    pub(super) fn new(
        scanner: Option<Scanner>,
        detections: Vec<Detection>,
        allow: &[String],
    ) -> Self {
        Self {
            scanner,
            detections,
            allow: allow
                .iter()
                .map(|digest| digest.to_ascii_lowercase())
                .collect(),
            under_way: RefCell::default(),
            scripts: RefCell::default(),
            bad: RefCell::default(),
            busy: RefCell::default(),
            told_gone: Cell::default(),
            searched: Cell::default(),
        }
    }

    /// Whether a held process's file is being looked into.
    pub(super) fn is_busy(&self, pid: u32) -> bool {
        self.busy.borrow().contains(&pid)
    }

    /// Looks into a file, or waits for whoever does already.
    async fn verdict_of(
        &self,
        key: FileKey,
        open: impl FnOnce() -> io::Result<OwnedFd>,
    ) -> Rc<Verdict> {
        let once = Rc::clone(self.under_way.borrow_mut().entry(key).or_default());
        let verdict = once
            .get_or_init(|| async {
                let report = match (&self.scanner, open()) {
                    (None, _) => Report::unknown("nobody looks into files"),
                    (Some(_), Err(error)) => {
                        Report::unknown(format!("it cannot be opened: {error}"))
                    }
                    (Some(scanner), Ok(file)) => scanner.scan(file).await,
                };
                let verdict = self.weighed(report);
                let [all, bad, unknown] = self.searched.get();
                self.searched.set([
                    all + 1,
                    bad + u64::from(verdict.is_bad()),
                    unknown + u64::from(verdict.is_unknown()),
                ]);
                Rc::new(verdict)
            })
            .await;
        self.under_way.borrow_mut().remove(&key);
        Rc::clone(verdict)
    }

    /// Adds what was counted.
    pub(super) fn count(&self, counts: &mut AgentCounts) {
        let [all, bad, unknown] = self.searched.get();
        counts.files_searched = all;
        counts.files_bad = bad;
        counts.files_unknown = unknown;
        counts.file_workers_died = self
            .scanner
            .as_ref()
            .map_or(0, |scanner| scanner.deaths.get());
    }

    fn weighed(&self, mut report: Report) -> Verdict {
        let is_allowed = report
            .sha256
            .as_ref()
            .is_some_and(|digest| self.allow.contains(digest));
        if is_allowed && report.unknown.is_none() {
            report.signs.clear();
        }
        Verdict {
            weighed: weigh(&self.detections, &report.signs),
            report,
        }
    }
}

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
                    reserved: 0,
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
            (_, EventKind::Killed | EventKind::WouldKill | EventKind::Missed) => {}
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
        if file.place & abi::PLACE_PROGRAM != 0 {
            let verdict = self
                .files
                .verdict_of(file.key, || {
                    Ok(std::fs::File::open(process.executable_file())?.into())
                })
                .await;
            self.remember(file, &verdict);
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
        if let Some(known) = self.files.scripts.borrow().get(&key) {
            return (Rc::clone(known), shown);
        }
        let verdict = self.files.verdict_of(key, || Ok(file)).await;
        if verdict.is_bad() || (!verdict.is_unknown() && !is_fresh) {
            let mut scripts = self.files.scripts.borrow_mut();
            if scripts.len() >= REMEMBERED {
                scripts.clear();
            }
            scripts.insert(key, Rc::clone(&verdict));
        }
        (verdict, shown)
    }

    /// Lets the kernel know the verdict over a program's file.
    fn remember(&self, file: &UnseenFile, verdict: &Rc<Verdict>) {
        let decided = if verdict.is_bad() {
            abi::VERDICT_BAD
        } else if verdict.is_unknown()
            || file.place & abi::PLACE_FOREIGN != 0
            || is_fresh(file.key.changed_sec, file.key.changed_nsec)
        {
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

    /// The kernel killed a program whose file it knew, or would have.
    fn tell_known(self: &Rc<Self>, event: KernelEvent) {
        let action = match event.kind {
            EventKind::WouldKill => Action::WouldKill,
            EventKind::Spared => Action::Spared,
            _ => Action::Killed,
        };
        let known = self.files.bad.borrow().get(&event.generation).cloned();
        let id = format!("{:016x}", event.generation);
        let path = event.exe.clone();
        let why = event.reason.as_str().unwrap_or_default().to_owned();
        let notice = match known {
            Some(verdict) => {
                let (detection, score, sign) = first_of(&verdict.weighed);
                Notice {
                    event,
                    source: Source::File,
                    detection,
                    score,
                    matched: sign.rule.clone(),
                    what: format!("{why}: {}", sign.says),
                    evidence: evidence(&verdict, &path, 0),
                    done: Some(action),
                }
            }
            None => Notice {
                event,
                source: Source::File,
                detection: DETECTION_KNOWN.to_owned(),
                score: 100,
                matched: String::new(),
                what: why,
                evidence: [
                    ("path".to_owned(), json!(path)),
                    ("sha256_begins".to_owned(), json!(id)),
                ]
                .into_iter()
                .collect(),
                done: Some(action),
            },
        };
        self.notice(notice);
    }

    fn tell_expired(self: &Rc<Self>, event: &KernelEvent) {
        let spares = self.config.files.unknown == UnknownFile::Run;
        let process = Process::open(event.pid, Some(event.start_boottime_ns));
        let known = process
            .ok()
            .flatten()
            .and_then(|process| described(&process, &waiting(event).task).ok());
        self.tell_unscanned(
            known.unwrap_or_else(|| event.clone()),
            spares,
            "its file was not looked into before the deadline",
            event.held_ns,
        );
    }

    /// Tells of a program whose hold ended without a verdict.
    pub(super) fn tell_unscanned(
        self: &Rc<Self>,
        event: KernelEvent,
        spares: bool,
        why: &str,
        held_ns: u64,
    ) {
        let path = event.exe.clone();
        self.notice(Notice {
            event,
            source: Source::File,
            detection: DETECTION_UNSCANNED.to_owned(),
            score: SCORE_UNSCANNED,
            matched: String::new(),
            what: format!("unknown: {why}"),
            evidence: [
                ("path".to_owned(), json!(path)),
                ("held_ms".to_owned(), json!(held_ns / 1_000_000)),
            ]
            .into_iter()
            .collect(),
            done: Some(if spares {
                Action::Spared
            } else {
                Action::Killed
            }),
        });
    }

    /// What a hold for a file comes to where nobody can look into it any more.
    pub(super) fn unscanned_outcome(&self) -> Outcome {
        let action = match self.config.files.unknown {
            UnknownFile::Run => Action::Spared,
            UnknownFile::Kill => Action::Killed,
        };
        Outcome::new(action, Source::File).because("unknown: its file was not looked into")
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
    }
}

fn first_of(weighed: &Weighed) -> (String, u8, Sign) {
    weighed.by.first().cloned().unwrap_or_else(|| {
        let sign = Sign {
            seen: Wire::MinerFile,
            rule: String::new(),
            says: String::new(),
        };
        (DETECTION_KNOWN.to_owned(), 0, sign)
    })
}

/// The line about a start.
fn told(
    judged: &Judged,
    event: KernelEvent,
    action: Action,
    waiting: &Waiting,
    spared_by: Option<&str>,
) -> Notice {
    let mut evidence = evidence(&judged.file, &judged.path, judged.place);
    if let Some(hold) = &waiting.hold {
        let held_us = monotonic_ns().saturating_sub(hold.since_ns) / 1000;
        evidence.insert("held_us".to_owned(), json!(held_us));
    }
    if let Some(why) = &judged.unknown {
        evidence.insert("unknown".to_owned(), json!(why));
    }
    if judged.weighed.by.is_empty() {
        let why = judged.unknown.as_deref().unwrap_or_default();
        return Notice {
            event,
            source: Source::File,
            detection: DETECTION_UNSCANNED.to_owned(),
            score: SCORE_UNSCANNED,
            matched: String::new(),
            what: format!("unknown: {why}"),
            evidence,
            done: Some(action),
        };
    }
    let (detection, _, sign) = first_of(&judged.weighed);
    let all: Vec<Value> = judged
        .weighed
        .by
        .iter()
        .map(|(detection, score, sign)| {
            json!({"detection": detection, "score": score, "rule": sign.rule})
        })
        .collect();
    evidence.insert("found".to_owned(), Value::Array(all));
    let what = match spared_by {
        Some(why) => format!("{why}; {}", sign.says),
        None => sign.says.clone(),
    };
    Notice {
        event,
        source: Source::File,
        detection,
        score: judged.weighed.score,
        matched: sign.rule,
        what,
        evidence,
        done: Some(action),
    }
}

fn evidence(verdict: &Verdict, path: &str, place: u32) -> Map<String, Value> {
    let report = &verdict.report;
    let is_packed = report
        .signs
        .iter()
        .any(|sign| sign.seen == Wire::PackedFile);
    let rules: Vec<&str> = report.signs.iter().map(|sign| sign.rule.as_str()).collect();
    let mut evidence = Map::new();
    evidence.insert("path".to_owned(), json!(path));
    evidence.insert("size".to_owned(), json!(report.size));
    evidence.insert("packed".to_owned(), json!(is_packed));
    if let Some(digest) = &report.sha256 {
        evidence.insert("sha256".to_owned(), json!(digest));
    }
    if !rules.is_empty() {
        evidence.insert("rule".to_owned(), json!(rules.join(", ")));
    }
    if place & (abi::PLACE_MEMORY | abi::PLACE_DELETED) != 0 {
        let held_in = match place & abi::PLACE_MEMORY {
            0 => "deleted",
            _ => "memory",
        };
        evidence.insert("held_in".to_owned(), json!(held_in));
    }
    evidence
}

/// That a program has no file, where that is a sign.
fn fileless_sign(file: &UnseenFile, executable: &str) -> Option<Sign> {
    let held_in = match file.place {
        place if place & abi::PLACE_MEMORY != 0 => HeldIn::Memory,
        place if place & abi::PLACE_DELETED != 0 => HeldIn::Deleted,
        _ => return None,
    };
    let named = executable.strip_prefix("/memfd:").unwrap_or(executable);
    let held = Held {
        held_in,
        named,
        started_by_root_on_host: file.place & abi::PLACE_HOST_ROOT != 0,
    };
    held.is_fileless().then(|| Sign {
        seen: Wire::FilelessProgram,
        rule: match held_in {
            HeldIn::Memory => "memory".to_owned(),
            _ => "deleted".to_owned(),
        },
        says: match held_in {
            HeldIn::Memory => "the program lies in memory only".to_owned(),
            _ => "the program's file is deleted".to_owned(),
        },
    })
}

/// Opens a script as the process names it: within its own root, from its own folder. No link leads out.
fn open_script(process: &Process, path: &[u8]) -> io::Result<OwnedFd> {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path};
    let proc = process.executable_file();
    let proc = proc.parent().unwrap_or(Path::new("/"));
    let path = Path::new(OsStr::from_bytes(path));
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = if let Ok(rest) = path.strip_prefix("/dev/fd") {
        std::fs::File::open(proc.join("fd").join(rest))?.into()
    } else {
        let root = rustix::fs::open(
            proc.join("root"),
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let whole = match path.is_absolute() {
            true => path.to_owned(),
            false => std::fs::read_link(proc.join("cwd"))?.join(path),
        };
        openat2(root, whole, flags, Mode::empty(), ResolveFlags::IN_ROOT)?
    };
    let kind = FileType::from_raw_mode(fstat(&file)?.st_mode);
    if kind != FileType::RegularFile {
        return Err(io::Error::other("it is no file"));
    }
    Ok(file)
}

/// A script's key, and whether it changed just now.
fn key_of(file: &OwnedFd) -> io::Result<(FileKey, bool)> {
    let stat = fstat(file)?;
    let key = FileKey {
        inode: stat.st_ino,
        size: stat.st_size.unsigned_abs(),
        changed_sec: stat.st_ctime as u64,
        changed_nsec: stat.st_ctime_nsec as u32,
        device: stat.st_dev as u32,
    };
    Ok((key, is_fresh(key.changed_sec, key.changed_nsec)))
}

/// Whether that was just now.
fn is_fresh(sec: u64, nsec: u32) -> bool {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let now = Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32);
    let changed = Duration::new(sec, nsec);
    now.saturating_sub(changed) < TOO_FRESH
}
