//! The arguments of `davy hunt`.

use clap::{Args, Subcommand, ValueEnum};
use davylamp_hunt::objects::Location;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SpanRelativeTo, Timestamp};

/// Find the mining in the logs
#[derive(Debug, Args)]
pub struct HuntArgs {
    #[command(subcommand)]
    pub job: Job,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Job {
    Sql(SqlArgs),
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
    /// The query
    #[arg(value_name = "SQL")]
    pub query: String,
    #[command(flatten)]
    pub logs: LogArgs,
    /// The form in which rows are printed
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// Which logs.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// Where logs lie: files, folders, patterns, archives, - for standard input, s3://BUCKET/PREFIX;
    /// as TABLE=WHERE if their kind cannot be told
    #[arg(long, required = true, num_args = 1.., value_name = "WHERE")]
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
    pub flow_format: Option<String>,
    /// Another endpoint for S3, such as a test server's
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// The region of the buckets [default: the environment's]
    #[arg(long, value_name = "REGION")]
    pub bucket_region: Option<String>,
    /// Do not sign requests: for public buckets
    #[arg(long)]
    pub no_sign_request: bool,
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
}

fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let utc = |at: jiff::civil::DateTime| at.to_zoned(TimeZone::UTC).map(|at| at.timestamp());
    if let Some(Ok(at)) = text.parse::<Date>().ok().map(|day| utc(day.at(0, 0, 0, 0))) {
        return Ok(at);
    }
    if let Some(Ok(at)) = text.parse::<jiff::civil::DateTime>().ok().map(utc) {
        return Ok(at);
    }
    let ago = text.parse::<jiff::Span>().ok().and_then(|span| {
        let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
        Timestamp::now().checked_sub(length.abs()).ok()
    });
    ago.ok_or_else(|| "write a day (2024-08-01), a moment (2024-08-01T12:00:00Z) or 7d".to_owned())
}
