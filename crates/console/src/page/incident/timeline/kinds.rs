//! What an entry of a timeline is, and where it happened.

use davylamp_ledger::record::{BY_LEDGER, Record, Taken};
use davylamp_model::resource::Resource;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::page::incident) enum Kind {
    Findings,
    Actions,
    Decisions,
    Evidence,
    Notes,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [
        Self::Findings,
        Self::Actions,
        Self::Decisions,
        Self::Evidence,
        Self::Notes,
    ];

    pub(in crate::page::incident) fn as_str(self) -> &'static str {
        match self {
            Self::Findings => "findings",
            Self::Actions => "actions",
            Self::Decisions => "decisions",
            Self::Evidence => "evidence",
            Self::Notes => "notes",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// By the name of an entry's kind.
    pub(in crate::page::incident) fn of(kind: &str) -> Self {
        match kind {
            "plan" | "action" | "job" | "job-step" | "run" => Self::Actions,
            "decision" | "incident-state" | "owner" | "clock" => Self::Decisions,
            "evidence" | "access" | "cost" => Self::Evidence,
            "note" => Self::Notes,
            _ => Self::Findings,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::page::incident) enum Place {
    Node,
    Cluster,
    Cloud,
    People,
}

impl Place {
    pub(super) const ALL: [Self; 4] = [Self::Node, Self::Cluster, Self::Cloud, Self::People];

    pub(in crate::page::incident) fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Cluster => "cluster",
            Self::Cloud => "cloud",
            Self::People => "people",
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Node => "on a node",
            Self::Cluster => "in a cluster",
            Self::Cloud => "in the cloud",
            Self::People => "among people",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|place| place.as_str() == name)
    }

    /// Where something happened: a finding where it was seen, a step of a plan where it is done. What workers
    /// say of their plans is of the cloud, where they are.
    pub(in crate::page::incident) fn of(record: &Record) -> Self {
        match record {
            Record::Finding(finding) if finding.taken != Taken::Reported => Self::Node,
            Record::Finding(finding) => {
                let is_ours = |resource: &Resource| {
                    matches!(
                        resource,
                        Resource::HubUser { .. }
                            | Resource::Workload { .. }
                            | Resource::Node { .. }
                    )
                };
                match finding.finding.resources.iter().any(is_ours) {
                    true => Self::Cluster,
                    false => Self::Cloud,
                }
            }
            Record::Action(action) => {
                let is_of = |part: &str| action.what.split('-').any(|word| word == part);
                match ["pod", "node", "hub"].into_iter().any(is_of) {
                    true => Self::Cluster,
                    false => Self::Cloud,
                }
            }
            Record::IncidentOpened(_) | Record::IncidentMerged(_) | Record::FindingJoined(_) => {
                Self::Cluster
            }
            Record::IncidentState(state) if state.by == BY_LEDGER => Self::Cluster,
            Record::Plan(_) | Record::JobStep(_) | Record::Evidence(_) => Self::Cloud,
            _ => Self::People,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_again() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.as_str()), Some(kind));
        }
        for place in Place::ALL {
            assert_eq!(Place::named(place.as_str()), Some(place));
        }
        assert_eq!(Kind::of("decision"), Kind::Decisions);
    }
}
