//! The system calls of a running agent. Everything else answers `EPERM` and leaves a line in the
//! kernel's audit log; docs/adr/0007-agent-sandbox.md says why it does not kill.

use std::collections::BTreeMap;

use libc::*;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use super::SandboxError;

/// Calls that are allowed whatever their arguments.
#[rustfmt::skip]
const ALLOWED: &[
    c_long] = &[
    // Files: blocklists, /proc, /sys, the log, pins. Whom a path belongs to is the kernel's affair.
    SYS_openat, SYS_openat2, SYS_close, SYS_close_range, SYS_read, SYS_readv, SYS_pread64,
    SYS_preadv, SYS_preadv2, SYS_write, SYS_writev, SYS_pwrite64, SYS_pwritev, SYS_pwritev2,
    SYS_lseek, SYS_fstat, SYS_newfstatat, SYS_statx, SYS_statfs, SYS_fstatfs, SYS_getdents64,
    SYS_readlinkat, SYS_faccessat, SYS_faccessat2, SYS_fcntl, SYS_dup, SYS_dup3, SYS_pipe2,
    SYS_getcwd, SYS_ftruncate, SYS_fsync, SYS_fdatasync, SYS_flock, SYS_fadvise64, SYS_readahead,
    // Pins and files written beside and renamed over.
    SYS_mkdirat, SYS_unlinkat, SYS_renameat2,
    // The mark on a cgroup that is frozen.
    SYS_getxattr, SYS_setxattr, SYS_removexattr,
    // The number of a cgroup, which the kernel programs know it by; the way back is not here.
    SYS_name_to_handle_at, SYS_inotify_init1, SYS_inotify_add_watch, SYS_inotify_rm_watch,
    // Waiting.
    SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_eventfd2,
    SYS_timerfd_create, SYS_timerfd_settime, SYS_timerfd_gettime, SYS_signalfd4, SYS_ppoll,
    SYS_pselect6, SYS_nanosleep, SYS_clock_nanosleep, SYS_clock_gettime, SYS_clock_getres,
    SYS_gettimeofday, SYS_restart_syscall,
    // Metrics, and the container runtimes' sockets. socket(2) itself is judged below.
    SYS_bind, SYS_listen, SYS_accept, SYS_accept4, SYS_connect, SYS_shutdown, SYS_sendto,
    SYS_recvfrom, SYS_sendmsg, SYS_recvmsg, SYS_sendmmsg, SYS_recvmmsg, SYS_getsockopt,
    SYS_setsockopt, SYS_getsockname, SYS_getpeername,
    // Processes, by file descriptor: a number may have been given to another meanwhile.
    SYS_pidfd_open, SYS_pidfd_send_signal,
    // Memory. mmap, mprotect and brk's elder sisters are judged below.
    SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_mlock, SYS_mlock2, SYS_munlock, SYS_msync,
    SYS_mincore,
    // Threads, signals and what glibc does by itself.
    SYS_futex, SYS_futex_waitv, SYS_set_robust_list, SYS_get_robust_list, SYS_set_tid_address,
    SYS_rseq, SYS_membarrier, SYS_sched_yield, SYS_sched_getaffinity, SYS_getcpu, SYS_rt_sigaction,
    SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigtimedwait, SYS_rt_sigsuspend,
    SYS_sigaltstack, SYS_getrandom, SYS_exit, SYS_exit_group,
    // Refused with another answer by FALLS_BACK.
    SYS_clone3,
    // About itself.
    SYS_getpid, SYS_getppid, SYS_gettid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid,
    SYS_getresuid, SYS_getresgid, SYS_getgroups, SYS_getpgid, SYS_getsid, SYS_getrusage, SYS_capget,
    SYS_uname, SYS_sysinfo, SYS_times,
];

/// Older names that only x86_64 has; glibc still uses some of them.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const ALLOWED_HERE: &[
    c_long] = &[ SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_dup2, SYS_pipe,
    SYS_poll, SYS_select, SYS_epoll_create, SYS_epoll_wait, SYS_eventfd, SYS_inotify_init,
    SYS_mkdir, SYS_unlink, SYS_rename, SYS_renameat, SYS_rmdir, SYS_time, SYS_getpgrp,
];
/// renameat(2), which the libc crate does not list here and the C library uses.
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[c_long] = &[38];

/// clone3(2) takes its flags by a pointer that no filter can follow. `ENOSYS` makes the C library
/// use clone(2), whose flags are judged; after `EPERM` it would give up.
const FALLS_BACK: &[c_long] = &[SYS_clone3];

/// The commands of bpf(2) by their numbers in the kernel's `uapi/linux/bpf.h`: maps, pins, links
/// and iterators of what is loaded, and questions. Loading programs and types (5, 18), attaching
/// by the older ways (8, 17) and tokens are not among them.
#[rustfmt::skip]
const BPF_COMMANDS: &[u64] = &[
    0, 1, 2, 3, 4, // map: create, look up, update, delete, next key
    6, 7, // pin, get a pin
    10, // run a loaded program once
    11, 12, 13, 14, 15, // ids and descriptors of programs and maps, and what is known of them
    19, 21, 22, 23, 24, 25, 26, 27, // type ids, look up and delete, freeze, batches
    28, 29, 30, 31, 32, 33, 34, // links: create, update, ids; statistics; iterators; detach
];

/// The container runtimes, and the metrics. Never netlink, packets or the kernel's ciphers.
const SOCKET_FAMILIES: &[c_int] = &[AF_UNIX, AF_INET, AF_INET6];

/// Of a terminal or a socket: is it one, how wide is it, may it block, how much is waiting.
const IOCTLS: &[u64] = &[0x5401, 0x5413, 0x5421, 0x5450, 0x5451, 0x541B];

/// `PR_SET_VMA`, which the C library and allocators use to name memory.
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Installs the filter for all threads of this process, for good.
///
/// What it allows is what a running agent needs: files, sockets of three families, waiting, maps,
/// signals through pidfds, threads, memory that is not executable. No program, thread of another
/// kind, namespace or kernel module starts from here, and no BPF program is loaded: an agent that
/// has to load new ones is a new agent. Shared libraries cannot be opened any more either, so the
/// names of hosts are not looked up by a dynamic C library.
pub fn install_seccomp() -> Result<(), SandboxError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(SandboxError::Architecture)?;
    let answers = [
        (
            FALLS_BACK.iter().map(|call| (*call, Vec::new())).collect(),
            ENOSYS,
            true,
        ),
        (rules().map_err(SandboxError::Build)?, EPERM, false),
    ];
    let mut programs = Vec::new();
    for (rules, errno, refuses_listed) in answers {
        let refuse = SeccompAction::Errno(errno.unsigned_abs());
        let (other, listed) = match refuses_listed {
            true => (SeccompAction::Allow, refuse),
            false => (refuse, SeccompAction::Allow),
        };
        let filter = SeccompFilter::new(rules, other, listed, arch).map_err(SandboxError::Build)?;
        programs.push(BpfProgram::try_from(filter).map_err(SandboxError::Build)?);
    }
    rustix::thread::set_no_new_privs(true)
        .map_err(|errno| SandboxError::NoNewPrivileges(errno.into()))?;
    // The second no longer allows seccomp(2). A C library tries clone3 at each thread, which is no
    // news; everything else that is refused is.
    install(&programs[0], SECCOMP_FILTER_FLAG_TSYNC)?;
    install(
        &programs[1],
        SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG,
    )
}

/// seccompiler installs without `SECCOMP_FILTER_FLAG_LOG`, and a refusal nobody hears of is lost.
fn install(program: &BpfProgram, flags: c_ulong) -> Result<(), SandboxError> {
    let filter = sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| {
            SandboxError::Build(seccompiler::BackendError::FilterTooLarge(program.len()))
        })?,
        // The kernel only reads it. Both types are the kernel's `struct sock_filter`.
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: `filter` points at `len` instructions that outlive the call, and the kernel copies
    // them; a refused call changes nothing.
    let answer = unsafe {
        syscall(
            SYS_seccomp,
            SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const filter,
        )
    };
    match answer {
        0 => Ok(()),
        ..0 => Err(SandboxError::Refused(std::io::Error::last_os_error())),
        thread => Err(SandboxError::Diverged { thread }),
    }
}

fn rules() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in ALLOWED.iter().chain(ALLOWED_HERE) {
        rules.insert(*call, Vec::new());
    }
    let me = u64::from(std::process::id());
    let not_executable = Op::MaskedEq(PROT_EXEC.unsigned_abs().into());
    let families: Vec<u64> = SOCKET_FAMILIES
        .iter()
        .map(|family| u64::from(family.unsigned_abs()))
        .collect();
    let prctls = [
        PR_SET_NAME,
        PR_GET_NAME,
        PR_CAPBSET_READ,
        PR_GET_DUMPABLE,
        PR_GET_NO_NEW_PRIVS,
        PR_GET_SECCOMP,
    ];
    let prctls: Vec<u64> = prctls
        .iter()
        .map(|option| u64::from(option.unsigned_abs()))
        .chain([PR_SET_VMA])
        .collect();
    for (call, argument, values) in [
        (SYS_bpf, 0, BPF_COMMANDS),
        (SYS_socket, 0, &families),
        (SYS_socketpair, 0, &families[..1]),
        (SYS_ioctl, 1, IOCTLS),
        (SYS_prctl, 0, &prctls),
        // Panics and abort signal the process itself. Others are signalled through pidfds.
        (SYS_kill, 0, &[me]),
        (SYS_tgkill, 0, &[me]),
        (SYS_prlimit64, 0, &[0, me]),
    ] {
        let mut any = Vec::with_capacity(values.len());
        for value in values {
            any.push(rule(argument, Op::Eq, *value)?);
        }
        rules.insert(call, any);
    }
    rules.insert(SYS_mmap, vec![rule(2, not_executable.clone(), 0)?]);
    rules.insert(SYS_mprotect, vec![rule(2, not_executable, 0)?]);
    // A thread, and in no new namespace.
    let namespaces = CLONE_NEWNS
        | CLONE_NEWUSER
        | CLONE_NEWPID
        | CLONE_NEWNET
        | CLONE_NEWIPC
        | CLONE_NEWUTS
        | CLONE_NEWCGROUP;
    let thread = u64::from(CLONE_THREAD.unsigned_abs());
    let judged = thread | u64::from(namespaces.unsigned_abs());
    rules.insert(SYS_clone, vec![rule(0, Op::MaskedEq(judged), thread)?]);
    Ok(rules)
}

fn rule(argument: u8, operator: Op, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = SeccompCondition::new(argument, Len::Dword, operator, value)?;
    SeccompRule::new(vec![condition])
}
