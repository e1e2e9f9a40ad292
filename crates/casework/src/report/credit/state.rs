//! How far a step is done, as far as records show.

use crate::case::{Act, Case, EvidenceId, Existence, Hand, Touched};
use crate::report::doc::{Line, Mark};
use crate::report::word;

/// Whether a step is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// Records show that it is.
    Yes,
    /// Records show that it is not, or not all of it.
    No,
    /// No record says.
    Unknown,
}

/// A step's state with what shows it.
pub(super) struct State {
    pub(super) done: Done,
    /// What shows it, as a sentence.
    pub(super) shown: Line,
}

impl State {
    pub(super) fn unknown(why: &str) -> Self {
        Self {
            done: Done::Unknown,
            shown: Line::ours(why),
        }
    }

    pub(super) fn word(&self) -> Line {
        match self.done {
            Done::Yes => Line::mark(Mark::Good, "done"),
            Done::No => Line::mark(Mark::Bad, "not done"),
            Done::Unknown => Line::mark(Mark::Unsure, "unknown"),
        }
    }

    /// What some things' being there or gone comes to.
    pub(super) fn of_things<'a>(
        things: impl Iterator<Item = &'a Touched>,
        none: &'static str,
    ) -> Self {
        let (mut there, mut gone, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        for thing in things {
            match thing.exists {
                Existence::At(_) => there.push(thing),
                Existence::GoneBy(_) => gone.push(thing),
                Existence::Unknown(_) => unknown.push(thing),
            }
        }
        let done = match (there.len(), unknown.len(), gone.len()) {
            // That nothing was seen is no proof that nothing is there.
            (0, 0, 0) => return Self::unknown(none),
            (0, 0, _) => Done::Yes,
            (0, ..) => Done::Unknown,
            _ => Done::No,
        };
        let parts = [
            (there.len(), "still there when last seen"),
            (unknown.len(), "of which nobody can say"),
            (gone.len(), "gone"),
        ];
        let parts = parts.into_iter().filter(|(many, _)| *many > 0);
        let parts: Vec<String> = parts
            .map(|(many, what)| format!("{} {what}", word::number(many as u64)))
            .collect();
        let said = parts.join(", ");
        // The records of what is left first: these are what somebody looks up.
        let records: Vec<EvidenceId> = [there, unknown, gone]
            .into_iter()
            .flatten()
            .flat_map(|thing| thing.evidence.iter().copied())
            .collect();
        Self {
            done,
            shown: Line::ours(said).citing(&records),
        }
    }

    /// Done where an owner did one of some things to something, and it did not fail.
    pub(super) fn of_act(
        case: &Case,
        actions: &[&str],
        is_about: impl Fn(&Act) -> bool,
        none: &str,
    ) -> Self {
        let done = case.timeline.iter().rev().find(|act| {
            act.hand == Hand::Owner
                && act.error.is_none()
                && act.evidence.is_some()
                && is_since(case, act)
                && actions.contains(&verb(act))
                && is_about(act)
        });
        match done {
            Some(act) => Self {
                done: Done::Yes,
                shown: Line::ours(format!("{} ", word::moment(act.span.last)))
                    .and_name(&act.action)
                    .citing(act.evidence.as_slice()),
            },
            None => Self::unknown(none),
        }
    }
}

/// What was done before the intruder came is no answer to the intruder.
fn is_since(case: &Case, act: &Act) -> bool {
    case.span.is_some_and(|span| act.span.last >= span.first)
}

/// The last word of an action: the call.
fn verb(act: &Act) -> &str {
    let mut words = act.action.rsplit(|c: char| !c.is_ascii_alphanumeric());
    words.next().unwrap_or_default()
}
