//! Pins: what keeps the guard in force while no agent runs.
//!
//! Each version of the programs, each time it is loaded, has a directory of its own below the pin
//! directory. The exec hook's link is pinned last, so a directory that has it is complete. A new
//! directory is complete and its hook attached before any other is removed; a kill at any moment
//! leaves at least one in force, and the next start tidies up.

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::{
            ffi::OsStrExt,
            fs::{DirBuilderExt, MetadataExt},
        },
    },
    path::{Path, PathBuf},
};

use libbpf_rs::{MapHandle, libbpf_sys};
use rustix::fs::FlockOperation;

use super::{
    Arrival, Kernel, KernelError, Maps, Orphans, Start, bpf,
    load::{self, CEILING_CALL, EXEC_HOOK, FAULT_HOOK, ITERATOR, Programs},
};

/// Magic number of the BPF file system (include/uapi/linux/magic.h).
const BPF_FS_MAGIC: u32 = 0xcafe_4a11;

/// The pins that are in force, and the right to change them.
pub(super) struct Pins {
    generation: PathBuf,
    /// An advisory lock on the pin directory, held as long as this lives.
    #[allow(dead_code, reason = "held for its drop")]
    lock: OwnedFd,
}

impl Pins {
    pub(super) fn generation(&self) -> &Path {
        &self.generation
    }

    pub(super) fn fault_link(&self) -> PathBuf {
        self.generation.join(FAULT_HOOK)
    }
}

/// What [`detach`] found and removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detached {
    /// How many generations of pins were removed.
    pub generations: usize,
}

/// Removes all pins: nothing is guarded any more once no agent runs.
///
/// # Errors
/// [`KernelError`], for example while an agent works with them.
pub fn detach(pin_dir: &Path) -> Result<Detached, KernelError> {
    if !pin_dir.exists() {
        return Ok(Detached { generations: 0 });
    }
    // Whatever lies elsewhere is no pin, and nobody's to remove.
    if !is_on_bpf_fs(pin_dir)? {
        return Err(KernelError::NotBpfFs {
            pin_dir: pin_dir.to_owned(),
        });
    }
    let _lock = lock(pin_dir)?;
    let generations = generations(pin_dir);
    for generation in &generations {
        let mut left = Orphans::default();
        left.gather(generation);
        left.take_no_more(generation);
        remove_generation(generation)?;
        left.carry_out_verdicts();
    }
    // Whatever else lies there is not ours, and stays.
    if fs::read_dir(pin_dir).is_ok_and(|mut entries| entries.next().is_none()) {
        fs::remove_dir(pin_dir).map_err(file("remove", pin_dir))?;
    }
    Ok(Detached {
        generations: generations.len(),
    })
}

/// Takes over the pins of this version, or loads it and replaces what was there.
pub(super) fn start(pin_dir: &Path, start: &Start<'_>) -> Result<Kernel, KernelError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(pin_dir)
        .map_err(file("make", pin_dir))?;
    if !is_on_bpf_fs(pin_dir)? {
        // Leave no empty folder behind on a file system that cannot hold pins.
        let _ = fs::remove_dir(pin_dir);
        return Err(KernelError::NotBpfFs {
            pin_dir: pin_dir.to_owned(),
        });
    }
    let owner = fs::metadata(pin_dir).map_err(file("look at", pin_dir))?;
    if owner.uid() != rustix::process::geteuid().as_raw() || owner.mode() & 0o022 != 0 {
        return Err(KernelError::Foreign {
            pin_dir: pin_dir.to_owned(),
        });
    }
    let lock = lock(pin_dir)?;

    let version = format!("{:016x}", load::version());
    let found = generations(pin_dir);
    let is_mine = |generation: &&PathBuf| {
        let name = generation.file_name().unwrap_or_default().as_bytes();
        name.starts_with(version.as_bytes()) && generation.join(EXEC_HOOK).exists()
    };
    // Pins with an injected fault are never taken over, nor are pins taken over to inject one.
    let injects = start.faults.unreadable_children_of.is_some();
    let mine = found.iter().rev().find(is_mine).filter(|_| !injects);
    let adopted = mine.and_then(|generation| match adopt(generation, start) {
        Ok(kernel) => Some((kernel, generation.clone())),
        Err(error) => {
            tracing::warn!(%error, path = %generation.display(), "these pins are damaged; loading anew");
            None
        }
    });
    let (mut kernel, generation) = match adopted {
        Some(adopted) => adopted,
        None => {
            let generation = pin_dir.join(format!("{version}-{:04}", next_number(&found)));
            (load_and_pin(&generation, start)?, generation)
        }
    };
    for other in found.iter().filter(|other| **other != generation) {
        kernel.orphans.gather(other);
        remove_generation(other)?;
        if kernel.arrival == Arrival::Loaded {
            kernel.arrival = Arrival::Replaced;
        }
    }
    kernel.pins = Some(Pins { generation, lock });
    Ok(kernel)
}

fn is_on_bpf_fs(pin_dir: &Path) -> Result<bool, KernelError> {
    let statistics =
        rustix::fs::statfs(pin_dir).map_err(|error| file("look at", pin_dir)(error.into()))?;
    Ok(statistics.f_type as u32 == BPF_FS_MAGIC)
}

fn adopt(generation: &Path, start: &Start<'_>) -> Result<Kernel, KernelError> {
    let maps = Maps::gather(|name| {
        MapHandle::from_pinned_path(generation.join(name)).map_err(bpf("open a pinned map"))
    })?;
    let programs = Programs {
        exec: get(&generation.join(program_pin(EXEC_HOOK)))?,
        fault: Some(generation.join(program_pin(FAULT_HOOK)))
            .filter(|pin| pin.exists())
            .map(|pin| get(&pin))
            .transpose()?,
        iterator: get(&generation.join(program_pin(ITERATOR)))?,
        ceiling: get(&generation.join(program_pin(CEILING_CALL)))?,
    };
    let exec_link = get(&generation.join(EXEC_HOOK))?;
    let iterator = get(&generation.join(ITERATOR))?;
    let fault_pin = generation.join(FAULT_HOOK);
    let fault_link = fault_pin.exists().then(|| get(&fault_pin)).transpose()?;
    maps.prepare(start)?;
    Ok(Kernel {
        maps,
        iterator,
        programs,
        exec_link,
        fault_link,
        pins: None,
        arrival: Arrival::Adopted,
        orphans: Orphans::default(),
    })
}

fn load_and_pin(generation: &Path, start: &Start<'_>) -> Result<Kernel, KernelError> {
    let kernel = load::load(start)?;
    fs::create_dir(generation).map_err(file("make", generation))?;
    if let Err(error) = pin_all(&kernel, generation) {
        // What was in force before stays so; this attempt leaves nothing behind.
        let _ = remove_generation(generation);
        return Err(error);
    }
    Ok(kernel)
}

fn pin_all(kernel: &Kernel, generation: &Path) -> Result<(), KernelError> {
    for (name, map) in kernel.maps.each() {
        pin(map.as_fd(), &generation.join(name))?;
    }
    let programs = [
        (EXEC_HOOK, Some(&kernel.programs.exec)),
        (FAULT_HOOK, kernel.programs.fault.as_ref()),
        (ITERATOR, Some(&kernel.programs.iterator)),
        (CEILING_CALL, Some(&kernel.programs.ceiling)),
    ];
    for (name, program) in programs {
        if let Some(program) = program {
            pin(program.as_fd(), &generation.join(program_pin(name)))?;
        }
    }
    pin(kernel.iterator.as_fd(), &generation.join(ITERATOR))?;
    if let Some(link) = &kernel.fault_link {
        pin(link.as_fd(), &generation.join(FAULT_HOOK))?;
    }
    pin(kernel.exec_link.as_fd(), &generation.join(EXEC_HOOK))
}

/// The file system keeps names with dots for itself.
fn program_pin(name: &str) -> String {
    format!("{name}_program")
}

/// The directories of all versions, oldest number first.
pub(super) fn generations(pin_dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(pin_dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_generation(path) && path.is_dir())
        .collect();
    found.sort_by_key(|path| (number(path), path.clone()));
    found
}

/// Whether a directory has a name as [`start`] gives: whatever else lies here is not ours.
fn is_generation(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split_once('-').is_some_and(|(version, number)| {
        version.len() == 16
            && version.bytes().all(|byte| byte.is_ascii_hexdigit())
            && number.len() >= 4
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn number(generation: &Path) -> u32 {
    let name = generation.file_name().unwrap_or_default().to_string_lossy();
    name.rsplit('-')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

fn next_number(found: &[PathBuf]) -> u32 {
    found.iter().map(|path| number(path)).max().unwrap_or(0) + 1
}

/// Removes a generation, its exec hook first: without it the rest is of no effect, and a removal
/// that is cut off leaves something that the next start takes for incomplete.
fn remove_generation(generation: &Path) -> Result<(), KernelError> {
    remove(&generation.join(EXEC_HOOK))?;
    for entry in fs::read_dir(generation)
        .map_err(file("list", generation))?
        .flatten()
    {
        remove(&entry.path())?;
    }
    fs::remove_dir(generation).map_err(file("remove", generation))
}

pub(super) fn remove(path: &Path) -> Result<(), KernelError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(file("remove", path)),
    }
}

pub(super) fn pin(fd: BorrowedFd<'_>, path: &Path) -> Result<(), KernelError> {
    let name = c_path(path)?;
    // SAFETY: the descriptor is open and the path ends in NUL.
    let failed = unsafe { libbpf_sys::bpf_obj_pin(fd.as_raw_fd(), name.as_ptr()) };
    if failed < 0 {
        return Err(file("pin", path)(io::Error::from_raw_os_error(-failed)));
    }
    Ok(())
}

fn get(path: &Path) -> Result<OwnedFd, KernelError> {
    let name = c_path(path)?;
    // SAFETY: the path ends in NUL.
    let fd = unsafe { libbpf_sys::bpf_obj_get(name.as_ptr()) };
    if fd < 0 {
        return Err(file("open", path)(io::Error::from_raw_os_error(-fd)));
    }
    load::owned(fd, "open a pin")
}

fn c_path(path: &Path) -> Result<CString, KernelError> {
    CString::new(path.as_os_str().as_bytes()).map_err(|error| file("name", path)(error.into()))
}

fn lock(pin_dir: &Path) -> Result<OwnedFd, KernelError> {
    let directory: OwnedFd = fs::File::open(pin_dir)
        .map_err(file("open", pin_dir))?
        .into();
    match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(directory),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(KernelError::Busy {
            pin_dir: pin_dir.to_owned(),
        }),
        Err(error) => Err(file("lock", pin_dir)(error.into())),
    }
}

fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KernelError {
    let path = path.to_owned();
    move |source| KernelError::File {
        doing,
        path,
        source,
    }
}
