//! What exists in the accounts at a moment, as AWS's own calls would print it.
//!
//! Events change it in the order in which they happen, whether CloudTrail wrote them or not; the
//! recorder looks at it. So snapshots and logs of a story tell the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::calendar::{HOUR_SECS, iso};
use super::event::Event;

/// Where IAM and buckets are, for a snapshot.
pub const GLOBAL: &str = "global";

/// One thing: account, region, kind and id, the kinds being those of the recorder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thing {
    /// The account.
    pub account: String,
    /// The region, or [`GLOBAL`].
    pub region: String,
    /// What it is, such as `access-key`.
    pub kind: &'static str,
    /// Which one.
    pub id: String,
}

impl Thing {
    /// A thing.
    pub fn new(account: &str, region: &str, kind: &'static str, id: &str) -> Self {
        Self {
            account: account.to_owned(),
            region: region.to_owned(),
            kind,
            id: id.to_owned(),
        }
    }

    /// A thing of no region.
    pub fn global(account: &str, kind: &'static str, id: &str) -> Self {
        Self::new(account, GLOBAL, kind, id)
    }
}

/// What an event does to the world.
#[derive(Debug, Clone)]
pub enum Effect {
    /// There is this thing now.
    Put(Thing, Value),
    /// It has these members now.
    Patch(Thing, Value),
    /// A machine stops running, and is gone an hour later.
    Terminate(Thing, &'static str),
    /// It is gone.
    Gone(Thing),
}

/// What exists.
#[derive(Debug, Clone, Default)]
pub struct World {
    things: BTreeMap<Thing, Value>,
    later: BTreeMap<i64, Vec<Thing>>,
    /// Accounts in which a trail writes.
    logging: BTreeSet<String>,
    /// What has changed since it was last asked.
    changed: BTreeSet<Thing>,
    /// What has changed when, since it was last asked; nothing if nobody asks.
    journal: Option<Vec<(i64, Thing)>>,
}

impl World {
    /// Makes what an event changes happen, and notes that its credential was used.
    pub fn see(&mut self, event: &Event) {
        self.pass(event.at);
        for effect in &event.call.effects {
            self.apply(event.at, effect);
        }
        if let Some(key) = event
            .caller
            .identity
            .key()
            .filter(|it| it.starts_with("AKIA"))
        {
            let used = json!({"AccessKeyLastUsed": {
                "LastUsedDate": iso(event.at),
                "ServiceName": event.call.service,
                "Region": event.region,
            }});
            let key = Thing::global(&event.account, "access-key", key);
            self.patch(event.at, key, used);
        }
    }

    /// Makes one thing happen.
    pub fn apply(&mut self, at: i64, effect: &Effect) {
        let of = match effect {
            Effect::Put(it, _)
            | Effect::Patch(it, _)
            | Effect::Terminate(it, _)
            | Effect::Gone(it) => it,
        };
        match effect {
            Effect::Put(thing, state) => {
                self.things.insert(thing.clone(), state.clone());
                self.note(at, thing.clone());
            }
            Effect::Patch(thing, members) => self.patch(at, thing.clone(), members.clone()),
            Effect::Terminate(thing, reason) => {
                let reason = format!("{reason} ({} GMT)", iso(at).replace(['T', 'Z'], " ").trim());
                self.patch(
                    at,
                    thing.clone(),
                    json!({"State": {"Code": 48, "Name": "terminated"}, "StateTransitionReason": reason}),
                );
                let gone = self.later.entry(at + HOUR_SECS).or_default();
                gone.push(thing.clone());
            }
            Effect::Gone(thing) => {
                if self.things.remove(thing).is_some() {
                    self.note(at, thing.clone());
                }
            }
        }
        if of.kind == "trail" {
            let is_logging = self
                .of_kind(&of.account, "trail")
                .any(|(_, state)| state["IsLogging"] == json!(true));
            match is_logging {
                true => self.logging.insert(of.account.clone()),
                false => self.logging.remove(&of.account),
            };
        }
    }

    /// Lets time pass: what was to be gone by then is gone.
    pub fn pass(&mut self, now: i64) {
        while let Some(first) = self.later.first_entry() {
            if *first.key() > now {
                break;
            }
            for thing in first.remove() {
                for volume in self.volumes_of(&thing) {
                    self.apply(now, &Effect::Gone(volume));
                }
                self.apply(now, &Effect::Gone(thing));
            }
        }
    }

    fn volumes_of(&self, machine: &Thing) -> Vec<Thing> {
        let is_attached =
            |state: &Value| state["Attachments"][0]["InstanceId"] == json!(machine.id);
        self.of_kind(&machine.account, "volume")
            .filter(|(thing, state)| thing.region == machine.region && is_attached(state))
            .map(|(thing, _)| thing.clone())
            .collect()
    }

    fn note(&mut self, at: i64, thing: Thing) {
        if let Some(journal) = &mut self.journal {
            journal.push((at, thing.clone()));
        }
        self.changed.insert(thing);
    }

    fn patch(&mut self, at: i64, thing: Thing, members: Value) {
        let (Some(Value::Object(state)), Value::Object(members)) =
            (self.things.get_mut(&thing), members)
        else {
            return;
        };
        for (name, value) in members {
            state.insert(name, value);
        }
        self.note(at, thing);
    }

    /// Whether there is such a thing.
    pub fn has(&self, thing: &Thing) -> bool {
        self.things.contains_key(thing)
    }

    /// Everything of a kind in an account.
    pub fn of_kind<'a>(
        &'a self,
        account: &'a str,
        kind: &'a str,
    ) -> impl Iterator<Item = (&'a Thing, &'a Value)> {
        self.things
            .iter()
            .filter(move |(thing, _)| thing.account == account && thing.kind == kind)
    }

    /// Everything.
    pub fn all(&self) -> impl Iterator<Item = (&Thing, &Value)> {
        self.things.iter()
    }

    /// What has changed since the call before this one.
    pub fn take_changed(&mut self) -> BTreeSet<Thing> {
        std::mem::take(&mut self.changed)
    }

    /// From now on it is noted what changes when, and somebody will ask.
    pub fn keep_journal(&mut self) {
        self.journal = Some(Vec::new());
    }

    /// What has changed when, since the call before this one.
    pub fn take_journal(&mut self) -> Vec<(i64, Thing)> {
        self.journal
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// What a thing is like.
    pub fn state(&self, thing: &Thing) -> Option<&Value> {
        self.things.get(thing)
    }

    /// Whether a trail of the account writes.
    pub fn is_logging(&self, account: &str) -> bool {
        self.logging.contains(account)
    }
}

/// The text of a state in which the order of members says nothing, for hashing.
pub fn canonical(state: &Value) -> String {
    sorted(state).to_string()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let ordered: BTreeMap<_, _> = members.iter().collect();
            let members: Map<String, Value> = ordered
                .into_iter()
                .map(|(name, value)| (name.clone(), sorted(value)))
                .collect();
            members.into()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}
