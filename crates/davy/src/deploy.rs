//! `davy deploy`: writes what installs a part of Davylamp elsewhere.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Args, Subcommand, ValueEnum};
use davylamp_respond::deploy::{cloudformation, lambda_purposes};
use davylamp_respond::permissions::{Names, Purpose, policy, recording};

use crate::failure::Failure;
use crate::output::{emit, note};

/// Write what installs a part of Davylamp elsewhere
#[derive(Debug, Args)]
pub struct DeployArgs {
    #[command(subcommand)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Target {
    Aws(AwsArgs),
}

/// The responder as a Lambda function: a CloudFormation template, or its IAM policy alone
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  davy deploy aws --file davylamp.json      the template, to review and deploy
  davy deploy aws --what policy             what it may do, for an account administrator
  davy deploy aws --what record-policy      what the flight recorder may read
  davy deploy aws --without lockdown        leave a group of permissions out

The template starts in dry run: it plans and tells, and does nothing until the parameter DryRun
is set to false. Its parameter SecurityHub=true lets what other products send to Security Hub
start it as well. docs/responder-install.md goes through the installation.")]
struct AwsArgs {
    /// What to write
    #[arg(long, value_enum, default_value_t = What::Template)]
    what: What,
    /// Leave the permissions for this purpose out; may be repeated
    #[arg(long, value_name = "PURPOSE", value_parser = purpose)]
    without: Vec<Purpose>,
    /// Write to this file, which must not exist, instead of standard output
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// The role that the flight recorder assumes in other accounts, as the documentation calls it.
const RECORD_ROLE: &str = "davylamp-recorder";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// The CloudFormation template
    Template,
    /// The IAM policy of a worker or of the role in another account
    Policy,
    /// The IAM policy of the flight recorder, which only reads
    RecordPolicy,
}

fn purpose(name: &str) -> Result<Purpose, String> {
    Purpose::ALL
        .iter()
        .find(|(_, known)| *known == name)
        .map(|(purpose, _)| *purpose)
        .ok_or_else(|| {
            let names: Vec<_> = Purpose::ALL.iter().map(|(_, name)| *name).collect();
            format!("there are {}", names.join(", "))
        })
}

/// What cannot be done at all without the purposes that were left out.
fn missed(without: &[Purpose], what: What) -> Vec<&'static str> {
    let is_out = |purpose| without.contains(&purpose);
    let mut missed = Vec::new();
    if what != What::RecordPolicy && is_out(Purpose::Read) {
        missed.push(
            "without `read` nothing can be looked at: every plan is only told, and does nothing",
        );
    }
    match what {
        What::Template if is_out(Purpose::Journal) => missed.push(
            "without `journal` the function cannot claim an incident in its table, and does nothing",
        ),
        What::Policy if is_out(Purpose::Journal) && is_out(Purpose::JournalTags) => missed.push(
            "without `journal` and `journal-tags` the journal has to be a local file, or nothing is \
             done",
        ),
        What::Template | What::Policy | What::RecordPolicy => {}
    }
    missed
}

/// Runs `davy deploy`.
pub fn run(args: &DeployArgs) -> Result<ExitCode, Failure> {
    let Target::Aws(args) = &args.target;
    let kept = |purposes: Vec<Purpose>| -> Vec<Purpose> {
        purposes
            .into_iter()
            .filter(|purpose| !args.without.contains(purpose))
            .collect()
    };
    let document = match args.what {
        What::Template => cloudformation(&kept(lambda_purposes())),
        What::Policy => {
            let all = Purpose::ALL.iter().map(|(purpose, _)| *purpose).collect();
            policy(&kept(all), &Names::default())
        }
        What::RecordPolicy => recording(Some(RECORD_ROLE)),
    };
    for missed in missed(&args.without, args.what) {
        note(missed);
    }
    let text = format!("{document:#}\n");
    let Some(path) = &args.file else {
        emit(text)?;
        return Ok(ExitCode::SUCCESS);
    };
    let name = path.display();
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| {
            let hint = match error.kind() {
                ErrorKind::AlreadyExists => "choose another name, or remove it first".to_owned(),
                ErrorKind::NotFound => "create its directory first".to_owned(),
                _ => format!("see what is there: ls -ld {name}"),
            };
            Failure::new(anyhow!(error).context(format!("cannot write {name}")), hint)
        })?;
    note(&format!("wrote {name}"));
    Ok(ExitCode::SUCCESS)
}
