//! A real HTTP server on loopback, with TLS where it is asked for, that fails on purpose. It speaks
//! the protocol by hand, as servers of libraries do not break off where this has to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

/// What came.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What goes back.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Status, further headers, body.
    Say(u16, &'static str, Vec<u8>),
    /// The connection ends without a word.
    Reset,
    /// It ends in the middle of a body.
    Half,
    /// Nothing comes for so long, and then the connection ends.
    Silence(Duration),
}

pub fn ok() -> Reply {
    Reply::Say(200, "", Vec::new())
}

pub type Handler = Arc<dyn Fn(Request) -> Reply + Send + Sync>;

/// A server, until it is dropped.
pub struct Server {
    pub address: SocketAddr,
    /// Whom it has to be trusted by, as PEM.
    pub ca: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    pub fn start(tls: bool, handler: Handler) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), tls, handler)
    }

    pub fn start_at(address: SocketAddr, tls: bool, handler: Handler) -> Self {
        let listener = std::net::TcpListener::bind(address).expect("a free port");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("an address");
        let (acceptor, ca) = if tls {
            let (acceptor, ca) = acceptor();
            (Some(acceptor), Some(ca))
        } else {
            (None, None)
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, acceptor, handler) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            ca,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn url(&self) -> String {
        let scheme = if self.ca.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server's thread");
        }
    }
}

fn acceptor() -> (TlsAcceptor, String) {
    let _ = crypto::ring::default_provider().install_default();
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let mut ca = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).expect("a certificate");
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = rcgen::CertificateParams::new(names)
        .expect("parameters")
        .signed_by(&key, &issuer)
        .expect("a certificate");
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate.der().to_vec())],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .expect("a configuration");
    (TlsAcceptor::from(Arc::new(config)), ca_certificate.pem())
}

async fn serve(listener: std::net::TcpListener, acceptor: Option<TlsAcceptor>, handler: Handler) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, handler) = (acceptor.clone(), Arc::clone(&handler));
        tokio::spawn(async move {
            // What breaks off here is what is tested.
            let _ = match acceptor {
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => talk(stream, &handler).await,
                    Err(error) => Err(error),
                },
                None => talk(stream, &handler).await,
            };
        });
    }
}

async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    handler: &Handler,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(request) = read(&mut stream, &mut buffer).await? else {
            return Ok(());
        };
        match handler(request) {
            Reply::Say(status, headers, body) => {
                let head = format!(
                    "HTTP/1.1 {status} said\r\n{headers}content-length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&body).await?;
                stream.flush().await?;
            }
            Reply::Reset => return Ok(()),
            Reply::Half => {
                let head = b"HTTP/1.1 200 said\r\ncontent-length: 1000\r\n\r\nhalf";
                stream.write_all(head).await?;
                stream.flush().await?;
                return Ok(());
            }
            Reply::Silence(time) => {
                tokio::time::sleep(time).await;
                return Ok(());
            }
        }
    }
}

async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Request>> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let mut lines = head.lines();
    let path = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .unwrap_or_default()
        .to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    let whole = end + 4 + length;
    while buffer.len() < whole {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body = buffer[end + 4..whole].to_vec();
    buffer.drain(..whole);
    Ok(Some(Request {
        path,
        headers,
        body,
    }))
}
