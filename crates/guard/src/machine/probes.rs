//! The probes: tiny programs and maps that ask the kernel for one feature each. They are closed
//! again at once and never attached.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use libbpf_rs::libbpf_sys as sys;
use rustix::io::Errno;
use rustix::param::page_size;

use super::program::{self, Insn, R10, RETURN_ZERO};
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

/// How one probe went, when it did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failed {
    /// The kernel was asked and says no.
    Refused(String),
    /// The kernel says that this process may not ask.
    Forbidden,
    /// The question could not be put, for a reason that says nothing of the feature.
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
            Errno::PERM => Self::Forbidden,
            // Want of room, just now.
            Errno::NOMEM | Errno::MFILE | Errno::NFILE | Errno::AGAIN | Errno::INTR => {
                Self::NotAsked(found)
            }
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
    /// Whether the capabilities that loading takes are held: then a refusal for want of
    /// permission is the kernel's policy, which no privilege of ours would change.
    pub privileged: bool,
}

impl Probing<'_> {
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

pub(super) fn tp_btf(probing: &Probing<'_>) -> Result<String, Failed> {
    probing.load_at_exec(&RETURN_ZERO)
}

pub(super) fn send_signal(probing: &Probing<'_>) -> Result<String, Failed> {
    let call = Insn::call_helper(sys::BPF_FUNC_send_signal);
    probing.load_at_exec(&[
        Insn::set(1, libc::SIGKILL),
        call,
        Insn::set(0, 0),
        Insn::exit(),
    ])
}

pub(super) fn ring_buffer(_: &Probing<'_>) -> Result<String, Failed> {
    let entries = page_size() as u32;
    let spec = MapSpec {
        kind: sys::BPF_MAP_TYPE_RINGBUF,
        entries,
        ..MapSpec::default()
    };
    create_map(&spec)?;
    Ok("made".to_owned())
}

pub(super) fn task_iterator(probing: &Probing<'_>) -> Result<String, Failed> {
    probing.load(sys::BPF_TRACE_ITER, Kind::Function, ITERATOR, &RETURN_ZERO)
}

pub(super) fn raw_tracepoint(_: &Probing<'_>) -> Result<String, Failed> {
    let kind = sys::BPF_PROG_TYPE_RAW_TRACEPOINT;
    load_program(&ProgramSpec {
        kind,
        instructions: &RETURN_ZERO,
        ..ProgramSpec::default()
    })?;
    Ok("loads".to_owned())
}

pub(super) fn cgroup_skb(_: &Probing<'_>) -> Result<String, Failed> {
    load_program(&ProgramSpec {
        kind: sys::BPF_PROG_TYPE_CGROUP_SKB,
        attach: sys::BPF_CGROUP_INET_EGRESS,
        instructions: &RETURN_ZERO,
        ..ProgramSpec::default()
    })?;
    Ok("loads".to_owned())
}

pub(super) fn send_signal_task(probing: &Probing<'_>) -> Result<String, Failed> {
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
}

pub(super) fn task_from_pid(probing: &Probing<'_>) -> Result<String, Failed> {
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
}

pub(super) fn jit_setting(_: &Probing<'_>) -> Result<String, Failed> {
    jit(std::fs::read_to_string("/proc/sys/net/core/bpf_jit_enable"))
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

pub(super) fn probe_read_kernel(probing: &Probing<'_>) -> Result<String, Failed> {
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

pub(super) fn bpf_loop(probing: &Probing<'_>) -> Result<String, Failed> {
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

pub(super) fn map_in_map(_: &Probing<'_>) -> Result<String, Failed> {
    let inner = create_map(&array(4, sys::BPF_F_INNER_MAP))?;
    create_map(&MapSpec {
        kind: sys::BPF_MAP_TYPE_ARRAY_OF_MAPS,
        inner: Some(inner.as_fd()),
        ..array(4, 0)
    })?;
    Ok("made, inner maps of any size".to_owned())
}

pub(super) fn timer(probing: &Probing<'_>) -> Result<String, Failed> {
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
pub(super) fn kprobe(probing: &Probing<'_>) -> Result<String, Failed> {
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
pub(super) fn fentry(probing: &Probing<'_>) -> Result<String, Failed> {
    probing.load(sys::BPF_TRACE_FENTRY, Kind::Function, TRACED, &RETURN_ZERO)?;
    probing.function(DIRECT_CALLS)?;
    Ok("loads, and ftrace has direct calls".to_owned())
}

pub(super) fn lsm(probing: &Probing<'_>) -> Result<String, Failed> {
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

    /// A probe that could not fail would say nothing: the kernel must refuse what no kernel has.
    #[test]
    fn the_kernel_refuses_what_it_does_not_have() {
        assert!(
            rustix::process::geteuid().is_root(),
            "this loads BPF programs: run as root"
        );
        let types = TypeNames::of_running_kernel(&WANTED).expect("a kernel with BTF");
        let probing = Probing {
            types: Some(&types),
            permitted: true,
            privileged: true,
        };
        const NO_HELPER: u32 = 0x00ff_ffff;
        let program = [Insn::call_helper(NO_HELPER), Insn::set(0, 0), Insn::exit()];
        let Err(Failed::Refused(found)) = probing.load_at_exec(&program) else {
            panic!("a helper of no kernel was accepted, or not asked for")
        };
        assert!(
            found.contains("invalid func"),
            "the verifier's words are told: {found}"
        );

        let missing = probing.function("davylamp_no_such_function");
        assert!(matches!(missing, Err(Failed::Refused(_))), "{missing:?}");
        let fd = create_map(&MapSpec {
            kind: u32::MAX,
            ..array(4, 0)
        });
        assert!(matches!(fd.map_err(Failed::from), Err(Failed::Refused(_))));
    }

    #[test]
    fn want_of_privilege_is_not_want_of_a_feature() {
        assert_eq!(Failed::from(Errno::PERM), Failed::Forbidden);
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
}
