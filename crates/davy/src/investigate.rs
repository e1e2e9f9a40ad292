//! `davy investigate`: who did it, since when, how far, and whether the logs that say so are whole.

mod verify;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::failure::Failure;

/// Find out who did it, and whether the logs that say so are whole
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct InvestigateArgs {
    #[command(subcommand)]
    job: Job,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Job {
    Verify(Box<verify::VerifyArgs>),
}

/// Runs `davy investigate`.
pub fn run(args: &InvestigateArgs) -> Result<ExitCode, Failure> {
    match &args.job {
        Job::Verify(args) => verify::run(args),
    }
}
