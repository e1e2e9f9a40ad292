//! The agent: brings the kernel programs their tables, decides what they hold, sweeps what runs
//! already, and says what happened.
//!
//! One thread does everything but write the log. What must stay true: a hold is decided before any
//! line of log is composed, and no wait for a container runtime delays another hold.

pub mod acts;
mod behaviour;
mod breaker;
mod files;
mod holds;
mod monitor;
mod notice;
mod reload;
mod report;
mod response;
mod rules;
mod start;
mod stream;
mod sweep;
mod wire;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    path::PathBuf,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use davylamp_content::{blocklist::Place, indicators::Indicator};
use davylamp_detect::{command::Rules, judge::Judge};
use davylamp_model::{guard_event::Mode, ids::NodeName};
use davylamp_spool::SpoolError;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::MissedTickBehavior,
};

use crate::{
    abi,
    config::Config,
    container::{ContainerIndex, IndexConfig, Lookup, Socket, SocketKind},
    event::KernelEvent,
    http::{self, HttpError},
    kernel::{Kernel, KernelError},
    lists::{self, Built, Lists, ListsError},
    log::Log,
    machine,
    metrics::AgentCounts,
    protect::{CgroupMounts, ProtectError},
    sandbox::SandboxError,
    scan::{ScanError, Scanner},
};

pub use crate::kernel::{Detached, TestFaults, detach};

/// How often the agent says that it is there to decide holds.
const BEAT: Duration = Duration::from_millis(500);
/// For how long each time: two beats may be late.
const BEAT_LASTS: Duration = Duration::from_millis(1500);
/// How often list files are looked at for changes.
const LOOK_AT_LISTS: Duration = Duration::from_secs(1);
/// How often the log says that the guard is there: whoever reads it elsewhere knows a silent node by that.
const ALIVE: Duration = Duration::from_secs(300);
/// How often log lines left out in the kernel are summed up, and protected files looked at anew.
const ROUNDS: Duration = Duration::from_secs(10);

/// Why the guard cannot run.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The machine lacks something.
    #[error(transparent)]
    Machine(#[from] machine::NotReady),
    /// The kernel half failed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The lists cannot be used.
    #[error(transparent)]
    Lists(#[from] ListsError),
    /// The lists or detections are too large.
    #[error("the lists and detections cannot be put in force")]
    Judge(#[from] lists::JudgesError),
    /// Something to protect cannot be found.
    #[error(transparent)]
    Protect(#[from] ProtectError),
    /// Programs' files cannot be looked into.
    #[error("programs' files cannot be looked into")]
    Scan(#[from] ScanError),
    /// A file of rules cannot be read.
    #[error("cannot read the rules {path}")]
    RuleFile {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The list of banned addresses cannot be used.
    #[error(transparent)]
    Banned(#[from] crate::wire::BannedError),
    /// Privileges cannot be given up.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The metrics cannot be served.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// What ships cannot be read.
    #[error("the detections that ship are faulty")]
    Detections(#[source] davylamp_content::Faults),
    /// The spool cannot be written.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The operating system refused something.
    #[error("cannot {doing}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
}

impl GuardError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Machine(_) => "`davy doctor` says what this machine lacks".to_owned(),
            Self::Kernel(error) => error.hint().to_owned(),
            Self::Lists(_) => "`davy guard --check` shows each fault".to_owned(),
            Self::Judge(error) => error.hint().to_owned(),
            Self::Protect(_) => {
                "take it out of [guard.protect], or name what exists on this machine".to_owned()
            }
            Self::Scan(_) | Self::RuleFile { .. } => {
                "see `rules` in [guard.files], or set `scan = \"off\"` there to look into none"
                    .to_owned()
            }
            Self::Banned(_) => {
                "mend the file, or take `guard.flows.banned_ipv4_file` out of the configuration"
                    .to_owned()
            }
            Self::Sandbox(error) => error.hint().to_owned(),
            Self::Http(error) => error.hint(),
            Self::Spool(error) => error.hint(),
            Self::Detections(_) => "this is a bug: please report it".to_owned(),
            Self::System { .. } => "`davy doctor` says what this machine lacks".to_owned(),
        }
    }
}

fn system(doing: &'static str) -> impl FnOnce(io::Error) -> GuardError {
    move |source| GuardError::System { doing, source }
}

/// The lists in force and what is built from them.
struct InForce {
    lists: Lists,
    judge: Judge,
    /// The detections, where they are judged by.
    rules: Option<Arc<Rules>>,
    /// The indicators that the detections and the wire know.
    pools: Arc<Vec<Indicator>>,
    /// The files as they looked before they were read: what changes meanwhile is read again.
    looked: reload::Fingerprint,
}

impl InForce {
    /// Reads the lists and all that is built from them, but for what stayed as it was `before`.
    fn read(config: &Config, before: Option<&Built>) -> Result<Self, GuardError> {
        let looked = reload::Fingerprint::take(config);
        let lists = lists::read(&config.blocklists)?;
        for warning in &lists.warnings {
            tracing::warn!("{}:{}: {warning}", warning.file(), warning.line());
        }
        let (judge, Built { rules, pools }) = lists::judges(&lists, config, before)?;
        Ok(Self {
            lists,
            judge,
            rules,
            pools,
            looked,
        })
    }
}

use start::{Started, can_hold, depends_on_place, file_detections, protected_executables};
use stream::Events;

pub use start::{check, run};

/// The agent's state. Tasks share it; none holds a borrow across a wait.
struct Agent {
    config: Config,
    node: NodeName,
    kernel: RefCell<Kernel>,
    in_force: RefCell<Rc<InForce>>,
    index: ContainerIndex,
    cgroup_mounts: CgroupMounts,
    log: Log,
    counts: RefCell<AgentCounts>,
    published: Arc<monitor::Published>,
    /// The executables that are never killed, as last resolved.
    protected: RefCell<Vec<abi::ExeKey>>,
    sweeping: Cell<bool>,
    reloading: Cell<bool>,
    /// Why lists are to be read once more, if they are.
    reload_again: Cell<Option<&'static str>>,
    /// Whether lists changed while a sweep was going on.
    sweep_again: Cell<bool>,
    /// Holds that are being decided, with what the kernel said when it took them.
    deciding: RefCell<HashMap<u32, Option<KernelEvent>>>,
    files: files::Files,
    report: report::Reporter,
    breaker: breaker::Breaker,
    /// Whether something may be frozen that is to be thawed.
    may_be_frozen: Cell<bool>,
    suspicions: notice::Suspicions,
    watch: behaviour::Watch,
    wire: wire::Wire,
}

impl Agent {
    fn count(&self, change: impl FnOnce(&mut AgentCounts)) {
        change(&mut self.counts.borrow_mut());
    }

    fn in_force(&self) -> Rc<InForce> {
        Rc::clone(&self.in_force.borrow())
    }

    /// Whether any rule depends on the container a process is in.
    fn rules_depend_on_place(&self) -> bool {
        depends_on_place(&self.config, &self.in_force().judge)
    }

    fn observes(&self) -> bool {
        self.config.mode == Mode::Observe
    }

    /// Whether a container's namespace is protected.
    fn is_protected(&self, found: &Lookup) -> bool {
        let Lookup::Known(container) = found else {
            return false;
        };
        let namespace = container.namespace();
        let is = |wanted: &String| namespace.as_ref().is_some_and(|ns| ns.as_str() == wanted);
        self.config.protect.namespaces.iter().any(is)
    }

    /// Tells the kernel what is known of a cgroup, so that it need not hold there again to find
    /// out whether it is protected.
    fn note(&self, cgroup: u64, found: &Lookup) {
        let kernel = self.kernel.borrow();
        let noted = match found {
            Lookup::Unknown { .. } => return,
            _ if self.is_protected(found) => kernel.protect_cgroup(cgroup),
            Lookup::Host => kernel.note_cgroup(cgroup, abi::CGROUP_KNOWN),
            Lookup::Known(_) => {
                kernel.note_cgroup(cgroup, abi::CGROUP_KNOWN | abi::CGROUP_CONTAINER)
            }
        };
        if let Err(error) = noted {
            tracing::warn!(
                error = chain(&error),
                "what is known of a cgroup could not be noted"
            );
        }
    }
}

/// A container as scoped rules see it.
fn place_of(found: &Lookup) -> Place<'_> {
    match found {
        Lookup::Host => Place {
            is_host: true,
            ..Place::default()
        },
        Lookup::Known(container) => Place {
            namespace: container
                .labels
                .get(davylamp_model::container::LABEL_NAMESPACE)
                .map(String::as_str),
            image: container.image.as_deref(),
            container: container.name(),
            is_host: false,
        },
        Lookup::Unknown { .. } => Place::default(),
    }
}

/// An error and what caused it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Nanoseconds of `CLOCK_MONOTONIC`, which the kernel programs count by.
fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Guards until it is told to stop.
async fn guard(started: Started) -> Result<(), GuardError> {
    let Started {
        config,
        node,
        kernel,
        in_force,
        cgroup_mounts,
        log,
        listener,
        lost,
        executables,
        behaviour: _behaviour,
        cards,
        scan,
        wire: _wire,
    } = started;
    let socket = |kind| {
        move |path: &PathBuf| Socket {
            kind,
            path: path.clone(),
        }
    };
    let sockets = config
        .containers
        .cri_sockets
        .iter()
        .map(socket(SocketKind::Cri))
        .chain(
            config
                .containers
                .docker_sockets
                .iter()
                .map(socket(SocketKind::Docker)),
        )
        .collect();
    let index = ContainerIndex::start(IndexConfig {
        sockets,
        ..IndexConfig::default()
    });
    let arrival = kernel.arrival;
    let published = Arc::new(monitor::Published::new(kernel.counter_reader()?));
    // Dropped with the event loop.
    let mut served = tokio::task::JoinSet::new();
    if let Some(listener) = listener {
        let source: Arc<dyn crate::metrics::Source> = Arc::clone(&published) as _;
        served.spawn(http::serve(
            listener,
            source,
            config.metrics.cryptnono_names,
        ));
    }
    let rules = scan.as_ref().map_or(0, |started| started.rules);
    let scanner = scan
        .map(Scanner::new)
        .transpose()
        .map_err(system("reach the processes that look into files"))?;
    let files = files::Files::new(scanner, file_detections(), &config.files.allow);
    let agent = Rc::new(Agent {
        report: report::Reporter::new(&config),
        suspicions: notice::Suspicions::new(&config),
        watch: behaviour::Watch::new(cards),
        wire: wire::Wire::new(&config),
        config,
        node,
        kernel: RefCell::new(kernel),
        in_force: RefCell::new(Rc::new(in_force)),
        index,
        cgroup_mounts,
        log,
        counts: RefCell::default(),
        published,
        protected: RefCell::new(executables),
        sweeping: Cell::default(),
        reloading: Cell::default(),
        reload_again: Cell::default(),
        sweep_again: Cell::default(),
        deciding: RefCell::default(),
        breaker: breaker::Breaker::default(),
        // An earlier agent may have frozen something.
        may_be_frozen: Cell::new(true),
        files,
    });
    let can_hold = can_hold(&agent.config, &agent.in_force());
    agent.kernel.borrow_mut().watch_holds(can_hold)?;

    let mut terminate = signal(SignalKind::terminate()).map_err(system("listen for signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("listen for signals"))?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(system("listen for signals"))?;
    let events = Events::open(agent.kernel.borrow().events())?;
    // Starting may have taken longer than the first word lasts.
    agent
        .kernel
        .borrow()
        .beat(monotonic_ns() + BEAT_LASTS.as_nanos() as u64)?;
    agent.say_ready(arrival, &lost, rules);
    agent.publish();
    agent.settle_orphans();
    // Events first, here and below: a hold that is decided without its event cannot be told of.
    events.take(&agent);
    agent.settle_left_holds();
    if agent.config.sweep.on_start {
        agent.sweep();
    }

    let mut beat = every(BEAT);
    let mut look = every(LOOK_AT_LISTS);
    let mut rounds = every(ROUNDS);
    let mut alive = every(ALIVE);
    alive.tick().await;
    let mut watched = agent.in_force().looked.clone();
    let mut sweep = every(agent.config.sweep.interval().unwrap_or(Duration::MAX / 4));
    sweep.tick().await;
    let mut look_at_use = every(agent.config.behaviour.sample().unwrap_or(Duration::MAX / 4));
    loop {
        tokio::select! {
            // Events come last: however many there are, the agent goes on saying that it is there.
            biased;
            _ = beat.tick() => {
                agent.kernel.borrow().beat(monotonic_ns() + BEAT_LASTS.as_nanos() as u64)?;
                events.take(&agent);
                agent.settle_orphans();
                agent.settle_left_holds();
                agent.publish();
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => {
                watched = reload::Fingerprint::take(&agent.config);
                agent.reset_ceilings();
                agent.reload("SIGHUP");
            }
            _ = look.tick() => {
                let now = reload::Fingerprint::take(&agent.config);
                if now != watched {
                    watched = now;
                    agent.reload("a file changed");
                }
            }
            _ = rounds.tick() => agent.rounds(),
            _ = alive.tick() => agent.say_alive(&lost, rules),
            _ = sweep.tick(), if agent.config.sweep.interval().is_some() => agent.sweep(),
            _ = look_at_use.tick(), if agent.config.behaviour.sample().is_some() => agent.look(),
            ready = events.readable() => ready.map_err(system("wait for kernel events"))?,
        }
        events.take(&agent);
    }
    events.take(&agent);
    agent.settle_for_good();
    agent.say_stopped();
    Ok(())
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

impl Agent {
    fn say_ready(&self, arrival: crate::kernel::Arrival, lost: &[String], rules: usize) {
        let in_force = self.in_force();
        let size = in_force.judge.table().size();
        self.log.say(&json!({
            "event": "ready",
            "level": "info",
            "timestamp": davylamp_model::guard_event::micros::format(jiff::Timestamp::now()),
            "mode": self.config.mode,
            "patterns": size.strings,
            "allow_patterns": in_force.judge.allow().rules().len(),
            "detections": in_force.rules.as_ref().map_or(0, |rules| rules.detections().len()),
            "detections_bytes": in_force.rules.as_ref().map(|rules| rules.table().size().bytes),
            "states": size.states,
            "table_bytes": size.bytes,
            "lists": in_force.lists.held,
            "file_rules": rules,
            "pins": self.config.pin.then_some(&self.config.pin_dir),
            "spool": self.config.spool.dir(),
            "programs": match arrival {
                crate::kernel::Arrival::Loaded => "loaded",
                crate::kernel::Arrival::Adopted => "adopted",
                crate::kernel::Arrival::Replaced => "replaced",
            },
            "node": self.node,
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "lost": lost,
        }));
    }

    fn say_alive(&self, lost: &[String], rules: usize) {
        let in_force = self.in_force();
        let counts = crate::metrics::Source::kernel_counts(&*self.published);
        self.log.say(&json!({
            "event": "alive",
            "level": "info",
            "timestamp": davylamp_model::guard_event::micros::format(jiff::Timestamp::now()),
            "mode": self.config.mode,
            "patterns": in_force.judge.table().size().strings,
            "detections": in_force.rules.as_ref().map_or(0, |rules| rules.detections().len()),
            "file_rules": rules,
            "lists": in_force.lists.held,
            "node": self.node,
            "version": env!("CARGO_PKG_VERSION"),
            "lost": lost,
            "execs": counts.as_ref().map(|counts| counts.execs),
            "killed": counts.as_ref().map(|counts| counts.killed),
            "missed": counts.as_ref().map(|counts| counts.missed),
            "events_lost": counts.as_ref().map(|counts| counts.events_lost_full),
        }));
    }

    fn say_stopped(&self) {
        self.log.say(&json!({
            "event": "stopped",
            "level": "info",
            "timestamp": davylamp_model::guard_event::micros::format(jiff::Timestamp::now()),
            "node": self.node,
            "still_guarding": self.config.pin,
            "log_lines_lost": self.log.lost(),
            "spool_lines_lost": self.log.spool().map(|spool| spool.lost),
        }));
    }

    /// What is done every so often and can wait.
    fn rounds(&self) {
        self.report.say_rate_limited(self);
        self.say_ceilings();
        self.thaw_due();
        self.tidy_suspicions();
        // An upgrade of a protected program gives it another inode.
        let renewed = protected_executables(&self.config)
            .map_err(GuardError::from)
            .and_then(|keys| {
                self.kernel.borrow().protect_executables(&keys)?;
                *self.protected.borrow_mut() = keys;
                Ok(())
            });
        if let Err(error) = renewed {
            tracing::warn!(error = chain(&error), "protections stay as they were");
        }
    }

    /// Takes what the kernel reported. Holds are decided first; the rest is only told.
    fn handle(self: &Rc<Self>, event: KernelEvent) {
        use crate::abi::{EventKind, Reason};
        if matches!(event.reason, Reason::UnseenFile | Reason::KnownBadFile) {
            return self.handle_file(event);
        }
        match event.kind {
            EventKind::Held => self.decide_held(event),
            EventKind::Missed => self.finish_missed(event),
            EventKind::WouldKill => self.judge_observed(event),
            EventKind::Noted => self.judge_noted(event),
            EventKind::Killed
            | EventKind::Spared
            | EventKind::HoldExpired
            | EventKind::HoldBroken => self.tell(event),
            EventKind::Rounding => self.judge_rounding(event),
            // These bring more along, and come another way.
            EventKind::Wire | EventKind::Rhythm | EventKind::Connect => {}
        }
    }
}
