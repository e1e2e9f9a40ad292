//! The records that a case cites, each once and by a number.

use std::collections::{HashMap, HashSet};

use davylamp_hunt::arrow::error::ArrowError;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::case::{Evidence, EvidenceId};
use crate::trail::acts::Acts;
use crate::trail::row::{Row, Text};

/// Bytes of a request or an answer that are kept; the object has all of it.
const MAX_TEXT_BYTES: usize = 16 << 10;

/// What stands at the end of a text that was cut.
const CUT: &str = " … (cut: the whole of it is in the object)";

/// The records that are cited so far.
#[derive(Debug, Default)]
pub struct Cites {
    numbers: HashMap<String, usize>,
    all: Vec<Evidence>,
}

impl Cites {
    /// Cites an event of a trail.
    pub fn row(&mut self, row: Row<'_>) -> EvidenceId {
        self.place("cloudtrail", row.text(Text::Source), row.time())
    }

    /// Cites a record by where it lies; what it says is filled in by [`Self::fill`] or [`Self::tell`].
    pub fn place(&mut self, table: &str, source: &str, time: Option<Timestamp>) -> EvidenceId {
        let number = *self.numbers.entry(key(table, source)).or_insert_with(|| {
            self.all.push(Evidence {
                id: number_of(self.all.len()),
                table: table.to_owned(),
                source: source.to_owned(),
                time,
                about: String::new(),
                record: Map::new(),
            });
            self.all.len() - 1
        });
        number_of(number)
    }

    /// Says what a record that is cited says, if nobody has.
    pub fn tell(
        &mut self,
        id: EvidenceId,
        about: &str,
        record: impl FnOnce() -> Map<String, Value>,
    ) {
        let cited = &mut self.all[id.0 as usize - 1];
        if cited.record.is_empty() {
            about.clone_into(&mut cited.about);
            cited.record = record();
        }
    }

    /// When a record that is cited happened.
    pub fn time(&self, id: EvidenceId) -> Option<Timestamp> {
        self.all.get(id.0 as usize - 1)?.time
    }

    /// Leaves out records that nothing cites any more, and fills in the events by where they lie.
    ///
    /// # Errors
    /// When the kept events cannot be read.
    pub fn fill(&mut self, acts: &Acts, cited: &HashSet<EvidenceId>) -> Result<(), ArrowError> {
        self.all.retain(|it| cited.contains(&it.id));
        let places = self.all.iter().enumerate();
        self.numbers = places
            .map(|(number, it)| (key(&it.table, &it.source), number))
            .collect();
        let is_bare =
            |cited: &Evidence| cited.table == "cloudtrail" && cited.record.len() <= BARE_MEMBERS;
        if !self.all.iter().any(is_bare) {
            return Ok(());
        }
        acts.each(|row| {
            let key = key("cloudtrail", row.text(Text::Source));
            if let Some(number) = self.numbers.get(&key) {
                let cited = &mut self.all[*number];
                if cited.record.len() <= BARE_MEMBERS {
                    cited.about = about(row);
                    cited.record = record(row);
                }
            }
        })
    }

    /// All of them, by number.
    pub fn into_all(self) -> Vec<Evidence> {
        self.all
    }
}

fn key(table: &str, source: &str) -> String {
    format!("{table}\n{source}")
}

/// A record with no more members than this was told of by a use and not by its event.
const BARE_MEMBERS: usize = 8;

fn number_of(index: usize) -> EvidenceId {
    EvidenceId(u32::try_from(index + 1).unwrap_or(u32::MAX))
}

/// Who did what from where, in a few words.
fn about(row: Row<'_>) -> String {
    let principal = crate::trail::who::principal(row);
    let mut about = format!("{} by {principal}", row.text(Text::EventName));
    for (before, text) in [
        (" from ", row.text(Text::Place)),
        (" in ", row.text(Text::Region)),
        (": ", row.text(Text::ErrorCode)),
    ] {
        if !text.is_empty() {
            about.push_str(before);
            about.push_str(text);
        }
    }
    about
}

fn record(row: Row<'_>) -> Map<String, Value> {
    let mut record = Map::new();
    if let Some(time) = row.time() {
        record.insert("event_time".to_owned(), time.to_string().into());
    }
    for column in Text::ALL {
        let text = row.text(*column);
        if !text.is_empty() && *column != Text::Source {
            record.insert(column.column().to_owned(), cut(text).into());
        }
    }
    if let Some(has_mfa) = row.has_mfa() {
        record.insert("mfa_authenticated".to_owned(), has_mfa.into());
    }
    record
}

fn cut(text: &str) -> String {
    if text.len() <= MAX_TEXT_BYTES {
        return text.to_owned();
    }
    let mut end = MAX_TEXT_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{CUT}", &text[..end])
}
