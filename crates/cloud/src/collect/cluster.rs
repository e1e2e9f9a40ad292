//! The part of a cluster that one finding leads to, cut out of what was read for all.

use std::collections::BTreeSet;

use davylamp_model::ids::{ClaimName, InstanceId, Namespace, NodeName, VolumeId};
use davylamp_model::inventory::{ClusterState, Controller, Pod};

use crate::kubernetes::read::{Question, is_server_of};

/// Adds what another asks.
pub(super) fn join(question: &mut Question, other: &Question) {
    let more = other.clone();
    question.instances.extend(more.instances);
    question.nodes.extend(more.nodes);
    question.pods.extend(more.pods);
    question.workloads.extend(more.workloads);
    question.users.extend(more.users);
    question.claims.extend(more.claims);
}

/// The instances of the nodes that a question names, or that pods it names run on.
pub(super) fn node_instances(state: &ClusterState, question: &Question) -> BTreeSet<InstanceId> {
    let nodes = named_nodes(state, question);
    state
        .nodes
        .iter()
        .filter(|node| nodes.contains(&node.name))
        .filter_map(|node| node.instance.clone())
        .collect()
}

/// What of a cluster belongs to a question and these machines.
pub(super) fn cut(
    state: &ClusterState,
    question: &Question,
    instances: &BTreeSet<InstanceId>,
    volumes: &BTreeSet<VolumeId>,
) -> ClusterState {
    let mut nodes = named_nodes(state, question);
    let ours = state.nodes.iter().filter(|node| {
        node.instance
            .as_ref()
            .is_some_and(|id| instances.contains(id))
    });
    nodes.extend(ours.map(|node| node.name.clone()));
    let pods: Vec<Pod> = state
        .pods
        .iter()
        .filter(|pod| {
            pod.node.as_ref().is_some_and(|node| nodes.contains(node))
                || is_named(state, question, pod)
        })
        .cloned()
        .collect();
    let mut claims: BTreeSet<(Namespace, ClaimName)> = question.claims.clone();
    for pod in &pods {
        claims.extend(
            pod.claims
                .iter()
                .map(|name| (pod.namespace.clone(), name.clone())),
        );
    }
    let mut owners: BTreeSet<(Namespace, String)> = question
        .workloads
        .iter()
        .map(|(namespace, kind, name)| (namespace.clone(), format!("{kind}/{name}")))
        .collect();
    for pod in &pods {
        owners.extend(
            above(state, pod).map(|it| (it.namespace.clone(), format!("{}/{}", it.kind, it.name))),
        );
    }
    ClusterState {
        nodes: state
            .nodes
            .iter()
            .filter(|node| nodes.contains(&node.name))
            .cloned()
            .collect(),
        pods,
        claims: state
            .claims
            .iter()
            .filter(|claim| {
                claims.contains(&(claim.namespace.clone(), claim.name.clone()))
                    || claim.volume.as_ref().is_some_and(|id| volumes.contains(id))
            })
            .cloned()
            .collect(),
        controllers: state
            .controllers
            .iter()
            .filter(|it| {
                owners.contains(&(it.namespace.clone(), format!("{}/{}", it.kind, it.name)))
            })
            .cloned()
            .collect(),
        node_pools: state.node_pools.clone(),
    }
}

fn named_nodes(state: &ClusterState, question: &Question) -> BTreeSet<NodeName> {
    let mut nodes = question.nodes.clone();
    let named = state
        .pods
        .iter()
        .filter(|pod| is_named(state, question, pod));
    nodes.extend(named.filter_map(|pod| pod.node.clone()));
    nodes
}

fn is_named(state: &ClusterState, question: &Question, pod: &Pod) -> bool {
    question
        .pods
        .contains(&(pod.namespace.clone(), pod.name.clone()))
        || is_server_of(pod, &question.users)
        || (!question.workloads.is_empty()
            && above(state, pod).any(|it| {
                let key = (it.namespace.clone(), it.kind.clone(), it.name.clone());
                question.workloads.contains(&key)
            }))
}

/// The controllers above a pod, from the nearest on.
fn above<'a>(state: &'a ClusterState, pod: &'a Pod) -> impl Iterator<Item = &'a Controller> {
    let find = move |owner: Option<&String>| {
        let (kind, name) = owner?.split_once('/')?;
        state
            .controllers
            .iter()
            .find(|it| it.namespace == pod.namespace && it.kind == kind && it.name == name)
    };
    // An owner that owns itself would never end.
    let longest = state.controllers.len();
    std::iter::successors(find(pod.owner.as_ref()), move |it| find(it.owner.as_ref())).take(longest)
}
