//! From one state of a set to the next: what is joined, what changes, and how it is written.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{COLUMNS, Confidence, Indicator, Value};

/// What differs between two states of a set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// What is new.
    pub added: Vec<Indicator>,
    /// What is known otherwise: before and after.
    pub changed: Vec<(Indicator, Indicator)>,
    /// What is no longer there.
    pub removed: Vec<Indicator>,
}

impl Changes {
    /// What differs.
    pub fn between(before: &[Indicator], after: &[Indicator]) -> Self {
        let keyed = |list: &[Indicator]| -> BTreeMap<String, Indicator> {
            list.iter()
                .map(|one| (one.value.id(), one.clone()))
                .collect()
        };
        let (mut before, mut changes) = (keyed(before), Self::default());
        for (id, new) in keyed(after) {
            match before.remove(&id) {
                None => changes.added.push(new),
                Some(old) if old != new => changes.changed.push((old, new)),
                Some(_) => {}
            }
        }
        changes.removed = before.into_values().collect();
        changes
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// Many lists as one: an indicator once, with all its sources, the longest time, and the best
/// confidence. What two sources name that do not say otherwise is as sure as the surer of them.
pub fn joined(lists: impl IntoIterator<Item = Indicator>) -> Vec<Indicator> {
    let mut all: BTreeMap<String, Indicator> = BTreeMap::new();
    for one in lists {
        let id = one.value.id();
        match all.get_mut(&id) {
            None => drop(all.insert(id, one)),
            Some(known) => join(known, one),
        }
    }
    all.into_values().collect()
}

fn join(known: &mut Indicator, other: Indicator) {
    let add = |list: &mut Vec<String>, more: Vec<String>| {
        list.extend(more);
        list.sort();
        list.dedup();
    };
    add(&mut known.sources, other.sources);
    add(&mut known.licences, other.licences);
    known.confidence = known.confidence.max(other.confidence);
    known.first_seen = known.first_seen.into_iter().chain(other.first_seen).min();
    known.last_seen = known.last_seen.into_iter().chain(other.last_seen).max();
}

/// A set as a file, sorted, with a comment above it.
pub fn written(comment: &str, indicators: &[Indicator]) -> String {
    let mut text = String::new();
    for line in comment.lines() {
        let _ = writeln!(text, "# {line}");
    }
    let _ = writeln!(text, "{}", COLUMNS.join(","));
    let mut sorted: Vec<&Indicator> = indicators.iter().collect();
    sorted.sort_by_key(|one| one.value.id());
    for one in sorted {
        let day =
            |day: Option<jiff::civil::Date>| day.map(|day| day.to_string()).unwrap_or_default();
        let (kind, value) = kind_and_value(&one.value);
        let confidence = Confidence::ALL
            .iter()
            .find(|(known, _)| *known == one.confidence);
        let confidence = confidence.map_or("", |(_, name)| name);
        // What a file is read by has no commas in its words.
        let words = |words: &[String]| words.join(" ").replace([',', '\n', '\r'], ";");
        let _ = writeln!(
            text,
            "{kind},{value},{confidence},{},{},{},{}",
            words(&one.sources),
            words(&one.licences),
            day(one.first_seen),
            day(one.last_seen),
        );
    }
    text
}

fn kind_and_value(value: &Value) -> (&'static str, String) {
    match value {
        Value::Domain(name) => ("domain", name.clone()),
        Value::Address(address) => ("address", address.to_string()),
        Value::AddressPort(address, port) => (
            "address_port",
            std::net::SocketAddr::new(*address, *port).to_string(),
        ),
        Value::Network(address, bits) => ("network", format!("{address}/{bits}")),
        Value::Port(port) => ("port", port.to_string()),
    }
}
