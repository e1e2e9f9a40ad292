//! The guard as a child process of the test.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use davylamp_testkit::kernel_test::{GUARD_ARGUMENTS, GUARD_PATH, Record};
use rustix::process::{Pid, PidfdFlags};

use crate::launch::wait_readable;

/// How often the log is looked at while the ready line is awaited: fine enough for a figure in
/// milliseconds, coarse enough not to compete with the guard for an emulated processor.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A running guard. Its log goes to a file, not a pipe: a test that is busy elsewhere must not
/// stop the guard by a full pipe, and the log must outlive the guard.
pub struct Guard {
    child: Child,
    handle: OwnedFd,
    log: PathBuf,
    started: Instant,
    /// The first line and the moment it was seen, counted from the start.
    first_line: Option<(String, Duration)>,
}

impl Guard {
    /// Starts the guard; `life` numbers its log.
    pub fn start(life: u32) -> anyhow::Result<Self> {
        let log = PathBuf::from(format!("/run/guard-{life}.jsonl"));
        let output = File::create(&log).context("cannot make the guard's log")?;
        let started = Instant::now();
        let child = Command::new(GUARD_PATH)
            .args(GUARD_ARGUMENTS)
            .env_clear()
            .env("PATH", "/bin")
            .env("HOME", "/run")
            .stdin(Stdio::null())
            .stdout(output)
            .spawn()
            .with_context(|| format!("cannot start {GUARD_PATH}"))?;
        let pid = Pid::from_child(&child);
        let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty())
            .context("cannot watch the guard")?;
        Ok(Self {
            child,
            handle,
            log,
            started,
            first_line: None,
        })
    }

    /// Looks once whether the first line is there, and notes when.
    pub fn look(&mut self) -> anyhow::Result<()> {
        if self.first_line.is_none() {
            let text = fs::read_to_string(&self.log).context("cannot read the guard's log")?;
            if let Some((line, _)) = text.split_once('\n') {
                self.first_line = Some((line.to_owned(), self.started.elapsed()));
            }
        }
        Ok(())
    }

    /// Waits for the first line and checks that it says ready.
    pub fn wait_ready(&mut self, limit: Duration) -> anyhow::Result<Record> {
        loop {
            // Before the log: what a guard wrote just before it died is still seen.
            let died = wait_readable(&self.handle, LOOK_EVERY)?;
            self.look()?;
            if let Some((line, after)) = &self.first_line {
                let value: serde_json::Value = serde_json::from_str(line)
                    .with_context(|| format!("the guard's first line is not JSON: {line}"))?;
                if value.get("event").and_then(|event| event.as_str()) != Some("ready") {
                    bail!("the guard's first line does not say ready: {line}");
                }
                let record = Record::Ready {
                    attach_ms: after.as_millis() as u64,
                    line: line.clone(),
                };
                self.check_alive()?;
                return Ok(record);
            }
            if died {
                let status = self.child.wait().context("cannot reap the guard")?;
                bail!("the guard ended with {status} before it was ready; see the transcript");
            }
            if self.started.elapsed() > limit {
                bail!("the guard was not ready within {} ms", limit.as_millis());
            }
        }
    }

    /// Fails if the guard is no longer there.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait().context("cannot look at the guard")? {
            None => Ok(()),
            Some(status) => bail!("the guard ended by itself with {status}"),
        }
    }

    /// Ends the guard by SIGKILL, which it can neither notice nor delay, and sums up its log.
    pub fn kill(mut self) -> anyhow::Result<Record> {
        self.child.kill().context("cannot kill the guard")?;
        self.child.wait().context("cannot reap the guard")?;
        let text = fs::read_to_string(&self.log).context("cannot read the guard's log")?;
        // The last line may be cut by the kill: only what ends with a line feed counts.
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let (mut lines, mut killed, mut malformed) = (0, 0, 0);
        for line in complete.lines().skip(1) {
            lines += 1;
            match serde_json::from_str::<serde_json::Value>(line) {
                Ok(value) if value.is_object() => {
                    killed += u64::from(
                        value.get("action").and_then(|action| action.as_str()) == Some("killed"),
                    );
                }
                Ok(_) | Err(_) => malformed += 1,
            }
        }
        Ok(Record::Log {
            lines,
            killed,
            malformed,
        })
    }
}
