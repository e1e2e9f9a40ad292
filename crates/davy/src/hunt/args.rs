//! The arguments of `davy hunt`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use davylamp_hunt::convert::Shard;
use davylamp_hunt::objects::Location;
use davylamp_hunt::read::vpc_flow::FlowFormat;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SpanRelativeTo, Timestamp};

use crate::indicators::SetsArgs;

/// Find the mining in the logs
#[derive(Debug, Args)]
pub struct HuntArgs {
    #[command(subcommand)]
    pub job: Job,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Job {
    Run(RunArgs),
    List(ListArgs),
    Show(ShowArgs),
    Sql(SqlArgs),
    Convert(ConvertArgs),
    AthenaDdl(AthenaArgs),
}

/// Run hunts, and rank what they suspect
///
/// Each hunt's rows are leads. Leads about the same key, machine, principal or address within a day
/// are one suspected incident, with a score, who acted, what it happened to, and why.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Exit codes: 0 nothing, 1 suspected incidents, 2 could not complete: a hunt
failed, or nothing was found and something was not read or a hunt named lacks its logs, and with
--strict wherever anything is missing.

Examples:
  davy hunt run --all --logs s3://BUCKET/AWSLogs --since 7d
  davy hunt run flow-thin-periodic --set flow-thin-periodic.min_windows=12 --logs flow/
  davy hunt run --sigma sigma/rules/cloud/aws --logs trail/
  davy hunt run --all --hunts my-hunts/ --logs logs/ --output html > suspects.html"
)]
pub struct RunArgs {
    /// The hunts: davy hunt list
    #[arg(value_name = "NAME")]
    pub hunts: Vec<String>,
    /// Every hunt there are logs for
    #[arg(long, conflicts_with = "hunts")]
    pub all: bool,
    #[command(flatten)]
    pub own: OwnHunts,
    /// Sigma rules to ask as well, in a folder however deep, or one file
    #[arg(long, value_name = "DIR")]
    pub sigma: Option<PathBuf>,
    /// The value of a parameter, such as flow-thin-periodic.min_windows=12; may be repeated
    #[arg(long = "set", value_name = "HUNT.PARAMETER=VALUE")]
    pub set: Vec<String>,
    #[command(flatten)]
    pub logs: LogArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
    /// The form in which suspected incidents are printed
    #[arg(long, value_enum, default_value_t = RunOutput::Table)]
    pub output: RunOutput,
    /// Send what was found, and how each hunt went, to the console that work.console names
    #[arg(long)]
    pub console: bool,
    /// The file that --output parquet writes
    #[arg(short = 'o', value_name = "FILE", required_if_eq("output", "parquet"))]
    pub file: Option<PathBuf>,
}

/// List the hunts
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub own: OwnHunts,
}

/// Show what a hunt finds, why, with which parameters and by which query
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    pub hunt: String,
    #[command(flatten)]
    pub own: OwnHunts,
}

/// Hunts beside those that ship.
#[derive(Debug, Args)]
pub struct OwnHunts {
    /// A folder of hunts of your own; one called like a shipped one takes its place
    #[arg(long = "hunts", value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// Ask the logs in SQL
///
/// Logs are read as they lie: VPC flow logs as the table vpc_flow, CloudTrail as cloudtrail; gzip,
/// zstd or plain, in folders as deep as they are. What was read, and all that was not, is said on
/// stderr.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Exit codes: 0 no rows, 1 rows, 2 could not complete: also where there
are no rows and something was not read, and with --strict wherever something was not read.

Examples:
  davy hunt sql \"SELECT real_dstaddr, dstport, count(DISTINCT window_start) AS windows
      FROM vpc_flow WHERE direction = 'egress' AND dst_is_public
      GROUP BY 1, 2 ORDER BY windows DESC LIMIT 20\" --logs s3://BUCKET/AWSLogs
  davy hunt sql \"SELECT event_name, count(DISTINCT event_id) AS calls FROM cloudtrail
      WHERE access_key_id = 'AKIA…' GROUP BY 1\" --logs trail/ --since 2024-08-01
  zcat flow.log.gz | davy hunt sql \"SELECT * FROM vpc_flow LIMIT 5\" --logs -"
)]
pub struct SqlArgs {
    /// The query; without one, those that come through standard input, each ended by a semicolon
    #[arg(value_name = "SQL")]
    pub query: Option<String>,
    #[command(flatten)]
    pub logs: LogArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
    /// The form in which rows are printed
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// The file that --output parquet writes
    #[arg(short = 'o', value_name = "FILE", required_if_eq("output", "parquet"))]
    pub file: Option<PathBuf>,
}

/// Convert logs into a lake of Parquet, each object once
///
/// The lake has the tables of davy hunt sql, by account, region and day; --logs LAKE asks it, and so
/// does any engine that reads Parquet. A conversion may be killed and run again at any time: what was
/// converted is not converted again, and an object that has changed is converted anew.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Exit codes: 0 converted, 2 could not complete: an object was not, or not
wholly, read, and with --strict wherever anything was not understood.

With --since, --until, --account and --region, objects whose key says that they hold nothing of it are
left for another time; of the others every record is converted.

Examples:
  davy hunt convert --logs s3://BUCKET/AWSLogs -o lake/
  davy hunt convert --logs s3://BUCKET/AWSLogs -o /mnt/lake --shard 0/4
  davy hunt run --all --logs lake/ --since 30d"
)]
pub struct ConvertArgs {
    #[command(flatten)]
    pub logs: LogArgs,
    /// The folder of the lake, on a disk that locks files and renames at once
    #[arg(short = 'o', value_name = "DIR")]
    pub lake: PathBuf,
    /// Only this share of the objects: I/N, from 0/N on; each by a process of its own
    #[arg(long, value_name = "I/N", default_value_t)]
    pub shard: Shard,
}

/// Print what Amazon Athena has to be told to ask a lake, or logs as AWS delivers them
///
/// Nothing is called at AWS: statements, a policy and a workgroup are printed, to be looked at first.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  davy hunt athena-ddl --lake s3://BUCKET/lake --account 111122223333 --region eu-west-1 > tables.sql
  davy hunt athena-ddl --lake s3://BUCKET/lake --account 111122223333 --region eu-west-1 \\
      --results s3://RESULTS/hunts --what policy
  davy hunt athena-ddl --account 111122223333 --region eu-west-1 --results s3://RESULTS/hunts \\
      --what workgroup > group.json
  aws athena create-work-group --cli-input-json file://group.json")]
pub struct AthenaArgs {
    /// The lake, as s3://BUCKET/PREFIX: a table for each of ours
    #[arg(long, value_name = "URL")]
    pub lake: Option<String>,
    /// Logs as AWS delivers them, as s3://BUCKET/PREFIX/AWSLogs: CloudTrail, flow logs, Resolver queries
    #[arg(long = "raw", value_name = "URL")]
    pub logs: Option<String>,
    /// An account whose logs they are; may be repeated
    #[arg(long, value_name = "ACCOUNT", required = true)]
    pub account: Vec<String>,
    /// A region they are of; may be repeated. The policy is for asking in the first account and region
    #[arg(long, value_name = "REGION", required = true)]
    pub region: Vec<String>,
    /// The first day there are logs of [default: a year ago, whenever it is asked]
    #[arg(long, value_name = "DAY")]
    pub since: Option<Date>,
    /// The database
    #[arg(long, value_name = "NAME", default_value = "davylamp")]
    pub database: String,
    /// What to print
    #[arg(long, value_enum, default_value_t = AthenaWhat::Ddl)]
    pub what: AthenaWhat,
    /// Where Athena writes its results, as s3://BUCKET/PREFIX
    #[arg(long, value_name = "URL")]
    pub results: Option<String>,
    /// The workgroup
    #[arg(long, value_name = "NAME", default_value = "davylamp")]
    pub workgroup: String,
    /// A query that scans more than so many GiB is broken off
    #[arg(long, value_name = "GIB", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub scan_limit_gib: u64,
}

/// What Athena is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AthenaWhat {
    /// Statements that make the tables.
    Ddl,
    /// The IAM policy of whoever asks.
    Policy,
    /// A workgroup with a limit, as aws athena create-work-group takes it.
    Workgroup,
}

/// Which logs.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// Where logs lie: files, folders, patterns, archives, - for standard input, s3://BUCKET/PREFIX,
    /// a lake; as TABLE=WHERE if their kind cannot be told. Athena needs none
    #[arg(long, num_args = 1.., value_name = "WHERE")]
    pub logs: Vec<Location>,
    /// Nothing before this: a day, a moment in UTC, or how long ago, such as 7d
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub since: Option<Timestamp>,
    /// Nothing from this on, likewise
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub until: Option<Timestamp>,
    /// Only this account; may be repeated
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Vec<String>,
    /// Only this region; may be repeated
    #[arg(long, value_name = "REGION")]
    pub region: Vec<String>,
    /// Fail wherever anything was not read
    #[arg(long)]
    pub strict: bool,
    /// The fields of flow logs that do not start with a line of names, as AWS writes a format
    #[arg(long, value_name = "FORMAT")]
    pub flow_format: Option<FlowFormat>,
    #[command(flatten)]
    pub sets: SetsArgs,
    /// Another endpoint for AWS, such as a test server's
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// The region of the buckets, and of Athena [default: the environment's]
    #[arg(long, value_name = "REGION")]
    pub bucket_region: Option<String>,
    /// Do not sign requests: for public buckets
    #[arg(long)]
    pub no_sign_request: bool,
}

/// Who answers.
#[derive(Debug, Args)]
pub struct EngineArgs {
    /// Who answers
    #[arg(long, value_enum, default_value_t = EngineKind::Embedded)]
    pub engine: EngineKind,
    /// Ballista: the scheduler of the cluster, as df://HOST:PORT; --logs is the lake
    #[arg(long, value_name = "URL", required_if_eq("engine", "ballista"))]
    pub scheduler: Option<String>,
    /// Athena: the database with the tables of the lake (davy hunt athena-ddl)
    #[arg(long, value_name = "NAME", default_value = "davylamp")]
    pub database: String,
    /// Athena: the workgroup, whose limit ends a question that scans too much
    #[arg(long, value_name = "NAME", default_value = "davylamp")]
    pub workgroup: String,
    /// Athena: where results are written, as s3://BUCKET/PREFIX [default: the workgroup's place]
    #[arg(long, value_name = "URL")]
    pub results: Option<String>,
}

/// An engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineKind {
    /// This machine.
    Embedded,
    /// A cluster of Ballista, over a lake.
    Ballista,
    /// Amazon Athena, over a lake in S3.
    Athena,
}

/// The form in which rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For reading.
    Table,
    /// One JSON list.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values, with formulas made harmless.
    Csv,
    /// A Parquet file, named with -o.
    Parquet,
}

/// The form in which suspected incidents are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RunOutput {
    /// For reading.
    Table,
    /// One JSON document, with what came of each hunt.
    Json,
    /// One JSON object a line for each suspected incident.
    Jsonl,
    /// Comma-separated values, with formulas made harmless.
    Csv,
    /// One page that needs nothing beside itself.
    Html,
    /// One OCSF Detection Finding a line.
    Ocsf,
    /// A Parquet file, named with -o.
    Parquet,
}

/// A moment as an option: a day, a moment, or how long ago.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let utc = |at: jiff::civil::DateTime| at.to_zoned(TimeZone::UTC).map(|at| at.timestamp());
    if let Some(Ok(at)) = text.parse::<jiff::civil::DateTime>().ok().map(utc) {
        return Ok(at);
    }
    let ago = text.parse::<jiff::Span>().ok().and_then(|span| {
        let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
        Timestamp::now().checked_sub(length.abs()).ok()
    });
    ago.ok_or_else(|| "write a day (2024-08-01), a moment (2024-08-01T12:00:00Z) or 7d".to_owned())
}
