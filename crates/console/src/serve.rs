//! The server: listening, TLS, and what every answer carries.

mod connection;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use davylamp_ledger::{Ledger, LedgerError};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::access::{self, Oidc, OidcError, Refused};
use crate::chores::{self, Book};
use crate::config::Config;
use crate::live::Live;
use crate::notices::{Cloud, Clouds, Notices};
use crate::observe::{self, Exporter, Observe, ObserveError};
use crate::sender::Unanswered;
use crate::site::{self, Site};
use crate::store::{Store, StoreError};
use crate::{api, clocks, ingest, jobs, notices, page};

/// A page or a batch that takes longer has failed; the live stream is none of these.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A form has this many bytes at most, and this long to arrive.
const FORM_BYTES: usize = 256 << 10;
const FORM_WITHIN: Duration = Duration::from_secs(10);

/// What a browser may do with our pages: nothing but ours, and no script that stands in a page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Why there is no console.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The ledger cannot be opened.
    #[error("the ledger cannot be opened")]
    Ledger(#[from] LedgerError),
    /// What stands beside it cannot be read.
    #[error("people and tokens cannot be read")]
    Store(#[from] StoreError),
    /// What people are told of cannot be kept.
    #[error("notices cannot be kept")]
    Notices(#[from] notices::Trouble),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// It.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// People cannot be signed in by the provider.
    #[error("people cannot be signed in by the provider of `console.oidc`")]
    Oidc(#[from] OidcError),
    /// The certificate or its key cannot be used.
    #[error("the certificate in {path} cannot be used: {why}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// It cannot be watched as the configuration says.
    #[error("the console cannot be watched as the configuration says")]
    Observe(#[from] ObserveError),
}

/// A console that is not served yet.
#[derive(Debug)]
pub struct Console {
    config: Config,
    ledger: Ledger,
    store: Store,
    book: Book,
    clouds: Clouds,
}

/// A console that listens.
#[derive(Debug)]
pub struct Ready {
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    site: Site,
    exporter: Option<Exporter>,
    metrics: Option<TcpListener>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it tells what it counts.
    pub metrics_address: Option<SocketAddr>,
}

impl Console {
    /// Opens the ledger.
    ///
    /// # Errors
    /// [`ConsoleError`]
    pub async fn open(config: Config) -> Result<Self, ConsoleError> {
        let ledger = Ledger::open(&config.database, &config.options()).await?;
        let store = Store::beside(&ledger).await?;
        let book = Book::beside(&ledger, Timestamp::now()).await?;
        Ok(Self {
            config,
            ledger,
            store,
            book,
            clouds: Clouds::default(),
        })
    }

    /// Lets channels take what they need of a cloud from there.
    #[must_use]
    pub fn with_cloud(mut self, cloud: Arc<dyn Cloud>) -> Self {
        self.clouds = Clouds(Some(cloud));
        self
    }

    /// What people are told. Nothing is sent by itself until the console is served.
    ///
    /// # Errors
    /// [`ConsoleError`]
    pub async fn notices(&self) -> Result<Notices, ConsoleError> {
        let url = url(&self.config, &self.config.listen);
        Ok(self.telling(&url).await?)
    }

    async fn telling(&self, url: &str) -> Result<Notices, notices::Trouble> {
        let clouds = self.clouds.clone();
        Notices::new(&self.ledger, &self.store, &self.config, clouds, url).await
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// People and tokens.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Listens.
    ///
    /// # Errors
    /// [`ConsoleError`]
    pub async fn listen(self) -> Result<Ready, ConsoleError> {
        let tls = match self.config.has_tls() {
            true => Some(connection::tls(&self.config)?),
            false => None,
        };
        let oidc = Oidc::of(&self.config.oidc)?;
        let (observe, exporter) = Observe::new(&self.config)?;
        let (listener, address) = bind(&self.config.listen).await?;
        let (metrics, metrics_address) = match self.config.metrics.listen.as_str() {
            "" => (None, None),
            listen => {
                let (listener, address) = bind(listen).await?;
                (Some(listener), Some(address))
            }
        };
        let url = url(&self.config, &address.to_string());
        let notices = self.telling(&url).await?;
        let parts = site::Parts {
            ledger: self.ledger,
            store: self.store,
            live: Live::new(),
            notices,
            book: self.book,
            observe,
            oidc,
        };
        let site = Site::new(parts, self.config, url);
        Ok(Ready {
            listener,
            tls,
            site,
            exporter,
            metrics,
            address,
            metrics_address,
        })
    }
}

impl Ready {
    /// The address by which people reach it.
    pub fn url(&self) -> String {
        self.site.url().to_owned()
    }

    /// People and tokens.
    pub fn store(&self) -> &Store {
        self.site.store()
    }

    /// Answers until it is told to stop, and finishes what it had begun.
    pub async fn serve(self, stop: watch::Receiver<bool>) {
        let live = {
            let (site, stop) = (self.site.clone(), stop.clone());
            tokio::spawn(async move { site.live().run(site.ledger(), stop).await })
        };
        let chores = {
            let (site, stop) = (self.site.clone(), stop.clone());
            tokio::spawn(async move { chores::run(&site, stop).await })
        };
        let telling = {
            let (site, stop) = (self.site.clone(), stop.clone());
            tokio::spawn(async move { site.notices().run(stop).await })
        };
        let clocks = {
            let (site, stop) = (self.site.clone(), stop.clone());
            tokio::spawn(async move { clocks::run(site.ledger(), site.config(), stop).await })
        };
        let exporting = self
            .exporter
            .map(|exporter| tokio::spawn(exporter.run(stop.clone())));
        let app = app(&self.site);
        let metrics = async {
            if let Some(listener) = self.metrics {
                let app = observe::for_prometheus(&self.site);
                connection::serve(listener, None, app, stop.clone()).await;
            }
        };
        let pages = connection::serve(self.listener, self.tls, app, stop.clone());
        tokio::join!(metrics, pages);
        let _ = tokio::join!(live, telling, clocks, chores);
        if let Some(exporting) = exporting {
            let _ = exporting.await;
        }
        self.site.ledger().close().await;
    }
}

async fn bind(listen: &str) -> Result<(TcpListener, SocketAddr), ConsoleError> {
    let failed = |source| ConsoleError::Listen {
        address: listen.to_owned(),
        source,
    };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// The address by which people reach it, which listens at `address`.
fn url(config: &Config, address: &str) -> String {
    let scheme = if config.has_tls() { "https" } else { "http" };
    match config.url.trim_end_matches('/') {
        "" => format!("{scheme}://{address}"),
        url => url.to_owned(),
    }
}

fn app(site: &Site) -> Router {
    Router::new()
        .merge(page::routes(site))
        .merge(access::routes())
        .layer(middleware::from_fn(small))
        .merge(ingest::routes(site.config()))
        .merge(api::routes())
        .merge(observe::probes())
        .merge(jobs::routes())
        .layer(middleware::from_fn(in_time))
        .merge(page::stream())
        .fallback(page::absent)
        .layer(middleware::from_fn_with_state(
            site.clone(),
            access::sessions,
        ))
        .layer(middleware::from_fn_with_state(site.clone(), careful))
        .layer(middleware::from_fn_with_state(site.clone(), observe::watch))
        .with_state(site.clone())
}

/// Takes a form in before anything is done with it: none is large, and none comes slowly on purpose.
async fn small(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let read = axum::body::to_bytes(body, FORM_BYTES);
    match tokio::time::timeout(FORM_WITHIN, read).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(parts, bytes.into())).await,
        Ok(Err(_)) => ended(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => ended(StatusCode::REQUEST_TIMEOUT),
    }
}

/// An answer behind which nothing is read any more.
fn ended(status: StatusCode) -> Response {
    (status, [(header::CONNECTION, "close")]).into_response()
}

/// Ends what takes too long.
async fn in_time(request: Request, next: Next) -> Response {
    let is_machine = request.uri().path().starts_with("/api/");
    let answered = tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await;
    answered.unwrap_or_else(|_| match is_machine {
        true => Unanswered::Trouble("it took too long".to_owned()).into_response(),
        false => ended(StatusCode::SERVICE_UNAVAILABLE),
    })
}

/// Adds what every answer carries, but for what it says of itself otherwise.
async fn careful(State(site): State<Site>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut add = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    add(header::CONTENT_SECURITY_POLICY, POLICY);
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(header::REFERRER_POLICY, "same-origin");
    add(header::X_FRAME_OPTIONS, "DENY");
    add(header::CACHE_CONTROL, "no-store");
    for name in ["cross-origin-opener-policy", "cross-origin-resource-policy"] {
        add(HeaderName::from_static(name), "same-origin");
    }
    if site.is_secure() {
        add(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    response
}

/// Whom a request comes from: the proxy's word where there is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct From(pub IpAddr);

impl FromRequestParts<Site> for From {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Refused> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip());
        if !site.config().behind_proxy {
            return Ok(Self(peer));
        }
        // The last one is what our own proxy saw; those before are what it was told.
        let told = parts.headers.get_all("x-forwarded-for").iter().next_back();
        let last =
            told.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        Ok(Self(last.unwrap_or(peer)))
    }
}
