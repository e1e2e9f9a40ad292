//! The owner's machines, functions and containers at work, each with its role's credentials.

use serde_json::{Value, json};

use super::Hour;
use crate::attack::agents::Agent;
use crate::attack::calendar::HOUR_SECS;
use crate::attack::cast::{Machine, Purpose, Role};
use crate::attack::dice::Dice;
use crate::attack::event::{Call, Caller, Event, Hand};
use crate::attack::identity::{Identity, RoleName, Session};
use crate::attack::{ids, places, regions};

/// How long credentials of a machine are used before it gets others.
const ROTATION_HOURS: i64 = 6;

const CALLS: &[(&str, &str, bool)] = &[
    ("ssm", "UpdateInstanceInformation", false),
    ("ssm", "UpdateInstanceInformation", false),
    ("ssm", "ListInstanceAssociations", true),
    ("secretsmanager", "GetSecretValue", true),
    ("kms", "Decrypt", true),
    ("kms", "GenerateDataKey", true),
    ("ecr", "GetAuthorizationToken", true),
    ("ecr", "BatchGetImage", true),
    ("logs", "CreateLogStream", false),
    ("sqs", "GetQueueAttributes", true),
    ("ec2", "DescribeTags", true),
    ("s3", "GetBucketLocation", true),
    ("sts", "GetCallerIdentity", true),
];

/// About so many events of machines.
pub fn hour(hour: &Hour<'_>, wanted: f64, events: &mut Vec<Event>) {
    let mut dice = Dice::of(hour.seed, "machines", hour.number);
    let machines: Vec<&Machine> = hour
        .cast
        .machines
        .iter()
        .filter(|machine| machine.role.is_some())
        .collect();
    for _ in 0..dice.around(wanted) {
        let at = hour.start() + dice.between(0, HOUR_SECS - 1);
        let account = dice.pick(&hour.cast.accounts).clone();
        let roles: Vec<&Role> = hour
            .cast
            .roles_for(&account, |it| {
                matches!(it, Purpose::Function | Purpose::Task)
            })
            .collect();
        let (caller, account, region) = if !machines.is_empty() && dice.chance(60) {
            let machine = dice.one(&machines);
            let Some(caller) = of_machine(hour.seed, machine, at) else {
                continue;
            };
            (caller, machine.account.clone(), machine.region)
        } else {
            let role = dice.one(&roles);
            let region = dice.one(&regions::USUAL[..2]);
            (
                of_program(hour.seed, role, region, at, &mut dice),
                account,
                region,
            )
        };
        let (service, action, is_read) = dice.one(CALLS);
        let call = Call {
            is_read,
            ..Call::new(service, action, request(action, &mut dice))
        };
        let call = match dice.roll(100) {
            0 => call.refused("ThrottlingException", "Rate exceeded".to_owned()),
            _ => call,
        };
        events.push(caller.call(&mut dice, at, &account, region, call));
    }
}

fn request(action: &str, dice: &mut Dice) -> Value {
    match action {
        "Decrypt" => json!({
            "encryptionContext": {"SecretARN": format!("arn:aws:secretsmanager:us-east-1:000000000000:secret:app-{}", dice.roll(20))},
            "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
        }),
        "GenerateDataKey" => {
            json!({"keySpec": "AES_256", "keyId": format!("arn:aws:kms:us-east-1:000000000000:key/{}", dice.uuid())})
        }
        "GetSecretValue" => json!({"secretId": format!("app/secret-{}", dice.roll(20))}),
        "UpdateInstanceInformation" => json!({
            "instanceId": ids::resource(dice, "i"), "agentVersion": "3.3.131.0", "agentStatus": "Active",
            "platformType": "Linux", "platformName": "Amazon Linux", "platformVersion": "2023", "agentName": "amazon-ssm-agent",
        }),
        "CreateLogStream" => {
            json!({"logGroupName": format!("/app/web-{}", dice.roll(9)), "logStreamName": dice.uuid()})
        }
        "BatchGetImage" => {
            json!({"repositoryName": format!("web-{}", dice.roll(9)), "imageIds": [{"imageTag": "latest"}]})
        }
        _ => Value::Null,
    }
}

/// The credentials of a machine at a moment, and when they were given to it.
pub fn credentials(seed: u64, machine: &Machine, role: &RoleName, at: i64) -> (String, i64) {
    // Machines are not given others all at once.
    let offset = Dice::of(seed, &machine.id, 0).between(0, ROTATION_HOURS * HOUR_SECS - 1);
    let turn = (at - offset).div_euclid(ROTATION_HOURS * HOUR_SECS);
    let mut dice = Dice::of(seed, &machine.id, turn);
    let given = turn * ROTATION_HOURS * HOUR_SECS + offset;
    (ids::access_key(&mut dice, "ASIA", &role.account), given)
}

/// The identity of a machine at a moment.
pub fn identity(seed: u64, machine: &Machine, at: i64) -> Option<Identity> {
    let role = machine.role.as_ref()?;
    let (key, created) = credentials(seed, machine, role, at);
    Some(Identity::Role {
        role: role.clone(),
        name: machine.id.clone(),
        key: Some(key),
        session: Session {
            created,
            ec2_delivery: Some("2.0"),
            ..Session::default()
        },
        invoked_by: None,
    })
}

fn of_machine(seed: u64, machine: &Machine, at: i64) -> Option<Caller> {
    let identity = identity(seed, machine, at)?;
    let agent = match machine.is_windows {
        true => "aws-sdk-go/1.51.0 (go1.21.8; windows; amd64) amazon-ssm-agent/3.3.131.0",
        false => "aws-sdk-go/1.51.0 (go1.21.8; linux; amd64) amazon-ssm-agent/3.3.131.0",
    };
    let address = machine.public.as_deref().unwrap_or(&machine.private);
    let mut caller = Caller::new(identity, address, &Agent::fixed(agent), Hand::Owner);
    if machine.public.is_none() {
        caller.endpoint = Some(format!("vpce-{}", &machine.vpc[4..]));
    }
    Some(caller)
}

fn of_program(seed: u64, role: &Role, region: &str, at: i64, dice: &mut Dice) -> Caller {
    let turn = at.div_euclid(ROTATION_HOURS * HOUR_SECS);
    let mut lots = Dice::of(seed, &role.name.id, turn);
    let (session, agent) = match role.purpose {
        Purpose::Function => (
            format!("{}-handler", role.name.name.trim_end_matches("-role")),
            "aws-sdk-nodejs/2.1583.0 linux/v18.20.2 exec-env/AWS_Lambda_nodejs18.x promise",
        ),
        _ => (
            lots.hex(32),
            "aws-sdk-go-v2/1.26.1 os/linux lang/go#1.22.2 md/GOOS#linux md/GOARCH#amd64 exec-env/AWS_ECS_FARGATE",
        ),
    };
    let key = ids::access_key(&mut lots, "ASIA", &role.name.account);
    let identity = Identity::Role {
        role: role.name.clone(),
        name: session,
        key: Some(key),
        session: Session {
            created: turn * ROTATION_HOURS * HOUR_SECS,
            ..Session::default()
        },
        invoked_by: None,
    };
    let address = places::ec2(region).address(dice);
    Caller::new(identity, &address, &Agent::fixed(agent), Hand::Owner)
}
