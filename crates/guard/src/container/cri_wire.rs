//! The part of the container runtime interface, version 1, that is read here, and of containerd's
//! own event service.
//!
//! Written by hand and minimal on purpose: a field that is not declared is skipped while decoding,
//! so a node with hundreds of pods costs no memory for mounts, resources and statuses that nobody
//! reads, and building needs no protobuf compiler. Field numbers are facts of the interface:
//! kubernetes/cri-api `pkg/apis/runtime/v1/api.proto`; containerd `api/services/events/v1` and
//! `api/types/event.proto`.

use std::collections::HashMap;

use prost::Message;

/// Selects by id; both lists take the same shape.
#[derive(Clone, PartialEq, Message)]
pub(super) struct IdFilter {
    #[prost(string, tag = "1")]
    pub(super) id: String,
}

/// `ListContainersRequest` and `ListPodSandboxRequest`, which are alike in what is used.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ListRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) filter: Option<IdFilter>,
}

/// `ListContainersResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ListContainersResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) containers: Vec<CriContainer>,
}

/// `Container`. Its annotations are the kubelet's own bookkeeping and are not read.
#[derive(Clone, PartialEq, Message)]
pub(super) struct CriContainer {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(string, tag = "2")]
    pub(super) pod_sandbox_id: String,
    #[prost(message, optional, tag = "4")]
    pub(super) image: Option<ImageSpec>,
    #[prost(map = "string, string", tag = "8")]
    pub(super) labels: HashMap<String, String>,
}

/// `ImageSpec`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ImageSpec {
    #[prost(string, tag = "1")]
    pub(super) image: String,
    #[prost(string, tag = "18")]
    pub(super) user_specified_image: String,
}

/// `ListPodSandboxResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ListPodSandboxResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) items: Vec<CriSandbox>,
}

/// `PodSandbox`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct CriSandbox {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(message, optional, tag = "2")]
    pub(super) metadata: Option<SandboxMetadata>,
    #[prost(map = "string, string", tag = "5")]
    pub(super) labels: HashMap<String, String>,
    #[prost(map = "string, string", tag = "6")]
    pub(super) annotations: HashMap<String, String>,
}

/// `PodSandboxMetadata`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SandboxMetadata {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) uid: String,
    #[prost(string, tag = "3")]
    pub(super) namespace: String,
}

/// `ContainerStatusRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerStatusRequest {
    #[prost(string, tag = "1")]
    pub(super) container_id: String,
}

/// `ContainerStatusResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerStatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<ContainerStatus>,
}

/// `ContainerStatus`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerStatus {
    #[prost(message, optional, tag = "8")]
    pub(super) image: Option<ImageSpec>,
}

/// `GetEventsRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct GetEventsRequest {}

/// `ContainerEventResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerEventResponse {
    #[prost(string, tag = "1")]
    pub(super) container_id: String,
    #[prost(int32, tag = "2")]
    pub(super) container_event_type: i32,
}

/// `CONTAINER_STOPPED_EVENT`.
pub(super) const EVENT_STOPPED: i32 = 2;
/// `CONTAINER_DELETED_EVENT`.
pub(super) const EVENT_DELETED: i32 = 3;

/// containerd's `SubscribeRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SubscribeRequest {
    #[prost(string, repeated, tag = "1")]
    pub(super) filters: Vec<String>,
}

/// containerd's `Envelope`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Envelope {
    #[prost(string, tag = "2")]
    pub(super) namespace: String,
    #[prost(string, tag = "3")]
    pub(super) topic: String,
    #[prost(message, optional, tag = "4")]
    pub(super) event: Option<AnyEvent>,
}

/// `google.protobuf.Any`, of which only the bytes matter: the topic tells the type.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AnyEvent {
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

/// `TaskStart` and `ContainerDelete` both begin with the container's id.
#[derive(Clone, PartialEq, Message)]
pub(super) struct IdEvent {
    #[prost(string, tag = "1")]
    pub(super) id: String,
}
