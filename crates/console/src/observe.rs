//! What the console says of itself: numbers for Prometheus, spans for OpenTelemetry, a line of the log for
//! each request, and whether it is well.
//!
//! What must stay true: no label, span or line holds what somebody else may have written. A request is
//! named by the template of its route, never by its path or query; values of labels come from sets that
//! are written down here. No secret is in any of them. What cannot be measured is absent, not zero.

mod current;
mod health;
mod meters;
mod metrics;
mod process;
mod request;
mod text;
mod trace;

use std::io;
use std::path::PathBuf;

use axum::Router;
use axum::routing::get;

use crate::config::Config;
use crate::site::Site;

pub(crate) use current::{carried, is_by, span};
pub(crate) use meters::{
    BATCHES, FINDINGS, LEFT_OUT, LINES, Meters, RETAINED, SIGN_INS, TAKING, WRITING,
};
pub(crate) use request::watch;
pub(crate) use trace::{Exporter, Tracer};

/// Why the console cannot be watched as the configuration says.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// A file that the configuration names.
    #[error("cannot read {}", path.display())]
    File {
        /// It.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What is in it is not what it should be.
    #[error("{} does not hold {wanted}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
    },
    /// There is no way to reach the receiver of traces.
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
}

/// What measures.
#[derive(Debug)]
pub(crate) struct Observe {
    pub meters: Meters,
    pub tracer: Tracer,
    health: health::Health,
    standing: metrics::Cache,
    /// What who reads metrics has to bring.
    token: Option<metrics::Token>,
}

impl Observe {
    /// What the configuration asks for, and what carries traces away.
    pub(crate) fn new(config: &Config) -> Result<(Self, Option<Exporter>), ObserveError> {
        let (tracer, exporter) = Tracer::new(&config.traces)?;
        let observe = Self {
            meters: Meters::default(),
            tracer,
            health: health::Health::of(config),
            standing: metrics::Cache::default(),
            token: metrics::token(&config.metrics.token_file)?,
        };
        Ok((observe, exporter))
    }
}

/// What those who probe ask, on every address.
pub(crate) fn probes() -> Router<Site> {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
}

/// What is served where Prometheus asks.
pub(crate) fn for_prometheus(site: &Site) -> Router {
    probes()
        .route("/metrics", get(metrics::serve))
        .with_state(site.clone())
}
