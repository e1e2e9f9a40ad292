//! The kernel itself: release, types, lockdown, settings, tracepoints.

use std::io;

use super::question::Question;
use super::survey::{Group, Kernel, Need, Row, Verdict};
use super::vmlinux::{self, Kind, TypeNames, TypesError};

const RELEASE: Question = Question {
    id: "kernel.release",
    group: Group::Kernel,
    item: "kernel",
    need: Need::Informational,
    lost: "nothing: features are asked for one by one, whatever the release",
};

const TYPES: Question = Question {
    id: "kernel.btf",
    group: Group::Kernel,
    item: "kernel types (BTF)",
    need: Need::Required,
    lost: "the guard: its programs cannot be fitted to this kernel's structures",
};

const LOCKDOWN: Question = Question {
    id: "kernel.lockdown",
    group: Group::Kernel,
    item: "lockdown",
    need: Need::Required,
    lost: "the guard: under confidentiality no program may read kernel memory",
};

const UNPRIVILEGED: Question = Question {
    id: "kernel.unprivileged-bpf",
    group: Group::Kernel,
    item: "BPF closed to other users",
    need: Need::Improves,
    lost: "any user of this machine may load BPF programs, a way in that the guard does not watch",
};

/// The row of the kernel's release.
pub(super) fn release(kernel: &Kernel) -> Row {
    RELEASE.pass(format!("Linux {} on {}", kernel.release, kernel.arch))
}

/// The row of the kernel's types.
pub(super) fn types(types: &Result<TypeNames, TypesError>) -> Row {
    match types {
        Ok(types) => TYPES.pass(format!("{} readable, {} types", vmlinux::PATH, types.count)),
        Err(error @ TypesError::Absent) => TYPES.fail(
            error.to_string(),
            "use a kernel with CONFIG_DEBUG_INFO_BTF; where sysfs is missing: sudo mount -t sysfs \
             sysfs /sys",
        ),
        Err(error @ TypesError::Unreadable(_)) => {
            TYPES.fail(error.to_string(), "run it as root, for example with sudo")
        }
        Err(error @ TypesError::Malformed(..)) => TYPES.unknown(
            error.to_string(),
            "report it with the output of uname -a: this is a bug",
        ),
    }
}

/// How far the kernel is closed even to root (see kernel_lockdown(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lockdown {
    /// Not at all.
    None,
    /// It cannot be changed.
    Integrity,
    /// Nor can its memory be read.
    Confidentiality,
}

impl Lockdown {
    /// Reads `/sys/kernel/security/lockdown`, which brackets the mode in force.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let chosen = text.split_whitespace().find_map(|word| {
            word.strip_prefix('[')
                .and_then(|word| word.strip_suffix(']'))
        })?;
        match chosen {
            "none" => Some(Self::None),
            "integrity" => Some(Self::Integrity),
            "confidentiality" => Some(Self::Confidentiality),
            _ => None,
        }
    }
}

/// The state of lockdown as the kernel's file tells it.
pub(super) fn read_lockdown() -> io::Result<String> {
    std::fs::read_to_string("/sys/kernel/security/lockdown")
}

/// The row of lockdown. Where the state cannot be read, `reads_kernel` answers instead: the
/// verdict of the program that reads kernel memory, which confidentiality alone refuses.
pub(super) fn lockdown(state: io::Result<String>, reads_kernel: Option<Verdict>) -> Row {
    const MOUNT: &str = "sudo mount -t securityfs securityfs /sys/kernel/security";
    let untold = match &state {
        Ok(text) => match Lockdown::parse(text) {
            Some(Lockdown::None) => return LOCKDOWN.pass("none"),
            Some(Lockdown::Integrity) => return LOCKDOWN.pass("integrity, which allows the guard"),
            Some(Lockdown::Confidentiality) => {
                return LOCKDOWN.fail(
                    "confidentiality",
                    "boot with lockdown=integrity, or without lockdown=",
                );
            }
            None => format!("the state reads {:?}", text.trim()),
        },
        Err(error) => format!("the state cannot be read: {error}"),
    };
    match reads_kernel {
        Some(Verdict::Pass) => LOCKDOWN.pass(format!(
            "not confidentiality, for programs may read kernel memory ({untold})"
        )),
        _ => LOCKDOWN.unknown(untold, MOUNT),
    }
}

/// The row of `kernel.unprivileged_bpf_disabled`.
pub(super) fn unprivileged() -> Row {
    unprivileged_from(std::fs::read_to_string(
        "/proc/sys/kernel/unprivileged_bpf_disabled",
    ))
}

fn unprivileged_from(setting: io::Result<String>) -> Row {
    const MEND: &str = "sudo sysctl -w kernel.unprivileged_bpf_disabled=2";
    match setting.as_ref().map(|text| text.trim()) {
        Ok(value @ ("1" | "2")) => {
            UNPRIVILEGED.pass(format!("kernel.unprivileged_bpf_disabled = {value}"))
        }
        Ok("0") => UNPRIVILEGED.fail("kernel.unprivileged_bpf_disabled = 0", MEND),
        Ok(other) => UNPRIVILEGED.unknown(
            format!("kernel.unprivileged_bpf_disabled = {other:?}"),
            MEND,
        ),
        Err(error) => UNPRIVILEGED.unknown(
            format!("kernel.unprivileged_bpf_disabled cannot be read: {error}"),
            MEND,
        ),
    }
}

const fn tracepoint(
    id: &'static str,
    item: &'static str,
    need: Need,
    lost: &'static str,
) -> Question {
    Question {
        id,
        group: Group::Tracepoints,
        item,
        need,
        lost,
    }
}

/// The tracepoints the guard attaches to, each with the typedef by which the kernel's types name
/// it.
const TRACEPOINTS: [(Question, &str); 8] = [
    (
        tracepoint(
            "tracepoint.sched-process-exec",
            "sched:sched_process_exec",
            Need::Required,
            "the guard: there is no place to judge an exec before its first instruction",
        ),
        super::probes::EXEC,
    ),
    (
        tracepoint(
            "tracepoint.page-fault-user",
            "exceptions:page_fault_user",
            Need::Improves,
            "arguments whose pages are not in memory at exec are finished by the agent while the \
             process is held, not in the kernel",
        ),
        "btf_trace_page_fault_user",
    ),
    (
        tracepoint(
            "tracepoint.signal-generate",
            "signal:signal_generate",
            Need::Improves,
            "a held process that another wakes with SIGCONT is not noticed in the kernel",
        ),
        "btf_trace_signal_generate",
    ),
    (
        tracepoint(
            "tracepoint.cgroup-mkdir",
            "cgroup:cgroup_mkdir",
            Need::Improves,
            "a new container's cgroup is learnt from its runtime or its first exec, not when made",
        ),
        "btf_trace_cgroup_mkdir",
    ),
    (
        tracepoint(
            "tracepoint.x86-fpu-regs-deactivated",
            "x86_fpu:x86_fpu_regs_deactivated",
            Need::Improves,
            "in which rounding mode threads compute is not seen, so neither is RandomX by it; \
             x86_64 alone has this",
        ),
        "btf_trace_x86_fpu_regs_deactivated",
    ),
    (
        tracepoint(
            "tracepoint.inet-sock-set-state",
            "sock:inet_sock_set_state",
            Need::Improves,
            "who connects is not noted, so banned addresses and many destinations are not seen, \
             and who speaks to a pool is killed at its next call on the socket",
        ),
        "btf_trace_inet_sock_set_state",
    ),
    (
        tracepoint(
            "tracepoint.sock-send-length",
            "sock:sock_send_length",
            Need::Improves,
            "a socket that was handed on is taken to be whose it was before, until it receives",
        ),
        "btf_trace_sock_send_length",
    ),
    (
        tracepoint(
            "tracepoint.sock-recv-length",
            "sock:sock_recv_length",
            Need::Improves,
            "a socket that was handed on is taken to be whose it was before, until it sends",
        ),
        "btf_trace_sock_recv_length",
    ),
];

/// The typedefs of the tracepoints.
pub(super) fn wanted() -> impl Iterator<Item = (Kind, &'static str)> {
    TRACEPOINTS
        .iter()
        .map(|(_, typedef)| (Kind::Typedef, *typedef))
}

/// A row for each tracepoint.
pub(super) fn tracepoints(types: Option<&TypeNames>, kernel: &Kernel) -> Vec<Row> {
    let row = |(question, typedef): &(Question, &'static str)| match types {
        None => question.unknown(
            "the kernel's types cannot be read",
            "see the row of the kernel types",
        ),
        Some(types) if types.id(Kind::Typedef, typedef).is_some() => {
            question.pass("in the kernel's types")
        }
        Some(_) => question.fail(
            format!("this kernel has no {typedef} ({})", kernel.arch),
            "use a kernel that has it: Debian's and Ubuntu's do on x86_64",
        ),
    };
    TRACEPOINTS.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lockdown_states() {
        let cases = [
            ("[none] integrity confidentiality\n", Some(Lockdown::None)),
            (
                "none [integrity] confidentiality\n",
                Some(Lockdown::Integrity),
            ),
            (
                "none integrity [confidentiality]\n",
                Some(Lockdown::Confidentiality),
            ),
            ("none integrity confidentiality\n", None),
            ("none [other]\n", None),
            ("", None),
        ];
        for (text, state) in cases {
            assert_eq!(Lockdown::parse(text), state, "{text:?}");
        }
    }

    #[test]
    fn lockdown_rows() {
        let read = |text: &str, probe| lockdown(Ok(text.to_owned()), probe).verdict;
        assert_eq!(
            read("none [integrity] confidentiality", None),
            Verdict::Pass
        );
        let closed = read("none integrity [confidentiality]", Some(Verdict::Pass));
        assert_eq!(closed, Verdict::Fail, "the file goes before the probe");

        let unmounted = || Err(io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(
            lockdown(unmounted(), Some(Verdict::Pass)).verdict,
            Verdict::Pass
        );
        assert_eq!(
            lockdown(unmounted(), Some(Verdict::Fail)).verdict,
            Verdict::Unknown
        );
        assert_eq!(
            lockdown(unmounted(), Some(Verdict::Unknown)).verdict,
            Verdict::Unknown
        );
        assert_eq!(lockdown(unmounted(), None).verdict, Verdict::Unknown);
    }

    #[test]
    fn unprivileged_settings() {
        let read = |text: &str| unprivileged_from(Ok(text.to_owned())).verdict;
        assert_eq!(read("2\n"), Verdict::Pass);
        assert_eq!(read("1\n"), Verdict::Pass);
        assert_eq!(read("0\n"), Verdict::Fail);
        assert_eq!(read("7\n"), Verdict::Unknown);
        let absent = Err(io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(unprivileged_from(absent).verdict, Verdict::Unknown);
    }

    #[test]
    fn a_kernel_without_the_tracepoints() {
        let kernel = Kernel {
            release: "6.1".to_owned(),
            arch: "aarch64".to_owned(),
        };
        let rows = tracepoints(Some(&TypeNames::default()), &kernel);
        assert!(rows.iter().all(|row| row.verdict == Verdict::Fail));
        let rows = tracepoints(None, &kernel);
        assert!(rows.iter().all(|row| row.verdict == Verdict::Unknown));
    }
}
