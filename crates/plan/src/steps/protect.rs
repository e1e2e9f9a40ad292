//! Keeping others from removing the evidence.

use std::collections::BTreeMap;

use davylamp_content::playbook::StepKind;
use davylamp_model::inventory::{Instance, Reading};

use super::{Expansion, Ground, living};
use crate::action::Action;

pub(super) fn instance(ground: &Ground<'_>, out: &mut Expansion) {
    for instance in living(ground, out) {
        if instance.termination_protected == Reading::Known(true) {
            let target = format!("instance/{}", instance.id);
            out.omit(target, "it is protected from termination already");
            continue;
        }
        let action = Action::ProtectInstance {
            instance: instance.id.clone(),
        };
        out.act(action, "nobody else may remove the evidence");
    }
}

pub(super) fn volumes(ground: &Ground<'_>, out: &mut Expansion) {
    for instance in living(ground, out) {
        let mut devices = BTreeMap::new();
        for volume in &instance.volumes {
            let target = format!("volume/{}", volume.id);
            if let Some(why) = ground.shields.volume(&volume.id) {
                out.omit(target, format!("it is protected: {why}"));
            } else if !volume.delete_on_termination {
                continue;
            } else if let Some(device) = &volume.device {
                devices.insert(device.clone(), volume.id.clone());
            } else {
                out.omit(target, "the device it is attached as is not known");
            }
        }
        if devices.is_empty() {
            let target = format!("instance/{}", instance.id);
            out.omit(target, "no volume that may be touched ends with it");
            continue;
        }
        let action = Action::KeepVolumes {
            instance: instance.id.clone(),
            devices,
        };
        out.act(action, "these volumes would be deleted with the instance");
    }
}

pub(super) fn scaling(ground: &Ground<'_>, how: Option<&str>, out: &mut Expansion) {
    for instance in living(ground, out) {
        let target = format!("instance/{}", instance.id);
        let Some((group, protected)) = &instance.group else {
            out.omit(target, "no scaling group holds it");
            continue;
        };
        let (group, id) = (group.clone(), instance.id.clone());
        match how {
            None | Some("protect") if *protected => {
                out.omit(target, "it is protected from scale-in already");
            }
            None | Some("protect") => {
                let action = Action::ProtectFromScaleIn {
                    group,
                    instance: id,
                };
                out.act(action, "the group must not remove it");
            }
            Some("detach") => {
                let action = Action::DetachFromGroup {
                    group,
                    instance: id,
                };
                out.act(action, "the group starts a clean one in its place");
            }
            Some(other) => out.omit(
                target,
                format!("the playbook asks for `{other}`, which is no way to hold it"),
            ),
        }
    }
}

pub(super) fn node(ground: &Ground<'_>, kind: StepKind, out: &mut Expansion) {
    let scope = ground.scope;
    for held in scope.nodes.values() {
        let (cluster, node) = (held.cluster.clone(), held.node.name.clone());
        let instance = held
            .node
            .instance
            .as_ref()
            .and_then(|id| scope.instances.get(id));
        let target = format!("node/{cluster}/{node}");
        if let Some(why) = instance.and_then(|instance| super::gone(instance)) {
            out.omit(target, format!("its instance is gone: {why}"));
        } else if kind == StepKind::LabelNode {
            let action = Action::LabelNode { cluster, node };
            out.act(
                action,
                "selectors and people see which incident it is part of",
            );
        } else if kind == StepKind::KeepNode {
            let action = Action::KeepNode { cluster, node };
            out.act(action, "autoscalers must not remove it");
        } else if held.node.unschedulable {
            out.omit(target, "it is cordoned already");
        } else {
            let action = Action::CordonNode { cluster, node };
            out.act(action, "nobody else may be put on it");
        }
    }
    for instance in scope.instances.values() {
        let known = scope
            .nodes
            .values()
            .any(|held| held.node.instance.as_ref() == Some(&instance.id));
        if !known {
            out.omit(
                format!("instance/{}", instance.id),
                no_node(ground, instance),
            );
        }
    }
}

fn no_node(ground: &Ground<'_>, instance: &Instance) -> String {
    let Some(cluster) = instance.cluster() else {
        return "it is no node of a cluster, as far as its tags say".to_owned();
    };
    match ground.scope.unreadable().get(&cluster) {
        Some(why) => format!("cluster {cluster} could not be read ({why}); the rest goes on"),
        None => format!("cluster {cluster} has no node of this instance (any more)"),
    }
}
