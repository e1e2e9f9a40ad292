//! Functions of the field for people who write SQL. Hunts use the columns that the readers work
//! out instead, so that their text runs on every engine.
//!
//! To add one, write it in the module of its subject and name it in that module's `all`.

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionContext;
use davylamp_detect::indicator::Indicators;

mod identity;
mod lookup;
mod network;
mod scalar;
mod text;
mod time;

/// A function with what it does, in one line.
#[derive(Debug, Clone)]
pub struct Function {
    /// How it is called.
    pub usage: &'static str,
    /// What it says.
    pub about: &'static str,
    /// What DataFusion calls.
    pub udf: ScalarUDF,
}

/// Every function.
pub fn all(indicators: &Arc<Indicators>) -> Vec<Function> {
    let mut all = network::all();
    all.extend(lookup::all(indicators));
    all.extend(text::all());
    all.extend(identity::all());
    all.extend(time::all());
    all
}

/// Makes every function known to a context.
pub(crate) fn register(context: &SessionContext, indicators: &Arc<Indicators>) {
    for function in all(indicators) {
        context.register_udf(function.udf);
    }
}
