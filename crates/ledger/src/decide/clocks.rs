//! The clocks that the ledger sets by itself: who opens an incident waits for an owner, and an owner has
//! so long to contain it.
//!
//! What must stay true: a clock that a person set is left alone.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Writer;
use crate::record::{
    BY_LEDGER, Clock, IncidentNo, IncidentState, Owner, OwnerStep, Record, State, Tick,
};
use crate::rows::{IncidentRow, NOT_DUE};

/// What the ledger's first clock of an incident asks for.
pub const OWN: &str = "somebody owns it";
/// What its second one asks for.
pub const CONTAIN: &str = "it is contained";

/// How long incidents may wait, by severity from low to critical, in seconds. 0: as long as they like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clocks {
    /// For an owner.
    pub own_secs: [i64; 4],
    /// From their opening until they are contained.
    pub contain_secs: [i64; 4],
}

impl Clocks {
    fn of(secs: [i64; 4], row: &IncidentRow) -> Option<i64> {
        let rank = usize::try_from(row.severity).ok()?;
        secs.get(rank).copied().filter(|secs| *secs > 0)
    }
}

/// Whether the ledger set the clock that runs.
fn is_ours(row: &IncidentRow) -> bool {
    row.due != NOT_DUE && [OWN, CONTAIN].contains(&row.due_why.as_str())
}

impl Writer<'_> {
    /// Sets clocks after everything else of a batch: an incident may have become part of another by then.
    pub fn wind(&mut self, clocks: &Clocks) {
        if *clocks == Clocks::default() {
            return;
        }
        let opened = self.receipt.opened.iter().map(|incident| incident.0);
        let moved: BTreeSet<i64> = opened.chain(self.stirred.drain(..)).collect();
        for incident in moved {
            self.start(clocks, incident);
        }
    }

    /// An incident was opened, opened again, or got worse.
    fn start(&mut self, clocks: &Clocks, incident: i64) {
        let incident = self.work.root(incident);
        let Some(row) = self.work.incidents.get(&incident) else {
            return;
        };
        let (secs, why) = match row.owner {
            None => (clocks.own_secs, OWN),
            Some(_) => (clocks.contain_secs, CONTAIN),
        };
        let Some(secs) = Clocks::of(secs, row) else {
            return;
        };
        let until = self.now_us.saturating_add(secs.saturating_mul(1_000_000));
        let is_free = row.due == NOT_DUE || (is_ours(row) && row.due > until);
        if is_free && row.state == State::Open.as_str() {
            self.due(incident, until, why);
        }
    }

    /// What follows for the clock from what was recorded.
    pub fn after(&mut self, clocks: &Clocks, record: &Record) {
        match record {
            Record::Owner(Owner {
                incident,
                step: OwnerStep::Accepted,
                ..
            }) => {
                let incident = self.work.root(incident.0);
                let Some(row) = self.work.incidents.get(&incident) else {
                    return;
                };
                if !is_ours(row) || row.due_why != OWN {
                    return;
                }
                match Clocks::of(clocks.contain_secs, row) {
                    Some(secs) => {
                        let until = row.opened.saturating_add(secs.saturating_mul(1_000_000));
                        self.due(incident, until, CONTAIN);
                    }
                    None => self.tick(incident, Tick::Met),
                }
            }
            Record::IncidentState(IncidentState {
                incident, state, ..
            }) => {
                let incident = self.work.root(incident.0);
                match state {
                    State::Open => self.stirred.push(incident),
                    _ => {
                        let row = self.work.incidents.get(&incident);
                        if row.is_some_and(is_ours) {
                            self.tick(incident, Tick::Met);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn due(&mut self, incident: i64, until_us: i64, why: &str) {
        let until = Timestamp::from_microsecond(until_us).unwrap_or(Timestamp::MAX);
        let why = why.to_owned();
        self.tick(incident, Tick::Due { until, why });
    }

    fn tick(&mut self, incident: i64, tick: Tick) {
        self.write(&Record::Clock(Clock {
            incident: IncidentNo(incident),
            tick,
            by: BY_LEDGER.to_owned(),
        }));
    }
}
