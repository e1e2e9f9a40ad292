//! `davy forward`: the arguments of the forwarder. What it does is in `davylamp_forward`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use davylamp_content::settings::Override;
use davylamp_forward::config::Config;
use davylamp_forward::{DestinationStatus, Forward, ForwardError, Pass, Status, Summary};

use crate::failure::{COULD_NOT_COMPLETE, Failure};
use crate::guard::machine_name;
use crate::output::{counted, emit, note};
use crate::settings::SettingsArgs;
use crate::signals::Signals;

/// The arguments of `davy forward`.
#[derive(Debug, Clone, Args)]
#[command(about = "Carry the guard's events away: to a console, to OpenTelemetry, as OCSF")]
#[command(
    long_about = "Carry the guard's events away: to a console, to OpenTelemetry, as OCSF.

Reads the spool that the guard of this machine leaves its events in (guard.spool.dir) and delivers \
them, each destination at its own pace. Whichever process dies when, nothing is lost: an event is \
done with once its destination has said that it has it. What may come twice comes under the same \
id. Needs no privileges, only to be of the group that owns the spool.

Settings come from the defaults, the configuration file, variables (DAVY_FORWARD__CONSOLE__URL=…), \
--set, and the options below, the later winning. The console's token comes from the file that \
forward.console.token_file names, or from DAVY_CONSOLE_TOKEN. docs/forward.md says more."
)]
#[command(
    after_long_help = "Exit codes: 0 everything was delivered, or it was told to stop; 2 it was not, or it could not \
begin.

Examples:
  davy forward --check
  davy forward --set forward.console.url=https://console.example --set forward.console.token_file=/etc/davylamp/token
  davy forward --once --output json
  davy forward --output ocsf >> /var/log/davylamp/findings.ocsf.jsonl"
)]
pub struct ForwardArgs {
    /// The spool to read [default: forward.spool, else guard.spool.dir]
    #[arg(long, value_name = "DIR")]
    pub spool: Option<PathBuf>,
    /// Deliver what is in the spool, say what came of it, and exit
    #[arg(long)]
    pub once: bool,
    /// With --once, give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "once")]
    pub within: u64,
    /// Say what would be delivered where, and what is missing for it, and exit
    #[arg(long, conflicts_with = "once")]
    pub check: bool,
    /// What stdout gets: how things are, as text or as JSON lines; or the events, as OCSF lines
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    pub output: Form,
    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// `--output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// A line for each destination
    Text,
    /// A JSON object each time
    Json,
    /// The events themselves, as OCSF 1.5; how things are goes to stderr
    Ocsf,
}

/// Delivers, or says what would be delivered.
pub fn run(args: &ForwardArgs) -> Result<ExitCode, Failure> {
    let config = config(args)?;
    let node = machine_name(&args.settings.load(Vec::new())?);
    let spool = config.spool.clone();
    let forward = Forward::new(config, node.as_str()).map_err(failure)?;
    if args.check {
        return check(&forward, &spool, args.output);
    }
    let pass = match args.once {
        true => Pass::Once {
            within: Duration::from_secs(args.within),
        },
        false => Pass::Always,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                anyhow::Error::new(error).context("cannot start the event loop"),
                "see whether this user may start more threads and files: ulimit -a",
            )
        })?;
    let form = args.output;
    let summary = runtime.block_on(async move {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let Some(mut signals) = Signals::listen() else {
            return forward
                .run(pass, stopped, |status| told(status, form))
                .await;
        };
        let stopping = async {
            signals.next().await;
            let _ = stop.send(true);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            summary = forward.run(pass, stopped, |status| told(status, form)) => summary,
            () = stopping => unreachable!("it never ends"),
        }
    });
    if args.once {
        say_summary(&summary, form)?;
        if !summary.complete {
            return Ok(ExitCode::from(COULD_NOT_COMPLETE));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn config(args: &ForwardArgs) -> Result<Config, Failure> {
    let mut options = Vec::new();
    if let Some(spool) = &args.spool {
        let spool = std::path::absolute(spool).unwrap_or_else(|_| spool.clone());
        options.push(Override::option(
            "--spool",
            "forward.spool",
            spool.as_os_str(),
        ));
    }
    if args.output == Form::Ocsf {
        options.push(Override::option(
            "--output",
            "forward.ocsf.to",
            OsStr::new("-"),
        ));
    }
    let mut config = args.settings.load_forward(options.clone())?;
    if config.spool.as_os_str().is_empty() {
        config.spool = args.settings.load(options)?.spool.dir;
    }
    Ok(config)
}

fn check(forward: &Forward, spool: &Path, form: Form) -> Result<ExitCode, Failure> {
    let waiting = forward.look().map_err(failure)?;
    if form == Form::Json {
        let waiting: serde_json::Map<String, serde_json::Value> = waiting
            .into_iter()
            .map(|(name, bytes)| (name.to_owned(), bytes.into()))
            .collect();
        let answer = serde_json::json!({
            "spool": spool,
            "destinations": forward.destinations(),
            "waiting_bytes": waiting,
        });
        emit(format!("{answer}\n"))?;
    } else {
        let mut text = format!("spool         {}\n", spool.display());
        text.push_str(&format!(
            "destinations  {}\n",
            forward.destinations().join(", ")
        ));
        for (name, bytes) in waiting {
            text.push_str(&match bytes {
                Some(bytes) => format!("waiting       {bytes} bytes for {name}\n"),
                None => {
                    format!("waiting       unknown for {name}: another process delivers to it\n")
                }
            });
        }
        emit(text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says how things are while it goes on. Where nobody reads, that is no reason to end.
fn told(status: &Status, form: Form) {
    match form {
        Form::Json => {
            let _ = emit(json(status) + "\n");
        }
        Form::Text | Form::Ocsf => {
            for destination in &status.destinations {
                note(&line(destination));
            }
        }
    }
}

fn say_summary(summary: &Summary, form: Form) -> Result<(), Failure> {
    match form {
        Form::Json => emit(json(summary) + "\n"),
        Form::Ocsf => Ok(()),
        Form::Text => {
            let mut text = String::new();
            for destination in &summary.status.destinations {
                text.push_str(&line(destination));
                text.push('\n');
            }
            if let Some(trouble) = &summary.status.metrics_trouble {
                text.push_str(&format!("otlp metrics: {trouble}\n"));
            }
            emit(text)
        }
    }
}

fn line(status: &DestinationStatus) -> String {
    let mut line = format!(
        "{}: {} delivered, {} left",
        status.name,
        counted(status.delivered, "event", "events"),
        counted(status.lag_bytes, "byte", "bytes"),
    );
    for (count, what) in [
        (status.retries, "requests sent again"),
        (status.refused, "refused for good"),
        (status.unreadable, "unreadable"),
        (status.missed, "dropped by the spool before"),
    ] {
        if count > 0 {
            line.push_str(&format!(", {count} {what}"));
        }
    }
    if let Some(trouble) = &status.trouble {
        line.push_str(&format!("; {trouble}"));
    }
    line
}

fn json(what: &impl serde::Serialize) -> String {
    serde_json::to_string(what)
        .unwrap_or_else(|error| unreachable!("a status is plain data: {error}"))
}

fn failure(error: ForwardError) -> Failure {
    let hint = error.hint();
    Failure::new(error.into(), hint)
}
