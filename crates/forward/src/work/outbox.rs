//! What a console is to have, kept until it has it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use davylamp_spool::{Limits, SpoolError, Writer};
use tokio::sync::watch;

use super::config::{Config, TOKEN_VARIABLE};
use crate::config;
use crate::run::{Forward, ForwardError, Pass, Summary};

/// As much is kept for a console that is away; an audit of a large account has some megabytes.
const MAX_BYTES: u64 = 512 << 20;
/// What is dropped at once where it is full.
const SEGMENT_BYTES: u64 = 16 << 20;
/// An audit is one line, and a console takes no longer one.
const LINE_BYTES: usize = 8 << 20;
/// Another process that puts something in is soon done.
const WAITS: Duration = Duration::from_secs(30);
/// How often is looked whether it is.
const LOOKS: Duration = Duration::from_millis(50);

/// An outbox: a spool of its own, of one writer at a time.
#[derive(Debug)]
pub struct Outbox {
    writer: Writer,
    dir: PathBuf,
    console: config::Console,
}

impl Outbox {
    /// Opens it, once no other process has it.
    ///
    /// # Errors
    /// There is no console to send to, or the folder cannot be written.
    pub async fn open(config: &Config) -> Result<Self, ForwardError> {
        if config.console.url.is_empty() {
            return Err(ForwardError::NoConsole);
        }
        let limits = Limits {
            dir: config.outbox.clone(),
            max_bytes: MAX_BYTES,
            segment_bytes: SEGMENT_BYTES,
            line_bytes: LINE_BYTES,
        };
        let end = tokio::time::Instant::now() + WAITS;
        let writer = loop {
            match Writer::open(limits.clone()) {
                Err(SpoolError::Written { .. }) if tokio::time::Instant::now() < end => {
                    tokio::time::sleep(LOOKS).await;
                }
                opened => break opened?,
            }
        };
        Ok(Self {
            writer,
            dir: config.outbox.clone(),
            console: config.console.clone(),
        })
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Puts lines in; each has an `id`, under which it counts once. When this returns they outlive the
    /// machine.
    ///
    /// # Errors
    /// A line is too long, or there is no room.
    pub fn put<'l>(
        &mut self,
        lines: impl IntoIterator<Item = &'l str>,
    ) -> Result<(), ForwardError> {
        for line in lines {
            let appended = self.writer.append(line)?;
            if appended.dropped_lines > 0 {
                tracing::error!(
                    lines = appended.dropped_lines,
                    "the outbox is full: the oldest lines were dropped"
                );
            }
        }
        Ok(self.writer.sync()?)
    }

    /// Sends what is in it, until the console has all of it or has taken nothing for so long.
    ///
    /// # Errors
    /// The token is nowhere, or the address cannot be used.
    pub async fn deliver(&self, within: Duration) -> Result<Summary, ForwardError> {
        let config = config::Config {
            spool: self.dir.clone(),
            console: self.console.clone(),
            ..config::Config::default()
        };
        let forward = Forward::with_token(config, TOKEN_VARIABLE)?;
        // Whoever ends this drops it: what was not taken stays.
        let (_going, stop) = watch::channel(false);
        Ok(forward.run(Pass::Once { within }, stop, |_| {}).await)
    }
}
