//! Laws of playbooks that hold for any input.

#[path = "support/render.rs"]
mod render;

use davylamp_content::playbook::{
    self, Approval, BEHAVIOURS, Caps, Conditions, Playbook, RESOURCES, Release, SEVERITIES,
    SHIPPED, StepKind, StepSpec, Trigger, UsersOnNode,
};
use davylamp_content::{Problem, Source};
use proptest::prelude::*;
use render::render_all;

fn read(text: &str) -> Vec<Problem> {
    let name = "any.toml";
    match playbook::parse(Source { name, text }) {
        Ok(parsed) => {
            for case in &parsed.cases {
                let _ = (case.finding(), case.resource(), case.inventory());
            }
            parsed.warnings
        }
        Err(faults) => {
            assert!(!faults.faults().is_empty());
            let (faults, warnings) = (faults.faults(), faults.warnings());
            faults.iter().chain(warnings).cloned().collect()
        }
    }
}

fn look_at(text: &str) {
    let problems = read(text);
    for problem in &problems {
        assert!(problem.line() >= 1 && problem.column() >= 1);
        assert!(!problem.record().help.is_empty());
    }
    assert!(!render_all(&problems).contains("OutOfBounds"));
}

fn fragments() -> impl Strategy<Value = String> {
    let pieces = [
        "name",
        "title",
        "reason",
        "order",
        "trigger",
        "conditions",
        "steps",
        "cases",
        "do",
        "caps",
        "release",
        "after-hours",
        "expect",
        "finding",
        "policy",
        " = ",
        "\n",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        ", ",
        ".",
        "\"",
        "'",
        "\"\"\"",
        "'''",
        "\\",
        "\\u0000",
        "#",
        "1",
        "-1",
        "1.5",
        "0x_f",
        "1979-05-27",
        "true",
        "inf",
        "terminate-instance",
        "é",
        "😀",
        "\0",
        "\r\n",
        "\u{feff}",
        "instances",
        "id",
        "users",
        "[[steps]]\ndo = \"end-pod\"\n",
        "[[cases]]\nname = \"x\"\n",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..60)
        .prop_map(|pieces| pieces.concat())
}

/// A shipped playbook in which some bytes were lost and some put in.
fn damaged() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0..20_usize, fragments());
    let texts: Vec<&str> = SHIPPED.iter().map(|(_, text)| *text).collect();
    (
        prop::sample::select(texts),
        prop::collection::vec(edit, 1..4),
    )
        .prop_map(|(text, edits)| {
            let mut chars: Vec<char> = text.chars().collect();
            for (at, lost, put_in) in edits {
                let at = at.index(chars.len() + 1);
                let end = (at + lost).min(chars.len());
                chars.splice(at..end, put_in.chars());
            }
            chars.into_iter().collect()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_playbook_or_faults(text in ".{0,200}") {
        look_at(&text);
    }

    #[test]
    fn any_pieces_are_a_playbook_or_faults(text in fragments()) {
        look_at(&text);
    }

    #[test]
    fn a_damaged_playbook_is_a_playbook_or_faults(text in damaged()) {
        look_at(&text);
    }

    #[test]
    fn what_is_printed_reads_the_same(playbook in playbooks()) {
        let text = playbook.to_toml();
        let source = Source { name: "printed.toml", text: &text };
        let parsed = playbook::parse(source).map_err(|faults| {
            TestCaseError::fail(format!("{text}\n{}", render_all(faults.faults())))
        })?;
        prop_assert_eq!(parsed.playbook, playbook);
    }
}

#[test]
fn nesting_without_end_is_a_fault() {
    for (open, close) in [("[", "]"), ("{a=", "}")] {
        let text = format!("name = {}1{}", open.repeat(100_000), close.repeat(100_000));
        assert!(!read(&text).is_empty());
    }
    assert!(!read(&"a.".repeat(100_000)).is_empty());
    assert!(!read(&format!("name = \"{}\"", "a".repeat(2 << 20))).is_empty());
}

#[test]
fn what_ships_is_printed_and_reads_the_same() {
    for parsed in playbook::shipped().unwrap() {
        let text = parsed.playbook.to_toml();
        let source = Source {
            name: "printed.toml",
            text: &text,
        };
        assert_eq!(playbook::parse(source).unwrap().playbook, parsed.playbook);
    }
}

fn playbooks() -> impl Strategy<Value = Playbook> {
    let text = || "[ -~éß😀]{0,30}x";
    let heads = (
        "[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,8}){0,3}",
        text(),
        "[ -~é\n\t]{0,60}x",
        prop::collection::vec("T[0-9]{4}(\\.[0-9]{3})?", 0..3),
        any::<u32>(),
    );
    let rest = (
        triggers(),
        conditions(),
        steps(),
        caps(),
        any::<bool>(),
        1..1000_u32,
    );
    (heads, rest).prop_map(|(heads, rest)| {
        let (name, title, reason, techniques, order) = heads;
        let (trigger, conditions, steps, caps, has_release, after_hours) = rest;
        let release = has_release.then(|| Release {
            after_hours,
            steps: released(&steps),
        });
        Playbook {
            name,
            title,
            reason,
            techniques,
            order,
            trigger,
            conditions,
            steps,
            caps,
            release,
        }
    })
}

fn released(steps: &[StepSpec]) -> Vec<String> {
    let kinds = steps.iter().map(|step| step.kind);
    kinds
        .filter(|kind| kind.is_reversible())
        .filter(|kind| {
            !matches!(
                kind.stage(),
                playbook::Stage::Evidence | playbook::Stage::Report
            )
        })
        .map(|kind| kind.name().to_owned())
        .collect()
}

fn triggers() -> impl Strategy<Value = Trigger> {
    let behaviours: Vec<String> = BEHAVIOURS
        .iter()
        .map(|(_, name)| (*name).to_owned())
        .collect();
    let resources: Vec<String> = RESOURCES.iter().map(|name| (*name).to_owned()).collect();
    let severities: Vec<String> = SEVERITIES
        .iter()
        .map(|(_, name)| (*name).to_owned())
        .collect();
    (
        // One at least, so that it does not act on everything.
        prop::sample::subsequence(behaviours, 1..4),
        prop::collection::vec(
            "[A-Z][A-Za-z0-9]{0,8}:[A-Z][A-Za-z]{1,6}/[A-Za-z.!]{1,8}|[A-Za-z]{0,5}:\\*",
            0..3,
        ),
        prop::sample::subsequence(resources, 0..4),
        prop::option::of(prop::sample::select(severities)),
    )
        .prop_map(|(behaviours, types, resources, at_least)| Trigger {
            behaviours,
            types,
            resources,
            at_least,
        })
}

fn conditions() -> impl Strategy<Value = Conditions> {
    let users = prop::sample::select(vec![
        UsersOnNode::None,
        UsersOnNode::One,
        UsersOnNode::Several,
    ]);
    (
        prop::option::of(users),
        any::<Option<bool>>(),
        any::<Option<bool>>(),
        prop::collection::vec("[a-z:/*]{1,9}(=[ -~é]{0,9})?", 0..3),
        any::<bool>(),
    )
        .prop_map(
            |(users, in_cluster, fargate, tags, only_when_named)| Conditions {
                users,
                in_cluster,
                fargate,
                tags,
                only_when_named,
            },
        )
}

/// Steps in the order of their stages, with evidence where they need it.
fn steps() -> impl Strategy<Value = Vec<StepSpec>> {
    let approvals = vec![
        Approval::WhenIrreversible,
        Approval::Never,
        Approval::WhenShared,
        Approval::Always,
    ];
    let detail = (
        prop::sample::select(approvals),
        any::<Option<prop::sample::Index>>(),
        prop::option::of("[ -~é\n]{0,20}x"),
    );
    let count = StepKind::ALL.len();
    let kinds: Vec<StepKind> = StepKind::ALL.iter().map(|(kind, _)| *kind).collect();
    (
        prop::sample::subsequence(kinds, 0..count),
        prop::collection::vec(detail, count),
    )
        .prop_map(|(mut kinds, details)| {
            if !kinds.contains(&StepKind::SnapshotEvidence) {
                kinds.insert(0, StepKind::SnapshotEvidence);
            }
            kinds.sort_by_key(|kind| (kind.stage(), *kind != StepKind::SnapshotEvidence));
            let steps = kinds.into_iter().zip(details);
            steps
                .map(|(kind, (approval, how, reason))| StepSpec {
                    kind,
                    approval,
                    how: how
                        .filter(|_| !kind.ways().is_empty())
                        .map(|how| (*how.get(kind.ways())).to_owned()),
                    reason,
                })
                .collect()
        })
}

fn caps() -> impl Strategy<Value = Caps> {
    (1..u32::MAX, 1..u32::MAX, 1..u32::MAX).prop_map(|(plans, irreversible, targets)| Caps {
        plans_per_hour: plans,
        irreversible_per_hour: irreversible,
        targets_per_plan: targets,
    })
}
