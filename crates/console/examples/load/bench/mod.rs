//! The parts of the benchmark.

pub mod asking;
pub mod fill;
pub mod kept;
pub mod program;
pub mod sending;
pub mod watching;

use program::Memory;

pub fn load_average() -> String {
    std::fs::read_to_string("/proc/loadavg")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// The memory in the middle of many.
pub fn middle(all: &[Memory]) -> Memory {
    let mut all = all.to_vec();
    all.sort_by_key(|memory| memory.resident_mib);
    all.get(all.len() / 2).copied().unwrap_or_default()
}
