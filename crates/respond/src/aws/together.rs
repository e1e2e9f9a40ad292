//! Reads of one kind that are asked for while one is under way are made together, in one call.
//!
//! What must stay true: a read begins after it was asked for, so that nobody is answered with what
//! was there before; whoever asks alone waits for nobody; and one who stops waiting takes nothing
//! from the others.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use davylamp_model::resource::Place;
use tokio::sync::oneshot;

use super::failure;
use crate::actuator::ActError;

/// So many keys go into one call: a filter takes at most 200 values
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>), and one page of an
/// answer should hold what is asked for.
const KEYS_OF_A_CALL: usize = 100;

/// What was found, by key. What there is none of is missing.
pub(super) type Found<K, V> = Result<HashMap<K, V>, ActError>;

/// Somebody who asks for some keys, and waits.
struct Asker<K, V> {
    keys: Vec<K>,
    tell: oneshot::Sender<Found<K, V>>,
}

/// Those who wait in one place, while a call is under way.
type Lanes<K, V> = HashMap<Place, Vec<Asker<K, V>>>;

/// Reads of one kind.
pub(super) struct Together<K, V> {
    waiting: Arc<Mutex<Lanes<K, V>>>,
}

impl<K, V> Clone for Together<K, V> {
    fn clone(&self) -> Self {
        let waiting = Arc::clone(&self.waiting);
        Self { waiting }
    }
}

impl<K, V> Default for Together<K, V> {
    fn default() -> Self {
        let waiting = Arc::default();
        Self { waiting }
    }
}

impl<K, V> std::fmt::Debug for Together<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Together").finish_non_exhaustive()
    }
}

impl<K, V> Together<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    /// What there is of these keys. `read` makes one call for several, of whoever asked.
    pub(super) async fn ask<R, F>(&self, place: &Place, keys: &[K], read: R) -> Found<K, V>
    where
        R: Fn(Vec<K>) -> F + Send + Sync + 'static,
        F: Future<Output = Found<K, V>> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let keys = keys.to_vec();
        if self.wait(place, Asker { keys, tell }) {
            let lane = Lane {
                waiting: Arc::clone(&self.waiting),
                place: place.clone(),
                served: Vec::new(),
                is_closed: false,
            };
            // On its own, so that one who stops waiting does not stop the call of the others.
            tokio::spawn(lane.serve(read));
        }
        let lost = |_| failure::transient("ec2:Describe", "the read was broken off");
        told.await.map_err(lost)?
    }

    /// Waits in line. Says whether nobody serves it.
    fn wait(&self, place: &Place, asker: Asker<K, V>) -> bool {
        let mut lanes = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_served = lanes.contains_key(place);
        lanes.entry(place.clone()).or_default().push(asker);
        !is_served
    }
}

/// Serves those who wait in one place, until nobody does. Where it ends before that, they are told.
struct Lane<K, V> {
    waiting: Arc<Mutex<Lanes<K, V>>>,
    place: Place,
    /// Those whose call is under way. Where it breaks off they learn it after the lane is closed, so
    /// that they may ask again.
    served: Vec<Asker<K, V>>,
    /// Whether it ended in order: then another may be there by now.
    is_closed: bool,
}

impl<K, V> Drop for Lane<K, V> {
    fn drop(&mut self) {
        if self.is_closed {
            return;
        }
        let mut lanes = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.remove(&self.place);
    }
}

impl<K, V> Lane<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    async fn serve<R, F>(mut self, read: R)
    where
        R: Fn(Vec<K>) -> F + Send + Sync + 'static,
        F: Future<Output = Found<K, V>> + Send + 'static,
    {
        loop {
            self.served = self.next();
            if self.served.is_empty() {
                return;
            }
            let keys = self.served.iter().flat_map(|it| it.keys.clone());
            let keys: HashSet<K> = keys.collect();
            let found = whole(&read, keys.into_iter().collect()).await;
            for Asker { keys, tell } in self.served.drain(..) {
                let theirs = found.as_ref().map_err(Clone::clone).map(|found| {
                    let held = |key: K| found.get(&key).cloned().map(|value| (key, value));
                    keys.into_iter().filter_map(held).collect()
                });
                // One who does not wait any more needs no answer.
                let _ = tell.send(theirs);
            }
        }
    }

    /// Those who are next. Where there is nobody the lane is closed, under the lock: whoever asks
    /// after that opens another.
    fn next(&mut self) -> Vec<Asker<K, V>> {
        let mut lanes = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let askers = lanes.get_mut(&self.place).map(std::mem::take);
        let askers = askers.unwrap_or_default();
        if askers.is_empty() {
            lanes.remove(&self.place);
            self.is_closed = true;
        }
        askers
    }
}

/// Reads all keys, by as few calls as may be.
async fn whole<K, V, R, F>(read: &R, keys: Vec<K>) -> Found<K, V>
where
    K: Clone + Eq + Hash,
    R: Fn(Vec<K>) -> F,
    F: Future<Output = Found<K, V>>,
{
    let mut found = HashMap::new();
    for some in keys.chunks(KEYS_OF_A_CALL) {
        found.extend(read(some.to_vec()).await?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::future::join_all;

    use super::*;

    fn place(region: &str) -> Place {
        Place {
            account: "111122223333".into(),
            region: region.into(),
        }
    }

    /// Reads slowly, and counts its calls.
    async fn slowly(calls: Arc<AtomicUsize>, keys: Vec<u32>) -> Found<u32, u32> {
        calls.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(5)).await;
        if keys.contains(&13) {
            return Err(failure::transient("ec2:Describe", "slow down"));
        }
        let known = keys.into_iter().filter(|key| key % 10 != 0);
        Ok(known.map(|key| (key, key * 2)).collect())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn who_asks_at_the_same_time_is_answered_by_few_calls_each_with_its_own() {
        let together: Together<u32, u32> = Together::default();
        let calls = Arc::new(AtomicUsize::new(0));
        let ask = |key: u32| {
            let (together, calls) = (together.clone(), Arc::clone(&calls));
            async move {
                let region = if key.is_multiple_of(2) {
                    "eu-west-1"
                } else {
                    "us-east-1"
                };
                let read = move |keys| slowly(Arc::clone(&calls), keys);
                together.ask(&place(region), &[key, key + 1000], read).await
            }
        };
        for _ in 0..50 {
            let answers = join_all((14..64).map(ask)).await;
            for (key, answer) in (14..64).zip(answers) {
                let mut expected = HashMap::from([(key, key * 2), (key + 1000, key * 2 + 2000)]);
                expected.retain(|key, _| key % 10 != 0);
                assert_eq!(answer.expect("an answer"), expected);
            }
        }
        let made = calls.load(Ordering::Relaxed);
        // Of each region one at once, and one for all who came meanwhile; on a slow machine some more.
        assert!((100..1000).contains(&made), "{made}");
        // Whoever served closes a lane after the last answer.
        let is_open = || !together.waiting.lock().expect("the lanes").is_empty();
        for _ in 0..1000 {
            if !is_open() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("a lane is never closed");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_read_that_fails_or_breaks_off_is_told_and_stops_no_later_one() {
        let together: Together<u32, u32> = Together::default();
        let calls = Arc::new(AtomicUsize::new(0));
        let here = place("eu-west-1");
        let read = |calls: &Arc<AtomicUsize>| {
            let calls = Arc::clone(calls);
            move |keys| slowly(Arc::clone(&calls), keys)
        };
        let failed = together.ask(&here, &[13], read(&calls)).await;
        assert!(failed.expect_err("a failure").is_transient());
        let broken = |_: Vec<u32>| async { panic!("the reader's own fault") };
        // Elsewhere: here the reader of the first may still serve.
        let there = place("us-east-1");
        let lost = together.ask(&there, &[1], broken).await;
        assert!(lost.expect_err("a failure").is_transient());
        let again = together.ask(&there, &[1], read(&calls)).await;
        assert_eq!(again, Ok(HashMap::from([(1, 2)])));
        // One who stops waiting takes nothing from the others.
        let gone = together.ask(&here, &[2], read(&calls));
        let stays = together.ask(&here, &[3], read(&calls));
        let short = tokio::time::timeout(Duration::from_millis(1), gone);
        let (_, stays) = futures::join!(short, stays);
        assert_eq!(stays, Ok(HashMap::from([(3, 6)])));
    }
}
