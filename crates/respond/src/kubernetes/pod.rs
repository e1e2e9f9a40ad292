//! Pods: deleted or evicted.

use davylamp_model::ids::{Namespace, PodName};
use serde_json::{Value, json};

use super::objects::{Kind, Objects, Under, only};
use crate::actuator::{ActError, Checked, Verified};

/// What a pod has to end in. Not nothing: with no grace the API server forgets the pod at once,
/// and its containers may run on unseen where the kubelet cannot be reached. Not the usual half
/// minute, which a miner would use.
const GRACE_SECS: u32 = 1;

/// A pod as the plan saw it.
#[derive(Debug, Clone, Copy)]
pub(super) struct PodRef<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) uid: &'a str,
}

impl<'a> PodRef<'a> {
    pub(super) fn new(namespace: &'a Namespace, name: &'a PodName, uid: &'a str) -> Self {
        Self {
            namespace: namespace.as_str(),
            name: name.as_str(),
            uid,
        }
    }

    /// The pod, if the one of its name is still this one.
    pub(super) async fn find(self, objects: &Objects) -> Result<Option<Value>, ActError> {
        let pod = objects.get(Kind::POD, self.namespace, self.name).await?;
        Ok(pod.filter(|pod| pod["metadata"]["uid"] == self.uid))
    }
}

pub(super) async fn check(objects: &Objects, pod: &PodRef<'_>) -> Result<Checked, ActError> {
    Ok(match pod.find(objects).await? {
        None => Checked::Already {
            note: "the pod is gone".to_owned(),
        },
        Some(found) => Checked::Needed {
            before: json!({
                "labels": found["metadata"]["labels"],
                "owners": found["metadata"]["ownerReferences"],
                "node": found["spec"]["nodeName"],
                "phase": found["status"]["phase"],
            }),
        },
    })
}

pub(super) async fn delete(objects: &Objects, pod: &PodRef<'_>) -> Result<(), ActError> {
    objects
        .delete(
            Kind::POD,
            pod.namespace,
            pod.name,
            &only(pod.uid, GRACE_SECS),
        )
        .await
}

/// Evicts a pod. Where a disruption budget does not allow that, it is deleted if `or_delete`, and
/// else the step is tried again later.
pub(super) async fn evict(
    objects: &Objects,
    pod: &PodRef<'_>,
    or_delete: bool,
) -> Result<(), ActError> {
    // Written out here, because kube 5.0 spells the member `delete_options`, which the API server
    // leaves unread: the pod of that name would be evicted whatever its uid.
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": { "name": pod.name, "namespace": pod.namespace },
        "deleteOptions": {
            "preconditions": { "uid": pod.uid },
            "gracePeriodSeconds": GRACE_SECS,
        },
    });
    let outcome = objects
        .create_under(Kind::POD, pod.namespace, pod.name, "eviction", &eviction)
        .await?;
    match outcome {
        Under::Created | Under::Gone => Ok(()),
        Under::OverBudget(_) if or_delete => delete(objects, pod).await,
        Under::OverBudget(error) => Err(error),
    }
}

pub(super) async fn verify_gone(objects: &Objects, pod: &PodRef<'_>) -> Result<Verified, ActError> {
    Ok(match pod.find(objects).await? {
        None => Verified::Done {
            note: "the pod is gone".to_owned(),
        },
        Some(found) if found["metadata"]["deletionTimestamp"].is_string() => Verified::Pending {
            what: "the pod to end".to_owned(),
        },
        Some(_) => Verified::Failed {
            why: "the pod is still there".to_owned(),
        },
    })
}
