//! When AWS Config was recording: in which region, and which kinds of things.
//!
//! There is an item where something has changed, and none where nothing has, or where nobody was recording. So
//! each item says only that AWS Config was at work in its region at that moment, and a delivered snapshot the
//! same of its own. What must stay true: a kind of which there was never an item is unknown; so is one from when
//! a snapshot lacks it altogether, or an item says that its type is not recorded.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::things::{Id, Series};

/// AWS Config notices a change some minutes later: in items that it delivered, up to 15. What it had not
/// noticed so long before is not known to have been otherwise.
pub const LATE: SignedDuration = SignedDuration::from_mins(30);

/// When AWS Config begins to record, it tells of everything that is there, within this time.
const INVENTORY: SignedDuration = SignedDuration::from_hours(1);

/// When AWS Config was recording what.
#[derive(Debug, Default)]
pub struct Watch {
    /// Moments at which it was at work, by account and region, each by time.
    regions: BTreeMap<(String, String), Vec<Timestamp>>,
    recorded: BTreeSet<Series>,
    /// Since when a kind is not recorded any more.
    ended: BTreeMap<Series, Timestamp>,
}

impl Watch {
    /// It was at work. Moments come by time.
    pub fn saw(&mut self, account: &str, region: &str, at: Timestamp) {
        let of = (account.to_owned(), region.to_owned());
        let moments = self.regions.entry(of).or_default();
        if moments.last().is_none_or(|last| *last < at) {
            moments.push(at);
        }
    }

    /// It records a kind.
    pub fn records(&mut self, series: &Series) {
        self.ended.remove(series);
        if !self.recorded.contains(series) {
            self.recorded.insert(series.clone());
        }
    }

    /// It does not record a kind any more.
    pub fn ends(&mut self, series: &Series, at: Timestamp) {
        if self.recorded.contains(series) {
            self.ended.entry(series.clone()).or_insert(at);
        }
    }

    /// Whether it ever recorded a kind in an account.
    pub fn has_recorded(&self, account: &str, kind: &str) -> bool {
        let mut all = self.recorded.iter();
        all.any(|series| series.0 == account && series.2 == kind)
    }

    /// The kinds that it records in a region, or did.
    pub fn of_region(&self, account: &str, region: &str) -> Vec<Series> {
        let is_there = |series: &&Series| series.0 == account && series.1 == region;
        self.recorded.iter().filter(is_there).cloned().collect()
    }

    /// When it was at work on a thing's kind, by time.
    pub fn looks(&self, id: &Id) -> &[Timestamp] {
        let series = id.series();
        if !self.recorded.contains(&series) {
            return &[];
        }
        let moments = self.moments(&id.account, &id.region);
        match self.ended.get(&series) {
            Some(end) => &moments[..moments.partition_point(|at| at < end)],
            None => moments,
        }
    }

    /// The last moment before a thing came at which it was at work, if it had begun by then: in the account, where
    /// it is known when the thing was made, otherwise in its region.
    pub fn before(&self, id: &Id, made: Option<Timestamp>, seen: Timestamp) -> Option<Timestamp> {
        match made {
            Some(made) => {
                let from = (id.account.clone(), String::new());
                let regions = self.regions.range(from..);
                let regions = regions.take_while(|((account, _), _)| *account == id.account);
                regions.filter_map(|(_, all)| last_before(all, made)).max()
            }
            None => {
                let all = self.moments(&id.account, &id.region);
                let has_begun = all.first().is_some_and(|first| *first + INVENTORY <= seen);
                last_before(all, seen).filter(|_| has_begun)
            }
        }
    }

    fn moments(&self, account: &str, region: &str) -> &[Timestamp] {
        let of = (account.to_owned(), region.to_owned());
        self.regions.get(&of).map_or(&[], Vec::as_slice)
    }
}

/// The last of some moments that is before another.
pub fn last_before(all: &[Timestamp], at: Timestamp) -> Option<Timestamp> {
    let until = all.partition_point(|moment| *moment < at);
    all[..until].last().copied()
}
