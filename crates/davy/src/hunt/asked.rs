//! Who answers: this machine over the logs, or Athena or a cluster of Ballista over the lake.

use std::sync::Arc;

use anyhow::anyhow;
use async_trait::async_trait;
use davylamp_cloud::aws::athena::{Athena, AthenaError, AthenaOptions, AthenaSpent};
use davylamp_cloud::aws::options::SessionOptions;
use davylamp_cloud::aws::session::Sessions;
use davylamp_hunt::athena::{Column, Rows, Scoped};
#[cfg(feature = "ballista")]
use davylamp_hunt::cluster::{Cluster, ClusterError};
use davylamp_hunt::elsewhere::{Elsewhere, Remote};
use davylamp_hunt::engine::{Batches, Engine, EngineError};
use davylamp_hunt::run::Answers;

use super::args::{EngineArgs, EngineKind, LogArgs};
use super::{check_scope, open, scope};
#[cfg(feature = "ballista")]
use super::{failure, setup};
use crate::failure::{COULD_NOT_COMPLETE, Failure};
use crate::output::{counted, note};
use crate::signals::Signals;

/// US dollars for 10^12 bytes scanned, in most regions; each question counts as ten megabytes at
/// least. <https://aws.amazon.com/athena/pricing/>
const DOLLARS_A_TERABYTE: f64 = 5.0;
const LEAST_BYTES: u64 = 10_000_000;

/// Who answers.
pub(super) enum Asked {
    /// This machine.
    Here(Box<Engine>),
    /// Athena.
    Athena(Remote<AtAthena>),
    /// A cluster.
    #[cfg(feature = "ballista")]
    Cluster(Box<Remote<Cluster>>),
}

/// Athena, as an engine that is elsewhere.
pub(super) struct AtAthena {
    athena: Arc<Athena>,
    scoped: Scoped,
}

fn unanswered(error: impl std::error::Error + Send + Sync + 'static) -> EngineError {
    EngineError::Elsewhere(Box::new(error))
}

#[async_trait]
impl Elsewhere for AtAthena {
    async fn ask(&self, sql: &str) -> Batches {
        let text = self.scoped.question(sql).map_err(unanswered)?;
        let answer = self.athena.ask(&text).await.map_err(unanswered)?;
        let columns = answer.columns.into_iter();
        let rows = Rows {
            columns: columns.map(|(name, kind)| Column { name, kind }).collect(),
            rows: answer.rows,
        };
        rows.stream()
    }
}

impl Asked {
    /// Whoever is asked for, ready to be asked.
    pub(super) async fn open(args: &EngineArgs, logs: &LogArgs) -> Result<Self, Failure> {
        match args.engine {
            EngineKind::Embedded => Ok(Self::Here(Box::new(open(logs).await?))),
            EngineKind::Athena => athena(args, logs).await,
            EngineKind::Ballista => cluster(args, logs).await,
        }
    }

    /// Our own engine, where it is the one.
    pub(super) fn engine(&self) -> Option<&Engine> {
        match self {
            Self::Here(engine) => Some(engine),
            _ => None,
        }
    }

    fn athena(&self) -> Option<&Arc<Athena>> {
        match self {
            Self::Athena(Remote(at)) => Some(&at.athena),
            _ => None,
        }
    }

    pub(super) fn answers(&self) -> &dyn Answers {
        match self {
            Self::Here(engine) => engine.as_ref(),
            Self::Athena(remote) => remote,
            #[cfg(feature = "ballista")]
            Self::Cluster(remote) => remote.as_ref(),
        }
    }

    /// How many bytes the tables' objects have as stored, as far as that is known.
    pub(super) fn stored_bytes_of(&self, is_meant: impl Fn(&str) -> bool) -> u64 {
        let engine = self.engine();
        engine.map_or(0, |engine| engine.stored_bytes_of(is_meant))
    }

    /// From now on a signal ends what runs at Athena too: what nobody waits for is still paid for.
    pub(super) fn stop_with_us(&self) {
        let Some(athena) = self.athena().cloned() else {
            return;
        };
        let Some(mut signals) = Signals::listen() else {
            return;
        };
        tokio::spawn(async move {
            if signals.next().await.is_none() {
                return;
            }
            note("stopping: what still runs at Athena is ended");
            athena.stop().await;
            note(&after(athena.spent()));
            std::process::exit(COULD_NOT_COMPLETE.into());
        });
    }

    /// Ends what still runs elsewhere.
    pub(super) async fn stop(&self) {
        if let Some(athena) = self.athena() {
            athena.stop().await;
        }
    }

    /// Says what asking may cost, before anything is asked.
    pub(super) async fn tell_cost(&self, questions: usize) -> Result<(), Failure> {
        let Some(athena) = self.athena() else {
            return Ok(());
        };
        let limit = athena.limit().await.map_err(athena_failure)?;
        note(&before(questions as u64, limit));
        Ok(())
    }

    /// Says what asking has cost.
    pub(super) fn tell_spent(&self) {
        if let Some(athena) = self.athena() {
            note(&after(athena.spent()));
        }
    }
}

/// What questions may cost.
fn before(questions: u64, limit: Option<u64>) -> String {
    let asked = counted(questions, "question", "questions");
    match limit {
        Some(bytes) => format!(
            "Athena: {asked}, each ended beyond {}: at most ${:.2}",
            gigabytes(bytes),
            dollars(questions, bytes.saturating_mul(questions))
        ),
        None => format!(
            "Athena: {asked}, and the workgroup has no limit: ${DOLLARS_A_TERABYTE} for each terabyte scanned"
        ),
    }
}

/// What questions have cost.
fn after(spent: AthenaSpent) -> String {
    format!(
        "Athena: {} scanned {}: about ${:.4}",
        counted(spent.asked, "question", "questions"),
        gigabytes(spent.scanned_bytes),
        dollars(spent.asked, spent.scanned_bytes)
    )
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.3} GB", bytes as f64 / 1e9)
}

fn dollars(questions: u64, bytes: u64) -> f64 {
    let paid = bytes.max(questions.saturating_mul(LEAST_BYTES));
    paid as f64 / 1e12 * DOLLARS_A_TERABYTE
}

async fn athena(args: &EngineArgs, logs: &LogArgs) -> Result<Asked, Failure> {
    check_scope(&scope(logs))?;
    if !logs.logs.is_empty() {
        return Err(Failure::new(
            anyhow!("Athena asks the tables of its database, and no --logs"),
            "leave --logs out; davy hunt athena-ddl makes the tables of a lake",
        ));
    }
    let options = SessionOptions {
        region: logs.bucket_region.clone(),
        endpoint_url: logs.endpoint_url.clone(),
        ..SessionOptions::default()
    };
    let sessions = Sessions::new(options).await.map_err(|error| {
        Failure::new(
            anyhow!(error),
            "see the credentials and region of the environment",
        )
    })?;
    if sessions.home_region().is_none() {
        return Err(Failure::new(
            anyhow!("nobody said in which region Athena is asked"),
            "add --bucket-region, or set AWS_REGION",
        ));
    }
    let athena = Athena::new(
        &sessions.home_reading(),
        AthenaOptions {
            database: args.database.clone(),
            workgroup: args.workgroup.clone(),
            results: args.results.clone(),
        },
    );
    Ok(Asked::Athena(Remote(AtAthena {
        athena: Arc::new(athena),
        scoped: Scoped {
            database: args.database.clone(),
            scope: scope(logs),
        },
    })))
}

#[cfg(feature = "ballista")]
async fn cluster(args: &EngineArgs, logs: &LogArgs) -> Result<Asked, Failure> {
    let scheduler = args.scheduler.as_deref().unwrap_or_default();
    let cluster = Cluster::connect(scheduler, setup(logs)?).await;
    let cluster = cluster.map_err(|error| match error {
        ClusterError::Engine(error) => failure(error),
        error @ ClusterError::Raw(_) => Failure::new(
            anyhow!(error),
            "convert the logs first, and give the lake alone: davy hunt convert",
        ),
        error => Failure::new(
            anyhow!(error),
            "see where the scheduler listens: docs/hunt-cluster.md",
        ),
    })?;
    Ok(Asked::Cluster(Box::new(Remote(cluster))))
}

#[cfg(not(feature = "ballista"))]
async fn cluster(_: &EngineArgs, _: &LogArgs) -> Result<Asked, Failure> {
    Err(Failure::new(
        anyhow!("this davy was built without Ballista"),
        "build it with: cargo build --release --package davylamp --features ballista",
    ))
}

fn athena_failure(error: AthenaError) -> Failure {
    Failure::new(
        anyhow!(error),
        "see the workgroup and what may be done: davy hunt athena-ddl --what workgroup, --what policy",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_said_with_their_bound() {
        assert_eq!(
            before(2, Some(100_000_000_000)),
            "Athena: 2 questions, each ended beyond 100.000 GB: at most $1.00"
        );
        assert!(before(1, None).contains("no limit"));
        let spent = AthenaSpent {
            asked: 1,
            scanned_bytes: 0,
        };
        // Ten megabytes are paid for whatever is scanned.
        assert_eq!(dollars(spent.asked, spent.scanned_bytes), 0.00005);
        assert!(after(spent).starts_with("Athena: 1 question scanned 0.000 GB"));
    }
}
