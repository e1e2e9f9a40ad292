//! The account's public doors.

use davylamp_model::ids::Region;
use davylamp_model::inventory::{Doors, PublicInterface, Reading};
use davylamp_model::resource::Resource;

use super::{Expansion, Ground, living, network};
use crate::action::{Action, ISOLATION_PURPOSE, PURPOSE_TAG};

/// The mode that lets nothing in and nothing out.
const VPC_BOTH_WAYS: &str = "block-bidirectional";
/// The modes there are beside `off`.
const VPC_MODES: [&str; 2] = [VPC_BOTH_WAYS, "block-ingress"];

/// The doors, or an omission that says why they are not known.
fn doors<'g>(ground: &Ground<'g>, out: &mut Expansion) -> Option<&'g Doors> {
    let target = ground.case.resource.key();
    match &ground.scope.inventory.doors {
        Reading::Known(doors) => return Some(doors),
        Reading::Unknown { why } => {
            out.omit(
                target,
                format!("the account's public doors could not be read: {why}"),
            );
        }
        Reading::NotAsked => out.omit(target, "the account's public doors were not asked for"),
    }
    None
}

fn sorted(doors: &Doors) -> Vec<&PublicInterface> {
    let mut sorted: Vec<&PublicInterface> = doors.interfaces.iter().collect();
    sorted.sort_by(|one, other| one.interface.id.cmp(&other.interface.id));
    sorted
}

pub(super) fn interfaces(ground: &Ground<'_>, out: &mut Expansion) {
    // A finding about one machine is about its doors only.
    if ground.scope.inventory.doors == Reading::NotAsked && !ground.scope.instances.is_empty() {
        for instance in living(ground, out) {
            let public = instance
                .interfaces
                .iter()
                .filter(|interface| interface.public_ip.is_some());
            let mut public: Vec<_> = public.collect();
            public.sort_by(|one, other| one.id.cmp(&other.id));
            if public.is_empty() {
                let target = format!("instance/{}", instance.id);
                out.omit(target, "none of its interfaces has a public address");
            }
            for interface in public {
                network::isolate(interface, out);
            }
        }
        return;
    }
    let Some(doors) = doors(ground, out) else {
        return;
    };
    if doors.interfaces.is_empty() {
        let target = ground.case.resource.key();
        out.omit(target, "no interface of the region has a public address");
    }
    for door in sorted(doors) {
        if door.managed {
            let target = format!("interface/{}", door.interface.id);
            out.omit(
                target,
                "AWS manages it for another service and lets nobody change it",
            );
        } else {
            network::isolate(&door.interface, out);
        }
    }
}

pub(super) fn addresses(ground: &Ground<'_>, out: &mut Expansion) {
    let Some(doors) = doors(ground, out) else {
        return;
    };
    if doors.interfaces.iter().all(|door| door.elastic.is_none()) {
        let target = ground.case.resource.key();
        out.omit(target, "no interface of the region has an elastic address");
    }
    for door in sorted(doors) {
        let Some((allocation, association)) = &door.elastic else {
            continue;
        };
        if door.managed {
            let target = format!("interface/{}", door.interface.id);
            out.omit(
                target,
                "AWS manages it for another service and lets nobody change it",
            );
            continue;
        }
        let action = Action::DisassociateAddress {
            allocation: allocation.clone(),
            association: association.clone(),
            interface: door.interface.id.clone(),
        };
        out.act(action, "the public reaches the machine by it");
    }
}

pub(super) fn rules(ground: &Ground<'_>, how: Option<&str>, out: &mut Expansion) {
    let Some(doors) = doors(ground, out) else {
        return;
    };
    if doors.open_rules.is_empty() {
        let target = ground.case.resource.key();
        out.omit(target, "no rule of the region is open to the world");
    }
    let mut rules: Vec<_> = doors.open_rules.iter().collect();
    rules.sort_by(|one, other| (&one.rule, &one.group).cmp(&(&other.rule, &other.group)));
    for rule in rules {
        if rule
            .group_tags
            .get(PURPOSE_TAG)
            .is_some_and(|it| it == ISOLATION_PURPOSE)
        {
            let target = format!("rule/{}", rule.rule);
            out.omit(
                target,
                "it is our own group's, which ends the connections of a machine that is cut off",
            );
            continue;
        }
        let wanted = match how {
            Some("ingress") => rule.ingress,
            Some("egress") => !rule.ingress,
            _ => true,
        };
        if !wanted {
            let target = format!("rule/{}", rule.rule);
            out.omit(target, "the playbook means the other direction only");
            continue;
        }
        let action = Action::RevokeRule {
            group: rule.group.clone(),
            rule: rule.rule.clone(),
            ingress: rule.ingress,
        };
        let direction = if rule.ingress { "from" } else { "to" };
        let why = format!("it opens {} {direction} {}", rule.ports, rule.network);
        out.act(action, why);
    }
}

pub(super) fn vpc(ground: &Ground<'_>, how: Option<&str>, out: &mut Expansion) {
    let Some(doors) = doors(ground, out) else {
        return;
    };
    let mode = how.unwrap_or(VPC_BOTH_WAYS);
    let target = "vpc-public-access";
    if !VPC_MODES.contains(&mode) {
        out.omit(
            target,
            format!("the playbook asks for `{mode}`, which is no mode of it"),
        );
        return;
    }
    // A door that is closed already is a step all the same: another incident may have closed it, and
    // its undo has to learn that this one needs it closed as well. What execution finds closed it
    // leaves alone, and undo never opens it.
    let action = Action::BlockVpcPublicAccess {
        mode: mode.to_owned(),
    };
    let why = match &doors.vpc_block_mode {
        Reading::Known(held) if held == mode || held == VPC_BOTH_WAYS => {
            format!("it is {held} already, and is to stay so")
        }
        _ => "so that no machine of the region reaches the internet, or is reached".to_owned(),
    };
    out.act(action, why);
}

pub(super) fn buckets(ground: &Ground<'_>, out: &mut Expansion) {
    let Some(doors) = doors(ground, out) else {
        return;
    };
    let account = ground.scope.inventory.place.account.clone();
    if let Some(region) = elsewhere(ground) {
        out.omit(
            format!("bucket-public-access/{account}"),
            format!("it is the whole account's: the incident in {region} blocks it"),
        );
        return;
    }
    let action = Action::BlockBucketPublicAccess { account };
    let why = match doors.s3_blocked {
        Reading::Known(true) => "it is blocked in all four ways already, and is to stay so",
        _ => "so that no bucket of the account is open to the public",
    };
    out.act(action, why);
}

/// The region in which what the account has as a whole is answered, where no finding is about the
/// account itself: two incidents that both close a door would open it one after the other.
fn elsewhere<'g>(ground: &Ground<'g>) -> Option<&'g Region> {
    let resources = || ground.case.findings.iter().flat_map(|it| &it.resources);
    if resources().any(|resource| *resource == Resource::Account) {
        return None;
    }
    resources().find_map(|resource| match resource {
        Resource::AccountRegion { whole_in } => Some(whole_in),
        _ => None,
    })
}

pub(super) fn clusters(ground: &Ground<'_>, out: &mut Expansion) {
    let Some(doors) = doors(ground, out) else {
        return;
    };
    match &doors.eks_endpoints {
        Reading::Known(endpoints) => {
            let mut endpoints: Vec<_> = endpoints.iter().collect();
            endpoints.sort();
            if endpoints.is_empty() {
                out.omit("eks", "no cluster has a public endpoint");
            }
            for (cluster, networks) in endpoints {
                let action = Action::CloseEksEndpoint {
                    cluster: cluster.clone(),
                };
                out.act(
                    action,
                    format!("its API is open to {}", networks.join(", ")),
                );
            }
        }
        Reading::Unknown { why } => {
            out.omit(
                "eks",
                format!("the clusters' endpoints could not be read: {why}"),
            );
        }
        Reading::NotAsked => out.omit("eks", "the clusters' endpoints were not asked for"),
    }
}
