//! Measures one thing about hunts in a process of its own: `cargo xtask bench-hunt` runs it many times.
//!
//! `measure generate FOLDER` writes logs; `measure ask WHO TASK FOLDER` answers a question and prints one
//! line of JSON: seconds, records, the hash of the answer, the most memory in RAM. A further question is
//! a [`Task`] with its SQL here, its bare program in `bare`, and its SQL in `xtask/bench/duck_hunt.py`.

// This is a command: its results go to standard output.
#![allow(clippy::print_stdout)]

mod bare;
mod generate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use davylamp_content::hunt::{Hunt, Parsed};
use davylamp_hunt::convert::{Bounds, Shard, convert};
use davylamp_hunt::engine::{Engine, Setup};
use davylamp_hunt::library;
use davylamp_hunt::read::Given;
use davylamp_hunt::run::{self, Job, Outcome};
use davylamp_hunt::tally::Run;
use futures::StreamExt as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

#[derive(Parser)]
enum Cli {
    /// Write logs
    Generate {
        /// Where to
        folder: PathBuf,
        #[command(flatten)]
        amounts: Amounts,
    },
    /// Answer a question
    Ask {
        #[command(subcommand)]
        who: Who,
        /// The folder of the logs
        #[arg(long)]
        folder: PathBuf,
        /// Read only the first days
        #[arg(long, default_value_t = u64::MAX)]
        days: u64,
        /// Objects read at once
        #[arg(long, default_value_t = 1)]
        threads: usize,
        /// Print the answer too
        #[arg(long)]
        show: bool,
    },
}

/// How much is written.
#[derive(clap::Args)]
struct Amounts {
    /// CloudTrail events
    #[arg(long, default_value_t = 400_000)]
    events: u64,
    /// Flow records of the default format
    #[arg(long, default_value_t = 3_000_000)]
    flows: u64,
    /// Flow records of a format with fields of version 5
    #[arg(long, default_value_t = 1_000_000)]
    custom: u64,
    /// Queries of names
    #[arg(long, default_value_t = 300_000)]
    queries: u64,
    /// Findings of GuardDuty
    #[arg(long, default_value_t = 5_000)]
    findings: u64,
    /// Days over which they are spread
    #[arg(long, default_value_t = 4)]
    days: u64,
    /// What the numbers are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Subcommand)]
enum Who {
    /// The engine
    Engine { task: Task },
    /// A program for this question alone
    Bare { task: Task },
    /// The engine over a lake, which is the folder
    Lake { task: Task },
    /// The conversion of a question's log into a lake that is not there yet
    Convert {
        task: Task,
        /// Where to
        lake: PathBuf,
    },
    /// Hunts: those of the tables named, all of them in one pass, or one by itself
    Hunts {
        /// The hunt, or the tables, divided by commas
        which: String,
        /// A folder of hunts that take the place of those that ship
        #[arg(long)]
        from: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Task {
    TrailSum,
    NeedleName,
    NeedleKey,
    FlowSum,
    FlowCustom,
}

impl Task {
    /// The folder of its logs, below the folder of an account.
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::TrailSum | Self::NeedleName | Self::NeedleKey => ("AWSLogs", "CloudTrail"),
            Self::FlowSum => ("AWSLogs", "vpcflowlogs"),
            Self::FlowCustom => ("custom", "vpcflowlogs"),
        }
    }

    fn sql(self) -> String {
        match self {
            Self::TrailSum => "SELECT event_source, event_name, aws_region, COUNT(*) AS calls, COUNT(error_code) AS failed, \
                 SUM(OCTET_LENGTH(request_parameters)) AS request_bytes, SUM(OCTET_LENGTH(response_elements)) AS response_bytes, \
                 MIN(event_epoch) AS first, MAX(event_epoch) AS last \
                 FROM cloudtrail GROUP BY event_source, event_name, aws_region"
                .to_owned(),
            Self::NeedleName => {
                "SELECT event_id, access_key_id, aws_region FROM cloudtrail WHERE event_name = 'StopLogging'".to_owned()
            }
            Self::NeedleKey => format!(
                "SELECT event_id, event_name, aws_region FROM cloudtrail WHERE access_key_id = '{}'",
                generate::RARE_KEY
            ),
            Self::FlowSum | Self::FlowCustom => "SELECT dstaddr, dstport, COUNT(*) AS flows, SUM(bytes) AS bytes, \
                 SUM(packets) AS packets FROM vpc_flow WHERE action = 'ACCEPT' GROUP BY dstaddr, dstport"
                .to_owned(),
        }
    }
}

fn main() -> anyhow::Result<()> {
    match Cli::parse() {
        Cli::Generate { folder, amounts } => Ok(generate::generate(&folder, &amounts)?),
        Cli::Ask {
            who,
            folder,
            days,
            threads,
            show,
        } => {
            let (lines, seconds, records) = match who {
                Who::Bare { task } => {
                    let started = Instant::now();
                    let files = files(&folders(&folder, task.place(), days)?)?;
                    let lines = bare::answer(task, &files)?;
                    (lines, started.elapsed().as_secs_f64(), 0)
                }
                Who::Engine { task } => {
                    asked(&task.sql(), &folders(&folder, task.place(), days)?, threads)?
                }
                Who::Lake { task } => asked(&task.sql(), &[folder], threads)?,
                Who::Convert { task, lake } => {
                    converted(&folders(&folder, task.place(), days)?, &lake, threads)?
                }
                Who::Hunts { which, from } => {
                    let known = library::read(from.as_deref())?;
                    hunted(known, &which, &folder, days, threads)?
                }
            };
            tell(lines, seconds, records, show)
        }
    }
}

/// Prints the line of JSON.
fn tell(mut lines: Vec<String>, seconds: f64, records: u64, show: bool) -> anyhow::Result<()> {
    lines.sort_unstable();
    let text = lines.join("\n");
    let status = std::fs::read_to_string("/proc/self/status").context("cannot read /proc")?;
    let peak_kib = status.lines().find_map(|line| {
        let kib = line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?;
        kib.parse::<u64>().ok()
    });
    if show {
        println!("{text}");
    }
    println!(
        "{}",
        json!({
            "seconds": seconds,
            "records": records,
            "rows": lines.len(),
            "hash": hex::encode(Sha256::digest(text)),
            "peak_kib": peak_kib,
        })
    );
    Ok(())
}

/// The folders of the first days of a log: `ROOT/ACCOUNT/SERVICE/REGION/2026/03/DAY`.
fn folders(
    folder: &Path,
    (root, service): (&str, &str),
    days: u64,
) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let root = folder.join(root);
    for account in
        std::fs::read_dir(&root).with_context(|| format!("cannot read {}", root.display()))?
    {
        let service = account?.path().join(service);
        let Ok(regions) = std::fs::read_dir(service) else {
            continue;
        };
        for region in regions {
            for day in std::fs::read_dir(region?.path().join("2026/03"))? {
                let day = day?;
                let number: u64 = day.file_name().to_string_lossy().parse()?;
                if number <= days {
                    found.push(day.path());
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

fn files(folders: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in folders {
        for file in std::fs::read_dir(folder)? {
            files.push(file?.path());
        }
    }
    files.sort();
    Ok(files)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}

async fn open(folders: &[PathBuf], threads: usize) -> anyhow::Result<Engine> {
    let locations: Result<Vec<_>, _> = folders
        .iter()
        .map(|folder| folder.display().to_string().parse())
        .collect();
    let setup = Setup {
        locations: locations?,
        given: Given::shipped().map_err(|_| anyhow::anyhow!("what ships is faulty"))?,
        threads: Some(threads),
        ..Setup::default()
    };
    Ok(Engine::open(setup).await?)
}

/// The answer of the engine, from finding the logs to the last row.
fn asked(
    sql: &str,
    folders: &[PathBuf],
    threads: usize,
) -> anyhow::Result<(Vec<String>, f64, u64)> {
    runtime()?.block_on(async {
        let started = Instant::now();
        let engine = open(folders, threads).await?;
        let mut answer = engine.sql(sql).await?;
        let mut batches = Vec::new();
        while let Some(batch) = answer.batches.next().await {
            batches.push(batch?);
        }
        let seconds = started.elapsed().as_secs_f64();
        anyhow::ensure!(!answer.run.is_bad(), "something was not read");
        let mut lines = Vec::new();
        for batch in &batches {
            let schema = batch.schema();
            for row in run::rows(batch)? {
                let cells = schema.fields().iter().map(|field| cell(&row[field.name()]));
                lines.push(cells.collect::<Vec<_>>().join("|"));
            }
        }
        Ok((lines, seconds, answer.run.progress().1))
    })
}

/// The conversion, from finding the logs to the last file. The answer is how many rows there are.
fn converted(
    folders: &[PathBuf],
    lake: &Path,
    threads: usize,
) -> anyhow::Result<(Vec<String>, f64, u64)> {
    runtime()?.block_on(async {
        let started = Instant::now();
        let engine = open(folders, threads).await?;
        let run = Arc::new(Run::default());
        let bounds = Bounds::default();
        let converted = convert(&engine, lake, Shard::default(), bounds, &run).await?;
        let seconds = started.elapsed().as_secs_f64();
        anyhow::ensure!(converted.is_complete(), "something was not read");
        Ok((vec![converted.rows.to_string()], seconds, converted.rows))
    })
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Hunts with their defaults. The answer is each hunt's number of rows.
fn hunted(
    known: Vec<Parsed>,
    which: &str,
    folder: &Path,
    days: u64,
    threads: usize,
) -> anyhow::Result<(Vec<String>, f64, u64)> {
    let named: Vec<&str> = which.split(',').collect();
    let is_asked = |hunt: &Hunt| {
        named.contains(&hunt.name.as_str())
            || hunt
                .tables
                .iter()
                .any(|table| named.contains(&table.name()))
    };
    let jobs: Vec<Job> = known
        .into_iter()
        .filter(|parsed| is_asked(&parsed.hunt))
        .map(|parsed| Job::new(parsed.hunt, &BTreeMap::new()))
        .collect::<Result<_, _>>()
        .map_err(|_| anyhow::anyhow!("a default does not fit"))?;
    anyhow::ensure!(!jobs.is_empty(), "there is no hunt {which}");
    let mut places = Vec::new();
    for (table, service) in [
        ("cloudtrail", "CloudTrail"),
        ("vpc_flow", "vpcflowlogs"),
        ("dns_query", "vpcdnsquerylogs"),
        ("guardduty", "GuardDuty"),
    ] {
        if jobs
            .iter()
            .any(|job| job.hunt.tables.iter().any(|it| it.name() == table))
        {
            places.extend(folders(folder, ("AWSLogs", service), days)?);
        }
    }
    runtime()?.block_on(async {
        let started = Instant::now();
        let engine = open(&places, threads).await?;
        let report = run::run(&engine, &jobs, |_| ()).await?;
        let seconds = started.elapsed().as_secs_f64();
        let mut lines = Vec::new();
        for came in &report.hunts {
            anyhow::ensure!(
                matches!(came.outcome, Outcome::Ran),
                "{} did not run: {:?}",
                came.hunt,
                came.outcome
            );
            lines.push(format!("{}|{}", came.hunt, came.rows));
        }
        Ok((lines, seconds, report.read.progress().1))
    })
}
