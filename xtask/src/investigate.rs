//! `cargo xtask bench-investigate`: what a case costs to make, beside a plain pass over its log.
//!
//! Logs of three sizes are made once and kept in the target folder, since the largest takes minutes and
//! gigabytes. For each, `davy hunt sql` counts events by name, which is what reading the log costs, and
//! `davy investigate` makes a case; the two take turns, and a ratio is of two runs that followed each
//! other. Nothing here gates a test: figures stand beside their targets, and a missed one is said to be
//! missed.

// This is a command: its results go to standard output.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, ensure};
use comfy_table::{Table, presets};
use davylamp_testkit::attack::{TRUTH_FILE, Truth, Written};
use davylamp_testkit::usage::{self, Usage};

use crate::bench::figures::Spread;
use crate::bench::machine::Machine;
use crate::kernels::build::Workspace;

/// Exit status when the benchmark could not be carried out.
const EXIT_INCOMPLETE: u8 = 2;

/// The scenario and the seed of the logs.
const SCENARIO: &str = "stolen-admin-key";
const SEED: &str = "7";

/// Deliveries of what people do in these logs, whatever machines do.
const BY_PEOPLE: u64 = 59_000;

/// Deliveries of an event that is delivered, on average.
const DELIVERIES: f64 = 1.19;

/// The smaller sizes, as parts of the largest.
const PARTS: [u64; 3] = [10, 5, 1];

/// What a case may take, as a multiple of a plain pass.
const MOST_RATIO: f64 = 1.3;

/// What memory may grow by from the smallest to the largest log, as a multiple.
const MOST_GROWTH: f64 = 1.25;

/// The question of the plain pass.
const PLAIN: &str = "SELECT event_name, count(*) FROM cloudtrail GROUP BY 1";

/// How much to measure, and whether to keep it.
#[derive(clap::Args)]
pub struct Options {
    /// `davy`, built for release
    #[arg(long, value_name = "FILE")]
    davy: PathBuf,

    /// The program that makes logs, `attack-logs` of the testkit, built for release
    #[arg(long, value_name = "FILE")]
    generator: PathBuf,

    /// Deliveries of events in the largest log, about
    #[arg(long, default_value_t = 5_000_000)]
    events: u64,

    /// How often each pair is run
    #[arg(long, default_value_t = 3)]
    rounds: usize,

    /// Write the results to docs/benchmarks-investigate.md
    #[arg(long)]
    record: bool,
}

/// A log that was made.
struct Log {
    dir: PathBuf,
    written: Written,
    packed_bytes: u64,
}

/// What runs over one log came to.
struct Measured {
    log: Log,
    plain: Runs,
    case: Runs,
    ratio: Spread,
    cpu_ratio: Spread,
}

/// What the runs of one program came to.
#[derive(Default)]
struct Runs {
    secs: Vec<f64>,
    cpu_secs: Vec<f64>,
    peak_kib: u64,
}

/// Runs the benchmark and turns its end into an exit status.
pub fn main(options: &Options) -> ExitCode {
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(EXIT_INCOMPLETE)
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    let machine = Machine::survey()?;
    let cache = workspace.target.join("bench-investigate");
    let mut all = Vec::new();
    for part in PARTS {
        let log = make(options, &cache, options.events / part)?;
        all.push(measure(options, log)?);
    }
    let text = page(&machine, options, &all);
    println!("\n{text}");
    if options.record {
        let page = workspace.root.join("docs/benchmarks-investigate.md");
        std::fs::write(&page, text).with_context(|| format!("cannot write {}", page.display()))?;
        println!("recorded in {}", page.display());
    }
    Ok(())
}

/// The log of so many events, made if it is not there yet. The truth is written last, so where there is
/// one the log is whole.
fn make(options: &Options, cache: &Path, events: u64) -> anyhow::Result<Log> {
    let dir = cache.join(format!("{events}-{SCENARIO}-{SEED}"));
    if !dir.join(TRUTH_FILE).exists() {
        println!("making    {events} events in {}", dir.display());
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        let machines = (events.saturating_sub(BY_PEOPLE) as f64 / DELIVERIES) as u64;
        let took = usage::run(
            Command::new(&options.generator)
                .args(["--scenario", SCENARIO, "--seed", SEED, "--no-labels"])
                .args(["--accounts", "3", "--users", "40", "--roles", "40"])
                .args(["--instances", "60", "--file-minutes", "15", "--days", "12"])
                .args(["--events", &machines.to_string(), "--out"])
                .arg(&dir),
        )
        .with_context(|| format!("cannot run {}", options.generator.display()))?;
        ensure!(took.status.success(), "the log could not be made");
        println!(
            "          {:.0} s, {:.0} MiB at most",
            took.wall.as_secs_f64(),
            mib(took.peak_kib)
        );
    }
    let truth = Truth::read(&dir).context("the log has no truth")?;
    let logs = dir.join("AWSLogs");
    Ok(Log {
        written: truth.written,
        packed_bytes: bytes_below(&logs)?,
        dir: logs,
    })
}

fn bytes_below(dir: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    let mut left = vec![dir.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let about = entry.metadata()?;
            match about.is_dir() {
                true => left.push(entry.path()),
                false => sum += about.len(),
            }
        }
    }
    Ok(sum)
}

/// Runs both over a log, in turn. The first round only warms up.
fn measure(options: &Options, log: Log) -> anyhow::Result<Measured> {
    let case = tempfile::tempdir().context("cannot make a folder for cases")?;
    let (mut plain, mut made) = (Runs::default(), Runs::default());
    let (mut ratios, mut cpu_ratios) = (Vec::new(), Vec::new());
    for round in 0..=options.rounds {
        let one = plain_pass(options, &log)?;
        let other = investigate(options, &log, &case.path().join(round.to_string()))?;
        println!(
            "{} deliveries, {}: {:.1} s for a plain pass, {:.1} s for a case",
            log.written.events + log.written.repeated,
            if round == 0 { "to warm up" } else { "measured" },
            one.wall.as_secs_f64(),
            other.wall.as_secs_f64()
        );
        if round > 0 {
            ratios.push(other.wall.as_secs_f64() / one.wall.as_secs_f64());
            cpu_ratios.push(other.cpu.as_secs_f64() / one.cpu.as_secs_f64());
            plain.add(one);
            made.add(other);
        }
    }
    Ok(Measured {
        log,
        plain,
        case: made,
        ratio: Spread::of(ratios),
        cpu_ratio: Spread::of(cpu_ratios),
    })
}

fn plain_pass(options: &Options, log: &Log) -> anyhow::Result<Usage> {
    let took = usage::run(
        Command::new(&options.davy)
            .args(["hunt", "sql", PLAIN, "--logs"])
            .arg(&log.dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
    .with_context(|| format!("cannot run {}", options.davy.display()))?;
    // 1 says that there are rows.
    let is_done = matches!(took.status.code(), Some(0 | 1));
    ensure!(is_done, "`davy hunt sql` ended with {}", took.status);
    Ok(took)
}

fn investigate(options: &Options, log: &Log, case: &Path) -> anyhow::Result<Usage> {
    let took = usage::run(
        Command::new(&options.davy)
            .args(["investigate", "--logs"])
            .arg(&log.dir)
            .arg("-o")
            .arg(case)
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
    .with_context(|| format!("cannot run {}", options.davy.display()))?;
    // 1 says that an intrusion was found, which there is.
    ensure!(
        took.status.code() == Some(1),
        "`davy investigate` ended with {}, where there is an intrusion to be found",
        took.status
    );
    Ok(took)
}

impl Runs {
    fn add(&mut self, took: Usage) {
        self.secs.push(took.wall.as_secs_f64());
        self.cpu_secs.push(took.cpu.as_secs_f64());
        self.peak_kib = self.peak_kib.max(took.peak_kib);
    }

    fn row(&self, log: &Log, what: &str) -> [String; 8] {
        let secs = Spread::of(self.secs.clone()).median;
        let deliveries = (log.written.events + log.written.repeated) as f64;
        [
            format!("{deliveries}"),
            what.to_owned(),
            format!("{secs:.1}"),
            format!("{:.1}", Spread::of(self.cpu_secs.clone()).median),
            format!("{:.0}", mib(self.peak_kib)),
            format!("{:.0}", log.written.bytes as f64 / 1e6 / secs),
            format!("{:.0}", log.packed_bytes as f64 / 1e6 / secs),
            format!("{:.0}", deliveries / secs),
        ]
    }
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn page(machine: &Machine, options: &Options, all: &[Measured]) -> String {
    let mut figures = Table::new();
    figures.load_preset(presets::ASCII_MARKDOWN).set_header([
        "events",
        "",
        "s",
        "s of processors",
        "most memory, MiB",
        "MB/s of text",
        "MB/s of files",
        "events/s",
    ]);
    let mut ratios = Table::new();
    ratios.load_preset(presets::ASCII_MARKDOWN).set_header([
        "a case to a plain pass",
        "target",
        "median",
        "middle half",
        "",
    ]);
    for it in all {
        figures.add_row(it.plain.row(&it.log, "plain pass"));
        figures.add_row(it.case.row(&it.log, "case"));
        let deliveries = it.log.written.events + it.log.written.repeated;
        for (what, spread, most) in [
            ("time", it.ratio, Some(MOST_RATIO)),
            ("time of processors", it.cpu_ratio, None),
        ] {
            ratios.add_row([
                format!("{deliveries} events: {what}"),
                most.map_or_else(|| "none".to_owned(), |most| format!("at most {most}")),
                format!("{:.2}", spread.median),
                format!("{:.2} to {:.2}", spread.low, spread.high),
                most.map_or_else(String::new, |most| verdict(spread.median <= most)),
            ]);
        }
    }
    if let [first, .., last] = all {
        let growth = mib(last.case.peak_kib) / mib(first.case.peak_kib);
        ratios.add_row([
            "memory of a case: largest to smallest log".to_owned(),
            format!("at most {MOST_GROWTH}"),
            format!("{growth:.2}"),
            String::new(),
            verdict(growth <= MOST_GROWTH),
        ]);
    }
    let sizes: Vec<String> = all
        .iter()
        .map(|it| {
            format!(
                "{} files of {:.2} GB ({:.2} GB of text)",
                it.log.written.files,
                it.log.packed_bytes as f64 / 1e9,
                it.log.written.bytes as f64 / 1e9
            )
        })
        .collect();
    format!(
        "# Benchmarks of investigations\n\n\
         Written by `make bench-investigate` (`cargo xtask bench-investigate --record`) on {}: {}, {} cores, {} MiB, {}, \
         load {} when it began.\n\n\
         The logs are the story `{SCENARIO}` of the testkit, seed {SEED}, in three accounts over 27 days, in gzip files as \
         AWS delivers them, a fifth of the events delivered twice: {}. Events in the tables are deliveries. The plain \
         pass is `davy hunt sql \"{PLAIN}\"`, what reading a log costs; the case is `davy investigate`, from the log to \
         the report. Both are the same release program, each run in a process of its own on all cores, taking turns, \
         with files in the page cache as far as they fit; {} pairs each. A ratio is of two runs that followed each \
         other.\n\n{figures}\n\n{ratios}\n",
        machine.date,
        machine.cpu,
        machine.cores,
        machine.memory_mib,
        machine.kernel,
        machine.load,
        sizes.join(", "),
        options.rounds,
    )
}

fn verdict(is_reached: bool) -> String {
    if is_reached { "reached" } else { "**missed**" }.to_owned()
}
