//! From configuration to a guard in force: everything that can fail for a reason of the operator's
//! comes first, and privileges are given up last.

use std::{
    io,
    path::{Path, PathBuf},
};

use davylamp_content::ocsf::GuardLines;
use davylamp_detect::{
    automaton::{AllowMeaning, AllowPrefix},
    judge::Judge,
};
use davylamp_model::{guard_event::Mode, ids::NodeName};
use davylamp_spool::Writer;
use tokio::net::TcpListener;

use super::{BEAT_LASTS, GuardError, InForce, behaviour, chain, guard, monotonic_ns, system};
use crate::{
    abi::{self, Settings},
    config::{Config, FileScan, HoldVerdict, KillScope, LogFormat},
    http,
    kernel::{Kernel, Pinning, Sense, Start, TestFaults},
    log::{Log, Spooled},
    machine,
    protect::{CgroupMounts, ProtectError, exe_key},
    sandbox, scan, wire,
};

mod files;

pub(super) use files::file_detections;

/// Says whether the files that configuration names, beside lists and detections, can be used, as
/// [`run`] would.
///
/// # Errors
/// What is wrong with the first that cannot.
pub fn check(config: &Config) -> Result<(), GuardError> {
    files::check(config)?;
    wire::check(config)?;
    Ok(())
}

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
    // Before anything is loaded, so that it has no descriptor of it.
    let cards = behaviour::Cards::start();
    lost.extend(behaviour::lost_of_cards(&cards));
    let in_force = InForce::read(&config, None)?;
    let mounts = CgroupMounts::read().map_err(system("read the machine's mounts"))?;
    let executables = protected_executables(&config)?;
    // Forked off while this is one thread without a kernel map, so before all of those.
    let scan = files::start(&config)?;
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
    let spool = open_spool(&config, &node)?;
    let ocsf = match config.log.format {
        LogFormat::Davylamp => None,
        LogFormat::Ocsf => Some(GuardLines::shipped().map_err(GuardError::Detections)?),
    };
    let pinning = if config.pin {
        Pinning::In(config.pin_dir.clone())
    } else {
        Pinning::None
    };
    let kernel = Kernel::start(
        &pinning,
        &Start {
            table: in_force.judge.table(),
            rules: in_force.rules.as_ref().map(|rules| rules.table()),
            settings: settings(&config),
            executables: &executables,
            cgroups: &cgroups,
            can_hold: can_hold(&config, &in_force),
            ceilings: &super::breaker::ceilings(&config, &in_force.judge),
            alive_until_ns: monotonic_ns() + BEAT_LASTS.as_nanos() as u64,
            faults,
        },
    )?;
    let (file_settings, roots) = files::settings(&config, &mut lost)?;
    kernel.set_files(&file_settings, &roots)?;
    // The guard does without a sense, and says so.
    let behaviour = behaviour::start(&kernel, &config.behaviour).unwrap_or_else(|error| {
        lost.push(format!("behaviour.rounding: {}", chain(&error)));
        None
    });
    let wire = match wire::watch(&kernel, &config, &in_force.pools, &mounts) {
        Ok(watch) => watch,
        Err(wire::WireError::Banned(error)) => return Err(error.into()),
        Err(error) => {
            lost.push(format!("wire: {}", chain(&error)));
            None
        }
    };
    lost.extend(wire.iter().flat_map(|watch| watch.lost.iter().cloned()));
    trim_memory();

    // Nothing from here on needs more, and no thread runs yet that would keep it.
    sandbox::drop_capabilities(sandbox::AGENT_CAPABILITIES)?;
    sandbox::install_seccomp()?;
    let log = Log::start(io::stdout(), ocsf, spool).map_err(system("start the log"))?;
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
        behaviour,
        cards: cards.unwrap_or_default(),
        scan,
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
    /// The watch over rounding modes, for as long as it is not pinned.
    pub(super) behaviour: Option<Sense>,
    /// Who says how busy graphics cards are.
    pub(super) cards: Option<behaviour::Cards>,
    /// What looks into programs' files, if anything does.
    pub(super) scan: Option<scan::Started>,
    /// Keeps the programs of the wire attached where they are not pinned.
    pub(super) wire: Option<wire::Watch>,
}

/// The spool, if there is to be one. Its directory and its first segment are made while everything
/// is still allowed.
fn open_spool(config: &Config, node: &NodeName) -> Result<Option<Spooled>, GuardError> {
    let Some(limits) = config.spool.limits() else {
        return Ok(None);
    };
    // Those who read are of the spool's group, and nothing else is made by this process afterwards.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
    Ok(Some(Spooled::new(Writer::open(limits)?, node.clone())))
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
        rules_enabled: u32::from(config.detections.enabled),
    }
}

/// Whether the kernel may hold a process, so that held ones must be watched.
pub(super) fn can_hold(config: &Config, in_force: &InForce) -> bool {
    let (prefixes, holds_all) = in_force.judge.allow().for_kernel();
    let may = |prefix: &AllowPrefix| prefix.meaning == AllowMeaning::MayAllow;
    config.mode == Mode::Enforce
        && (config.files.scan != FileScan::Off
            || in_force.rules.is_some()
            || holds_all
            || prefixes.iter().any(may)
            || depends_on_place(config, &in_force.judge))
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
