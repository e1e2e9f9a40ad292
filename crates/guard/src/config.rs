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
use std::path::{Path, PathBuf};
use std::time::Duration;

use davylamp_content::settings::Section;
use davylamp_model::guard_event::Mode;
use davylamp_spool::Limits;
use serde::{Deserialize, Serialize};

use crate::machine::DEFAULT_PIN_DIR;

mod check;
mod policy;

pub use check::BOUNDS;
pub use policy::{Behaviour, Policy};

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
    /// Sets of indicators, and directories of them, beside those that ship. Empty:
    /// `/etc/davylamp/indicators`, if it is there.
    pub indicators: Vec<PathBuf>,
    /// What the detections find in command lines, beside the lists.
    pub detections: Detections,
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
    /// How many victims a rule may have before it only observes.
    pub breaker: Breaker,
    /// What signs add up to, and what that leads to.
    pub policy: Policy,
    /// What is watched of processes as they run.
    pub behaviour: Behaviour,
    /// Looking into programs' files before they run.
    pub files: Files,
    /// Looking through processes that already run.
    pub sweep: Sweep,
    /// What is never killed.
    pub protect: Protect,
    /// The event log on stdout.
    pub log: Log,
    /// The event log on disk, for `davy forward` and `davy respond`.
    pub spool: Spool,
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
            indicators: Vec::new(),
            detections: Detections::default(),
            pin_dir: DEFAULT_PIN_DIR.into(),
            pin: true,
            node: String::new(),
            hold: Hold::default(),
            response: Response::default(),
            breaker: Breaker::default(),
            policy: Policy::default(),
            behaviour: Behaviour::default(),
            files: Files::default(),
            sweep: Sweep::default(),
            protect: Protect::default(),
            log: Log::default(),
            spool: Spool::default(),
            metrics: Metrics::default(),
            containers: Containers::default(),
            wire: Wire::default(),
            flows: Flows::default(),
        }
    }
}

/// `[guard.detections]`: what is found in command lines beside the strings of the lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Detections {
    /// Judge by detections at all.
    pub enabled: bool,
    /// Judge by those that ship with Davylamp.
    pub shipped: bool,
    /// Detection files and directories of them. One with the name of one that ships takes its place.
    pub paths: Vec<PathBuf>,
    /// Names of detections that are not to be judged by.
    pub off: Vec<String>,
}

impl Default for Detections {
    fn default() -> Self {
        Self {
            enabled: true,
            shipped: true,
            paths: Vec::new(),
            off: Vec::new(),
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
    /// Seconds after which a frozen container is thawed, unless it was killed by then. 0: never.
    pub freeze_secs: u64,
}

impl Default for Response {
    fn default() -> Self {
        Self {
            kill: KillScope::Process,
            suppress_secs: 60,
            freeze_secs: 3600,
        }
    }
}

impl Response {
    /// `suppress_secs` as a duration.
    pub fn suppress(&self) -> Duration {
        Duration::from_secs(self.suppress_secs)
    }
}

/// `[guard.breaker]`: how many victims a rule may have on this node before it only observes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Breaker {
    /// Victims of one rule in a window: pods, services, logins of users, other containers. 0: no
    /// ceiling.
    pub per_rule: u32,
    /// Victims of all rules together. 0: no ceiling.
    pub per_node: u32,
    /// Seconds for which a victim counts after it was last killed.
    pub window_secs: u64,
    /// Rules with a ceiling of their own: `rule=victims`, where a rule is a banned string or the name
    /// of a detection, and 0 stands for no ceiling.
    pub rules: Vec<String>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            per_rule: 20,
            per_node: 60,
            window_secs: 3600,
            rules: Vec::new(),
        }
    }
}

/// Which files are looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileScan {
    /// Those that somebody brought: in the writable layer of a container, in homes, in temporary
    /// folders, in memory; whatever is not of the image or where the system has its programs.
    Suspect,
    /// All of them.
    All,
    /// None.
    Off,
}

/// What becomes of a program whose file could not be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownFile {
    /// It runs; that it is unknown is told, and its next start is looked into again.
    Run,
    /// It is killed.
    Kill,
}

/// When a program at a terminal is looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Terminals {
    /// Before it runs, like any other. A shell with job control sees it stop for that moment, and takes
    /// it for a stopped job.
    Hold,
    /// While it runs.
    Meanwhile,
}

/// `[guard.files]`: looking into programs' files before they run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    /// Which files.
    pub scan: FileScan,
    /// Files of YARA rules beside those that ship, and directories of them.
    pub rules: Vec<PathBuf>,
    /// So much of a file is looked into. A larger one that shows nothing is unknown.
    pub max_bytes: u64,
    /// So long, in milliseconds, and at most nine tenths of what a hold may last.
    pub max_ms: u64,
    /// Files that are looked into at the same time.
    pub workers: u32,
    /// What becomes of a program whose file could not be looked into.
    pub unknown: UnknownFile,
    /// When a program is looked into that is started at a terminal.
    pub terminals: Terminals,
    /// SHA-256 of files that may run whatever is found in them.
    pub allow: Vec<String>,
    /// Folders whose files are trusted like the system's own where they belong to root and are closed
    /// to others, absolute.
    pub trust: Vec<PathBuf>,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            scan: FileScan::Suspect,
            rules: Vec::new(),
            max_bytes: 64 << 20,
            max_ms: 1000,
            workers: 2,
            unknown: UnknownFile::Run,
            terminals: Terminals::Meanwhile,
            allow: Vec::new(),
            trust: Vec::new(),
        }
    }
}

impl Breaker {
    /// The rules with a ceiling of their own.
    pub fn own(&self) -> impl Iterator<Item = (&str, u32)> {
        self.rules.iter().filter_map(|rule| {
            let (name, most) = rule.rsplit_once('=')?;
            Some((name, most.parse().ok()?))
        })
    }
}

impl Files {
    /// How far a search may go, where a hold lasts `hold`.
    pub fn limits(&self, hold: &Hold) -> crate::scan::Limits {
        crate::scan::Limits {
            max_bytes: self.max_bytes,
            max_ms: self.max_ms.min(hold.deadline_ms - hold.deadline_ms / 10),
        }
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

/// What a line on stdout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Davylamp's own, with cryptnono's keys.
    #[default]
    Davylamp,
    /// OCSF 1.5: Detection Finding, and Application Lifecycle for what the guard says of itself.
    Ocsf,
}

/// `[guard.log]`: the event log on stdout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// What a line on stdout is. The spool has Davylamp's own in any case.
    pub format: LogFormat,
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
            format: LogFormat::Davylamp,
            cmdline_bytes: 4096,
            events_per_second: 50,
            burst: 200,
            env: Vec::new(),
            cryptnono_sources: false,
        }
    }
}

/// `[guard.spool]`: the event log on disk, for those who carry it away. The guard itself speaks to
/// nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spool {
    /// Its directory. Empty: no spool.
    pub dir: PathBuf,
    /// Bytes that it may hold; from there on the oldest lines are dropped, and that is said.
    pub max_bytes: u64,
    /// Bytes of one of its files, which is dropped as a whole. Never more than a quarter of
    /// `max_bytes`.
    pub segment_bytes: u64,
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            max_bytes: 64 << 20,
            segment_bytes: 4 << 20,
        }
    }
}

impl Spool {
    /// `dir`, where there is to be a spool.
    pub fn dir(&self) -> Option<&Path> {
        (!self.dir.as_os_str().is_empty()).then_some(&self.dir)
    }

    /// Where it is and how much it holds, where there is to be a spool.
    pub fn limits(&self) -> Option<Limits> {
        let dir = self.dir()?.to_owned();
        Some(Limits {
            dir,
            max_bytes: self.max_bytes,
            // What is dropped at once is a file; with fewer than four, half of all would go.
            segment_bytes: self.segment_bytes.min(self.max_bytes / 4),
            line_bytes: davylamp_spool::MAX_LINE_BYTES,
        })
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
    /// Questions for names by TLS and HTTPS: a very weak sign, which browsers give as well.
    pub encrypted_dns: WirePolicy,
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
            encrypted_dns: WirePolicy::Off,
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
