//! Hunts over logs: each hunt's rows become leads, and all leads one ranked list of suspects.
//!
//! What must stay true: a hunt that finds nothing says whether it could have found something; one
//! that fails stops no other; a row that is left out of the ranking is counted. Deliberately not
//! here: what a hunt is (crate `content`), and printing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use davylamp_content::hunt::{Hunt, ParameterError};
use davylamp_model::finding::Severity;
use futures::StreamExt;
use serde_json::Value;

use crate::engine::{Answer, Engine, EngineError};
use crate::suspects::{Lead, Suspect, rank};
use crate::tally::Run;

mod lead;
mod missing;

pub use lead::rows;
pub use missing::Missing;

/// A hunt's rows beyond this are counted and ranked no more. They come with the highest score
/// first, and who is shown ten thousand leads of one hunt needs another parameter, not more leads.
const MAX_LEADS: usize = 10_000;

/// A hunt with the values of its parameters.
#[derive(Debug, Clone)]
pub struct Job {
    /// The hunt.
    pub hunt: Hunt,
    sql: String,
}

impl Job {
    /// A hunt with these values; the others have their defaults.
    ///
    /// # Errors
    /// Each value that does not fit.
    pub fn new(hunt: Hunt, values: &BTreeMap<String, Value>) -> Result<Self, Vec<ParameterError>> {
        let sql = hunt.sql(values)?;
        Ok(Self { hunt, sql })
    }

    /// The query, with its values.
    pub fn sql(&self) -> &str {
        &self.sql
    }
}

/// What came of a run of hunts.
#[derive(Debug)]
pub struct Report {
    /// What came of each hunt, in the order in which they were given.
    pub hunts: Vec<Came>,
    /// The suspected incidents, the worst first.
    pub suspects: Vec<Suspect>,
    /// What was read, and what was not.
    pub read: Run,
}

/// What came of one hunt.
#[derive(Debug)]
pub struct Came {
    /// Its name.
    pub hunt: String,
    /// One line about it.
    pub title: String,
    /// How bad a row of it with full score is.
    pub severity: Severity,
    /// Whether it ran.
    pub outcome: Outcome,
    /// How many rows it found.
    pub rows: u64,
    /// How many of them have too little score to be among the leads that are ranked.
    pub unranked: u64,
    /// How long it took.
    pub took: Duration,
    /// What it needs and the logs lack.
    pub missing: Vec<Missing>,
}

/// Whether a hunt ran.
#[derive(Debug)]
pub enum Outcome {
    /// To its end.
    Ran,
    /// The logs have nothing that it reads.
    LeftOut,
    /// Not to its end.
    Failed(EngineError),
}

impl Report {
    /// Whether a hunt broke off.
    pub fn has_failed(&self) -> bool {
        let is_failed = |came: &Came| matches!(came.outcome, Outcome::Failed(_));
        self.hunts.iter().any(is_failed)
    }

    /// Whether no hunt has run.
    pub fn is_idle(&self) -> bool {
        let has_run = |came: &Came| matches!(came.outcome, Outcome::Ran);
        !self.hunts.iter().any(has_run)
    }

    /// Whether something of the logs could not be read or not be understood.
    pub fn is_broken(&self) -> bool {
        self.read.outside().is_broken() || self.read.tables().values().any(|it| it.is_broken())
    }
}

/// Runs hunts.
pub async fn run(engine: &Engine, jobs: &[Job]) -> Report {
    let read = Run::default();
    read.add_outside(engine.outside());
    let mut largest = BTreeMap::new();
    let (mut hunts, mut leads) = (Vec::new(), Vec::new());
    for job in jobs {
        let started = Instant::now();
        let absent = missing::tables(engine, &job.hunt);
        let mut came = Came {
            hunt: job.hunt.name.clone(),
            title: job.hunt.title.clone(),
            severity: job.hunt.severity,
            outcome: Outcome::LeftOut,
            rows: 0,
            unranked: 0,
            took: Duration::ZERO,
            missing: absent,
        };
        if came.missing.is_empty() {
            came.outcome = match engine.sql(job.sql()).await {
                Ok(answer) => {
                    let run = Arc::clone(&answer.run);
                    let outcome = take(answer, job, &mut came, &mut leads).await;
                    came.missing = missing::columns(&run, &job.hunt);
                    // Hunts read the same logs; those who search read less of them.
                    for (table, tally) in run.tables() {
                        let known: &mut crate::tally::Tally = largest.entry(table).or_default();
                        if known.scans == 0 || tally.records > known.records {
                            *known = tally;
                        }
                    }
                    outcome
                }
                Err(error) => Outcome::Failed(error),
            };
        }
        came.took = started.elapsed();
        hunts.push(came);
    }
    for (table, tally) in &largest {
        read.add(table, tally);
    }
    Report {
        hunts,
        suspects: rank(leads, &[]),
        read,
    }
}

/// Takes a hunt's rows. What came before a failure is kept.
async fn take(answer: Answer, job: &Job, came: &mut Came, leads: &mut Vec<Lead>) -> Outcome {
    let mut batches = answer.batches;
    while let Some(batch) = batches.next().await {
        let rows = match batch {
            Ok(batch) => lead::rows(&batch),
            Err(error) => Err(error),
        };
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => return Outcome::Failed(error.into()),
        };
        for row in &rows {
            came.rows += 1;
            if came.rows <= MAX_LEADS as u64 {
                leads.push(lead::of(&job.hunt, row));
            } else {
                came.unranked += 1;
            }
        }
    }
    Outcome::Ran
}
