//! What is known at one snapshot: the things of each scope, since when that is known, and what is not.

use std::collections::BTreeMap;

use davylamp_model::recording::Scope;
use jiff::Timestamp;

use crate::line::{Coverage, Held, Line, Mode, NoLine};

/// Said of a scope whose changes are read and not what they are changes of.
const FORGOTTEN: &str = "it could not be read for weeks after this, and was forgotten";

/// What is known at a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// The snapshot's number; 0 before the first.
    pub number: u64,
    /// When it began.
    pub taken_at: Timestamp,
    /// Every scope that was looked at, at this snapshot or before.
    pub scopes: BTreeMap<Scope, Seen>,
}

/// What is known of a scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The last time that everything was read; nothing if it never was.
    pub complete: Option<Moment>,
    /// The snapshot whose segment tells everything of it, from which on changes are told.
    pub full_at: u64,
    /// The last time somebody looked, and why nothing was read if so.
    pub looked: Moment,
    /// Why nobody can say what was there when somebody looked last.
    pub unknown: Option<String>,
    /// The things that were there when everything was read last.
    pub things: BTreeMap<String, Held>,
    /// The time before the last that everything was read.
    pub(crate) before: Option<Moment>,
    /// The things that were there then, while everything is told again.
    pub(crate) were: BTreeMap<String, Held>,
}

/// A snapshot, as a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Its number.
    pub number: u64,
    /// When it began.
    pub taken_at: Timestamp,
}

impl Picture {
    /// The moment of the picture.
    pub fn moment(&self) -> Moment {
        Moment {
            number: self.number,
            taken_at: self.taken_at,
        }
    }

    /// Why nobody can say what was in a scope at the very moment of the picture; nothing if it was read.
    pub fn unknown(&self, scope: &Scope) -> Option<String> {
        let Some(seen) = self.scopes.get(scope) else {
            return Some("nobody has looked there".to_owned());
        };
        if seen.looked.number != self.number {
            return Some("nobody looked there at this snapshot".to_owned());
        }
        seen.unknown.clone()
    }

    /// The things of a scope at the very moment of the picture, if it was read.
    pub fn things(&self, scope: &Scope) -> Option<&BTreeMap<String, Held>> {
        match self.unknown(scope) {
            None => self.scopes.get(scope).map(|seen| &seen.things),
            Some(_) => None,
        }
    }

    /// Goes on to the next snapshot.
    pub fn advance(&mut self, to: Moment) {
        self.number = to.number;
        self.taken_at = to.taken_at;
    }

    /// Takes in a line of the snapshot that the picture has advanced to. What came of looking stands
    /// before the things.
    pub fn take(&mut self, line: Line) -> Result<(), NoLine> {
        let now = self.moment();
        if let Some((scope, coverage)) = line.covers()? {
            let seen = self.scopes.entry(scope).or_default();
            seen.looked = now;
            match coverage {
                Coverage::Unknown { reason } => seen.unknown = Some(reason),
                // Of a scope that was forgotten since: what these changes are changes of is not read.
                Coverage::Complete {
                    mode: Mode::Changes,
                    ..
                } if seen.complete.is_none() => seen.unknown = Some(FORGOTTEN.to_owned()),
                Coverage::Complete { mode, .. } => {
                    seen.unknown = None;
                    seen.before = seen.complete.replace(now);
                    seen.were.clear();
                    if mode == Mode::Full {
                        seen.were = std::mem::take(&mut seen.things);
                        seen.full_at = now.number;
                    }
                }
            }
            return Ok(());
        }
        let seen = self.scopes.entry(line.scope).or_default();
        if seen.complete.is_none() {
            return Ok(());
        }
        match line.held.is_gone() {
            true => seen.things.remove(&line.id),
            false => seen.things.insert(line.id, line.held),
        };
        Ok(())
    }

    /// The snapshot from which on segments tell all that the picture holds.
    pub fn reads_from(&self) -> u64 {
        let known = self.scopes.values().filter(|seen| seen.complete.is_some());
        let first = known.map(|seen| seen.full_at).min();
        first.unwrap_or(self.number)
    }

    /// Forgets the scopes that no segment since a snapshot tells everything of.
    pub fn forget_before(&mut self, number: u64) {
        self.scopes
            .retain(|_, seen| seen.complete.is_none() || seen.full_at >= number);
    }

    /// How many things there are in the scopes that were read at this moment.
    pub fn count(&self) -> u64 {
        let read = self
            .scopes
            .values()
            .filter(|seen| seen.looked.number == self.number && seen.unknown.is_none());
        read.map(|seen| seen.things.len() as u64).sum()
    }
}
