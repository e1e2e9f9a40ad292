//! The real `davy guard` as a child of a test: started, read, killed, started again, cleaned up.
//!
//! What must stay true: nothing that a test pinned outlives its [`Guard`], also when the test
//! panics, and no banned string stands on any command line here; lists are files.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long the guard may take to its ready line, on a machine where others compile.
pub const READY_DEADLINE: Duration = Duration::from_secs(30);
/// How long a line of the log may take that is said at once.
pub const LINE_DEADLINE: Duration = Duration::from_secs(20);

/// Tables that switch every sense off: each is about all processes of the machine.
pub const WITHOUT_SENSES: &str = "[guard.files]\nscan = \"off\"\n\
    [guard.wire]\nprotocols = \"off\"\nnames = \"off\"\naddresses = \"off\"\nrhythm = false\n\
    [guard.behaviour]\nrounding = false\nsample_secs = 0\n";

const BPF_FS: &str = "/sys/fs/bpf";
/// Magic number of the BPF file system (include/uapi/linux/magic.h).
const BPF_FS_MAGIC: u32 = 0xcafe_4a11;

/// What a guard is started with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The `davy` program: `env!("CARGO_BIN_EXE_davy")`.
    pub davy: PathBuf,
    /// The text of the blocklist, YAML.
    pub blocklist: String,
    /// The text of `davy.toml`.
    pub config: String,
    /// Whether to pin, so that the guard outlives its agent.
    pub pin: bool,
}

impl Setup {
    /// Pins, and all settings at their defaults but for the container sockets, of which a test has none,
    /// and the detections and senses, which are about other tests' processes as well.
    pub fn new(davy: impl Into<PathBuf>, blocklist: impl Into<String>) -> Self {
        Self {
            davy: davy.into(),
            blocklist: blocklist.into(),
            config: format!(
                "[guard.containers]\ncri_sockets = []\ndocker_sockets = []\n\
                 [guard.detections]\nenabled = false\n{WITHOUT_SENSES}"
            ),
            pin: true,
        }
    }

    /// Adds text to the configuration, such as a table of its own.
    #[must_use]
    pub fn with_config(mut self, more: &str) -> Self {
        self.config.push_str(more);
        self
    }

    /// Without pins: the guard ends with its agent.
    #[must_use]
    pub fn without_pins(mut self) -> Self {
        self.pin = false;
        self
    }
}

/// A word that no other test bans and no other process carries: `davytest` and letters that differ
/// for each call and each process.
pub fn unique_word() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let mut seed = (now.tv_sec as u64) << 30 ^ now.tv_nsec as u64;
    seed ^= u64::from(std::process::id()) << 44;
    seed = seed.wrapping_add(u64::from(NEXT.fetch_add(1, Ordering::Relaxed)) << 20);
    let mut word = "davytest".to_owned();
    for _ in 0..12 {
        word.push(char::from(b'a' + (seed % 26) as u8));
        seed /= 26;
    }
    word
}

/// The log's lines as they come, for several threads.
#[derive(Default)]
struct Lines {
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Default)]
struct Seen {
    events: Vec<Value>,
    garbled: Vec<String>,
    has_ended: bool,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, out: ChildStdout) {
        let mut out = BufReader::new(out);
        let mut line = String::new();
        while matches!(out.read_line(&mut line), Ok(1..)) {
            let mut seen = self.lock();
            match serde_json::from_str(&line) {
                Ok(event) => seen.events.push(event),
                // SIGKILL may cut the last line short; anything else is a fault.
                Err(_) if !line.ends_with('\n') => {}
                Err(_) => seen.garbled.push(line.clone()),
            }
            self.changed.notify_all();
            line.clear();
        }
        self.lock().has_ended = true;
        self.changed.notify_all();
    }
}

struct Life {
    child: Child,
    lines: Arc<Lines>,
    reader: Option<JoinHandle<()>>,
}

impl Life {
    /// Waits until everything the agent wrote is read. It must have ended.
    fn finish(mut self) -> anyhow::Result<Vec<Value>> {
        self.child.wait().context("cannot reap the guard")?;
        if let Some(reader) = self.reader.take() {
            ensure!(reader.join().is_ok(), "the reader of the log panicked");
        }
        let mut seen = self.lines.lock();
        ensure!(
            seen.garbled.is_empty(),
            "lines that are no JSON: {:?}",
            seen.garbled
        );
        Ok(std::mem::take(&mut seen.events))
    }
}

/// A `davy guard` and what it pinned.
pub struct Guard {
    setup: Setup,
    folder: tempfile::TempDir,
    pin_dir: Option<PathBuf>,
    life: Option<Life>,
}

impl Guard {
    /// Starts a guard and waits until it says ready.
    ///
    /// # Errors
    /// It did not start, with what it said on standard error.
    pub fn start(setup: Setup) -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        ensure!(
            rustix::process::geteuid().is_root(),
            "the kill tests load kernel programs: run them as root"
        );
        let folder = tempfile::tempdir().context("cannot make a folder for the guard")?;
        let pin_dir = if setup.pin {
            mount_bpf_fs()?;
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("davytest-{}-{number}", std::process::id());
            Some(Path::new(BPF_FS).join(name))
        } else {
            None
        };
        fs::write(folder.path().join("davy.toml"), &setup.config).context("cannot configure")?;
        let mut guard = Self {
            setup,
            folder,
            pin_dir,
            life: None,
        };
        let blocklist = guard.setup.blocklist.clone();
        guard.write_list(&blocklist)?;
        guard.restart()?;
        Ok(guard)
    }

    /// Starts the agent, again if it was killed or stopped, and waits until it says ready. Returns
    /// its ready line.
    ///
    /// # Errors
    /// It did not start, with what it said on standard error.
    pub fn restart(&mut self) -> anyhow::Result<Value> {
        if self.life.is_some() {
            self.kill()?;
        }
        let errors = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("stderr"))
            .context("cannot open the guard's standard error")?;
        let mut command = Command::new(&self.setup.davy);
        command
            .arg("guard")
            .args(["--config", "davy.toml", "--blocklist", "list.yaml"])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors);
        match &self.pin_dir {
            Some(dir) => command.arg("--pin-dir").arg(dir),
            None => command.arg("--no-pin"),
        };
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.setup.davy.display()))?;
        let out = child.stdout.take().context("the guard has no output")?;
        let lines = Arc::new(Lines::default());
        let sink = Arc::clone(&lines);
        let reader = std::thread::spawn(move || sink.read(out));
        self.life = Some(Life {
            child,
            lines,
            reader: Some(reader),
        });
        let first = self.wait_for("its first line", READY_DEADLINE, |_| true)?;
        ensure!(
            first["event"] == "ready",
            "the guard's first line does not say ready: {first}"
        );
        Ok(first)
    }

    /// The agent's pid.
    ///
    /// # Errors
    /// No agent runs.
    pub fn pid(&self) -> anyhow::Result<Pid> {
        Ok(Pid::from_child(&self.life()?.child))
    }

    /// The folder that holds `list.yaml` and `davy.toml`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it pins, if it does.
    pub fn pin_dir(&self) -> Option<&Path> {
        self.pin_dir.as_deref()
    }

    /// A map that it pinned.
    ///
    /// # Errors
    /// There is not exactly one of the name.
    pub fn pinned(&self, name: &str) -> anyhow::Result<PathBuf> {
        let dir = self.pin_dir.as_deref().context("this guard pins nothing")?;
        let entries = fs::read_dir(dir).context("cannot list the pins")?;
        let found: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path().join(name)))
            .filter(|path| path.exists())
            .collect();
        match found.as_slice() {
            [one] => Ok(one.clone()),
            _ => bail!("{} pins named {name} in {}", found.len(), dir.display()),
        }
    }

    /// Replaces the blocklist's file in one step. The agent sees it within a second, or on
    /// [`Guard::hang_up`].
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_list(&self, text: &str) -> anyhow::Result<()> {
        let fresh = self.folder.path().join("list.yaml.new");
        fs::write(&fresh, text).context("cannot write the blocklist")?;
        fs::rename(&fresh, self.folder.path().join("list.yaml"))
            .context("cannot replace the blocklist")
    }

    /// Sends SIGHUP: read the lists again.
    ///
    /// # Errors
    /// No agent runs.
    pub fn hang_up(&self) -> anyhow::Result<()> {
        kill_process(self.pid()?, Signal::HUP).context("cannot signal the guard")
    }

    /// Waits for a line of this life that `wanted` accepts; lines already there count.
    ///
    /// # Errors
    /// There is none before the deadline, or the agent ended; with what it said.
    pub fn wait_for(
        &self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        self.wait_for_after(&mut 0, what, limit, wanted)
    }

    /// As [`Guard::wait_for`], from the line `from` on, which is moved behind what was found.
    ///
    /// # Errors
    /// As [`Guard::wait_for`].
    pub fn wait_for_after(
        &self,
        from: &mut usize,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let began = Instant::now();
        let lines = &self.life()?.lines;
        let mut seen = lines.lock();
        loop {
            while let Some(event) = seen.events.get(*from) {
                *from += 1;
                if wanted(event) {
                    return Ok(event.clone());
                }
            }
            let left = limit.saturating_sub(began.elapsed());
            if seen.has_ended || left.is_zero() {
                let ended = if seen.has_ended {
                    "the guard ended"
                } else {
                    "time ran out"
                };
                bail!(
                    "{ended} before {what}; last of {} lines: {:?}; standard error: {}",
                    seen.events.len(),
                    seen.events.last(),
                    self.errors()
                );
            }
            seen = lines
                .changed
                .wait_timeout(seen, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// The lines of this life so far.
    ///
    /// # Errors
    /// No agent runs, or a line was no JSON.
    pub fn events(&self) -> anyhow::Result<Vec<Value>> {
        let seen = self.life()?.lines.lock();
        ensure!(
            seen.garbled.is_empty(),
            "lines that are no JSON: {:?}",
            seen.garbled
        );
        Ok(seen.events.clone())
    }

    /// How many lines there are so far: a place to look on from with [`Guard::wait_for_after`].
    ///
    /// # Errors
    /// No agent runs.
    pub fn line_count(&self) -> anyhow::Result<usize> {
        Ok(self.life()?.lines.lock().events.len())
    }

    /// Ends the agent by SIGKILL, which it can neither notice nor delay. Returns its log.
    ///
    /// # Errors
    /// No agent runs, or a line was no JSON.
    pub fn kill(&mut self) -> anyhow::Result<Vec<Value>> {
        let mut life = self.life.take().context("no agent runs")?;
        life.child.kill().context("cannot kill the guard")?;
        life.finish()
    }

    /// Asks the agent to end by SIGTERM. Returns its log.
    ///
    /// # Errors
    /// It did not end well within [`LINE_DEADLINE`].
    pub fn stop(&mut self) -> anyhow::Result<Vec<Value>> {
        kill_process(self.pid()?, Signal::TERM).context("cannot signal the guard")?;
        self.wait_for("its last line", LINE_DEADLINE, |event| {
            event["event"] == "stopped"
        })?;
        let mut life = self.life.take().context("no agent runs")?;
        let status = life.child.wait().context("cannot reap the guard")?;
        ensure!(
            status.success(),
            "the guard ended with {status}: {}",
            self.errors()
        );
        life.finish()
    }

    /// Everything the agents wrote on standard error.
    pub fn errors(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    fn life(&self) -> anyhow::Result<&Life> {
        self.life.as_ref().context("no agent runs")
    }
}

impl Drop for Guard {
    /// Ends the agent and removes its pins, whatever happened.
    fn drop(&mut self) {
        if let Some(mut life) = self.life.take() {
            let _ = life.child.kill();
            let _ = life.finish();
        }
        let Some(dir) = &self.pin_dir else { return };
        let _ = Command::new(&self.setup.davy)
            .args(["guard", "--detach", "--pin-dir"])
            .arg(dir)
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .status();
        // Whatever the program left, a pin is a file.
        let _ = fs::remove_dir_all(dir);
    }
}

fn mount_bpf_fs() -> anyhow::Result<()> {
    let is_there =
        rustix::fs::statfs(BPF_FS).is_ok_and(|statistics| statistics.f_type as u32 == BPF_FS_MAGIC);
    if is_there {
        return Ok(());
    }
    let path = CString::new(BPF_FS)?;
    // SAFETY: all strings end in NUL and no data is passed.
    let failed = unsafe {
        libc::mount(
            c"bpf".as_ptr(),
            path.as_ptr(),
            c"bpf".as_ptr(),
            0,
            std::ptr::null(),
        )
    } != 0;
    if failed {
        return Err(std::io::Error::last_os_error()).context("cannot mount the BPF file system");
    }
    Ok(())
}
