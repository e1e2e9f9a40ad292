//! `[console.clocks]` and `[[console.escalation]]`: how long incidents may wait, and who hears of it then.

use davylamp_content::settings::{Bounds, List, Trouble};
use serde::{Deserialize, Serialize};

/// The longest that may be asked for: 90 days.
const MOST_MINUTES: i64 = 129_600;

pub(super) const BOUNDS: [Bounds; 11] = [
    minutes("console.clocks.critical_own_minutes"),
    minutes("console.clocks.critical_contain_minutes"),
    minutes("console.clocks.high_own_minutes"),
    minutes("console.clocks.high_contain_minutes"),
    minutes("console.clocks.medium_own_minutes"),
    minutes("console.clocks.medium_contain_minutes"),
    minutes("console.clocks.low_own_minutes"),
    minutes("console.clocks.low_contain_minutes"),
    minutes("console.clocks.accept_minutes"),
    minutes("console.clocks.warn_minutes"),
    Bounds::new(
        "console.escalation.after_minutes",
        0,
        MOST_MINUTES,
        "minutes",
    ),
];

const fn minutes(key: &'static str) -> Bounds {
    Bounds::new(key, 1, MOST_MINUTES, "minutes").or_zero()
}

pub(super) fn lists() -> Vec<List> {
    vec![List::of::<Step>("console.escalation")]
}

/// `[console.clocks]`: how long incidents may wait, by how bad they are. 0: as long as they like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clocks {
    /// A critical incident has an owner after so many minutes.
    pub critical_own_minutes: i64,
    /// And is contained so many minutes after it was opened.
    pub critical_contain_minutes: i64,
    /// The same of a high one.
    pub high_own_minutes: i64,
    /// Likewise.
    pub high_contain_minutes: i64,
    /// The same of a medium one.
    pub medium_own_minutes: i64,
    /// Likewise.
    pub medium_contain_minutes: i64,
    /// The same of a low one.
    pub low_own_minutes: i64,
    /// Likewise.
    pub low_contain_minutes: i64,
    /// Who is handed an incident accepts it within so many minutes, or it goes back.
    pub accept_minutes: i64,
    /// So many minutes before a clock runs out, that it will is told.
    pub warn_minutes: i64,
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            critical_own_minutes: 15,
            critical_contain_minutes: 240,
            high_own_minutes: 240,
            high_contain_minutes: 1440,
            accept_minutes: 60,
            warn_minutes: 15,
            ..Self::none()
        }
    }
}

impl Clocks {
    /// No clock at all.
    pub fn none() -> Self {
        Self {
            critical_own_minutes: 0,
            critical_contain_minutes: 0,
            high_own_minutes: 0,
            high_contain_minutes: 0,
            medium_own_minutes: 0,
            medium_contain_minutes: 0,
            low_own_minutes: 0,
            low_contain_minutes: 0,
            accept_minutes: 0,
            warn_minutes: 0,
        }
    }

    /// As the ledger takes them.
    pub(crate) fn of_ledger(&self) -> davylamp_ledger::Clocks {
        let secs = |minutes: [i64; 4]| minutes.map(|minutes| minutes.saturating_mul(60));
        davylamp_ledger::Clocks {
            own_secs: secs([
                self.low_own_minutes,
                self.medium_own_minutes,
                self.high_own_minutes,
                self.critical_own_minutes,
            ]),
            contain_secs: secs([
                self.low_contain_minutes,
                self.medium_contain_minutes,
                self.high_contain_minutes,
                self.critical_contain_minutes,
            ]),
        }
    }
}

/// `[[console.escalation]]`: who hears of a clock that ran out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// So many minutes after it did.
    pub after_minutes: i64,
    /// `lead`: the lead of the incident's owner; or somebody's name.
    pub to: String,
}

/// What must hold between keys.
pub(super) fn whole(steps: &[Step]) -> Vec<(&'static str, Trouble)> {
    let mut troubles = Vec::new();
    let mut trouble = |message: String, help: &str| {
        let help = help.to_owned();
        troubles.push(("console.escalation", Trouble::Whole { message, help }));
    };
    for (at, step) in steps.iter().enumerate() {
        if step.to.is_empty() {
            let message = "a step of the escalation goes to nobody".to_owned();
            trouble(message, "name somebody in its `to`, or write `lead`");
        }
        if steps[..at].iter().any(|other| other.to == step.to) {
            let message = format!("two steps of the escalation go to `{}`", step.to);
            trouble(message, "who was told is not told by a later step");
        }
        if at > 0 && steps[at - 1].after_minutes > step.after_minutes {
            let message = "the steps of the escalation are not in order".to_owned();
            trouble(message, "write them with `after_minutes` growing");
        }
    }
    troubles
}
