//! SSM: the operator's document captures the memory of an instance.
//!
//! `before`: `{"commands": [id]}`, the runs of that document on that instance that were there
//! already. One that is not among them is ours, so a repetition sends no second one.

use aws_config::SdkConfig;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::{Command, CommandStatus};
use davylamp_model::ids::{IncidentId, InstanceId};
use davylamp_plan::action::Action;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{done, failed, failure, needed, not_ours, pending, recorded};
use crate::actuator::{ActError, Checked, Verified};

#[derive(Debug, Deserialize)]
struct Runs {
    commands: Vec<String>,
}

pub(super) async fn check(config: &SdkConfig, action: &Action) -> Result<Checked, ActError> {
    let (instance, document) = target_of(action)?;
    let commands: Vec<String> = runs(&Client::new(config), instance, document)
        .await?
        .iter()
        .filter_map(|command| command.command_id().map(str::to_owned))
        .collect();
    needed(json!({ "commands": commands }))
}

pub(super) async fn act(
    config: &SdkConfig,
    action: &Action,
    incident: &IncidentId,
    before: &Value,
) -> Result<(), ActError> {
    let ssm = Client::new(config);
    let (instance, document) = target_of(action)?;
    if ours(&ssm, action, before).await?.is_some() {
        return Ok(());
    }
    ssm.send_command()
        .document_name(document)
        .instance_ids(instance.as_str())
        .comment(format!("davylamp {incident}"))
        .send()
        .await
        .map(drop)
        .map_err(|error| failure::of("ssm:SendCommand", &error))
}

pub(super) async fn verify(
    config: &SdkConfig,
    action: &Action,
    before: &Value,
) -> Result<Verified, ActError> {
    let Some(command) = ours(&Client::new(config), action, before).await? else {
        return failed("the document was not run");
    };
    let id = command.command_id().unwrap_or_default();
    match command.status() {
        Some(CommandStatus::Success) => done(format!("command {id} has captured the memory")),
        Some(
            status @ (CommandStatus::Cancelled
            | CommandStatus::Cancelling
            | CommandStatus::Failed
            | CommandStatus::TimedOut),
        ) => failed(format!("command {id} is {}", status.as_str())),
        _ => pending(format!("command {id} to capture the memory")),
    }
}

fn target_of(action: &Action) -> Result<(&InstanceId, &str), ActError> {
    match action {
        Action::CaptureMemory { instance, document } => Ok((instance, document)),
        _ => Err(not_ours(action)),
    }
}

/// The run that was not there before.
async fn ours(ssm: &Client, action: &Action, before: &Value) -> Result<Option<Command>, ActError> {
    let (instance, document) = target_of(action)?;
    let before: Runs = recorded(action, before)?;
    let runs = runs(ssm, instance, document).await?;
    Ok(runs.into_iter().find(|command| {
        command
            .command_id()
            .is_some_and(|id| !before.commands.iter().any(|known| known == id))
    }))
}

/// Every run of the document on the instance that SSM remembers.
async fn runs(
    ssm: &Client,
    instance: &InstanceId,
    document: &str,
) -> Result<Vec<Command>, ActError> {
    let mut pages = ssm
        .list_commands()
        .instance_id(instance.as_str())
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failure::of("ssm:ListCommands", &error))?;
        found.extend(
            page.commands
                .unwrap_or_default()
                .into_iter()
                .filter(|command| command.document_name() == Some(document)),
        );
    }
    Ok(found)
}
