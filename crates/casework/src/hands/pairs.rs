//! What each credential did from each place: the unit of which it is asked whose hand it was.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use davylamp_hunt::arrow::error::ArrowError;

use crate::detail::Detail;
use crate::trail::Trail;
use crate::trail::days::{Days, hour};
use crate::trail::meaning::{Phase, QUARANTINE, asks_for_quota, phase};
use crate::trail::names::Name;
use crate::trail::place::address;
use crate::trail::row::{Row, Text};
use crate::trail::uses::{Key, PROBES, Use};

/// Processors of one launch that is more than daily work.
const LARGE_VCPUS: u64 = 64;

/// Sets of names within a pair stop growing here.
const MAX_SET: usize = 64;

/// A principal's credential at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At {
    /// The principal.
    pub principal: Name,
    /// The credential.
    pub credential: Name,
    /// The place.
    pub place: Name,
}

/// What was done with it there.
#[derive(Debug, Clone, Default)]
pub struct Pair {
    /// From when to when, in microseconds since 1970.
    pub first: i64,
    /// See [`Self::first`].
    pub last: i64,
    /// Events.
    pub count: u64,
    /// On which days.
    pub days: Days,
    /// What called.
    pub agents: BTreeSet<Name>,
    /// Where.
    pub regions: BTreeSet<Name>,
    /// The source, event id and action of the first record.
    pub first_record: (Box<str>, Box<str>, Box<str>),
    /// Whether the place is an address.
    pub is_address: bool,
    /// Of each phase, what was done.
    pub phases: BTreeMap<Phase, Deeds>,
    /// Regions where machines were started, or were to be.
    pub launch_regions: BTreeSet<Name>,
    /// Machines that were asked for.
    pub asked: u64,
    /// Machines that were started.
    pub started: u64,
    /// Their processors.
    pub vcpus: u64,
    /// Whether accelerators were asked for.
    pub is_accelerated: bool,
    /// Launches that were refused, for want of quota or rights, or were only probed.
    pub refused: u64,
    /// Regions whose quotas were asked for.
    pub quota_regions: BTreeSet<Name>,
    /// Reads that look around, by their number in `PROBES`.
    pub probes: u16,
    /// Acts by which another user got a key, a password or rights.
    pub for_others: u64,
    /// Acts against logs and sensors.
    pub tampering: u64,
    /// Acts that protect machines from being ended.
    pub protecting: u64,
    /// Console logins without a second factor.
    pub logins_without_mfa: u64,
    /// Logins and sessions with one.
    pub with_mfa: u64,
    /// The first act that harms for certain, in microseconds since 1970: against sensors, for another user,
    /// a large launch or one that was refused.
    pub first_harm: Option<i64>,
    /// The first act of a phase in which harm is done, which may be daily work.
    pub first_deed: Option<i64>,
    /// What called when harm was done.
    pub harm_agents: BTreeSet<Name>,
    /// The hours of the day, in UTC, at which something was changed, by bits.
    pub deed_hours: u32,
}

/// What was done of a phase.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deeds {
    /// How often.
    pub count: u64,
    /// On which days.
    pub days: Days,
}

/// All pairs, and what principals did anywhere.
#[derive(Debug, Default)]
pub struct Pairs {
    /// Each pair.
    pub all: HashMap<At, Pair>,
}

impl At {
    /// Of a use.
    pub fn of(key: &Key) -> Self {
        Self {
            principal: key.principal,
            credential: key.credential,
            place: key.place,
        }
    }
}

impl Pairs {
    /// Gathers what is known of each pair.
    ///
    /// # Errors
    /// When the kept events cannot be read.
    pub fn of(trail: &Trail) -> Result<Self, ArrowError> {
        let mut pairs = Self::default();
        for (key, used) in trail.uses.iter().filter(|(_, used)| used.count > 0) {
            let is_address = address(trail.names.text(key.place)).is_some();
            pairs
                .all
                .entry(At::of(key))
                .or_default()
                .add(key, used, is_address);
        }
        trail.acts.each(|row| pairs.see(trail, row))?;
        Ok(pairs)
    }

    fn see(&mut self, trail: &Trail, row: Row<'_>) {
        let name = row.text(Text::EventName);
        let Some(key) = trail.uses.key_of(&trail.names, row) else {
            return;
        };
        let phase = phase(name).unwrap_or(Phase::Other);
        // AWS's own reaction is nobody's deed.
        if row.text(Text::Request).contains(QUARANTINE) {
            return;
        }
        if row.is_by_service() {
            return;
        }
        if let Some(pair) = self.all.get_mut(&At::of(&key)) {
            pair.see(&key, row, phase);
        }
    }
}

impl Pair {
    fn add(&mut self, key: &Key, used: &Use, is_address: bool) {
        if self.count == 0 || used.first < self.first {
            self.first = used.first;
            self.first_record = (
                used.source.clone(),
                used.event_id.clone(),
                used.action.clone(),
            );
        }
        self.last = if self.count == 0 {
            used.last
        } else {
            self.last.max(used.last)
        };
        self.count += used.count;
        self.days.join(&used.days);
        bounded(&mut self.agents, key.agent);
        bounded(&mut self.regions, key.region);
        self.is_address = is_address;
        self.probes |= used.probes;
        let asks = PROBES
            .iter()
            .enumerate()
            .any(|(bit, name)| used.probes & 1 << bit != 0 && asks_for_quota(name));
        if asks {
            bounded(&mut self.quota_regions, key.region);
        }
    }

    fn see(&mut self, key: &Key, row: Row<'_>, phase: Phase) {
        let deeds = self.phases.entry(phase).or_default();
        deeds.count += 1;
        if let Some(at) = row.micros() {
            deeds.days.add(at);
        }
        let is_harm;
        match phase {
            Phase::Access => {
                let used = row.text(Text::ConsoleMfa);
                let is_login = row.text(Text::EventName) == "ConsoleLogin" && !row.has_failed();
                self.logins_without_mfa += u64::from(is_login && used.eq_ignore_ascii_case("no"));
                self.with_mfa +=
                    u64::from(used.eq_ignore_ascii_case("yes") || row.has_mfa() == Some(true));
                return;
            }
            Phase::Launch => is_harm = self.launch(key, row),
            Phase::Evasion => {
                let detail = Detail::of(row);
                let is_attribute = row.text(Text::EventName) == "ModifyInstanceAttribute";
                if is_attribute && !detail.protects {
                    return;
                }
                is_harm = true;
                match detail.protects {
                    true => self.protecting += 1,
                    false => self.tampering += 1,
                }
            }
            Phase::Persistence | Phase::Privilege => {
                let request = serde_json::from_str(row.text(Text::Request)).unwrap_or_default();
                is_harm = crate::detail::is_about_another(row, &request);
                self.for_others += u64::from(is_harm);
            }
            _ => return,
        }
        if let Some(at) = row.micros() {
            let earlier = |first: Option<i64>| Some(first.map_or(at, |first| first.min(at)));
            self.first_deed = earlier(self.first_deed);
            self.deed_hours |= 1 << hour(at);
            if is_harm {
                self.first_harm = earlier(self.first_harm);
            }
        }
        bounded(&mut self.harm_agents, key.agent);
    }

    /// Counts a launch; whether it harms for certain.
    fn launch(&mut self, key: &Key, row: Row<'_>) -> bool {
        let detail = Detail::of(row);
        bounded(&mut self.launch_regions, key.region);
        let kind = row.text(Text::ErrorKind);
        let is_refused = matches!(
            kind,
            "quota" | "denied" | "dry-run" | "capacity" | "invalid"
        );
        self.refused += u64::from(is_refused);
        self.asked += detail.asked;
        self.started += detail
            .machines
            .iter()
            .filter(|machine| machine.kind.is_some())
            .count() as u64;
        self.vcpus = self.vcpus.saturating_add(detail.vcpus());
        self.is_accelerated |= detail.is_accelerated();
        self.protecting += u64::from(detail.protects);
        detail.vcpus() >= LARGE_VCPUS
            || detail.is_accelerated()
            || detail.protects
            || matches!(kind, "quota" | "dry-run")
    }

    /// What called when harm was done; without harm, all that called.
    pub fn tools(&self) -> &BTreeSet<Name> {
        match self.harm_agents.is_empty() {
            true => &self.agents,
            false => &self.harm_agents,
        }
    }

    /// How often something of a phase was done.
    pub fn deeds(&self, phase: Phase) -> Deeds {
        self.phases.get(&phase).copied().unwrap_or_default()
    }

    /// When it began to do harm, or at all.
    pub fn begins(&self) -> i64 {
        self.first_harm.or(self.first_deed).unwrap_or(self.first)
    }
}

fn bounded(set: &mut BTreeSet<Name>, name: Name) {
    if set.len() < MAX_SET {
        set.insert(name);
    }
}
