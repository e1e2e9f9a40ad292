//! `cargo xtask bench-hunt`: how fast hunts read logs, beside bare programs and DuckDB.
//!
//! Logs are made anew. Every figure is the ratio of two runs that followed each other, each in a
//! process of its own that is bound to its processors, and both must give the same answer. Nothing
//! here gates a test: figures stand beside their targets, and a missed one is said to be missed.
//!
//! What is added to later is a [`Goal`] with its two runs.

// This is a command: its results go to standard output.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, bail, ensure};
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::bench::figures::Spread;
use crate::bench::machine::Machine;
use crate::kernels::build::Workspace;

/// Exit status when the benchmark could not be carried out.
const EXIT_INCOMPLETE: u8 = 2;

/// The key of the rare calls in `crates/hunt/examples/measure/generate.rs`.
const RARE_KEY: &str = "AKIAIOSFODNN7EXAMPLE";

/// What memory may come to, whatever the size of the logs.
const MOST_MEMORY_MIB: f64 = 400.0;

/// Days of logs; the smaller size has the first of them.
const DAYS: u64 = 4;

/// The tables whose hunts run in one pass, and how the names of those hunts start.
const HUNTS: &[(&str, &[&str])] = &[
    ("cloudtrail", &["trail-", "cost-"]),
    ("vpc_flow", &["flow-"]),
    ("dns_query", &["dns-"]),
    ("guardduty", &["guardduty-"]),
];

/// How much to measure, and whether to keep it.
#[derive(clap::Args)]
pub struct Options {
    /// The program that measures: `crates/hunt/examples/measure`, built for release
    #[arg(long, value_name = "FILE")]
    program: PathBuf,

    /// How often each pair is run
    #[arg(long, default_value_t = 5)]
    rounds: usize,

    /// CloudTrail events
    #[arg(long, default_value_t = 400_000)]
    events: u64,

    /// Flow records of the default format; a third of it of a format with fields of version 5
    #[arg(long, default_value_t = 3_000_000)]
    flows: u64,

    /// Resolver queries
    #[arg(long, default_value_t = 300_000)]
    queries: u64,

    /// Write the results to docs/benchmarks-hunt.md
    #[arg(long)]
    record: bool,
}

/// One run.
#[derive(Clone)]
enum Run {
    Engine { task: &'static str, threads: usize },
    Bare { task: &'static str },
    Duck { task: &'static str },
    Hunts { which: String, days: u64 },
    Lake { task: &'static str },
    Convert { task: &'static str },
}

/// What came of one.
struct Came {
    seconds: f64,
    peak_mib: f64,
    hash: String,
}

/// Two runs, and what the time of the second over that of the first should be.
struct Goal {
    what: String,
    ours: Run,
    other: Run,
    target: Target,
}

#[derive(Clone, Copy)]
enum Target {
    /// The other takes at least so many times our time.
    Least(f64),
    /// We take at most so many times the other's.
    Most(f64),
}

struct Bench<'a> {
    options: &'a Options,
    python: PathBuf,
    script: PathBuf,
    logs: &'a Path,
    /// What the logs are converted into once, to be asked.
    lake: PathBuf,
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
    let cache = davylamp_testkit::moto::cache_dir();
    let logs = tempfile::tempdir().context("cannot make a folder for the logs")?;
    let bench = Bench {
        options,
        python: cache.join("python/bin/python"),
        script: workspace.root.join("xtask/bench/duck_hunt.py"),
        logs: logs.path(),
        lake: logs.path().join("lake"),
    };
    ensure!(
        bench.python.exists(),
        "there is no {}: run `scripts/setup test`",
        bench.python.display()
    );
    let machine = Machine::survey()?;
    bench.generate()?;
    for task in ["trail-sum", "flow-sum"] {
        bench.convert(task, &bench.lake)?;
    }
    let mut goals = table(["", "target", "median", "middle half", "ours, s", ""]);
    for goal in goals_of()
        .into_iter()
        .chain(bench.goals_of_hunts(&workspace)?)
    {
        bench.measure(&goal, &mut goals)?;
    }
    let mut memory = table(["most memory in RAM, MiB", "a day", "all days", ""]);
    bench.memory(&mut memory)?;
    let text = page(&machine, options, &goals, &memory);
    println!("\n{text}");
    if options.record {
        let page = workspace.root.join("docs/benchmarks-hunt.md");
        std::fs::write(&page, text).with_context(|| format!("cannot write {}", page.display()))?;
        println!("recorded in {}", page.display());
    }
    Ok(())
}

fn goals_of() -> Vec<Goal> {
    let engine = |task, threads| Run::Engine { task, threads };
    let mut goals = Vec::new();
    for (task, what, bare, duck) in [
        (
            "trail-sum",
            "CloudTrail, counted by call with request and response",
            0.85,
            3.0,
        ),
        ("needle-name", "CloudTrail, one rare call", 0.85, 0.0),
        ("needle-key", "CloudTrail, one rare key", 0.85, 0.0),
        (
            "flow-sum",
            "flows of the default format, summed by destination",
            0.85,
            2.3,
        ),
        (
            "flow-custom",
            "flows of version 5, summed by destination",
            0.85,
            2.3,
        ),
    ] {
        goals.push(Goal {
            what: format!("{what}: to the bare program"),
            ours: engine(task, 1),
            other: Run::Bare { task },
            target: Target::Least(bare),
        });
        goals.push(Goal {
            what: format!("{what}: to DuckDB"),
            ours: engine(task, 1),
            other: Run::Duck { task },
            target: Target::Least(duck),
        });
    }
    for (ours, duck) in [
        ("trail-sum", "lake-trail-sum"),
        ("needle-key", "lake-needle-key"),
        ("flow-sum", "lake-flow-sum"),
    ] {
        goals.push(Goal {
            what: format!("{ours} over a lake: to DuckDB on the same Parquet"),
            ours: Run::Lake { task: ours },
            other: Run::Duck { task: duck },
            target: Target::Least(1.0),
        });
    }
    for (ours, duck) in [
        ("trail-sum", "convert-trail-sum"),
        ("flow-sum", "convert-flow-sum"),
    ] {
        goals.push(Goal {
            what: format!("conversion of the log of {ours}: to DuckDB's with types"),
            ours: Run::Convert { task: ours },
            other: Run::Duck { task: duck },
            target: Target::Least(4.0),
        });
    }
    for task in ["trail-sum", "flow-sum"] {
        goals.push(Goal {
            what: format!("{task}: two processors to one"),
            ours: engine(task, 2),
            other: engine(task, 1),
            target: Target::Least(1.9),
        });
    }
    goals
}

impl Bench<'_> {
    /// All hunts of a table in one pass beside one by itself. How long one takes depends on which:
    /// most read every event, and some only those that a search before parsing finds. So each is run
    /// once to find the one in the middle, which stands for one, and the quickest, which is shown.
    fn goals_of_hunts(&self, workspace: &Workspace) -> anyhow::Result<Vec<Goal>> {
        let names = std::fs::read_dir(workspace.root.join("content/hunts"))?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<std::io::Result<Vec<String>>>()?;
        let hunts = |which: &str| Run::Hunts {
            which: which.to_owned(),
            days: DAYS,
        };
        let mut goals = Vec::new();
        let (mut tables, mut ones) = (Vec::new(), Vec::new());
        for (table, starts) in HUNTS {
            let mut alone = Vec::new();
            for name in &names {
                if starts.iter().any(|start| name.starts_with(start)) {
                    alone.push((self.run(&hunts(name))?.seconds, name));
                }
            }
            alone.sort_by(|one, other| one.0.total_cmp(&other.0));
            let (Some((_, quickest)), Some((_, middle))) =
                (alone.first(), alone.get(alone.len() / 2))
            else {
                bail!("there is no hunt of {table}");
            };
            for (what, one, most) in [
                ("middle", middle, 3.0),
                ("quickest", quickest, f64::INFINITY),
            ] {
                goals.push(Goal {
                    what: format!("all hunts of {table}, to {one} alone, the {what} one"),
                    ours: hunts(table),
                    other: hunts(one),
                    target: Target::Most(most),
                });
            }
            tables.push(*table);
            ones.push(middle.as_str());
        }
        goals.push(Goal {
            what: "all hunts of all logs, to these middle ones together".to_owned(),
            ours: hunts(&tables.join(",")),
            other: hunts(&ones.join(",")),
            target: Target::Most(3.0),
        });
        Ok(goals)
    }

    fn generate(&self) -> anyhow::Result<()> {
        let options = self.options;
        println!("writing logs");
        let status = Command::new(&options.program)
            .arg("generate")
            .arg(self.logs)
            .args(["--days", &DAYS.to_string()])
            .args(["--events", &options.events.to_string()])
            .args(["--flows", &options.flows.to_string()])
            .args(["--custom", &(options.flows / 3).to_string()])
            .args(["--queries", &options.queries.to_string()])
            .status()
            .with_context(|| format!("cannot run {}", options.program.display()))?;
        ensure!(status.success(), "the logs could not be written");
        Ok(())
    }

    fn convert(&self, task: &str, lake: &Path) -> anyhow::Result<()> {
        let status = Command::new(&self.options.program)
            .arg("ask")
            .arg("--folder")
            .arg(self.logs)
            .args(["convert", task])
            .arg(lake)
            .stdout(Stdio::null())
            .status()
            .with_context(|| format!("cannot run {}", self.options.program.display()))?;
        ensure!(status.success(), "the logs could not be converted");
        Ok(())
    }

    /// Runs a pair, in turn, and adds what came of it. The first round only warms up.
    fn measure(&self, goal: &Goal, table: &mut Table) -> anyhow::Result<()> {
        let (mut ratios, mut ours) = (Vec::new(), Vec::new());
        // DuckDB is far from the targets that it stands for, and slow.
        let rounds = match goal.other {
            Run::Duck { .. } => self.options.rounds.min(3),
            _ => self.options.rounds,
        };
        for round in 0..=rounds {
            let (own, other) = (self.run(&goal.ours)?, self.run(&goal.other)?);
            let is_same_question = !matches!(goal.ours, Run::Hunts { .. });
            ensure!(
                !is_same_question || own.hash == other.hash,
                "{}: the answers differ",
                goal.what
            );
            if round > 0 {
                ratios.push(match goal.target {
                    Target::Least(_) => other.seconds / own.seconds,
                    Target::Most(_) => own.seconds / other.seconds,
                });
                ours.push(own.seconds);
            }
        }
        let (ratio, ours) = (Spread::of(ratios), Spread::of(ours));
        let (target, is_reached) = match goal.target {
            Target::Least(0.0) => ("none".to_owned(), None),
            Target::Least(least) => (format!("at least {least}"), Some(ratio.median >= least)),
            Target::Most(f64::INFINITY) => ("none".to_owned(), None),
            Target::Most(most) => (format!("at most {most}"), Some(ratio.median <= most)),
        };
        let row = [
            goal.what.clone(),
            target,
            format!("{:.2}", ratio.median),
            format!("{:.2} to {:.2}", ratio.low, ratio.high),
            format!("{:.3}", ours.median),
            verdict(is_reached),
        ];
        println!("{}", row.join("  "));
        table.add_row(row);
        Ok(())
    }

    fn memory(&self, table: &mut Table) -> anyhow::Result<()> {
        let all: Vec<&str> = HUNTS.iter().map(|(table, _)| *table).collect();
        for which in [&["cloudtrail"][..], &["vpc_flow"], &all] {
            let which = which.join(",");
            let mut peaks = Vec::new();
            for days in [1, DAYS] {
                let run = Run::Hunts {
                    which: which.clone(),
                    days,
                };
                peaks.push(self.run(&run)?.peak_mib);
            }
            let is_reached = peaks.iter().all(|peak| *peak <= MOST_MEMORY_MIB);
            table.add_row([
                format!("all hunts of {which}"),
                format!("{:.0}", peaks[0]),
                format!("{:.0}", peaks[1]),
                verdict(Some(is_reached)),
            ]);
        }
        Ok(())
    }

    fn run(&self, run: &Run) -> anyhow::Result<Came> {
        let threads = match run {
            Run::Engine { threads, .. } => *threads,
            _ => 1,
        };
        let processors = (0..threads)
            .map(|it| it.to_string())
            .collect::<Vec<_>>()
            .join(",");
        let mut command = Command::new("taskset");
        command
            .args(["--cpu-list", &processors])
            .stdout(Stdio::piped());
        // What a conversion writes is gone after each run.
        let out = tempfile::tempdir_in(self.logs).context("cannot make a folder")?;
        let asks = |command: &mut Command| {
            command
                .arg(&self.options.program)
                .arg("ask")
                .arg("--folder")
                .arg(match run {
                    Run::Lake { .. } => &self.lake,
                    _ => self.logs,
                });
        };
        let mut question = None;
        match run {
            Run::Engine { task, threads } => {
                asks(&mut command);
                command.args(["--threads", &threads.to_string(), "engine", task]);
            }
            Run::Bare { task } => {
                asks(&mut command);
                command.args(["bare", task]);
            }
            Run::Lake { task } => {
                asks(&mut command);
                command.args(["lake", task]);
            }
            Run::Convert { task } => {
                asks(&mut command);
                command.args(["convert", task]).arg(out.path().join("lake"));
            }
            Run::Hunts { which, days } => {
                asks(&mut command);
                command.args(["--days", &days.to_string(), "hunts", which]);
            }
            Run::Duck { task } => {
                command
                    .arg(&self.python)
                    .arg(&self.script)
                    .stdin(Stdio::piped());
                let files = files(self.logs, task)?;
                question = Some(json!({
                    "task": task,
                    "files": files,
                    "threads": 1,
                    "key": RARE_KEY,
                    "out": out.path().join("lake"),
                }));
            }
        }
        let mut child = command.spawn().context("cannot run taskset")?;
        if let (Some(mut stdin), Some(question)) = (child.stdin.take(), question) {
            stdin.write_all(question.to_string().as_bytes())?;
        }
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "a run has failed; see above");
        let text = String::from_utf8_lossy(&output.stdout);
        let last: Value = serde_json::from_str(text.lines().last().unwrap_or_default())
            .context("a run has not said what came of it")?;
        let (Some(seconds), Some(peak_kib), Some(hash)) = (
            last["seconds"].as_f64(),
            last["peak_kib"].as_f64(),
            last["hash"].as_str(),
        ) else {
            bail!("a run has not said what came of it");
        };
        Ok(Came {
            seconds,
            peak_mib: peak_kib / 1024.0,
            hash: hash.to_owned(),
        })
    }
}

fn verdict(is_reached: Option<bool>) -> String {
    match is_reached {
        Some(true) => "reached",
        Some(false) => "**missed**",
        None => "",
    }
    .to_owned()
}

/// The files of a question's log.
fn files(logs: &Path, task: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut left = Vec::new();
    let mut found = Vec::new();
    if let Some(task) = task.strip_prefix("lake-") {
        let table = match task {
            "flow-sum" => "vpc_flow",
            _ => "cloudtrail",
        };
        left.push(logs.join("lake").join(table));
    } else {
        let (root, service) = match task.trim_start_matches("convert-") {
            "flow-custom" => ("custom", "vpcflowlogs"),
            "flow-sum" => ("AWSLogs", "vpcflowlogs"),
            _ => ("AWSLogs", "CloudTrail"),
        };
        for account in std::fs::read_dir(logs.join(root))? {
            left.push(account?.path().join(service));
        }
    }
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn page(machine: &Machine, options: &Options, goals: &Table, memory: &Table) -> String {
    format!(
        "# Benchmarks of hunts\n\n\
         Written by `make bench-hunt` (`cargo xtask bench-hunt --record`) on {}: {}, {} cores, {} MiB, {}, \
         load {} when it began.\n\n\
         {} CloudTrail events, {} flow records of the default format and {} of version 5, {} Resolver \
         queries, in gzip objects as AWS delivers them, over {DAYS} days; the lake is what `davy hunt convert` \
         makes of them. The bare programs \
         (`crates/hunt/examples/measure/bare.rs`) inflate with libdeflate and parse with sonic-rs, search \
         with memmem or split lines, and can do nothing else. DuckDB is the one on PyPI, with types for \
         every column. Each ratio is of two runs one after the other, on one processor unless it says \
         otherwise, with files in the page cache and the same answer from both; {} pairs each, with DuckDB no more \
         than 3.\n\n\
         {goals}\n\n{memory}\n",
        machine.date,
        machine.cpu,
        machine.cores,
        machine.memory_mib,
        machine.kernel,
        machine.load,
        options.events,
        options.flows,
        options.flows / 3,
        options.queries,
        options.rounds,
    )
}

fn table<const N: usize>(head: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(head);
    table
}
