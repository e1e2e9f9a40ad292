//! Clients of clusters: from a kubeconfig, from the pod's own service account, or for EKS from AWS.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::provider::ProvideCredentials;
use davylamp_model::ids::ClusterName;
use davylamp_model::resource::Place;
use futures::future::{Either, Ready, ready};
use kube::Client;
use kube::client::{Body, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::sync::Mutex;
use tower::{BoxError, Layer, Service};

use super::token::{TOKEN_USED_FOR, token};
use crate::aws::read::ReadError;
use crate::aws::session::{SessionError, Sessions, describe};

/// A cluster that does not answer for this long is taken as unreachable.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection that takes longer than this is not made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How a cluster is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterAccess {
    /// By a context of a kubeconfig.
    Kubeconfig {
        /// The file; the usual places (`KUBECONFIG`, `~/.kube/config`) where not given.
        path: Option<PathBuf>,
        /// The context; the current one where not given.
        context: Option<String>,
    },
    /// By the service account of the pod we run in.
    InCluster,
    /// As an EKS cluster: its address from AWS, and a token signed with the session's credentials.
    Eks,
}

/// A cluster that the operator has configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterEntry {
    /// Its name, as findings and tags have it.
    pub name: ClusterName,
    /// How it is reached.
    pub access: ClusterAccess,
}

/// Makes clients of clusters. A cluster that is not configured is taken as an EKS cluster of the
/// finding's account and region.
pub struct Clusters {
    sessions: Arc<Sessions>,
    entries: Vec<ClusterEntry>,
    made: Mutex<HashMap<Which, (Client, Instant)>>,
}

/// Which client of which cluster.
type Which = (Place, ClusterName, Way);

/// Why a cluster cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// There is no session for the account it is in.
    #[error("no AWS session")]
    Session(#[from] SessionError),
    /// AWS does not describe it.
    #[error("the EKS cluster cannot be described")]
    Describe(#[from] ReadError),
    /// What AWS says of it is not enough, or what is configured does not lead to it.
    #[error("{why}")]
    Configuration {
        /// What is wrong, as a clause.
        why: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    Reading,
    Writing,
}

impl fmt::Debug for Clusters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clusters")
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

impl Clusters {
    /// Clusters by these entries, and by EKS.
    pub fn new(sessions: Arc<Sessions>, entries: Vec<ClusterEntry>) -> Self {
        Self {
            sessions,
            entries,
            made: Mutex::default(),
        }
    }

    /// The clusters that are configured. The Hub's is one of them.
    pub fn configured(&self) -> impl Iterator<Item = &ClusterName> {
        self.entries.iter().map(|entry| &entry.name)
    }

    /// A client that can only read: it refuses every request but GET before it is sent.
    pub async fn reading(
        &self,
        place: &Place,
        cluster: &ClusterName,
    ) -> Result<Client, ClusterError> {
        self.client(place, cluster, Way::Reading).await
    }

    /// A client that can also write. Only `respond` may call this; a test looks.
    pub async fn writing(
        &self,
        place: &Place,
        cluster: &ClusterName,
    ) -> Result<Client, ClusterError> {
        self.client(place, cluster, Way::Writing).await
    }

    async fn client(
        &self,
        place: &Place,
        cluster: &ClusterName,
        way: Way,
    ) -> Result<Client, ClusterError> {
        let key = (place.clone(), cluster.clone(), way);
        // Held while a client is made, so that a storm of findings makes one and not hundreds.
        let mut made = self.made.lock().await;
        if let Some((client, at)) = made.get(&key)
            && at.elapsed() < TOKEN_USED_FOR
        {
            return Ok(client.clone());
        }
        let mut config = self.config(place, cluster).await?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.read_timeout = Some(READ_TIMEOUT);
        config.reset_reader_on_write = true;
        // Otherwise one call may last minutes, a refused eviction for one: the caller repeats.
        config.default_retry = false;
        let builder = ClientBuilder::try_from(config).map_err(|error| configuration(&error))?;
        let client = match way {
            Way::Reading => builder.with_layer(&OnlyGet).build(),
            Way::Writing => builder.build(),
        };
        made.insert(key, (client.clone(), Instant::now()));
        Ok(client)
    }

    async fn config(
        &self,
        place: &Place,
        cluster: &ClusterName,
    ) -> Result<kube::Config, ClusterError> {
        // Shared with the AWS clients; a second installation is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let access = self
            .entries
            .iter()
            .find(|entry| entry.name == *cluster)
            .map_or(&ClusterAccess::Eks, |entry| &entry.access);
        match access {
            ClusterAccess::Kubeconfig { path, context } => {
                let options = KubeConfigOptions {
                    context: context.clone(),
                    ..KubeConfigOptions::default()
                };
                let file = match path {
                    Some(path) => Kubeconfig::read_from(path),
                    None => Kubeconfig::read(),
                }
                .map_err(|error| configuration(&error))?;
                kube::Config::from_custom_kubeconfig(file, &options)
                    .await
                    .map_err(|error| configuration(&error))
            }
            ClusterAccess::InCluster => {
                kube::Config::incluster().map_err(|error| configuration(&error))
            }
            ClusterAccess::Eks => self.eks(place, cluster).await,
        }
    }

    async fn eks(
        &self,
        place: &Place,
        cluster: &ClusterName,
    ) -> Result<kube::Config, ClusterError> {
        let session = self.sessions.reading(place).await?;
        let answer = session
            .eks()
            .describe_cluster()
            .name(cluster.as_str())
            .send()
            .await
            .map_err(|error| ReadError::of("eks:DescribeCluster", &error))?;
        let lacks = |what: &str| ClusterError::Configuration {
            why: format!("AWS names no {what} of the cluster: it is being made or deleted"),
        };
        let described = answer.cluster().ok_or_else(|| lacks("description"))?;
        let endpoint = described.endpoint().ok_or_else(|| lacks("endpoint"))?;
        let authority = described
            .certificate_authority()
            .and_then(|authority| authority.data())
            .ok_or_else(|| lacks("certificate authority"))?;
        let credentials = session
            .credentials()
            .ok_or_else(|| ClusterError::Configuration {
                why: "there are no credentials to sign a token with".to_owned(),
            })?
            .provide_credentials()
            .await
            .map_err(|error| configuration(&error))?;
        let token = token(cluster, &place.region, &credentials, SystemTime::now())
            .map_err(|error| configuration(&error))?;
        // By way of a kubeconfig, because that is what reads the authority as EKS gives it.
        let file: Kubeconfig = serde_json::from_value(serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "eks", "cluster": {
                "server": endpoint,
                "certificate-authority-data": authority,
            }}],
            "users": [{"name": "eks", "user": {"token": token.expose()}}],
            "contexts": [{"name": "eks", "context": {"cluster": "eks", "user": "eks"}}],
            "current-context": "eks",
        }))
        .map_err(|error| configuration(&error))?;
        kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
            .await
            .map_err(|error| configuration(&error))
    }
}

fn configuration(error: &(dyn std::error::Error + 'static)) -> ClusterError {
    ClusterError::Configuration {
        why: describe(error),
    }
}

/// Refuses every request that could change something.
#[derive(Debug, Clone, Copy)]
struct OnlyGet;

/// A request would have changed something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{method} {path} is not sent: this client only reads")]
pub struct NotGet {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
}

impl<S> Layer<S> for OnlyGet {
    type Service = Reader<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Reader { inner }
    }
}

/// The service behind `OnlyGet`.
#[derive(Debug, Clone)]
pub struct Reader<S> {
    inner: S,
}

impl<S> Service<http::Request<Body>> for Reader<S>
where
    S: Service<http::Request<Body>, Error = BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Either<S::Future, Ready<Result<S::Response, BoxError>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.method() == http::Method::GET {
            return Either::Left(self.inner.call(request));
        }
        Either::Right(ready(Err(Box::new(NotGet {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
        }))))
    }
}
