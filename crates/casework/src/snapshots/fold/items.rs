//! Items of AWS Config: what each says of its resource, and what a snapshot of them lacks.
//!
//! What must stay true: an item says what is so since when AWS Config saw it, however late it is delivered; that a
//! snapshot lacks a thing says that it is gone only where the snapshot holds others of its kind.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::super::item::{self, DISCOVERED, Says, Type};
use super::super::row::Item;
use super::super::things::{Gone, Id, Table, Thing};
use super::super::watch::{LATE, last_before};
use super::{Fold, Named, Sight};

impl Fold {
    /// Takes in an item.
    pub fn item(&mut self, item: &Item<'_>) {
        self.out.config.records += 1;
        let Some(seen) = item.seen else {
            self.out.config.timeless += 1;
            return;
        };
        let at = item.listed.unwrap_or(seen);
        self.is_at(Table::Config, at);
        if let Some(known) = Type::of(item.resource_type) {
            self.of_type(known, item, seen, at);
        }
        self.out.watch.saw(item.account, item.region, at);
    }

    fn of_type(&mut self, known: &'static Type, item: &Item<'_>, seen: Timestamp, at: Timestamp) {
        let series = (
            item.account.to_owned(),
            item.region.to_owned(),
            known.kind.to_owned(),
        );
        let says = Says::of(item.status);
        if matches!(says, Says::Unrecorded | Says::GoneUnrecorded) {
            self.out.config.unknown += 1;
            self.out.watch.ends(&series, at);
        } else {
            self.out.watch.records(&series);
            if item.listed.is_some() {
                let first = self.listed.entry(series);
                first.or_insert_with(|| item.source.into());
            }
        }
        let state = known.state(item);
        let Some(id) = self.id(known, item, says, state.as_ref(), seen) else {
            return;
        };
        match says {
            Says::Unrecorded => {}
            Says::There => {
                let before = self.looked_before(known, &id, item, state.as_ref(), seen);
                let text = state.unwrap_or(Json::Null).to_string();
                let sight = Sight {
                    table: Table::Config,
                    at: seen,
                    before,
                    state: &text,
                    hash: "",
                    source: item.source,
                };
                self.there(id, at, &sight);
            }
            Says::Gone | Says::GoneUnrecorded => {
                let gone = self.gone_by(&id, seen, item.source);
                self.gone(&id, at, gone);
            }
        }
    }

    /// When somebody had looked before a thing came. Of one that AWS Config did not discover itself, and of
    /// which nobody says when it was made, it is not known that it came.
    fn looked_before(
        &self,
        known: &Type,
        id: &Id,
        item: &Item<'_>,
        state: Option<&Json>,
        seen: Timestamp,
    ) -> Option<Timestamp> {
        let made = item::made(known, item, state);
        let came = made.or((item.status == DISCOVERED).then_some(seen))?;
        let looks = self.out.looks.get(&id.series());
        let looked = looks.and_then(|looks| last_before(looks, came));
        looked.max(self.out.watch.before(id, made, seen))
    }

    /// The thing of an item. One that is gone has no state that says its name, and a user keeps the id
    /// under another name.
    fn id(
        &mut self,
        known: &'static Type,
        item: &Item<'_>,
        says: Says,
        state: Option<&Json>,
        seen: Timestamp,
    ) -> Option<Id> {
        let said = known.id(item, state).map(|id| Id {
            account: item.account.to_owned(),
            region: item.region.to_owned(),
            kind: known.kind.to_owned(),
            id,
        });
        if known.is_by_id() {
            return said;
        }
        let key = (
            item.account.to_owned(),
            known.kind,
            item.resource_id.to_owned(),
        );
        let before = self.unname(&key);
        if matches!(says, Says::Gone | Says::GoneUnrecorded) {
            // Another that has the name since is not the one that is gone.
            return before.or(said).filter(|id| !self.is_named(id));
        }
        let id = said.or_else(|| before.clone())?;
        let old = before.filter(|before| *before != id);
        if let Some(old) = old.filter(|old| !self.is_named(old)) {
            let gone = self.gone_by(&old, seen, item.source);
            self.gone(&old, seen, gone);
        }
        self.named.insert(key, id.clone());
        *self.bearers.entry(id.clone()).or_default() += 1;
        Some(id)
    }

    fn unname(&mut self, key: &Named) -> Option<Id> {
        let id = self.named.remove(key)?;
        if let Some(bearers) = self.bearers.get_mut(&id) {
            *bearers -= 1;
        }
        Some(id)
    }

    fn is_named(&self, id: &Id) -> bool {
        self.bearers.get(id).is_some_and(|bearers| *bearers > 0)
    }

    fn gone_by(&self, id: &Id, seen: Timestamp, source: &str) -> Gone {
        let looked = self.out.look_before(id, seen - LATE);
        let last = self.out.things.get(id).and_then(Thing::last);
        let last = last.map(|last| last.at).filter(|at| *at <= seen);
        Gone {
            after: looked.max(last),
            by: seen,
            table: Table::Config,
            source: source.into(),
            is_told: true,
        }
    }

    /// Ends a snapshot of AWS Config: of the kinds that it holds, what it does not have is gone; the others
    /// of its region are not recorded any more, or there is none of them left.
    pub fn close_listed(&mut self, at: Timestamp) {
        let listed = std::mem::take(&mut self.listed);
        let regions: BTreeSet<(&str, &str)> = listed
            .keys()
            .map(|(account, region, _)| (&**account, &**region))
            .collect();
        for (account, region) in regions {
            for series in self.out.watch.of_region(account, region) {
                if !listed.contains_key(&series) {
                    self.out.watch.ends(&series, at);
                }
            }
        }
        for (series, source) in &listed {
            for thing in self.out.of_series(series) {
                if thing.has_item && thing.gone.is_none() && thing.mentioned != Some(at) {
                    thing.gone = Some(Gone {
                        after: thing.mentioned,
                        by: at,
                        table: Table::Config,
                        source: source.clone(),
                        is_told: false,
                    });
                }
            }
        }
    }
}
