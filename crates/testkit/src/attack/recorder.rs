//! Snapshots of the world, as the flight recorder exports them: JSON lines.
//!
//! The first of a day is full; the others hold what has changed, if the recorder runs each hour.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::calendar::{civil, iso};
use super::layout::gzip;
use super::regions;
use super::world::{GLOBAL, Thing, World, canonical};

/// Kinds without a region.
const GLOBAL_KINDS: &[&str] = &[
    "user",
    "login-profile",
    "mfa-device",
    "access-key",
    "role",
    "account-summary",
];

/// Kinds that every region may have.
const REGION_KINDS: &[&str] = &[
    "instance",
    "spot-request",
    "volume",
    "security-group",
    "key-pair",
    "launch-template",
    "scaling-group",
    "trail",
    "guardduty-detector",
    "eks-cluster",
    "eks-nodegroup",
    "ecs-cluster",
    "ecs-service",
    "lambda-function",
    "sagemaker-notebook",
];

/// Writes snapshots.
#[derive(Debug)]
pub struct Recorder {
    accounts: Vec<String>,
    day: Option<i8>,
    has_written: bool,
}

impl Recorder {
    /// Of these accounts.
    pub fn new(accounts: &[String]) -> Self {
        Self {
            accounts: accounts.to_vec(),
            day: None,
            has_written: false,
        }
    }

    /// Writes what there is, or what has changed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn snapshot(&mut self, dir: &Path, world: &mut World, at: i64) -> io::Result<()> {
        let date = civil(at);
        let is_full = self.day.replace(date.day()) != Some(date.day());
        let changed = world.take_changed();
        let mut text = Vec::new();
        let mut counts: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
        for (thing, state) in world.all() {
            *counts
                .entry((&thing.account, &thing.region, thing.kind))
                .or_default() += 1;
            if is_full || changed.contains(thing) {
                line(&mut text, at, thing, state)?;
            }
        }
        if self.has_written {
            for thing in changed.iter().filter(|thing| !world.has(thing)) {
                line(&mut text, at, thing, &Value::Null)?;
            }
        }
        self.has_written = true;
        for account in &self.accounts {
            let everywhere = GLOBAL_KINDS.iter().map(|kind| (GLOBAL, *kind));
            let in_regions = regions::ALL
                .iter()
                .flat_map(|region| REGION_KINDS.iter().map(|kind| (*region, *kind)));
            for (region, kind) in everywhere.chain(in_regions) {
                let count = counts.get(&(&**account, region, kind)).copied();
                let state = json!({
                    "Status": "complete",
                    "Count": count.unwrap_or(0),
                    "Mode": if is_full { "full" } else { "changes" },
                });
                let mut thing = Thing::new(account, region, "coverage", kind);
                thing.id = kind.to_owned();
                line(&mut text, at, &thing, &state)?;
            }
        }
        let day = date.strftime("%Y/%m/%d").to_string();
        let folder = dir.join("recorder").join(day);
        std::fs::create_dir_all(&folder)?;
        let name = date.strftime("%Y%m%dT%H%MZ.jsonl.gz").to_string();
        std::fs::write(folder.join(name), gzip(&text)?)
    }
}

fn line(text: &mut Vec<u8>, at: i64, thing: &Thing, state: &Value) -> io::Result<()> {
    let line = json!({
        "taken_at": iso(at),
        "account_id": thing.account,
        "region": thing.region,
        "kind": thing.kind,
        "id": thing.id,
        "state": state,
        "hash": hex::encode(Sha256::digest(canonical(state))),
    });
    writeln!(text, "{line}")
}
