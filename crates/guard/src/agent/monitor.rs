//! What the agent shows of itself to the metrics server.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::Agent;
use crate::{
    abi::Counter,
    kernel::CounterReader,
    metrics::{AgentCounts, Health, KernelCounts, ListFacts, Source},
};

/// The agent's counts as of its last beat; the kernel's are read at each scrape.
pub(super) struct Published {
    kernel: CounterReader,
    agent: Mutex<(AgentCounts, Instant)>,
}

impl Published {
    pub(super) fn new(kernel: CounterReader) -> Self {
        Self {
            kernel,
            agent: Mutex::new((AgentCounts::default(), Instant::now())),
        }
    }

    fn agent(&self) -> MutexGuard<'_, (AgentCounts, Instant)> {
        self.agent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Published {
    fn kernel_counts(&self) -> Option<KernelCounts> {
        let counters = self.kernel.read().ok()?;
        let get = |counter| counters.get(counter);
        Some(KernelCounts {
            execs: get(Counter::Execs),
            matched: get(Counter::Matched),
            killed: get(Counter::Killed),
            spared: get(Counter::Spared),
            held: get(Counter::Held),
            would_kill: get(Counter::WouldKill),
            missed: get(Counter::Missed),
            holds_expired: get(Counter::HoldsExpired),
            holds_broken: get(Counter::HoldsBroken),
            events_lost_full: get(Counter::EventsLostFull),
            events_rate_limited: get(Counter::EventsRateLimited),
            unreadable: get(Counter::Unreadable),
            suppressed: get(Counter::Suppressed),
            text_truncated: get(Counter::TextTruncated),
            hook_ns: get(Counter::HookNs),
            ceiling_refused: get(Counter::CeilingRefused),
            files_held: get(Counter::FilesHeld),
            files_unheld: get(Counter::FilesUnheld),
            files_known: get(Counter::FilesKnown),
            files_known_bad: get(Counter::FilesBad),
            wire_flows: get(Counter::WireFlows),
            wire_dropped: get(Counter::WireDropped),
            wire_no_room: get(Counter::WireNoRoom),
            connects: get(Counter::Connects),
            latency_buckets: counters.latency,
            programs_skipped: counters.skipped,
        })
    }

    fn agent_counts(&self) -> AgentCounts {
        self.agent().0.clone()
    }

    fn health(&self) -> Health {
        let published = self.agent();
        Health {
            since_beat: published.1.elapsed(),
            // Both are so from before the first beat until the process ends.
            attached: true,
            list_in_force: published.0.list.is_some(),
        }
    }
}

impl Agent {
    /// Shows the counts as they are now. Called at each beat, so a scrape is at most that old.
    pub(super) fn publish(&self) {
        let in_force = self.in_force();
        let size = in_force.judge.table().size();
        let failures = self.index.failures();
        let mut counts = self.counts.borrow().clone();
        counts.lookups_failed = failures
            .into_iter()
            .map(|(why, count)| (why.as_str(), count))
            .collect();
        counts.log_lines_lost = self.log.lost();
        counts.spool = self.log.spool();
        self.files.count(&mut counts);
        counts.list = Some(ListFacts {
            strings: size.strings as u64,
            states: size.states as u64,
            table_bytes: size.bytes as u64,
            generation: in_force.judge.table().generation(),
            mode: self.config.mode,
        });
        *self.published.agent() = (counts, Instant::now());
    }
}
