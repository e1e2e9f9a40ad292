//! Programs in real containers: who they were, what spares them, and what dies with them.

use std::{
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use davylamp_testkit::containerd::{Containerd, ExecOutput, PodSpec, RunningContainer};
use serde_json::{Value, json};

use crate::support::{Guard, Scene, state, until, witness};

/// How the shell of a container ends that was killed.
const KILLED: i32 = 128 + libc::SIGKILL;

struct Pods {
    containerd: Containerd,
    scene: Scene,
}

impl Pods {
    /// A containerd, and a scene whose guard asks it; `tables` more of the configuration.
    fn new(tables: &str) -> Self {
        let this = Self { containerd: Containerd::start().expect("containerd"), scene: Scene::new() };
        this.scene.configure(&format!(
            "[guard.containers]\ncri_sockets = [{:?}]\ndocker_sockets = []\n{tables}",
            this.containerd.socket(),
        ));
        this
    }

    fn run(&self, namespace: &str, change: impl FnOnce(&mut PodSpec)) -> RunningContainer {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let uid = format!("{:08x}-0000-4000-8000-{number:012x}", std::process::id());
        let mut pod = PodSpec::sleeping(namespace, &format!("pod-{number}"), &uid);
        change(&mut pod);
        self.containerd.run_pod(&pod).expect("a pod")
    }

    /// Runs a script in a container, with the banned word as `$1`. It must not stand in the
    /// shell's own command line, so it comes as two halves.
    fn script(&self, container: &RunningContainer, script: &str) -> ExecOutput {
        let (left, right) = self.scene.banned.split_at(12);
        let script = format!("w={left}; w=${{w}}{right}; {script}");
        self.containerd.exec(&container.id, &["/bin/sh", "-c", &script]).expect("an exec")
    }

    fn direct(&self, container: &RunningContainer, program: &str) -> ExecOutput {
        self.containerd.exec(&container.id, &[program, &self.scene.banned]).expect("an exec")
    }
}

/// The first line with this action about a container.
#[track_caller]
fn line_of(guard: &mut Guard, container: &RunningContainer, action: &str) -> Value {
    guard.wait(&format!("it was {action} in {}", container.id), |line| {
        line["container_id"] == container.id.as_str() && line["action"] == action
    })
}

#[test]
fn whose_it_was_is_told_of_what_never_ran() {
    let pods = Pods::new("");
    let mut guard = pods.scene.guard();
    let container = pods.run("hub", |pod| {
        pod.name = "jupyter-ada".to_owned();
        pod.annotations = vec![("hub.jupyter.org/username".to_owned(), "Ada@example.org".to_owned())];
    });
    let seen = pods.direct(&container, "/bin/echo");
    assert_eq!((seen.exit_code, seen.stdout.as_slice()), (KILLED, &b""[..]), "{seen:?}");
    let line = line_of(&mut guard, &container, "killed");
    assert_eq!(line["container_type"], "cri");
    assert_eq!(line["image"], Containerd::IMAGE);
    assert_eq!(line["hub_user"], "Ada@example.org");
    let labels = &line["labels"];
    assert_eq!(labels["io.kubernetes.container.name"], "notebook");
    assert_eq!(labels["io.kubernetes.pod.name"], "jupyter-ada");
    assert_eq!(labels["io.kubernetes.pod.namespace"], "hub");
    assert!(labels["io.kubernetes.pod.uid"].as_str().is_some_and(|uid| uid.len() == 36));
    assert_eq!(line["matched"], pods.scene.banned);
    assert_eq!(line["event"], "Killed process");
    assert!(line["exe"].as_str().is_some_and(|exe| exe.ends_with("/echo")), "{line}");

    // By a shell inside, which goes on.
    let seen = pods.script(&container, "/bin/echo $w; /bin/echo after");
    assert_eq!(seen.stdout, b"after\n", "{seen:?}");

    // An agent that was not there when the container started asks for it.
    guard.kill();
    let mut guard = pods.scene.guard();
    pods.direct(&container, "/bin/echo");
    let line = line_of(&mut guard, &container, "killed");
    assert_eq!(line["hub_user"], "Ada@example.org");
}

#[test]
fn a_protected_namespace_is_spared() {
    let pods = Pods::new("[guard.protect]\nnamespaces = [\"system\"]\n");
    let mut guard = pods.scene.guard();
    let (protected, other) = (pods.run("system", |_| {}), pods.run("systems", |_| {}));
    for round in 0..2 {
        let seen = pods.direct(&protected, "/bin/echo");
        assert_eq!(seen.exit_code, 0, "round {round}: {seen:?}");
        assert_eq!(seen.stdout.trim_ascii_end(), pods.scene.banned.as_bytes());
        let seen = pods.direct(&other, "/bin/echo");
        assert_eq!((seen.exit_code, seen.stdout.as_slice()), (KILLED, &b""[..]), "round {round}");
    }
    let line = line_of(&mut guard, &protected, "spared");
    assert_eq!(line["reason"], "its namespace is protected");
    line_of(&mut guard, &other, "killed");
    // The machine itself is no namespace.
    pods.scene.assert_guarded();
}

#[test]
fn scopes_count_in_their_place_only() {
    let pods = Pods::new("[guard.hold]\ndeadline_ms = 20000\n");
    pods.scene.ban(&[
        json!({ "pattern": "/bin/echo namespace ", "namespace": "build-*" }),
        json!({ "pattern": "/bin/echo container ", "container": "builder" }),
        json!({ "pattern": "/bin/echo image ", "image": Containerd::IMAGE }),
        json!({ "pattern": "/bin/echo other ", "image": "davylamp.test/other:*" }),
        json!({ "pattern": "/bin/echo host ", "host": true }),
        json!({ "pattern": "plain ", "host": true }),
    ]);
    let mut guard = pods.scene.guard();
    let build = pods.run("build-1", |_| {});
    let builder = pods.run("users", |pod| pod.container = "builder".to_owned());
    let user = pods.run("users", |_| {});
    for (container, scope, lives) in [
        (&build, "namespace", true),
        (&builder, "namespace", false),
        (&user, "namespace", false),
        (&build, "container", false),
        (&builder, "container", true),
        (&user, "image", true),
        (&user, "other", false),
        // What is spared on the machine itself is not spared in a container.
        (&user, "host", false),
    ] {
        let argv = ["/bin/echo", scope, pods.scene.banned.as_str()];
        let seen = pods.containerd.exec(&container.id, &argv).expect("an exec");
        let code = if lives { 0 } else { KILLED };
        assert_eq!(seen.exit_code, code, "{scope} in {container:?}: {seen:?}");
        assert_eq!(!seen.stdout.is_empty(), lives, "{seen:?}");
    }
    line_of(&mut guard, &build, "spared");
    line_of(&mut guard, &user, "killed");
    pods.scene.assert_unguarded();
}

#[test]
fn with_a_cgroup_all_of_the_container_dies() {
    let pods = Pods::new("[guard.response]\nkill = \"cgroup\"\nsuppress_secs = 2\n");
    let mut guard = pods.scene.guard();
    let (container, other) = (pods.run("users", |_| {}), pods.run("users", |_| {}));
    assert_eq!(state(container.pid), Some('S'));
    let _ = pods.containerd.exec(&container.id, &["/bin/echo", &pods.scene.banned]);
    until("the container's first process is dead", || matches!(state(container.pid), None | Some('Z')));
    line_of(&mut guard, &container, "killed");
    let line = guard.wait("the container was killed", |line| line["scope"] == "cgroup");
    assert!(line["also_killed"].as_u64().is_some_and(|killed| killed >= 1), "{line}");
    assert_eq!(state(other.pid), Some('S'), "another container goes on");
}

#[test]
fn with_a_tree_the_session_dies_and_what_follows_in_the_container() {
    let pods = Pods::new("[guard.response]\nkill = \"tree\"\nsuppress_secs = 2\n");
    let mut guard = pods.scene.guard();
    let (container, other) = (pods.run("users", |_| {}), pods.run("users", |_| {}));
    let began = Instant::now();
    let seen = pods.script(&container, "/bin/sleep 600 & /bin/echo $w; /bin/sleep 10; /bin/echo after");
    assert_eq!((seen.exit_code, seen.stdout.as_slice()), (KILLED, &b""[..]), "{seen:?}");
    let line = guard.wait("the session was killed", |line| line["scope"] == "tree");
    assert_eq!(line["starts_suppressed_secs"], 2);
    assert_eq!(state(container.pid), Some('S'), "another session of the container goes on");
    assert_eq!(state(other.pid), Some('S'));

    // The next starts die although they are benign; then they live again.
    let benign = || pods.containerd.exec(&container.id, &["/bin/echo", "hello"]).expect("an exec");
    let mut died = 0;
    until("programs live again", || {
        let seen = benign();
        died += u32::from(seen.exit_code == KILLED && seen.stdout.is_empty());
        seen.stdout == b"hello\n"
    });
    let took = began.elapsed();
    assert!(died > 0, "none of the next starts died; they lived after {took:?}");
    assert!(took >= Duration::from_secs(2), "they lived again after {took:?}");
    let line = guard.wait("a start was suppressed", |line| line["detection"] == "respawn-after-kill");
    assert_eq!(line["reason"], "its cgroup is under respawn suppression");
    assert_eq!(line["container_id"], container.id.as_str());
    let seen = pods.containerd.exec(&other.id, &["/bin/echo", "hello"]).expect("an exec");
    assert_eq!(seen.stdout, b"hello\n", "another container is not suppressed");
}

#[test]
fn on_the_machine_itself_only_the_session_dies() {
    for kill in ["tree", "cgroup"] {
        let scene = Scene::new();
        scene.configure(&format!("[guard.response]\nkill = \"{kill}\"\nsuppress_secs = 60\n"));
        let mut guard = scene.guard();
        let mut bystander = Command::new("sleep").arg("600").spawn().expect("it starts");
        std::fs::write(scene.path("word"), format!("{}\n", scene.banned)).expect("write");
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", "sleep 600 & read w < \"$1\"; \"$2\" \"$w\" 3>&1; sleep 600", "sh"])
            .arg(scene.path("word"))
            .arg(witness())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        // SAFETY: setsid is async-signal-safe and touches no memory.
        unsafe {
            shell.pre_exec(|| match libc::setsid() {
                -1 => Err(std::io::Error::last_os_error()),
                _ => Ok(()),
            });
        }
        // The pipe closes when the last of the session is dead.
        let output = shell.output().expect("it runs");
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        assert_eq!((signal, output.stdout.as_slice()), (Some(libc::SIGKILL), &b""[..]));
        let line = guard.wait("the session was killed", |line| line["scope"] == "tree");
        assert!(line["starts_suppressed_secs"].is_null(), "the machine's cgroup is shared: {line}");
        assert!(bystander.try_wait().expect("wait").is_none(), "another session goes on");
        let _ = bystander.kill();
        let _ = bystander.wait();
    }
}
