//! Writes the logs of accounts that were attacked, or were not, with the truth beside them.
//!
//! `attack-logs --out logs --seed 4 --scenario stolen-admin-key`

// This is a command: what it says goes to standard output.
#![allow(clippy::print_stdout)]

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use davylamp_testkit::attack::{
    ConfigPlan, Form, Options, RecorderPlan, Scenario, Story, TrailPlan,
};
use davylamp_testkit::usage::status_kib;

#[derive(Parser)]
#[command(about = "Write the logs of an attack that never was, with the truth beside them")]
struct Cli {
    /// The folder to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Where lots begin: the same seed and options write the same bytes
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// What happens; by lot if nothing is said
    #[arg(long, value_name = "NAME")]
    scenario: Option<Scenario>,

    /// About how many events machines make, beside those of people
    #[arg(long, default_value_t = Options::default().machine_events)]
    events: u64,

    /// Days before the attack
    #[arg(long, default_value_t = Options::default().history_days)]
    days: i64,

    /// Days until somebody finds out
    #[arg(long, default_value_t = Options::default().attack_days)]
    attack_days: i64,

    /// Accounts
    #[arg(long, default_value_t = Options::default().accounts)]
    accounts: usize,

    /// People
    #[arg(long, default_value_t = Options::default().users)]
    users: usize,

    /// Roles in each account
    #[arg(long, default_value_t = Options::default().roles)]
    roles: usize,

    /// Machines of the owner
    #[arg(long, default_value_t = Options::default().instances)]
    instances: usize,

    /// Whether CloudTrail writes
    #[arg(long, value_enum, default_value_t = Trail::Whole)]
    trail: Trail,

    /// How often the flight recorder looks
    #[arg(long, value_enum, default_value_t = Recorder::Never)]
    recorder: Recorder,

    /// What AWS Config delivers: what has changed, and a snapshot each day with it
    #[arg(long, value_enum, default_value_t = Config::Never)]
    config: Config,

    /// The envelope of events
    #[arg(long, value_enum, default_value_t = Envelope::Files)]
    form: Envelope,

    /// Write findings of GuardDuty
    #[arg(long)]
    guardduty: bool,

    /// Write flow logs
    #[arg(long)]
    flow: bool,

    /// Write logs of DNS queries
    #[arg(long)]
    dns: bool,

    /// Minutes of events in a file
    #[arg(long, default_value_t = Options::default().file_minutes)]
    file_minutes: i64,

    /// Do not write whose hand is behind each event
    #[arg(long)]
    no_labels: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Trail {
    Never,
    Late,
    Stopped,
    Whole,
}

#[derive(Clone, Copy, ValueEnum)]
enum Recorder {
    Never,
    Hourly,
    Daily,
}

#[derive(Clone, Copy, ValueEnum)]
enum Config {
    Never,
    History,
    Daily,
}

#[derive(Clone, Copy, ValueEnum)]
enum Envelope {
    Files,
    LookupEvents,
    EventBridge,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let options = Options {
        scenario: cli.scenario,
        accounts: cli.accounts,
        users: cli.users,
        roles: cli.roles,
        instances: cli.instances,
        history_days: cli.days,
        attack_days: cli.attack_days,
        machine_events: cli.events,
        trail: match cli.trail {
            Trail::Never => TrailPlan::Never,
            Trail::Late => TrailPlan::Late,
            Trail::Stopped => TrailPlan::Stopped,
            Trail::Whole => TrailPlan::Whole,
        },
        recorder: match cli.recorder {
            Recorder::Never => RecorderPlan::Never,
            Recorder::Hourly => RecorderPlan::Hourly,
            Recorder::Daily => RecorderPlan::Daily,
        },
        config: match cli.config {
            Config::Never => ConfigPlan::Never,
            Config::History => ConfigPlan::History,
            Config::Daily => ConfigPlan::Daily,
        },
        form: match cli.form {
            Envelope::Files => Form::Files,
            Envelope::LookupEvents => Form::LookupEvents,
            Envelope::EventBridge => Form::EventBridge,
        },
        guardduty: cli.guardduty,
        flow: cli.flow,
        dns: cli.dns,
        file_minutes: cli.file_minutes,
        labels: !cli.no_labels,
        ..Options::default()
    };
    let story = Story::new(cli.seed, &options);
    let truth = story
        .write(&cli.out)
        .with_context(|| format!("cannot write below {}", cli.out.display()))?;
    let mut said = serde_json::to_value(&truth.written)?;
    said["peak_kib"] = status_kib(std::process::id(), "VmHWM").into();
    println!("{said}");
    Ok(())
}
