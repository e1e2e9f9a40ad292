//! The mount table, and the file systems the guard uses: bpffs for its pins, tracefs.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;

use super::question::Question;
use super::survey::{Group, Need, Row};

/// One mount, as a line of `/proc/self/mountinfo` describes it (see proc_pid_mountinfo(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub point: PathBuf,
    pub kind: String,
    pub writable: bool,
    /// Options of the file system itself, such as the controllers of a cgroup hierarchy.
    pub options: Vec<String>,
}

/// Reads a mount table. A line that cannot be read is left out: the kernel writes this file, and
/// a mount that is not understood is reported as not found by the row that wanted it.
pub(super) fn parse(mountinfo: &str) -> Vec<Mount> {
    mountinfo.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Mount> {
    let (place, file_system) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(4);
    let point = PathBuf::from(unescape(place.next()?));
    let mount_options = place.next()?;
    let mut file_system = file_system.split(' ');
    let kind = file_system.next()?.to_owned();
    let options: Vec<String> = file_system.nth(1)?.split(',').map(str::to_owned).collect();
    let writable =
        !mount_options.split(',').any(|it| it == "ro") && !options.iter().any(|it| it == "ro");
    Some(Mount {
        point,
        kind,
        writable,
        options,
    })
}

/// Undoes the kernel's octal escapes of space, tab, newline and backslash.
fn unescape(text: &str) -> String {
    let escapes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    escapes
        .iter()
        .fold(text.to_owned(), |text, (escape, plain)| {
            text.replace(escape, plain)
        })
}

/// The mount that a path lies on.
pub(super) fn holding<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    // A later mount on the same point hides an earlier one, and the last of equals is taken.
    mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.point))
        .max_by_key(|mount| mount.point.components().count())
}

const BPFFS: Question = Question {
    id: "mount.bpffs",
    group: Group::Mounts,
    item: "BPF file system",
    need: Need::Required,
    lost: "nothing can be pinned: execs go unguarded whenever the agent is not running",
};

const PINS: Question = Question {
    id: "mount.pins",
    group: Group::Mounts,
    item: "pins of an earlier guard",
    need: Need::Informational,
    lost: "nothing: the guard that starts adopts or replaces what is pinned",
};

const TRACEFS: Question = Question {
    id: "mount.tracefs",
    group: Group::Mounts,
    item: "tracefs",
    need: Need::Informational,
    lost: "nothing: the guard finds its tracepoints in the kernel's types",
};

/// Where bpffs is mounted by convention.
const BPFFS_POINT: &str = "/sys/fs/bpf";

/// The rows about mounts. Without a directory for pins bpffs is an improvement only.
pub(super) fn rows(mounts: &[Mount], pin_dir: Option<&Path>) -> Vec<Row> {
    let mut rows = vec![match pin_dir {
        Some(pin_dir) => bpffs(BPFFS, mounts, pin_dir),
        None => bpffs(
            Question {
                need: Need::Improves,
                ..BPFFS
            },
            mounts,
            Path::new(BPFFS_POINT),
        ),
    }];
    rows.extend(pin_dir.map(pins));
    rows.push(tracefs(mounts));
    rows
}

fn bpffs(question: Question, mounts: &[Mount], pin_dir: &Path) -> Row {
    let mount_it = || format!("sudo mount -t bpf bpf {BPFFS_POINT}");
    let Some(mount) = holding(mounts, pin_dir).filter(|mount| mount.kind == "bpf") else {
        return match mounts.iter().find(|mount| mount.kind == "bpf") {
            Some(other) => question.fail(
                format!(
                    "{} is not on a BPF file system; one is at {}",
                    pin_dir.display(),
                    other.point.display()
                ),
                format!("give --pin-dir {}", other.point.join("davylamp").display()),
            ),
            None => question.fail("not mounted", mount_it()),
        };
    };
    let point = mount.point.display();
    if !mount.writable {
        let mend = format!("sudo mount -o remount,rw {point}");
        return question.fail(format!("mounted read-only at {point}"), mend);
    }
    // The deepest directory that exists is where the pins would be made.
    let nearest = pin_dir
        .ancestors()
        .find(|dir| dir.exists())
        .unwrap_or(&mount.point);
    match accessat(
        CWD,
        nearest,
        Access::WRITE_OK | Access::EXEC_OK,
        AtFlags::EACCESS,
    ) {
        Ok(()) => question.pass(format!("mounted at {point}, writable")),
        Err(Errno::ACCESS) => question.fail(
            format!("mounted at {point}, not writable for this user"),
            "run it as root, for example with sudo",
        ),
        Err(errno) => question.unknown(
            format!("mounted at {point}; {}: {errno}", nearest.display()),
            mount_it(),
        ),
    }
}

fn pins(pin_dir: &Path) -> Row {
    let shown = pin_dir.display();
    match std::fs::read_dir(pin_dir) {
        Ok(entries) => PINS.pass(format!(
            "{} entries in {shown}: they stay in force until a new guard adopts them",
            entries.count()
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            PINS.pass(format!("none in {shown}"))
        }
        Err(error) => PINS.unknown(
            format!("{shown} cannot be read: {error}"),
            "run it as root, for example with sudo",
        ),
    }
}

fn tracefs(mounts: &[Mount]) -> Row {
    match mounts.iter().find(|mount| mount.kind == "tracefs") {
        Some(mount) => TRACEFS.pass(format!("mounted at {}", mount.point.display())),
        None => TRACEFS.fail(
            "not mounted",
            "none needed (sudo mount -t tracefs tracefs /sys/kernel/tracing)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Verdict;

    const BPF: &str = "42 23 0:39 / /sys/fs/bpf rw,nosuid shared:7 - bpf bpf rw,mode=700\n";

    #[test]
    fn optional_fields_and_escapes() {
        let mounts = parse(
            "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 propagate_from:2 - ext3 /dev/root rw,errors=continue\n\
             37 35 98:0 / /plain ro,noatime - ext4 /dev/root rw\n\
             a line of something else\n",
        );
        let seen: Vec<_> = mounts
            .iter()
            .map(|it| (it.point.to_str(), it.writable))
            .collect();
        assert_eq!(seen, [(Some("/mnt 2"), true), (Some("/plain"), false)]);
        assert_eq!(mounts[0].options, ["rw", "errors=continue"]);
    }

    #[test]
    fn the_last_of_the_deepest_mounts_holds_a_path() {
        let mounts = parse(
            "1 0 0:1 / / rw - ext4 a rw\n\
             2 1 0:2 / /sys rw - sysfs b rw\n\
             3 2 0:3 / /sys/fs/bpf rw - bpf first rw\n\
             4 2 0:4 / /sys/fs/bpf ro - bpf second rw\n\
             5 1 0:5 / /system rw - tmpfs c rw\n",
        );
        let held =
            |path: &str| holding(&mounts, Path::new(path)).map(|it| (&*it.kind, it.writable));
        assert_eq!(held("/sys/fs/bpf/davylamp"), Some(("bpf", false)));
        assert_eq!(held("/sys/fs"), Some(("sysfs", true)));
        assert_eq!(held("/systemd"), Some(("ext4", true)));
    }

    #[test]
    fn bpffs_elsewhere_read_only_and_absent() {
        let ask = |table: &str, dir: &str| bpffs(BPFFS, &parse(table), Path::new(dir));
        let absent = ask("1 0 0:1 / / rw - ext4 a rw\n", "/sys/fs/bpf/davylamp");
        assert_eq!(absent.verdict, Verdict::Fail);
        assert_eq!(
            absent.mend.as_deref(),
            Some("sudo mount -t bpf bpf /sys/fs/bpf")
        );

        let elsewhere = ask(BPF, "/run/davylamp");
        assert_eq!(elsewhere.verdict, Verdict::Fail);
        assert_eq!(
            elsewhere.mend.as_deref(),
            Some("give --pin-dir /sys/fs/bpf/davylamp")
        );

        let read_only = ask(
            &BPF.replace("rw,nosuid", "ro,nosuid"),
            "/sys/fs/bpf/davylamp",
        );
        assert_eq!(read_only.verdict, Verdict::Fail);
        assert_eq!(read_only.found, "mounted read-only at /sys/fs/bpf");
    }

    #[test]
    fn without_pins_bpffs_is_not_required() {
        let rows = rows(&[], None);
        assert_eq!(rows[0].need, Need::Improves);
        assert!(rows.iter().all(|row| row.id != "mount.pins"));
    }
}
