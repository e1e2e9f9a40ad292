//! Judges what a guest said.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use davylamp_testkit::kernel_test::{Outcomes, Record, Round, Way};

use super::machine::End;

/// The guard starts twice in a test.
const LIVES: usize = 2;
/// Everything known about one kernel's test.
pub struct Report {
    /// The package or file of the kernel.
    pub kernel: String,
    /// How the machine ended, in words.
    pub end: String,
    ended: bool,
    /// What the guest said, in its order.
    pub records: Vec<Record>,
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

    /// The kernel's name for itself, whether it has BTF, and its age when our `/init` ran.
    pub fn booted(&self) -> Option<(&str, bool, u64)> {
        self.records.iter().find_map(|record| match record {
            Record::Booted {
                kernel,
                btf,
                uptime_ms,
            } => Some((kernel.as_str(), *btf, *uptime_ms)),
            _ => None,
        })
    }

    /// From each start of the guard to its ready line.
    pub fn ready_ms(&self) -> impl Iterator<Item = u64> {
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

    /// The banned and the benign outcomes of all rounds in which a guard is due.
    pub fn totals(&self) -> (Outcomes, Outcomes) {
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

/// A count as a sentence.
pub fn words(outcomes: Outcomes) -> String {
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

#[cfg(test)]
pub mod tests {
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

    /// The records of a test in which all went well.
    pub fn good() -> Vec<Record> {
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

    /// Their report.
    pub fn report(records: &[Record]) -> Report {
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
}
