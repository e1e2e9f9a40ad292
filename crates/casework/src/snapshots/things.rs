//! Things: since when each was there, how it changed, and until when.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::watch::{Watch, last_before};

/// The table that shows a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// A snapshot of the recorder.
    Recorder,
    /// An item of AWS Config.
    Config,
}

impl Table {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Recorder, Self::Config];

    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recorder => "recorder",
            Self::Config => "config_item",
        }
    }
}

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

impl Id {
    /// What it was looked at with.
    pub(super) fn series(&self) -> Series {
        (self.account.clone(), self.region.clone(), self.kind.clone())
    }
}

/// A state that a snapshot or an item was the first to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When the snapshot was taken, or AWS Config saw it so.
    pub at: Timestamp,
    /// When somebody had looked before; nothing if nobody had.
    pub before: Option<Timestamp>,
    /// The table that shows it.
    pub table: Table,
    pub(super) state: Box<str>,
    pub(super) hash: Box<str>,
    /// The line or the item.
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
    /// The table that says so.
    pub table: Table,
    /// The line or item that says so, or that says that all was looked at.
    pub source: Box<str>,
    /// Whether that speaks of the thing itself, and not of all the others.
    pub(super) is_told: bool,
}

/// A thing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Thing {
    /// Its states, the first first.
    pub changes: Vec<Change>,
    /// When it went, if it is not there any more.
    pub gone: Option<Gone>,
    pub(super) mentioned: Option<Timestamp>,
    /// Whether the recorder has a line of it.
    pub(super) has_line: bool,
    /// Whether AWS Config has an item of it.
    pub(super) has_item: bool,
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
pub type Series = (String, String, String);

/// What was read of one source of states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines or items that were read.
    pub records: u64,
    /// Items that were delivered again.
    pub repeated: u64,
    /// States that had no room.
    pub left_out: u64,
    /// Records whose time nobody can read.
    pub timeless: u64,
    /// How often something could not be looked at.
    pub unknown: u64,
    /// The first and the last moment.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// All that is kept of snapshots and items.
#[derive(Debug, Default)]
pub struct Snapshots {
    /// The things.
    pub things: BTreeMap<Id, Thing>,
    /// When each series was looked at completely in a snapshot, by time.
    pub(super) looks: BTreeMap<Series, Vec<Timestamp>>,
    /// When AWS Config was recording.
    pub(super) watch: Watch,
    /// What was read of the recorder's snapshots.
    pub recorder: Tally,
    /// What was read of AWS Config's items.
    pub config: Tally,
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

    /// What was read of a source.
    pub fn tally(&self, table: Table) -> &Tally {
        match table {
            Table::Recorder => &self.recorder,
            Table::Config => &self.config,
        }
    }

    /// Whether a kind of thing was ever looked at in an account.
    pub fn has_looked(&self, account: &str, kind: &str) -> bool {
        self.looks
            .keys()
            .any(|series| series.0 == account && series.2 == kind)
            || self.watch.has_recorded(account, kind)
    }

    /// When a thing's kind was looked at, by each that has shown the thing.
    fn looks(&self, id: &Id) -> [&[Timestamp]; 2] {
        let thing = self.things.get(id);
        let looks = self.looks.get(&id.series()).map_or(&[][..], Vec::as_slice);
        let of = |has_shown: bool, looks| match has_shown {
            true => looks,
            false => &[][..],
        };
        [
            of(thing.is_none_or(|thing| thing.has_line), looks),
            of(
                thing.is_none_or(|thing| thing.has_item),
                self.watch.looks(id),
            ),
        ]
    }

    /// When the series of a thing was last looked at completely.
    pub fn last_look(&self, id: &Id) -> Option<Timestamp> {
        let last = |all: &[Timestamp]| all.last().copied();
        self.looks(id).into_iter().filter_map(last).max()
    }

    /// When it was first looked at completely at a moment or after it.
    pub fn look_after(&self, id: &Id, moment: Timestamp) -> Option<Timestamp> {
        let first = |all: &[Timestamp]| {
            let until = all.partition_point(|look| *look < moment);
            all.get(until).copied()
        };
        self.looks(id).into_iter().filter_map(first).min()
    }

    /// When it was last looked at completely before a moment.
    pub fn look_before(&self, id: &Id, moment: Timestamp) -> Option<Timestamp> {
        let last = |all: &[Timestamp]| last_before(all, moment);
        self.looks(id).into_iter().filter_map(last).max()
    }
}
