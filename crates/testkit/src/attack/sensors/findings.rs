//! Findings of GuardDuty as it exports them to a bucket: one a line, without an envelope.
//!
//! Source: the GuardDuty API reference, "Finding"; types from the user guide.

use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::Hour;
use crate::attack::calendar::iso;
use crate::attack::cast::Machine;
use crate::attack::dice::Dice;
use crate::attack::event::{Event, Hand};
use crate::attack::identity::Identity;
use crate::attack::world::World;

/// How long after the fact a finding comes.
const DELAY_SECS: i64 = 900;

/// The detector of an account's region, if there is one.
fn detector<'a>(world: &'a World, account: &'a str, region: &str) -> Option<&'a str> {
    world
        .of_kind(account, "guardduty-detector")
        .find(|(thing, _)| thing.region == region)
        .map(|(thing, _)| &*thing.id)
}

/// Machines that mine are found in the hour after they start.
pub fn of_machines(hour: &Hour<'_>, world: &World) -> io::Result<()> {
    for (machine, from, _, (address, port, name)) in &hour.miners {
        let Some(detector) = detector(world, &machine.account, machine.region) else {
            continue;
        };
        if *from == hour.start {
            continue;
        }
        let mut dice = Dice::of(1, &machine.id, hour.start);
        let (kind, action) = match dice.chance(50) {
            true => (
                "CryptoCurrency:EC2/BitcoinTool.B!DNS",
                json!({"actionType": "DNS_REQUEST", "dnsRequestAction": {"domain": name, "protocol": "UDP", "blocked": false}}),
            ),
            false => (
                "CryptoCurrency:EC2/BitcoinTool.B",
                json!({"actionType": "NETWORK_CONNECTION", "networkConnectionAction": {
                    "connectionDirection": "OUTBOUND", "protocol": "TCP", "blocked": false,
                    "remoteIpDetails": {"ipAddressV4": address}, "remotePortDetails": {"port": port, "portName": "Unknown"},
                    "localPortDetails": {"port": 40_000 + dice.roll(9_000), "portName": "Unknown"},
                }}),
            ),
        };
        let finding = finding(
            &Found {
                account: &machine.account,
                region: machine.region,
                detector,
                kind,
                severity: 8.0,
                at: *from + DELAY_SECS,
            },
            instance(machine),
            action,
            &mut dice,
        );
        let place = (&*machine.account, "GuardDuty", machine.region);
        super::write(hour.dir, place, *from + DELAY_SECS, &mut dice, &finding)?;
    }
    Ok(())
}

/// A call may be a finding by itself.
pub fn of_call(dir: &Path, event: &Event, world: &World) -> io::Result<()> {
    let Some(detector) = detector(world, &event.account, event.region) else {
        return Ok(());
    };
    let is_intruders = event.caller.hand == Hand::Intruder;
    let has_failed = event.call.error.is_some();
    let kind = match (event.call.action, &*event.caller.identity) {
        ("StopLogging" | "DeleteTrail", _) if !has_failed => {
            "Stealth:IAMUser/CloudTrailLoggingDisabled"
        }
        ("ConsoleLogin", _) if is_intruders && !has_failed => {
            "UnauthorizedAccess:IAMUser/ConsoleLoginSuccess.B"
        }
        ("GetCallerIdentity", Identity::Role { session, .. })
            if is_intruders && session.ec2_delivery.is_some() =>
        {
            "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS"
        }
        ("ConsoleLogin", Identity::Root { .. }) => "Policy:IAMUser/RootCredentialUsage",
        _ => return Ok(()),
    };
    let mut dice = Dice::of(2, &event.id, 0);
    let identity = &event.caller.identity;
    let user = match &**identity {
        Identity::Role { role, .. } => role.name.clone(),
        Identity::User { name, .. } => name.clone(),
        _ => "Root".to_owned(),
    };
    let resource = json!({"resourceType": "AccessKey", "accessKeyDetails": {
        "accessKeyId": identity.key().unwrap_or_default(),
        "principalId": identity.json()["principalId"],
        "userType": identity.json()["type"],
        "userName": user,
    }});
    let action = json!({"actionType": "AWS_API_CALL", "awsApiCallAction": {
        "api": event.call.action,
        "serviceName": format!("{}.amazonaws.com", event.call.service),
        "callerType": "Remote IP",
        "remoteIpDetails": {"ipAddressV4": event.caller.address},
    }});
    let at = event.at + DELAY_SECS;
    let found = Found {
        account: &event.account,
        region: event.region,
        detector,
        kind,
        severity: 5.0,
        at,
    };
    let text = finding(&found, resource, action, &mut dice);
    let place = (&*event.account, "GuardDuty", event.region);
    super::write(dir, place, at, &mut dice, &text)
}

struct Found<'a> {
    account: &'a str,
    region: &'a str,
    detector: &'a str,
    kind: &'a str,
    severity: f64,
    at: i64,
}

fn finding(found: &Found<'_>, resource: Value, action: Value, dice: &mut Dice) -> String {
    let Found {
        account,
        region,
        detector,
        kind,
        at,
        ..
    } = found;
    let id = dice.hex(32);
    let seen = iso(at - DELAY_SECS);
    let finding = json!({
        "schemaVersion": "2.0",
        "accountId": account,
        "region": region,
        "partition": "aws",
        "id": id,
        "arn": format!("arn:aws:guardduty:{region}:{account}:detector/{detector}/finding/{id}"),
        "type": kind,
        "resource": resource,
        "service": {
            "serviceName": "guardduty",
            "detectorId": detector,
            "action": action,
            "resourceRole": "TARGET",
            "additionalInfo": {},
            "eventFirstSeen": seen,
            "eventLastSeen": seen,
            "archived": false,
            "count": 1 + dice.roll(40),
        },
        "severity": found.severity,
        "createdAt": iso(*at),
        "updatedAt": iso(*at),
        "title": format!("{kind} was seen."),
        "description": format!("{kind} was seen in {account}."),
    });
    format!("{finding}\n")
}

fn instance(machine: &Machine) -> Value {
    json!({"resourceType": "Instance", "instanceDetails": {
        "instanceId": machine.id,
        "instanceType": machine.kind,
        "imageId": machine.image,
        "launchTime": iso(machine.launched),
        "instanceState": "running",
        "availabilityZone": format!("{}a", machine.region),
        "platform": if machine.is_windows { Value::from("windows") } else { Value::Null },
        "tags": [],
        "networkInterfaces": [{
            "networkInterfaceId": machine.interface,
            "privateIpAddress": machine.private,
            "publicIp": machine.public,
            "vpcId": machine.vpc,
            "subnetId": machine.subnet,
            "securityGroups": [],
            "ipv6Addresses": [],
        }],
    }})
}
