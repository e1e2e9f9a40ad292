//! Connections: TLS, slow peers, and an orderly end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::ConsoleError;
use crate::config::Config;

/// A peer has this long for its greeting, and for the headers of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long what was begun may take once the console ends.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// So much is kept for a peer that reads slowly, and of the head of a request.
const BUFFER_BYTES: usize = 64 << 10;
/// So many connections at once; more wait to be accepted.
const CONNECTIONS: usize = 2048;

/// What TLS needs.
pub(super) fn tls(config: &Config) -> Result<Arc<rustls::ServerConfig>, ConsoleError> {
    let wrong = |path: &std::path::Path, why: String| ConsoleError::Certificate {
        path: path.to_owned(),
        why,
    };
    let (certificates, key) = (&config.tls_certificate_file, &config.tls_key_file);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(certificates, error.to_string()))?;
    let secret =
        PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let built = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(chain, secret)
        })
        .map_err(|error| wrong(certificates, error.to_string()))?;
    Ok(Arc::new(built))
}

/// Accepts connections until it is told to stop, and lets those that are there finish.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    app: Router,
    mut stop: watch::Receiver<bool>,
) {
    let acceptor = tls.map(TlsAcceptor::from);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Too many open files, mostly: others will be closed.
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (acceptor, app, stop) = (acceptor.clone(), app.clone(), stop.clone());
        tokio::spawn(async move {
            connection(stream, peer, acceptor, app, stop).await;
            drop(place);
        });
    }
    drop(listener);
    // Each connection has a place for as long as it lives.
    let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(ENDS_WITHIN, places.acquire_many(all)).await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    app: Router,
    stop: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    match acceptor {
        None => http(stream, peer, app, stop).await,
        Some(acceptor) => match tokio::time::timeout(HEAD_WITHIN, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => http(stream, peer, app, stop).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS came about"),
            Err(_) => tracing::debug!(%peer, "a peer did not greet in time"),
        },
    }
}

async fn http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: SocketAddr,
    app: Router,
    mut stop: watch::Receiver<bool>,
) {
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        app.clone().oneshot(request.map(axum::body::Body::new))
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let asked = async { stop.wait_for(|stop| *stop).await.map(drop) };
    let done = tokio::select! {
        done = connection.as_mut() => Some(done),
        _ = asked => None,
    };
    let done = match done {
        Some(done) => done,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = done {
        tracing::debug!(%peer, %error, "a connection broke");
    }
}
