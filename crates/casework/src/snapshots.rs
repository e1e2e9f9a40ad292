//! An investigation from states: the recorder's snapshots and AWS Config's items, alone or beside a trail.
//!
//! ```text
//! lines, items by time ─► things: each with its states, since when, until when
//!                    │
//!                    ├─► burst: machines unlike any before, and what links them
//!                    ├─► who: keys that can have started them, and who can have made the key
//!                    └─► alone: a case of these; beside: what a trail's case lacks
//! ```
//!
//! What must stay true: what was not looked at is unknown and never gone; a snapshot shows that a
//! credential was used and never whose hand it was, so nobody is accused here; each record is read once, and
//! what is kept of them is bounded; once rows are things, which table showed a state matters only for citing
//! and wording it. Deliberately not here: taking snapshots (crate `recorder`), and growth that looks like the
//! owner's, which no state tells from an attack.

mod alone;
mod beside;
mod burst;
mod fold;
mod item;
mod people;
mod row;
mod shape;
mod states;
mod things;
mod watch;
mod who;

use std::sync::Arc;

use davylamp_hunt::engine::{Engine, EngineError};
use davylamp_hunt::run::Answers;
use davylamp_hunt::tally::Run;
use futures::StreamExt;
use jiff::Timestamp;

use crate::case::{Case, Source, Span};
use crate::cite::Cites;
use crate::cost::sightings::Sighting;

pub use things::{Change, Gone, Id, Snapshots, Table, Tally, Thing};

/// Reads the snapshots and items that an engine has.
///
/// # Errors
/// When they cannot be asked.
pub async fn read(engine: &Engine, run: &Arc<Run>) -> Result<Snapshots, EngineError> {
    let mut fold = fold::Fold::default();
    let is_there = |table: &Table| {
        let mut objects = engine.objects();
        objects.any(|(name, count)| name == table.name() && count > 0)
    };
    let there: Vec<Table> = Table::ALL.into_iter().filter(is_there).collect();
    if there.is_empty() {
        return Ok(fold.end());
    }
    let query = row::query(&there, engine.scope().until);
    let Some(batches) = engine.together(&[&query], run).await?.pop() else {
        return Ok(fold.end());
    };
    let mut batches = batches?;
    while let Some(batch) = batches.next().await {
        let rows = row::Rows::of(&batch?).map_err(|error| EngineError::Query(error.into()))?;
        rows.iter().for_each(|row| fold.add(&row));
    }
    Ok(fold.end())
}

/// Adds to a case what snapshots show; what was seen of what costs. Where the case has no origin yet and
/// snapshots show an intrusion, the case is made of them.
pub fn tell(case: &mut Case, snapshots: &Snapshots, cites: &mut Cites) -> Vec<Sighting> {
    let there = |table: &Table| snapshots.tally(*table).records > 0;
    let there: Vec<Table> = Table::ALL.into_iter().filter(there).collect();
    if there.is_empty() {
        return Vec::new();
    }
    let bursts = burst::of(snapshots);
    let is_dark = |at| !case.sources.iter().any(|it| covers(it, at));
    let sightings = if case.origin.is_some() {
        beside::tell(case, snapshots, &bursts, cites)
    } else if bursts.iter().any(|burst| is_dark(burst.first())) {
        alone::tell(case, snapshots, &bursts, cites)
    } else {
        // A trail that saw them start has more to say of them, and found nothing.
        let leads = bursts.iter().map(|burst| alone::lead(burst, cites));
        case.leads.extend(leads);
        Vec::new()
    };
    let sources = there.into_iter();
    case.sources
        .extend(sources.map(|table| source(table, snapshots.tally(table), !bursts.is_empty())));
    sightings
}

/// Whether a source has records of a moment.
fn covers(source: &Source, at: Timestamp) -> bool {
    let span = source.span;
    span.is_some_and(|span| span.first <= at && at <= span.last)
}

fn source(table: Table, tally: &Tally, has_burst: bool) -> Source {
    let mut unread = Vec::new();
    let unknown = match table {
        Table::Recorder => {
            "times a kind of thing could not be looked at: it is unknown then, not gone"
        }
        Table::Config => "items are of types that were not recorded: they are unknown, not absent",
    };
    for (count, what) in [
        (tally.timeless, "records have no time that can be read"),
        (
            tally.left_out,
            "states had no room: things changed more often than is kept",
        ),
        (tally.unknown, unknown),
    ] {
        if count > 0 {
            unread.push(format!("{count} {what}"));
        }
    }
    let proves = match (table, has_burst) {
        (Table::Recorder, true) => {
            "which machines appeared between which snapshots, which keys existed and were last used then, \
             and what was still there at the last; not from where, nor whose hand it was"
        }
        (Table::Recorder, false) => {
            "what existed when, and which keys were last used when; no burst of machines is in it"
        }
        (Table::Config, true) => {
            "which machines and users were made when, what changed since, as AWS Config noticed some minutes \
             later, and what was gone by when; not from where nor with which key, and nothing of types and \
             regions that were not recorded"
        }
        (Table::Config, false) => {
            "what existed when, of the types and regions that were recorded; no burst of machines is in it"
        }
    };
    Source {
        table: table.name().to_owned(),
        records: tally.records,
        repeated: tally.repeated,
        span: tally.span.map(|(first, last)| Span { first, last }),
        unread,
        proves: proves.to_owned(),
    }
}
