//! Security group rules that are taken away and given back.
//!
//! `before` of a rule: the whole rule, its description and tags included. A rule that is given back
//! has a new id.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_ec2::types::{
    Filter, IpPermission, IpRange, Ipv6Range, PrefixListId, ResourceType, SecurityGroupRule, Tag,
    TagSpecification, UserIdGroupPair,
};
use davylamp_model::ids::GroupId;
use davylamp_plan::action::Action;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::together::Found;
use super::{At, already, done, failure, impossible, needed, not_ours, pending};
use crate::actuator::{ActError, Checked, Verified};

/// A rule, as undo needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Rule {
    pub(super) group: String,
    pub(super) egress: bool,
    pub(super) protocol: String,
    pub(super) from_port: Option<i32>,
    pub(super) to_port: Option<i32>,
    pub(super) ipv4: Option<String>,
    pub(super) ipv6: Option<String>,
    pub(super) prefix_list: Option<String>,
    /// The group whose members are meant, and its owner.
    pub(super) members_of: Option<(String, Option<String>)>,
    pub(super) description: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
}

impl Rule {
    pub(super) fn read(rule: &SecurityGroupRule) -> Self {
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
    let Some(found) = describe(at, group, id).await? else {
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
    match describe(at, group, id).await? {
        None => done(format!("{id} of {group} is gone")),
        Some(_) => pending(format!("{id} of {group} to go")),
    }
}

pub(super) async fn undo(at: &At<'_>, action: &Action, before: &Value) -> Result<(), ActError> {
    let rule: Rule = super::recorded(action, before)?;
    authorise(at, &rule).await
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

/// Every rule of a group.
pub(super) async fn of_group(
    at: &At<'_>,
    group: &GroupId,
) -> Result<Vec<SecurityGroupRule>, ActError> {
    let ec2 = at.ec2();
    let read = move |groups| of_groups(ec2.clone(), groups);
    let keys = std::slice::from_ref(group);
    let mut found = at.reads.rules.ask(at.place, keys, read).await?;
    Ok(found.remove(group).unwrap_or_default())
}

async fn of_groups(
    ec2: aws_sdk_ec2::Client,
    groups: Vec<GroupId>,
) -> Found<GroupId, Vec<SecurityGroupRule>> {
    let groups = groups.into_iter().map(|group| group.0).collect();
    let filter = Filter::builder()
        .name("group-id")
        .set_values(Some(groups))
        .build();
    let mut pages = ec2
        .describe_security_group_rules()
        .filters(filter)
        .into_paginator()
        .send();
    let mut found: HashMap<GroupId, Vec<SecurityGroupRule>> = HashMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failure::of("ec2:DescribeSecurityGroupRules", &error))?;
        for rule in page.security_group_rules.unwrap_or_default() {
            if let Some(group) = rule.group_id() {
                found.entry(GroupId::from(group)).or_default().push(rule);
            }
        }
    }
    Ok(found)
}

async fn describe(
    at: &At<'_>,
    group: &GroupId,
    id: &str,
) -> Result<Option<SecurityGroupRule>, ActError> {
    let rules = of_group(at, group).await?;
    Ok(rules
        .into_iter()
        .find(|rule| rule.security_group_rule_id() == Some(id)))
}

pub(super) async fn revoke(
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
pub(super) async fn authorise(at: &At<'_>, rule: &Rule) -> Result<(), ActError> {
    let ec2 = at.ec2();
    let group = GroupId(rule.group.clone());
    let there = of_group(at, &group).await?;
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
