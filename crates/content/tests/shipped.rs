//! The data that ships keeps its own rules.

mod support;

use std::collections::HashSet;

use davylamp_content::cases::{self, Expect};
use davylamp_content::word::matches_as_word;
use davylamp_content::{
    DEFAULT_BLOCKLIST, DEFAULT_BLOCKLIST_NAME, DEFAULT_CASES, DEFAULT_CASES_NAME,
    ORDINARY_COMMANDS, Source,
};

#[test]
fn the_default_list_is_read_without_a_warning() {
    let (list, warnings) = support::parse(&[(DEFAULT_BLOCKLIST_NAME, DEFAULT_BLOCKLIST)])
        .unwrap_or_else(|faults| panic!("{}", support::render_all(faults.faults())));
    assert!(warnings.is_empty(), "{}", support::render_all(&warnings));
    let names: Vec<_> = list
        .groups
        .iter()
        .map(|group| group.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["test"],
        "what is known of miners stands in detections"
    );
    for group in &list.groups {
        assert!(!group.banned.is_empty(), "group {} is empty", group.name);
        for banned in &group.banned {
            assert!(banned.reason.is_some(), "{} has no reason", banned.text);
            assert!(banned.scan_environment, "{}", banned.text);
        }
    }
}

#[test]
fn the_default_list_agrees_with_its_cases() {
    let (list, _) = support::parse(&[(DEFAULT_BLOCKLIST_NAME, DEFAULT_BLOCKLIST)]).unwrap();
    let source = Source {
        name: DEFAULT_CASES_NAME,
        text: DEFAULT_CASES,
    };
    let cases = cases::parse(source)
        .unwrap_or_else(|faults| panic!("{}", support::render_all(faults.faults())));
    let mut killing_groups = HashSet::new();
    for case in &cases {
        let matching: Vec<_> = list
            .groups
            .iter()
            .flat_map(|group| {
                group
                    .banned
                    .iter()
                    .map(move |banned| (&group.name, &banned.text))
            })
            .filter(|(_, text)| matches_as_word(text.as_bytes(), case.command.as_bytes()))
            .collect();
        match &case.expect {
            Expect::Clean => {
                assert!(
                    matching.is_empty(),
                    "line {}: killed by {matching:?}",
                    case.line
                );
            }
            Expect::Kill { by } => {
                let found = matching.iter().find(|(_, text)| *text == by);
                let (group, _) = found.unwrap_or_else(|| {
                    panic!("line {}: {by} does not match, but {matching:?}", case.line)
                });
                killing_groups.insert(group.as_str());
            }
        }
    }
    let groups: HashSet<_> = list
        .groups
        .iter()
        .map(|group| group.name.as_str())
        .collect();
    assert_eq!(killing_groups, groups, "each group has a case that fires");
}

#[test]
fn the_default_list_leaves_ordinary_commands_alone() {
    let (list, _) = support::parse(&[(DEFAULT_BLOCKLIST_NAME, DEFAULT_BLOCKLIST)]).unwrap();
    let is_command = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
    let commands: Vec<_> = ORDINARY_COMMANDS.lines().filter(is_command).collect();
    assert!(
        commands.len() >= 400,
        "only {} ordinary commands",
        commands.len()
    );
    let distinct: HashSet<_> = commands.iter().collect();
    assert_eq!(distinct.len(), commands.len(), "a command is listed twice");
    for command in &commands {
        assert_eq!(command.trim(), *command, "blanks at an end");
        for banned in list.groups.iter().flat_map(|group| &group.banned) {
            assert!(
                !matches_as_word(banned.text.as_bytes(), command.as_bytes()),
                "{} would kill: {command}",
                banned.text
            );
        }
    }
    for word in ["miner", "mining", "pool", "stratum", "wallet", "crypto"] {
        let has = |command: &&&str| matches_as_word(word.as_bytes(), command.as_bytes());
        assert!(
            commands.iter().any(|command| has(&command)),
            "no innocent {word}"
        );
    }
}
