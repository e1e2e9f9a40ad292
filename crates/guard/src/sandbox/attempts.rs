//! Trying what is forbidden, harmlessly: the sandbox's own proof.

use libc::*;

use super::SandboxError;

/// A forbidden system call that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Its name.
    pub call: &'static str,
    /// The error it gave, as errno; 0 would be success.
    pub errno: i32,
}

impl Attempt {
    /// Whether it was answered as the filter answers.
    pub fn refused(&self) -> bool {
        self.errno == EPERM
    }
}

/// A number that is no file descriptor, and, as a pointer or flags, is nothing either.
const NOTHING: c_long = -1;

/// Forbidden calls whose arguments the kernel itself finds wrong before it does anything, with
/// another answer than `EPERM`.
const FORBIDDEN: &[(&str, c_long, [c_long; 5])] = &[
    ("execve", SYS_execve, [0; 5]),
    ("execveat", SYS_execveat, [NOTHING, 0, 0, 0, NOTHING]),
    // Flags that exclude one another.
    (
        "clone",
        SYS_clone,
        [(CLONE_NEWNS | CLONE_FS) as c_long, 0, 0, 0, 0],
    ),
    ("ptrace", SYS_ptrace, [PTRACE_DETACH as c_long, 0, 0, 0, 0]),
    ("process_vm_readv", SYS_process_vm_readv, [0, 0, 0, 0, 0]),
    ("process_vm_writev", SYS_process_vm_writev, [0, 0, 0, 0, 0]),
    ("mount", SYS_mount, [0, 0, 0, 0, 0]),
    ("setns", SYS_setns, [NOTHING, 0, 0, 0, 0]),
    ("unshare", SYS_unshare, [1, 0, 0, 0, 0]),
    (
        "open_by_handle_at",
        SYS_open_by_handle_at,
        [NOTHING, 0, 0, 0, 0],
    ),
    ("keyctl", SYS_keyctl, [NOTHING, 0, 0, 0, 0]),
    ("add_key", SYS_add_key, [0, 0, 0, 0, 0]),
    ("userfaultfd", SYS_userfaultfd, [NOTHING, 0, 0, 0, 0]),
    ("io_uring_setup", SYS_io_uring_setup, [0, 0, 0, 0, 0]),
    ("init_module", SYS_init_module, [0, 0, 0, 0, 0]),
    ("finit_module", SYS_finit_module, [NOTHING, 0, 0, 0, 0]),
    ("kexec_load", SYS_kexec_load, [0, NOTHING, 0, NOTHING, 0]),
    (
        "perf_event_open",
        SYS_perf_event_open,
        [0, 0, 0, NOTHING, 0],
    ),
    ("memfd_create", SYS_memfd_create, [0, NOTHING, 0, 0, 0]),
    ("pidfd_getfd", SYS_pidfd_getfd, [NOTHING, 0, 0, 0, 0]),
    (
        "process_madvise",
        SYS_process_madvise,
        [NOTHING, 0, 0, 0, 0],
    ),
    ("capset", SYS_capset, [0, 0, 0, 0, 0]),
    ("fchmodat", SYS_fchmodat, [NOTHING, 0, 0, 0, 0]),
    ("symlinkat", SYS_symlinkat, [0, NOTHING, 0, 0, 0]),
    ("kill of another", SYS_kill, [1, NOTHING, 0, 0, 0]),
    (
        "socket of AF_NETLINK",
        SYS_socket,
        [AF_NETLINK as c_long, NOTHING, 0, 0, 0],
    ),
    (
        "socket of AF_PACKET",
        SYS_socket,
        [AF_PACKET as c_long, NOTHING, 0, 0, 0],
    ),
    (
        "socket of AF_ALG",
        SYS_socket,
        [AF_ALG as c_long, NOTHING, 0, 0, 0],
    ),
    // No length, so there is nothing to map or protect.
    (
        "mmap of executable memory",
        SYS_mmap,
        [0, 0, PROT_EXEC as c_long, 0, NOTHING],
    ),
    (
        "mprotect of executable memory",
        SYS_mprotect,
        [1, 0, PROT_EXEC as c_long, 0, 0],
    ),
    ("bpf: load a program", SYS_bpf, [5, 0, 0, 0, 0]),
    ("bpf: load types", SYS_bpf, [18, 0, 0, 0, 0]),
    (
        "prctl of seccomp",
        SYS_prctl,
        [PR_SET_SECCOMP as c_long, NOTHING, 0, 0, 0],
    ),
    ("seccomp", SYS_seccomp, [NOTHING, 0, 0, 0, 0]),
    (
        "ioctl of typing into a terminal",
        SYS_ioctl,
        [NOTHING, 0x5412, 0, 0, 0],
    ),
];

/// Tries every forbidden system call in a form that does nothing even where it is allowed.
pub fn attempt_forbidden() -> Vec<Attempt> {
    let attempts = FORBIDDEN.iter().map(|(call, number, arguments)| {
        let [a, b, c, d, e] = *arguments;
        // SAFETY: every entry has an argument that makes the kernel refuse the call before it has
        // any effect: a null pointer, an impossible descriptor, flags, size or signal.
        let answer = unsafe { syscall(*number, a, b, c, d, e, 0 as c_long) };
        let errno = match answer {
            0.. => 0,
            _ => std::io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or_default(),
        };
        Attempt { call, errno }
    });
    attempts.collect()
}

/// Proves that the sandbox is in force for this thread. Each attempt leaves its line in the audit
/// log, so once at the start is enough.
pub fn verify() -> Result<(), SandboxError> {
    let attempts = attempt_forbidden();
    let leaks: Vec<_> = attempts
        .iter()
        .filter(|attempt| !attempt.refused())
        .map(|attempt| attempt.call)
        .collect();
    match leaks.is_empty() {
        true => Ok(()),
        false => Err(SandboxError::Leaks {
            calls: leaks.join(", "),
        }),
    }
}
