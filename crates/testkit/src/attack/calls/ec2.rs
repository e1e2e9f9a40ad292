//! EC2, but for starting machines.

use serde_json::{Value, json};

use crate::attack::calendar::iso;
use crate::attack::cast::Machine;
use crate::attack::dice::Dice;
use crate::attack::event::Call;
use crate::attack::ids;
use crate::attack::world::{Effect, Thing};

/// Machines are listed.
pub fn describe_instances(instances: &[&str]) -> Call {
    let items: Vec<Value> = instances
        .iter()
        .map(|id| json!({"instanceId": id}))
        .collect();
    let set = match items.is_empty() {
        true => json!({}),
        false => json!({"items": items}),
    };
    Call::read(
        "ec2",
        "DescribeInstances",
        json!({"instancesSet": set, "filterSet": {}}),
    )
}

/// Regions are listed.
pub fn describe_regions() -> Call {
    Call::read(
        "ec2",
        "DescribeRegions",
        json!({"regionSet": {}, "allRegions": true}),
    )
}

/// Machines are ended.
pub fn terminate(machines: &[&Machine], was: &str) -> Call {
    let of = |machine: &&Machine| {
        json!({
            "instanceId": machine.id,
            "currentState": {"code": 32, "name": "shutting-down"},
            "previousState": {"code": 16, "name": was},
        })
    };
    let asked: Vec<Value> = machines
        .iter()
        .map(|machine| json!({"instanceId": machine.id}))
        .collect();
    let answered: Vec<Value> = machines.iter().map(of).collect();
    let mut call = Call::new(
        "ec2",
        "TerminateInstances",
        json!({"instancesSet": {"items": asked}}),
    )
    .answered(json!({"instancesSet": {"items": answered}}));
    for machine in machines {
        call = call.changing(Effect::Terminate(machine.thing(), "User initiated"));
    }
    call
}

/// A key pair is made.
pub fn create_key_pair(dice: &mut Dice, account: &str, region: &str, name: &str, at: i64) -> Call {
    let id = ids::resource(dice, "key");
    let fingerprint: Vec<String> = (0..20).map(|_| dice.hex(2)).collect();
    let fingerprint = fingerprint.join(":");
    Call::new(
        "ec2",
        "CreateKeyPair",
        json!({"keyName": name, "keyType": "rsa", "keyFormat": "pem"}),
    )
    .answered(json!({
        "requestId": dice.uuid(),
        "keyName": name,
        "keyFingerprint": fingerprint,
        "keyPairId": id,
        "keyMaterial": "<sensitiveDataRemoved>",
    }))
    .changing(Effect::Put(
        Thing::new(account, region, "key-pair", &id),
        json!({"KeyPairId": id, "KeyName": name, "KeyType": "rsa", "KeyFingerprint": fingerprint, "CreateTime": iso(at), "Tags": []}),
    ))
}

/// A security group is made; its id is the second.
pub fn create_security_group(
    dice: &mut Dice,
    account: &str,
    region: &str,
    name: &str,
    vpc: &str,
) -> (Call, String) {
    let id = ids::resource(dice, "sg");
    let call = Call::new(
        "ec2",
        "CreateSecurityGroup",
        json!({"groupName": name, "groupDescription": name, "vpcId": vpc}),
    )
    .answered(json!({"requestId": dice.uuid(), "_return": true, "groupId": id}))
    .changing(Effect::Put(
        Thing::new(account, region, "security-group", &id),
        json!({"GroupId": id, "GroupName": name, "Description": name, "VpcId": vpc, "OwnerId": account, "IpPermissions": []}),
    ));
    (call, id)
}

/// A port is opened to everybody.
pub fn open_port(dice: &mut Dice, account: &str, region: &str, group: &str, port: u16) -> Call {
    Call::new(
        "ec2",
        "AuthorizeSecurityGroupIngress",
        json!({"groupId": group, "ipPermissions": {"items": [{
            "ipProtocol": "tcp", "fromPort": port, "toPort": port, "groups": {},
            "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}, "ipv6Ranges": {}, "prefixListIds": {},
        }]}}),
    )
    .answered(json!({
        "requestId": dice.uuid(),
        "_return": true,
        "securityGroupRuleSet": {"items": [{
            "groupOwnerId": account, "groupId": group, "securityGroupRuleId": ids::resource(dice, "sgr"),
            "isEgress": false, "ipProtocol": "tcp", "fromPort": port, "toPort": port, "cidrIpv4": "0.0.0.0/0",
        }]},
    }))
    .changing(Effect::Patch(
        Thing::new(account, region, "security-group", group),
        json!({"IpPermissions": [{
            "IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
        }]}),
    ))
}

/// A machine is made hard to end.
pub fn disable_termination(dice: &mut Dice, machine: &Machine) -> Call {
    Call::new(
        "ec2",
        "ModifyInstanceAttribute",
        json!({"instanceId": machine.id, "disableApiTermination": {"value": true}}),
    )
    .answered(json!({"requestId": dice.uuid(), "_return": true}))
}
