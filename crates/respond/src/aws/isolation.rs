//! The two groups of ours that an interface is isolated with.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};
use davylamp_model::ids::{GroupId, VpcId};
use davylamp_model::resource::Place;
use davylamp_plan::action::{ISOLATION_PURPOSE, PURPOSE_TAG};

use super::rules::{Rule, authorise, of_group, revoke};
use super::together::Found;
use super::{At, failure};
use crate::actuator::ActError;

/// The group that allows nothing.
pub(super) const ISOLATION: &str = "davylamp-isolation";
/// The group that allows everything, for the moment in which tracked flows become untracked.
const ALLOW: &str = "davylamp-isolation-allow";

/// What came of putting the groups of a VPC right, and when that was begun.
type LastTime = tokio::sync::Mutex<Option<(Instant, GroupId, GroupId)>>;

/// Of every VPC.
type LastTimes = HashMap<(Place, VpcId), Arc<LastTime>>;

/// The VPCs whose groups were put right. In a storm many interfaces of one VPC are cut off at the
/// same time: whoever asks while it is being done shares what the next one does, which begins after
/// everybody who shares it has asked. So nobody relies on what was true before.
#[derive(Debug, Clone, Default)]
pub(super) struct Readied {
    of_vpc: Arc<Mutex<LastTimes>>,
}

impl Readied {
    fn of(&self, place: &Place, vpc: &VpcId) -> Arc<LastTime> {
        let mut of_vpc = self.of_vpc.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(of_vpc.entry((place.clone(), vpc.clone())).or_default())
    }
}

/// Our two groups of a VPC, as far as they exist.
#[derive(Debug, Clone, Default)]
pub(super) struct Ours {
    allow: Option<GroupId>,
    pub(super) isolation: Option<GroupId>,
}

impl Ours {
    pub(super) fn has(&self, group: &GroupId) -> bool {
        [&self.allow, &self.isolation]
            .into_iter()
            .any(|ours| ours.as_ref() == Some(group))
    }
}

/// Looks for our two groups.
pub(super) async fn find(at: &At<'_>, vpc: &VpcId) -> Result<Ours, ActError> {
    let ec2 = at.ec2();
    let read = move |vpcs| found(ec2.clone(), vpcs);
    let keys = std::slice::from_ref(vpc);
    let mut found = at.reads.isolation.ask(at.place, keys, read).await?;
    Ok(found.remove(vpc).unwrap_or_default())
}

async fn found(ec2: aws_sdk_ec2::Client, vpcs: Vec<VpcId>) -> Found<VpcId, Ours> {
    let vpcs = vpcs.into_iter().map(|vpc| vpc.0).collect();
    let of_them = Filter::builder()
        .name("vpc-id")
        .set_values(Some(vpcs))
        .build();
    let named = Filter::builder()
        .name("group-name")
        .values(ALLOW)
        .values(ISOLATION)
        .build();
    let mut pages = ec2
        .describe_security_groups()
        .filters(of_them)
        .filters(named)
        .into_paginator()
        .send();
    let mut found: HashMap<VpcId, Ours> = HashMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failure::of("ec2:DescribeSecurityGroups", &error))?;
        for group in page.security_groups() {
            let (Some(vpc), Some(id)) = (group.vpc_id(), group.group_id()) else {
                continue;
            };
            let ours = found.entry(VpcId::from(vpc)).or_default();
            match group.group_name() {
                Some(ALLOW) => ours.allow = Some(GroupId::from(id)),
                Some(ISOLATION) => ours.isolation = Some(GroupId::from(id)),
                _ => {}
            }
        }
    }
    Ok(found)
}

/// Both groups, the one that allows everything first, with the rules they must have.
pub(super) async fn ensure(at: &At<'_>, vpc: &VpcId) -> Result<(GroupId, GroupId), ActError> {
    let asked = Instant::now();
    let last_time = at.readied.of(at.place, vpc);
    let mut last_time = last_time.lock().await;
    if let Some((began, allow, isolation)) = &*last_time
        && *began >= asked
    {
        return Ok((allow.clone(), isolation.clone()));
    }
    let began = Instant::now();
    let (allow, isolation) = put_right(at, vpc).await?;
    *last_time = Some((began, allow.clone(), isolation.clone()));
    Ok((allow, isolation))
}

/// Finds or makes both groups, and gives them the rules they must have.
async fn put_right(at: &At<'_>, vpc: &VpcId) -> Result<(GroupId, GroupId), ActError> {
    let ec2 = &at.ec2();
    let ours = find(at, vpc).await?;
    let allow = match ours.allow {
        Some(group) => group,
        None => create(at, vpc, ALLOW).await?,
    };
    let isolation = match ours.isolation {
        Some(group) => group,
        None => create(at, vpc, ISOLATION).await?,
    };
    let there: Vec<Rule> = of_group(at, &allow).await?.iter().map(Rule::read).collect();
    for egress in [false, true] {
        for network in [(Some("0.0.0.0/0"), None), (None, Some("::/0"))] {
            let rule = Rule {
                group: allow.0.clone(),
                egress,
                protocol: "-1".to_owned(),
                from_port: Some(-1),
                to_port: Some(-1),
                ipv4: network.0.map(str::to_owned),
                ipv6: network.1.map(str::to_owned),
                prefix_list: None,
                members_of: None,
                description: None,
                tags: BTreeMap::new(),
            };
            if !there
                .iter()
                .any(|one| is_all(one) && same_network(one, &rule))
            {
                authorise(at, &rule).await?;
            }
        }
    }
    let unwanted = of_group(at, &isolation).await?;
    for ingress in [true, false] {
        let ids: Vec<String> = unwanted
            .iter()
            .filter(|rule| rule.is_egress() == Some(!ingress))
            .filter_map(|rule| rule.security_group_rule_id().map(str::to_owned))
            .collect();
        if !ids.is_empty() {
            revoke(ec2, &isolation, ids, ingress).await?;
        }
    }
    Ok((allow, isolation))
}

/// Whether a group allows nothing.
pub(super) async fn is_empty(at: &At<'_>, group: &GroupId) -> Result<bool, ActError> {
    Ok(of_group(at, group).await?.is_empty())
}

fn is_all(rule: &Rule) -> bool {
    rule.protocol == "-1"
}

fn same_network(one: &Rule, other: &Rule) -> bool {
    one.egress == other.egress && one.ipv4 == other.ipv4 && one.ipv6 == other.ipv6
}

async fn create(at: &At<'_>, vpc: &VpcId, name: &str) -> Result<GroupId, ActError> {
    let ec2 = &at.ec2();
    let tag = Tag::builder()
        .key(PURPOSE_TAG)
        .value(ISOLATION_PURPOSE)
        .build();
    let made = ec2
        .create_security_group()
        .group_name(name)
        .description("Davylamp isolates interfaces with it; do not add rules")
        .vpc_id(vpc.as_str())
        .tag_specifications(
            TagSpecification::builder()
                .resource_type(ResourceType::SecurityGroup)
                .tags(tag)
                .build(),
        )
        .send()
        .await;
    match made {
        Ok(made) => made
            .group_id()
            .map(GroupId::from)
            .ok_or_else(|| failure::transient("ec2:CreateSecurityGroup", "no id was answered")),
        // Another run was faster.
        Err(error) if failure::is_code(&error, &["InvalidGroup.Duplicate"]) => {
            let ours = find(at, vpc).await?;
            let found = if name == ALLOW {
                ours.allow
            } else {
                ours.isolation
            };
            found.ok_or_else(|| {
                failure::transient(
                    "ec2:DescribeSecurityGroups",
                    format!("the group {name} of {vpc} exists and is not seen yet"),
                )
            })
        }
        Err(error) => Err(failure::of("ec2:CreateSecurityGroup", &error)),
    }
}
