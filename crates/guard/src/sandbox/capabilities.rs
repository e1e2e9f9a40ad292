//! Giving up capabilities so that nothing can bring them back.

use caps::{CapSet, Capability, CapsHashSet};

use super::SandboxError;

/// What came of dropping capabilities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Asked to be kept, but not there to begin with.
    pub absent: Vec<Capability>,
    /// Still in the bounding set, which only `CAP_SETPCAP` may change. They are out of reach all
    /// the same: with `no_new_privs` no exec gains a capability.
    pub bounding_left: Vec<Capability>,
}

/// Gives up every capability but `keep`, for good, and sets `no_new_privs`.
///
/// The effective and permitted sets become what `keep` and they have in common; the ambient,
/// inheritable and bounding sets are emptied. Call it before any other thread starts: capabilities
/// belong to threads, so with more than one this is an error and nothing is changed. Threads that
/// start later inherit the sets.
pub fn drop_capabilities(keep: &[Capability]) -> Result<Dropped, SandboxError> {
    let threads = std::fs::read_dir("/proc/self/task").map_err(SandboxError::Tasks)?;
    let count = threads.count();
    if count != 1 {
        return Err(SandboxError::Threads { count });
    }
    rustix::thread::set_no_new_privs(true)
        .map_err(|errno| SandboxError::NoNewPrivileges(errno.into()))?;

    let permitted = read(CapSet::Permitted)?;
    let keep: CapsHashSet = keep.iter().copied().collect();
    let kept: CapsHashSet = keep.intersection(&permitted).copied().collect();

    // Kernels before 4.3 have no ambient set, and then there is nothing to clear.
    let ambient = caps::clear(None, CapSet::Ambient).err();
    // While CAP_SETPCAP is still effective: without it the kernel refuses each, and says so below.
    if permitted.contains(&Capability::CAP_SETPCAP) {
        for capability in read(CapSet::Bounding)? {
            caps::drop(None, CapSet::Bounding, capability)
                .map_err(|source| changing("bounding", source))?;
        }
    }
    let nothing = CapsHashSet::new();
    for (name, set, value) in [
        ("inheritable", CapSet::Inheritable, &nothing),
        ("effective", CapSet::Effective, &kept),
        ("permitted", CapSet::Permitted, &kept),
        // Once more: what was permitted and not effective becomes effective now.
        ("effective", CapSet::Effective, &kept),
    ] {
        caps::set(None, set, value).map_err(|source| changing(name, source))?;
    }

    for set in [CapSet::Effective, CapSet::Permitted] {
        if let Some(capability) = read(set)?.difference(&kept).next() {
            return Err(SandboxError::NotDropped {
                capability: *capability,
            });
        }
    }
    let left_over = match ambient {
        Some(_) => read(CapSet::Inheritable)?,
        None => read(CapSet::Inheritable)?
            .union(&read(CapSet::Ambient)?)
            .copied()
            .collect(),
    };
    if let Some(capability) = left_over.into_iter().next() {
        return Err(SandboxError::NotDropped { capability });
    }
    Ok(Dropped {
        absent: sorted(keep.difference(&kept).copied()),
        bounding_left: sorted(read(CapSet::Bounding)?.into_iter()),
    })
}

fn read(set: CapSet) -> Result<CapsHashSet, SandboxError> {
    let name = match set {
        CapSet::Ambient => "ambient",
        CapSet::Bounding => "bounding",
        CapSet::Effective => "effective",
        CapSet::Inheritable => "inheritable",
        CapSet::Permitted => "permitted",
    };
    caps::read(None, set).map_err(|source| changing(name, source))
}

fn changing(set: &'static str, source: caps::errors::CapsError) -> SandboxError {
    SandboxError::Capabilities { set, source }
}

fn sorted(capabilities: impl Iterator<Item = Capability>) -> Vec<Capability> {
    let mut capabilities: Vec<_> = capabilities.collect();
    capabilities.sort_by_key(Capability::index);
    capabilities
}
