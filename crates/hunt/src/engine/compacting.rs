//! Rows without the longer columns that they are a part of.
//!
//! A batch of some rows keeps the whole columns that it was cut from, and every chunk of text that
//! one of its rows stands in. Groups come as such cuts, so a batch of a few megabytes keeps gigabytes
//! that other batches keep as well, and whoever counts them together takes the memory for exhausted.
//! So what sorts, or collects one side of a join, is given batches with their own values alone.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, replace_children_if_necessary,
};
use futures::StreamExt;

use crate::share::compact;

/// Puts [`Compact`] before what keeps many batches.
#[derive(Debug)]
pub(super) struct Compacting;

impl PhysicalOptimizerRule for Compacting {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            // All of a sort's input, and the side of a join that is collected first.
            if !is::<SortExec>(&plan)
                && !is::<HashJoinExec>(&plan)
                && !is::<CrossJoinExec>(&plan)
                && !is::<NestedLoopJoinExec>(&plan)
            {
                return Ok(Transformed::no(plan));
            }
            let mut children: Vec<_> = plan.children().into_iter().map(Arc::clone).collect();
            match children.first_mut() {
                Some(first) if !is::<Compact>(first) => {
                    *first = Arc::new(Compact {
                        input: Arc::clone(first),
                    });
                }
                _ => return Ok(Transformed::no(plan)),
            }
            Ok(Transformed::yes(replace_children_if_necessary(
                plan, children,
            )?))
        })
        .data()
    }

    fn name(&self) -> &str {
        "compacting"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn is<T: ExecutionPlan>(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let plan: &dyn std::any::Any = plan.as_ref();
    plan.is::<T>()
}

/// The same rows, compact.
#[derive(Debug)]
struct Compact {
    input: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for Compact {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Compact")
    }
}

impl ExecutionPlan for Compact {
    fn name(&self) -> &str {
        "Compact"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.swap_remove(0);
        Ok(Arc::new(Self { input }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        let schema = rows.schema();
        let rows = rows.map(|batch| batch.and_then(|batch| Ok(compact(&batch)?)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}
