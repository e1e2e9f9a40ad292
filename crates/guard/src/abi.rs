//! What the kernel programs and the agent agree on, mirrored from `bpf/abi.h`. A test compares the
//! sizes with the object's own type information.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Words in a page of a table map.
pub const PAGE_SLOTS: usize = davylamp_detect::automaton::PAGE_SLOTS;
/// Marks the id of a cgroup of a version 1 hierarchy.
pub const CGROUP_KEY_V1: u64 = 1 << 63;
/// The cgroup's place is known.
pub const CGROUP_KNOWN: u32 = 1;
/// The cgroup holds a container.
pub const CGROUP_CONTAINER: u32 = 4;
/// In an event's `truncated`: its cgroup has had too many events, so it is not to be said.
pub const EVENT_QUIET: u32 = 32;
/// Most bytes of arguments an event carries.
pub const EVENT_ARGUMENTS: usize = 8192;
/// Ancestors an event carries.
pub const EVENT_ANCESTORS: usize = 8;
/// How many processes can be held at once.
pub const HOLDS_MAX: usize = 4096;
/// Buckets of the latency histogram.
pub const LATENCY_BUCKETS: usize = 40;

/// `struct guard_settings`.
#[repr(C)]
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Settings {
    /// `MODE_*`.
    pub mode: u32,
    /// Whether a hold that nobody decides ends in sparing.
    pub hold_verdict_spares: u32,
    /// How long a process may be held.
    pub hold_deadline_ns: u64,
    /// One more event for each cgroup after this time.
    pub event_interval_ns: u64,
    /// How many events a cgroup may save up.
    pub event_burst: u64,
    /// How long the execs of a cgroup die after a kill; 0 for never.
    pub suppress_ns: u64,
    /// `RESPONSE_*`.
    pub response: u32,
    /// Whether a match in a cgroup that is not known is held.
    pub hold_unknown_cgroups: u32,
    /// Whether events carry the environment.
    pub capture_environment: u32,
    /// Bytes of arguments that events carry.
    pub capture_arguments: u32,
    /// Whether suppressions are looked up at each exec.
    pub suppress_enabled: u32,
    /// Whether detections are judged at exec.
    pub rules_enabled: u32,
}

/// `MODE_ENFORCE`.
pub const MODE_ENFORCE: u32 = 0;
/// `MODE_OBSERVE`.
pub const MODE_OBSERVE: u32 = 1;

/// `struct guard_agent`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct AgentBeat {
    /// Until when holds may be taken, by `CLOCK_MONOTONIC`.
    pub alive_until_ns: u64,
    /// The agent.
    pub pid: u32,
    /// Zero.
    pub reserved: u32,
}

/// `struct exe_key`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ExeKey {
    /// The inode number.
    pub inode: u64,
    /// The kernel's own `dev_t`.
    pub device: u32,
    /// Zero.
    pub reserved: u32,
}

/// `struct hold`, without the timer that follows it.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Hold {
    /// When the process started, to tell it from a later one with its pid.
    pub start_boottime_ns: u64,
    /// When it was stopped, by `CLOCK_MONOTONIC`.
    pub since_ns: u64,
    /// Its cgroup's key.
    pub cgroup: u64,
    /// The generation of the table that it matched.
    pub generation: u64,
    /// What the ceilings count it as.
    pub victim: u64,
    /// `REASON_*`.
    pub reason: u32,
    /// What the kernel's timer will do.
    pub verdict_spares: u32,
    /// What the agent decided and is carrying out: 0 nothing yet, `DECIDED_*`.
    pub decided: u32,
    /// The info word of the match, 0 where nothing could be read.
    pub info: u32,
}

/// The agent lets a held process go.
pub const DECIDED_SPARE: u32 = 1;
/// The agent kills a held process.
pub const DECIDED_KILL: u32 = 2;

/// Room in the map's value for the kernel's `struct bpf_timer`, which user space may not set.
pub const HOLD_TIMER_BYTES: usize = 16;

/// `struct file_key`: a file in one state.
#[repr(C)]
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct FileKey {
    /// Its inode.
    pub inode: u64,
    /// Its size in bytes.
    pub size: u64,
    /// When it last changed, whole seconds.
    pub changed_sec: u64,
    /// And nanoseconds.
    pub changed_nsec: u32,
    /// Its file system: the kernel's own `dev_t`.
    pub device: u32,
}

/// `struct file_verdict`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FileVerdict {
    /// Of what was found, for the agent.
    pub id: u64,
    /// `VERDICT_*`.
    pub verdict: u32,
    /// Zero.
    pub reserved: u32,
}

/// The program runs.
pub const VERDICT_RUNS: u32 = 1;
/// It dies.
pub const VERDICT_BAD: u32 = 2;

/// `struct unseen_file`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct UnseenFile {
    /// The file.
    pub key: FileKey,
    /// When the process started.
    pub start_boottime_ns: u64,
    /// `PLACE_*`.
    pub place: u32,
    /// Zero.
    pub reserved: u32,
}

/// It never had a folder.
pub const PLACE_MEMORY: u32 = 1;
/// It is deleted.
pub const PLACE_DELETED: u32 = 2;
/// What is started is a script.
pub const PLACE_SCRIPT: u32 = 64;
/// It was started by root outside any container.
pub const PLACE_HOST_ROOT: u32 = 128;
/// Its file system can lie about what it holds.
pub const PLACE_FOREIGN: u32 = 256;
/// The program itself is to be looked into.
pub const PLACE_PROGRAM: u32 = 512;

/// `struct file_settings`.
#[repr(C)]
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct FileSettings {
    /// Digest of the rules that the verdicts come from.
    pub rules: u64,
    /// `FILE_SCAN_*`.
    pub scan: u32,
    /// What happens to what could not be looked into in time.
    pub unknown_spares: u32,
    /// Inode of the machine's own mount namespace.
    pub host_mounts: u32,
    /// Whether what runs at a terminal is looked into while it runs.
    pub spares_terminals: u32,
}

/// No file is looked into.
pub const FILE_SCAN_OFF: u32 = 0;
/// Files are looked into that are suspect by their place.
pub const FILE_SCAN_SUSPECT: u32 = 1;
/// Every file is looked into.
pub const FILE_SCAN_ALL: u32 = 2;

/// `struct event_budget`.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct EventBudget {
    /// When the cgroup's debt of events would be paid.
    pub paid_at_ns: u64,
    /// Events left out so far.
    pub rate_limited: u64,
}

/// `struct event_ancestor`.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct EventAncestor {
    /// Its pid, 0 for none.
    pub pid: u32,
    /// Its command name, NUL-padded.
    pub comm: [u8; 16],
}

/// `struct guard_event`, which five texts follow.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(
    missing_docs,
    reason = "each member is described in bpf/abi.h, which this mirrors"
)]
pub struct EventHeader {
    pub time_ns: u64,
    pub latency_ns: u64,
    pub start_boottime_ns: u64,
    pub generation: u64,
    pub cgroup: u64,
    pub arguments_len: u64,
    pub rate_limited: u64,
    pub held_ns: u64,
    pub victim: u64,
    pub kind: u32,
    pub reason: u32,
    pub region: u32,
    pub info: u32,
    pub pid: u32,
    pub parent: u32,
    pub uid: u32,
    pub signal_error: i32,
    pub text_arguments: u32,
    pub text_path: u32,
    pub text_exe: u32,
    pub text_cgroup: u32,
    pub text_environment: u32,
    pub truncated: u32,
    pub comm: [u8; 16],
    pub ancestors: [EventAncestor; EVENT_ANCESTORS],
}

/// `struct swept_task`.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SweptTask {
    /// When it started.
    pub start_boottime_ns: u64,
    /// Its cgroup's key.
    pub cgroup: u64,
    /// Its pid.
    pub pid: u32,
    /// Its parent.
    pub parent: u32,
    /// Its real user.
    pub uid: u32,
    /// Zero.
    pub reserved: u32,
    /// Its command name, NUL-padded.
    pub comm: [u8; 16],
}

/// `enum guard_counter`, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Counter {
    /// Programs started.
    Execs,
    /// Of them, with a banned string or under suppression.
    Matched,
    /// Killed.
    Killed,
    /// Left alone for a reason.
    Spared,
    /// Stopped for a decision.
    Held,
    /// Would have been killed.
    WouldKill,
    /// Should have been killed and was not.
    Missed,
    /// Holds that the kernel's deadline ended.
    HoldsExpired,
    /// Held processes that somebody else continued.
    HoldsBroken,
    /// Events lost because the buffer was full.
    EventsLostFull,
    /// Events left out because their cgroup had too many.
    EventsRateLimited,
    /// Arguments that could not be read at exec.
    Unreadable,
    /// Kills by respawn suppression.
    Suppressed,
    /// Events with a text cut.
    TextTruncated,
    /// Nanoseconds spent in the exec hook.
    HookNs,
    /// Programs with words of detections that do not suffice.
    Noted,
    /// Kills that did not happen because a ceiling was reached.
    CeilingRefused,
    /// Programs held until their file is looked into.
    FilesHeld,
    /// Programs whose file is looked into while they run.
    FilesUnheld,
    /// Programs whose file's verdict was known.
    FilesKnown,
    /// Of them, with a bad one.
    FilesBad,
    /// Connections of which anything was walked.
    WireFlows,
    /// Segments dropped.
    WireDropped,
    /// Packets of sockets that no storage could be had for.
    WireNoRoom,
    /// Connections begun.
    Connects,
}

/// `REASON_UNSEEN_FILE`, as it stands in a hold.
pub const REASON_UNSEEN_FILE: u32 = 14;

/// How many counters there are.
pub const COUNTERS: usize = 25;

/// The number of the detection that a known bad file was found by.
pub const CEILING_OF_BAD_FILES: u32 = 0xb49082ad;
/// How many victims a ceiling can have.
pub const CEILING_SLOTS: usize = davylamp_detect::breaker::MOST_VICTIMS as usize;
/// How many rules have a ceiling of their own.
pub const CEILING_RULES: usize = 512;
/// In [`Ceiling::most`]: no ceiling.
pub const CEILING_NONE: u32 = u32::MAX;

/// `enum ceiling_kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum CeilingKind {
    /// All rules together.
    Node,
    /// The rules that there is no room for.
    Others,
    /// What could not be read.
    Unreadable,
    /// A set of banned strings of the table of this generation.
    String,
    /// A detection, by the digest of its name; generation 0.
    Detection,
}

/// `struct ceiling_key`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CeilingKey {
    /// The table's.
    pub generation: u64,
    /// [`CeilingKind`].
    pub kind: u32,
    /// The number.
    pub rule: u32,
}

/// `struct ceiling`.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Ceiling {
    /// Each a victim's folded number and a second.
    pub slots: [u64; CEILING_SLOTS],
    /// Kills that did not happen, ever growing.
    pub refused: u64,
    /// The second since which it refuses, 0 while it does not.
    pub refusing: u64,
    /// Its own ceiling, 0 for that of [`CeilingLimits`].
    pub most: u32,
    /// Zero.
    pub reserved: u32,
}

/// `struct ceiling_limits`.
#[repr(C)]
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct CeilingLimits {
    /// Victims of a rule in a window. 0: no ceiling.
    pub rule_most: u32,
    /// Victims of all rules together.
    pub node_most: u32,
    /// The window. 0: no ceilings at all.
    pub window_secs: u32,
    /// Zero.
    pub reserved: u32,
}

/// `enum ceiling_how`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum CeilingHow {
    /// Without a trace.
    Look,
    /// A refusal is counted.
    Check,
    /// It is about to be killed.
    Claim,
    /// It is not to be counted any more.
    Release,
}

/// `enum ceiling_answer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum CeilingAnswer {
    /// There is room, or it is counted already.
    Counted,
    /// It is counted from now on.
    Claimed,
    /// There is no room.
    Over,
    /// There is no room, for the first time since there was.
    Trips,
}

/// `struct ceiling_call`.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CeilingCall {
    /// The table's.
    pub generation: u64,
    /// [`CeilingKind`] in the high half, the number in the low one.
    pub rule: u64,
    /// The victim.
    pub victim: u64,
    /// [`CeilingHow`].
    pub how: u32,
    /// [`CeilingAnswer`].
    pub answer: u32,
}

/// `enum event_kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The process was killed.
    Killed,
    /// It matched and was left alone.
    Spared,
    /// It was stopped.
    Held,
    /// It would have been killed.
    WouldKill,
    /// The signal could not be sent.
    Missed,
    /// The kernel's deadline ended a hold.
    HoldExpired,
    /// Somebody else continued a held process; it was killed.
    HoldBroken,
    /// Words of detections that do not suffice were found.
    Noted,
    /// A thread computes in directed rounding modes.
    Rounding,
    /// Something was seen on the wire: a [`WireEvent`] follows.
    Wire,
    /// A flow may keep a miner's rhythm: a [`WireEvent`] follows.
    Rhythm,
    /// A process connects: a [`ConnectEvent`] follows.
    Connect,
}

impl EventKind {
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Killed,
            2 => Self::Spared,
            3 => Self::Held,
            4 => Self::WouldKill,
            5 => Self::Missed,
            6 => Self::HoldExpired,
            7 => Self::HoldBroken,
            16 => Self::Noted,
            12 => Self::Rounding,
            8 => Self::Wire,
            9 => Self::Rhythm,
            10 => Self::Connect,
            _ => return None,
        })
    }
}

/// `enum event_reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A banned string.
    Match,
    /// The machine's first process is never killed.
    PidOne,
    /// Its executable is protected.
    ProtectedExecutable,
    /// Its cgroup is protected.
    ProtectedCgroup,
    /// A literal allow pattern.
    Allowed,
    /// An allow expression may apply.
    MaybeAllowed,
    /// A scoped rule may apply, and the cgroup is not known yet.
    UnknownCgroup,
    /// Its arguments could not be read.
    Unreadable,
    /// Its cgroup is under respawn suppression.
    Suppressed,
    /// The signal failed.
    SignalFailed,
    /// It would be held, but no agent is there to decide.
    AgentAway,
    /// It would be held, but too many are.
    HoldsFull,
    /// It would be held, but it could run without being noticed: it is traced, or its first page is
    /// there already.
    Unholdable,
    /// Words of detections.
    Rule = 13,
    /// Words of detections, whose meaning the agent has to find out. Nobody dies of that alone.
    MaybeRule = 17,
    /// Its rule, or this node, has had as many victims as it may.
    Ceiling = 40,
    /// It does not round to the nearest.
    Rounds = 30,
    /// Its file is to be looked into first.
    UnseenFile = 14,
    /// Its file was looked into before.
    KnownBadFile = 15,
    /// It speaks a pool's protocol.
    PoolProtocol = 20,
    /// It names a pool.
    PoolName = 21,
    /// It speaks to a pool's address.
    PoolAddress = 22,
    /// Whose socket it is, no system call has shown yet.
    OwnerUnknown = 23,
    /// It connects to a banned address.
    BannedAddress = 24,
}

impl Reason {
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Match,
            1 => Self::PidOne,
            2 => Self::ProtectedExecutable,
            3 => Self::ProtectedCgroup,
            4 => Self::Allowed,
            5 => Self::MaybeAllowed,
            6 => Self::UnknownCgroup,
            7 => Self::Unreadable,
            8 => Self::Suppressed,
            9 => Self::SignalFailed,
            10 => Self::AgentAway,
            11 => Self::HoldsFull,
            12 => Self::Unholdable,
            13 => Self::Rule,
            17 => Self::MaybeRule,
            40 => Self::Ceiling,
            30 => Self::Rounds,
            14 => Self::UnseenFile,
            15 => Self::KnownBadFile,
            20 => Self::PoolProtocol,
            21 => Self::PoolName,
            22 => Self::PoolAddress,
            23 => Self::OwnerUnknown,
            24 => Self::BannedAddress,
            _ => return None,
        })
    }

    /// Its number in `enum event_reason`.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// The reason in words, for the log. `None` for a plain match.
    pub fn as_str(self) -> Option<&'static str> {
        Some(match self {
            Self::Match | Self::Rule => return None,
            Self::PidOne => "pid 1 is never killed",
            Self::ProtectedExecutable => "its executable is protected",
            Self::ProtectedCgroup => "its cgroup is protected",
            Self::Allowed => "an allow pattern matches",
            Self::MaybeAllowed => "an allow pattern may match",
            Self::UnknownCgroup => "a scoped rule may apply and its cgroup was not known yet",
            Self::Unreadable => "its arguments could not be read at exec",
            Self::Suppressed => "its cgroup is under respawn suppression",
            Self::SignalFailed => "the signal could not be sent",
            Self::AgentAway => "no agent was there to decide",
            Self::HoldsFull => "too many processes are held",
            Self::Unholdable => "it could not be held safely",
            Self::MaybeRule => "it may launch what a detection is about, or only name it",
            Self::Ceiling => {
                "its rule has had as many victims on this node as it may, so it only observes"
            }
            Self::Rounds => "it does not round to the nearest",
            Self::UnseenFile => "its file is looked into first",
            Self::KnownBadFile => "its file is known to be bad",
            Self::PoolProtocol => "it speaks the protocol of a mining pool",
            Self::PoolName => "it names a mining pool",
            Self::PoolAddress => "it speaks to the address of a mining pool",
            Self::OwnerUnknown => "no system call has shown yet whose socket it is",
            Self::BannedAddress => "it connects to a banned address",
        })
    }
}

/// Slots of the table of strings that the walk of the wire knows.
pub const WIRE_TOKENS: usize = davylamp_detect::wire::walk::TOKENS;
/// Room for its rules.
pub const WIRE_RULES: usize = davylamp_detect::wire::walk::RULES;
/// Bytes of each direction that are kept while a flow is followed.
pub const WIRE_KEPT: usize = 1536;
/// Bytes of a remembered name, its end included.
pub const WIRE_NAME: usize = 128;
/// Bytes of texts between an event of the wire and what was seen.
pub const WIRE_TEXT: usize = 3584;
/// In [`WireSight::done`]: it was dropped, and nobody was to be killed.
pub const WIRE_DROPPED: u32 = 32;

/// `struct wire_token`.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs, reason = "as bpf/abi.h describes them")]
pub struct WireToken {
    pub hash: u64,
    pub as_method: u32,
    pub in_params: u32,
    pub in_result: u32,
    pub in_job: u32,
    pub as_type: u32,
    pub role: u8,
    pub seen: u8,
    pub reserved: [u8; 2],
}

/// `struct wire_rule`.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs, reason = "as bpf/abi.h describes them")]
pub struct WireRule {
    pub all: u32,
    pub any: u32,
    pub seen: u32,
}

/// `struct wire_endpoint`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct WireEndpoint {
    /// An address; version 4 is mapped into version 6.
    pub address: [u8; 16],
    /// Its port.
    pub port: u32,
}

/// So many things can be seen.
pub const SEEN_MAX: usize = 16;

/// `struct wire_constants`.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct WireConstants {
    /// The strings.
    pub tokens: [WireToken; WIRE_TOKENS],
    /// The rules.
    pub rules: [WireRule; WIRE_RULES],
    /// The numbers of the ceilings of what is seen; the first is that of banned addresses.
    pub ceilings: [u32; SEEN_MAX],
    /// How long a flow must last before its rhythm is told; 0: never.
    pub rhythm_min_ns: u64,
    /// How long an answered address is remembered at most.
    pub names_last_ns: u64,
    /// `enum wire_policy` of protocols.
    pub protocols: u32,
    /// … of names.
    pub names: u32,
    /// … of addresses.
    pub addresses: u32,
    /// Whether each new destination of a process is told.
    pub connects: u32,
    /// Whether banned addresses are looked up.
    pub banned: u32,
    /// `enum wire_policy` of encrypted questions for names.
    pub encrypted_dns: u32,
    /// Whether every socket of the machine is watched.
    pub whole_machine: u32,
    /// Padding.
    pub reserved: u32,
}

/// `struct wire_prefix`.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct WirePrefix {
    /// Bits that count.
    pub length: u32,
    /// An address of version 6, or one of version 4 mapped into it.
    pub address: [u8; 16],
}

/// `struct wire_sight`.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs, reason = "as bpf/abi.h describes them")]
pub struct WireSight {
    pub began_ns: u64,
    pub last_ns: u64,
    pub longest_gap_ns: u64,
    pub bytes: u64,
    pub packets: u32,
    pub done: u32,
    pub sent_len: u32,
    pub received_len: u32,
    pub local_port: u16,
    pub remote_port: u16,
    pub seen: u8,
    pub is_server: u8,
    pub is_received: u8,
    pub greeting: u8,
    pub local: [u8; 16],
    pub remote: [u8; 16],
    pub name: [u8; WIRE_NAME],
    pub sent: [u8; WIRE_KEPT],
    pub received: [u8; WIRE_KEPT],
}

/// `struct wire_event`, behind its `base`.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct WireEvent {
    /// The texts of the `base`.
    pub text: [u8; WIRE_TEXT],
    /// What was seen.
    pub sight: WireSight,
}

/// `struct connect_event`, behind its `base`.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ConnectEvent {
    /// The texts of the `base`.
    pub text: [u8; WIRE_TEXT],
    /// Where to.
    pub remote: [u8; 16],
    /// The port there.
    pub remote_port: u16,
    /// Whether the address is banned.
    pub is_banned: u16,
    /// `EVENT_KILLED` and so on where it is.
    pub done: u32,
}
