//! What this process may do: capabilities, namespaces, and whether bpf(2) answers.

use rustix::io::Errno;

use super::probes;
use super::question::Question;
use super::survey::{Group, Need, Row};

/// What the kernel says of a thread's rights in `/proc/<pid>/status` (see proc_pid_status(5)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rights {
    /// The effective capabilities, one bit each.
    pub capabilities: Option<u64>,
    /// Whether a seccomp filter judges its system calls.
    pub filtered: bool,
}

impl Rights {
    pub fn parse(status: &str) -> Self {
        let field = |name: &str| {
            let mut lines = status.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
        };
        Self {
            capabilities: field("CapEff").and_then(|hex| u64::from_str_radix(hex, 16).ok()),
            filtered: field("Seccomp") == Some("2"),
        }
    }

    fn of_this_thread() -> std::io::Result<Self> {
        std::fs::read_to_string("/proc/thread-self/status").map(|status| Self::parse(&status))
    }
}

/// A capability the guard uses. Numbers are those of the kernel's `uapi/linux/capability.h`.
struct Capability {
    id: &'static str,
    name: &'static str,
    /// Any of these is enough.
    any_of: &'static [u8],
    need: Need,
    lost: &'static str,
}

const DAC_OVERRIDE: u8 = 1;
const DAC_READ_SEARCH: u8 = 2;
const KILL: u8 = 5;
const NET_ADMIN: u8 = 12;
const SYS_PTRACE: u8 = 19;
const SYS_ADMIN: u8 = 21;
const PERFMON: u8 = 38;
const BPF: u8 = 39;

const CAPABILITIES: [Capability; 7] = [
    Capability {
        id: "capability.bpf",
        name: "CAP_BPF",
        any_of: &[BPF, SYS_ADMIN],
        need: Need::Required,
        lost: "the guard: programs and maps cannot be loaded",
    },
    Capability {
        id: "capability.perfmon",
        name: "CAP_PERFMON",
        any_of: &[PERFMON, SYS_ADMIN],
        need: Need::Required,
        lost: "the guard: programs cannot be attached to tracepoints",
    },
    Capability {
        id: "capability.kill",
        name: "CAP_KILL",
        any_of: &[KILL],
        need: Need::Required,
        lost: "the guard: held processes cannot be settled, nor those already running killed",
    },
    Capability {
        id: "capability.sys-ptrace",
        name: "CAP_SYS_PTRACE",
        any_of: &[SYS_PTRACE],
        need: Need::Required,
        lost: "the guard: what a program could not read of a process cannot be read by the agent",
    },
    Capability {
        id: "capability.dac-read-search",
        name: "CAP_DAC_READ_SEARCH",
        any_of: &[DAC_READ_SEARCH, DAC_OVERRIDE],
        need: Need::Improves,
        lost: "executables and blocklists under directories closed to this user are not read",
    },
    Capability {
        id: "capability.net-admin",
        name: "CAP_NET_ADMIN",
        any_of: &[NET_ADMIN, SYS_ADMIN],
        need: Need::Improves,
        lost: "what sockets say is not followed: no pool is seen on the wire",
    },
    Capability {
        id: "capability.sys-admin",
        name: "CAP_SYS_ADMIN",
        any_of: &[SYS_ADMIN],
        need: Need::Informational,
        lost: "nothing: CAP_BPF and CAP_PERFMON are enough",
    },
];

/// The inodes of the first namespaces, fixed by the kernel (`enum init_ns_ino`, since 3.8).
const INITIAL_USER_NAMESPACE: u64 = 0xEFFF_FFFD;
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

const USER_NAMESPACE: Question = Question {
    id: "namespace.user",
    group: Group::Privileges,
    item: "initial user namespace",
    need: Need::Required,
    lost: "the guard: capabilities held in another user namespace do not count for BPF",
};

const PID_NAMESPACE: Question = Question {
    id: "namespace.pid",
    group: Group::Privileges,
    item: "initial pid namespace",
    need: Need::Required,
    lost: "the guard: the pids the kernel reports are not those it sees, so it cannot act on them",
};

const BPF_CALL: Question = Question {
    id: "bpf.syscall",
    group: Group::Privileges,
    item: "bpf(2) permitted",
    need: Need::Required,
    lost: "the guard: nothing can be loaded into the kernel",
};

/// The rows about privileges, and whether bpf(2) may be called.
pub(super) fn rows() -> (Vec<Row>, bool) {
    let rights = Rights::of_this_thread();
    let mut rows: Vec<Row> = match &rights {
        Ok(rights) => CAPABILITIES
            .iter()
            .map(|it| capability(it, *rights))
            .collect(),
        Err(error) => CAPABILITIES
            .iter()
            .map(|it| {
                let found = format!("/proc/thread-self/status cannot be read: {error}");
                question(it).unknown(found, "sudo mount -t proc proc /proc")
            })
            .collect(),
    };
    rows.push(namespace(
        USER_NAMESPACE,
        "user",
        INITIAL_USER_NAMESPACE,
        "run it outside user namespaces: not in a rootless container, and in a pod with \
         hostUsers: true",
    ));
    rows.push(namespace(
        PID_NAMESPACE,
        "pid",
        INITIAL_PID_NAMESPACE,
        "run it in the host's pid namespace: hostPID: true in a pod, --pid=host in Docker",
    ));
    let answer = probes::smallest_map().map(drop);
    let permitted = answer.is_ok();
    rows.push(bpf_call(answer, rights.unwrap_or_default()));
    (rows, permitted)
}

fn question(capability: &Capability) -> Question {
    Question {
        id: capability.id,
        group: Group::Privileges,
        item: capability.name,
        need: capability.need,
        lost: capability.lost,
    }
}

fn capability(capability: &Capability, rights: Rights) -> Row {
    let question = question(capability);
    let Some(held) = rights.capabilities else {
        return question.unknown(
            "/proc/thread-self/status does not tell it",
            "run it as root, for example with sudo",
        );
    };
    let holds = |number: &u8| held & (1 << number) != 0;
    match capability.any_of.iter().find(|number| holds(number)) {
        Some(number) if *number == capability.any_of[0] => question.pass("held"),
        Some(&SYS_ADMIN) => question.pass("held through CAP_SYS_ADMIN"),
        Some(_) => question.pass("held through CAP_DAC_OVERRIDE"),
        None if capability.need == Need::Informational => question.fail("not held", "none needed"),
        None => question.fail(
            "not held",
            format!(
                "run it as root, for example with sudo; in a pod add {} to \
                 securityContext.capabilities.add, in a unit {} to AmbientCapabilities=",
                &capability.name["CAP_".len()..],
                capability.name
            ),
        ),
    }
}

fn namespace(question: Question, kind: &str, initial: u64, mend: &str) -> Row {
    let path = format!("/proc/self/ns/{kind}");
    let link = std::fs::read_link(&path);
    let inode = link
        .as_ref()
        .ok()
        .and_then(|link| namespace_inode(link.to_str()?));
    match (inode, link) {
        (Some(inode), _) if inode == initial => question.pass("yes"),
        (Some(inode), _) => question.fail(format!("no, this is {kind}:[{inode}]"), mend),
        (None, Ok(link)) => question.unknown(format!("{path} reads {}", link.display()), mend),
        (None, Err(error)) => question.unknown(format!("{path} cannot be read: {error}"), mend),
    }
}

fn namespace_inode(link: &str) -> Option<u64> {
    link.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
}

fn bpf_call(answer: Result<(), Errno>, rights: Rights) -> Row {
    match answer {
        Ok(()) => BPF_CALL.pass("a map can be made"),
        Err(Errno::NOSYS) => BPF_CALL.fail(
            "the kernel was built without it",
            "use a kernel with CONFIG_BPF_SYSCALL",
        ),
        Err(Errno::PERM) if rights.filtered => BPF_CALL.fail(
            "refused, and a seccomp filter is in force",
            "run it as root, and in a container without the default seccomp profile: \
             seccompProfile type Unconfined in a pod, --security-opt seccomp=unconfined in Docker",
        ),
        Err(Errno::PERM) => BPF_CALL.fail(
            "refused to this process",
            "run it as root with CAP_BPF and CAP_PERFMON, for example with sudo",
        ),
        Err(errno) => BPF_CALL.unknown(errno.to_string(), "run `davy doctor` again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Verdict;

    fn verdicts(mask: u64) -> Vec<(&'static str, Verdict, String)> {
        let rights = Rights {
            capabilities: Some(mask),
            filtered: false,
        };
        let row = |it| capability(it, rights);
        CAPABILITIES
            .iter()
            .map(row)
            .map(|row| (row.item, row.verdict, row.found))
            .collect()
    }

    #[test]
    fn status_of_a_docker_container() {
        let rights = Rights::parse(
            "Name:\tdavy\nCapInh:\t0000000000000000\nCapEff:\t00000000a80425fb\n\
             CapBnd:\t00000000a80425fb\nSeccomp:\t2\nSeccomp_filters:\t1\n",
        );
        assert_eq!(
            rights,
            Rights {
                capabilities: Some(0xa804_25fb),
                filtered: true
            }
        );
        assert_eq!(Rights::parse("garbage"), Rights::default());
    }

    #[test]
    fn no_capability_fails_every_row() {
        assert!(
            verdicts(0)
                .iter()
                .all(|(_, verdict, _)| *verdict == Verdict::Fail)
        );
    }

    #[test]
    fn a_wider_capability_stands_for_a_narrow_one() {
        let seen = verdicts((1 << SYS_ADMIN) | (1 << DAC_OVERRIDE));
        let found = |name: &str| {
            seen.iter()
                .find(|(item, ..)| *item == name)
                .map(|it| &*it.2)
        };
        assert_eq!(found("CAP_BPF"), Some("held through CAP_SYS_ADMIN"));
        assert_eq!(
            found("CAP_DAC_READ_SEARCH"),
            Some("held through CAP_DAC_OVERRIDE")
        );
        assert_eq!(found("CAP_KILL"), Some("not held"));
    }

    #[test]
    fn an_unreadable_status_is_unknown_not_clean() {
        for it in &CAPABILITIES {
            assert_eq!(capability(it, Rights::default()).verdict, Verdict::Unknown);
        }
    }

    #[test]
    fn bpf_refused_by_seccomp_is_told_apart() {
        let filtered = Rights {
            capabilities: Some(u64::MAX),
            filtered: true,
        };
        let row = bpf_call(Err(Errno::PERM), filtered);
        assert_eq!(row.verdict, Verdict::Fail);
        assert!(row.mend.expect("a next step").contains("seccomp"));
        assert_eq!(
            bpf_call(Err(Errno::NOMEM), filtered).verdict,
            Verdict::Unknown
        );
    }

    #[test]
    fn namespace_links() {
        assert_eq!(
            namespace_inode("pid:[4026531836]"),
            Some(INITIAL_PID_NAMESPACE)
        );
        assert_eq!(namespace_inode("pid:[]"), None);
        assert_eq!(namespace_inode("elsewhere"), None);
    }
}
