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

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::Engine;
use crate::lake::{Known, Lake, LakeError, Lease, Limits, Strangers};
use crate::tally::Run;

mod batch;
mod plan;
mod shard;

use batch::Work;
pub use shard::{Shard, ShardError};

/// Each thread holds an object of up to 48 MiB, stored and decompressed together: of so many, with the
/// rows that wait, a worker stays below 1 GiB. More processors are put to use by more shares.
const MOST_THREADS: usize = 8;

/// The bounds of a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// A batch has no more stored bytes than this, unless it is one object: what a kill costs.
    pub batch_bytes: u64,
    /// Nor more objects.
    pub batch_objects: usize,
    /// What rows may take in memory before they are written, in all threads together.
    pub waiting_bytes: usize,
    /// How many row groups the files have that are open, in all threads together: what a file says
    /// of its row groups stays in memory until its end. There are no more open files than these.
    pub row_groups: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            batch_bytes: 64 << 20,
            batch_objects: 4096,
            waiting_bytes: 64 << 20,
            row_groups: 256,
        }
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
    let batches = plan::plan(engine, shard, bounds, &known, run, &mut converted)?;
    let threads = engine
        .threads()
        .clamp(1, MOST_THREADS)
        .min(batches.len().max(1));
    let shared = Arc::new(Shared {
        lease: Mutex::new(lease),
        waiting: Mutex::new(batches),
        known,
        run: Arc::clone(run),
        limits: Limits {
            bytes: bounds.waiting_bytes / threads,
            row_groups: (bounds.row_groups / threads).max(1),
        },
    });
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..threads {
        let shared = Arc::clone(&shared);
        workers.spawn_blocking(move || shared.work());
    }
    while let Some(ended) = workers.join_next().await {
        converted.add(&ended.map_err(|_| ConvertError::Thread)??);
    }
    lock(&shared.lease).note(&Strangers::of(&run.outside()))?;
    Ok(converted)
}

/// What the threads of a conversion share.
struct Shared {
    lease: Mutex<Lease>,
    waiting: Mutex<VecDeque<Work>>,
    known: Arc<Known>,
    run: Arc<Run>,
    limits: Limits,
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
