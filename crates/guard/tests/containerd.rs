//! The container index against a real containerd and runc.
//!
//! Needs root and Debian's packages containerd and runc. Where they lack, these tests fail with
//! the name of what lacks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use davylamp_guard::container::cgroup_path::best_line;
use davylamp_guard::container::cri::CriClient;
use davylamp_guard::container::{ContainerIndex, IndexConfig, Lookup, Socket, SocketKind, Why};
use davylamp_model::container::{
    Container, ContainerType, LABEL_CONTAINER, LABEL_NAMESPACE, LABEL_POD, LABEL_POD_UID,
};
use davylamp_testkit::containerd::{Containerd, PodSpec, RunningContainer};

const PATIENCE: Duration = Duration::from_secs(20);

/// A pod uid that no other test of this run has.
fn fresh_uid() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:08x}-0000-4000-8000-{count:012x}", std::process::id())
}

/// The cgroup path of a process, of the hierarchy that says most.
fn cgroup_of(pid: u32) -> String {
    let text = std::fs::read(format!("/proc/{pid}/cgroup")).expect("the process is alive");
    String::from_utf8(best_line(&text).expect("a cgroup line").to_vec()).unwrap()
}

fn index(containerd: &Containerd) -> ContainerIndex {
    let sockets = vec![
        Socket::new(SocketKind::Cri, containerd.socket()),
        Socket::new(SocketKind::Docker, "/nonexistent/docker.sock"),
    ];
    let retry_every = Duration::from_millis(50);
    // Long enough that what is found was brought by events or lookups, not by a second list.
    let poll_every = Duration::from_secs(3_600);
    ContainerIndex::start(IndexConfig {
        sockets,
        retry_every,
        poll_every,
        ..IndexConfig::default()
    })
}

fn known(lookup: Lookup) -> Arc<Container> {
    match lookup {
        Lookup::Known(container) => container,
        other => panic!("not known: {other:?}"),
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for the index to know the container by itself.
async fn cached(index: &ContainerIndex, path: &str) -> Arc<Container> {
    let held = || matches!(index.get_cached(path), Some(Lookup::Known(_)));
    until("the container in the index", held).await;
    known(index.get_cached(path).unwrap())
}

/// Works with containerd without holding up the index's watchers, which share this thread.
async fn aside<T: Send + 'static>(
    containerd: &Arc<Containerd>,
    work: impl FnOnce(&Containerd) -> T + Send + 'static,
) -> T {
    let containerd = Arc::clone(containerd);
    tokio::task::spawn_blocking(move || work(&containerd))
        .await
        .unwrap()
}

async fn run(containerd: &Arc<Containerd>, pod: PodSpec) -> RunningContainer {
    aside(containerd, move |containerd| containerd.run_pod(&pod))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_pod_is_named_from_events_and_still_when_it_is_gone() {
    let containerd = Arc::new(Containerd::start().unwrap());
    let index = index(&containerd);
    assert!(index.ready(PATIENCE).await);
    assert!(index.is_empty());

    let uid = fresh_uid();
    let mut pod = PodSpec::sleeping("hub", "jupyter-alice-40example-2ecom--work", &uid);
    pod.annotations = vec![
        (
            "hub.jupyter.org/username".to_owned(),
            "Alice@example.com".to_owned(),
        ),
        ("other".to_owned(), "x".repeat(10_000)),
    ];
    let container = run(&containerd, pod).await;
    let path = cgroup_of(container.pid);
    assert!(
        path.contains(&format!("/pod{uid}/{}", container.id)),
        "{path}"
    );

    // Nobody asks for it: the runtime's event is what brings it in.
    let found = cached(&index, &path).await;
    assert_eq!(found.id.as_str(), container.id);
    assert_eq!(found.container_type, ContainerType::Cri);
    assert_eq!(
        found.image.as_deref(),
        Some(Containerd::IMAGE),
        "the name, not the digest"
    );
    assert_eq!(
        found.hub_user.as_ref().unwrap().as_str(),
        "Alice@example.com"
    );
    let labels: Vec<_> = found
        .labels
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        labels,
        [
            (LABEL_CONTAINER, "notebook"),
            (LABEL_POD, "jupyter-alice-40example-2ecom--work"),
            (LABEL_NAMESPACE, "hub"),
            (LABEL_POD_UID, uid.as_str()),
        ]
    );
    // The image says of itself that it belongs to another namespace.
    assert_eq!(found.scope().namespace, Some("hub"));

    aside(&containerd, move |containerd| {
        containerd.remove_pod(&container)
    })
    .await
    .unwrap();
    let gone = known(index.lookup(&path).await);
    assert_eq!(gone, found);
    // Another index never saw it, and says so.
    let late = self::index(&containerd);
    assert!(late.ready(PATIENCE).await);
    match late.lookup(&path).await {
        Lookup::Unknown {
            id: Some(id),
            why: Why::NotFound,
        } => assert_eq!(id, found.id),
        other => panic!("{other:?}"),
    }
    assert_eq!(index.failures().len() + index.watch_failures().len(), 0);
}

#[tokio::test]
async fn pods_from_before_the_guard_and_across_a_restart_of_the_runtime() {
    let containerd = Arc::new(Containerd::start().unwrap());
    let sleeping = |name: &str| PodSpec::sleeping("hub", name, &fresh_uid());
    let named = run(&containerd, sleeping("jupyter-j-c3-bcrgen--lab")).await;
    let mut labelled = sleeping("something-else");
    labelled.labels = vec![(
        "hub.jupyter.org/username".to_owned(),
        "test-5fuser".to_owned(),
    )];
    let labelled = run(&containerd, labelled).await;
    let hashed = run(&containerd, sleeping("jupyter-user-email-com---0925f997")).await;

    // Found by its list.
    let index = index(&containerd);
    assert!(index.ready(PATIENCE).await);
    for (container, user) in [
        (&named, Some("j\u{fc}rgen")),
        (&labelled, Some("test_user")),
        (&hashed, None),
    ] {
        let found = known(index.get_cached(cgroup_of(container.pid)).unwrap());
        assert_eq!(found.hub_user.as_ref().map(|user| user.as_str()), user);
        assert_eq!(found.image.as_deref(), Some(Containerd::IMAGE));
    }

    // The pod's pause process is the pod's too.
    let of_sandbox = cgroup_of(named.pid).replace(&named.id, &named.sandbox_id);
    let sandbox = known(index.lookup(&of_sandbox).await);
    assert_eq!(sandbox.namespace().unwrap().as_str(), "hub");
    assert_eq!((sandbox.name(), sandbox.image.as_deref()), (None, None));

    // The same by asking for one id, before any list was read.
    let asking = known(self::index(&containerd).lookup(cgroup_of(named.pid)).await);
    assert_eq!(
        asking,
        known(index.get_cached(cgroup_of(named.pid)).unwrap())
    );
    let asking = known(self::index(&containerd).lookup(&of_sandbox).await);
    assert_eq!(asking, sandbox);

    // The runtime goes away: what is known stays, what is not fails quickly and is counted.
    let path = cgroup_of(named.pid);
    aside(&containerd, Containerd::stop_daemon).await;
    assert_eq!(known(index.lookup(&path).await).id.as_str(), named.id);
    let begun = Instant::now();
    let other = path.replace(&named.id, &"ab".repeat(32));
    match index.lookup(&other).await {
        Lookup::Unknown {
            why: Why::NoRuntime | Why::Unreachable,
            ..
        } => {}
        other => panic!("{other:?}"),
    }
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(index.failures().values().sum::<u64>(), 1);

    // It comes back: new pods arrive by themselves again.
    aside(&containerd, Containerd::restart).await.unwrap();
    let after = run(&containerd, sleeping("jupyter-bob")).await;
    let found = cached(&index, &cgroup_of(after.pid)).await;
    assert_eq!(found.hub_user.as_ref().unwrap().as_str(), "bob");
}

#[tokio::test]
async fn a_process_that_forges_its_neighbours_cgroup_is_still_itself() {
    let containerd = Arc::new(Containerd::start().unwrap());
    let index = index(&containerd);
    let victim = run(
        &containerd,
        PodSpec::sleeping("kube-system", "dns", &fresh_uid()),
    )
    .await;
    let forger = run(
        &containerd,
        PodSpec::sleeping("hub", "jupyter-mallory", &fresh_uid()),
    )
    .await;
    let output = containerd
        .exec(&forger.id, &["/bin/sh", "-c", "echo inside; exit 3"])
        .unwrap();
    assert_eq!(
        (output.exit_code, output.stdout.as_slice()),
        (3, b"inside\n".as_slice())
    );

    // What a container with cgroup delegation can do, done here from outside.
    let own = cgroup_of(forger.pid);
    let root = hierarchy_of(forger.pid, &own);
    let forged = format!("cri-containerd-{}.scope", victim.id);
    let dir = root.join(own.trim_start_matches('/')).join(&forged);
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("cgroup.procs"), forger.pid.to_string()).unwrap();

    let path = format!("{own}/{forged}");
    let now = std::fs::read_to_string(format!("/proc/{}/cgroup", forger.pid)).unwrap();
    assert!(now.contains(&path), "{now}");
    let found = known(index.lookup(&path).await);
    assert_eq!(found.id.as_str(), forger.id);
    assert_eq!(found.scope().namespace, Some("hub"));
}

#[tokio::test]
async fn a_subscription_bears_a_machine_where_nothing_happens() {
    let containerd = Containerd::start().unwrap();
    let client = CriClient::new(&containerd.socket());
    assert!(client.list(&|_| None).await.unwrap().is_empty());
    tokio::time::pause();
    // An hour without an event, in the clock of this runtime.
    tokio::select! {
        outcome = client.events() => assert!(outcome.is_ok(), "{outcome:?}"),
        () = tokio::time::sleep(Duration::from_secs(3_600)) => {}
    }
}

/// Where the hierarchy is mounted in which the process has this path.
fn hierarchy_of(pid: u32, path: &str) -> PathBuf {
    let lines = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let line = lines.lines().find(|line| line.ends_with(path)).unwrap();
    let controllers: Vec<_> = line.split(':').nth(1).unwrap().split(',').collect();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts.lines().find(|mount| {
        let fields: Vec<_> = mount.split(' ').collect();
        if controllers == [""] {
            fields[2] == "cgroup2"
        } else {
            let mut options = fields[3].split(',');
            fields[2] == "cgroup" && options.any(|option| controllers.contains(&option))
        }
    });
    PathBuf::from(mount.unwrap().split(' ').nth(1).unwrap())
}
