//! Cutting an interface off, so that established connections die as well.
//!
//! A flow that a security group tracks lives on when the rule that let it in is taken away. A flow
//! that no group needs to track, because all traffic is allowed both ways, ends with that rule. So
//! an interface goes by way of a group that allows everything into a group that allows nothing:
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html>.
//! Both groups exist once for a VPC. Their rules are put right each time before they are used, for
//! all who ask at the same time together:
//! whoever is in the account can change them, or make groups of these names before we do.
//!
//! `before`: `{"groups": [group]}`, never one of our own. The interface carries the same in its
//! tags, so that a person can undo it without the journal.

use std::collections::HashMap;

use aws_sdk_ec2::types::{Filter, NetworkInterface, Tag};
use davylamp_model::ids::{GroupId, InterfaceId, VpcId};
use davylamp_plan::action::Action;
use serde::Deserialize;
use serde_json::{Value, json};

use super::isolation::{self, ISOLATION};
use super::together::Found;
use super::{At, already, done, failure, gone, impossible, needed, not_ours, pending, recorded};
use crate::actuator::{ActError, Checked, Reverted, Verified};

/// The groups an interface had. A value holds 256 characters, and an interface up to 16 groups.
const GROUPS_BEFORE: &[&str] = &["davylamp:groups-before", "davylamp:groups-before-2"];
/// So many ids of 20 characters fit into one value.
const GROUPS_IN_TAG: usize = 12;

#[derive(Debug, Default, Deserialize)]
struct Before {
    groups: Vec<GroupId>,
}

pub(super) async fn check(at: &At<'_>, action: &Action) -> Result<Checked, ActError> {
    let (id, vpc, planned) = target(action)?;
    let Some(found) = describe(at, id).await? else {
        return impossible(format!("{id} no longer exists"));
    };
    if found.requester_managed() == Some(true) {
        return impossible(format!(
            "{id} belongs to an AWS service, which alone can change its groups"
        ));
    }
    if found.vpc_id() != Some(vpc.as_str()) {
        return impossible(format!("{id} is not in {vpc}"));
    }
    let ours = isolation::find(at, vpc).await?;
    let now = groups(&found);
    if let Some(isolation) = &ours.isolation
        && now == [isolation.clone()]
        && isolation::is_empty(at, isolation).await?
    {
        return already(format!(
            "{id} is in {isolation} alone, which allows nothing"
        ));
    }
    let foreign = |list: Vec<GroupId>| -> Vec<GroupId> {
        list.into_iter().filter(|group| !ours.has(group)).collect()
    };
    // Cut off in the middle by an earlier run: what it was is in the tags, else in the plan.
    let mut before = foreign(now);
    if before.is_empty() {
        before = foreign(tagged(&found));
    }
    if before.is_empty() {
        before = foreign(planned.to_vec());
    }
    needed(json!({ "groups": before }))
}

pub(super) async fn act(at: &At<'_>, action: &Action, before: &Value) -> Result<(), ActError> {
    let ec2 = at.ec2();
    let (id, vpc, _) = target(action)?;
    let before: Before = recorded(action, before)?;
    let (allow, isolation) = isolation::ensure(at, vpc).await?;
    let Some(found) = describe(at, id).await? else {
        return Err(failure::refused(
            "ec2:ModifyNetworkInterfaceAttribute",
            format!("{id} no longer exists"),
        ));
    };
    let now = groups(&found);
    if now == [isolation.clone()] {
        return Ok(());
    }
    if tagged(&found) != before.groups {
        match tag(&ec2, id, &before.groups).await {
            Ok(()) => {}
            Err(error) if error.is_transient() => return Err(error),
            // The journal knows the groups as well; the miner goes on while we insist.
            Err(error) => {
                tracing::warn!(interface = %id, %error, "the interface's groups are not in its tags");
            }
        }
    }
    if now != [allow.clone()] {
        set(&ec2, id, &[allow]).await?;
    }
    set(&ec2, id, &[isolation]).await
}

pub(super) async fn verify(at: &At<'_>, action: &Action) -> Result<Verified, ActError> {
    let (id, vpc, _) = target(action)?;
    let Some(found) = describe(at, id).await? else {
        return done(format!("{id} no longer exists"));
    };
    let Some(isolation) = isolation::find(at, vpc).await?.isolation else {
        return pending(format!("the group {ISOLATION} of {vpc} to be seen"));
    };
    if groups(&found) != [isolation.clone()] {
        return pending(format!("{id} to be in {isolation} alone"));
    }
    if isolation::is_empty(at, &isolation).await? {
        done(format!(
            "{id} is in {isolation} alone, which allows nothing"
        ))
    } else {
        pending(format!("the rules of {isolation} to be removed"))
    }
}

pub(super) async fn undo(
    at: &At<'_>,
    action: &Action,
    before: &Value,
) -> Result<Reverted, ActError> {
    let ec2 = at.ec2();
    let (id, vpc, _) = target(action)?;
    let Some(found) = describe(at, id).await? else {
        return gone(format!("{id} is deleted"));
    };
    let ours = isolation::find(at, vpc).await?;
    // Not ours any more: undone before, or somebody has decided otherwise since.
    if groups(&found).iter().any(|group| ours.has(group)) {
        let mut before: Before = match before {
            Value::Null => Before::default(),
            before => recorded(action, before)?,
        };
        if before.groups.is_empty() {
            before.groups = tagged(&found);
        }
        before.groups.retain(|group| !ours.has(group));
        if before.groups.is_empty() {
            return Err(failure::refused(
                "ec2:ModifyNetworkInterfaceAttribute",
                format!("nobody knows which groups {id} was in; a person has to choose them"),
            ));
        }
        set(&ec2, id, &before.groups).await?;
    }
    if tagged(&found).is_empty() {
        return Ok(Reverted::Back);
    }
    let tags = GROUPS_BEFORE
        .iter()
        .map(|key| Tag::builder().key(*key).build());
    ec2.delete_tags()
        .resources(id.as_str())
        .set_tags(Some(tags.collect()))
        .send()
        .await
        .map(|_| Reverted::Back)
        .map_err(|error| failure::of("ec2:DeleteTags", &error))
}

fn target(action: &Action) -> Result<(&InterfaceId, &VpcId, &[GroupId]), ActError> {
    match action {
        Action::IsolateInterface {
            interface,
            vpc,
            groups,
        } => Ok((interface, vpc, groups)),
        _ => Err(not_ours(action)),
    }
}

async fn describe(at: &At<'_>, id: &InterfaceId) -> Result<Option<NetworkInterface>, ActError> {
    let ec2 = at.ec2();
    let read = move |ids| described(ec2.clone(), ids);
    let keys = std::slice::from_ref(id);
    let mut found = at.reads.interfaces.ask(at.place, keys, read).await?;
    Ok(found.remove(id))
}

/// By filter, because one id that is gone fails a call by ids.
async fn described(
    ec2: aws_sdk_ec2::Client,
    ids: Vec<InterfaceId>,
) -> Found<InterfaceId, NetworkInterface> {
    let ids = ids.into_iter().map(|id| id.0).collect();
    let filter = Filter::builder()
        .name("network-interface-id")
        .set_values(Some(ids))
        .build();
    let mut pages = ec2
        .describe_network_interfaces()
        .filters(filter)
        .into_paginator()
        .send();
    let mut found = HashMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failure::of("ec2:DescribeNetworkInterfaces", &error))?;
        for interface in page.network_interfaces.unwrap_or_default() {
            if let Some(id) = interface.network_interface_id() {
                found.insert(InterfaceId::from(id), interface);
            }
        }
    }
    Ok(found)
}

fn groups(interface: &NetworkInterface) -> Vec<GroupId> {
    interface
        .groups()
        .iter()
        .filter_map(|group| group.group_id().map(GroupId::from))
        .collect()
}

fn tagged(interface: &NetworkInterface) -> Vec<GroupId> {
    GROUPS_BEFORE
        .iter()
        .filter_map(|key| {
            interface
                .tag_set()
                .iter()
                .find(|tag| tag.key() == Some(*key))
                .and_then(Tag::value)
        })
        .flat_map(str::split_whitespace)
        .map(GroupId::from)
        .collect()
}

async fn tag(
    ec2: &aws_sdk_ec2::Client,
    id: &InterfaceId,
    groups: &[GroupId],
) -> Result<(), ActError> {
    let tags: Vec<Tag> = GROUPS_BEFORE
        .iter()
        .zip(groups.chunks(GROUPS_IN_TAG))
        .map(|(key, some)| {
            let ids: Vec<&str> = some.iter().map(GroupId::as_str).collect();
            Tag::builder().key(*key).value(ids.join(" ")).build()
        })
        .collect();
    if tags.is_empty() {
        return Ok(());
    }
    ec2.create_tags()
        .resources(id.as_str())
        .set_tags(Some(tags))
        .send()
        .await
        .map(drop)
        .map_err(|error| failure::of("ec2:CreateTags", &error))
}

async fn set(
    ec2: &aws_sdk_ec2::Client,
    id: &InterfaceId,
    groups: &[GroupId],
) -> Result<(), ActError> {
    ec2.modify_network_interface_attribute()
        .network_interface_id(id.as_str())
        .set_groups(Some(groups.iter().map(|group| group.0.clone()).collect()))
        .send()
        .await
        .map(drop)
        .map_err(|error| failure::of("ec2:ModifyNetworkInterfaceAttribute", &error))
}
