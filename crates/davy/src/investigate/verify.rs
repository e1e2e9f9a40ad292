//! `davy investigate verify`: whether the logs are whole.

mod page;
mod text;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use davylamp_casework::integrity::lookup::{History, compare};
use davylamp_casework::integrity::{
    Asked, Checked, IntegrityError, Outcome, Report, Tell, Watch, find, silence, worse,
};
use davylamp_hunt::engine::{Engine, Setup};
use davylamp_hunt::objects::{Location, Remote, Scope};
use davylamp_hunt::read::Given;
use davylamp_hunt::unpack::Caps;
use davylamp_model::verdict::Verdict;
use jiff::Timestamp;

use super::keys::{self, KeysFrom};
use crate::failure::{COULD_NOT_COMPLETE, Failure};
use crate::hunt::args::moment;
use crate::hunt::{self, check_scope};
use crate::output::{emit, emit_lines};
use crate::progress::{BYTES, Progress};

/// Something was altered, moved or deleted.
const FAILED: u8 = 1;

/// Check that CloudTrail's log files are as they were delivered
///
/// Digests, which CloudTrail delivers every hour where a trail validates its log files, list the log files of
/// that hour with their hashes; each is signed, and names the one before. What cannot be proven is unknown,
/// with what would tell, and never passes. Without digests, the stretches are shown in which logs say
/// nothing, and what that can mean.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Exit codes: 0 everything is proven, 1 something was altered, moved or deleted,
2 unknown, or could not complete.

The signature of the newest digest is in the metadata of its object alone. Of files, keep it beside the digest:
  aws s3api head-object --bucket BUCKET --key KEY > DIGEST.json.gz.signature

Examples:
  davy investigate verify --logs s3://BUCKET/AWSLogs --public-keys aws --since 2026-03-01
  aws cloudtrail list-public-keys --region eu-west-1 --start-time 2026-03-01 --end-time 2026-04-01 > keys.json
  davy investigate verify --logs trail/ --public-keys keys*.json --output html -o whole.html
  aws cloudtrail lookup-events --start-time 2026-03-01 --end-time 2026-03-02 > events.json
  davy investigate verify --logs trail/ --public-keys keys.json --lookup events.json"
)]
pub struct VerifyArgs {
    /// Where digests and log files lie: files, folders, patterns, s3://BUCKET/PREFIX
    #[arg(long, num_args = 1.., value_name = "WHERE", required = true)]
    logs: Vec<Location>,
    /// Where the keys of AWS are from: files with what aws cloudtrail list-public-keys printed, for each region
    /// and time; or aws, which is asked with the credentials of the environment
    #[arg(long, num_args = 1.., value_name = "FILE|aws")]
    public_keys: Vec<KeysFrom>,
    /// What aws cloudtrail lookup-events printed, to be compared with the log files; may be repeated
    #[arg(long, num_args = 1.., value_name = "FILE")]
    lookup: Vec<PathBuf>,
    /// Also look for services whose regular calls stop; every event is read
    #[arg(long)]
    heartbeats: bool,
    /// The buckets given are copies: only keys are compared, and metadata that is missing is no fault
    #[arg(long)]
    copy: bool,
    /// Nothing before this: a day, a moment in UTC, or how long ago, such as 7d
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    since: Option<Timestamp>,
    /// Nothing from this on, likewise; hours up to it that no digest covers are unknown
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    until: Option<Timestamp>,
    /// Only this account; may be repeated
    #[arg(long, value_name = "ACCOUNT")]
    account: Vec<String>,
    /// Only this region; may be repeated
    #[arg(long, value_name = "REGION")]
    region: Vec<String>,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// The file that the answer is written to
    #[arg(short = 'o', value_name = "FILE")]
    file: Option<PathBuf>,
    /// Another endpoint for AWS, such as a test server's
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The region of the buckets [default: the environment's]
    #[arg(long, value_name = "REGION")]
    bucket_region: Option<String>,
    /// Do not sign requests: for public buckets
    #[arg(long)]
    no_sign_request: bool,
}

/// The form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For reading.
    Table,
    /// One JSON document.
    Json,
    /// One JSON object a line: each digest and log file, then all of it.
    Jsonl,
    /// One page that needs nothing beside itself.
    Html,
}

/// Runs `davy investigate verify`.
pub(super) async fn run(args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let scope = Scope {
        since: args.since,
        until: args.until,
        accounts: args.account.clone(),
        regions: args.region.clone(),
    };
    check_scope(&scope)?;
    let history = history(&args.lookup)?;
    let report = check(args, scope, history).await?;
    let verdict = report
        .lookup
        .iter()
        .map(|lookup| lookup.verdict)
        .fold(report.verdict, worse);
    Ok(ExitCode::from(match verdict {
        Verdict::Pass => 0,
        Verdict::Fail => FAILED,
        Verdict::Unknown => COULD_NOT_COMPLETE,
    }))
}

async fn check(
    args: &VerifyArgs,
    scope: Scope,
    history: Option<History>,
) -> Result<Report, Failure> {
    let remote = Remote {
        endpoint: args.endpoint_url.clone(),
        region: args.bucket_region.clone(),
        is_anonymous: args.no_sign_request,
    };
    let asked = Asked {
        locations: args.logs.clone(),
        remote: remote.clone(),
        scope: scope.clone(),
        keys: keys::of_files(&args.public_keys)?,
        is_copy: args.copy,
        threads: None,
    };
    let sink = Sink::open(args.file.as_deref())?;
    let told = sink.clone();
    let is_told = args.output == Output::Jsonl;
    let tell = Box::new(move |outcome: &Outcome| {
        if is_told {
            told.line(outcome);
        }
    });
    let checked = checked(asked, &args.public_keys, tell).await;
    let mut report = checked.map_err(failure)?.report;
    if history.is_some() || args.heartbeats {
        let engine = Engine::open(Setup {
            locations: args.logs.clone(),
            scope,
            remote,
            given: Given::default(),
            caps: Caps::default(),
            threads: None,
        });
        let engine = engine.await.map_err(hunt::failure)?;
        if args.heartbeats {
            let (beats, left_out) = silence::heartbeats(&engine).await.map_err(hunt::failure)?;
            report.silences.extend(beats);
            report.silences_left_out += left_out;
        }
        if let Some(history) = history {
            let compared = compare(history, &engine, &report.chains).await;
            report.lookup = Some(compared.map_err(|error| {
                Failure::new(
                    anyhow!(error),
                    "see what --lookup names: it is to hold Events",
                )
            })?);
        }
    }
    match args.output {
        Output::Table => sink.text(&text::page(&report))?,
        Output::Json => sink.text(&text::json(&report))?,
        Output::Jsonl => sink.line(&text::summary(&report)),
        Output::Html => sink.text(&page::page(&report))?,
    }
    sink.close()?;
    Ok(report)
}

/// Checks log files, with AWS's keys where it is to be asked for them.
pub(super) async fn checked(
    asked: Asked,
    keys_from: &[KeysFrom],
    tell: Tell,
) -> Result<Checked, IntegrityError> {
    let remote = asked.remote.clone();
    let mut laid = find(asked).await?;
    let came = keys::of_aws(keys_from, &laid.signed(), &remote).await;
    laid.add_keys(came.keys);
    let watch = Arc::new(Watch::default());
    let progress = progress(&watch);
    let checked = laid.check(watch, tell).await;
    progress.end();
    let mut checked = checked?;
    // A key that could not be had and that nothing needed is no lack.
    if checked.report.verdict != Verdict::Pass {
        checked.report.unread.extend(came.lacking);
    }
    Ok(checked)
}

/// Where the answer goes, from whatever thread.
#[derive(Clone)]
struct Sink(Arc<Mutex<Place>>);

/// A place that takes text.
struct Place {
    file: Option<(PathBuf, BufWriter<File>)>,
    lines: Vec<u8>,
    failed: Option<io::Error>,
}

/// So much is gathered before it is written to standard output.
const GATHERED_BYTES: usize = 64 << 10;

impl Sink {
    fn open(file: Option<&Path>) -> Result<Self, Failure> {
        let file = file.map(|path| {
            let created = File::create(path).map(BufWriter::new);
            created
                .map(|file| (path.to_owned(), file))
                .map_err(|error| unwritable(path, error))
        });
        Ok(Self(Arc::new(Mutex::new(Place {
            file: file.transpose()?,
            lines: Vec::new(),
            failed: None,
        }))))
    }

    fn place(&self) -> std::sync::MutexGuard<'_, Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line of JSON. What goes wrong is told when it is closed.
    fn line(&self, value: &impl serde::Serialize) {
        let place = &mut *self.place();
        let line = serde_json::to_vec(value).map(|mut line| {
            line.push(b'\n');
            line
        });
        let written = line
            .map_err(io::Error::from)
            .and_then(|line| match &mut place.file {
                Some((_, file)) => file.write_all(&line),
                None => {
                    place.lines.extend(line);
                    if place.lines.len() < GATHERED_BYTES {
                        return Ok(());
                    }
                    let lines = std::mem::take(&mut place.lines);
                    emit(lines).map_err(|failure| io::Error::other(failure.said()))
                }
            });
        if let Err(error) = written {
            place.failed.get_or_insert(error);
        }
    }

    fn text(&self, text: &str) -> Result<(), Failure> {
        match &mut self.place().file {
            Some((path, file)) => file
                .write_all(text.as_bytes())
                .map_err(|error| unwritable(path, error)),
            None => emit_lines(text),
        }
    }

    fn close(&self) -> Result<(), Failure> {
        let place = &mut *self.place();
        emit(std::mem::take(&mut place.lines))?;
        let flushed = match &mut place.file {
            Some((_, file)) => file.flush(),
            None => Ok(()),
        };
        let path = place.file.as_ref().map(|(path, _)| path.as_path());
        match place.failed.take().map_or(flushed, Err) {
            Ok(()) => Ok(()),
            Err(error) => Err(unwritable(
                path.unwrap_or(Path::new("standard output")),
                error,
            )),
        }
    }
}

fn unwritable(path: &Path, error: io::Error) -> Failure {
    Failure::new(
        anyhow::Error::new(error).context(format!("{} cannot be written", path.display())),
        "see whether the folder is there, and whether there is room: df -h",
    )
}

fn history(files: &[PathBuf]) -> Result<Option<History>, Failure> {
    let mut history = None;
    for path in files {
        let refused = |error: anyhow::Error| {
            Failure::new(
                error.context(format!("there are no events in {}", path.display())),
                "write it with: aws cloudtrail lookup-events --start-time DAY --end-time DAY --region REGION",
            )
        };
        let file = File::open(path).map_err(|error| refused(anyhow!(error)))?;
        let all: &mut History = history.get_or_insert_default();
        all.add(BufReader::new(file))
            .map_err(|error| refused(anyhow!(error)))?;
    }
    Ok(history)
}

fn failure(error: IntegrityError) -> Failure {
    let hint = match &error {
        IntegrityError::List(_) => {
            "see whether the place can be read: its name, rights, credentials"
        }
        IntegrityError::Failed(_) => "please report it, with what was printed before",
    };
    Failure::new(anyhow!(error), hint)
}

/// Bytes and files that were checked.
fn progress(watch: &Arc<Watch>) -> Progress {
    let watch = Arc::clone(watch);
    Progress::watching(0, BYTES, move |bar| {
        bar.set_length(watch.total_bytes.load(Ordering::Relaxed));
        bar.set_position(watch.bytes.load(Ordering::Relaxed));
        bar.set_message(format!("{} files", watch.files.load(Ordering::Relaxed)));
    })
}
