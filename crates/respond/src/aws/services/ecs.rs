//! ECS: a task is stopped, a service scaled to zero.
//!
//! `before`: for a service `{"desired": number}`; for a task what the report may want to know.

use aws_config::SdkConfig;
use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::{SchedulingStrategy, Service, Task};
use davylamp_model::ids::{Arn, IncidentId};
use davylamp_plan::action::Action;
use serde::Deserialize;
use serde_json::{Value, json};

use super::recorded;
use super::{already, done, failed, failure, impossible, irreversible, needed, not_ours, pending};
use crate::actuator::{ActError, Checked, Verified};

#[derive(Debug, Deserialize)]
struct Size {
    desired: i32,
}

pub(super) async fn check(config: &SdkConfig, action: &Action) -> Result<Checked, ActError> {
    let ecs = Client::new(config);
    match action {
        Action::StopTask { cluster, task } => match find_task(&ecs, cluster, task).await? {
            None => already("the task is gone"),
            Some(task) if is_stopped(&task) => already("the task is stopped"),
            Some(task) => needed(json!({
                "status": task.last_status(),
                "group": task.group(),
                "started-by": task.started_by(),
            })),
        },
        Action::ScaleServiceToZero { cluster, service } => {
            match find_service(&ecs, cluster, service).await? {
                None => already("the service is gone"),
                Some(found) if found.scheduling_strategy() == Some(&SchedulingStrategy::Daemon) => {
                    impossible("a daemon service has no size: it runs once on each instance")
                }
                Some(found) if found.desired_count() == 0 => already("the service wants no task"),
                Some(found) => needed(json!({ "desired": found.desired_count() })),
            }
        }
        _ => Err(not_ours(action)),
    }
}

pub(super) async fn act(
    config: &SdkConfig,
    action: &Action,
    incident: &IncidentId,
) -> Result<(), ActError> {
    let ecs = Client::new(config);
    match action {
        Action::StopTask { cluster, task } => {
            let found = find_task(&ecs, cluster, task).await?;
            if found.is_none_or(|task| is_stopped(&task)) {
                return Ok(());
            }
            ecs.stop_task()
                .cluster(cluster.as_str())
                .task(task.as_str())
                .reason(format!("davylamp {incident}"))
                .send()
                .await
                .map(drop)
                .map_err(|error| failure::of("ecs:StopTask", &error))
        }
        Action::ScaleServiceToZero { cluster, service } => {
            match find_service(&ecs, cluster, service).await? {
                Some(found) if found.desired_count() > 0 => resize(&ecs, cluster, service, 0).await,
                _ => Ok(()),
            }
        }
        _ => Err(not_ours(action)),
    }
}

pub(super) async fn verify(config: &SdkConfig, action: &Action) -> Result<Verified, ActError> {
    let ecs = Client::new(config);
    match action {
        Action::StopTask { cluster, task } => match find_task(&ecs, cluster, task).await? {
            None => done("the task is gone"),
            Some(task) if is_stopped(&task) => done("the task is stopped"),
            Some(task) if task.desired_status() == Some("STOPPED") => pending("the task to stop"),
            Some(_) => failed("the task runs"),
        },
        Action::ScaleServiceToZero { cluster, service } => {
            match find_service(&ecs, cluster, service).await? {
                None => done("the service is gone"),
                Some(found) if found.desired_count() > 0 => {
                    failed(format!("the service wants {} tasks", found.desired_count()))
                }
                Some(found) if found.running_count() > 0 => pending(format!(
                    "{} tasks of the service to stop",
                    found.running_count()
                )),
                Some(_) => done("the service runs no task and wants none"),
            }
        }
        _ => Err(not_ours(action)),
    }
}

pub(super) async fn undo(
    config: &SdkConfig,
    action: &Action,
    before: &Value,
) -> Result<(), ActError> {
    let Action::ScaleServiceToZero { cluster, service } = action else {
        return Err(irreversible(action));
    };
    let ecs = Client::new(config);
    let before: Size = recorded(action, before)?;
    match find_service(&ecs, cluster, service).await? {
        Some(found) if found.desired_count() == 0 => {
            resize(&ecs, cluster, service, before.desired).await
        }
        _ => Ok(()),
    }
}

fn is_stopped(task: &Task) -> bool {
    task.last_status() == Some("STOPPED")
}

/// A task is described for about an hour after it stopped, and is then missing.
async fn find_task(ecs: &Client, cluster: &Arn, task: &Arn) -> Result<Option<Task>, ActError> {
    let answer = ecs
        .describe_tasks()
        .cluster(cluster.as_str())
        .tasks(task.as_str())
        .send()
        .await
        .map_err(|error| failure::of("ecs:DescribeTasks", &error))?;
    Ok(answer.tasks.unwrap_or_default().pop())
}

async fn find_service(
    ecs: &Client,
    cluster: &Arn,
    service: &str,
) -> Result<Option<Service>, ActError> {
    let answer = ecs
        .describe_services()
        .cluster(cluster.as_str())
        .services(service)
        .send()
        .await
        .map_err(|error| failure::of("ecs:DescribeServices", &error))?;
    Ok(answer
        .services
        .unwrap_or_default()
        .pop()
        .filter(|found| found.status() != Some("INACTIVE")))
}

async fn resize(ecs: &Client, cluster: &Arn, service: &str, size: i32) -> Result<(), ActError> {
    ecs.update_service()
        .cluster(cluster.as_str())
        .service(service)
        .desired_count(size)
        .send()
        .await
        .map(drop)
        .map_err(|error| failure::of("ecs:UpdateService", &error))
}
