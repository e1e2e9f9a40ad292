//! One reading of the logs for many queries.
//!
//! All queries are planned before anything is read, so that it is known what each of their scans
//! wants. Then each log is read once, with every column that some scan wants and the bytes that any
//! of them searches for, and each scan gets its own rows and columns of it through a queue.
//!
//! What must stay true: a query gets the rows that it would have got by itself; memory is bounded
//! whatever the order in which queries take their rows; none of them waits for another for ever.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{ColumnarValue, Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};

use crate::scan::{LogTable, Reading};

mod hub;
mod queue;

pub(crate) use queue::compact;

use hub::{Hub, Seat};

/// The objects of one log as a table that many queries scan and that is read once.
pub(crate) struct SharedTable {
    log: LogTable,
    hub: Arc<Hub>,
}

/// What one scan wants.
#[derive(Clone)]
pub(crate) struct Wanted {
    /// The table's columns, by number, in the order of the scan.
    columns: Vec<usize>,
    /// What its rows must fulfil, all of it.
    filters: Vec<Expr>,
}

/// Scans that want the same rows of what is read.
struct Share {
    /// What these rows fulfil.
    filter: Option<Arc<dyn PhysicalExpr>>,
    /// Where the columns that any of the scans wants stand in what is read.
    columns: Vec<usize>,
    schema: SchemaRef,
    /// The scans by their seats, and where their columns stand among these.
    scans: Vec<(usize, Vec<usize>)>,
}

impl SharedTable {
    pub fn new(log: LogTable) -> Self {
        Self {
            log,
            hub: Arc::new(Hub::default()),
        }
    }

    /// How often the queries that were planned scan it.
    pub fn scans(&self) -> usize {
        self.hub.wanted().len()
    }

    /// Reads the log for those who have asked for it, on threads that may block. To be called when
    /// all have.
    pub fn start(&self, state: &SessionState, threads: usize) -> Result<()> {
        let wanted = self.hub.wanted();
        if wanted.is_empty() {
            return Ok(());
        }
        let table = self.log.table();
        let mut columns: BTreeSet<usize> = BTreeSet::new();
        for one in &wanted {
            columns.extend(&one.columns);
            for column in one.filters.iter().flat_map(Expr::column_refs) {
                columns.extend(table.index_of(&column.name));
            }
        }
        let columns: Vec<usize> = columns.into_iter().collect();
        let schema = Arc::new(table.schema().project(&columns)?);
        let shares = Arc::new(shares(state, &wanted, &columns, &schema)?);
        let filters: Vec<&[Expr]> = wanted.iter().map(|one| one.filters.as_slice()).collect();
        let readings = self.log.readings(&columns, &filters, threads);
        self.hub.open(readings.len());
        for reading in readings {
            let (hub, shares) = (Arc::clone(&self.hub), Arc::clone(&shares));
            tokio::task::spawn_blocking(move || read(reading, &hub, shares));
        }
        Ok(())
    }
}

/// Reads a part of the log and deals it out.
fn read(reading: Reading, hub: &Arc<Hub>, shares: Arc<Vec<Share>>) {
    let reader = hub.reader();
    let dealing = Arc::clone(hub);
    reading.read(Box::new(move |batch| match batch {
        Ok(batch) => {
            for share in shares.iter() {
                let part = share.of(&batch);
                for (seat, columns) in &share.scans {
                    let own = match &part {
                        Ok(part) if part.num_rows() == 0 => continue,
                        Ok(part) => part.project(columns).map_err(DataFusionError::from),
                        Err(error) => Err(DataFusionError::Execution(error.to_string())),
                    };
                    match own {
                        Ok(own) => dealing.push(*seat, own),
                        Err(error) => dealing.fail(*seat, error),
                    }
                }
            }
            dealing.is_wanted()
        }
        Err(error) => {
            for (seat, _) in shares.iter().flat_map(|share| &share.scans) {
                dealing.fail(*seat, DataFusionError::Execution(error.to_string()));
            }
            false
        }
    }));
    reader.done();
}

/// What is dealt out of what is read: rows that several scans want are looked for once.
fn shares(
    state: &SessionState,
    wanted: &[Wanted],
    read: &[usize],
    schema: &SchemaRef,
) -> Result<Vec<Share>> {
    let mut seats: HashMap<&[Expr], Vec<usize>> = HashMap::new();
    for (seat, one) in wanted.iter().enumerate() {
        seats.entry(&one.filters).or_default().push(seat);
    }
    let place = |column: &usize| read.binary_search(column).ok();
    let share = |(filters, seats): (&[Expr], Vec<usize>)| {
        let filter = match conjunction(filters.iter().cloned()) {
            Some(filter) => {
                let schema = DFSchema::try_from(Arc::clone(schema))?;
                Some(state.create_physical_expr(filter, &schema)?)
            }
            None => None,
        };
        let own = |seat: &usize| wanted[*seat].columns.iter().filter_map(place);
        let columns: BTreeSet<usize> = seats.iter().flat_map(own).collect();
        let columns: Vec<usize> = columns.into_iter().collect();
        let place = |column: usize| columns.binary_search(&column).ok();
        let scans = seats
            .iter()
            .map(|seat| (*seat, own(seat).filter_map(place).collect()));
        Ok(Share {
            filter,
            schema: Arc::new(schema.project(&columns)?),
            scans: scans.collect(),
            columns,
        })
    };
    seats.into_iter().map(share).collect()
}

impl Share {
    /// The rows and columns of a batch that its scans want.
    fn of(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let part = batch.project(&self.columns)?;
        let Some(filter) = &self.filter else {
            return Ok(part);
        };
        let mask = match filter.evaluate(batch)? {
            ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))) => return Ok(part),
            ColumnarValue::Scalar(_) => {
                return Ok(RecordBatch::new_empty(Arc::clone(&self.schema)));
            }
            ColumnarValue::Array(mask) => mask,
        };
        let mask = mask
            .as_any()
            .downcast_ref::<BooleanArray>()
            .ok_or_else(|| DataFusionError::Internal("a filter gives no truth".to_owned()))?;
        let kept = mask.true_count();
        if kept == batch.num_rows() {
            return Ok(part);
        }
        let filtered = filter_record_batch(&part, mask)?;
        // A few rows would keep the whole chunk that they were read from.
        Ok(match kept * 2 < batch.num_rows() {
            true => compact(&filtered)?,
            false => filtered,
        })
    }
}

impl fmt::Debug for SharedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedTable: {}", self.log.table().name)
    }
}

#[async_trait]
impl TableProvider for SharedTable {
    fn schema(&self) -> SchemaRef {
        self.log.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // They are applied to each row where it is dealt out; one that asks another query cannot.
        let is_plain = |filter: &&Expr| {
            let asks = filter.exists(|part| {
                Ok(matches!(
                    part,
                    Expr::Exists(_)
                        | Expr::InSubquery(_)
                        | Expr::ScalarSubquery(_)
                        | Expr::OuterReferenceColumn(..)
                ))
            });
            asks.is_ok_and(|asks| !asks)
        };
        Ok(filters
            .iter()
            .map(|filter| match is_plain(filter) {
                true => TableProviderFilterPushDown::Exact,
                false => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = match projection {
            Some(projection) => projection.clone(),
            None => (0..self.log.table().columns.len()).collect(),
        };
        let schema = Arc::new(self.schema().project(&columns)?);
        let seat = self.hub.take_seat(Wanted {
            columns,
            filters: filters.to_vec(),
        });
        Ok(Arc::new(SharedScan::new(schema, seat)))
    }
}

/// The part of one scan in a reading for many.
struct SharedScan {
    properties: Arc<PlanProperties>,
    seat: Arc<Seat>,
}

impl SharedScan {
    fn new(schema: Arc<Schema>, seat: Seat) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            properties: Arc::new(properties),
            seat: Arc::new(seat),
        }
    }
}

impl fmt::Debug for SharedScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedScan: seat {}", self.seat.number())
    }
}

impl DisplayAs for SharedScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl ExecutionPlan for SharedScan {
    fn name(&self) -> &str {
        "SharedScan"
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

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let seat = Arc::clone(&self.seat);
        let rows = futures::stream::poll_fn(move |context| seat.poll(context));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}
