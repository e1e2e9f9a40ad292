//! The arguments of `davy record`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use crate::settings::SettingsArgs;

/// The arguments of `davy record`.
#[derive(Debug, Clone, Args)]
#[command(
    about = "Record what an account or a cluster looks like, and ask what it looked like",
    long_about = "Record what an account or a cluster looks like, and ask what it looked like.

`davy record run` looks at everything that matters for mining and its traces (machines, keys and when they \
were used last, users, roles, sensors, buckets, workloads) and keeps what has changed, in a store whose every \
alteration shows. What could not be read is kept as unknown, never as gone. So there is a timeline where no \
trail was on. `davy hunt --logs STORE` reads a store as the table `recorder`. docs/record.md says more."
)]
#[command(
    after_long_help = "Exit codes: 0 done, nothing found; 1 a difference or an alteration was found; 2 could not \
complete, or something could not be read.

Examples:
  davy record run --store DIR --once            one snapshot of the account
  davy record run --store DIR --every 1h        one each hour, until it is told to stop
  davy record diff latest-1 latest --store DIR  what has changed since the snapshot before
  davy record show --at 2026-03-01T10:00:00Z --kind instance --store DIR
  davy record timeline --id AKIAIOSFODNN7EXAMPLE --store DIR
  davy record verify --store DIR"
)]
pub struct RecordArgs {
    #[command(subcommand)]
    pub verb: Verb,
    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// What is done.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    Run(RunArgs),
    List(ListArgs),
    Show(ShowArgs),
    Diff(DiffArgs),
    Timeline(TimelineArgs),
    Verify(VerifyArgs),
    Export(ExportArgs),
    Prune(PruneArgs),
}

/// Which store.
#[derive(Debug, Clone, Default, Args)]
pub struct StoreArgs {
    /// The store: a folder, or s3://BUCKET/PREFIX, of which record.copy has a copy [default: record.store]
    #[arg(long, value_name = "STORE")]
    pub store: Option<OsString>,
}

/// Which things.
#[derive(Debug, Clone, Default, Args)]
pub struct ThingArgs {
    /// Only things of this kind, such as instance or access-key; may be repeated
    #[arg(long = "kind", value_name = "KIND")]
    pub kinds: Vec<String>,
    /// Only the thing with this id; may be repeated
    #[arg(long = "id", value_name = "ID")]
    pub ids: Vec<String>,
    /// Only this account; may be repeated
    #[arg(long = "account", value_name = "ACCOUNT")]
    pub accounts: Vec<String>,
    /// Only this region or cluster, or `global`; may be repeated
    #[arg(long = "region", value_name = "REGION")]
    pub regions: Vec<String>,
}

/// Take snapshots: one, or one after the other until it is told to stop
#[derive(Debug, Clone, Args)]
#[command(
    after_long_help = "Exit codes: 0 everything that was asked for was read; 2 something was not, which the \
snapshot says, or no snapshot could be taken.

Examples:
  davy record run --store DIR --once
  davy record run --store DIR --every 1h --account 111122223333 --account 444455556666 --role davylamp-recorder
  davy record run --store DIR --once --no-aws --kubernetes prod
  davy deploy aws --what record-policy     what it may read, for an account administrator"
)]
pub struct RunArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// Take one snapshot, and exit
    #[arg(long)]
    pub once: bool,
    /// From one snapshot to the next, such as 1h or 15m [default: record.every_minutes]
    #[arg(long, value_name = "TIME", conflicts_with = "once", value_parser = span)]
    pub every: Option<SignedDuration>,
    /// Only this account; may be repeated [default: the one the credentials belong to]
    #[arg(long = "account", value_name = "ACCOUNT")]
    pub accounts: Vec<String>,
    /// The role to assume in accounts that are not our own, by name
    #[arg(long, value_name = "NAME")]
    pub role: Option<String>,
    /// Only this region; may be repeated [default: those that are enabled]
    #[arg(long = "region", value_name = "REGION")]
    pub regions: Vec<String>,
    /// Only things of this kind; may be repeated
    #[arg(long = "kind", value_name = "KIND")]
    pub kinds: Vec<String>,
    /// A cluster too: a context of the kubeconfig, in-cluster=NAME, or eks=NAME; may be repeated
    #[arg(long = "kubernetes", value_name = "CLUSTER")]
    pub kubernetes: Vec<String>,
    /// The kubeconfig [default: KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Do not look at AWS
    #[arg(long)]
    pub no_aws: bool,
    /// Another endpoint for every AWS service, such as a test server's
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
}

/// What the snapshots are, the oldest first
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// What stdout gets
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Table)]
    pub output: Form,
}

/// What was there at a time, as the last snapshot before tells
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// When: a snapshot's number, a time, latest, or latest-N
    #[arg(long, value_name = "WHEN", default_value = "latest")]
    pub at: String,
    #[command(flatten)]
    pub things: ThingArgs,
    /// What stdout gets
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Table)]
    pub output: Form,
}

/// What differs between two snapshots
#[derive(Debug, Clone, Args)]
#[command(
    after_long_help = "Exit codes: 0 nothing differs; 1 something does; 2 nothing that is known does, and not \
everything is known.

Examples:
  davy record diff latest-1 latest --store DIR
  davy record diff 2026-03-01 2026-03-15T12:00:00Z --kind user --kind access-key --store DIR
  davy record diff BEFORE-DIR AFTER-DIR"
)]
pub struct DiffArgs {
    /// The first: a snapshot's number, a time, latest, latest-N, or a store, whose last it is
    #[arg(value_name = "A")]
    pub before: OsString,
    /// The second
    #[arg(value_name = "B")]
    pub after: OsString,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub things: ThingArgs,
    /// What stdout gets
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Table)]
    pub output: Form,
}

/// What happened, as far as snapshots tell: what appeared, changed and went
#[derive(Debug, Clone, Args)]
#[command(
    after_long_help = "A snapshot shows that something happened since the look before: each event lies between \
the two times that stand before it.

Examples:
  davy record timeline --id i-0123456789abcdef0 --store DIR
  davy record timeline --kind instance --kind user --since 2026-03-01T00:00:00Z --store DIR --output csv"
)]
pub struct TimelineArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub things: ThingArgs,
    /// Nothing that snapshots before this show
    #[arg(long, value_name = "TIME")]
    pub since: Option<Timestamp>,
    /// Nothing that snapshots after this show
    #[arg(long, value_name = "TIME")]
    pub until: Option<Timestamp>,
    /// What stdout gets
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Table)]
    pub output: Form,
}

/// Whether the store is what was recorded
#[derive(Debug, Clone, Args)]
#[command(
    after_long_help = "Exit codes: 0 it is; 1 it was altered, or something is missing; 2 it could not be read.

Who may write to the store can cut snapshots off its end, or write it anew. So keep the hash that it prints \
elsewhere, and give it to --head the next time."
)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// The hash of a line of the chain that was kept elsewhere, and must be there
    #[arg(long, value_name = "HASH")]
    pub head: Option<String>,
    /// What stdout gets
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Words::Text)]
    pub output: Words,
}

/// Snapshots as JSON lines, as the table `recorder` of `davy hunt` takes them
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// The first snapshot [default: the first that is kept]
    #[arg(long, value_name = "WHEN")]
    pub from: Option<String>,
    /// The last snapshot
    #[arg(long, value_name = "WHEN", default_value = "latest")]
    pub to: String,
    /// How much of each snapshot
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Amount::Changes)]
    pub form: Amount,
}

/// Remove what was recorded before a time; the chain goes on saying that it was there
#[derive(Debug, Clone, Args)]
pub struct PruneArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// How much to keep, such as 400d; what is needed to know a state within it is kept too
    #[arg(long, value_name = "TIME", value_parser = days)]
    pub keep: SignedDuration,
}

/// How much of each snapshot is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Amount {
    /// As it was recorded: what changed, and now and then everything
    Changes,
    /// Everything of each
    Full,
}

/// Rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For reading
    Table,
    /// One JSON document
    Json,
    /// A JSON object for each row
    Jsonl,
    /// Comma-separated values, with a line of names
    Csv,
}

/// Words or a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Words {
    /// For reading
    Text,
    /// One JSON document
    Json,
}

/// The shortest time from one snapshot to the next: one of a large account takes minutes.
const LEAST: SignedDuration = SignedDuration::from_mins(1);

fn span(text: &str) -> Result<SignedDuration, String> {
    let span: SignedDuration = text
        .parse()
        .map_err(|_| "write it as 1h, 15m or 1h 30m".to_owned())?;
    match span >= LEAST {
        true => Ok(span),
        false => Err("it is less than a minute".to_owned()),
    }
}

/// Days have no unit in a duration: they are 24 hours here.
fn days(text: &str) -> Result<SignedDuration, String> {
    let wrong = || "write it in days, as 400d".to_owned();
    let days: i64 = text
        .strip_suffix('d')
        .and_then(|days| days.parse().ok())
        .filter(|days| (1..=36_500).contains(days))
        .ok_or_else(wrong)?;
    Ok(SignedDuration::from_hours(24 * days))
}
