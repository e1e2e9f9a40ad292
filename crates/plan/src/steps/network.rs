//! Cutting the network.

use davylamp_model::inventory::Interface;

use super::{Expansion, Ground, living};
use crate::action::Action;
use crate::scope::{ClusterPod, has_ended};

pub(super) fn interfaces(ground: &Ground<'_>, out: &mut Expansion) {
    for instance in living(ground, out) {
        if instance.interfaces.is_empty() {
            let target = format!("instance/{}", instance.id);
            out.omit(target, "it has no network interface");
        }
        for interface in sorted(&instance.interfaces) {
            isolate(interface, out);
        }
    }
    for task in ground.scope.tasks.values() {
        let target = format!("task/{}", task.task);
        if task.status == "STOPPED" {
            out.omit(target, "it is stopped");
        } else if task.interfaces.is_empty() {
            out.omit(target, "it has no network interface of its own");
        } else {
            for interface in sorted(&task.interfaces) {
                isolate(interface, out);
            }
        }
    }
}

fn sorted(interfaces: &[Interface]) -> Vec<&Interface> {
    let mut sorted: Vec<&Interface> = interfaces.iter().collect();
    sorted.sort_by(|one, other| one.id.cmp(&other.id));
    sorted
}

/// Cuts one interface off.
pub(super) fn isolate(interface: &Interface, out: &mut Expansion) {
    let action = Action::IsolateInterface {
        interface: interface.id.clone(),
        vpc: interface.vpc.clone(),
        groups: interface.groups.clone(),
    };
    out.act(
        action,
        "nothing may be sent or received, on open connections either",
    );
}

pub(super) fn pods(ground: &Ground<'_>, out: &mut Expansion) {
    for held in meant(ground, out) {
        let pod = held.pod;
        if pod.host_network {
            out.omit(
                held.target(),
                "it uses the node's own network, which a network policy does not reach",
            );
            continue;
        }
        let action = Action::IsolatePod {
            cluster: held.cluster.clone(),
            namespace: pod.namespace.clone(),
            pod: pod.name.clone(),
            uid: pod.uid.clone(),
        };
        out.act(action, "it is what the finding is about");
    }
}

/// The pods the case means: those that are named, and those of the one who did it.
pub(super) fn meant<'g>(ground: &Ground<'g>, out: &mut Expansion) -> Vec<ClusterPod<'g>> {
    let scope = ground.scope;
    let mut meant = scope.pods.clone();
    if let Some(user) = &ground.who.attribution.decided {
        let theirs = ground.who.pods.get(user);
        for held in scope.pods_on_nodes() {
            if theirs.is_some_and(|keys| keys.contains(&held.key())) {
                meant.insert(held.key(), held);
            }
        }
    }
    let mut running = Vec::new();
    for held in meant.into_values() {
        if has_ended(held.pod) {
            out.omit(held.target(), format!("it has ended: {}", held.pod.phase));
        } else {
            running.push(held);
        }
    }
    if running.is_empty() && out.omissions.is_empty() {
        let because = match scope.unreadable().into_iter().next() {
            Some((cluster, why)) => {
                format!("cluster {cluster} could not be read ({why}); the rest goes on")
            }
            None => "the finding leads to no pod that is surely meant".to_owned(),
        };
        out.omit(ground.case.resource.key(), because);
    }
    running
}
