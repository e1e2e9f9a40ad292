//! From an item of AWS Config to what the recorder would have written of the same resource.
//!
//! AWS Config spells members its own way: those of older types begin with a small letter, those of newer
//! ones are CloudFormation's. Source: the schemas in `awslabs/aws-config-resource-schema`, and items that
//! AWS Config delivered. What must stay true: what AWS Config does not record of a resource is absent from
//! the state, and never a default. Access keys, passwords and second factors are among what it does not
//! record, and the last use of a role is as old as the item.

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::row::Item;

/// How a type of AWS Config's is one of the recorder's kinds.
#[derive(Debug)]
pub struct Type {
    /// Such as `AWS::EC2::Instance`.
    pub resource_type: &'static str,
    /// The recorder's kind.
    pub kind: &'static str,
    /// The member of the state that is the recorder's id; nothing where it is AWS Config's own id.
    id: Option<&'static str>,
    /// Whether the service's own API spells members with a small letter.
    is_small: bool,
}

const fn by_id(resource_type: &'static str, kind: &'static str) -> Type {
    Type {
        resource_type,
        kind,
        id: None,
        is_small: false,
    }
}

const fn by(resource_type: &'static str, kind: &'static str, id: &'static str) -> Type {
    Type {
        resource_type,
        kind,
        id: Some(id),
        is_small: id.as_bytes()[0].is_ascii_lowercase(),
    }
}

/// The types that a case is made of.
pub const TYPES: &[Type] = &[
    by_id("AWS::EC2::Instance", "instance"),
    by_id("AWS::EC2::SecurityGroup", "security-group"),
    by_id("AWS::EC2::LaunchTemplate", "launch-template"),
    by_id("AWS::EC2::FlowLog", "flow-log"),
    by_id("AWS::GuardDuty::Detector", "guardduty-detector"),
    by(
        "AWS::AutoScaling::AutoScalingGroup",
        "scaling-group",
        "AutoScalingGroupName",
    ),
    by("AWS::IAM::User", "user", "UserName"),
    by("AWS::IAM::Role", "role", "RoleName"),
    by("AWS::CloudTrail::Trail", "trail", "TrailARN"),
    by(
        "AWS::Config::ConfigurationRecorder",
        "config-recorder",
        "name",
    ),
    by("AWS::ECS::Service", "ecs-service", "serviceArn"),
    by("AWS::Lambda::Function", "lambda-function", "FunctionName"),
    by(
        "AWS::SageMaker::NotebookInstance",
        "sagemaker-notebook",
        "NotebookInstanceName",
    ),
];

/// Members that say when a resource was made.
const MADE: &[&str] = &["CreateDate", "CreateTime", "CreatedTime", "CreationTime"];

/// The status of the first item of a resource.
pub const DISCOVERED: &str = "ResourceDiscovered";

/// What an item says of its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// It is there.
    There,
    /// It is gone.
    Gone,
    /// It is there, and its type is not recorded.
    Unrecorded,
    /// It is gone, and its type is not recorded.
    GoneUnrecorded,
}

impl Says {
    /// What a status says.
    pub fn of(status: &str) -> Self {
        match status {
            "ResourceDeleted" => Self::Gone,
            "ResourceNotRecorded" => Self::Unrecorded,
            "ResourceDeletedNotRecorded" => Self::GoneUnrecorded,
            _ => Self::There,
        }
    }
}

impl Type {
    /// The type of an item, if a case is made of it.
    pub fn of(resource_type: &str) -> Option<&'static Self> {
        TYPES.iter().find(|it| it.resource_type == resource_type)
    }

    /// Whether AWS Config's id is the recorder's.
    pub fn is_by_id(&self) -> bool {
        self.id.is_none()
    }

    /// What an item's resource is like, as the recorder would have it; nothing where the item has no
    /// configuration that can be read.
    pub fn state(&self, item: &Item<'_>) -> Option<Json> {
        let told: Json = serde_json::from_str(item.configuration?).ok()?;
        let mut state = spelled(told, self.is_small);
        let members = state.as_object_mut()?;
        self.amend(members, item);
        Some(state)
    }

    /// The recorder's id of an item's resource, as far as the item says it.
    pub fn id(&self, item: &Item<'_>, state: Option<&Json>) -> Option<String> {
        let Some(member) = self.id else {
            return some(item.resource_id);
        };
        let told = state
            .and_then(|state| state[member].as_str())
            .and_then(some);
        told.or_else(|| match member.to_ascii_lowercase().ends_with("arn") {
            true => some(item.arn),
            false => some(item.name),
        })
    }

    /// What is called otherwise, or would be misread.
    fn amend(&self, state: &mut Map<String, Json>, item: &Item<'_>) {
        match self.kind {
            "user" => rename(state, "GroupList", "Groups"),
            "launch-template" => rename(state, "Id", "LaunchTemplateId"),
            "role" => {
                // It was so when the item was made, and a later use makes no item.
                state.remove("RoleLastUsed");
            }
            "guardduty-detector" => {
                if let Some(Json::Bool(is_on)) = state.remove("Enable") {
                    let status = if is_on { "ENABLED" } else { "DISABLED" };
                    state.insert("Status".to_owned(), status.into());
                }
            }
            "security-group" => {
                for name in ["IpPermissions", "IpPermissionsEgress"] {
                    let all = state.get_mut(name).and_then(Json::as_array_mut);
                    for permission in all.into_iter().flatten().filter_map(Json::as_object_mut) {
                        rename(permission, "Ipv4Ranges", "IpRanges");
                    }
                }
            }
            _ => {}
        }
        if !state.contains_key("Tags")
            && let Ok(Json::Object(tags)) = serde_json::from_str(item.tags)
        {
            let all = tags.into_iter();
            let all = all.map(|(key, value)| json!({"Key": key, "Value": value}));
            state.insert("Tags".to_owned(), all.collect());
        }
    }
}

/// When a resource was made, as an item says. A machine that is started again has another time of making, so
/// that of one that AWS Config had discovered before says nothing, but in a list of all that there is.
pub fn made(known: &Type, item: &Item<'_>, state: Option<&Json>) -> Option<Timestamp> {
    let state = state.unwrap_or(&Json::Null);
    let said = |name: &&str| super::states::moment(&state[*name]);
    if known.kind == "instance" {
        let is_first = item.status == DISCOVERED || item.listed.is_some();
        let launched = item.made.or_else(|| said(&"LaunchTime"));
        return launched.filter(|_| is_first);
    }
    item.made.or_else(|| MADE.iter().find_map(said))
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn rename(state: &mut Map<String, Json>, from: &str, to: &str) {
    if let Some(value) = state.remove(from) {
        state.insert(to.to_owned(), value);
    }
}

/// A value with its members spelled as the service's own API spells them. A member without a value is left
/// out, as there; a word that AWS Config wraps, `{"value":"in-use"}`, stands for itself.
fn spelled(value: Json, is_small: bool) -> Json {
    match value {
        Json::Object(members) => {
            if let (1, Some(Json::String(word))) = (members.len(), members.get("value")) {
                return word.clone().into();
            }
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            let members =
                members.map(|(name, value)| (cased(&name, is_small), spelled(value, is_small)));
            Json::Object(members.collect())
        }
        Json::Array(items) => {
            let items = items.into_iter();
            items.map(|item| spelled(item, is_small)).collect()
        }
        other => other,
    }
}

fn cased(name: &str, is_small: bool) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|first| match is_small {
        true => first.to_ascii_lowercase(),
        false => first.to_ascii_uppercase(),
    });
    first.into_iter().chain(letters).collect()
}
