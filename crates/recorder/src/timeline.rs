//! What happened, as far as snapshots tell: each thing's appearance, changes and end, and when nobody
//! could say.
//!
//! A snapshot shows that something happened since the look before, not when: an event lies between the
//! two.

use davylamp_model::recording::Scope;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::diff::{How, Member, how, value};
use crate::line::{Coverage, Line};
use crate::picture::Picture;
use crate::store::{Store, StoreError};

/// What is asked for. What is empty or not given stands for anything.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The kind of thing.
    pub kinds: Vec<String>,
    /// Its id.
    pub ids: Vec<String>,
    /// Its account.
    pub accounts: Vec<String>,
    /// Its region.
    pub regions: Vec<String>,
    /// Nothing that happened before this.
    pub since: Option<Timestamp>,
    /// Nothing that happened after this.
    pub until: Option<Timestamp>,
}

impl Asked {
    /// Whether a scope is asked for.
    pub fn fits(&self, scope: &Scope) -> bool {
        let is = |list: &[String], text: &str| list.is_empty() || list.iter().any(|it| it == text);
        is(&self.kinds, &scope.kind)
            && is(&self.accounts, &scope.account)
            && is(&self.regions, &scope.region)
    }

    /// Whether a thing is asked for.
    pub fn fits_thing(&self, scope: &Scope, id: &str) -> bool {
        self.fits(scope) && (self.ids.is_empty() || self.ids.iter().any(|it| it == id))
    }
}

/// Something that a snapshot shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// When everything of the scope was read before; nothing if it never was.
    pub after: Option<Timestamp>,
    /// The snapshot that shows it.
    pub by: Timestamp,
    /// That snapshot's number.
    pub snapshot: u64,
    /// Where.
    #[serde(flatten)]
    pub scope: Scope,
    /// Which thing; nothing if it is about all of the scope.
    pub id: Option<String>,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What a snapshot shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum What {
    /// It was there when somebody looked for the first time.
    FirstSeen {
        /// As what.
        state: Value,
    },
    /// It was not there at the look before.
    Appeared {
        /// As what.
        state: Value,
    },
    /// It is not as it was.
    Changed {
        /// Which members.
        members: Vec<Member>,
    },
    /// It is gone.
    Gone {
        /// What it was.
        state: Value,
    },
    /// From here on nobody can say what is there.
    Unknown {
        /// Why.
        reason: String,
    },
    /// It is known again.
    KnownAgain,
}

/// Tells what the store's snapshots show, the oldest first.
pub fn timeline(
    store: &Store,
    asked: &Asked,
    mut tell: impl FnMut(Event),
) -> Result<(), StoreError> {
    let pruned = store.chain().pruned_up_to();
    let is_early = |at: Timestamp| asked.since.is_some_and(|since| at < since);
    let is_late = |at: Timestamp| asked.until.is_some_and(|until| at > until);
    // What was known before the first is what it is compared with.
    let kept = || {
        store
            .chain()
            .snapshots()
            .filter(|(it, _)| it.number > pruned)
    };
    let before = kept().take_while(|(it, _)| is_early(it.taken_at)).last();
    let from = before.map_or(0, |(_, before)| before.reads_from);
    let mut picture = Picture::default();
    for (link, snapshot) in kept().filter(|(it, _)| it.number >= from) {
        if is_late(link.taken_at) {
            break;
        }
        let mut events = Vec::new();
        let is_told = !is_early(link.taken_at);
        store.bring_on(&mut picture, link, snapshot, |before, line| {
            if is_told {
                events.extend(event(before, line, asked));
            }
        })?;
        events.into_iter().for_each(&mut tell);
    }
    Ok(())
}

/// What a line shows that the picture did not; `before` has taken the lines before it.
fn event(before: &Picture, line: &Line, asked: &Asked) -> Option<Event> {
    let made = |after, scope: &Scope, id: Option<&str>, what| Event {
        after,
        by: line.taken_at,
        snapshot: before.number,
        scope: scope.clone(),
        id: id.map(str::to_owned),
        what,
    };
    if let Ok(Some((scope, coverage))) = line.covers() {
        if !asked.ids.is_empty() || !asked.fits(&scope) {
            return None;
        }
        let seen = before.scopes.get(&scope);
        let was_unknown = seen.is_some_and(|seen| seen.unknown.is_some());
        let after = seen.and_then(|seen| Some(seen.complete?.taken_at));
        return match coverage {
            Coverage::Unknown { reason } if !was_unknown => {
                Some(made(after, &scope, None, What::Unknown { reason }))
            }
            Coverage::Complete { .. } if was_unknown => {
                Some(made(after, &scope, None, What::KnownAgain))
            }
            _ => None,
        };
    }
    if !asked.fits_thing(&line.scope, &line.id) {
        return None;
    }
    let seen = before.scopes.get(&line.scope)?;
    // The line that says that the scope was read has been taken already.
    let old = seen
        .things
        .get(&line.id)
        .or_else(|| seen.were.get(&line.id));
    let new = (!line.held.is_gone()).then_some(&line.held);
    let what = match how(old, new)? {
        How::Changed { members } => What::Changed { members },
        How::Removed { state } => What::Gone { state },
        How::Added { .. } if seen.before.is_none() => What::FirstSeen {
            state: value(&line.held),
        },
        How::Added { state } => What::Appeared { state },
    };
    let after = seen.before.map(|before| before.taken_at);
    Some(made(after, &line.scope, Some(&line.id), what))
}
