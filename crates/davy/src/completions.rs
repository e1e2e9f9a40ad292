//! `davy completions`: what a shell needs to complete davy's arguments.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::failure::Failure;
use crate::output::emit;

/// The arguments of `davy completions`.
#[derive(Debug, Clone, Args)]
#[command(about = "Print completions for a shell", long_about = None)]
#[command(after_long_help = "Examples:
  davy completions bash > /etc/bash_completion.d/davy
  davy completions fish > ~/.config/fish/completions/davy.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the completions.
pub fn run(args: &CompletionsArgs, command: &mut Command) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "davy", &mut script);
    emit(&script)?;
    Ok(ExitCode::SUCCESS)
}
