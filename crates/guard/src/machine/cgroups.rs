//! How this machine lays out its cgroups, and where a container shows in them.

use std::path::PathBuf;

use super::mounts::Mount;
use super::question::Question;
use super::survey::{Group, Need, Row};

/// The controllers a container runtime puts its containers under; the others are seldom mounted
/// and say nothing more.
const CONTROLLERS: [&str; 8] = [
    "memory", "pids", "cpu", "cpuacct", "cpuset", "devices", "freezer", "blkio",
];

/// The cgroup hierarchies that are mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CgroupLayout {
    /// One hierarchy for everything.
    V2 {
        /// Where it is mounted.
        at: PathBuf,
    },
    /// A hierarchy for each controller.
    V1 {
        /// The controllers, in a fixed order.
        controllers: Vec<&'static str>,
    },
    /// Controllers of version 1, and version 2 beside them without, or with some.
    Hybrid {
        /// The controllers of version 1, in a fixed order.
        controllers: Vec<&'static str>,
        /// Where version 2 is mounted.
        at: PathBuf,
    },
    /// No cgroup file system is mounted here.
    None,
}

impl CgroupLayout {
    pub(super) fn of(mounts: &[Mount]) -> Self {
        // The conventional place goes before others, such as a container's bind mount.
        let mut v2: Vec<&PathBuf> = mounts
            .iter()
            .filter(|it| it.kind == "cgroup2")
            .map(|it| &it.point)
            .collect();
        v2.sort_by_key(|point| !point.starts_with("/sys/fs/cgroup"));
        let controllers: Vec<&'static str> = CONTROLLERS
            .into_iter()
            .filter(|controller| {
                mounts
                    .iter()
                    .filter(|it| it.kind == "cgroup")
                    .any(|it| it.options.iter().any(|option| option == controller))
            })
            .collect();
        let named = mounts.iter().any(|it| it.kind == "cgroup");
        match (v2.first(), named) {
            (Some(at), false) => Self::V2 { at: (*at).clone() },
            (Some(at), true) => Self::Hybrid {
                controllers,
                at: (*at).clone(),
            },
            (None, true) => Self::V1 { controllers },
            (None, false) => Self::None,
        }
    }
}

const CGROUPS: Question = Question {
    id: "mount.cgroup",
    group: Group::Mounts,
    item: "cgroup layout",
    need: Need::Improves,
    lost: "an event's cgroup cannot be turned into a path, so its container is not named",
};

pub(super) fn row(mounts: &[Mount]) -> Row {
    match CgroupLayout::of(mounts) {
        CgroupLayout::V2 { at } => CGROUPS.pass(format!(
            "v2 only, at {}; containers show there",
            at.display()
        )),
        CgroupLayout::V1 { controllers } if controllers.is_empty() => {
            CGROUPS.pass("v1 without controllers; containers show in the named hierarchy")
        }
        CgroupLayout::V1 { controllers } => CGROUPS.pass(format!(
            "v1 ({}); containers show under {}",
            controllers.join(", "),
            controllers[0]
        )),
        CgroupLayout::Hybrid { controllers, at } if controllers.is_empty() => {
            CGROUPS.pass(format!(
                "v2 at {} with all controllers, v1 for names only; containers show in v2",
                at.display()
            ))
        }
        CgroupLayout::Hybrid { controllers, at } => CGROUPS.pass(format!(
            "hybrid: v1 ({}), v2 at {}; containers show in v1 under {}, and in v2 where the \
             runtime joins it",
            controllers.join(", "),
            at.display(),
            controllers[0]
        )),
        CgroupLayout::None => CGROUPS.fail(
            "no cgroup file system is mounted here",
            "sudo mount -t cgroup2 cgroup2 /sys/fs/cgroup, or in a pod mount the host's",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::mounts;
    use super::*;
    use crate::machine::Verdict;

    fn layout(table: &str) -> CgroupLayout {
        CgroupLayout::of(&mounts::parse(table))
    }

    #[test]
    fn ubuntu_with_v2_only() {
        let table = "24 30 0:22 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n\
            35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";
        assert_eq!(
            layout(table),
            CgroupLayout::V2 {
                at: "/sys/fs/cgroup".into()
            }
        );
    }

    #[test]
    fn an_old_machine_with_v1_only() {
        let table = "31 23 0:28 / /sys/fs/cgroup ro,nosuid shared:8 - tmpfs tmpfs ro,mode=755\n\
            32 31 0:29 / /sys/fs/cgroup/systemd rw shared:9 - cgroup cgroup rw,xattr,name=systemd\n\
            34 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 - cgroup cgroup rw,cpu,cpuacct\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw shared:12 - cgroup cgroup rw,memory\n";
        assert_eq!(
            layout(table),
            CgroupLayout::V1 {
                controllers: vec!["memory", "cpu", "cpuacct"]
            }
        );
    }

    #[test]
    fn systemd_hybrid() {
        let table = "32 31 0:29 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n\
            33 31 0:30 / /sys/fs/cgroup/systemd rw shared:10 - cgroup cgroup rw,xattr,name=systemd\n\
            35 31 0:32 / /sys/fs/cgroup/pids rw shared:12 - cgroup cgroup rw,pids\n";
        let controllers = vec!["pids"];
        assert_eq!(
            layout(table),
            CgroupLayout::Hybrid {
                controllers,
                at: "/sys/fs/cgroup/unified".into()
            }
        );
        let row = row(&mounts::parse(table));
        assert!(
            row.found.contains("containers show in v1 under pids"),
            "{}",
            row.found
        );
    }

    #[test]
    fn a_bind_mount_elsewhere_does_not_stand_for_the_host() {
        let table = "9 1 0:30 / /var/lib/x/cgroup rw - cgroup2 cgroup2 rw\n\
            35 24 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(
            layout(table),
            CgroupLayout::V2 {
                at: "/sys/fs/cgroup".into()
            }
        );
    }

    #[test]
    fn nothing_mounted() {
        assert_eq!(row(&[]).verdict, Verdict::Fail);
    }
}
