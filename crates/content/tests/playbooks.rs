//! Playbooks: those that ship keep their own rules, and each kind of mistake is told.

#[path = "support/render.rs"]
mod render;

use std::collections::BTreeSet;

use davylamp_content::playbook::cases::CaseKind;
use davylamp_content::playbook::{
    self, BEHAVIOURS, Parsed, RESOURCES, SEVERITIES, SHIPPED, Stage, StepKind,
};
use davylamp_content::{Faults, Source};
use render::render_all;

fn parse(text: &str) -> Result<Parsed, Faults> {
    let name = "playbook.toml";
    playbook::parse(Source { name, text })
}

fn shipped() -> Vec<Parsed> {
    playbook::shipped().unwrap_or_else(|faults| panic!("{}", render_all(faults.faults())))
}

#[test]
fn the_shipped_ones_are_read_without_a_warning_and_tried_in_this_order() {
    let shipped = shipped();
    for parsed in &shipped {
        let warnings = &parsed.warnings;
        assert!(warnings.is_empty(), "{}", render_all(warnings));
    }
    let names: Vec<_> = shipped
        .iter()
        .map(|parsed| parsed.playbook.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "guard-evict",
            "hub-miner",
            "stolen-key-miner",
            "node-miner",
            "pod-miner",
            "fargate-or-ecs-miner",
            "lambda-miner",
            "public-instance-alarm",
            "account-lockdown",
            "report-only",
        ]
    );
}

#[test]
fn a_shipped_file_is_called_like_its_playbook() {
    for (name, text) in SHIPPED {
        assert_eq!(parse(text).unwrap().playbook.name, *name);
    }
}

#[test]
fn each_shipped_one_has_a_case_of_every_kind() {
    for parsed in shipped() {
        let kinds: BTreeSet<CaseKind> = parsed.cases.iter().map(|case| case.kind).collect();
        let name = &parsed.playbook.name;
        assert_eq!(
            kinds.len(),
            CaseKind::ALL.len(),
            "{name} has only {kinds:?}"
        );
        let names: BTreeSet<&str> = parsed.cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), parsed.cases.len(), "{name} has a case twice");
    }
}

#[test]
fn the_lockdown_is_never_chosen_by_itself_and_can_be_undone_whole() {
    let shipped = shipped();
    let lockdown = shipped
        .iter()
        .map(|parsed| &parsed.playbook)
        .find(|playbook| playbook.name == "account-lockdown")
        .unwrap();
    assert!(lockdown.conditions.only_when_named);
    for step in &lockdown.steps {
        assert!(step.kind.is_reversible(), "{}", step.kind.name());
        assert_eq!(step.kind.stage(), Stage::Network);
    }
}

#[test]
fn the_last_one_takes_everything_and_does_nothing() {
    let shipped = shipped();
    let last = &shipped.last().unwrap().playbook;
    assert_eq!(last.trigger, playbook::Trigger::default());
    assert_eq!(last.conditions, playbook::Conditions::default());
    assert!(last.steps.is_empty());
}

#[test]
fn every_kind_of_step_is_used_or_offered() {
    let used: BTreeSet<StepKind> = shipped()
        .iter()
        .flat_map(|parsed| parsed.playbook.steps.iter().map(|step| step.kind))
        .collect();
    let unused: Vec<&str> = StepKind::ALL
        .iter()
        .filter(|(kind, _)| !used.contains(kind))
        .map(|(_, name)| *name)
        .collect();
    assert_eq!(unused, ["stop-instance"]);
}

#[test]
fn the_words_of_a_playbook_are_those_of_the_stored_forms() {
    for (behaviour, name) in BEHAVIOURS {
        assert_eq!(serde_json::to_value(behaviour).unwrap(), *name);
    }
    for (severity, name) in SEVERITIES {
        assert_eq!(serde_json::to_value(severity).unwrap(), *name);
    }
    for (kind, name) in StepKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), *name);
        assert_eq!(kind.name(), *name);
        assert_eq!(
            serde_json::to_value(kind.stage()).unwrap(),
            kind.stage().name()
        );
    }
    let distinct: BTreeSet<&&str> = RESOURCES.iter().collect();
    assert_eq!(distinct.len(), RESOURCES.len());
}

/// A playbook without a fault, to be spoilt.
const SOUND: &str = r#"
name = "some-miner"
title = "Some"
reason = "why"
techniques = ["T1496.001"]
order = 1
trigger = { behaviours = ["mining"] }
steps = [
  { do = "keep-volumes" },
  { do = "snapshot-evidence" },
  { do = "isolate-interfaces" },
  { do = "terminate-instance" },
]

[[cases]]
kind = "fires"
name = "a case"
finding = { type = "CryptoCurrency:EC2/BitcoinTool.B", behaviour = "mining", resources = ["instance/i-0000000a"] }
expect = { playbook = "some-miner" }
"#;

/// Each mistake: its name, what is replaced in [`SOUND`], and by what.
const MISTAKES: &[(&str, &[(&str, &str)])] = &[
    (
        "syntax",
        &[
            ("order = 1", "order = = 1"),
            ("name = \"a case\"", "name = 'a case"),
        ],
    ),
    ("nothing", &[(SOUND, "# nothing yet\n")]),
    (
        "keys",
        &[
            ("title =", "titel ="),
            ("trigger = { behaviours", "trigger = { behavior"),
            (
                "{ do = \"keep-volumes\" }",
                "{ don = \"keep-volumes\", aproval = \"never\" }",
            ),
            ("expect = {", "expects = {"),
        ],
    ),
    (
        "words",
        &[
            (
                "\"mining\"] }",
                "\"minning\", \"\"], resources = [\"instances\", \"moon\"], at-least = \"hi\" }",
            ),
            ("keep-volumes", "keep-volume"),
            (
                "\"snapshot-evidence\"",
                "\"snapshot-evidence\", approval = \"sometimes\"",
            ),
            ("kind = \"fires\"", "kind = \"fire\""),
        ],
    ),
    (
        "kinds_of_values",
        &[
            ("order = 1", "order = -1"),
            ("reason = \"why\"", "reason = 2026-03-01"),
            ("techniques = [\"T1496.001\"]", "techniques = \"T1496\""),
            (
                "trigger = {",
                "release = { after-hours = 1.5, steps = [] }\nconditions = { fargate = \"yes\" }\ntrigger = {",
            ),
        ],
    ),
    (
        "texts",
        &[
            ("some-miner\"\ntitle", "Some Miner\"\ntitle"),
            ("\"Some\"", "\"a\\nb\""),
            ("\"why\"", "\"  \""),
            ("\"T1496.001\"", "\"T1496.1\", \"t1496\", \"T1496\""),
        ],
    ),
    (
        "types",
        &[(
            "[\"mining\"]",
            "[], types = [\"CryptoCurrency:EC2\", \"CryptoCurrency:EC2/*\", \"*\", \"Impact:EC2/A b\", \"Trojan:EC2/DNSDataExfiltration\"]",
        )],
    ),
    (
        "order_of_steps",
        &[(
            "{ do = \"keep-volumes\" },",
            "{ do = \"isolate-pod\" }, { do = \"keep-volumes\" }, { do = \"revoke-hub-tokens\" },",
        )],
    ),
    (
        "no_evidence",
        &[(
            "{ do = \"snapshot-evidence\" },",
            "{ do = \"copy-evidence\" },",
        )],
    ),
    (
        "evidence_too_late",
        &[
            ("{ do = \"snapshot-evidence\" },", ""),
            (
                "{ do = \"terminate-instance\" },",
                "{ do = \"terminate-instance\" }, { do = \"snapshot-evidence\" }",
            ),
        ],
    ),
    (
        "twice",
        &[(
            "{ do = \"isolate-interfaces\" },",
            "{ do = \"isolate-interfaces\" }, { do = \"isolate-interfaces\", approval = \"always\" },",
        )],
    ),
    (
        "ways",
        &[(
            "{ do = \"keep-volumes\" }",
            "{ do = \"keep-volumes\", how = \"all\" }, { do = \"hold-scaling\", how = \"detatch\" }",
        )],
    ),
    (
        "caps",
        &[(
            "order = 1",
            "order = 1\ncaps = { plans-per-hour = 0, irreversible-per-hour = 1, targets-per-plan = 0 }",
        )],
    ),
    (
        "release",
        &[(
            "order = 1",
            "order = 1\nrelease = { after-hours = 0, steps = [\"terminate-instance\", \"cordon-node\", \"snapshot-evidence\", \"keep-volumes\", \"keep-volumes\", \"keepvolumes\"] }",
        )],
    ),
    (
        "acts_on_everything",
        &[("{ behaviours = [\"mining\"] }", "{}")],
    ),
    (
        "tags",
        &[(
            "order = 1",
            "order = 1\nconditions = { tags = [\"\", \"=x\", \"Name=hub-*\"] }",
        )],
    ),
    (
        "resources_of_cases",
        &[(
            "instance/i-0000000a",
            "instance\", \"workload/hub/jhub\", \"moon/far\", \"workload//jhub/pods/p\", \"user/alice/AKIA1\", \"account",
        )],
    ),
];

#[test]
fn each_mistake_is_told_with_its_place_and_its_remedy() {
    for (name, changes) in MISTAKES {
        let faults = parse(&spoilt(changes))
            .map(|_| panic!("{name} was read"))
            .unwrap_err();
        insta::assert_snapshot!(*name, render_all(faults.faults()));
    }
}

const DOUBTS: &[(&str, &[(&str, &str)])] = &[
    (
        "unapproved",
        &[(
            "{ do = \"terminate-instance\" }",
            "{ do = \"terminate-instance\", approval = \"never\" }, { do = \"stop-task\", approval = \"when-shared\" }, { do = \"end-pod\", approval = \"never\", reason = \"it is mine\" }",
        )],
    ),
    (
        "never_holds",
        &[
            (
                "order = 1",
                "order = 1\nconditions = { fargate = true, users = \"one\", in-cluster = true }",
            ),
            ("[\"mining\"]", "[], resources = [\"function\"]"),
        ],
    ),
    (
        "stopped_and_terminated",
        &[(
            "{ do = \"terminate-instance\" }",
            "{ do = \"terminate-instance\" }, { do = \"stop-instance\" }",
        )],
    ),
    (
        "no_cases",
        &[(
            SOUND,
            "name = 'x'\ntitle = 'x'\nreason = 'x'\norder = 1\nsteps = []\ntrigger = {}\n",
        )],
    ),
];

#[test]
fn each_doubt_is_told() {
    for (name, changes) in DOUBTS {
        let parsed = parse(&spoilt(changes))
            .unwrap_or_else(|faults| panic!("{name}: {}", render_all(faults.faults())));
        insta::assert_snapshot!(format!("doubt_{name}"), render_all(&parsed.warnings));
    }
}

fn spoilt(changes: &[(&str, &str)]) -> String {
    let mut text = SOUND.to_owned();
    for (from, to) in changes {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text = text.replace(from, to);
    }
    text
}

#[test]
fn a_sound_one_has_no_fault() {
    let parsed = parse(SOUND).unwrap_or_else(|faults| panic!("{}", render_all(faults.faults())));
    assert!(
        parsed.warnings.is_empty(),
        "{}",
        render_all(&parsed.warnings)
    );
    assert_eq!(parsed.cases.len(), 1);
}

#[test]
fn playbooks_that_are_used_together_have_names_and_orders_of_their_own() {
    let renamed = SOUND.replacen("some-miner", "other-miner", 1);
    let broken = SOUND.replace("\"why\"", "7");
    let sources = [
        Source {
            name: "a.toml",
            text: SOUND,
        },
        Source {
            name: "b.toml",
            text: SOUND,
        },
        Source {
            name: "c.toml",
            text: &renamed,
        },
        Source {
            name: "d.toml",
            text: &broken,
        },
    ];
    let faults = playbook::parse_set(&sources).unwrap_err();
    insta::assert_snapshot!("set", render_all(faults.faults()));
}

#[test]
fn the_page_for_users_names_every_word_and_every_shipped_playbook() {
    let page = include_str!("../../../docs/playbooks.md");
    let steps = StepKind::ALL.iter().map(|(_, name)| *name);
    let ways = StepKind::ALL.iter().flat_map(|(kind, _)| kind.ways());
    let behaviours = BEHAVIOURS.iter().map(|(_, name)| *name);
    let severities = SEVERITIES.iter().map(|(_, name)| *name);
    let names = SHIPPED.iter().map(|(name, _)| *name);
    let words = steps
        .chain(ways.copied())
        .chain(behaviours)
        .chain(severities);
    for word in words.chain(names).chain(RESOURCES.iter().copied()) {
        assert!(page.contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn the_example_of_the_page_is_a_playbook_without_a_warning() {
    let page = include_str!("../../../docs/playbooks.md");
    let blocks: Vec<&str> = page
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    let parsed =
        parse(&blocks.concat()).unwrap_or_else(|faults| panic!("{}", render_all(faults.faults())));
    assert!(
        parsed.warnings.is_empty(),
        "{}",
        render_all(&parsed.warnings)
    );
    assert_eq!(parsed.cases.len(), 1);
}
