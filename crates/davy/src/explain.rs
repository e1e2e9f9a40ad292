//! `davy explain`: what the guard would do about a command line, and why.
//!
//! The judge is the one that fills the kernel's tables, so what is said here is what happens. What
//! cannot be known before a process runs (its container, its executable, its environment) is taken
//! from the options, and where it is not given no scoped pattern applies, as for a process whose
//! container is unknown.

mod answer;
mod reasoning;
mod text;

use std::ffi::OsString;
use std::io::{BufRead, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use davylamp_content::blocklist::Place;
use davylamp_guard::lists;

use crate::failure::Failure;
use crate::guard::judges;
use crate::output::{ColourChoice, emit, note};
use crate::settings::SettingsArgs;
use answer::Verdict;
use reasoning::{Question, Reasoner};

/// The exit code when some command would be killed.
const KILLED: u8 = 1;

/// One command line may have this many bytes: a little more than Linux lets a process have.
const MAX_COMMAND_BYTES: u64 = 4 << 20;

/// The arguments of `davy explain`.
#[derive(Debug, Clone, Args)]
#[command(about = "Say what the guard would do about a command line, and why")]
#[command(
    long_about = "Say what the guard would do about a command line, and why.

Shows each banned string that matches, with its group, its reason and where it stands; what the detections \
find, and why it counts or does not; strings that \
occur only as part of a longer word, and so do not count; allow patterns that apply or would apply \
elsewhere; whether the kernel decides alone or holds the process; and the verdict. Nothing is run.

On a guarded machine a banned string on the command line gets davy itself killed, unless this very \
executable is protected; --stdin keeps the string out of the command line."
)]
#[command(
    after_long_help = "Exit codes: 0 clean or spared, 1 would be killed, 2 could not be told.

Examples:
  davy explain -- python train.py --pool mean
  davy explain --stdin < commands.txt
  davy explain --stdin -0 < /proc/4242/cmdline
  davy explain --namespace jhub --image quay.io/team/course:3 --stdin --output json < commands.txt"
)]
pub struct ExplainArgs {
    /// Blocklist file, or directory of .yaml, .yml and .json files; may be repeated [default: what
    /// the configuration names, or else the list that ships with Davylamp]
    #[arg(long, value_name = "PATH")]
    pub blocklist: Vec<PathBuf>,
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// A variable in the environment of the process; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<OsString>,
    /// The executable, where the first argument does not name it
    #[arg(long, value_name = "PATH")]
    pub exe: Option<PathBuf>,
    /// The Kubernetes namespace it would run in
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// The image of the container it would run in
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// The name of the container it would run in
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,
    /// It would run on the host itself, in no container
    #[arg(long, conflicts_with_all = ["namespace", "image", "container"])]
    pub host: bool,
    /// Read command lines from standard input, one a line, arguments joined by single spaces
    #[arg(long, conflicts_with = "command")]
    pub stdin: bool,
    /// With --stdin: read one command, a NUL after each argument, as in /proc/PID/cmdline
    #[arg(short = '0', long, requires = "stdin", conflicts_with = "command")]
    pub null: bool,
    /// How to print: text, or one JSON object a line, described in docs/explain.md
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// The command and its arguments
    #[arg(last = true, required_unless_present = "stdin")]
    pub command: Vec<OsString>,
}

/// The form in which explanations are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For reading.
    Text,
    /// One JSON object for each command line.
    Json,
}

fn variable(written: &str) -> Result<OsString, String> {
    match written.split_once('=') {
        Some((name, _)) if !name.is_empty() => Ok(written.into()),
        _ => Err("expected NAME=VALUE".into()),
    }
}

/// Explains each command.
pub fn run(args: &ExplainArgs, colour: ColourChoice) -> Result<ExitCode, Failure> {
    let mut config = args.settings.load(Vec::new())?;
    if !args.blocklist.is_empty() {
        config.blocklists.clone_from(&args.blocklist);
    }
    let lists = lists::read(&config.blocklists)?;
    let (judge, rules) = judges(&lists, &config)?;
    let place = Place {
        namespace: args.namespace.as_deref(),
        image: args.image.as_deref(),
        container: args.container.as_deref(),
        is_host: args.host,
    };
    let reasoner = Reasoner::new(&config, &lists.blocklist, &judge, rules.as_deref(), place)
        .map_err(|error| Failure::new(error.into(), "this is a bug in davy: please report it"))?;
    let mut answers = Answers {
        args,
        reasoner,
        colour: colour.on_stdout(),
        asked: 0,
        killed: 0,
    };
    if args.stdin {
        answers.read_stdin()?;
    } else {
        let arguments = args
            .command
            .iter()
            .flat_map(|word| [word.as_bytes(), b"\0"].concat());
        answers.answer(arguments.collect())?;
    }
    // Not at length: whoever asks about a command did not ask about the list.
    if args.output == Output::Text && !lists.warnings.is_empty() {
        let warnings = lists.warnings.len();
        note(&format!(
            "warnings about the lists: {warnings}; davy guard --check shows them"
        ));
    }
    Ok(if answers.killed > 0 {
        ExitCode::from(KILLED)
    } else {
        ExitCode::SUCCESS
    })
}

struct Answers<'a> {
    args: &'a ExplainArgs,
    reasoner: Reasoner<'a>,
    colour: bool,
    asked: usize,
    killed: usize,
}

impl Answers<'_> {
    fn answer(&mut self, arguments: Vec<u8>) -> Result<(), Failure> {
        let executable = self.args.exe.as_deref();
        let question = Question {
            arguments,
            is_line: self.args.stdin && !self.args.null,
            path: executable
                .map(|path| path.as_os_str().as_bytes().to_vec())
                .unwrap_or_default(),
            environment: self
                .args
                .env
                .iter()
                .flat_map(|variable| [variable.as_bytes(), b"\0"].concat())
                .collect(),
        };
        let explanation = self.reasoner.explain(&question);
        self.killed += usize::from(explanation.verdict == Verdict::Killed);
        let text = match self.args.output {
            Output::Text => {
                let between = if self.asked > 0 { "\n" } else { "" };
                format!("{between}{}", text::render(&explanation, self.colour))
            }
            Output::Json => {
                let line = serde_json::to_string(&explanation).map_err(|error| {
                    let error = anyhow!(error).context("cannot write the explanation");
                    Failure::new(error, "this is a bug in davy: please report it")
                })?;
                format!("{line}\n")
            }
        };
        self.asked += 1;
        emit(text)
    }

    fn read_stdin(&mut self) -> Result<(), Failure> {
        let mut stdin = std::io::stdin().lock();
        let end = if self.args.null { None } else { Some(b'\n') };
        let mut line_number = 0;
        loop {
            line_number += 1;
            let mut command = Vec::new();
            let mut bounded = (&mut stdin).take(MAX_COMMAND_BYTES + 1);
            let read = match end {
                Some(end) => bounded.read_until(end, &mut command),
                None => bounded.read_to_end(&mut command),
            };
            read.map_err(|error| {
                let error = anyhow!(error).context("cannot read standard input");
                Failure::new(error, "give it a file: davy explain --stdin < commands.txt")
            })?;
            if command.is_empty() {
                break;
            }
            if command.len() as u64 > MAX_COMMAND_BYTES {
                let error = anyhow!(
                    "line {line_number} of standard input is longer than {MAX_COMMAND_BYTES} bytes"
                );
                return Err(Failure::new(
                    error,
                    "no process can have so long a command line; see whether it is text",
                ));
            }
            if end.is_some() {
                if command.last() == Some(&b'\n') {
                    command.pop();
                }
                // An empty line is no command.
                if command.is_empty() {
                    continue;
                }
                command.push(0);
            }
            self.answer(command)?;
        }
        if self.asked == 0 {
            let error = anyhow!("standard input holds no command line");
            return Err(Failure::new(error, "write one command to a line"));
        }
        Ok(())
    }
}
