//! The acts that a case tells: repetitions within an hour are one.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::{Act, Span};
use crate::hands::pairs::At;

/// Acts that a case tells.
const MAX_ACTS: usize = 50_000;

/// Bytes of an act's targets.
const MAX_TARGET_BYTES: usize = 400;

/// The hour, whose act it was, the action, the region, and the error.
pub type ActKey = (i64, At, String, String, String);

/// Acts by their key, with what they are about.
#[derive(Debug, Default)]
pub struct Acts {
    all: BTreeMap<ActKey, (Act, BTreeSet<String>)>,
    /// How many acts had no room.
    pub left_out: u64,
}

impl Acts {
    /// Adds an act, or a repetition of it.
    pub fn keep(&mut self, id: ActKey, act: Act, targets: BTreeSet<String>) {
        if let Some((known, named)) = self.all.get_mut(&id) {
            let span = Span {
                first: known.span.first.min(act.span.first),
                last: known.span.last.max(act.span.last),
            };
            let count = known.count + act.count;
            if act.span.first < known.span.first {
                *known = act;
            }
            known.span = span;
            known.count = count;
            named.extend(targets);
        } else if self.all.len() < MAX_ACTS {
            self.all.insert(id, (act, targets));
        } else {
            self.left_out += act.count;
        }
    }

    /// Each act, by time.
    pub fn into_all(self) -> Vec<Act> {
        let told = |(mut act, targets): (Act, BTreeSet<String>)| {
            act.target = joined(&targets);
            act
        };
        let mut acts: Vec<Act> = self.all.into_values().map(told).collect();
        acts.sort_by(|a, b| {
            a.span
                .first
                .cmp(&b.span.first)
                .then_with(|| a.action.cmp(&b.action))
        });
        acts
    }
}

/// The targets of an act, up to a length.
fn joined(targets: &BTreeSet<String>) -> String {
    let mut text = String::new();
    for (number, target) in targets.iter().enumerate() {
        if text.len() > MAX_TARGET_BYTES {
            return format!("{text}, and {} more", targets.len() - number);
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(target);
    }
    text
}
