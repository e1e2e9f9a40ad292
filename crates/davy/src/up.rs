//! `davy up` and `davy down`: the guard in the background of this machine.
//!
//! For a machine that keeps the guard over a restart there is the unit in `deploy/systemd`; this is
//! for trying it, and for machines without an init system.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use davylamp_guard::machine::DEFAULT_PIN_DIR;
use davylamp_guard::process::Process;
use rustix::process::Signal;

use crate::failure::Failure;
use crate::output::emit;

/// How long the guard may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long an agent may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// Pauses while waiting for either.
const PAUSE: Duration = Duration::from_millis(50);

/// The arguments of `davy up`.
#[derive(Debug, Clone, Args)]
#[command(
    about = "Guard this machine in the background",
    long_about = "Guard this machine in the background: start `davy guard`, wait until it is ready, \
and say how to try it. A guard that was started so before is replaced; its pinned kernel programs go \
on killing meanwhile. Options after `--` are given to `davy guard`."
)]
#[command(after_long_help = "Examples:
  davy up
  davy up -- --mode observe --metrics 127.0.0.1:9474
  davy down")]
pub struct UpArgs {
    /// Where the log and the pid of the guard are kept
    #[arg(long, value_name = "DIR", default_value = "/var/lib/davylamp")]
    pub state_dir: PathBuf,
    /// Options of `davy guard`
    #[arg(last = true, value_name = "OPTION")]
    pub options: Vec<String>,
}

/// The arguments of `davy down`.
#[derive(Debug, Clone, Args)]
#[command(
    about = "End the guard that `davy up` started",
    long_about = "End the guard that `davy up` started, and remove its pinned kernel programs, so \
that nothing guards this machine any more."
)]
pub struct DownArgs {
    /// Where the log and the pid of the guard are kept
    #[arg(long, value_name = "DIR", default_value = "/var/lib/davylamp")]
    pub state_dir: PathBuf,
    /// End only the agent: the pinned programs go on killing
    #[arg(long)]
    pub keep_pins: bool,
    /// Where the programs are pinned [default: where `davy up` pinned them, else
    /// /sys/fs/bpf/davylamp]
    #[arg(long, value_name = "DIR")]
    pub pin_dir: Option<PathBuf>,
}

/// The files of a guard in the background.
struct State {
    log: PathBuf,
    pid: PathBuf,
    pins: PathBuf,
}

impl State {
    fn of(dir: &Path) -> Self {
        Self {
            log: dir.join("guard.log"),
            pid: dir.join("guard.pid"),
            pins: dir.join("guard.pins"),
        }
    }

    /// The agent that runs, if the one noted still does: its start is compared, since a pid may be
    /// another process's by now.
    fn agent(&self) -> Option<Process> {
        let noted = fs::read_to_string(&self.pid).ok()?;
        let (pid, ticks) = noted.trim().split_once(' ')?;
        let process = Process::open(pid.parse().ok()?, None).ok()??;
        let is_it = process.relations().ok()?.start_ticks == ticks.parse::<u64>().ok()?;
        is_it.then_some(process)
    }
}

/// Starts the guard in the background.
pub fn up(args: &UpArgs) -> Result<ExitCode, Failure> {
    let hint = "run it as root, or name a directory that can be written with --state-dir";
    fs::create_dir_all(&args.state_dir)
        .with_context(|| format!("cannot make {}", args.state_dir.display()))
        .map_err(|error| Failure::new(error, hint))?;
    let state = State::of(&args.state_dir);
    // The one that runs is ended only for one that can start.
    check(args)?;
    let replaced = match state.agent() {
        Some(agent) => {
            end(&agent)?;
            true
        }
        None => false,
    };
    let log = File::options()
        .create(true)
        .append(true)
        // It holds everybody's command lines.
        .mode(0o600)
        .open(&state.log)
        .with_context(|| format!("cannot write {}", state.log.display()))
        .map_err(|error| Failure::new(error, hint))?;
    let before = log.metadata().map_or(0, |facts| facts.len());
    let mut guard = spawn(args, log).map_err(|error| Failure::new(error, hint))?;
    let started = Process::open(guard.id(), None).ok().flatten();
    let ticks = started.and_then(|guard| Some(guard.relations().ok()?.start_ticks));
    fs::write(&state.pid, format!("{} {}", guard.id(), ticks.unwrap_or(0)))
        .with_context(|| format!("cannot write {}", state.pid.display()))
        .map_err(|error| Failure::new(error, hint))?;
    let ready = wait_until_ready(&mut guard, &state, before)?;
    // For `davy down`, which is not told the options.
    let _ = match ready["pins"].as_str() {
        Some(pins) => fs::write(&state.pins, pins),
        None => fs::remove_file(&state.pins),
    };
    let replaced = if replaced {
        " (the one before was replaced without a gap)"
    } else {
        ""
    };
    emit(format!(
        "this machine is guarded{replaced}\n\
         mode        {}\n\
         detections  {}\n\
         strings     {}\n\
         file rules  {}\n\
         log         {}\n\
         \n\
         try it:  sh -c 'sleep 1 && echo \
         beiquatohGa1uay0ahMies9couyahPeiz9xohju3Ahvaik3FaeM7eey1thaish1U'\n\
         end it:  davy down\n",
        ready["mode"].as_str().unwrap_or("?"),
        ready["detections"],
        ready["patterns"],
        ready["file_rules"],
        state.log.display(),
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Ends it.
pub fn down(args: &DownArgs) -> Result<ExitCode, Failure> {
    let state = State::of(&args.state_dir);
    match state.agent() {
        Some(agent) => {
            end(&agent)?;
            emit("the guard has ended\n")?;
        }
        None => emit("no guard runs in the background\n")?,
    }
    let _ = fs::remove_file(&state.pid);
    if !args.keep_pins {
        let noted = fs::read_to_string(&state.pins).ok().map(PathBuf::from);
        let pin_dir = args.pin_dir.clone().or(noted);
        let pin_dir = pin_dir.unwrap_or_else(|| DEFAULT_PIN_DIR.into());
        emit(crate::guard::detach(&pin_dir)?)?;
        let _ = fs::remove_file(&state.pins);
    }
    Ok(ExitCode::SUCCESS)
}

/// Has the guard look at its options, configuration and lists.
fn check(args: &UpArgs) -> Result<(), Failure> {
    let hint = "nothing was changed; a guard that ran before still does";
    let checked = std::env::current_exe()
        .and_then(|own| {
            Command::new(own)
                .args(["guard", "--check"])
                .args(&args.options)
                .output()
        })
        .context("cannot start the guard")
        .map_err(|error| Failure::new(error, hint))?;
    if checked.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&checked.stderr)
        .trim_end()
        .to_owned();
    let error = anyhow::anyhow!("{said}").context("the guard cannot be started so");
    Err(Failure::new(error, hint))
}

fn spawn(args: &UpArgs, log: File) -> anyhow::Result<Child> {
    let own = std::env::current_exe().context("cannot find the davy executable")?;
    let errors = log.try_clone().context("cannot share the log")?;
    let mut command = Command::new(own);
    command
        .arg("guard")
        .args(&args.options)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors);
    // SAFETY: setsid is async-signal-safe and touches nothing of this process.
    unsafe {
        command.pre_exec(|| {
            rustix::process::setsid()?;
            Ok(())
        });
    }
    command.spawn().context("cannot start the guard")
}

/// Reads the log from where it ended before, until the guard says that it is ready.
fn wait_until_ready(
    guard: &mut Child,
    state: &State,
    before: u64,
) -> Result<serde_json::Value, Failure> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let (ready, said) = read_log(&state.log, before);
        if let Some(ready) = ready {
            return Ok(ready);
        }
        let failed = match guard.try_wait() {
            Ok(Some(status)) => Some(format!("the guard ended ({status})")),
            _ if Instant::now() > deadline => Some("the guard is not ready in time".to_owned()),
            _ => None,
        };
        if let Some(failed) = failed {
            let _ = fs::remove_file(&state.pid);
            let error = anyhow::anyhow!("{}", said.trim_end()).context(failed);
            return Err(Failure::new(
                error,
                "`davy doctor` says what this machine lacks",
            ));
        }
        pause();
    }
}

/// The ready line, if it is there, and everything else that was said since.
fn read_log(log: &Path, before: u64) -> (Option<serde_json::Value>, String) {
    let Ok(mut file) = File::open(log) else {
        return (None, String::new());
    };
    if file.seek(SeekFrom::Start(before)).is_err() {
        return (None, String::new());
    }
    let mut said = String::new();
    for line in BufReader::new(file).lines().map_while(Result::ok) {
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(&line)
            && value["event"] == "ready"
        {
            return (Some(value), said);
        }
        said.push_str(&line);
        said.push('\n');
    }
    (None, said)
}

fn end(agent: &Process) -> Result<(), Failure> {
    let hint = "run it as root";
    agent
        .signal(Signal::TERM)
        .context("cannot end the guard")
        .map_err(|error| Failure::new(error, hint))?;
    let deadline = Instant::now() + ENDS_WITHIN;
    while agent
        .relations()
        .is_ok_and(|relations| relations.is_running)
    {
        if Instant::now() > deadline {
            let error = anyhow::anyhow!("the guard (pid {}) does not end", agent.pid());
            return Err(Failure::new(error, "look at its log, and kill it"));
        }
        pause();
    }
    Ok(())
}

/// Waits a moment before looking again.
fn pause() {
    #[expect(
        clippy::disallowed_methods,
        reason = "between two looks at another process"
    )]
    std::thread::sleep(PAUSE);
}
