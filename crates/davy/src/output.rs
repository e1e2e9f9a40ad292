//! Stdout and the terminal.

use std::io::{ErrorKind, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::Table;
use davylamp_hunt::tally::printable;
pub use davylamp_notice::quiet_json;

use crate::failure::Failure;

/// Where the width of the terminal cannot be told: a pipe or a file.
const DEFAULT_COLUMNS: u16 = 100;

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColourChoice {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always, even in a pipe.
    Always,
    /// Never.
    Never,
}

impl ColourChoice {
    /// Whether to use colours on stdout.
    pub fn on_stdout(self) -> bool {
        self.on(&std::io::stdout())
    }

    /// Whether to use colours on stderr.
    pub fn on_stderr(self) -> bool {
        self.on(&std::io::stderr())
    }

    fn on(self, stream: &impl IsTerminal) -> bool {
        // https://no-color.org: set and not empty, whatever its value.
        let refused = || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match self {
            Self::Auto => stream.is_terminal() && !refused(),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// How wide the terminal is, in characters.
pub fn columns() -> u16 {
    Table::new().width().unwrap_or(DEFAULT_COLUMNS)
}

/// Writes to stdout. A reader that has seen enough, such as `head`, is no failure.
pub fn emit(bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(bytes.as_ref())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(
            anyhow::Error::new(error).context("cannot write to standard output"),
            "see whether there is room where the output goes: df -h",
        )),
        Ok(()) => Ok(()),
    }
}

/// Writes lines that a log has had a hand in: on a terminal without what would steer it.
pub fn emit_lines(text: &str) -> Result<(), Failure> {
    if !std::io::stdout().is_terminal() {
        return emit(text);
    }
    emit(
        text.lines()
            .map(|line| printable(line) + "\n")
            .collect::<String>(),
    )
}

/// So many of a thing, with the form for one and that for any other number.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    }
}

/// Writes a line to stderr, beside the data. Where stderr is closed there is nobody to tell.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
