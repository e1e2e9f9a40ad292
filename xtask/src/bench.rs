//! `cargo xtask bench-guard`: what the exec guard costs, and how fast it is.
//!
//! Runs the release `davy` unpinned and beside whatever else guards this machine. Ratios are of
//! pairs of runs that lie next to each other in time, one with the guard and one without, because
//! machines that build software are noisy; the median of the pairs is what is told, with the middle
//! half of them. Nothing here gates a test: figures are printed beside their targets, and a missed
//! one is said to be missed.

// This is a command: its results go to standard output.
#![allow(clippy::print_stdout, clippy::print_stderr)]

pub mod figures;
mod guard;
mod lists;
pub mod machine;
mod measure;
mod page;
mod storm;

use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::kernels::build::Workspace;
use measure::{Bench, Effort};

/// Exit status when the benchmark could not be carried out.
const EXIT_INCOMPLETE: u8 = 2;

/// How much to measure, and whether to keep it.
#[derive(clap::Args)]
pub struct Options {
    /// Fewer and shorter runs: a look, not a measurement
    #[arg(long)]
    quick: bool,

    /// Write the results to docs/benchmarks.md
    #[arg(long, conflicts_with = "quick")]
    record: bool,
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
    if !rustix::process::geteuid().is_root() {
        bail!(
            "the guard loads kernel programs, so its benchmark runs as root: sudo cargo xtask bench-guard"
        );
    }
    let workspace = Workspace::find()?;
    let davy = workspace.release_program("davylamp", "davy")?;
    let folder =
        tempfile::tempdir().context("cannot make a folder for the benchmark's programs")?;
    let programs = storm::Programs {
        storm: workspace.compile("crates/testkit/programs/storm.c", folder.path())?,
        nothing: workspace.assemble("crates/testkit/programs/nothing.S", folder.path())?,
    };
    let effort = if options.quick {
        Effort::QUICK
    } else {
        Effort::FULL
    };
    let machine = machine::Machine::survey()?;
    let results = Bench {
        davy,
        programs,
        folder: folder.path().to_owned(),
        effort,
    }
    .run()?;
    let text = page::page(&machine, &effort, &results);
    println!("\n{text}");
    if options.record {
        let page = workspace.root.join("docs/benchmarks.md");
        std::fs::write(&page, text).with_context(|| format!("cannot write {}", page.display()))?;
        println!("recorded in {}", page.display());
    }
    Ok(())
}
