//! `cargo xtask bench-respond`: how fast the responder answers, and what the function costs.
//!
//! Runs the function's own program under the runtime double, beside a handler in Python on boto3
//! (`xtask/bench/baseline.py`) that makes the same calls, against moto on this machine. Nothing here
//! gates a test: figures are printed beside their targets, and a missed one is said to be missed.

// This is a command: its results go to standard output.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod cold;
mod page;
mod stage;
mod storm;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};

use crate::bench::machine::Machine;
use crate::kernels::build::Workspace;

/// Exit status when the benchmark could not be carried out.
const EXIT_INCOMPLETE: u8 = 2;

/// How much to measure, and whether to keep it.
#[derive(clap::Args)]
pub struct Options {
    /// Fewer and shorter runs: a look, not a measurement
    #[arg(long)]
    quick: bool,

    /// Write the results to docs/benchmarks-respond.md
    #[arg(long, conflicts_with = "quick")]
    record: bool,

    /// The function's zip, as `make lambda` leaves it; its program lies beside it
    #[arg(long, value_name = "FILE")]
    zip: PathBuf,
}

/// How much is measured.
pub struct Effort {
    /// Cold starts of each program.
    pub starts: usize,
    /// Findings at once, and in how many regions.
    pub storms: &'static [(usize, usize)],
    /// The most findings of a storm for the baseline, which takes many minutes for more: its time
    /// is multiplied, because it takes one after the other.
    pub baseline_most: usize,
}

impl Effort {
    const FULL: Self = Self {
        starts: 20,
        storms: &[(1, 1), (10, 5), (500, 20)],
        baseline_most: 50,
    };
    const QUICK: Self = Self {
        starts: 3,
        storms: &[(1, 1), (10, 5)],
        baseline_most: 2,
    };
}

/// The two that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Davylamp,
    Baseline,
}

/// What both are run from.
pub struct Programs {
    function: PathBuf,
    python: PathBuf,
    baseline: PathBuf,
    playbook: String,
}

impl Programs {
    /// The command that runs one of them as a function. `folder` is where it is unpacked.
    pub fn command(&self, who: Who, folder: &Path) -> anyhow::Result<Command> {
        let mut command = match who {
            Who::Davylamp => {
                let playbooks = folder.join("playbooks");
                std::fs::create_dir_all(&playbooks).context("cannot make a folder")?;
                std::fs::write(playbooks.join("node-miner.toml"), &self.playbook)
                    .context("cannot write a playbook")?;
                Command::new(&self.function)
            }
            Who::Baseline => {
                let mut command = Command::new(&self.python);
                command.arg(&self.baseline);
                command
            }
        };
        command
            .env_clear()
            .env("LAMBDA_TASK_ROOT", folder)
            .env("RUST_LOG", "error")
            .current_dir("/");
        Ok(command)
    }
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
    let zip_bytes = std::fs::metadata(&options.zip)
        .with_context(|| format!("cannot read {}; run `make lambda`", options.zip.display()))?
        .len();
    let function = options.zip.with_file_name("bootstrap");
    let program_bytes = std::fs::metadata(&function)
        .with_context(|| format!("cannot read {}; run `make lambda`", function.display()))?
        .len();
    let programs = Programs {
        function,
        python: cache.join("python/bin/python"),
        baseline: workspace.root.join("xtask/bench/baseline.py"),
        playbook: uncapped(&workspace.root.join("content/playbooks/node-miner.toml"))?,
    };
    if !programs.python.exists() {
        bail!(
            "there is no {}: run `scripts/setup test`",
            programs.python.display()
        );
    }
    let effort = if options.quick {
        Effort::QUICK
    } else {
        Effort::FULL
    };
    let machine = Machine::survey()?;
    let starts = cold::measure(&programs, effort.starts)?;
    let storms = storm::measure(&programs, &effort)?;
    let results = page::Results {
        program_bytes,
        zip_bytes,
        starts,
        storms,
    };
    let text = page::page(&machine, &effort, &results);
    println!("\n{text}");
    if options.record {
        let page = workspace.root.join("docs/benchmarks-respond.md");
        std::fs::write(&page, text).with_context(|| format!("cannot write {}", page.display()))?;
        println!("recorded in {}", page.display());
    }
    Ok(())
}

/// The playbook that answers a miner on an instance, without the brake on how many plans are carried
/// out in an hour: with it the storm would end after the first twenty.
fn uncapped(path: &Path) -> anyhow::Result<String> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let capped = "plans-per-hour = 20\n";
    if !text.contains(capped) {
        bail!("{} has no line `{}`", path.display(), capped.trim());
    }
    Ok(text.replace(capped, "plans-per-hour = 1000\n"))
}
