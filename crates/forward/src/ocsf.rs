//! Events as OCSF, one a line, added to a file or written to standard output.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use davylamp_content::detection::{self, Detection};
use davylamp_model::ocsf::{Detector, from_guard};

use crate::event::Event;
use crate::http::Answer;

/// Command lines stand in it.
const MODE: u32 = 0o640;

/// Where the lines go.
#[derive(Debug)]
pub(crate) struct Ocsf {
    /// `None` for standard output.
    path: Option<PathBuf>,
    detections: BTreeMap<String, Detection>,
}

impl Ocsf {
    /// The output of the configuration; `None` where it has none.
    pub(crate) fn new(to: &str) -> Option<Self> {
        if to.is_empty() {
            return None;
        }
        Some(Self {
            path: (to != "-").then(|| PathBuf::from(to)),
            detections: known_detections(),
        })
    }

    pub(crate) fn deliver(&self, events: &[Event]) -> Answer {
        match self.write(&self.lines(events)) {
            Ok(()) => Answer::Taken(Vec::new()),
            Err(error) => Answer::Later(error.to_string(), None),
        }
    }

    fn lines(&self, events: &[Event]) -> String {
        let line = |event: &Event| format!("{}\n", from_guard(&event.value, |name| self.of(name)));
        events.iter().map(line).collect()
    }

    fn of(&self, name: &str) -> Detector<'_> {
        match self.detections.get(name) {
            Some(known) => Detector {
                title: Some(&known.title),
                severity: Some(known.severity),
                techniques: &known.techniques,
                score: Some(known.score),
            },
            None => Detector::default(),
        }
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

fn known_detections() -> BTreeMap<String, Detection> {
    match detection::shipped() {
        Ok(all) => all
            .into_iter()
            .map(|parsed| (parsed.detection.name.clone(), parsed.detection))
            .collect(),
        Err(faults) => {
            tracing::error!(?faults, "the shipped detections are faulty; this is a bug");
            BTreeMap::new()
        }
    }
}
