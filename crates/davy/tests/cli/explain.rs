//! `davy explain`.

use davylamp_content::cases::{self, Expect};
use davylamp_content::{DEFAULT_CASES, DEFAULT_CASES_NAME, Source};
use serde_json::Value;

use crate::bench::Bench;

/// What it prints and its exit code for one command, given as arguments.
fn explained(arguments: &[&str], command: &[&str]) -> String {
    Bench::new()
        .explain(&[arguments, &["--"], command].concat(), b"")
        .whole()
}

fn json(bench: &Bench, arguments: &[&str], input: &[u8]) -> (Option<i32>, Vec<Value>) {
    let ran = bench.explain(
        &[&["--stdin", "--output", "json"], arguments].concat(),
        input,
    );
    assert_eq!(ran.stderr, "", "JSON comes alone");
    let documents = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    (ran.code, documents.collect())
}

#[test]
fn a_clean_command() {
    insta::assert_snapshot!(explained(&[], &["ls", "-l"]));
}

#[test]
fn a_near_miss_is_clean() {
    insta::assert_snapshot!(explained(
        &[],
        &["./zebra-quuxes", "my_vexing", "word", "vexing", "words"]
    ));
}

#[test]
fn a_match_in_the_arguments() {
    insta::assert_snapshot!(explained(
        &[],
        &[
            "sh",
            "-c",
            "exec ./ZEBRA-Quux --fast",
            "a",
            "vexing",
            "word"
        ]
    ));
}

#[test]
fn a_match_that_the_kernel_allows() {
    insta::assert_snapshot!(explained(&[], &["git", "grep", "zebra-quux"]));
}

#[test]
fn a_match_that_is_held_and_allowed() {
    insta::assert_snapshot!(explained(
        &[],
        &["python3.12", "/opt/course/a.py", "zebra-quux"]
    ));
}

#[test]
fn a_match_that_is_held_and_killed() {
    insta::assert_snapshot!(explained(&[], &["python3", "/tmp/a.py", "zebra-quux"]));
}

#[test]
fn a_pattern_counts_only_in_its_scope() {
    let command = ["teach", "zebra-quux"];
    let elsewhere = explained(&[], &command);
    let inside = explained(&["--namespace", "jhub-prod"], &command);
    let on_host = explained(&["--host"], &command);
    insta::assert_snapshot!(format!("{elsewhere}\n\n{inside}\n\n{on_host}"));
}

#[test]
fn a_match_in_the_executable_and_the_environment() {
    let given = [
        "--exe",
        "/opt/zebra-quux/run",
        "--env",
        "HOME=/root",
        "--env",
        "URL=quagga+tcp://x",
    ];
    insta::assert_snapshot!(explained(&given, &["run"]));
    // A plain list does not search the environment.
    let plain = explained(&["--env", "NAME=zebra-quux"], &["run"]);
    assert!(plain.starts_with("exit 0\n"), "{plain}");
}

#[test]
fn what_is_protected_is_spared() {
    let given = [
        "--set",
        "guard.protect.executables=/usr/bin/safe",
        "--exe",
        "/usr/bin/safe",
    ];
    insta::assert_snapshot!(explained(&given, &["safe", "zebra-quux"]));
}

#[test]
fn in_observe_mode_it_would_be_killed() {
    let said = explained(&["--set", "guard.mode=observe"], &["zebra-quux"]);
    assert!(
        said.starts_with("exit 1\n") && said.contains("would be killed"),
        "{said}"
    );
}

#[test]
fn what_disguises_itself_is_spelt_out() {
    let ran = Bench::new().explain(&["--stdin"], b"\x1b[2Jsh \xff zebra-quux\r\n");
    insta::assert_snapshot!(ran.whole());
}

#[test]
fn a_command_a_line_or_an_argument_a_nul() {
    let bench = Bench::new();
    let verdicts = |arguments: &[&str], input: &[u8]| {
        let (code, documents) = json(&bench, arguments, input);
        let verdicts: Vec<String> = documents
            .iter()
            .map(|one| one["verdict"].as_str().expect("text").into())
            .collect();
        (code, verdicts.join(" "))
    };
    assert_eq!(
        verdicts(&[], b"ls\n\nzebra-quux\ngit grep zebra-quux"),
        (Some(1), "clean killed spared".into())
    );
    assert_eq!(
        verdicts(&[], b"ls\ngit grep zebra-quux\n"),
        (Some(0), "clean spared".into())
    );
    assert_eq!(
        verdicts(&["-0"], b"a\0vexing\0word\0"),
        (Some(1), "killed".into())
    );
    assert_eq!(
        verdicts(&["-0"], b"a\nvexing\nword\0"),
        (Some(0), "clean".into())
    );
}

#[test]
fn the_json_document() {
    let bench = Bench::new();
    let (code, documents) = json(
        &bench,
        &["--namespace", "other"],
        b"teach zebra-quux my_zebra-quux ZEBRA-QUUXES vexing words\n",
    );
    assert_eq!(code, Some(1));
    insta::assert_json_snapshot!(documents);
}

#[test]
fn a_long_command_line_is_answered_in_bounds() {
    let bench = Bench::new();
    let input = format!("{}\n", "zebra-quux ".repeat(100_000));
    let (code, documents) = json(&bench, &[], input.as_bytes());
    assert_eq!(code, Some(1));
    assert_eq!(documents[0]["match_count"], 100_000);
    assert_eq!(documents[0]["matches"].as_array().map(Vec::len), Some(100));
    assert_eq!(documents[0]["near_misses_searched"], false);
    let text = bench.explain(&["--stdin"], input.as_bytes()).stdout;
    assert!(
        text.len() < 10_000 && text.contains("and 99990 more"),
        "{text}"
    );
}

#[test]
fn every_shipped_case_is_explained_as_it_says() {
    let cases = cases::parse(Source {
        name: DEFAULT_CASES_NAME,
        text: DEFAULT_CASES,
    })
    .expect("no fault");
    let input: String = cases
        .iter()
        .map(|case| format!("{}\n", case.command))
        .collect();
    let bench = Bench::new();
    let arguments = [
        "explain",
        "--config",
        "davy.toml",
        "--stdin",
        "--output",
        "json",
    ];
    let ran = bench.run_with(&arguments, input.as_bytes());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""));
    let documents: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(documents.len(), cases.len());
    for (case, document) in cases.iter().zip(&documents) {
        let place = format!("{DEFAULT_CASES_NAME}:{}: {document:#}", case.line);
        assert_eq!(document["command_line"], case.command.as_str(), "{place}");
        match &case.expect {
            Expect::Clean => assert_eq!(document["verdict"], "clean", "{place}"),
            Expect::Kill { by } => {
                assert_eq!(document["verdict"], "killed", "{place}");
                let matches = document["matches"].as_array().expect("a list");
                assert!(
                    matches.iter().any(|one| one["string"] == by.as_str()),
                    "{place}"
                );
            }
        }
    }
}
