//! The `[guard]` table of `davy.toml`, the file that is the same for every verb.
//!
//! The types below are the one place where keys, defaults and kinds of values are written down:
//! `settings::load` walks a file beside them, so a key that is not here is an error. What must stay true:
//! every fault of the file and of each override is reported, with its place in the text; nothing
//! is ever half applied. docs/configuration.md describes each key, and a test compares the two.
//!
//! Deliberately not here: reading the file and the environment (the binary brings the text), and
//! secrets, which no key of this table holds.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use davylamp_content::settings::Section;
use davylamp_model::guard_event::Mode;
use serde::{Deserialize, Serialize};

use crate::machine::DEFAULT_PIN_DIR;

mod check;

pub use check::BOUNDS;

/// The table's name.
pub const SECTION: &str = "guard";

/// The `[guard]` table for `settings::load`.
pub fn section() -> Section {
    Section {
        bounds: &BOUNDS,
        text: check::text,
        whole: check::whole,
        ..Section::of::<Config>(SECTION)
    }
}

/// How the guard works on this machine: the `[guard]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `enforce` kills; `observe` kills and holds nothing and logs `would-kill`.
    pub mode: Mode,
    /// Blocklist files, and directories of them. Empty: the list that ships with Davylamp.
    pub blocklists: Vec<PathBuf>,
    /// Where programs, maps and links are pinned: a directory on a BPF file system.
    pub pin_dir: PathBuf,
    /// Whether to pin at all. Without pins the guard ends with its agent.
    pub pin: bool,
    /// The name of this machine in the log. Empty: `DAVY_NODE`, or else the host name.
    pub node: String,
    /// Processes held for an allow pattern to be decided.
    pub hold: Hold,
    /// What dies with a match.
    pub response: Response,
    /// Looking through processes that already run.
    pub sweep: Sweep,
    /// What is never killed.
    pub protect: Protect,
    /// The event log on stdout.
    pub log: Log,
    /// `/metrics`, `/healthz` and `/readyz` over HTTP.
    pub metrics: Metrics,
    /// Where container runtimes listen.
    pub containers: Containers,
    /// What sockets say.
    pub wire: Wire,
    /// Where processes connect to.
    pub flows: Flows,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            blocklists: Vec::new(),
            pin_dir: DEFAULT_PIN_DIR.into(),
            pin: true,
            node: String::new(),
            hold: Hold::default(),
            response: Response::default(),
            sweep: Sweep::default(),
            protect: Protect::default(),
            log: Log::default(),
            metrics: Metrics::default(),
            containers: Containers::default(),
            wire: Wire::default(),
            flows: Flows::default(),
        }
    }
}

/// What the deadline of a hold decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldVerdict {
    /// The process is killed.
    Kill,
    /// The process runs.
    Spare,
}

/// `[guard.hold]`: processes held for an allow pattern to be decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hold {
    /// Milliseconds until `verdict` is carried out without an answer.
    pub deadline_ms: u64,
    /// What the deadline decides.
    pub verdict: HoldVerdict,
}

impl Default for Hold {
    fn default() -> Self {
        Self {
            deadline_ms: 2000,
            verdict: HoldVerdict::Kill,
        }
    }
}

impl Hold {
    /// `deadline_ms` as a duration.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }
}

/// How much dies with a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KillScope {
    /// The process that matched.
    Process,
    /// It and its descendants.
    Tree,
    /// Every process of its cgroup: in a container, the container.
    Cgroup,
}

/// `[guard.response]`: what dies with a match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Response {
    /// The process alone, its tree, or its cgroup.
    pub kill: KillScope,
    /// Seconds for which further execs of that tree or cgroup die at once. 0: not at all. Without
    /// effect where `kill` is `process`.
    pub suppress_secs: u64,
}

impl Default for Response {
    fn default() -> Self {
        Self {
            kill: KillScope::Process,
            suppress_secs: 60,
        }
    }
}

impl Response {
    /// `suppress_secs` as a duration.
    pub fn suppress(&self) -> Duration {
        Duration::from_secs(self.suppress_secs)
    }
}

/// `[guard.sweep]`: looking through processes that already run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sweep {
    /// Sweep when the guard starts.
    pub on_start: bool,
    /// Sweep after each reload of the lists.
    pub on_reload: bool,
    /// Seconds between two sweeps. 0: never.
    pub interval_secs: u64,
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            on_start: true,
            on_reload: true,
            interval_secs: 600,
        }
    }
}

impl Sweep {
    /// `interval_secs` as a duration, where there is to be one.
    pub fn interval(&self) -> Option<Duration> {
        (self.interval_secs > 0).then(|| Duration::from_secs(self.interval_secs))
    }
}

/// `[guard.protect]`: what is never killed. A match there is logged as `spared`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Protect {
    /// Paths of executables, absolute. The guard's own is protected anyway.
    pub executables: Vec<PathBuf>,
    /// Paths of cgroups from the root of their hierarchy, such as `/system.slice/sshd.service`.
    pub cgroups: Vec<String>,
    /// Kubernetes namespaces.
    pub namespaces: Vec<String>,
}

/// `[guard.log]`: the event log on stdout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Bytes of a command line kept in a line.
    pub cmdline_bytes: usize,
    /// Lines that a cgroup may log per second, in the long run.
    pub events_per_second: u32,
    /// Lines that a cgroup may log at once.
    pub burst: u32,
    /// Names of environment variables of the killed process to log.
    pub env: Vec<String>,
    /// Write `source` as cryptnono spells it, for those who parse that.
    pub cryptnono_sources: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            cmdline_bytes: 4096,
            events_per_second: 50,
            burst: 200,
            env: Vec::new(),
            cryptnono_sources: false,
        }
    }
}

/// `[guard.metrics]`: `/metrics`, `/healthz` and `/readyz` over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// The address and port to listen on, such as `127.0.0.1:9474`. Empty: no socket.
    #[serde(with = "listen")]
    pub listen: Option<SocketAddr>,
    /// Allow `listen` to be an address that other machines reach.
    pub allow_remote: bool,
    /// Export under cryptnono's metric names as well.
    pub cryptnono_names: bool,
}

/// `[guard.containers]`: where container runtimes listen. A socket that is not there is tried again
/// when it appears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Containers {
    /// CRI sockets (containerd, CRI-O, k3s).
    pub cri_sockets: Vec<PathBuf>,
    /// Docker Engine API sockets.
    pub docker_sockets: Vec<PathBuf>,
}

impl Default for Containers {
    fn default() -> Self {
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect();
        Self {
            cri_sockets: paths(&[
                "/run/containerd/containerd.sock",
                "/run/crio/crio.sock",
                "/run/k3s/containerd/containerd.sock",
            ]),
            docker_sockets: paths(&["/run/docker.sock"]),
        }
    }
}

/// What is done about something seen on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WirePolicy {
    /// It is not looked for.
    Off,
    /// It is told.
    Alert,
    /// It is dropped in the kernel, and told.
    Drop,
    /// It is dropped in the kernel, its owner is killed, and it is told.
    Kill,
}

/// `[guard.wire]`: what sockets say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wire {
    /// The cgroup whose sockets are watched, with all below it, from the root of the unified
    /// hierarchy. `/`: every socket of the machine.
    pub cgroup: String,
    /// The protocols of mining pools.
    pub protocols: WirePolicy,
    /// The names of mining pools, in questions to name servers and in TLS greetings.
    pub names: WirePolicy,
    /// The addresses of mining pools. They age and change hands, so that they are told only.
    pub addresses: WirePolicy,
    /// Tell of long, thin, even connections: a weak sign.
    pub rhythm: bool,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            cgroup: "/".to_owned(),
            protocols: WirePolicy::Kill,
            names: WirePolicy::Drop,
            addresses: WirePolicy::Alert,
            rhythm: true,
        }
    }
}

/// `[guard.flows]`: where processes connect to. The keys are those of cryptnono's flow killer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flows {
    /// A file with a banned address or prefix on each line. Who connects to one is killed. Empty:
    /// none.
    pub banned_ipv4_file: PathBuf,
    /// A process that reaches more addresses and ports than this within
    /// `lookback_duration_seconds` is killed. 0: no number is too high.
    pub unique_destinations_threshold: u32,
    /// Seconds within which destinations count.
    pub lookback_duration_seconds: u32,
    /// Write each new destination of a process to the log.
    pub log_connects: bool,
    /// Count private, link-local and loopback addresses too.
    pub private_destinations: bool,
}

impl Default for Flows {
    fn default() -> Self {
        Self {
            banned_ipv4_file: PathBuf::new(),
            unique_destinations_threshold: 0,
            lookback_duration_seconds: 60,
            log_connects: false,
            private_destinations: false,
        }
    }
}

impl Flows {
    /// Whether connections are looked at.
    pub fn is_on(&self) -> bool {
        !self.banned_ipv4_file.as_os_str().is_empty()
            || self.unique_destinations_threshold > 0
            || self.log_connects
    }
}

/// An optional address, where empty text is none: TOML has no null.
mod listen {
    use std::net::SocketAddr;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        listen: &Option<SocketAddr>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        match listen {
            Some(address) => out.collect_str(address),
            None => out.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(input)?;
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = || {
            serde::de::Error::custom(
                "not an address and port, expected an IP address, a colon and a port, such as \
                 `127.0.0.1:9474` or `[::1]:9474`",
            )
        };
        text.parse().map(Some).map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests;
