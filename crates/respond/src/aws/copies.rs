//! Evidence copied to the account that keeps it.
//!
//! In this order: the snapshot is shared with that account, then that account copies it with its
//! own key, then the copy is tagged with what it is a copy of. The original stays shared: taking
//! the permission away while the copy runs would break it. Nothing is copied twice: copies are
//! found by the tag of their source. The SDK's retries are off for the copy, which takes no client
//! token.
//!
//! An original that is encrypted with the account's default EBS key cannot be shared; EC2 refuses,
//! and the step says so. `before` is empty: nothing is taken away.

use aws_config::SdkConfig;
use aws_sdk_ec2::types::{Filter, OperationType, SnapshotAttributeName};
use davylamp_model::ids::{AccountId, Region, VolumeId};
use davylamp_model::resource::Place;
use davylamp_plan::action::Action;
use davylamp_plan::plan::Plan;
use jiff::Timestamp;
use serde_json::Value;

use super::custody::{description, specification, text};
use super::evidence::{self, CUSTODY, Evidence, FINDING, INCIDENT, PLAN, SOURCE_VOLUME, TIME};
use super::snapshots::once;
use super::{At, already, done, failed, failure, impossible, needed, not_ours, pending, presigned};
use crate::actuator::{ActError, Checked, Verified};

/// What a copy is a copy of.
const COPY_OF: &str = "davylamp:copy-of";

struct Copying<'a> {
    volumes: &'a [VolumeId],
    account: &'a AccountId,
    region: &'a Region,
    kms_key: &'a str,
}

pub(super) async fn check(at: &At<'_>, action: &Action) -> Result<Checked, ActError> {
    let copying = target(action)?;
    let found = evidence::find(at, copying.volumes).await?;
    if let Some(volume) = copying
        .volumes
        .iter()
        .find(|volume| !found.iter().any(|one| one.volume == volume.as_str()))
    {
        return impossible(format!("there is no evidence of {volume} to copy"));
    }
    match verify(at, action).await? {
        Verified::Done { note } => already(note),
        _ => needed(Value::Null),
    }
}

pub(super) async fn act(at: &At<'_>, plan: &Plan, action: &Action) -> Result<(), ActError> {
    let copying = target(action)?;
    let ec2 = at.ec2();
    let keeping = keeping(at, &copying).await?;
    let keeper = aws_sdk_ec2::Client::new(&keeping);
    for original in originals(at, &copying).await? {
        let copy = copy_of(&keeper, &original.id).await?;
        if copy.is_some_and(|copy| copy.is_pending() || copy.is_complete()) {
            continue;
        }
        share(at, &ec2, &original, copying.account).await?;
        let custody = format!(
            "copied by account {} from {} of account {} in {}",
            copying.account, original.id, at.place.account, at.place.region
        );
        let url = if original.encrypted {
            let (source, key) = (&at.place.region, copying.kms_key);
            let id = &original.id;
            Some(presigned::copy_snapshot(&keeping, source, copying.region, id, key).await?)
        } else {
            None
        };
        let tag = |key| text(original.tag(key).unwrap_or("unknown"));
        keeper
            .copy_snapshot()
            .source_region(at.place.region.as_str())
            .source_snapshot_id(&original.id)
            .description(description(plan))
            .encrypted(true)
            .kms_key_id(copying.kms_key)
            .set_presigned_url(url)
            .tag_specifications(specification(vec![
                (INCIDENT, tag(INCIDENT)),
                (FINDING, tag(FINDING)),
                (PLAN, tag(PLAN)),
                (SOURCE_VOLUME, text(&original.volume)),
                (TIME, Timestamp::now().to_string()),
                (CUSTODY, text(&custody)),
                (COPY_OF, original.id.clone()),
            ]))
            .customize()
            .config_override(once())
            .send()
            .await
            .map_err(|error| failure::of("ec2:CopySnapshot", &error))?;
    }
    Ok(())
}

pub(super) async fn verify(at: &At<'_>, action: &Action) -> Result<Verified, ActError> {
    let copying = target(action)?;
    let found = evidence::find(at, copying.volumes).await?;
    let keeper = aws_sdk_ec2::Client::new(&keeping(at, &copying).await?);
    let (mut complete, mut awaited, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    for volume in copying.volumes {
        let Some(original) = newest(&found, volume) else {
            awaited.push(format!("evidence of {volume} to complete"));
            continue;
        };
        match copy_of(&keeper, &original.id).await? {
            Some(copy) if copy.is_complete() => complete.push(format!(
                "{} of {volume} is copied to {} in account {}",
                original.id, copy.id, copying.account
            )),
            Some(copy) if copy.state.as_str() == "error" => {
                broken.push(format!(
                    "{}, the copy of {}, ended in error",
                    copy.id, original.id
                ));
            }
            Some(copy) => awaited.push(format!("{}, {} copied", original.id, copy.progress)),
            None => awaited.push(format!("the copy of {} to be seen", original.id)),
        }
    }
    if !awaited.is_empty() {
        awaited.extend(broken);
        pending(awaited.join("; "))
    } else if !broken.is_empty() {
        failed(broken.join("; "))
    } else {
        done(complete.join("; "))
    }
}

fn target(action: &Action) -> Result<Copying<'_>, ActError> {
    match action {
        Action::CopyEvidence {
            volumes,
            account,
            region,
            kms_key,
        } => Ok(Copying {
            volumes,
            account,
            region,
            kms_key,
        }),
        _ => Err(not_ours(action)),
    }
}

/// The configuration of the account and region that keeps the copies.
async fn keeping(at: &At<'_>, copying: &Copying<'_>) -> Result<SdkConfig, ActError> {
    let place = Place {
        account: copying.account.clone(),
        region: copying.region.clone(),
    };
    at.sessions
        .writing(&place)
        .await
        .map_err(|error| failure::of_session(&error))
}

/// The newest complete evidence of each volume; only what is complete can be copied.
async fn originals(at: &At<'_>, copying: &Copying<'_>) -> Result<Vec<Evidence>, ActError> {
    let found = evidence::find(at, copying.volumes).await?;
    copying
        .volumes
        .iter()
        .map(|volume| {
            newest(&found, volume).cloned().ok_or_else(|| {
                failure::transient(
                    "ec2:CopySnapshot",
                    format!("the evidence of {volume} is not complete yet"),
                )
            })
        })
        .collect()
}

fn newest<'a>(found: &'a [Evidence], volume: &VolumeId) -> Option<&'a Evidence> {
    found
        .iter()
        .filter(|one| one.volume == volume.as_str() && one.is_complete())
        // A copy that is kept in this very account and region is no original.
        .filter(|one| one.tag(COPY_OF).is_none())
        .max_by_key(|one| one.completed)
}

/// A copy that has not failed, else one that has.
async fn copy_of(
    keeper: &aws_sdk_ec2::Client,
    original: &str,
) -> Result<Option<Evidence>, ActError> {
    let filter = Filter::builder()
        .name(format!("tag:{COPY_OF}"))
        .values(original)
        .build();
    let copies = evidence::describe(keeper, filter).await?;
    Ok(copies
        .into_iter()
        .min_by_key(|copy| match copy.state.as_str() {
            "completed" => 0,
            "pending" => 1,
            _ => 2,
        }))
}

async fn share(
    at: &At<'_>,
    ec2: &aws_sdk_ec2::Client,
    original: &Evidence,
    account: &AccountId,
) -> Result<(), ActError> {
    if *account == at.place.account {
        return Ok(());
    }
    let shared = ec2
        .describe_snapshot_attribute()
        .snapshot_id(&original.id)
        .attribute(SnapshotAttributeName::CreateVolumePermission)
        .send()
        .await
        .map_err(|error| failure::of("ec2:DescribeSnapshotAttribute", &error))?
        .create_volume_permissions()
        .iter()
        .any(|permission| permission.user_id() == Some(account.as_str()));
    if shared {
        return Ok(());
    }
    ec2.modify_snapshot_attribute()
        .snapshot_id(&original.id)
        .attribute(SnapshotAttributeName::CreateVolumePermission)
        .operation_type(OperationType::Add)
        .user_ids(account.as_str())
        .send()
        .await
        .map(drop)
        .map_err(
            |error| match failure::of("ec2:ModifySnapshotAttribute", &error) {
                ActError::Refused { call, why } if original.encrypted => ActError::Refused {
                    call,
                    why: format!(
                        "{why}; {} is encrypted, and only a key of the account's own can be shared",
                        original.id
                    ),
                },
                other => other,
            },
        )
}
