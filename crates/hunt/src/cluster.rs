//! A cluster of Ballista as an engine over a lake.
//!
//! What must stay true: the cluster reads the lake's files itself, so no raw log is given to it, and
//! its answers are those of our own engine over the same lake. Deliberately not here: anything
//! distributed, which is Ballista's.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ballista::prelude::{SessionConfigExt, SessionContextExt};
use datafusion::arrow::datatypes::DataType;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, col, lit};
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use jiff::tz::TimeZone;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use crate::elsewhere::Elsewhere;
use crate::engine::{Batches, Engine, EngineError, Setup, only_questions, within};
use crate::functions;
use crate::lake::{ACCOUNT, DATE, REGION, ROWS, UNKNOWN};
use crate::objects::{At, Object, Scope};
use crate::read::LOGS;
use crate::run::{Answers, Missing};
use crate::table::Table;
use crate::tally::Tally;

#[cfg(feature = "ballista-server")]
mod server;

#[cfg(feature = "ballista-server")]
pub use server::{ExecutorSetup, SchedulerSetup, executor, scheduler};

/// Where a scheduler listens if nothing is said.
pub const PORT: u16 = 50050;

/// A scheduler that does not answer within this time is none.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Folders between a file of the lake and that of its table: account, region and day.
const SPLIT_BY: [&str; 3] = [ACCOUNT, REGION, DATE];

/// A cluster, and a lake it is asked about.
pub struct Cluster {
    /// What was found of the lake.
    lake: Engine,
    context: SessionContext,
}

/// Why a cluster cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The scheduler's address is none.
    #[error("{0:?} is no address of a scheduler, such as df://localhost:50050")]
    Address(String),
    /// Nobody answers there.
    #[error("no scheduler answers at {at}")]
    Unreachable {
        /// Where.
        at: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Logs as they lie were given.
    #[error("a cluster reads a lake, and {0} is a log as it lies")]
    Raw(String),
    /// The lake cannot be listed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A table cannot be set up.
    #[error("the tables of the lake cannot be set up")]
    Table(#[from] DataFusionError),
}

impl Cluster {
    /// A cluster by the address of its scheduler, `df://HOST:PORT`, about the lake at the setup's
    /// locations. Its processes must reach the files under the same names. Each stage of a query has as
    /// many tasks as the setup has threads, or as Ballista thinks right.
    ///
    /// # Errors
    /// When the scheduler does not answer, the lake cannot be listed, or there are raw logs in it.
    pub async fn connect(scheduler: &str, setup: Setup) -> Result<Self, ClusterError> {
        let (address, parts) = (address(scheduler)?, setup.threads);
        let given = Arc::clone(&setup.given.indicators);
        let lake = Engine::open(setup).await?;
        if let Some(object) = lake.raw().values().flatten().next() {
            return Err(ClusterError::Raw(object.name.to_string()));
        }
        reach(&address).await?;
        // Ballista's adaptive planner plans the whole query anew whenever a stage ends, which takes
        // longer than a hunt's stages do.
        let config = SessionConfig::new_with_ballista()
            .with_ballista_adaptive_query_planner(false)
            .with_information_schema(true)
            .with_ballista_job_name("davy hunt");
        let config = match parts {
            Some(parts) => config.with_target_partitions(parts),
            None => config,
        };
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_default_features()
            .build();
        let context = SessionContext::remote_with_state(&format!("df://{address}"), state).await?;
        functions::register(&context, &given);
        let files = lake.lake().values().flatten();
        let roots: BTreeSet<Url> = files.map(root).collect::<Result<_, _>>()?;
        for log in LOGS {
            register(&context, log.table(), &roots, lake.scope())?;
        }
        Ok(Self { lake, context })
    }
}

/// `HOST:PORT` of a scheduler's address.
fn address(scheduler: &str) -> Result<String, ClusterError> {
    let wrong = || ClusterError::Address(scheduler.to_owned());
    let url = match scheduler.contains("://") {
        true => Url::parse(scheduler),
        false => Url::parse(&format!("df://{scheduler}")),
    };
    let url = url.map_err(|_| wrong())?;
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or_else(wrong)?;
    Ok(format!("{host}:{}", url.port().unwrap_or(PORT)))
}

/// Ballista itself would say so minutes later.
async fn reach(address: &str) -> Result<(), ClusterError> {
    let reached = timeout(CONNECT_WITHIN, TcpStream::connect(address)).await;
    let reached = reached.unwrap_or_else(|late| Err(late.into()));
    reached
        .map(drop)
        .map_err(|source| ClusterError::Unreachable {
            at: address.to_owned(),
            source,
        })
}

/// Makes a table known: its folders as one split by Hive's folders, and over it no more than is asked
/// for, with no column that is not ours. A lake without such a folder has no rows of it.
fn register(
    context: &SessionContext,
    table: &'static Table,
    roots: &BTreeSet<Url>,
    scope: &Scope,
) -> Result<(), DataFusionError> {
    let folders = roots.iter().map(|root| {
        let folder = root.join(&format!("{}/", table.name));
        let folder = folder.map_err(|error| DataFusionError::External(Box::new(error)))?;
        ListingTableUrl::try_new(folder, None)
    });
    let split_by = SPLIT_BY.map(|name| (name.to_owned(), DataType::Utf8));
    let options = ListingOptions::new(Arc::new(ParquetFormat::default()))
        .with_file_extension(format!(".{ROWS}"))
        .with_table_partition_cols(split_by.into());
    let folders: Vec<ListingTableUrl> = folders.collect::<Result<_, _>>()?;
    if folders.is_empty() {
        return Ok(());
    }
    let config = ListingTableConfig::new_with_multi_paths(folders)
        .with_listing_options(options)
        .with_schema(table.schema());
    let source = provider_as_source(Arc::new(ListingTable::try_new(config)?));
    let plan = LogicalPlanBuilder::scan(table.name, source, None)?.build()?;
    let mut frame = DataFrame::new(context.state(), plan);
    let folders = within_folders(scope);
    for filter in folders.into_iter().chain(within(table, scope)) {
        frame = frame.filter(filter)?;
    }
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let frame = frame.select_columns(&columns)?;
    context.register_table(table.name, frame.into_view())?;
    Ok(())
}

/// The folder of a file's lake.
fn root(file: &Object) -> Result<Url, DataFusionError> {
    let wrong = || DataFusionError::Plan(format!("{} lies in no folder of a lake", file.name));
    match &file.at {
        At::File(path) => {
            let path = path.canonicalize()?;
            let folder = path.ancestors().nth(SPLIT_BY.len() + 2).ok_or_else(wrong)?;
            Url::from_directory_path(folder).map_err(|()| wrong())
        }
        At::Remote(..) => {
            let mut name = file.name.as_ref();
            for _ in 0..SPLIT_BY.len() + 2 {
                name = name.rsplit_once('/').ok_or_else(wrong)?.0;
            }
            Url::parse(&format!("{name}/")).map_err(|_| wrong())
        }
    }
}

/// What of the folders is asked for. Rows that do not say where or when they belong may be anything.
fn within_folders(scope: &Scope) -> Vec<Expr> {
    let or_unknown = |folder: &str, filter: Expr| filter.or(col(folder).eq(lit(UNKNOWN)));
    let day = |at: jiff::Timestamp| lit(at.to_zoned(TimeZone::UTC).date().to_string());
    let mut filters = Vec::new();
    if let Some(at) = scope.since {
        filters.push(or_unknown(DATE, col(DATE).gt_eq(day(at))));
    }
    if let Some(at) = scope.until {
        filters.push(or_unknown(DATE, col(DATE).lt_eq(day(at))));
    }
    for (folder, wanted) in [(ACCOUNT, &scope.accounts), (REGION, &scope.regions)] {
        if !wanted.is_empty() {
            let wanted = wanted.iter().map(|one| lit(one.as_str())).collect();
            filters.push(or_unknown(folder, col(folder).in_list(wanted, false)));
        }
    }
    filters
}

#[async_trait]
impl Elsewhere for Cluster {
    async fn ask(&self, sql: &str) -> Batches {
        let frame = self.context.sql_with_options(sql, only_questions()).await?;
        Ok(frame.execute_stream().await?)
    }

    fn lacking(&self, table: &'static str) -> Option<Missing> {
        Answers::lacking(&self.lake, table)
    }

    fn outside(&self) -> Tally {
        self.lake.outside().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheduler_has_an_address() {
        for (text, address) in [
            ("df://localhost:50050", "localhost:50050"),
            ("http://10.0.0.7:7", "10.0.0.7:7"),
            ("scheduler.hunt.svc", "scheduler.hunt.svc:50050"),
            ("scheduler:1", "scheduler:1"),
        ] {
            assert_eq!(super::address(text).expect("an address"), address);
        }
        for wrong in ["", "df://", "df://:1", "http://a:99999"] {
            assert!(super::address(wrong).is_err(), "{wrong}");
        }
    }
}
