//! What the index believes, and how it bears runtimes that come, go, hang and lie.

use std::path::Path;
use std::sync::atomic::AtomicUsize;

use davylamp_model::container::{ContainerType, LABEL_NAMESPACE, LABEL_POD};
use davylamp_model::ids::HubUser;

use super::super::docker_double::{Double, chunked, plain};
use super::*;

const A: &str = "4afca7c3013258aa1b81ac99fea8b68d9262f253ccb5f4ba2dd549d092afa6c3";
const B: &str = "9e9192d35808d67079f075531628e7c903f4eafc7b1e495592c80951fe9e037d";
const UID: &str = "7eed019f-1bfb-404f-8e0a-5687726fade6";
const OTHER_UID: &str = "00000000-1bfb-404f-8e0a-5687726fade6";

fn container(id: &str, kind: ContainerType, labels: &[(&str, &str)]) -> Container {
    Container {
        id: ContainerId::from(id),
        container_type: kind,
        labels: labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        image: Some(format!("image-of-{}", &id[..4])),
        hub_user: None,
        outer: None,
    }
}

fn pod_container(id: &str) -> Container {
    let labels = [
        (LABEL_POD_UID, UID),
        (LABEL_NAMESPACE, "hub"),
        (LABEL_POD, "jupyter-alice"),
    ];
    let mut whole = container(id, ContainerType::Cri, &labels);
    whole.hub_user = Some(HubUser::from("alice"));
    whole
}

fn config(sockets: Vec<Socket>) -> IndexConfig {
    IndexConfig {
        sockets,
        deadline: Duration::from_millis(500),
        retry_every: Duration::from_millis(20),
        poll_every: Duration::from_millis(20),
        ..IndexConfig::default()
    }
}

fn absent(kinds: &[SocketKind]) -> ContainerIndex {
    let sockets = kinds
        .iter()
        .map(|kind| Socket::new(*kind, "/nonexistent/socket"))
        .collect();
    ContainerIndex::start(config(sockets))
}

fn hold(index: &ContainerIndex, side: Side, container: Container) {
    index
        .shared
        .cache()
        .insert(side, 0, container, Instant::now());
}

fn kube(id: &str, uid: &str, below: &str) -> String {
    format!("/kubepods/burstable/pod{uid}/{id}{below}")
}

fn why(lookup: &Lookup) -> Option<Why> {
    match lookup {
        Lookup::Unknown { why, .. } => Some(*why),
        Lookup::Host | Lookup::Known(_) => None,
    }
}

fn known(lookup: Lookup) -> Arc<Container> {
    match lookup {
        Lookup::Known(container) => container,
        other => panic!("not known: {other:?}"),
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_machine_without_containers() {
    let index = absent(&[SocketKind::Cri, SocketKind::Docker]);
    assert!(index.ready(Duration::from_secs(5)).await);
    assert_eq!(
        index.lookup("/system.slice/ssh.service").await,
        Lookup::Host
    );
    assert_eq!(index.get_cached("/"), Some(Lookup::Host));
    let path = kube(A, UID, "");
    assert_eq!(index.get_cached(&path), None);
    assert_eq!(why(&index.lookup(&path).await), Some(Why::NoRuntime));
    assert_eq!(why(&index.get_cached(&path).unwrap()), Some(Why::NoRuntime));
    assert_eq!(index.failures(), BTreeMap::from([(Why::NoRuntime, 1)]));
    assert!(
        index.watch_failures().is_empty(),
        "an absent socket is no failure"
    );
}

#[tokio::test]
async fn places_that_no_runtime_describes_say_why() {
    let index = absent(&[SocketKind::Cri, SocketKind::Docker]);
    for (path, expected) in [
        (
            format!("/user.slice/user-1.slice/user@1.service/docker-{A}.scope"),
            Why::Delegated,
        ),
        ("/docker/buildkit/abc".to_owned(), Why::Undescribed),
        ("/default/box".to_owned(), Why::Undescribed),
        (format!("/kubepods/pod{UID}/strange"), Why::PodOnly),
        ("nonsense".to_owned(), Why::Garbled),
    ] {
        assert_eq!(why(&index.lookup(&path).await), Some(expected), "{path}");
    }
    let counted: u64 = index.failures().values().sum();
    assert_eq!(counted, 5);
    assert_eq!(index.failures()[&Why::Undescribed], 2);
}

#[tokio::test]
async fn another_pods_id_is_refused() {
    let index = absent(&[SocketKind::Cri]);
    hold(&index, Side::Machine, pod_container(A));
    assert_eq!(
        known(index.lookup(kube(A, UID, "/init")).await).id.as_str(),
        A
    );
    assert_eq!(
        why(&index.lookup(kube(A, OTHER_UID, "")).await),
        Some(Why::PodMismatch)
    );
}

#[tokio::test]
async fn below_a_known_container_nobody_else_is_found() {
    let index = absent(&[SocketKind::Cri, SocketKind::Docker]);
    hold(&index, Side::Machine, pod_container(A));
    hold(
        &index,
        Side::Machine,
        container(B, ContainerType::Docker, &[]),
    );
    // The holder of A makes cgroups named after B, which runs on the same machine.
    for below in [
        format!("/docker/{B}"),
        format!("/docker-{B}.scope"),
        format!("/libpod-{B}"),
    ] {
        let found = known(index.lookup(kube(A, UID, &below)).await);
        assert_eq!(found.id.as_str(), A, "{below}");
    }
    // The holder of Docker's B makes a pod's cgroup below it.
    let found = known(
        index
            .lookup(format!("/docker/{B}{}", kube(A, UID, "")))
            .await,
    );
    assert_eq!(found.id.as_str(), B);
}

#[tokio::test]
async fn a_build_inside_a_pod_keeps_the_pods_facts() {
    let index = absent(&[SocketKind::Cri, SocketKind::DockerInPod]);
    hold(&index, Side::Machine, pod_container(A));
    let path = kube(A, UID, &format!("/docker/{B}"));
    let found = known(index.lookup(&path).await);
    assert_eq!(
        found.id.as_str(),
        A,
        "the inner engine is away: the pod still is known"
    );

    let inner = container(B, ContainerType::Docker, &[("repo2docker.ref", "main")]);
    hold(&index, Side::InPod, inner);
    let found = known(index.lookup(&path).await);
    assert_eq!(found.id.as_str(), B);
    assert_eq!(found.image.as_deref(), Some("image-of-9e91"));
    assert_eq!(found.labels["repo2docker.ref"], "main");
    assert_eq!(found.labels[LABEL_POD], "jupyter-alice");
    assert_eq!(found.hub_user, Some(HubUser::from("alice")));
    // Scope comes from the pod alone.
    assert_eq!(found.scope().image, Some("image-of-4afc"));
    assert_eq!(found.scope().namespace, Some("hub"));
    // An inner engine's word is worth nothing for the machine's containers.
    assert_eq!(
        why(&index.lookup(format!("/docker/{B}")).await),
        Some(Why::NoRuntime)
    );
    assert_eq!(
        why(&index.lookup(kube(B, UID, &format!("/docker/{B}"))).await),
        Some(Why::NoRuntime),
        "an unknown outer container leaves the claim below it unbelieved"
    );
}

#[tokio::test]
async fn a_node_that_is_a_container_is_looked_through() {
    let index = absent(&[SocketKind::Cri]);
    hold(&index, Side::Machine, pod_container(A));
    let node = format!("/docker/{B}/kubelet");
    assert_eq!(
        known(index.lookup(format!("{node}{}", kube(A, UID, ""))).await)
            .id
            .as_str(),
        A
    );
    let other = index
        .lookup(format!("{node}{}", kube(A, OTHER_UID, "")))
        .await;
    assert_eq!(why(&other), Some(Why::PodMismatch));
    let podless = index.lookup(format!("/docker/{B}/k8s.io/{A}")).await;
    assert!(why(&podless).is_some(), "{podless:?}");
}

fn inspection(id: &str) -> String {
    format!(r#"{{"Id":"{id}","Config":{{"Image":"img","Labels":{{}}}},"HostConfig":{{}}}}"#)
}

/// An engine with the containers `ids`, and no event service.
fn engine(ids: &'static [&'static str]) -> impl Fn(&str) -> Option<Vec<u8>> + Send + 'static {
    move |target| {
        if target.starts_with("/events") {
            return plain("501 Not Implemented", "");
        }
        if target.starts_with("/containers/json") {
            let list: Vec<_> = ids.iter().map(|id| format!(r#"{{"Id":"{id}"}}"#)).collect();
            return plain("200 OK", &format!("[{}]", list.join(",")));
        }
        match ids.iter().find(|id| target.contains(*id)) {
            Some(id) => plain("200 OK", &inspection(id)),
            None => plain("404 Not Found", "{}"),
        }
    }
}

fn docker(path: &Path) -> ContainerIndex {
    ContainerIndex::start(config(vec![Socket::new(SocketKind::Docker, path)]))
}

#[tokio::test]
async fn an_engine_that_comes_goes_and_returns() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("docker.sock");
    let index = docker(&path);
    assert!(index.ready(Duration::from_secs(5)).await);
    assert!(index.is_empty());

    let first = Double::start_at(&path, engine(&[A]));
    let at_a = format!("/docker/{A}");
    until("the first list", || {
        index.get_cached(&at_a).is_some_and(|l| why(&l).is_none())
    })
    .await;

    // Gone without its socket file: refused connections are counted, what was known is kept.
    drop(first);
    until("a failure", || {
        index.watch_failures().contains_key(&Why::Unreachable)
    })
    .await;
    assert!(why(&index.get_cached(&at_a).unwrap()).is_none());
    let at_b = format!("/docker/{B}");
    assert_eq!(why(&index.lookup(&at_b).await), Some(Why::Unreachable));

    // Back with another container: the removed one can still be named.
    let _second = Double::start_at(&path, engine(&[B]));
    until("the second list", || {
        index.get_cached(&at_b).is_some_and(|l| why(&l).is_none())
    })
    .await;
    assert_eq!(known(index.lookup(&at_a).await).id.as_str(), A);
}

#[tokio::test]
async fn a_miss_is_asked_once_and_remembered() {
    let double = Double::start(engine(&[A]));
    let mut slow = config(vec![Socket::new(SocketKind::Docker, double.path())]);
    slow.poll_every = Duration::from_secs(3_600);
    let index = ContainerIndex::start(slow);
    assert!(index.ready(Duration::from_secs(5)).await);
    let at_b = format!("/docker/{B}");
    for _ in 0..20 {
        assert_eq!(why(&index.lookup(&at_b).await), Some(Why::NotFound));
    }
    let asked = double
        .asked()
        .iter()
        .filter(|target| target.contains(B))
        .count();
    assert_eq!(asked, 1);
    assert_eq!(index.failures()[&Why::NotFound], 20);
}

#[tokio::test]
async fn a_hung_engine_costs_a_lookup_its_deadline_and_no_more() {
    let double = Double::start(|_| None);
    let index = Arc::new(docker(double.path()));
    let begun = Instant::now();
    let lookups: Vec<_> = (0..50)
        .map(|n| {
            let index = Arc::clone(&index);
            let path = format!("/docker/{n:064x}");
            tokio::spawn(async move { index.lookup(path).await })
        })
        .collect();
    // The runtime has one thread, which goes on serving everyone else meanwhile.
    until("a question of the lookups", || double.asked().len() >= 2).await;
    assert_eq!(index.lookup("/init.scope").await, Lookup::Host);
    for lookup in lookups {
        assert_eq!(why(&lookup.await.unwrap()), Some(Why::Deadline));
    }
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(index.failures()[&Why::Deadline], 50);
    // The list, the events, and a few places' worth of questions, of which some may change hands
    // while the deadlines pass one by one: a burst of lookups is not passed on as one.
    let asked = double.asked().len();
    assert!(asked < 25, "{asked} questions for 50 lookups");
}

#[tokio::test]
async fn events_fill_the_index_without_a_lookup() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let double = Double::start(move |target| {
        if target.starts_with("/events") {
            // One start is told, then the stream stays open as long as the client listens.
            let event = format!(
                "{{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{{\"ID\":\"{B}\"}}}}\n"
            );
            let mut answer = chunked(&event, 1_000).unwrap();
            answer.truncate(answer.len() - b"0\r\n\r\n".len());
            return Some(answer);
        }
        if target.starts_with("/containers/json") {
            count.fetch_add(1, Ordering::Relaxed);
            return plain("200 OK", "[]");
        }
        plain("200 OK", &inspection(B))
    });
    let index = docker(double.path());
    let at_b = format!("/docker/{B}");
    until("the event", || {
        index.get_cached(&at_b).is_some_and(|l| why(&l).is_none())
    })
    .await;
    assert!(asked.load(Ordering::Relaxed) >= 1);
}

#[tokio::test]
async fn an_engine_that_answers_garbage_is_counted() {
    let double = Double::start(|_| Some(b"\0garbage".to_vec()));
    let index = docker(double.path());
    assert!(index.ready(Duration::from_secs(5)).await);
    assert_eq!(
        why(&index.lookup(format!("/docker/{A}")).await),
        Some(Why::BadAnswer)
    );
    assert!(index.watch_failures()[&Why::BadAnswer] >= 1);
}

#[tokio::test]
async fn an_event_stream_that_says_nothing_is_no_failure() {
    let lists = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lists);
    let double = Double::start(move |target| {
        if target.starts_with("/events") {
            return None;
        }
        count.fetch_add(1, Ordering::Relaxed);
        plain("200 OK", "[]")
    });
    let mut quiet = config(vec![Socket::new(SocketKind::Docker, double.path())]);
    // One list at the start and one when silence was taken for a subscription.
    quiet.poll_every = Duration::from_secs(3_600);
    quiet.resync_every = Duration::from_secs(3_600);
    let index = ContainerIndex::start(quiet);
    until("the second list", || lists.load(Ordering::Relaxed) == 2).await;
    assert!(index.watch_failures().is_empty());
}
