//! Events as OCSF, one a line, added to a file or written to standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use davylamp_content::ocsf::GuardLines;

use crate::event::Event;
use crate::http::Answer;
use crate::run::ForwardError;

/// Command lines stand in it.
const MODE: u32 = 0o640;

/// Where the lines go.
#[derive(Debug)]
pub(crate) struct Ocsf {
    /// `None` for standard output.
    path: Option<PathBuf>,
    writer: GuardLines,
}

impl Ocsf {
    /// The output of the configuration; `None` where it has none.
    pub(crate) fn new(to: &str) -> Result<Option<Self>, ForwardError> {
        if to.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            path: (to != "-").then(|| PathBuf::from(to)),
            writer: GuardLines::shipped()?,
        }))
    }

    pub(crate) fn deliver(&self, events: &[Event]) -> Answer {
        match self.write(&self.lines(events)) {
            Ok(()) => Answer::Taken(Vec::new()),
            Err(error) => Answer::Later(error.to_string(), None),
        }
    }

    fn lines(&self, events: &[Event]) -> String {
        let line = |event: &Event| format!("{}\n", self.writer.write(&event.value));
        events.iter().map(line).collect()
    }

    fn write(&self, lines: &str) -> io::Result<()> {
        match &self.path {
            // Opened anew each time, so that whoever rotates the file need not tell us.
            Some(path) => {
                let mut file: File = OpenOptions::new()
                    .append(true)
                    .create(true)
                    .mode(MODE)
                    .open(path)?;
                file.write_all(lines.as_bytes())?;
                file.sync_data()
            }
            None => {
                let mut out = io::stdout().lock();
                out.write_all(lines.as_bytes())?;
                out.flush()
            }
        }
    }
}
