//! What differs between two pictures: added, removed, changed, and what nobody can say.
//!
//! What must stay true: what the difference holds, applied to the first picture, gives the second, but for
//! what is unknown in either; unknown is never removed.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::recording::Scope;
use serde::Serialize;
use serde_json::Value;

use crate::line::Held;
use crate::picture::Picture;

/// Things of a scope by their ids.
type Things = BTreeMap<String, Held>;

/// What differs.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Difference {
    /// Things that differ, by scope and id.
    pub things: Vec<Differs>,
    /// Scopes of which one of the two says nothing.
    pub unknown: Vec<Unknown>,
}

/// A thing that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Differs {
    /// Where it is and of what kind.
    #[serde(flatten)]
    pub scope: Scope,
    /// Which one it is.
    pub id: String,
    /// How it differs.
    #[serde(flatten)]
    pub how: How,
}

/// How a thing differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum How {
    /// It is only in the second.
    Added {
        /// Its state there.
        state: Value,
    },
    /// It is only in the first.
    Removed {
        /// Its state there.
        state: Value,
    },
    /// It is in both, and not the same.
    Changed {
        /// Which members.
        members: Vec<Member>,
    },
}

/// A member of a state that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Member {
    /// The names that lead to it.
    pub path: Vec<String>,
    /// Its value in the first; nothing if it is not there.
    pub before: Option<Value>,
    /// Its value in the second; nothing if it is not there.
    pub after: Option<Value>,
}

/// A scope of which nobody can say what differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// Which.
    #[serde(flatten)]
    pub scope: Scope,
    /// Why the first does not tell; nothing if it does.
    pub before: Option<String>,
    /// Why the second does not tell; nothing if it does.
    pub after: Option<String>,
}

/// What differs between two pictures.
pub fn difference(before: &Picture, after: &Picture) -> Difference {
    let mut found = Difference::default();
    let scopes: BTreeSet<&Scope> = before.scopes.keys().chain(after.scopes.keys()).collect();
    for scope in scopes {
        match (before.things(scope), after.things(scope)) {
            (Some(old), Some(new)) => found.things.extend(between(scope, old, new)),
            _ => found.unknown.push(Unknown {
                scope: scope.clone(),
                before: before.unknown(scope),
                after: after.unknown(scope),
            }),
        }
    }
    found
}

fn between(scope: &Scope, old: &Things, new: &Things) -> Vec<Differs> {
    let ids: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differing = ids.into_iter().filter_map(|id| {
        let how = how(old.get(id), new.get(id))?;
        Some(Differs {
            scope: scope.clone(),
            id: id.clone(),
            how,
        })
    });
    differing.collect()
}

/// How one state differs from another of the same thing; nothing if it does not.
pub fn how(old: Option<&Held>, new: Option<&Held>) -> Option<How> {
    match (old, new) {
        (None, None) => None,
        (None, Some(new)) => Some(How::Added { state: value(new) }),
        (Some(old), None) => Some(How::Removed { state: value(old) }),
        (Some(old), Some(new)) if old.hash == new.hash => None,
        (Some(old), Some(new)) => {
            let mut members = Vec::new();
            compare(&value(old), &value(new), &mut Vec::new(), &mut members);
            Some(How::Changed { members })
        }
    }
}

/// The state as a value. What is held is JSON.
pub fn value(held: &Held) -> Value {
    serde_json::from_str(&held.state).unwrap_or_default()
}

fn compare(old: &Value, new: &Value, path: &mut Vec<String>, found: &mut Vec<Member>) {
    let (Some(before), Some(after)) = (old.as_object(), new.as_object()) else {
        if old != new {
            found.push(Member {
                path: path.clone(),
                before: Some(old.clone()),
                after: Some(new.clone()),
            });
        }
        return;
    };
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        path.push(name.clone());
        match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) => compare(old, new, path, found),
            (old, new) => found.push(Member {
                path: path.clone(),
                before: old.cloned(),
                after: new.cloned(),
            }),
        }
        path.pop();
    }
}

impl How {
    /// What a state becomes by this; nothing if it is gone.
    pub fn apply(&self, state: Option<Value>) -> Option<Value> {
        match self {
            Self::Added { state } => Some(state.clone()),
            Self::Removed { .. } => None,
            Self::Changed { members } => {
                let mut state = state?;
                for member in members {
                    member.set(&mut state);
                }
                Some(state)
            }
        }
    }
}

impl Member {
    fn set(&self, state: &mut Value) {
        let Some((last, above)) = self.path.split_last() else {
            *state = self.after.clone().unwrap_or_default();
            return;
        };
        let place = above
            .iter()
            .try_fold(state, |value, name| value.get_mut(name))
            .and_then(Value::as_object_mut);
        let Some(members) = place else {
            return;
        };
        match &self.after {
            Some(value) => drop(members.insert(last.clone(), value.clone())),
            None => drop(members.remove(last)),
        }
    }

    /// The path as text: `State.Name`.
    pub fn name(&self) -> String {
        self.path.join(".")
    }
}
