//! The shipped list and its cases, judged by the judge that the guard uses.

use davylamp_content::blocklist::{self, Place};
use davylamp_content::cases::{self, Expect};
use davylamp_content::{
    DEFAULT_BLOCKLIST, DEFAULT_BLOCKLIST_NAME, DEFAULT_CASES, DEFAULT_CASES_NAME,
    ORDINARY_COMMANDS, Source,
};
use davylamp_detect::judge::{Judge, Ruling, Subject};

fn judge() -> Judge {
    let source = Source {
        name: DEFAULT_BLOCKLIST_NAME,
        text: DEFAULT_BLOCKLIST,
    };
    let (list, _) = blocklist::parse(&[source]).expect("the shipped list has no fault");
    Judge::new(&list).expect("the shipped list fits")
}

fn arguments(command: &str) -> Vec<u8> {
    [command.as_bytes(), b"\0"].concat()
}

#[test]
fn every_shipped_case_comes_out_as_it_says() {
    let judge = judge();
    let cases = cases::parse(Source {
        name: DEFAULT_CASES_NAME,
        text: DEFAULT_CASES,
    })
    .expect("the shipped cases have no fault");
    let mut wrong = Vec::new();
    for case in &cases {
        // As one argument, and as the many that its blanks would make of it.
        let whole = arguments(&case.command);
        let split: Vec<u8> = whole
            .iter()
            .map(|byte| if *byte == b' ' { 0 } else { *byte })
            .collect();
        for arguments in [&whole, &split] {
            let subject = Subject {
                arguments,
                ..Subject::default()
            };
            let strings: Vec<&str> = judge
                .all_matches(&subject)
                .iter()
                .filter_map(|found| Some(judge.string(found.string)?.banned.text.as_str()))
                .collect();
            let ruling = judge.rule(&subject, &Place::default());
            let agrees = match &case.expect {
                Expect::Clean => matches!(ruling, Ruling::Clean) && strings.is_empty(),
                Expect::Kill { by } => {
                    matches!(ruling, Ruling::Banned { .. }) && strings.contains(&by.as_str())
                }
            };
            if !agrees {
                wrong.push(format!(
                    "{DEFAULT_CASES_NAME}:{}: {:?}, but {ruling:?} with {strings:?}",
                    case.line, case.expect
                ));
            }
        }
    }
    assert!(cases.len() >= 5, "only {} cases were read", cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_ordinary_command_is_killed() {
    let judge = judge();
    let commands: Vec<&str> = ORDINARY_COMMANDS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert!(
        commands.len() > 50,
        "only {} commands were read",
        commands.len()
    );
    for command in commands {
        let arguments = arguments(command);
        let subject = Subject {
            arguments: &arguments,
            ..Subject::default()
        };
        let ruling = judge.rule(&subject, &Place::default());
        assert!(matches!(ruling, Ruling::Clean), "{command}: {ruling:?}");
    }
}
