//! The bounded memory behind the index: containers by id, and ids that nobody knew.
//!
//! Pure in time: the caller passes the instant. What must stay true: the bytes held never exceed
//! the budget; a container that its runtime forgot is still found for the retention time unless
//! room is needed; what one side says never answers for the other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use davylamp_model::container::{Container, ContainerType};
use davylamp_model::ids::ContainerId;

use super::lookup::Why;

/// The most unknown ids that are remembered. They are cheap and live for seconds; the bound is for
/// somebody who makes cgroups under ever new names.
const MAX_UNKNOWN: usize = 1_024;

/// What an entry costs beside its text: the map's slot, the reference count, the strings' headers.
const ENTRY_OVERHEAD_BYTES: usize = 320;

/// What a label costs beside its text: two string headers and its share of a tree node.
const LABEL_OVERHEAD_BYTES: usize = 64;

/// Whose containers an id is looked for among. An engine inside a pod is driven by the pod's owner,
/// who could give a container of his own the id of another: its word is kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side {
    /// The machine's own runtimes.
    Machine,
    /// Engines inside pods.
    InPod,
}

pub(super) struct Cache {
    entries: HashMap<(Side, ContainerId), Entry>,
    unknown: HashMap<(Side, ContainerId), (Instant, Why)>,
    bytes: usize,
    max_bytes: usize,
    retain: Duration,
    clock: u64,
}

struct Entry {
    container: Arc<Container>,
    source: usize,
    cost: usize,
    gone_at: Option<Instant>,
    used: u64,
}

impl Cache {
    pub(super) fn new(max_bytes: usize, retain: Duration) -> Self {
        Self {
            entries: HashMap::new(),
            unknown: HashMap::new(),
            bytes: 0,
            max_bytes,
            retain,
            clock: 0,
        }
    }

    pub(super) fn get(
        &mut self,
        side: Side,
        id: &ContainerId,
        now: Instant,
    ) -> Option<Arc<Container>> {
        self.clock += 1;
        let entry = self.entries.get_mut(&(side, id.clone()))?;
        if entry
            .gone_at
            .is_some_and(|gone| now.duration_since(gone) > self.retain)
        {
            return None;
        }
        entry.used = self.clock;
        Some(Arc::clone(&entry.container))
    }

    /// Looks without counting as a use.
    pub(super) fn peek(&self, side: Side, id: &str) -> Option<&Arc<Container>> {
        self.entries
            .get(&(side, ContainerId::from(id)))
            .map(|entry| &entry.container)
    }

    pub(super) fn insert(&mut self, side: Side, source: usize, container: Container, now: Instant) {
        let key = (side, container.id.clone());
        self.unknown.remove(&key);
        self.clock += 1;
        if let Some(held) = self.entries.get_mut(&key) {
            // cri-dockerd and its engine know the same container; CRI knows more of it.
            let is_poorer = held.container.container_type == ContainerType::Cri
                && container.container_type == ContainerType::Docker;
            if is_poorer {
                return;
            }
            held.gone_at = None;
            held.source = source;
            if *held.container == container {
                return;
            }
        }
        let cost = cost(&container);
        let entry = Entry {
            container: Arc::new(container),
            source,
            cost,
            gone_at: None,
            used: self.clock,
        };
        if let Some(old) = self.entries.insert(key, entry) {
            self.bytes -= old.cost;
        }
        self.bytes += cost;
        self.make_room(now);
    }

    pub(super) fn remember_unknown(
        &mut self,
        side: Side,
        id: &ContainerId,
        why: Why,
        until: Instant,
        now: Instant,
    ) {
        if self.unknown.len() >= MAX_UNKNOWN {
            self.unknown.retain(|_, (end, _)| *end > now);
            if self.unknown.len() >= MAX_UNKNOWN {
                self.unknown.clear();
            }
        }
        self.unknown.insert((side, id.clone()), (until, why));
    }

    pub(super) fn why_unknown(&self, side: Side, id: &ContainerId, now: Instant) -> Option<Why> {
        let (until, why) = self.unknown.get(&(side, id.clone()))?;
        (*until > now).then_some(*why)
    }

    /// Marks what the source's full list no longer has.
    pub(super) fn keep_only(&mut self, source: usize, listed: &HashSet<ContainerId>, now: Instant) {
        for ((_, id), entry) in &mut self.entries {
            if entry.source == source && entry.gone_at.is_none() && !listed.contains(id) {
                entry.gone_at = Some(now);
            }
        }
        self.drop_expired(now);
    }

    pub(super) fn mark_removed(&mut self, side: Side, id: &ContainerId, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&(side, id.clone())) {
            entry.gone_at.get_or_insert(now);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn drop_expired(&mut self, now: Instant) {
        let retain = self.retain;
        let mut freed = 0;
        self.entries.retain(|_, entry| {
            let keep = entry
                .gone_at
                .is_none_or(|gone| now.duration_since(gone) <= retain);
            if !keep {
                freed += entry.cost;
            }
            keep
        });
        self.bytes -= freed;
    }

    fn make_room(&mut self, now: Instant) {
        if self.bytes > self.max_bytes {
            self.drop_expired(now);
        }
        while self.bytes > self.max_bytes {
            // First what is gone, the longest gone first; then what was used longest ago. A running
            // container that is dropped is asked for again when it is needed.
            let Some(key) = self
                .entries
                .iter()
                .min_by_key(|(_, entry)| (entry.gone_at.is_none(), entry.gone_at, entry.used))
                .map(|(key, _)| key.clone())
            else {
                return;
            };
            if let Some(entry) = self.entries.remove(&key) {
                self.bytes -= entry.cost;
            }
        }
    }
}

fn cost(container: &Container) -> usize {
    let labels: usize = container
        .labels
        .iter()
        .map(|(key, value)| key.len() + value.len() + LABEL_OVERHEAD_BYTES)
        .sum();
    ENTRY_OVERHEAD_BYTES
        + 2 * container.id.as_str().len()
        + container.image.as_ref().map_or(0, String::len)
        + container
            .hub_user
            .as_ref()
            .map_or(0, |user| user.as_str().len())
        + labels
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn container(id: &str, image: &str) -> Container {
        Container {
            id: ContainerId::from(id),
            container_type: ContainerType::Cri,
            labels: BTreeMap::new(),
            image: Some(image.to_owned()),
            hub_user: None,
            outer: None,
        }
    }

    fn image(cache: &mut Cache, id: &str, now: Instant) -> Option<String> {
        cache
            .get(Side::Machine, &ContainerId::from(id), now)?
            .image
            .clone()
    }

    const RETAIN: Duration = Duration::from_secs(60);

    #[test]
    fn a_removed_container_is_found_until_its_time_is_over() {
        let start = Instant::now();
        let mut cache = Cache::new(1 << 20, RETAIN);
        cache.insert(Side::Machine, 0, container("a", "x"), start);
        cache.insert(Side::Machine, 0, container("b", "x"), start);
        cache.insert(Side::Machine, 1, container("c", "x"), start);
        cache.keep_only(0, &HashSet::from([ContainerId::from("b")]), start);
        cache.mark_removed(Side::Machine, &ContainerId::from("b"), start + RETAIN);
        assert!(image(&mut cache, "a", start + RETAIN).is_some());
        let later = start + RETAIN + Duration::from_secs(1);
        assert!(image(&mut cache, "a", later).is_none());
        assert!(image(&mut cache, "b", later).is_some());
        assert!(
            image(&mut cache, "c", later).is_some(),
            "another source's list says nothing of it"
        );
        cache.keep_only(0, &HashSet::new(), later);
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn the_budget_holds_and_the_gone_make_room_first() {
        let now = Instant::now();
        let each = cost(&container("id-000", "x"));
        let mut cache = Cache::new(each * 10, RETAIN);
        for n in 0..10 {
            cache.insert(Side::Machine, 0, container(&format!("id-{n:03}"), "x"), now);
        }
        cache.mark_removed(Side::Machine, &ContainerId::from("id-005"), now);
        assert!(image(&mut cache, "id-000", now).is_some());
        cache.insert(Side::Machine, 0, container("id-010", "x"), now);
        assert!(
            image(&mut cache, "id-005", now).is_none(),
            "the gone one made room"
        );
        cache.insert(Side::Machine, 0, container("id-011", "x"), now);
        assert!(
            image(&mut cache, "id-000", now).is_some(),
            "it was used lately"
        );
        assert!(
            image(&mut cache, "id-001", now).is_none(),
            "it was used longest ago"
        );
        for n in 100..200 {
            cache.insert(Side::Machine, 0, container(&format!("id-{n}"), "x"), now);
            assert!(cache.bytes <= cache.max_bytes);
        }
        assert_eq!(cache.len(), 10);
    }

    #[test]
    fn one_side_never_answers_for_the_other() {
        let now = Instant::now();
        let mut cache = Cache::new(1 << 20, RETAIN);
        cache.insert(Side::InPod, 0, container("a", "evil"), now);
        assert_eq!(image(&mut cache, "a", now), None);
        cache.insert(Side::Machine, 1, container("a", "good"), now);
        cache.insert(Side::InPod, 0, container("a", "worse"), now);
        assert_eq!(image(&mut cache, "a", now).as_deref(), Some("good"));
    }

    #[test]
    fn cri_is_not_replaced_by_docker() {
        let now = Instant::now();
        let mut cache = Cache::new(1 << 20, RETAIN);
        cache.insert(Side::Machine, 0, container("a", "cri"), now);
        let docker = Container {
            container_type: ContainerType::Docker,
            ..container("a", "docker")
        };
        cache.insert(Side::Machine, 1, docker.clone(), now);
        assert_eq!(image(&mut cache, "a", now).as_deref(), Some("cri"));
        cache.insert(
            Side::Machine,
            1,
            Container {
                id: ContainerId::from("b"),
                ..docker
            },
            now,
        );
        cache.insert(Side::Machine, 0, container("b", "cri"), now);
        assert_eq!(image(&mut cache, "b", now).as_deref(), Some("cri"));
    }

    #[test]
    fn unknown_ids_are_bounded_and_expire() {
        let now = Instant::now();
        let mut cache = Cache::new(1 << 20, RETAIN);
        let until = now + Duration::from_secs(5);
        for n in 0..3 * MAX_UNKNOWN {
            let id = ContainerId(format!("{n}"));
            cache.remember_unknown(Side::Machine, &id, Why::NotFound, until, now);
            assert!(cache.unknown.len() <= MAX_UNKNOWN);
            assert_eq!(
                cache.why_unknown(Side::Machine, &id, now),
                Some(Why::NotFound)
            );
            assert_eq!(cache.why_unknown(Side::InPod, &id, now), None);
            assert_eq!(cache.why_unknown(Side::Machine, &id, until), None);
        }
        let last = (3 * MAX_UNKNOWN - 1).to_string();
        cache.insert(Side::Machine, 0, container(&last, "x"), now);
        assert_eq!(
            cache.why_unknown(Side::Machine, &ContainerId(last), now),
            None
        );
    }
}
