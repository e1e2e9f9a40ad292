//! Senses: objects of kernel programs beside the exec guard, each with maps of its own.
//!
//! The guard does without a sense that this kernel cannot have, and says so. A sense shares the
//! guard's maps by their names: its events come through the same buffer, and what is protected is
//! protected from it too. Its links are pinned in the guard's generation under `<sense>.…`, and taken
//! over by no later agent: that one attaches its own before it removes them, so that there is no
//! moment without.

use std::{
    collections::BTreeMap,
    ffi::CStr,
    fs,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
};

use libbpf_rs::{MapCore, MapHandle, ObjectBuilder, libbpf_sys};

use super::{Kernel, KernelError, bpf, load, pins};

/// Where a program of a sense is attached.
pub enum Hook<'a> {
    /// A tracepoint with types (`tp_btf/…`) of this name. The program is left out where the kernel
    /// lacks it.
    Tracepoint(&'static CStr),
    /// A cgroup of the unified hierarchy, by its directory, in addition to what is attached there.
    Cgroup {
        /// Its directory.
        directory: BorrowedFd<'a>,
        /// `BPF_CGROUP_…`.
        attach_type: libbpf_sys::bpf_attach_type,
    },
}

/// What makes a sense.
pub struct Plan<'a> {
    /// Its name, also of its pins.
    pub name: &'static str,
    /// The compiled object, aligned as an ELF file must be.
    pub object: &'static [u8],
    /// Its programs by name, and where each belongs. Others are not loaded.
    pub programs: &'a [(&'static str, Hook<'a>)],
    /// What its constants (`const volatile`, all in one section) begin with.
    pub constants: &'a [u8],
}

/// A sense, loaded and attached for as long as this lives, or longer where it is pinned.
pub struct Sense {
    maps: BTreeMap<String, MapHandle>,
    #[allow(dead_code, reason = "held for its drop")]
    links: Vec<OwnedFd>,
    /// The programs that this kernel has no hook for.
    pub absent: Vec<&'static str>,
}

impl Sense {
    /// One of its maps.
    ///
    /// # Panics
    /// Where the object has no such map, which is a bug.
    pub fn map(&self, name: &str) -> &MapHandle {
        &self.maps[name]
    }
}

impl Kernel {
    /// Loads a sense and lets `prepare` fill its maps; then attaches it, and takes down what an
    /// earlier agent left attached.
    ///
    /// # Errors
    /// [`KernelError`]. What was attached before stays so.
    pub fn start_sense(
        &self,
        plan: &Plan<'_>,
        prepare: impl FnOnce(&Sense) -> Result<(), KernelError>,
    ) -> Result<Sense, KernelError> {
        let mut open = ObjectBuilder::default()
            .open_memory(plan.object)
            .map_err(bpf("read the programs of a sense"))?;
        let mut absent = Vec::new();
        for mut program in open.progs_mut() {
            let planned = plan
                .programs
                .iter()
                .find(|(name, _)| program.name() == *name);
            let wanted = match planned {
                Some((name, Hook::Tracepoint(tracepoint))) => {
                    let is_there = load::has_tracepoint(tracepoint);
                    if !is_there {
                        absent.push(*name);
                    }
                    is_there
                }
                Some((_, Hook::Cgroup { .. })) => true,
                None => false,
            };
            program.set_autoload(wanted);
        }
        for mut map in open.maps_mut() {
            let name = map.name().to_string_lossy().into_owned();
            if name.ends_with(".rodata") && !plan.constants.is_empty() {
                let mut value = map.initial_value().unwrap_or_default().to_vec();
                value[..plan.constants.len()].copy_from_slice(plan.constants);
                map.set_initial_value(&value)
                    .map_err(bpf("set the constants of a sense"))?;
            } else if let Some((_, shared)) = self.maps.each().iter().find(|(own, _)| *own == name)
            {
                map.reuse_fd(shared.as_fd())
                    .map_err(bpf("share a map with a sense"))?;
            }
        }
        let object = open.load().map_err(bpf("load the programs of a sense"))?;
        let mut maps = BTreeMap::new();
        for map in object.maps() {
            let handle = MapHandle::try_from(&map).map_err(bpf("take hold of a map"))?;
            maps.insert(map.name().to_string_lossy().into_owned(), handle);
        }
        let mut sense = Sense {
            maps,
            links: Vec::new(),
            absent,
        };
        prepare(&sense)?;
        for (name, hook) in plan.programs {
            let Some(program) = object.progs().find(|program| program.name() == *name) else {
                continue;
            };
            if sense.absent.contains(name) {
                continue;
            }
            let link = match hook {
                Hook::Tracepoint(_) => load::attach(program.as_fd(), "attach a sense")?,
                Hook::Cgroup {
                    directory,
                    attach_type,
                } => attach_to_cgroup(program.as_fd(), *directory, *attach_type)?,
            };
            sense.links.push(link);
        }
        if let Some(pins) = &self.pins {
            pin_links(pins.generation(), plan.name, &sense.links)?;
        }
        Ok(sense)
    }

    /// Takes down what an earlier agent left of a sense that is not wanted any more.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn end_sense(&self, name: &str) -> Result<(), KernelError> {
        match &self.pins {
            Some(pins) => pin_links(pins.generation(), name, &[]),
            None => Ok(()),
        }
    }
}

/// Pins these links, then removes the pins that an earlier agent left.
fn pin_links(generation: &Path, name: &str, links: &[OwnedFd]) -> Result<(), KernelError> {
    // The file system keeps names with dots for itself.
    let prefix = format!("{name}-");
    let before: Vec<_> = fs::read_dir(generation)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&prefix)
        })
        .collect();
    let run = std::process::id();
    for (number, link) in links.iter().enumerate() {
        let mut path = generation.join(format!("{prefix}{run}_{number}"));
        if path.exists() {
            path = generation.join(format!("{prefix}{run}_{number}_again"));
        }
        pins::pin(link.as_fd(), &path)?;
    }
    for path in before {
        pins::remove(&path)?;
    }
    Ok(())
}

/// Attaches to a cgroup beside whatever is attached there.
fn attach_to_cgroup(
    program: BorrowedFd<'_>,
    directory: BorrowedFd<'_>,
    attach_type: libbpf_sys::bpf_attach_type,
) -> Result<OwnedFd, KernelError> {
    // SAFETY: both descriptors are open, and no options are passed.
    let fd = unsafe {
        libbpf_sys::bpf_link_create(
            program.as_raw_fd(),
            directory.as_raw_fd(),
            attach_type,
            std::ptr::null(),
        )
    };
    load::owned(fd, "attach a sense to a cgroup")
}
