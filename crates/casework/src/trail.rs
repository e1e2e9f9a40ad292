//! One pass over CloudTrail: who used what from where, and the events that may matter.
//!
//! What must stay true: each event is seen once, and memory does not grow with the trail: what
//! is counted is bounded, and what is kept lies on disk.

pub mod acts;
pub mod days;
pub mod meaning;
pub mod names;
pub mod place;
mod repeats;
pub mod row;
pub mod uses;
pub mod who;

use std::collections::HashSet;
use std::sync::Arc;

use davylamp_hunt::arrow::array::BooleanArray;
use davylamp_hunt::arrow::error::ArrowError;
use davylamp_hunt::engine::{Engine, EngineError};
use davylamp_hunt::run::Answers;
use davylamp_hunt::tally::Run;
use futures::StreamExt;

use acts::Acts;
use names::Names;
use repeats::{Repeat, Repeats};
use row::{Row, Rows, Text};
use uses::Uses;

/// A trail, read.
pub struct Trail {
    /// The texts of the uses.
    pub names: Names,
    /// Who used what from where.
    pub uses: Uses,
    /// The events that may matter.
    pub acts: Acts,
    /// Events, each counted once.
    pub events: u64,
    /// Deliveries of events that had been delivered.
    pub repeated: u64,
    /// Events whose time nobody can read.
    pub timeless: u64,
    /// The first and last moment, in microseconds since 1970.
    pub span: Option<(i64, i64)>,
}

/// Events that are kept whatever they are, because somebody asked for them.
#[derive(Debug, Default)]
pub struct Wanted {
    /// By their ids.
    pub records: HashSet<String>,
    /// By the access keys that signed them.
    pub keys: HashSet<String>,
}

impl Wanted {
    fn has(&self, row: Row<'_>) -> bool {
        let is_one = |all: &HashSet<String>, text| !all.is_empty() && all.contains(row.text(text));
        is_one(&self.records, Text::EventId) || is_one(&self.keys, Text::Key)
    }
}

/// Why a trail was not read.
#[derive(Debug, thiserror::Error)]
pub enum TrailError {
    /// The logs cannot be asked.
    #[error("the logs cannot be read")]
    Engine(#[from] EngineError),
    /// What is kept meanwhile has no room on disk, or cannot be read again.
    #[error("what is kept meanwhile cannot be written or read")]
    Kept(#[from] ArrowError),
}

/// Reads the trail that an engine has.
///
/// # Errors
/// When it cannot be asked, or what is kept has no room on disk.
pub async fn read(engine: &Engine, wanted: &Wanted, run: &Arc<Run>) -> Result<Trail, TrailError> {
    let query = row::query();
    let mut trail = Trail {
        names: Names::new(),
        uses: Uses::default(),
        acts: acts::Writer::default().end()?,
        events: 0,
        repeated: 0,
        timeless: 0,
        span: None,
    };
    let mut writer = acts::Writer::default();
    let mut repeats = Repeats::new()?;
    let mut acts = 0;
    let Some(batches) = engine.together(&[&query], run).await?.pop() else {
        return Ok(trail);
    };
    let mut batches = batches?;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(EngineError::from)?;
        let rows = Rows::of(&batch)?;
        let mut kept = Vec::with_capacity(batch.num_rows());
        for row in rows.iter() {
            let phase = meaning::phase(row.text(Text::EventName));
            let is_kept = acts::is_kept(row, phase) || wanted.has(row);
            kept.push(is_kept);
            trail.events += 1;
            match row.micros() {
                Some(at) => {
                    let (first, last) = trail.span.get_or_insert((at, at));
                    (*first, *last) = ((*first).min(at), (*last).max(at));
                }
                None => trail.timeless += 1,
            }
            let used = trail.uses.add(&mut trail.names, row, phase);
            let act = is_kept.then_some(acts);
            acts += u32::from(is_kept);
            let (id, source) = (row.text(Text::EventId), row.text(Text::Source));
            repeats.add(id, source, Repeat { used, act })?;
        }
        writer.push(batch, &BooleanArray::from(kept))?;
    }
    trail.acts = writer.end()?;
    let (uses, acts) = (&mut trail.uses, &mut trail.acts);
    let forget = |repeat: Repeat| {
        uses.forget(repeat.used);
        if let Some(act) = repeat.act {
            acts.leave_out(act);
        }
    };
    trail.repeated = repeats.find(forget)?;
    trail.events -= trail.repeated;
    trail.uses.settle(&mut trail.names);
    Ok(trail)
}
