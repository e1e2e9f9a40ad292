//! A process that goes on in the background: its log, its pid, and its end.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use davylamp_guard::process::Process;
use rustix::process::Signal;

/// How long one may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long one may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(15);
/// Pauses while waiting for either.
const PAUSE: Duration = Duration::from_millis(50);

/// A verb of `davy` that runs in the background.
pub(super) struct Background {
    /// The verb.
    pub verb: &'static str,
    pub log: PathBuf,
    pid: PathBuf,
}

impl Background {
    pub(super) fn of(dir: &Path, verb: &'static str) -> Self {
        Self {
            verb,
            log: dir.join(format!("{verb}.log")),
            pid: dir.join(format!("{verb}.pid")),
        }
    }

    /// The process that runs, if the one noted still does: its start is compared, since a pid may be
    /// another process's by now.
    pub(super) fn running(&self) -> Option<Process> {
        let noted = fs::read_to_string(&self.pid).ok()?;
        let (pid, ticks) = noted.trim().split_once(' ')?;
        let process = Process::open(pid.parse().ok()?, None).ok()??;
        let is_it = process.relations().ok()?.start_ticks == ticks.parse::<u64>().ok()?;
        is_it.then_some(process)
    }

    /// Starts it, and waits until `is_ready` finds what it waits for in a line that it says. Gives the
    /// line.
    pub(super) fn start(
        &self,
        arguments: &[String],
        is_ready: impl Fn(&str) -> bool,
    ) -> anyhow::Result<String> {
        let (mut child, before) = self.launch(arguments)?;
        self.wait_until_ready(&mut child, before, is_ready)
    }

    /// Starts it. Gives where its log begins, too.
    pub(super) fn launch(&self, arguments: &[String]) -> anyhow::Result<(Child, u64)> {
        let log = File::options()
            .create(true)
            .append(true)
            // It holds everybody's command lines.
            .mode(0o600)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let before = log.metadata().map_or(0, |facts| facts.len());
        let child = spawn(self.verb, arguments, log)?;
        let started = Process::open(child.id(), None).ok().flatten();
        let ticks = started.and_then(|process| Some(process.relations().ok()?.start_ticks));
        fs::write(&self.pid, format!("{} {}", child.id(), ticks.unwrap_or(0)))
            .with_context(|| format!("cannot write {}", self.pid.display()))?;
        Ok((child, before))
    }

    /// Reads the log from where it ended before.
    fn wait_until_ready(
        &self,
        child: &mut Child,
        before: u64,
        is_ready: impl Fn(&str) -> bool,
    ) -> anyhow::Result<String> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let said = self.said_since(before);
            if let Some(ready) = said.lines().find(|line| is_ready(line)) {
                return Ok(ready.to_owned());
            }
            let verb = self.verb;
            let failed = match child.try_wait() {
                Ok(Some(status)) => Some(format!("`davy {verb}` ended ({status})")),
                _ if Instant::now() > deadline => {
                    Some(format!("`davy {verb}` is not ready in time"))
                }
                _ => None,
            };
            if let Some(failed) = failed {
                let _ = fs::remove_file(&self.pid);
                return Err(anyhow::anyhow!("{}", said.trim_end()).context(failed));
            }
            pause();
        }
    }

    fn said_since(&self, before: u64) -> String {
        let Ok(mut file) = File::open(&self.log) else {
            return String::new();
        };
        if file.seek(SeekFrom::Start(before)).is_err() {
            return String::new();
        }
        let lines = BufReader::new(file).lines().map_while(Result::ok);
        lines.fold(String::new(), |said, line| said + &line + "\n")
    }

    /// Ends the one that runs. False where none does.
    pub(super) fn end(&self) -> anyhow::Result<bool> {
        let running = self.running();
        let Some(process) = &running else {
            let _ = fs::remove_file(&self.pid);
            return Ok(false);
        };
        let verb = self.verb;
        process
            .signal(Signal::TERM)
            .with_context(|| format!("cannot end `davy {verb}`"))?;
        let deadline = Instant::now() + ENDS_WITHIN;
        while process
            .relations()
            .is_ok_and(|relations| relations.is_running)
        {
            if Instant::now() > deadline {
                anyhow::bail!(
                    "`davy {verb}` (pid {}) does not end: look at {}, and kill it",
                    process.pid(),
                    self.log.display()
                );
            }
            pause();
        }
        let _ = fs::remove_file(&self.pid);
        Ok(true)
    }
}

fn spawn(verb: &str, arguments: &[String], log: File) -> anyhow::Result<Child> {
    let own = std::env::current_exe().context("cannot find the davy executable")?;
    let errors = log.try_clone().context("cannot share the log")?;
    let mut command = Command::new(own);
    command
        .arg(verb)
        .args(arguments)
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
    command
        .spawn()
        .with_context(|| format!("cannot start `davy {verb}`"))
}

/// Waits a moment before looking again.
fn pause() {
    #[expect(
        clippy::disallowed_methods,
        reason = "between two looks at another process"
    )]
    std::thread::sleep(PAUSE);
}
