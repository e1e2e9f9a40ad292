//! What can be wrong with a playbook beside its grammar.

use thiserror::Error;

use super::Severity;

/// One kind of problem of a playbook with what it needs to say.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "each variant's message says what its fields are"
)]
pub enum PlaybookTrouble {
    #[error("unknown {what} `{word}`")]
    UnknownWord {
        what: &'static str,
        word: String,
        suggestion: Option<&'static str>,
        known: String,
    },
    #[error("`{key}` is missing in {place}")]
    Missing {
        key: &'static str,
        place: &'static str,
    },
    #[error("the file holds no data")]
    NoData,
    #[error("the title is more than one line")]
    NotALine,
    #[error("a control character in the reason")]
    ControlCharacter,
    #[error("`{pattern}` is not the shape of a finding type")]
    TypePattern { pattern: String },
    #[error("`{technique}` is not an ATT&CK technique")]
    Technique { technique: String },
    #[error("`{name}` cannot be a playbook's name")]
    Name { name: String },
    #[error("`{tag}` is not a tag pattern")]
    TagPattern { tag: String },
    #[error("`{step}` ({stage}) comes after `{earlier}` ({earlier_stage})")]
    OutOfOrder {
        step: &'static str,
        stage: &'static str,
        earlier: &'static str,
        earlier_stage: &'static str,
    },
    #[error("`{step}` without `snapshot-evidence` before it")]
    NoEvidence { step: &'static str },
    #[error("`{step}` is there twice")]
    DuplicateStep { step: &'static str },
    #[error("`{step}` cannot be done in the way `{how}`")]
    NoSuchWay {
        step: &'static str,
        how: String,
        ways: String,
    },
    #[error("a cap of zero")]
    ZeroCap,
    #[error("`{step}` cannot be released: {why}")]
    NotReleasable { step: String, why: &'static str },
    #[error("this playbook acts on every finding")]
    ActsOnEverything,
    #[error("playbook `{other}` has the order {order} as well")]
    SameOrder { order: u32, other: String },
    #[error("another playbook is called `{name}`: {place}")]
    SameName { name: String, place: String },
    #[error("`{text}` is not a resource: {why}")]
    Resource { text: String, why: &'static str },
    #[error("`{text}` is not {expected}")]
    Malformed {
        text: String,
        expected: &'static str,
    },

    #[error("`{step}` cannot be undone, needs nobody's yes, and says no reason")]
    Unapproved { step: &'static str },
    #[error("this condition never holds: {why}")]
    NeverHolds { why: &'static str },
    #[error("`terminate-instance` makes `stop-instance` pointless")]
    StoppedAndTerminated,
    #[error("this playbook has no cases")]
    NoCases,
}

impl PlaybookTrouble {
    pub(super) fn severity(&self) -> Severity {
        match self {
            Self::Unapproved { .. }
            | Self::NeverHolds { .. }
            | Self::StoppedAndTerminated
            | Self::NoCases => Severity::Warning,
            _ => Severity::Fault,
        }
    }

    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::UnknownWord { .. } => "unknown-word",
            Self::Missing { .. } => "missing-key",
            Self::NoData => "empty",
            Self::NotALine => "not-a-line",
            Self::ControlCharacter => "control-character",
            Self::TypePattern { .. } => "type-pattern",
            Self::Technique { .. } => "technique",
            Self::Name { .. } => "playbook-name",
            Self::TagPattern { .. } => "tag-pattern",
            Self::OutOfOrder { .. } => "out-of-order",
            Self::NoEvidence { .. } => "no-evidence",
            Self::DuplicateStep { .. } => "duplicate-step",
            Self::NoSuchWay { .. } => "no-such-way",
            Self::ZeroCap => "zero-cap",
            Self::NotReleasable { .. } => "not-releasable",
            Self::ActsOnEverything => "acts-on-everything",
            Self::SameOrder { .. } => "same-order",
            Self::SameName { .. } => "same-name",
            Self::Resource { .. } => "case-resource",
            Self::Malformed { .. } => "malformed",
            Self::Unapproved { .. } => "unapproved",
            Self::NeverHolds { .. } => "never-holds",
            Self::StoppedAndTerminated => "stopped-and-terminated",
            Self::NoCases => "no-cases",
        }
    }

    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::UnknownWord { .. } => "this word",
            Self::Missing { .. } => "this entry",
            Self::TypePattern { .. } | Self::TagPattern { .. } => "this pattern",
            Self::OutOfOrder { .. }
            | Self::NoEvidence { .. }
            | Self::DuplicateStep { .. }
            | Self::Unapproved { .. }
            | Self::NotReleasable { .. }
            | Self::StoppedAndTerminated => "this step",
            Self::NoSuchWay { .. } => "this way",
            Self::Name { .. } | Self::SameName { .. } => "this name",
            Self::ActsOnEverything => "this trigger",
            Self::NeverHolds { .. } => "this condition",
            _ => "here",
        }
    }

    pub(super) fn help(&self) -> String {
        match self {
            Self::UnknownWord {
                suggestion: Some(known),
                ..
            } => format!("did you mean `{known}`?"),
            Self::UnknownWord { known, .. } => format!("known here: {known}"),
            Self::Missing { key, .. } => format!("add `{key} = …`"),
            Self::NoData => "write its content, or remove the file".into(),
            Self::NotALine => "it stands in subjects of mails; put the rest into `reason`".into(),
            Self::ControlCharacter => "remove it; line breaks may stay".into(),
            Self::TypePattern { .. } => {
                "write it as GuardDuty does, `Purpose:Resource/Name`, or use `*` for any text".into()
            }
            Self::Technique { .. } => "write it as `T1496` or `T1496.001`".into(),
            Self::Name { .. } => {
                "use lower-case letters, digits and single hyphens, such as `node-miner`".into()
            }
            Self::TagPattern { .. } => "write `key` or `key=value`, `*` standing for any text".into(),
            Self::OutOfOrder { .. } => {
                "steps go person, protect, evidence, network, end, refill, report; move it up".into()
            }
            Self::NoEvidence { .. } => {
                "nothing is destroyed before its evidence is complete; add `snapshot-evidence` in \
                 front of it"
                    .into()
            }
            Self::DuplicateStep { .. } => "keep the first of the two".into(),
            Self::NoSuchWay { ways, .. } if ways.is_empty() => {
                "there is one way only; remove `how`".into()
            }
            Self::NoSuchWay { ways, .. } => format!("known here: {ways}"),
            Self::ZeroCap => {
                "such a playbook would never act; ask a person with `approval = \"always\"` instead, \
                 or remove the playbook"
                    .into()
            }
            Self::NotReleasable { .. } => {
                "name a step of this playbook that can be undone and is no evidence".into()
            }
            Self::ActsOnEverything => {
                "limit it by `behaviours`, `types` or `resources`, or set `only-when-named = true` \
                 under `[conditions]`"
                    .into()
            }
            Self::SameOrder { .. } => {
                "the first that fits is used, so each needs an order of its own".into()
            }
            Self::SameName { .. } => "give each a name of its own".into(),
            Self::Resource { .. } => {
                "write it as plans show it, such as `instance/i-0a` or \
                 `workload/CLUSTER/NAMESPACE/KIND/NAME`"
                    .into()
            }
            Self::Malformed { expected, .. } => format!("write {expected}"),
            Self::Unapproved { .. } => {
                "say in `reason` why no person is asked, or leave `approval` out".into()
            }
            Self::NeverHolds { .. } => "remove the condition, or widen the trigger".into(),
            Self::StoppedAndTerminated => "keep one of the two".into(),
            Self::NoCases => {
                "add `[[cases]]`: one that fires, a near miss, a hostile variant, a benign twin"
                    .into()
            }
        }
    }
}
