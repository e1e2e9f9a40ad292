//! From rows by time to things.
//!
//! What must stay true: a snapshot that is full says what is gone; without a line, or an item, nothing has
//! changed; both tell of one thing where they mean the same, and each says by what it lacks that a thing is gone only
//! of what it has shown itself; what comes a second time is counted and adds nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value as Json;

use super::item::{self, DISCOVERED, Says, Type};
use super::row::{Item, Line, Row};
use super::things::{Change, From, Gone, Id, Series, Snapshots, Tally, Thing};
use super::watch::{LATE, last_before};

/// Bytes of states that are kept in all; what is beyond is counted.
const MAX_STATE_BYTES: usize = 256 << 20;

/// Bytes of one state. A larger one is kept as unknown.
const MAX_ONE_BYTES: usize = 256 << 10;

/// States of one thing, beside the first: a key that is used all day changes with each snapshot.
const MAX_CHANGES: usize = 10_000;

/// Kinds a case is made of. Of others only when they were looked at is known.
const KINDS: &[&str] = &[
    "instance",
    "spot-request",
    "security-group",
    "key-pair",
    "launch-template",
    "scaling-group",
    "user",
    "login-profile",
    "mfa-device",
    "access-key",
    "role",
    "trail",
    "guardduty-detector",
    "config-recorder",
    "flow-log",
    "ecs-task",
    "ecs-service",
    "eks-nodegroup",
    "lambda-function",
    "sagemaker-notebook",
];

/// Makes things of rows.
#[derive(Debug, Default)]
pub struct Fold {
    out: Snapshots,
    bytes: usize,
    moment: Option<Timestamp>,
    /// What this moment's snapshot says of its own coverage: whether it is full, and the line.
    covered: BTreeMap<Series, (bool, Box<str>)>,
    /// Accounts whose snapshot of this moment has lines about its coverage.
    told: BTreeSet<String>,
    /// Series of this moment's snapshot.
    touched: BTreeSet<Series>,
    /// The last snapshot without such lines, by account.
    silent: BTreeMap<String, Timestamp>,
    /// Series of AWS Config's snapshot of this moment, each with an item of it.
    listed: BTreeMap<Series, Box<str>>,
    /// The thing that an id of AWS Config means, by account and type.
    named: BTreeMap<(String, &'static str, String), Id>,
}

/// What a row shows of a thing.
#[derive(Debug, Clone, Copy)]
struct Sight<'a> {
    from: From,
    /// Since when it is so.
    at: Timestamp,
    /// When somebody had looked before.
    before: Option<Timestamp>,
    state: &'a str,
    hash: &'a str,
    source: &'a str,
}

impl Fold {
    /// Takes in a row. They come by time, lines about coverage first.
    pub fn add(&mut self, row: &Row<'_>) {
        match row {
            Row::Line(line) => self.line(line),
            Row::Item(item) => self.item(item),
        }
    }

    /// The things, once all rows were taken in.
    pub fn end(mut self) -> Snapshots {
        self.close();
        self.out
    }

    fn tally(&mut self, from: From) -> &mut Tally {
        match from {
            From::Recorder => &mut self.out.recorder,
            From::Config => &mut self.out.config,
        }
    }

    fn is_at(&mut self, from: From, at: Timestamp) {
        if self.moment != Some(at) {
            self.close();
            self.moment = Some(at);
        }
        let (first, last) = self.tally(from).span.get_or_insert((at, at));
        (*first, *last) = ((*first).min(at), (*last).max(at));
    }

    fn line(&mut self, line: &Line<'_>) {
        self.out.recorder.records += 1;
        let Some(at) = line.at else {
            self.out.recorder.timeless += 1;
            return;
        };
        self.is_at(From::Recorder, at);
        if line.kind == "coverage" {
            self.cover(line);
            return;
        }
        let id = Id {
            account: line.account.to_owned(),
            region: line.region.to_owned(),
            kind: line.kind.to_owned(),
            id: line.id.to_owned(),
        };
        let series = id.series();
        let looks = self.out.looks.get(&series);
        let before = looks
            .and_then(|looks| looks.last().copied())
            .or_else(|| self.silent.get(line.account).copied());
        self.touched.insert(series);
        if !KINDS.contains(&line.kind) {
            return;
        }
        match line.state {
            Some(state) => {
                let sight = Sight {
                    from: From::Recorder,
                    at,
                    before,
                    state,
                    hash: line.hash,
                    source: line.source,
                };
                self.there(id, at, &sight);
            }
            None => {
                let gone = Gone {
                    after: before,
                    by: at,
                    from: From::Recorder,
                    source: line.source.into(),
                    is_told: true,
                };
                self.gone(&id, at, gone);
            }
        }
    }

    fn item(&mut self, item: &Item<'_>) {
        self.out.config.records += 1;
        let Some(seen) = item.seen else {
            self.out.config.timeless += 1;
            return;
        };
        let at = item.listed.unwrap_or(seen);
        self.is_at(From::Config, at);
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
                let before = self.looked_before(&id, item, state.as_ref(), seen);
                let text = state.unwrap_or(Json::Null).to_string();
                let sight = Sight {
                    from: From::Config,
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
        id: &Id,
        item: &Item<'_>,
        state: Option<&Json>,
        seen: Timestamp,
    ) -> Option<Timestamp> {
        let made = item::made(item, state);
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
        let before = self.named.remove(&key);
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
        Some(id)
    }

    fn is_named(&self, id: &Id) -> bool {
        self.named.values().any(|named| named == id)
    }

    fn gone_by(&self, id: &Id, seen: Timestamp, source: &str) -> Gone {
        let looked = self.out.look_before(id, seen - LATE);
        let last = self.out.things.get(id).and_then(Thing::last);
        let last = last.map(|last| last.at).filter(|at| *at <= seen);
        Gone {
            after: looked.max(last),
            by: seen,
            from: From::Config,
            source: source.into(),
            is_told: true,
        }
    }

    fn cover(&mut self, line: &Line<'_>) {
        self.told.insert(line.account.to_owned());
        let state: Json = line
            .state
            .and_then(|state| serde_json::from_str(state).ok())
            .unwrap_or(Json::Null);
        if state["Status"] != "complete" {
            self.out.recorder.unknown += 1;
            return;
        }
        let series = (
            line.account.to_owned(),
            line.region.to_owned(),
            line.id.to_owned(),
        );
        let is_full = state["Mode"] != "changes";
        self.covered.insert(series, (is_full, line.source.into()));
    }

    fn gone(&mut self, id: &Id, at: Timestamp, gone: Gone) {
        let Some(thing) = self.out.things.get_mut(id) else {
            return;
        };
        thing.mentioned = Some(at);
        match &mut thing.gone {
            // Who knew it first, knew it best.
            Some(known) => {
                let is_again = known.is_told && known.from == From::Config;
                self.out.config.repeated += u64::from(is_again && gone.from == From::Config);
                known.is_told = true;
            }
            none => *none = Some(gone),
        }
    }

    fn there(&mut self, id: Id, mentioned: Timestamp, sight: &Sight<'_>) {
        let out = &mut self.out;
        let is_new = !out.things.contains_key(&id);
        let has_room = self.bytes + sight.state.len() <= MAX_STATE_BYTES;
        let tally = match sight.from {
            From::Recorder => &mut out.recorder,
            From::Config => &mut out.config,
        };
        if is_new && !has_room {
            tally.left_out += 1;
            return;
        }
        let thing = out.things.entry(id).or_default();
        // A snapshot of AWS Config may still hold what others know to be gone since.
        let is_past = |gone: &Gone| {
            let is_known = gone.is_told || gone.from == From::Recorder;
            is_known && sight.at < gone.by
        };
        if sight.from == From::Config && thing.gone.as_ref().is_some_and(is_past) {
            tally.repeated += 1;
            return;
        }
        thing.mentioned = Some(mentioned);
        match sight.from {
            From::Recorder => thing.has_line = true,
            From::Config => thing.has_item = true,
        }
        let was_gone = thing.gone.take().is_some_and(|gone| gone.by <= sight.at);
        let place = thing
            .changes
            .partition_point(|change| change.at <= sight.at);
        let known = place.checked_sub(1).map(|last| &thing.changes[last]);
        if !was_gone && known.is_some_and(|known| known.is_same(sight)) {
            let is_again = known.is_some_and(|known| known.at == sight.at);
            tally.repeated += u64::from(is_again && sight.from == From::Config);
            return;
        }
        if !has_room || thing.changes.len() >= MAX_CHANGES {
            tally.left_out += 1;
            return;
        }
        let state = if sight.state.len() > MAX_ONE_BYTES {
            tally.left_out += 1;
            "null"
        } else {
            sight.state
        };
        self.bytes += state.len();
        let change = Change {
            at: sight.at,
            before: sight.before,
            from: sight.from,
            state: state.into(),
            hash: sight.hash.into(),
            source: sight.source.into(),
        };
        thing.changes.insert(place, change);
    }

    /// Ends a snapshot: what a full one does not have is gone.
    fn close(&mut self) {
        let Some(at) = self.moment.take() else { return };
        self.close_listed(at);
        let mut covered = std::mem::take(&mut self.covered);
        let silent: BTreeSet<String> = std::mem::take(&mut self.touched)
            .into_iter()
            .filter(|(account, ..)| !self.told.contains(account))
            .map(|series| {
                let account = series.0.clone();
                covered.insert(series, (true, "".into()));
                account
            })
            .collect();
        self.told.clear();
        for account in silent {
            for series in self.out.looks.keys().filter(|it| it.0 == account) {
                covered
                    .entry(series.clone())
                    .or_insert_with(|| (true, "".into()));
            }
            self.silent.insert(account, at);
        }
        for (series, (is_full, source)) in covered {
            let looks = self.out.looks.entry(series.clone()).or_default();
            let after = looks.last().copied();
            looks.push(at);
            if is_full {
                for thing in self.out.of_series(&series) {
                    if thing.has_line && thing.gone.is_none() && thing.mentioned != Some(at) {
                        thing.gone = Some(Gone {
                            after,
                            by: at,
                            from: From::Recorder,
                            source: source.clone(),
                            is_told: false,
                        });
                    }
                }
            }
        }
    }

    /// Ends a snapshot of AWS Config: of the kinds that it holds, what it does not have is gone; the others
    /// of its region are not recorded any more, or there is none of them left.
    fn close_listed(&mut self, at: Timestamp) {
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
                        from: From::Config,
                        source: source.clone(),
                        is_told: false,
                    });
                }
            }
        }
    }
}

impl Change {
    /// Whether a sight shows the same.
    fn is_same(&self, sight: &Sight<'_>) -> bool {
        match sight.from {
            From::Recorder => !sight.hash.is_empty() && *self.hash == *sight.hash,
            From::Config => *self.state == *sight.state,
        }
    }
}

impl Id {
    fn series(&self) -> Series {
        (self.account.clone(), self.region.clone(), self.kind.clone())
    }
}

impl Snapshots {
    fn of_series<'a>(&'a mut self, series: &'a Series) -> impl Iterator<Item = &'a mut Thing> {
        let (account, region, kind) = series;
        let first = Id {
            account: account.clone(),
            region: region.clone(),
            kind: kind.clone(),
            id: String::new(),
        };
        let is_of =
            move |id: &Id| id.account == *account && id.region == *region && id.kind == *kind;
        let all = self.things.range_mut(first..);
        all.take_while(move |(id, _)| is_of(id))
            .map(|(_, thing)| thing)
    }
}
