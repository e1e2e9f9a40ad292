//! bpf(2) for the probes: make a map, load types, load a program, close it again.
//!
//! Straight to the system call: libbpf's own wrappers may raise `RLIMIT_MEMLOCK` and print, and
//! a survey changes nothing and says nothing by itself.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libbpf_rs::libbpf_sys as sys;
use rustix::io::Errno;

use super::program::Insn;

/// The verifier's log of these programs is a few hundred bytes; the rest is for its complaints.
const LOG_BYTES: usize = 16 * 1024;

/// The verifier gives up with `EAGAIN` when a signal is pending; libbpf tries as often.
const LOAD_ATTEMPTS: usize = 5;

/// A map to create.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct MapSpec<'a> {
    pub kind: u32,
    pub key_bytes: u32,
    pub value_bytes: u32,
    pub entries: u32,
    pub flags: u32,
    pub inner: Option<BorrowedFd<'a>>,
    pub types: Option<ValueTypes<'a>>,
}

/// The types of a map's key and value.
#[derive(Debug, Clone, Copy)]
pub(super) struct ValueTypes<'a> {
    pub fd: BorrowedFd<'a>,
    pub key: u32,
    pub value: u32,
}

/// A program to load.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct ProgramSpec<'a> {
    pub kind: u32,
    pub attach: u32,
    pub attach_type_id: u32,
    pub instructions: &'a [Insn],
    pub functions: Option<Functions<'a>>,
}

/// Where each function of a program starts, and its type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Functions<'a> {
    pub fd: BorrowedFd<'a>,
    pub starts: &'a [(u32, u32)],
}

/// The kernel's refusal of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub errno: Errno,
    /// The verifier's last words, where it had any.
    pub reason: Option<String>,
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self {
            errno,
            reason: None,
        }
    }
}

/// `BPF_MAP_CREATE`
pub(super) fn create_map(spec: &MapSpec<'_>) -> Result<OwnedFd, Errno> {
    let mut attr = sys::bpf_attr__bindgen_ty_1 {
        map_type: spec.kind,
        key_size: spec.key_bytes,
        value_size: spec.value_bytes,
        max_entries: spec.entries,
        map_flags: spec.flags,
        inner_map_fd: spec.inner.map_or(0, |fd| fd.as_raw_fd() as u32),
        ..Default::default()
    };
    if let Some(types) = spec.types {
        attr.btf_fd = types.fd.as_raw_fd() as u32;
        attr.btf_key_type_id = types.key;
        attr.btf_value_type_id = types.value;
    }
    // SAFETY: the attribute holds no pointer.
    unsafe { bpf(sys::BPF_MAP_CREATE, &attr) }
}

/// `BPF_BTF_LOAD`
pub(super) fn load_types(blob: &[u8]) -> Result<OwnedFd, Errno> {
    let attr = sys::bpf_attr__bindgen_ty_12 {
        btf: blob.as_ptr() as u64,
        btf_size: blob.len() as u32,
        ..Default::default()
    };
    // SAFETY: the pointer is to `blob`, whose length stands beside it; it outlives the call.
    unsafe { bpf(sys::BPF_BTF_LOAD, &attr) }
}

/// `BPF_PROG_LOAD`
pub(super) fn load_program(spec: &ProgramSpec<'_>) -> Result<OwnedFd, Refusal> {
    let mut log = vec![0_u8; LOG_BYTES];
    let records: Vec<[u32; 2]> = spec
        .functions
        .map(|functions| {
            functions
                .starts
                .iter()
                .map(|(start, id)| [*start, *id])
                .collect()
        })
        .unwrap_or_default();
    let mut attr = sys::bpf_attr__bindgen_ty_4 {
        prog_type: spec.kind,
        expected_attach_type: spec.attach,
        attach_btf_id: spec.attach_type_id,
        insn_cnt: spec.instructions.len() as u32,
        insns: spec.instructions.as_ptr() as u64,
        // Most helpers that tracing needs are for programs under the GPL.
        license: c"GPL".as_ptr() as u64,
        log_level: 1,
        log_size: LOG_BYTES as u32,
        log_buf: log.as_mut_ptr() as u64,
        ..Default::default()
    };
    if let Some(functions) = spec.functions {
        attr.prog_btf_fd = functions.fd.as_raw_fd() as u32;
        attr.func_info_rec_size = size_of::<[u32; 2]>() as u32;
        attr.func_info = records.as_ptr() as u64;
        attr.func_info_cnt = records.len() as u32;
    }
    let mut answer = Err(Errno::AGAIN);
    for _ in 0..LOAD_ATTEMPTS {
        // SAFETY: instructions, licence, function records and log are live here with the lengths
        // given, and only the log, which nothing else borrows, is written to.
        answer = unsafe { bpf(sys::BPF_PROG_LOAD, &attr) };
        if !matches!(answer, Err(Errno::AGAIN)) {
            break;
        }
    }
    answer.map_err(|errno| Refusal {
        errno,
        reason: last_words(&log),
    })
}

/// The last line of a verifier log that says something: the statistics that close it do not.
fn last_words(log: &[u8]) -> Option<String> {
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    let text = String::from_utf8_lossy(&log[..end]);
    text.lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty() && !line.starts_with("processed "))
        .map(str::to_owned)
}

/// # Safety
/// `T` must be the member of `union bpf_attr` that the command reads, and every pointer in it
/// valid for the length beside it until this returns.
unsafe fn bpf<T>(command: u32, attr: &T) -> Result<OwnedFd, Errno> {
    // SAFETY: the attribute is live and its size is given; the rest is the caller's promise. A
    // kernel that knows a shorter attribute accepts a longer one whose tail is zero.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, attr as *const T, size_of::<T>()) };
    if answer < 0 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    }
    // SAFETY: these commands answer with a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(answer as i32) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_leave_out_the_statistics() {
        let log = b"0: (85) call 7\nunknown func bpf_loop#181\n\
            processed 1 insns (limit 1000000) max_states_per_insn 0\n\0\0\0";
        assert_eq!(
            last_words(log).as_deref(),
            Some("unknown func bpf_loop#181")
        );
        assert_eq!(last_words(b"\0\0"), None);
        assert_eq!(last_words(b""), None);
    }
}
