//! The chain: one line for each snapshot, each carrying the hash of the one before.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::canonical::{canonical, hash};

/// What stands where the hash of a line before would, in the first.
pub const NOTHING_BEFORE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A line of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// From 1, without a gap.
    pub number: u64,
    /// When the snapshot began, or something was removed. Never before the line before.
    pub taken_at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
    /// The hash of the line before.
    pub before: String,
    /// The hash of this line's other members, as canonical JSON.
    pub hash: String,
}

/// What a line of the chain is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub enum Entry {
    /// A snapshot was taken.
    Snapshot(Snapshot),
    /// Segments were removed because they were older than what is kept.
    Prune {
        /// Those of this snapshot and before.
        up_to: u64,
        /// How many.
        removed: u64,
    },
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When the last answer had come.
    pub ended_at: Timestamp,
    /// The accounts that were looked at.
    pub accounts: Vec<String>,
    /// How many things there are where everything was read.
    pub things: u64,
    /// Lines of the segment.
    pub lines: u64,
    /// Kinds in regions that were looked at.
    pub scopes: u64,
    /// Those of them of which nobody can say what is there.
    pub unknown: u64,
    /// The snapshot from which on segments have to be read to know the state at this one.
    pub reads_from: u64,
    /// The hash of the segment's file, which is its name.
    pub segment: String,
    /// The length of that file.
    pub bytes: u64,
}

impl Link {
    /// The line after `last`.
    pub fn after(last: Option<&Self>, taken_at: Timestamp, entry: Entry) -> Self {
        let mut link = Self {
            number: last.map_or(1, |last| last.number + 1),
            taken_at,
            entry,
            before: last.map_or_else(|| NOTHING_BEFORE.to_owned(), |last| last.hash.clone()),
            hash: String::new(),
        };
        link.hash = link.own_hash();
        link
    }

    /// The hash that the line must have.
    pub fn own_hash(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(members) = value.as_object_mut() {
            members.remove("hash");
        }
        hex::encode(hash(&canonical(&value)))
    }

    /// The line as text, without its end.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The snapshot, where the line is about one.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        match &self.entry {
            Entry::Snapshot(snapshot) => Some(snapshot),
            Entry::Prune { .. } => None,
        }
    }

    /// Why the line does not follow `last`; nothing if it does.
    pub fn fault_after(&self, last: Option<&Self>) -> Option<String> {
        let due = last.map_or(1, |last| last.number + 1);
        let before = last.map_or(NOTHING_BEFORE, |last| last.hash.as_str());
        if self.hash != self.own_hash() {
            return Some("its hash is not that of what it says: it was altered".to_owned());
        }
        if self.number != due {
            return Some(format!(
                "it is number {}, where {due} is due: a line is missing or was added",
                self.number
            ));
        }
        if self.before != before {
            return Some("it does not follow the line before it".to_owned());
        }
        if last.is_some_and(|last| self.taken_at < last.taken_at) {
            return Some("it is older than the line before it".to_owned());
        }
        None
    }
}

/// What a chain's text holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    /// Its lines, up to the first fault.
    pub links: Vec<Link>,
    /// The first line that is none or does not follow, and why.
    pub fault: Option<(u64, String)>,
    /// How many bytes its whole lines are.
    pub whole: u64,
    /// Bytes after the last end of a line: whoever wrote them was stopped.
    pub unfinished: usize,
}

impl Chain {
    /// Reads a chain.
    pub fn parse(bytes: &[u8]) -> Self {
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let mut chain = Self {
            whole: whole as u64,
            unfinished: bytes.len() - whole,
            ..Self::default()
        };
        let lines = bytes[..whole].split_inclusive(|byte| *byte == b'\n');
        for (number, line) in (1..).zip(lines) {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            match chain.follow(line) {
                Ok(link) => chain.links.push(link),
                Err(why) => {
                    chain.fault = Some((number, why));
                    break;
                }
            }
        }
        chain
    }

    /// The line that follows the last, out of its text without its end; why it is none.
    pub(crate) fn follow(&self, line: &[u8]) -> Result<Link, String> {
        let link: Link = serde_json::from_slice(line)
            .map_err(|error| format!("it is no line of a chain: {error}"))?;
        if let Some(fault) = link.fault_after(self.links.last()) {
            return Err(fault);
        }
        // Another spelling of the same line is an alteration too.
        match link.text().as_bytes() == line {
            true => Ok(link),
            false => Err("it is not spelled as it was written: it was altered".to_owned()),
        }
    }

    /// The last line.
    pub fn last(&self) -> Option<&Link> {
        self.links.last()
    }

    /// The lines about snapshots.
    pub fn snapshots(&self) -> impl DoubleEndedIterator<Item = (&Link, &Snapshot)> {
        self.links
            .iter()
            .filter_map(|link| Some((link, link.snapshot()?)))
    }

    /// Up to which snapshot segments were removed.
    pub fn pruned_up_to(&self) -> u64 {
        let prunes = self.links.iter().filter_map(|link| match link.entry {
            Entry::Prune { up_to, .. } => Some(up_to),
            Entry::Snapshot(_) => None,
        });
        prunes.max().unwrap_or(0)
    }
}
