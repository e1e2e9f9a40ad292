//! From lines by time to things: since when each was there, how it changed, and until when.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value as Json;

use super::row::Row;

/// Bytes of states that are kept in all; what is beyond is counted.
const MAX_STATE_BYTES: usize = 256 << 20;

/// Bytes of one state. A larger one is kept as unknown.
const MAX_ONE_BYTES: usize = 256 << 10;

/// States of one thing, beside the first: a key that is used all day changes with each snapshot.
const MAX_CHANGES: usize = 10_000;

/// Kinds a case is made of. Of others only when they were looked at is known.
const KINDS: &[&str] = &[
    "instance",
    "spot-request",
    "security-group",
    "key-pair",
    "launch-template",
    "scaling-group",
    "user",
    "login-profile",
    "mfa-device",
    "access-key",
    "role",
    "trail",
    "guardduty-detector",
    "config-recorder",
    "flow-log",
    "ecs-task",
    "ecs-service",
    "eks-nodegroup",
    "lambda-function",
    "sagemaker-notebook",
];

/// Which thing.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// Its account.
    pub account: String,
    /// Its region, or `global`.
    pub region: String,
    /// What it is.
    pub kind: String,
    /// Which one.
    pub id: String,
}

/// A state that a snapshot was the first to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When that snapshot was taken.
    pub at: Timestamp,
    /// When the one before was; nothing if it was the first.
    pub before: Option<Timestamp>,
    state: Box<str>,
    hash: Box<str>,
    /// The line.
    pub source: Box<str>,
}

impl Change {
    /// The state; null where it cannot be read.
    pub fn state(&self) -> Json {
        serde_json::from_str(&self.state).unwrap_or(Json::Null)
    }
}

/// Between which snapshots a thing went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The last snapshot in which it was.
    pub after: Option<Timestamp>,
    /// The first without it.
    pub by: Timestamp,
    /// The line that says so, or that says that all was looked at.
    pub source: Box<str>,
}

/// A thing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Thing {
    /// Its states, the first first.
    pub changes: Vec<Change>,
    /// When it went, if it is not there any more.
    pub gone: Option<Gone>,
    mentioned: Option<Timestamp>,
}

impl Thing {
    /// Its first state.
    pub fn first(&self) -> Option<&Change> {
        self.changes.first()
    }

    /// Its last state.
    pub fn last(&self) -> Option<&Change> {
        self.changes.last()
    }

    /// Its state as a snapshot of that moment showed it.
    pub fn at(&self, moment: Timestamp) -> Option<&Change> {
        let until = self.changes.partition_point(|change| change.at <= moment);
        self.changes[..until].last()
    }
}

/// When one kind of thing was looked at in a region of an account.
type Series = (String, String, String);

/// All that is kept of snapshots.
#[derive(Debug, Default)]
pub struct Snapshots {
    /// The things.
    pub things: BTreeMap<Id, Thing>,
    /// When each series was looked at completely, by time.
    looks: BTreeMap<Series, Vec<Timestamp>>,
    /// Lines that were read.
    pub lines: u64,
    /// States that had no room.
    pub left_out: u64,
    /// Lines whose time nobody can read.
    pub timeless: u64,
    /// How often something could not be looked at.
    pub unknown: u64,
    /// The first and the last snapshot.
    pub span: Option<(Timestamp, Timestamp)>,
    bytes: usize,
}

impl Snapshots {
    /// The things of a kind.
    pub fn of_kind<'a>(&'a self, kind: &str) -> impl Iterator<Item = (&'a Id, &'a Thing)> {
        self.things.iter().filter(move |(id, _)| id.kind == kind)
    }

    /// A thing by what it is.
    pub fn get(&self, account: &str, region: &str, kind: &str, id: &str) -> Option<(&Id, &Thing)> {
        let id = Id {
            account: account.to_owned(),
            region: region.to_owned(),
            kind: kind.to_owned(),
            id: id.to_owned(),
        };
        self.things.get_key_value(&id)
    }

    fn looks(&self, id: &Id) -> &[Timestamp] {
        let series = (id.account.clone(), id.region.clone(), id.kind.clone());
        self.looks.get(&series).map_or(&[], Vec::as_slice)
    }

    /// When the series of a thing was last looked at completely.
    pub fn last_look(&self, id: &Id) -> Option<Timestamp> {
        self.looks(id).last().copied()
    }

    /// When it was first looked at completely at a moment or after it.
    pub fn look_after(&self, id: &Id, moment: Timestamp) -> Option<Timestamp> {
        let looks = self.looks(id);
        looks
            .get(looks.partition_point(|look| *look < moment))
            .copied()
    }

    /// When it was last looked at completely before a moment.
    pub fn look_before(&self, id: &Id, moment: Timestamp) -> Option<Timestamp> {
        let looks = self.looks(id);
        looks[..looks.partition_point(|look| *look < moment)]
            .last()
            .copied()
    }
}

/// Makes things of lines.
#[derive(Debug, Default)]
pub struct Fold {
    out: Snapshots,
    moment: Option<Timestamp>,
    /// What this moment's snapshot says of its own coverage: whether it is full, and the line.
    covered: BTreeMap<Series, (bool, Box<str>)>,
    /// Accounts whose snapshot of this moment has lines about its coverage.
    told: BTreeSet<String>,
    /// Series of this moment's snapshot.
    touched: BTreeSet<Series>,
    /// The last snapshot without such lines, by account.
    silent: BTreeMap<String, Timestamp>,
}

impl Fold {
    /// Takes in a line. Lines come by time, those about coverage first.
    pub fn add(&mut self, row: &Row<'_>) {
        self.out.lines += 1;
        let Some(at) = row.at else {
            self.out.timeless += 1;
            return;
        };
        if self.moment != Some(at) {
            self.close();
            self.moment = Some(at);
            let (_, last) = self.out.span.get_or_insert((at, at));
            *last = at;
        }
        if row.kind == "coverage" {
            self.cover(row);
            return;
        }
        let series = (
            row.account.to_owned(),
            row.region.to_owned(),
            row.kind.to_owned(),
        );
        let looks = self.out.looks.get(&series);
        let before = looks
            .and_then(|looks| looks.last().copied())
            .or_else(|| self.silent.get(row.account).copied());
        self.touched.insert(series);
        if KINDS.contains(&row.kind) {
            self.see(row, at, before);
        }
    }

    /// The things, once all lines were taken in.
    pub fn end(mut self) -> Snapshots {
        self.close();
        self.out
    }

    fn cover(&mut self, row: &Row<'_>) {
        self.told.insert(row.account.to_owned());
        let state: Json = row
            .state
            .and_then(|state| serde_json::from_str(state).ok())
            .unwrap_or(Json::Null);
        if state["Status"] != "complete" {
            self.out.unknown += 1;
            return;
        }
        let series = (
            row.account.to_owned(),
            row.region.to_owned(),
            row.id.to_owned(),
        );
        let is_full = state["Mode"] != "changes";
        self.covered.insert(series, (is_full, row.source.into()));
    }

    fn see(&mut self, row: &Row<'_>, at: Timestamp, before: Option<Timestamp>) {
        let id = Id {
            account: row.account.to_owned(),
            region: row.region.to_owned(),
            kind: row.kind.to_owned(),
            id: row.id.to_owned(),
        };
        let Some(state) = row.state else {
            if let Some(thing) = self.out.things.get_mut(&id) {
                thing.mentioned = Some(at);
                thing.gone = Some(Gone {
                    after: before,
                    by: at,
                    source: row.source.into(),
                });
            }
            return;
        };
        let out = &mut self.out;
        let is_new = !out.things.contains_key(&id);
        let has_room = out.bytes + state.len() <= MAX_STATE_BYTES;
        if is_new && !has_room {
            out.left_out += 1;
            return;
        }
        let thing = out.things.entry(id).or_default();
        thing.mentioned = Some(at);
        let was_gone = thing.gone.take().is_some();
        let is_same = |change: &Change| !row.hash.is_empty() && *change.hash == *row.hash;
        if !was_gone && thing.last().is_some_and(is_same) {
            return;
        }
        if !has_room || thing.changes.len() >= MAX_CHANGES {
            out.left_out += 1;
            return;
        }
        let state = if state.len() > MAX_ONE_BYTES {
            out.left_out += 1;
            "null"
        } else {
            state
        };
        out.bytes += state.len();
        thing.changes.push(Change {
            at,
            before,
            state: state.into(),
            hash: row.hash.into(),
            source: row.source.into(),
        });
    }

    /// Ends a snapshot: what a full one does not have is gone.
    fn close(&mut self) {
        let Some(at) = self.moment.take() else { return };
        let mut covered = std::mem::take(&mut self.covered);
        let silent: BTreeSet<String> = std::mem::take(&mut self.touched)
            .into_iter()
            .filter(|(account, ..)| !self.told.contains(account))
            .map(|series| {
                let account = series.0.clone();
                covered.insert(series, (true, "".into()));
                account
            })
            .collect();
        self.told.clear();
        for account in silent {
            for series in self.out.looks.keys().filter(|it| it.0 == account) {
                covered
                    .entry(series.clone())
                    .or_insert_with(|| (true, "".into()));
            }
            self.silent.insert(account, at);
        }
        for (series, (is_full, source)) in covered {
            let looks = self.out.looks.entry(series.clone()).or_default();
            let after = looks.last().copied();
            looks.push(at);
            if is_full {
                let first = Id {
                    account: series.0.clone(),
                    region: series.1.clone(),
                    kind: series.2.clone(),
                    id: String::new(),
                };
                let of_series = |id: &Id| {
                    id.account == series.0 && id.region == series.1 && id.kind == series.2
                };
                let all = self.out.things.range_mut(first..);
                for (_, thing) in all.take_while(|(id, _)| of_series(id)) {
                    if thing.gone.is_none() && thing.mentioned != Some(at) {
                        thing.gone = Some(Gone {
                            after,
                            by: at,
                            source: source.clone(),
                        });
                    }
                }
            }
        }
    }
}
