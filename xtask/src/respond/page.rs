//! The results as a page: docs/benchmarks-respond.md, and the same text for the terminal.

use std::collections::BTreeSet;

use comfy_table::{Table, presets};

use super::storm::{DELAY, Storm};
use super::{Effort, Who, cold};
use crate::bench::machine::Machine;

/// What the figures should come to, as shares of the baseline's.
const MOST_START: f64 = 0.2;
const MOST_MEMORY: f64 = 1.0 / 3.0;
const MOST_STORM: f64 = 0.2;

/// Everything that was measured.
pub struct Results {
    pub program_bytes: u64,
    pub zip_bytes: u64,
    pub starts: cold::Both,
    pub storms: Vec<Storm>,
}

/// The page.
pub fn page(machine: &Machine, effort: &Effort, results: &Results) -> String {
    [
        head(machine, effort),
        goals(effort, results),
        starts(results),
        storms(effort, results),
        calls(results),
    ]
    .join("\n")
}

fn head(machine: &Machine, effort: &Effort) -> String {
    format!(
        "# Benchmarks of the responder\n\n\
         Written by `make bench-respond` (`cargo xtask bench-respond --record`) on {}: {}, {} cores, \
         {} MiB, {}, load {} when it began.\n\n\
         What is compared is a handler in Python on boto3 (`xtask/bench/baseline.py`), which makes \
         the calls that Davylamp makes for an instance that mines, each finding after the other, \
         under the same runtime double and against moto on the same machine. It has no planner, \
         keeps no journal of its steps and cannot undo. Each instance has two volumes and two \
         interfaces. Cold starts: {} of each, in turn; told are the median and, in brackets, the \
         least and the most. Storms: one of each.\n",
        machine.date,
        machine.cpu,
        machine.cores,
        machine.memory_mib,
        machine.kernel,
        machine.load,
        effort.starts,
    )
}

fn goals(effort: &Effort, results: &Results) -> String {
    let starts = &results.starts;
    let ratio = |pick: fn(&cold::Starts) -> &Vec<f64>| {
        median(pick(&starts.davylamp)) / median(pick(&starts.baseline))
    };
    let mut table = table(["", "target", "measured", ""]);
    let mut goal = |what: String, most: f64, reached: f64| {
        let verdict = if reached <= most {
            "reached".to_owned()
        } else {
            "**missed**".to_owned()
        };
        table.add_row([
            what,
            format!("at most {most:.2}"),
            format!("{reached:.3}"),
            verdict,
        ]);
    };
    goal(
        "cold start to the first call of AWS, to the baseline's".to_owned(),
        MOST_START,
        ratio(|it| &it.first_call_ms),
    );
    goal(
        "most memory in RAM, to the baseline's".to_owned(),
        MOST_MEMORY,
        ratio(|it| &it.peak_mib),
    );
    let Some((findings, _)) = effort.storms.last() else {
        return table.to_string();
    };
    let find = |who, delayed| {
        results
            .storms
            .iter()
            .rfind(|it| it.who == who && it.delayed == delayed)
    };
    let later = format!("every call {} ms later", DELAY.as_millis());
    for (delayed, speed) in [(false, "moto's own speed"), (true, &later)] {
        let Some((ours, theirs)) = find(Who::Davylamp, delayed).zip(find(Who::Baseline, delayed))
        else {
            continue;
        };
        let factor = ours.findings as f64 / theirs.findings as f64;
        goal(
            format!("{findings} findings to the end, {speed}, to the baseline's"),
            MOST_STORM,
            ours.done_secs / (theirs.done_secs * factor),
        );
    }
    format!("## Targets\n\n{table}\n")
}

fn starts(results: &Results) -> String {
    let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
    let mut table = table(["", "Davylamp", "boto3", "ratio"]);
    let (ours, theirs) = (&results.starts.davylamp, &results.starts.baseline);
    for (what, ours, theirs) in [
        ("start to ready, ms", &ours.ready_ms, &theirs.ready_ms),
        (
            "start to first call of AWS, ms",
            &ours.first_call_ms,
            &theirs.first_call_ms,
        ),
        (
            "start to answer, ms",
            &ours.answered_ms,
            &theirs.answered_ms,
        ),
        (
            "in RAM after the answer, MiB",
            &ours.resident_mib,
            &theirs.resident_mib,
        ),
        ("most in RAM, MiB", &ours.peak_mib, &theirs.peak_mib),
    ] {
        table.add_row([
            what.to_owned(),
            spread(ours),
            spread(theirs),
            format!("{:.3}", median(ours) / median(theirs)),
        ]);
    }
    format!(
        "## The function\n\n\
         The program has {:.1} MiB, its zip {:.1} MiB. A start is measured with an event waiting, \
         with the journal in DynamoDB and a mail through SES. Python has loaded nothing but the \
         handler and a runtime client of some lines, less than what Lambda runs a handler in.\n\n{table}\n",
        mib(results.program_bytes),
        mib(results.zip_bytes),
    )
}

fn storms(effort: &Effort, results: &Results) -> String {
    let mut table = table([
        "findings",
        "regions",
        "later by, ms",
        "",
        "first cut, s",
        "last cut, s",
        "end, s",
        "moto's processor time, s",
        "calls for a finding",
        "mails",
        "most in RAM, MiB",
    ]);
    for storm in &results.storms {
        let later = if storm.delayed { DELAY.as_millis() } else { 0 };
        table.add_row([
            storm.findings.to_string(),
            storm.regions.to_string(),
            later.to_string(),
            name(storm.who).to_owned(),
            format!("{:.2}", storm.first_cut_secs),
            format!("{:.2}", storm.last_cut_secs),
            format!("{:.2}", storm.done_secs),
            format!("{:.2}", storm.server_secs),
            format!("{:.1}", storm.calls_each()),
            storm.mails().to_string(),
            format!("{:.1}", storm.peak_mib),
        ]);
    }
    format!(
        "## Storms\n\n\
         Times are from the event, to the moment the first and the last interface came into the \
         group that allows nothing, and to the answer of the function, with all evidence complete. \
         The journal is a file; the baseline has none. The brake of the playbook, which lets 20 plans \
         an hour through, is off, and the rate limits are those that ship: in each region 50 calls \
         of an operation that writes to EC2 at once and then 5 a second, 100 and 20 for one that \
         reads.\n\n\
         moto is one process that answers one call at a time, so against it alone nobody is faster \
         than the sum of its answers, which its processor time shows. AWS answers calls side by side, \
         each after some tens of milliseconds: hence the storms in which every call is answered {} ms \
         later. The baseline's storms have at most {} findings, and their time is multiplied for the \
         ratios above, for it takes one after the other.\n\n{table}\n",
        DELAY.as_millis(),
        effort.baseline_most,
    )
}

/// The calls of the largest storms without delay, for a finding.
fn calls(results: &Results) -> String {
    let find = |who| {
        results
            .storms
            .iter()
            .rfind(|it| it.who == who && !it.delayed)
    };
    let Some((ours, theirs)) = find(Who::Davylamp).zip(find(Who::Baseline)) else {
        return String::new();
    };
    let mut table = table(["service", "operation", "Davylamp", "boto3"]);
    let names: BTreeSet<_> = ours.calls.keys().chain(theirs.calls.keys()).collect();
    for key in names {
        let each = |storm: &Storm| {
            let count = storm.calls.get(key).copied().unwrap_or_default();
            format!("{:.2}", count as f64 / storm.findings as f64)
        };
        table.add_row([key.0.clone(), key.1.clone(), each(ours), each(theirs)]);
    }
    format!(
        "## Calls\n\nOf {} findings, for each of them.\n\n{table}\n",
        ours.findings
    )
}

fn name(who: Who) -> &'static str {
    match who {
        Who::Davylamp => "Davylamp",
        Who::Baseline => "boto3",
    }
}

fn table<const N: usize>(head: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(head);
    table
}

fn sorted(figures: &[f64]) -> Vec<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The figure in the middle; not a number if there are none.
fn median(figures: &[f64]) -> f64 {
    sorted(figures)
        .get(figures.len() / 2)
        .copied()
        .unwrap_or(f64::NAN)
}

fn spread(figures: &[f64]) -> String {
    let sorted = sorted(figures);
    match (sorted.first(), sorted.last()) {
        (Some(least), Some(most)) => {
            format!("{:.1} ({least:.1} to {most:.1})", median(figures))
        }
        _ => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_a_figure_that_occurred() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(spread(&[3.0, 1.0, 2.0]), "2.0 (1.0 to 3.0)");
        assert!(median(&[]).is_nan());
        assert_eq!(spread(&[]), "none");
    }
}
