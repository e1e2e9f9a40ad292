//! Security groups: rules that are taken away and given back, and the two groups of ours that an
//! interface is isolated with.
//!
//! `before` of a rule: the whole rule, its description and tags included. A rule that is given back
//! has a new id.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{
    Filter, IpPermission, IpRange, Ipv6Range, PrefixListId, ResourceType, SecurityGroupRule, Tag,
    TagSpecification, UserIdGroupPair,
};
use davylamp_model::ids::{GroupId, VpcId};
use davylamp_plan::action::Action;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{At, already, done, failure, impossible, needed, not_ours, pending};
use crate::actuator::{ActError, Checked, Verified};

/// The group that allows nothing.
pub(super) const ISOLATION: &str = "davylamp-isolation";
/// The group that allows everything, for the moment in which tracked flows become untracked.
const ALLOW: &str = "davylamp-isolation-allow";

/// A rule, as undo needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Rule {
    group: String,
    egress: bool,
    protocol: String,
    from_port: Option<i32>,
    to_port: Option<i32>,
    ipv4: Option<String>,
    ipv6: Option<String>,
    prefix_list: Option<String>,
    /// The group whose members are meant, and its owner.
    members_of: Option<(String, Option<String>)>,
    description: Option<String>,
    tags: BTreeMap<String, String>,
}

impl Rule {
    fn read(rule: &SecurityGroupRule) -> Self {
        let text = |value: Option<&str>| value.filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            group: rule.group_id().unwrap_or_default().to_owned(),
            egress: rule.is_egress().unwrap_or_default(),
            protocol: rule.ip_protocol().unwrap_or("-1").to_owned(),
            from_port: rule.from_port(),
            to_port: rule.to_port(),
            ipv4: text(rule.cidr_ipv4()),
            ipv6: text(rule.cidr_ipv6()),
            prefix_list: text(rule.prefix_list_id()),
            members_of: rule.referenced_group_info().and_then(|info| {
                let id = text(info.group_id())?;
                Some((id, text(info.user_id())))
            }),
            description: text(rule.description()),
            tags: rule
                .tags()
                .iter()
                .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())))
                .collect(),
        }
    }

    /// Whether both let the same traffic pass.
    fn allows_the_same(&self, other: &Self) -> bool {
        let traffic = |rule: &Self| Self {
            description: None,
            tags: BTreeMap::new(),
            ..rule.clone()
        };
        traffic(self) == traffic(other)
    }

    fn permission(&self) -> IpPermission {
        let description = || self.description.clone();
        let mut permission = IpPermission::builder()
            .ip_protocol(&self.protocol)
            .set_from_port(self.from_port)
            .set_to_port(self.to_port);
        if let Some(cidr) = &self.ipv4 {
            permission = permission.ip_ranges(
                IpRange::builder()
                    .cidr_ip(cidr)
                    .set_description(description())
                    .build(),
            );
        }
        if let Some(cidr) = &self.ipv6 {
            permission = permission.ipv6_ranges(
                Ipv6Range::builder()
                    .cidr_ipv6(cidr)
                    .set_description(description())
                    .build(),
            );
        }
        if let Some(list) = &self.prefix_list {
            permission = permission.prefix_list_ids(
                PrefixListId::builder()
                    .prefix_list_id(list)
                    .set_description(description())
                    .build(),
            );
        }
        if let Some((group, owner)) = &self.members_of {
            permission = permission.user_id_group_pairs(
                UserIdGroupPair::builder()
                    .group_id(group)
                    .set_user_id(owner.clone())
                    .set_description(description())
                    .build(),
            );
        }
        permission.build()
    }
}

pub(super) async fn check(at: &At<'_>, action: &Action) -> Result<Checked, ActError> {
    let (group, id, ingress) = target(action)?;
    let Some(found) = describe(&at.ec2(), group, id).await? else {
        return already(format!("{id} of {group} is gone"));
    };
    let rule = Rule::read(&found);
    if rule.egress == ingress {
        return impossible(format!("{id} is not the rule the plan saw"));
    }
    match serde_json::to_value(&rule) {
        Ok(before) => needed(before),
        Err(error) => Err(failure::refused(action.verb(), error.to_string())),
    }
}

pub(super) async fn act(at: &At<'_>, action: &Action) -> Result<(), ActError> {
    let (group, id, ingress) = target(action)?;
    revoke(&at.ec2(), group, vec![id.to_owned()], ingress).await
}

pub(super) async fn verify(at: &At<'_>, action: &Action) -> Result<Verified, ActError> {
    let (group, id, _) = target(action)?;
    match describe(&at.ec2(), group, id).await? {
        None => done(format!("{id} of {group} is gone")),
        Some(_) => pending(format!("{id} of {group} to go")),
    }
}

pub(super) async fn undo(at: &At<'_>, action: &Action, before: &Value) -> Result<(), ActError> {
    let rule: Rule = super::recorded(action, before)?;
    authorise(&at.ec2(), &rule).await
}

fn target(action: &Action) -> Result<(&GroupId, &str, bool), ActError> {
    match action {
        Action::RevokeRule {
            group,
            rule,
            ingress,
        } => Ok((group, rule, *ingress)),
        _ => Err(not_ours(action)),
    }
}

/// Our two groups of a VPC, as far as they exist.
#[derive(Debug, Default)]
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
pub(super) async fn find(ec2: &aws_sdk_ec2::Client, vpc: &VpcId) -> Result<Ours, ActError> {
    let answer = ec2
        .describe_security_groups()
        .filters(
            Filter::builder()
                .name("vpc-id")
                .values(vpc.as_str())
                .build(),
        )
        .filters(
            Filter::builder()
                .name("group-name")
                .values(ALLOW)
                .values(ISOLATION)
                .build(),
        )
        .send()
        .await
        .map_err(|error| failure::of("ec2:DescribeSecurityGroups", &error))?;
    let named = |name| {
        answer
            .security_groups()
            .iter()
            .find(|group| group.group_name() == Some(name) && group.vpc_id() == Some(vpc.as_str()))
            .and_then(|group| group.group_id().map(GroupId::from))
    };
    Ok(Ours {
        allow: named(ALLOW),
        isolation: named(ISOLATION),
    })
}

/// Finds or makes both groups, the one that allows everything first, with the rules they must have.
pub(super) async fn ensure(
    ec2: &aws_sdk_ec2::Client,
    vpc: &VpcId,
) -> Result<(GroupId, GroupId), ActError> {
    let ours = find(ec2, vpc).await?;
    let allow = match ours.allow {
        Some(group) => group,
        None => create(ec2, vpc, ALLOW).await?,
    };
    let isolation = match ours.isolation {
        Some(group) => group,
        None => create(ec2, vpc, ISOLATION).await?,
    };
    let there: Vec<Rule> = of_group(ec2, &allow)
        .await?
        .iter()
        .map(Rule::read)
        .collect();
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
                authorise(ec2, &rule).await?;
            }
        }
    }
    let unwanted = of_group(ec2, &isolation).await?;
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
pub(super) async fn is_empty(ec2: &aws_sdk_ec2::Client, group: &GroupId) -> Result<bool, ActError> {
    Ok(of_group(ec2, group).await?.is_empty())
}

fn is_all(rule: &Rule) -> bool {
    rule.protocol == "-1"
}

fn same_network(one: &Rule, other: &Rule) -> bool {
    one.egress == other.egress && one.ipv4 == other.ipv4 && one.ipv6 == other.ipv6
}

async fn create(ec2: &aws_sdk_ec2::Client, vpc: &VpcId, name: &str) -> Result<GroupId, ActError> {
    let tag = Tag::builder()
        .key("davylamp:purpose")
        .value("isolation")
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
            let ours = find(ec2, vpc).await?;
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

/// Every rule of a group.
async fn of_group(
    ec2: &aws_sdk_ec2::Client,
    group: &GroupId,
) -> Result<Vec<SecurityGroupRule>, ActError> {
    let filter = Filter::builder()
        .name("group-id")
        .values(group.as_str())
        .build();
    let mut pages = ec2
        .describe_security_group_rules()
        .filters(filter)
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failure::of("ec2:DescribeSecurityGroupRules", &error))?;
        found.extend(page.security_group_rules.unwrap_or_default());
    }
    Ok(found)
}

async fn describe(
    ec2: &aws_sdk_ec2::Client,
    group: &GroupId,
    id: &str,
) -> Result<Option<SecurityGroupRule>, ActError> {
    let rules = of_group(ec2, group).await?;
    Ok(rules
        .into_iter()
        .find(|rule| rule.security_group_rule_id() == Some(id)))
}

async fn revoke(
    ec2: &aws_sdk_ec2::Client,
    group: &GroupId,
    rules: Vec<String>,
    ingress: bool,
) -> Result<(), ActError> {
    let (gone, error) = if ingress {
        let sent = ec2
            .revoke_security_group_ingress()
            .group_id(group.as_str())
            .set_security_group_rule_ids(Some(rules))
            .send()
            .await;
        let call = "ec2:RevokeSecurityGroupIngress";
        match sent {
            Ok(_) => return Ok(()),
            Err(error) => (failure::is_absent(&error), failure::of(call, &error)),
        }
    } else {
        let sent = ec2
            .revoke_security_group_egress()
            .group_id(group.as_str())
            .set_security_group_rule_ids(Some(rules))
            .send()
            .await;
        let call = "ec2:RevokeSecurityGroupEgress";
        match sent {
            Ok(_) => return Ok(()),
            Err(error) => (failure::is_absent(&error), failure::of(call, &error)),
        }
    };
    // Gone already, which is what was wanted.
    if gone { Ok(()) } else { Err(error) }
}

/// Gives a group a rule, unless it has one that lets the same pass.
async fn authorise(ec2: &aws_sdk_ec2::Client, rule: &Rule) -> Result<(), ActError> {
    let group = GroupId(rule.group.clone());
    let there = of_group(ec2, &group).await?;
    if there
        .iter()
        .any(|found| Rule::read(found).allows_the_same(rule))
    {
        return Ok(());
    }
    let tags = (!rule.tags.is_empty()).then(|| {
        let tags = rule
            .tags
            .iter()
            .map(|(key, value)| Tag::builder().key(key).value(value).build());
        vec![
            TagSpecification::builder()
                .resource_type(ResourceType::SecurityGroupRule)
                .set_tags(Some(tags.collect()))
                .build(),
        ]
    });
    let duplicate = &["InvalidPermission.Duplicate"];
    if rule.egress {
        let sent = ec2
            .authorize_security_group_egress()
            .group_id(&rule.group)
            .ip_permissions(rule.permission())
            .set_tag_specifications(tags)
            .send()
            .await;
        match sent {
            Err(error) if !failure::is_code(&error, duplicate) => {
                Err(failure::of("ec2:AuthorizeSecurityGroupEgress", &error))
            }
            _ => Ok(()),
        }
    } else {
        let sent = ec2
            .authorize_security_group_ingress()
            .group_id(&rule.group)
            .ip_permissions(rule.permission())
            .set_tag_specifications(tags)
            .send()
            .await;
        match sent {
            Err(error) if !failure::is_code(&error, duplicate) => {
                Err(failure::of("ec2:AuthorizeSecurityGroupIngress", &error))
            }
            _ => Ok(()),
        }
    }
}
