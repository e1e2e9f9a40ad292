//! What is known of a container: the pod, image and Hub user behind a process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{ContainerId, HubUser, Namespace};

/// The API a container's description was read from. The names are cryptnono's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerType {
    /// The Kubernetes container runtime interface (containerd, CRI-O).
    Cri,
    /// The Docker Engine API.
    Docker,
}

impl ContainerType {
    /// The name used in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cri => "cri",
            Self::Docker => "docker",
        }
    }
}

/// One container as its runtime describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// The runtime's id of it.
    pub id: ContainerId,
    /// Which API said so.
    pub container_type: ContainerType,
    /// Labels as the runtime holds them. Under Kubernetes these include
    /// `io.kubernetes.container.name`, `.pod.name`, `.pod.namespace` and `.pod.uid`.
    pub labels: BTreeMap<String, String>,
    /// The image as it was asked for, for example `quay.io/jupyter/base-notebook:2024`.
    pub image: Option<String>,
    /// The JupyterHub user whose server this is, where that can be told.
    pub hub_user: Option<HubUser>,
    /// The container around this one, for a build of Docker in a pod. No process inside can choose
    /// it, whereas whoever drives the inner engine chooses this one's image and labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outer: Option<Box<Container>>,
}

/// The facts about a container that the owner of a process inside it cannot choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerScope<'a> {
    /// The Kubernetes namespace.
    pub namespace: Option<&'a str>,
    /// The image as the pod asked for it.
    pub image: Option<&'a str>,
    /// The container's name within its pod.
    pub container: Option<&'a str>,
}

/// The label under which the kubelet stores a pod's namespace.
pub const LABEL_NAMESPACE: &str = "io.kubernetes.pod.namespace";
/// The label under which the kubelet stores a container's name within its pod.
pub const LABEL_CONTAINER: &str = "io.kubernetes.container.name";
/// The label under which the kubelet stores a pod's name.
pub const LABEL_POD: &str = "io.kubernetes.pod.name";
/// The label under which the kubelet stores a pod's uid.
pub const LABEL_POD_UID: &str = "io.kubernetes.pod.uid";

impl Container {
    /// The Kubernetes namespace, where there is one.
    pub fn namespace(&self) -> Option<Namespace> {
        self.labels
            .get(LABEL_NAMESPACE)
            .map(|ns| Namespace(ns.clone()))
    }

    /// The container's name inside its pod, where there is one.
    pub fn name(&self) -> Option<&str> {
        self.labels.get(LABEL_CONTAINER).map(String::as_str)
    }

    /// What a rule may be scoped by: the facts of the outermost container.
    pub fn scope(&self) -> ContainerScope<'_> {
        let trusted = self.outer.as_deref().unwrap_or(self);
        ContainerScope {
            namespace: trusted.labels.get(LABEL_NAMESPACE).map(String::as_str),
            image: trusted.image.as_deref(),
            container: trusted.name(),
        }
    }
}
