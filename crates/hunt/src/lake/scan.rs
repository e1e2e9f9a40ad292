//! A table of the lake, read by DataFusion's own reader of Parquet.
//!
//! What must stay true: the columns are those that the readers of raw logs give; a file whose
//! folders say that it holds nothing of what is asked is not opened, and is counted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::{ConfigOptions, TableParquetOptions};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, Result};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::object_store::path::Path;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;

use super::remote::Files;
use crate::objects::{At, Bucket, Object, Scope};
use crate::scan::filters;
use crate::table::Table;
use crate::tally::{Run, Tally};

/// The files of one table of a lake.
#[derive(Debug)]
pub(crate) struct LakeTable {
    table: &'static Table,
    files: Vec<Object>,
    scope: Scope,
    run: Arc<Run>,
}

impl LakeTable {
    /// A table over these files, of which only those within the scope are opened.
    pub fn new(table: &'static Table, files: Vec<Object>, scope: Scope, run: Arc<Run>) -> Self {
        Self {
            table,
            files,
            scope,
            run,
        }
    }

    /// The files that may hold rows that are asked for; the others are counted.
    fn inside(&self, filters: &[Expr]) -> Vec<&Object> {
        let (since, until) = filters::between(self.table, filters);
        let mut scope = self.scope.and(since, until);
        for (column, asked) in [
            (self.table.account, &mut scope.accounts),
            (self.table.region, &mut scope.regions),
        ] {
            if let Some(values) = column.and_then(|column| filters::values(column, filters)) {
                match asked.is_empty() {
                    true => *asked = values,
                    false => asked.retain(|one| values.contains(one)),
                }
            }
        }
        let (inside, outside): (Vec<&Object>, Vec<&Object>) = self
            .files
            .iter()
            .partition(|file| scope.may_hold(&file.layout));
        let tally = Tally {
            scans: 1,
            objects: inside.len() as u64,
            objects_pruned: outside.len() as u64,
            bytes_in: inside.iter().map(|file| file.size).sum(),
            ..Tally::default()
        };
        self.run.add(self.table.name, &tally);
        inside
    }
}

/// The files that lie in one store.
struct Store {
    url: ObjectStoreUrl,
    bucket: Option<Bucket>,
    files: Vec<PartitionedFile>,
}

impl Store {
    fn new(url: ObjectStoreUrl) -> Self {
        Self {
            url,
            bucket: None,
            files: Vec::new(),
        }
    }
}

/// The store that an object lies in, and its path there.
fn place(object: &Object) -> Result<(ObjectStoreUrl, Path)> {
    match &object.at {
        At::File(path) => {
            let whole = path.canonicalize()?;
            Ok((
                ObjectStoreUrl::local_filesystem(),
                Path::from_absolute_path(whole)?,
            ))
        }
        At::Remote(_, path) => Ok((store_of(object)?, Path::from(path.as_ref()))),
    }
}

/// The store of an object of a bucket, by its name.
pub(crate) fn store_of(object: &Object) -> Result<ObjectStoreUrl> {
    let rest = object.name.split_once("://").map_or("", |(_, rest)| rest);
    let bucket = rest.split('/').next().unwrap_or_default();
    ObjectStoreUrl::parse(format!("s3://{bucket}"))
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut stores: BTreeMap<String, Store> = BTreeMap::new();
        for file in self.inside(filters) {
            let (url, path) = place(file)?;
            let store = stores
                .entry(url.to_string())
                .or_insert_with(|| Store::new(url));
            if let At::Remote(bucket, _) = &file.at {
                store.bucket = Some(Arc::clone(bucket));
            }
            let file = PartitionedFile::new(String::from(path), file.size);
            store.files.push(file);
        }
        if stores.is_empty() {
            let local = ObjectStoreUrl::local_filesystem();
            stores.insert(local.to_string(), Store::new(local));
        }
        let schema = self.schema();
        let options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        let mut source = ParquetSource::new(Arc::clone(&schema))
            .with_table_parquet_options(options)
            .with_pushdown_filters(true)
            .with_reorder_filters(true);
        if let Some(filter) = conjunction(filters.iter().cloned()) {
            let named = DFSchema::try_from(Arc::clone(&schema))?;
            source = source.with_predicate(state.create_physical_expr(filter, &named)?);
        }
        let mut plans: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        // A limit is one of rows that fulfil the filters, which this reader need not apply.
        let limit = limit.filter(|_| filters.is_empty());
        for store in stores.into_values() {
            let parts = state.config().target_partitions();
            let groups = FileGroup::new(store.files).split_files(parts);
            let mut source = source.clone();
            if let Some(bucket) = store.bucket {
                let files = Arc::new(Files { bucket });
                source = source.with_parquet_file_reader_factory(files);
            }
            let config = FileScanConfigBuilder::new(store.url, Arc::new(source))
                .with_file_groups(groups)
                .with_projection_indices(projection.cloned())?
                .with_limit(limit)
                .build();
            plans.push(DataSourceExec::from_data_source(config));
        }
        let plan = match plans.len() {
            1 => plans.remove(0),
            _ => UnionExec::try_new(plans)?,
        };
        Ok(Arc::new(LakeScan {
            table: self.table,
            plan,
            run: Arc::clone(&self.run),
        }))
    }
}

/// The reading of files of the lake, counted.
struct LakeScan {
    table: &'static Table,
    plan: Arc<dyn ExecutionPlan>,
    run: Arc<Run>,
}

impl LakeScan {
    fn over(&self, plan: Arc<dyn ExecutionPlan>) -> Self {
        Self {
            table: self.table,
            plan,
            run: Arc::clone(&self.run),
        }
    }
}

/// Counts rows, and the values of each column.
fn count(table: &Table, run: &Run, batch: &RecordBatch) {
    let tally = Tally {
        records: batch.num_rows() as u64,
        ..Tally::default()
    };
    run.add(table.name, &tally);
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let counts = columns.filter_map(|(field, values)| {
        let column = table.index_of(field.name())?;
        let name = table.columns[column].name;
        Some((name, values.len() - values.null_count()))
    });
    run.fill(table.name, counts);
}

impl fmt::Debug for LakeScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LakeScan: {}", self.table.name)
    }
}

impl DisplayAs for LakeScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl ExecutionPlan for LakeScan {
    fn name(&self) -> &str {
        "LakeScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.plan.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.plan]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let [plan] = <[_; 1]>::try_from(children)
            .map_err(|_| DataFusionError::Internal("a scan of the lake has one part".to_owned()))?;
        Ok(Arc::new(self.over(plan)))
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        config: &ConfigOptions,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let plan = self.plan.repartitioned(target_partitions, config)?;
        Ok(plan.map(|plan| Arc::new(self.over(plan)) as Arc<dyn ExecutionPlan>))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let batches = self.plan.execute(partition, context)?;
        let (table, run) = (self.table, Arc::clone(&self.run));
        let schema = batches.schema();
        let counted = batches.inspect(move |batch| {
            if let Ok(batch) = batch {
                count(table, &run, batch);
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, counted)))
    }
}
