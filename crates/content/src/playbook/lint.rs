//! What a playbook of good grammar can still get wrong.

use super::cases::Case;
use super::read::{BEHAVIOURS, Draft, RESOURCES, SEVERITIES};
use super::step::{Stage, StepKind};
use super::{Approval, Conditions, StepSpec, Trigger};
use crate::fields::Fields;
use crate::problem::{PlaybookTrouble, Trouble};
use crate::readable::{Readable, unknown_word};
use crate::tree::NodeId;

/// A title stands in subjects of mails.
const MAX_TITLE_BYTES: usize = 120;

/// A name stands in tags and ids.
const MAX_NAME_BYTES: usize = 64;

pub(super) fn lint(fields: &mut Fields<'_>, root: NodeId, draft: &Draft, cases: Option<&[Case]>) {
    texts(fields, draft);
    if let Some((at, trigger)) = draft.trigger.read() {
        self::trigger(fields, at, trigger);
        let named = draft.conditions.value.as_ref();
        if draft.conditions.value.is_some()
            && !draft.steps.is_empty()
            && trigger.behaviours.is_empty()
            && trigger.types.is_empty()
            && trigger.resources.is_empty()
            && !named.is_some_and(|conditions| conditions.only_when_named)
        {
            told(fields, at, PlaybookTrouble::ActsOnEverything);
        }
    }
    if let Some((at, conditions)) = draft.conditions.read() {
        self::conditions(fields, at, conditions, draft.trigger.value.as_ref());
    }
    steps(fields, draft);
    caps(fields, draft);
    release(fields, draft);
    if cases.is_some_and(<[Case]>::is_empty) {
        let at = draft.name.at.unwrap_or(root);
        told(fields, at, PlaybookTrouble::NoCases);
    }
}

fn told(fields: &mut Fields<'_>, at: NodeId, trouble: PlaybookTrouble) {
    fields.fault(at, Trouble::Playbook(trouble));
}

/// The value under `key` of the table at `at`, or the table where it has none.
fn inner(fields: &mut Fields<'_>, at: NodeId, key: &str) -> NodeId {
    fields.lookup(at, key).unwrap_or(at)
}

/// The items of the list under `key` with their texts.
fn texts_under(fields: &mut Fields<'_>, at: NodeId, key: &str) -> Vec<(NodeId, String)> {
    let list = fields.lookup(at, key).and_then(|list| fields.list(list));
    let items = list.unwrap_or_default();
    items
        .into_iter()
        .filter_map(|item| Some((item, String::read(fields, item)?)))
        .collect()
}

fn texts(fields: &mut Fields<'_>, draft: &Draft) {
    if let Some((at, name)) = draft.name.read()
        && !is_name(name)
    {
        let name = name.clone();
        told(fields, at, PlaybookTrouble::Name { name });
    }
    for (part, what, limit) in [
        (&draft.title, "the title", MAX_TITLE_BYTES),
        (&draft.reason, "the reason", usize::MAX),
    ] {
        let Some((at, text)) = part.read() else {
            continue;
        };
        let is_line = limit < usize::MAX;
        let control = text
            .chars()
            .any(|c| c.is_control() && (is_line || !matches!(c, '\n' | '\t')));
        let bytes = text.len();
        if text.trim().is_empty() {
            fields.fault(at, Trouble::EmptyText { what });
        } else if control && is_line {
            told(fields, at, PlaybookTrouble::NotALine);
        } else if control {
            told(fields, at, PlaybookTrouble::ControlCharacter);
        } else if bytes > limit {
            fields.fault(at, Trouble::TooLong { what, bytes, limit });
        }
    }
    if let Some((at, techniques)) = draft.techniques.read() {
        let items = fields.list(at).unwrap_or_default();
        for (item, technique) in items.into_iter().zip(techniques) {
            if !is_technique(technique) {
                let technique = technique.clone();
                told(fields, item, PlaybookTrouble::Technique { technique });
            }
        }
    }
}

fn trigger(fields: &mut Fields<'_>, at: NodeId, trigger: &Trigger) {
    let behaviours: Vec<&'static str> = BEHAVIOURS.iter().map(|(_, name)| *name).collect();
    let severities: Vec<&'static str> = SEVERITIES.iter().map(|(_, name)| *name).collect();
    for (key, what, known) in [
        ("behaviours", "behaviour", behaviours.as_slice()),
        ("resources", "resource", RESOURCES),
    ] {
        for (item, word) in texts_under(fields, at, key) {
            if !known.contains(&word.as_str()) {
                fields.fault(item, unknown_word(what, word, known));
            }
        }
    }
    for (item, pattern) in texts_under(fields, at, "types") {
        if !is_type_pattern(&pattern) {
            told(fields, item, PlaybookTrouble::TypePattern { pattern });
        }
    }
    if let Some(word) = &trigger.at_least
        && !severities.contains(&word.as_str())
    {
        let at = inner(fields, at, "at-least");
        fields.fault(at, unknown_word("severity", word.clone(), &severities));
    }
}

fn conditions(
    fields: &mut Fields<'_>,
    at: NodeId,
    conditions: &Conditions,
    trigger: Option<&Trigger>,
) {
    for (item, tag) in texts_under(fields, at, "tags") {
        let key = tag.split('=').next().unwrap_or_default();
        if key.trim().is_empty() || tag.chars().any(char::is_control) {
            told(fields, item, PlaybookTrouble::TagPattern { tag });
        }
    }
    let is_about = |kinds: &[&str]| {
        trigger.is_none_or(|trigger| {
            trigger.resources.is_empty()
                || trigger
                    .resources
                    .iter()
                    .any(|kind| kinds.contains(&kind.as_str()))
        })
    };
    let why = "the trigger's resources hold no ECS task";
    if conditions.fargate.is_some() && !is_about(&["ecs-task", "ecs-cluster"]) {
        let at = inner(fields, at, "fargate");
        told(fields, at, PlaybookTrouble::NeverHolds { why });
    }
    let on_instance = [
        "instance", "node", "volume", "ecs-task", "workload", "hub-user",
    ];
    let why = "the trigger's resources lead to no instance";
    for (is_given, key) in [
        (conditions.users.is_some(), "users"),
        (conditions.in_cluster.is_some(), "in-cluster"),
    ] {
        if is_given && !is_about(&on_instance) {
            let at = inner(fields, at, key);
            told(fields, at, PlaybookTrouble::NeverHolds { why });
        }
    }
}

fn steps(fields: &mut Fields<'_>, draft: &Draft) {
    let mut before: Vec<StepKind> = Vec::new();
    for (at, spec) in &draft.steps {
        let Some(spec) = spec else { continue };
        let kind = spec.kind;
        let place = inner(fields, *at, "do");
        if before.contains(&kind) {
            let step = kind.name();
            told(fields, place, PlaybookTrouble::DuplicateStep { step });
        } else if let Some(earlier) = before.iter().max_by_key(|earlier| earlier.stage())
            && earlier.stage() > kind.stage()
        {
            let trouble = PlaybookTrouble::OutOfOrder {
                step: kind.name(),
                stage: kind.stage().name(),
                earlier: earlier.name(),
                earlier_stage: earlier.stage().name(),
            };
            told(fields, place, trouble);
        }
        let needs_evidence = matches!(kind, StepKind::TerminateInstance | StepKind::CopyEvidence);
        if needs_evidence && !before.contains(&StepKind::SnapshotEvidence) {
            let step = kind.name();
            told(fields, place, PlaybookTrouble::NoEvidence { step });
        }
        let both = [StepKind::TerminateInstance, StepKind::StopInstance];
        if both.contains(&kind)
            && before
                .iter()
                .any(|other| both.contains(other) && *other != kind)
        {
            told(fields, place, PlaybookTrouble::StoppedAndTerminated);
        }
        step(fields, *at, place, spec);
        before.push(kind);
    }
}

fn step(fields: &mut Fields<'_>, at: NodeId, place: NodeId, spec: &StepSpec) {
    let kind = spec.kind;
    if let Some(how) = &spec.how
        && !kind.ways().contains(&how.as_str())
    {
        let trouble = PlaybookTrouble::NoSuchWay {
            step: kind.name(),
            how: how.clone(),
            ways: kind.ways().join(", "),
        };
        let at = inner(fields, at, "how");
        told(fields, at, trouble);
    }
    let has_reason = spec
        .reason
        .as_ref()
        .is_some_and(|reason| !reason.trim().is_empty());
    if spec.reason.is_some() && !has_reason {
        let at = inner(fields, at, "reason");
        let what = "the reason";
        fields.fault(at, Trouble::EmptyText { what });
    }
    // `when-shared` asks nobody where one user is alone.
    let asks_nobody = matches!(spec.approval, Approval::Never | Approval::WhenShared);
    if asks_nobody && !kind.is_reversible() && !has_reason {
        let step = kind.name();
        told(fields, place, PlaybookTrouble::Unapproved { step });
    }
}

fn caps(fields: &mut Fields<'_>, draft: &Draft) {
    let Some((at, caps)) = draft.caps.read() else {
        return;
    };
    for (cap, key) in [
        (caps.plans_per_hour, "plans-per-hour"),
        (caps.irreversible_per_hour, "irreversible-per-hour"),
        (caps.targets_per_plan, "targets-per-plan"),
    ] {
        if cap == 0 {
            let at = inner(fields, at, key);
            told(fields, at, PlaybookTrouble::ZeroCap);
        }
    }
}

fn release(fields: &mut Fields<'_>, draft: &Draft) {
    let Some((at, Some(release))) = draft.release.read() else {
        return;
    };
    if release.after_hours == 0 {
        let at = inner(fields, at, "after-hours");
        let expected = "a number of hours from 1".to_owned();
        let found = "0";
        fields.fault(at, Trouble::Expected { expected, found });
    }
    let kinds: Vec<StepKind> = draft
        .steps
        .iter()
        .filter_map(|(_, spec)| Some(spec.as_ref()?.kind))
        .collect();
    let names: Vec<&'static str> = StepKind::ALL.iter().map(|(_, name)| *name).collect();
    let mut seen = Vec::new();
    for (item, step) in texts_under(fields, at, "steps") {
        let Some((kind, name)) = StepKind::ALL.iter().find(|(_, name)| *name == step) else {
            fields.fault(item, unknown_word("step", step, &names));
            continue;
        };
        let why = if !kinds.contains(kind) {
            "this playbook has no such step"
        } else if !kind.is_reversible() {
            "it cannot be undone"
        } else if matches!(kind.stage(), Stage::Evidence | Stage::Report) {
            "evidence and reports stay"
        } else if seen.contains(kind) {
            told(fields, item, PlaybookTrouble::DuplicateStep { step: name });
            continue;
        } else {
            seen.push(*kind);
            continue;
        };
        told(fields, item, PlaybookTrouble::NotReleasable { step, why });
    }
}

pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.split('-').all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

/// `T` and four digits, then perhaps a dot and three: <https://attack.mitre.org/techniques/>.
pub(crate) fn is_technique(text: &str) -> bool {
    let digits =
        |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let Some(number) = text.strip_prefix('T') else {
        return false;
    };
    match number.split_once('.') {
        Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
        None => digits(number, 4),
    }
}

/// GuardDuty's types are `Purpose:Resource/Family`, then perhaps `.Mechanism!Artifact`.
fn is_type_pattern(pattern: &str) -> bool {
    let is_made_of = |text: &str, also: &[u8]| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte))
    };
    if pattern.contains('*') {
        return is_made_of(pattern, b"*:/.!_-");
    }
    let Some((purpose, rest)) = pattern.split_once(':') else {
        return false;
    };
    let Some((resource, name)) = rest.split_once('/') else {
        return false;
    };
    is_made_of(purpose, b"") && is_made_of(resource, b"") && is_made_of(name, b".!_-")
}
