//! Loading the embedded object and attaching its programs.

use std::{
    ffi::CStr,
    hash::{DefaultHasher, Hash, Hasher},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use libbpf_rs::{MapCore, MapHandle, Object, ObjectBuilder, libbpf_sys};
use zerocopy::IntoBytes;

use super::{Arrival, Kernel, KernelError, Maps, Start, bpf};

/// An object file is read in place, so it is aligned.
#[repr(align(8))]
pub(super) struct Aligned<Bytes: ?Sized>(pub(super) Bytes);

/// The compiled exec guard.
static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/guard.bpf.o")));

/// The program that judges each exec; also the name of its pins.
pub(super) const EXEC_HOOK: &str = "on_exec";
/// The program that watches over held processes.
pub(super) const FAULT_HOOK: &str = "on_user_fault";
/// The program that lists the running processes.
pub(super) const ITERATOR: &str = "list_tasks";
/// The program that answers the agent's questions to the ceilings.
pub(super) const CEILING_CALL: &str = "ask_ceiling";

/// Faults that tests inject. None by default, and then no code for them is loaded.
#[derive(Debug, Clone, Copy, Default)]
pub struct TestFaults {
    /// Reading the arguments of this process's children fails at exec.
    pub unreadable_children_of: Option<u32>,
}

/// Tells this version's programs from any other's.
pub(super) fn version() -> u64 {
    let mut hasher = DefaultHasher::new();
    OBJECT.0.hash(&mut hasher);
    hasher.finish()
}

/// The compiled object, for the test that compares its types with [`crate::abi`].
pub fn object_bytes() -> &'static [u8] {
    &OBJECT.0
}

/// The programs' descriptors.
pub(super) struct Programs {
    pub(super) exec: OwnedFd,
    /// Not there where the kernel has no tracepoint for it.
    pub(super) fault: Option<OwnedFd>,
    pub(super) iterator: OwnedFd,
    pub(super) ceiling: OwnedFd,
}

/// Loads the programs, puts `start` in force and attaches, in this order.
pub(super) fn load(start: &Start<'_>) -> Result<Kernel, KernelError> {
    let object = open(start)?;
    let maps = Maps::gather(|name| {
        let map = object
            .maps()
            .find(|map| map.name() == name)
            .expect("the object has its maps");
        MapHandle::try_from(&map).map_err(bpf("take hold of a map"))
    })?;
    let program = |name: &str| {
        let program = object
            .progs()
            .find(|program| program.name() == name)
            .expect("the object has its programs");
        program
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| KernelError::Bpf {
                doing: "take hold of a program",
                source: error.into(),
            })
    };
    let programs = Programs {
        exec: program(EXEC_HOOK)?,
        fault: has_fault_tracepoint()
            .then(|| program(FAULT_HOOK))
            .transpose()?,
        iterator: program(ITERATOR)?,
        ceiling: program(CEILING_CALL)?,
    };
    maps.prepare(start)?;
    let iterator = attach_iterator(programs.iterator.as_fd())?;
    let fault_link = programs
        .fault
        .as_ref()
        .filter(|_| start.can_hold)
        .map(|program| attach(program.as_fd(), "watch held processes"))
        .transpose()?;
    let exec_link = attach(programs.exec.as_fd(), "watch programs start")?;
    Ok(Kernel {
        maps,
        iterator,
        programs,
        exec_link,
        fault_link,
        pins: None,
        arrival: Arrival::Loaded,
        orphans: super::Orphans::default(),
    })
}

fn open(start: &Start<'_>) -> Result<Object, KernelError> {
    let mut open = ObjectBuilder::default()
        .open_memory(&OBJECT.0)
        .map_err(bpf("read the kernel programs"))?;
    if let Some(pid) = start.faults.unreadable_children_of {
        let mut constants = open
            .maps_mut()
            .find(|map| map.name().to_string_lossy().ends_with(".rodata"))
            .expect("the object has constants");
        // The only constant is `fault_children_of`, at the start of its section.
        let mut value = constants.initial_value().unwrap_or_default().to_vec();
        value[..4].copy_from_slice(pid.as_bytes());
        constants
            .set_initial_value(&value)
            .map_err(bpf("inject a fault"))?;
    }
    if !has_fault_tracepoint() {
        let hook = open
            .progs_mut()
            .find(|program| program.name() == FAULT_HOOK);
        if let Some(mut hook) = hook {
            hook.set_autoload(false);
        }
    }
    // Tables are made without type information, so the shape that the kernel compares them with
    // must have none: kernels before 6.3 count that as a difference.
    let shape = super::maps::make_table(1)?;
    for mut map in open.maps_mut() {
        match map.name().to_str() {
            Some("tables") => {
                map.set_inner_map_fd(shape.as_fd())
                    .map_err(bpf("give the tables their shape"))?;
            }
            Some("table_shape") => {
                map.set_autocreate(false)
                    .map_err(bpf("give the tables their shape"))?;
            }
            _ => {}
        }
    }
    open.load().map_err(bpf(
        "load the kernel programs; `davy doctor` says what this kernel lacks",
    ))
}

/// Whether the kernel tells of page faults in user space. Where it does not, a held process that
/// somebody else continues is not noticed; `davy doctor` says so.
fn has_fault_tracepoint() -> bool {
    has_tracepoint(c"page_fault_user")
}

/// Whether the kernel has a tracepoint with its types.
pub(super) fn has_tracepoint(name: &CStr) -> bool {
    // SAFETY: the name ends in NUL; the call reads the kernel's own type information.
    let id = unsafe {
        libbpf_sys::libbpf_find_vmlinux_btf_id(name.as_ptr(), libbpf_sys::BPF_TRACE_RAW_TP)
    };
    id > 0
}

/// Attaches a BTF-typed tracepoint program. The link lives as long as its descriptor or its pin.
pub(super) fn attach(program: BorrowedFd<'_>, doing: &'static str) -> Result<OwnedFd, KernelError> {
    // The command that the sandboxed agent may give, when lists call for holds later on.
    // SAFETY: the program names its tracepoint itself, so there is no target, and no options are
    // passed.
    let fd = unsafe {
        libbpf_sys::bpf_link_create(
            program.as_raw_fd(),
            0,
            libbpf_sys::BPF_TRACE_RAW_TP,
            std::ptr::null(),
        )
    };
    if fd != -libc::EINVAL {
        return owned(fd, doing);
    }
    // Kernels before 5.19 know the older way only.
    // SAFETY: as above, no name is passed.
    let fd = unsafe { libbpf_sys::bpf_raw_tracepoint_open(std::ptr::null(), program.as_raw_fd()) };
    owned(fd, doing)
}

fn attach_iterator(program: BorrowedFd<'_>) -> Result<OwnedFd, KernelError> {
    // SAFETY: an iterator has no target, and no options are passed.
    let fd = unsafe {
        libbpf_sys::bpf_link_create(
            program.as_raw_fd(),
            0,
            libbpf_sys::BPF_TRACE_ITER,
            std::ptr::null(),
        )
    };
    owned(fd, "attach the task iterator")
}

/// Takes over the descriptor that a libbpf call returned, or its negative errno.
pub(super) fn owned(fd: i32, doing: &'static str) -> Result<OwnedFd, KernelError> {
    if fd < 0 {
        return Err(bpf(doing)(libbpf_rs::Error::from_raw_os_error(-fd)));
    }
    // SAFETY: libbpf returned a new descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
