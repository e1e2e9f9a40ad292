//! The container runtimes that listen on this machine.
//!
//! A row says that the socket takes a connection, which is closed at once without a word; whether
//! the runtime answers well is seen when the guard asks it.

use std::path::Path;

use rustix::fs::{FileType, stat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::question::Question;
use super::survey::{Group, Need, Row};

/// Where runtimes listen unless told otherwise.
const SOCKETS: [(&str, &str, &str); 6] = [
    (
        "runtime.containerd",
        "containerd",
        "/run/containerd/containerd.sock",
    ),
    (
        "runtime.k3s",
        "containerd of k3s or RKE2",
        "/run/k3s/containerd/containerd.sock",
    ),
    (
        "runtime.k0s",
        "containerd of k0s",
        "/run/k0s/containerd.sock",
    ),
    (
        "runtime.microk8s",
        "containerd of MicroK8s",
        "/var/snap/microk8s/common/run/containerd.sock",
    ),
    ("runtime.crio", "CRI-O", "/run/crio/crio.sock"),
    ("runtime.docker", "Docker", "/run/docker.sock"),
];

const LOST: &str =
    "events carry the cgroup and the container's id, but no pod, labels, image or Hub user";

const NONE: Question = Question {
    id: "runtime.none",
    group: Group::Containers,
    item: "container runtime",
    need: Need::Informational,
    lost: LOST,
};

/// A row for each runtime whose socket is here, or one that says there is none.
pub(super) fn rows() -> Vec<Row> {
    rows_from(SOCKETS)
}

fn rows_from<'a>(
    sockets: impl IntoIterator<Item = (&'static str, &'static str, &'a str)>,
) -> Vec<Row> {
    let mut rows: Vec<Row> = sockets
        .into_iter()
        .filter_map(|(id, item, path)| {
            let need = Need::Improves;
            runtime(
                Question {
                    id,
                    group: Group::Containers,
                    item,
                    need,
                    lost: LOST,
                },
                path,
            )
        })
        .collect();
    if rows.is_empty() {
        rows.push(NONE.unknown(
            "no socket of a known runtime is visible here",
            "none needed where no containers run; in a pod mount the runtime's socket from the \
             host",
        ));
    }
    rows
}

fn runtime(question: Question, path: &str) -> Option<Row> {
    match stat(path) {
        Err(Errno::NOENT | Errno::NOTDIR) => return None,
        Err(Errno::ACCESS) => {
            // Nothing tells whether the socket is there; a directory closed to this user that a
            // runtime owns is reason enough to say so.
            return Some(question.unknown(
                format!("{} is closed to this user", directory(path)),
                "run it as root, for example with sudo",
            ));
        }
        Err(errno) => {
            return Some(question.unknown(format!("{path}: {errno}"), "look at the path"));
        }
        Ok(found) if FileType::from_raw_mode(found.st_mode) != FileType::Socket => {
            return Some(question.fail(
                format!("{path} is not a socket"),
                "start the runtime; in a pod check the hostPath mount, which makes a directory \
                 where there was nothing",
            ));
        }
        Ok(_) => {}
    }
    Some(match knock(path) {
        Ok(()) => question.pass(format!("{path} takes connections")),
        Err(Errno::ACCESS) => question.fail(
            format!("{path} refuses this user"),
            "run it as root, for example with sudo",
        ),
        Err(Errno::CONNREFUSED) => question.fail(
            format!("nobody listens on {path}"),
            "start the runtime, or remove the socket",
        ),
        Err(errno) => question.unknown(format!("{path}: {errno}"), "run `davy doctor` again"),
    })
}

fn directory(path: &str) -> String {
    Path::new(path)
        .parent()
        .unwrap_or(Path::new("/"))
        .display()
        .to_string()
}

/// Connects and hangs up. Never waits: a full backlog answers `EAGAIN`.
fn knock(path: &str) -> Result<(), Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::machine::Verdict;

    fn ask(path: &Path) -> Vec<Row> {
        rows_from([(
            "runtime.test",
            "a runtime",
            path.to_str().expect("an ASCII path"),
        )])
    }

    #[test]
    fn a_socket_that_listens_died_and_never_was() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("runtime.sock");

        let [none] = &ask(&path)[..] else {
            panic!("one row")
        };
        assert_eq!((none.id, none.verdict), ("runtime.none", Verdict::Unknown));

        let listener = UnixListener::bind(&path).expect("a socket");
        assert_eq!(ask(&path)[0].verdict, Verdict::Pass);

        drop(listener);
        let dead = &ask(&path)[0];
        assert_eq!(dead.verdict, Verdict::Fail);
        assert!(dead.found.starts_with("nobody listens"), "{}", dead.found);
    }

    #[test]
    fn a_directory_made_by_a_mount_is_not_a_socket() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let row = &ask(directory.path())[0];
        assert_eq!(row.verdict, Verdict::Fail);
        assert!(row.found.ends_with("is not a socket"), "{}", row.found);
    }

    #[test]
    fn a_runtime_that_does_not_accept_is_not_waited_for() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("runtime.sock");
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .expect("a socket of our own");
        let address = SocketAddrUnix::new(&path).expect("a short path");
        rustix::net::bind(&socket, &address).expect("a free path");
        rustix::net::listen(&socket, 0).expect("a bound socket");
        // The backlog of a socket holds one connection more than it was asked to.
        let waiting: Vec<_> = std::iter::repeat_with(|| {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let client = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
                .expect("a socket of our own");
            connect(&client, &address).map(|()| client)
        })
        .take_while(Result::is_ok)
        .collect();
        assert!(
            !waiting.is_empty(),
            "the first connection fits in the backlog"
        );
        assert_eq!(ask(&path)[0].verdict, Verdict::Unknown);
    }
}
