//! Ending the pod, task, function or machine.

use davylamp_content::playbook::StepKind;
use davylamp_model::inventory::{Instance, Reading};

use super::network::meant;
use super::{Expansion, Ground, living};
use crate::action::{Action, OUR_PROTECTION_TAG};
use crate::plan::StepId;

pub(super) fn pods(ground: &Ground<'_>, how: Option<&str>, out: &mut Expansion) {
    for held in meant(ground, out) {
        let cluster = held.cluster.clone();
        let namespace = held.pod.namespace.clone();
        let (pod, uid) = (held.pod.name.clone(), held.pod.uid.clone());
        let action = match how {
            None | Some("delete") => Action::DeletePod {
                cluster,
                namespace,
                pod,
                uid,
            },
            Some(how @ ("evict" | "evict-or-delete")) => Action::EvictPod {
                cluster,
                namespace,
                pod,
                uid,
                or_delete: how == "evict-or-delete",
            },
            Some(other) => {
                let because = format!("the playbook asks for `{other}`, which ends no pod");
                out.omit(held.target(), because);
                continue;
            }
        };
        out.act(action, "it is what the finding is about");
    }
}

pub(super) fn terminate(ground: &Ground<'_>, out: &mut Expansion) {
    for instance in living(ground, out) {
        let target = format!("instance/{}", instance.id);
        let id = &instance.id;
        let evidence = match ground.evidence.before_destruction(id, ground.playbook) {
            Ok(evidence) => evidence,
            Err(why) => {
                out.omit(target, why);
                continue;
            }
        };
        let ask = evidence
            .is_empty()
            .then(|| "it has no volume to take evidence of: what it holds is lost".to_owned());
        let mut only_after = evidence.clone();
        let terminating = Action::TerminateInstance {
            instance: id.clone(),
        };
        match protection(ground, instance) {
            Ok(false) => {}
            Ok(true) => {
                let action = Action::UnprotectInstance {
                    instance: id.clone(),
                };
                only_after.push(StepId::of(&action));
                let draft = out.act(action, "termination protection would keep it running");
                draft.only_after = evidence;
                draft.ask.clone_from(&ask);
                draft.irreversible = Some(terminating.verb());
            }
            Err(why) => {
                out.omit(target, why);
                continue;
            }
        }
        let draft = out.act(
            terminating,
            "what runs on it ends, and its evidence is kept",
        );
        draft.only_after = only_after;
        draft.ask = ask;
    }
}

/// Whether termination protection has to be removed first, or why it may not be.
fn protection(ground: &Ground<'_>, instance: &Instance) -> Result<bool, String> {
    let released = ground.has(StepKind::ReleaseTerminationProtection);
    let by_us = ground.has(StepKind::ProtectInstance);
    match &instance.termination_protected {
        Reading::Known(false) => Ok(by_us),
        Reading::Known(true) if released || is_ours(instance) => Ok(true),
        Reading::Known(true) => Err(
            "somebody else has protected it from termination, and the playbook does not release \
             that; everything else goes on"
                .to_owned(),
        ),
        Reading::Unknown { .. } | Reading::NotAsked if released => Ok(true),
        Reading::Unknown { why } => Err(format!(
            "whether somebody else has protected it from termination could not be read ({why})"
        )),
        Reading::NotAsked => {
            Err("whether somebody else has protected it from termination was not asked".to_owned())
        }
    }
}

/// Whether termination protection that is set was set by us.
pub(super) fn is_ours(instance: &Instance) -> bool {
    instance.tags.contains_key(OUR_PROTECTION_TAG)
}

pub(super) fn stop(ground: &Ground<'_>, out: &mut Expansion) {
    for instance in living(ground, out) {
        if matches!(instance.state.as_str(), "stopped" | "stopping") {
            let target = format!("instance/{}", instance.id);
            out.omit(target, format!("it is {} already", instance.state));
            continue;
        }
        let action = Action::StopInstance {
            instance: instance.id.clone(),
        };
        out.act(action, "the miner stops, and the volumes stay");
    }
}

pub(super) fn tasks(ground: &Ground<'_>, out: &mut Expansion) {
    for task in ground.scope.tasks.values() {
        if task.status == "STOPPED" {
            out.omit(format!("task/{}", task.task), "it is stopped already");
            continue;
        }
        let action = Action::StopTask {
            cluster: task.cluster.clone(),
            task: task.task.clone(),
        };
        out.act(action, "the miner runs in it");
    }
}

pub(super) fn functions(ground: &Ground<'_>, out: &mut Expansion) {
    for name in &ground.scope.functions {
        let target = format!("function/{name}");
        let held = ground
            .scope
            .inventory
            .functions
            .iter()
            .find(|held| held.name == **name);
        match (held, ground.scope.unread(name.as_str())) {
            (Some(held), _) if held.reserved_concurrency == Some(0) => {
                out.omit(target, "its reserved concurrency is zero already");
            }
            (None, None) => out.omit(target, "it is not there (any more)"),
            // One that could not be read is throttled all the same: that can be taken back.
            _ => {
                let action = Action::ThrottleFunction {
                    function: (*name).clone(),
                };
                out.act(action, "no further run of it starts");
            }
        }
    }
}
