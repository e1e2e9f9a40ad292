//! `davy replay`: what the detections say about command lines and packets that somebody kept.
//!
//! The judges are those of the detections' own cases, so that a list of command lines or a capture
//! says what a change of the detections would have killed.

mod record;
mod source;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use davylamp_content::detection::{self, Action, Detection, Wire};
use davylamp_content::{Faults, Source};
use davylamp_detect::command::Rules;
use davylamp_detect::indicator::Indicators;
use davylamp_detect::wire::{self, capture};

use crate::failure::{COULD_NOT_COMPLETE, Failure};
use crate::indicators::SetsArgs;
use crate::output::{counted, emit, emit_lines, note};
use record::Record;
use source::{Item, Kept};

/// So many lines that cannot be judged are told one by one.
const UNREAD_TOLD: u64 = 20;
const FIRST_UNTOLD: u64 = UNREAD_TOLD + 1;

/// The exit code when something matched.
const MATCHED: u8 = 1;

/// The arguments of `davy replay`.
#[derive(Debug, Clone, Args)]
#[command(about = "Judge command lines, captures and guard logs that were kept")]
#[command(
    long_about = "Judge command lines, captures and guard logs that were kept.

Each command line is taken apart as a shell would, and judged by the detections: what it launches counts, what a \
tool such as grep, ps or git merely names is spared. Nothing is run. A line that holds NULs is taken for \
the arguments of one process, as /proc/PID/cmdline has them. In a capture (pcap, pcapng) the protocols of mining pools are \
recognised, however they are cut into segments, and the names of pools.

Prints what matched, with what would come of it: kill, alert or spare."
)]
#[command(
    after_long_help = "Exit codes: 0 nothing matched, 1 something matched, 2 not all could be judged.

Examples:
  davy replay --commands history.txt
  davy replay --commands - < commands.txt
  davy replay --commands lines.txt --output json
  davy replay capture.pcap
  davy replay /var/log/davylamp/guard.jsonl --detections my-detections/"
)]
pub struct ReplayArgs {
    /// Capture (pcap, pcapng), or log of the guard, one JSON object a line; `-` is standard input;
    /// may be repeated. Lists of commands are given with --commands
    #[arg(value_name = "FILE", required_unless_present = "commands")]
    pub files: Vec<PathBuf>,
    /// File with a command a line; `-` is standard input; may be repeated
    #[arg(long, value_name = "FILE")]
    pub commands: Vec<PathBuf>,
    /// Detection, or directory of .toml files; may be repeated [default: those that ship with
    /// Davylamp]
    #[arg(long, value_name = "PATH")]
    pub detections: Vec<PathBuf>,
    #[command(flatten)]
    pub sets: SetsArgs,
    /// Tell of encrypted questions for names in captures as well: a very weak sign, which browsers give
    #[arg(long)]
    pub encrypted_dns: bool,
    /// How to print: text, one JSON object a line (docs/detections.md), or OCSF Detection Findings
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// The form in which matches are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For reading.
    Text,
    /// One JSON object for each match.
    Json,
    /// One OCSF 2004 object for each match that is not spared.
    Ocsf,
}

/// Judges every line of every file.
pub fn run(args: &ReplayArgs) -> Result<ExitCode, Failure> {
    let detections = detections(&args.detections)?;
    let pools = crate::indicators::all(&args.sets)?;
    let indicators = Indicators::new(&pools);
    let rules = davylamp_rules::rules(detections, &pools).map_err(|error| {
        Failure::new(
            error.into(),
            "use fewer or shorter expressions; the longest loops cost most",
        )
    })?;
    let sees = |detection: &&Detection| detection.sees.contains(&Wire::EncryptedDns);
    let encrypted = rules.detections().iter().filter(sees);
    let resolvers = Indicators::of_domains(encrypted.flat_map(|detection| {
        let names = detection.names.iter();
        names.map(String::as_str)
    }));
    let mut replay = Replay {
        rules,
        indicators,
        resolvers: args.encrypted_dns.then_some(resolvers),
        output: args.output,
        is_one_of_many: args.commands.len() + args.files.len() > 1,
        counts: Counts::default(),
    };
    for path in &args.commands {
        replay.read(path, Kept::Commands)?;
    }
    for path in &args.files {
        replay.read(path, Kept::File)?;
    }
    note(&replay.counts.told());
    Ok(ExitCode::from(replay.counts.code()))
}

struct Replay {
    /// The resolvers whose greetings are told, where they are.
    resolvers: Option<Indicators>,
    rules: Rules,
    indicators: Indicators,
    output: Output,
    is_one_of_many: bool,
    counts: Counts,
}

/// What was read, and what came of it.
#[derive(Default)]
struct Counts {
    lines: u64,
    packets: u64,
    other_packets: u64,
    unread_packets: u64,
    evicted: u64,
    by_action: [u64; Action::ALL.len()],
    passed_over: u64,
    unread: u64,
}

impl Counts {
    fn of(&self, action: Action) -> u64 {
        self.by_action[action as usize]
    }

    fn told(&self) -> String {
        let (lines, packets) = (
            counted(self.lines, "line", "lines"),
            counted(self.packets, "packet", "packets"),
        );
        let judged = match (self.lines, self.packets) {
            (_, 0) => lines,
            (0, _) => packets,
            (..) => format!("{lines} and {packets}"),
        };
        let mut told = format!(
            "judged {judged}: {} to kill, {} to tell, {} spared",
            self.of(Action::Kill),
            self.of(Action::Alert),
            self.of(Action::Spare),
        );
        for (count, what) in [
            (self.passed_over, "lines about no process"),
            (self.other_packets, "packets of other kinds"),
            (
                self.evicted,
                "flows followed no longer, as there were too many",
            ),
            (
                self.unread_packets,
                "packets NOT judged: they cannot be read",
            ),
            (self.unread, "NOT judged"),
        ] {
            if count > 0 {
                told.push_str(&format!("; {count} {what}"));
            }
        }
        told
    }

    fn code(&self) -> u8 {
        let matched = self.of(Action::Kill) + self.of(Action::Alert) + self.of(Action::Spare);
        match (self.unread + self.unread_packets, matched) {
            (1.., _) => COULD_NOT_COMPLETE,
            (0, 1..) => MATCHED,
            (0, 0) => 0,
        }
    }
}

impl Replay {
    fn read(&mut self, path: &Path, kept: Kept) -> Result<(), Failure> {
        let name = self.is_one_of_many.then(|| path.display().to_string());
        let mut reader = source::open(path)?;
        if kept == Kept::File
            && let Some(form) = source::form_of(path, &mut reader)?
        {
            return self.read_capture(name.as_deref(), form, reader);
        }
        source::read(path, reader, kept, &mut |line, item| {
            self.judge(name.as_deref(), line, item)
        })
    }

    fn read_capture(
        &mut self,
        file: Option<&str>,
        form: capture::Form,
        reader: impl Read,
    ) -> Result<(), Failure> {
        let (rules, indicators, output) = (&self.rules, &self.indicators, self.output);
        let by_action = &mut self.counts.by_action;
        let tally = capture::read(
            form,
            reader,
            wire::Judge::new(indicators).with_resolvers(self.resolvers.as_ref()),
            &mut |sign: wire::Sign| -> Result<(), Failure> {
                let detections = rules.detections().iter();
                for detection in detections.filter(|detection| detection.sees.contains(&sign.seen))
                {
                    let record = record::Packet::new(file, detection, &sign);
                    by_action[record.action as usize] += 1;
                    match output {
                        Output::Text => emit_lines(&record.text())?,
                        Output::Json => emit(record.json())?,
                        Output::Ocsf => emit(record.ocsf())?,
                    }
                }
                Ok(())
            },
        )?;
        self.counts.packets += tally.read;
        self.counts.other_packets += tally.other;
        self.counts.unread_packets += tally.unreadable;
        self.counts.evicted += tally.evicted;
        if let Some(why) = tally.ended {
            self.counts.unread += 1;
            let file = file.map(|file| format!("{file}: ")).unwrap_or_default();
            note(&format!(
                "{file}the rest of the capture is not judged: {why}"
            ));
        }
        Ok(())
    }

    fn judge(&mut self, file: Option<&str>, line: u64, item: Item<'_>) -> Result<(), Failure> {
        let found = match &item {
            Item::Line(text) => self.rules.judge_line(text),
            Item::Arguments(arguments) => self.rules.judge(&davylamp_detect::judge::Subject {
                arguments,
                ..Default::default()
            }),
            Item::NoProcess => {
                self.counts.passed_over += 1;
                return Ok(());
            }
            Item::Unreadable(why) => {
                self.counts.unread += 1;
                let file = file.map(|file| format!("{file}: ")).unwrap_or_default();
                match self.counts.unread {
                    ..=UNREAD_TOLD => note(&format!("{file}line {line} is not judged: {why}")),
                    FIRST_UNTOLD => note("further lines that are not judged are only counted"),
                    _ => {}
                }
                return Ok(());
            }
        };
        self.counts.lines += 1;
        let action = found.as_ref().map_or(Action::Clean, |found| found.action);
        self.counts.by_action[action as usize] += 1;
        let Some(found) = found else {
            return Ok(());
        };
        let record = Record::new(file, line, &found);
        match self.output {
            Output::Text => emit_lines(&record.text()),
            Output::Json => emit(record.json()),
            Output::Ocsf if action == Action::Spare => Ok(()),
            Output::Ocsf => emit(record.ocsf(&found)),
        }
    }
}

/// The detections at these paths, or those that ship.
fn detections(paths: &[PathBuf]) -> Result<Vec<Detection>, Failure> {
    let parsed = if paths.is_empty() {
        detection::shipped()?
    } else {
        let (mut parsed, mut faults, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
        for (name, bytes) in source::detection_files(paths)? {
            let read = Source::from_bytes(&name, &bytes).and_then(detection::parse);
            match read {
                Ok(one) => parsed.push(one),
                Err(wrong) => {
                    faults.extend(wrong.faults().iter().cloned());
                    warnings.extend(wrong.warnings().iter().cloned());
                }
            }
        }
        if !faults.is_empty() {
            return Err(Faults::new(faults, warnings).into());
        }
        parsed
    };
    Ok(parsed.into_iter().map(|parsed| parsed.detection).collect())
}
