//! `davy guard`: the arguments of the guard. What it does is in `davylamp_guard`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use davylamp_content::settings::Override;
use davylamp_detect::command::Rules;
use davylamp_detect::judge::Judge;
use davylamp_guard::agent::{self, GuardError, TestFaults};
use davylamp_guard::config::Config;
use davylamp_guard::lists::{self, JudgesError};
use davylamp_model::guard_event::Mode;
use davylamp_model::ids::NodeName;

use crate::failure::{Failure, render_diagnostic};
use crate::output::{ColourChoice, emit};
use crate::settings::SettingsArgs;

/// The variable that names this machine, where the configuration does not.
const NODE_VARIABLE: &str = "DAVY_NODE";

/// The arguments of `davy guard`.
#[derive(Debug, Clone, Args)]
#[command(about = "Guard this machine: kill miners before their first instruction")]
#[command(
    long_about = "Guard this machine: kill miners before their first instruction.

Writes one JSON line for each event on stdout, {\"event\":\"ready\",…} first. Lists are read again \
when they change or on SIGHUP. The kernel programs are pinned, so they go on killing when this \
command ends; `davy guard --detach` ends that. Needs root, or the capabilities that `davy doctor` \
names.

Settings come from the defaults, the configuration file, variables (DAVY_GUARD__MODE=observe), \
--set, and the options below, the later winning. docs/configuration.md lists every key."
)]
#[command(after_long_help = "Examples:
  davy guard --check
  davy guard --mode observe --blocklist /etc/davylamp/blocklists
  davy guard --set guard.hold.deadline_ms=500 --metrics 127.0.0.1:9474
  davy guard --thaw 3f2a9c
  davy guard --detach")]
pub struct GuardArgs {
    /// Blocklist file, or directory of .yaml, .yml and .json files; may be repeated [default: the
    /// list that ships with Davylamp]
    #[arg(long, value_name = "PATH")]
    pub blocklist: Vec<PathBuf>,
    /// Kill, or only say what would be killed [default: enforce]
    #[arg(long, value_enum, value_name = "MODE")]
    pub mode: Option<ModeArg>,
    /// Serve /metrics, /healthz and /readyz at this address, such as 127.0.0.1:9474 [default: no
    /// socket]
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<String>,
    /// Where programs are pinned, on a BPF file system [default: /sys/fs/bpf/davylamp]
    #[arg(long, value_name = "DIR")]
    pub pin_dir: Option<PathBuf>,
    /// Pin nothing: the guard ends with this command
    #[arg(long, conflicts_with = "pin_dir")]
    pub no_pin: bool,
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// Remove the pins, so that nothing guards this machine any more, and exit
    #[arg(long, conflicts_with_all = ["blocklist", "mode", "metrics", "no_pin"])]
    pub detach: bool,
    /// Let what the guard froze go on at once, all of it or one container's, and exit
    #[arg(long, value_name = "CONTAINER", num_args = 0..=1, conflicts_with_all = ["blocklist", "mode", "metrics", "no_pin", "detach", "check"])]
    pub thaw: Option<Option<String>>,
    /// Read the configuration and the lists, say what is wrong with them, and exit
    #[arg(long, conflicts_with = "detach")]
    pub check: bool,
}

/// `--mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    /// Kill what matches
    Enforce,
    /// Kill and hold nothing; the log says would-kill
    Observe,
}

impl GuardArgs {
    fn config(&self) -> Result<Config, Failure> {
        let mut options = Vec::new();
        let mut option = |name, key, value: Option<&OsStr>| {
            options.extend(value.map(|value| Override::option(name, key, value)));
        };
        option(
            "--metrics",
            "guard.metrics.listen",
            self.metrics.as_deref().map(OsStr::new),
        );
        option(
            "--pin-dir",
            "guard.pin_dir",
            self.pin_dir.as_deref().map(Path::as_os_str),
        );
        let mut config = self.settings.load(options)?;
        if let Some(mode) = self.mode {
            config.mode = match mode {
                ModeArg::Enforce => Mode::Enforce,
                ModeArg::Observe => Mode::Observe,
            };
        }
        if !self.blocklist.is_empty() {
            config.blocklists.clone_from(&self.blocklist);
        }
        config.pin &= !self.no_pin;
        Ok(config)
    }
}

/// Thaws what was frozen, and says what.
fn thaw(container: Option<&str>) -> Result<ExitCode, Failure> {
    let done = agent::acts::thaw_here(container).map_err(|error| {
        Failure::new(
            anyhow::anyhow!(error).context("cannot read the machine's mounts"),
            "run it on the node itself, as root",
        )
    })?;
    let mut code = ExitCode::SUCCESS;
    let mut text = String::new();
    for (frozen, thawed) in &done {
        let directory = frozen.directory.display();
        match thawed {
            Ok(()) => text.push_str(&format!("thawed {directory}\n")),
            Err(error) => {
                text.push_str(&format!("not thawed: {error}\n"));
                code = ExitCode::from(2);
            }
        }
    }
    if done.is_empty() {
        text.push_str("nothing that the guard froze is frozen\n");
    }
    emit(text)?;
    Ok(code)
}

/// Runs, checks, thaws or detaches the guard.
pub fn run(args: &GuardArgs, colour: ColourChoice) -> Result<ExitCode, Failure> {
    if let Some(container) = &args.thaw {
        return thaw(container.as_deref());
    }
    if args.detach {
        // With the directory named, a broken configuration cannot keep the pins in place.
        let pin_dir = match &args.pin_dir {
            Some(pin_dir) => pin_dir.clone(),
            None => args.config()?.pin_dir,
        };
        emit(detach(&pin_dir)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = args.config()?;
    if args.check {
        check(&config, colour)?;
    } else {
        let node = machine_name(&config);
        agent::run(config, node, TestFaults::default()).map_err(failure)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes the pins and says what that means.
pub fn detach(pin_dir: &Path) -> Result<String, Failure> {
    let detached = agent::detach(pin_dir).map_err(|error| failure(error.into()))?;
    Ok(match detached.generations {
        0 => format!(
            "nothing was pinned in {}; nothing is guarded\n",
            pin_dir.display()
        ),
        _ => format!(
            "the pins in {} are gone; nothing is guarded any more\n",
            pin_dir.display()
        ),
    })
}

/// Everything that `run` does before it needs the kernel.
fn check(config: &Config, colour: ColourChoice) -> Result<(), Failure> {
    let lists = lists::read(&config.blocklists)?;
    let (judge, rules) = judges(&lists, config)?;
    print_warnings(&lists, colour);
    agent::check(config).map_err(failure)?;
    let size = judge.table().size();
    let detections = match &rules {
        None => "off".to_owned(),
        Some(rules) => {
            let size = rules.table().size();
            format!(
                "{} with {} rules: {} states, {} bytes",
                rules
                    .detections()
                    .iter()
                    .filter(|one| !one.words.is_empty())
                    .count(),
                size.rules,
                size.states,
                size.bytes
            )
        }
    };
    let sources: Vec<String> = match lists.sources.as_slice() {
        [] => vec!["the list that ships with Davylamp".into()],
        files => files
            .iter()
            .map(|file| file.display().to_string())
            .collect(),
    };
    let mode = match config.mode {
        Mode::Enforce => "enforce",
        Mode::Observe => "observe",
    };
    emit(format!(
        "mode            {mode}\n\
         blocklists      {}\n\
         banned strings  {} in {} groups\n\
         allow patterns  {}\n\
         table           {} states, {} bytes\n\
         detections      {detections}\n\
         warnings        {}\n",
        sources.join("\n                "),
        lists.blocklist.banned_count(),
        lists.blocklist.groups.len(),
        lists.blocklist.allowed_count(),
        size.states,
        size.bytes,
        lists.warnings.len(),
    ))
}

/// Builds the judges of these lists and of the detections.
pub fn judges(
    lists: &lists::Lists,
    config: &Config,
) -> Result<(Judge, Option<Arc<Rules>>), Failure> {
    let built = lists::judges(lists, config, None);
    let built = built.map(|(judge, built)| (judge, built.rules));
    built.map_err(|error| match error {
        JudgesError::Files(error) => error.into(),
        JudgesError::Pools(faults) => faults.into(),
        other => {
            let hint = other.hint();
            Failure::new(other.into(), hint)
        }
    })
}

/// Prints on stderr what looks wrong in lists and is used all the same.
fn print_warnings(lists: &lists::Lists, colour: ColourChoice) {
    use std::io::Write;
    let mut stderr = std::io::stderr().lock();
    for warning in &lists.warnings {
        // Where stderr is closed there is nobody to warn.
        let _ = stderr.write_all(render_diagnostic(warning, colour.on_stderr()).as_bytes());
    }
}

/// What this machine is called in the log.
pub fn machine_name(config: &Config) -> NodeName {
    if !config.node.is_empty() {
        return NodeName(config.node.clone());
    }
    match std::env::var_os(NODE_VARIABLE).filter(|name| !name.is_empty()) {
        Some(name) => NodeName(name.to_string_lossy().into_owned()),
        None => {
            let uname = rustix::system::uname();
            NodeName(uname.nodename().to_string_lossy().into_owned())
        }
    }
}

/// An error of the guard's with the places and the next step it brings along.
fn failure(error: GuardError) -> Failure {
    match error {
        GuardError::Lists(error) => error.into(),
        GuardError::Machine(error) => error.into(),
        other => {
            let hint = other.hint();
            Failure::new(other.into(), hint)
        }
    }
}
