//! The processes of a Ballista cluster for `davy hunt --engine ballista`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use davylamp_hunt::cluster::{ExecutorSetup, PORT, SchedulerSetup, executor, scheduler};
use davylamp_hunt::read::Given;
use tracing_subscriber::EnvFilter;

/// Ballista plans a query deep in calls.
const STACK_BYTES: usize = 32 << 20;

/// A cluster that answers hunts over a lake
///
/// One scheduler and any number of executors, all of the same version as the davy that asks them. The
/// lake is read by them and not by davy: a folder must be the same folder for all, and S3 is read with
/// the credentials and region of their environment. Whoever reaches these ports can read what they can
/// read: keep them within a network of their own.
#[derive(Debug, Parser)]
#[command(name = "davy-cluster", version)]
struct Cli {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    Scheduler(SchedulerArgs),
    Executor(ExecutorArgs),
}

/// Take queries, and give their parts to executors
#[derive(Debug, Args)]
struct SchedulerArgs {
    /// Where it listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = at(PORT))]
    listen: SocketAddr,
    /// The name by which executors reach it, if not by that address
    #[arg(long, value_name = "HOST")]
    advertise: Option<String>,
}

/// Work out parts of queries
#[derive(Debug, Args)]
struct ExecutorArgs {
    /// The scheduler
    #[arg(long, value_name = "HOST:PORT", default_value_t = format!("localhost:{PORT}"))]
    scheduler: String,
    /// Where it listens; the port after it is taken as well
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = at(PORT + 1))]
    listen: SocketAddr,
    /// The name by which others reach it, if not by that address
    #[arg(long, value_name = "HOST")]
    advertise: Option<String>,
    /// Tasks at once; as many as there are processors if nothing is said
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
    /// What sorting and grouping may keep in memory, of all tasks together
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    memory_mib: u64,
    /// Where parts are kept until others have taken them; a temporary folder if nothing is said
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run(cli.part) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(part: Part) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()?;
    let indicators = Given::shipped().context("what ships is faulty")?.indicators;
    match part {
        Part::Scheduler(args) => runtime.block_on(scheduler(SchedulerSetup {
            advertise: args
                .advertise
                .unwrap_or_else(|| args.listen.ip().to_string()),
            listen: args.listen,
            indicators,
        }))?,
        Part::Executor(args) => {
            let Some((host, port)) = args.scheduler.rsplit_once(':') else {
                bail!("--scheduler {} is no HOST:PORT", args.scheduler);
            };
            let port = port.parse().with_context(|| format!("{port} is no port"))?;
            let own = tempfile::tempdir().context("no temporary folder can be made")?;
            runtime.block_on(executor(ExecutorSetup {
                advertise: args
                    .advertise
                    .unwrap_or_else(|| args.listen.ip().to_string()),
                listen: args.listen,
                scheduler_host: host.to_owned(),
                scheduler_port: port,
                threads: args.threads.unwrap_or(0),
                memory_bytes: args.memory_mib.saturating_mul(1 << 20),
                folder: args.folder.unwrap_or_else(|| own.path().to_owned()),
                indicators,
            }))?;
        }
    }
    Ok(())
}
