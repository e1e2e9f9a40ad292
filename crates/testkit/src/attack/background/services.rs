//! AWS's own services at work for the accounts: roles handed out, state looked at, backups made.

use serde_json::{Value, json};

use super::Hour;
use crate::attack::calendar::{HOUR_SECS, iso};
use crate::attack::calls::sts;
use crate::attack::cast::{Purpose, Role};
use crate::attack::dice::Dice;
use crate::attack::event::{Call, Caller, Event};
use crate::attack::identity::{Identity, Session};
use crate::attack::{ids, regions};

const LOOKS: &[(&str, &str)] = &[
    ("ec2", "DescribeInstances"),
    ("ec2", "DescribeVolumes"),
    ("ec2", "DescribeSecurityGroups"),
    ("ec2", "DescribeNetworkInterfaces"),
    ("iam", "ListUsers"),
    ("s3", "GetBucketPolicy"),
    ("s3", "GetBucketEncryption"),
    ("lambda", "ListFunctions20150331"),
    ("kms", "DescribeKey"),
];

/// About so many events of services.
pub fn hour(hour: &Hour<'_>, wanted: f64, events: &mut Vec<Event>) {
    let mut dice = Dice::of(hour.seed, "services", hour.number);
    for _ in 0..dice.around(wanted) {
        let at = hour.start() + dice.between(0, HOUR_SECS - 1);
        let account = dice.pick(&hour.cast.accounts).clone();
        let region = dice.one(&regions::USUAL[..3]);
        let roles: Vec<&Role> = hour.cast.roles_for(&account, |_| true).collect();
        let (caller, call) = match dice.roll(100) {
            0..45 => hand_out(&roles, at, &mut dice),
            45..80 => look(hour.seed, &roles, at, &mut dice),
            80..92 => back_up(&roles, at, &mut dice),
            92..96 => tell(&account, at, &mut dice),
            _ => for_a_role(&roles, at, &mut dice),
        };
        let is_shared = call.action == "AssumeRole";
        let mut event = caller.call(&mut dice, at, &account, region, call);
        event.shared = is_shared.then(|| dice.uuid());
        events.push(event);
    }
}

/// A service takes a role to hand its credentials to a machine, a function or a container.
fn hand_out(roles: &[&Role], at: i64, dice: &mut Dice) -> (Caller, Call) {
    let role = dice.one(roles);
    let (service, session) = match role.purpose {
        Purpose::Instance => ("ec2.amazonaws.com", ids::resource(dice, "i")),
        Purpose::Task => ("ecs-tasks.amazonaws.com", dice.hex(32)),
        Purpose::Service(service) => (service, "AWSServiceSession".to_owned()),
        _ => ("lambda.amazonaws.com", format!("handler-{}", dice.roll(9))),
    };
    let (call, _) = sts::assume_role(dice, &role.name, &session, None, at);
    (Caller::service(Identity::Service(service), service), call)
}

fn session(role: &Role, name: &str, service: &'static str, at: i64, dice: &mut Dice) -> Identity {
    Identity::Role {
        role: role.name.clone(),
        name: name.to_owned(),
        key: Some(ids::access_key(dice, "ASIA", &role.name.account)),
        session: Session {
            created: at - dice.between(1, 1_800),
            ..Session::default()
        },
        invoked_by: Some(service),
    }
}

fn service_role<'a>(roles: &[&'a Role], service: &str) -> &'a Role {
    let is_it = |role: &&&Role| matches!(role.purpose, Purpose::Service(of) if of == service);
    roles.iter().find(is_it).unwrap_or(&roles[0])
}

/// Config looks at everything.
fn look(seed: u64, roles: &[&Role], at: i64, dice: &mut Dice) -> (Caller, Call) {
    let service = "config.amazonaws.com";
    let role = service_role(roles, service);
    let mut lots = Dice::of(seed, "config", at.div_euclid(HOUR_SECS));
    let identity = session(role, "AWSConfig-Describe", service, at, &mut lots);
    let (of, action) = dice.one(LOOKS);
    (
        Caller::service(identity, service),
        Call::read(of, action, Value::Null),
    )
}

/// Backup makes snapshots.
fn back_up(roles: &[&Role], at: i64, dice: &mut Dice) -> (Caller, Call) {
    let service = "backup.amazonaws.com";
    let role = service_role(roles, service);
    let identity = session(
        role,
        "AWSBackup-AWSBackupDefaultServiceRole",
        service,
        at,
        dice,
    );
    let volume = ids::resource(dice, "vol");
    let call = match dice.chance(60) {
        true => Call::new(
            "ec2",
            "CreateSnapshot",
            json!({"volumeId": volume, "description": "This snapshot is created by the AWS Backup service."}),
        )
        .answered(json!({
            "requestId": dice.uuid(), "snapshotId": ids::resource(dice, "snap"), "volumeId": volume,
            "status": "pending", "startTime": at * 1_000, "progress": "", "volumeSize": "30", "encrypted": false,
        })),
        false => Call::new(
            "ec2",
            "DeleteSnapshot",
            json!({"snapshotId": ids::resource(dice, "snap"), "force": false}),
        )
        .answered(json!({"requestId": dice.uuid(), "_return": true})),
    };
    (Caller::service(identity, service), call)
}

/// A service tells of something that nobody asked for.
fn tell(account: &str, at: i64, dice: &mut Dice) -> (Caller, Call) {
    let bare = |service| Identity::Bare {
        account: account.to_owned(),
        invoked_by: service,
    };
    let (service, mut call) = match dice.roll(3) {
        0 => (
            "ec2.amazonaws.com",
            Call {
                details: json!({"instanceIdSet": [ids::resource(dice, "i")]}),
                ..Call::new("ec2", "BidEvictedEvent", Value::Null)
            },
        ),
        1 => (
            "kms.amazonaws.com",
            Call {
                details: json!({"keyId": dice.uuid(), "rotationType": "AUTOMATIC"}),
                ..Call::new("kms", "RotateKey", Value::Null)
            },
        ),
        _ => (
            "acm.amazonaws.com",
            Call {
                details: json!({"certificateArn": format!("arn:aws:acm:us-east-1::certificate/{}", dice.uuid()), "at": iso(at)}),
                ..Call::new("acm", "RenewCertificate", Value::Null)
            },
        ),
    };
    call.kind = "AwsServiceEvent";
    (Caller::service(bare(service), service), call)
}

/// A service opens something for a role of the owner.
fn for_a_role(roles: &[&Role], at: i64, dice: &mut Dice) -> (Caller, Call) {
    let role = dice.one(roles);
    let service = "secretsmanager.amazonaws.com";
    let identity = session(role, "app", service, at, dice);
    let call = Call::read(
        "kms",
        "Decrypt",
        json!({"encryptionContext": {"SecretVersionId": dice.uuid()}, "encryptionAlgorithm": "SYMMETRIC_DEFAULT"}),
    );
    (Caller::service(identity, service), call)
}
