//! What this process takes of the machine.

use std::time::Duration;

/// CPU time, user and system, in seconds.
pub(super) fn cpu_seconds() -> Option<f64> {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::try_from(spent).ok()?.as_secs_f64())
}

/// Memory in RAM: the second number of proc_pid_statm(5), in pages.
pub(super) fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(rustix::param::page_size() as u64)
}

/// How many files and sockets are open.
pub(super) fn open_files() -> Option<u64> {
    let files = std::fs::read_dir("/proc/self/fd").ok()?;
    // One of them is the folder that is read for this.
    Some((files.count() as u64).saturating_sub(1))
}

/// How many may be.
pub(super) fn open_files_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}
