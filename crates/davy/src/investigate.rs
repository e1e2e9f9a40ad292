//! `davy investigate`: who did it, since when, how far, what it cost, and who is innocent.

mod cost;
mod verify;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use clap::{Args, Subcommand, ValueEnum};
use davylamp_casework::case::{Asked, Case};
use davylamp_casework::investigate::{CaseError, Indicator, investigate};
use jiff::Timestamp;

use crate::failure::{COULD_NOT_COMPLETE, Failure};
use crate::hunt::args::LogArgs;
use crate::hunt::progress::Progress;

/// An intrusion was found.
const FOUND: u8 = 1;

/// Make a case of logs: who did it, since when, how far, what it cost, who is innocent
///
/// Starts from what is known, such as a key, an address, an instance or a user; or from nothing: then
/// what stands out most is what the case is about.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "Exit codes: 0 no intrusion was found, 1 one was, 2 could not complete: also where nothing
was found and something was not read.

Examples:
  davy investigate --logs s3://BUCKET/AWSLogs --since 30d -o case/
  davy investigate --logs trail/ --indicator AKIA… --indicator 203.0.113.7 -o case/
  davy investigate --logs trail/ snapshots/ --output json > case.json"
)]
pub struct InvestigateArgs {
    #[command(subcommand)]
    job: Option<Job>,
    #[command(flatten)]
    logs: LogArgs,
    /// What is known: a key, an address or network, an instance, an image, a user, role or session, a
    /// moment, the id of an event; may be repeated
    #[arg(long = "indicator", value_name = "WHAT")]
    indicators: Vec<String>,
    /// The form in which the case is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What to do beside making a case.
#[derive(Debug, Subcommand)]
enum Job {
    Cost(cost::CostArgs),
    Verify(verify::VerifyArgs),
}

/// The form in which a case is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For reading.
    Text,
    /// The case as one JSON document.
    Json,
}

/// Runs `davy investigate`.
pub fn run(args: &InvestigateArgs) -> Result<ExitCode, Failure> {
    if let Some(Job::Cost(args)) = &args.job {
        return cost::run(args);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(anyhow!(error), "see whether the machine is out of threads")
        })?;
    match &args.job {
        Some(Job::Verify(args)) => runtime.block_on(verify::run(args)),
        _ => runtime.block_on(make(args)),
    }
}

async fn make(args: &InvestigateArgs) -> Result<ExitCode, Failure> {
    let engine = crate::hunt::open(&args.logs).await?;
    let asked = Asked {
        logs: args.logs.logs.iter().map(ToString::to_string).collect(),
        indicators: args.indicators.clone(),
        since: args.logs.since,
        until: args.logs.until,
        made_at: Some(Timestamp::now()),
        made_by: format!("davy {}", env!("CARGO_PKG_VERSION")),
    };
    let indicators: Vec<Indicator> = args
        .indicators
        .iter()
        .map(|text| Indicator::of(text))
        .collect();
    let run = Arc::default();
    let progress = Progress::start(&run, engine.stored_bytes());
    let case = investigate(&engine, asked, &indicators, &run)
        .await
        .map_err(failure)?;
    progress.end();
    print(&case, args.output)?;
    let is_found = case.span.is_some();
    Ok(ExitCode::from(match (is_found, run.is_bad()) {
        (true, _) => FOUND,
        (false, true) => COULD_NOT_COMPLETE,
        (false, false) => 0,
    }))
}

fn print(case: &Case, output: Output) -> Result<(), Failure> {
    let text = match output {
        Output::Json => serde_json::to_string_pretty(case)
            .map_err(|error| Failure::new(anyhow!(error), "this is a bug: report it"))?,
        Output::Text => {
            let lines: Vec<String> = case.summary.iter().map(|it| it.text.clone()).collect();
            lines.join("\n")
        }
    };
    crate::output::emit_lines(&(text + "\n"))
}

fn failure(error: CaseError) -> Failure {
    match error {
        CaseError::Engine(error) => crate::hunt::failure(error),
        CaseError::Kept(error) => {
            Failure::new(anyhow!(error), "see whether the folder of TMPDIR has room")
        }
    }
}
