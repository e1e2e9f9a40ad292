//! From configuration to a guard in force: everything that can fail for a reason of the operator's
//! comes first, and privileges are given up last.

use std::{
    io,
    path::{Path, PathBuf},
};

use davylamp_detect::{
    automaton::{AllowMeaning, AllowPrefix},
    judge::Judge,
};
use davylamp_model::{guard_event::Mode, ids::NodeName};
use tokio::net::TcpListener;

use super::{BEAT_LASTS, GuardError, InForce, guard, monotonic_ns, system};
use crate::{
    abi::{self, Settings},
    config::{Config, HoldVerdict, KillScope},
    http,
    kernel::{Kernel, Pinning, Start, TestFaults},
    log::Log,
    machine,
    protect::{CgroupMounts, ProtectError, exe_key},
    sandbox, wire,
};

/// Guards this machine until it is told to stop (SIGTERM, SIGINT). Pinned programs stay in force
/// afterwards. Takes over the whole process: it gives up privileges and writes its log to standard
/// output. `faults` is for tests.
///
/// # Errors
/// [`GuardError`] where it cannot start. Then whatever was in force before stays so.
pub fn run(config: Config, node: NodeName, faults: TestFaults) -> Result<(), GuardError> {
    // Until the loop listens, a request to read the lists again asks for what is being done anyway.
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
    let wants = machine::Wants {
        pin_dir: config.pin.then(|| config.pin_dir.clone()),
    };
    let survey = machine::survey_for(&wants);
    if let Some(missing) = survey.missing_required() {
        return Err(missing.into());
    }
    let mut lost: Vec<String> = survey
        .lost()
        .map(|lost| format!("{}: {}", lost.id, lost.lost))
        .collect();
    let in_force = InForce::read(&config)?;
    let mounts = CgroupMounts::read().map_err(system("read the machine's mounts"))?;
    let executables = protected_executables(&config)?;
    let cgroups = protected_cgroups(&config, &mounts)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("start the event loop"))?;
    // All that can fail for a reason of the operator's comes before anything is put in force.
    let listener = config
        .metrics
        .listen
        .map(|address| runtime.block_on(http::bind(address)))
        .transpose()?;
    let pinning = if config.pin {
        Pinning::In(config.pin_dir.clone())
    } else {
        Pinning::None
    };
    let kernel = Kernel::start(
        &pinning,
        &Start {
            table: in_force.judge.table(),
            settings: settings(&config),
            executables: &executables,
            cgroups: &cgroups,
            can_hold: can_hold(&config, &in_force.judge),
            alive_until_ns: monotonic_ns() + BEAT_LASTS.as_nanos() as u64,
            faults,
        },
    )?;
    let wire = match wire::watch(&kernel, &config.wire, &config.flows, &mounts) {
        Ok(watch) => watch,
        Err(wire::WireError::Banned(error)) => return Err(error.into()),
        Err(error) => {
            lost.push(format!("wire: {}", super::chain(&error)));
            None
        }
    };
    lost.extend(wire.iter().flat_map(|watch| watch.lost.iter().cloned()));
    trim_memory();

    // Nothing from here on needs more, and no thread runs yet that would keep it.
    sandbox::drop_capabilities(sandbox::AGENT_CAPABILITIES)?;
    sandbox::install_seccomp()?;
    let log = Log::start(io::stdout()).map_err(system("start the log"))?;
    let local = tokio::task::LocalSet::new();
    let started = Started {
        config,
        node,
        kernel,
        in_force,
        cgroup_mounts: mounts,
        log,
        listener,
        lost,
        executables,
        wire,
    };
    runtime.block_on(local.run_until(guard(started)))
}

/// A guard that is in force, and what its agent works with.
pub(super) struct Started {
    pub(super) config: Config,
    pub(super) node: NodeName,
    pub(super) kernel: Kernel,
    pub(super) in_force: InForce,
    pub(super) cgroup_mounts: CgroupMounts,
    pub(super) log: Log,
    /// Where the metrics are asked for.
    pub(super) listener: Option<TcpListener>,
    /// What this machine lacks.
    pub(super) lost: Vec<String>,
    /// The executables that are never killed.
    pub(super) executables: Vec<abi::ExeKey>,
    /// Keeps the programs of the wire attached where they are not pinned.
    pub(super) wire: Option<wire::Watch>,
}

pub(super) fn depends_on_place(config: &Config, judge: &Judge) -> bool {
    judge.allow().any_scoped() || !config.protect.namespaces.is_empty()
}

/// The settings that configuration and lists call for.
pub(super) fn settings(config: &Config) -> Settings {
    Settings {
        mode: match config.mode {
            Mode::Enforce => abi::MODE_ENFORCE,
            Mode::Observe => abi::MODE_OBSERVE,
        },
        hold_verdict_spares: u32::from(config.hold.verdict == HoldVerdict::Spare),
        hold_deadline_ns: config.hold.deadline().as_nanos() as u64,
        event_interval_ns: 1_000_000_000 / u64::from(config.log.events_per_second),
        event_burst: u64::from(config.log.burst),
        suppress_ns: config.response.suppress().as_nanos() as u64,
        response: match config.response.kill {
            KillScope::Process => 0,
            KillScope::Tree => 1,
            KillScope::Cgroup => 2,
        },
        // Scoped allow rules hold by their prefixes; protected namespaces have no other sign.
        hold_unknown_cgroups: u32::from(!config.protect.namespaces.is_empty()),
        capture_environment: u32::from(!config.log.env.is_empty()),
        // Masking and judging again need more than the log shows.
        capture_arguments: abi::EVENT_ARGUMENTS as u32,
        suppress_enabled: u32::from(
            config.response.kill != KillScope::Process && config.response.suppress_secs > 0,
        ),
        reserved: 0,
    }
}

/// Whether the kernel may hold a process, so that held ones must be watched.
pub(super) fn can_hold(config: &Config, judge: &Judge) -> bool {
    let (prefixes, holds_all) = judge.allow().for_kernel();
    let may = |prefix: &AllowPrefix| prefix.meaning == AllowMeaning::MayAllow;
    config.mode == Mode::Enforce
        && (holds_all || prefixes.iter().any(may) || depends_on_place(config, judge))
}

/// The executables that are never killed. The guard's own comes first, so that
/// `davy explain -- STRING` can run where it guards.
pub(super) fn protected_executables(config: &Config) -> Result<Vec<abi::ExeKey>, ProtectError> {
    std::iter::once(Path::new("/proc/self/exe"))
        .chain(config.protect.executables.iter().map(PathBuf::as_path))
        .map(|path| {
            exe_key(path).map_err(|source| ProtectError::Executable {
                path: path.to_owned(),
                source,
            })
        })
        .collect()
}

pub(super) fn protected_cgroups(
    config: &Config,
    mounts: &CgroupMounts,
) -> Result<Vec<u64>, ProtectError> {
    let keys: Result<Vec<Vec<u64>>, _> = config
        .protect
        .cgroups
        .iter()
        .map(|path| mounts.keys(path))
        .collect();
    Ok(keys?.concat())
}

/// Gives back what loading took: reading the kernel's types and building tables needs some twenty
/// megabytes for a moment.
pub(super) fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call only gives free memory back to the system.
    unsafe {
        libc::malloc_trim(0);
    }
}
