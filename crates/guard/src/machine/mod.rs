//! What this machine offers the guard: the survey behind `davy doctor` and the guard's start-up.
//!
//! Every answer is one of pass, fail and unknown, and says what was seen, what is lost without
//! it and how to mend it. BPF features are asked of the kernel itself by loading tiny programs
//! and maps, which are closed at once. A survey leaves nothing behind: it attaches, mounts, pins
//! and writes nothing, changes no limit, prints nothing and starts no process. It takes tens of
//! milliseconds at the most, so that the guard can afford one at each start.
//!
//! Deliberately not here: mending. The survey says the command; a person gives it.

mod survey;
pub use survey::{Group, Kernel, Lost, Need, NotReady, Readiness, Row, SCHEMA, Survey, Verdict};

mod question;

mod kernel;
pub use kernel::Lockdown;

mod privileges;

mod features;
mod probes;
mod program;
mod syscall;
mod vmlinux;

mod cgroups;
mod mounts;
pub use cgroups::CgroupLayout;

mod runtimes;

mod graphics;

use std::io;
use std::path::PathBuf;

/// Where the guard pins its programs, maps and links unless told otherwise.
pub const DEFAULT_PIN_DIR: &str = "/sys/fs/bpf/davylamp";

/// What the guard is going to want of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wants {
    /// Where it will pin; `None` where it was told not to, and then a BPF file system is no
    /// longer required.
    pub pin_dir: Option<PathBuf>,
}

impl Default for Wants {
    fn default() -> Self {
        Self {
            pin_dir: Some(DEFAULT_PIN_DIR.into()),
        }
    }
}

/// Asks this machine everything, for a guard with default settings.
pub fn survey() -> Survey {
    survey_for(&Wants::default())
}

/// Asks this machine everything, for a guard with these settings. Never fails: what cannot be
/// asked is a row with [`Verdict::Unknown`].
pub fn survey_for(wants: &Wants) -> Survey {
    let uname = rustix::system::uname();
    let kernel = Kernel {
        release: uname.release().to_string_lossy().into_owned(),
        arch: uname.machine().to_string_lossy().into_owned(),
    };
    let wanted: Vec<_> = probes::WANTED.into_iter().chain(kernel::wanted()).collect();
    let types = vmlinux::TypeNames::of_running_kernel(&wanted);
    let (privileges, permitted) = privileges::rows();
    let known = types.as_ref().ok();
    let held = |id: &str| {
        privileges
            .iter()
            .any(|it| it.id == id && it.verdict == Verdict::Pass)
    };
    let privileged = ["capability.bpf", "capability.perfmon", "namespace.user"]
        .into_iter()
        .all(held);
    let features = features::rows(&probes::Probing {
        types: known,
        permitted,
        privileged,
    });
    let reads_kernel = features
        .iter()
        .find(|row| row.id == "bpf.probe-read-kernel")
        .map(|row| row.verdict);

    let mut rows = vec![
        kernel::release(&kernel),
        kernel::types(&types),
        kernel::lockdown(kernel::read_lockdown(), reads_kernel),
        kernel::unprivileged(),
    ];
    rows.extend(privileges);
    rows.extend(features);
    rows.extend(graphics::rows());
    rows.extend(kernel::tracepoints(known, &kernel));
    rows.extend(mount_rows(
        std::fs::read_to_string("/proc/self/mountinfo"),
        wants,
    ));
    rows.extend(runtimes::rows());
    Survey {
        schema: SCHEMA,
        kernel,
        rows,
    }
}

fn mount_rows(mountinfo: io::Result<String>, wants: &Wants) -> Vec<Row> {
    let (text, error) = match mountinfo {
        Ok(text) => (text, None),
        Err(error) => (String::new(), Some(error)),
    };
    let table = mounts::parse(&text);
    let mut rows = mounts::rows(&table, wants.pin_dir.as_deref());
    rows.push(cgroups::row(&table));
    if let Some(error) = error {
        // Without the table, what was not found in it is not known to be missing.
        for row in rows.iter_mut().filter(|row| row.verdict == Verdict::Fail) {
            row.verdict = Verdict::Unknown;
            row.found = format!("/proc/self/mountinfo cannot be read: {error}");
            row.mend = Some("sudo mount -t proc proc /proc".to_owned());
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_mount_table_is_unknown() {
        let unreadable = Err(io::Error::from(io::ErrorKind::PermissionDenied));
        let rows = mount_rows(unreadable, &Wants::default());
        let verdict = |id: &str| rows.iter().find(|row| row.id == id).map(|row| row.verdict);
        assert_eq!(verdict("mount.bpffs"), Some(Verdict::Unknown));
        assert_eq!(verdict("mount.cgroup"), Some(Verdict::Unknown));
    }
}
