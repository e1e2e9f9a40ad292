//! What is counted as it happens. All begins at nothing when the console starts.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::text::Text;

/// What is counted under one name.
#[derive(Debug)]
pub(crate) struct Family {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    /// What is there from the start, so that the first of it is an increase.
    known: &'static [&'static [&'static str]],
}

/// Upper bounds of times, in seconds: from a page out of memory to what is given up.
const BOUNDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

pub(super) const REQUESTS: Family = Family {
    name: "requests_total",
    help: "Requests that were answered, by the route's template, method and status.",
    labels: &["route", "method", "status"],
    known: &[],
};
pub(super) const REQUEST_SECONDS: Family = Family {
    name: "request_seconds",
    help: "Time until a request was answered; of a live stream, until it began.",
    labels: &["route", "method"],
    known: &[],
};
pub(crate) const BATCHES: Family = Family {
    name: "ingest_batches_total",
    help: "Batches of events, by whether they were taken, or why not.",
    labels: &["result"],
    known: &[
        &["taken"],
        &["no-token"],
        &["wrong-scope"],
        &["too-fast"],
        &["busy"],
        &["unpacked"],
        &["unreadable"],
        &["trouble"],
    ],
};
pub(crate) const LINES: Family = Family {
    name: "ingest_lines_total",
    help: "Lines of batches that were taken, by what they say.",
    labels: &["what"],
    known: &[
        &["killed"],
        &["missed"],
        &["would-kill"],
        &["heartbeat"],
        &["passed-over"],
    ],
};
pub(crate) const FINDINGS: Family = Family {
    name: "ingest_findings_total",
    help: "Findings of batches that were taken, by what the ledger knew of them.",
    labels: &["result"],
    known: &[&["new"], &["updated"], &["unchanged"]],
};
pub(crate) const TAKING: Family = Family {
    name: "ingest_seconds",
    help: "Time in which a batch was taken or refused.",
    labels: &[],
    known: &[&[]],
};
pub(crate) const WRITING: Family = Family {
    name: "ledger_write_seconds",
    help: "Time in which the ledger took a batch, waiting for others included.",
    labels: &[],
    known: &[&[]],
};
pub(crate) const SIGN_INS: Family = Family {
    name: "sign_ins_total",
    help: "Attempts to sign in, by the way and whether they held.",
    labels: &["way", "result"],
    known: &[
        &["password", "held"],
        &["password", "failed"],
        &["password", "slowed"],
        &["link", "held"],
        &["link", "failed"],
        &["provider", "held"],
        &["provider", "failed"],
    ],
};
pub(crate) const LEFT_OUT: Family = Family {
    name: "live_left_out_total",
    help: "Entries that those who watch were not shown, because more came than could be.",
    labels: &[],
    known: &[&[]],
};
pub(crate) const RETAINED: Family = Family {
    name: "retention_findings_total",
    help: "Findings that this console removed because they were too old.",
    labels: &[],
    known: &[&[]],
};

const COUNTERS: [&Family; 7] = [
    &REQUESTS, &BATCHES, &LINES, &FINDINGS, &SIGN_INS, &LEFT_OUT, &RETAINED,
];
const TIMES: [&Family; 3] = [&REQUEST_SECONDS, &TAKING, &WRITING];

#[derive(Debug, Clone, Copy, Default)]
struct Times {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

/// Values of labels, in the family's order, and what was counted under them.
type Kept<T> = BTreeMap<&'static str, BTreeMap<Vec<String>, T>>;

/// What is counted.
#[derive(Debug)]
pub(crate) struct Meters {
    counters: Mutex<Kept<u64>>,
    times: Mutex<Kept<Times>>,
}

impl Default for Meters {
    fn default() -> Self {
        fn known<T: Default>(families: &[&Family]) -> Mutex<Kept<T>> {
            let kept = families.iter().map(|family| {
                let known = family.known.iter().map(|values| {
                    let values = values.iter().map(|value| (*value).to_owned());
                    (values.collect(), T::default())
                });
                (family.name, known.collect())
            });
            Mutex::new(kept.collect())
        }
        Self {
            counters: known(&COUNTERS),
            times: known(&TIMES),
        }
    }
}

impl Meters {
    /// Counts. The values come from sets that the program knows, never from a request.
    pub(crate) fn count(&self, family: &Family, values: &[&str], n: u64) {
        let mut counters = lock(&self.counters);
        let counter = entry(&mut counters, family, values);
        *counter = counter.saturating_add(n);
    }

    /// Adds a time.
    pub(crate) fn time(&self, family: &Family, values: &[&str], seconds: f64) {
        let mut times = lock(&self.times);
        let times = entry(&mut times, family, values);
        times.count += 1;
        times.sum += seconds;
        if let Some(bucket) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            times.buckets[bucket] += 1;
        }
    }

    pub(super) fn render(&self, text: &mut Text) {
        let counters = lock(&self.counters);
        for family in COUNTERS {
            let mut out = text.family(family.name, "counter", family.help);
            for (values, n) in counters.get(family.name).into_iter().flatten() {
                out.sample(&labels(family, values), n);
            }
        }
        drop(counters);
        let times = lock(&self.times);
        for family in TIMES {
            let mut out = text.family(family.name, "histogram", family.help);
            for (values, times) in times.get(family.name).into_iter().flatten() {
                let labels = labels(family, values);
                let mut below = 0;
                let bounds = BOUNDS.iter().map(f64::to_string);
                for (bound, n) in bounds.zip(times.buckets) {
                    below += n;
                    let labels = [labels.as_slice(), &[("le", &bound)]].concat();
                    out.line("_bucket", &labels, below);
                }
                let all = [labels.as_slice(), &[("le", "+Inf")]].concat();
                out.line("_bucket", &all, times.count);
                out.line("_sum", &labels, times.sum);
                out.line("_count", &labels, times.count);
            }
        }
    }
}

fn entry<'a, T: Default>(kept: &'a mut Kept<T>, family: &Family, values: &[&str]) -> &'a mut T {
    debug_assert_eq!(values.len(), family.labels.len(), "{}", family.name);
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    kept.entry(family.name)
        .or_default()
        .entry(values)
        .or_default()
}

fn labels<'a>(family: &Family, values: &'a [String]) -> Vec<(&'static str, &'a str)> {
    let values = values.iter().map(String::as_str);
    family.labels.iter().copied().zip(values).collect()
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up_and_what_is_known_is_there_from_the_start() {
        let meters = Meters::default();
        meters.count(&BATCHES, &["taken"], 2);
        for seconds in [0.0005, 0.001, 0.2, 99.0] {
            meters.time(&WRITING, &[], seconds);
        }
        let mut text = Text::default();
        meters.render(&mut text);
        let text = text.finish();
        for line in [
            "davylamp_console_ingest_batches_total{result=\"taken\"} 2",
            "davylamp_console_ingest_batches_total{result=\"too-fast\"} 0",
            "davylamp_console_sign_ins_total{way=\"link\",result=\"failed\"} 0",
            "davylamp_console_live_left_out_total 0",
            "davylamp_console_ledger_write_seconds_bucket{le=\"0.001\"} 2",
            "davylamp_console_ledger_write_seconds_bucket{le=\"0.25\"} 3",
            "davylamp_console_ledger_write_seconds_bucket{le=\"30\"} 3",
            "davylamp_console_ledger_write_seconds_bucket{le=\"+Inf\"} 4",
            "davylamp_console_ledger_write_seconds_count 4",
            "davylamp_console_ingest_seconds_count 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
