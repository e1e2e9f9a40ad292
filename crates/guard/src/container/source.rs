//! What the index asks of a container runtime, whichever API it speaks, and how that can fail.

use std::path::PathBuf;
use std::sync::Arc;

use davylamp_model::container::Container;
use davylamp_model::ids::ContainerId;

use super::cri::CriClient;
use super::docker::{DockerClient, LabelTrust};

/// Which API a socket speaks, and whose containers it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SocketKind {
    /// The Kubernetes container runtime interface, version 1.
    Cri,
    /// The Docker Engine API of this machine's own engine (Docker, cri-dockerd, podman).
    Docker,
    /// The Docker Engine API of an engine that runs inside a pod (`BinderHub` builds). It is asked
    /// only about containers whose cgroup lies below another container's, and the machine's own
    /// engine is never asked about those: the name of such a cgroup is up to whoever holds the
    /// outer container.
    DockerInPod,
}

/// A socket to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// What it speaks.
    pub kind: SocketKind,
    /// Where it is, as this process sees it.
    pub path: PathBuf,
}

impl Socket {
    /// A socket of `kind` at `path`.
    pub fn new(kind: SocketKind, path: impl Into<PathBuf>) -> Self {
        Self {
            kind,
            path: path.into(),
        }
    }

    /// Where runtimes put their sockets by default. A socket that is absent costs nothing.
    ///
    /// Sources: the Kubernetes page "Container Runtimes" (containerd, CRI-O, cri-dockerd), k3s and
    /// RKE2 (both below `/run/k3s`), `MicroK8s` (its snap's own directory), Docker and podman, and
    /// the values of the `BinderHub` chart (`dind.hostSocketDir`, `pink.hostSocketDir`).
    pub fn well_known() -> Vec<Self> {
        use SocketKind::{Cri, Docker, DockerInPod};
        [
            (Cri, "/run/containerd/containerd.sock"),
            (Cri, "/run/crio/crio.sock"),
            (Cri, "/run/k3s/containerd/containerd.sock"),
            (Cri, "/var/snap/microk8s/common/run/containerd.sock"),
            (Cri, "/run/cri-dockerd.sock"),
            (Docker, "/run/docker.sock"),
            (Docker, "/run/podman/podman.sock"),
            (DockerInPod, "/run/dind/docker.sock"),
            (DockerInPod, "/run/pink/podman.sock"),
        ]
        .into_iter()
        .map(|(kind, path)| Self::new(kind, path))
        .collect()
    }
}

/// Why a runtime gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Nobody listens at the socket.
    #[error("no container runtime answers at {}: {detail}; is it running, and is its socket mounted here?", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// The runtime does not serve this call.
    #[error("the runtime does not serve {call}")]
    Unserved {
        /// The call.
        call: &'static str,
    },
    /// The runtime refused, or answered what its API does not allow.
    #[error("the runtime answered {call} with {detail}; its own log says more")]
    BadAnswer {
        /// The call.
        call: &'static str,
        /// What came.
        detail: String,
    },
    /// The answer is larger than the guard will hold in memory.
    #[error("the answer to {call} is larger than {limit} bytes")]
    TooLarge {
        /// The call.
        call: &'static str,
        /// The bound.
        limit: usize,
    },
    /// No answer in time.
    #[error("the runtime did not answer {call} in time")]
    Deadline {
        /// The call.
        call: &'static str,
    },
}

/// What a runtime says about one container.
#[derive(Debug, Clone)]
pub struct Described {
    /// The container.
    pub container: Container,
    /// Labels that were left out because there were too many bytes of them.
    pub labels_cut: usize,
}

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was made or started: worth describing.
    Appeared(ContainerId),
    /// Its runtime forgot it.
    Removed(ContainerId),
}

/// A runtime behind a socket.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Cri(Arc<CriClient>),
    Docker(Arc<DockerClient>),
}

impl Source {
    pub(super) fn new(socket: &Socket) -> Self {
        match socket.kind {
            SocketKind::Cri => Self::Cri(Arc::new(CriClient::new(&socket.path))),
            SocketKind::Docker => Self::Docker(Arc::new(DockerClient::new(
                &socket.path,
                LabelTrust::Machine,
            ))),
            SocketKind::DockerInPod => {
                Self::Docker(Arc::new(DockerClient::new(&socket.path, LabelTrust::InPod)))
            }
        }
    }

    /// Every container it has, running or not. `known` tells which need no second question.
    pub(super) async fn list(
        &self,
        known: &(dyn Fn(&str) -> Option<Container> + Sync),
    ) -> Result<Vec<Described>, AskError> {
        match self {
            Self::Cri(client) => client.list(known).await,
            Self::Docker(client) => client.list(known).await,
        }
    }

    /// One container by its full id, or `None` when the runtime has no such container.
    pub(super) async fn describe(&self, id: &ContainerId) -> Result<Option<Described>, AskError> {
        match self {
            Self::Cri(client) => client.describe(id).await,
            Self::Docker(client) => client.describe(id).await,
        }
    }
}
