//! Playbooks: what is done about a finding, as data.
//!
//! A playbook names the findings it is for, what must hold, the steps in the order they are
//! proposed, which of them need a person, and its caps. What a step does to which targets is
//! `plan`'s; doing it is `respond`'s.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::problem::{Faults, PlaybookTrouble, Problem, Trouble};
use crate::source::{Source, Text};

pub mod cases;
mod fixture;
pub(crate) mod lint;
pub(crate) mod read;
mod step;

pub use read::{BEHAVIOURS, RESOURCES, SEVERITIES};
pub use step::{Stage, StepKind};

/// The playbooks that ship with Davylamp, by name, with their texts.
pub const SHIPPED: &[(&str, &str)] = &[
    (
        "hub-miner",
        include_str!("../../../content/playbooks/hub-miner.toml"),
    ),
    (
        "node-miner",
        include_str!("../../../content/playbooks/node-miner.toml"),
    ),
    (
        "guard-evict",
        include_str!("../../../content/playbooks/guard-evict.toml"),
    ),
    (
        "pod-miner",
        include_str!("../../../content/playbooks/pod-miner.toml"),
    ),
    (
        "fargate-or-ecs-miner",
        include_str!("../../../content/playbooks/fargate-or-ecs-miner.toml"),
    ),
    (
        "lambda-miner",
        include_str!("../../../content/playbooks/lambda-miner.toml"),
    ),
    (
        "stolen-key-miner",
        include_str!("../../../content/playbooks/stolen-key-miner.toml"),
    ),
    (
        "public-instance-alarm",
        include_str!("../../../content/playbooks/public-instance-alarm.toml"),
    ),
    (
        "account-lockdown",
        include_str!("../../../content/playbooks/account-lockdown.toml"),
    ),
    (
        "report-only",
        include_str!("../../../content/playbooks/report-only.toml"),
    ),
];

/// A playbook file: the playbook, its cases, and what looks wrong in it.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The name of the file.
    pub file: String,
    /// The playbook.
    pub playbook: Playbook,
    /// What it must do about which findings.
    pub cases: Vec<cases::Case>,
    /// What looks wrong but does not keep it from being used.
    pub warnings: Vec<Problem>,
}

/// Reads a playbook file.
///
/// # Errors
/// Every fault of the file.
pub fn parse(source: Source<'_>) -> Result<Parsed, Faults> {
    let text = Arc::new(Text::new(source.name, source.text));
    read::file(&text)
}

/// Reads playbook files that are used together, and sorts them by their order. No two may have the
/// same name or the same order: the first that fits is used.
///
/// # Errors
/// Every fault of every file.
pub fn parse_set(sources: &[Source<'_>]) -> Result<Vec<Parsed>, Faults> {
    let (mut faults, mut warnings) = (Vec::new(), Vec::new());
    let mut set: Vec<(Arc<Text>, Parsed)> = Vec::new();
    for source in sources {
        let text = Arc::new(Text::new(source.name, source.text));
        let parsed = match read::file(&text) {
            Ok(parsed) => parsed,
            Err(refused) => {
                faults.extend(refused.faults().iter().cloned());
                warnings.extend(refused.warnings().iter().cloned());
                continue;
            }
        };
        for (other_text, other) in &set {
            let (playbook, other) = (&parsed.playbook, &other.playbook);
            if playbook.name == other.name {
                let trouble = PlaybookTrouble::SameName {
                    name: other.name.clone(),
                    place: other_text.name.clone(),
                };
                faults.push(read::at_key(&text, "name", Trouble::Playbook(trouble)));
                break;
            } else if playbook.order == other.order {
                let trouble = PlaybookTrouble::SameOrder {
                    order: other.order,
                    other: other.name.clone(),
                };
                faults.push(read::at_key(&text, "order", Trouble::Playbook(trouble)));
                break;
            }
        }
        warnings.extend(parsed.warnings.iter().cloned());
        set.push((text, parsed));
    }
    if !faults.is_empty() {
        return Err(Faults::new(faults, warnings));
    }
    let mut set: Vec<Parsed> = set.into_iter().map(|(_, parsed)| parsed).collect();
    set.sort_by_key(|parsed| parsed.playbook.order);
    Ok(set)
}

/// The playbooks that ship, in their order.
///
/// # Errors
/// None: that they are read without a fault is tested. It is said all the same, so that a caller
/// reads the shipped ones as it reads those of the operator.
pub fn shipped() -> Result<Vec<Parsed>, Faults> {
    let names: Vec<String> = SHIPPED.iter().map(|(name, _)| path_of(name)).collect();
    let sources: Vec<Source<'_>> = SHIPPED
        .iter()
        .zip(&names)
        .map(|((_, text), name)| Source { name, text })
        .collect();
    parse_set(&sources)
}

/// The path of a shipped playbook, as errors show it.
pub fn path_of(name: &str) -> String {
    format!("content/playbooks/{name}.toml")
}

/// One playbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Playbook {
    /// Its name, for the effect it has: `node-miner`.
    pub name: String,
    /// One line about it.
    pub title: String,
    /// Why it does what it does, and in that order.
    pub reason: String,
    /// The ATT&CK techniques it answers, such as `T1496.001`.
    #[serde(default)]
    pub techniques: Vec<String>,
    /// Playbooks are tried from the lowest to the highest; the first whose trigger and conditions
    /// hold is used.
    pub order: u32,
    /// The findings it is for.
    pub trigger: Trigger,
    /// What must hold beside the trigger.
    #[serde(default)]
    pub conditions: Conditions,
    /// The steps, in order.
    pub steps: Vec<StepSpec>,
    /// The most it may do by itself.
    #[serde(default)]
    pub caps: Caps,
    /// When what was contained only for the investigation is released.
    #[serde(default)]
    pub release: Option<Release>,
}

/// The findings a playbook is for: all that is given must match.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Trigger {
    /// Behaviours as in `model::finding::Behaviour`; empty means any.
    pub behaviours: Vec<String>,
    /// Finding types, `*` standing for any text; empty means any.
    pub types: Vec<String>,
    /// Kinds of resources as in `model::resource::Resource`; empty means any.
    pub resources: Vec<String>,
    /// `low`, `medium`, `high` or `critical`; less severe findings do not match.
    pub at_least: Option<String>,
}

/// What must hold beside the trigger.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Conditions {
    /// How many users' volumes or pods are on the instance.
    pub users: Option<UsersOnNode>,
    /// Whether the instance must be (or must not be) a node of a cluster.
    pub in_cluster: Option<bool>,
    /// Whether the task must run (or must not run) on Fargate.
    pub fargate: Option<bool>,
    /// Tags the resource must have, as `key` or `key=value`, `*` standing for any text.
    pub tags: Vec<String>,
    /// Only used when it is named by the operator, never chosen by itself.
    pub only_when_named: bool,
}

/// How many users are on an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsersOnNode {
    /// Nobody's volume or pod.
    None,
    /// Exactly one user's.
    One,
    /// More than one user's.
    Several,
}

/// One step of a playbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StepSpec {
    /// What to do.
    #[serde(rename = "do")]
    pub kind: StepKind,
    /// Whether a person has to say yes.
    #[serde(default)]
    pub approval: Approval,
    /// Of more than one way the step can be done, which: each step kind names its own.
    #[serde(default)]
    pub how: Option<String>,
    /// Why this step is as it is: needed where nobody is asked about what cannot be undone.
    #[serde(default)]
    pub reason: Option<String>,
}

impl StepSpec {
    /// The way the step is done: `how`, or the first way its kind knows; `None` where there is
    /// only one.
    pub fn way(&self) -> Option<&str> {
        let first = || self.kind.ways().first().copied();
        self.how.as_deref().or_else(first)
    }
}

/// Whether a person has to say yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// Not for what can be undone; an irreversible step needs one unless the policy says otherwise.
    #[default]
    WhenIrreversible,
    /// Never: the playbook itself is the explicit policy.
    Never,
    /// Only where more than one user is on the node.
    WhenShared,
    /// Always.
    Always,
}

/// The most a playbook may do by itself. Beyond it a person is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Caps {
    /// Plans in an hour.
    pub plans_per_hour: u32,
    /// Irreversible steps in an hour.
    pub irreversible_per_hour: u32,
    /// Targets in one plan.
    pub targets_per_plan: u32,
}

impl Playbook {
    /// The playbook as a file, without cases and comments.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a playbook is made of texts, numbers, lists and tables")
    }
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            plans_per_hour: 20,
            irreversible_per_hour: 10,
            targets_per_plan: 200,
        }
    }
}

/// When what was contained only for the investigation is released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Release {
    /// Hours after the plan has finished.
    pub after_hours: u32,
    /// The steps that are then undone.
    pub steps: Vec<String>,
}
