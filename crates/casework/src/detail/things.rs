//! The things an act is about, by kind.

use serde_json::Value;

use super::rules::{BY_SERVICE, RULES, Rule};
use super::{at, first};
use crate::trail::row::{Row, Text};

/// Things that one call names at most; more are a list that nobody reads.
const MAX_THINGS: usize = 2_000;

/// What was done to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// It was tried, and failed.
    Attempted,
    /// It was used for something else.
    Used,
    /// It was changed.
    Changed,
    /// It was made.
    Created,
    /// It was removed.
    Deleted,
}

impl How {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attempted => "attempted",
            Self::Used => "used",
            Self::Changed => "changed",
            Self::Created => "created",
            Self::Deleted => "deleted",
        }
    }
}

/// A thing in an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thing {
    /// What it is: the recorder's kinds, as far as it has one.
    pub kind: String,
    /// Its id, name or ARN.
    pub id: String,
    /// What was done to it.
    pub how: How,
}

/// The ends of the names of members that name something.
const ENDS: &[&str] = &["name", "id", "arn"];

/// The things of an act.
pub fn of(row: Row<'_>, request: &Value, response: &Value) -> Vec<Thing> {
    let name = row.text(Text::EventName);
    let how = match row.has_failed() {
        true => How::Attempted,
        false => how(name),
    };
    let service = row
        .text(Text::EventSource)
        .split('.')
        .next()
        .unwrap_or_default();
    let is_it = |(names, ..): &&Rule| {
        names
            .iter()
            .any(|known| name == *known || is_dated(name, known))
    };
    let special = BY_SERVICE
        .iter()
        .filter(|(known, _)| *known == service)
        .map(|(_, rule)| rule)
        .find(is_it);
    let things: Vec<Thing> = match special.or_else(|| RULES.iter().find(is_it)) {
        Some((_, kind, told, asked)) => {
            let ids = |value: &Value, paths: &[&str]| -> Vec<String> {
                let found = paths.iter().flat_map(|path| at(value, path));
                let mut ids: Vec<String> = found
                    .filter_map(|it| Some(it.as_str()?.to_owned()))
                    .collect();
                ids.dedup();
                ids
            };
            let mut found = ids(response, told);
            if found.is_empty() {
                found = paths_in_turn(request, asked);
            }
            if found.is_empty() && row.has_failed() && *kind == "instance" {
                return Vec::new();
            }
            found
                .into_iter()
                .map(|id| Thing {
                    kind: (*kind).to_owned(),
                    id,
                    how,
                })
                .collect()
        }
        None => named(request, how).into_iter().collect(),
    };
    things.into_iter().take(MAX_THINGS).collect()
}

fn paths_in_turn(request: &Value, paths: &[&str]) -> Vec<String> {
    let texts = |path: &&str| -> Vec<String> {
        at(request, path)
            .into_iter()
            .filter_map(|it| Some(it.as_str()?.to_owned()))
            .collect()
    };
    paths
        .iter()
        .map(texts)
        .find(|texts| !texts.is_empty())
        .unwrap_or_default()
}

/// Lambda's actions have a date behind them.
fn is_dated(name: &str, known: &str) -> bool {
    name.strip_prefix(known)
        .is_some_and(|rest| rest.starts_with("20"))
}

fn how(name: &str) -> How {
    let starts = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
    if starts(&[
        "Create", "Run", "Request", "Import", "Register", "Submit", "Allocate",
    ]) {
        return How::Created;
    }
    if starts(&["Delete", "Terminate", "Cancel", "Deregister"]) {
        return How::Deleted;
    }
    if starts(&["Assume", "Get"]) {
        return How::Used;
    }
    How::Changed
}

/// Of an action that stands in no list: the first member of its request that names something.
fn named(request: &Value, how: How) -> Option<Thing> {
    let members = request.as_object()?;
    members.iter().find_map(|(key, value)| {
        let end = ENDS
            .iter()
            .find(|end| key.len() > end.len() && key.to_ascii_lowercase().ends_with(**end))?;
        let id = value.as_str().filter(|id| !id.is_empty())?;
        let mut kind = String::new();
        for letter in key[..key.len() - end.len()].chars() {
            if letter.is_ascii_uppercase() && !kind.is_empty() {
                kind.push('-');
            }
            kind.push(letter.to_ascii_lowercase());
        }
        Some(Thing {
            kind,
            id: id.to_owned(),
            how,
        })
    })
}

/// Whether an action is about another user than its caller.
pub fn other_user(row: Row<'_>, request: &Value) -> bool {
    let named = first(request, &["userName"]);
    named.is_some_and(|user| !row.text(Text::Arn).ends_with(&format!("/{user}")))
}
