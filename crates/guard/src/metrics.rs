//! What the guard counts, as Prometheus text.
//!
//! Names, units and meanings are in docs/metrics.md, and a test holds the two together. No command
//! line, pod or user is ever in a label: metrics are read by more people than the log is.
//!
//! The text format 0.0.4 is written here rather than by `prometheus-client`, which writes
//! OpenMetrics alone: `promtool check metrics` and plain agents take its counters for untyped. There
//! is nothing to register either: the counts live in the kernel and outlast this process.

mod counts;
mod cryptnono;
mod text;

use std::time::Duration;

use davylamp_model::guard_event::Mode;

pub use counts::{AgentCounts, Health, KernelCounts, LATENCY_BUCKETS, ListFacts, Outcomes, Source};
pub use cryptnono::Cryptnono;
use text::{Kind, Text};

/// The media type of [`render`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The buckets shown: from a microsecond to some seconds. Those below are in the first, those above
/// in the last, so that fewer series are kept for each machine.
const SHOWN_BUCKETS: std::ops::Range<usize> = 9..33;

/// The metrics as text; with `cryptnono` also under that program's names.
///
/// What the kernel counts is left out where it cannot be read: a gap says more than a zero.
pub fn render(source: &dyn Source, cryptnono: Option<&Cryptnono>) -> String {
    let kernel = source.kernel_counts();
    let agent = source.agent_counts();
    let mut text = Text::default();
    of_the_agent(&mut text, &source.health(), kernel.is_some());
    of_the_list(&mut text, agent.list.as_ref());
    decisions(&mut text, kernel.as_ref(), &agent);
    if let Some(kernel) = &kernel {
        of_the_kernel(&mut text, kernel);
        latency(&mut text, &kernel.latency_buckets);
    }
    work_of_the_agent(&mut text, &agent);
    if let Some(cryptnono) = cryptnono {
        cryptnono.render(&mut text, kernel.as_ref(), &agent);
    }
    text.finish()
}

fn of_the_agent(text: &mut Text, health: &Health, readable: bool) {
    text.family(
        "build_info",
        Kind::Gauge,
        "Always 1; the version is in the label.",
    )
    .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.family(
        "attached",
        Kind::Gauge,
        "Whether the kernel programs are attached: 1 or 0.",
    )
    .sample(&[], u64::from(health.attached));
    text.family(
        "kernel_counts_readable",
        Kind::Gauge,
        "Whether the kernel's counts could be read for this answer: 1 or 0. Without them their metrics are absent.",
    )
    .sample(&[], u64::from(readable));
    if let Some(seconds) = cpu_seconds() {
        text.family(
            "agent_cpu_seconds_total",
            Kind::Counter,
            "CPU time of the agent, user and system; the kernel programs are not in it.",
        )
        .seconds(seconds);
    }
    if let Some(bytes) = resident_bytes() {
        text.family(
            "agent_resident_memory_bytes",
            Kind::Gauge,
            "Memory of the agent in RAM; the kernel's tables are not in it.",
        )
        .sample(&[], bytes);
    }
}

fn of_the_list(text: &mut Text, list: Option<&ListFacts>) {
    let Some(list) = list else { return };
    let mode = match list.mode {
        Mode::Enforce => "enforce",
        Mode::Observe => "observe",
    };
    text.family(
        "list_info",
        Kind::Gauge,
        "Always 1 while a list is in force; its digest and whether matches are killed are in the labels.",
    )
    .sample(&[("generation", &format!("{:016x}", list.generation)), ("mode", mode)], 1);
    text.family(
        "list_strings",
        Kind::Gauge,
        "Banned strings in the list in force.",
    )
    .sample(&[], list.strings);
    text.family(
        "list_states",
        Kind::Gauge,
        "States of the automaton made from the list in force.",
    )
    .sample(&[], list.states);
    text.family(
        "table_bytes",
        Kind::Gauge,
        "Size of the kernel's table made from the list in force.",
    )
    .sample(&[], list.table_bytes);
}

fn decisions(text: &mut Text, kernel: Option<&KernelCounts>, agent: &AgentCounts) {
    let at_exec = kernel.map(|kernel| Outcomes {
        killed: kernel.killed,
        spared: kernel.spared,
        missed: kernel.missed,
    });
    let sources = [
        ("exec", at_exec),
        ("hold", Some(agent.hold)),
        ("sweep", Some(agent.sweep)),
        ("policy", Some(agent.noticed)),
    ];
    type Count = fn(&Outcomes) -> u64;
    let families: [(&str, &str, Count); 3] = [
        (
            "processes_killed_total",
            "Processes killed, by what decided it.",
            |of| of.killed,
        ),
        (
            "processes_spared_total",
            "Matching processes left alone, by what decided it.",
            |of| of.spared,
        ),
        (
            "processes_missed_total",
            "Processes that were to be killed and were not, by what tried.",
            |of| of.missed,
        ),
    ];
    for (name, help, count) in families {
        let mut family = text.family(name, Kind::Counter, help);
        for (source, outcomes) in &sources {
            if let Some(outcomes) = outcomes {
                family.sample(&[("source", source)], count(outcomes));
            }
        }
    }
}

fn of_the_kernel(text: &mut Text, kernel: &KernelCounts) {
    for (name, value, help) in [
        ("execs_total", kernel.execs, "Execs judged."),
        (
            "matched_total",
            kernel.matched,
            "Execs in which a banned string stood as a word.",
        ),
        (
            "processes_held_total",
            kernel.held,
            "Processes stopped at exec for the agent to decide.",
        ),
        (
            "processes_would_kill_total",
            kernel.would_kill,
            "Processes that enforcing would have killed, seen while observing.",
        ),
        (
            "holds_expired_total",
            kernel.holds_expired,
            "Holds that ended by their deadline.",
        ),
        (
            "holds_broken_total",
            kernel.holds_broken,
            "Holds that another process ended.",
        ),
        (
            "events_lost_total",
            kernel.events_lost_full,
            "Log lines lost because the event buffer was full; no kill is lost with them.",
        ),
        (
            "events_rate_limited_total",
            kernel.events_rate_limited,
            "Log lines left out because their cgroup had too many; no kill is left out with them.",
        ),
        (
            "arguments_unreadable_total",
            kernel.unreadable,
            "Execs whose arguments the kernel program could not read.",
        ),
        (
            "respawns_suppressed_total",
            kernel.suppressed,
            "Execs killed because their cgroup was under respawn suppression.",
        ),
        (
            "kills_over_ceiling_total",
            kernel.ceiling_refused,
            "Kills that did not happen because their rule, or the node, had had as many victims as it \
             may; anything but 0 is a rule to look at.",
        ),
        (
            "wire_flows_total",
            kernel.wire_flows,
            "TCP connections whose first bytes were judged.",
        ),
        (
            "wire_segments_dropped_total",
            kernel.wire_dropped,
            "Packets dropped because of what they or their connection said.",
        ),
        (
            "wire_no_room_total",
            kernel.wire_no_room,
            "Packets that were not judged because no memory could be had for their connection.",
        ),
        (
            "event_texts_truncated_total",
            kernel.text_truncated,
            "Texts of events that were cut.",
        ),
        (
            "files_held_total",
            kernel.files_held,
            "Programs held until their file was looked into.",
        ),
        (
            "files_unheld_total",
            kernel.files_unheld,
            "Programs whose file was to be looked into, and that ran meanwhile.",
        ),
        (
            "files_known_total",
            kernel.files_known,
            "Programs whose file the kernel knew.",
        ),
        (
            "files_known_bad_total",
            kernel.files_known_bad,
            "Programs whose file the kernel knew to be bad.",
        ),
        (
            "programs_skipped_total",
            kernel.programs_skipped,
            "Runs of a kernel program that the kernel skipped; anything but 0 is an unguarded exec.",
        ),
    ] {
        text.family(name, Kind::Counter, help).sample(&[], value);
    }
    text.family(
        "hook_seconds_total",
        Kind::Counter,
        "Time spent in the exec hook, all CPUs together.",
    )
    .seconds(seconds(kernel.hook_ns as f64));
}

/// The kernel counts by powers of two and keeps no sum, so the sum is that of the buckets' middles:
/// at most half as much again or a quarter less than the truth.
fn latency(text: &mut Text, buckets: &[u64; LATENCY_BUCKETS]) {
    let mut family = text.family(
        "exec_to_signal_seconds",
        Kind::Histogram,
        "Time from the start of the exec hook to the signal; the sum is estimated from the buckets.",
    );
    let (mut count, mut sum_ns) = (0_u64, 0.0);
    for (power, in_bucket) in buckets.iter().enumerate() {
        count = count.saturating_add(*in_bucket);
        let from_ns = (power as f64).exp2();
        sum_ns += 1.5 * from_ns * *in_bucket as f64;
        if SHOWN_BUCKETS.contains(&power) {
            family.bucket(&seconds(2.0 * from_ns).to_string(), count);
        }
    }
    family.bucket("+Inf", count);
    family.sum_and_count(seconds(sum_ns), count);
}

fn work_of_the_agent(text: &mut Text, agent: &AgentCounts) {
    text.family(
        "rules_at_ceiling",
        Kind::Gauge,
        "Rules that only observe on this node because they had as many victims as they may.",
    )
    .sample(&[], agent.rules_at_ceiling);
    let mut reloads = text.family(
        "reloads_total",
        Kind::Counter,
        "Reloads of the lists, by how they ended.",
    );
    reloads.sample(&[("result", "ok")], agent.reloads_ok);
    reloads.sample(&[("result", "failed")], agent.reloads_failed);
    let mut lookups = text.family(
        "container_lookups_failed_total",
        Kind::Counter,
        "Containers that could not be described in the log, by the reason.",
    );
    for (reason, count) in &agent.lookups_failed {
        lookups.sample(&[("reason", reason)], *count);
    }
    for (name, value, help) in [
        (
            "sweeps_total",
            agent.sweeps,
            "Sweeps of the running processes.",
        ),
        (
            "swept_processes_total",
            agent.swept_processes,
            "Running processes judged in sweeps.",
        ),
        (
            "swept_unreadable_total",
            agent.swept_unreadable,
            "Running processes that a sweep could not judge.",
        ),
        (
            "suspects_evicted_total",
            agent.suspects_evicted,
            "Process trees, containers and users whose signs were forgotten for want of room.",
        ),
        (
            "response_killed_total",
            agent.response_killed,
            "Processes killed beside the one that matched, by policy.",
        ),
        (
            "files_searched_total",
            agent.files_searched,
            "Files that were looked into.",
        ),
        (
            "files_bad_total",
            agent.files_bad,
            "Files in which a miner was found.",
        ),
        (
            "files_unknown_total",
            agent.files_unknown,
            "Files of which not all could be searched, and in which nothing was found.",
        ),
        (
            "file_workers_died_total",
            agent.file_workers_died,
            "Processes that look into files, and died.",
        ),
        (
            "events_garbled_total",
            agent.events_garbled,
            "Kernel events that the agent could not read.",
        ),
        (
            "log_lines_lost_total",
            agent.log_lines_lost,
            "Log lines lost because nobody read them.",
        ),
    ] {
        text.family(name, Kind::Counter, help).sample(&[], value);
    }
    let Some(spool) = agent.spool else {
        return;
    };
    for (name, kind, value, help) in [
        (
            "spool_bytes",
            Kind::Gauge,
            spool.bytes,
            "Bytes of log lines in the spool.",
        ),
        (
            "spool_lines_dropped_total",
            Kind::Counter,
            spool.dropped,
            "Lines dropped from the spool to make room, read or not.",
        ),
        (
            "spool_lines_lost_total",
            Kind::Counter,
            spool.lost,
            "Lines that never came into the spool: the disk was full or too slow.",
        ),
    ] {
        text.family(name, kind, help).sample(&[], value);
    }
}

fn seconds(nanoseconds: f64) -> f64 {
    nanoseconds / 1e9
}

fn cpu_seconds() -> Option<f64> {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::try_from(spent).ok()?.as_secs_f64())
}

/// The second number of proc_pid_statm(5), in pages.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests;
