//! What can be done to a process's tree or to a cgroup as a whole: killed, frozen, thawed, and
//! described before that.
//!
//! What must stay true: nothing that is protected dies or stops with its neighbours; whatever freezes
//! a cgroup leaves a mark on the cgroup itself, so that any later agent, and `davy guard thaw`, finds
//! what to thaw; and reading evidence is bounded in number, bytes and time.
//!
//! Deliberately not here: deciding. Callers say what is done, and log it.

mod evidence;

use std::{
    ffi::CString,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{process::Process, protect::CgroupMounts};

pub use evidence::{Evidence, Limits};

/// How often a cgroup or tree is gone through: processes may fork while they are killed.
const ROUNDS: usize = 16;
/// Cgroups of a tree that are looked at.
const MOST_CGROUPS: usize = 4096;
/// How long freezing may take before it is reported as under way.
const FREEZE_DEADLINE: Duration = Duration::from_millis(50);
/// How long to wait between two looks at a cgroup that is being frozen.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// The extended attribute that says that we froze a cgroup, and until when.
const FROZEN_BY_US: &std::ffi::CStr = c"user.davylamp.frozen_until";

/// Why an act could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The cgroup's files could not be used.
    #[error("cannot {doing} {directory}")]
    File {
        /// What was tried.
        doing: &'static str,
        /// The cgroup.
        directory: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Something that is never killed or stopped lives in the cgroup.
    #[error("{directory} holds process {pid}, which is protected")]
    Protected {
        /// The cgroup.
        directory: PathBuf,
        /// The process.
        pid: u32,
    },
    /// The cgroup cannot be frozen on this machine.
    #[error("{directory} has neither cgroup.freeze nor a freezer")]
    NoFreezer {
        /// The cgroup.
        directory: PathBuf,
    },
}

fn file(doing: &'static str, directory: &Path) -> impl FnOnce(io::Error) -> ActError {
    let directory = directory.to_owned();
    move |source| ActError::File {
        doing,
        directory,
        source,
    }
}

/// How many were killed, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Killed {
    /// Processes.
    pub processes: usize,
    /// All of them in one step, by the kernel. False where they were killed one after the other.
    pub at_once: bool,
}

/// Kills everything in a cgroup and those below it: in one step where the kernel can (`cgroup.kill`,
/// Linux 5.14) and nothing protected lives there, else one after the other until a round finds none.
///
/// `is_protected` is asked of each process; what it spares stays.
pub fn kill_cgroup(directory: &Path, is_protected: impl Fn(&Process) -> bool) -> Killed {
    let members = processes_in(directory);
    let spares_any = members.iter().any(|pid| {
        is_untouchable(*pid)
            || Process::open(*pid, None).is_ok_and(|found| found.is_some_and(|p| is_protected(&p)))
    });
    if !spares_any && fs::write(directory.join("cgroup.kill"), "1").is_ok() {
        return Killed {
            processes: members.len(),
            at_once: true,
        };
    }
    let mut killed = std::collections::HashSet::new();
    for _ in 0..ROUNDS {
        let fresh: Vec<u32> = processes_in(directory)
            .into_iter()
            .filter(|pid| !killed.contains(pid) && kill_one(*pid, &is_protected))
            .collect();
        if fresh.is_empty() {
            break;
        }
        killed.extend(fresh);
    }
    Killed {
        processes: killed.len(),
        at_once: false,
    }
}

/// Kills a process and all that descends from it, parents first, so that none starts another in its
/// place. `children` lists all processes as (pid, parent). Returns how many.
pub fn kill_tree(
    root: u32,
    mut children: impl FnMut() -> Vec<(u32, u32)>,
    is_protected: impl Fn(&Process) -> bool,
) -> usize {
    let mut doomed = vec![root];
    let mut killed = std::collections::HashSet::new();
    for _ in 0..ROUNDS {
        // Listed before anything dies: the children of the dead belong to somebody else.
        let all = children();
        let mut at = 0;
        while let Some(parent) = doomed.get(at).copied() {
            at += 1;
            let below = all.iter().filter(|(_, of)| *of == parent);
            let fresh: Vec<u32> = below
                .map(|(pid, _)| *pid)
                .filter(|pid| !doomed.contains(pid))
                .collect();
            doomed.extend(fresh);
        }
        let before = killed.len();
        for pid in &doomed {
            if !killed.contains(pid) && kill_one(*pid, &is_protected) {
                killed.insert(*pid);
            }
        }
        if killed.len() == before {
            break;
        }
    }
    killed.len()
}

/// The first process of the machine, and ourselves.
fn is_untouchable(pid: u32) -> bool {
    pid <= 1 || pid == std::process::id()
}

fn kill_one(pid: u32, is_protected: &impl Fn(&Process) -> bool) -> bool {
    if is_untouchable(pid) {
        return false;
    }
    match Process::open(pid, None) {
        Ok(Some(process)) if !is_protected(&process) => {
            process.signal(Signal::KILL).unwrap_or(false)
        }
        _ => false,
    }
}

/// The processes of a cgroup and of those it holds: a container may have made some of its own.
pub fn processes_in(directory: &Path) -> Vec<u32> {
    let mut pids = Vec::new();
    for directory in cgroups_below(directory) {
        let listed = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        pids.extend(listed.lines().filter_map(|line| line.parse::<u32>().ok()));
    }
    pids
}

/// A cgroup and those it holds, itself first.
fn cgroups_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        left.extend(
            entries
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
        found.push(directory);
        if found.len() >= MOST_CGROUPS {
            break;
        }
    }
    found
}

/// What came of freezing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frozen {
    /// Nothing in it runs any more.
    Whole,
    /// It is asked for; what sleeps in the kernel stops when it comes back from there.
    UnderWay,
}

/// Stops everything in a cgroup where it is, memory and all, until [`thaw_cgroup`] or until
/// `until_secs` by the real clock, at which a running agent thaws it. `freezer` is the same cgroup's
/// directory in version 1's freezer, where that is the hierarchy that counts.
///
/// # Errors
/// [`ActError`]. Then nothing is frozen.
pub fn freeze_cgroup(
    directory: &Path,
    freezer: Option<&Path>,
    until_secs: u64,
    is_protected: impl Fn(&Process) -> bool,
) -> Result<Frozen, ActError> {
    for pid in processes_in(directory) {
        let protected =
            || Process::open(pid, None).is_ok_and(|found| found.is_some_and(|p| is_protected(&p)));
        if is_untouchable(pid) || protected() {
            return Err(ActError::Protected {
                directory: directory.to_owned(),
                pid,
            });
        }
    }
    let freezer = Freezer::of(directory, freezer)?;
    // Marked first: what is frozen without a mark would be found by nobody.
    let marked = freezer.mark(until_secs);
    if let Err(error) = marked.and_then(|()| freezer.set(true)) {
        freezer.unmark();
        return Err(file("freeze", directory)(error));
    }
    let began = Instant::now();
    while !freezer.is_frozen() {
        if began.elapsed() > FREEZE_DEADLINE {
            return Ok(Frozen::UnderWay);
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "between two looks at a condition with a deadline"
        )]
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(Frozen::Whole)
}

/// Lets a frozen cgroup go on.
///
/// # Errors
/// [`ActError`]. Then it stays marked.
pub fn thaw_cgroup(directory: &Path, freezer: Option<&Path>) -> Result<(), ActError> {
    let freezer = Freezer::of(directory, freezer)?;
    freezer.set(false).map_err(file("thaw", directory))?;
    freezer.unmark();
    Ok(())
}

/// A cgroup that we froze.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrozenCgroup {
    /// Its directory in the hierarchy that freezes.
    pub directory: PathBuf,
    /// Until when, in seconds of the real clock.
    pub until_secs: u64,
}

/// The cgroups below a hierarchy's mount that carry our mark.
pub fn frozen_below(mount: &Path) -> Vec<FrozenCgroup> {
    cgroups_below(mount)
        .into_iter()
        .filter_map(|directory| {
            let until_secs = read_mark(&directory)?;
            Some(FrozenCgroup {
                directory,
                until_secs,
            })
        })
        .collect()
}

/// Thaws what is due: everything where `now_secs` is `None`. Returns each with what came of it.
pub fn thaw_due(mount: &Path, now_secs: Option<u64>) -> Vec<(FrozenCgroup, Result<(), ActError>)> {
    frozen_below(mount)
        .into_iter()
        .filter(|frozen| now_secs.is_none_or(|now| now >= frozen.until_secs))
        .map(|frozen| {
            let thawed = thaw_cgroup(&frozen.directory, Some(&frozen.directory));
            (frozen, thawed)
        })
        .collect()
}

/// Thaws at once what was frozen on this machine, by whatever agent: all of it, or the cgroups whose
/// path holds the id `container`.
///
/// # Errors
/// The machine's mounts cannot be read.
pub fn thaw_here(container: Option<&str>) -> io::Result<Vec<(FrozenCgroup, Result<(), ActError>)>> {
    let mounts = CgroupMounts::read()?;
    let is_meant = |frozen: &FrozenCgroup| {
        container.is_none_or(|id| frozen.directory.to_string_lossy().contains(id))
    };
    Ok(mounts
        .freezers()
        .flat_map(frozen_below)
        .filter(is_meant)
        .map(|frozen| {
            let thawed = thaw_cgroup(&frozen.directory, Some(&frozen.directory));
            (frozen, thawed)
        })
        .collect())
}

/// The file by which a cgroup is frozen.
struct Freezer {
    directory: PathBuf,
    is_v1: bool,
}

impl Freezer {
    fn of(directory: &Path, version1: Option<&Path>) -> Result<Self, ActError> {
        if directory.join("cgroup.freeze").exists() {
            return Ok(Self {
                directory: directory.to_owned(),
                is_v1: false,
            });
        }
        match version1.filter(|freezer| freezer.join("freezer.state").exists()) {
            Some(freezer) => Ok(Self {
                directory: freezer.to_owned(),
                is_v1: true,
            }),
            None => Err(ActError::NoFreezer {
                directory: directory.to_owned(),
            }),
        }
    }

    fn set(&self, frozen: bool) -> io::Result<()> {
        match (self.is_v1, frozen) {
            (false, _) => fs::write(
                self.directory.join("cgroup.freeze"),
                if frozen { "1" } else { "0" },
            ),
            (true, _) => fs::write(
                self.directory.join("freezer.state"),
                if frozen { "FROZEN" } else { "THAWED" },
            ),
        }
    }

    fn is_frozen(&self) -> bool {
        if self.is_v1 {
            let state = fs::read_to_string(self.directory.join("freezer.state"));
            return state.is_ok_and(|state| state.trim() == "FROZEN");
        }
        let events = fs::read_to_string(self.directory.join("cgroup.events"));
        events.is_ok_and(|events| events.lines().any(|line| line == "frozen 1"))
    }

    fn mark(&self, until_secs: u64) -> io::Result<()> {
        let path = c_path(&self.directory)?;
        let value = until_secs.to_string();
        // SAFETY: both names end in NUL, and the value has the length given.
        let failed = unsafe {
            libc::setxattr(
                path.as_ptr(),
                FROZEN_BY_US.as_ptr(),
                value.as_ptr().cast(),
                value.len(),
                0,
            )
        };
        match failed {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn unmark(&self) {
        if let Ok(path) = c_path(&self.directory) {
            // SAFETY: both names end in NUL.
            unsafe { libc::removexattr(path.as_ptr(), FROZEN_BY_US.as_ptr()) };
        }
    }
}

fn read_mark(directory: &Path) -> Option<u64> {
    let path = c_path(directory).ok()?;
    let mut value = [0_u8; 24];
    // SAFETY: both names end in NUL, and the buffer has the length given.
    let length = unsafe {
        libc::getxattr(
            path.as_ptr(),
            FROZEN_BY_US.as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        )
    };
    let value = value.get(..usize::try_from(length).ok()?)?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

#[cfg(test)]
mod tests;
