//! What a run read, and everything it could not read: shown beside every result.
//!
//! What must stay true: whatever is left out of an answer is counted here and, up to a bound,
//! named. A run that says nothing was bad has read everything it was asked to.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

mod summary;

pub use summary::{printable, summary};

/// No more faults than this are kept for one table; the rest are counted. A log of garbage must
/// not fill memory with descriptions of garbage.
pub const MAX_SAMPLES: usize = 8;

/// What was read for one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often the table was read: a query that names it twice reads and counts it twice.
    pub scans: u64,
    /// Whether no object of the table was found at all.
    pub is_without_objects: bool,
    /// Objects opened.
    pub objects: u64,
    /// Objects not opened, because their keys say that they lie outside what was asked.
    pub objects_pruned: u64,
    /// Objects that were searched and hold none of the values asked for.
    pub objects_without_match: u64,
    /// Objects that could not be opened or not be read to their end.
    pub objects_unreadable: u64,
    /// Bytes as stored.
    pub bytes_in: u64,
    /// Bytes after decompression.
    pub bytes_out: u64,
    /// Records that became rows.
    pub records: u64,
    /// Records that could not be understood.
    pub bad_records: u64,
    /// Values that are not of their column's kind: NULL in the row.
    pub bad_values: u64,
    /// Rows that say that there was no traffic.
    pub no_data: u64,
    /// Rows that say that records were lost.
    pub skip_data: u64,
    /// Lines, records or objects cut off by a limit.
    pub over_limit: u64,
    /// Columns that were asked for and that the format of an object does not carry, with the
    /// number of such objects.
    pub absent: BTreeMap<&'static str, u64>,
    /// Fields of the log that the table has no column for.
    pub unknown_fields: BTreeSet<String>,
    /// Some of what went wrong.
    pub samples: Vec<Fault>,
}

/// One thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The object, with the line or record where there is one.
    pub place: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl Tally {
    /// Keeps a fault as a sample, while there is room.
    pub fn sample(&mut self, place: impl FnOnce() -> String, what: impl Into<String>) {
        if self.samples.len() < MAX_SAMPLES {
            self.samples.push(Fault {
                place: place(),
                what: what.into(),
            });
        }
    }

    /// Counts a record that could not be understood.
    pub fn bad_record(&mut self, place: impl FnOnce() -> String, what: impl Into<String>) {
        self.bad_records += 1;
        self.sample(place, what);
    }

    /// Whether anything that was asked for is missing from the answer.
    pub fn is_bad(&self) -> bool {
        self.is_without_objects || self.is_broken() || !self.absent.is_empty()
    }

    /// Whether something could not be read or not be understood. What the logs never held is not
    /// counted.
    pub fn is_broken(&self) -> bool {
        self.objects_unreadable > 0
            || self.bad_records > 0
            || self.bad_values > 0
            || self.over_limit > 0
    }

    /// Adds what another part of the run read.
    pub fn add(&mut self, other: &Self) {
        self.scans += other.scans;
        self.is_without_objects |= other.is_without_objects;
        self.objects += other.objects;
        self.objects_pruned += other.objects_pruned;
        self.objects_without_match += other.objects_without_match;
        self.objects_unreadable += other.objects_unreadable;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.records += other.records;
        self.bad_records += other.bad_records;
        self.bad_values += other.bad_values;
        self.no_data += other.no_data;
        self.skip_data += other.skip_data;
        self.over_limit += other.over_limit;
        for (column, objects) in &other.absent {
            *self.absent.entry(column).or_default() += objects;
        }
        for field in &other.unknown_fields {
            if self.unknown_fields.len() < MAX_SAMPLES {
                self.unknown_fields.insert(field.clone());
            }
        }
        let room = MAX_SAMPLES - self.samples.len().min(MAX_SAMPLES);
        self.samples
            .extend(other.samples.iter().take(room).cloned());
    }
}

/// Everything that is known of a run, while it runs and after.
#[derive(Debug, Default)]
pub struct Run {
    tables: Mutex<BTreeMap<&'static str, Tally>>,
    /// What could not be listed, and objects that are no log that is known.
    outside: Mutex<Tally>,
    /// How many rows had a value in each column that was asked for, by table and column.
    filled: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    /// Members of archives that are no log, which every table's reading comes across.
    strangers: Arc<Mutex<HashSet<u64>>>,
    bytes: AtomicU64,
    records: AtomicU64,
    stopped: AtomicBool,
}

impl Run {
    /// Adds what was read for a table.
    pub fn add(&self, table: &'static str, tally: &Tally) {
        self.bytes.fetch_add(tally.bytes_in, Ordering::Relaxed);
        self.records.fetch_add(tally.records, Ordering::Relaxed);
        let mut tables = lock(&self.tables);
        tables.entry(table).or_default().add(tally);
    }

    /// Adds how many rows have a value in each of these columns.
    pub fn fill(&self, table: &'static str, columns: impl Iterator<Item = (&'static str, usize)>) {
        let mut filled = lock(&self.filled);
        for (column, rows) in columns {
            *filled.entry((table, column)).or_default() += rows as u64;
        }
    }

    /// How many rows had a value in a column, if it was asked for.
    pub fn filled(&self, table: &str, column: &str) -> Option<u64> {
        let filled = lock(&self.filled);
        let mut found = filled
            .iter()
            .filter(|((of, name), _)| *of == table && *name == column);
        found.next().map(|(_, rows)| *rows)
    }

    /// Adds what belongs to no table.
    pub fn add_outside(&self, tally: &Tally) {
        lock(&self.outside).add(tally);
    }

    /// A run that is part of another one, and counts by itself.
    pub fn part(&self) -> Self {
        Self {
            strangers: Arc::clone(&self.strangers),
            ..Self::default()
        }
    }

    /// Notes a member of an archive that is no log; once, whoever comes across it.
    pub fn strange(&self, name: &str, what: &str) {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        if lock(&self.strangers).insert(hasher.finish()) {
            let mut outside = lock(&self.outside);
            outside.objects_unreadable += 1;
            outside.sample(|| name.to_owned(), what);
        }
    }

    /// Whether there are logs, and none of them lies within what was asked.
    pub fn is_outside(&self) -> bool {
        let tables = lock(&self.tables);
        let is_pruned = tables.values().any(|tally| tally.objects_pruned > 0);
        is_pruned && tables.values().all(|tally| tally.objects == 0)
    }

    /// Notes that the query had its answer before everything was read.
    pub fn stop_early(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether the query had its answer before everything was read.
    pub fn stopped_early(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Bytes as stored and records, so far.
    pub fn progress(&self) -> (u64, u64) {
        (
            self.bytes.load(Ordering::Relaxed),
            self.records.load(Ordering::Relaxed),
        )
    }

    /// What was read, by table.
    pub fn tables(&self) -> BTreeMap<&'static str, Tally> {
        lock(&self.tables).clone()
    }

    /// What belongs to no table.
    pub fn outside(&self) -> Tally {
        lock(&self.outside).clone()
    }

    /// Whether anything that was asked for is missing from the answer.
    pub fn is_bad(&self) -> bool {
        self.outside().is_bad() || self.tables().values().any(Tally::is_bad)
    }
}

/// A count is good even where a thread that was counting has panicked.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
