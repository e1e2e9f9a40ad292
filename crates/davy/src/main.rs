//! The `davy` command: arguments, wiring and printing.

mod completions;
mod console;
mod deploy;
mod doctor;
mod explain;
mod failure;
mod forward;
mod guard;
mod hunt;
mod indicators;
mod input;
mod investigate;
mod log;
mod outbox;
mod output;
mod prices;
mod progress;
mod record;
mod records;
mod replay;
mod respond;
mod send;
mod settings;
mod signals;
mod up;
mod work;

use std::process::ExitCode;

use clap::{ArgAction, CommandFactory, Parser, Subcommand};

use failure::Failure;
use log::LogForm;
use output::ColourChoice;

/// Where options that every verb has stand in its help.
const GLOBAL_LAST: usize = 100;

/// Keeps miners off machines and accounts that people compute on.
///
/// `davy guard` kills a process whose command line holds a banned string before the new program runs
/// its first instruction; `davy doctor` says whether it can run here. `davy respond` contains what
/// findings are about, with the evidence kept. `davy hunt` finds the rest of an attack in the logs, and
/// `davy record` keeps what accounts and clusters looked like, for where there are none.
/// `davy console` shows all of it, and keeps who owns it and what is decided; `davy forward` carries the
/// guard's events there, to OpenTelemetry, or away as OCSF. `davy work` does what people ask for in the
/// console, and `davy send` sends it what others found.
#[derive(Debug, Parser)]
#[command(name = "davy", version, propagate_version = true)]
#[command(
    after_long_help = "Exit codes: 0 clean, 1 something was found, 2 could not complete.

Examples:
  davy doctor                       can the guard run here, and what is missing
  davy guard --check                are the configuration and the lists good
  davy guard --mode observe         say what would be killed, kill nothing
  davy explain -- python train.py   would this be killed, and why
  davy replay --commands FILE       what would be killed of these commands, and why
  davy respond plan --finding FILE  what would be done about a finding, and why
  davy hunt run --all --logs WHERE  what the logs say about mining
  davy record run --once --store DIR  what the account looks like, kept
  davy indicators check FILE        what of a list of pools could be kept"
)]
struct Cli {
    /// Colours: auto, always or never; auto is on a terminal, unless NO_COLOR is set
    #[arg(
        long,
        global = true,
        display_order = GLOBAL_LAST,
        value_enum,
        value_name = "WHEN",
        default_value_t = ColourChoice::Auto,
        hide_possible_values = true
    )]
    color: ColourChoice,
    /// Say more on stderr; twice for debugging. RUST_LOG, where set, decides instead
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = GLOBAL_LAST)]
    verbose: u8,
    /// How stderr is written: text, or json, an object for each line
    #[arg(
        long,
        global = true,
        display_order = GLOBAL_LAST,
        value_enum,
        value_name = "FORM",
        env = "DAVY_LOG",
        default_value_t = LogForm::Text,
        hide_possible_values = true,
        hide_env = true,
        hide_default_value = true
    )]
    log: LogForm,
    #[command(subcommand)]
    verb: Verb,
}

/// Each verb's own help stands with its arguments.
#[derive(Debug, Subcommand)]
enum Verb {
    Up(up::UpArgs),
    Down(up::DownArgs),
    Guard(guard::GuardArgs),
    Explain(explain::ExplainArgs),
    Replay(replay::ReplayArgs),
    Doctor(doctor::DoctorArgs),
    Respond(respond::RespondArgs),
    Hunt(hunt::HuntArgs),
    Record(record::RecordArgs),
    Investigate(investigate::InvestigateArgs),
    Forward(forward::ForwardArgs),
    Console(console::ConsoleArgs),
    Work(work::WorkArgs),
    Send(send::SendArgs),
    Indicators(indicators::IndicatorsArgs),
    Prices(prices::PricesArgs),
    Deploy(deploy::DeployArgs),
    Completions(completions::CompletionsArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    log::to_stderr(cli.verbose, cli.color, cli.log);
    match run(&cli) {
        Ok(code) => code,
        Err(failure) => {
            failure.print(cli.color);
            ExitCode::from(failure::COULD_NOT_COMPLETE)
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode, Failure> {
    match &cli.verb {
        Verb::Up(args) => up::up(args),
        Verb::Down(args) => up::down(args),
        Verb::Guard(args) => guard::run(args, cli.color),
        Verb::Explain(args) => explain::run(args, cli.color),
        Verb::Replay(args) => replay::run(args),
        Verb::Doctor(args) => doctor::run(args, cli.color),
        Verb::Respond(args) => respond::run(args),
        Verb::Hunt(args) => hunt::run(args),
        Verb::Record(args) => record::run(args),
        Verb::Investigate(args) => investigate::run(args),
        Verb::Forward(args) => forward::run(args),
        Verb::Console(args) => console::run(args),
        Verb::Work(args) => work::run(args),
        Verb::Send(args) => send::run(args),
        Verb::Indicators(args) => indicators::run(args),
        Verb::Prices(args) => prices::run(args),
        Verb::Deploy(args) => deploy::run(args),
        Verb::Completions(args) => completions::run(args, &mut Cli::command()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_argument_has_a_help_text() {
        fn check(command: &clap::Command) {
            for argument in command.get_arguments() {
                let (name, id) = (command.get_name(), argument.get_id());
                assert!(argument.get_help().is_some(), "{name}: {id} has no help");
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
