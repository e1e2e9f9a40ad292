//! A cgroup of a test's own, where the guard looks for a process's cgroup: in the unified
//! hierarchy, or where there is none in the memory controller's.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;

/// A new cgroup below the root of its hierarchy. Removed when it goes; nothing may run in it then.
pub struct Cgroup {
    folder: PathBuf,
    path: String,
}

impl Cgroup {
    /// Makes one.
    ///
    /// # Errors
    /// No cgroup file system is mounted, or it refuses.
    pub fn new() -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mounts = fs::read_to_string("/proc/self/mountinfo").context("cannot read mounts")?;
        let mount = find(&mounts).context("no cgroup file system is mounted")?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = format!("/davytest-{}-{number}", std::process::id());
        let folder = Path::new(mount).join(&path[1..]);
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { folder, path })
    }

    /// Makes one within this.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn within(&self, name: &str) -> anyhow::Result<Self> {
        let folder = self.folder.join(name);
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let path = format!("{}/{name}", self.path);
        Ok(Self { folder, path })
    }

    /// Its path from the root of its hierarchy.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its list of processes, opened for writing: whoever writes `0` to it moves there.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn procs(&self) -> anyhow::Result<OwnedFd> {
        let procs = self.folder.join("cgroup.procs");
        let file = File::options().write(true).open(procs);
        Ok(file
            .context("cannot open a cgroup's list of processes")?
            .into())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Where the hierarchy is mounted.
fn find(mounts: &str) -> Option<&str> {
    let lines = || {
        mounts.lines().filter_map(|line| {
            let (place, what) = line.split_once(" - ")?;
            Some((place.split(' ').nth(4)?, what))
        })
    };
    let unified = lines().find(|(_, what)| what.starts_with("cgroup2 "));
    let is_memory = |what: &str| {
        what.starts_with("cgroup ")
            && what
                .rsplit(' ')
                .next()
                .is_some_and(|options| options.split(',').any(|o| o == "memory"))
    };
    Some(
        unified
            .or_else(|| lines().find(|(_, what)| is_memory(what)))?
            .0,
    )
}

#[cfg(test)]
mod tests {
    use super::find;

    const MEMORY: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
    const UNIFIED: &str = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_unified_hierarchy_comes_first() {
        let both = format!("{MEMORY}{UNIFIED}");
        assert_eq!(find(&both), Some("/sys/fs/cgroup/unified"));
        assert_eq!(find(MEMORY), Some("/sys/fs/cgroup/memory"));
        assert_eq!(find("22 27 0:21 / /proc rw - proc proc rw\n"), None);
    }
}
