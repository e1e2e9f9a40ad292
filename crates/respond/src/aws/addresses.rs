//! Elastic addresses.
//!
//! `before`: `{"private-ip": text or null}`, the private address the public one stood for.

use aws_sdk_ec2::types::Address;
use davylamp_model::ids::InterfaceId;
use davylamp_plan::action::Action;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{At, already, done, failure, impossible, needed, not_ours, pending, recorded};
use crate::actuator::{ActError, Checked, Verified};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Before {
    private_ip: Option<String>,
}

pub(super) async fn check(at: &At<'_>, action: &Action) -> Result<Checked, ActError> {
    let (allocation, association, interface) = target(action)?;
    let Some(found) = describe(&at.ec2(), allocation).await? else {
        return impossible(format!("{allocation} is released"));
    };
    match found.association_id() {
        None => already(free_note(&found, interface)),
        Some(now) if now == association => {
            needed(json!({ "private-ip": found.private_ip_address() }))
        }
        Some(_) => impossible(format!(
            "{allocation} is associated anew, with {}",
            found.network_interface_id().unwrap_or("something unknown")
        )),
    }
}

pub(super) async fn act(at: &At<'_>, action: &Action) -> Result<(), ActError> {
    let (_, association, _) = target(action)?;
    match at
        .ec2()
        .disassociate_address()
        .association_id(association)
        .send()
        .await
    {
        Ok(_) => Ok(()),
        Err(error) if failure::is_absent(&error) => Ok(()),
        Err(error) => Err(failure::of("ec2:DisassociateAddress", &error)),
    }
}

pub(super) async fn verify(at: &At<'_>, action: &Action) -> Result<Verified, ActError> {
    let (allocation, association, interface) = target(action)?;
    match describe(&at.ec2(), allocation).await? {
        None => done(format!("{allocation} is released")),
        Some(found) if found.association_id() != Some(association) => {
            done(free_note(&found, interface))
        }
        Some(_) => pending(format!("{allocation} to leave {interface}")),
    }
}

pub(super) async fn undo(at: &At<'_>, action: &Action, before: &Value) -> Result<(), ActError> {
    let ec2 = at.ec2();
    let (allocation, _, interface) = target(action)?;
    let before: Before = recorded(action, before)?;
    let refused = |why| Err(failure::refused("ec2:AssociateAddress", why));
    match describe(&ec2, allocation).await? {
        None => refused(format!("{allocation} is released")),
        Some(found) if found.association_id().is_some() => {
            if found.network_interface_id() == Some(interface.as_str()) {
                Ok(())
            } else {
                refused(format!("{allocation} is in use elsewhere"))
            }
        }
        Some(_) => ec2
            .associate_address()
            .allocation_id(allocation)
            .network_interface_id(interface.as_str())
            .set_private_ip_address(before.private_ip)
            .allow_reassociation(false)
            .send()
            .await
            .map(drop)
            .map_err(|error| failure::of("ec2:AssociateAddress", &error)),
    }
}

fn target(action: &Action) -> Result<(&str, &str, &InterfaceId), ActError> {
    match action {
        Action::DisassociateAddress {
            allocation,
            association,
            interface,
        } => Ok((allocation, association, interface)),
        _ => Err(not_ours(action)),
    }
}

fn free_note(address: &Address, interface: &InterfaceId) -> String {
    let ip = address.public_ip().unwrap_or("the address");
    format!("{ip} no longer leads to {interface}")
}

async fn describe(
    ec2: &aws_sdk_ec2::Client,
    allocation: &str,
) -> Result<Option<Address>, ActError> {
    match ec2
        .describe_addresses()
        .allocation_ids(allocation)
        .send()
        .await
    {
        Ok(answer) => Ok(answer
            .addresses
            .unwrap_or_default()
            .into_iter()
            .find(|found| found.allocation_id() == Some(allocation))),
        Err(error) if failure::is_absent(&error) => Ok(None),
        Err(error) => Err(failure::of("ec2:DescribeAddresses", &error)),
    }
}
