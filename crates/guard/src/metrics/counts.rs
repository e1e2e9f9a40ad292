//! The numbers, before they are text.

use std::collections::BTreeMap;
use std::time::Duration;

use davylamp_model::guard_event::{Action, Mode};

use crate::log::SpoolFacts;

/// How many buckets the kernel programs count latencies in.
pub const LATENCY_BUCKETS: usize = 40;

/// What the kernel programs counted since their maps were pinned: agents come and go meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelCounts {
    /// Execs judged.
    pub execs: u64,
    /// Execs in which a banned string stood.
    pub matched: u64,
    /// Processes killed at exec.
    pub killed: u64,
    /// Matches left alone.
    pub spared: u64,
    /// Processes stopped for the agent to decide.
    pub held: u64,
    /// Matches seen while only observing.
    pub would_kill: u64,
    /// Processes that should have been killed and were not.
    pub missed: u64,
    /// Holds that ended by their deadline.
    pub holds_expired: u64,
    /// Holds that somebody else ended.
    pub holds_broken: u64,
    /// Events left out because the buffer was full.
    pub events_lost_full: u64,
    /// Events left out because their cgroup had too many.
    pub events_rate_limited: u64,
    /// Execs whose arguments could not be read.
    pub unreadable: u64,
    /// Execs killed because their cgroup was under respawn suppression.
    pub suppressed: u64,
    /// Texts of events that were cut.
    pub text_truncated: u64,
    /// Time spent in the exec hook, in nanoseconds.
    pub hook_ns: u64,
    /// Kills that did not happen because a ceiling was reached.
    pub ceiling_refused: u64,
    /// Programs held until their file is looked into.
    pub files_held: u64,
    /// Programs whose file is looked into while they run.
    pub files_unheld: u64,
    /// Programs whose file's verdict was known.
    pub files_known: u64,
    /// Of them, with a bad one.
    pub files_known_bad: u64,
    /// Connections of which the wire's programs walked anything.
    pub wire_flows: u64,
    /// Segments that they dropped.
    pub wire_dropped: u64,
    /// Packets of sockets that no storage could be had for.
    pub wire_no_room: u64,
    /// Connections begun, where destinations are counted.
    pub connects: u64,
    /// Times from the start of the hook to the signal: bucket i counts those from 2^i up to but not
    /// including 2^(i+1) nanoseconds.
    pub latency_buckets: [u64; LATENCY_BUCKETS],
    /// Runs of the programs that the kernel skipped because one was already running on that CPU.
    pub programs_skipped: u64,
}

impl Default for KernelCounts {
    fn default() -> Self {
        Self {
            execs: 0,
            matched: 0,
            killed: 0,
            spared: 0,
            held: 0,
            would_kill: 0,
            missed: 0,
            holds_expired: 0,
            holds_broken: 0,
            events_lost_full: 0,
            events_rate_limited: 0,
            unreadable: 0,
            suppressed: 0,
            text_truncated: 0,
            hook_ns: 0,
            ceiling_refused: 0,
            files_held: 0,
            files_unheld: 0,
            files_known: 0,
            files_known_bad: 0,
            wire_flows: 0,
            wire_dropped: 0,
            wire_no_room: 0,
            connects: 0,
            latency_buckets: [0; LATENCY_BUCKETS],
            programs_skipped: 0,
        }
    }
}

/// What became of matches that the agent decided itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Killed.
    pub killed: u64,
    /// Left alone.
    pub spared: u64,
    /// To be killed, but not killed.
    pub missed: u64,
}

impl Outcomes {
    /// Counts one more, if it is one of these.
    pub fn add(&mut self, action: Action) {
        match action {
            Action::Killed => self.killed += 1,
            Action::Spared | Action::Alerted => self.spared += 1,
            Action::Missed => self.missed += 1,
            Action::Held | Action::WouldKill | Action::Frozen => {}
        }
    }
}

/// The list in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListFacts {
    /// Banned strings.
    pub strings: u64,
    /// States of the automaton.
    pub states: u64,
    /// Size of the kernel's table.
    pub table_bytes: u64,
    /// Digest of the lists, as in the events.
    pub generation: u64,
    /// Whether matches are killed.
    pub mode: Mode,
}

/// What the agent counted since it started. What happens at exec is the kernel's to count: an event
/// may be lost, a count is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentCounts {
    /// Reloads that put a list in force.
    pub reloads_ok: u64,
    /// Reloads that left the old list in force.
    pub reloads_failed: u64,
    /// Containers that could not be described, by the reason.
    pub lookups_failed: BTreeMap<&'static str, u64>,
    /// Sweeps of the running processes.
    pub sweeps: u64,
    /// Processes judged in sweeps.
    pub swept_processes: u64,
    /// What became of matches found by sweeps.
    pub sweep: Outcomes,
    /// What became of processes that were held at exec.
    pub hold: Outcomes,
    /// What became of processes that senses noticed.
    pub noticed: Outcomes,
    /// Trees, containers and users whose signs were forgotten for want of room.
    pub suspects_evicted: u64,
    /// Running processes that a sweep could not judge.
    pub swept_unreadable: u64,
    /// Processes killed beside the one that matched, by policy.
    pub response_killed: u64,
    /// Rules that only observe because their ceiling is reached.
    pub rules_at_ceiling: u64,
    /// Files that were looked into.
    pub files_searched: u64,
    /// Of them, bad.
    pub files_bad: u64,
    /// Of them, those of which not all could be searched.
    pub files_unknown: u64,
    /// Processes that died while they searched a file, or waited for one.
    pub file_workers_died: u64,
    /// What became of processes that connected to banned addresses.
    pub flows_banned: Outcomes,
    /// What became of processes that reached too many destinations.
    pub flows_many: Outcomes,
    /// Kernel events that could not be read.
    pub events_garbled: u64,
    /// Log lines lost because nobody read them.
    pub log_lines_lost: u64,
    /// What became of lines in the spool, if there is one.
    pub spool: Option<SpoolFacts>,
    /// The list in force, if there is one.
    pub list: Option<ListFacts>,
}

/// How the agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Time since its loop last came round.
    pub since_beat: Duration,
    /// Whether the kernel programs are attached.
    pub attached: bool,
    /// Whether a list is in force.
    pub list_in_force: bool,
}

/// Where the numbers come from. Called at each scrape, so it should not wait.
pub trait Source: Send + Sync {
    /// The kernel's counts, unless they cannot be read.
    fn kernel_counts(&self) -> Option<KernelCounts>;
    /// The agent's counts.
    fn agent_counts(&self) -> AgentCounts;
    /// How the agent is.
    fn health(&self) -> Health;
}
