//! What AWS Config writes of the world: history files each six hours, and a snapshot a day.
//!
//! Each change becomes an item some minutes later, if its type is one that AWS Config records: access keys,
//! passwords, second factors and key pairs are none. Source: the AWS Config developer guide, "Delivering
//! Configuration Snapshot to an Amazon S3 Bucket", and items that AWS Config delivered, whose members and their
//! order these have. How late it is was read off those: from one to fifteen minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::calendar::{DAY_SECS, HOUR_SECS, civil};
use super::dice::Dice;
use super::event::Event;
use super::layout::gzip;
use super::regions;
use super::world::{GLOBAL, Thing, World};
use super::{ConfigPlan, Options};

mod resource;

use resource::{Resource, network};

/// Hours between two deliveries of the history.
const HISTORY_HOURS: i64 = 6;

/// How long AWS Config takes at most to tell of everything, once it is switched on.
const INVENTORY_SECS: i64 = 300;

/// Items that were not delivered yet, by account, region of the recorder, and type.
type Waiting = BTreeMap<(String, String, &'static str), Vec<(i64, Value)>>;

/// What was told of a thing.
#[derive(Debug)]
struct Known {
    resource: Resource,
    captured: i64,
    item: Value,
    /// The item before, which stands in a snapshot until the last is noticed.
    before: Option<Value>,
}

/// Writes history files and snapshots.
#[derive(Debug)]
pub struct Config<'a> {
    dir: &'a Path,
    options: &'a Options,
    dice: Dice,
    waiting: Waiting,
    /// The last items of what is there.
    last: BTreeMap<Thing, Known>,
    /// Things that are gone, each with the item before, and when that they are will be noticed.
    leaving: Vec<(Thing, i64, Value)>,
    /// Where somebody has switched it off, by account and region.
    stopped: BTreeSet<(String, String)>,
}

impl<'a> Config<'a> {
    /// Below a folder.
    pub fn new(dir: &'a Path, seed: u64, options: &'a Options) -> Self {
        Self {
            dir,
            options,
            dice: Dice::of(seed, "config-items", 0),
            waiting: Waiting::new(),
            last: BTreeMap::new(),
            leaving: Vec::new(),
            stopped: BTreeSet::new(),
        }
    }

    /// It is switched on, and tells of everything.
    pub fn begin(&mut self, accounts: &[String], world: &mut World, at: i64) {
        if self.options.config == ConfigPlan::Never {
            return;
        }
        world.keep_journal();
        for account in accounts {
            for region in regions::ALL {
                let (thing, resource) = network(account, region);
                let captured = at + self.dice.between(5, INVENTORY_SECS);
                self.tell(thing, resource, captured, true);
            }
        }
        let all: Vec<_> = world
            .all()
            .filter_map(|(thing, state)| Some((thing.clone(), Resource::of(thing, state)?)))
            .collect();
        for (thing, resource) in all {
            let captured = at + self.dice.between(5, INVENTORY_SECS);
            self.tell(thing, resource, captured, true);
        }
    }

    /// Tells of what has changed.
    pub fn see(&mut self, event: Option<&Event>, world: &mut World) {
        let journal = world.take_journal();
        let stops = event.filter(|it| it.call.action == "StopConfigurationRecorder");
        if let Some(event) = stops.filter(|it| it.call.error.is_none()) {
            let of = (event.account.clone(), event.region.to_owned());
            self.stopped.insert(of);
        }
        let mut gone: Vec<(i64, Thing)> = Vec::new();
        let mut there = BTreeMap::new();
        for (at, thing) in journal {
            let resource = world
                .state(&thing)
                .and_then(|state| Resource::of(&thing, state));
            match resource.filter(|it| !it.is_ended) {
                Some(resource) => {
                    there.insert(thing, (at, resource));
                }
                None => gone.push((at, thing)),
            }
        }
        for (thing, (at, resource)) in there {
            // One that has got another name is the same.
            let is_old = |(_, old): &&(i64, Thing)| {
                let known = self.last.get(old);
                known.is_some_and(|known| known.resource.id == resource.id)
            };
            let renamed = gone.iter().position(|it| is_old(&it));
            let is_new = !self.last.contains_key(&thing) && renamed.is_none();
            if let Some(old) = renamed {
                self.last.remove(&gone.remove(old).1);
            }
            let same = self.last.get(&thing);
            if same.is_some_and(|known| known.resource == resource) {
                continue;
            }
            let captured = self.late(&thing, at);
            self.tell(thing, resource, captured, is_new);
        }
        for (at, thing) in gone {
            let captured = self.late(&thing, at);
            let Some(known) = self.last.remove(&thing) else {
                continue;
            };
            let item = known.resource.gone(&thing, captured);
            self.wait(&thing, known.resource.kind, captured, item);
            self.leaving.push((thing, captured, known.item));
        }
    }

    /// Delivers what is due at the end of an hour.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn deliver(&mut self, until: i64) -> io::Result<()> {
        if until.rem_euclid(HISTORY_HOURS * HOUR_SECS) == 0 {
            self.history(until)?;
        }
        if until.rem_euclid(DAY_SECS) == 0 && self.options.config == ConfigPlan::Daily {
            self.snapshots(until)?;
        }
        Ok(())
    }

    /// Delivers what is left.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(mut self, end: i64) -> io::Result<()> {
        self.history(end + HISTORY_HOURS * HOUR_SECS)
    }

    /// When it is noticed: after the change, and after what was noticed of the thing before.
    fn late(&mut self, thing: &Thing, at: i64) -> i64 {
        let captured = at + self.dice.between(60, 900);
        let before = self.last.get(thing).map(|known| known.captured);
        before.map_or(captured, |before| captured.max(before + 1))
    }

    fn tell(&mut self, thing: Thing, resource: Resource, captured: i64, is_new: bool) {
        let status = if is_new { "ResourceDiscovered" } else { "OK" };
        let item = resource.item(&thing, captured, status);
        self.wait(&thing, resource.kind, captured, item.clone());
        let before = self.last.get(&thing).map(|known| known.item.clone());
        let known = Known {
            resource,
            captured,
            item,
            before,
        };
        self.last.insert(thing, known);
    }

    fn wait(&mut self, thing: &Thing, kind: &'static str, captured: i64, item: Value) {
        let region = home(&thing.region);
        let account = thing.account.clone();
        if self.stopped.contains(&(account.clone(), region.to_owned())) {
            return;
        }
        let of = (account, region.to_owned(), kind);
        self.waiting.entry(of).or_default().push((captured, item));
    }

    fn history(&mut self, until: i64) -> io::Result<()> {
        for (of, items) in std::mem::take(&mut self.waiting) {
            let (mut now, mut later): (Vec<_>, Vec<_>) = items
                .into_iter()
                .partition(|(captured, _)| *captured < until);
            let times = now.iter().map(|(captured, _)| *captured);
            let (first, last) = (times.clone().min(), times.max());
            if let (Some(first), Some(last)) = (first, last) {
                for (captured, item) in &now {
                    if self.dice.chance(self.options.repeated_percent) {
                        later.push((captured + HISTORY_HOURS * HOUR_SECS, item.clone()));
                    }
                }
                if self.options.has_disorder {
                    self.dice.shuffle(&mut now);
                }
                let items: Vec<&Value> = now.iter().map(|(_, item)| item).collect();
                let text = json!({"fileVersion": "1.0", "configurationItems": items}).to_string();
                let (account, region, kind) = &of;
                let name = format!("ConfigHistory_{kind}_{}_{}_1", stamp(first), stamp(last));
                self.write(account, region, until, "ConfigHistory", &name, &text)?;
            }
            if !later.is_empty() {
                self.waiting.entry(of).or_default().append(&mut later);
            }
        }
        Ok(())
    }

    /// What is recorded of each region, as it was last noticed.
    fn snapshots(&mut self, at: i64) -> io::Result<()> {
        self.leaving.retain(|(_, noticed, _)| *noticed >= at);
        let there = self.last.iter().filter_map(|(thing, known)| {
            let item = match known.captured < at {
                true => Some(&known.item),
                false => known.before.as_ref(),
            };
            Some((thing, item?))
        });
        let leaving = self.leaving.iter().map(|(thing, _, item)| (thing, item));
        let mut regions: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
        for (thing, item) in there.chain(leaving) {
            let of = (thing.account.clone(), home(&thing.region).to_owned());
            if !self.stopped.contains(&of) {
                regions.entry(of).or_default().push(item.clone());
            }
        }
        for ((account, region), items) in regions {
            let id = self.dice.uuid();
            let text = json!({
                "fileVersion": "1.0",
                "configSnapshotId": id,
                "configurationItems": items,
            })
            .to_string();
            let name = format!("ConfigSnapshot_{}_{id}", stamp(at));
            self.write(&account, &region, at, "ConfigSnapshot", &name, &text)?;
        }
        Ok(())
    }

    fn write(
        &self,
        account: &str,
        region: &str,
        at: i64,
        what: &str,
        name: &str,
        text: &str,
    ) -> io::Result<()> {
        // AWS Config writes months and days without a zero in front.
        let day = civil(at).strftime("%Y/%-m/%-d").to_string();
        let folder = self.dir.join("AWSLogs").join(account).join("Config");
        let folder = folder.join(region).join(day).join(what);
        std::fs::create_dir_all(&folder)?;
        let name = format!("{account}_Config_{region}_{name}.json.gz");
        std::fs::write(folder.join(name), gzip(text.as_bytes())?)
    }
}

/// Where what has no region is recorded.
fn home(region: &str) -> &str {
    match region {
        GLOBAL => regions::HOME,
        region => region,
    }
}

fn stamp(at: i64) -> String {
    civil(at).strftime("%Y%m%dT%H%M%SZ").to_string()
}
