//! SQL over logs on this machine.
//!
//! What must stay true: a table without an object is told and not merely empty; memory stays
//! within a bound whatever the size of the logs.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::object_store::memory::InMemory;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};

use crate::functions;
use crate::lake::{self, LakeTable};
use crate::objects::{self, At, ListError, Listing, Location, Object, Remote, Scope};
use crate::read::{self, Given, LOGS, Log};
use crate::run::{Answers, Missing};
use crate::scan::LogTable;
use crate::share::SharedTable;
use crate::table::Table;
use crate::tally::{Run, Tally};
use crate::unpack::Caps;

mod compacting;
mod found;
mod memory;
mod questions;

use compacting::Compacting;
use found::Found;
pub(crate) use found::Objects;
use memory::Pool;
pub use questions::{is_finished, questions};

/// What sorting and grouping may keep in memory; beyond it they go to disk. With what the readers
/// hold this stays well below 400 MiB.
const MEMORY_BYTES: usize = 192 << 20;

/// What each sort keeps to merge what it has spilled: hunts side by side have dozens of sorts.
const MERGE_BYTES: usize = 2 << 20;

/// What an engine is opened on.
#[derive(Debug, Default)]
pub struct Setup {
    /// Where the logs lie.
    pub locations: Vec<Location>,
    /// What of them is asked for.
    pub scope: Scope,
    /// How buckets are reached.
    pub remote: Remote,
    /// What the logs do not say themselves.
    pub given: Given,
    /// The bounds of what is read of one object.
    pub caps: Caps,
    /// How many objects are read at once; as many as the machine has processors if nothing is said.
    pub threads: Option<usize>,
}

/// Logs, ready to be asked.
#[derive(Debug)]
pub struct Engine {
    objects: Objects,
    /// Files of a lake, which are Parquet with the tables' own columns.
    lake: Objects,
    listing: Listing,
    scope: Scope,
    given: Arc<Given>,
    caps: Caps,
    threads: Option<usize>,
}

/// What came of a query.
pub struct Answer {
    /// The rows, as they come.
    pub batches: SendableRecordBatchStream,
    /// What was read; complete once the rows have ended.
    pub run: Arc<Run>,
}

/// The rows of a query, as they come.
pub type Batches = Result<SendableRecordBatchStream, EngineError>;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The logs cannot be listed.
    #[error("the logs cannot be listed")]
    List(#[from] ListError),
    /// The query is wrong, or went wrong.
    #[error("the query cannot be answered")]
    Query(#[from] DataFusionError),
    /// An engine elsewhere has no answer.
    #[error("the query has no answer")]
    Elsewhere(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Engine {
    /// Finds the logs and what each of them is.
    ///
    /// # Errors
    /// When a location cannot be set up. What cannot be listed or told apart is counted instead.
    pub async fn open(setup: Setup) -> Result<Self, EngineError> {
        let mut listing = objects::list(&setup.locations, &setup.remote).await?;
        let Found { objects, lake } = found::sort(&mut listing, &setup.scope, &setup.given).await;
        Ok(Self {
            objects,
            lake,
            listing,
            scope: setup.scope,
            given: Arc::new(setup.given),
            caps: setup.caps,
            threads: setup.threads,
        })
    }

    /// How many objects each table has.
    pub fn objects(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let all = self.objects.iter().chain(&self.lake);
        all.map(|(table, objects)| (*table, objects.len()))
    }

    /// How many objects are of a table as their keys say, or as somebody has said of them: an archive, which
    /// may hold anything, is of none.
    pub fn said_to_be(&self, table: &str) -> usize {
        let said = |object: &&Object| object.stated.or(object.layout.table) == Some(table);
        let objects = self.objects.get(table).map(Vec::as_slice);
        objects.unwrap_or_default().iter().filter(said).count()
    }

    /// Whether there are logs as they lie.
    pub fn has_logs(&self) -> bool {
        self.objects.values().any(|objects| !objects.is_empty())
    }

    /// The objects that are logs as they lie, by table.
    pub(crate) fn raw(&self) -> &Objects {
        &self.objects
    }

    /// The files of a lake, by table.
    #[cfg(feature = "ballista")]
    pub(crate) fn lake(&self) -> &Objects {
        &self.lake
    }

    /// What is asked for.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// How many objects are read at once.
    pub(crate) fn threads(&self) -> usize {
        self.config().target_partitions()
    }

    /// What makes a table of one object of a log, whatever is asked for.
    pub(crate) fn reading_of(
        &self,
        log: &'static dyn Log,
    ) -> impl Fn(Object, &Arc<Run>) -> LogTable + Send + Sync + use<> {
        let (given, caps) = (Arc::clone(&self.given), self.caps);
        move |object, run| {
            let given = Arc::clone(&given);
            LogTable::new(
                log,
                vec![object],
                Scope::default(),
                given,
                caps,
                Arc::clone(run),
            )
        }
    }

    /// What the user has said about the logs.
    pub(crate) fn given(&self) -> &Given {
        &self.given
    }

    /// A table over some of its objects.
    fn table_over(
        &self,
        log: &'static dyn Log,
        objects: Vec<Object>,
        scope: Scope,
        run: &Arc<Run>,
    ) -> LogTable {
        let given = Arc::clone(&self.given);
        LogTable::new(log, objects, scope, given, self.caps, Arc::clone(run))
    }

    /// How many bytes the objects have as stored, as far as that is known.
    pub fn stored_bytes(&self) -> u64 {
        self.stored_bytes_of(|_| true)
    }

    /// The same of some tables' objects.
    pub fn stored_bytes_of(&self, is_meant: impl Fn(&str) -> bool) -> u64 {
        let tables = self.objects.iter().chain(self.lake.iter());
        let objects = tables
            .filter(|(table, _)| is_meant(table))
            .flat_map(|(_, objects)| objects);
        let sizes = objects
            .map(|object| object.size)
            .filter(|size| *size != u64::MAX);
        sizes.sum()
    }

    /// What could not be listed or told apart.
    pub fn outside(&self) -> &Tally {
        &self.listing.tally
    }

    /// Starts a query. Rows come as the answer's stream is taken.
    ///
    /// # Errors
    /// When the query is wrong.
    pub async fn sql(&self, sql: &str) -> Result<Answer, EngineError> {
        let run = Arc::default();
        let batches = self.with_all(sql, &run).await?;
        Ok(Answer { batches, run })
    }

    /// Starts a query that has every processor.
    async fn with_all(&self, sql: &str, run: &Arc<Run>) -> Batches {
        run.add_outside(&self.listing.tally);
        let context = self.context(run, self.config(), |log| Arc::new(log))?;
        let frame = context.sql_with_options(sql, only_questions()).await?;
        Ok(frame.execute_stream().await?)
    }

    fn config(&self) -> SessionConfig {
        let config = SessionConfig::new()
            .with_information_schema(true)
            .with_sort_spill_reservation_bytes(MERGE_BYTES);
        match self.threads {
            Some(threads) => config.with_target_partitions(threads),
            None => config,
        }
    }

    /// Every table over its objects, and every function.
    fn context(
        &self,
        run: &Arc<Run>,
        config: SessionConfig,
        mut provide: impl FnMut(LogTable) -> Arc<dyn TableProvider>,
    ) -> Result<SessionContext, EngineError> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(Pool::new(MEMORY_BYTES)))
            .build_arc()?;
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_default_features()
            .with_physical_optimizer_rule(Arc::new(Compacting))
            .build();
        let context = SessionContext::new_with_state(state);
        functions::register(&context, &self.given.indicators);
        for log in LOGS {
            let table = log.table();
            let objects = self.objects.get(table.name).cloned().unwrap_or_default();
            let files = self.lake.get(table.name).cloned().unwrap_or_default();
            let mut frame = match (objects.is_empty(), files.is_empty()) {
                (true, false) => self.in_lake(&context, table, files, run)?,
                (is_without, is_raw) => {
                    let raw = self.table_over(*log, objects, self.scope.clone(), run);
                    let raw = context.read_table(provide(raw))?;
                    match is_raw || is_without {
                        true => raw,
                        false => raw.union(self.in_lake(&context, table, files, run)?)?,
                    }
                }
            };
            for filter in within(table, &self.scope) {
                frame = frame.filter(filter)?;
            }
            context.register_table(table.name, frame.into_view())?;
        }
        Ok(context)
    }

    /// The files of the lake as a table.
    fn in_lake(
        &self,
        context: &SessionContext,
        table: &'static Table,
        files: Vec<Object>,
        run: &Arc<Run>,
    ) -> Result<DataFrame, EngineError> {
        for file in &files {
            if let At::Remote(..) = &file.at {
                // DataFusion wants a store by that name, and its reader of Parquet does without.
                let url = lake::store_of(file)?;
                context.register_object_store(url.as_ref(), Arc::new(InMemory::new()));
            }
        }
        let files = LakeTable::new(table, files, self.scope.clone(), Arc::clone(run));
        Ok(context.read_table(Arc::new(files))?)
    }
}

#[async_trait]
impl Answers for Engine {
    fn lacking(&self, table: &'static str) -> Option<Missing> {
        let has_objects = self
            .objects()
            .any(|(name, count)| name == table && count > 0);
        match read::log(table) {
            None => Some(Missing::Reader { table }),
            Some(_) if !has_objects => Some(Missing::Logs { table }),
            Some(_) => None,
        }
    }

    async fn alone(&self, sql: &str) -> Batches {
        self.with_all(sql, &Arc::default()).await
    }

    /// A single query that names each log once shares nothing, and has every processor instead.
    async fn together(
        &self,
        queries: &[&str],
        run: &Arc<Run>,
    ) -> Result<Vec<Batches>, EngineError> {
        let config = self.config();
        let threads = config.target_partitions();
        let mut tables = Vec::new();
        // The queries are what runs side by side.
        let context = self.context(run, config.with_target_partitions(1), |log| {
            let table = Arc::new(SharedTable::new(log));
            tables.push(Arc::clone(&table));
            table
        })?;
        let mut plans = Vec::new();
        for sql in queries {
            plans.push(plan(&context, sql).await);
        }
        if let [only] = queries
            && tables.iter().all(|table| table.scans() < 2)
        {
            return Ok(vec![self.with_all(only, run).await]);
        }
        run.add_outside(&self.listing.tally);
        for table in &tables {
            table.start(&context.state(), threads)?;
        }
        let answers = plans.into_iter().map(|plan| {
            let stream = execute_stream(plan?, context.task_ctx());
            stream.map_err(EngineError::from)
        });
        Ok(answers.collect())
    }
}

async fn plan(context: &SessionContext, sql: &str) -> Result<Arc<dyn ExecutionPlan>, EngineError> {
    let frame = context.sql_with_options(sql, only_questions()).await?;
    Ok(frame.create_physical_plan().await?)
}

/// Logs are evidence: a query reads them and writes nothing, neither tables nor files.
pub(crate) fn only_questions() -> SQLOptions {
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
}

/// The rows within a scope. One that does not say where it belongs is within.
pub(crate) fn within(table: &Table, scope: &Scope) -> Vec<Expr> {
    let moment = |at: jiff::Timestamp| {
        lit(ScalarValue::TimestampMicrosecond(
            Some(at.as_microsecond()),
            None,
        ))
    };
    let or_unknown = |column: &str, filter: Expr| filter.or(col(column).is_null());
    let mut filters = Vec::new();
    if let Some(since) = scope.since {
        filters.push(or_unknown(table.time, col(table.time).gt_eq(moment(since))));
    }
    if let Some(until) = scope.until {
        filters.push(or_unknown(table.time, col(table.time).lt(moment(until))));
    }
    for (column, wanted) in [
        (table.account, &scope.accounts),
        (table.region, &scope.regions),
    ] {
        if let (Some(column), false) = (column, wanted.is_empty()) {
            let wanted = wanted.iter().map(|one| lit(one.as_str())).collect();
            filters.push(or_unknown(column, col(column).in_list(wanted, false)));
        }
    }
    filters
}
