//! How the index is asked, what it answers, and why it cannot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use davylamp_model::container::Container;
use davylamp_model::ids::ContainerId;

use super::source::{AskError, Socket};

/// How the index is kept.
#[derive(Debug, Clone)]
pub struct IndexConfig {
    /// The sockets to ask. Those that do not exist cost nothing.
    pub sockets: Vec<Socket>,
    /// How long a lookup that must ask a runtime may take in all.
    pub deadline: Duration,
    /// How long a container that its runtime forgot can still be named.
    pub retain: Duration,
    /// How long an id that nobody knew is not asked for again.
    pub forget_unknown: Duration,
    /// How often lists are read where the runtime tells no events.
    pub poll_every: Duration,
    /// How often lists are read beside the events, for what an event stream may have missed.
    pub resync_every: Duration,
    /// How long to wait before a socket that is absent or failed is tried again.
    pub retry_every: Duration,
    /// The memory that descriptions of containers may take, in bytes. A container under Kubernetes
    /// takes about 1 KiB.
    pub max_bytes: usize,
}

impl Default for IndexConfig {
    fn default() -> Self {
        Self {
            sockets: Socket::well_known(),
            deadline: Duration::from_secs(1),
            retain: Duration::from_secs(15 * 60),
            forget_unknown: Duration::from_secs(5),
            poll_every: Duration::from_secs(5),
            resync_every: Duration::from_secs(60),
            retry_every: Duration::from_secs(5),
            max_bytes: 2 * 1024 * 1024,
        }
    }
}

/// The answer to a lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The process runs on the machine itself.
    Host,
    /// It runs in this container.
    Known(Arc<Container>),
    /// It runs in a container, or may, and nothing is known of it.
    Unknown {
        /// The container's id, where the path names one.
        id: Option<ContainerId>,
        /// Why nothing is known.
        why: Why,
    },
}

/// Why a container is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Why {
    /// Every runtime was asked and none knows the id.
    #[error("no container runtime knows the id; it may have been removed before it was first seen")]
    NotFound,
    /// No socket that could know it is there.
    #[error("no socket of its runtime is present; mount it and name it in the configuration")]
    NoRuntime,
    /// The socket is there and nobody answers.
    #[error("its runtime does not answer at its socket")]
    Unreachable,
    /// The answer came too late.
    #[error("its runtime did not answer in time")]
    Deadline,
    /// The runtime refused or answered nonsense.
    #[error("its runtime gave a bad answer")]
    BadAnswer,
    /// The id belongs to a container of another pod than the path says.
    #[error("the id belongs to another pod than the cgroup path says; the path may be forged")]
    PodMismatch,
    /// The path lies where a user or another system makes the cgroups.
    #[error("the cgroup lies in a subtree that is not the machine's own to name")]
    Delegated,
    /// Its runtime has no interface that describes it.
    #[error("its runtime offers nothing that describes it")]
    Undescribed,
    /// The path ends at a pod, in no container of a known shape.
    #[error("the cgroup is a pod's, of no container known by its shape")]
    PodOnly,
    /// The bytes are not a cgroup path as the kernel writes them.
    #[error("the cgroup path is not one the kernel writes")]
    Garbled,
}

impl Why {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 10] = [
        Self::NotFound,
        Self::NoRuntime,
        Self::Unreachable,
        Self::Deadline,
        Self::BadAnswer,
        Self::PodMismatch,
        Self::Delegated,
        Self::Undescribed,
        Self::PodOnly,
        Self::Garbled,
    ];

    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::NoRuntime => "no-runtime",
            Self::Unreachable => "unreachable",
            Self::Deadline => "deadline",
            Self::BadAnswer => "bad-answer",
            Self::PodMismatch => "pod-mismatch",
            Self::Delegated => "delegated",
            Self::Undescribed => "undescribed",
            Self::PodOnly => "pod-only",
            Self::Garbled => "garbled",
        }
    }

    pub(super) fn of(error: &AskError) -> Self {
        match error {
            AskError::Unreachable { .. } => Self::Unreachable,
            AskError::Deadline { .. } => Self::Deadline,
            AskError::Unserved { .. } | AskError::BadAnswer { .. } | AskError::TooLarge { .. } => {
                Self::BadAnswer
            }
        }
    }

    /// Whether asking again soon may well help.
    pub(super) fn is_passing(self) -> bool {
        matches!(self, Self::Unreachable | Self::Deadline | Self::BadAnswer)
    }
}

/// One count for each reason.
#[derive(Debug, Default)]
pub(super) struct Counters([AtomicU64; Why::ALL.len()]);

impl Counters {
    pub(super) fn add(&self, why: Why) {
        self.0[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> BTreeMap<Why, u64> {
        Why::ALL
            .into_iter()
            .map(|why| (why, self.0[why as usize].load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}
