//! `davy doctor` run for real: as root, as nobody, with capabilities dropped and in other
//! namespaces. Needs root, and setpriv and unshare of util-linux.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// The uid and gid of nobody and nogroup on Debian.
const NOBODY: u32 = 65534;

/// A copy of the binary where every user can run it: the target directory may be closed to them.
struct Installed {
    _directory: tempfile::TempDir,
    davy: PathBuf,
}

fn install() -> Installed {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let everyone = PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), everyone).expect("our own directory");
    let davy = directory.path().join("davy");
    std::fs::copy(env!("CARGO_BIN_EXE_davy"), &davy).expect("the binary can be copied");
    Installed {
        _directory: directory,
        davy,
    }
}

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

struct Answer {
    code: Option<i32>,
    document: Value,
}

impl Answer {
    fn of(output: Output) -> Self {
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(errors, "", "a survey says nothing beside its document");
        let document = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)));
        Self {
            code: output.status.code(),
            document,
        }
    }

    fn row(&self, id: &str) -> &Value {
        let rows = self.document["rows"].as_array().expect("rows");
        rows.iter()
            .find(|row| row["id"] == id)
            .unwrap_or_else(|| panic!("no row {id}"))
    }

    #[track_caller]
    fn check(&self, id: &str, verdict: &str, mend: &str) {
        let row = self.row(id);
        assert_eq!(row["verdict"], verdict, "{row:#}");
        let told = row["mend"].as_str().unwrap_or_default();
        assert!(told.contains(mend), "{row:#}");
    }
}

fn json(program: &str, arguments: &[&str], installed: &Installed) -> Answer {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg(&installed.davy)
        .args(["doctor", "--output", "json"]);
    Answer::of(run(&mut command))
}

#[test]
fn as_root() {
    let installed = install();
    let answer = json("env", &[], &installed);
    answer.check("bpf.tp-btf", "pass", "");
    answer.check("capability.kill", "pass", "");
    let expected = match answer.document["readiness"].as_str() {
        Some("ready") => 0,
        Some("missing") => 1,
        Some("unknown") => 2,
        other => panic!("readiness {other:?}"),
    };
    assert_eq!(answer.code, Some(expected));
}

#[test]
fn as_nobody() {
    let installed = install();
    let mut command = Command::new(&installed.davy);
    command
        .args(["doctor", "--output", "json"])
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/");
    let answer = Answer::of(run(&mut command));
    assert_eq!(answer.code, Some(1));
    assert_eq!(answer.document["readiness"], "missing");
    answer.check("capability.kill", "fail", "run it as root");
    answer.check("capability.bpf", "fail", "run it as root");
    // The types are open to everyone, so what they tell is known all the same.
    answer.check("kernel.btf", "pass", "");
    answer.check("tracepoint.sched-process-exec", "pass", "");
    // Whether bpf(2) answers depends on kernel.unprivileged_bpf_disabled; tracing never does.
    answer.check("bpf.tp-btf", "unknown", "run it as root");
    answer.check("bpf.probe-read-kernel", "unknown", "run it as root");
}

#[test]
fn as_root_without_the_capability_to_kill() {
    let installed = install();
    let answer = json("setpriv", &["--bounding-set=-kill"], &installed);
    assert_eq!(answer.code, Some(1));
    answer.check(
        "capability.kill",
        "fail",
        "add KILL to securityContext.capabilities.add",
    );
    answer.check("capability.bpf", "pass", "");
    answer.check("bpf.tp-btf", "pass", "");
}

#[test]
fn as_root_without_the_capabilities_to_load() {
    let installed = install();
    let dropped = "--bounding-set=-bpf,-perfmon,-sys_admin";
    let answer = json("setpriv", &[dropped], &installed);
    assert_eq!(answer.code, Some(1));
    answer.check("capability.bpf", "fail", "AmbientCapabilities=");
    answer.check("capability.perfmon", "fail", "add PERFMON");
    answer.check("bpf.tp-btf", "unknown", "run it as root");
    answer.check("capability.kill", "pass", "");
}

#[test]
fn with_no_more_capabilities_than_the_guard_names() {
    let installed = install();
    let kept = "--bounding-set=-all,+bpf,+perfmon,+net_admin,+kill,+sys_ptrace,+dac_read_search";
    let answer = json("setpriv", &[kept], &installed);
    for id in [
        "bpf.syscall",
        "bpf.tp-btf",
        "bpf.loop",
        "bpf.send-signal",
        "bpf.iter-task",
        "bpf.cgroup-skb",
    ] {
        answer.check(id, "pass", "");
    }
    answer.check("capability.sys-admin", "fail", "none needed");
}

#[test]
fn in_another_pid_namespace() {
    let installed = install();
    let answer = json("unshare", &["--pid", "--fork", "--mount-proc"], &installed);
    assert_eq!(answer.code, Some(1));
    answer.check("namespace.pid", "fail", "hostPID: true");
    answer.check("bpf.tp-btf", "pass", "");
}

#[test]
fn in_another_user_namespace() {
    let installed = install();
    let answer = json("unshare", &["--user", "--map-root-user"], &installed);
    assert_eq!(answer.code, Some(1));
    answer.check("namespace.user", "fail", "hostUsers: true");
    // Every capability is held there, and none of them counts.
    answer.check("capability.bpf", "pass", "");
    answer.check("bpf.tp-btf", "unknown", "run it as root");
}

#[test]
fn without_mounts() {
    let installed = install();
    let davy = installed.davy.to_str().expect("an ASCII path");
    let script = format!("umount /sys/fs/bpf && exec {davy} doctor --output json");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
    let answer = Answer::of(run(&mut command));
    assert_eq!(answer.code, Some(1));
    answer.check("mount.bpffs", "fail", "sudo mount -t bpf bpf /sys/fs/bpf");
}

#[test]
fn a_pipe_gets_no_colour_and_every_lack_its_mend() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
    let output = run(command.args(["doctor", "--pin-dir", "/proc/davylamp"]));
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).expect("a table is UTF-8");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert!(text.contains("BPF file system (fail, required)"), "{text}");
    assert!(text.contains("  mend   "), "{text}");
}

#[test]
fn a_wrong_argument_prints_nothing_on_stdout() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
    let output = run(command.args(["doctor", "--output", "yaml"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("json"),
        "it names what it takes"
    );
}

/// The names of rows are an interface: each is written down.
#[test]
fn every_row_is_documented() {
    let page = include_str!("../../../docs/doctor.md");
    let installed = install();
    let answer = json("env", &[], &installed);
    for row in answer.document["rows"].as_array().expect("rows") {
        let id = row["id"].as_str().expect("an id");
        assert!(
            page.contains(&format!("`{id}`")),
            "docs/doctor.md does not name {id}"
        );
    }
}
