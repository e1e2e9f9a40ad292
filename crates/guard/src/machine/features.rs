//! What the kernel's BPF really does: each feature is asked for by loading a tiny program or
//! making a small map, which is closed again at once and never attached.
//!
//! A version number would lie in both directions: vendors carry features back, and build options
//! and lockdown take them away.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use libbpf_rs::libbpf_sys as sys;
use rustix::io::Errno;
use rustix::param::page_size;

use super::program::{self, Insn, R10, RETURN_ZERO};
use super::survey::{Group, Need, Question, Row};
use super::syscall::{
    Functions, MapSpec, ProgramSpec, Refusal, ValueTypes, create_map, load_program, load_types,
};
use super::vmlinux::{Kind, TypeNames};

/// The tracepoint at which the guard kills, as its typedef is called.
pub(super) const EXEC: &str = "btf_trace_sched_process_exec";
const ITERATOR: &str = "bpf_iter_task";
const SEND_SIGNAL_TASK: &str = "bpf_send_signal_task";
const TASK_FROM_PID: &str = "bpf_task_from_pid";
const TASK_RELEASE: &str = "bpf_task_release";
const KPROBES: &str = "register_kprobe";
const DIRECT_CALLS: &str = "register_ftrace_direct";
const LSM_HOOK: &str = "bpf_lsm_bprm_check_security";
/// A function every kernel has and that can be traced; nothing is attached to it.
const TRACED: &str = "do_exit";

/// Every type the probes look up.
pub(super) const WANTED: [(Kind, &str); 9] = [
    (Kind::Typedef, EXEC),
    (Kind::Function, ITERATOR),
    (Kind::Function, SEND_SIGNAL_TASK),
    (Kind::Function, TASK_FROM_PID),
    (Kind::Function, TASK_RELEASE),
    (Kind::Function, KPROBES),
    (Kind::Function, DIRECT_CALLS),
    (Kind::Function, LSM_HOOK),
    (Kind::Function, TRACED),
];

/// Where the kernel lists a kprobe source for perf_event_open(2), through which they attach.
const KPROBE_SOURCE: &str = "/sys/bus/event_source/devices/kprobe/type";

const RUN_AS_ROOT: &str = "run it as root, for example with sudo";

/// How one probe went, when it did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failed {
    /// The kernel has the right to be asked and says no.
    Refused(String),
    /// The kernel would not hear the question.
    NotAsked(String),
}

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Self {
        Refusal::from(errno).into()
    }
}

impl From<Refusal> for Failed {
    fn from(Refusal { errno, reason }: Refusal) -> Self {
        let found = match reason {
            Some(reason) => format!("{errno}: {reason}"),
            None => errno.to_string(),
        };
        match errno {
            // Want of a privilege, or of room just now, says nothing of the feature.
            Errno::PERM
            | Errno::NOMEM
            | Errno::MFILE
            | Errno::NFILE
            | Errno::AGAIN
            | Errno::INTR => Self::NotAsked(found),
            _ => Self::Refused(found),
        }
    }
}

/// The state all probes share.
pub(super) struct Probing<'a> {
    /// The kernel's types, where they can be read.
    pub types: Option<&'a TypeNames>,
    /// Whether bpf(2) may be called at all.
    pub permitted: bool,
}

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

const FEATURES: [Feature; 15] = [
    feature(
        "bpf.tp-btf",
        "program at sched_process_exec",
        Need::Required,
        |probing| probing.load_at_exec(&RETURN_ZERO),
        "the guard: no program can look at an exec before its first instruction",
        "use a kernel with CONFIG_BPF_EVENTS and CONFIG_DEBUG_INFO_BTF (Debian 12, Ubuntu 22.04 \
         HWE or later have them)",
    ),
    feature(
        "bpf.probe-read-kernel",
        "reading kernel memory",
        Need::Required,
        probe_read_kernel,
        "the guard: it cannot follow a task to its arguments and its cgroup",
        "boot without lockdown=confidentiality (integrity is fine)",
    ),
    feature(
        "bpf.send-signal",
        "signal from a program",
        Need::Required,
        |probing| {
            let call = Insn::call_helper(sys::BPF_FUNC_send_signal);
            probing.load_at_exec(&[
                Insn::set(1, libc::SIGKILL),
                call,
                Insn::set(0, 0),
                Insn::exit(),
            ])
        },
        "the guard: a match cannot be killed in the kernel",
        "use kernel 5.3 or later",
    ),
    feature(
        "bpf.loop",
        "bpf_loop",
        Need::Required,
        bpf_loop,
        "the guard: an argument list of any length cannot be walked to its end",
        "use kernel 5.17 or later (Debian 12 has 6.1)",
    ),
    feature(
        "bpf.ringbuf",
        "ring buffer",
        Need::Required,
        |_| {
            let entries = page_size() as u32;
            let spec = MapSpec {
                kind: sys::BPF_MAP_TYPE_RINGBUF,
                entries,
                ..MapSpec::default()
            };
            create_map(&spec)?;
            Ok("made".to_owned())
        },
        "the guard: it has no way to tell what it did",
        "use kernel 5.8 or later",
    ),
    feature(
        "bpf.map-in-map",
        "array of maps, sizes free",
        Need::Required,
        map_in_map,
        "the guard: its tables cannot be swapped in one step",
        "use kernel 5.10 or later",
    ),
    feature(
        "bpf.iter-task",
        "task iterator",
        Need::Required,
        |probing| probing.load(sys::BPF_TRACE_ITER, Kind::Function, ITERATOR, &RETURN_ZERO),
        "the guard: it cannot judge the processes that ran before it",
        "use kernel 5.8 or later with CONFIG_BPF_EVENTS",
    ),
    feature(
        "bpf.raw-tp",
        "raw tracepoint program",
        Need::Improves,
        |_| {
            let kind = sys::BPF_PROG_TYPE_RAW_TRACEPOINT;
            load_program(&ProgramSpec {
                kind,
                instructions: &RETURN_ZERO,
                ..ProgramSpec::default()
            })?;
            Ok("loads".to_owned())
        },
        "tracepoints for which the kernel has no types cannot be used instead",
        "use a kernel with CONFIG_BPF_EVENTS",
    ),
    feature(
        "bpf.timer",
        "timer in a tracing program",
        Need::Improves,
        timer,
        "the deadline of a held process is kept by the agent alone; should the agent die, its \
         successor settles the held",
        "use kernel 5.15 or later",
    ),
    feature(
        "bpf.send-signal-task",
        "bpf_send_signal_task",
        Need::Improves,
        |probing| {
            let signal = probing.function(SEND_SIGNAL_TASK)?;
            probing.load_at_exec(&[
                Insn::load64(1, 1, 0),
                Insn::set(2, libc::SIGKILL),
                // PIDTYPE_TGID: the whole process.
                Insn::set(3, 1),
                Insn::set(4, 0),
                Insn::call_kfunc(signal),
                Insn::set(0, 0),
                Insn::exit(),
            ])
        },
        "a program can signal only the process it runs in; others are signalled by the agent",
        "use kernel 6.13 or later",
    ),
    feature(
        "bpf.task-from-pid",
        "bpf_task_from_pid",
        Need::Improves,
        |probing| {
            let (find, release) = (
                probing.function(TASK_FROM_PID)?,
                probing.function(TASK_RELEASE)?,
            );
            probing.load_at_exec(&[
                Insn::set(1, 1),
                Insn::call_kfunc(find),
                Insn::skip_if_zero(0, 2),
                Insn::copy(1, 0),
                Insn::call_kfunc(release),
                Insn::set(0, 0),
                Insn::exit(),
            ])
        },
        "a program cannot look up another process; the agent does it by pidfd",
        "use kernel 6.2 or later",
    ),
    feature(
        "bpf.kprobe",
        "kprobe",
        Need::Informational,
        kprobe,
        "nothing: the guard does not use it",
        "none needed (CONFIG_KPROBE_EVENTS)",
    ),
    feature(
        "bpf.fentry",
        "fentry",
        Need::Informational,
        fentry,
        "nothing: the guard does not use it",
        "none needed (CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS)",
    ),
    feature(
        "bpf.lsm",
        "LSM program",
        Need::Informational,
        lsm,
        "nothing: the guard does not use it",
        "none needed (CONFIG_BPF_LSM and `bpf` in the lsm= boot parameter)",
    ),
    feature(
        "bpf.jit",
        "compiled programs",
        Need::Improves,
        |_| jit(std::fs::read_to_string("/proc/sys/net/core/bpf_jit_enable")),
        "programs are interpreted: each exec costs several times as much, and kernel functions \
         cannot be called",
        "sudo sysctl -w net.core.bpf_jit_enable=1",
    ),
];

/// Asks for every feature.
pub(super) fn rows(probing: &Probing<'_>) -> Vec<Row> {
    FEATURES
        .iter()
        .map(|feature| probing.ask(feature))
        .collect()
}

impl Probing<'_> {
    fn ask(
        &self,
        Feature {
            question,
            probe,
            mend,
        }: &Feature,
    ) -> Row {
        if !self.permitted && question.id != "bpf.jit" {
            return question.unknown("not asked: bpf(2) is not permitted here", RUN_AS_ROOT);
        }
        match probe(self) {
            Ok(found) => question.pass(found),
            Err(Failed::Refused(found)) => question.fail(found, *mend),
            Err(Failed::NotAsked(found)) => question.unknown(found, RUN_AS_ROOT),
        }
    }

    fn id(&self, kind: Kind, name: &'static str) -> Result<u32, Failed> {
        let types = self.types.ok_or_else(|| {
            Failed::NotAsked("not asked: the kernel's types cannot be read".to_owned())
        })?;
        types
            .id(kind, name)
            .ok_or_else(|| Failed::Refused(format!("this kernel has no {name}")))
    }

    fn function(&self, name: &'static str) -> Result<u32, Failed> {
        self.id(Kind::Function, name)
    }

    fn load(
        &self,
        attach: u32,
        kind: Kind,
        target: &'static str,
        instructions: &[Insn],
    ) -> Result<String, Failed> {
        self.load_with(attach, kind, target, instructions, None)
    }

    fn load_at_exec(&self, instructions: &[Insn]) -> Result<String, Failed> {
        self.load(sys::BPF_TRACE_RAW_TP, Kind::Typedef, EXEC, instructions)
    }

    fn load_with(
        &self,
        attach: u32,
        kind: Kind,
        target: &'static str,
        instructions: &[Insn],
        functions: Option<Functions<'_>>,
    ) -> Result<String, Failed> {
        load_program(&ProgramSpec {
            kind: if attach == sys::BPF_LSM_MAC {
                sys::BPF_PROG_TYPE_LSM
            } else {
                sys::BPF_PROG_TYPE_TRACING
            },
            attach,
            attach_type_id: self.id(kind, target)?,
            instructions,
            functions,
        })?;
        Ok("loads".to_owned())
    }
}

/// Makes the smallest map there is: whether bpf(2) may be called at all.
pub(super) fn smallest_map() -> Result<OwnedFd, Errno> {
    create_map(&array(4, 0))
}

fn array(value_bytes: u32, flags: u32) -> MapSpec<'static> {
    let kind = sys::BPF_MAP_TYPE_ARRAY;
    MapSpec {
        kind,
        key_bytes: 4,
        value_bytes,
        entries: 1,
        flags,
        ..MapSpec::default()
    }
}

fn probe_read_kernel(probing: &Probing<'_>) -> Result<String, Failed> {
    probing.load_at_exec(&[
        Insn::copy(1, R10),
        Insn::add(1, -8),
        Insn::set(2, 8),
        Insn::set(3, 0),
        Insn::call_helper(sys::BPF_FUNC_probe_read_kernel),
        Insn::set(0, 0),
        Insn::exit(),
    ])
}

fn bpf_loop(probing: &Probing<'_>) -> Result<String, Failed> {
    const CALLBACK: u32 = 8;
    let types = program::callback_types();
    let fd = load_types(&types.blob)?;
    let [high, low] = Insn::function(2, CALLBACK as i32 - 1);
    let [zero, exit] = RETURN_ZERO;
    let instructions = [
        Insn::set(1, 1),
        high,
        low,
        Insn::set(3, 0),
        Insn::set(4, 0),
        Insn::call_helper(sys::BPF_FUNC_loop),
        zero,
        exit,
        // The callback.
        zero,
        exit,
    ];
    let starts = [(0, types.main), (CALLBACK, types.callback)];
    let functions = Some(Functions {
        fd: fd.as_fd(),
        starts: &starts,
    });
    probing.load_with(
        sys::BPF_TRACE_RAW_TP,
        Kind::Typedef,
        EXEC,
        &instructions,
        functions,
    )
}

fn map_in_map(_: &Probing<'_>) -> Result<String, Failed> {
    let inner = create_map(&array(4, sys::BPF_F_INNER_MAP))?;
    create_map(&MapSpec {
        kind: sys::BPF_MAP_TYPE_ARRAY_OF_MAPS,
        inner: Some(inner.as_fd()),
        ..array(4, 0)
    })?;
    Ok("made, inner maps of any size".to_owned())
}

fn timer(probing: &Probing<'_>) -> Result<String, Failed> {
    let types = program::timer_types();
    let fd = load_types(&types.blob)?;
    let value_types = ValueTypes {
        fd: fd.as_fd(),
        key: types.key,
        value: types.value,
    };
    let map = create_map(&MapSpec {
        types: Some(value_types),
        ..array(program::TIMER_BYTES, 0)
    })?;
    let [first_high, first_low] = Insn::map(1, map.as_raw_fd());
    let [second_high, second_low] = Insn::map(2, map.as_raw_fd());
    probing.load_at_exec(&[
        Insn::store32(R10, -4, 0),
        first_high,
        first_low,
        Insn::copy(2, R10),
        Insn::add(2, -4),
        Insn::call_helper(sys::BPF_FUNC_map_lookup_elem),
        Insn::skip_if_zero(0, 5),
        Insn::copy(1, 0),
        second_high,
        second_low,
        Insn::set(3, libc::CLOCK_MONOTONIC),
        Insn::call_helper(sys::BPF_FUNC_timer_init),
        Insn::set(0, 0),
        Insn::exit(),
    ])
}

/// The program type loads wherever uprobes do, so the probe source is asked for as well.
fn kprobe(probing: &Probing<'_>) -> Result<String, Failed> {
    load_program(&ProgramSpec {
        kind: sys::BPF_PROG_TYPE_KPROBE,
        instructions: &RETURN_ZERO,
        ..ProgramSpec::default()
    })?;
    probing.function(KPROBES)?;
    if !std::path::Path::new(KPROBE_SOURCE).exists() {
        return Err(Failed::Refused(
            "the program type loads, but there is no kprobe event source to attach it to"
                .to_owned(),
        ));
    }
    Ok("loads, and there is a kprobe event source".to_owned())
}

/// Loading shows the type, not that functions can be hooked; that takes ftrace's direct calls.
fn fentry(probing: &Probing<'_>) -> Result<String, Failed> {
    probing.load(sys::BPF_TRACE_FENTRY, Kind::Function, TRACED, &RETURN_ZERO)?;
    probing.function(DIRECT_CALLS)?;
    Ok("loads, and ftrace has direct calls".to_owned())
}

fn lsm(probing: &Probing<'_>) -> Result<String, Failed> {
    probing.load(sys::BPF_LSM_MAC, Kind::Function, LSM_HOOK, &RETURN_ZERO)?;
    match std::fs::read_to_string("/sys/kernel/security/lsm") {
        Ok(active) if active.trim().split(',').any(|name| name == "bpf") => {
            Ok("loads, and bpf is among the active modules".to_owned())
        }
        Ok(active) => Err(Failed::Refused(format!(
            "loads, but bpf is not among the active modules ({})",
            active.trim()
        ))),
        Err(error) => Err(Failed::NotAsked(format!(
            "loads, but the active modules cannot be read: {error}"
        ))),
    }
}

fn jit(setting: std::io::Result<String>) -> Result<String, Failed> {
    match setting.as_ref().map(|text| text.trim()) {
        Ok("0") => Err(Failed::Refused("net.core.bpf_jit_enable = 0".to_owned())),
        Ok(value) => Ok(format!("net.core.bpf_jit_enable = {value}")),
        // Only the initial network namespace shows it.
        Err(error) => Err(Failed::NotAsked(format!(
            "net.core.bpf_jit_enable cannot be read: {error}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_privilege_is_not_want_of_a_feature() {
        assert!(matches!(Failed::from(Errno::PERM), Failed::NotAsked(_)));
        assert!(matches!(Failed::from(Errno::NOMEM), Failed::NotAsked(_)));
        let refusal = Refusal {
            errno: Errno::INVAL,
            reason: Some("unknown func bpf_loop#181".to_owned()),
        };
        let Failed::Refused(found) = refusal.into() else {
            panic!("a feature was refused")
        };
        assert!(found.ends_with(": unknown func bpf_loop#181"), "{found}");
    }

    #[test]
    fn the_jit_setting() {
        assert!(jit(Ok("1\n".to_owned())).is_ok());
        assert!(matches!(jit(Ok("0\n".to_owned())), Err(Failed::Refused(_))));
        let absent = std::io::Error::from(std::io::ErrorKind::NotFound);
        assert!(matches!(jit(Err(absent)), Err(Failed::NotAsked(_))));
    }

    #[test]
    fn nothing_is_asked_without_permission() {
        let rows = rows(&Probing {
            types: None,
            permitted: false,
        });
        for row in rows.iter().filter(|row| row.id != "bpf.jit") {
            assert_eq!(row.verdict, super::super::Verdict::Unknown, "{}", row.id);
            assert_eq!(row.mend.as_deref(), Some(RUN_AS_ROOT), "{}", row.id);
        }
    }
}
