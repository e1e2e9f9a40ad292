//! Judges what a guest said, and writes it down.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use comfy_table::{Table, presets};
use davylamp_testkit::kernel_test::{Outcomes, Record, Round, Way};

use super::machine::End;

/// What stands before the recorded results in docs/kernels.md; all behind it is replaced.
const RESULTS_MARK: &str = "<!-- results: everything below is written by --record -->\n";
/// The guard starts twice in a test.
const LIVES: usize = 2;
const HEADINGS: [&str; 9] = [
    "kernel",
    "booted",
    "BTF",
    "attached in",
    "banned execs",
    "ran an instruction",
    "benign execs",
    "harmed",
    "verdict",
];

/// Everything known about one kernel's test.
pub struct Report {
    /// The package or file of the kernel.
    pub kernel: String,
    end: String,
    ended: bool,
    records: Vec<Record>,
    malformed: usize,
}

impl Report {
    /// Reads the guest's records.
    pub fn new(kernel: &str, end: &End, records: &Path) -> anyhow::Result<Self> {
        let text =
            fs::read(records).with_context(|| format!("cannot read {}", records.display()))?;
        let ended = matches!(end, End::PoweredOff(_));
        Ok(Self::from_text(
            kernel,
            end.to_string(),
            ended,
            &String::from_utf8_lossy(&text),
        ))
    }

    fn from_text(kernel: &str, end: String, ended: bool, text: &str) -> Self {
        let mut records = Vec::new();
        let mut malformed = 0;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match serde_json::from_str(line) {
                Ok(record) => records.push(record),
                Err(_) => malformed += 1,
            }
        }
        Self {
            kernel: kernel.to_owned(),
            end,
            ended,
            records,
            malformed,
        }
    }

    /// Every reason why this kernel did not pass; none means that it did.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if !self.ended {
            failures.push(format!("the machine {}", self.end));
        }
        if self.malformed > 0 {
            failures.push(format!(
                "{} records of the guest are malformed",
                self.malformed
            ));
        }
        match self.booted() {
            None => failures.push("it did not boot as far as our /init".to_owned()),
            Some((_, false, _)) => failures.push("it has no BTF of its own".to_owned()),
            Some((_, true, _)) => {}
        }
        for record in &self.records {
            match record {
                Record::Problem { what } => failures.push(format!("the guest gave up: {what}")),
                Record::Log { malformed, .. } if *malformed > 0 => {
                    failures.push(format!("{malformed} lines of the guard's log are not JSON"));
                }
                _ => {}
            }
        }
        for round in Round::ALL {
            self.judge_round(round, &mut failures);
        }
        let ready = self.ready_ms().count();
        if ready != LIVES {
            failures.push(format!(
                "the guard said ready {ready} times instead of {LIVES}"
            ));
        }
        if self.logged_kills() == 0 {
            failures.push("the guard's log names no killed program".to_owned());
        }
        if self.records.last() != Some(&Record::Finished) {
            failures.push("the test did not reach its end".to_owned());
        }
        failures
    }

    fn judge_round(&self, wanted: Round, failures: &mut Vec<String>) {
        let mut seen = BTreeSet::new();
        let (mut banned, mut benign) = (Faults::default(), Faults::default());
        for record in &self.records {
            let Record::Round { round, tallies, .. } = record else {
                continue;
            };
            if *round != wanted {
                continue;
            }
            for tally in tallies {
                if tally.banned.execs > 0 && tally.benign.execs > 0 {
                    seen.insert(tally.way);
                }
                let good = if wanted == Round::Control {
                    tally.banned.all_completed()
                } else {
                    tally.banned.all_killed_unrun()
                };
                if !good {
                    banned.add(tally.way, tally.banned);
                }
                if !tally.benign.all_completed() {
                    benign.add(tally.way, tally.benign);
                }
            }
        }
        let banned_fault = if wanted == Round::Control {
            "the witness does not testify without a guard"
        } else {
            "banned programs were not all killed before they ran"
        };
        failures.extend(
            banned
                .words()
                .map(|what| format!("{wanted:?}: {banned_fault}, {what}")),
        );
        failures.extend(
            benign
                .words()
                .map(|what| format!("{wanted:?}: benign programs were harmed, {what}")),
        );
        let missing: Vec<_> = Way::ALL.iter().filter(|way| !seen.contains(way)).collect();
        if seen.is_empty() {
            failures.push(format!("the round {wanted:?} did not take place"));
        } else if !missing.is_empty() {
            failures.push(format!("{wanted:?}: nothing was run as {missing:?}"));
        }
    }

    fn booted(&self) -> Option<(&str, bool, u64)> {
        self.records.iter().find_map(|record| match record {
            Record::Booted {
                kernel,
                btf,
                uptime_ms,
            } => Some((kernel.as_str(), *btf, *uptime_ms)),
            _ => None,
        })
    }

    fn ready_ms(&self) -> impl Iterator<Item = u64> {
        self.records.iter().filter_map(|record| match record {
            Record::Ready { attach_ms, .. } => Some(*attach_ms),
            _ => None,
        })
    }

    fn logged_kills(&self) -> u64 {
        let kills = self.records.iter().map(|record| match record {
            Record::Log { killed, .. } => *killed,
            _ => 0,
        });
        kills.sum()
    }

    /// The outcomes of all rounds in which a guard is due.
    fn totals(&self) -> (Outcomes, Outcomes) {
        let (mut banned, mut benign) = (Outcomes::default(), Outcomes::default());
        for record in &self.records {
            match record {
                Record::Round { round, tallies, .. } if *round != Round::Control => {
                    for tally in tallies {
                        banned.add(tally.banned);
                        benign.add(tally.benign);
                    }
                }
                _ => {}
            }
        }
        (banned, benign)
    }

    fn row(&self) -> [String; HEADINGS.len()] {
        let (banned, benign) = self.totals();
        let (booted, btf) = match self.booted() {
            Some((_, btf, uptime_ms)) => (
                format!("{:.1} s", uptime_ms as f64 / 1000.0),
                if btf { "yes" } else { "no" },
            ),
            None => ("no".to_owned(), "unknown"),
        };
        let attached: Vec<_> = self.ready_ms().map(|ms| format!("{ms} ms")).collect();
        [
            self.kernel.clone(),
            booted,
            btf.to_owned(),
            if attached.is_empty() {
                "never".to_owned()
            } else {
                attached.join(", ")
            },
            banned.execs.to_string(),
            banned.wrote.to_string(),
            benign.execs.to_string(),
            (benign.execs - benign.completed).to_string(),
            if self.failures().is_empty() {
                "pass"
            } else {
                "FAIL"
            }
            .to_owned(),
        ]
    }
}

/// The ways in which one kind of program fared badly in a round.
#[derive(Default)]
struct Faults {
    ways: Vec<Way>,
    outcomes: Outcomes,
}

impl Faults {
    fn add(&mut self, way: Way, outcomes: Outcomes) {
        self.ways.push(way);
        self.outcomes.add(outcomes);
    }

    fn words(&self) -> Option<String> {
        let ways = match self.ways.len() {
            0 => return None,
            count if count == Way::ALL.len() => "in every way".to_owned(),
            _ => format!("as {:?}", self.ways),
        };
        Some(format!("{ways}: {}", words(self.outcomes)))
    }
}

fn words(outcomes: Outcomes) -> String {
    let Outcomes {
        execs,
        wrote,
        killed,
        completed,
        stuck,
        not_executed,
    } = outcomes;
    format!(
        "of {execs}, {wrote} ran, {killed} were killed, {completed} completed, {stuck} hung, \
         {not_executed} could not be executed"
    )
}

/// The table for a terminal.
pub fn table(reports: &[Report]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .set_header(HEADINGS);
    for report in reports {
        table.add_row(report.row());
    }
    table
}

/// Replaces the results in the page.
pub fn record(page: &Path, reports: &[Report], qemu: &str, execs: u32) -> anyhow::Result<()> {
    let old =
        fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let (head, _) = old.split_once(RESULTS_MARK).with_context(|| {
        format!(
            "{} has no line {:?} to write behind",
            page.display(),
            RESULTS_MARK.trim_end()
        )
    })?;
    let date = jiff::Timestamp::now().strftime("%F");
    let results = markdown(reports);
    let text = format!(
        "{head}{RESULTS_MARK}\nOn {date}, under qemu {qemu} (TCG, 2 processors, 1 GiB), {execs} banned \
         and {execs} benign execs in each of the four guarded rounds.\n\n{results}"
    );
    fs::write(page, text).with_context(|| format!("cannot write {}", page.display()))
}

fn markdown(reports: &[Report]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&HEADINGS.map(String::from));
    text += &line(&HEADINGS.map(|_| "---".to_owned()));
    for report in reports {
        text += &line(&report.row());
    }
    for report in reports {
        let kernel = report
            .booted()
            .map_or("it did not boot", |(kernel, _, _)| kernel);
        text += &format!(
            "\n## {}\n\n`{kernel}`; the machine {}.\n\n",
            report.kernel, report.end
        );
        for record in &report.records {
            if let Record::Round {
                round,
                tallies,
                elapsed_ms,
            } = record
            {
                let (mut banned, mut benign) = (Outcomes::default(), Outcomes::default());
                for tally in tallies {
                    banned.add(tally.banned);
                    benign.add(tally.benign);
                }
                text += &format!("- {round:?}, {elapsed_ms} ms\n");
                text += &format!(
                    "  - banned: {}\n  - benign: {}\n",
                    words(banned),
                    words(benign)
                );
            }
        }
        for failure in report.failures() {
            text += &format!("- FAIL: {failure}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use davylamp_testkit::kernel_test::Tally;

    use super::*;

    const KILLED: Outcomes = Outcomes {
        execs: 2,
        wrote: 0,
        killed: 2,
        completed: 0,
        stuck: 0,
        not_executed: 0,
    };
    const COMPLETED: Outcomes = Outcomes {
        execs: 2,
        wrote: 2,
        killed: 0,
        completed: 2,
        stuck: 0,
        not_executed: 0,
    };

    fn good() -> Vec<Record> {
        let round = |round, banned| Record::Round {
            round,
            tallies: Way::ALL
                .map(|way| Tally {
                    way,
                    banned,
                    benign: COMPLETED,
                })
                .to_vec(),
            elapsed_ms: 1,
        };
        let ready = Record::Ready {
            attach_ms: 3,
            line: "{}".into(),
        };
        let log = Record::Log {
            lines: 2,
            killed: 2,
            malformed: 0,
        };
        vec![
            Record::Booted {
                kernel: "6.1".into(),
                btf: true,
                uptime_ms: 900,
            },
            round(Round::Control, COMPLETED),
            ready.clone(),
            round(Round::Guarded, KILLED),
            log.clone(),
            round(Round::GuardKilled, KILLED),
            round(Round::GuardRestarting, KILLED),
            ready,
            round(Round::GuardRestarted, KILLED),
            log,
            Record::Finished,
        ]
    }

    fn report(records: &[Record]) -> Report {
        let lines: Vec<_> = records
            .iter()
            .map(|record| serde_json::to_string(record).expect("JSON"))
            .collect();
        Report::from_text("k", "ended".into(), true, &lines.join("\r\n"))
    }

    fn change(records: &mut [Record], wanted: Round, change: impl Fn(&mut Tally)) {
        for record in records {
            if let Record::Round { round, tallies, .. } = record
                && *round == wanted
            {
                change(&mut tallies[4]);
            }
        }
    }

    #[test]
    fn a_complete_good_test_passes() {
        assert_eq!(report(&good()).failures(), Vec::<String>::new());
        assert_eq!(report(&good()).row()[8], "pass");
    }

    #[test]
    fn every_missing_record_fails() {
        for index in 0..good().len() {
            let mut records = good();
            // One log of kills is enough: the second may be short.
            if matches!(records.remove(index), Record::Log { .. }) {
                records.retain(|record| !matches!(record, Record::Log { .. }));
            }
            assert_ne!(
                report(&records).failures(),
                Vec::<String>::new(),
                "without {index}"
            );
        }
        assert!(!report(&[]).failures().is_empty());
    }

    #[test]
    fn one_byte_fails_in_every_guarded_round() {
        for round in &Round::ALL[1..] {
            let mut records = good();
            change(&mut records, *round, |tally| tally.banned.wrote = 1);
            let failures = report(&records).failures();
            assert_eq!(failures.len(), 1, "{failures:?}");
            assert!(failures[0].contains("of 2, 1 ran"), "{failures:?}");
        }
    }

    #[test]
    fn a_program_that_was_never_executed_is_no_success() {
        let mut records = good();
        change(&mut records, Round::Guarded, |tally| {
            tally.banned.killed = 1;
            tally.banned.not_executed = 1;
        });
        assert_eq!(report(&records).failures().len(), 1);
    }

    #[test]
    fn a_harmed_benign_program_fails() {
        for round in Round::ALL {
            let mut records = good();
            change(&mut records, round, |tally| tally.benign.completed = 1);
            assert_eq!(report(&records).failures().len(), 1);
        }
    }

    #[test]
    fn a_silent_witness_fails() {
        let mut records = good();
        change(&mut records, Round::Control, |tally| tally.banned = KILLED);
        assert!(report(&records).failures()[0].contains("witness"));
    }

    #[test]
    fn noise_a_deadline_and_no_btf_fail() {
        let mut text = serde_json::to_string(&good()[0]).expect("JSON");
        text.push_str("\ngarbage\n");
        let cut = Report::from_text("k", "was ended".into(), false, &text);
        let failures = cut.failures().join("\n");
        assert!(failures.contains("the machine was ended"), "{failures}");
        assert!(failures.contains("malformed"), "{failures}");
        let mut records = good();
        records[0] = Record::Booted {
            kernel: "x".into(),
            btf: false,
            uptime_ms: 1,
        };
        assert!(report(&records).failures()[0].contains("BTF"));
    }

    #[test]
    fn recording_replaces_the_old_results_only() {
        let page = tempfile::NamedTempFile::new().expect("a file");
        fs::write(page.path(), format!("intro\n{RESULTS_MARK}old")).expect("writing");
        record(page.path(), &[report(&good())], "10", 2).expect("recording");
        let text = fs::read_to_string(page.path()).expect("reading");
        assert!(
            text.starts_with("intro\n") && !text.contains("old"),
            "{text}"
        );
        assert!(
            text.contains("| k | 0.9 s | yes | 3 ms, 3 ms | 104 | 0 | 104 | 0 | pass |"),
            "{text}"
        );
        fs::write(page.path(), "no mark").expect("writing");
        assert!(record(page.path(), &[], "10", 2).is_err());
    }
}
