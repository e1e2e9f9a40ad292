//! `davy deploy aws`: documents to review, written where asked and never over something.

use serde_json::Value;

use crate::bench::Bench;

fn document(bench: &Bench, arguments: &[&str]) -> Value {
    let mut all = vec!["deploy", "aws"];
    all.extend(arguments);
    let ran = bench.run(&all);
    assert_eq!(ran.code, Some(0), "{}", ran.whole());
    serde_json::from_str(&ran.stdout).expect("JSON")
}

fn sids(policy: &Value) -> Vec<&str> {
    let statements = policy["Statement"].as_array().expect("statements");
    statements
        .iter()
        .filter_map(|statement| statement["Sid"].as_str())
        .collect()
}

#[test]
fn a_template_that_does_nothing_until_it_is_told_to() {
    let bench = Bench::new();
    let template = document(&bench, &[]);
    assert_eq!(template["Parameters"]["DryRun"]["Default"], "true");
    assert_eq!(
        template["Resources"]["Function"]["Type"],
        "AWS::Lambda::Function"
    );
}

#[test]
fn a_policy_without_what_is_left_out() {
    let bench = Bench::new();
    let whole = document(&bench, &["--what", "policy"]);
    assert!(sids(&whole).contains(&"CloseDoorsOfTheAccount"));
    let less = document(
        &bench,
        &[
            "--what",
            "policy",
            "--without",
            "lockdown",
            "--without",
            "queue",
        ],
    );
    let left = sids(&less);
    assert!(!left.contains(&"CloseDoorsOfTheAccount") && !left.contains(&"ReadTheQueue"));
    assert!(left.contains(&"NeverDestroyEvidence"));
    // What nothing can be done without is said, on the other channel than the document.
    let bare = ["deploy", "aws", "--without", "read", "--without", "journal"];
    let ran = bench.run(&bare);
    assert_eq!(ran.code, Some(0), "{}", ran.whole());
    for missed in ["without `read`", "without `journal`"] {
        assert!(ran.stderr.contains(missed), "{}", ran.stderr);
    }
    let ran = bench.run(&["deploy", "aws", "--without", "everything"]);
    assert_eq!(ran.code, Some(2), "{}", ran.whole());
    assert!(
        ran.stderr.contains("there are read, instances"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_file_is_written_once() {
    let bench = Bench::new();
    bench.folder("out");
    let folder = bench.path().join("out");
    let file = folder.join("davylamp.json");
    let name = file.to_str().expect("a name");
    let ran = bench.run(&["deploy", "aws", "--file", name]);
    assert_eq!(ran.code, Some(0), "{}", ran.whole());
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("wrote"), "{}", ran.stderr);
    let written = std::fs::read(&file).expect("a file");
    serde_json::from_slice::<Value>(&written).expect("JSON");

    let ran = bench.run(&["deploy", "aws", "--what", "policy", "--file", name]);
    assert_eq!(ran.code, Some(2), "{}", ran.whole());
    assert!(ran.stderr.contains("choose another name"), "{}", ran.stderr);
    assert_eq!(std::fs::read(&file).expect("a file"), written);

    let nowhere = folder.join("nowhere/davylamp.json");
    let ran = bench.run(&["deploy", "aws", "--file", nowhere.to_str().expect("a name")]);
    assert_eq!(ran.code, Some(2), "{}", ran.whole());
    assert!(
        ran.stderr.contains("create its directory first"),
        "{}",
        ran.stderr
    );
    // A folder in place of a file.
    let ran = bench.run(&["deploy", "aws", "--file", folder.to_str().expect("a name")]);
    assert_eq!(ran.code, Some(2), "{}", ran.whole());
}
