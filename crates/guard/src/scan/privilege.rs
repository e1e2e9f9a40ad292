//! What a keeper and its workers give up.

use std::{collections::BTreeMap, os::fd::RawFd};

use libc::*;
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use crate::sandbox::{Capability, drop_capabilities};

/// The user that keepers and workers run as: nobody's files belong to it.
const NOBODY: u32 = 65534;

/// What a worker needs beside the file itself: the compiled rules, and what a search keeps.
const MEMORY_BESIDE_FILE: u64 = 256 << 20;

/// Where memory is short, a process that searches dies before the agent (proc_pid_oom_score_adj(5)).
const DIES_FIRST: &str = "500";

/// Becomes nobody, for good, and ends when the agent does.
pub(super) fn become_nobody(max_bytes: u64) -> Result<(), String> {
    let parent = rustix::process::getppid();
    // Where it cannot be said, the one that has most memory dies, which is a worker too.
    let _ = std::fs::write("/proc/self/oom_score_adj", DIES_FIRST);
    if rustix::process::geteuid().is_root() {
        let keep = [Capability::CAP_SETUID, Capability::CAP_SETGID];
        drop_capabilities(&keep).map_err(|error| error.to_string())?;
        // SAFETY: these change this process's own ids; no pointer is read but the empty list.
        let changed = unsafe {
            setgroups(0, std::ptr::null()) == 0
                && setresgid(NOBODY, NOBODY, NOBODY) == 0
                && setresuid(NOBODY, NOBODY, NOBODY) == 0
        };
        // In a user namespace without that user, being without capabilities has to do.
        if !changed {
            drop_capabilities(&[]).map_err(|error| error.to_string())?;
        }
    }
    rustix::thread::set_no_new_privs(true).map_err(|error| error.to_string())?;
    // After the change of user, which would undo both.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| error.to_string())?;
    if rustix::process::getppid() != parent {
        return Err("the agent ended meanwhile".to_owned());
    }
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(|error| error.to_string())?;
    for (resource, most) in [
        (Resource::Data, max_bytes + MEMORY_BESIDE_FILE),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, 64),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Closes every descriptor but these.
pub(super) fn close_all_but(kept: &[RawFd]) {
    let mut kept: Vec<RawFd> = kept.to_vec();
    kept.sort_unstable();
    let mut from: u32 = 0;
    for fd in kept.iter().map(|fd| fd.unsigned_abs()) {
        if fd > from {
            close_range_of(from, fd - 1);
        }
        from = fd + 1;
    }
    close_range_of(from, u32::MAX);
}

fn close_range_of(first: u32, last: u32) {
    // SAFETY: nothing of this process uses those descriptors any more: it was just forked, and goes on
    // with what it keeps.
    let done = unsafe { syscall(SYS_close_range, first, last, 0) };
    if done != 0 {
        // Kernels before 5.9.
        for fd in first..=last.min(4095) {
            // SAFETY: as above.
            unsafe { close(fd as RawFd) };
        }
    }
}

/// What a worker may do: read what it is handed, answer, use memory that is not executable. Anything else
/// ends it.
#[rustfmt::skip]
const ALLOWED: &[c_long] = &[
    SYS_read, SYS_pread64, SYS_readv, SYS_lseek, SYS_fstat, SYS_close,
    SYS_recvmsg, SYS_sendmsg, SYS_recvfrom, SYS_sendto,
    SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk,
    SYS_futex, SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_sigaltstack,
    SYS_restart_syscall, SYS_setitimer, SYS_clock_gettime, SYS_gettimeofday, SYS_getrandom,
    SYS_sched_yield, SYS_sched_getaffinity, SYS_getpid, SYS_gettid, SYS_exit, SYS_exit_group,
];

/// Installs the filter of a worker.
pub(super) fn confine_worker() -> Result<(), String> {
    let program = program().map_err(|error| error.to_string())?;
    seccompiler::apply_filter(&program).map_err(|error| error.to_string())
}

fn program() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in ALLOWED {
        rules.insert(*call, Vec::new());
    }
    let not_executable = Op::MaskedEq(PROT_EXEC.unsigned_abs().into());
    let me = u64::from(std::process::id());
    for (call, argument, operator, value) in [
        (SYS_mmap, 2, not_executable.clone(), 0),
        (SYS_mprotect, 2, not_executable, 0),
        // A panic's words, and its end.
        (SYS_write, 0, Op::Eq, STDERR_FILENO.unsigned_abs().into()),
        (SYS_tgkill, 0, Op::Eq, me),
        // Whether a descriptor is open, which the standard library looks at in builds for tests.
        (SYS_fcntl, 1, Op::Eq, F_GETFD.unsigned_abs().into()),
    ] {
        let condition = SeccompCondition::new(argument, Len::Dword, operator, value)?;
        rules.insert(call, vec![SeccompRule::new(vec![condition])?]);
    }
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        arch,
    )?;
    BpfProgram::try_from(filter)
}
