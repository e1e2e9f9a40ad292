//! What can happen that people are told of.

use davylamp_notice::Kind;
use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// What should have been killed was not.
    MissedKill,
    /// An incident was opened.
    Opened,
    /// It was opened again.
    Reopened,
    /// It is more severe than it was.
    Worse,
    /// A plan waits for a person.
    Approval,
    /// A clock runs out soon.
    ClockDue,
    /// A clock has run out.
    ClockOverdue,
    /// And somebody else was told.
    Escalated,
    /// Nobody owns it still.
    Unowned,
    /// It has another owner, or none.
    Owner,
    /// It was handed to somebody, who has to accept it.
    Delegated,
    /// Evidence could not be kept.
    EvidenceFailed,
    /// It cannot spread any more.
    Contained,
    /// It is done with.
    Closed,
    /// A node is not heard of any more.
    NodeSilent,
    /// A node loses events.
    NodeLosing,
}

impl What {
    /// Every one, the most urgent first.
    pub const ALL: [Self; 16] = [
        Self::MissedKill,
        Self::Opened,
        Self::Reopened,
        Self::Worse,
        Self::Approval,
        Self::ClockDue,
        Self::ClockOverdue,
        Self::Escalated,
        Self::Unowned,
        Self::Owner,
        Self::Delegated,
        Self::EvidenceFailed,
        Self::Contained,
        Self::Closed,
        Self::NodeSilent,
        Self::NodeLosing,
    ];

    /// Its name in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissedKill => "missed-kill",
            Self::Opened => "opened",
            Self::Reopened => "reopened",
            Self::Worse => "worse",
            Self::Approval => "approval",
            Self::ClockDue => "clock-due",
            Self::ClockOverdue => "clock-overdue",
            Self::Escalated => "escalated",
            Self::Unowned => "unowned",
            Self::Owner => "owner",
            Self::Delegated => "delegated",
            Self::EvidenceFailed => "evidence-failed",
            Self::Contained => "contained",
            Self::Closed => "closed",
            Self::NodeSilent => "node-silent",
            Self::NodeLosing => "node-losing",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|what| what.as_str() == name)
    }

    /// In a title.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::MissedKill => "missed a kill",
            Self::Opened => "opened",
            Self::Reopened => "opened again",
            Self::Worse => "got worse",
            Self::Approval => "a plan waits for a yes",
            Self::ClockDue => "the clock runs out soon",
            Self::ClockOverdue => "the clock has run out",
            Self::Escalated => "escalated",
            Self::Unowned => "nobody owns it",
            Self::Owner => "another owner",
            Self::Delegated => "handed on",
            Self::EvidenceFailed => "evidence could not be kept",
            Self::Contained => "contained",
            Self::Closed => "closed",
            Self::NodeSilent => "a node is silent",
            Self::NodeLosing => "a node loses events",
        }
    }

    /// As which kind it is told.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Approval => Kind::ApprovalNeeded,
            Self::ClockDue | Self::ClockOverdue | Self::Escalated | Self::Unowned => Kind::Reminder,
            Self::MissedKill | Self::EvidenceFailed | Self::NodeSilent | Self::NodeLosing => {
                Kind::Failure
            }
            Self::Opened
            | Self::Reopened
            | Self::Worse
            | Self::Owner
            | Self::Delegated
            | Self::Contained
            | Self::Closed => Kind::Update,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::What;

    #[test]
    fn every_name_leads_back() {
        for what in What::ALL {
            assert_eq!(What::named(what.as_str()), Some(what));
            let stored = serde_json::to_value(what).expect("text");
            assert_eq!(stored, what.as_str());
        }
    }
}
