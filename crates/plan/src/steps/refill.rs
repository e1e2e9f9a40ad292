//! Keeping another from being started.

use std::collections::BTreeSet;

use davylamp_content::playbook::StepKind;
use davylamp_model::inventory::Reading;

use super::end::is_ours;
use super::{Expansion, Ground, living};
use crate::action::Action;
use crate::scope::{ClusterController, controllers_of};

/// The label by which Karpenter names the pool a node is of.
const NODE_POOL_LABEL: &str = "karpenter.sh/nodepool";
/// The processes by which a group starts machines.
const LAUNCHES: &str = "Launch";

/// The tag that EC2 itself puts on what was started from a launch template (EC2 User Guide, "Tags").
const TEMPLATE_TAG: &str = "aws:ec2launchtemplate:id";

pub(super) fn stop(ground: &Ground<'_>, out: &mut Expansion) {
    groups(ground, out);
    templates(ground, out);
    controllers(ground, out);
    pools(ground, out);
    services(ground, out);
}

/// Only where the playbook ends the machine: a group whose machine stays has nothing to replace,
/// and suspending it would keep everybody else's from growing.
fn groups(ground: &Ground<'_>, out: &mut Expansion) {
    if !ground.has(StepKind::TerminateInstance) && !ground.has(StepKind::StopInstance) {
        return;
    }
    let names: BTreeSet<_> = ground
        .scope
        .instances
        .values()
        .filter_map(|instance| instance.group.as_ref())
        .map(|(name, _)| name)
        .collect();
    for name in names {
        let held = ground
            .scope
            .inventory
            .groups
            .iter()
            .find(|held| held.name == *name);
        if held.is_some_and(|held| held.suspended.iter().any(|process| process == LAUNCHES)) {
            out.omit(format!("group/{name}"), "it starts no machines already");
            continue;
        }
        let action = Action::SuspendGroup {
            group: name.clone(),
        };
        out.act(
            action,
            "it would start another machine in place of this one",
        );
    }
}

/// A launch template starts nothing by itself, and to delete it cannot be taken back. But whatever is
/// started from it anew may bring the miner along.
fn templates(ground: &Ground<'_>, out: &mut Expansion) {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for instance in ground.scope.instances.values() {
        names.extend(instance.tags.get(TEMPLATE_TAG).map(String::as_str));
        let group = instance.group.as_ref().map(|(name, _)| name);
        let held = ground.scope.inventory.groups.iter();
        let held = held.filter(|held| Some(&held.name) == group);
        names.extend(held.filter_map(|held| held.launch_template.as_deref()));
    }
    for name in names {
        let because = "machines are started from it: a person looks at its image and its user data \
                       before it is used again";
        out.omit(format!("launch-template/{name}"), because);
    }
}

fn controllers(ground: &Ground<'_>, out: &mut Expansion) {
    for held in ground.scope.pods.values() {
        let (chain, above) = controllers_of(ground.scope, *held);
        if let Some(owner) = above {
            let target = format!("{owner} in {}/{}", held.cluster, held.pod.namespace);
            let because = "it owns the pod and was not read, so it may start another";
            out.omit(target, because);
        }
        // The topmost sets what those under it do.
        if let Some(top) = chain.last() {
            controller(*top, out);
        }
    }
}

fn controller(held: ClusterController<'_>, out: &mut Expansion) {
    let ClusterController {
        cluster,
        controller,
    } = held;
    let kind = controller.kind.clone();
    let target = format!(
        "{kind}/{cluster}/{}/{}",
        controller.namespace, controller.name
    );
    let (cluster, namespace) = (cluster.clone(), controller.namespace.clone());
    let name = controller.name.clone();
    match kind.as_str() {
        "deployment" | "statefulset" | "replicaset" if controller.replicas == Some(0) => {
            out.omit(target, "its size is zero already");
        }
        "deployment" | "statefulset" | "replicaset" => {
            let action = Action::ScaleToZero {
                cluster,
                namespace,
                kind,
                name,
            };
            out.act(action, "it would start another pod");
        }
        "job" | "cronjob" if controller.suspended => {
            out.omit(target, "it is suspended already");
        }
        "job" | "cronjob" => {
            let action = Action::SuspendJob {
                cluster,
                namespace,
                kind,
                name,
            };
            out.act(action, "it would start another pod");
        }
        other => out.omit(
            target,
            format!("a {other} has no size that could be set to zero: a person has to remove it"),
        ),
    }
}

fn pools(ground: &Ground<'_>, out: &mut Expansion) {
    for held in ground.scope.nodes.values() {
        let Some(pool) = held.node.labels.get(NODE_POOL_LABEL) else {
            continue;
        };
        let action = Action::LimitNodePool {
            cluster: held.cluster.clone(),
            pool: pool.clone(),
        };
        out.act(action, "Karpenter would start another machine of this pool");
    }
}

fn services(ground: &Ground<'_>, out: &mut Expansion) {
    for task in ground.scope.tasks.values() {
        let Some((service, wanted)) = &task.service else {
            continue;
        };
        if *wanted == 0 {
            let target = format!("service/{}/{service}", task.cluster);
            out.omit(target, "its wanted size is zero already");
            continue;
        }
        let action = Action::ScaleServiceToZero {
            cluster: task.cluster.clone(),
            service: service.clone(),
        };
        out.act(action, "it would start another task");
    }
}

pub(super) fn release(ground: &Ground<'_>, out: &mut Expansion) {
    for instance in living(ground, out) {
        let target = format!("instance/{}", instance.id);
        match &instance.termination_protected {
            Reading::Known(false) => out.omit(target, "it is not protected from termination"),
            Reading::Known(true) if is_ours(instance) => {
                out.omit(target, "its termination protection is ours");
            }
            Reading::Known(true) => {
                let action = Action::UnprotectInstance {
                    instance: instance.id.clone(),
                };
                let why = "somebody set it so that the machine stays";
                // Until its evidence is complete, protection that keeps it is welcome.
                let evidence = ground
                    .has(StepKind::SnapshotEvidence)
                    .then(|| ground.evidence.awaited(&instance.id));
                out.act(action, why).only_after = evidence.flatten().into_iter().collect();
            }
            Reading::Unknown { why } => {
                out.omit(
                    target,
                    format!("whether it is protected could not be read: {why}"),
                );
            }
            Reading::NotAsked => out.omit(target, "whether it is protected was not asked"),
        }
    }
}
