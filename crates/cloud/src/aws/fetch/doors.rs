//! What the public can reach in one account and region.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{self, Filter};
use davylamp_model::ids::{ClusterName, GroupId, InstanceId};
use davylamp_model::inventory::{Doors, OpenRule, PublicInterface, Reading, Tags, Unread};
use davylamp_model::resource::Place;

use super::{MAX_FILTER_VALUES, Read, Sizes, ec2, tags};
use crate::aws::read::{ReadConfig, ReadError};
use crate::missed::Missed;

/// The networks that are everybody.
const WORLD: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// Reads the doors. What could not be read is said in `unread`, beside what could.
pub async fn doors(
    session: &ReadConfig,
    place: &Place,
    sizes: Sizes,
    unread: &mut Vec<Unread>,
) -> Doors {
    Doors {
        interfaces: interfaces(session, place, sizes, unread).await,
        open_rules: open_rules(session, place, sizes, unread).await,
        vpc_block_mode: reading(vpc_block_mode(session).await),
        s3_blocked: reading(s3_blocked(session, place).await),
        eks_endpoints: reading(eks_endpoints(session).await),
    }
}

fn reading<T>(answer: Result<T, ReadError>) -> Reading<T> {
    match answer {
        Ok(value) => Reading::Known(value),
        Err(error) => Reading::Unknown {
            why: error.to_string(),
        },
    }
}

async fn interfaces(
    session: &ReadConfig,
    place: &Place,
    sizes: Sizes,
    unread: &mut Vec<Unread>,
) -> Vec<PublicInterface> {
    let client = session.ec2();
    let all = match ec2::network_interfaces(&client, None, sizes).await {
        Ok(all) => all,
        Err(error) => {
            let what = format!("public interfaces of {}", place.region);
            unread.push(Missed::from(error).unread(what));
            return Vec::new();
        }
    };
    let mut public: Vec<PublicInterface> = all.iter().filter_map(public_interface).collect();
    let owners: BTreeSet<InstanceId> = public.iter().filter_map(|it| it.instance.clone()).collect();
    let instances = ec2::instances(&client, &owners, sizes).await;
    for interface in &mut public {
        match interface
            .instance
            .as_ref()
            .map(|id| (id, instances.get(id)))
        {
            Some((_, Some(Read::Found(found)))) => {
                interface.instance_tags = found.instance.tags.clone();
            }
            Some((id, Some(Read::Unread(missed)))) => {
                unread.push(missed.unread(format!("tags of instance {id}")));
            }
            _ => {}
        }
    }
    public
}

fn public_interface(from: &types::NetworkInterface) -> Option<PublicInterface> {
    let interface = ec2::interface(from)?;
    interface.public_ip.as_ref()?;
    let association = from.association();
    let elastic = association.and_then(|it| {
        Some((
            it.allocation_id()?.to_owned(),
            it.association_id()?.to_owned(),
        ))
    });
    let plain = from
        .interface_type()
        .is_none_or(|kind| matches!(kind.as_str(), "interface" | "efa"));
    Some(PublicInterface {
        interface,
        instance: from
            .attachment()
            .and_then(|it| it.instance_id())
            .map(InstanceId::from),
        instance_tags: Tags::new(),
        elastic,
        managed: from.requester_managed().unwrap_or(false) || !plain,
    })
}

async fn open_rules(
    session: &ReadConfig,
    place: &Place,
    sizes: Sizes,
    unread: &mut Vec<Unread>,
) -> Vec<OpenRule> {
    let client = session.ec2();
    let mut rules = Vec::new();
    let mut pages = client
        .describe_security_group_rules()
        .set_max_results(sizes.page)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => rules.extend(page.security_group_rules().iter().filter_map(open_rule)),
            Err(error) => {
                let missed = Missed::from(ReadError::of("ec2:DescribeSecurityGroupRules", &error));
                unread.push(missed.unread(format!("open rules of {}", place.region)));
            }
        }
    }
    let groups: BTreeSet<GroupId> = rules.iter().map(|rule| rule.group.clone()).collect();
    let mut tags_of: BTreeMap<GroupId, Tags> = BTreeMap::new();
    for chunk in sizes.chunks(&groups, MAX_FILTER_VALUES) {
        let filter = Filter::builder()
            .name("group-id")
            .set_values(Some(chunk.iter().map(|id| id.0.clone()).collect()))
            .build();
        let mut pages = client
            .describe_security_groups()
            .filters(filter)
            .set_max_results(sizes.page)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => tags_of.extend(page.security_groups().iter().filter_map(|group| {
                    let pairs = group.tags().iter().map(|tag| (tag.key(), tag.value()));
                    Some((GroupId::from(group.group_id()?), tags(pairs)))
                })),
                Err(error) => {
                    let missed = Missed::from(ReadError::of("ec2:DescribeSecurityGroups", &error));
                    let each = chunk.iter();
                    unread
                        .extend(each.map(|group| missed.unread(format!("tags of group {group}"))));
                }
            }
        }
    }
    for rule in &mut rules {
        rule.group_tags = tags_of.get(&rule.group).cloned().unwrap_or_default();
    }
    rules
}

fn open_rule(from: &types::SecurityGroupRule) -> Option<OpenRule> {
    let network = [from.cidr_ipv4(), from.cidr_ipv6()]
        .into_iter()
        .flatten()
        .find(|network| WORLD.contains(network))?;
    let protocol = match from.ip_protocol() {
        None | Some("-1") => "all",
        Some(protocol) => protocol,
    };
    let ports = match (from.from_port(), from.to_port()) {
        (Some(from), Some(to)) if from == -1 || to == -1 => protocol.to_owned(),
        (Some(from), Some(to)) if from == to => format!("{protocol} {from}"),
        (Some(from), Some(to)) => format!("{protocol} {from}-{to}"),
        _ => protocol.to_owned(),
    };
    Some(OpenRule {
        group: GroupId::from(from.group_id()?),
        rule: from.security_group_rule_id()?.to_owned(),
        ingress: !from.is_egress().unwrap_or(false),
        network: network.to_owned(),
        ports,
        group_tags: Tags::new(),
    })
}

async fn vpc_block_mode(session: &ReadConfig) -> Result<String, ReadError> {
    const CALL: &str = "ec2:DescribeVpcBlockPublicAccessOptions";
    let answer = session
        .ec2()
        .describe_vpc_block_public_access_options()
        .send()
        .await
        .map_err(|error| ReadError::of(CALL, &error))?;
    answer
        .vpc_block_public_access_options()
        .and_then(|options| options.internet_gateway_block_mode())
        .map(|mode| mode.as_str().to_owned())
        .ok_or_else(|| ReadError::Failed {
            call: CALL,
            said: "the answer names no mode".to_owned(),
            may_pass: false,
        })
}

async fn s3_blocked(session: &ReadConfig, place: &Place) -> Result<bool, ReadError> {
    let answer = session
        .s3control()
        .get_public_access_block()
        .account_id(place.account.as_str())
        .send()
        .await;
    match answer {
        Ok(answer) => Ok(answer
            .public_access_block_configuration()
            .is_some_and(|it| {
                [
                    it.block_public_acls(),
                    it.ignore_public_acls(),
                    it.block_public_policy(),
                    it.restrict_public_buckets(),
                ]
                .iter()
                .all(|set| *set == Some(true))
            })),
        Err(error) => match ReadError::of("s3:GetAccountPublicAccessBlock", &error) {
            // Where nothing was ever configured, nothing is blocked.
            error if error.is_absent() => Ok(false),
            error => Err(error),
        },
    }
}

async fn eks_endpoints(session: &ReadConfig) -> Result<Vec<(ClusterName, Vec<String>)>, ReadError> {
    let client = session.eks();
    let mut names = Vec::new();
    let mut pages = client.list_clusters().into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| ReadError::of("eks:ListClusters", &error))?;
        names.extend(page.clusters.unwrap_or_default());
    }
    let mut open = Vec::new();
    for name in names {
        let answer = match client.describe_cluster().name(&name).send().await {
            Ok(answer) => answer,
            Err(error) => match ReadError::of("eks:DescribeCluster", &error) {
                // It was deleted since it was listed.
                error if error.is_absent() => continue,
                error => return Err(error),
            },
        };
        let vpc = answer.cluster().and_then(|it| it.resources_vpc_config());
        if let Some(vpc) = vpc.filter(|it| it.endpoint_public_access()) {
            open.push((
                ClusterName::from(name.as_str()),
                vpc.public_access_cidrs().to_vec(),
            ));
        }
    }
    Ok(open)
}
