//! What processes do as they run: the kernel's counts of rounding modes, and what is read of busy
//! processes and of the cgroups they are in, every so often.
//!
//! What must stay true: only what used processor time since the last look is looked at, and each
//! process seldom; what could not be read is no sign. How it is judged is `detect::behaviour`'s.
//!
//! How busy a process keeps a graphics card is known where NVIDIA's library says so ([`cards`]), and
//! otherwise unknown.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    path::Path,
    rc::Rc,
};

use davylamp_content::detection::{Observed, shipped};
use davylamp_detect::behaviour::{Judge, Sign};
use serde_json::{Map, Value, json};

use super::{Agent, chain, monotonic_ns, notice::Notice, report::Source, sweep::described};
use crate::{
    abi::SweptTask,
    config::Behaviour,
    container::Lookup,
    event::KernelEvent,
    kernel::{Hook, Kernel, KernelError, Plan, Sense},
    process::{Process, is_gone},
};

mod cards;
mod glance;

pub(super) use cards::Cards;

/// The compiled object, aligned as an ELF file must be.
#[repr(align(8))]
struct Aligned<Bytes: ?Sized>(Bytes);

static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(
    env!("OUT_DIR"),
    "/behaviour.bpf.o"
)));

/// The device by which a card of AMD's computes.
const AMD_COMPUTE: &str = "/dev/kfd";

/// The sense's name, also of its pins.
const SENSE: &str = "behaviour";

/// A process that used this much processor time since it was looked at is looked at again, …
const LOOK_AFTER_TICKS: u64 = 200;
/// … but not sooner than this: reading its mappings takes a millisecond or more.
const LOOK_EVERY_NS: u64 = 300_000_000_000;
/// What stands as it stood in a cgroup is noticed again after this time.
const NOTICE_EVERY_NS: u64 = 600_000_000_000;
/// What the rounding of a process led to is not asked again within this time: each of its threads is
/// told of, again and again.
const ROUNDING_EVERY_NS: u64 = 30_000_000_000;
/// So many processes are remembered for that.
const MAX_ROUNDING: usize = 4096;
/// So many cgroups are followed.
const MAX_CGROUPS: usize = 4096;

/// Loads the watch over rounding modes. On machines without the tracepoint it watches nothing, which
/// the survey of the machine says.
pub(super) fn start(kernel: &Kernel, wanted: &Behaviour) -> Result<Option<Sense>, KernelError> {
    if !wanted.rounding {
        kernel.end_sense(SENSE)?;
        return Ok(None);
    }
    let plan = Plan {
        name: SENSE,
        object: &OBJECT.0,
        programs: &[(
            "on_fpu_saved",
            Hook::Tracepoint(c"x86_fpu_regs_deactivated"),
        )],
        constants: &[],
    };
    kernel.start_sense(&plan, |_| Ok(())).map(Some)
}

/// Why the load of graphics cards that are here is unknown.
pub(super) fn lost_of_cards(cards: &Result<Option<Cards>, String>) -> Option<String> {
    match cards {
        Err(why) => Some(format!(
            "behaviour.gpu-load: how busy a process keeps a graphics card is unknown: {why}"
        )),
        Ok(_) if Path::new(AMD_COMPUTE).exists() => Some(
            "behaviour.gpu-load: how busy a process keeps a card of AMD's is unknown: nothing is \
             asked about it"
                .to_owned(),
        ),
        Ok(_) => None,
    }
}

/// What is remembered between two looks.
pub(super) struct Watch {
    judge: Judge,
    seen: RefCell<Seen>,
    cards: RefCell<Option<Cards>>,
}

#[derive(Default)]
struct Seen {
    at_ns: u64,
    processes: HashMap<(u32, u64), Looked>,
    cgroups: HashMap<u64, Followed>,
    /// When the rounding of a process was noticed, by process and detection.
    rounding: HashMap<(u32, u64, String), u64>,
}

/// A process, by what it had used.
struct Looked {
    ticks: u64,
    /// What it had used when it was last looked at, and when that was.
    looked_ticks: u64,
    looked_at_ns: Option<u64>,
}

/// A cgroup, by what it used in each sample.
struct Followed {
    path: String,
    used_ns: Option<u64>,
    percent: VecDeque<u64>,
    noticed_at_ns: Option<u64>,
}

impl Watch {
    pub(super) fn new(cards: Option<Cards>) -> Self {
        let shipped = shipped().unwrap_or_default();
        Self {
            judge: Judge::new(shipped.into_iter().map(|parsed| parsed.detection)),
            seen: RefCell::default(),
            cards: RefCell::new(cards),
        }
    }
}

impl Agent {
    /// Judges the counts of a thread's rounding modes.
    pub(super) fn judge_rounding(self: &Rc<Self>, event: KernelEvent) {
        let halves = |word: u64| (word & u64::from(u32::MAX), word >> 32);
        let (nearest, down) = halves(event.generation);
        let (up, to_zero) = halves(event.arguments_len);
        let observed = Observed {
            nearest,
            down,
            up,
            to_zero,
            lasts_secs: event.held_ns / 1_000_000_000,
            ..Observed::default()
        };
        let signs = self.watch.judge.judge(&observed);
        // The others see less of the same.
        let Some(sign) = signs.iter().max_by_key(|sign| sign.detection.score) else {
            return;
        };
        if !self.is_rounding_news(&event, sign) {
            return;
        }
        let task = SweptTask {
            start_boottime_ns: event.start_boottime_ns,
            cgroup: event.cgroup,
            pid: event.pid,
            parent: event.parent,
            uid: event.uid,
            reserved: 0,
            comm: glance::comm_of(&event.comm),
        };
        let process = Process::open(event.pid, Some(event.start_boottime_ns));
        let event = match process {
            Ok(Some(process)) => described(&process, &task).unwrap_or(event),
            _ => event,
        };
        let evidence = json!({
            "to_nearest": nearest, "down": down, "up": up, "to_zero": to_zero,
            "seconds": observed.lasts_secs,
        });
        self.notice(notice_of(sign, event, evidence));
    }

    fn is_rounding_news(&self, event: &KernelEvent, sign: &Sign<'_>) -> bool {
        let now = monotonic_ns();
        let mut seen = self.watch.seen.borrow_mut();
        if seen.rounding.len() >= MAX_ROUNDING {
            let is_recent = |at: &u64| now < at + ROUNDING_EVERY_NS;
            seen.rounding.retain(|_, at| is_recent(at));
        }
        let name = sign.detection.name.clone();
        let key = (event.pid, event.start_boottime_ns, name);
        let before = seen.rounding.get(&key).copied();
        let is_news = before.is_none_or(|at| now >= at + ROUNDING_EVERY_NS);
        // Beyond that many at once each sign is weighed, which only costs more.
        if is_news && seen.rounding.len() < MAX_ROUNDING {
            seen.rounding.insert(key, now);
        }
        is_news
    }

    /// Looks at what runs. Goes on beside everything else.
    pub(super) fn look(self: &Rc<Self>) {
        let agent = Rc::clone(self);
        tokio::task::spawn_local(async move { agent.look_once().await });
    }

    async fn look_once(self: &Rc<Self>) {
        let tasks = match self.kernel.borrow().tasks() {
            Ok(tasks) => tasks,
            Err(error) => {
                tracing::warn!(
                    error = chain(&error),
                    "the running processes cannot be listed"
                );
                return;
            }
        };
        let now = monotonic_ns();
        let since = std::mem::replace(&mut self.watch.seen.borrow_mut().at_ns, now);
        let mut busiest: BTreeMap<u64, (u64, SweptTask)> = BTreeMap::new();
        for task in &tasks {
            if let Some((used, is_to_be_looked_at)) = self.used_since(task, now) {
                let entry = busiest.entry(task.cgroup).or_insert((used, *task));
                if used > entry.0 {
                    *entry = (used, *task);
                }
                if is_to_be_looked_at {
                    self.look_at(task);
                }
            }
            // Whoever has many processes shall not keep holds waiting.
            tokio::task::yield_now().await;
        }
        let run: HashSet<(u32, u64)> = tasks
            .iter()
            .map(|task| (task.pid, task.start_boottime_ns))
            .collect();
        let mut seen = self.watch.seen.borrow_mut();
        seen.processes.retain(|key, _| run.contains(key));
        drop(seen);
        // The first look has nothing to compare with.
        self.sample(&busiest, (since > 0).then(|| now - since));
    }

    /// The clock ticks that a process used since the last look, and whether it is to be looked at.
    fn used_since(&self, task: &SweptTask, now: u64) -> Option<(u64, bool)> {
        let ticks = match glance::ticks_of(task.pid) {
            Ok(ticks) => ticks,
            Err(error) if is_gone(&error) => return None,
            Err(error) => {
                tracing::debug!(pid = task.pid, %error, "a process's use cannot be read");
                return None;
            }
        };
        let mut seen = self.watch.seen.borrow_mut();
        let key = (task.pid, task.start_boottime_ns);
        let entry = seen.processes.entry(key).or_insert(Looked {
            ticks: 0,
            looked_ticks: 0,
            looked_at_ns: None,
        });
        let used = ticks.saturating_sub(entry.ticks);
        entry.ticks = ticks;
        let is_due = ticks.saturating_sub(entry.looked_ticks) >= LOOK_AFTER_TICKS
            && entry
                .looked_at_ns
                .is_none_or(|at| now >= at + LOOK_EVERY_NS);
        if is_due {
            entry.looked_ticks = ticks;
            entry.looked_at_ns = Some(now);
        }
        Some((used, is_due))
    }

    /// Judges what memory a process has and what it has open.
    fn look_at(self: &Rc<Self>, task: &SweptTask) {
        if task.pid == std::process::id() {
            return;
        }
        let open = || {
            let Some(process) = Process::open(task.pid, Some(task.start_boottime_ns))? else {
                return Ok(None);
            };
            let observed = glance::at(task.pid)?;
            Ok::<_, std::io::Error>(Some((described(&process, task)?, observed)))
        };
        let (event, observed) = match open() {
            Ok(Some(read)) => read,
            Ok(None) => return,
            Err(error) if is_gone(&error) => return,
            Err(error) => {
                tracing::debug!(pid = task.pid, %error, "a process cannot be looked at");
                return;
            }
        };
        let found = self.index.get_cached(&event.cgroup_path);
        let observed = Observed {
            in_container: !matches!(found, Some(Lookup::Host)),
            gpu_percent: observed
                .uses_gpu
                .then(|| self.gpu_percent(task.pid))
                .flatten(),
            ..observed
        };
        for sign in self.watch.judge.judge(&observed) {
            let evidence = json!({
                "huge_mib": observed.huge_mib, "executable_mib": observed.executable_mib,
                "gpu": observed.uses_gpu, "gpu_percent": observed.gpu_percent,
            });
            self.notice(notice_of(&sign, event.clone(), evidence));
        }
    }

    fn gpu_percent(&self, pid: u32) -> Option<u64> {
        // What AMD's driver has open is not in what NVIDIA's library says.
        if Path::new(AMD_COMPUTE).exists() {
            return None;
        }
        self.watch.cards.borrow_mut().as_mut()?.percent(pid)
    }

    /// Takes a sample of each cgroup in which something ran, and judges how steady it is.
    fn sample(self: &Rc<Self>, busiest: &BTreeMap<u64, (u64, SweptTask)>, over_ns: Option<u64>) {
        let every_secs = self.config.behaviour.sample_secs.max(1);
        let most = (self.watch.judge.window_secs() / every_secs) as usize + 1;
        let now = monotonic_ns();
        let mut steady = Vec::new();
        {
            let mut seen = self.watch.seen.borrow_mut();
            seen.cgroups.retain(|key, _| busiest.contains_key(key));
            for (key, (_, task)) in busiest {
                if seen.cgroups.len() >= MAX_CGROUPS && !seen.cgroups.contains_key(key) {
                    continue;
                }
                let entry = seen.cgroups.entry(*key).or_insert_with(|| Followed {
                    path: super::holds::cgroup_path_of(task.pid)
                        .and_then(|path| self.cgroup_mounts.absolute(*key, &path))
                        .unwrap_or_default(),
                    used_ns: None,
                    percent: VecDeque::new(),
                    noticed_at_ns: None,
                });
                // The root of a hierarchy is the whole machine.
                if matches!(entry.path.as_str(), "" | "/") {
                    continue;
                }
                let used = self.cgroup_mounts.used_ns(*key, &entry.path);
                let before = std::mem::replace(&mut entry.used_ns, used);
                let (Some(used), Some(before), Some(over)) = (used, before, over_ns) else {
                    continue;
                };
                if entry.percent.len() >= most {
                    entry.percent.pop_front();
                }
                let percent = used.saturating_sub(before).saturating_mul(100) / over.max(1);
                entry.percent.push_back(percent);
                let is_due = entry
                    .noticed_at_ns
                    .is_none_or(|at| now >= at + NOTICE_EVERY_NS);
                if is_due {
                    let observed = Observed {
                        cpu_percent: entry.percent.iter().copied().collect(),
                        every_secs,
                        ..Observed::default()
                    };
                    if let Some(sign) = self.watch.judge.judge(&observed).into_iter().next() {
                        entry.noticed_at_ns = Some(now);
                        steady.push((sign, *task));
                    }
                }
            }
        }
        for (sign, task) in steady {
            let process = Process::open(task.pid, Some(task.start_boottime_ns));
            if let Ok(Some(process)) = process
                && let Ok(event) = described(&process, &task)
            {
                self.notice(notice_of(&sign, event, json!({})));
            }
        }
    }
}

fn notice_of(sign: &Sign<'_>, event: KernelEvent, evidence: Value) -> Notice {
    let evidence = match evidence {
        Value::Object(evidence) => evidence,
        _ => Map::new(),
    };
    Notice {
        event,
        source: Source::Behaviour,
        detection: sign.detection.name.clone(),
        score: sign.detection.score,
        matched: sign.matched.clone(),
        what: sign.what.clone(),
        evidence,
        done: None,
    }
}
