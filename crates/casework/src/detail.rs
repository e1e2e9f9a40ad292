//! What an act did, out of its request and its answer: the things it is about, machines, credentials.
//!
//! Services name members in their own ways, and old records in others: members are found whatever their
//! case, in lists and out of them.

use std::collections::BTreeSet;

use davylamp_content::prices;
use serde_json::Value;

use crate::trail::row::{Row, Text};

mod rules;
mod things;

pub use things::{How, Thing};

/// Machines a call may ask for; what says more is no number of machines.
const MAX_ASKED: u64 = 100_000;

/// What an act did.
#[derive(Debug, Default)]
pub struct Detail {
    /// What it is about.
    pub things: Vec<Thing>,
    /// Machines that its answer names, with what is known of them.
    pub machines: Vec<Machine>,
    /// How many machines were asked for.
    pub asked: u64,
    /// Instance types that were asked for or started.
    pub types: BTreeSet<String>,
    /// The credential it made.
    pub made: Option<Made>,
    /// The policy it is about.
    pub policy: Option<String>,
    /// Whether it protects machines from being ended.
    pub protects: bool,
    /// The image machines were to start from.
    pub image: Option<String>,
    /// The Auto Scaling group, fleet or node group for which AWS started machines.
    pub group: Option<String>,
    /// The answer itself.
    pub answer: Value,
}

/// A machine, as an answer tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: Option<String>,
    /// `windows`, otherwise `linux`: EC2 says no more of systems that are not Windows.
    pub system: Option<String>,
    /// Whether it is a spot instance, where that is said.
    pub is_spot: Option<bool>,
    /// Its state after the call, such as `shutting-down`.
    pub state: Option<String>,
}

/// A credential that a call made, or a way to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// A long-term key of a user.
    Key {
        /// Its id.
        key: String,
        /// The user's name; nothing for the caller's own.
        user: String,
    },
    /// A password of a user.
    Login {
        /// The user's name.
        user: String,
    },
    /// A user.
    User {
        /// Its ARN or name.
        arn: String,
        /// Its id, which is not given twice.
        id: String,
    },
    /// A role, or who may assume it.
    Role {
        /// Its ARN or name.
        arn: String,
        /// Whether it was there before.
        is_old: bool,
    },
    /// A session of a role.
    Session {
        /// The role's ARN.
        role: String,
        /// The session's name.
        name: String,
    },
    /// A session of the caller, such as a federation token's.
    Own {
        /// Its name, where it has one.
        name: String,
    },
}

impl Detail {
    /// What an act did.
    pub fn of(row: Row<'_>) -> Self {
        let parse = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
        let request: Value = parse(row.text(Text::Request));
        let response: Value = parse(row.text(Text::Response));
        let name = row.text(Text::EventName);
        let mut detail = Self {
            things: things::of(row, &request, &response),
            machines: machines(&response),
            made: made(name, &request, &response),
            policy: first(&request, &["policyArn", "policyName", "policyDocument"]),
            protects: has_protection(name, &request),
            image: first(&request, &["imageId", "instancesSet.items.imageId"]).or_else(|| {
                anywhere(&request, "imageId")
                    .first()
                    .map(|it| (*it).to_owned())
            }),
            group: group(&request, &response),
            ..Self::default()
        };
        for value in [&request, &response] {
            let types = anywhere(value, "instanceType")
                .into_iter()
                .chain(anywhere(value, "instanceTypes"));
            detail
                .types
                .extend(types.map(|kind| kind.trim_start_matches("ml.").to_owned()));
        }
        detail.asked = asked(name, &request, &detail);
        detail.answer = response;
        detail
    }

    /// Virtual processors of what was asked for, by the largest type; nothing for unknown types.
    pub fn vcpus(&self) -> u64 {
        let table = prices::shipped().ok();
        let vcpus = |kind: &String| table.as_ref().and_then(|table| table.machine(kind)?.vcpus);
        let most = self.types.iter().filter_map(vcpus).max().unwrap_or(0);
        u64::from(most).saturating_mul(self.asked.max(1))
    }

    /// Whether a type has accelerators.
    pub fn is_accelerated(&self) -> bool {
        let table = prices::shipped().ok();
        let has = |kind: &String| {
            table
                .as_ref()
                .and_then(|table| table.machine(kind))
                .is_some_and(|machine| machine.is_accelerated)
        };
        self.types.iter().any(has)
    }
}

/// The values at a path, through lists, whatever the case of its members.
pub fn at<'v>(value: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut found = vec![value];
    for part in path.split('.') {
        let mut next = Vec::new();
        for value in found {
            member(value, part, &mut next);
        }
        found = next;
    }
    let flat = |value: &'v Value| match value {
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    };
    found.into_iter().flat_map(flat).collect()
}

fn member<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| member(item, name, found)),
        Value::Object(members) => {
            let named = members
                .iter()
                .filter(|(key, _)| key.eq_ignore_ascii_case(name));
            found.extend(named.map(|(_, value)| value));
        }
        _ => {}
    }
}

/// The first text at one of the paths.
pub fn first(value: &Value, paths: &[&str]) -> Option<String> {
    let texts = paths.iter().flat_map(|path| at(value, path));
    texts.filter_map(text).find(|text| !text.is_empty())
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Every text that a member of this name has, wherever it lies.
pub fn anywhere<'v>(value: &'v Value, name: &str) -> Vec<&'v str> {
    let mut found = Vec::new();
    let mut waiting = vec![value];
    while let Some(value) = waiting.pop() {
        match value {
            Value::Array(items) => waiting.extend(items),
            Value::Object(members) => {
                for (key, value) in members {
                    match value {
                        Value::String(text) if key.eq_ignore_ascii_case(name) => {
                            found.push(text.as_str())
                        }
                        Value::Array(items) if key.eq_ignore_ascii_case(name) => {
                            found.extend(items.iter().filter_map(Value::as_str));
                            waiting.extend(items);
                        }
                        other => waiting.push(other),
                    }
                }
            }
            _ => {}
        }
    }
    found
}

fn machines(response: &Value) -> Vec<Machine> {
    let mut found = Vec::new();
    for item in at(response, "instancesSet.items") {
        let own = |paths: &[&str]| first(item, paths);
        if let Some(id) = own(&["instanceId"]) {
            let is_whole = own(&["instanceType"]).is_some();
            let platform = own(&["platform"]);
            found.push(Machine {
                id,
                kind: own(&["instanceType"]),
                system: match platform {
                    Some(platform) => Some(platform.to_ascii_lowercase()),
                    None => is_whole.then(|| "linux".to_owned()),
                },
                is_spot: is_whole
                    .then(|| own(&["instanceLifecycle"]).is_some_and(|it| it == "spot")),
                state: own(&["currentState.name", "instanceState.name"]),
            });
        }
    }
    for item in at(response, "CreateFleetResponse.fleetInstanceSet.item")
        .into_iter()
        .chain(at(response, "fleetInstanceSet.item"))
    {
        let kind = first(item, &["instanceType"]);
        let lifecycle = first(item, &["lifecycle"]);
        for id in anywhere(item, "item")
            .into_iter()
            .filter(|id| id.starts_with("i-"))
        {
            found.push(Machine {
                id: id.to_owned(),
                kind: kind.clone(),
                is_spot: lifecycle.as_ref().map(|lifecycle| lifecycle == "spot"),
                ..Machine::default()
            });
        }
    }
    found
}

fn made(name: &str, request: &Value, response: &Value) -> Option<Made> {
    let asked = |paths: &[&str]| first(request, paths);
    let told = |paths: &[&str]| first(response, paths);
    let user = || asked(&["userName"]).unwrap_or_default();
    match name {
        "CreateAccessKey" => Some(Made::Key {
            key: told(&["accessKey.accessKeyId"])?,
            user: told(&["accessKey.userName"]).unwrap_or_else(user),
        }),
        "CreateLoginProfile" | "UpdateLoginProfile" => Some(Made::Login { user: user() }),
        "CreateUser" => Some(Made::User {
            arn: told(&["user.arn"]).or_else(|| asked(&["userName"]))?,
            id: told(&["user.userId"]).unwrap_or_default(),
        }),
        "CreateRole" => Some(Made::Role {
            arn: told(&["role.arn"]).or_else(|| asked(&["roleName"]))?,
            is_old: false,
        }),
        "UpdateAssumeRolePolicy" => Some(Made::Role {
            arn: asked(&["roleName"])?,
            is_old: true,
        }),
        "AssumeRole" | "AssumeRoleWithSAML" | "AssumeRoleWithWebIdentity" | "AssumeRoot" => {
            Some(Made::Session {
                role: asked(&["roleArn"])?,
                name: asked(&["roleSessionName"]).or_else(|| {
                    let arn = told(&["assumedRoleUser.arn"])?;
                    arn.rsplit('/').next().map(str::to_owned)
                })?,
            })
        }
        "GetFederationToken" | "GetSessionToken" => Some(Made::Own {
            name: asked(&["name"]).unwrap_or_default(),
        }),
        _ => None,
    }
}

fn has_protection(name: &str, request: &Value) -> bool {
    let is_true = |value: &&Value| match value {
        Value::Bool(truth) => *truth,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    };
    let by_attribute = || {
        first(request, &["attribute"]).is_some_and(|it| it == "disableApiTermination")
            && at(request, "value").iter().any(is_true)
    };
    at(request, "disableApiTermination").iter().any(is_true)
        || at(request, "disableApiTermination.value")
            .iter()
            .any(is_true)
        || (name == "ModifyInstanceAttribute" && by_attribute())
}

/// Machines that AWS starts for a group carry the group's name as a tag.
fn group(request: &Value, response: &Value) -> Option<String> {
    const TAGS: &[&str] = &[
        "aws:autoscaling:groupName",
        "aws:ec2:fleet-id",
        "aws:ec2spot:fleet-request-id",
    ];
    let sets = [
        (request, "tagSpecificationSet.items.tags"),
        (response, "instancesSet.items.tagSet.items"),
    ];
    let tags = sets.into_iter().flat_map(|(value, path)| at(value, path));
    tags.filter(|tag| first(tag, &["key"]).is_some_and(|key| TAGS.contains(&key.as_str())))
        .find_map(|tag| first(tag, &["value"]))
}

fn asked(name: &str, request: &Value, detail: &Detail) -> u64 {
    let sum = |path: &str| -> Option<u64> {
        let counts: Vec<u64> = at(request, path)
            .into_iter()
            .filter_map(|it| text(it)?.parse().ok())
            .collect();
        (!counts.is_empty()).then(|| {
            counts
                .iter()
                .fold(0, |sum, count| sum + (*count).min(MAX_ASKED))
        })
    };
    let by_name = || match name {
        "RunInstances" => sum("instancesSet.items.maxCount").or_else(|| sum("maxCount")),
        "RequestSpotInstances" => {
            sum("instanceCount").or_else(|| sum("RequestSpotInstancesRequest.instanceCount"))
        }
        "RequestSpotFleet" => sum("spotFleetRequestConfig.targetCapacity")
            .or_else(|| sum("RequestSpotFleetRequest.spotFleetRequestConfig.targetCapacity")),
        "CreateFleet" => sum("CreateFleetRequest.targetCapacitySpecification.totalTargetCapacity")
            .or_else(|| sum("targetCapacitySpecification.totalTargetCapacity")),
        "CreateAutoScalingGroup" | "UpdateAutoScalingGroup" | "SetDesiredCapacity" => {
            sum("desiredCapacity").or_else(|| sum("minSize"))
        }
        "RunTask" => sum("count"),
        "CreateService" | "UpdateService" => sum("desiredCount"),
        "CreateNodegroup" | "UpdateNodegroupConfig" => sum("scalingConfig.desiredSize"),
        "CreateTrainingJob" => sum("resourceConfig.instanceCount"),
        _ => None,
    };
    let started = detail
        .machines
        .iter()
        .filter(|machine| machine.kind.is_some())
        .count() as u64;
    by_name().unwrap_or(0).min(MAX_ASKED).max(started)
}

/// Whether an act is about another user than its caller.
pub fn is_about_another(row: Row<'_>, request: &Value) -> bool {
    things::other_user(row, request)
}
