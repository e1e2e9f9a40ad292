//! The wire: the kernel programs that follow what sockets say, their tables, and reading what they tell.
//!
//! What must stay true: the programs recognise by tables that `detect` makes, and what they saw is told in
//! the words of the same judge. Where they cannot be had, the guard does without and says so.
//!
//! Deliberately not here: what is done about what they tell (`agent` does), and judging captures
//! (`detect::wire`).

mod banned;
mod destinations;
mod sight;

use std::{
    fs::File,
    io,
    net::IpAddr,
    os::{fd::AsFd, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use davylamp_content::{
    detection::{Detection, Wire as Seen, shipped},
    indicators::{Confidence, Indicator},
};
use davylamp_detect::{
    breaker::digest,
    indicator::Indicators,
    wire::{
        MIN_RHYTHM_NS,
        walk::{name_hash, number_of as number_of_seen, tables},
    },
};
use libbpf_rs::{MapCore, MapFlags, MapHandle, libbpf_sys};
use zerocopy::{FromZeros, IntoBytes};

use crate::{
    abi::{WireConstants, WireEndpoint, WirePrefix, WireRule, WireToken},
    config::{Config, Flows, Wire, WirePolicy},
    kernel::{Hook, Kernel, KernelError, Plan, Sense},
    protect::CgroupMounts,
};

pub use banned::{BannedError, Prefix};
pub use destinations::Destinations;
pub use sight::{Connect, Done, Sight, is_of_wire};

/// An object file is read in place, so it is aligned.
#[repr(align(8))]
struct Aligned<Bytes: ?Sized>(Bytes);

static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/wire.bpf.o")));

/// The sense's name, also of its pins.
const NAME: &str = "wire";

/// An answered address is remembered no longer than this, whatever the answer says: names of pools
/// move.
const NAMES_LAST_NS: u64 = 24 * 3600 * 1_000_000_000;

/// The number of a hierarchy's own root (`include/linux/cgroup-defs.h`); within a cgroup namespace the
/// root that is seen has another.
const ROOT_CGROUP: u64 = 1;

/// Names of this confidence are looked for, as in captures.
const LEAST_CONFIDENCE: Confidence = Confidence::Medium;

/// The detection whose kills by the kernel have a ceiling of their own.
pub(crate) const BANNED_ADDRESS: &str = "banned-address";

/// What can be seen, each with the detection that is about it.
pub(crate) fn detections() -> impl Iterator<Item = (Seen, Detection)> {
    // What ships is tested to be without a fault.
    let all = shipped().unwrap_or_default().into_iter();
    all.flat_map(|parsed| {
        let sees = parsed.detection.sees.clone();
        sees.into_iter()
            .map(move |seen| (seen, parsed.detection.clone()))
    })
}

/// What a name is: `NAME_…` of `bpf/abi.h`.
const NAME_POOL: u32 = 1;
const NAME_RESOLVER: u32 = 2;

/// Why the wire is not watched.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// There is no cgroup to attach to.
    #[error("there is no cgroup {path} in the unified hierarchy")]
    NoCgroup {
        /// Its path.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The list of banned addresses cannot be used.
    #[error(transparent)]
    Banned(#[from] BannedError),
}

/// The wire, watched for as long as this lives, or longer where it is pinned.
pub struct Watch {
    #[allow(dead_code, reason = "held for its links")]
    sense: Sense,
    /// What the kernel lacks for it.
    pub lost: Vec<String>,
}

/// Watches the wire as configuration says; `None` where it says not to.
///
/// # Errors
/// [`WireError`].
pub fn watch(
    kernel: &Kernel,
    config: &Config,
    pools: &[Indicator],
    mounts: &CgroupMounts,
) -> Result<Option<Watch>, WireError> {
    let Config { wire, flows, .. } = config;
    let banned = match &flows.banned_ipv4_file {
        file if file.as_os_str().is_empty() => Vec::new(),
        file => banned::read(file)?,
    };
    let is_off = [
        wire.protocols,
        wire.names,
        wire.addresses,
        wire.encrypted_dns,
    ]
    .iter()
    .all(|policy| *policy == WirePolicy::Off)
        && !wire.rhythm
        && !flows.is_on();
    if is_off {
        kernel.end_sense(NAME)?;
        return Ok(None);
    }
    let path = directory(mounts, &wire.cgroup);
    let directory = File::open(&path).map_err(|source| WireError::NoCgroup {
        path: wire.cgroup.clone(),
        source,
    })?;
    let indicators = Indicators::new(pools);
    let root = directory
        .metadata()
        .is_ok_and(|found| found.ino() == ROOT_CGROUP);
    let constants = constants(wire, flows, !banned.is_empty(), root);
    let hook = |attach_type| Hook::Cgroup {
        directory: directory.as_fd(),
        attach_type,
    };
    let programs = [
        ("on_egress", hook(libbpf_sys::BPF_CGROUP_INET_EGRESS)),
        ("on_ingress", hook(libbpf_sys::BPF_CGROUP_INET_INGRESS)),
        ("on_state", Hook::Tracepoint(c"inet_sock_set_state")),
        ("on_send", Hook::Tracepoint(c"sock_send_length")),
        ("on_receive", Hook::Tracepoint(c"sock_recv_length")),
    ];
    let plan = Plan {
        name: NAME,
        object: &OBJECT.0,
        programs: &programs,
        constants: constants.as_bytes(),
    };
    let sense = kernel.start_sense(&plan, |sense| {
        let names = sense.map("pool_names");
        if wire.encrypted_dns != WirePolicy::Off {
            let encrypted = detections().filter(|(seen, _)| *seen == Seen::EncryptedDns);
            for name in encrypted.flat_map(|(_, detection)| detection.names) {
                put(names, name_hash(&name).as_bytes(), NAME_RESOLVER)?;
            }
        }
        // What is both is a pool's.
        if wire.names != WirePolicy::Off {
            for name in indicators.domains(LEAST_CONFIDENCE) {
                put(names, name_hash(name).as_bytes(), NAME_POOL)?;
            }
        }
        let networks = indicators.networks();
        let networks = networks.map(|(first, bits)| Prefix::new(first, bits));
        fill(sense.map("pool_addresses"), networks)?;
        fill_endpoints(sense.map("pool_endpoints"), &indicators)?;
        fill(sense.map("banned_addresses"), banned.iter().copied())
    })?;
    let mut lost: Vec<String> = sense
        .absent
        .iter()
        .map(|program| format!("wire: this kernel has no hook for {program}"))
        .collect();
    if wire.cgroup == "/" && !root {
        lost.push(format!(
            "wire: {} is not the machine's root cgroup, so only sockets below it are watched; give \
             the guard the machine's own cgroup namespace",
            path.display()
        ));
    }
    Ok(Some(Watch { sense, lost }))
}

/// Says whether the lists that configuration names can be used, as [`watch`] would.
///
/// # Errors
/// [`BannedError`].
pub fn check(config: &Config) -> Result<(), BannedError> {
    let file = &config.flows.banned_ipv4_file;
    if !file.as_os_str().is_empty() {
        banned::read(file)?;
    }
    Ok(())
}

/// The compiled object, for tests.
pub fn object_bytes() -> &'static [u8] {
    &OBJECT.0
}

fn directory(mounts: &CgroupMounts, path: &str) -> PathBuf {
    match mounts.unified() {
        Some(mount) => mount.join(path.trim_start_matches('/')),
        None => Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/')),
    }
}

fn constants(wire: &Wire, flows: &Flows, is_banning: bool, whole_machine: bool) -> WireConstants {
    let tables = tables();
    let mut constants = WireConstants::new_zeroed();
    for (slot, token) in constants.tokens.iter_mut().zip(&tables.tokens) {
        *slot = WireToken {
            hash: token.hash,
            as_method: token.as_method,
            in_params: token.in_params,
            in_result: token.in_result,
            in_job: token.in_job,
            as_type: token.as_type,
            role: token.role,
            seen: token.seen,
            reserved: [0; 2],
        };
    }
    for (slot, rule) in constants.rules.iter_mut().zip(&tables.rules) {
        *slot = WireRule {
            all: rule.all,
            any: rule.any,
            seen: rule.seen.into(),
        };
    }
    constants.ceilings[0] = digest(BANNED_ADDRESS);
    for (seen, detection) in detections() {
        // What is not of the wire has a number as well, and no place here.
        if let Some(slot) = constants
            .ceilings
            .get_mut(usize::from(number_of_seen(seen)))
        {
            *slot = digest(&detection.name);
        }
    }
    constants.rhythm_min_ns = if wire.rhythm { MIN_RHYTHM_NS } else { 0 };
    constants.names_last_ns = NAMES_LAST_NS;
    constants.protocols = number_of(wire.protocols);
    constants.names = number_of(wire.names);
    constants.addresses = number_of(wire.addresses);
    constants.connects = u32::from(flows.unique_destinations_threshold > 0 || flows.log_connects);
    constants.banned = u32::from(is_banning);
    constants.encrypted_dns = number_of(wire.encrypted_dns);
    constants.whole_machine = u32::from(whole_machine);
    constants
}

/// `enum wire_policy`.
fn number_of(policy: WirePolicy) -> u32 {
    match policy {
        WirePolicy::Off => 0,
        WirePolicy::Alert => 1,
        WirePolicy::Drop => 2,
        WirePolicy::Kill => 3,
    }
}

fn fill_endpoints(map: &MapHandle, indicators: &Indicators) -> Result<(), KernelError> {
    for (address, port) in indicators.endpoints() {
        let key = WireEndpoint {
            address: mapped(address),
            port: port.into(),
        };
        put(map, key.as_bytes(), 1)?;
    }
    Ok(())
}

fn fill(map: &MapHandle, prefixes: impl Iterator<Item = Prefix>) -> Result<(), KernelError> {
    for prefix in prefixes {
        let key = WirePrefix {
            length: prefix.length,
            address: mapped(prefix.address),
        };
        put(map, key.as_bytes(), 1)?;
    }
    Ok(())
}

fn put(map: &MapHandle, key: &[u8], value: u32) -> Result<(), KernelError> {
    map.update(key, value.as_bytes(), MapFlags::ANY)
        .map_err(|source| KernelError::Bpf {
            doing: "fill a table of the wire",
            source,
        })
}

/// An address of version 4 as one of version 6.
fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::SEEN_MAX;

    #[test]
    fn whatever_can_be_seen_has_one_detection_and_a_ceiling() {
        let of_wire = |seen: &Seen| !seen.is_behaviour() && !seen.is_of_file();
        for (seen, name) in Seen::ALL.iter().filter(|(seen, _)| of_wire(seen)) {
            let about = detections().filter(|(other, _)| other == seen);
            assert_eq!(about.count(), 1, "{name}");
            assert!(usize::from(number_of_seen(*seen)) < SEEN_MAX, "{name}");
        }
    }
}
