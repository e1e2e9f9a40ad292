//! One `davy guard`, started for a measurement and ended with it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::machine::field;

/// The tracepoint that the exec program is attached to, as the kernel names it.
const TRACEPOINT: &str = "sched_process_exec";
/// The switch of the kernel's own statistics of BPF programs.
const STATISTICS: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// A guard that is in force. It pins nothing, so it ends when this is dropped.
pub struct Guard {
    child: Child,
    pid: Pid,
    log: BufReader<ChildStdout>,
    /// Its first line.
    pub ready: Value,
    /// From its start to that line.
    pub load: Duration,
}

/// What the kernel says of the exec program so far.
#[derive(Debug, Clone, Copy)]
pub struct RunTime {
    pub ns: u64,
    pub runs: u64,
}

impl Guard {
    /// Starts a guard and waits until it says that it is ready.
    pub fn start(davy: &Path, blocklist: &Path) -> anyhow::Result<Self> {
        let began = Instant::now();
        let mut child = Command::new(davy)
            .args(["guard", "--no-pin", "--config", "/dev/null", "--blocklist"])
            .arg(blocklist)
            // The storms shall neither wait for log lines nor lose any.
            .args(["--set", "guard.log.events_per_second=100000"])
            .args(["--set", "guard.log.burst=100000"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", davy.display()))?;
        let mut log = BufReader::new(child.stdout.take().context("the guard has no output")?);
        let mut line = String::new();
        log.read_line(&mut line)
            .context("cannot read the guard's log")?;
        let load = began.elapsed();
        let pid = Pid::from_child(&child);
        let ready: Value = match serde_json::from_str(&line) {
            Ok(ready) => ready,
            Err(_) => {
                let status = child.wait().context("cannot wait for the guard")?;
                bail!("the guard did not start ({status}); run `davy guard --no-pin` to see why");
            }
        };
        Ok(Self {
            child,
            pid,
            log,
            ready,
            load,
        })
    }

    /// The next line of its log.
    pub fn line(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        self.log
            .read_line(&mut line)
            .context("cannot read the guard's log")?;
        serde_json::from_str(&line).context("the guard's log ended")
    }

    /// Lets it read its lists anew; how long that took by its own account.
    pub fn reload(&mut self) -> anyhow::Result<Duration> {
        kill_process(self.pid, Signal::HUP).context("cannot signal the guard")?;
        loop {
            let line = self.line()?;
            if line["event"] == "reloaded" {
                let took = line["took_us"].as_u64().context("the log lacks took_us")?;
                return Ok(Duration::from_micros(took));
            }
        }
    }

    /// The exec program's run time so far, if the kernel counts it.
    pub fn run_time(&self) -> anyhow::Result<RunTime> {
        let descriptors = self.descriptors()?;
        let program = descriptors
            .iter()
            .find(|text| field(text, "tp_name") == Some(TRACEPOINT))
            .and_then(|text| field(text, "prog_id"))
            .context("the guard's link is not among its descriptors")?;
        let text = descriptors
            .iter()
            .find(|text| {
                field(text, "run_cnt").is_some() && field(text, "prog_id") == Some(program)
            })
            .context("the guard's program is not among its descriptors")?;
        let number = |name| field(text, name)?.parse().ok();
        Ok(RunTime {
            ns: number("run_time_ns").context("the kernel does not tell run times")?,
            runs: number("run_cnt").context("the kernel does not count runs")?,
        })
    }

    /// What /proc says of its descriptors.
    fn descriptors(&self) -> anyhow::Result<Vec<String>> {
        let folder = self.proc("fdinfo");
        let entries = fs::read_dir(&folder).context("cannot list the guard's descriptors")?;
        // One that is closed meanwhile is none of those looked for.
        Ok(entries
            .flatten()
            .filter_map(|entry| fs::read_to_string(entry.path()).ok())
            .collect())
    }

    fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.child.id()))
    }

    /// Resident memory now and at most, in KiB.
    pub fn memory_kib(&self) -> anyhow::Result<(u64, u64)> {
        let status = fs::read_to_string(self.proc("status")).context("cannot read its status")?;
        let kib = |name| {
            let value = field(&status, name)?.trim_end_matches(" kB");
            value.parse().ok()
        };
        kib("VmRSS")
            .zip(kib("VmHWM"))
            .context("its status lacks its memory")
    }

    /// Processor time its threads used so far.
    pub fn cpu_ns(&self) -> anyhow::Result<u64> {
        let threads = fs::read_dir(self.proc("task")).context("cannot list its threads")?;
        let mut sum = 0;
        for thread in threads.flatten() {
            let text = fs::read_to_string(thread.path().join("schedstat"))
                .context("cannot read schedstat")?;
            let first = text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok());
            sum += first.context("schedstat is garbled")?;
        }
        Ok(sum)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        let _ = kill_process(self.pid, Signal::KILL);
        drop(self.child.wait());
    }
}

/// Keeps the kernel's statistics of BPF programs on, and puts the switch back afterwards.
pub struct Statistics {
    before: String,
}

impl Statistics {
    pub fn on() -> anyhow::Result<Self> {
        let before =
            fs::read_to_string(STATISTICS).with_context(|| format!("cannot read {STATISTICS}"))?;
        fs::write(STATISTICS, "1").with_context(|| format!("cannot write {STATISTICS}"))?;
        Ok(Self { before })
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        // Nothing else can be done; the switch costs every BPF program two readings of the clock.
        drop(fs::write(STATISTICS, self.before.trim()));
    }
}

/// Makes a blocklist file.
pub fn write_list(folder: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
