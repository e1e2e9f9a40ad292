//! From what came of looking to the lines of a segment: everything of a scope now and then, and between
//! that what has changed.

use std::collections::BTreeMap;

use davylamp_model::recording::{Look, Scope, Thing};

use crate::canonical::canonical;
use crate::line::{Coverage, Held, Line, Mode};
use crate::picture::{Moment, Picture};

/// Everything of a scope is told again after so many snapshots: a week of hourly ones. To know a state,
/// at most so many segments are read.
pub const FULL_EVERY: u64 = 168;
/// A scope that could not be read for this many times as long is forgotten, so that the number of segments
/// to read stays bounded. The segments go on holding what was there.
const FORGOTTEN_AFTER: u64 = 4;

/// The lines of a snapshot after a picture, which is brought up to it.
pub(crate) fn lines(picture: &mut Picture, now: Moment, looks: Vec<Look>) -> Vec<Line> {
    let oldest = now.number.saturating_sub(FULL_EVERY * FORGOTTEN_AFTER);
    picture.forget_before(oldest);
    picture.advance(now);
    let mut told = Told::default();
    for (scope, came) in by_scope(looks) {
        match came {
            Ok(things) => told.complete(picture, scope, things),
            Err(reason) => told.unknown(picture, scope, reason),
        }
    }
    // What came of looking stands first: it is short, and says how to read what follows.
    told.coverage.append(&mut told.things);
    told.coverage
}

/// Looks by scope. Of two at the same scope one that could not be read decides.
fn by_scope(looks: Vec<Look>) -> BTreeMap<Scope, Result<Vec<Thing>, String>> {
    let mut all: BTreeMap<Scope, Result<Vec<Thing>, String>> = BTreeMap::new();
    for look in looks {
        let entry = all.entry(look.scope).or_insert(Ok(Vec::new()));
        match (entry, look.came) {
            (Ok(things), Ok(more)) => things.extend(more),
            (entry, Err(reason)) => *entry = Err(reason),
            (Err(_), Ok(_)) => {}
        }
    }
    all
}

#[derive(Default)]
struct Told {
    coverage: Vec<Line>,
    things: Vec<Line>,
}

impl Told {
    fn unknown(&mut self, picture: &mut Picture, scope: Scope, reason: String) {
        let coverage = Coverage::Unknown {
            reason: reason.clone(),
        };
        self.coverage
            .push(Line::coverage(picture.taken_at, &scope, &coverage));
        let now = picture.moment();
        let seen = picture.scopes.entry(scope).or_default();
        seen.looked = now;
        seen.unknown = Some(reason);
    }

    fn complete(&mut self, picture: &mut Picture, scope: Scope, things: Vec<Thing>) {
        let now = picture.moment();
        let seen = picture.scopes.entry(scope.clone()).or_default();
        let is_due = seen.complete.is_none() || now.number - seen.full_at >= FULL_EVERY;
        let mode = match is_due {
            true => Mode::Full,
            false => Mode::Changes,
        };
        let mut held: BTreeMap<String, Held> = BTreeMap::new();
        for thing in things {
            held.insert(thing.id, Held::new(canonical(&thing.state)));
        }
        let count = held.len() as u64;
        let coverage = Coverage::Complete { count, mode };
        self.coverage
            .push(Line::coverage(now.taken_at, &scope, &coverage));
        let mut tell = |id: &str, held: Held| {
            self.things.push(Line {
                taken_at: now.taken_at,
                scope: scope.clone(),
                id: id.to_owned(),
                held,
            });
        };
        for (id, now) in &held {
            let is_known = seen.things.get(id).is_some_and(|it| it.hash == now.hash);
            if mode == Mode::Full || !is_known {
                tell(id, now.clone());
            }
        }
        for id in seen.things.keys().filter(|id| !held.contains_key(*id)) {
            tell(id, Held::gone());
        }
        seen.looked = now;
        seen.complete = Some(now);
        seen.unknown = None;
        seen.things = held;
        if mode == Mode::Full {
            seen.full_at = now.number;
        }
    }
}
