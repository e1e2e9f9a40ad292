//! The responder as an AWS Lambda function, for events from EventBridge, SNS and SQS.
//!
//! What must stay true: an event that was not answered, not understood or not told ends in an
//! error, so that Lambda delivers it again and at last gives it to the failure destination; never
//! in silence and success. The function keeps nothing of its own: what was done is in the journal.

#![recursion_limit = "256"]

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use davylamp_content::settings::{self, Override};
use davylamp_model::ids::AccountId;
use davylamp_model::intake::{self, Intake};
use davylamp_respond::config::{self, Config};
use davylamp_respond::library;
use davylamp_respond::responder::{CameOfIt, IncidentReport, Report, Unread};
use davylamp_respond::stop::Stop;
use davylamp_respond::wire::{Run, Wiring};
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tracing_subscriber::EnvFilter;

/// The tables of `davy.toml` that are other jobs' and mean nothing here.
const OTHERS: [&str; 2] = ["guard", "forward"];

/// How many rejections the answer and the error name one by one.
const NAMED: usize = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
        )
        .with_ansi(false)
        .without_time()
        .init();
    // The configuration is read at once: a fault in it shows at deployment, not at the first miner.
    let config = read_config()?;
    let wiring = OnceCell::new();
    let (config, wiring) = (&config, &wiring);
    lambda_runtime::run(service_fn(
        move |event: LambdaEvent<Box<RawValue>>| async move {
            answer(config, wiring, event).await.map_err(|error| {
                tracing::error!(error = format!("{error:#}"), "the event was not answered");
                Error::from(format!("{error:#}"))
            })
        },
    ))
    .await
}

/// Where the function's zip is unpacked.
fn task_root() -> PathBuf {
    std::env::var_os("LAMBDA_TASK_ROOT").map_or_else(|| PathBuf::from("/var/task"), PathBuf::from)
}

/// `davy.toml` beside the program, if it is there, and the variables that override it.
fn read_config() -> anyhow::Result<Config> {
    let path = task_root().join("davy.toml");
    let text = match fs::read_to_string(&path) {
        Ok(text) => Some(without_others(&text)),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(anyhow!(error).context(format!("cannot read {}", path.display()))),
    };
    let sections = [config::section()];
    let overrides = Override::from_environment(&sections, std::env::vars_os());
    let name = path.display().to_string();
    let file = text.as_deref().map(|text| (name.as_str(), text));
    let tree = settings::load(&sections, file, &overrides).map_err(|errors| {
        let faults: Vec<String> = errors
            .all()
            .iter()
            .map(|error| format!("{error} ({}; {})", error.text(), error.trouble().help()))
            .collect();
        anyhow!("{errors}: {}", faults.join("; "))
    })?;
    Ok(settings::section(&tree, config::SECTION))
}

/// The file without the tables of other jobs, so that one file serves them all.
fn without_others(text: &str) -> String {
    match text.parse::<toml::Table>() {
        Ok(mut table) => {
            for other in OTHERS {
                table.remove(other);
            }
            table.to_string()
        }
        // Its faults are reported with their places by the loader.
        Err(_) => text.to_owned(),
    }
}

/// The playbooks beside the program and those that are configured, or none.
fn playbook_paths(config: &Config) -> Vec<PathBuf> {
    let mut paths = config.playbooks.clone();
    let beside: &Path = &task_root().join("playbooks");
    if beside.is_dir() {
        paths.push(beside.to_owned());
    }
    paths
}

async fn wire(config: &Config, function_arn: &str) -> anyhow::Result<Wiring> {
    let playbooks = library::read(&playbook_paths(config))?
        .into_iter()
        .map(|parsed| parsed.playbook)
        .collect();
    // The function's own ARN says whose it is, which saves a call.
    let account = function_arn
        .split(':')
        .nth(4)
        .map(AccountId::from)
        .filter(AccountId::is_well_formed);
    Ok(Wiring::new(config.clone(), playbooks, account, false).await?)
}

async fn answer(
    config: &Config,
    wiring: &OnceCell<Wiring>,
    event: LambdaEvent<Box<RawValue>>,
) -> anyhow::Result<Value> {
    let context = &event.context;
    let intake = intake::read(event.payload.get().as_bytes());
    let wiring = wiring
        .get_or_try_init(|| wire(config, &context.invoked_function_arn))
        .await
        .context("the responder could not be set up")?;
    let responder = wiring.responder(Run {
        // A request comes again under its id, perhaps while its first delivery is still worked on.
        name: format!(
            "lambda-{}-{:x}",
            context.request_id,
            Timestamp::now().as_nanosecond()
        ),
        deadline: Some(deadline(context.deadline)),
        progress: None,
        patient: false,
        rehearsal: false,
        // Lambda ends it without asking, at the deadline.
        stop: Stop::default(),
    });
    let findings = wiring.placed(intake.findings.clone()).await?;
    let unread = Unread::of(event.payload.get().as_bytes(), &intake.rejected);
    let mut report = responder.respond_to_all(findings, unread.as_slice()).await;
    let mut fault = fault(&report, &intake);
    if !intake.signals.is_empty() {
        let resumed = responder
            .resume_early()
            .await
            .context("what is due is not known")?;
        // Whoever is at one of them does what this run would have done.
        let is_idle = |it: &IncidentReport| !matches!(it.came_of_it, CameOfIt::Busy { .. });
        let incidents = resumed.incidents.into_iter().filter(is_idle).collect();
        let resumed = Report {
            incidents,
            ..resumed
        };
        fault.extend(faults(&resumed));
        report.incidents.extend(resumed.incidents);
    }
    let summary = summary(&report, &intake);
    tracing::info!(%summary, "answered");
    match (!fault.is_empty()).then(|| fault.join("; ")) {
        None => Ok(summary),
        Some(why) => Err(anyhow!(why)),
    }
}

/// Lambda gives the deadline in milliseconds since the epoch.
fn deadline(at_ms: u64) -> Timestamp {
    i64::try_from(at_ms)
        .ok()
        .and_then(|at| Timestamp::from_millisecond(at).ok())
        .unwrap_or_else(|| {
            Timestamp::now()
                + SignedDuration::try_from(Duration::from_secs(60)).unwrap_or(SignedDuration::ZERO)
        })
}

fn summary(report: &Report, intake: &Intake) -> Value {
    let incidents: Vec<Value> = report
        .incidents
        .iter()
        .map(|one| {
            let (word, failed) = match &one.came_of_it {
                CameOfIt::Worked { outcome } if outcome.finished => {
                    ("finished", outcome.failures().count())
                }
                CameOfIt::Worked { outcome } => ("under way", outcome.failures().count()),
                CameOfIt::Busy { .. } => ("busy", 0),
                CameOfIt::Broken { .. } => ("broken", 0),
                CameOfIt::Stopped => ("stopped", 0),
            };
            json!({
                "incident": one.incident,
                "resource": one.resource,
                "playbook": one.plan.as_ref().map(|plan| &plan.playbook),
                "result": word,
                "failed-steps": failed,
            })
        })
        .collect();
    json!({
        "incidents": incidents,
        "reported": report.reported,
        "signals": intake.signals.len(),
        "passed-over": intake.passed_over,
    })
}

/// Why the event has to come again, if it has.
fn fault(report: &Report, intake: &Intake) -> Vec<String> {
    let mut whys: Vec<String> = Vec::new();
    for one in intake.rejected.iter().take(NAMED) {
        whys.push(format!("not understood: {}: {}", one.at, one.why));
    }
    if intake.rejected.len() > NAMED {
        whys.push(format!("and {} more", intake.rejected.len() - NAMED));
    }
    whys.extend(faults(report));
    whys
}

/// What in a report did not come to its end.
fn faults(report: &Report) -> Vec<String> {
    let mut whys: Vec<String> = Vec::new();
    for one in &report.incidents {
        match &one.came_of_it {
            CameOfIt::Busy { run, .. } => {
                whys.push(format!("{} is worked on by {run}", one.incident));
            }
            CameOfIt::Broken { why } => whys.push(format!("{}: {why}", one.incident)),
            CameOfIt::Stopped => whys.push(format!("{} was not begun", one.incident)),
            CameOfIt::Worked { .. } => {}
        }
    }
    for one in &report.untold {
        whys.push(format!(
            "{} was not told through {}: {}",
            one.incident, one.channel, one.why
        ));
    }
    whys
}
