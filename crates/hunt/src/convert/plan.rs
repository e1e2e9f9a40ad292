//! What is to be done: which objects are new, have changed or are another share's, in batches.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::batch::{Over, Work};
use super::{Bounds, ConvertError, Converted, Shard};
use crate::engine::Engine;
use crate::lake::Known;
use crate::objects::{At, Object};
use crate::read;
use crate::tally::{Run, Tally};

/// What is to be done, in batches.
pub(super) fn plan(
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
        let over: Arc<Over> = Arc::new(engine.reading_of(log));
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
            let mut object = object.clone();
            if let Some(by) = log.read_by(engine.given()) {
                object.stamp = format!("{} {by}", object.stamp).into();
            }
            let pending = Pending { object, key };
            match known.of(table, &pending.key) {
                None => fresh.push(pending),
                Some((_, done)) if done.whole && *done.stamp == *pending.object.stamp => {
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
                batches.push_back(Work::new(log, &over, pending, Some(name.to_owned())));
            } else {
                converted.stuck += pending.len() as u64;
            }
        }
        for objects in in_batches(fresh, bounds) {
            batches.push_back(Work::new(log, &over, objects, None));
        }
    }
    Ok(batches)
}

/// An object that is to be converted.
pub(super) struct Pending {
    pub object: Object,
    pub key: String,
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
