//! A thing of the world as a resource of AWS Config's: its type, its id, what is told of it.
//!
//! Types that AWS Config has had from its first years spell members with a small letter; those that came by
//! CloudFormation's registry as that does. Source: `awslabs/aws-config-resource-schema`.

use serde_json::{Map, Value, json};

use crate::attack::calendar::civil;
use crate::attack::cast::vpc;
use crate::attack::world::Thing;

/// A resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Such as `AWS::EC2::Instance`.
    pub kind: &'static str,
    /// `resourceId`.
    pub id: String,
    /// Whether the thing is about to be gone.
    pub is_ended: bool,
    name: Option<String>,
    arn: String,
    created: Option<String>,
    configuration: Value,
    tags: Value,
    relationships: Vec<Value>,
}

impl Resource {
    /// What AWS Config would record of a thing, if it records its type.
    pub fn of(thing: &Thing, state: &Value) -> Option<Self> {
        let (kind, created): (_, &[&str]) = match thing.kind {
            "instance" => ("AWS::EC2::Instance", &["LaunchTime"]),
            "volume" => ("AWS::EC2::Volume", &["CreateTime"]),
            "security-group" => ("AWS::EC2::SecurityGroup", &[]),
            "launch-template" => ("AWS::EC2::LaunchTemplate", &[]),
            "scaling-group" => ("AWS::AutoScaling::AutoScalingGroup", &["CreatedTime"]),
            "user" => ("AWS::IAM::User", &["CreateDate"]),
            "role" => ("AWS::IAM::Role", &["CreateDate"]),
            "trail" => ("AWS::CloudTrail::Trail", &[]),
            "guardduty-detector" => ("AWS::GuardDuty::Detector", &[]),
            "lambda-function" => ("AWS::Lambda::Function", &[]),
            "ecs-service" => ("AWS::ECS::Service", &[]),
            "sagemaker-notebook" => ("AWS::SageMaker::NotebookInstance", &[]),
            _ => return None,
        };
        let text = |name: &str| state[name].as_str().map(str::to_owned);
        let (account, region) = (&thing.account, &thing.region);
        let ec2 = |what: &str| format!("arn:aws:ec2:{region}:{account}:{what}/{}", thing.id);
        let (id, name, arn) = match thing.kind {
            "user" => (text("UserId")?, text("UserName"), text("Arn")?),
            "role" => (text("RoleId")?, text("RoleName"), text("Arn")?),
            "trail" => (thing.id.clone(), text("Name"), text("TrailARN")?),
            "security-group" => (thing.id.clone(), text("GroupName"), ec2("security-group")),
            "scaling-group" => {
                let arn = format!(
                    "arn:aws:autoscaling:{region}:{account}:autoScalingGroup:0a1b2c3d:autoScalingGroupName/{}",
                    thing.id
                );
                (arn.clone(), text("AutoScalingGroupName"), arn)
            }
            "lambda-function" => (thing.id.clone(), text("FunctionName"), text("FunctionArn")?),
            "ecs-service" => (thing.id.clone(), text("serviceName"), thing.id.clone()),
            "sagemaker-notebook" => {
                let arn = text("NotebookInstanceArn")?;
                (arn.clone(), text("NotebookInstanceName"), arn)
            }
            "guardduty-detector" => {
                let arn = format!("arn:aws:guardduty:{region}:{account}:detector/{}", thing.id);
                (thing.id.clone(), None, arn)
            }
            kind => (thing.id.clone(), None, ec2(kind)),
        };
        let created = created.iter().find_map(|name| text(name));
        Some(Self {
            kind,
            id,
            is_ended: state["State"]["Name"] == "terminated",
            name,
            arn,
            created: created.map(|at| at.replace('Z', ".000Z")),
            configuration: configuration(thing.kind, state),
            tags: tags(state),
            relationships: relationships(thing.kind, state),
        })
    }

    /// An item that says what it is like.
    pub fn item(&self, thing: &Thing, captured: i64, status: &str) -> Value {
        json!({
            "relatedEvents": [],
            "relationships": self.relationships,
            "configuration": self.configuration,
            "supplementaryConfiguration": {},
            "tags": self.tags,
            "configurationItemVersion": "1.3",
            "configurationItemCaptureTime": fine(captured),
            "configurationStateId": captured * 1_000 + MILLIS,
            "awsAccountId": thing.account,
            "configurationItemStatus": status,
            "resourceType": self.kind,
            "resourceId": self.id,
            "resourceName": self.name,
            "ARN": self.arn,
            "awsRegion": thing.region,
            "availabilityZone": self.configuration["placement"]["availabilityZone"],
            "configurationStateMd5Hash": "",
            "resourceCreationTime": self.created,
        })
    }

    /// An item that says that it is gone, which says little else.
    pub fn gone(&self, thing: &Thing, captured: i64) -> Value {
        let bare = Self {
            name: None,
            created: None,
            configuration: Value::Null,
            tags: json!({}),
            relationships: Vec::new(),
            ..self.clone()
        };
        bare.item(thing, captured, "ResourceDeleted")
    }
}

/// The network that every region has.
pub fn network(account: &str, region: &str) -> (Thing, Resource) {
    let id = vpc(account, region);
    let resource = Resource {
        kind: "AWS::EC2::VPC",
        arn: format!("arn:aws:ec2:{region}:{account}:vpc/{id}"),
        configuration: json!({
            "cidrBlock": "172.31.0.0/16", "dhcpOptionsId": "default", "state": {"value": "available"},
            "vpcId": id, "ownerId": account, "instanceTenancy": {"value": "default"}, "isDefault": true,
            "tags": [],
        }),
        is_ended: false,
        name: None,
        created: None,
        tags: json!({}),
        relationships: Vec::new(),
        id: id.clone(),
    };
    (Thing::new(account, region, "vpc", &id), resource)
}

/// The thousandths of a moment at which AWS Config sees something.
const MILLIS: i64 = 208;

fn fine(at: i64) -> String {
    format!("{}.{MILLIS}Z", civil(at).strftime("%Y-%m-%dT%H:%M:%S"))
}

fn configuration(kind: &str, state: &Value) -> Value {
    let mut told = match kind {
        "launch-template" => {
            return json!({
                "Id": state["LaunchTemplateId"],
                "LaunchTemplateName": state["LaunchTemplateName"],
                "DefaultVersionNumber": "1",
                "LatestVersionNumber": state["LatestVersionNumber"].to_string(),
            });
        }
        "guardduty-detector" => {
            return json!({
                "Id": state["DetectorId"],
                "Enable": state["Status"] == "ENABLED",
                "FindingPublishingFrequency": "SIX_HOURS",
            });
        }
        "ecs-service" | "sagemaker-notebook" => return cased(state, char::to_ascii_uppercase),
        _ => cased(state, char::to_ascii_lowercase),
    };
    if let Value::Object(told) = &mut told {
        amend(kind, told);
    }
    told
}

fn amend(kind: &str, told: &mut Map<String, Value>) {
    match kind {
        "instance" => {
            for absent in [
                "kernelId",
                "keyName",
                "platform",
                "publicIpAddress",
                "ramdiskId",
                "iamInstanceProfile",
                "instanceLifecycle",
                "stateReason",
            ] {
                told.entry(absent).or_insert(Value::Null);
            }
        }
        "volume" => wrap(told, "state"),
        "security-group" => {
            let all = told.get_mut("ipPermissions").and_then(Value::as_array_mut);
            for permission in all.into_iter().flatten() {
                let ranges = permission["ipRanges"].take();
                let plain = ranges.as_array().into_iter().flatten();
                permission["ipRanges"] = plain.map(|range| range["cidrIp"].clone()).collect();
                permission["ipv4Ranges"] = ranges;
            }
        }
        "user" => {
            // When a password was last used is not recorded.
            told.remove("passwordLastUsed");
            let groups = told.remove("groups").unwrap_or(json!([]));
            told.insert("groupList".into(), groups);
            let policies = told.entry("userPolicyList").or_insert(Value::Null);
            if policies.as_array().is_some_and(Vec::is_empty) {
                *policies = Value::Null;
            }
        }
        "role" => {
            told.insert("instanceProfileList".into(), json!([]));
            told.insert("rolePolicyList".into(), json!([]));
            told.insert("roleLastUsed".into(), Value::Null);
            let trust = told.remove("assumeRolePolicyDocument").unwrap_or_default();
            let trust = percent(&trust.to_string());
            told.insert("assumeRolePolicyDocument".into(), trust.into());
        }
        "trail" => {
            // Whether it writes is its status, which is not recorded.
            for status in ["isLogging", "startLoggingTime", "stopLoggingTime"] {
                told.remove(status);
            }
        }
        _ => {}
    }
}

/// A word, as AWS Config writes some.
fn wrap(told: &mut Map<String, Value>, name: &str) {
    if let Some(word) = told.remove(name) {
        told.insert(name.to_owned(), json!({"value": word}));
    }
}

/// A text as it stands in a URL, which is how IAM gives policies.
fn percent(text: &str) -> String {
    let letter = |byte: u8| match byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(letter).collect()
}

fn cased(value: &Value, to: fn(&char) -> char) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| {
                let mut letters = name.chars();
                let first = letters.next().map(|first| to(&first));
                (first.into_iter().chain(letters).collect(), cased(value, to))
            });
            Value::Object(members.collect())
        }
        Value::Array(items) => items.iter().map(|item| cased(item, to)).collect(),
        other => other.clone(),
    }
}

fn tags(state: &Value) -> Value {
    let all = state["Tags"].as_array().into_iter().flatten();
    let pairs = all.filter_map(|tag| Some((tag["Key"].as_str()?.to_owned(), tag["Value"].clone())));
    Value::Object(pairs.collect())
}

fn relationships(kind: &str, state: &Value) -> Vec<Value> {
    let to = |kind: &str, name: &str, id: &Value| {
        let id = id.as_str()?;
        Some(json!({"resourceId": id, "resourceName": null, "resourceType": kind, "name": name}))
    };
    let all = match kind {
        "instance" => vec![
            to(
                "AWS::EC2::NetworkInterface",
                "Contains NetworkInterface",
                &state["NetworkInterfaces"][0]["NetworkInterfaceId"],
            ),
            to(
                "AWS::EC2::SecurityGroup",
                "Is associated with SecurityGroup",
                &state["SecurityGroups"][0]["GroupId"],
            ),
            to(
                "AWS::EC2::Subnet",
                "Is contained in Subnet",
                &state["SubnetId"],
            ),
            to("AWS::EC2::VPC", "Is contained in Vpc", &state["VpcId"]),
        ],
        "volume" => vec![to(
            "AWS::EC2::Instance",
            "Is attached to Instance",
            &state["Attachments"][0]["InstanceId"],
        )],
        _ => Vec::new(),
    };
    all.into_iter().flatten().collect()
}
