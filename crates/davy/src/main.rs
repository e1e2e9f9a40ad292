//! The `davy` command: arguments, wiring and printing.

mod doctor;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Keeps miners off machines that people compute on.
#[derive(Debug, Parser)]
#[command(name = "davy", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say what this machine offers the guard, what is missing, and how to mend it
    Doctor(doctor::DoctorArgs),
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().verb {
        Verb::Doctor(args) => doctor::run(&args),
    }
}
