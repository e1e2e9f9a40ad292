//! From rows by time to things.
//!
//! What must stay true: a snapshot that is full says what is gone; without a line, or an item, nothing has
//! changed; both tell of one thing where they mean the same, and each says by what it lacks that a thing is gone only
//! of what it has shown itself; what comes a second time is counted and adds nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value as Json;

use super::row::{Line, Row};
use super::things::{Change, Gone, Id, Series, Snapshots, Table, Tally, Thing};

mod items;

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

/// The account, the kind, and the id that AWS Config gives.
type Named = (String, &'static str, String);

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
    named: BTreeMap<Named, Id>,
    /// Of how many of these ids a thing is the meaning.
    bearers: BTreeMap<Id, usize>,
}

/// What a row shows of a thing.
#[derive(Debug, Clone, Copy)]
struct Sight<'a> {
    table: Table,
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

    fn tally(&mut self, table: Table) -> &mut Tally {
        match table {
            Table::Recorder => &mut self.out.recorder,
            Table::Config => &mut self.out.config,
        }
    }

    fn is_at(&mut self, table: Table, at: Timestamp) {
        if self.moment != Some(at) {
            self.close();
            self.moment = Some(at);
        }
        let (first, last) = self.tally(table).span.get_or_insert((at, at));
        (*first, *last) = ((*first).min(at), (*last).max(at));
    }

    fn line(&mut self, line: &Line<'_>) {
        self.out.recorder.records += 1;
        let Some(at) = line.at else {
            self.out.recorder.timeless += 1;
            return;
        };
        self.is_at(Table::Recorder, at);
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
                    table: Table::Recorder,
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
                    table: Table::Recorder,
                    source: line.source.into(),
                    is_told: true,
                };
                self.gone(&id, at, gone);
            }
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
                let is_again = known.is_told && known.table == Table::Config;
                self.out.config.repeated += u64::from(is_again && gone.table == Table::Config);
                known.is_told = true;
            }
            none => *none = Some(gone),
        }
    }

    fn there(&mut self, id: Id, mentioned: Timestamp, sight: &Sight<'_>) {
        let out = &mut self.out;
        let is_new = !out.things.contains_key(&id);
        let has_room = self.bytes + sight.state.len() <= MAX_STATE_BYTES;
        let tally = match sight.table {
            Table::Recorder => &mut out.recorder,
            Table::Config => &mut out.config,
        };
        if is_new && !has_room {
            tally.left_out += 1;
            return;
        }
        let thing = out.things.entry(id).or_default();
        // A snapshot of AWS Config may still hold what others know to be gone since.
        let is_past = |gone: &Gone| {
            let is_known = gone.is_told || gone.table == Table::Recorder;
            is_known && sight.at < gone.by
        };
        if sight.table == Table::Config && thing.gone.as_ref().is_some_and(is_past) {
            tally.repeated += 1;
            return;
        }
        thing.mentioned = Some(mentioned);
        match sight.table {
            Table::Recorder => thing.has_line = true,
            Table::Config => thing.has_item = true,
        }
        let was_gone = thing.gone.take().is_some_and(|gone| gone.by <= sight.at);
        let place = thing
            .changes
            .partition_point(|change| change.at <= sight.at);
        let known = place.checked_sub(1).map(|last| &thing.changes[last]);
        if !was_gone && known.is_some_and(|known| known.is_same(sight)) {
            let is_again = known.is_some_and(|known| known.at == sight.at);
            tally.repeated += u64::from(is_again && sight.table == Table::Config);
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
            table: sight.table,
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
                            table: Table::Recorder,
                            source: source.clone(),
                            is_told: false,
                        });
                    }
                }
            }
        }
    }
}

impl Change {
    /// Whether a sight shows the same.
    fn is_same(&self, sight: &Sight<'_>) -> bool {
        match sight.table {
            Table::Recorder => !sight.hash.is_empty() && *self.hash == *sight.hash,
            Table::Config => *self.state == *sight.state,
        }
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
