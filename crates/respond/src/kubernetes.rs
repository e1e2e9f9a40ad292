//! Kubernetes: nodes, pods, and what would start pods and nodes again.
//!
//! What must stay true: a pod is the pod with the uid that the plan saw, never another of its name;
//! undo takes back only what is still as we left it, so that nobody's later change is lost; and what
//! an object was before stands in `before`, not in the cluster, which the attacker may write to.

use std::sync::Arc;

use davylamp_model::ids::ClusterName;
use davylamp_model::resource::Place;
use davylamp_plan::action::Action;
use davylamp_plan::gate::{ActToken, UndoToken};
use serde_json::Value;

use crate::actuator::{ActError, Acting, Actuator, Checked, Reverted, Verified};

mod node;
mod objects;
mod pod;
mod quarantine;
mod workload;

pub use quarantine::{QUARANTINE_LABEL, quarantine_policy_name};

use objects::Objects;

/// Gives clients of clusters that may write.
pub trait ClusterClients: Send + Sync {
    /// A client of this cluster.
    fn client<'a>(&'a self, place: &'a Place, cluster: &'a ClusterName)
    -> Acting<'a, kube::Client>;
}

/// Carries out what is done in clusters.
pub struct KubernetesActuator {
    clusters: Arc<dyn ClusterClients>,
}

impl std::fmt::Debug for KubernetesActuator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubernetesActuator").finish_non_exhaustive()
    }
}

impl KubernetesActuator {
    /// In these clusters.
    pub fn new(clusters: Arc<dyn ClusterClients>) -> Self {
        Self { clusters }
    }

    async fn objects(&self, place: &Place, action: &Action) -> Result<Objects, ActError> {
        let cluster = cluster_of(action).ok_or_else(|| not_ours(action))?;
        Ok(Objects::new(self.clusters.client(place, cluster).await?))
    }
}

impl Actuator for KubernetesActuator {
    fn takes(&self, action: &Action) -> bool {
        cluster_of(action).is_some()
    }

    fn check<'a>(&'a self, place: &'a Place, action: &'a Action) -> Acting<'a, Checked> {
        Box::pin(async move {
            let objects = self.objects(place, action).await?;
            match action {
                Action::CordonNode { node, .. } => node::check_cordon(&objects, node).await,
                Action::KeepNode { node, .. } => node::check_keep(&objects, node).await,
                Action::LabelNode { node, .. } => node::check_label(&objects, node).await,
                Action::LimitNodePool { pool, .. } => node::check_limit(&objects, pool).await,
                Action::IsolatePod {
                    namespace,
                    pod,
                    uid,
                    ..
                } => quarantine::check(&objects, &pod::PodRef::new(namespace, pod, uid)).await,
                Action::DeletePod {
                    namespace,
                    pod,
                    uid,
                    ..
                }
                | Action::EvictPod {
                    namespace,
                    pod,
                    uid,
                    ..
                } => pod::check(&objects, &pod::PodRef::new(namespace, pod, uid)).await,
                Action::ScaleToZero {
                    namespace,
                    kind,
                    name,
                    ..
                } => workload::check_scale(&objects, namespace, kind, name).await,
                Action::SuspendJob {
                    namespace,
                    kind,
                    name,
                    ..
                } => workload::check_suspend(&objects, namespace, kind, name).await,
                other => Err(not_ours(other)),
            }
        })
    }

    fn act<'a>(&'a self, token: ActToken<'a>, _before: &'a Value) -> Acting<'a, ()> {
        Box::pin(async move {
            let action = &token.step().action;
            let incident = &token.plan().incident;
            let objects = self.objects(&token.plan().place, action).await?;
            match action {
                Action::CordonNode { node, .. } => node::cordon(&objects, node, incident).await,
                Action::KeepNode { node, .. } => node::keep(&objects, node).await,
                Action::LabelNode { node, .. } => node::label(&objects, node, incident).await,
                Action::LimitNodePool { pool, .. } => node::limit(&objects, pool).await,
                Action::IsolatePod {
                    namespace,
                    pod,
                    uid,
                    ..
                } => {
                    let pod = pod::PodRef::new(namespace, pod, uid);
                    quarantine::isolate(&objects, &pod, incident).await
                }
                Action::DeletePod {
                    namespace,
                    pod,
                    uid,
                    ..
                } => pod::delete(&objects, &pod::PodRef::new(namespace, pod, uid)).await,
                Action::EvictPod {
                    namespace,
                    pod,
                    uid,
                    or_delete,
                    ..
                } => {
                    let pod = pod::PodRef::new(namespace, pod, uid);
                    pod::evict(&objects, &pod, *or_delete).await
                }
                Action::ScaleToZero {
                    namespace,
                    kind,
                    name,
                    ..
                } => workload::scale(&objects, namespace, kind, name).await,
                Action::SuspendJob {
                    namespace,
                    kind,
                    name,
                    ..
                } => workload::suspend(&objects, namespace, kind, name).await,
                other => Err(not_ours(other)),
            }
        })
    }

    fn verify<'a>(
        &'a self,
        place: &'a Place,
        action: &'a Action,
        _before: &'a Value,
    ) -> Acting<'a, Verified> {
        Box::pin(async move {
            let objects = self.objects(place, action).await?;
            match action {
                Action::CordonNode { node, .. } => node::verify_cordon(&objects, node).await,
                Action::KeepNode { node, .. } => node::verify_keep(&objects, node).await,
                Action::LabelNode { node, .. } => node::verify_label(&objects, node).await,
                Action::LimitNodePool { pool, .. } => node::verify_limit(&objects, pool).await,
                Action::IsolatePod {
                    namespace,
                    pod,
                    uid,
                    ..
                } => quarantine::verify(&objects, &pod::PodRef::new(namespace, pod, uid)).await,
                Action::DeletePod {
                    namespace,
                    pod,
                    uid,
                    ..
                }
                | Action::EvictPod {
                    namespace,
                    pod,
                    uid,
                    ..
                } => pod::verify_gone(&objects, &pod::PodRef::new(namespace, pod, uid)).await,
                Action::ScaleToZero {
                    namespace,
                    kind,
                    name,
                    ..
                } => workload::verify_scale(&objects, namespace, kind, name).await,
                Action::SuspendJob {
                    namespace,
                    kind,
                    name,
                    ..
                } => workload::verify_suspend(&objects, namespace, kind, name).await,
                other => Err(not_ours(other)),
            }
        })
    }

    fn undo<'a>(&'a self, token: UndoToken<'a>, before: &'a Value) -> Acting<'a, Reverted> {
        Box::pin(async move {
            let action = &token.step().action;
            let objects = self.objects(&token.plan().place, action).await?;
            let taken = match action {
                Action::CordonNode { node, .. } => {
                    node::uncordon(&objects, node, &token.plan().incident, before).await
                }
                Action::KeepNode { node, .. } => node::let_go(&objects, node, before).await,
                Action::LabelNode { node, .. } => {
                    node::unlabel(&objects, node, &token.plan().incident, before).await
                }
                Action::LimitNodePool { pool, .. } => {
                    node::lift_limit(&objects, pool, before).await
                }
                Action::IsolatePod {
                    namespace,
                    pod,
                    uid,
                    ..
                } => {
                    let pod = pod::PodRef::new(namespace, pod, uid);
                    quarantine::release(&objects, &pod, before).await
                }
                Action::ScaleToZero {
                    namespace,
                    kind,
                    name,
                    ..
                } => workload::scale_back(&objects, namespace, kind, name, before).await,
                Action::SuspendJob {
                    namespace,
                    kind,
                    name,
                    ..
                } => workload::resume(&objects, namespace, kind, name, before).await,
                other => Err(ActError::Refused {
                    call: format!("undoing {}", other.verb()),
                    why: "it cannot be taken back".to_owned(),
                }),
            };
            taken.map(|()| Reverted::Back)
        })
    }
}

fn cluster_of(action: &Action) -> Option<&ClusterName> {
    match action {
        Action::CordonNode { cluster, .. }
        | Action::KeepNode { cluster, .. }
        | Action::LabelNode { cluster, .. }
        | Action::IsolatePod { cluster, .. }
        | Action::DeletePod { cluster, .. }
        | Action::EvictPod { cluster, .. }
        | Action::ScaleToZero { cluster, .. }
        | Action::SuspendJob { cluster, .. }
        | Action::LimitNodePool { cluster, .. } => Some(cluster),
        _ => None,
    }
}

fn not_ours(action: &Action) -> ActError {
    ActError::NotConfigured {
        what: format!("{} in a cluster", action.verb()),
    }
}
