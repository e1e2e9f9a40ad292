//! `davy console`: the arguments of the console. What it does is in `davylamp_console`.

mod cloud;
mod keep;
mod notices;
mod people;

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use davylamp_console::config::Config;
use davylamp_console::{Console, ConsoleError};
use davylamp_content::settings::Override;

use crate::failure::Failure;
use crate::output::{emit, note};
use crate::settings::SettingsArgs;
use crate::signals::Signals;

/// Who signs in first.
const FIRST_PERSON: &str = "admin";

/// The arguments of `davy console`.
#[derive(Debug, Clone, Args)]
#[command(about = "Serve the console: what happened, who owns it and what is decided, as pages")]
#[command(
    long_about = "Serve the console: what happened, who owns it and what is decided, as pages.

Keeps the ledger, an append-only, hash-chained record of findings, incidents and decisions, in \
SQLite or PostgreSQL; takes events from `davy forward` under bearer tokens; and serves pages to \
people who are signed in. Without a subcommand it serves until it is told to stop.

At its first start it makes the person `admin` and prints a link to sign in by, which holds once and \
for 15 minutes. Settings come from the defaults, the configuration file, variables \
(DAVY_CONSOLE__LISTEN=…), --set, and the options below, the later winning. docs/console.md says more."
)]
#[command(
    after_long_help = "Exit codes: 0 done, or told to stop; 1 the ledger is not as it was written; 2 it could not.

Examples:
  davy console
  davy console --database postgres://davylamp@db.example/davylamp
  davy console link
  davy console person add ada --role responder
  davy console token add node-pool-1 --cluster hub-1 > /etc/davylamp/console-token
  davy console notice test team-chat
  davy console verify
  davy console export ledger.jsonl"
)]
pub struct ConsoleArgs {
    /// Address and port to listen on [default: console.listen, 127.0.0.1:7878]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Where the ledger is: sqlite:///path or postgres://user@host/name [default: console.database]
    #[arg(long, global = true, value_name = "URL")]
    pub database: Option<String>,
    #[command(subcommand)]
    pub what: Option<What>,
    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// What is asked of it.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// Print a link by which somebody may sign in once, within 15 minutes
    Link {
        /// Who
        #[arg(default_value = FIRST_PERSON)]
        person: String,
    },
    /// People who may sign in
    #[command(subcommand)]
    Person(people::PersonArgs),
    /// Tokens by which agents send events
    #[command(subcommand)]
    Token(people::TokenArgs),
    /// What people were told, and whether channels work
    #[command(subcommand)]
    Notice(notices::NoticeArgs),
    /// Check that the ledger is as it was written
    Verify(keep::VerifyArgs),
    /// Make the tables anew from the entries
    Rebuild,
    /// Write the whole ledger as JSON lines
    Export(keep::ExportArgs),
    /// Read an export into an empty ledger
    Import(keep::ImportArgs),
    /// Remove now what console.retention says is too old; a console that serves does so once a day
    Retain,
}

/// Serves, or does what is asked.
pub fn run(args: &ConsoleArgs) -> Result<ExitCode, Failure> {
    let config = config(args)?;
    davylamp_console::memory::keep_small();
    let aws = Arc::new(cloud::Aws::new(args.settings.load_respond(Vec::new())?));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                anyhow::Error::new(error).context("cannot start the event loop"),
                "see whether this user may start more threads and files: ulimit -a",
            )
        })?;
    exists(&config, args.what.as_ref())?;
    runtime.block_on(async {
        let console = Console::open(config.clone()).await.map_err(failure)?;
        let console = console.with_cloud(aws);
        match &args.what {
            None => serve(console).await,
            Some(What::Link { person }) => people::link(&console, &config, person).await,
            Some(What::Person(args)) => people::person(&console, &config, args).await,
            Some(What::Token(args)) => people::token(&console, args).await,
            Some(What::Notice(args)) => notices::notice(&console, args).await,
            Some(What::Verify(args)) => keep::verify(&console, args).await,
            Some(What::Rebuild) => keep::rebuild(&console).await,
            Some(What::Export(args)) => keep::export(&console, args).await,
            Some(What::Import(args)) => keep::import(&console, args).await,
            Some(What::Retain) => keep::retain(&console, &config).await,
        }
    })
}

fn config(args: &ConsoleArgs) -> Result<Config, Failure> {
    let mut options = Vec::new();
    let mut option = |key: &str, name: &'static str, text: Option<String>| {
        if let Some(text) = text {
            options.push(Override::option(name, key, OsStr::new(&text)));
        }
    };
    let listen = args.listen.map(|address| address.to_string());
    option("console.listen", "--listen", listen);
    option("console.database", "--database", args.database.clone());
    args.settings.load_console(options)
}

/// Looking at a ledger makes none: a mistyped path would be an empty one in good order.
fn exists(config: &Config, what: Option<&What>) -> Result<(), Failure> {
    let looks = matches!(
        what,
        Some(What::Verify(_) | What::Export(_) | What::Rebuild | What::Retain)
    );
    let path = config.database.strip_prefix("sqlite:");
    let path = path.map(|path| path.strip_prefix("//").unwrap_or(path));
    match path {
        Some(path) if looks && !std::path::Path::new(path).exists() => Err(Failure::new(
            anyhow::anyhow!("there is no ledger at {path}"),
            "name the one that is meant with --database or console.database",
        )),
        _ => Ok(()),
    }
}

async fn serve(console: Console) -> Result<ExitCode, Failure> {
    let link = people::first(&console).await?;
    let ready = console.listen().await.map_err(failure)?;
    let url = ready.url();
    emit(format!("the console listens on {url}\n"))?;
    if let Some(key) = link {
        emit(format!("sign in once:  {}\n", people::address(&url, &key)))?;
    }
    if let Some(address) = ready.metrics_address {
        note(&format!("metrics at http://{address}/metrics"));
    }
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let signals = Signals::listen();
    let serving = ready.serve(stopped);
    tokio::pin!(serving);
    let asked = async {
        match signals {
            Some(mut signals) => signals.next().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = &mut serving => {}
        _ = asked => {
            note("ending; what was begun is finished");
            let _ = stop.send(true);
            serving.await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What went wrong, and the next step.
fn failure(error: ConsoleError) -> Failure {
    let hint = match &error {
        ConsoleError::Ledger(_) => {
            "name a file that can be written, or a server that answers, with --database or console.database"
        }
        ConsoleError::Store(_) | ConsoleError::Notices(_) => "see the database's own log",
        ConsoleError::Listen { .. } => {
            "another program may have this port: ss -ltnp; --listen chooses another"
        }
        ConsoleError::Oidc(_) => {
            "look at console.oidc.client_secret_file and console.oidc.ca_file, or empty console.oidc.issuer"
        }
        ConsoleError::Certificate { .. } => {
            "console.tls_certificate_file and console.tls_key_file want PEM files that belong together"
        }
        ConsoleError::Observe(_) => {
            "see [console.metrics] and [console.traces] in docs/configuration.md"
        }
    };
    Failure::new(anyhow::Error::new(error), hint)
}
