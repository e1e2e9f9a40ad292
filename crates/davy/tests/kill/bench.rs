//! A guard, programs and a place to start them from, and the check of one table of cases.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use davylamp_guard::abi::Counter;
use davylamp_testkit::guard::{Guard, LINE_DEADLINE, Setup, unique_word};
use davylamp_testkit::programs::{Call, Circumstance, Launch, Outcome, Programs, Stage, Word};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle};
use serde_json::Value;

/// The `davy` under test.
pub const DAVY: &str = env!("CARGO_BIN_EXE_davy");

/// What most tests need.
pub struct Bench {
    pub guard: Guard,
    pub programs: Programs,
    pub stage: Stage,
    /// Banned in arguments and paths.
    pub word: String,
    /// Banned in the environment too.
    pub variable: String,
}

/// The text of a list that bans these, the second in the environment too.
pub fn list(word: &str, variable: &str) -> String {
    format!(
        "detectors:
  execwhacker:
    configs:
      words:
        bannedCommandStrings: [\"{word}\", \"{word} and {word}x\"]
      variables:
        scanEnvironment: true
        bannedCommandStrings: [\"{variable}\"]
"
    )
}

impl Bench {
    pub fn new(config: &str) -> anyhow::Result<Self> {
        let (word, variable) = (unique_word(), unique_word());
        let setup = Setup::new(DAVY, list(&word, &variable)).with_config(config);
        Ok(Self {
            guard: Guard::start(setup)?,
            programs: Programs::new()?,
            stage: Stage::new()?,
            word,
            variable,
        })
    }

    pub fn witness(&self) -> PathBuf {
        self.programs.witness()
    }

    /// The witness with these arguments after its name.
    pub fn with_arguments<W: Into<Word> + Clone>(&self, words: &[W]) -> anyhow::Result<Launch> {
        self.launch(Call::Path(self.witness()), words, Circumstance::Plain)
    }

    /// As [`Bench::with_arguments`], called in some other way.
    pub fn launch<W: Into<Word> + Clone>(
        &self,
        call: Call,
        words: &[W],
        circumstance: Circumstance,
    ) -> anyhow::Result<Launch> {
        let name = [Word::from("first_write")];
        let words: Vec<Word> = name
            .into_iter()
            .chain(words.iter().cloned().map(Into::into))
            .collect();
        Launch::new(call, &words, &[Word::from("PATH=/bin")], circumstance)
    }

    /// Runs every case of a table with the banned word and with a harmless twin of the same length.
    /// Every failing case is named, not the first.
    pub fn check(&self, cases: &[Case]) {
        let mut wrong = Vec::new();
        for case in cases {
            if let Err(error) = self.check_case(case) {
                wrong.push(format!("{}: {error:#}", case.name));
            }
        }
        if let Err(error) = self.check_nobody_else() {
            wrong.push(format!("{error:#}"));
        }
        assert!(
            wrong.is_empty(),
            "{} faults over {} cases:\n{}",
            wrong.len(),
            cases.len(),
            wrong.join("\n")
        );
    }

    fn check_case(&self, case: &Case) -> anyhow::Result<()> {
        let word = if case.matched_in == "environment" {
            &self.variable
        } else {
            &self.word
        };
        let twin = unique_word();
        let benign = self.stage.run(&(case.make)(self, &twin).context("twin")?)?;
        ensure!(
            benign.is_unharmed(),
            "its harmless twin did not run: {benign:?}"
        );
        let launch = (case.make)(self, word)?;
        let from = self.guard.line_count()?;
        let outcome = self.stage.run(&launch)?;
        ensure!(
            outcome.is_killed_unrun(),
            "it was not killed unrun: {outcome:?}"
        );
        let event = self.event_of(from, &outcome)?;
        let expected = [
            ("action", "killed"),
            ("matched", word),
            ("matched_in", case.matched_in),
            ("source", "davylamp.exec"),
            ("detection", "mining-command-line"),
        ];
        for (key, value) in expected {
            ensure!(
                event[key] == value,
                "its log line has another {key} than {value}: {event}"
            );
        }
        Ok(())
    }

    /// The log line about a process.
    pub fn event_of(&self, mut from: usize, outcome: &Outcome) -> anyhow::Result<Value> {
        let key = if outcome.is_relay { "ppid" } else { "pid" };
        self.guard
            .wait_for_after(&mut from, "the line about a kill", LINE_DEADLINE, |event| {
                event[key] == outcome.pid && event["action"].is_string()
            })
    }

    /// Every kill in the log is of a banned string: no twin, no caller.
    fn check_nobody_else(&self) -> anyhow::Result<()> {
        // One more kill: what the log says before it is complete.
        let from = self.guard.line_count()?;
        let last = self
            .stage
            .run(&self.with_arguments(&[self.word.as_str()])?)?;
        ensure!(
            last.is_killed_unrun(),
            "the last one was not killed unrun: {last:?}"
        );
        self.event_of(from, &last)?;
        for event in self.guard.events()? {
            let is_ours = event["matched"] == self.word.as_str()
                || event["matched"] == self.variable.as_str();
            let Some(action) = event["action"].as_str() else {
                continue;
            };
            ensure!(
                action == "killed" && is_ours,
                "somebody else was touched: {event}"
            );
        }
        Ok(())
    }

    /// A counter of the kernel programs, over all lives of the agent.
    pub fn counter(&self, counter: Counter) -> anyhow::Result<u64> {
        let map = MapHandle::from_pinned_path(self.guard.pinned("counters")?)?;
        let key = (counter as u32).to_ne_bytes();
        let values = map
            .lookup_percpu(&key, MapFlags::ANY)?
            .context("the kernel programs have no such counter")?;
        let number = |bytes: Vec<u8>| {
            bytes
                .first_chunk()
                .map(|bytes| u64::from_ne_bytes(*bytes))
                .context("8 bytes")
        };
        values.into_iter().map(number).sum()
    }
}

/// One row of the bypass matrix.
pub struct Case {
    pub name: &'static str,
    /// Where the log says that the string stood.
    pub matched_in: &'static str,
    /// Makes the exec that carries a string.
    pub make: fn(&Bench, &str) -> anyhow::Result<Launch>,
}

/// A case, in the order of its members.
pub const fn case(
    name: &'static str,
    matched_in: &'static str,
    make: fn(&Bench, &str) -> anyhow::Result<Launch>,
) -> Case {
    Case {
        name,
        matched_in,
        make,
    }
}
