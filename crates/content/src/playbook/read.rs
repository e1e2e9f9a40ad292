//! From text to playbook.

use std::sync::Arc;

use davylamp_model::finding::{Behaviour, Severity};

use super::cases::Case;
use super::step::StepKind;
use super::{
    Approval, Caps, Conditions, Parsed, Playbook, Release, StepSpec, Trigger, UsersOnNode, lint,
};
use crate::fields::Fields;
use crate::problem::{Faults, PlaybookTrouble, Problem, Trouble};
use crate::readable::{Readable, missing, record, word};
use crate::source::Text;
use crate::tree::NodeId;

/// Every behaviour with its name in a playbook.
pub const BEHAVIOURS: &[(Behaviour, &str)] = &[
    (Behaviour::Mining, "mining"),
    (Behaviour::MaliciousFile, "malicious-file"),
    (Behaviour::AttackSequence, "attack-sequence"),
    (Behaviour::Exfiltration, "exfiltration"),
    (Behaviour::StolenCredential, "stolen-credential"),
    (Behaviour::PublicExposure, "public-exposure"),
    (Behaviour::SensorStopped, "sensor-stopped"),
    (Behaviour::RootUsed, "root-used"),
    (Behaviour::CostAlarm, "cost-alarm"),
    (Behaviour::Other, "other"),
    (Behaviour::Unknown, "unknown"),
];

/// Every severity with its name in a playbook.
pub const SEVERITIES: &[(Severity, &str)] = &[
    (Severity::Low, "low"),
    (Severity::Medium, "medium"),
    (Severity::High, "high"),
    (Severity::Critical, "critical"),
];

/// Every kind of resource by its name in a playbook.
pub const RESOURCES: &[&str] = &[
    "instance",
    "volume",
    "snapshot",
    "image",
    "workload",
    "node",
    "eks-cluster",
    "ecs-task",
    "ecs-cluster",
    "function",
    "access-key",
    "bucket",
    "hub-user",
    "account",
    "unknown",
];

const KEYS: &[&str] = &[
    "name",
    "title",
    "reason",
    "techniques",
    "order",
    "trigger",
    "conditions",
    "steps",
    "caps",
    "release",
    "cases",
];

/// What could be read of a playbook, each part by itself, so that a fault in one hides no fault in
/// another.
#[derive(Default)]
pub(super) struct Draft {
    pub name: Part<String>,
    pub title: Part<String>,
    pub reason: Part<String>,
    pub techniques: Part<Vec<String>>,
    pub order: Part<u32>,
    pub trigger: Part<Trigger>,
    pub conditions: Part<Conditions>,
    pub steps: Vec<(NodeId, Option<StepSpec>)>,
    pub caps: Part<Caps>,
    pub release: Part<Option<Release>>,
}

/// One part: where it is written, and what it says where that could be read.
pub(crate) struct Part<T> {
    pub at: Option<NodeId>,
    pub value: Option<T>,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self {
            at: None,
            value: None,
        }
    }
}

impl<T> Part<T> {
    /// What was read, with its place.
    pub fn read(&self) -> Option<(NodeId, &T)> {
        Some((self.at?, self.value.as_ref()?))
    }
}

pub(super) fn file(text: &Arc<Text>) -> Result<Parsed, Faults> {
    let mut fields = Fields::toml(text);
    let mut draft = Draft::default();
    let mut cases = None;
    if let Some(root) = fields.tree.documents.first().copied() {
        cases = read(&mut fields, root, &mut draft);
        lint::lint(&mut fields, root, &draft, cases.as_deref());
    } else {
        fields
            .problems
            .push_unless_faulty(0..0, Trouble::Playbook(PlaybookTrouble::NoData));
    }
    let (faults, warnings) = fields.problems.finish();
    match (playbook(draft), cases) {
        (Some(playbook), Some(cases)) if faults.is_empty() => Ok(Parsed {
            file: text.name.clone(),
            playbook,
            cases,
            warnings,
        }),
        _ => Err(Faults::new(faults, warnings)),
    }
}

/// A problem at the value of a key at the top of a file that was read before.
pub(super) fn at_key(text: &Arc<Text>, key: &str, trouble: Trouble) -> Problem {
    let mut fields = Fields::toml(text);
    let root = fields.tree.documents.first().copied();
    let value = root.and_then(|root| fields.lookup(root, key));
    let span = value.map_or(0..0, |value| fields.span(value));
    Problem::new(text, span, trouble)
}

fn read(fields: &mut Fields<'_>, root: NodeId, draft: &mut Draft) -> Option<Vec<Case>> {
    let keys = fields.record(root, "a playbook", KEYS)?;
    macro_rules! part {
        ($field:ident, $key:literal) => {{
            draft.$field.at = keys.get($key).copied();
            match draft.$field.at {
                Some(at) => draft.$field.value = Readable::read(fields, at),
                None => draft.$field.value = missing(fields, root, $key, "a playbook"),
            }
        }};
        ($field:ident, $key:literal, $default:expr) => {{
            draft.$field.at = keys.get($key).copied();
            draft.$field.value = match draft.$field.at {
                Some(at) => Readable::read(fields, at),
                None => Some($default),
            };
        }};
    }
    part!(name, "name");
    part!(title, "title");
    part!(reason, "reason");
    part!(techniques, "techniques", Vec::new());
    part!(order, "order");
    part!(trigger, "trigger");
    part!(conditions, "conditions", Conditions::default());
    part!(caps, "caps", Caps::default());
    part!(release, "release", None);
    match keys.get("steps") {
        Some(list) => {
            for step in fields.list(*list)? {
                let spec = StepSpec::read(fields, step);
                draft.steps.push((step, spec));
            }
        }
        None => missing(fields, root, "steps", "a playbook")?,
    }
    match keys.get("cases") {
        Some(list) => Readable::read(fields, *list),
        None => Some(Vec::new()),
    }
}

fn playbook(draft: Draft) -> Option<Playbook> {
    let steps: Option<Vec<StepSpec>> = draft.steps.into_iter().map(|(_, step)| step).collect();
    Some(Playbook {
        name: draft.name.value?,
        title: draft.title.value?,
        reason: draft.reason.value?,
        techniques: draft.techniques.value?,
        order: draft.order.value?,
        trigger: draft.trigger.value?,
        conditions: draft.conditions.value?,
        steps: steps?,
        caps: draft.caps.value?,
        release: draft.release.value?,
    })
}

record!(Trigger, "a trigger", {
    behaviours "behaviours" = Vec::new(),
    types "types" = Vec::new(),
    resources "resources" = Vec::new(),
    at_least "at-least" = None,
});

record!(Conditions, "conditions", {
    users "users" = None,
    in_cluster "in-cluster" = None,
    fargate "fargate" = None,
    tags "tags" = Vec::new(),
    only_when_named "only-when-named" = false,
});

record!(StepSpec, "a step", {
    kind "do",
    approval "approval" = Approval::default(),
    how "how" = None,
    reason "reason" = None,
});

record!(Caps, "caps", {
    plans_per_hour "plans-per-hour" = Self::default().plans_per_hour,
    irreversible_per_hour "irreversible-per-hour" = Self::default().irreversible_per_hour,
    targets_per_plan "targets-per-plan" = Self::default().targets_per_plan,
});

record!(Release, "a release", {
    after_hours "after-hours",
    steps "steps",
});

impl Readable for StepKind {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        word(fields, id, "step", Self::ALL)
    }
}

impl Readable for Approval {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        let known = [
            (Self::WhenIrreversible, "when-irreversible"),
            (Self::Never, "never"),
            (Self::WhenShared, "when-shared"),
            (Self::Always, "always"),
        ];
        word(fields, id, "approval", &known)
    }
}

impl Readable for UsersOnNode {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        let known = [
            (Self::None, "none"),
            (Self::One, "one"),
            (Self::Several, "several"),
        ];
        word(fields, id, "number of users", &known)
    }
}

impl Readable for Behaviour {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        word(fields, id, "behaviour", BEHAVIOURS)
    }
}

impl Readable for Severity {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        word(fields, id, "severity", SEVERITIES)
    }
}
