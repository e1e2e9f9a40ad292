//! Auto Scaling groups: that they neither take the instance away nor start another.
//!
//! `before`: for scale-in protection `{"protected": bool}`, for detaching `{"protected": bool}`,
//! for suspending `{"suspended": [process]}`, what was suspended already.

use aws_sdk_autoscaling::types::{AutoScalingGroup, AutoScalingInstanceDetails};
use davylamp_model::ids::{InstanceId, ScalingGroupName};
use davylamp_plan::action::Action;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    At, already, back, done, failure, gone, impossible, instance, needed, not_ours, pending,
    recorded,
};
use crate::actuator::{ActError, Checked, Reverted, Verified};

/// What is suspended. `Launch` alone would keep others from starting, but a group that cannot
/// launch and goes on replacing, rebalancing, refreshing or following its alarms and timetable
/// takes machines away, first of all one that fails its health check because it is isolated.
/// `Terminate` goes on, so that a person can still shrink the group by hand; `HealthCheck` only
/// looks; `AddToLoadBalancer` concerns nobody who does not start.
/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html>
const SUSPENDED: &[&str] = &[
    "AZRebalance",
    "AlarmNotification",
    "InstanceRefresh",
    "Launch",
    "ReplaceUnhealthy",
    "ScheduledActions",
];

#[derive(Debug, Deserialize)]
struct Member {
    protected: bool,
}

#[derive(Debug, Deserialize)]
struct Suspension {
    suspended: Vec<String>,
}

pub(super) async fn check(at: &At<'_>, action: &Action) -> Result<Checked, ActError> {
    match action {
        Action::SuspendGroup { group } => match describe(at, group).await? {
            None => impossible(format!("the scaling group {group} no longer exists")),
            Some(found) => {
                let suspended = suspended(&found);
                if missing(&suspended).is_empty() {
                    already(suspended_note(group))
                } else {
                    needed(json!({ "suspended": suspended }))
                }
            }
        },
        Action::ProtectFromScaleIn { group, instance } => {
            match member(at, group, instance).await? {
                None => impossible(format!("{instance} is not in the scaling group {group}")),
                Some(found) if is_protected(&found) => already(protected_note(group, instance)),
                Some(_) => needed(json!({ "protected": false })),
            }
        }
        Action::DetachFromGroup { group, instance } => match member(at, group, instance).await? {
            None => already(detached_note(group, instance)),
            Some(found) => needed(json!({ "protected": is_protected(&found) })),
        },
        _ => Err(not_ours(action)),
    }
}

pub(super) async fn act(at: &At<'_>, action: &Action) -> Result<(), ActError> {
    match action {
        Action::SuspendGroup { group } => {
            let Some(found) = describe(at, group).await? else {
                return Err(failure::refused(
                    "autoscaling:SuspendProcesses",
                    format!("the scaling group {group} no longer exists"),
                ));
            };
            let missing = missing(&suspended(&found));
            if missing.is_empty() {
                return Ok(());
            }
            at.scaling()
                .suspend_processes()
                .auto_scaling_group_name(group.as_str())
                .set_scaling_processes(Some(missing))
                .send()
                .await
                .map(drop)
                .map_err(|error| failure::of("autoscaling:SuspendProcesses", &error))
        }
        Action::ProtectFromScaleIn { group, instance } => protect(at, group, instance, true).await,
        Action::DetachFromGroup { group, instance } => {
            let Some(found) = member(at, group, instance).await? else {
                return Ok(());
            };
            if is_leaving(&found) {
                return Ok(());
            }
            at.scaling()
                .detach_instances()
                .auto_scaling_group_name(group.as_str())
                .instance_ids(instance.as_str())
                .should_decrement_desired_capacity(false)
                .send()
                .await
                .map(drop)
                .map_err(|error| failure::of("autoscaling:DetachInstances", &error))
        }
        _ => Err(not_ours(action)),
    }
}

pub(super) async fn verify(at: &At<'_>, action: &Action) -> Result<Verified, ActError> {
    match action {
        Action::SuspendGroup { group } => match describe(at, group).await? {
            Some(found) if missing(&suspended(&found)).is_empty() => done(suspended_note(group)),
            _ => pending(format!("the scaling group {group} to be suspended")),
        },
        Action::ProtectFromScaleIn { group, instance } => {
            match member(at, group, instance).await? {
                Some(found) if is_protected(&found) => done(protected_note(group, instance)),
                _ => pending(format!("{instance} to be protected from scale-in")),
            }
        }
        Action::DetachFromGroup { group, instance } => match member(at, group, instance).await? {
            None => done(detached_note(group, instance)),
            Some(_) => pending(format!("{instance} to leave the scaling group {group}")),
        },
        _ => Err(not_ours(action)),
    }
}

pub(super) async fn undo(
    at: &At<'_>,
    action: &Action,
    before: &Value,
) -> Result<Reverted, ActError> {
    match action {
        Action::SuspendGroup { group } => {
            let before: Suspension = recorded(action, before)?;
            let Some(found) = describe(at, group).await? else {
                return gone(format!("the scaling group {group} is deleted"));
            };
            let ours: Vec<String> = suspended(&found)
                .into_iter()
                .filter(|process| SUSPENDED.contains(&process.as_str()))
                .filter(|process| !before.suspended.contains(process))
                .collect();
            // An empty list would mean every process, also those that a person suspended.
            if ours.is_empty() {
                return Ok(Reverted::Back);
            }
            at.scaling()
                .resume_processes()
                .auto_scaling_group_name(group.as_str())
                .set_scaling_processes(Some(ours))
                .send()
                .await
                .map(|_| Reverted::Back)
                .map_err(|error| failure::of("autoscaling:ResumeProcesses", &error))
        }
        Action::ProtectFromScaleIn { group, instance } => {
            let before: Member = recorded(action, before)?;
            if before.protected || member(at, group, instance).await?.is_some() {
                protect(at, group, instance, before.protected)
                    .await
                    .map(back)
            } else {
                gone(format!(
                    "{instance} is not in the scaling group {group} any more"
                ))
            }
        }
        Action::DetachFromGroup { group, instance } => {
            let before: Member = recorded(action, before)?;
            attach(at, group, instance).await?;
            if before.protected {
                protect(at, group, instance, true).await.map(back)
            } else {
                Ok(Reverted::Back)
            }
        }
        _ => Err(not_ours(action)),
    }
}

fn suspended_note(group: &ScalingGroupName) -> String {
    format!("the scaling group {group} neither launches nor replaces machines")
}

fn protected_note(group: &ScalingGroupName, instance: &InstanceId) -> String {
    format!("{instance} is protected from the scale-in of {group}")
}

fn detached_note(group: &ScalingGroupName, instance: &InstanceId) -> String {
    format!("{instance} is not in the scaling group {group}")
}

async fn describe(
    at: &At<'_>,
    group: &ScalingGroupName,
) -> Result<Option<AutoScalingGroup>, ActError> {
    let answer = at
        .scaling()
        .describe_auto_scaling_groups()
        .auto_scaling_group_names(group.as_str())
        .send()
        .await
        .map_err(|error| failure::of("autoscaling:DescribeAutoScalingGroups", &error))?;
    Ok(answer
        .auto_scaling_groups
        .unwrap_or_default()
        .into_iter()
        .find(|found| found.auto_scaling_group_name() == Some(group.as_str())))
}

/// The instance as a member of this group.
async fn member(
    at: &At<'_>,
    group: &ScalingGroupName,
    instance: &InstanceId,
) -> Result<Option<AutoScalingInstanceDetails>, ActError> {
    let answer = at
        .scaling()
        .describe_auto_scaling_instances()
        .instance_ids(instance.as_str())
        .send()
        .await
        .map_err(|error| failure::of("autoscaling:DescribeAutoScalingInstances", &error))?;
    Ok(answer
        .auto_scaling_instances
        .unwrap_or_default()
        .into_iter()
        .find(|found| {
            found.instance_id() == Some(instance.as_str())
                && found.auto_scaling_group_name() == Some(group.as_str())
        }))
}

fn is_protected(member: &AutoScalingInstanceDetails) -> bool {
    member.protected_from_scale_in().unwrap_or_default()
}

fn is_leaving(member: &AutoScalingInstanceDetails) -> bool {
    member
        .lifecycle_state()
        .is_some_and(|state| state.starts_with("Detach") || state.starts_with("Terminat"))
}

fn suspended(group: &AutoScalingGroup) -> Vec<String> {
    let mut names: Vec<String> = group
        .suspended_processes()
        .iter()
        .filter_map(|process| process.process_name().map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn missing(suspended: &[String]) -> Vec<String> {
    SUSPENDED
        .iter()
        .filter(|process| !suspended.iter().any(|name| name == *process))
        .map(|process| (*process).to_owned())
        .collect()
}

async fn protect(
    at: &At<'_>,
    group: &ScalingGroupName,
    instance: &InstanceId,
    wanted: bool,
) -> Result<(), ActError> {
    let Some(found) = member(at, group, instance).await? else {
        return if wanted {
            Err(failure::refused(
                "autoscaling:SetInstanceProtection",
                format!("{instance} is not in the scaling group {group}"),
            ))
        } else {
            Ok(())
        };
    };
    if is_protected(&found) == wanted {
        return Ok(());
    }
    at.scaling()
        .set_instance_protection()
        .auto_scaling_group_name(group.as_str())
        .instance_ids(instance.as_str())
        .protected_from_scale_in(wanted)
        .send()
        .await
        .map(drop)
        .map_err(|error| failure::of("autoscaling:SetInstanceProtection", &error))
}

/// Puts the instance back. The group grows by one: the machine that was started in its place stays,
/// because shrinking the group would end a machine of the group's choice, perhaps this one.
async fn attach(
    at: &At<'_>,
    group: &ScalingGroupName,
    instance: &InstanceId,
) -> Result<(), ActError> {
    if member(at, group, instance).await?.is_some() {
        return Ok(());
    }
    let running = instance::describe(at, instance)
        .await?
        .is_some_and(|found| instance::state(&found).as_str() == "running");
    if !running {
        return Err(failure::refused(
            "autoscaling:AttachInstances",
            format!("{instance} is not running, and only a running instance joins a group"),
        ));
    }
    at.scaling()
        .attach_instances()
        .auto_scaling_group_name(group.as_str())
        .instance_ids(instance.as_str())
        .send()
        .await
        .map(drop)
        .map_err(|error| failure::of("autoscaling:AttachInstances", &error))
}
