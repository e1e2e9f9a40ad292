//! What these tests share: accounts made of numbers, and a store in a folder of its own.

use std::path::Path;

use davylamp_model::recording::{Look, Scope, Thing};
use davylamp_recorder::Writer;
use davylamp_recorder::chain::Link;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub const ACCOUNT: &str = "111122223333";

pub fn scope(kind: &str) -> Scope {
    Scope {
        account: ACCOUNT.to_owned(),
        region: "eu-central-1".to_owned(),
        kind: kind.to_owned(),
    }
}

pub fn thing(id: &str, state: Value) -> Thing {
    Thing {
        id: id.to_owned(),
        state,
    }
}

pub fn complete(kind: &str, things: Vec<Thing>) -> Look {
    Look {
        scope: scope(kind),
        came: Ok(things),
    }
}

pub fn unknown(kind: &str, why: &str) -> Look {
    Look {
        scope: scope(kind),
        came: Err(why.to_owned()),
    }
}

/// The time of the nth snapshot: one each hour.
pub fn hour(number: u64) -> Timestamp {
    let begin: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    begin + SignedDuration::from_hours(i64::try_from(number).unwrap())
}

pub fn record(writer: &mut Writer, looks: Vec<Look>) -> Link {
    let number = writer.store().chain().last().map_or(0, |last| last.number);
    writer.record(hour(number), hour(number), looks).unwrap()
}

/// A store of a few snapshots, in which things come, change and go, and something is unknown.
pub fn story(root: &Path) -> Writer {
    let mut writer = Writer::open(root).unwrap();
    let instance = |state: &str| json!({"InstanceId": "i-1", "State": {"Name": state}, "Tags": [{"Key": "a", "Value": "b"}]});
    let key =
        |used: &str| json!({"AccessKeyId": "AKIA1", "AccessKeyLastUsed": {"LastUsedDate": used}});
    record(
        &mut writer,
        vec![
            complete("instance", vec![thing("i-1", instance("pending"))]),
            complete(
                "access-key",
                vec![thing("AKIA1", key("2026-03-01T00:00:00Z"))],
            ),
        ],
    );
    record(
        &mut writer,
        vec![
            complete(
                "instance",
                vec![
                    thing("i-1", instance("running")),
                    thing("i-2", json!({"InstanceId": "i-2"})),
                ],
            ),
            unknown("access-key", "iam:ListUsers is not allowed"),
        ],
    );
    record(
        &mut writer,
        vec![
            complete("instance", vec![thing("i-2", json!({"InstanceId": "i-2"}))]),
            complete(
                "access-key",
                vec![thing("AKIA1", key("2026-03-01T01:30:00Z"))],
            ),
        ],
    );
    writer
}
