//! `davy investigate`: who did it, since when, how far, what it cost, and who is innocent.

mod check;
mod cost;
mod finding;
mod keys;
mod verify;
mod whole;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use davylamp_casework::case::Asked;
use davylamp_casework::investigate::{CaseError, Indicator, Means, investigate};
use davylamp_casework::report::{self, How, ReportError};
use davylamp_casework::witnesses::WitnessError;
use davylamp_hunt::tally::summary;
use davylamp_model::verdict::Verdict;
use jiff::Timestamp;

use crate::failure::{COULD_NOT_COMPLETE, Failure};
use crate::hunt::args::LogArgs;
use crate::output::{emit, emit_lines, note, quiet_json};
use crate::prices::{TablesArgs, book};
use crate::progress::Progress;

use keys::KeysFrom;

/// An intrusion was found, or somebody has changed the logs.
const FOUND: u8 = 1;

/// Make a case of logs: who did it, since when, how far, what it cost, who is innocent
///
/// Starts from what is known, such as a key, an address, an instance or a user; or from nothing: then
/// what stands out most is what the case is about.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "Exit codes: 0 no intrusion was found, 1 one was, or log files were altered, moved or deleted
(--verify), 2 could not complete: also where nothing was found and something was not read, or
--verify leaves unknown whether the log files are whole.

Examples:
  davy investigate --logs s3://BUCKET/AWSLogs --since 30d -o case/
  davy investigate --logs s3://BUCKET/AWSLogs --verify --public-keys aws -o case/
  davy investigate --logs trail/ --indicator AKIA… --indicator 203.0.113.7 -o case/
  davy investigate --logs trail/ --finding guardduty.json -o case/
  davy investigate --logs trail/ snapshots/ --output json > case.json
  davy investigate --logs s3://BUCKET/AWSLogs/111122223333/Config -o case/"
)]
pub struct InvestigateArgs {
    #[command(subcommand)]
    job: Option<Job>,
    #[command(flatten)]
    logs: LogArgs,
    /// What is known: a key, an address or network, an instance, an image, a user, role or session, a
    /// moment, the id of an event; may be repeated
    #[arg(id = "indicator", long, value_name = "WHAT", value_parser = NonEmptyStringValueParser::new())]
    indicators: Vec<String>,
    /// Findings that the case starts from, in any form that davy respond takes, such as GuardDuty's or OCSF;
    /// - reads standard input; may be repeated
    #[arg(id = "finding", long, value_name = "FILE")]
    findings: Vec<String>,
    /// Check as well that CloudTrail's log files are as they were delivered: each is read once more
    #[arg(long)]
    verify: bool,
    /// Where the keys are from that digests are checked with: as of davy investigate verify
    #[arg(long, num_args = 1.., value_name = "FILE|aws", requires = "verify")]
    public_keys: Vec<KeysFrom>,
    /// The buckets given are copies: as of davy investigate verify
    #[arg(long, requires = "verify")]
    copy: bool,
    /// The folder of the case: report, timeline, indicators, evidence, request for credits
    #[arg(short = 'o', value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Replace a case folder that is there
    #[arg(long, requires = "folder")]
    force: bool,
    /// A Cost and Usage Report that the cost is compared with; may be repeated
    #[arg(long, value_name = "FILE")]
    bill: Vec<PathBuf>,
    #[command(flatten)]
    tables: TablesArgs,
    /// The form in which the case is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What to do beside making a case.
#[derive(Debug, Subcommand)]
enum Job {
    Check(check::CheckArgs),
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
    match &args.job {
        Some(Job::Cost(args)) => return cost::run(args),
        Some(Job::Check(args)) => return check::run(args),
        Some(Job::Verify(_)) | None => {}
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
    let how = How {
        force: args.force,
        ..How::default()
    };
    // Before the logs are read, which may take hours.
    if let Some(folder) = &args.folder {
        report::check_place(folder, how).map_err(report_failure)?;
    }
    let mut known = args.indicators.clone();
    for file in &args.findings {
        known.extend(finding::indicators(file)?);
    }
    let book = book(&args.tables)?;
    let to_check = whole::asked(args)?;
    let now = Timestamp::now();
    let engine = crate::hunt::open(&args.logs).await?;
    let indicators: Vec<Indicator> = known.iter().map(|text| Indicator::of(text)).collect();
    let asked = Asked {
        logs: args.logs.logs.iter().map(ToString::to_string).collect(),
        indicators: known,
        since: args.logs.since,
        until: args.logs.until,
        made_at: Some(now),
        made_by: format!("davy {}", env!("CARGO_PKG_VERSION")),
    };
    let run = Arc::default();
    let progress = Progress::reading(&run, engine.stored_bytes());
    let means = Means {
        run: &run,
        prices: &book,
        now,
    };
    let case = investigate(&engine, asked, &indicators, &means).await;
    progress.end();
    let mut case = case.map_err(failure)?;
    whole::say(&mut case, to_check, &engine, args).await;
    if !args.bill.is_empty() {
        cost::compare(&mut case, &args.bill, &book, now)?;
    }
    for line in summary(&run) {
        note(&line);
    }
    match args.output {
        Output::Json => {
            let json = serde_json::to_string_pretty(&case)
                .map_err(|error| Failure::new(anyhow!(error), "this is a bug in davy"))?;
            emit(quiet_json(&json) + "\n")?;
        }
        Output::Text => emit_lines(&report::plain(&case))?,
    }
    if let Some(folder) = &args.folder {
        let written = report::write(&case, folder, how).map_err(report_failure)?;
        note(&format!(
            "the case is in {}: open {}; keep this hash elsewhere to prove that its evidence is whole: {}",
            written.folder.display(),
            written.folder.join(report::REPORT_HTML).display(),
            written.evidence_hash
        ));
    }
    let integrity = case.integrity.as_ref().map(|it| it.verdict);
    let is_unknown = args.verify && integrity == Some(Verdict::Unknown);
    let is_incomplete = run.is_outside() || run.is_bad() || case.is_incomplete() || is_unknown;
    Ok(ExitCode::from(
        match (case.is_suspicious(), is_incomplete) {
            (true, _) if args.logs.strict && is_incomplete => COULD_NOT_COMPLETE,
            (true, _) => FOUND,
            (false, true) => COULD_NOT_COMPLETE,
            (false, false) => 0,
        },
    ))
}

fn report_failure(error: ReportError) -> Failure {
    let hint = match &error {
        ReportError::Exists { .. } | ReportError::NotACase { .. } => "see davy investigate --help",
        ReportError::TwiceNumbered { .. } => "this is a bug in davy",
        ReportError::Io { .. } => "see whether the place can be written, and has room: df -h",
    };
    Failure::new(anyhow!(error), hint)
}

fn failure(error: CaseError) -> Failure {
    match error {
        CaseError::Engine(error) => crate::hunt::failure(error),
        CaseError::Witnesses(WitnessError::Engine(error)) => crate::hunt::failure(error),
        CaseError::Witnesses(WitnessError::Hunts(faults)) => Failure::from(faults),
        CaseError::Kept(error) => Failure::new(
            anyhow!(error),
            "see whether the folder of TMPDIR is there, can be written and has room",
        ),
    }
}
