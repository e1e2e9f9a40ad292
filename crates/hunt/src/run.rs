//! Hunts over logs: each hunt's rows become leads, and all leads one ranked list of suspects.
//!
//! What must stay true: a hunt that finds nothing says whether it could have found something; one
//! that fails stops no other; a row that is left out of the ranking is counted. Deliberately not
//! here: what a hunt is (crate `content`), and printing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use davylamp_content::hunt::{Hunt, ParameterError};
use davylamp_model::finding::Severity;
use futures::StreamExt;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::engine::{Batches, EngineError};
use crate::read;
use crate::suspects::{Lead, Suspect, rank};
use crate::tally::Run;

mod launches;
mod lead;
mod links;
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
    /// Why leads about an interface were not joined with those about its machine, where they could not
    /// be: what is one incident may stand there as two.
    pub unlinked: Option<EngineError>,
    /// Why the machines that stolen credentials launched are not named, where they could not be.
    pub unnamed: Option<EngineError>,
    /// What was read, and what was not.
    pub read: Arc<Run>,
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
    /// After how long it had its last row; hunts run side by side.
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

/// Tables with columns that are needed.
pub type Wanted = BTreeMap<&'static str, BTreeSet<&'static str>>;

/// What hunts are asked of: our own engine over the logs, or another over the lake.
#[async_trait]
pub trait Answers: Sync {
    /// Why nothing can be asked of a table.
    fn lacking(&self, table: &'static str) -> Option<Missing>;

    /// Starts several queries, over one reading of each log where that can be. What is read is
    /// counted. Each stream must be taken, or dropped: whoever does neither may hold up the others.
    ///
    /// # Errors
    /// When the reading cannot be set up. A query that is wrong is an error among the answers.
    async fn together(&self, queries: &[&str], run: &Arc<Run>)
    -> Result<Vec<Batches>, EngineError>;

    /// Starts one query that shares nothing with others, and counts nothing.
    async fn alone(&self, sql: &str) -> Batches;

    /// Counts the rows that have a value in columns of which that is not known from reading them.
    ///
    /// # Errors
    /// When it cannot be known.
    async fn count(&self, _run: &Run, _wanted: &Wanted) -> Result<(), EngineError> {
        Ok(())
    }
}

/// Runs hunts, several over one reading of the logs. `begun` is given what is counted while reading
/// goes on, to show how far it is.
///
/// # Errors
/// When the reading cannot be set up. What goes wrong in a hunt is told of that hunt.
pub async fn run(
    engine: &dyn Answers,
    jobs: &[Job],
    begun: impl FnOnce(&Arc<Run>),
) -> Result<Report, EngineError> {
    let started = Instant::now();
    let mut hunts: Vec<Came> = jobs.iter().map(|job| Came::before(engine, job)).collect();
    let able: Vec<usize> = (0..jobs.len())
        .filter(|at| hunts[*at].missing.is_empty())
        .collect();
    let read = Arc::new(Run::default());
    begun(&read);
    let asked: Vec<&Job> = able.iter().map(|at| &jobs[*at]).collect();
    let linking = links::questions(engine, &asked);
    let launching = launches::question(engine, &asked);
    let queries = asked.iter().map(|job| job.sql());
    let beside = launching
        .into_iter()
        .chain(linking.iter().map(String::as_str));
    let queries: Vec<&str> = queries.chain(beside).collect();
    let mut answers = engine.together(&queries, &read).await?;
    let mut beside = answers.split_off(able.len().min(answers.len())).into_iter();
    let launched = launching.and_then(|_| beside.next());
    let launched = launched.map(|answer| tokio::spawn(launches::take(answer)));
    let mut joining = JoinSet::new();
    for answer in beside {
        joining.spawn(links::take(answer));
    }
    let mut running = JoinSet::new();
    for (at, answer) in able.iter().copied().zip(answers) {
        let hunt = jobs[at].hunt.clone();
        running.spawn(async move {
            let found = match answer {
                Ok(batches) => take(batches, &hunt).await,
                Err(error) => Found::failed(error),
            };
            (at, found, started.elapsed())
        });
    }
    let mut found: Vec<Option<Found>> = jobs.iter().map(|_| None).collect();
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok((at, ended, took)) => {
                hunts[at].took = took;
                found[at] = Some(ended);
            }
            // Not to be hidden as a failure of the logs: it is a bug.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        }
    }
    let mut leads = Vec::new();
    for at in able.iter().copied() {
        let (came, job) = (&mut hunts[at], &jobs[at]);
        let mut ended = found[at].take().unwrap_or_default();
        if ended.lacks_memory() {
            ended = alone(engine, job).await;
            came.took = started.elapsed();
        }
        came.rows = ended.rows;
        came.unranked = ended.rows - ended.leads.len() as u64;
        came.outcome = match ended.failure {
            Some(error) => Outcome::Failed(error),
            None => Outcome::Ran,
        };
        leads.extend(ended.leads);
    }
    let mut unnamed = None;
    match launched {
        None => {}
        Some(launched) => match launched.await {
            Ok(Ok(launched)) => leads.extend(launches::leads(jobs, &leads, &launched)),
            Ok(Err(error)) => unnamed = Some(error),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        },
    }
    let (mut links, mut unlinked) = (Vec::new(), None);
    for taken in joining.join_all().await {
        match taken {
            Ok(taken) => links.extend(taken),
            Err(error) => unlinked = Some(error),
        }
    }
    engine.count(&read, &silent(jobs, &hunts)).await?;
    for at in able {
        hunts[at].missing = missing::columns(&read, &jobs[at].hunt);
    }
    Ok(Report {
        hunts,
        suspects: rank(leads, &links),
        unlinked,
        unnamed,
        read,
    })
}

/// How many questions a run of hunts asks, but for those that follow hunts that found nothing.
pub fn questions(engine: &dyn Answers, jobs: &[Job]) -> usize {
    let is_able = |job: &&Job| Came::before(engine, job).missing.is_empty();
    let able: Vec<&Job> = jobs.iter().filter(is_able).collect();
    let beside = usize::from(launches::question(engine, &able).is_some());
    able.len() + beside + links::questions(engine, &able).len()
}

/// What the hunts that found nothing need: their nothing may be one of the logs.
fn silent(jobs: &[Job], hunts: &[Came]) -> Wanted {
    let mut wanted = Wanted::new();
    for (job, came) in jobs.iter().zip(hunts) {
        if came.rows > 0 || !matches!(came.outcome, Outcome::Ran) {
            continue;
        }
        for table in job.hunt.tables.iter().map(|table| table.name()) {
            let Some(log) = read::log(table) else {
                continue;
            };
            let columns = log.table().columns.iter().map(|column| column.name);
            let needed = columns.filter(|name| job.hunt.needs.iter().any(|need| need == name));
            wanted.entry(table).or_default().extend(needed);
        }
    }
    wanted
}

/// A hunt for which there was no memory beside the others, once more by itself.
async fn alone(engine: &dyn Answers, job: &Job) -> Found {
    match engine.alone(job.sql()).await {
        Ok(batches) => take(batches, &job.hunt).await,
        Err(error) => Found::failed(error),
    }
}

/// What a hunt has found.
#[derive(Default)]
struct Found {
    rows: u64,
    leads: Vec<Lead>,
    failure: Option<EngineError>,
}

impl Found {
    fn failed(error: EngineError) -> Self {
        Self {
            failure: Some(error),
            ..Self::default()
        }
    }

    fn lacks_memory(&self) -> bool {
        matches!(&self.failure, Some(EngineError::Query(error))
            if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)))
    }
}

impl Came {
    /// What is known before it runs.
    fn before(engine: &dyn Answers, job: &Job) -> Self {
        let tables = job.hunt.tables.iter().map(|table| table.name());
        Self {
            hunt: job.hunt.name.clone(),
            title: job.hunt.title.clone(),
            severity: job.hunt.severity,
            outcome: Outcome::LeftOut,
            rows: 0,
            unranked: 0,
            took: Duration::ZERO,
            missing: tables.filter_map(|table| engine.lacking(table)).collect(),
        }
    }
}

/// Takes a hunt's rows. What came before a failure is kept.
async fn take(mut batches: SendableRecordBatchStream, hunt: &Hunt) -> Found {
    let mut found = Found::default();
    while let Some(batch) = batches.next().await {
        let rows = match batch.and_then(|batch| rows(&batch)) {
            Ok(rows) => rows,
            Err(error) => {
                found.failure = Some(error.into());
                return found;
            }
        };
        found.rows += rows.len() as u64;
        let room = MAX_LEADS.saturating_sub(found.leads.len());
        let leads = rows.iter().take(room).map(|row| lead::of(hunt, row));
        found.leads.extend(leads);
    }
    found
}
