//! The index: cgroup paths in, containers out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use davylamp_model::container::{Container, LABEL_POD_UID};
use davylamp_model::ids::ContainerId;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

use super::cache::{Cache, Side};
use super::cgroup_path::{self, ContainerRef, Place, Runtime};
use super::lookup::{Counters, IndexConfig, Lookup, Why};
use super::source::{AskError, Described, Socket, SocketKind, Source};
use super::watch;

/// How long a passing failure is not retried. Long enough that a flood of lookups asks a broken
/// runtime only once a moment.
const FORGET_PASSING: Duration = Duration::from_secs(1);

/// How many questions may be under way at once. A burst of unknown ids must not become a burst of
/// work for the runtime.
const MAX_ASKS: usize = 4;

/// A socket with its client.
pub(super) struct Watched {
    pub(super) socket: Socket,
    pub(super) source: Source,
    /// Whether its first list was read, or it turned out to be absent or broken.
    pub(super) settled: AtomicBool,
}

/// What the index and its watchers share.
pub(super) struct Shared {
    pub(super) config: IndexConfig,
    pub(super) watched: Vec<Watched>,
    pub(super) settled: Notify,
    cache: Mutex<Cache>,
    asks: Semaphore,
    failures: Counters,
    watch_failures: Counters,
    labels_cut: AtomicU64,
}

/// Containers by cgroup path, kept current from the runtimes' events and lists.
///
/// Dropping it stops its watchers.
pub struct ContainerIndex {
    shared: Arc<Shared>,
    watchers: Vec<JoinHandle<()>>,
}

impl Drop for ContainerIndex {
    fn drop(&mut self) {
        for watcher in &self.watchers {
            watcher.abort();
        }
    }
}

/// What can be said from memory.
enum Verdict {
    Done(Lookup),
    /// Only a runtime can tell; ask it about this.
    Ask(Side, ContainerRef),
}

impl ContainerIndex {
    /// Starts one watcher for each socket on the current tokio runtime. Returns at once; see
    /// [`Self::ready`].
    pub fn start(config: IndexConfig) -> Self {
        let watched = config
            .sockets
            .iter()
            .map(|socket| Watched {
                socket: socket.clone(),
                source: Source::new(socket),
                settled: AtomicBool::new(false),
            })
            .collect::<Vec<_>>();
        let shared = Arc::new(Shared {
            watched,
            settled: Notify::new(),
            cache: Mutex::new(Cache::new(config.max_bytes, config.retain)),
            asks: Semaphore::new(MAX_ASKS),
            failures: Counters::default(),
            watch_failures: Counters::default(),
            labels_cut: AtomicU64::new(0),
            config,
        });
        if !shared
            .watched
            .iter()
            .any(|watched| watched.socket.path.exists())
        {
            tracing::info!(
                sockets = ?shared.watched.iter().map(|w| w.socket.path.as_path()).collect::<Vec<_>>(),
                "no container runtime socket is present: processes in containers will be reported \
                 without their pod until one appears"
            );
        }
        let watchers = (0..shared.watched.len())
            .map(|at| tokio::spawn(watch::watch(Arc::clone(&shared), at)))
            .collect();
        Self { shared, watchers }
    }

    /// Waits until every socket was listed once, or proved absent or broken; at most `limit`.
    /// Says whether that is so.
    pub async fn ready(&self, limit: Duration) -> bool {
        let all = async {
            loop {
                let notified = self.shared.settled.notified();
                if self
                    .shared
                    .watched
                    .iter()
                    .all(|w| w.settled.load(Ordering::Acquire))
                {
                    return;
                }
                notified.await;
            }
        };
        tokio::time::timeout(limit, all).await.is_ok()
    }

    /// The container of a process by its cgroup path, asking the runtimes if need be, within the
    /// configured deadline. Failures are counted.
    pub async fn lookup(&self, cgroup_path: impl AsRef<[u8]>) -> Lookup {
        let place = cgroup_path::parse(cgroup_path.as_ref());
        let begun = Instant::now();
        let work = async {
            // Each round either ends or asks about an id that was not asked about before, and a
            // path names at most two.
            for _ in 0..3 {
                let Verdict::Ask(..) = self.shared.judge(&place) else {
                    break;
                };
                let Ok(_permit) = self.shared.asks.acquire().await else {
                    break;
                };
                // Whoever waited its whole time away must not begin a question when the others,
                // giving up, let go of their places.
                if begun.elapsed() >= self.shared.config.deadline {
                    break;
                }
                // While waiting, another lookup may have asked the same.
                let Verdict::Ask(side, wanted) = self.shared.judge(&place) else {
                    break;
                };
                self.shared.ask(side, &wanted).await;
            }
        };
        let in_time = tokio::time::timeout(self.shared.config.deadline, work)
            .await
            .is_ok()
            && begun.elapsed() < self.shared.config.deadline;
        let answer = match self.shared.judge(&place) {
            Verdict::Done(answer) => answer,
            Verdict::Ask(side, wanted) => {
                let why = if in_time {
                    Why::NotFound
                } else {
                    Why::Deadline
                };
                // The inner container is a detail; the outer one is the answer.
                self.shared.remember_unknown(side, &wanted.id, why);
                match self.shared.judge(&place) {
                    Verdict::Done(answer) => answer,
                    Verdict::Ask(_, wanted) => Lookup::Unknown {
                        id: Some(wanted.id),
                        why,
                    },
                }
            }
        };
        if let Lookup::Unknown { why, .. } = &answer {
            self.shared.failures.add(*why);
        }
        answer
    }

    /// The same from memory alone; `None` when a runtime would have to be asked. Counts nothing.
    pub fn get_cached(&self, cgroup_path: impl AsRef<[u8]>) -> Option<Lookup> {
        match self.shared.judge(&cgroup_path::parse(cgroup_path.as_ref())) {
            Verdict::Done(answer) => Some(answer),
            Verdict::Ask(..) => None,
        }
    }

    /// How many lookups ended as unknown, by reason. Reasons that never occurred are left out.
    pub fn failures(&self) -> BTreeMap<Why, u64> {
        self.shared.failures.read()
    }

    /// How often listing or listening failed on a socket that was there, by reason.
    pub fn watch_failures(&self) -> BTreeMap<Why, u64> {
        self.shared.watch_failures.read()
    }

    /// How many labels were left out because a container had too many bytes of them.
    pub fn labels_cut(&self) -> u64 {
        self.shared.labels_cut.load(Ordering::Relaxed)
    }

    /// How many containers are held, those that are gone included.
    pub fn len(&self) -> usize {
        self.shared.cache().len()
    }

    /// Whether no container is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Shared {
    pub(super) fn cache(&self) -> MutexGuard<'_, Cache> {
        // Nothing panics while holding it; if something did, the memory is still sound.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn side(&self, at: usize) -> Side {
        match self.watched[at].socket.kind {
            SocketKind::Cri | SocketKind::Docker => Side::Machine,
            SocketKind::DockerInPod => Side::InPod,
        }
    }

    pub(super) fn keep(&self, at: usize, described: Described) {
        self.labels_cut
            .fetch_add(described.labels_cut as u64, Ordering::Relaxed);
        self.cache()
            .insert(self.side(at), at, described.container, Instant::now());
    }

    pub(super) fn count_watch_failure(&self, error: &AskError) {
        self.watch_failures.add(Why::of(error));
    }

    fn remember_unknown(&self, side: Side, id: &ContainerId, why: Why) {
        let now = Instant::now();
        let time = self.config.forget_unknown;
        let time = if why.is_passing() {
            time.min(FORGET_PASSING)
        } else {
            time
        };
        self.cache()
            .remember_unknown(side, id, why, now + time, now);
    }

    fn judge(&self, place: &Place) -> Verdict {
        let named = match place {
            Place::Host => return Verdict::Done(Lookup::Host),
            Place::Garbled => return unknown(None, Why::Garbled),
            Place::Pod { .. } => return unknown(None, Why::PodOnly),
            Place::Container(named) => named,
        };
        let Some(outer) = &named.outer else {
            return match self.resolve(Side::Machine, named) {
                Resolved::Known(container) => Verdict::Done(Lookup::Known(container)),
                Resolved::Unknown(why) => unknown(Some(named), why),
                Resolved::Ask => Verdict::Ask(Side::Machine, named.clone()),
            };
        };
        match self.resolve(Side::Machine, outer) {
            Resolved::Ask => Verdict::Ask(Side::Machine, (**outer).clone()),
            Resolved::Known(around) if named.runtime.is_docker() => {
                match self.resolve(Side::InPod, named) {
                    Resolved::Ask => Verdict::Ask(Side::InPod, named.clone()),
                    Resolved::Known(inner) => {
                        Verdict::Done(Lookup::Known(Arc::new(nested(&inner, &around))))
                    }
                    Resolved::Unknown(_) => Verdict::Done(Lookup::Known(around)),
                }
            }
            // What lies below a known container, in a shape that nobody serves there, was made by
            // whoever holds that container.
            Resolved::Known(around) => Verdict::Done(Lookup::Known(around)),
            // A Kubernetes node that is itself a container (kind): its own runtime is the one at
            // hand and nobody here knows the outer one. A forger would have to be in a container
            // that no runtime here knows, and name a container together with its pod's uid.
            Resolved::Unknown(Why::NotFound | Why::NoRuntime)
                if outer.runtime.is_docker()
                    && named.runtime.is_cri()
                    && named.pod_uid.is_some() =>
            {
                match self.resolve(Side::Machine, named) {
                    Resolved::Known(container) => Verdict::Done(Lookup::Known(container)),
                    Resolved::Unknown(why) => unknown(Some(named), why),
                    Resolved::Ask => Verdict::Ask(Side::Machine, named.clone()),
                }
            }
            Resolved::Unknown(why) => unknown(Some(outer), why),
        }
    }

    fn resolve(&self, side: Side, wanted: &ContainerRef) -> Resolved {
        match wanted.runtime {
            Runtime::Delegated => return Resolved::Unknown(Why::Delegated),
            Runtime::BuildKit | Runtime::ContainerdNative => {
                return Resolved::Unknown(Why::Undescribed);
            }
            _ => {}
        }
        if !self
            .watched
            .iter()
            .any(|watched| can_know(side, wanted.runtime, watched.socket.kind))
        {
            return Resolved::Unknown(Why::NoRuntime);
        }
        let now = Instant::now();
        let mut cache = self.cache();
        if let Some(container) = cache.get(side, &wanted.id, now) {
            let held = container.labels.get(LABEL_POD_UID);
            return match (&wanted.pod_uid, held) {
                (Some(path), Some(label)) if !path.eq_ignore_ascii_case(label) => {
                    Resolved::Unknown(Why::PodMismatch)
                }
                _ => Resolved::Known(container),
            };
        }
        match cache.why_unknown(side, &wanted.id, now) {
            Some(why) => Resolved::Unknown(why),
            None => Resolved::Ask,
        }
    }

    /// Asks every runtime that could know; what it learns, or that it learned nothing, is kept.
    async fn ask(&self, side: Side, wanted: &ContainerRef) {
        let mut worst = None;
        let mut asked = false;
        for (at, watched) in self.watched.iter().enumerate() {
            let may_know = can_know(side, wanted.runtime, watched.socket.kind);
            if !may_know || !watched.socket.path.exists() {
                continue;
            }
            asked = true;
            match watched.source.describe(&wanted.id).await {
                Ok(Some(described)) => {
                    self.keep(at, described);
                    return;
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(id = %wanted.id, %error, "lookup at a runtime failed");
                    worst = Some(Why::of(&error));
                }
            }
        }
        let why = worst.unwrap_or(if asked { Why::NotFound } else { Why::NoRuntime });
        self.remember_unknown(side, &wanted.id, why);
    }
}

enum Resolved {
    Known(Arc<Container>),
    Unknown(Why),
    Ask,
}

fn unknown(named: Option<&ContainerRef>, why: Why) -> Verdict {
    Verdict::Done(Lookup::Unknown {
        id: named.map(|named| named.id.clone()),
        why,
    })
}

/// Whether a socket of this kind could know a container found under this naming.
fn can_know(side: Side, runtime: Runtime, kind: SocketKind) -> bool {
    match (side, kind) {
        (Side::InPod, SocketKind::DockerInPod) => runtime.is_docker(),
        (Side::Machine, SocketKind::Cri) => {
            // cri-dockerd's containers bear Docker's name under the systemd driver.
            runtime.is_cri() || runtime == Runtime::Docker
        }
        (Side::Machine, SocketKind::Docker) => {
            runtime.is_docker() || runtime == Runtime::Kubernetes
        }
        _ => false,
    }
}

/// A container of an engine inside a pod, as its log line should show it: its own image and labels,
/// the pod of the container around it.
fn nested(inner: &Container, around: &Container) -> Container {
    let mut whole = inner.clone();
    let of_the_pod = around
        .labels
        .iter()
        .filter(|(key, _)| key.starts_with("io.kubernetes."));
    whole
        .labels
        .extend(of_the_pod.map(|(key, value)| (key.clone(), value.clone())));
    whole.hub_user.clone_from(&around.hub_user);
    whole.outer = Some(Box::new(around.clone()));
    whole
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
