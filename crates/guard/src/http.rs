//! `/metrics`, `/healthz` and `/readyz`.
//!
//! Whoever reaches the port can read counts and nothing else; nothing can be changed through it.
//! Which address it is, is the caller's to say and to restrict. A slow, silent or numerous client costs a bounded
//! number of descriptors for a bounded time, so the agent's own work goes on.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use crate::metrics::{self, Cryptnono, Source};

/// The address for a guard that is to be asked on this machine alone.
pub const LOOPBACK_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9474);

/// The agent's loop comes round twice a second; ten rounds missed is no longer a busy machine.
pub const BEAT_LIMIT: Duration = Duration::from_secs(5);

/// A Prometheus, a spare one and two probes come at once at most; each costs a buffer.
const CONNECTIONS_MAX: usize = 64;
/// One client keeps others out at most with this many; the rest of its connections is closed.
const CONNECTIONS_OF_ONE_MAX: usize = 4;
/// Scrapers send their whole request at once.
const HEADER_LIMIT: Duration = Duration::from_secs(1);
/// A client that does not read its answer is given up.
const CONNECTION_LIMIT: Duration = Duration::from_secs(5);
const HEADERS_MAX: usize = 64;
/// The least that hyper takes; a scraper's request has some hundred bytes.
const REQUEST_BYTES_MAX: usize = 8192;
/// With no descriptor left, accepting fails at once, again and again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the port cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Somebody else listens there.
    #[error("metrics cannot be served on {address}: the address is in use")]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The port needs a right this process lacks.
    #[error("metrics cannot be served on {address}: permission denied")]
    Denied {
        /// The address.
        address: SocketAddr,
    },
    /// The address is not this machine's.
    #[error("metrics cannot be served on {address}: this machine does not have that address")]
    NotHere {
        /// The address.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("metrics cannot be served on {address}")]
    Other {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl HttpError {
    fn new(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address },
            io::ErrorKind::PermissionDenied => Self::Denied { address },
            io::ErrorKind::AddrNotAvailable => Self::NotHere { address },
            _ => Self::Other { address, source },
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::InUse { address } => format!(
                "see who listens with `ss -ltnp 'sport = :{}'`; perhaps another guard runs here, or choose another port with --metrics",
                address.port()
            ),
            Self::Denied { address } => format!(
                "port {} needs CAP_NET_BIND_SERVICE, which the guard does without; choose one above 1023 with --metrics",
                address.port()
            ),
            Self::NotHere { .. } => {
                "see this machine's addresses with `ip address`, or use 127.0.0.1".to_owned()
            }
            Self::Other { .. } => "choose another address with --metrics".to_owned(),
        }
    }
}

/// Takes the port. Before privileges are given up, so that what follows is a matter of this socket.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, HttpError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| HttpError::new(address, source))
}

/// What the answers are made from.
#[derive(Clone)]
struct Shown {
    source: Arc<dyn Source>,
    cryptnono: Option<Arc<Cryptnono>>,
}

/// Serves until dropped. With `cryptnono_names`, that program's names are exposed as well.
pub async fn serve(
    listener: TcpListener,
    source: Arc<dyn Source>,
    cryptnono_names: bool,
) -> Infallible {
    let shown = Shown {
        source,
        cryptnono: cryptnono_names.then(Arc::default),
    };
    let pages = Router::new()
        .route("/metrics", get(metrics_page))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(async || (StatusCode::NOT_FOUND, "see /metrics, /healthz, /readyz\n"))
        .with_state(shown);
    let mut connections = tokio::task::JoinSet::new();
    let clients: Arc<Mutex<HashMap<IpAddr, usize>>> = Arc::default();
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, client) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection for metrics was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Whoever waits here would keep probes waiting: what is too much is closed at once.
        let place = Place::take(&clients, client.ip());
        let Some(place) = place.filter(|_| connections.len() < CONNECTIONS_MAX) else {
            tracing::debug!(%client, "a connection for metrics was one too many");
            continue;
        };
        let service = TowerToHyperService::new(pages.clone());
        connections.spawn(async move {
            let _place = place;
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_LIMIT)
                // A scrape every half minute is not worth a descriptor in between.
                .keep_alive(false)
                .max_headers(HEADERS_MAX)
                .max_buf_size(REQUEST_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service);
            match tokio::time::timeout(CONNECTION_LIMIT, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a connection for metrics ended badly"),
                Err(_) => tracing::debug!("a connection for metrics took too long"),
            }
        });
    }
}

/// One of the connections that a client may have.
struct Place {
    clients: Arc<Mutex<HashMap<IpAddr, usize>>>,
    client: IpAddr,
}

impl Place {
    fn take(clients: &Arc<Mutex<HashMap<IpAddr, usize>>>, client: IpAddr) -> Option<Self> {
        let mut counts = clients.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(client).or_default();
        if *count >= CONNECTIONS_OF_ONE_MAX {
            return None;
        }
        *count += 1;
        Some(Self {
            clients: Arc::clone(clients),
            client,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

async fn metrics_page(State(shown): State<Shown>) -> impl IntoResponse {
    let text = metrics::render(shown.source.as_ref(), shown.cryptnono.as_deref());
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text)
}

async fn healthz(State(shown): State<Shown>) -> (StatusCode, String) {
    let since = shown.source.health().since_beat;
    answer(
        (since >= BEAT_LIMIT)
            .then(|| format!("the agent's loop stands still for {} s", since.as_secs())),
    )
}

async fn readyz(State(shown): State<Shown>) -> (StatusCode, String) {
    let health = shown.source.health();
    answer(match (health.attached, health.list_in_force) {
        (true, true) => None,
        (false, _) => Some("the kernel programs are not attached".to_owned()),
        (true, false) => Some("no list is in force".to_owned()),
    })
}

fn answer(trouble: Option<String>) -> (StatusCode, String) {
    match trouble {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, format!("{trouble}\n")),
    }
}
