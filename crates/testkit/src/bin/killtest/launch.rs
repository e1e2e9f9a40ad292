//! One exec of the witness in one of the ways, and what became of it.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::ptr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use davylamp_testkit::kernel_test::{Outcomes, WITNESS_PATH, Way};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus};

/// The descriptor to which the witness writes.
const WITNESS_FD: RawFd = 3;
/// Below this the pipe's write end must not be, or `dup2` to [`WITNESS_FD`] could be a no-op that
/// keeps close-on-exec.
const LOWEST_PIPE_FD: RawFd = 10;
/// The exit status of a child whose exec failed. The witness itself leaves with 0 or 1.
const EXEC_FAILED: i32 = 127;
/// The padding in front of the string: below the kernel's limit for one argument (128 KiB).
const PADDING_BYTES: usize = 100 * 1024;
/// The number of arguments in front of the string, well above what loop-bounded readers follow.
const MANY_ARGUMENTS: usize = 1000;

/// How the child calls the kernel.
enum Call {
    Path(CString),
    Memory(OwnedFd),
    Thread(CString),
}

/// An exec made ready once and run many times. Everything is allocated beforehand, because the
/// child of a fork should do nothing but the system calls.
pub struct Launch {
    call: Call,
    // The pointer arrays point into these.
    _arguments: Vec<CString>,
    _environment: Vec<CString>,
    argument_pointers: Vec<*const libc::c_char>,
    environment_pointers: Vec<*const libc::c_char>,
}

/// Pointers that a thread of the child may read.
#[derive(Clone, Copy)]
struct ExecPointers {
    path: *const libc::c_char,
    arguments: *const *const libc::c_char,
    environment: *const *const libc::c_char,
}

// SAFETY: the pointers lead to memory that nobody writes and that lives until the process image
// is replaced.
unsafe impl Send for ExecPointers {}

impl Launch {
    /// Prepares the exec that carries `text` in `way`; `folder` is where files may be made.
    pub fn new(way: Way, text: &str, folder: &Path) -> anyhow::Result<Self> {
        let plain = |words: &[&[u8]]| words.iter().map(|word| word.to_vec()).collect::<Vec<_>>();
        let text = text.as_bytes();
        let name: &[u8] = b"first_write";
        let mut call = Call::Path(c_string(WITNESS_PATH.as_bytes())?);
        let mut environment = Vec::new();
        let arguments = match way {
            Way::Argument => plain(&[name, b"--work", text]),
            Way::OtherCase => plain(&[name, b"--work", &text.to_ascii_uppercase()]),
            Way::Padded => plain(&[name, &vec![b'p'; PADDING_BYTES], text]),
            Way::ManyArguments => {
                let mut words = plain(&[name]);
                words.extend((0..MANY_ARGUMENTS).map(|n| format!("w{n}").into_bytes()));
                words.push(text.to_vec());
                words
            }
            Way::NotUtf8 => plain(&[name, &[b"\xff", text].concat()]),
            // The caller gives the whole text of a decoy, with or without the string behind it.
            Way::Decoy => {
                let mut words = plain(&[name]);
                words.extend(text.split(|byte| *byte == b' ').map(<[u8]>::to_vec));
                words
            }
            Way::Argv0 => plain(&[text]),
            Way::Path => {
                let path = folder.join(OsStr::from_bytes(text));
                if !path.exists() {
                    fs::hard_link(WITNESS_PATH, &path).context("cannot link the witness")?;
                }
                call = Call::Path(c_string(path.as_os_str().as_bytes())?);
                plain(&[name])
            }
            Way::ScriptLine => {
                let line = [WITNESS_PATH.as_bytes(), b" ", text].concat();
                let path = script(folder, &[b"line-", &text[text.len() / 2..]].concat(), &line)?;
                call = Call::Path(path);
                plain(&[b"script"])
            }
            Way::ScriptArgument => {
                call = Call::Path(script(folder, b"plain", WITNESS_PATH.as_bytes())?);
                plain(&[b"script", text])
            }
            Way::Memfd => {
                call = Call::Memory(in_memory()?);
                plain(&[name, text])
            }
            Way::Thread => {
                call = Call::Thread(c_string(WITNESS_PATH.as_bytes())?);
                plain(&[name, text])
            }
            Way::Environment => {
                environment.push(c_string(&[b"POOL=", text].concat())?);
                plain(&[name])
            }
        };
        let arguments = arguments
            .iter()
            .map(|word| c_string(word))
            .collect::<anyhow::Result<Vec<_>>>()?;
        environment.push(c_string(b"PATH=/bin")?);
        Ok(Self {
            call,
            argument_pointers: pointers(&arguments),
            environment_pointers: pointers(&environment),
            _arguments: arguments,
            _environment: environment,
        })
    }

    /// Replaces this process. Returns only if the kernel refused. For the child of a fork.
    fn exec(&self) {
        let arguments = self.argument_pointers.as_ptr();
        let environment = self.environment_pointers.as_ptr();
        match &self.call {
            // SAFETY: the arrays end with a null pointer and point to C strings owned by self.
            Call::Path(path) => unsafe {
                libc::execve(path.as_ptr(), arguments, environment);
            },
            // SAFETY: as above; the path is a C string, and empty as AT_EMPTY_PATH wants it.
            Call::Memory(program) => unsafe {
                libc::syscall(
                    libc::SYS_execveat,
                    program.as_raw_fd(),
                    c"".as_ptr(),
                    arguments,
                    environment,
                    libc::AT_EMPTY_PATH,
                );
            },
            Call::Thread(path) => {
                let pointers = ExecPointers {
                    path: path.as_ptr(),
                    arguments,
                    environment,
                };
                let caller = std::thread::spawn(move || {
                    // Taken whole, so that the closure captures the type that may be sent.
                    let pointers = pointers;
                    // SAFETY: as above; the leader waits for this thread and keeps self alive.
                    unsafe {
                        libc::execve(pointers.path, pointers.arguments, pointers.environment);
                    }
                });
                // Whether or not the thread panicked, the exec has not happened.
                drop(caller.join());
            }
        }
    }
}

fn c_string(bytes: &[u8]) -> anyhow::Result<CString> {
    CString::new(bytes).context("a word of the test holds a zero byte")
}

fn pointers(words: &[CString]) -> Vec<*const libc::c_char> {
    words
        .iter()
        .map(|word| word.as_ptr())
        .chain([ptr::null()])
        .collect()
}

fn script(folder: &Path, name: &[u8], interpreter: &[u8]) -> anyhow::Result<CString> {
    let path = folder.join(OsStr::from_bytes(name));
    fs::write(&path, [b"#!", interpreter, b"\n"].concat()).context("cannot write a script")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
        .context("cannot make a script executable")?;
    c_string(path.as_os_str().as_bytes())
}

fn in_memory() -> anyhow::Result<OwnedFd> {
    let memory = rustix::fs::memfd_create("program", MemfdFlags::CLOEXEC)
        .context("cannot make a file in memory")?;
    let program = fs::read(WITNESS_PATH).context("cannot read the witness")?;
    let mut file = File::from(memory);
    file.write_all(&program)
        .context("cannot fill the file in memory")?;
    Ok(file.into())
}

/// The place where programs are started and their fate is seen.
pub struct Stage {
    reader: OwnedFd,
    writer: OwnedFd,
    exec_deadline: Duration,
}

impl Stage {
    /// Opens the pipe on which the witness testifies.
    pub fn new(exec_deadline: Duration) -> anyhow::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
            .context("cannot make the witness's pipe")?;
        // SAFETY: the descriptor is open; F_DUPFD_CLOEXEC gives a new one that nobody else owns.
        let raised =
            unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_DUPFD_CLOEXEC, LOWEST_PIPE_FD) };
        if raised < 0 {
            return Err(std::io::Error::last_os_error()).context("cannot move the pipe's end");
        }
        // SAFETY: fcntl has just returned it, so it is open and ours alone.
        let writer = unsafe { OwnedFd::from_raw_fd(raised) };
        Ok(Self {
            reader,
            writer,
            exec_deadline,
        })
    }

    /// Runs one program from fork to its end.
    pub fn run(&self, launch: &Launch) -> anyhow::Result<Outcomes> {
        let mut outcomes = Outcomes {
            execs: 1,
            ..Outcomes::default()
        };
        // SAFETY: this process has one thread, so the child may go on as any process would; it
        // leaves by exec or _exit and never returns from this block.
        let child = unsafe {
            let child = libc::fork();
            if child == 0 {
                if libc::dup2(self.writer.as_raw_fd(), WITNESS_FD) == WITNESS_FD {
                    launch.exec();
                }
                libc::_exit(EXEC_FAILED);
            }
            child
        };
        let Some(child) = (child > 0).then(|| Pid::from_raw(child)).flatten() else {
            return Err(std::io::Error::last_os_error()).context("cannot fork");
        };
        if !self.ends_in_time(child)? {
            outcomes.stuck = 1;
            rustix::process::kill_process(child, Signal::KILL).context("cannot end a program")?;
        }
        let status = reap(child)?;
        let wrote = self.drain()?;
        outcomes.wrote = wrote;
        if outcomes.stuck == 1 {
            return Ok(outcomes);
        }
        if status.terminating_signal() == Some(libc::SIGKILL) {
            outcomes.killed = 1;
        } else if status.exit_status() == Some(EXEC_FAILED) {
            outcomes.not_executed = 1;
        } else if status.exit_status() == Some(0) && wrote == 1 {
            outcomes.completed = 1;
        }
        Ok(outcomes)
    }

    fn ends_in_time(&self, child: Pid) -> anyhow::Result<bool> {
        let handle = rustix::process::pidfd_open(child, PidfdFlags::empty())
            .context("cannot watch a program")?;
        wait_readable(&handle, self.exec_deadline)
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
pub fn wait_readable(handle: &OwnedFd, limit: Duration) -> anyhow::Result<bool> {
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

fn reap(child: Pid) -> anyhow::Result<WaitStatus> {
    loop {
        match rustix::process::waitpid(Some(child), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(status),
            Ok(None) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot reap a program"),
        }
    }
}
