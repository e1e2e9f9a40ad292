//! The ceilings of rules, as the kernel programs keep them: setting, asking, reading and resetting.
//!
//! The agent asks by running a program of the kernel's, so that what it kills and what the kernel
//! kills are counted in one place and in one step.

use std::os::fd::AsRawFd;

use libbpf_rs::{MapCore, MapFlags, libbpf_sys};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::{
    Kernel, KernelError, bpf,
    maps::{Maps, SetOne, clear, ignore_absent},
};
use crate::abi::{
    CEILING_SLOTS, Ceiling, CeilingAnswer, CeilingCall, CeilingHow, CeilingKey, CeilingKind,
    CeilingLimits,
};

/// How many victims rules may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ceilings {
    /// What counts for every rule.
    pub limits: CeilingLimits,
    /// The table whose rules they are: ceilings of others are dropped.
    pub generation: u64,
    /// Rules with a ceiling of their own, [`CEILING_NONE`](crate::abi::CEILING_NONE) for none.
    pub own: Vec<(CeilingKey, u32)>,
}

impl CeilingKey {
    /// Every rule together.
    pub const NODE: Self = Self {
        generation: 0,
        kind: CeilingKind::Node as u32,
        rule: 0,
    };
    /// The rules that there is no room for.
    pub const OTHERS: Self = Self {
        generation: 0,
        kind: CeilingKind::Others as u32,
        rule: 0,
    };
    /// What could not be read.
    pub fn unreadable(generation: u64) -> Self {
        Self {
            generation,
            kind: CeilingKind::Unreadable as u32,
            rule: 0,
        }
    }

    /// A set of banned strings.
    pub fn string(generation: u64, set: u32) -> Self {
        Self {
            generation,
            kind: CeilingKind::String as u32,
            rule: set,
        }
    }

    /// A detection, by its name.
    pub fn detection(name: &str) -> Self {
        Self {
            generation: 0,
            kind: CeilingKind::Detection as u32,
            rule: davylamp_detect::breaker::digest(name),
        }
    }
}

/// A ceiling that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The rule.
    pub key: CeilingKey,
    /// Kills that did not happen, ever growing.
    pub refused: u64,
    /// Whether it refuses since the last time it had room.
    pub is_refusing: bool,
    /// Its victims in slots.
    pub victims: usize,
}

impl Maps {
    /// Puts other ceilings in force. What was counted for rules that are still there stays counted.
    pub(super) fn set_ceilings(&self, wanted: &Ceilings) -> Result<(), KernelError> {
        self.ceiling_limits
            .set_one("set the ceilings", wanted.limits.as_bytes())?;
        for key in self.ceilings.keys().collect::<Vec<_>>() {
            let Ok(old) = CeilingKey::read_from_bytes(&key) else {
                continue;
            };
            let most = |(own, most): &(CeilingKey, u32)| (*own == old).then_some(*most);
            let most = wanted.own.iter().find_map(most).unwrap_or(0);
            if old.generation != 0 && old.generation != wanted.generation {
                ignore_absent(self.ceilings.delete(&key), "drop a ceiling")?;
            } else if let Some(ceiling) = self.ceiling(&old)?
                && ceiling.most != most
            {
                self.put_ceiling(&old, &Ceiling { most, ..ceiling })?;
            }
        }
        let own = wanted.own.iter().copied();
        for (key, most) in own.chain([(CeilingKey::OTHERS, 0), (CeilingKey::NODE, 0)]) {
            if self.ceiling(&key)?.is_none() {
                let mut fresh = Ceiling::new_zeroed();
                fresh.most = most;
                self.put_ceiling(&key, &fresh)?;
            }
        }
        Ok(())
    }

    fn ceiling(&self, key: &CeilingKey) -> Result<Option<Ceiling>, KernelError> {
        let value = self
            .ceilings
            .lookup(key.as_bytes(), MapFlags::ANY)
            .map_err(bpf("look at a ceiling"))?;
        Ok(value.and_then(|value| Ceiling::read_from_bytes(&value).ok()))
    }

    fn put_ceiling(&self, key: &CeilingKey, ceiling: &Ceiling) -> Result<(), KernelError> {
        self.ceilings
            .update(key.as_bytes(), ceiling.as_bytes(), MapFlags::ANY)
            .map_err(bpf("set a ceiling"))
    }
}

impl Kernel {
    /// Puts other ceilings in force.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn set_ceilings(&self, wanted: &Ceilings) -> Result<(), KernelError> {
        self.maps.set_ceilings(wanted)
    }

    /// Forgets every victim: each rule has its whole ceiling again.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn reset_ceilings(&self, wanted: &Ceilings) -> Result<(), KernelError> {
        clear(&self.maps.ceilings, "reset a ceiling")?;
        self.maps.set_ceilings(wanted)
    }

    /// Asks the ceilings of a rule and of this node about a victim.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn ask_ceiling(
        &self,
        rule: CeilingKey,
        victim: u64,
        how: CeilingHow,
    ) -> Result<CeilingAnswer, KernelError> {
        let mut call = CeilingCall {
            generation: rule.generation,
            rule: u64::from(rule.kind) << 32 | u64::from(rule.rule),
            victim,
            how: how as u32,
            answer: 0,
        };
        let mut options = libbpf_sys::bpf_test_run_opts {
            sz: size_of::<libbpf_sys::bpf_test_run_opts>() as libbpf_sys::size_t,
            ctx_in: (&raw mut call).cast(),
            ctx_size_in: size_of::<CeilingCall>() as u32,
            ..Default::default()
        };
        // SAFETY: the descriptor is a program's, and the context is a live value of the size given,
        // which the kernel reads and writes.
        let failed = unsafe {
            libbpf_sys::bpf_prog_test_run_opts(self.programs.ceiling.as_raw_fd(), &raw mut options)
        };
        if failed < 0 {
            let source = libbpf_rs::Error::from_raw_os_error(-failed);
            return Err(bpf("ask a ceiling")(source));
        }
        Ok(match call.answer {
            1 => CeilingAnswer::Claimed,
            2 => CeilingAnswer::Over,
            3 => CeilingAnswer::Trips,
            _ => CeilingAnswer::Counted,
        })
    }

    /// The ceilings that refused a kill since they were last reset.
    pub fn ceilings_reached(&self) -> Vec<Reached> {
        let reached = |key: Vec<u8>| {
            let key = CeilingKey::read_from_bytes(&key).ok()?;
            let ceiling = self.maps.ceiling(&key).ok()??;
            (ceiling.refused > 0).then(|| Reached {
                key,
                refused: ceiling.refused,
                is_refusing: ceiling.refusing != 0,
                victims: ceiling.slots.iter().filter(|slot| **slot != 0).count(),
            })
        };
        self.maps.ceilings.keys().filter_map(reached).collect()
    }
}

const _: () = assert!(CEILING_SLOTS == 128);
