//! A process that does nothing but fail to start a program, as fast as it can.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::{Word, Words};

/// A child that calls `execve` of a path that is not there, over and over. Ends with this.
pub struct FailingExecs {
    pid: Pid,
    /// In memory shared with the child.
    count: *mut AtomicU64,
}

impl FailingExecs {
    /// Starts one.
    ///
    /// # Errors
    /// The path holds a NUL, or memory or a process cannot be had.
    pub fn start(missing: &Path, arguments: &[Word]) -> anyhow::Result<Self> {
        let path = CString::new(missing.as_os_str().as_bytes()).context("a path holds a NUL")?;
        let arguments = Words::new(arguments)?;
        let environment = Words::new(&[])?;
        // SAFETY: a new mapping touches no memory in use. It is zeroed, which is a counter at zero.
        let count = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size_of::<AtomicU64>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        ensure!(count != libc::MAP_FAILED, "cannot map memory");
        let count = count.cast::<AtomicU64>();
        // SAFETY: the child does nothing but system calls on prepared memory, and counts; it ends
        // with its parent at the latest.
        let pid = unsafe {
            let pid = libc::fork();
            if pid == 0 {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                loop {
                    libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr());
                    (*count).fetch_add(1, Ordering::Relaxed);
                }
            }
            pid
        };
        let pid = Pid::from_raw(pid)
            .filter(|_| pid > 0)
            .context("cannot fork")?;
        Ok(Self { pid, count })
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_pid().cast_unsigned()
    }

    /// How many execs have failed so far.
    pub fn count(&self) -> u64 {
        // SAFETY: the mapping lives as long as self.
        unsafe { (*self.count).load(Ordering::Relaxed) }
    }

    /// Whether it still runs: whoever fails to start something is not to be killed for it.
    pub fn is_alive(&self) -> bool {
        matches!(waitpid(Some(self.pid), WaitOptions::NOHANG), Ok(None))
    }
}

impl Drop for FailingExecs {
    fn drop(&mut self) {
        let _ = kill_process(self.pid, Signal::KILL);
        let _ = waitpid(Some(self.pid), WaitOptions::empty());
        // SAFETY: the mapping is ours, and the child that shared it is gone.
        unsafe { libc::munmap(self.count.cast(), size_of::<AtomicU64>()) };
    }
}
