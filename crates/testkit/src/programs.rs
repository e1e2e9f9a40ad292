//! Starting the witness program in every way a program can be started, and seeing its fate.
//!
//! The witness (`programs/first_write.S`) writes a byte to descriptor 3 with its first
//! instructions, so a pipe that stays empty proves that nothing of it ran.
//!
//! A process is made by fork, and between fork and exec the child does nothing but system calls on
//! what was prepared before: the test has other threads.

use std::fs;
use std::io::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags};

mod flood;
mod launch;
mod words;

pub use flood::FailingExecs;
pub use launch::{Call, Circumstance, Launch};
pub use words::{Word, Words};

/// The witness's source. Within the program, because builds of several clones share one folder: a
/// path would be that of whichever clone was built.
const FIRST_WRITE: &str = include_str!("../programs/first_write.S");

/// The descriptor to which the witness writes.
pub const WITNESS_FD: RawFd = 3;
/// The exit status of a child whose exec failed with ENOENT, E2BIG or anything else: this much
/// plus the errno. The witness itself leaves with 0 or 1.
pub const EXEC_FAILED: i32 = 64;
/// The exit status of a child that could not even try.
pub const NOT_TRIED: i32 = 63;
/// A relay (the first process of a namespace) leaves with this where its child was killed.
const RELAYED_KILL: i32 = 62;
/// How long a program may take from fork to its end, on a machine where others compile.
const END_DEADLINE: Duration = Duration::from_secs(30);
/// Below this the pipe's write end must not be, or `dup2` to [`WITNESS_FD`] could be a no-op that
/// keeps close-on-exec.
const LOWEST_PIPE_FD: RawFd = 10;

/// The assembled witness, built once for each build of the tests.
///
/// # Errors
/// There is no C compiler, or it refused.
pub fn first_write() -> anyhow::Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}"))) {
        Ok(path) => Ok(path),
        Err(error) => bail!("{error}"),
    }
}

fn build() -> anyhow::Result<PathBuf> {
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(FIRST_WRITE));
    let tests = std::env::current_exe().context("cannot tell where the tests are")?;
    let folder = tests.parent().context("the tests are in no folder")?;
    let built = folder.join(format!("first_write-{}", &digest[..16]));
    if built.exists() {
        return Ok(built);
    }
    // Other tests build it at the same time: each its own, and the last one stays.
    let own = folder.join(format!(
        "first_write-{}.{}",
        &digest[..16],
        std::process::id()
    ));
    let mut compiler = Command::new("cc")
        .args(["-nostdlib", "-static", "-o"])
        .arg(&own)
        .args(["-x", "assembler-with-cpp", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run cc: install gcc or clang")?;
    if let Some(mut source) = compiler.stdin.take() {
        let written = source.write_all(FIRST_WRITE.as_bytes());
        written.context("cc does not read its source")?;
    }
    let output = compiler.wait_with_output().context("cc does not end")?;
    ensure!(
        output.status.success(),
        "cc cannot build the witness: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::rename(&own, &built).context("cannot keep the witness")?;
    Ok(built)
}

/// A folder that every user can reach, with the witness in it.
pub struct Programs {
    folder: tempfile::TempDir,
}

impl Programs {
    /// Puts the witness into a new folder.
    ///
    /// # Errors
    /// It cannot be built or copied.
    pub fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder for programs")?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let programs = Self { folder };
        programs.copy("first_write")?;
        Ok(programs)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The witness.
    pub fn witness(&self) -> PathBuf {
        self.folder.path().join("first_write")
    }

    /// A copy of the witness of its own inode, below the folder.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn copy(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.path().join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).context("cannot make a folder")?;
        }
        fs::copy(first_write()?, &path).context("cannot copy the witness")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    /// A copy that runs as `owner` whoever starts it.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn setuid_copy(&self, name: &str, owner: u32) -> anyhow::Result<PathBuf> {
        let path = self.copy(name)?;
        chown(&path, Some(owner), Some(owner)).context("cannot give the witness away")?;
        // After chown, which clears the bit.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4755))?;
        Ok(path)
    }

    /// A script whose first line names `interpreter` and what follows it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn script(&self, name: &str, interpreter: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::write(&path, format!("#!{interpreter}\n")).context("cannot write a script")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    /// The witness in memory only, under this name.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn in_memory(&self, name: &str) -> anyhow::Result<OwnedFd> {
        let memory = rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC)
            .context("cannot make a file in memory")?;
        let program = fs::read(self.witness()).context("cannot read the witness")?;
        let written = rustix::io::write(&memory, &program).context("cannot fill the memory")?;
        ensure!(written == program.len(), "the file in memory is not whole");
        Ok(memory)
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// Not within the deadline; the test killed it.
    Stuck,
}

/// What became of one launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The process that the test started.
    pub pid: u32,
    /// Whether that was a relay, and the witness its child.
    pub is_relay: bool,
    /// How the witness ended.
    pub end: End,
    /// Bytes it wrote.
    pub wrote: u64,
}

impl Outcome {
    /// Killed, and not an instruction of it ran.
    pub fn is_killed_unrun(&self) -> bool {
        self.end == End::Signalled(libc::SIGKILL) && self.wrote == 0
    }

    /// It ran, wrote its byte and left in peace.
    pub fn is_unharmed(&self) -> bool {
        self.end == End::Exited(0) && self.wrote == 1
    }

    /// The errno with which its exec failed.
    pub fn exec_error(&self) -> Option<i32> {
        match self.end {
            End::Exited(status) if status > EXEC_FAILED => Some(status - EXEC_FAILED),
            _ => None,
        }
    }
}

/// A pipe on which witnesses testify, and the place from which they are started. One for each
/// thread.
pub struct Stage {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Stage {
    /// Opens the pipe.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub fn new() -> anyhow::Result<Self> {
        let (reader, writer) =
            pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).context("cannot make a pipe")?;
        // SAFETY: the descriptor is open; the call makes a new one that nobody else owns.
        let raised =
            unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_DUPFD_CLOEXEC, LOWEST_PIPE_FD) };
        ensure!(raised >= 0, "cannot move the pipe's end");
        // SAFETY: fcntl has just returned it, so it is open and ours alone.
        let writer = unsafe { OwnedFd::from_raw_fd(raised) };
        Ok(Self { reader, writer })
    }

    /// Starts a program and waits for its end.
    ///
    /// # Errors
    /// The test's own means failed; never what the program or the guard did.
    pub fn run(&self, launch: &Launch) -> anyhow::Result<Outcome> {
        let pid = launch.start(self.writer.as_raw_fd())?;
        let status = self.status_of(pid, launch.is_traced())?;
        let is_relay = launch.is_relayed();
        let end = match status {
            None => End::Stuck,
            Some(status) if libc::WIFSIGNALED(status) => End::Signalled(libc::WTERMSIG(status)),
            Some(status) if is_relay && libc::WEXITSTATUS(status) == RELAYED_KILL => {
                End::Signalled(libc::SIGKILL)
            }
            Some(status) => End::Exited(libc::WEXITSTATUS(status)),
        };
        let pid = pid.as_raw_pid().cast_unsigned();
        Ok(Outcome {
            pid,
            is_relay,
            end,
            wrote: self.drain()?,
        })
    }

    /// Waits for a process's end; lets it go on where its tracer, this thread, stopped it.
    fn status_of(&self, pid: Pid, is_traced: bool) -> anyhow::Result<Option<i32>> {
        let began = Instant::now();
        let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty())
            .context("cannot watch a program")?;
        let mut is_stuck = false;
        loop {
            // A stop of a traced process does not show on the descriptor.
            let glance = if is_traced {
                Duration::from_millis(1)
            } else {
                END_DEADLINE
            };
            wait_readable(&handle, glance)?;
            let mut status = 0;
            let raw = pid.as_raw_pid();
            // SAFETY: the process is this thread's child, and the status is ours to write.
            let found =
                unsafe { libc::waitpid(raw, &raw mut status, libc::WNOHANG | libc::__WALL) };
            if found == raw && libc::WIFSTOPPED(status) {
                let signal = match libc::WSTOPSIG(status) {
                    libc::SIGTRAP => 0,
                    other => other,
                };
                // SAFETY: the process is stopped and traced by this thread; no memory is passed.
                unsafe { libc::ptrace(libc::PTRACE_SYSCALL, raw, 0, signal) };
            } else if found == raw {
                return Ok((!is_stuck).then_some(status));
            } else if found < 0 {
                return Err(std::io::Error::last_os_error()).context("cannot reap a program");
            }
            if began.elapsed() > END_DEADLINE && !is_stuck {
                is_stuck = true;
                rustix::process::kill_process(pid, rustix::process::Signal::KILL)
                    .context("cannot end a program")?;
            }
        }
    }

    /// Counts and removes the bytes in the pipe.
    fn drain(&self) -> anyhow::Result<u64> {
        let mut bytes = [0u8; 64];
        let mut total = 0;
        loop {
            match rustix::io::read(self.reader.as_fd(), &mut bytes) {
                Ok(0) => bail!("the witness's pipe lost its writer"),
                Ok(count) => total += count as u64,
                Err(Errno::AGAIN) => return Ok(total),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("cannot read the witness's pipe"),
            }
        }
    }
}

/// Waits until `handle` is readable; for a pidfd, until its process has ended.
fn wait_readable(handle: &OwnedFd, limit: Duration) -> anyhow::Result<bool> {
    let limit = Timespec::try_from(limit).context("the time limit is out of range")?;
    loop {
        let mut watched = [PollFd::new(handle, PollFlags::IN)];
        match poll(&mut watched, Some(&limit)) {
            Ok(count) => return Ok(count > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait for a process"),
        }
    }
}
