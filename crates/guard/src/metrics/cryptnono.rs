//! The names that cryptnono's users have dashboards and alerts for
//! (<https://github.com/cryptnono/cryptnono>, its process detector's counters).

use std::sync::atomic::{AtomicU64, Ordering};

use super::text::{Kind, Text};
use super::{AgentCounts, KernelCounts};

const AT_EXEC: &str = "execwhacker.bpf";
const SWEEP: &str = "psutil.process_iter";
/// Not one of cryptnono's: a sum of what outlasts the agent and what does not would fall at its
/// restart, and a counter that falls without reaching zero is read as a burst.
const HOLD: &str = "davylamp.hold";

/// Counts derived by subtraction, which must not fall although their parts are not read at once.
#[derive(Debug, Default)]
pub struct Cryptnono {
    unmatched_at_exec: AtomicU64,
    unmatched_in_sweeps: AtomicU64,
}

impl Cryptnono {
    pub(super) fn render(
        &self,
        text: &mut Text,
        kernel: Option<&KernelCounts>,
        agent: &AgentCounts,
    ) {
        let (hold, sweep) = (agent.hold, agent.sweep);
        let held = hold.killed + hold.spared + hold.missed;
        let judged = [
            (AT_EXEC, kernel.map(|of| of.execs)),
            (SWEEP, Some(agent.swept_processes)),
            (HOLD, Some(held)),
        ];
        let killed = [
            (AT_EXEC, kernel.map(|of| of.killed)),
            (SWEEP, Some(sweep.killed)),
            (HOLD, Some(hold.killed)),
        ];
        let missed = [
            (AT_EXEC, kernel.map(|of| of.missed)),
            (SWEEP, Some(sweep.missed)),
            (HOLD, Some(hold.missed)),
        ];
        for (what, help, samples) in [
            (
                "checked",
                "Processes judged, under cryptnono's name.",
                judged,
            ),
            (
                "killed",
                "Processes killed, under cryptnono's name.",
                killed,
            ),
            (
                "missed",
                "Processes to be killed and not killed, under cryptnono's name.",
                missed,
            ),
        ] {
            let mut family = text.foreign(name(&format!("processes_{what}")), Kind::Counter, help);
            for (source, value) in samples {
                if let Some(value) = value {
                    family.sample(&[("source", source)], value);
                }
            }
        }
        let swept = agent.swept_processes;
        let found = sweep.killed + sweep.spared + sweep.missed;
        let in_sweeps = never_less(&self.unmatched_in_sweeps, swept.saturating_sub(found));
        let mut allowed = vec![(SWEEP, sweep.spared, in_sweeps), (HOLD, hold.spared, 0)];
        if let Some(kernel) = kernel {
            let unmatched = kernel.execs.saturating_sub(kernel.matched);
            let unmatched = never_less(&self.unmatched_at_exec, unmatched);
            allowed.insert(0, (AT_EXEC, kernel.spared, unmatched));
        }
        let help = "Processes left alone, under cryptnono's name.";
        let mut family = text.foreign(name("processes_allowed"), Kind::Counter, help);
        for (source, spared, unmatched) in allowed {
            // A string inside a longer word is no match here, and is not counted apart.
            for (reason, value) in [
                ("is-substring", 0),
                ("allowed-pattern", spared),
                ("no-match", unmatched),
            ] {
                family.sample(&[("source", source), ("allowedby", reason)], value);
            }
        }
        flows(text, kernel, agent);
        let help = "Reloads that failed, under cryptnono's name.";
        text.foreign(name("unexpected_errors"), Kind::Counter, help)
            .sample(&[], agent.reloads_failed);
    }
}

/// The counters of its flow killer.
fn flows(text: &mut Text, kernel: Option<&KernelCounts>, agent: &AgentCounts) {
    let name = |counter: &str| format!("cryptnono_flowkiller_{counter}_total");
    let help = "Connections judged, under cryptnono's name.";
    if let Some(kernel) = kernel {
        text.foreign(name("connects_checked"), Kind::Counter, help)
            .sample(&[], kernel.connects);
    }
    let (banned, many) = (agent.flows_banned, agent.flows_many);
    let help = "Processes killed for their connections, under cryptnono's name.";
    let mut family = text.foreign(name("processes_killed"), Kind::Counter, help);
    family.sample(&[("reason", "banned-ip")], banned.killed);
    family.sample(&[("reason", "unique-destinations")], many.killed);
    let help =
        "Processes to be killed for their connections and not killed, under cryptnono's name.";
    text.foreign(name("processes_missed"), Kind::Counter, help)
        .sample(&[], banned.missed + many.missed);
}

fn name(counter: &str) -> String {
    format!("cryptnono_execwhacker_{counter}_total")
}

fn never_less(highest: &AtomicU64, value: u64) -> u64 {
    highest.fetch_max(value, Ordering::Relaxed).max(value)
}
