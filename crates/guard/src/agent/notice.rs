//! What the senses notice, on its way to what is done about it.
//!
//! A sense says what it saw of a process, and what the kernel did about it already. Here it is decided
//! what else comes of it, and told.

use std::rc::Rc;

use davylamp_model::guard_event::Action;
use serde_json::{Map, Value};

use super::{
    Agent,
    report::{Outcome, Source},
};
use crate::event::KernelEvent;

/// A sign that a sense saw of a process.
#[derive(Debug, Clone)]
pub(super) struct Notice {
    /// Who it was: as the kernel captured it, or as `sweep::described` reads it.
    pub(super) event: KernelEvent,
    /// The sense, as the log names it.
    pub(super) source: Source,
    /// The detection, by its name in `content/detections`.
    pub(super) detection: String,
    /// How sure it is, from 1 to 100.
    pub(super) score: u8,
    /// What matched: a method of a protocol, a domain, the name of a rule.
    pub(super) matched: String,
    /// What was seen, in words.
    pub(super) what: String,
    /// What else the sense knows.
    pub(super) evidence: Map<String, Value>,
    /// What was done already, in the kernel. `None` where that is to be decided by the score.
    pub(super) done: Option<Action>,
}

impl Agent {
    /// Weighs what a sense noticed, does what policy says, and tells.
    pub(super) fn notice(self: &Rc<Self>, notice: Notice) {
        let action = notice.done.unwrap_or(Action::Alerted);
        let outcome = Outcome {
            noticed: Some(Box::new(super::report::Noticed {
                detection: notice.detection,
                matched: notice.matched,
                evidence: notice.evidence,
                score: Some(f64::from(notice.score)),
                signs: Vec::new(),
            })),
            ..Outcome::new(action, notice.source).because(notice.what)
        };
        self.say(notice.event, outcome);
    }
}
