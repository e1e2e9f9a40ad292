//! What installs the guard elsewhere: the Helm chart, the systemd unit and the container image.
//!
//! The chart is rendered by Helm's own engine (`tests/helm`), read back as the types of the
//! Kubernetes API with every unknown field an error, and then asked what it would do to a node.

mod chart;
mod console;
mod container;
mod guide;
mod hunt;
mod lists;
mod objects;
mod refusals;
mod render;
mod responder;
mod systemd;
mod values;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The root of the repository.
fn root() -> &'static Path {
    // Tests run in their package's folder. What a build knew of it may be that of another clone.
    static ROOT: LazyLock<PathBuf> =
        LazyLock::new(|| std::fs::canonicalize("..").expect("xtask lies below the root"));
    &ROOT
}

/// The text of a file of the repository.
fn text(path: &str) -> String {
    let path: PathBuf = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The capabilities the guard is given, by the chart and by the unit alike, and what each is for.
const CAPABILITIES: [(&str, &str); 6] = [
    ("BPF", "load programs and maps"),
    (
        "PERFMON",
        "attach them to tracepoints and read kernel memory from them",
    ),
    ("NET_ADMIN", "attach what listens to the wire to a cgroup"),
    ("KILL", "kill by pidfd in the sweep"),
    ("SYS_PTRACE", "read what a process of another user runs"),
    (
        "DAC_READ_SEARCH",
        "reach sockets and lists whatever their mode",
    ),
];
