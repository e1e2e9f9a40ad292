//! Least privilege for the agent once its programs are loaded and attached.
//!
//! The agent reads what attackers write: argument lists, files under `/proc`, requests for metrics.
//! Whoever takes it over shall find neither a way to another program nor a right that guarding does
//! not need. What must stay true: no system call outside the list in `filter.rs` is made with
//! effect, and no capability outside `keep` can come back, by whatever is executed.
//!
//! The order is: load, attach, pin, drop capabilities, install the filter, start the loop.
//! Deliberately not here: landlock and namespaces, which the unit file and the chart bring.

mod attempts;
mod capabilities;
mod filter;

pub use attempts::{Attempt, attempt_forbidden, verify};
pub use capabilities::{Dropped, drop_capabilities};
pub use caps::Capability;
pub use filter::install_seccomp;

/// What the running agent keeps.
///
/// `BPF` to change maps and tables; `KILL` and `SYS_PTRACE` to settle the held and read what a
/// process is; `DAC_READ_SEARCH` to read blocklists and executables in closed directories.
/// `PERFMON` is for loading and attaching alone, and that is over.
pub const AGENT_CAPABILITIES: &[Capability] = &[
    Capability::CAP_BPF,
    Capability::CAP_KILL,
    Capability::CAP_SYS_PTRACE,
    Capability::CAP_DAC_READ_SEARCH,
];

/// Why privileges could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Capabilities belong to a thread, so those of other threads would stay.
    #[error("{count} threads run already, and only this one would lose its capabilities")]
    Threads {
        /// How many there are.
        count: usize,
    },
    /// The kernel did not say how many threads there are.
    #[error("/proc/self/task cannot be read")]
    Tasks(#[source] std::io::Error),
    /// The kernel refused to change a set of capabilities.
    #[error("capabilities cannot be changed: {set} set")]
    Capabilities {
        /// Which set.
        set: &'static str,
        /// What the kernel said.
        #[source]
        source: caps::errors::CapsError,
    },
    /// A capability is still there after it was dropped.
    #[error("{capability} is still there after it was dropped")]
    NotDropped {
        /// Which one.
        capability: Capability,
    },
    /// `PR_SET_NO_NEW_PRIVS` was refused.
    #[error("the kernel refuses no_new_privs")]
    NoNewPrivileges(#[source] std::io::Error),
    /// This machine's kind of processor has no list of system calls here.
    #[error("there is no system call filter for {}", std::env::consts::ARCH)]
    Architecture(#[source] seccompiler::BackendError),
    /// The filter could not be built.
    #[error("the system call filter cannot be built; this is a bug")]
    Build(#[source] seccompiler::BackendError),
    /// The kernel refused the filter.
    #[error("the kernel refuses the system call filter")]
    Refused(#[source] std::io::Error),
    /// Another thread could not take the filter on.
    #[error("thread {thread} cannot take on the system call filter")]
    Diverged {
        /// The thread's id.
        thread: i64,
    },
    /// A forbidden system call was not refused.
    #[error("the sandbox does not hold: {calls} not refused")]
    Leaks {
        /// The names of the calls.
        calls: String,
    },
}

impl SandboxError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Threads { .. } => {
                "this is a bug: privileges are dropped before the first thread starts"
            }
            Self::Tasks(_) => "mount /proc in the agent's mount namespace",
            Self::Capabilities { .. } | Self::NotDropped { .. } => {
                "run the agent as root in the machine's first user namespace, or look whether a security module forbids capset(2)"
            }
            Self::NoNewPrivileges(_) | Self::Refused(_) => {
                "the kernel needs CONFIG_SECCOMP_FILTER, and an outer filter must allow seccomp(2) and prctl(2)"
            }
            Self::Architecture(_) => "use an x86_64 or aarch64 machine, or turn the sandbox off",
            Self::Build(_) | Self::Diverged { .. } | Self::Leaks { .. } => {
                "this is a bug: please report it with the kernel's version"
            }
        }
    }
}
