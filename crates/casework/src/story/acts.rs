//! The acts that a case tells: repetitions within an hour are one, and within a day where there are too many.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::{Act, EvidenceId, Span};
use crate::hands::pairs::At;

/// Acts that a case tells.
const MAX_ACTS: usize = 50_000;

/// Bytes of an act's targets.
const MAX_TARGET_BYTES: usize = 400;

/// Repetitions within so many microseconds are one act, an hour; and if those are too many, a day.
const STEPS: [i64; 2] = [3_600_000_000, 86_400_000_000];

/// The moment in microseconds since 1970, whose act it was, the action, the region, and the error.
pub type ActKey = (i64, At, String, String, String);

/// Acts by their key, with what they are about.
#[derive(Debug, Default)]
pub struct Acts {
    all: BTreeMap<ActKey, (Act, BTreeSet<String>)>,
    step: usize,
    /// How many acts had no room.
    pub left_out: u64,
}

impl Acts {
    /// Adds an act, or a repetition of it. The first of those cites its record.
    pub fn keep(
        &mut self,
        id: ActKey,
        mut act: Act,
        targets: BTreeSet<String>,
        cite: impl FnOnce() -> EvidenceId,
    ) {
        let id = self.stepped(id);
        let known = self.all.get(&id).map(|(known, _)| known.span.first);
        if known.is_none_or(|first| act.span.first < first) {
            act.evidence = Some(cite());
        }
        self.join(id, act, targets);
        if self.all.len() > MAX_ACTS && self.step + 1 < STEPS.len() {
            self.step += 1;
            for (id, (act, targets)) in std::mem::take(&mut self.all) {
                let id = self.stepped(id);
                self.join(id, act, targets);
            }
        }
    }

    fn stepped(&self, id: ActKey) -> ActKey {
        let step = STEPS[self.step];
        (id.0.div_euclid(step) * step, id.1, id.2, id.3, id.4)
    }

    fn join(&mut self, id: ActKey, act: Act, targets: BTreeSet<String>) {
        if let Some((known, named)) = self.all.get_mut(&id) {
            let span = Span {
                first: known.span.first.min(act.span.first),
                last: known.span.last.max(act.span.last),
            };
            let count = known.count + act.count;
            if act.span.first < known.span.first {
                *known = act;
            }
            (known.span, known.count) = (span, count);
            named.extend(targets);
        } else if self.all.len() <= MAX_ACTS {
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
