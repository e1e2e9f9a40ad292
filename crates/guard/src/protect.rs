//! What is never killed: executables, cgroups and namespaces that the operator names, and the
//! guard itself.

use std::{
    fs, io,
    os::unix::fs::{DirEntryExt as _, MetadataExt},
    path::{Path, PathBuf},
};

use crate::abi::{CGROUP_KEY_V1, ExeKey};

/// Why something cannot be protected.
#[derive(Debug, thiserror::Error)]
pub enum ProtectError {
    /// The executable cannot be looked at.
    #[error("cannot protect the executable {path}")]
    Executable {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cgroup cannot be looked at.
    #[error("cannot protect the cgroup {path}: it is in no cgroup file system mounted here")]
    Cgroup {
        /// Its path within its hierarchy.
        path: String,
    },
}

/// Names a file as the kernel does at exec: by inode and file system.
///
/// `stat` does not say that for each file system (btrfs and overlayfs make up device numbers), but
/// the kernel's list of mappings does. A name can be taken by any file; an inode cannot.
///
/// # Errors
/// The file cannot be opened or mapped.
pub fn exe_key(path: &Path) -> io::Result<ExeKey> {
    let file = fs::File::open(path)?;
    // SAFETY: a private mapping of one page for reading, at an address the kernel picks, of a file
    // that stays open; nothing reads through it.
    let start = unsafe {
        rustix::mm::mmap(
            std::ptr::null_mut(),
            1,
            rustix::mm::ProtFlags::READ,
            rustix::mm::MapFlags::PRIVATE,
            &file,
            0,
        )?
    };
    let maps = fs::read_to_string("/proc/self/maps");
    // SAFETY: the mapping made above, which nothing refers to.
    unsafe { rustix::mm::munmap(start, 1)? };
    let prefix = format!("{:x}-", start as usize);
    maps?
        .lines()
        .find_map(|line| key_of_mapping(line.strip_prefix(&prefix)?))
        .ok_or_else(|| io::Error::other("the kernel does not list its mapping"))
}

/// Reads `END PERMS OFFSET MAJOR:MINOR INODE …` (proc_pid_maps(5)).
fn key_of_mapping(rest: &str) -> Option<ExeKey> {
    let mut fields = rest.split_ascii_whitespace().skip(3);
    let (major, minor) = fields.next()?.split_once(':')?;
    let major = u32::from_str_radix(major, 16).ok()?;
    let minor = u32::from_str_radix(minor, 16).ok()?;
    let inode = fields.next()?.parse().ok()?;
    // The kernel's own dev_t: 12 bits of major over 20 of minor (include/linux/kdev_t.h).
    Some(ExeKey {
        inode,
        device: major << 20 | minor,
        reserved: 0,
    })
}

/// So many cgroups are gone through for one: more than a machine has.
const MAX_CGROUPS: usize = 65_536;

/// Where cgroup hierarchies that count are mounted: the unified one, and version 1's memory and
/// pids, of which one names processes where the unified one does not.
#[derive(Debug, Clone, Default)]
pub struct CgroupMounts {
    unified: Option<PathBuf>,
    version1: Option<PathBuf>,
    freezer: Option<PathBuf>,
    accounting: Option<PathBuf>,
}

impl CgroupMounts {
    /// Reads them from the machine's mounts.
    ///
    /// # Errors
    /// `/proc/self/mounts` cannot be read.
    pub fn read() -> io::Result<Self> {
        Ok(Self::parse(&fs::read_to_string("/proc/self/mounts")?))
    }

    fn parse(mounts: &str) -> Self {
        let mut found = Self::default();
        for line in mounts.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let [_, place, kind, options, ..] = fields[..] else {
                continue;
            };
            let has = |option: &str| options.split(',').any(|found| found == option);
            if kind == "cgroup" && has("cpuacct") {
                found.accounting = Some(place.into());
            }
            match kind {
                "cgroup2" if found.unified.is_none() => found.unified = Some(place.into()),
                "cgroup" if has("freezer") => found.freezer = Some(place.into()),
                "cgroup" if has("memory") => found.version1 = Some(place.into()),
                "cgroup" if has("pids") && found.version1.is_none() => {
                    found.version1 = Some(place.into());
                }
                _ => {}
            }
        }
        found
    }

    /// Where the unified hierarchy is mounted.
    pub fn unified(&self) -> Option<&Path> {
        self.unified.as_deref()
    }

    /// The directory of a cgroup that a process was seen in, by its key and path.
    pub fn directory(&self, key: u64, path: &str) -> Option<PathBuf> {
        let mount = if key & CGROUP_KEY_V1 == 0 {
            &self.unified
        } else {
            &self.version1
        };
        let directory = mount.as_ref()?.join(path.trim_start_matches('/'));
        // A path can be another cgroup's by now; its number cannot.
        let id = fs::metadata(&directory).ok()?.ino();
        (id == key & !CGROUP_KEY_V1).then_some(directory)
    }

    /// The directory of the cgroup at `path` in version 1's freezer, where there is one.
    pub fn freezer(&self, path: &str) -> Option<PathBuf> {
        let directory = self.freezer.as_ref()?.join(path.trim_start_matches('/'));
        directory.is_dir().then_some(directory)
    }

    /// Where cgroups can be frozen.
    pub fn freezers(&self) -> impl Iterator<Item = &Path> {
        [&self.unified, &self.freezer]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }

    /// The key of the cgroup at `path` in the hierarchy that `key` belongs to.
    pub fn key_beside(&self, key: u64, path: &str) -> Option<u64> {
        let mark = key & CGROUP_KEY_V1;
        let mount = if mark == 0 {
            &self.unified
        } else {
            &self.version1
        };
        let directory = mount.as_ref()?.join(path.trim_start_matches('/'));
        Some(fs::metadata(directory).ok()?.ino() | mark)
    }

    /// The path of a cgroup from the root of its hierarchy. Whoever lives in a cgroup namespace is
    /// shown other paths (`/../../x`), as the guard is in a pod; the number is the same for all, and by
    /// it the cgroup is looked for where it does not lie where it was said to be.
    pub fn absolute(&self, key: u64, path: &str) -> Option<String> {
        if self.directory(key, path).is_some() {
            return Some(path.to_owned());
        }
        let mount = match key & CGROUP_KEY_V1 {
            0 => self.unified.as_ref()?,
            _ => self.version1.as_ref()?,
        };
        let wanted = key & !CGROUP_KEY_V1;
        let mut left = vec![mount.clone()];
        let mut seen = 0;
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                seen += 1;
                if seen > MAX_CGROUPS {
                    return None;
                }
                if entry.ino() == wanted {
                    let found = entry.path();
                    let path = found.strip_prefix(mount).ok()?;
                    return Some(format!("/{}", path.to_str()?));
                }
                left.push(entry.path());
            }
        }
        None
    }

    /// The processor time that a cgroup has used so far, in nanoseconds.
    pub fn used_ns(&self, key: u64, path: &str) -> Option<u64> {
        if key & CGROUP_KEY_V1 == 0 {
            let directory = self.directory(key, path)?;
            let stat = fs::read_to_string(directory.join("cpu.stat")).ok()?;
            let used = stat
                .lines()
                .find_map(|line| line.strip_prefix("usage_usec "))?;
            return Some(used.trim().parse::<u64>().ok()? * 1000);
        }
        self.directory(key, path)?;
        let directory = self.accounting.as_ref()?.join(path.trim_start_matches('/'));
        let used = fs::read_to_string(directory.join("cpuacct.usage")).ok()?;
        used.trim().parse().ok()
    }

    /// The keys of the cgroups at `path` in the hierarchies that count.
    ///
    /// # Errors
    /// [`ProtectError::Cgroup`] if there is none.
    pub fn keys(&self, path: &str) -> Result<Vec<u64>, ProtectError> {
        let key = |mount: &Option<PathBuf>, mark: u64| {
            let directory = mount.as_ref()?.join(path.trim_start_matches('/'));
            let id = fs::metadata(directory).ok()?.ino();
            Some(id | mark)
        };
        let keys: Vec<u64> = key(&self.unified, 0)
            .into_iter()
            .chain(key(&self.version1, CGROUP_KEY_V1))
            .collect();
        if keys.is_empty() {
            return Err(ProtectError::Cgroup {
                path: path.to_owned(),
            });
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_is_named_by_its_inode() {
        let path = Path::new("/proc/self/exe");
        let key = exe_key(path).expect("it can be read");
        assert_eq!(key.inode, fs::metadata(path).expect("stat").ino());
        let missing = exe_key(Path::new("/nonexistent")).expect_err("it is not there");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_hierarchies_that_count_are_found() {
        let hybrid = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n\
                      cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let found = CgroupMounts::parse(hybrid);
        assert_eq!(
            found.unified.as_deref(),
            Some(Path::new("/sys/fs/cgroup/unified"))
        );
        assert_eq!(
            found.version1.as_deref(),
            Some(Path::new("/sys/fs/cgroup/memory"))
        );
        assert!(
            CgroupMounts::parse("proc /proc proc rw 0 0\n")
                .keys("/")
                .is_err()
        );
    }
}
