//! `cargo xtask`: chores of the project itself.

mod bench;
mod hunt;
mod investigate;
mod kernels;
mod respond;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "xtask",
    about = "Chores of the project itself",
    disable_version_flag = true
)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Boot other kernels under emulation and run the kill test in them
    TestKernels(kernels::Options),
    /// Measure what the exec guard costs and how fast it is, on this machine
    BenchGuard(bench::Options),
    /// Measure how fast the responder answers and what the function costs, beside one on boto3
    BenchRespond(respond::Options),
    /// Measure how fast hunts read logs, beside bare programs and DuckDB
    BenchHunt(hunt::Options),
    /// Measure what a case costs to make, beside a plain pass over its log
    BenchInvestigate(investigate::Options),
}

fn main() -> ExitCode {
    match Cli::parse().chore {
        Chore::TestKernels(options) => kernels::main(&options),
        Chore::BenchGuard(options) => bench::main(&options),
        Chore::BenchRespond(options) => respond::main(&options),
        Chore::BenchHunt(options) => hunt::main(&options),
        Chore::BenchInvestigate(options) => investigate::main(&options),
    }
}
