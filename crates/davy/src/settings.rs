//! The configuration as every verb reads it: defaults, then the file, the environment, `--set`, and
//! last the options that the verb itself has.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;
use davylamp_console::config as console;
use davylamp_content::settings::{self, DEFAULT_CONFIG_PATH, Override, Section};
use davylamp_forward::config as forward;
use davylamp_forward::work::config as work;
use davylamp_guard::config::{self as guard, Config};
use davylamp_recorder::config as record;
use davylamp_respond::config as respond;

use crate::failure::Failure;

/// A configuration may have this many bytes: no real one comes near, and a wrong path may be a
/// whole disk.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// The arguments that choose the configuration.
#[derive(Debug, Clone, Args)]
pub struct SettingsArgs {
    /// Configuration file [default: /etc/davylamp/davy.toml, if there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Override a key of the configuration, such as guard.hold.deadline_ms=500; may be repeated
    ///
    /// The value is TOML, or text without quotes. Variables do the same, with two underscores
    /// between levels (DAVY_GUARD__HOLD__DEADLINE_MS=500), and yield to this option. No key holds
    /// a secret; none should be given on a command line.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Every table of the file.
pub fn sections() -> [Section; 6] {
    [
        guard::section(),
        respond::section(),
        forward::section(),
        console::section(),
        work::section(),
        record::section(),
    ]
}

impl SettingsArgs {
    /// Reads the guard's table, with the verb's own options winning over everything else.
    pub fn load(&self, options: Vec<Override>) -> Result<Config, Failure> {
        Ok(settings::section(&self.tree(options)?, guard::SECTION))
    }

    /// Reads the responder's table, likewise.
    pub fn load_respond(&self, options: Vec<Override>) -> Result<respond::Config, Failure> {
        Ok(settings::section(&self.tree(options)?, respond::SECTION))
    }

    /// Reads the forwarder's table, likewise.
    pub fn load_forward(&self, options: Vec<Override>) -> Result<forward::Config, Failure> {
        Ok(settings::section(&self.tree(options)?, forward::SECTION))
    }

    /// Reads the console's table, likewise.
    pub fn load_console(&self, options: Vec<Override>) -> Result<console::Config, Failure> {
        Ok(settings::section(&self.tree(options)?, console::SECTION))
    }

    /// Reads the worker's table, likewise.
    pub fn load_work(&self, options: Vec<Override>) -> Result<work::Config, Failure> {
        Ok(settings::section(&self.tree(options)?, work::SECTION))
    }

    /// Reads the recorder's table, likewise.
    pub fn load_record(&self, options: Vec<Override>) -> Result<record::Config, Failure> {
        Ok(settings::section(&self.tree(options)?, record::SECTION))
    }

    fn tree(&self, options: Vec<Override>) -> Result<toml::Table, Failure> {
        let file = self.file()?;
        let mut overrides = Override::from_environment(&sections(), std::env::vars_os());
        overrides.extend(self.set.iter().map(|assignment| Override::set(assignment)));
        overrides.extend(options);
        let file = file
            .as_ref()
            .map(|(name, text)| (name.as_str(), text.as_str()));
        Ok(settings::load(&sections(), file, &overrides)?)
    }

    /// The name and text of the file, where there is one.
    fn file(&self) -> Result<Option<(String, String)>, Failure> {
        let path = self
            .config
            .as_deref()
            .unwrap_or(Path::new(DEFAULT_CONFIG_PATH));
        let name = path.display().to_string();
        let cannot = |error: std::io::Error| {
            let hint = match error.kind() {
                ErrorKind::NotFound => format!(
                    "create it, or leave out --config: without it {DEFAULT_CONFIG_PATH} is read, \
                     if it is there"
                ),
                ErrorKind::PermissionDenied => "run as root, or name a file of your own".into(),
                ErrorKind::IsADirectory => "name the file in it, such as davy.toml".into(),
                _ => format!("see what it is: ls -l {name}"),
            };
            Failure::new(
                anyhow!(error).context(format!("cannot read the configuration {name}")),
                hint,
            )
        };
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound && self.config.is_none() => {
                return Ok(None);
            }
            opened => opened.map_err(cannot)?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_CONFIG_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(cannot)?;
        if bytes.len() as u64 > MAX_CONFIG_BYTES {
            let error = anyhow!("{name} is larger than {MAX_CONFIG_BYTES} bytes");
            return Err(Failure::new(error, "see whether it is a configuration"));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let error = anyhow!("{name} is not UTF-8 text: byte {at} is out of place");
            Failure::new(error, format!("convert it: iconv -t UTF-8 {name}"))
        })?;
        Ok(Some((name, text)))
    }
}
