//! What carries out actions: one trait, implemented for each service that is written to.

use std::future::Future;
use std::pin::Pin;

use davylamp_model::resource::Place;
use davylamp_notice::SendError;
use davylamp_plan::action::Action;
use davylamp_plan::gate::{ActToken, UndoToken};
use serde_json::Value;

/// A future that an actuator returns.
pub type Acting<'a, T> = Pin<Box<dyn Future<Output = Result<T, ActError>> + Send + 'a>>;

/// What a look before acting showed.
#[derive(Debug, Clone, PartialEq)]
pub enum Checked {
    /// It has to be done; `before` is what undo needs, and is journaled before anything changes.
    Needed {
        /// What was there.
        before: Value,
    },
    /// It is so already.
    Already {
        /// How it is, for the report.
        note: String,
    },
    /// It cannot be done: the target is gone, or is no longer what the plan saw.
    Impossible {
        /// Why, as a clause.
        why: String,
    },
}

/// What a look after acting showed.
#[derive(Debug, Clone, PartialEq)]
pub enum Verified {
    /// It is done.
    Done {
        /// How it is, for the report: ids of snapshots, what a request answered.
        note: String,
    },
    /// It is on its way: look again.
    Pending {
        /// What is waited for.
        what: String,
    },
    /// It was not done, or has failed for good.
    Failed {
        /// Why.
        why: String,
    },
}

/// What came of taking a step back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reverted {
    /// It is as it was before.
    Back,
    /// Nothing is left that it could be taken back of.
    Gone {
        /// What is gone, and how, as a clause.
        why: String,
    },
}

/// Carries out some of the actions.
///
/// Every method may be called any number of times, also after a crash in the middle of another:
/// acting on what is done already changes nothing.
pub trait Actuator: Send + Sync {
    /// Whether this actuator carries out that action.
    fn takes(&self, action: &Action) -> bool;

    /// Looks, without changing anything.
    fn check<'a>(&'a self, place: &'a Place, action: &'a Action) -> Acting<'a, Checked>;

    /// Does it. `before` is what [`Actuator::check`] gave the first time, also after a restart.
    fn act<'a>(&'a self, token: ActToken<'a>, before: &'a Value) -> Acting<'a, ()>;

    /// Whether a look shows if it is done. Where nothing can be asked for the effect, an act that
    /// was begun and is not known to have been answered is done again.
    fn shows(&self, _action: &Action) -> bool {
        true
    }

    /// Looks whether it is done.
    fn verify<'a>(
        &'a self,
        place: &'a Place,
        action: &'a Action,
        before: &'a Value,
    ) -> Acting<'a, Verified>;

    /// Takes it back, to what `before` says. Taking back what was taken back changes nothing.
    fn undo<'a>(&'a self, token: UndoToken<'a>, before: &'a Value) -> Acting<'a, Reverted>;
}

/// Why a call did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// The service asked to come back later, or did not answer: repeat.
    #[error("{service} does not answer as it should: {why}")]
    Transient {
        /// Which service.
        service: String,
        /// What it said.
        why: String,
    },
    /// We may not.
    #[error("{call} is not allowed: {why}")]
    Denied {
        /// The call, such as `ec2:TerminateInstances`.
        call: String,
        /// What the service said.
        why: String,
    },
    /// The service refuses, and would refuse again.
    #[error("{call} is refused: {why}")]
    Refused {
        /// The call.
        call: String,
        /// What the service said.
        why: String,
    },
    /// Nothing here carries out that action, because it is not configured.
    #[error("nothing is configured that could {what}")]
    NotConfigured {
        /// What it could not do.
        what: String,
    },
}

impl ActError {
    /// Whether repeating it may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. })
    }
}

impl From<SendError> for ActError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Transient { channel, why } => Self::Transient {
                service: channel,
                why,
            },
            SendError::Denied { call, why } => Self::Denied { call, why },
            SendError::Refused { channel, why } => Self::Refused { call: channel, why },
        }
    }
}
