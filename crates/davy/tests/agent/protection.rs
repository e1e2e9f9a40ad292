//! What is never killed, and observing.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use crate::support::{DAVY, Run, Scene, until, witness, word};

#[test]
fn a_protected_executable_is_told_by_its_file_not_by_its_name() {
    let scene = Scene::new();
    let keeper = scene.path("keeper");
    let twin = scene.path("twin/keeper");
    fs::create_dir(scene.path("twin")).expect("a directory");
    for copy in [&keeper, &twin] {
        fs::copy(witness(), copy).expect("copy");
    }
    scene.configure(&format!("[guard.protect]\nexecutables = [{keeper:?}]\n"));
    let mut guard = scene.guard();
    let run = Run::program(&keeper, &["keeper", &scene.banned]);
    let pid = run.pid();
    assert!(run.end().ran());
    let line = guard.wait_action(pid, "spared");
    assert_eq!(line["reason"], "its executable is protected");
    assert_eq!(line["matched"], scene.banned);
    assert!(
        Run::program(&twin, &["keeper", &scene.banned])
            .end()
            .died_unrun()
    );
    // A link is another name of the same file; a copy over it is another file.
    std::os::unix::fs::symlink(&keeper, scene.path("link")).expect("a link");
    assert!(
        Run::program(&scene.path("link"), &["keeper", &scene.banned])
            .end()
            .ran()
    );
}

/// A cgroup of a test's own, in the hierarchy that counts on this machine.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(root: &Path, path: &str) -> Self {
        let directory = root.join(path.trim_start_matches('/'));
        fs::create_dir(&directory).expect("a cgroup");
        Self(directory)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

fn cgroup_roots() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    let root = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let counts = fields[2] == "cgroup2"
            || fields[2] == "cgroup" && fields[3].split(',').any(|option| option == "memory");
        counts.then(|| PathBuf::from(fields[1]))
    };
    mounts.lines().filter_map(root).collect()
}

#[test]
fn a_protected_cgroup_and_what_is_below_it_is_spared() {
    let roots = cgroup_roots();
    assert!(!roots.is_empty(), "this machine has a cgroup file system");
    for root in roots {
        let scene = Scene::new();
        let name = format!("/{}", word("davy-agent-"));
        let outer = Cgroup::new(&root, &name);
        let inner = Cgroup::new(&root, &format!("{name}/inner"));
        let other = Cgroup::new(&root, &format!("{name}x"));
        scene.configure(&format!("[guard.protect]\ncgroups = [{name:?}]\n"));
        let mut guard = scene.guard();
        for (cgroup, is_protected) in [(&outer, true), (&inner, true), (&other, false)] {
            let mut shell = Command::new("/bin/sh");
            let script = "echo $$ > \"$1\"/cgroup.procs && read w < \"$2\" && exec \"$3\" \"$w\"";
            fs::write(scene.path("word"), format!("{}\n", scene.banned)).expect("write");
            shell
                .args(["-c", script, "sh"])
                .arg(&cgroup.0)
                .arg(scene.path("word"))
                .arg(witness());
            let run = Run::command(shell);
            let pid = run.pid();
            let seen = run.end();
            if is_protected {
                assert!(seen.ran(), "{seen:?} in {}", cgroup.0.display());
                let line = guard.wait_action(pid, "spared");
                assert_eq!(line["reason"], "its cgroup is protected");
            } else {
                assert!(seen.died_unrun(), "{seen:?} in {}", cgroup.0.display());
                let line = guard.wait_action(pid, "killed");
                assert!(
                    line["cgroup"]
                        .as_str()
                        .is_some_and(|path| path.ends_with('x')),
                    "{line}"
                );
            }
        }
    }
}

#[test]
fn an_explanation_can_be_had_on_a_guarded_machine() {
    let scene = Scene::new();
    let _guard = scene.guard();
    let explain = |davy: &Path| {
        let mut command = Command::new(davy);
        command.arg("explain").arg("--blocklist").arg(scene.list());
        command.args(["--", "tool", &scene.banned]);
        command.output().expect("davy starts")
    };
    let explained = explain(Path::new(DAVY));
    assert_eq!(explained.status.code(), Some(1), "{explained:?}");
    assert!(String::from_utf8_lossy(&explained.stdout).contains(&scene.banned));

    let copy = scene.path("davy");
    fs::copy(DAVY, &copy).expect("copy davy");
    let killed = explain(&copy);
    let signal = std::os::unix::process::ExitStatusExt::signal(&killed.status);
    assert_eq!(signal, Some(libc::SIGKILL), "{killed:?}");
    assert!(killed.stdout.is_empty());
}

#[test]
fn observing_kills_and_holds_nothing() {
    let scene = Scene::new();
    scene.ban(&[json!("asks [0-9]+ "), json!("literal ")]);
    scene.configure_guard("mode = \"observe\"", "");
    let mut guard = scene.guard();
    assert_eq!(guard.wait_ready()["mode"], "observe");
    for (words, action) in [
        (vec!["plain", &scene.banned], "would-kill"),
        (vec!["asks", "12x", &scene.banned], "would-kill"),
        (vec!["asks", "12", &scene.banned], "spared"),
        (vec!["literal", &scene.banned], "spared"),
    ] {
        let run = Run::witness(&words);
        let pid = run.pid();
        assert!(run.end().ran(), "{words:?}");
        let line = guard.wait_action(pid, action);
        assert_eq!(line["matched"], scene.banned);
        assert_eq!(guard.actions(pid), [action], "{words:?}");
    }
    assert!(
        !scene.generations()[0].join("on_user_fault").exists(),
        "nothing is watched"
    );
}

#[test]
fn from_observing_to_enforcing_and_back() {
    let scene = Scene::new();
    scene.configure_guard("mode = \"observe\"", "");
    let guard = scene.guard();
    scene.assert_unguarded();
    guard.kill();
    scene.configure("");
    let guard = scene.guard();
    scene.assert_guarded();
    guard.kill();
    scene.configure_guard("mode = \"observe\"", "");
    let _guard = scene.guard();
    scene.assert_unguarded();
}

/// The agent that reads what attackers write has given up what it does not need.
#[test]
fn a_running_agent_has_given_up_its_privileges() {
    /// Bits of BPF, KILL, SYS_PTRACE and DAC_READ_SEARCH (linux/capability.h).
    const KEPT: u64 = 1 << 39 | 1 << 5 | 1 << 19 | 1 << 2;
    let scene = Scene::new();
    let mut guard = scene.guard();
    guard.wait_ready();
    let status = fs::read_to_string(format!("/proc/{}/status", guard.pid())).expect("status");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.expect("the field")
            .trim_start_matches(':')
            .trim()
            .to_owned()
    };
    let set = |name: &str| u64::from_str_radix(&field(name), 16).expect("a set");
    assert_eq!(set("CapEff"), KEPT);
    assert_eq!(set("CapPrm"), KEPT);
    assert_eq!((set("CapBnd"), set("CapInh"), set("CapAmb")), (0, 0, 0));
    assert_eq!(field("NoNewPrivs"), "1");
    assert_eq!(field("Seccomp"), "2", "a filter");
}

/// A file of the operator's that vanishes takes no protection away from others.
#[test]
fn one_protected_file_that_vanishes_leaves_the_others_protected() {
    let scene = Scene::new();
    let (kept, lost) = (scene.path("kept"), scene.path("lost"));
    for copy in [&kept, &lost] {
        fs::copy("/bin/sleep", copy).expect("a copy");
    }
    scene.configure(&format!(
        "[guard.protect]\nexecutables = [{kept:?}, {lost:?}]\n\
         [guard.sweep]\non_start = true\non_reload = true\ninterval_secs = 0\n"
    ));
    let mut runs = Command::new(&kept);
    std::os::unix::process::CommandExt::arg0(&mut runs, &scene.banned);
    let mut runs = runs.arg("60").spawn().expect("it starts");
    let mut guard = scene.guard();
    guard.wait_action(runs.id(), "spared");
    fs::remove_file(&lost).expect("it was there");
    guard.signal(libc::SIGHUP);
    guard.wait("it was read again and swept", |line| {
        line["event"] == "reloaded"
    });
    until("it is swept again", || {
        guard
            .actions(runs.id())
            .iter()
            .filter(|action| *action == "spared")
            .count()
            > 1
    });
    assert!(runs.try_wait().expect("wait").is_none(), "it lives");
    runs.kill().expect("it is ours");
    runs.wait().expect("wait");
}
