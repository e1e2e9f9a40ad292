//! GuardDuty: a finding that was dealt with is archived.

use aws_config::SdkConfig;
use aws_sdk_guardduty::Client;
use davylamp_plan::action::Action;
use serde_json::json;

use super::{already, done, failed, failure, impossible, needed, not_ours};
use crate::actuator::{ActError, Checked, Verified};

pub(super) async fn check(config: &SdkConfig, action: &Action) -> Result<Checked, ActError> {
    match archived(&Client::new(config), action).await? {
        None => impossible("GuardDuty has no such finding"),
        Some(true) => already("the finding is archived"),
        Some(false) => needed(json!({ "archived": false })),
    }
}

pub(super) async fn act(config: &SdkConfig, action: &Action) -> Result<(), ActError> {
    let (detector, finding) = target_of(action)?;
    Client::new(config)
        .archive_findings()
        .detector_id(detector)
        .finding_ids(finding)
        .send()
        .await
        .map(drop)
        .map_err(|error| failure::of("guardduty:ArchiveFindings", &error))
}

pub(super) async fn verify(config: &SdkConfig, action: &Action) -> Result<Verified, ActError> {
    match archived(&Client::new(config), action).await? {
        None => failed("GuardDuty has no such finding"),
        Some(true) => done("the finding is archived"),
        Some(false) => failed("the finding is not archived"),
    }
}

pub(super) async fn undo(config: &SdkConfig, action: &Action) -> Result<(), ActError> {
    let guardduty = Client::new(config);
    if archived(&guardduty, action).await? != Some(true) {
        return Ok(());
    }
    let (detector, finding) = target_of(action)?;
    guardduty
        .unarchive_findings()
        .detector_id(detector)
        .finding_ids(finding)
        .send()
        .await
        .map(drop)
        .map_err(|error| failure::of("guardduty:UnarchiveFindings", &error))
}

fn target_of(action: &Action) -> Result<(&str, &str), ActError> {
    match action {
        Action::ArchiveFinding { detector, finding } => Ok((detector, finding)),
        _ => Err(not_ours(action)),
    }
}

/// Whether the finding is archived; `None` where GuardDuty has none of that id.
async fn archived(guardduty: &Client, action: &Action) -> Result<Option<bool>, ActError> {
    let (detector, finding) = target_of(action)?;
    let answer = guardduty
        .get_findings()
        .detector_id(detector)
        .finding_ids(finding)
        .send()
        .await
        .map_err(|error| failure::of("guardduty:GetFindings", &error))?;
    Ok(answer
        .findings()
        .iter()
        .find(|found| found.id() == Some(finding))
        .map(|found| {
            found
                .service()
                .and_then(|service| service.archived())
                .unwrap_or(false)
        }))
}
