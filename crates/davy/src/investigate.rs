//! `davy investigate`: from logs to a case.

mod cost;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::failure::Failure;

/// The arguments of `davy investigate`.
#[derive(Debug, Args)]
#[command(about = "Find out who did it, since when, how far, and what it cost")]
pub struct InvestigateArgs {
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, Subcommand)]
enum Job {
    Cost(cost::CostArgs),
}

/// Runs `davy investigate`.
pub fn run(args: &InvestigateArgs) -> Result<ExitCode, Failure> {
    match &args.job {
        Job::Cost(args) => cost::run(args),
    }
}
