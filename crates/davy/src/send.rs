//! `davy send`: findings, audits and reports to the console.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::Args;
use davylamp_content::settings::Override;
use davylamp_ledger::Record;
use davylamp_ledger::record::Audit;
use davylamp_ledger::wire::{About, Sent};
use davylamp_model::intake::compliance;
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::failure::{COULD_NOT_COMPLETE, Failure};
use crate::outbox::{self, Delivered};
use crate::output::{counted, emit, note};
use crate::records;
use crate::settings::SettingsArgs;

/// A file with more is no list of findings.
const MAX_BYTES: u64 = 256 << 20;
/// So many things that cannot be read are named.
const NAMED: usize = 20;

/// The arguments of `davy send`.
#[derive(Debug, Clone, Args)]
#[command(
    about = "Send findings, audits and reports to the console",
    long_about = "Send findings, audits and reports to the console.

Takes what other programs wrote, and knows it by its form: findings of GuardDuty, Security Hub and OCSF \
products, what `davy hunt run --output ocsf` and `davy respond --output json` print, lines of the guard's \
log, and audits: OCSF compliance findings, Prowler's OCSF, ASFF with a compliance status. One file of \
outcomes is one audit.

Everything goes into an outbox first (work.outbox) and stays there until the console has it; what is sent \
twice counts once. Without files, what waits in the outbox is sent. The console is work.console.url, its \
token in work.console.token_file or DAVY_WORK_TOKEN."
)]
#[command(
    after_long_help = "Exit codes: 0 the console has everything; 2 it does not yet, or something cannot be read.

Examples:
  prowler aws -M json-ocsf && davy send output/*.ocsf.json
  davy hunt run --all --logs trail/ --output ocsf | davy send -
  davy respond plan --finding finding.json --output json | davy send -
  davy send"
)]
pub struct SendArgs {
    /// Files; - is standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What was audited, where the file does not say: an account, a cluster, a machine
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// The address of the console
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// What a file holds.
#[derive(Debug, Default)]
struct Found {
    lines: Vec<String>,
    said: Vec<String>,
    unread: Vec<String>,
}

/// Sends.
pub fn run(args: &SendArgs) -> Result<ExitCode, Failure> {
    let mut options = Vec::new();
    if let Some(url) = &args.url {
        options.push(Override::option(
            "--url",
            "work.console.url",
            OsStr::new(url),
        ));
    }
    let config = args.settings.load_work(options)?;
    let mut lines = Vec::new();
    let mut unread = 0;
    for file in &args.files {
        let name = match file.as_os_str() == "-" {
            true => "standard input".to_owned(),
            false => file.display().to_string(),
        };
        let found = read(&bytes(file, &name)?, args.target.as_deref(), &name);
        for said in &found.said {
            emit(format!("{name}: {said}\n"))?;
        }
        for why in found.unread.iter().take(NAMED) {
            note(&format!("{name}: {why}"));
        }
        if found.unread.len() > NAMED {
            note(&format!("{name}: and {} more", found.unread.len() - NAMED));
        }
        if found.lines.is_empty() && found.unread.is_empty() {
            note(&format!("{name} has nothing to send"));
        }
        unread += found.unread.len();
        lines.extend(found.lines);
    }
    if args.dry_run {
        let lines = counted(lines.len() as u64, "line", "lines");
        emit(format!("{lines} would be sent\n"))?;
        return Ok(ExitCode::from(if unread > 0 {
            COULD_NOT_COMPLETE
        } else {
            0
        }));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                anyhow::Error::new(error).context("cannot start the event loop"),
                "see whether this user may start more threads and files: ulimit -a",
            )
        })?;
    let delivered = runtime.block_on(outbox::send(&config, &lines, outbox::PATIENCE))?;
    if delivered == Delivered::All {
        let sent = counted(lines.len() as u64, "line", "lines");
        emit(format!(
            "the console has everything ({sent} of this call)\n"
        ))?;
    }
    let complete = delivered == Delivered::All && unread == 0;
    Ok(ExitCode::from(if complete {
        0
    } else {
        COULD_NOT_COMPLETE
    }))
}

fn bytes(file: &std::path::Path, name: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    crate::input::open(file)
        .and_then(|input| input.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {name}"))
        .map_err(|error| Failure::new(error, format!("see whether it is there: ls -l {name}")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Failure::new(
            anyhow!("{name} is larger than {MAX_BYTES} bytes"),
            "split it: findings may stand one a line",
        ));
    }
    Ok(bytes)
}

/// Everything that a file holds, by its form.
fn read(bytes: &[u8], target: Option<&str>, name: &str) -> Found {
    let mut found = Found::default();
    let Ok(text) = std::str::from_utf8(bytes) else {
        found.unread.push("it is no UTF-8 text".to_owned());
        return found;
    };
    let mut audit = Vec::new();
    let mut findings = 0_u64;
    for value in
        serde_json::Deserializer::from_str(text.trim_start_matches('\u{feff}')).into_iter::<Value>()
    {
        let value = match value {
            Ok(value) => value,
            Err(error) => {
                found.unread.push(format!("it is no JSON: {error}"));
                break;
            }
        };
        let several = match value {
            Value::Array(list) => list,
            Value::Object(mut object) => match object.remove("Findings") {
                Some(Value::Array(list)) => list,
                Some(other) => {
                    object.insert("Findings".to_owned(), other);
                    vec![Value::Object(object)]
                }
                None => vec![Value::Object(object)],
            },
            other => vec![other],
        };
        for value in several {
            if compliance::is_one(&value) {
                audit.push(value);
            } else if records::is_report(&value) {
                let sent = records::of_report(&value, None);
                let n = counted(sent.len() as u64, "record", "records");
                found.said.push(format!("a report of the responder, {n}"));
                found.lines.extend(outbox::lines(&sent));
            } else if value.get("record").is_some_and(Value::is_object) {
                match serde_json::from_value::<Sent>(value) {
                    Ok(sent) => found.lines.extend(outbox::lines(&[sent])),
                    Err(error) => found.unread.push(format!("it is no record: {error}")),
                }
            } else if value.is_object() {
                findings += 1;
                found.lines.push(outbox::finding_line(&value));
            } else {
                found.unread.push("it is no object".to_owned());
            }
        }
    }
    if findings > 0 {
        found.said.push(counted(findings, "finding", "findings"));
    }
    if !audit.is_empty() {
        take_audit(&mut found, audit, target, name);
    }
    found
}

fn take_audit(found: &mut Found, outcomes: Vec<Value>, target: Option<&str>, name: &str) {
    let audited = compliance::read(&outcomes);
    found.unread.extend(
        audited
            .rejected
            .iter()
            .map(|(at, why)| format!("{at}: {why}")),
    );
    let (started, ended) = audited.span.unwrap_or_else(|| {
        let now = Timestamp::now();
        (now, now)
    });
    let digest = Sha256::digest(Value::Array(outcomes).to_string());
    let run: String = digest[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let target = target.map(str::to_owned).or(audited.target);
    let audit = Audit {
        run: run.clone(),
        name: audited.auditor.unwrap_or_else(|| "audit".to_owned()),
        target: target.unwrap_or_else(|| name.to_owned()),
        started,
        ended,
        outcomes: audited.outcomes,
        by: String::new(),
    };
    let outcomes = counted(audit.outcomes.len() as u64, "check", "checks");
    found.said.push(format!(
        "an audit of {} by {}, {outcomes}",
        audit.target, audit.name
    ));
    // Without a time of its own it is of now, and the same all the same when it is sent again.
    let sent = Sent {
        id: format!("audit-{run}"),
        about: About::default(),
        record: Record::Audit(Box::new(audit)),
    };
    found.lines.extend(outbox::lines(&[sent]));
}
