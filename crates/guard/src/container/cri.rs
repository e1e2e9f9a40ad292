//! A client of the container runtime interface (containerd, CRI-O, k3s) over its unix socket.
//!
//! Read-only: it lists, and it listens to events. The channel connects when first used and again
//! after the runtime was restarted.
//!
//! Labels come from the container's own configuration as the kubelet wrote it, which CRI keeps
//! apart from the image's labels. An image can therefore not name its namespace or pod.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use davylamp_model::container::{
    Container, ContainerType, LABEL_NAMESPACE, LABEL_POD, LABEL_POD_UID,
};
use davylamp_model::ids::{ContainerId, HubUser};
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::UnixStream;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::bounded::bounded_labels;
use super::cri_wire::{
    ContainerEventResponse, ContainerStatusRequest, ContainerStatusResponse, CriContainer,
    CriSandbox, EVENT_DELETED, EVENT_STOPPED, Envelope, GetEventsRequest, IdEvent, IdFilter,
    ImageSpec, ListContainersResponse, ListPodSandboxResponse, ListRequest, SubscribeRequest,
};
use super::hub_user;
use super::source::{AskError, Change, Described};

/// The largest answer that is decoded. The kubelet uses the same bound for the same lists.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// How long one call may take when nothing shorter bounds it. Listing on a node under memory
/// pressure takes seconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The HTTP/2 windows. The protocol's default of 64 KiB is enough for lists that are read at once,
/// and bounds what an idle connection can hold.
const WINDOW_BYTES: u32 = 65_535;

/// The containerd namespace that its CRI part works in.
const K8S_NAMESPACE: &str = "k8s.io";

const LIST_CONTAINERS: &str = "/runtime.v1.RuntimeService/ListContainers";
const LIST_SANDBOXES: &str = "/runtime.v1.RuntimeService/ListPodSandbox";
const CONTAINER_STATUS: &str = "/runtime.v1.RuntimeService/ContainerStatus";
const CONTAINER_EVENTS: &str = "/runtime.v1.RuntimeService/GetContainerEvents";
const CONTAINERD_EVENTS: &str = "/containerd.services.events.v1.Events/Subscribe";

/// A runtime that speaks CRI v1.
#[derive(Debug, Clone)]
pub struct CriClient {
    path: PathBuf,
    channel: Channel,
}

/// A stream of changes, from whichever event service the runtime has.
#[derive(Debug)]
pub enum CriEvents {
    /// `GetContainerEvents` (containerd 1.7 and later, CRI-O with pod events).
    Cri(CriEventStream),
    /// containerd's own events, which every version has.
    Containerd(ContainerdEventStream),
}

/// A subscription to `GetContainerEvents`.
#[derive(Debug)]
pub struct CriEventStream(Streaming<ContainerEventResponse>);

/// A subscription to containerd's own events.
#[derive(Debug)]
pub struct ContainerdEventStream(Streaming<Envelope>);

impl CriClient {
    /// A client for the socket at `path`. Connects when first used; must be made inside a tokio
    /// runtime.
    pub fn new(path: &Path) -> Self {
        let socket = path.to_owned();
        // The URI is only what HTTP/2 needs for its authority; the connector decides.
        let channel = Endpoint::from_static("http://localhost")
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .buffer_size(64)
            .connect_with_connector_lazy(tower::service_fn(move |_| {
                let socket = socket.clone();
                async move { UnixStream::connect(socket).await.map(TokioIo::new) }
            }));
        Self {
            path: path.to_owned(),
            channel,
        }
    }

    /// Every container and pod sandbox the runtime has.
    ///
    /// `known` gives what is already held for an id: its image needs not be asked for again.
    pub async fn list(
        &self,
        known: &(dyn Fn(&str) -> Option<Container> + Sync),
    ) -> Result<Vec<Described>, AskError> {
        let sandboxes = self.sandboxes(None).await?;
        let containers = self.containers(None).await?;
        let mut users = HashMap::with_capacity(sandboxes.len());
        let mut all = Vec::with_capacity(sandboxes.len() + containers.len());
        for sandbox in sandboxes {
            let described = describe_sandbox(sandbox);
            users.insert(
                described.container.id.as_str().to_owned(),
                described.container.hub_user.clone(),
            );
            all.push(described);
        }
        for container in containers {
            let user = match users.get(&container.pod_sandbox_id) {
                Some(user) => user.clone(),
                None => hub_user::from_container_alone(&sorted(&container.labels)),
            };
            let held = known(&container.id).and_then(|held| held.image);
            let image = match held.filter(|image| !is_bare_digest(image)) {
                Some(image) => Some(image),
                None => self.image_of(&container).await,
            };
            all.push(describe_container(container, image, user));
        }
        Ok(all)
    }

    /// One container or pod sandbox by its full id.
    pub async fn describe(&self, id: &ContainerId) -> Result<Option<Described>, AskError> {
        // The runtime also answers to a prefix of an id; only the whole one is the one asked for.
        let found = self.containers(Some(id.as_str())).await?;
        if let Some(container) = found.into_iter().find(|found| found.id == id.as_str()) {
            let sandbox = self
                .sandboxes(Some(&container.pod_sandbox_id))
                .await?
                .into_iter()
                .find(|sandbox| sandbox.id == container.pod_sandbox_id);
            let user = match sandbox {
                Some(sandbox) => describe_sandbox(sandbox).container.hub_user,
                None => hub_user::from_container_alone(&sorted(&container.labels)),
            };
            let image = self.image_of(&container).await;
            return Ok(Some(describe_container(container, image, user)));
        }
        let found = self.sandboxes(Some(id.as_str())).await?;
        Ok(found
            .into_iter()
            .find(|found| found.id == id.as_str())
            .map(describe_sandbox))
    }

    /// Subscribes to what happens to containers. Fails with [`AskError::Unserved`] where the
    /// runtime has no event service: then its lists must be polled. May wait for the first event.
    pub async fn events(&self) -> Result<CriEvents, AskError> {
        let request = GetEventsRequest {};
        match self
            .subscribe("GetContainerEvents", CONTAINER_EVENTS, request)
            .await
        {
            Ok(stream) => return Ok(CriEvents::Cri(CriEventStream(stream))),
            // A runtime may also refuse in words of its own, as where events are switched off.
            Err(AskError::Unserved { .. } | AskError::BadAnswer { .. }) => {}
            Err(error) => return Err(error),
        }
        let filters =
            ["/tasks/start", "/containers/delete"].map(|topic| format!("topic==\"{topic}\""));
        let request = SubscribeRequest {
            filters: filters.to_vec(),
        };
        let stream = self
            .subscribe("Events.Subscribe", CONTAINERD_EVENTS, request)
            .await?;
        Ok(CriEvents::Containerd(ContainerdEventStream(stream)))
    }

    /// The image as it was asked for. The kubelet asks by digest once it has pulled, and the
    /// list repeats that; the status translates it back to a name.
    async fn image_of(&self, container: &CriContainer) -> Option<String> {
        let listed = container.image.as_ref().and_then(image_name);
        if listed
            .as_deref()
            .is_some_and(|image| !is_bare_digest(image))
        {
            return listed;
        }
        let request = ContainerStatusRequest {
            container_id: container.id.clone(),
        };
        let status: Result<ContainerStatusResponse, _> = self
            .call("ContainerStatus", CONTAINER_STATUS, request)
            .await;
        let named = status
            .ok()
            .and_then(|answer| answer.status)
            .and_then(|status| status.image)
            .and_then(|image| image_name(&image));
        // The digest is still the truth about the image when its name cannot be had.
        named.or(listed)
    }

    async fn containers(&self, id: Option<&str>) -> Result<Vec<CriContainer>, AskError> {
        let answer: ListContainersResponse = self
            .call("ListContainers", LIST_CONTAINERS, by_id(id))
            .await?;
        Ok(answer.containers)
    }

    async fn sandboxes(&self, id: Option<&str>) -> Result<Vec<CriSandbox>, AskError> {
        let answer: ListPodSandboxResponse = self
            .call("ListPodSandbox", LIST_SANDBOXES, by_id(id))
            .await?;
        Ok(answer.items)
    }

    async fn call<Q, A>(
        &self,
        call: &'static str,
        path: &'static str,
        request: Q,
    ) -> Result<A, AskError>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let work = async {
            let mut grpc = self.grpc();
            grpc.ready()
                .await
                .map_err(|error| self.unreachable(&error))?;
            let answer = grpc
                .unary(
                    Request::new(request),
                    PathAndQuery::from_static(path),
                    ProstCodec::<Q, A>::default(),
                )
                .await
                .map_err(|status| self.failed(call, &status))?;
            Ok(answer.into_inner())
        };
        tokio::time::timeout(CALL_TIMEOUT, work)
            .await
            .unwrap_or(Err(AskError::Deadline { call }))
    }

    /// Opens a stream. A server may send no headers before its first message, so there is no bound
    /// here; a runtime that hangs is noticed by its lists.
    async fn subscribe<Q, A>(
        &self,
        call: &'static str,
        path: &'static str,
        request: Q,
    ) -> Result<Streaming<A>, AskError>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.grpc();
        grpc.ready()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let answer = grpc
            .server_streaming(
                Request::new(request),
                PathAndQuery::from_static(path),
                ProstCodec::<Q, A>::default(),
            )
            .await
            .map_err(|status| self.failed(call, &status))?;
        Ok(answer.into_inner())
    }

    fn grpc(&self) -> tonic::client::Grpc<Channel> {
        tonic::client::Grpc::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    fn unreachable(&self, error: &dyn std::error::Error) -> AskError {
        AskError::Unreachable {
            path: self.path.clone(),
            detail: root_cause(error),
        }
    }

    fn failed(&self, call: &'static str, status: &Status) -> AskError {
        match status.code() {
            Code::Unimplemented => AskError::Unserved { call },
            Code::DeadlineExceeded => AskError::Deadline { call },
            Code::OutOfRange => AskError::TooLarge {
                call,
                limit: MAX_ANSWER_BYTES,
            },
            // tonic wraps a failed connection in a status; its source is the system's word.
            _ if std::error::Error::source(status).is_some() => self.unreachable(status),
            code => AskError::BadAnswer {
                call,
                detail: format!("{code:?}: {}", status.message()),
            },
        }
    }
}

impl CriEvents {
    /// The next change. An error, or `None`, means that the stream is over.
    pub async fn next(&mut self) -> Result<Option<Change>, AskError> {
        loop {
            let change = match self {
                Self::Cri(CriEventStream(stream)) => {
                    match stream
                        .message()
                        .await
                        .map_err(|status| ended("GetContainerEvents", &status))?
                    {
                        None => return Ok(None),
                        Some(event) => cri_change(event),
                    }
                }
                Self::Containerd(ContainerdEventStream(stream)) => {
                    match stream
                        .message()
                        .await
                        .map_err(|status| ended("Events.Subscribe", &status))?
                    {
                        None => return Ok(None),
                        Some(envelope) => containerd_change(envelope),
                    }
                }
            };
            if let Some(change) = change {
                return Ok(Some(change));
            }
        }
    }
}

fn ended(call: &'static str, status: &Status) -> AskError {
    if status.code() == Code::Unimplemented {
        return AskError::Unserved { call };
    }
    AskError::BadAnswer {
        call,
        detail: format!("{:?}: {}", status.code(), status.message()),
    }
}

fn cri_change(event: ContainerEventResponse) -> Option<Change> {
    let id = ContainerId(event.container_id);
    match event.container_event_type {
        EVENT_STOPPED => None,
        EVENT_DELETED => Some(Change::Removed(id)),
        _ => Some(Change::Appeared(id)),
    }
}

fn containerd_change(envelope: Envelope) -> Option<Change> {
    if envelope.namespace != K8S_NAMESPACE {
        return None;
    }
    let id = ContainerId(IdEvent::decode(envelope.event?.value.as_slice()).ok()?.id);
    match envelope.topic.as_str() {
        "/tasks/start" => Some(Change::Appeared(id)),
        "/containers/delete" => Some(Change::Removed(id)),
        _ => None,
    }
}

fn by_id(id: Option<&str>) -> ListRequest {
    ListRequest {
        filter: id.map(|id| IdFilter { id: id.to_owned() }),
    }
}

fn describe_container(
    container: CriContainer,
    image: Option<String>,
    hub_user: Option<HubUser>,
) -> Described {
    let (labels, labels_cut) = bounded_labels(container.labels);
    let container = Container {
        id: ContainerId(container.id),
        container_type: ContainerType::Cri,
        labels,
        image,
        hub_user,
        outer: None,
    };
    Described {
        container,
        labels_cut,
    }
}

/// A pod's sandbox is a container too: the pause process lives in it.
fn describe_sandbox(sandbox: CriSandbox) -> Described {
    let labels: BTreeMap<_, _> = sandbox.labels.into_iter().collect();
    let annotations: BTreeMap<_, _> = sandbox
        .annotations
        .into_iter()
        .filter(|(key, _)| key == hub_user::HUB_USERNAME)
        .collect();
    let mut named = labels;
    if let Some(metadata) = sandbox.metadata {
        // The metadata is what the runtime itself keys the pod by.
        named.insert(LABEL_NAMESPACE.to_owned(), metadata.namespace);
        named.insert(LABEL_POD.to_owned(), metadata.name);
        named.insert(LABEL_POD_UID.to_owned(), metadata.uid);
    }
    let hub_user = hub_user::from_pod(&named, &annotations);
    let (labels, labels_cut) = bounded_labels(named);
    let container = Container {
        id: ContainerId(sandbox.id),
        container_type: ContainerType::Cri,
        labels,
        image: None,
        hub_user,
        outer: None,
    };
    Described {
        container,
        labels_cut,
    }
}

fn image_name(image: &ImageSpec) -> Option<String> {
    [&image.user_specified_image, &image.image]
        .into_iter()
        .find(|name| !name.is_empty())
        .cloned()
}

/// An image id rather than a name.
fn is_bare_digest(image: &str) -> bool {
    let digits = image.strip_prefix("sha256:").unwrap_or(image);
    digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn sorted(labels: &HashMap<String, String>) -> BTreeMap<String, String> {
    labels
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
#[path = "cri_tests.rs"]
mod tests;
