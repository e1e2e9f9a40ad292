//! What goes where.

use davylamp_ledger::rows::{IncidentRow, severity_rank};
use davylamp_model::finding::Severity;

use super::happening::Happening;
use super::outbox::Item;
use super::{What, secs};
use crate::config::{Notices, Route};

/// The items of something that happened, each receiver once. `row`: its incident as it is.
pub(super) fn items(
    config: &Notices,
    happening: &Happening,
    row: Option<&IncidentRow>,
) -> Vec<Item> {
    let own = row.map_or(0, |row| row.severity);
    let severity = happening.severity.unwrap_or(own).max(own);
    let mut clusters: Vec<String> = row
        .map(|row| serde_json::from_str(&row.clusters).unwrap_or_default())
        .unwrap_or_default();
    clusters.extend(happening.cluster.clone());
    let due = happening.at.saturating_add(secs(config.group_wait_secs));
    let mut items: Vec<Item> = Vec::new();
    for route in &config.routes {
        if !takes(route, happening.what, severity, &clusters) {
            continue;
        }
        for (channel, person) in receivers(config, route, happening, row) {
            let is_known = |item: &Item| item.channel == channel && item.person == person;
            if !items.iter().any(is_known) {
                items.push(Item::new(
                    happening.clone(),
                    severity,
                    channel,
                    &person,
                    due,
                ));
            }
        }
    }
    items
}

fn takes(route: &Route, what: What, severity: i64, clusters: &[String]) -> bool {
    let least = Severity::named(&route.severity).map_or(0, severity_rank);
    let is_named = |name: &String| name == what.as_str();
    severity >= least
        && (route.what.is_empty() || route.what.iter().any(is_named))
        && (route.clusters.is_empty() || clusters.iter().any(|it| route.clusters.contains(it)))
}

/// Through which channel, and to whose own address; empty for the channel's.
fn receivers<'a>(
    config: &Notices,
    route: &'a Route,
    happening: &Happening,
    row: Option<&IncidentRow>,
) -> Vec<(&'a str, String)> {
    let channels = route.channels.iter().map(String::as_str);
    if !route.is_personal() {
        return channels.map(|channel| (channel, String::new())).collect();
    }
    let mut people = happening.people.clone();
    let owner = row.and_then(|row| row.owner.clone());
    if !happening.only_them {
        people.extend(owner);
    }
    people.sort_unstable();
    people.dedup();
    let mut receivers = Vec::new();
    for person in people {
        let reached = channels.clone().filter(|name| {
            let kind = config.channel(name).map(|channel| channel.kind);
            let known = config.person(&person);
            kind.is_some_and(|kind| known.is_some_and(|known| known.by(kind).is_some()))
        });
        let before = receivers.len();
        receivers.extend(reached.map(|channel| (channel, person.clone())));
        // Who has no address is not passed over: their notice fails, and that is seen.
        if receivers.len() == before {
            receivers.extend(channels.clone().next().map(|channel| (channel, person)));
        }
    }
    receivers
}

/// A route in words, for a page.
pub(crate) fn in_words(route: &Route) -> String {
    let mut said = match route.what.as_slice() {
        [] => "Everything that happens".to_owned(),
        what => {
            let words: Vec<&str> = what
                .iter()
                .filter_map(|name| What::named(name))
                .map(What::words)
                .collect();
            words.join(", ")
        }
    };
    if !route.severity.is_empty() {
        said = format!("{said}; of severity {} or more", route.severity);
    }
    if !route.clusters.is_empty() {
        said = format!("{said}; of {}", route.clusters.join(", "));
    }
    let to = if route.is_personal() {
        "to whom it concerns, "
    } else {
        ""
    };
    format!("{said}: {to}through {}", route.channels.join(", "))
}
