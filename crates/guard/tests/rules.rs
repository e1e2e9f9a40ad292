//! Detections in the kernel programs by themselves: no agent, and no program of ours that is run.

use davylamp_content::{Source, blocklist, detection};
use davylamp_detect::{command::Rules, judge::Judge};
use davylamp_guard::abi::Settings;
use davylamp_guard::kernel::{Ceilings, Kernel, Pinning, Start, TestFaults};
use davylamp_testkit::guard::unique_word;
use davylamp_testkit::programs::{Launch, Programs, Stage, Word};

fn detection_of(word: &str) -> detection::Detection {
    let text = format!(
        r#"
name = "a-word"
title = "a word of this test"
reason = "Nothing else says it."
techniques = ["T1496.001"]
severity = "high"
score = 100
response = "kill"
benign = ["none"]
next = ["nothing"]
[words.name]
where = "program"
literals = ["{word}"]
[words.token]
where = "anywhere"
expressions = ["{word}[0-9a-f]{{8}}"]
[[cases]]
kind = "fires"
name = "launched"
command = "./{word}"
action = "kill"
[[cases]]
kind = "near-miss"
name = "longer"
command = "./{word}s"
action = "clean"
[[cases]]
kind = "hostile"
name = "in a shell"
command = "sh -c ./{word}"
action = "kill"
[[cases]]
kind = "benign"
name = "looked for"
command = "grep {word} f"
action = "spare"
"#
    );
    let source = Source {
        name: "a-word.toml",
        text: &text,
    };
    let parsed = detection::parse(source).unwrap_or_else(|faults| {
        let told = faults.faults().iter().map(ToString::to_string);
        panic!("{}", told.collect::<Vec<_>>().join("; "))
    });
    parsed.detection
}

#[test]
fn the_kernel_kills_what_the_words_say_and_spares_what_it_would_have_to_take_apart() {
    let (word, banned) = (unique_word(), unique_word());
    let list = format!("bannedCommandStrings: [\"{banned}\"]\n");
    let source = Source {
        name: "list.yaml",
        text: &list,
    };
    let (list, _) = blocklist::parse(&[source]).expect("a list");
    let judge = Judge::new(&list).expect("a judge");
    let rules = Rules::new(vec![detection_of(&word)], &[]).expect("rules");
    let _kernel = Kernel::start(
        &Pinning::None,
        &Start {
            table: judge.table(),
            rules: Some(rules.table()),
            settings: Settings {
                hold_deadline_ns: 1_000_000_000,
                event_interval_ns: 1_000_000,
                event_burst: 1000,
                capture_arguments: 8192,
                rules_enabled: 1,
                ..Settings::default()
            },
            executables: &[],
            cgroups: &[],
            alive_until_ns: 0,
            can_hold: false,
            ceilings: &Ceilings::default(),
            faults: TestFaults::default(),
        },
    )
    .unwrap_or_else(|error| {
        let mut told = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            told += &format!(": {cause}");
            source = cause.source();
        }
        panic!("{told}")
    });
    let programs = Programs::new().expect("programs");
    let stage = Stage::new().expect("a stage");
    let run = |name: &str, arguments: &[&str], environment: &[&str]| {
        let path = programs.copy(name).expect("a program");
        let words =
            |texts: &[&str]| -> Vec<Word> { texts.iter().map(|text| (*text).into()).collect() };
        let launch = Launch::of(&path, &words(arguments), &words(environment)).expect("a launch");
        stage.run(&launch).expect("an outcome")
    };
    let token = format!("{word}0123abcd");
    let padding = "p".repeat(9000);
    let variable = format!("A={token}");
    for (name, arguments, environment) in [
        ("innocent", vec!["x", banned.as_str()], vec![]),
        (&word, vec!["x"], vec![]),
        ("innocent", vec![word.as_str()], vec![]),
        ("innocent", vec!["x", &format!("--user={token}")], vec![]),
        ("innocent", vec!["x", &padding, &token], vec![]),
        ("innocent", vec!["x"], vec![variable.as_str()]),
        (&word, vec!["grep", "x"], vec![]),
    ] {
        let outcome = run(name, &arguments, &environment);
        assert!(outcome.is_killed_unrun(), "{name} {outcome:?}");
    }
    for (name, arguments) in [
        ("innocent", vec!["x".to_owned()]),
        ("innocent", vec!["x".to_owned(), format!("{word}s")]),
        (
            "innocent",
            vec!["x".to_owned(), token[..token.len() - 1].to_owned()],
        ),
        // A tool may only speak of it, and nobody is there to find out.
        ("grep", vec!["grep".to_owned(), word.clone()]),
        // So may be a name among the arguments.
        ("innocent", vec!["x".to_owned(), word.clone()]),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let outcome = run(name, &arguments, &[]);
        assert!(outcome.is_unharmed(), "{name} {outcome:?}");
    }
}
