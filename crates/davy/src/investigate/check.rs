//! `davy investigate check`: whether a case folder is as it was written.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use davylamp_casework::report;

use crate::failure::Failure;
use crate::output::emit_lines;

/// Something was altered.
const FAILED: u8 = 1;

/// Check that a case folder is as it was written
///
/// The records that a case cites are chained by their hashes, and each number that it cites must be among
/// them.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Exit codes: 0 nothing was altered, 1 something was, 2 could not complete.

Examples:
  davy investigate check case/"
)]
pub struct CheckArgs {
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Checks a case folder.
pub fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let checked = report::check(&args.folder).map_err(|error| {
        Failure::new(
            anyhow!(error),
            "name a folder that davy investigate -o wrote",
        )
    })?;
    let mut text = format!(
        "{} records, {} numbers cited, {} files\n",
        checked.records, checked.cited, checked.files
    );
    for fault in &checked.faults {
        text.push_str(&format!("not as it was: {fault}\n"));
    }
    if let Some(hash) = &checked.evidence_hash {
        text.push_str(&format!("the evidence ends with {hash}\n"));
    }
    emit_lines(&text)?;
    Ok(ExitCode::from(if checked.is_sound() { 0 } else { FAILED }))
}
