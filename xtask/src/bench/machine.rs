//! The machine that was measured.

use std::fs;

use anyhow::Context as _;

/// What figures depend on.
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub kernel: String,
    pub memory_mib: u64,
    /// Processes ready to run, on average over the last minute, before the first measurement.
    pub load: String,
    pub date: String,
}

impl Machine {
    /// Looks at this machine.
    pub fn survey() -> anyhow::Result<Self> {
        let cpu = fs::read_to_string("/proc/cpuinfo").context("cannot read /proc/cpuinfo")?;
        let memory = fs::read_to_string("/proc/meminfo").context("cannot read /proc/meminfo")?;
        let load = fs::read_to_string("/proc/loadavg").context("cannot read /proc/loadavg")?;
        let uname = rustix::system::uname();
        let kib: u64 = field(&memory, "MemTotal")
            .and_then(|value| value.trim_end_matches(" kB").parse().ok())
            .unwrap_or(0);
        Ok(Self {
            cpu: field(&cpu, "model name")
                .unwrap_or("unknown processor")
                .to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: format!(
                "{} {}",
                uname.sysname().to_string_lossy(),
                uname.release().to_string_lossy()
            ),
            memory_mib: kib / 1024,
            load: load.split(' ').next().unwrap_or("unknown").to_owned(),
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        })
    }
}

/// The value behind `name:` in a file of /proc.
pub fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}
