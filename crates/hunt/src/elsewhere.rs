//! An engine elsewhere, over a lake: Athena, or a cluster of Ballista.
//!
//! What must stay true: what is not counted while it is read is asked for, so that a hunt that finds
//! nothing says whether it could have found something. Deliberately not here: how an engine is
//! reached, and what its text is.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use futures::{StreamExt, stream};

use crate::engine::{Batches, EngineError};
use crate::read;
use crate::run::{Answers, Missing, Wanted};
use crate::tally::{Run, Tally};

/// Questions that are asked at once: more wait in the engine's own queue, and are refused where that
/// is full.
const AT_ONCE: usize = 4;

/// What answers.
#[async_trait]
pub trait Elsewhere: Send + Sync {
    /// Asks one question, a query over our tables.
    async fn ask(&self, sql: &str) -> Batches;

    /// Why nothing can be asked of a table. That it has no rows is found by asking.
    fn lacking(&self, table: &'static str) -> Option<Missing> {
        let is_known = read::log(table).is_some();
        (!is_known).then_some(Missing::Reader { table })
    }

    /// What of the places cannot be read.
    fn outside(&self) -> Tally {
        Tally::default()
    }
}

/// An engine elsewhere, to be asked as our own.
#[derive(Debug)]
pub struct Remote<E>(pub E);

impl<E: Elsewhere> Remote<E> {
    /// How many rows a table has, and then how many have a value in each column.
    async fn counts(
        &self,
        table: &str,
        columns: &BTreeSet<&'static str>,
    ) -> Result<Vec<u64>, EngineError> {
        let counts = columns.iter().map(|column| format!("COUNT(\"{column}\")"));
        let counts: Vec<String> = std::iter::once("COUNT(*)".to_owned())
            .chain(counts)
            .collect();
        let sql = format!("SELECT {} FROM {table}", counts.join(", "));
        let mut batches = self.0.ask(&sql).await?;
        let mut all = Vec::new();
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            for column in batch.columns() {
                let counts = column.as_primitive_opt::<Int64Type>().into_iter().flatten();
                all.extend(
                    counts
                        .flatten()
                        .filter_map(|count| u64::try_from(count).ok()),
                );
            }
        }
        if all.len() != columns.len() + 1 {
            let table = table.to_owned();
            return Err(EngineError::Elsewhere(Box::new(NoCount { table })));
        }
        Ok(all)
    }
}

/// An answer that is not the counts that were asked for.
#[derive(Debug, thiserror::Error)]
#[error(
    "it was asked how many rows {table} has, and how many in each column, and gave other counts"
)]
struct NoCount {
    table: String,
}

#[async_trait]
impl<E: Elsewhere> Answers for Remote<E> {
    fn lacking(&self, table: &'static str) -> Option<Missing> {
        self.0.lacking(table)
    }

    async fn alone(&self, sql: &str) -> Batches {
        self.0.ask(sql).await
    }

    async fn together(
        &self,
        queries: &[&str],
        run: &Arc<Run>,
    ) -> Result<Vec<Batches>, EngineError> {
        run.add_outside(&self.0.outside());
        let asked: Vec<_> = queries.iter().map(|sql| self.0.ask(sql)).collect();
        Ok(stream::iter(asked).buffered(AT_ONCE).collect().await)
    }

    async fn count(&self, run: &Run, wanted: &Wanted) -> Result<(), EngineError> {
        let counts: Vec<_> = wanted
            .iter()
            .map(|(table, columns)| self.counts(table, columns))
            .collect();
        let mut counts = stream::iter(counts).buffered(AT_ONCE);
        let mut tables = wanted.iter();
        while let (Some(counts), Some((table, columns))) = (counts.next().await, tables.next()) {
            let counts = counts?;
            let (records, filled) = counts
                .split_first()
                .map_or((0, &[][..]), |(n, of)| (*n, of));
            let tally = Tally {
                scans: 1,
                records,
                is_without_objects: records == 0,
                ..Tally::default()
            };
            run.add(table, &tally);
            let rows = |count: &u64| usize::try_from(*count).unwrap_or(usize::MAX);
            run.fill(table, columns.iter().copied().zip(filled.iter().map(rows)));
        }
        Ok(())
    }
}
