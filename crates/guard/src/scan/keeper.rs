//! The keeper: compiles the rules, starts workers, and starts those anew that died.
//!
//! It is forked off the agent before that has a thread, a kernel map or a log, and executes nothing: it
//! goes on in the same program. A worker is forked off it with the rules already compiled.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    time::Duration,
};

use rustix::{
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair},
    process::Pid,
};

use super::{Answer, Engine, Limits, MESSAGE_BYTES, RuleError, Source, privilege, worker};

/// A worker that dies sooner than this did not get to a file: the next one waits.
const TOO_SOON: Duration = Duration::from_millis(50);
/// How long the next one waits at most.
const MOST_WAIT: Duration = Duration::from_secs(1);

/// Why files cannot be looked into.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// A system call failed.
    #[error("cannot {doing}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The rules cannot be used.
    #[error(transparent)]
    Rules(#[from] RuleError),
    /// The keeper did not start.
    #[error("the process that looks into files did not start: {0}")]
    Keeper(String),
}

/// A keeper with its workers.
#[derive(Debug)]
pub struct Started {
    /// One socket for each worker.
    pub(super) sockets: Vec<OwnedFd>,
    /// The limits of a search.
    pub(super) limits: Limits,
    /// How many rules there are.
    pub rules: usize,
    /// The keeper.
    pub pid: u32,
}

fn system(doing: &'static str) -> impl FnOnce(rustix::io::Errno) -> ScanError {
    move |errno| ScanError::System {
        doing,
        source: errno.into(),
    }
}

/// Starts a keeper with so many workers. Call it while this process has one thread.
///
/// # Errors
/// [`ScanError`].
pub fn start(sources: &[Source], workers: usize, limits: Limits) -> Result<Started, ScanError> {
    let pair = || {
        socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(system("make a socket for a worker"))
    };
    let (ours, theirs) = pair()?;
    let pairs: Vec<(OwnedFd, OwnedFd)> = (0..workers.max(1))
        .map(|_| pair())
        .collect::<Result<_, _>>()?;
    let (sockets, ends): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    // SAFETY: this process has one thread, so the child's copy of it is whole.
    let pid = unsafe { libc::fork() };
    match pid {
        ..0 => {
            return Err(ScanError::System {
                doing: "fork the process that looks into files",
                source: std::io::Error::last_os_error(),
            });
        }
        0 => {
            drop((ours, sockets));
            keep(sources, &ends, &theirs, limits);
        }
        _ => drop((theirs, ends)),
    }
    let mut message = vec![0; MESSAGE_BYTES];
    let (length, _) = recv(&ours, message.as_mut_slice(), RecvFlags::empty())
        .map_err(system("hear of the process that looks into files"))?;
    let said: Result<usize, String> = serde_json::from_slice(&message[..length])
        .unwrap_or_else(|_| Err("it ended while it started".to_owned()));
    match said {
        Ok(rules) => Ok(Started {
            sockets,
            limits,
            rules,
            pid: pid.unsigned_abs(),
        }),
        Err(why) => {
            // SAFETY: the child is ours; it is ending, and its status is not asked for.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
            Err(ScanError::Keeper(why))
        }
    }
}

fn keep(sources: &[Source], ends: &[OwnedFd], says: &OwnedFd, limits: Limits) -> ! {
    let mut kept: Vec<_> = ends.iter().map(AsRawFd::as_raw_fd).collect();
    kept.extend([says.as_raw_fd(), libc::STDERR_FILENO]);
    privilege::close_all_but(&kept);
    let ready = privilege::become_nobody(limits.max_bytes)
        .and_then(|()| Engine::new(sources).map_err(|error| error.to_string()));
    let told = serde_json::to_vec(&ready.as_ref().map(Engine::len)).unwrap_or_default();
    let heard = send(says, &told, SendFlags::NOSIGNAL).is_ok();
    // Compiling takes many times what it leaves.
    #[cfg(target_env = "gnu")]
    // SAFETY: the call only gives free memory back to the system.
    unsafe {
        libc::malloc_trim(0);
    }
    let Ok(engine) = ready else { leave(1) };
    if !heard {
        leave(1);
    }
    privilege::close_all_but(
        &kept
            .iter()
            .copied()
            .filter(|fd| *fd != says.as_raw_fd())
            .collect::<Vec<_>>(),
    );
    watch(&engine, ends)
}

/// Starts a worker for each socket, and another one for each that dies.
fn watch(engine: &Engine, ends: &[OwnedFd]) -> ! {
    struct Life {
        pid: i32,
        began: std::time::Instant,
    }
    let mut wait = Duration::ZERO;
    let begin = |end| Life {
        pid: fork_worker(engine, end),
        began: std::time::Instant::now(),
    };
    let mut lives: Vec<Life> = ends.iter().map(begin).collect();
    loop {
        let mut status = 0;
        // SAFETY: the status is this function's own.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, 0) };
        if pid < 0 {
            leave(1);
        }
        let Some(number) = lives.iter().position(|life| life.pid == pid) else {
            continue;
        };
        if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0 {
            // It leaves of itself only when the agent is gone.
            leave(0);
        }
        let answer = Answer::Died {
            why: cause_of(status),
        };
        let told = serde_json::to_vec(&answer).unwrap_or_default();
        if send(&ends[number], &told, SendFlags::NOSIGNAL).is_err() {
            leave(0);
        }
        wait = if lives[number].began.elapsed() < TOO_SOON {
            (wait * 2).clamp(Duration::from_millis(10), MOST_WAIT)
        } else {
            Duration::ZERO
        };
        if !wait.is_zero() && hangs_up_within(&ends[number], wait) {
            leave(0);
        }
        lives[number] = begin(&ends[number]);
    }
}

/// Waits; true if the agent went meanwhile.
fn hangs_up_within(end: &OwnedFd, wait: Duration) -> bool {
    let mut watched = libc::pollfd {
        fd: end.as_raw_fd(),
        events: 0,
        revents: 0,
    };
    // SAFETY: the one descriptor is open, and the structure is this function's own.
    unsafe { libc::poll(&raw mut watched, 1, wait.as_millis() as libc::c_int) > 0 }
}

fn fork_worker(engine: &Engine, end: &OwnedFd) -> i32 {
    let keeper = rustix::process::getpid();
    // SAFETY: the keeper has one thread.
    let pid = unsafe { libc::fork() };
    if pid != 0 {
        return pid;
    }
    if let Err(why) = confine(keeper, end) {
        complain(&why);
        leave(3);
    }
    worker::serve(end, engine);
    leave(0)
}

fn confine(keeper: Pid, end: &OwnedFd) -> Result<(), String> {
    privilege::close_all_but(&[end.as_raw_fd(), libc::STDERR_FILENO]);
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|error| error.to_string())?;
    if rustix::process::getppid() != Some(keeper) {
        leave(0);
    }
    // SAFETY: the default action runs no code of ours.
    unsafe { libc::signal(libc::SIGALRM, libc::SIG_DFL) };
    privilege::confine_worker()
}

fn complain(why: &str) {
    let line = format!("davy: a process that looks into files cannot be confined: {why}\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
}

fn cause_of(status: i32) -> String {
    if !libc::WIFSIGNALED(status) {
        return "the process that searched it failed".to_owned();
    }
    match libc::WTERMSIG(status) {
        libc::SIGALRM => "the search took too long".to_owned(),
        libc::SIGABRT => "the search had no memory left, or failed".to_owned(),
        libc::SIGSYS => "the process that searched it did what it must not".to_owned(),
        other => format!("the process that searched it was ended by signal {other}"),
    }
}

/// Ends this process without what the agent would do at its end.
fn leave(status: i32) -> ! {
    // SAFETY: ends this process and nothing else.
    unsafe { libc::_exit(status) }
}
