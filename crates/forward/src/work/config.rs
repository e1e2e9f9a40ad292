//! The `[work]` table of `davy.toml`: what this machine does for a console, and sends it.

use std::path::PathBuf;

use davylamp_content::settings::{Bounds, Section};
use serde::{Deserialize, Serialize};

use crate::config::{Console, console_text};

/// The table's name.
pub const SECTION: &str = "work";

/// The variable that holds the worker's token, where no file does.
pub const TOKEN_VARIABLE: &str = "DAVY_WORK_TOKEN";

/// The bounds of every key that takes a number.
pub const BOUNDS: [Bounds; 2] = [
    Bounds::new("work.poll_secs", 1, 3600, "seconds"),
    Bounds::new("work.console.timeout_secs", 1, 600, "seconds"),
];

/// The `[work]` table for `settings::load`.
pub fn section() -> Section {
    Section {
        bounds: &BOUNDS,
        text,
        ..Section::of::<Config>(SECTION)
    }
}

/// What is done for a console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder of what the console does not have yet.
    pub outbox: PathBuf,
    /// Whether plans are made, carried out and taken back.
    pub plans: bool,
    /// Where the logs lie that hunts are run over, as `davy hunt --logs` takes it. Empty: no hunts.
    pub logs: Vec<String>,
    /// Seconds between two questions for jobs.
    pub poll_secs: u64,
    /// The console.
    pub console: Console,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            outbox: PathBuf::from("/var/lib/davylamp/outbox"),
            plans: true,
            logs: Vec::new(),
            poll_secs: 5,
            console: Console::default(),
        }
    }
}

impl Config {
    /// The errands that can be done, by their names.
    pub fn can(&self) -> Vec<&'static str> {
        let mut can = Vec::new();
        if self.plans {
            can.extend(["plan", "run", "undo"]);
        }
        if !self.logs.is_empty() {
            can.push("hunt");
        }
        can
    }
}

fn text(key: &str, text: &str) -> Result<(), &'static str> {
    match key.strip_prefix("work.console.") {
        Some(member) => console_text(member, text),
        None if text.contains('\0') => Err("a NUL cannot stand in it"),
        None if key == "work.outbox" && !text.starts_with('/') => {
            Err("write the whole path, from `/`")
        }
        None => Ok(()),
    }
}
