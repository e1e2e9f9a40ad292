//! Findings as GuardDuty sends them.

use serde_json::{Map, Value, json};

use crate::ground::REGION;

/// A finding about an instance, as GuardDuty's own API spells it.
pub fn bare(account: &str, id: &str, kind: &str, instance: &str) -> Value {
    let now = "2026-11-20T10:00:00.000Z";
    json!({
        "schemaVersion": "2.0",
        "accountId": account,
        "region": REGION,
        "partition": "aws",
        "id": id,
        "arn": format!("arn:aws:guardduty:{REGION}:{account}:detector/d/finding/{id}"),
        "type": kind,
        "severity": 8,
        "title": "An instance queries a domain of a mining pool",
        "description": "It queries pool.example",
        "createdAt": now,
        "updatedAt": now,
        "resource": {
            "resourceType": "Instance",
            "instanceDetails": {"instanceId": instance, "platform": null, "tags": []},
        },
        "service": {
            "serviceName": "guardduty",
            "archived": false,
            "count": 1,
            "eventFirstSeen": now,
            "eventLastSeen": now,
            "resourceRole": "TARGET",
            "action": {
                "actionType": "DNS_REQUEST",
                "dnsRequestAction": {"domain": "pool.example", "protocol": "UDP", "blocked": false},
            },
        },
    })
}

/// The usual finding: an instance asks for a pool's name.
pub fn mining(account: &str, id: &str, instance: &str) -> Value {
    bare(
        account,
        id,
        "CryptoCurrency:EC2/BitcoinTool.B!DNS",
        instance,
    )
}

/// A finding as EventBridge delivers it.
pub fn event(finding: &Value) -> Value {
    json!({
        "version": "0",
        "id": "11111111-2222-3333-4444-555555555555",
        "detail-type": "GuardDuty Finding",
        "source": "aws.guardduty",
        "account": finding["accountId"],
        "region": finding["region"],
        "time": "2026-11-20T10:00:05Z",
        "resources": [],
        "detail": finding,
    })
}

/// The same with every member's first letter in upper case, as other tools print it.
pub fn upper(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut upped = Map::new();
            for (name, value) in members {
                let mut letters = name.chars();
                let first = letters.next().map(|it| it.to_ascii_uppercase());
                let name = first.into_iter().chain(letters).collect();
                upped.insert(name, upper(value));
            }
            Value::Object(upped)
        }
        Value::Array(all) => all.iter().map(upper).collect(),
        other => other.clone(),
    }
}
