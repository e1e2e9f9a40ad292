//! The processes of a cluster: Ballista's own, set up so that a dead one is noticed within seconds,
//! that S3 is read with what the environment says, and that our functions are known.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ballista_core::error::BallistaError;
use ballista_core::object_store::{
    runtime_env_with_s3_support, session_config_with_s3_support, session_state_with_s3_support,
};
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::start_server;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::prelude::{SessionConfig, SessionContext};
use davylamp_detect::indicator::Indicators;

use crate::functions;

/// An executor says so often that it lives.
const HEARTBEAT_SECS: u64 = 3;

/// One that has not said so for this long is dead, and its work is given to others. Ballista's own
/// three minutes are what a query with a dead executor would wait.
const DEAD_AFTER_SECS: u64 = 15;

/// How often it is looked for dead ones.
const LOOK_EVERY_SECS: u64 = 3;

/// A query waits so long for the first executor.
const NOBODY_SECS: u64 = 60;

/// A scheduler.
#[derive(Debug, Clone)]
pub struct SchedulerSetup {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The name by which executors reach it.
    pub advertise: String,
    /// What the functions look up.
    pub indicators: Arc<Indicators>,
}

/// An executor.
#[derive(Debug, Clone)]
pub struct ExecutorSetup {
    /// Where it gives what it has worked out to others; the port after it takes tasks.
    pub listen: SocketAddr,
    /// The name by which others reach it.
    pub advertise: String,
    /// The scheduler's host.
    pub scheduler_host: String,
    /// The scheduler's port.
    pub scheduler_port: u16,
    /// Tasks at once.
    pub threads: usize,
    /// The bytes that sorting and grouping may keep in memory, of all tasks together.
    pub memory_bytes: u64,
    /// Where it keeps what it has worked out until others have taken it.
    pub folder: PathBuf,
    /// What the functions look up.
    pub indicators: Arc<Indicators>,
}

fn state(config: SessionConfig, indicators: &Arc<Indicators>) -> Result<SessionState> {
    let context = SessionContext::new_with_state(session_state_with_s3_support(config)?);
    functions::register(&context, indicators);
    Ok(context.state())
}

/// Runs a scheduler until the process ends.
///
/// # Errors
/// When it cannot listen.
pub async fn scheduler(setup: SchedulerSetup) -> Result<(), BallistaError> {
    let indicators = setup.indicators;
    let config = SchedulerConfig {
        bind_host: setup.listen.ip().to_string(),
        bind_port: setup.listen.port(),
        external_host: setup.advertise,
        // Whoever asks reaches the scheduler, and need not reach every executor.
        enable_embedded_flight_proxy: true,
        executor_timeout_seconds: DEAD_AFTER_SECS,
        expire_dead_executor_interval_seconds: LOOK_EVERY_SECS,
        no_executors_grace_period_seconds: NOBODY_SECS,
        override_config_producer: Some(Arc::new(session_config_with_s3_support)),
        override_session_builder: Some(Arc::new(move |config| state(config, &indicators))),
        ..SchedulerConfig::default()
    };
    let cluster = BallistaCluster::new_from_config(&config).await?;
    start_server(cluster, setup.listen, Arc::new(config)).await
}

/// Runs an executor until the process is asked to end.
///
/// # Errors
/// When it cannot listen, or the scheduler does not answer.
pub async fn executor(setup: ExecutorSetup) -> Result<(), BallistaError> {
    let known = state(session_config_with_s3_support(), &setup.indicators)?;
    let config = ExecutorProcessConfig {
        bind_host: setup.listen.ip().to_string(),
        external_host: Some(setup.advertise),
        port: setup.listen.port(),
        grpc_port: setup.listen.port().saturating_add(1),
        scheduler_host: setup.scheduler_host,
        scheduler_port: setup.scheduler_port,
        vcores: setup.threads,
        work_dir: Some(setup.folder.to_string_lossy().into_owned()),
        executor_heartbeat_interval_seconds: HEARTBEAT_SECS,
        memory_pool_size: Some(setup.memory_bytes),
        override_function_registry: Some(Arc::new(BallistaFunctionRegistry::from(&known))),
        override_config_producer: Some(Arc::new(session_config_with_s3_support)),
        override_runtime_producer: Some(Arc::new(runtime_env_with_s3_support)),
        ..ExecutorProcessConfig::default()
    };
    start_executor_process(Arc::new(config)).await
}
