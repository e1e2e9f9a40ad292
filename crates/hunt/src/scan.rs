//! A log as a table that DataFusion can scan.
//!
//! What must stay true: a filter is used to leave out what cannot satisfy it, and DataFusion still
//! applies it to every row; whatever is left out is counted.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::TableType;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};

use crate::needle::Needles;
use crate::objects::{Object, Scope};
use crate::read::{Emit, Given, Log, Order};
use crate::table::Table;
use crate::tally::{Run, Tally};
use crate::unpack::Caps;

mod drive;
pub(crate) mod filters;

use drive::{Job, drive};

/// Batches that wait for whoever takes them, for each partition: enough that neither side stands
/// still, few enough that memory stays bounded.
const WAITING_BATCHES: usize = 2;

/// The objects of one log as a table.
#[derive(Debug)]
pub struct LogTable {
    log: &'static dyn Log,
    objects: Vec<Object>,
    scope: Scope,
    given: Arc<Given>,
    caps: Caps,
    run: Arc<Run>,
}

impl LogTable {
    /// A table over these objects, of which only those within the scope are opened.
    pub fn new(
        log: &'static dyn Log,
        objects: Vec<Object>,
        scope: Scope,
        given: Arc<Given>,
        caps: Caps,
        run: Arc<Run>,
    ) -> Self {
        Self {
            log,
            objects,
            scope,
            given,
            caps,
            run,
        }
    }

    /// What it is the table of.
    pub(crate) fn table(&self) -> &'static Table {
        self.log.table()
    }

    /// One reading, in parts that can be read at the same time, of these columns and of all records
    /// that one of several lists of filters may be fulfilled by.
    pub(crate) fn readings(
        &self,
        columns: &[usize],
        filters: &[&[Expr]],
        most: usize,
    ) -> Vec<Reading> {
        let searched = filters::searched_by_any(self.log.table(), filters);
        let values = searched.iter().map(|(_, values)| values.as_slice());
        let order = Order {
            columns: columns.into(),
            needles: Arc::new(Needles::new(self.log.spelling(), values)),
            given: Arc::clone(&self.given),
        };
        let job = self.job(order);
        let parts = shares(self.inside(&self.scope), most).into_iter();
        parts
            .map(|objects| Reading {
                objects,
                job: job.clone(),
            })
            .collect()
    }

    fn job(&self, order: Order) -> Job {
        Job {
            log: self.log,
            order,
            caps: self.caps,
            run: Arc::clone(&self.run),
        }
    }

    /// The objects within a scope; the others are counted, as is the scan.
    fn inside(&self, scope: &Scope) -> Vec<&Object> {
        let table = self.log.table();
        let (inside, outside): (Vec<&Object>, Vec<&Object>) = self
            .objects
            .iter()
            .partition(|object| scope.may_hold(&object.layout));
        let mut tally = Tally {
            objects_pruned: outside.len() as u64,
            is_without_objects: self.objects.is_empty(),
            scans: 1,
            ..Tally::default()
        };
        if self.objects.is_empty() {
            let what = "none of the logs given is one of this table";
            tally.sample(|| table.name.to_owned(), what);
        }
        self.run.add(table.name, &tally);
        inside
    }

    fn order(&self, projection: Option<&Vec<usize>>, filters: &[Expr]) -> Order {
        let table = self.log.table();
        let columns = match projection {
            Some(projection) => projection.clone(),
            None => (0..table.columns.len()).collect(),
        };
        let searched = filters::searched(table, filters);
        let values = searched.iter().map(|(_, values)| values.as_slice());
        Order {
            columns: columns.into(),
            needles: Arc::new(Needles::new(self.log.spelling(), values)),
            given: Arc::clone(&self.given),
        }
    }
}

#[async_trait]
impl TableProvider for LogTable {
    fn schema(&self) -> SchemaRef {
        self.log.table().schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // Exact would mean that no row comes that fails the filter, which no search can promise.
        let table = self.log.table();
        let is_used = |filter: &&Expr| {
            let filter = std::slice::from_ref(*filter);
            !filters::searched(table, filter).is_empty()
                || filters::between(table, filter) != (None, None)
        };
        Ok(filters
            .iter()
            .map(|filter| match is_used(filter) {
                true => TableProviderFilterPushDown::Inexact,
                false => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let table = self.log.table();
        let (since, until) = filters::between(table, filters);
        let inside = self.inside(&self.scope.and(since, until));
        let order = self.order(projection, filters);
        let schema = match projection {
            Some(projection) => Arc::new(self.schema().project(projection)?),
            None => self.schema(),
        };
        let shares = shares(inside, state.config().target_partitions());
        Ok(Arc::new(LogScan::new(schema, shares, self.job(order))))
    }
}

/// A part of a log, to be read on a thread that may block.
pub(crate) struct Reading {
    objects: Arc<[Object]>,
    job: Job,
}

impl Reading {
    /// Reads it and hands its rows on.
    pub fn read(&self, mut emit: Emit) {
        let job = self.job.clone();
        let counting = move |batch: std::result::Result<RecordBatch, ArrowError>| {
            if let Ok(batch) = &batch {
                job.fill(batch);
            }
            emit(batch)
        };
        drive(&self.job, &self.objects, Box::new(counting));
    }
}

/// Deals objects out so that each share has about as many bytes: the largest first, each to the
/// share that has least.
fn shares(mut objects: Vec<&Object>, most: usize) -> Vec<Arc<[Object]>> {
    let count = most.min(objects.len()).max(1);
    objects.sort_by_key(|object| std::cmp::Reverse(object.size));
    let mut shares = vec![(0_u64, Vec::new()); count];
    for object in objects {
        if let Some((bytes, share)) = shares.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            // An object costs something to open, however small it is.
            *bytes = bytes.saturating_add(object.size).saturating_add(4096);
            share.push(object.clone());
        }
    }
    let in_order = |(_, mut share): (u64, Vec<Object>)| {
        share.sort_by(|a, b| a.name.cmp(&b.name));
        share.into()
    };
    shares.into_iter().map(in_order).collect()
}

/// The reading of a log in several parts.
struct LogScan {
    properties: Arc<PlanProperties>,
    shares: Vec<Arc<[Object]>>,
    job: Job,
}

impl LogScan {
    fn new(schema: Arc<Schema>, shares: Vec<Arc<[Object]>>, job: Job) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(shares.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            properties: Arc::new(properties),
            shares,
            job,
        }
    }
}

impl fmt::Debug for LogScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.job.log.table().name;
        let objects: usize = self.shares.iter().map(|share| share.len()).sum();
        let searched = match self.job.order.needles.is_empty() {
            true => "",
            false => ", searched before parsing",
        };
        write!(
            f,
            "LogScan: {table}, {objects} objects in {} shares{searched}",
            self.shares.len()
        )
    }
}

impl DisplayAs for LogScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl ExecutionPlan for LogScan {
    fn name(&self) -> &str {
        "LogScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let mut stream = RecordBatchReceiverStreamBuilder::new(schema, WAITING_BATCHES);
        let batches = stream.tx();
        let objects = Arc::clone(&self.shares[partition]);
        let job = self.job.clone();
        stream.spawn_blocking(move || {
            let reading = Reading { objects, job };
            reading.read(Box::new(move |batch| {
                batches.blocking_send(batch.map_err(Into::into)).is_ok()
            }));
            Ok(())
        });
        Ok(stream.build())
    }
}
