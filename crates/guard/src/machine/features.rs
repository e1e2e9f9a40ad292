//! The BPF features the guard uses: what hangs on each, and how to come by it.
//!
//! Each is asked for by a probe. A version number would lie in both directions: vendors carry
//! features back, and build options and lockdown take them away.

use super::probes::{self, Failed, Probing};
use super::question::Question;
use super::survey::{Group, Need, Row};

const RUN_AS_ROOT: &str = "run it as root with CAP_BPF and CAP_PERFMON, for example with sudo";

type Probe = fn(&Probing<'_>) -> Result<String, Failed>;

struct Feature {
    question: Question,
    probe: Probe,
    mend: &'static str,
}

const fn feature(
    id: &'static str,
    item: &'static str,
    need: Need,
    probe: Probe,
    lost: &'static str,
    mend: &'static str,
) -> Feature {
    Feature {
        question: Question {
            id,
            group: Group::Bpf,
            item,
            need,
            lost,
        },
        probe,
        mend,
    }
}

const FEATURES: [Feature; 16] = [
    feature(
        "bpf.tp-btf",
        "program at sched_process_exec",
        Need::Required,
        probes::tp_btf,
        "the guard: no program can look at an exec before its first instruction",
        "use a kernel with CONFIG_BPF_EVENTS and CONFIG_DEBUG_INFO_BTF (Debian 12, Ubuntu 22.04 \
         HWE or later have them)",
    ),
    feature(
        "bpf.probe-read-kernel",
        "reading kernel memory",
        Need::Required,
        probes::probe_read_kernel,
        "the guard: it cannot follow a task to its arguments and its cgroup",
        "boot without lockdown=confidentiality (integrity is fine)",
    ),
    feature(
        "bpf.send-signal",
        "signal from a program",
        Need::Required,
        probes::send_signal,
        "the guard: a match cannot be killed in the kernel",
        "use kernel 5.3 or later",
    ),
    feature(
        "bpf.loop",
        "bpf_loop",
        Need::Required,
        probes::bpf_loop,
        "the guard: an argument list of any length cannot be walked to its end",
        "use kernel 5.17 or later (Debian 12 has 6.1)",
    ),
    feature(
        "bpf.ringbuf",
        "ring buffer",
        Need::Required,
        probes::ring_buffer,
        "the guard: it has no way to tell what it did",
        "use kernel 5.8 or later",
    ),
    feature(
        "bpf.map-in-map",
        "array of maps, sizes free",
        Need::Required,
        probes::map_in_map,
        "the guard: its tables cannot be swapped in one step",
        "use kernel 5.10 or later",
    ),
    feature(
        "bpf.iter-task",
        "task iterator",
        Need::Required,
        probes::task_iterator,
        "the guard: it cannot judge the processes that ran before it",
        "use kernel 5.8 or later with CONFIG_BPF_EVENTS",
    ),
    feature(
        "bpf.raw-tp",
        "raw tracepoint program",
        Need::Improves,
        probes::raw_tracepoint,
        "tracepoints for which the kernel has no types cannot be used instead",
        "use a kernel with CONFIG_BPF_EVENTS",
    ),
    feature(
        "bpf.timer",
        "timer in a tracing program",
        Need::Improves,
        probes::timer,
        "the deadline of a held process is kept by the agent alone; should the agent die, its \
         successor settles the held",
        "use kernel 5.15 or later",
    ),
    feature(
        "bpf.send-signal-task",
        "bpf_send_signal_task",
        Need::Improves,
        probes::send_signal_task,
        "a program can signal only the process it runs in; others are signalled by the agent",
        "use kernel 6.13 or later",
    ),
    feature(
        "bpf.task-from-pid",
        "bpf_task_from_pid",
        Need::Improves,
        probes::task_from_pid,
        "a program cannot look up another process; the agent does it by pidfd",
        "use kernel 6.2 or later",
    ),
    feature(
        "bpf.cgroup-skb",
        "program on a cgroup's packets",
        Need::Improves,
        probes::cgroup_skb,
        "what sockets say is not followed: no pool is seen on the wire, by protocol, name or address",
        "use a kernel with CONFIG_CGROUP_BPF, and give the guard CAP_NET_ADMIN",
    ),
    feature(
        "bpf.kprobe",
        "kprobe",
        Need::Informational,
        probes::kprobe,
        "nothing: the guard does not use it",
        "none needed (CONFIG_KPROBE_EVENTS)",
    ),
    feature(
        "bpf.fentry",
        "fentry",
        Need::Informational,
        probes::fentry,
        "nothing: the guard does not use it",
        "none needed (CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS)",
    ),
    feature(
        "bpf.lsm",
        "LSM program",
        Need::Informational,
        probes::lsm,
        "nothing: the guard does not use it",
        "none needed (CONFIG_BPF_LSM and `bpf` in the lsm= boot parameter)",
    ),
    feature(
        "bpf.jit",
        "compiled programs",
        Need::Improves,
        probes::jit_setting,
        "programs are interpreted: each exec costs several times as much, and kernel functions \
         cannot be called",
        "sudo sysctl -w net.core.bpf_jit_enable=1",
    ),
];

/// Asks for every feature.
pub(super) fn rows(probing: &Probing<'_>) -> Vec<Row> {
    FEATURES
        .iter()
        .map(|feature| ask(probing, feature))
        .collect()
}

fn ask(
    probing: &Probing<'_>,
    Feature {
        question,
        probe,
        mend,
    }: &Feature,
) -> Row {
    if !probing.permitted && question.id != "bpf.jit" {
        return question.unknown("not asked: bpf(2) is not permitted here", RUN_AS_ROOT);
    }
    match probe(probing) {
        Ok(found) => question.pass(found),
        Err(Failed::Refused(found)) => question.fail(found, *mend),
        Err(Failed::Forbidden) if probing.privileged => question.fail(
            "refused by the kernel's policy, though the capabilities are held",
            *mend,
        ),
        Err(Failed::Forbidden) => {
            question.unknown("not asked: this process may not load it", RUN_AS_ROOT)
        }
        Err(Failed::NotAsked(found)) => question.unknown(found, *mend),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_refusal_despite_the_capabilities_is_policy() {
        let forbidden = feature(
            "bpf.test",
            "test",
            Need::Required,
            |_| Err(Failed::Forbidden),
            "a test",
            "another kernel",
        );
        let asked = |privileged| {
            let probing = Probing {
                types: None,
                permitted: true,
                privileged,
            };
            ask(&probing, &forbidden)
        };
        assert_eq!(asked(true).verdict, Verdict::Fail);
        assert_eq!(asked(true).mend.as_deref(), Some("another kernel"));
        assert_eq!(asked(false).verdict, Verdict::Unknown);
        assert_eq!(asked(false).mend.as_deref(), Some(RUN_AS_ROOT));
    }

    #[test]
    fn nothing_is_asked_without_permission() {
        let rows = rows(&Probing {
            types: None,
            permitted: false,
            privileged: false,
        });
        for row in rows.iter().filter(|row| row.id != "bpf.jit") {
            assert_eq!(row.verdict, Verdict::Unknown, "{}", row.id);
            assert_eq!(row.mend.as_deref(), Some(RUN_AS_ROOT), "{}", row.id);
        }
    }
}
