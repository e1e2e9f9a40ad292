//! Logs to the lake, object by object, each once.
//!
//! Objects are taken in batches; a batch is written beside the lake and then becomes part of it at
//! once, with a line in the journal that names its objects ([`crate::lake`]). Several processes may
//! share the work: an object belongs to one of them by the hash of its key.
//!
//! What must stay true: after a run that was not killed, and after one that follows a killed one,
//! the lake has the rows that the readers give of the objects, each once. An object that has
//! changed, or that was not read to its end, is converted again, and its rows take the place of
//! what it had.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::engine::Engine;
use crate::lake::{Done, Known, Lake, LakeError, Lease};
use crate::objects::{At, Object};
use crate::read::{self, Log};
use crate::tally::{Run, Tally};

mod batch;

use batch::Work;

/// More threads than this need more memory than a node has to spare.
const MOST_THREADS: usize = 16;

/// The bounds of a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// A batch has no more stored bytes than this, unless it is one object: what a kill costs.
    pub batch_bytes: u64,
    /// Nor more objects.
    pub batch_objects: usize,
    /// What rows may take in memory before they are written, in all threads together.
    pub waiting_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            batch_bytes: 64 << 20,
            batch_objects: 4096,
            waiting_bytes: 64 << 20,
        }
    }
}

/// A share of the objects: one of several workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 0.
    pub index: u32,
    /// Of how many.
    pub count: u32,
}

/// Why a text is no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write I/N, such as 0/4: the first of four shares")]
pub struct ShardError;

impl Default for Shard {
    fn default() -> Self {
        Self { index: 0, count: 1 }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (index, count) = text.split_once('/').ok_or(ShardError)?;
        let shard = Self {
            index: index.parse().map_err(|_| ShardError)?,
            count: count.parse().map_err(|_| ShardError)?,
        };
        match shard.index < shard.count {
            true => Ok(shard),
            false => Err(ShardError),
        }
    }
}

impl Shard {
    /// Whether an object with this key belongs to it.
    pub fn has(self, key: &str) -> bool {
        let hash = Sha256::digest(key.as_bytes());
        let first = hash
            .iter()
            .take(8)
            .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        first % u64::from(self.count.max(1)) == u64::from(self.index)
    }
}

/// Why a conversion broke off.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The lake cannot be written.
    #[error("the lake cannot be written")]
    Lake(#[from] LakeError),
    /// Standard input has no name that it could be known by.
    #[error("standard input cannot be converted: it would be converted again each time")]
    Stdin,
    /// A thread broke off, which is a bug.
    #[error("a conversion's thread broke off, which is a bug")]
    Thread,
}

/// What came of a conversion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Converted {
    /// Objects that were converted now.
    pub objects: u64,
    /// Their rows.
    pub rows: u64,
    /// Files that were added to the lake.
    pub files: u64,
    /// Objects that were converted before.
    pub known: u64,
    /// Objects that have changed since, or were not read to their end then, and were converted anew.
    pub again: u64,
    /// Objects that are another share's.
    pub others: u64,
    /// Objects that were not, or not wholly, read; the next run tries them again.
    pub unread: u64,
    /// Objects that have changed, whose rows stand in files with those of another share's objects:
    /// only a run without shares can convert them anew.
    pub stuck: u64,
}

impl Converted {
    /// Whether everything that was asked for is in the lake.
    pub fn is_complete(&self) -> bool {
        self.unread == 0 && self.stuck == 0
    }

    fn add(&mut self, other: &Self) {
        self.objects += other.objects;
        self.rows += other.rows;
        self.files += other.files;
        self.unread += other.unread;
    }
}

/// Converts a share of what an engine was opened on.
///
/// # Errors
/// When the lake cannot be written. What cannot be read is counted instead.
pub async fn convert(
    engine: &Engine,
    to: &Path,
    shard: Shard,
    bounds: Bounds,
    run: &Arc<Run>,
) -> Result<Converted, ConvertError> {
    run.add_outside(engine.outside());
    let lake = Lake::new(to);
    let lease = lake.lease(shard)?;
    let known = Arc::new(lake.known()?);
    let mut converted = Converted::default();
    let batches = plan(engine, shard, bounds, &known, run, &mut converted)?;
    let threads = engine
        .threads()
        .clamp(1, MOST_THREADS)
        .min(batches.len().max(1));
    let shared = Arc::new(Shared {
        lease: Mutex::new(lease),
        waiting: Mutex::new(batches),
        known,
        run: Arc::clone(run),
        most_bytes: bounds.waiting_bytes / threads,
    });
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..threads {
        let shared = Arc::clone(&shared);
        workers.spawn_blocking(move || shared.work());
    }
    while let Some(ended) = workers.join_next().await {
        converted.add(&ended.map_err(|_| ConvertError::Thread)??);
    }
    Ok(converted)
}

/// What the threads of a conversion share.
struct Shared {
    lease: Mutex<Lease>,
    waiting: Mutex<VecDeque<Work>>,
    known: Arc<Known>,
    run: Arc<Run>,
    most_bytes: usize,
}

impl Shared {
    fn work(&self) -> Result<Converted, ConvertError> {
        let mut converted = Converted::default();
        loop {
            let next = lock(&self.waiting).pop_front();
            let Some(work) = next else {
                return Ok(converted);
            };
            match work.write(self) {
                Ok(part) => converted.add(&part),
                Err(error) => {
                    // The others need not go on.
                    lock(&self.waiting).clear();
                    return Err(error.into());
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is to be done, in batches.
fn plan(
    engine: &Engine,
    shard: Shard,
    bounds: Bounds,
    known: &Known,
    run: &Run,
    converted: &mut Converted,
) -> Result<VecDeque<Work>, ConvertError> {
    let mut batches = VecDeque::new();
    for (table, objects) in engine.raw() {
        let Some(log) = read::log(table) else {
            continue;
        };
        let mut fresh = Vec::new();
        let mut stale: BTreeMap<&str, Vec<Pending>> = BTreeMap::new();
        let mut pruned = 0;
        for object in objects {
            let key = key(object)?;
            if !shard.has(&key) {
                converted.others += 1;
                continue;
            }
            if !engine.scope().may_hold(&object.layout) {
                pruned += 1;
                continue;
            }
            let pending = Pending::new(engine, log, object, key);
            match known.of(table, &pending.key) {
                None => fresh.push(pending),
                Some((_, done)) if done.whole && *done.stamp == *object.stamp => {
                    converted.known += 1;
                }
                Some((commit, _)) => stale.entry(&commit.batch).or_default().push(pending),
            }
        }
        let tally = Tally {
            objects_pruned: pruned,
            scans: 1,
            ..Tally::default()
        };
        run.add(log.table().name, &tally);
        for (name, pending) in stale {
            let is_ours = known
                .batch(name)
                .is_some_and(|commit| commit.objects.iter().all(|done| shard.has(&done.key)));
            if is_ours {
                converted.again += pending.len() as u64;
                batches.push_back(Work::new(log, pending, Some(name.to_owned())));
            } else {
                converted.stuck += pending.len() as u64;
            }
        }
        for objects in in_batches(fresh, bounds) {
            batches.push_back(Work::new(log, objects, None));
        }
    }
    Ok(batches)
}

/// An object that is to be converted.
struct Pending {
    object: Object,
    key: String,
    readings: Box<dyn Fn(&Arc<Run>) -> Vec<crate::scan::Reading> + Send>,
}

impl Pending {
    fn new(engine: &Engine, log: &'static dyn Log, object: &Object, key: String) -> Self {
        let columns: Vec<usize> = (0..log.table().columns.len()).collect();
        let one = object.clone();
        let over = engine.reading_of(log);
        Self {
            object: object.clone(),
            key,
            readings: Box::new(move |run| over(one.clone(), run).readings(&columns, &[], 1)),
        }
    }
}

fn in_batches(pending: Vec<Pending>, bounds: Bounds) -> Vec<Vec<Pending>> {
    let mut batches: Vec<Vec<Pending>> = Vec::new();
    let mut bytes = 0_u64;
    for one in pending {
        let size = one.object.size;
        let has_room = batches
            .last()
            .is_some_and(|batch| batch.len() < bounds.batch_objects)
            && bytes.saturating_add(size) <= bounds.batch_bytes;
        bytes = match has_room {
            true => bytes + size,
            false => size,
        };
        match batches.last_mut() {
            Some(batch) if has_room => batch.push(one),
            _ => batches.push(vec![one]),
        }
    }
    batches
}

/// What an object is known by, from whichever folder the conversion is started.
fn key(object: &Object) -> Result<String, ConvertError> {
    match &object.at {
        At::Remote(..) => Ok(object.name.to_string()),
        At::File(_) if object.stamp.is_empty() => Err(ConvertError::Stdin),
        At::File(path) => {
            let whole = path.canonicalize().unwrap_or_else(|_| path.clone());
            Ok(whole.to_string_lossy().into_owned())
        }
    }
}

/// The name of a batch: of the same objects at another time it is another.
fn name(
    lease: &Lease,
    table: &str,
    done: &BTreeSet<(String, String)>,
    old: Option<&str>,
) -> String {
    let mut hash = Sha256::new();
    for part in [lease.name(), table, old.unwrap_or_default()] {
        hash.update(part);
        hash.update([0]);
    }
    for (key, stamp) in done {
        hash.update(key);
        hash.update([0]);
        hash.update(stamp);
        hash.update([0]);
    }
    hex::encode(&hash.finalize()[..8])
}

/// An object with its rows, as the journal has it.
fn done(pending: &Pending, rows: u64, whole: bool) -> Done {
    Done {
        key: pending.key.clone(),
        name: pending.object.name.to_string(),
        stamp: pending.object.stamp.to_string(),
        rows,
        whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_belongs_to_one_share() {
        for key in (0..100).map(|number| format!("logs/{number}.gz")) {
            let has = |index| Shard { index, count: 7 }.has(&key);
            assert_eq!((0..7).filter(|index| has(*index)).count(), 1, "{key}");
        }
        // Workers of another version must agree: SHA-256 of the key starts with 0xba7816bf8f01cfea.
        let remainder = u32::try_from(0xba78_16bf_8f01_cfea_u64 % 7).expect("it is small");
        assert!(
            Shard {
                index: remainder,
                count: 7
            }
            .has("abc")
        );
    }

    #[test]
    fn a_share_is_one_of_so_many() {
        assert_eq!("0/4".parse(), Ok(Shard { index: 0, count: 4 }));
        for wrong in ["4/4", "0/0", "-1/4", "1", "", "1/2/3"] {
            assert_eq!(wrong.parse::<Shard>(), Err(ShardError), "{wrong}");
        }
    }
}
