//! What the kernel programs counted.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libbpf_rs::{MapCore, MapFlags, MapHandle, libbpf_sys};
use zerocopy::{FromBytes, IntoBytes};

use super::{KernelError, bpf};
use crate::abi::{COUNTERS, Counter, LATENCY_BUCKETS};

/// Reads the kernel's counters.
pub struct CounterReader {
    pub(super) counters: MapHandle,
    pub(super) latencies: MapHandle,
    pub(super) exec_program: OwnedFd,
}

impl CounterReader {
    /// The counters, summed over processors.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn read(&self) -> Result<Counters, KernelError> {
        let mut counters = Counters::default();
        for (index, value) in (0..).zip(&mut counters.values) {
            *value = sum(&self.counters, index)?;
        }
        for (index, value) in (0..).zip(&mut counters.latency) {
            *value = sum(&self.latencies, index)?;
        }
        counters.skipped = skipped(self.exec_program.as_fd());
        Ok(counters)
    }
}

fn sum(map: &MapHandle, index: u32) -> Result<u64, KernelError> {
    let values = map
        .lookup_percpu(index.as_bytes(), MapFlags::ANY)
        .map_err(bpf("read a counter"))?
        .unwrap_or_default();
    let of_cpu = |value: &Vec<u8>| u64::read_from_prefix(value).map_or(0, |(n, _)| n);
    Ok(values.iter().map(of_cpu).sum())
}

/// The kernel's counters at one moment.
#[derive(Debug, Clone)]
pub struct Counters {
    values: [u64; COUNTERS],
    /// How many exec-to-signal times fell between each power of two of nanoseconds and the next.
    pub latency: [u64; LATENCY_BUCKETS],
    /// How often the kernel itself left out the exec program.
    pub skipped: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            values: [0; COUNTERS],
            latency: [0; LATENCY_BUCKETS],
            skipped: 0,
        }
    }
}

impl Counters {
    /// One counter.
    pub fn get(&self, counter: Counter) -> u64 {
        self.values[counter as usize]
    }
}

/// How often the kernel left the program out because it was already running on that processor.
fn skipped(program: BorrowedFd<'_>) -> u64 {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut length = size_of::<libbpf_sys::bpf_prog_info>() as u32;
    // SAFETY: the descriptor is a program's, and `info` has the length given.
    let failed = unsafe {
        libbpf_sys::bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut length)
    };
    if failed == 0 {
        info.recursion_misses
    } else {
        0
    }
}
