//! Instances: termination protection, stopping, terminating.
//!
//! `before`: for protection `{"protected": bool}`, for stopping and terminating `{"state": text}`.

use aws_sdk_ec2::types::{
    AttributeBooleanValue, Filter, Instance, InstanceAttributeName, InstanceLifecycleType,
    InstanceStateName, Tag,
};
use std::collections::{BTreeSet, HashMap};

use davylamp_model::ids::{InstanceId, VolumeId};
use davylamp_plan::action::{Action, OUR_PROTECTION_TAG};
use davylamp_plan::plan::{Plan, StepId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::together::Found;
use super::{
    At, already, back, done, failure, gone, impossible, needed, not_ours, pending, recorded,
    volumes,
};
use crate::actuator::{ActError, Checked, Reverted, Verified};
use crate::permissions::PROTECTED_TAG;

#[derive(Debug, Deserialize)]
struct Protection {
    protected: bool,
}

#[derive(Debug, Deserialize)]
struct State {
    state: String,
}

pub(super) async fn check(at: &At<'_>, action: &Action) -> Result<Checked, ActError> {
    let ec2 = at.ec2();
    let id = id(action)?;
    let found = describe(at, id).await?;
    let Some(found) = found else {
        return match action {
            Action::TerminateInstance { .. } => already(format!("{id} no longer exists")),
            _ => impossible(format!("{id} no longer exists")),
        };
    };
    let state = state(&found);
    let over = matches!(
        state,
        InstanceStateName::ShuttingDown | InstanceStateName::Terminated
    );
    match action {
        // What protection kept from happening has happened.
        Action::TerminateInstance { .. } | Action::UnprotectInstance { .. } if over => {
            already(format!("{id} is {state}"))
        }
        _ if over => impossible(format!("{id} is {state}")),
        Action::TerminateInstance { .. } => needed(json!({ "state": state.as_str() })),
        Action::StopInstance { .. } => match state {
            InstanceStateName::Stopped | InstanceStateName::Stopping => {
                already(format!("{id} is {state}"))
            }
            _ => needed(json!({ "state": state.as_str() })),
        },
        _ => {
            let wanted = wants_protection(action);
            let protected = is_protected(&ec2, id, InstanceAttributeName::DisableApiTermination)
                .await?
                .unwrap_or_default();
            if protected == wanted {
                already(protection_note(id, wanted))
            } else if wanted && found.instance_lifecycle() == Some(&InstanceLifecycleType::Spot) {
                impossible(format!(
                    "{id} is a spot instance, which cannot be protected from termination"
                ))
            } else {
                needed(json!({ "protected": protected }))
            }
        }
    }
}

pub(super) async fn act(at: &At<'_>, plan: &Plan, action: &Action) -> Result<(), ActError> {
    let ec2 = at.ec2();
    let id = id(action)?;
    match action {
        Action::TerminateInstance { .. } => terminate(at, plan, action, id).await,
        Action::ProtectInstance { .. } => protect(&ec2, id, true).await,
        Action::StopInstance { .. } => {
            is_unprotected(at, id, action).await?;
            stop(at, id).await
        }
        _ => {
            is_unprotected(at, id, action).await?;
            protect(&ec2, id, false).await
        }
    }
}

pub(super) async fn verify(at: &At<'_>, action: &Action) -> Result<Verified, ActError> {
    let ec2 = at.ec2();
    let id = id(action)?;
    let Some(found) = describe(at, id).await? else {
        return match action {
            Action::TerminateInstance { .. } => done(format!("{id} no longer exists")),
            // It was there when the step was checked: the answer may be an old one.
            _ => pending(format!("{id} to be described again")),
        };
    };
    let state = state(&found);
    match action {
        Action::TerminateInstance { .. } => match state {
            InstanceStateName::ShuttingDown | InstanceStateName::Terminated => {
                done(format!("{id} is {state}"))
            }
            _ => pending(format!("{id}, which is {state}, to shut down")),
        },
        Action::StopInstance { .. } => match state {
            InstanceStateName::Stopped
            | InstanceStateName::ShuttingDown
            | InstanceStateName::Terminated => done(format!("{id} is {state}")),
            _ => pending(format!("{id}, which is {state}, to stop")),
        },
        _ => {
            let wanted = wants_protection(action);
            match is_protected(&ec2, id, InstanceAttributeName::DisableApiTermination).await? {
                Some(protected) if protected == wanted => done(protection_note(id, wanted)),
                _ => pending(format!("termination protection of {id} to change")),
            }
        }
    }
}

pub(super) async fn undo(
    at: &At<'_>,
    action: &Action,
    before: &Value,
) -> Result<Reverted, ActError> {
    let ec2 = at.ec2();
    let id = id(action)?;
    match action {
        Action::TerminateInstance { .. } => Err(failure::refused(
            "ec2:TerminateInstances",
            format!("{id} is terminated for good"),
        )),
        Action::StopInstance { .. } => {
            let was: State = recorded(action, before)?;
            if was.state == "running" || was.state == "pending" {
                start(at, id).await.map(back)
            } else {
                Ok(Reverted::Back)
            }
        }
        _ => {
            let was: Protection = recorded(action, before)?;
            match describe(at, id).await? {
                Some(found) if state(&found) != InstanceStateName::Terminated => {
                    protect(&ec2, id, was.protected).await.map(back)
                }
                _ => gone(ended(id)),
            }
        }
    }
}

/// The instance, `None` where there is none.
pub(super) async fn describe(at: &At<'_>, id: &InstanceId) -> Result<Option<Instance>, ActError> {
    let ec2 = at.ec2();
    let read = move |ids| described(ec2.clone(), ids);
    let keys = std::slice::from_ref(id);
    let mut found = at.reads.instances.ask(at.place, keys, read).await?;
    Ok(found.remove(id))
}

/// By filter, because one id that is gone fails a call by ids.
async fn described(ec2: aws_sdk_ec2::Client, ids: Vec<InstanceId>) -> Found<InstanceId, Instance> {
    let ids = ids.into_iter().map(|id| id.0).collect();
    let filter = Filter::builder()
        .name("instance-id")
        .set_values(Some(ids))
        .build();
    let mut pages = ec2
        .describe_instances()
        .filters(filter)
        .into_paginator()
        .send();
    let mut found = HashMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failure::of("ec2:DescribeInstances", &error))?;
        let reservations = page.reservations.unwrap_or_default().into_iter();
        for instance in reservations.flat_map(|it| it.instances.unwrap_or_default()) {
            if let Some(id) = instance.instance_id() {
                found.insert(InstanceId::from(id), instance);
            }
        }
    }
    Ok(found)
}

/// Why nothing can be taken back of an instance.
pub(super) fn ended(id: &InstanceId) -> String {
    format!("{id} is terminated")
}

pub(super) fn state(instance: &Instance) -> InstanceStateName {
    instance
        .state()
        .and_then(|state| state.name())
        .cloned()
        .unwrap_or_else(|| InstanceStateName::from("unknown"))
}

fn id(action: &Action) -> Result<&InstanceId, ActError> {
    match action {
        Action::ProtectInstance { instance }
        | Action::UnprotectInstance { instance }
        | Action::StopInstance { instance }
        | Action::TerminateInstance { instance } => Ok(instance),
        _ => Err(not_ours(action)),
    }
}

fn wants_protection(action: &Action) -> bool {
    matches!(action, Action::ProtectInstance { .. })
}

fn protection_note(id: &InstanceId, protected: bool) -> String {
    if protected {
        format!("{id} is protected from termination")
    } else {
        format!("{id} is not protected from termination")
    }
}

/// One of the two protections; `None` where the answer does not say.
async fn is_protected(
    ec2: &aws_sdk_ec2::Client,
    id: &InstanceId,
    which: InstanceAttributeName,
) -> Result<Option<bool>, ActError> {
    let answer = ec2
        .describe_instance_attribute()
        .instance_id(id.as_str())
        .attribute(which.clone())
        .send()
        .await
        .map_err(|error| failure::of("ec2:DescribeInstanceAttribute", &error))?;
    let value = match which {
        InstanceAttributeName::DisableApiStop => answer.disable_api_stop(),
        _ => answer.disable_api_termination(),
    };
    Ok(value.and_then(AttributeBooleanValue::value))
}

async fn protect(ec2: &aws_sdk_ec2::Client, id: &InstanceId, wanted: bool) -> Result<(), ActError> {
    let now = is_protected(ec2, id, InstanceAttributeName::DisableApiTermination).await?;
    if now == Some(wanted) {
        return Ok(());
    }
    // The tag says that the protection is ours. It comes before the protection and goes after it: a
    // run that is cut off between the two leaves a tag without protection, which means nothing, and
    // never protection that would be taken for somebody else's.
    if wanted {
        ec2.create_tags()
            .resources(id.as_str())
            .tags(our_protection())
            .send()
            .await
            .map_err(|error| failure::of("ec2:CreateTags", &error))?;
    }
    ec2.modify_instance_attribute()
        .instance_id(id.as_str())
        .disable_api_termination(AttributeBooleanValue::builder().value(wanted).build())
        .send()
        .await
        .map_err(|error| failure::of("ec2:ModifyInstanceAttribute", &error))?;
    if !wanted {
        ec2.delete_tags()
            .resources(id.as_str())
            .tags(Tag::builder().key(OUR_PROTECTION_TAG).build())
            .send()
            .await
            .map_err(|error| failure::of("ec2:DeleteTags", &error))?;
    }
    Ok(())
}

fn our_protection() -> Tag {
    Tag::builder().key(OUR_PROTECTION_TAG).value("set").build()
}

/// Whether nobody has protected the instance by a tag. The plan knows what was protected when it was
/// made, which may be hours ago where a person had to say yes.
async fn is_unprotected(at: &At<'_>, id: &InstanceId, action: &Action) -> Result<(), ActError> {
    let found = describe(at, id).await?;
    let tags = found.as_ref().map(Instance::tags).unwrap_or_default();
    if tags.iter().any(|tag| tag.key() == Some(PROTECTED_TAG)) {
        let why = format!("{id} has got the tag {PROTECTED_TAG} since the plan was made");
        return Err(failure::refused(action.verb(), why));
    }
    Ok(())
}

/// The volumes that are attached and that the plan has no evidence of: they came since it was made,
/// and may be somebody else's. A plan that waits for no evidence was made for it.
fn without_evidence(found: &Instance, plan: &Plan) -> Vec<VolumeId> {
    let mut awaited = BTreeSet::new();
    for step in &plan.steps {
        if let Action::AwaitEvidence { volumes, .. } = &step.action {
            awaited.extend(volumes);
        }
    }
    if awaited.is_empty() {
        return Vec::new();
    }
    let attached = found.block_device_mappings().iter();
    let attached = attached.filter_map(|mapping| mapping.ebs()?.volume_id());
    let attached = attached.map(VolumeId::from);
    attached.filter(|id| !awaited.contains(id)).collect()
}

/// Ends an instance. One that may not be ended for good reasons is protected again: until somebody
/// has looked, nobody may remove what the plan lifted the protection for.
async fn terminate(
    at: &At<'_>,
    plan: &Plan,
    action: &Action,
    id: &InstanceId,
) -> Result<(), ActError> {
    let ended = match is_unprotected(at, id, action).await {
        Ok(()) => end(at, plan, id).await,
        Err(error) => Err(error),
    };
    let error = match ended {
        Err(error) if !error.is_transient() => error,
        other => return other,
    };
    let unprotect = Action::UnprotectInstance {
        instance: id.clone(),
    };
    if plan.step(&StepId::of(&unprotect)).is_none() {
        return Err(error);
    }
    let again = match protect(&at.ec2(), id, true).await {
        Ok(()) => format!("{id} is protected from termination again"),
        Err(error) => format!("{id} could not be protected from termination again: {error}"),
    };
    Err(match error {
        ActError::Refused { call, why } => ActError::Refused {
            call,
            why: format!("{why}; {again}"),
        },
        ActError::Denied { call, why } => ActError::Denied {
            call,
            why: format!("{why}; {again}"),
        },
        other => other,
    })
}

async fn end(at: &At<'_>, plan: &Plan, id: &InstanceId) -> Result<(), ActError> {
    let ec2 = &at.ec2();
    let Some(found) = describe(at, id).await? else {
        return Ok(());
    };
    if matches!(
        state(&found),
        InstanceStateName::ShuttingDown | InstanceStateName::Terminated
    ) {
        return Ok(());
    }
    // EC2 would refuse as well, with a sentence that does not say what to do about it.
    if is_protected(ec2, id, InstanceAttributeName::DisableApiTermination).await? == Some(true) {
        return Err(failure::refused(
            "ec2:TerminateInstances",
            format!(
                "termination protection of {id} is still on; the miner keeps running until a step \
                 or a person removes it"
            ),
        ));
    }
    let strange = without_evidence(&found, plan);
    if !strange.is_empty() {
        let names: Vec<&str> = strange.iter().map(VolumeId::as_str).collect();
        return Err(failure::refused(
            "ec2:TerminateInstances",
            format!(
                "{} came to {id} since the plan was made, and there is no evidence of it; look whose \
                 it is and snapshot it, then end {id} by hand",
                names.join(", ")
            ),
        ));
    }
    // Somebody may have wished a volume away again, or taken back what kept it.
    volumes::keep_all(at, id, &found).await?;
    match ec2
        .terminate_instances()
        .instance_ids(id.as_str())
        .send()
        .await
    {
        Ok(_) => Ok(()),
        Err(error) if failure::is_absent(&error) => Ok(()),
        Err(error) => Err(failure::of("ec2:TerminateInstances", &error)),
    }
}

async fn stop(at: &At<'_>, id: &InstanceId) -> Result<(), ActError> {
    let ec2 = &at.ec2();
    let found = describe(at, id).await?;
    match found.as_ref().map(state) {
        Some(InstanceStateName::Running | InstanceStateName::Pending) => {}
        _ => return Ok(()),
    }
    if is_protected(ec2, id, InstanceAttributeName::DisableApiStop).await? == Some(true) {
        return Err(failure::refused(
            "ec2:StopInstances",
            format!("stop protection of {id} is on; a person has to remove it first"),
        ));
    }
    ec2.stop_instances()
        .instance_ids(id.as_str())
        .send()
        .await
        .map(drop)
        .map_err(|error| failure::of("ec2:StopInstances", &error))
}

async fn start(at: &At<'_>, id: &InstanceId) -> Result<(), ActError> {
    let ec2 = &at.ec2();
    let found = describe(at, id).await?;
    match found.as_ref().map(state) {
        Some(InstanceStateName::Running | InstanceStateName::Pending) => Ok(()),
        Some(InstanceStateName::Stopped) => ec2
            .start_instances()
            .instance_ids(id.as_str())
            .send()
            .await
            .map(drop)
            .map_err(|error| failure::of("ec2:StartInstances", &error)),
        Some(InstanceStateName::Stopping) => Err(failure::transient(
            "ec2:StartInstances",
            format!("{id} is still stopping"),
        )),
        _ => Err(failure::refused(
            "ec2:StartInstances",
            format!("{id} is terminated and cannot be started"),
        )),
    }
}
