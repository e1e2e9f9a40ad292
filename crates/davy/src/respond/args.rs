//! The arguments of `davy respond`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use davylamp_model::ids::IncidentId;

use crate::settings::SettingsArgs;

/// Contain what findings are about, keep the evidence, name who did it, tell people
///
/// A finding becomes a plan by the playbook that fits; the plan is carried out step by step, each
/// checked before, journaled, verified after. What was not done is said with its reason.
#[derive(Debug, Args)]
#[command(
    subcommand_negates_reqs = true,
    after_long_help = "Exit codes: 0 nothing found, 1 found and dealt with as far as the plan says
(also: it waits for a person or for evidence), 2 something was not done, not told or not understood,
nothing of a resource could be read, GuardDuty is off wherever it was polled, or a signal stopped it.

Ctrl-C or SIGTERM: what was begun is journaled, nothing more is begun, and davy respond resume goes on
with it at once. A second signal ends it on the spot.

Examples:
  davy respond plan --finding finding.json        what would be done, and why; touches nothing
  davy respond --finding finding.json             do it
  davy respond --queue sqs:https://sqs.eu-west-1.amazonaws.com/111122223333/findings
  davy respond --poll guardduty                   every region, every minute
  davy respond --spool /var/lib/davylamp/spool    what the guard of this node could not end by itself
  davy respond status                             every incident
  davy respond status inc-0123456789abcdef        every step of one, with its reason
  davy respond approve inc-0123456789abcdef       say yes to what waits for a person
  davy respond undo inc-0123456789abcdef          take back what can be taken back"
)]
pub struct RespondArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub job: Option<Job>,
}

/// Where findings come from.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct SourceArgs {
    /// Findings in a file, or - for standard input: GuardDuty in either casing, ASFF, OCSF, CloudTrail
    /// events, cost alarms, guard events; one, a list, or one a line; also gzipped. Of several
    /// resources the network of each is cut first, then their evidence is waited for
    #[arg(long, value_name = "FILE")]
    pub finding: Option<String>,
    /// Work on a queue until stopped, as sqs:URL
    #[arg(long, value_name = "QUEUE", value_parser = queue)]
    pub queue: Option<String>,
    /// Ask a service for its findings until stopped
    #[arg(long, value_name = "SERVICE", value_enum)]
    pub poll: Option<Service>,
    /// Follow a guard's spool until stopped, from where this reader had come; or - for lines of a
    /// guard's log on standard input, as they come. Acts where the guard could not end it by itself:
    /// at the second kill in one pod, and at once where the guard asks for that
    #[arg(long, value_name = "DIR")]
    pub spool: Option<PathBuf>,
}

impl SourceArgs {
    /// Whether one was given.
    pub fn is_given(&self) -> bool {
        self.finding.is_some()
            || self.queue.is_some()
            || self.poll.is_some()
            || self.spool.is_some()
    }
}

/// A service that is asked for its findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Service {
    /// GuardDuty, in every region that is enabled, or in --region alone.
    Guardduty,
}

/// How findings are responded to.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Seconds between two polls, 10 to 86400
    #[arg(long, value_name = "SECS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(10..=86_400))]
    pub every: u64,
    /// Poll, or empty the queue or the spool, once; where GuardDuty is off in every region, that ends
    /// with 2
    #[arg(long)]
    pub once: bool,
    /// The name under which this reader's place in the spool is kept
    #[arg(
        long,
        value_name = "NAME",
        default_value = "respond",
        requires = "spool"
    )]
    pub consumer: String,
}

/// What every form of the command takes.
#[derive(Debug, Args)]
pub struct Common {
    /// The AWS region [default: the environment's]
    #[arg(long, global = true, value_name = "REGION")]
    pub region: Option<String>,
    /// Another endpoint for every AWS service, such as a test server's
    #[arg(long, global = true, value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// Use this playbook instead of the first that fits; for status, list what was planned by it
    #[arg(long, global = true, value_name = "NAME")]
    pub playbook: Option<String>,
    /// Say what would be done, or taken back, or gone on with; write nothing anywhere, call neither
    /// Hub nor portal to act
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Send what was found, planned and done to the console that work.console names
    #[arg(long, global = true)]
    pub console: bool,
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// How to print: text, or JSON, described in docs/responder.md
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// The form in which it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For reading.
    Text,
    /// One JSON object.
    Json,
}

/// What to do beside responding.
#[derive(Debug, Subcommand)]
pub enum Job {
    /// Print the plan and why, touching nothing
    Plan(PlanArgs),
    /// Take back what was done in an incident, as far as it can be; evidence stays
    Undo(IncidentArgs),
    /// How an incident stands, step by step; without one, every incident
    Status(StatusArgs),
    /// Say yes to what waits for a person in an incident, and go on with it
    Approve(ApproveArgs),
    /// Go on with every incident that waits: for evidence, a retry, a notice, its release; or that a
    /// signal stopped. With incidents, try their failed steps again as well
    Resume(ResumeArgs),
    /// Read playbooks, and run their cases through the planner
    Playbooks(PlaybooksArgs),
}

/// The arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Findings in a file, or - for standard input
    #[arg(long, value_name = "FILE")]
    pub finding: String,
}

/// The arguments of `undo`.
#[derive(Debug, Args)]
pub struct IncidentArgs {
    /// The incident; several are taken back one after another
    #[arg(value_parser = incident, required = true)]
    pub incident: Vec<IncidentId>,
    /// Who takes it back, for the journal [default: the user of this session]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

/// The arguments of `resume`.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// Incidents in which steps failed for good, once what made them fail is mended
    #[arg(value_parser = incident)]
    pub incident: Vec<IncidentId>,
    /// Who has it tried again, for the journal [default: the user of this session]
    #[arg(long, value_name = "NAME", requires = "incident")]
    pub by: Option<String>,
}

/// The arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The incident; every one where not given
    #[arg(value_parser = incident)]
    pub incident: Option<IncidentId>,
    /// Of every incident, show the newest so many; all are judged
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// The arguments of `approve`.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The incident
    #[arg(value_parser = incident)]
    pub incident: IncidentId,
    /// A step; may be repeated [default: every step of the plan]
    #[arg(long, value_name = "STEP")]
    pub step: Vec<String>,
    /// Who says yes, for the journal [default: the user of this session]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

/// The arguments of `playbooks`.
#[derive(Debug, Args)]
pub struct PlaybooksArgs {
    /// Playbook files and directories of them, beside those of the configuration
    pub paths: Vec<PathBuf>,
}

fn queue(written: &str) -> Result<String, String> {
    match written.strip_prefix("sqs:") {
        Some(url) if url.starts_with("https://") || url.starts_with("http://") => {
            Ok(url.to_owned())
        }
        _ => Err("expected sqs: and the queue's URL".to_owned()),
    }
}

fn incident(written: &str) -> Result<IncidentId, String> {
    // `obs-`: one that a configured dry run only observed.
    let digits = ["inc-", "obs-"]
        .iter()
        .find_map(|prefix| written.strip_prefix(prefix));
    let is_one = digits.is_some_and(|digits| {
        digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    if is_one {
        Ok(IncidentId::from(written))
    } else {
        Err("expected inc- and 16 hexadecimal digits; davy respond status lists them".to_owned())
    }
}
