//! The kernel half's handles: loading, pinning, adopting and replacing the programs, and reading
//! and writing their maps.
//!
//! What must stay true: from the first attach on there is no moment without programs attached and
//! a table in force. A new generation is complete and attached before the old one is removed, and
//! tables are swapped in one step. Deciding anything is not done here.

mod ceilings;
mod counters;
mod files;
mod load;
mod maps;
mod pins;
mod sense;

use std::{
    io::{self, Read},
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use libbpf_rs::{MapCore, MapFlags, MapHandle, libbpf_sys};
use zerocopy::{FromBytes, IntoBytes};

use crate::abi::{
    self, AgentBeat, EventBudget, ExeKey, HOLD_TIMER_BYTES, Hold, Settings, SweptTask,
};
use crate::process::Process;
use davylamp_detect::{automaton::Table, command::Table as RulesTable};
use rustix::process::Signal;

use load::Programs;
use maps::{Maps, SetOne, clear, holds_in, set_keys};
use pins::Pins;

pub use ceilings::{Ceilings, Reached};
pub use counters::{CounterReader, Counters};

pub use load::{TestFaults, object_bytes};
pub use pins::{Detached, detach};
pub use sense::{Hook, Plan, Sense};

/// Why the kernel half cannot be worked with.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// A call into the kernel or libbpf failed.
    #[error("cannot {doing}")]
    Bpf {
        /// What was tried.
        doing: &'static str,
        /// What the kernel said.
        source: libbpf_rs::Error,
    },
    /// A file of the BPF file system or of the kernel's could not be used.
    #[error("cannot {doing} {path}")]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Another guard works on the same pins.
    #[error("another guard is working with the pins in {pin_dir}")]
    Busy {
        /// The directory.
        pin_dir: PathBuf,
    },
    /// Somebody else could change the pins.
    #[error("{pin_dir} belongs to another user, or others may write to it")]
    Foreign {
        /// The directory.
        pin_dir: PathBuf,
    },
    /// The directory for pins is not on a BPF file system.
    #[error("{pin_dir} is not on a BPF file system")]
    NotBpfFs {
        /// The directory.
        pin_dir: PathBuf,
    },
}

impl KernelError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Bpf { .. } => "run as root, and see what `davy doctor` says this machine lacks",
            Self::File { .. } => {
                "run as root, and look whether the BPF file system is mounted for writing"
            }
            Self::Busy { .. } => "stop that one first, or give this one another --pin-dir",
            Self::Foreign { .. } => {
                "name a directory of its own below the BPF file system, or remove this one"
            }
            Self::NotBpfFs { .. } => {
                "mount one with `mount -t bpf bpf /sys/fs/bpf`, or run with --no-pin"
            }
        }
    }
}

fn bpf(doing: &'static str) -> impl FnOnce(libbpf_rs::Error) -> KernelError {
    move |source| KernelError::Bpf { doing, source }
}

/// Where the programs and maps live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pinning {
    /// In a directory of the BPF file system; they outlive the agent.
    In(PathBuf),
    /// Nowhere; they end with the agent.
    None,
}

/// How the programs that are in force came to be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// They were loaded where none were.
    Loaded,
    /// Pinned ones of this version were found and taken over.
    Adopted,
    /// Pinned ones of another version were replaced.
    Replaced,
}

/// The kernel half, attached.
pub struct Kernel {
    maps: Maps,
    /// The sweep's iterator.
    iterator: OwnedFd,
    programs: Programs,
    /// Keeps the hook attached where it is not pinned.
    exec_link: OwnedFd,
    fault_link: Option<OwnedFd>,
    pins: Option<Pins>,
    /// How it came to be.
    pub arrival: Arrival,
    /// What a replaced version left behind.
    pub orphans: Orphans,
}

/// What a replaced version left behind.
#[derive(Default)]
pub struct Orphans {
    /// The processes it held. As long as the map is kept, its deadlines hold too.
    held: Vec<MapHandle>,
    /// Its events that nobody read.
    pub events: Vec<MapHandle>,
}

impl Orphans {
    /// Reads what can be read of a generation before it is removed. Its layouts may be another
    /// version's: entries that cannot be understood are left out, and checked against the process
    /// table before anything is done about them.
    fn gather(&mut self, generation: &Path) {
        self.held
            .extend(MapHandle::from_pinned_path(generation.join("holds")));
        self.events
            .extend(MapHandle::from_pinned_path(generation.join("events")));
    }

    /// The processes that are still held.
    pub fn holds(&self) -> Vec<(u32, Hold)> {
        self.held.iter().flat_map(holds_in).collect()
    }

    /// Lets the generation hold nothing from here on. Its layout may be another version's; then it
    /// goes on until its programs are gone.
    fn take_no_more(&self, generation: &Path) {
        if let Ok(agent) = MapHandle::from_pinned_path(generation.join("agent"))
            && agent.value_size() as usize == size_of::<AgentBeat>()
        {
            let nobody = AgentBeat {
                alive_until_ns: 0,
                pid: 0,
                reserved: 0,
            };
            let _ = agent.set_one("say that no agent is there", nobody.as_bytes());
        }
    }

    /// Gives whatever is held the verdict that its deadline would have had.
    fn carry_out_verdicts(&self) {
        for (pid, hold) in self.holds() {
            let spares = match hold.decided {
                abi::DECIDED_SPARE => true,
                abi::DECIDED_KILL => false,
                _ => hold.verdict_spares != 0,
            };
            let signal = if spares { Signal::CONT } else { Signal::KILL };
            // First: a released process must not be taken for one that broke loose.
            self.end_hold(pid);
            match Process::open(pid, Some(hold.start_boottime_ns)) {
                Ok(Some(process)) => {
                    if let Err(error) = process.signal(signal) {
                        tracing::error!(pid, %error, "a held process cannot be signalled");
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::error!(pid, %error, "a held process cannot be reached"),
            }
        }
    }

    /// Strikes a hold off the books. False if it is over already.
    pub fn end_hold(&self, pid: u32) -> bool {
        // An error means that it is in none of the maps.
        self.held
            .iter()
            .filter(|map| map.delete(pid.as_bytes()).is_ok())
            .count()
            > 0
    }
}

/// What is to be in force from the first moment.
pub struct Start<'a> {
    /// The automaton of the lists.
    pub table: &'a Table,
    /// The automaton of the detections, where they are judged.
    pub rules: Option<&'a RulesTable>,
    /// The settings.
    pub settings: Settings,
    /// Executables that are never killed.
    pub executables: &'a [ExeKey],
    /// Cgroups in which nothing is killed.
    pub cgroups: &'a [u64],
    /// Until when the agent will decide holds without saying so again, by `CLOCK_MONOTONIC`.
    pub alive_until_ns: u64,
    /// Whether a hold can happen, so that held processes must be watched.
    pub can_hold: bool,
    /// How many victims rules may have.
    pub ceilings: &'a Ceilings,
    /// Faults to inject, by tests.
    pub faults: TestFaults,
}

impl Kernel {
    /// Takes over what is pinned, or loads the programs, and puts `start` in force.
    ///
    /// # Errors
    /// [`KernelError`]. What was in force before stays so.
    pub fn start(pinning: &Pinning, start: &Start<'_>) -> Result<Self, KernelError> {
        match pinning {
            Pinning::None => load::load(start),
            Pinning::In(dir) => pins::start(dir, start),
        }
    }

    /// Puts another table in force, in one step.
    ///
    /// # Errors
    /// [`KernelError`]; the old table is then still in force.
    pub fn set_table(&self, table: &Table) -> Result<(), KernelError> {
        self.maps.set_table(table)
    }

    /// Puts another table of detections in force, in one step.
    ///
    /// # Errors
    /// [`KernelError`]; the old table is then still in force.
    pub fn set_rules(&self, rules: &RulesTable) -> Result<(), KernelError> {
        self.maps.set_rules(rules)
    }

    /// Puts other settings in force.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn set_settings(&self, settings: &Settings) -> Result<(), KernelError> {
        self.maps
            .settings
            .set_one("change the settings", settings.as_bytes())
    }

    /// Says that the agent decides holds until `until_ns`, by `CLOCK_MONOTONIC`.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn beat(&self, until_ns: u64) -> Result<(), KernelError> {
        self.maps.beat(until_ns)
    }

    /// Attaches or detaches the watch over held processes.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn watch_holds(&mut self, wanted: bool) -> Result<(), KernelError> {
        let pin = self.pins.as_ref().map(Pins::fault_link);
        if wanted
            && self.fault_link.is_none()
            && let Some(program) = &self.programs.fault
        {
            let link = load::attach(program.as_fd(), "watch held processes")?;
            if let Some(pin) = &pin {
                pins::pin(link.as_fd(), pin)?;
            }
            self.fault_link = Some(link);
        } else if !wanted && let Some(link) = self.fault_link.take() {
            if let Some(pin) = &pin {
                pins::remove(pin)?;
            }
            drop(link);
        }
        Ok(())
    }

    /// Replaces the executables that are never killed.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn protect_executables(&self, executables: &[ExeKey]) -> Result<(), KernelError> {
        set_keys(&self.maps.protected_executables, executables)
    }

    /// Protects one more cgroup.
    ///
    /// # Errors
    /// [`KernelError`], also when the map is full.
    pub fn protect_cgroup(&self, key: u64) -> Result<(), KernelError> {
        self.maps
            .protected_cgroups
            .update(key.as_bytes(), 1u32.as_bytes(), MapFlags::ANY)
            .map_err(bpf("protect a cgroup"))
    }

    /// Notes what is known of a cgroup, by `CGROUP_*` flags.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn note_cgroup(&self, key: u64, flags: u32) -> Result<(), KernelError> {
        self.maps
            .cgroups
            .update(key.as_bytes(), flags.as_bytes(), MapFlags::ANY)
            .map_err(bpf("note a cgroup"))
    }

    /// Forgets what is known of all cgroups: the rules changed.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn forget_cgroups(&self) -> Result<(), KernelError> {
        clear(&self.maps.cgroups, "forget a cgroup")
    }

    /// Lets every exec in a cgroup die until `until_ns`, by `CLOCK_MONOTONIC`.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn suppress(&self, key: u64, until_ns: u64) -> Result<(), KernelError> {
        self.maps
            .suppressed
            .update(key.as_bytes(), until_ns.as_bytes(), MapFlags::ANY)
            .map_err(bpf("suppress a cgroup"))
    }

    /// The processes that are held.
    pub fn holds(&self) -> Vec<(u32, Hold)> {
        holds_in(&self.maps.holds)
    }

    /// Claims a hold for a decision of the agent's: from here on the kernel's deadline does
    /// nothing, and if `decided` is [`DECIDED_SPARE`](crate::abi::DECIDED_SPARE) the process may
    /// run. False if the hold is over already, by the deadline or otherwise.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn claim_hold(&self, pid: u32, hold: &Hold, decided: u32) -> Result<bool, KernelError> {
        let mut value = Hold { decided, ..*hold }.as_bytes().to_vec();
        value.resize(value.len() + HOLD_TIMER_BYTES, 0);
        match self
            .maps
            .holds
            .update(pid.as_bytes(), &value, MapFlags::EXIST)
        {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == libbpf_rs::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(bpf("claim a hold")(error)),
        }
    }

    /// Strikes a hold off the books, once it is carried out. False if it is over already, and also
    /// if another process with this pid is held by now, which stays on the books.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn end_hold(&self, pid: u32, hold: &Hold) -> Result<bool, KernelError> {
        let holds = &self.maps.holds;
        let found = holds
            .lookup(pid.as_bytes(), MapFlags::ANY)
            .map_err(bpf("look at a hold"))?;
        let start = |value: Vec<u8>| Some(Hold::read_from_prefix(&value).ok()?.0.start_boottime_ns);
        if found.and_then(start) != Some(hold.start_boottime_ns) {
            return Ok(false);
        }
        match holds.delete(pid.as_bytes()) {
            Err(error) if error.kind() == libbpf_rs::ErrorKind::NotFound => Ok(false),
            done => done.map(|()| true).map_err(bpf("end a hold")),
        }
    }

    /// Events left out, by cgroup, ever growing.
    pub fn rate_limited(&self) -> Vec<(u64, u64)> {
        let budget = |key: Vec<u8>| {
            let value = self.maps.event_budgets.lookup(&key, MapFlags::ANY).ok()??;
            let budget = EventBudget::read_from_bytes(&value).ok()?;
            let key = u64::read_from_bytes(&key).ok()?;
            (budget.rate_limited > 0).then_some((key, budget.rate_limited))
        };
        self.maps.event_budgets.keys().filter_map(budget).collect()
    }

    /// A second way to the counters, for another task.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn counter_reader(&self) -> Result<CounterReader, KernelError> {
        let again = |map: &MapHandle| MapHandle::try_from(map).map_err(bpf("share a counter"));
        Ok(CounterReader {
            counters: again(&self.maps.counters)?,
            latencies: again(&self.maps.latencies)?,
            exec_program: self
                .programs
                .exec
                .try_clone()
                .map_err(|error| KernelError::Bpf {
                    doing: "share a program",
                    source: error.into(),
                })?,
        })
    }

    /// The map that events come through.
    pub fn events(&self) -> &MapHandle {
        &self.maps.events
    }

    /// Every process with an address space, as the kernel lists them.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn tasks(&self) -> Result<Vec<SweptTask>, KernelError> {
        let failed = |source| KernelError::File {
            doing: "list the running processes from",
            path: "the task iterator".into(),
            source,
        };
        // SAFETY: the descriptor is an open iterator link; on success the call returns a new
        // descriptor that nobody else owns.
        let fd = unsafe { libbpf_sys::bpf_iter_create(self.iterator.as_raw_fd()) };
        if fd < 0 {
            return Err(failed(io::Error::last_os_error()));
        }
        // SAFETY: as above.
        let mut file = unsafe { std::fs::File::from_raw_fd(fd) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let task = |line: &[u8]| SweptTask::read_from_bytes(line).ok();
        Ok(bytes
            .chunks_exact(size_of::<SweptTask>())
            .filter_map(task)
            .collect())
    }
}

/// Where the pins of a directory's generations lie, for tests and `davy doctor`.
pub fn generations(pin_dir: &Path) -> Vec<PathBuf> {
    pins::generations(pin_dir)
}
