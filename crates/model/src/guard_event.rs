//! One line of the guard's log.
//!
//! The first keys are the ones operators of cryptnono already parse
//! (<https://infrastructure.2i2c.org/howto/features/cryptnono/>); the rest are Davylamp's own.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    container::{Container, ContainerType},
    ids::{CgroupRef, ContainerId, HubUser, NodeName, Pid, Uid},
};

/// Whether the guard acts or only says what it would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Matching processes are killed.
    #[default]
    Enforce,
    /// Nothing is killed or held; the log says `would-kill`.
    Observe,
}

/// What the guard did about a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It was sent SIGKILL before its first instruction, or while running if a sweep found it.
    Killed,
    /// It matched and was left alone, for the reason given.
    Spared,
    /// It was stopped before its first instruction, awaiting a decision.
    Held,
    /// It matched, and the guard only observes.
    WouldKill,
    /// It should have been killed and was not, for the reason given.
    Missed,
    /// Signs add up to something that a person should look at; nothing was done to it.
    Alerted,
    /// It was frozen with its container, for evidence.
    Frozen,
}

impl Action {
    /// The name used in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Spared => "spared",
            Self::Held => "held",
            Self::WouldKill => "would-kill",
            Self::Missed => "missed",
            Self::Alerted => "alerted",
            Self::Frozen => "frozen",
        }
    }
}

/// How far the guard goes about what signs add up to, the mildest first. Thresholds of the policy say
/// which score leads to which.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Remembered, not told.
    #[default]
    Observe,
    /// Told.
    Alert,
    /// The container is frozen for evidence.
    Freeze,
    /// The process is killed, with what it started.
    KillProcess,
    /// Everything in the container is killed.
    KillContainer,
    /// The pod is evicted: its controller would start a killed process again.
    EvictPod,
}

/// One sign that counted towards what was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sign {
    /// The detection whose sign it is.
    pub detection: String,
    /// What it adds to the score now, after its decay.
    pub score: f64,
    /// What was seen, in words.
    pub what: String,
    /// When it was last seen.
    #[serde(with = "micros")]
    pub at: Timestamp,
}

/// One ancestor of a process, as it was when the process was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestor {
    /// Its process id.
    pub pid: Pid,
    /// Its kernel command name: at most 15 bytes, set by the process itself.
    pub comm: String,
}

/// One thing the guard saw and did, as a line of its log.
///
/// Keys are written in this order; absent facts are left out rather than written as null, as
/// cryptnono does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuardEvent {
    /// The process.
    pub pid: Pid,
    /// Its arguments, shell-quoted, masked where they look like credentials, and bounded.
    pub cmdline: String,
    /// The string that matched, as the blocklist spells it.
    pub matched: String,
    /// What saw it: the kernel program at exec, the sweep of running processes, or a hold.
    pub source: String,
    /// Which API described the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_type: Option<ContainerType>,
    /// The container's labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// The container's image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What was done.
    pub action: Action,
    /// The action as a sentence; for kills the one cryptnono writes.
    pub event: String,
    /// `info`, or `warning` where somebody should look.
    pub level: String,
    /// When, in UTC with microseconds.
    #[serde(with = "micros")]
    pub timestamp: Timestamp,

    /// The named behaviour that was seen.
    pub detection: String,
    /// The blocklist group whose string matched.
    pub group: String,
    /// Where the match stood: `arguments`, `path`, `executable` or `environment`.
    pub matched_in: String,
    /// Why it was spared, missed or killed otherwise than at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For a spared process, what allowed it (cryptnono's key).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowedby: Option<String>,
    /// The score of all signs together, where signs were weighed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub score: Option<f64>,
    /// The signs that made the decision, the one that weighs most first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub signs: Vec<Sign>,
    /// What policy asks for beyond what was done here: `evict-pod`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub asked: Option<String>,
    /// What the detection itself knows: the pool's address of a connection, the hash of a file.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty", default)]
    pub evidence: serde_json::Map<String, serde_json::Value>,
    /// The executable's path in the process's own mount namespace.
    pub exe: String,
    /// The parent process.
    pub ppid: Pid,
    /// Parents, nearest first.
    pub ancestry: Vec<Ancestor>,
    /// The real user id in the initial user namespace.
    pub uid: Uid,
    /// The cgroup's path.
    pub cgroup: String,
    /// The container, by the cgroup's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_id: Option<ContainerId>,
    /// The JupyterHub user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub_user: Option<HubUser>,
    /// The machine.
    pub node: NodeName,
    /// Nanoseconds from the start of the exec hook to the signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_latency_ns: Option<u64>,
    /// Nanoseconds a process was held before the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_ns: Option<u64>,
    /// Whether `cmdline` was cut, and the true length of the arguments in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmdline_cut_from_bytes: Option<u64>,
    /// Variables of the victim's environment that the operator asked to see.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub env: BTreeMap<String, String>,
}

impl GuardEvent {
    /// Adds what the runtime knows about the container.
    pub fn set_container(&mut self, container: &Container) {
        self.container_type = Some(container.container_type);
        self.labels = Some(container.labels.clone());
        self.image = container.image.clone();
        self.container_id = Some(container.id.clone());
        self.hub_user = container.hub_user.clone();
    }
}

/// The cgroup a suppression or a scope applies to, beside its printable path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CgroupPlace {
    /// Which cgroup.
    pub cgroup: CgroupRef,
    /// Its path from the root of its hierarchy.
    pub path: String,
}

/// RFC 3339 in UTC with exactly six decimals and `Z`, as cryptnono's log has it.
pub mod micros {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Prints a timestamp.
    pub fn format(timestamp: Timestamp) -> String {
        format!("{timestamp:.6}")
    }

    /// For serde's `with`.
    pub fn serialize<S: Serializer>(timestamp: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&format(*timestamp))
    }

    /// For serde's `with`.
    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Timestamp, D::Error> {
        String::deserialize(input)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
